//! Heatmaps as they are made: an archive that grows in the work folder of its output, and a journal by which a killed run goes on where it was.
//!
//! The journal's first line names everything that the maps depend on, by digest; each further line tells how far the archive was when all of it was on
//! the disk, and what there is to tell of the ECGs since the line before. A line that a kill cut off is not one.

use crate::atomic::WorkFolder;
use crate::attribution::{Completeness, Method};
use crate::files::npy::Element;
use crate::files::npz_rows::{Mark, NpzRows, Planned};
use crate::intake::{self, Most};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The journal's name in the work folder.
const JOURNAL: &str = "journal";
const LONGEST: Most = Most { bytes: 1 << 34, of: "the journal of an unfinished run" };
/// A kill loses what was done since the last line of the journal: about so long, and at least one portion.
const EVERY: Duration = Duration::from_secs(1);

/// What there is to tell of explained ECGs besides their maps, for one output of the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    /// The explained output of each ECG.
    pub prediction: Vec<f64>,
    /// For the methods that promise it, one entry per ECG.
    pub completeness: Vec<(Method, Vec<Completeness>)>,
}

impl Told {
    fn extend(&mut self, more: Told) {
        self.prediction.extend(more.prediction);
        if self.completeness.is_empty() {
            self.completeness = more.completeness;
            return;
        }
        self.completeness.iter_mut().zip(more.completeness).for_each(|((_, all), (_, some))| all.extend(some));
    }
}

/// A line of the journal.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    mark: Mark,
    /// By output of the network.
    told: Vec<Told>,
}

/// The archive and its journal.
pub(super) struct Growing {
    work: WorkFolder,
    archive: NpzRows,
    journal: File,
    path: PathBuf,
    /// ECGs whose rows are all there.
    done: usize,
    told: Vec<Told>,
    /// What the journal does not hold yet.
    pending: Vec<Told>,
    saved: Option<Instant>,
}

impl Growing {
    /// Goes on with what an earlier run with the same `key` left of an output, or starts afresh. `outputs` of the network are told of.
    /// `text` stands beside the arrays: its name and what it says.
    ///
    /// # Errors
    /// As [`WorkFolder::resume`] and [`NpzRows::create`].
    pub fn open(output: &Path, key: &str, arrays: &[Planned], text: Option<(&str, &str)>, outputs: usize) -> Result<Self> {
        let work = WorkFolder::resume(output)?;
        let path = work.beside(JOURNAL);
        let head = format!("cardiograd explain 1 {key}\n");
        let nothing = || vec![Told::default(); outputs];
        if let Some((length, mark, told)) = read(&path, &head, outputs)
            && let Ok(archive) = NpzRows::resume_beside(work.place(), arrays, text, &mark)
        {
            let open = OpenOptions::new().append(true).open(&path).and_then(|file| file.set_len(length).map(|()| file));
            let journal = open.map_err(|source| Error::io(output, source))?;
            return Ok(Growing { work, archive, journal, path, done: mark.rows, told, pending: nothing(), saved: None });
        }
        let start = || -> std::io::Result<File> {
            let mut journal = File::create(&path)?;
            journal.write_all(head.as_bytes())?;
            Ok(journal)
        };
        // The old archive is no longer vouched for before the new one takes its place.
        let journal = start().map_err(|source| Error::io(output, source))?;
        match NpzRows::create_beside(work.place(), arrays, text) {
            Ok(archive) => Ok(Growing { work, archive, journal, path, done: 0, told: nothing(), pending: nothing(), saved: None }),
            Err(error) => {
                work.discard();
                Err(error)
            }
        }
    }

    /// ECGs whose rows are all there.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Appends rows to the array at a place in the list.
    ///
    /// # Errors
    /// As [`NpzRows::append`].
    pub fn append<T: Element>(&mut self, array: usize, values: &[T]) -> Result<()> {
        self.archive.append(array, values)
    }

    /// Takes what there is to tell of the ECGs whose rows were appended to every array.
    ///
    /// # Errors
    /// As [`NpzRows::checkpoint`].
    pub fn take(&mut self, told: Vec<Told>) -> Result<()> {
        self.done += told.first().map_or(0, |first| first.prediction.len());
        self.pending.iter_mut().zip(told).for_each(|(all, some)| all.extend(some));
        if self.saved.is_some_and(|saved| saved.elapsed() < EVERY) {
            return Ok(());
        }
        let pending = vec![Told::default(); self.pending.len()];
        let line = Line { mark: self.archive.checkpoint()?, told: std::mem::replace(&mut self.pending, pending) };
        let mut text = serde_json::to_vec(&line).map_err(|error| Error::Data(format!("writing the journal: {error}")))?;
        text.push(b'\n');
        self.journal.write_all(&text).and_then(|()| self.journal.sync_data()).map_err(|source| Error::io(&self.path, source))?;
        self.told.iter_mut().zip(line.told).for_each(|(all, some)| all.extend(some));
        self.saved = Some(Instant::now());
        Ok(())
    }

    /// Completes the archive: the work folder in which it waits for its name, and all that there is to tell.
    ///
    /// # Errors
    /// As [`NpzRows::finish`].
    pub fn finish(mut self) -> Result<(WorkFolder, Vec<Told>)> {
        self.archive.finish()?;
        self.told.iter_mut().zip(self.pending).for_each(|(all, some)| all.extend(some));
        Ok((self.work, self.told))
    }

    /// Leaves nothing, unless an earlier run left something.
    pub fn discard(self) {
        if !self.work.is_continued() {
            self.work.discard();
        }
    }
}

/// What the journal of a run with this head holds: its length up to the last whole line, how far that run was, and what it had to tell.
fn read(path: &Path, head: &str, outputs: usize) -> Option<(u64, Mark, Vec<Told>)> {
    let text = intake::text(path, LONGEST).ok()?;
    let mut length = head.len();
    let (mut mark, mut told) = (None, vec![Told::default(); outputs]);
    for line in text.strip_prefix(head)?.split_inclusive('\n').take_while(|line| line.ends_with('\n')) {
        let Ok(found) = serde_json::from_str::<Line>(line) else { break };
        if found.told.len() != outputs {
            return None;
        }
        told.iter_mut().zip(found.told).for_each(|(all, some)| all.extend(some));
        mark = Some(found.mark);
        length += line.len();
    }
    let mark = mark?;
    told.iter().all(|told| told.prediction.len() == mark.rows).then_some((length as u64, mark, told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::npy::Dtype;
    use crate::files::npz;

    fn one(at: usize) -> Vec<Told> {
        let complete = Completeness { sum: at as f64 / 3.0, difference: 1.0 };
        vec![Told { prediction: vec![at as f64], completeness: vec![(Method::DeepLift, vec![complete])] }]
    }

    fn put(growing: &mut Growing, at: usize) {
        growing.append(0, &[at as f32, 0.5]).unwrap();
        growing.append(1, &[at as f32]).unwrap();
        growing.take(one(at)).unwrap();
    }

    /// The rows of a run that goes on at `expected`, and of one that starts, are never mixed.
    #[test]
    fn a_run_goes_on_where_the_journal_says_and_only_with_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.npz");
        let planned = |name: &str, shape: &[usize]| Planned { name: name.into(), dtype: Dtype::F32, shape: shape.into() };
        let arrays = [planned("a", &[3, 2]), planned("prediction", &[3])];
        let open = |key: &str| Growing::open(&output, key, &arrays, None, 1).unwrap();
        let mut growing = open("k");
        put(&mut growing, 0);
        // A second is not over: the next two rows are on the way only.
        put(&mut growing, 1);
        growing.append(0, &[9.0f32, 9.0]).unwrap();
        drop(growing);
        let work = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let mut journal = OpenOptions::new().append(true).open(work.join(JOURNAL)).unwrap();
        journal.write_all(b"{\"mark\":{\"rows\":2,\"crcs\":[1,").unwrap();
        let mut growing = open("k");
        assert_eq!(growing.done(), 1);
        put(&mut growing, 1);
        put(&mut growing, 2);
        let (work, told) = growing.finish().unwrap();
        assert_eq!(told[0].prediction, [0.0, 1.0, 2.0]);
        assert_eq!(told[0].completeness[0].1.len(), 3);
        work.commit().unwrap();
        assert_eq!(npz::read_one(&output, "a").unwrap().into_f32().into_raw_vec_and_offset().0, [0.0, 0.5, 1.0, 0.5, 2.0, 0.5]);
        let mut growing = open("k");
        assert_eq!(growing.done(), 0);
        put(&mut growing, 0);
        drop(growing);
        assert_eq!(open("another").done(), 0);
        assert_eq!(open("k").done(), 0);
    }
}
