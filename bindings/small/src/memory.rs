//! The allocator, which counts what is out and the most that ever was, and what a panic does: it ends the program.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

unsafe extern "C" {
    fn aligned_alloc(alignment: usize, size: usize) -> *mut u8;
    fn free(at: *mut u8);
    fn abort() -> !;
}

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: memory is the C library's, of the size and alignment asked for; what goes back is what came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let alignment = layout.align().max(size_of::<usize>());
        // SAFETY: the size is a multiple of the alignment, which is a power of two and at least a pointer's.
        let at = unsafe { aligned_alloc(alignment, layout.size().next_multiple_of(alignment)) };
        if !at.is_null() {
            let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
            MOST.fetch_max(now, Ordering::Relaxed);
        }
        at
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract: it came from `alloc`.
        unsafe { free(at) }
    }
}

/// Bytes that are out.
#[unsafe(no_mangle)]
pub extern "C" fn cardiograd_small_bytes_now() -> usize {
    NOW.load(Ordering::Relaxed)
}

/// The most bytes that were out since this was last asked.
#[unsafe(no_mangle)]
pub extern "C" fn cardiograd_small_bytes_most() -> usize {
    MOST.swap(NOW.load(Ordering::Relaxed), Ordering::Relaxed)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it has no preconditions.
    unsafe { abort() }
}

/// The language's core is built to unwind and names this; nothing here does.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}
