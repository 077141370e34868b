//! Tasks become a study: what they left is checked, put where the study keeps what it has finished, and the study does the rest.

use super::done::Done;
use super::list::{StudyPlan, Task, Work};
use super::work::JUDGED;
use crate::dataset::folder::MANIFEST;
use crate::files::atomic;
use crate::progress::{Report, Step};
use crate::report::StudyResults;
use crate::study::data::DATASET;
use crate::study::pipeline;
use crate::{Error, Result};
use std::ffi::OsString;
use std::path::Path;

/// Faults that are told one by one.
const TOLD: usize = 5;

/// Makes the study of a plan, in `out`, of what its tasks left in `folder`: byte for byte what [`crate::study::run`] makes.
///
/// # Errors
/// [`Error::Data`] that names every task that is missing, of another plan or program, or whose files have changed: then nothing is written.
/// As [`crate::study::run`].
pub fn merge(folder: &Path, plan: &StudyPlan, out: &Path, report: Report<'_>, notice: &dyn Fn(&str)) -> Result<StudyResults> {
    let tasks = check(folder, plan, report)?;
    if out.exists()
        && std::fs::read_dir(out).map_err(|source| Error::io(out, source))?.flatten().any(|entry| !atomic::is_ours(&entry.file_name()))
    {
        let _lock = atomic::OutputLock::inside_unless_held(out)?;
        // A merge that was killed while it lent the dataset: the study would not know it for one.
        let dataset = out.join(DATASET);
        if pipeline::is_marked(out, &plan.settings) && dataset.is_dir() && !dataset.join(MANIFEST).exists() {
            lend(&folder.join(DATASET), &dataset)?;
        }
        return pipeline::run(out, &plan.settings, report, notice);
    }
    let _lock = atomic::OutputLock::inside_unless_held(out)?;
    pipeline::mark_new(out, &plan.settings)?;
    let generated = tasks.iter().any(|task| task.work == Work::Join);
    for part in [Some("models"), generated.then_some(DATASET)].into_iter().flatten() {
        lend(&folder.join(part), &out.join(part))?;
    }
    for output in plan.settings.outputs()? {
        lend(&folder.join(JUDGED).join(output.target.name()), &out.join("cache").join(output.target.name()))?;
    }
    pipeline::run(out, &plan.settings, report, notice)
}

/// The tasks of a plan, when every one is done once, of this plan, by one program, and its files are as it left them.
///
/// # Errors
/// [`Error::Data`] that names every task of which that is not so.
pub fn check(folder: &Path, plan: &StudyPlan, report: Report<'_>) -> Result<Vec<Task>> {
    let tasks = plan.tasks();
    let digest = plan.digest()?;
    let mut faults = Vec::new();
    for task in &tasks {
        match Done::load(folder, task.id) {
            Ok(Some(done)) => faults.extend(done.faults(folder, &digest, task)),
            Ok(None) => faults.push(format!("task {} ({}) is not done", task.id, task.name())),
            Err(error) => faults.push(error.to_string()),
        }
        report(Step { label: "checking what tasks left", done: task.id as u64 + 1, total: tasks.len() as u64, unit: "tasks", note: "" });
    }
    if faults.is_empty() {
        return Ok(tasks);
    }
    let more = if faults.len() > TOLD { format!("; and {} more", faults.len() - TOLD) } else { String::new() };
    faults.truncate(TOLD);
    Err(Error::Data(format!("{}: nothing is merged: {}{more}", folder.display(), faults.join("; "))))
}

/// Gives the files of one folder to another, by links where that can be: files are replaced, never written into. Whole ones alone get their names, from
/// the last name to the first: `dataset.json`, which makes a dataset of a folder, comes after its arrays, and the best weights after the last ones.
pub(crate) fn lend(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(to).map_err(|source| Error::io(to, source))?;
    let entries = std::fs::read_dir(from).map_err(|source| Error::io(from, source))?;
    let mut names: Vec<OsString> = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<std::io::Result<_>>()
        .map_err(|source| Error::io(from, source))?;
    names.sort();
    for name in names.into_iter().rev() {
        let (from, to, part) =
            (from.join(&name), to.join(&name), to.join(format!(".{}.cardiograd-tmp-{}-0", name.display(), std::process::id())));
        if atomic::is_ours(&name) || to.exists() {
            continue;
        }
        let copied = || std::fs::copy(&from, &part).and_then(|_| std::fs::rename(&part, &to));
        let linked = std::fs::hard_link(&from, &to).or_else(|_| copied());
        linked.map_err(|source| Error::io(&to, source))?;
    }
    Ok(())
}
