//! Working memory: 64-byte aligned, kept per thread and reused (without the feature `std` given back at once), and a pointer that tasks writing to disjoint places may share.

#[cfg(feature = "std")]
use crate::team;
use alloc::{vec, vec::Vec};
#[cfg(feature = "std")]
use std::cell::RefCell;

/// One cache line, the unit of allocation.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A 64-byte aligned buffer of f32.
#[derive(Clone, Debug, Default)]
pub struct Buffer {
    lines: Vec<Line>,
}

impl Buffer {
    /// A buffer of at least `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Buffer { lines: vec![Line([0.0; 16]); len.div_ceil(16)] }
    }

    /// Grows to at least `len` elements; what it holds is unspecified (but initialised).
    pub fn reserve(&mut self, len: usize) {
        let lines = len.div_ceil(16);
        if self.lines.len() < lines {
            // A new vector rather than a resize: nothing old is worth copying.
            self.lines = vec![Line([0.0; 16]); lines];
        }
    }

    /// The first element.
    pub fn as_ptr(&self) -> *const f32 {
        self.lines.as_ptr().cast()
    }

    /// The first element.
    pub fn as_mut_ptr(&mut self) -> *mut f32 {
        self.lines.as_mut_ptr().cast()
    }

    /// All elements.
    pub fn as_slice(&self) -> &[f32] {
        // SAFETY: a line is sixteen f32 without padding.
        unsafe { core::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    /// All elements.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: a line is sixteen f32 without padding, and the vector is exclusively borrowed.
        unsafe { core::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) }
    }

    /// All of it as sets of sixteen bits.
    pub fn as_bits(&self) -> &[u16] {
        // SAFETY: an f32 is two u16, which hold any bits and need no more alignment.
        unsafe { core::slice::from_raw_parts(self.lines.as_ptr().cast(), 2 * self.len()) }
    }

    /// All of it as sets of sixteen bits.
    pub fn as_mut_bits(&mut self) -> &mut [u16] {
        // SAFETY: as above, any bits are an f32, and the vector is exclusively borrowed.
        unsafe { core::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), 2 * self.len()) }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Elements held.
    pub fn len(&self) -> usize {
        self.lines.len() * 16
    }
}

#[cfg(feature = "std")]
thread_local! {
    static POOL: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
}

/// A buffer on loan from this thread's pool; goes back when dropped.
pub struct Lent(Buffer);

/// Lends a buffer of at least `len` f32 of this thread, contents unspecified. It is taken out of the pool while lent, so nested use is safe.
#[cfg(feature = "std")]
pub fn lend(len: usize) -> Lent {
    // The smallest buffer that fits, else the largest to grow, so that big and small uses do not trade places.
    let mut buffer = POOL.with_borrow_mut(|pool| {
        let fit = (0..pool.len()).filter(|i| pool[*i].len() >= len).min_by_key(|i| pool[*i].len());
        let at = fit.or_else(|| (0..pool.len()).max_by_key(|i| pool[*i].len()));
        at.map_or_else(Buffer::default, |i| pool.swap_remove(i))
    });
    buffer.reserve(len);
    Lent(buffer)
}

/// Lends a buffer of at least `len` f32, contents unspecified.
#[cfg(not(feature = "std"))]
pub fn lend(len: usize) -> Lent {
    Lent(Buffer::zeros(len))
}

#[cfg(feature = "std")]
impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = core::mem::take(&mut self.0);
        // While a thread ends its pool may be gone already; then the buffer goes too.
        let _ = POOL.try_with(|pool| pool.borrow_mut().push(buffer));
    }
}

impl core::ops::Deref for Lent {
    type Target = Buffer;
    fn deref(&self) -> &Buffer {
        &self.0
    }
}

impl core::ops::DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Buffer {
        &mut self.0
    }
}

/// A pointer that tasks may share; each writes to places of its own.
#[derive(Clone, Copy)]
pub struct Shared<T = f32>(*mut T);

// SAFETY: the pointer itself is plain data; who dereferences it vouches that tasks write to disjoint places.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Shares a pointer.
    pub fn new(pointer: *mut T) -> Self {
        Shared(pointer)
    }

    /// The pointer.
    pub fn get(&self) -> *mut T {
        self.0
    }
}

/// Runs `task(0..tasks)`: in parallel where `threads` allows, in order otherwise. Tasks must not depend on one another.
#[cfg(feature = "std")]
pub fn each(tasks: usize, parallel: bool, task: impl Fn(usize) + Sync + Send) {
    use crate::parallel::prelude::*;
    if parallel && tasks > 1 {
        // A share of tasks is taken as one.
        let share = tasks.div_ceil(4 * crate::parallel::current_num_threads()).max(1);
        let whole = |index: usize| (index * share..tasks.min((index + 1) * share)).for_each(&task);
        if !team::share(tasks.div_ceil(share), &whole) {
            (0..tasks).into_par_iter().with_min_len(share).for_each(&task);
        }
    } else {
        (0..tasks).for_each(task);
    }
}

/// Runs `task(0..tasks)` in order: without the feature `std` there are no threads.
#[cfg(not(feature = "std"))]
pub fn each(tasks: usize, _: bool, task: impl Fn(usize) + Sync + Send) {
    (0..tasks).for_each(task);
}
