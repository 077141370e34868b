//! The files that an import has taken, with their digests, so that one that goes on after an interruption sees when one of them has changed.

use crate::ecg::read::wfdb;
use crate::files::digest::sha256_file;
use crate::intake::{self, Most};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A line of some 150 bytes a recording.
const TAKEN: Most = Most { bytes: 1 << 34, of: "the list of what an import took" };

/// A file of a recording: the recording's number, the digest (empty for a file that could not be read), and the path.
type Line = (usize, String, PathBuf);

/// A list of files that grows with an import: a JSON array for each file of each recording.
pub(super) struct Taken {
    path: PathBuf,
    out: File,
    /// Digests of files that hold many recordings, and need be read once.
    known: BTreeMap<PathBuf, String>,
}

impl Taken {
    /// Goes on with the list of an interrupted import that has dealt with `done` recordings; the files of those must be as they were.
    ///
    /// # Errors
    /// [`Error::Data`] naming a file that changed; [`Error::Io`]; [`Error::Format`] for a damaged list.
    pub fn open(path: PathBuf, done: usize) -> Result<Self> {
        let io = |source| Error::io(&path, source);
        let text = if done == 0 { String::new() } else { intake::text(&path, TAKEN)? };
        let (mut files, mut kept) = (BTreeMap::new(), String::new());
        // A kill may have cut the last line; what is behind the recordings dealt with was about to be taken.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let (number, digest, file): Line = serde_json::from_str(line).map_err(|error| {
                Error::format(&path, format!("a damaged list of what was taken ({error}): remove the folder it lies in, and import anew"))
            })?;
            if number < done {
                kept += line;
                files.insert(file, digest);
            }
        }
        files.par_iter().try_for_each(|(file, digest)| if digest_of(file) == *digest { Ok(()) } else { Err(changed(file, &path)) })?;
        crate::atomic::write(&path, kept.as_bytes())?;
        let out = OpenOptions::new().append(true).open(&path).map_err(io)?;
        Ok(Taken { out, known: files, path })
    }

    /// Adds the files of recordings that are about to be taken, by number.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, recordings: &[(usize, Vec<PathBuf>)]) -> Result<()> {
        let distinct: BTreeSet<&PathBuf> = recordings.iter().flat_map(|(_, files)| files).collect();
        let known = &self.known;
        let digest = |file: &PathBuf| known.get(file).cloned().unwrap_or_else(|| digest_of(file));
        let found: BTreeMap<PathBuf, String> = distinct.into_par_iter().map(|file| (file.clone(), digest(file))).collect();
        let mut text = String::new();
        for (number, files) in recordings {
            for file in files {
                let line = serde_json::to_string(&(number, &found[file], file)).map_err(|error| Error::format(file, error.to_string()))?;
                text += &(line + "\n");
            }
        }
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.sync_data()).map_err(|source| Error::io(&self.path, source))?;
        if found.len() < recordings.len() {
            self.known.extend(found);
        }
        Ok(())
    }
}

fn digest_of(file: &Path) -> String {
    sha256_file(file).unwrap_or_default()
}

/// The files that a recording is read from: of a WFDB record, the header and the signals that it names; of a dataset, its arrays and table.
pub(super) fn files_of(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        return ["rhythm.npy", "measurements.csv"].map(|name| path.join(name)).to_vec();
    }
    let signals = if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("hea")) { wfdb::signal_files(path) } else { Vec::new() };
    std::iter::once(path.to_owned()).chain(signals).collect()
}

fn changed(file: &Path, list: &Path) -> Error {
    let work = list.parent().unwrap_or(list).display();
    Error::Data(format!("{}: it changed since the unfinished import took it: put it back, or remove {work} to import anew", file.display()))
}
