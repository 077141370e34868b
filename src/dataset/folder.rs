//! A dataset as a folder: `rhythm.npy`, `median.npy`, `measurements.csv`, `dataset.json`. Opened, never read whole.

use super::samples::{MEDIAN_LEADS, RHYTHM_LEADS, check_finite};
use super::{Dataset, InputKind, Labels, Samples, read_table};
use crate::ecg::Measurements;
use crate::files::digest::{sha256, sha256_file};
use crate::files::npy::{Dtype, NpyRows};
use crate::intake::{self, Most};
use crate::{Error, Result};
use ndarray::{Array2, ArrayD, Ix2};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What `dataset.json` says of itself.
pub const FORMAT: &str = "cardiograd-dataset";
/// The version of the folder's layout.
pub const VERSION: u32 = 1;

/// The file of the rhythms, int16 (N, 8, 5000) µV.
pub const RHYTHM: &str = "rhythm.npy";
/// The file of the median beats, float32 (N, 12, 600) µV.
pub const MEDIAN: &str = "median.npy";
/// The table of measurements.
pub const MEASUREMENTS: &str = "measurements.csv";
/// The table of exact values, of simulated ECGs only.
pub const TRUTH: &str = "truth.csv";
/// The manifest.
pub const MANIFEST: &str = "dataset.json";

/// Where the ECGs come from. Two datasets of the same origin and length hold the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// `simulator`, `pulse2pulse`, `import`.
    pub source: String,
    /// The master seed, where one was used.
    pub seed: Option<u64>,
    /// Further facts under names: digests of weights or noise, settings, thresholds.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
}

/// What `dataset.json` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The layout's version.
    pub version: u32,
    /// Number of ECGs.
    pub ecgs: usize,
    /// Where they come from.
    #[serde(flatten)]
    pub origin: Origin,
    /// The versions of the programs that made it.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of each file.
    pub digests: BTreeMap<String, String>,
    /// What was done to recordings on their way in, and to how many.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, usize>,
}

/// [`Manifest`] as it lies in the file: flat, and nothing but this.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: String,
    version: u32,
    ecgs: usize,
    source: String,
    seed: Option<u64>,
    #[serde(default)]
    details: BTreeMap<String, String>,
    versions: BTreeMap<String, String>,
    digests: BTreeMap<String, String>,
    #[serde(default)]
    notes: BTreeMap<String, usize>,
}

impl From<Stored> for Manifest {
    fn from(stored: Stored) -> Self {
        let Stored { format, version, ecgs, source, seed, details, versions, digests, notes } = stored;
        Manifest { format, version, ecgs, origin: Origin { source, seed, details }, versions, digests, notes }
    }
}

/// What a manifest of any version begins with; one of a later version may hold fields that are not known here.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// A manifest takes 1 kB, and a line for every kind of note on an import.
const LARGEST: Most = Most { bytes: 1 << 26, of: "the manifest of a dataset" };

impl Manifest {
    /// Reads the manifest of a dataset folder.
    ///
    /// # Errors
    /// [`Error::Format`] if the folder is no dataset or one of another version; [`Error::Io`].
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        Self::read_with_digest(folder.as_ref()).map(|(manifest, _)| manifest)
    }

    /// The manifest and the digest of its file.
    fn read_with_digest(folder: &Path) -> Result<(Self, String)> {
        let path = folder.join(MANIFEST);
        if folder.is_dir() && !path.exists() {
            return Err(Error::format(folder, format!("not a dataset: there is no {MANIFEST} in it")));
        }
        let text = intake::text(&path, LARGEST)?;
        let wrong = |error: serde_json::Error| Error::format(&path, format!("not {}: {error}", LARGEST.of));
        let Head { format, version } = serde_json::from_str(&text).map_err(wrong)?;
        if format != FORMAT || version != VERSION {
            let newer = if format == FORMAT && version > VERSION { ", of a newer program" } else { "" };
            return Err(Error::format(&path, format!("'{format}' version {version}{newer}: {FORMAT} version {VERSION} is read")));
        }
        let manifest = serde_json::from_str(&text).map_err(wrong)?;
        Ok((manifest, sha256(text.as_bytes())))
    }

    /// Whether these bytes of a file in `folder` are those that the dataset was made with.
    fn check(&self, folder: &Path, name: &str, found: &str) -> Result<()> {
        let Some(listed) = self.digests.get(name) else {
            return Err(Error::format(
                folder.join(MANIFEST),
                format!("lists no digest of {name}: what the dataset holds cannot be told from it"),
            ));
        };
        if listed == found {
            return Ok(());
        }
        let head = |digest: &str| digest.chars().take(12).collect::<String>();
        let text = format!(
            "changed since the dataset was made (SHA-256 {}…, {MANIFEST} lists {}…): put the file back, or make the dataset anew",
            head(found),
            head(listed)
        );
        Err(Error::format(folder.join(name), text))
    }

    /// Recomputes the digests of the files in `folder` and names those that differ.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read; [`Error::Format`] if a name leads out of the folder.
    pub fn differing(&self, folder: impl AsRef<Path>) -> Result<Vec<String>> {
        let folder = folder.as_ref();
        let mut differing = Vec::new();
        for (name, digest) in &self.digests {
            if ![RHYTHM, MEDIAN, MEASUREMENTS, TRUTH].contains(&name.as_str()) {
                return Err(Error::format(folder.join(MANIFEST), format!("lists an unknown file '{name}'")));
            }
            if sha256_file(folder.join(name))? != *digest {
                differing.push(name.clone());
            }
        }
        Ok(differing)
    }
}

/// The samples of a dataset folder.
struct FolderSamples {
    rhythm: NpyRows,
    median: NpyRows,
}

impl FolderSamples {
    fn open(folder: &Path, ecgs: usize) -> Result<Self> {
        let rhythm = rows(folder.join(RHYTHM), Dtype::I16, [ecgs, RHYTHM_LEADS, InputKind::Rhythm.samples()])?;
        let median = rows(folder.join(MEDIAN), Dtype::F32, [ecgs, MEDIAN_LEADS, InputKind::Median.samples()])?;
        Ok(FolderSamples { rhythm, median })
    }
}

fn rows(path: PathBuf, dtype: Dtype, shape: [usize; 3]) -> Result<NpyRows> {
    let rows = NpyRows::open(&path)?;
    let header = rows.header();
    if header.shape != shape {
        return Err(Error::shape(path.display().to_string(), shape, &header.shape));
    }
    if header.dtype != dtype {
        return Err(Error::format(&path, format!("holds {}, a dataset has {} here", header.dtype.name(), dtype.name())));
    }
    Ok(rows)
}

fn two_axes<T>(rows: &NpyRows, row: ArrayD<T>) -> Result<Array2<T>> {
    row.into_dimensionality::<Ix2>().map_err(|error| Error::format(rows.path(), error.to_string()))
}

impl Samples for FolderSamples {
    fn len(&self) -> usize {
        self.rhythm.len()
    }

    fn rhythm(&self, ecg: usize) -> Result<Array2<i16>> {
        two_axes(&self.rhythm, self.rhythm.row(ecg)?)
    }

    fn median(&self, ecg: usize) -> Result<Array2<f32>> {
        let beat = two_axes(&self.median, self.median.row(ecg)?)?;
        check_finite(&self.median.path().display().to_string(), ecg, beat.view())?;
        Ok(beat)
    }
}

/// The table of exact values, which must be of the same ECGs in the same order as the measurements.
fn exact(path: &Path, records: &[super::Record]) -> Result<Vec<Measurements>> {
    let truth = read_table(path)?;
    let differs = truth.iter().zip(records).position(|(truth, record)| truth.id != record.id);
    match differs.or((truth.len() != records.len()).then(|| truth.len().min(records.len()))) {
        None => Ok(truth.into_iter().map(|record| record.measurements).collect()),
        Some(row) => Err(Error::format(path, format!("row {}: it is not of the ECG that {MEASUREMENTS} has there", row + 1))),
    }
}

impl Dataset {
    /// Opens a dataset folder. Its tables must be the bytes that the manifest lists; samples stay in their files until they are asked for, and are
    /// not held against the manifest: see [`Dataset::open_checked`].
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] and [`Error::Shape`] for a folder that is no dataset or whose files do not fit each other or the manifest.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let (manifest, digest) = Manifest::read_with_digest(folder)?;
        let records = read_table(folder.join(MEASUREMENTS))?;
        if records.len() != manifest.ecgs {
            let text = format!("{} rows, {MANIFEST} says {} ECGs", records.len(), manifest.ecgs);
            return Err(Error::format(folder.join(MEASUREMENTS), text));
        }
        let samples = FolderSamples::open(folder, manifest.ecgs)?;
        let mut tables = [MEASUREMENTS, TRUTH].into_iter().filter(|name| *name == MEASUREMENTS || manifest.digests.contains_key(*name));
        tables.try_for_each(|name| manifest.check(folder, name, &sha256_file(folder.join(name))?))?;
        let truth = if manifest.digests.contains_key(TRUTH) { exact(&folder.join(TRUTH), &records)? } else { Vec::new() };
        let mut dataset = Dataset::new(Box::new(samples), records)?;
        (dataset.truth, dataset.manifest, dataset.digest) = (truth, Some(manifest), digest);
        Ok(dataset)
    }

    /// Opens a dataset folder for work whose results carry its digest: the arrays that the work reads must be the bytes that the manifest lists
    /// too. That reads them once, at the speed of SHA-256 or of the disk.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_checked(folder: impl AsRef<Path>, inputs: &[InputKind]) -> Result<Self> {
        let dataset = Self::open(&folder)?;
        dataset.check_arrays(folder, inputs)?;
        Ok(dataset)
    }

    /// Refuses arrays that are not the bytes that the manifest lists: what [`Dataset::open_checked`] does beyond opening.
    ///
    /// # Errors
    /// [`Error::Format`] naming the file; [`Error::Io`].
    pub fn check_arrays(&self, folder: impl AsRef<Path>, inputs: &[InputKind]) -> Result<()> {
        let folder = folder.as_ref();
        let file = |kind: InputKind| if kind == InputKind::Median { MEDIAN } else { RHYTHM };
        let files: BTreeSet<&str> = inputs.iter().map(|kind| file(*kind)).collect();
        for name in files {
            if let Some(manifest) = &self.manifest {
                manifest.check(folder, name, &sha256_file(folder.join(name))?)?;
            }
        }
        Ok(())
    }

    /// Reads a table of labels, whose column `id` names this dataset's ECGs. Its digest becomes part of the dataset's. What is named in it and not in
    /// the dataset is refused, or passed over.
    ///
    /// # Errors
    /// As [`Labels::read`].
    pub fn read_labels(self, path: impl AsRef<Path>, pass_over: bool) -> Result<Self> {
        let labels = {
            let ids: Vec<&str> = self.records().iter().map(|record| record.id.as_str()).collect();
            Labels::read(path.as_ref(), &ids, pass_over)?
        };
        let digest = sha256(format!("{}\n{}", self.digest, labels.digest).as_bytes());
        let mut labelled = self.with_labels(labels)?;
        labelled.digest = digest;
        Ok(labelled)
    }

    /// The digest (SHA-256) of the manifest, which holds those of the files, and of the labels where there are any: what tells one dataset from
    /// another. Empty for a dataset in memory.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the folder says of itself; `None` for a dataset in memory.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }
}
