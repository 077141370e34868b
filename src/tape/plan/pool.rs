//! Working memory of a plan between runs. What one thread works with stays together, so that it finds it in its own cache; what a run keeps for the
//! way back is common to all, since the thread that lets it go is seldom the one that takes it next. There are at most as many buffers as the busiest run of each thread needed.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use cardiograd_kernels::Buffer;
use cardiograd_kernels::sync::{Mutex, MutexGuard, PoisonError};

/// The buffers that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Pools {
    idle: Mutex<Vec<Vec<Buffer>>>,
    common: Mutex<Vec<Buffer>>,
}

/// One thread's buffers on loan; they go back when it is dropped.
pub(super) struct Pool<'a> {
    own: Vec<Buffer>,
    of: &'a Pools,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pools {
    /// The buffers that were given back last.
    pub(super) fn pool(&self) -> Pool<'_> {
        Pool { own: lock(&self.idle).pop().unwrap_or_default(), of: self }
    }

    /// Buffers that nobody uses.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.common).len() + lock(&self.idle).iter().map(Vec::len).sum::<usize>()
    }

    /// Buffers for whoever needs them next.
    pub(super) fn recycle(&self, buffers: impl IntoIterator<Item = Buffer>) {
        lock(&self.common).extend(buffers);
    }
}

impl Pool<'_> {
    /// A buffer of at least `len` elements, contents unspecified.
    pub(super) fn take(&mut self, len: usize) -> Buffer {
        let found = fitting(&mut self.own, len).or_else(|| fitting(&mut lock(&self.of.common), len));
        // One that is too short grows: rather that than one more.
        let mut buffer = found.or_else(|| self.own.pop()).or_else(|| lock(&self.of.common).pop()).unwrap_or_default();
        buffer.reserve(len);
        buffer
    }

    /// Buffers that are done with.
    pub(super) fn extend(&mut self, buffers: impl IntoIterator<Item = Buffer>) {
        self.own.extend(buffers);
    }
}

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        lock(&self.of.idle).push(core::mem::take(&mut self.own));
    }
}

/// The shortest of some buffers that has at least `len` elements.
fn fitting(buffers: &mut Vec<Buffer>, len: usize) -> Option<Buffer> {
    let fit = (0..buffers.len()).filter(|i| buffers[*i].len() >= len).min_by_key(|i| buffers[*i].len());
    fit.map(|at| buffers.swap_remove(at))
}

/// A buffer of at least `len` elements from `spare`, contents unspecified.
pub(super) fn take(spare: &mut Vec<Buffer>, len: usize) -> Buffer {
    let mut buffer = fitting(spare, len).or_else(|| spare.pop()).unwrap_or_default();
    buffer.reserve(len);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_do_not_pile_up() {
        let pools = Pools::default();
        let run = |len: usize| {
            let mut pool = pools.pool();
            let kept: Vec<Buffer> = (0..5).map(|_| pool.take(len)).collect();
            let work = [pool.take(len), pool.take(len)];
            pool.extend(work);
            kept
        };
        // Two threads at once; then one after another, of all sizes.
        let other = pools.pool();
        pools.recycle(run(100));
        drop(other);
        for len in [100, 1000, 100, 10, 1000] {
            (0..20).for_each(|_| pools.recycle(run(len)));
            assert!(pools.count() <= 2 * 2 + 5, "{} after runs of {len}", pools.count());
        }
    }
}
