//! Writing a dataset folder ECG by ECG, in bounded memory, so that a killed job goes on where it was.
//!
//! Everything goes to a work folder beside `NAME`, and becomes `NAME` when it is whole. Every few seconds what was written is synced and
//! `progress.json` in the work folder says how much of each file may be trusted; a resumed writer cuts the files there.

use super::folder::{FORMAT, MANIFEST, MEASUREMENTS, MEDIAN, Manifest, Origin, RHYTHM, TRUTH, VERSION};
use super::samples::{MEDIAN_LEADS, RHYTHM_LEADS, check_finite};
use super::{Entry, InputKind, Source, table};
use crate::ecg::Measurements;
use crate::ecg::measure::Thresholds;
use crate::ecg::simulator::Kind;
use crate::files::atomic::{self, AtomicFolder};
use crate::files::digest::sha256_file;
use crate::files::npy::{NpyRows, NpyWriter};
use crate::intake::{self, Most};
use crate::progress::{Report, Step};
use crate::{Error, Result};
use ndarray::Ix2;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const VERSION_OF_PROGRAM: &str = env!("CARGO_PKG_VERSION");
const PROGRESS: &str = "progress.json";
/// Where an origin lists the kinds of its simulated ECGs.
const KINDS: &str = "kinds";
/// Where an origin says at which number the ECGs of a part begin.
const FIRST: &str = "first";
/// Where an origin lists the columns of what the files of recordings say themselves.
pub const FILE_COLUMNS: &str = "file_columns";
/// Time between checkpoints: little is lost to a kill, little is spent on syncing.
const EVERY: Duration = Duration::from_secs(5);

/// How much of an unfinished dataset may be trusted.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    /// Of this program: another version may draw or measure otherwise.
    version: String,
    origin: Origin,
    rows: usize,
    measurements: u64,
    truth: Option<u64>,
    #[serde(default)]
    taken: usize,
    #[serde(default)]
    notes: BTreeMap<String, usize>,
}

/// Appends ECGs to a dataset folder.
#[derive(Debug)]
pub struct DatasetWriter {
    folder: AtomicFolder,
    origin: Origin,
    rhythm: NpyWriter<i16, BufWriter<File>>,
    median: NpyWriter<f32, BufWriter<File>>,
    measurements: Table,
    truth: Option<Table>,
    taken: usize,
    notes: BTreeMap<String, usize>,
    last: Instant,
}

impl Progress {
    fn start(origin: Origin) -> Self {
        Progress { version: VERSION_OF_PROGRAM.into(), origin, rows: 0, measurements: 0, truth: None, taken: 0, notes: BTreeMap::new() }
    }
}

impl DatasetWriter {
    /// Starts a dataset; what an unfinished job left is removed.
    ///
    /// # Errors
    /// [`Error::Usage`] if `path` exists, [`Error::Io`].
    pub fn create(path: impl AsRef<Path>, origin: Origin) -> Result<Self> {
        let folder = AtomicFolder::create(path)?;
        Self::open(folder, Progress::start(origin))
    }

    /// Goes on with the unfinished dataset of the same origin ([`DatasetWriter::rows`] says from where), or starts it. What is written
    /// is kept when the writer is dropped unfinished.
    ///
    /// # Errors
    /// [`Error::Usage`] if `path` exists, another run writes it, or the unfinished one is of another origin; [`Error::Io`], [`Error::Format`].
    pub fn resume(path: impl AsRef<Path>, origin: Origin) -> Result<Self> {
        let folder = AtomicFolder::resume(path)?;
        let progress = match read_progress(&folder.beside(PROGRESS))? {
            Some(progress) if progress.origin == origin && progress.version == VERSION_OF_PROGRAM => progress,
            Some(_) => {
                let name = folder.work().display();
                let text = "holds an unfinished dataset of other settings or of another version: remove it or choose another name";
                return Err(Error::Usage(format!("{name} {text}")));
            }
            None => Progress::start(origin),
        };
        Self::open(folder, progress)
    }

    fn open(folder: AtomicFolder, progress: Progress) -> Result<Self> {
        let at = |name: &str| folder.partial().join(name);
        let rhythm = NpyWriter::resume(at(RHYTHM), &[RHYTHM_LEADS, InputKind::Rhythm.samples()], progress.rows)?;
        let median = NpyWriter::resume(at(MEDIAN), &[MEDIAN_LEADS, InputKind::Median.samples()], progress.rows)?;
        let file_columns =
            progress.origin.details.get(FILE_COLUMNS).map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default();
        let measurements = Table::resume(at(MEASUREMENTS), progress.measurements, file_columns)?;
        let kinds = progress.origin.details.contains_key(KINDS);
        let truth = progress.truth.map(|bytes| Table::of_truth(at(TRUTH), bytes, kinds)).transpose()?;
        let Progress { origin, taken, notes, .. } = progress;
        let mut writer = DatasetWriter { rhythm, median, measurements, truth, origin, folder, taken, notes, last: Instant::now() };
        writer.checkpoint()?;
        Ok(writer)
    }

    /// ECGs so far.
    pub fn rows(&self) -> usize {
        self.rhythm.rows()
    }

    /// How many items of a source are dealt with, whether they gave an ECG or not: where a resumed job goes on.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// One more item of a source is dealt with; `notes` say what was done to it, and are counted in the manifest.
    pub fn take(&mut self, notes: impl IntoIterator<Item = String>) {
        self.taken += 1;
        notes.into_iter().for_each(|note| *self.notes.entry(note).or_default() += 1);
    }

    /// Where to keep what else a resumed job must know; it goes when the dataset is finished.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.beside(name)
    }

    /// Removes the unfinished dataset.
    pub fn discard(self) {
        self.folder.discard();
    }

    /// Appends one ECG.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Value`] for a NaN or infinite sample, [`Error::Data`] if truth comes and goes, [`Error::Io`].
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        self.append_with(entry, &[])
    }

    /// Appends one ECG, and what its file says under the names that the origin lists as [`FILE_COLUMNS`].
    ///
    /// # Errors
    /// As [`DatasetWriter::append`]; [`Error::Data`] for another number of fields than the origin lists names.
    pub fn append_with(&mut self, entry: &Entry, file: &[String]) -> Result<()> {
        // Before the row, so that a checkpoint never falls between an item's ECG and the count of items.
        if self.last.elapsed() >= EVERY {
            self.checkpoint()?;
        }
        let row = self.rows();
        check_finite("median beat", row, entry.median.view())?;
        // Its own reader would refuse what no ECG has.
        let refuse = |problem: String| Error::Value { at: format!("ECG '{}'", entry.id), problem };
        entry.measurements.check().map_err(refuse)?;
        if row == 0 && entry.truth.is_some() && self.truth.is_none() {
            self.truth = Some(Table::of_truth(self.folder.partial().join(TRUTH), 0, self.origin.details.contains_key(KINDS))?);
        }
        self.rhythm.append(entry.rhythm.view())?;
        self.median.append(entry.median.view())?;
        self.measurements.append(&entry.id, &entry.measurements, file)?;
        match (&mut self.truth, &entry.truth) {
            (Some(table), Some(truth)) => table.append_truth(&entry.id, truth, entry.kind)?,
            (None, None) => {}
            _ => return Err(Error::Data(format!("ECG '{}': either all ECGs of a dataset have exact values or none", entry.id))),
        }
        Ok(())
    }

    /// Appends all rows of another dataset, its tables as they are, line by line.
    fn append_part(&mut self, part: &Path, total: usize, report: Report<'_>) -> Result<()> {
        let (rhythm, median) = (NpyRows::open(part.join(RHYTHM))?, NpyRows::open(part.join(MEDIAN))?);
        let two = |row: ndarray::ArrayD<i16>| row.into_dimensionality::<Ix2>();
        let shape = |path: &Path| Error::format(path, "its rows are not those of a dataset");
        for row in 0..rhythm.len() {
            self.rhythm.append(two(rhythm.row::<i16>(row)?).map_err(|_| shape(rhythm.path()))?.view())?;
            let beat = median.row::<f32>(row)?.into_dimensionality::<Ix2>().map_err(|_| shape(median.path()))?;
            self.median.append(beat.view())?;
            report(Step { label: "joining", done: self.rows() as u64, total: total as u64, unit: "ECGs", note: "" });
        }
        self.measurements.append_lines(&part.join(MEASUREMENTS))?;
        let truth = part.join(TRUTH);
        if truth.exists() {
            let kinds = self.origin.details.contains_key(KINDS);
            if self.truth.is_none() {
                self.truth = Some(Table::of_truth(self.folder.partial().join(TRUTH), 0, kinds)?);
            }
            self.truth.as_mut().map_or(Ok(()), |table| table.append_lines(&truth))?;
        }
        Ok(())
    }

    /// Makes what was written so far survive a kill. Done every few seconds by itself.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn checkpoint(&mut self) -> Result<()> {
        self.rhythm.checkpoint()?;
        self.median.checkpoint()?;
        let progress = Progress {
            version: VERSION_OF_PROGRAM.into(),
            origin: self.origin.clone(),
            rows: self.rows(),
            measurements: self.measurements.sync()?,
            truth: self.truth.as_mut().map(Table::sync).transpose()?,
            taken: self.taken,
            notes: self.notes.clone(),
        };
        write_json(&self.folder.beside(PROGRESS), &progress)?;
        self.last = Instant::now();
        Ok(())
    }

    /// Computes the digests, writes the manifest and gives the folder its name.
    ///
    /// # Errors
    /// [`Error::Data`] for no ECG, [`Error::Io`].
    pub fn finish(mut self) -> Result<Manifest> {
        if self.rows() == 0 {
            return Err(Error::Data(format!("{}: a dataset needs at least one ECG", self.folder.path().display())));
        }
        self.checkpoint()?;
        let mut files = vec![RHYTHM, MEDIAN, MEASUREMENTS];
        files.extend(self.truth.as_ref().map(|_| TRUTH));
        let mut digests = BTreeMap::new();
        for name in files {
            digests.insert(name.to_owned(), sha256_file(self.folder.partial().join(name))?);
        }
        let versions = BTreeMap::from([("cardiograd".to_owned(), VERSION_OF_PROGRAM.to_owned())]);
        let (format, version, ecgs) = (FORMAT.into(), VERSION, self.rows());
        let manifest = Manifest { format, version, ecgs, origin: self.origin, versions, digests, notes: self.notes };
        // A file of exact values that this dataset does not have, from a kill before its first checkpoint.
        if self.truth.is_none() {
            atomic::remove_if_there(&self.folder.partial().join(TRUTH))?;
        }
        write_json(&self.folder.partial().join(MANIFEST), &manifest)?;
        self.folder.commit()?;
        Ok(manifest)
    }
}

/// Generates `ecgs` ECGs into the dataset folder `path`; goes on with what a killed run of the same origin left.
///
/// `origin` gets the thresholds' name among its details; the rest is for the caller to say (seed, digests).
///
/// # Errors
/// As [`DatasetWriter`] and [`Source::generate`].
pub fn generate_folder(
    path: impl AsRef<Path>,
    source: &Source,
    origin: Origin,
    ecgs: usize,
    thresholds: &Thresholds,
    report: Report<'_>,
) -> Result<Manifest> {
    generate_range(path, source, origin, 0..ecgs, thresholds, report)
}

/// The same of the ECGs of these numbers: their rows are those of a dataset of all. One that does not begin at 0 says in its origin where it begins.
///
/// # Errors
/// As [`generate_folder`].
pub fn generate_range(
    path: impl AsRef<Path>,
    source: &Source,
    origin: Origin,
    numbers: Range<usize>,
    thresholds: &Thresholds,
    report: Report<'_>,
) -> Result<Manifest> {
    let mut origin = whole_origin(origin, source.name(), thresholds);
    if let Source::Simulator(simulator) = source
        && !simulator.kinds().is_empty()
    {
        origin.details.insert(KINDS.into(), simulator.kinds().iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","));
    }
    if numbers.start > 0 {
        origin.details.insert(FIRST.into(), numbers.start.to_string());
    }
    let mut writer = DatasetWriter::resume(&path, origin)?;
    let ecgs = numbers.len();
    if writer.rows() > ecgs {
        let text = format!("{ecgs} ECGs asked for, the unfinished dataset holds {} already: remove it or ask for more", writer.rows());
        return Err(Error::Usage(format!("{}: {text}", path.as_ref().display())));
    }
    let start = (numbers.start + writer.rows()) as u64;
    match source.generate(start..numbers.end as u64, thresholds, report, &mut |entry| writer.append(&entry)) {
        Ok(()) => writer.finish(),
        // A full disk may be emptied and the work continued; what is wrong with the request stays wrong.
        Err(error @ Error::Io { .. }) => Err(error),
        Err(error) => {
            writer.discard();
            Err(error)
        }
    }
}

/// What is added to an origin when a dataset is generated.
fn whole_origin(mut origin: Origin, source: &str, thresholds: &Thresholds) -> Origin {
    origin.source = source.into();
    origin.details.insert("thresholds".into(), thresholds.name.into());
    origin
}

/// Joins datasets that hold one after another the ECGs of one origin, each made by [`generate_range`], into the dataset of all: the bytes of
/// [`generate_folder`].
///
/// # Errors
/// [`Error::Data`] for parts that are not of one origin, or do not follow one another; as [`DatasetWriter`].
pub fn join_folders(path: impl AsRef<Path>, parts: &[PathBuf], origin: Origin, report: Report<'_>) -> Result<Manifest> {
    let manifests = parts.iter().map(Manifest::read).collect::<Result<Vec<_>>>()?;
    let Some(first) = manifests.first() else { return Err(Error::Data("no parts to join into a dataset".into())) };
    // What generating adds stands in the first part, which begins at 0.
    let origin = Origin { source: first.origin.source.clone(), details: first.origin.details.clone(), ..origin };
    let total: usize = manifests.iter().map(|manifest| manifest.ecgs).sum();
    let mut writer = DatasetWriter::create(&path, origin)?;
    for (part, manifest) in parts.iter().zip(&manifests) {
        let mut own = manifest.origin.clone();
        let begins = own.details.remove(FIRST).map_or(Some(0), |first| first.parse::<usize>().ok());
        if own != writer.origin || begins != Some(writer.rows()) {
            let text = format!("{}: not the part of this dataset that begins at ECG {}", part.display(), writer.rows());
            return Err(Error::Data(text));
        }
        let differing = manifest.differing(part)?;
        if !differing.is_empty() {
            return Err(Error::format(part, format!("changed since it was written: {}", differing.join(", "))));
        }
        writer.append_part(part, total, report)?;
    }
    writer.finish()
}

/// A line for every kind of note on an import, and little else.
const PROGRESS_FILE: Most = Most { bytes: 1 << 26, of: "the progress of an unfinished dataset" };

fn read_progress(path: &Path) -> Result<Option<Progress>> {
    match intake::json(path, PROGRESS_FILE) {
        Ok(progress) => Ok(Some(progress)),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| Error::format(path, error.to_string()))?;
    text.push(b'\n');
    atomic::write(path, &text)
}

/// A CSV table that grows.
#[derive(Debug)]
struct Table {
    path: PathBuf,
    out: BufWriter<File>,
    /// Whether rows end with a kind.
    kinds: bool,
    /// Columns behind those of measurements.
    further: usize,
}

impl Table {
    /// Keeps the first `keep` bytes of a table; 0 starts it.
    fn resume(path: PathBuf, keep: u64, further: Vec<String>) -> Result<Self> {
        Self::open(path, keep, false, &further)
    }

    /// The same for exact values, with or without kinds.
    fn of_truth(path: PathBuf, keep: u64, kinds: bool) -> Result<Self> {
        Self::open(path, keep, kinds, &[])
    }

    fn open(path: PathBuf, keep: u64, kinds: bool, further: &[String]) -> Result<Self> {
        let io = |source| Error::io(&path, source);
        let mut file = OpenOptions::new().write(true).create(true).truncate(keep == 0).open(&path).map_err(io)?;
        if file.metadata().map_err(io)?.len() < keep {
            return Err(Error::format(&path, "shorter than its last checkpoint: remove the work folder and start again"));
        }
        file.set_len(keep).and_then(|()| file.seek(SeekFrom::End(0))).map_err(io)?;
        let mut out = BufWriter::new(file);
        if keep == 0 {
            let mut line = Vec::new();
            let header = if kinds { table::write_kinds_header(&mut line) } else { table::write_header(&mut line) };
            header.and_then(|()| out.write_all(&table::with_fields(line, further)?)).map_err(io)?;
        }
        Ok(Table { out, path, kinds, further: further.len() })
    }

    fn append_truth(&mut self, id: &str, truth: &Measurements, kind: Option<Kind>) -> Result<()> {
        match kind {
            Some(kind) if self.kinds => {
                table::write_kinds_row(&mut self.out, id, truth, kind).map_err(|source| Error::io(&self.path, source))
            }
            None if !self.kinds => self.append(id, truth, &[]),
            _ => Err(Error::Data(format!("ECG '{id}': either all ECGs of a dataset have a kind, which its origin lists, or none"))),
        }
    }

    fn append(&mut self, id: &str, measurements: &Measurements, further: &[String]) -> Result<()> {
        if further.len() != self.further {
            let text = format!("ECG '{id}': {} fields of its file where the dataset has {}", further.len(), self.further);
            return Err(Error::Data(text));
        }
        let mut line = Vec::new();
        let written = table::write_row(&mut line, id, measurements).and_then(|()| table::with_fields(line, further));
        written.and_then(|line| self.out.write_all(&line)).map_err(|source| Error::io(&self.path, source))
    }

    /// Appends the lines of another table behind its header.
    fn append_lines(&mut self, table: &Path) -> Result<()> {
        let (file, _) = intake::open(table)?;
        let mut lines = std::io::BufReader::new(file);
        let mut header = Vec::new();
        lines.read_until(b'\n', &mut header).map_err(|source| Error::io(table, source))?;
        std::io::copy(&mut lines, &mut self.out).map(drop).map_err(|source| Error::io(&self.path, source))
    }

    /// Flushes, syncs, and says how long the table is.
    fn sync(&mut self) -> Result<u64> {
        let io = |source| Error::io(&self.path, source);
        self.out.flush().and_then(|()| self.out.get_ref().sync_all()).map_err(io)?;
        self.out.stream_position().map_err(io)
    }
}
