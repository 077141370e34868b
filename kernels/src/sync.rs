//! Locks and cells that are filled once: the standard library's, and without the feature `std` ones that spin, which contention is rare for.

#[cfg(feature = "std")]
pub use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

#[cfg(not(feature = "std"))]
pub use spinning::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

#[cfg(not(feature = "std"))]
mod spinning {
    use core::cell::UnsafeCell;
    use core::fmt::{self, Debug, Formatter};
    use core::ops::{Deref, DerefMut};
    use core::sync::atomic::{AtomicBool, Ordering};

    /// As [`std::sync::Mutex`](https://doc.rust-lang.org/std/sync/struct.Mutex.html), but waiting is looking again; it is never poisoned.
    #[derive(Default)]
    pub struct Mutex<T> {
        taken: AtomicBool,
        value: UnsafeCell<T>,
    }

    // SAFETY: the value is reached by the one guard that has taken the lock.
    unsafe impl<T: Send> Sync for Mutex<T> {}

    impl<T> Mutex<T> {
        /// A lock of a value.
        pub const fn new(value: T) -> Self {
            Mutex { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
        }

        /// Waits for the lock.
        ///
        /// # Errors
        /// None: the type is the standard library's.
        pub fn lock(&self) -> Result<MutexGuard<'_, T>, PoisonError<MutexGuard<'_, T>>> {
            while self.taken.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
                core::hint::spin_loop();
            }
            Ok(MutexGuard { of: self })
        }
    }

    impl<T> Debug for Mutex<T> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.debug_struct("Mutex").finish_non_exhaustive()
        }
    }

    /// A lock that is held.
    pub struct MutexGuard<'a, T> {
        of: &'a Mutex<T>,
    }

    // SAFETY: a shared guard gives shared access to the value and no more.
    unsafe impl<T: Sync> Sync for MutexGuard<'_, T> {}

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            // SAFETY: this guard has the lock.
            unsafe { &*self.of.value.get() }
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: this guard has the lock, and is exclusively borrowed.
            unsafe { &mut *self.of.value.get() }
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            self.of.taken.store(false, Ordering::Release);
        }
    }

    /// A [`Mutex`] under the names of the standard library's lock of many readers.
    #[derive(Debug, Default)]
    pub struct RwLock<T>(Mutex<T>);

    impl<T> RwLock<T> {
        /// A lock of a value.
        pub const fn new(value: T) -> Self {
            RwLock(Mutex::new(value))
        }

        /// Waits for the lock.
        ///
        /// # Errors
        /// As [`Mutex::lock`].
        pub fn read(&self) -> Result<MutexGuard<'_, T>, PoisonError<MutexGuard<'_, T>>> {
            self.0.lock()
        }

        /// Waits for the lock.
        ///
        /// # Errors
        /// As [`Mutex::lock`].
        pub fn write(&self) -> Result<MutexGuard<'_, T>, PoisonError<MutexGuard<'_, T>>> {
            self.0.lock()
        }
    }

    /// What locks here never are.
    #[derive(Debug)]
    pub struct PoisonError<G>(G);

    impl<G> PoisonError<G> {
        /// The guard.
        pub fn into_inner(self) -> G {
            self.0
        }
    }

    /// A cell that is filled once. Of two that fill it at the same time one wins.
    pub struct OnceLock<T> {
        full: AtomicBool,
        filling: Mutex<()>,
        value: UnsafeCell<Option<T>>,
    }

    // SAFETY: the value is written under the lock, once, before `full`, and only read after it.
    unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

    impl<T> OnceLock<T> {
        /// An empty cell.
        pub const fn new() -> Self {
            OnceLock { full: AtomicBool::new(false), filling: Mutex::new(()), value: UnsafeCell::new(None) }
        }

        /// The value, if there is one.
        pub fn get(&self) -> Option<&T> {
            if !self.full.load(Ordering::Acquire) {
                return None;
            }
            // SAFETY: it is full, so nobody writes any more.
            unsafe { (*self.value.get()).as_ref() }
        }

        /// The value, made now if there is none; outside the lock, so that making it may ask for this cell.
        pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            if self.get().is_none() {
                let made = make();
                let _filling = self.filling.lock();
                if !self.full.load(Ordering::Acquire) {
                    // SAFETY: it is not full, so nobody reads, and the lock is held, so nobody else writes.
                    unsafe { *self.value.get() = Some(made) };
                    self.full.store(true, Ordering::Release);
                }
            }
            self.get().expect("it has just been filled")
        }
    }

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            OnceLock::new()
        }
    }

    impl<T> From<T> for OnceLock<T> {
        fn from(value: T) -> Self {
            OnceLock { full: AtomicBool::new(true), filling: Mutex::new(()), value: UnsafeCell::new(Some(value)) }
        }
    }

    impl<T: Clone> Clone for OnceLock<T> {
        fn clone(&self) -> Self {
            self.get().map_or_else(OnceLock::new, |value| OnceLock::from(value.clone()))
        }
    }

    impl<T: Debug> Debug for OnceLock<T> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.debug_tuple("OnceLock").field(&self.get()).finish()
        }
    }
}
