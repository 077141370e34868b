//! What has become of tasks: a record of each that is done, with the digests of what it left, and the reason of each that failed.

use super::claim::{CLAIMS, is_claimed};
use super::list::{StudyPlan, Task, program};
use super::work;
use crate::atomic;
use crate::audit::digest::{is_kernel, kernel};
use crate::files::digest::sha256_file;
use crate::intake::{self, Most};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const DONE: &str = "done";
const FAILED: &str = "failed";
const RECORD: Most = Most { bytes: 1 << 24, of: "the record of a task" };

/// The record of a task that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// Its number.
    pub task: usize,
    /// Its name.
    pub name: String,
    /// The digest of the plan.
    pub plan: String,
    /// The program that did it.
    pub program: String,
    /// The kernel that it was done with; all give the same bytes.
    pub kernel: String,
    /// Digests of the data and the network that it went out from.
    pub inputs: BTreeMap<String, String>,
    /// Digests of the files that it left, below the plan's folder.
    pub outputs: BTreeMap<String, String>,
    /// How long it took, seconds.
    pub seconds: f64,
}

impl Done {
    /// The record of what a task has just left.
    pub(super) fn new(
        folder: &Path,
        plan: &str,
        task: &Task,
        inputs: BTreeMap<String, String>,
        outputs: &[PathBuf],
        seconds: f64,
    ) -> Result<Self> {
        let digest = |path: &PathBuf| Ok((path.display().to_string(), sha256_file(folder.join(path))?));
        Ok(Done {
            task: task.id,
            name: task.name(),
            plan: plan.into(),
            program: program(),
            kernel: kernel(),
            inputs,
            outputs: outputs.iter().map(digest).collect::<Result<_>>()?,
            seconds,
        })
    }

    /// Writes the record; what an earlier attempt failed with is forgotten.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::Data(format!("the record of a task: {error}")))?;
        made(folder, DONE)?;
        atomic::write(record(folder, self.task), text.as_bytes())?;
        atomic::remove_if_there(&folder.join(FAILED).join(self.task.to_string()))
    }

    /// The record of a task, if it is done.
    ///
    /// # Errors
    /// [`Error::Format`] for a record that is no record; [`Error::Io`].
    pub fn load(folder: &Path, task: usize) -> Result<Option<Self>> {
        let path = record(folder, task);
        match intake::json::<Done>(&path, RECORD) {
            Ok(done) if done.task != task => {
                Err(Error::format(&path, format!("is the record of task {} ({}), which is there twice", done.task, done.name)))
            }
            Ok(done) => Ok(Some(done)),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is wrong with the record and what it tells of, in words; nothing if all is as it was left.
    pub(super) fn faults(&self, folder: &Path, plan: &str, task: &Task) -> Vec<String> {
        let mut faults = Vec::new();
        let name = task.name();
        if self.name != name || self.plan != plan {
            faults.push(format!("task {} ({name}): its record is of another plan", task.id));
        }
        if self.program != program() {
            faults.push(format!("task {} ({name}): done by {}, this is {}", task.id, self.program, program()));
        }
        if !is_kernel(&self.kernel) {
            faults.push(format!("task {} ({name}): done with the kernel {}, which is none", task.id, self.kernel));
        }
        // What it left is known from the task, not from the record, in which a file could be left out.
        match work::left(folder, task) {
            Ok(files) => {
                let unlisted = files.iter().filter(|file| !self.outputs.contains_key(&file.display().to_string()));
                faults.extend(unlisted.map(|file| format!("task {} ({name}): its record does not list {}", task.id, file.display())));
            }
            Err(error) => faults.push(format!("task {} ({name}): {error}", task.id)),
        }
        for (file, digest) in &self.outputs {
            if !Path::new(file).components().all(|part| matches!(part, std::path::Component::Normal(_))) {
                faults.push(format!("task {} ({name}): its record names a file outside of the plan's folder", task.id));
                continue;
            }
            match sha256_file(folder.join(file)) {
                Ok(found) if found == *digest => {}
                Ok(_) => faults.push(format!("task {} ({name}): the bytes of {file} have changed", task.id)),
                Err(error) => faults.push(format!("task {} ({name}): {error}", task.id)),
            }
        }
        faults
    }
}

fn record(folder: &Path, task: usize) -> PathBuf {
    folder.join(DONE).join(format!("{task}.json"))
}

fn made(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::create_dir_all(&path).map_err(|source| Error::io(&path, source))?;
    Ok(path)
}

/// Notes why an attempt failed.
pub(super) fn note_failure(folder: &Path, task: usize, error: &Error) -> Result<()> {
    atomic::write(made(folder, FAILED)?.join(task.to_string()), error.to_string().as_bytes())
}

/// What has become of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It is done, in so many seconds.
    Done(f64),
    /// Somebody is at it.
    Running,
    /// The last attempt failed, with this reason; another may be made.
    Failed(String),
    /// It can begin.
    Ready,
    /// It waits for others.
    Waiting,
}

/// What has become of each task of a plan.
///
/// # Errors
/// [`Error::Format`] for a record that is no record; [`Error::Io`].
pub fn states(folder: &Path, plan: &StudyPlan) -> Result<Vec<State>> {
    let names = |name: &str| -> BTreeSet<String> {
        std::fs::read_dir(folder.join(name))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    };
    let (done, failed, claims) = (names(DONE), names(FAILED), names(CLAIMS));
    let tasks = plan.tasks();
    let mut all = Vec::with_capacity(tasks.len());
    // Needs lie before, and in one row: how many of the tasks before each are not done.
    let mut open = vec![0usize];
    for task in &tasks {
        let id = task.id.to_string();
        let record = if done.contains(&format!("{id}.json")) { Done::load(folder, task.id)? } else { None };
        open.push(open[task.id] + usize::from(record.is_none()));
        all.push(match record {
            Some(record) => State::Done(record.seconds),
            None if claims.contains(&id) && is_claimed(folder, task.id)? => State::Running,
            None if failed.contains(&id) => State::Failed(intake::text(&folder.join(FAILED).join(&id), RECORD)?),
            None if open[task.needs.end] > open[task.needs.start] => State::Waiting,
            None => State::Ready,
        });
    }
    Ok(all)
}
