//! Threads that stay awake for one piece of work made of many short parallel regions, as the layers of a network on a single ECG are.
//!
//! A worker without work goes to sleep after some tens of microseconds, and waking it costs as much; between two layers that is most of the time.
//! For as long as [`team`] runs, the other workers of the pool look for its tasks instead ([`share`]), which one atomic number hands out. A region waits
//! for nobody who has not begun: what the others do not come for, the leader does. The leader takes tasks from the front, the others from the back, so
//! that the same thread tends to meet the same task from layer to layer, whose data lie in its cache. What is computed does not depend on any of it.
//! They take up no other work meanwhile ([`crate::awake`] does): a lone example's layers may be a task of something larger, whose other tasks would
//! then begin within this one.

use crate::crew::Crew;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A worker that has found nothing for so long leaves the team: whoever has so little work for it does not need it.
const PATIENCE: Duration = Duration::from_millis(2);
/// Looks for a task between two looks at the clock.
const LOOKS: usize = 32;

/// Runs `work` inside the pool, where the other workers wait for the tasks that it shares.
pub fn team<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if crate::parallel::current_num_threads() < 2 {
        return work();
    }
    rayon::scope(|scope| {
        let crew = Arc::new(Crew::default());
        let _lead = Lead::take(Arc::clone(&crew));
        let leader = rayon::current_thread_index();
        for _ in 1..rayon::current_num_threads() {
            let crew = Arc::clone(&crew);
            scope.spawn(move |_| attend(&crew, leader));
        }
        work()
    })
}

/// Runs `task(0..tasks)` with the team that this thread leads; false, and nothing is run, if it leads none.
pub(crate) fn share(tasks: usize, task: &(dyn Fn(usize) + Sync)) -> bool {
    // Taken away meanwhile: what a task does in its turn is not for this team.
    let Some(crew) = LED.take() else { return false };
    let outcome = catch_unwind(AssertUnwindSafe(|| crew.share(tasks, task)));
    LED.set(Some(crew));
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
    true
}

thread_local! {
    static LED: RefCell<Option<Arc<Crew>>> = const { RefCell::new(None) };
}

/// Makes this thread the leader of a crew until it is dropped; then the crew's work is over, also if that is because it panicked.
struct Lead {
    crew: Arc<Crew>,
    before: Option<Arc<Crew>>,
}

impl Lead {
    fn take(crew: Arc<Crew>) -> Lead {
        Lead { before: LED.replace(Some(Arc::clone(&crew))), crew }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.crew.end();
        LED.set(self.before.take());
    }
}

/// Takes up work until there is no more to come. The leader itself, should it come by while it waits for others, goes on at once.
fn attend(crew: &Crew, leader: Option<usize>) {
    if rayon::current_thread_index() == leader {
        return;
    }
    let mut idle = Instant::now();
    while !crew.is_over() {
        let helped = (0..LOOKS).any(|_| {
            std::hint::spin_loop();
            crew.take(false)
        });
        match helped {
            true => idle = Instant::now(),
            false if idle.elapsed() > PATIENCE => return,
            false => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn nested_teams_and_regions_end() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let sum = |n: usize| team(|| (0..n).into_par_iter().map(|i| team(|| (0..i).into_par_iter().sum::<usize>())).sum::<usize>());
            let wanted: usize = (0..40).map(|i: usize| i * i.saturating_sub(1) / 2).sum();
            assert_eq!(pool.install(|| sum(40)), wanted);
        }
    }

    #[test]
    fn a_panic_ends_the_team() {
        let outcome = std::panic::catch_unwind(|| {
            team(|| {
                if rayon::current_num_threads() > 0 {
                    panic!("of the work")
                }
            })
        });
        assert!(outcome.is_err());
    }

    #[test]
    fn every_task_of_every_region_runs_once() {
        let crew = Crew::default();
        let regions = if cfg!(miri) { 20 } else { 2000 };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !crew.is_over() {
                        crew.take(false);
                    }
                });
            }
            for region in 0..regions {
                let tasks = region % 7;
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                crew.share(tasks, &|index| {
                    counts[index].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "region {region}");
            }
            crew.end();
        });
    }

    #[test]
    #[cfg_attr(miri, ignore = "under Miri nobody helps, and there is no team to share with")]
    fn a_panic_of_a_task_reaches_the_leader_and_leaves_the_team_whole() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| {
            team(|| {
                let outcome = catch_unwind(|| share(8, &|index| assert!(index != 5, "task 5")));
                assert!(outcome.is_err());
                let sum = AtomicUsize::new(0);
                assert!(share(70_000, &|index| {
                    sum.fetch_add(index, Ordering::Relaxed);
                }));
                assert_eq!(sum.into_inner(), 70_000 * 69_999 / 2);
            });
        });
    }
}
