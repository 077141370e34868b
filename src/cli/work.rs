//! `cardiograd run`, `status` and `merge`: the tasks of a plan are done, looked at, and made into the study.

use super::places::{Output, Places};
use super::plan::clock;
use super::provenance::record_words;
use super::{Arguments, Command, Globals, Progress, print, study};
use crate::atomic::OutputLock;
use crate::study::tasks::{Outcome, PLAN, State, StudyPlan, Task, attempt, merge, states};
use crate::{Error, Result};
use clap::Parser;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `cardiograd run`.
#[derive(clap::Args, Clone, Debug)]
pub struct RunArgs {
    /// The folder of the plan.
    dir: PathBuf,
    /// Do these tasks, as in 4,17-19 [default: all that nobody else does].
    #[arg(long, value_name = "IDS", conflicts_with = "shard")]
    task: Option<String>,
    /// Do the I-th of N shares, from 0. Without I, as in /N, or without the option, an array job's place in its array:
    /// SLURM_ARRAY_TASK_ID and _COUNT, PBS_ARRAY_INDEX, SGE_TASK_ID and _LAST.
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
}

/// Arguments of `cardiograd status`.
#[derive(clap::Args, Clone, Debug)]
pub struct StatusArgs {
    /// The folder of the plan.
    dir: PathBuf,
    /// Print the tasks that are not done, as --array= and --task take them, and nothing else.
    #[arg(long)]
    missing: bool,
}

/// Arguments of `cardiograd merge`.
#[derive(clap::Args, Clone, Debug)]
pub struct MergeArgs {
    /// The folder of the plan.
    dir: PathBuf,
    /// The study's folder.
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
}

impl MergeArgs {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        Places { reads: vec![self.dir.join(PLAN)], writes: vec![Output::Folder(self.output.clone(), Vec::new())] }
    }
}

/// Time between looks at what others do.
const LOOK: Duration = Duration::from_millis(500);

/// Opens a plan, and goes to the folder from which its paths go out. The folder of the plan comes back as an absolute path.
fn enter(dir: &Path) -> Result<(PathBuf, StudyPlan)> {
    let dir = std::path::absolute(dir).map_err(|source| Error::io(dir, source))?;
    let plan = StudyPlan::load(&dir)?;
    std::env::set_current_dir(&plan.base).map_err(|source| Error::io(&plan.base, source))?;
    Ok((dir, plan))
}

/// Runs `run`.
pub fn run(args: &RunArgs, globals: &Globals) -> Result<()> {
    let (dir, plan) = enter(&args.dir)?;
    let tasks = plan.tasks();
    let wanted = wanted(args, tasks.len())?;
    let progress = Progress::new(globals.quiet);
    let mut worker = Worker { dir: &dir, plan: &plan, tasks: &tasks, progress: &progress, globals, log: Vec::new(), failed: Vec::new() };
    match &wanted {
        Some(ids) => ids.iter().try_for_each(|id| worker.complete(*id))?,
        None => worker.whatever_is_left()?,
    }
    progress.finish();
    let Worker { log, failed, .. } = worker;
    if globals.json {
        print(format!("{:#}", serde_json::Value::from(log)))?;
    }
    match failed.first() {
        Some((id, error)) => Err(Error::Data(format!("{} of the tasks failed; task {id} ({}): {error}", failed.len(), tasks[*id].name()))),
        None => Ok(()),
    }
}

struct Worker<'a> {
    dir: &'a Path,
    plan: &'a StudyPlan,
    tasks: &'a [Task],
    progress: &'a Progress,
    globals: &'a Globals,
    log: Vec<serde_json::Value>,
    failed: Vec<(usize, Error)>,
}

impl Worker<'_> {
    /// One attempt; what it comes to is told.
    fn attempt(&mut self, id: usize) -> Result<Option<Outcome>> {
        let begun = std::time::Instant::now();
        match attempt(self.dir, self.plan, self.tasks, id, &|step| self.progress.step(step)) {
            Ok(outcome) => {
                if outcome == Outcome::Done {
                    let (name, seconds) = (self.tasks[id].name(), begun.elapsed().as_secs_f64());
                    self.log.push(json!({ "task": id, "name": name, "seconds": seconds }));
                    if !self.globals.quiet && !self.globals.json {
                        self.progress.finish();
                        print(format!("task {id} ({name}): done in {}", clock(seconds)))?;
                    }
                }
                Ok(Some(outcome))
            }
            Err(error @ Error::Usage(_)) => Err(error),
            Err(error) => {
                self.failed.push((id, error));
                Ok(None)
            }
        }
    }

    /// Sees to it that a task is done: does it and what it needs, or waits where others are at it. One that fails is left, and so is what needs it.
    fn complete(&mut self, id: usize) -> Result<()> {
        loop {
            match self.attempt(id)? {
                None | Some(Outcome::Done | Outcome::Before) => return Ok(()),
                Some(Outcome::Claimed) => std::thread::sleep(LOOK),
                Some(Outcome::Needs(missing)) => {
                    for need in missing {
                        self.complete(need)?;
                        if self.failed.iter().any(|(failed, _)| *failed == need) {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Does every task that nobody else does, and waits for others only where nothing else is left to do.
    fn whatever_is_left(&mut self) -> Result<()> {
        loop {
            let (mut did, mut waits) = (false, false);
            for id in 0..self.tasks.len() {
                if self.failed.iter().any(|(failed, _)| *failed == id) {
                    continue;
                }
                match self.attempt(id)? {
                    Some(Outcome::Done) => did = true,
                    Some(Outcome::Claimed) => waits = true,
                    Some(Outcome::Needs(missing)) => {
                        waits |= !missing.iter().any(|need| self.failed.iter().any(|(failed, _)| failed == need));
                        // Tasks are in the order of their stages: what comes later needs as much.
                        if waits {
                            break;
                        }
                    }
                    Some(Outcome::Before) | None => {}
                }
            }
            if !did && !waits {
                return Ok(());
            }
            if !did {
                std::thread::sleep(LOOK);
            }
        }
    }
}

/// The tasks that are asked for; `None` for all that nobody else does.
fn wanted(args: &RunArgs, count: usize) -> Result<Option<Vec<usize>>> {
    if let Some(text) = &args.task {
        return ids(text, count).map(Some);
    }
    let named = |name: &str| std::env::var(name).ok().and_then(|text| text.trim().parse::<usize>().ok());
    let place = match named("SLURM_ARRAY_TASK_ID") {
        Some(id) => Some((id.saturating_sub(named("SLURM_ARRAY_TASK_MIN").unwrap_or(0)), named("SLURM_ARRAY_TASK_COUNT"))),
        None => match named("PBS_ARRAY_INDEX") {
            Some(id) => Some((id, None)),
            None => named("SGE_TASK_ID").filter(|id| *id > 0).map(|id| (id - 1, named("SGE_TASK_LAST"))),
        },
    };
    let wrong = |text: &str| Error::Usage(format!("--shard {text}: I/N, the I-th of N shares, from 0"));
    let (at, of) = match (&args.shard, place) {
        (None, None | Some((_, None))) => return Ok(None),
        (None, Some((at, Some(of)))) => (at, of),
        (Some(text), place) => {
            let (at, of) = text.split_once('/').ok_or_else(|| wrong(text))?;
            let of = of.trim().parse().map_err(|_| wrong(text))?;
            let at = if at.trim().is_empty() { place.map(|(at, _)| at) } else { at.trim().parse().ok() };
            (at.ok_or_else(|| wrong(text))?, of)
        }
    };
    if of == 0 || at >= of {
        return Err(wrong(&format!("{at}/{of}")));
    }
    Ok(Some((at..count).step_by(of).collect()))
}

/// Tasks as in 4,17-19.
fn ids(text: &str, count: usize) -> Result<Vec<usize>> {
    let wrong =
        |part: &str| Error::Usage(format!("--task {part}: numbers of tasks, as in 4,17-19; the plan has 0 to {}", count.saturating_sub(1)));
    let mut all = Vec::new();
    for part in text.split(',') {
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|id| *id < count).ok_or_else(|| wrong(part));
        match part.split_once('-') {
            Some((from, to)) => all.extend(number(from)?..=number(to)?),
            None => all.push(number(part)?),
        }
    }
    Ok(all)
}

/// Numbers as `4,17-19`.
fn ranges(ids: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for id in ids {
        match parts.last_mut() {
            Some((_, to)) if *to + 1 == *id => *to = *id,
            _ => parts.push((*id, *id)),
        }
    }
    let one = |(from, to): &(usize, usize)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    parts.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Runs `status`.
pub fn status(args: &StatusArgs, globals: &Globals) -> Result<()> {
    let plan = StudyPlan::load(&args.dir)?;
    let (tasks, states) = (plan.tasks(), states(&args.dir, &plan)?);
    let is_done = |state: &State| matches!(state, State::Done(_));
    let missing: Vec<usize> = (0..states.len()).filter(|id| !is_done(&states[*id])).collect();
    if args.missing {
        return if globals.json { print(json!(missing)) } else { print(ranges(&missing)) };
    }
    let (mut taken, mut foreseen, mut left) = (0.0, 0.0, 0.0);
    for (task, state) in tasks.iter().zip(&states) {
        match state {
            State::Done(seconds) => (taken, foreseen) = (taken + seconds, foreseen + task.seconds),
            _ => left += task.seconds,
        }
    }
    // As much faster or slower than foreseen as so far, by as many workers as there are now.
    let running = states.iter().filter(|state| **state == State::Running).count();
    let pace = if foreseen > 0.0 { taken / foreseen } else { 1.0 };
    let left = left * pace / running.max(1) as f64;
    let failed: Vec<(usize, &String)> =
        states.iter().enumerate().filter_map(|(id, state)| if let State::Failed(why) = state { Some((id, why)) } else { None }).collect();
    let count = |stage: &str, which: &dyn Fn(&State) -> bool| {
        tasks.iter().zip(&states).filter(|(task, state)| task.stage() == stage && which(state)).count()
    };
    let stages = ["data", "dataset", "train", "judge"].map(|stage| {
        let counts = [
            count(stage, &|_| true),
            count(stage, &is_done),
            count(stage, &|state| *state == State::Running),
            count(stage, &|state| matches!(state, State::Failed(_))),
            count(stage, &|state| *state == State::Ready),
        ];
        (stage, counts)
    });
    if globals.json {
        let stages: Vec<_> = stages
            .iter()
            .map(|(name, [all, done, running, failed, ready])| json!({ "stage": name, "tasks": all, "done": done, "running": running, "failed": failed, "ready": ready }))
            .collect();
        let failed: Vec<_> = failed.iter().map(|(id, why)| json!({ "task": id, "name": tasks[*id].name(), "reason": why })).collect();
        return print(format!("{:#}", json!({ "stages": stages, "missing": ranges(&missing), "failed": failed, "seconds_left": left })));
    }
    if globals.quiet {
        return Ok(());
    }
    print(format!("{:<10} {:>7} {:>7} {:>8} {:>7} {:>7}", "stage", "tasks", "done", "running", "failed", "ready"))?;
    for (stage, [all, done, running, failed, ready]) in stages.iter().filter(|(_, counts)| counts[0] > 0) {
        print(format!("{stage:<10} {all:>7} {done:>7} {running:>8} {failed:>7} {ready:>7}"))?;
    }
    for (id, why) in failed {
        print(format!("task {id} ({}) failed: {why}", tasks[id].name()))?;
    }
    match missing.len() {
        0 => print(format!("all is done: cardiograd merge {} -o OUT", args.dir.display())),
        _ => print(format!("about {} left with {} at work", clock(left), running.max(1))),
    }
}

/// Runs `merge`: the study, and its record as if one machine had made it.
pub fn merged(args: &MergeArgs, globals: &Globals) -> Result<()> {
    let output = std::path::absolute(&args.output).map_err(|source| Error::io(&args.output, source))?;
    let (dir, plan) = enter(&args.dir)?;
    let _lock = OutputLock::inside(&output)?;
    let progress = Progress::new(globals.quiet);
    let notice = |line: &str| progress.notice(globals, line);
    let results = merge(&dir, &plan, &output, &|step| progress.step(step), &notice)?;
    progress.finish();
    let mut words: Vec<String> = ["cardiograd", "study"].map(str::to_owned).to_vec();
    words.extend(plan.arguments.iter().cloned());
    words.extend(["--output".to_owned(), output.display().to_string()]);
    let parsed = Arguments::try_parse_from(&words).map_err(|error| Error::Usage(format!("the plan's options: {error}")))?;
    if let Command::Study(study) = &parsed.command {
        record_words("study", study, &output, words)?;
    }
    study::finished(&output, &results, globals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_named_as_array_jobs_name_them() {
        assert_eq!(ranges(&[4, 17, 18, 19, 21]), "4,17-19,21");
        assert_eq!(ranges(&[]), "");
        assert_eq!(ids("4,17-19", 20).unwrap(), [4, 17, 18, 19]);
        for bad in ["20", "a", "3-", "-3", "1,,2"] {
            assert!(ids(bad, 20).is_err(), "{bad}");
        }
        let shard = |text: &str| wanted(&RunArgs { dir: PathBuf::new(), task: None, shard: Some(text.into()) }, 10);
        assert_eq!(shard("1/4").unwrap(), Some(vec![1, 5, 9]));
        assert!(shard("4/4").is_err() && shard("1").is_err() && shard("0/0").is_err());
    }
}
