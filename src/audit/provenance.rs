//! Provenance of results: beside a result lies a record of the digests (SHA-256) of everything it came from and of the result itself, and of
//! the command, options, seed, program version and kernel that made it: enough to make it again and compare.

use super::digest;
use crate::dataset::Manifest;
use crate::dataset::folder::MANIFEST;
use crate::ecg::read::wfdb;
use crate::files::digest::{sha256, sha256_file};
use crate::intake::{self, Most};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The record of a folder of results, in it.
const IN_FOLDER: &str = "provenance.json";
/// The record of a file lies beside it, under the file's name with this behind.
const BESIDE: &str = ".provenance.json";
/// Records longer than this are not read; that of a study takes some 50 kB.
const LONGEST: Most = Most { bytes: 1 << 26, of: "a provenance record" };

/// A file or dataset and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digested {
    /// What it was used as: `model`, `input`, `data`, `baseline`, `draws`, `coefficients`, `arch`, `generator`; or `result`.
    pub role: String,
    /// An input's path as it was given; a result's file below its folder, empty for a result that is one file.
    pub path: PathBuf,
    /// The digest of its bytes; of a dataset, that of its manifest, which holds the digests of its files; of a recording of several files, or a folder
    /// of recordings, that of the list of its files and their digests.
    pub sha256: String,
}

impl Digested {
    /// The digest of an input as it is now.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn of(role: &str, path: &Path) -> Result<Self> {
        let (manifest, signals) = (path.join(MANIFEST), signals_of(path));
        let sha256 = if path.is_dir() && (!["input", "data"].contains(&role) || manifest.exists()) {
            sha256_file(manifest)?
        } else if path.is_dir() || !signals.is_empty() {
            digest_of_list(path, signals)?
        } else {
            sha256_file(path)?
        };
        Ok(Digested { role: role.to_owned(), path: path.to_owned(), sha256 })
    }

    /// What is no longer as recorded of what now lies at `path`.
    fn changed(&self, path: &Path) -> Option<Finding> {
        let Digested { role, sha256, .. } = self;
        let found = |kind: Kind, what: &str| Some(Finding::new(kind, format!("{role} {}: {what}", path.display())));
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return found(Kind::Missing, "it is not there"),
            Err(error) => return found(Kind::Missing, &error.to_string()),
            // A pipe or a device is never done with being read.
            Ok(about) if !(about.is_file() || about.is_dir()) => return found(Kind::Changed, "it is no file"),
            Ok(_) => (),
        }
        match Digested::of(role, path) {
            Err(error) => Some(Finding::new(Kind::Missing, format!("{role} {error}"))),
            Ok(now) if now.sha256 != *sha256 => {
                let head = |digest: &str| digest.chars().take(12).collect::<String>().escape_debug().to_string();
                let what = if path.join(MANIFEST).exists() { "its manifest changed" } else { "its bytes changed" };
                found(Kind::Changed, &format!("{what} (SHA-256 {}…, recorded {}…)", head(&now.sha256), head(sha256)))
            }
            Ok(_) if path.join(MANIFEST).exists() => match Manifest::read(path).and_then(|manifest| manifest.differing(path)) {
                Err(error) => Some(Finding::new(Kind::Changed, format!("{role} {error}"))),
                Ok(files) if !files.is_empty() => found(Kind::Changed, &format!("its bytes changed in {}", files.join(", "))),
                Ok(_) => None,
            },
            Ok(_) => None,
        }
    }
}

/// The files of signals that a recording's header names beside it; of one file, none.
fn signals_of(path: &Path) -> Vec<PathBuf> {
    let is_header = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("hea")) && path.is_file();
    if is_header { wfdb::signal_files(path) } else { Vec::new() }
}

/// The digest of a list of files, by their names from the folder on: those beside a header, or all of a folder.
fn digest_of_list(path: &Path, signals: Vec<PathBuf>) -> Result<String> {
    let (base, mut files) = match path.is_dir() {
        true => (path, files_of(path)?.into_iter().map(|file| path.join(file)).collect()),
        false => (path.parent().unwrap_or(Path::new("")), signals),
    };
    files.extend((!path.is_dir()).then(|| path.to_owned()));
    files.sort();
    files.dedup();
    let line = |file: &PathBuf| -> Result<String> {
        // A header may name a file that is not there.
        let digest = if file.is_file() { sha256_file(file)? } else { String::new() };
        Ok(format!("{digest} {}\n", file.strip_prefix(base).unwrap_or(file).display()))
    };
    let lines: String = files.iter().map(line).collect::<Result<_>>()?;
    Ok(sha256(lines.as_bytes()))
}

/// What is wrong with a result, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Bytes are not those that they should be.
    Changed,
    /// Something is not there.
    Missing,
    /// Something is there that should not be.
    Extra,
    /// The record does not say what a record of its command says.
    Record,
}

/// One thing that is wrong with a result, in one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Of which kind.
    pub kind: Kind,
    /// Where and what.
    pub text: String,
}

impl Finding {
    /// A finding.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Finding { kind, text: text.into() }
    }
}

/// Where a result came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The program, e.g. `cardiograd 0.1.0`.
    pub version: String,
    /// The command that made it.
    pub command: String,
    /// The options it was given.
    pub arguments: Vec<String>,
    /// The options it was not given, at this version's defaults.
    pub defaults: Vec<String>,
    /// The seed of all draws.
    pub seed: Option<u64>,
    /// The instruction set of the kernels.
    pub kernel: String,
    /// What it was made from, in the order of the command's arguments.
    pub inputs: Vec<Digested>,
    /// The files of the result.
    pub outputs: Vec<Digested>,
    /// The digest of this record with this field empty.
    pub record_sha256: String,
}

impl Record {
    /// The record, by this program and kernel, of the file or folder `result` that a command has just written.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read.
    pub fn new(command: &str, seed: Option<u64>, inputs: Vec<Digested>, result: &Path) -> Result<Self> {
        Ok(Record {
            version: concat!("cardiograd ", env!("CARGO_PKG_VERSION")).into(),
            command: command.to_owned(),
            arguments: Vec::new(),
            defaults: Vec::new(),
            seed,
            kernel: digest::kernel(),
            inputs,
            outputs: files_of(result)?
                .into_iter()
                .map(|file| Ok(Digested { path: file.clone(), ..Digested::of("result", &place(result, &file))? }))
                .collect::<Result<_>>()?,
            record_sha256: String::new(),
        })
    }

    /// The record with its own digest, so that a change of any part of it shows.
    ///
    /// # Errors
    /// None for a record of UTF-8 paths.
    pub fn sealed(mut self) -> Result<Self> {
        self.record_sha256 = self.own_digest()?;
        Ok(self)
    }

    fn own_digest(&self) -> Result<String> {
        let bare = Record { record_sha256: String::new(), ..self.clone() };
        Ok(sha256(&serde_json::to_vec(&bare).map_err(|error| Error::Data(format!("a provenance record: {error}")))?))
    }

    /// Writes the record to where that of `result` belongs.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, result: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::Data(format!("a provenance record: {error}")))?;
        crate::atomic::write(record_of(result), format!("{text}\n").as_bytes())
    }

    /// Reads the record of a result; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] if the file in its place is no record.
    pub fn find(result: &Path) -> Result<Option<Self>> {
        let path = record_of(result);
        if path.exists() { Record::read(&path).map(Some) } else { Ok(None) }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] if the file is no record.
    pub fn read(path: &Path) -> Result<Self> {
        intake::json(path, LONGEST)
    }

    /// Whether the record itself is as it was written.
    pub fn is_whole(&self) -> bool {
        self.own_digest().is_ok_and(|digest| digest == self.record_sha256)
    }

    /// What changed of the inputs, which lie at `paths` now, in the record's order.
    pub fn changed_inputs(&self, paths: &[PathBuf]) -> Vec<Finding> {
        self.inputs.iter().zip(paths).filter_map(|(input, path)| input.changed(path)).collect()
    }

    /// What changed of the result, which lies at `result` now: files changed, gone, or there and not in the record. What the record leaves out and
    /// is not there either only making the result again can tell.
    ///
    /// # Errors
    /// [`Error::Io`] if its folder cannot be read.
    pub fn changed_outputs(&self, result: &Path) -> Result<Vec<Finding>> {
        let outside = |output: &&Digested| !self.may_name(result, &output.path);
        let stray = |output: &Digested| {
            Finding::new(Kind::Record, format!("record: it names {:?}, which is no file of this result", output.path.display().to_string()))
        };
        let mut changed: Vec<Finding> = self.outputs.iter().filter(outside).map(stray).collect();
        let own = self.outputs.iter().filter(|output| self.may_name(result, &output.path));
        changed.extend(own.filter_map(|output| output.changed(&place(result, &output.path))));
        let known: BTreeSet<&PathBuf> = self.outputs.iter().map(|output| &output.path).collect();
        for file in files_of(result)? {
            let at = place(result, &file);
            if !known.contains(&file) {
                changed.push(Finding::new(Kind::Extra, format!("result {}: it is not in the record", at.display())));
            }
            // The result itself may be called by a link; what is in it may not lead elsewhere.
            if !file.as_os_str().is_empty() && at.is_symlink() {
                changed.push(Finding::new(Kind::Changed, format!("result {}: it is a link, not a file of the result", at.display())));
            }
        }
        Ok(changed)
    }

    /// Whether a file of a result can have that path: below its folder, and none for a result that is one file.
    fn may_name(&self, result: &Path, file: &Path) -> bool {
        let inside = file.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        inside && file.as_os_str().is_empty() != result.is_dir()
    }
}

/// A file of a result.
pub(crate) fn place(result: &Path, file: &Path) -> PathBuf {
    if file.as_os_str().is_empty() { result.to_owned() } else { result.join(file) }
}

/// Where the record of a result is: in a folder, or beside a file.
pub fn record_of(result: &Path) -> PathBuf {
    if result.is_dir() {
        return result.join(IN_FOLDER);
    }
    let mut name = result.as_os_str().to_owned();
    name.push(BESIDE);
    name.into()
}

/// The files of a result, sorted: an empty path for a file; for a folder everything below but records and what is hidden, a dataset as one. Links
/// are not followed.
pub(crate) fn files_of(result: &Path) -> Result<Vec<PathBuf>> {
    fn below(folder: &Path, at: &Path, all: &mut Vec<PathBuf>) -> Result<()> {
        let io = |source| Error::io(folder, source);
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let (name, path) = (entry.file_name(), entry.path());
            let (text, file) = (name.to_string_lossy(), at.join(&name));
            let record = text.strip_suffix(BESIDE).is_some_and(|of| folder.join(of).exists()) || text == IN_FOLDER;
            if text.starts_with('.') || record {
                continue;
            }
            if path.is_dir() && !path.is_symlink() && !path.join(MANIFEST).exists() {
                below(&path, &file, all)?;
            } else {
                all.push(file);
            }
        }
        Ok(())
    }
    if !result.is_dir() {
        return Ok(vec![PathBuf::new()]);
    }
    let mut all = Vec::new();
    below(result, Path::new(""), &mut all)?;
    all.sort();
    Ok(all)
}
