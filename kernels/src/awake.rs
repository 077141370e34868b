//! Workers that stay awake for one piece of work made of many short parallel regions of rayon's, as the layers of a training step are.
//!
//! A worker without work goes to sleep after some tens of microseconds, and waking it costs as much. For as long as [`awake`] runs, the other workers
//! of the pool look for work instead, whatever it is: so this is for the outermost piece of work. What is computed does not depend on it.

use rayon::Yield;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A worker that has found nothing for so long goes to sleep: whoever has so little work for it does not need it.
const PATIENCE: Duration = Duration::from_millis(2);

/// Runs `work` inside the pool, where the other workers wait for its parallel regions awake.
pub fn awake<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if crate::parallel::current_num_threads() < 2 {
        return work();
    }
    rayon::scope(|scope| {
        let done = Done::default();
        let owner = rayon::current_thread_index();
        for _ in 1..rayon::current_num_threads() {
            let flag = Arc::clone(&done.0);
            scope.spawn(move |_| attend(&flag, owner));
        }
        work()
    })
}

/// Says that the work is over when it is dropped, so also when the work panics.
#[derive(Default)]
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Takes up work until there is no more to come. The owner itself, should it come by while it waits for others, goes on at once.
fn attend(done: &AtomicBool, owner: Option<usize>) {
    if rayon::current_thread_index() == owner {
        return;
    }
    let mut idle = Instant::now();
    while !done.load(Ordering::Acquire) {
        match rayon::yield_now() {
            Some(Yield::Executed) => idle = Instant::now(),
            _ if idle.elapsed() > PATIENCE => return,
            _ => std::hint::spin_loop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn nested_calls_and_regions_end() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let sum = |n: usize| awake(|| (0..n).into_par_iter().map(|i| awake(|| (0..i).into_par_iter().sum::<usize>())).sum::<usize>());
            let wanted: usize = (0..40).map(|i: usize| i * i.saturating_sub(1) / 2).sum();
            assert_eq!(pool.install(|| sum(40)), wanted);
        }
    }

    #[test]
    fn a_panic_ends_it() {
        let outcome = std::panic::catch_unwind(|| {
            awake(|| {
                if rayon::current_num_threads() > 0 {
                    panic!("of the work")
                }
            })
        });
        assert!(outcome.is_err());
    }
}
