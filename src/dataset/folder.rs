//! A dataset as a folder: `rhythm.npy`, `median.npy`, `measurements.csv`, `dataset.json`. Opened, never read whole.

use super::samples::{MEDIAN_LEADS, RHYTHM_LEADS, check_finite};
use super::{Dataset, InputKind, Samples, read_table};
use crate::files::digest::sha256_file;
use crate::files::npy::{Dtype, NpyRows};
use crate::{Error, Result};
use ndarray::{Array2, ArrayD, Ix2};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

impl Manifest {
    /// Reads the manifest of a dataset folder.
    ///
    /// # Errors
    /// [`Error::Format`] if the folder is no dataset or one of another version; [`Error::Io`].
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join(MANIFEST);
        if folder.is_dir() && !path.exists() {
            return Err(Error::format(folder, format!("not a dataset: there is no {MANIFEST} in it")));
        }
        let text = std::fs::read(&path).map_err(|source| Error::io(&path, source))?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| Error::format(&path, error.to_string()))?;
        if manifest.format != FORMAT || manifest.version != VERSION {
            let text = format!("'{}' version {}: {FORMAT} version {VERSION} is read", manifest.format.escape_debug(), manifest.version);
            return Err(Error::format(&path, text));
        }
        Ok(manifest)
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
                return Err(Error::format(folder.join(MANIFEST), format!("lists an unknown file '{}'", name.escape_debug())));
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

impl Dataset {
    /// Opens a dataset folder. Measurements are read; samples stay in their files until they are asked for.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] and [`Error::Shape`] for a folder that is no dataset or whose files do not fit each other.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let manifest = Manifest::read(folder)?;
        let records = read_table(folder.join(MEASUREMENTS))?;
        if records.len() != manifest.ecgs {
            let text = format!("{} rows, {MANIFEST} says {} ECGs", records.len(), manifest.ecgs);
            return Err(Error::format(folder.join(MEASUREMENTS), text));
        }
        let samples = FolderSamples::open(folder, manifest.ecgs)?;
        let mut dataset = Dataset::new(Box::new(samples), records)?;
        dataset.manifest = Some(manifest);
        Ok(dataset)
    }

    /// What the folder says of itself; `None` for a dataset in memory.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }
}
