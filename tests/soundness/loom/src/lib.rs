//! kernels/src/crew.rs under loom: a leader and one or two helpers in every order that the memory model allows.

#![cfg(all(test, loom))]

#[path = "../../../../kernels/src/crew.rs"]
mod crew;

use crew::Crew;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// Runs regions of so many tasks with helpers that look for a task so many times, and asks that each task ran once, and that what tasks wrote, without
/// any order of their own, is seen by the leader when the region ends.
fn regions(regions: &'static [usize], helpers: usize, looks: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let crew = Arc::new(Crew::default());
        let helping: Vec<_> = (0..helpers)
            .map(|_| {
                let crew = Arc::clone(&crew);
                thread::spawn(move || {
                    for _ in 0..looks {
                        if crew.is_over() {
                            return;
                        }
                        crew.take(false);
                    }
                })
            })
            .collect();
        for tasks in regions {
            // On the leader's stack, as the kernels' buffers are: gone when the region is over.
            let counts: Vec<AtomicUsize> = (0..*tasks).map(|_| AtomicUsize::new(0)).collect();
            let written: Vec<loom::cell::UnsafeCell<usize>> = (0..*tasks).map(|_| loom::cell::UnsafeCell::new(0)).collect();
            let places = Places(&written);
            crew.share(*tasks, &|index| {
                counts[index].fetch_add(1, Ordering::Relaxed);
                places.write(index);
            });
            for index in 0..*tasks {
                assert_eq!(counts[index].load(Ordering::Relaxed), 1, "task {index}");
                written[index].with(|value| assert_eq!(unsafe { *value }, index + 1, "what task {index} wrote"));
            }
        }
        crew.end();
        helping.into_iter().for_each(|helper| helper.join().unwrap());
    });
}

/// Places of which each task writes its own.
struct Places<'a>(&'a [loom::cell::UnsafeCell<usize>]);

// Each place is one task's: that no two meet there is what loom checks.
unsafe impl Sync for Places<'_> {}

impl Places<'_> {
    fn write(&self, index: usize) {
        self.0[index].with_mut(|value| unsafe { *value = index + 1 });
    }
}

#[test]
fn one_helper_two_regions() {
    regions(&[2, 2], 1, 3);
}

#[test]
fn one_helper_a_region_without_tasks_between() {
    regions(&[1, 0, 2], 1, 3);
}

#[test]
fn two_helpers_one_region() {
    regions(&[3], 2, 2);
}

#[test]
fn two_helpers_two_regions() {
    regions(&[1, 2], 2, 2);
}
