#![cfg_attr(fuzzing, no_main)]
//! What lies in a plan's folder: the plan, a zero byte, the record of its first task, a zero byte, a claim on it.

use cardiograd::study::tasks::{Done, State, StudyPlan, states};
use cardiograd_fuzz::{file, one_line, parts, path, refused};

/// Tasks of a plan that are looked at: millions are allowed, and slow.
const MOST: usize = 10_000;

fn check(input: &[u8]) {
    let [plan, record, claim] = parts(input);
    for folder in ["done", "claims"] {
        std::fs::create_dir_all(path(folder)).expect("a temporary folder");
    }
    let (place, folder) = (file("plan.json", plan), path(""));
    let own = file("done/0.json", record);
    file("claims/0", claim);
    let done = refused(Done::load(&folder, 0), &own).flatten();
    assert!(done.as_ref().is_none_or(|done| done.task == 0));
    let Some(plan) = refused(StudyPlan::load(&folder), &place) else { return };
    let tasks = plan.tasks();
    assert!(tasks.iter().enumerate().all(|(at, task)| task.id == at && task.needs.end <= at && task.seconds >= 0.0));
    if tasks.len() > MOST {
        return;
    }
    match states(&folder, &plan) {
        Ok(states) => {
            assert_eq!(states.len(), tasks.len());
            assert_eq!(matches!(states.first(), Some(State::Done(_))), done.is_some());
        }
        Err(error) => drop(one_line(&error)),
    }
}

cardiograd_fuzz::target!(check);
