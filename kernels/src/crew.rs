//! A leader and its helpers: the tasks of one region after another, handed out by one atomic number.
//!
//! This file knows no threads: [`crate::team`] brings them. It stands alone so that `tests/soundness/loom` can run it, with loom's atomics in place of the
//! standard library's, in every order that the memory model allows.

#[cfg(loom)]
use loom::{
    cell::UnsafeCell,
    sync::Mutex,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;
#[cfg(not(loom))]
use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

/// A leader that has waited for so many looks lets others have the processor: the thread that it waits for may need it.
#[cfg(not(loom))]
const HOLD: usize = 10_000;
#[cfg(loom)]
const HOLD: usize = 1;

/// The standard library's, with loom's way in.
#[cfg(not(loom))]
struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// A region's task, its lifetime forgotten.
type Task = *const (dyn Fn(usize) + Sync);

/// What a leader and its helpers share.
pub(crate) struct Crew {
    /// Whether the leader's work is over.
    over: AtomicBool,
    /// The region's number, and the tasks first..end that nobody has taken: 32, 16 and 16 bits.
    open: AtomicU64,
    /// Tasks that have not ended.
    left: AtomicUsize,
    /// Read by whoever has taken a task, written by the leader between regions.
    task: UnsafeCell<Option<Task>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `task` is written by the leader alone, while no task is taken or open; whoever reads it has taken a task of `open`, which was stored after it.
unsafe impl Sync for Crew {}
// SAFETY: the task is Sync, and is only called while the leader, who lends it, waits for its end.
unsafe impl Send for Crew {}

#[cfg(loom)]
use loom::thread::yield_now;
#[cfg(not(loom))]
use std::thread::yield_now;

/// (first, end) of the tasks that are open.
fn range(open: u64) -> (u64, u64) {
    (open >> 16 & 0xffff, open & 0xffff)
}

impl Default for Crew {
    fn default() -> Self {
        Crew {
            over: AtomicBool::new(false),
            open: AtomicU64::new(0),
            left: AtomicUsize::new(0),
            task: UnsafeCell::new(None),
            panic: Mutex::new(None),
        }
    }
}

impl Crew {
    /// Says that no region will follow.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Whether no region will follow.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Runs the tasks together with whoever takes some; at most 65 535 of them at a time.
    pub(crate) fn share(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        for first in (0..tasks).step_by(0xffff) {
            self.region(tasks.min(first + 0xffff) - first, &|index| task(first + index));
        }
    }

    fn region(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes, and this call does not return before the last task has ended.
        let task: Task = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(task) };
        // SAFETY: the last region has ended, so nobody reads it.
        self.task.with_mut(|place| unsafe { *place = Some(task) });
        self.left.store(tasks, Ordering::Relaxed);
        let number = (self.open.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        self.open.store(number << 32 | tasks as u64, Ordering::Release);
        while self.take(true) {}
        let mut looks = 0;
        while self.left.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks % HOLD == 0 { yield_now() } else { std::hint::spin_loop() }
        }
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Takes a task from the front or the back and runs it; false if none is open.
    pub(crate) fn take(&self, front: bool) -> bool {
        let mut open = self.open.load(Ordering::Acquire);
        loop {
            let (first, end) = range(open);
            if first >= end {
                return false;
            }
            let (taken, rest) = if front { (first, open + (1 << 16)) } else { (end - 1, open - 1) };
            // The region's number makes sure that it is still the same one.
            match self.open.compare_exchange_weak(open, rest, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.run(taken as usize);
                    return true;
                }
                Err(now) => open = now,
            }
        }
    }

    fn run(&self, index: usize) {
        // SAFETY: a task that has been taken and has not ended keeps the region, and so the closure, alive, and nobody writes there.
        let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { self.task.with(|place| (*place).map(|task| (*task)(index))) }));
        if let Err(panic) = outcome {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
        self.left.fetch_sub(1, Ordering::Release);
    }
}
