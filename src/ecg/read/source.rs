//! Whatever a user points at, as a row of recordings: a file, a folder of files of one kind, an array, a dataset.

use super::{Given, Lead, Recording, Unit, columns, muse, osf, wfdb};
use crate::dataset::read_table;
use crate::ecg::leads::{INDEPENDENT, LEADS, RATE};
use crate::files::digest::sha256;
use crate::files::npy::{NpyArray, NpyRows};
use crate::files::{npy, npz};
use crate::{Error, Result};
use ndarray::{Array2, ArrayD, Axis, Ix2};
use std::path::{Path, PathBuf};

/// The kinds of file, by extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Wfdb,
    Muse,
    Asc,
    Columns,
    Npy,
    Npz,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()?.to_lowercase().as_str() {
            "hea" => Kind::Wfdb,
            "xml" => Kind::Muse,
            "asc" => Kind::Asc,
            "csv" => Kind::Columns,
            "npy" => Kind::Npy,
            "npz" => Kind::Npz,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Wfdb => "WFDB records",
            Kind::Muse => "MUSE XML",
            Kind::Asc => "OSF .asc",
            Kind::Columns => "CSV",
            Kind::Npy | Kind::Npz => "NumPy arrays",
        }
    }
}

enum Items {
    Files(Vec<PathBuf>),
    Rows { rows: NpyRows, ids: Vec<String> },
    Array(ArrayD<f64>),
}

/// Recordings to read one by one.
pub struct Source {
    path: PathBuf,
    kind: Kind,
    items: Items,
    given: Given,
}

impl Source {
    /// Opens a file or a folder; a WFDB record may be named without `.hea` or by its `.dat`.
    ///
    /// # Errors
    /// If there is no such thing, if it is of no kind that is known, or if a folder holds several kinds or none.
    pub fn open(path: impl AsRef<Path>, given: Given) -> Result<Self> {
        let path = path.as_ref();
        if path.is_dir() {
            return Self::folder(path, given);
        }
        let mut file = path.to_path_buf();
        if file.extension().is_some_and(|extension| extension == "dat") || (!file.exists() && Kind::of(path).is_none()) {
            file = path.with_extension("hea");
        }
        std::fs::metadata(&file).map_err(|source| Error::io(path, source))?;
        let kind = Kind::of(&file).ok_or_else(|| {
            Error::Usage(format!("{}: not a kind of file that is known (.hea .xml .asc .csv .npy .npz, or a folder)", path.display()))
        })?;
        let items = match kind {
            Kind::Npy => Self::array_rows(&file)?,
            Kind::Npz => Items::Array(from_npz(&file)?),
            _ => Items::Files(vec![file]),
        };
        Ok(Source { path: path.into(), kind, items, given })
    }

    fn folder(path: &Path, given: Given) -> Result<Self> {
        if path.join("dataset.json").exists() {
            let rows = NpyRows::open(path.join("rhythm.npy"))?;
            let ids: Vec<String> = read_table(path.join("measurements.csv"))?.into_iter().map(|record| record.id).collect();
            if ids.len() != rows.len() {
                return Err(Error::format(path, format!("{} recordings but {} rows of measurements", rows.len(), ids.len())));
            }
            let given = Given { unit: Some(Unit::Microvolt), rate: Some(RATE) };
            return Ok(Source { path: path.into(), kind: Kind::Npy, items: Items::Rows { rows, ids }, given });
        }
        let entries = std::fs::read_dir(path).map_err(|source| Error::io(path, source))?;
        let mut found: [Vec<PathBuf>; 4] = Default::default();
        const KINDS: [Kind; 4] = [Kind::Wfdb, Kind::Muse, Kind::Asc, Kind::Columns];
        for entry in entries {
            let file = entry.map_err(|source| Error::io(path, source))?.path();
            if let Some(at) = Kind::of(&file).and_then(|kind| KINDS.iter().position(|other| *other == kind)) {
                found[at].push(file);
            }
        }
        // Tables beside recordings (labels, references) are not recordings.
        if found[..3].iter().any(|files| !files.is_empty()) {
            found[3].clear();
        }
        let mut kinds = found.into_iter().zip(KINDS).filter(|(files, _)| !files.is_empty());
        let Some((mut files, kind)) = kinds.next() else {
            return Err(Error::Usage(format!("{}: there is no .hea, .xml, .asc or .csv file in this folder", path.display())));
        };
        if let Some((_, other)) = kinds.next() {
            return Err(Error::Usage(format!(
                "{}: there are {} and {} in this folder: name one kind",
                path.display(),
                kind.name(),
                other.name()
            )));
        }
        files.sort_by_cached_key(|file| natural(file));
        Ok(Source { path: path.into(), kind, items: Items::Files(files), given })
    }

    fn array_rows(path: &Path) -> Result<Items> {
        let rows = NpyRows::open(path)?;
        if rows.header().shape.len() == 2 {
            return Ok(Items::Array(npy::read(path)?.into_f64().insert_axis(Axis(0))));
        }
        if rows.header().shape.len() != 3 {
            return Err(Error::shape(path.display().to_string(), "(N, 8 or 12, T)", &rows.header().shape));
        }
        let ids = (0..rows.len()).map(|row| row.to_string()).collect();
        Ok(Items::Rows { rows, ids })
    }

    /// How many recordings there are.
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Files(files) => files.len(),
            Items::Rows { ids, .. } => ids.len(),
            Items::Array(array) => array.len_of(Axis(0)),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 of the names of all files, by which an interrupted import knows that it goes on with the same ones.
    pub fn digest(&self) -> String {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let names: Vec<String> = match &self.items {
            Items::Files(files) => files.iter().map(|file| name(file)).collect(),
            _ => vec![format!("{} of {}", self.len(), name(&self.path))],
        };
        sha256(names.join("\n").as_bytes())
    }

    /// The kind, for people.
    pub fn kind(&self) -> &'static str {
        self.kind.name()
    }

    /// Where recording `index` lies.
    pub fn path(&self, index: usize) -> &Path {
        match &self.items {
            Items::Files(files) => &files[index],
            _ => &self.path,
        }
    }

    /// Reads recording `index`.
    ///
    /// # Errors
    /// As the reader of its kind.
    pub fn read(&self, index: usize) -> Result<Recording> {
        match &self.items {
            Items::Files(files) => match self.kind {
                Kind::Wfdb => wfdb::read(&files[index]),
                Kind::Muse => muse::read(&files[index]),
                Kind::Asc => osf::read_asc(&files[index]),
                _ => columns::read(&files[index], &self.given),
            },
            Items::Rows { rows, ids } => self.recording_of(ids[index].clone(), rows.row_f32(index)?.mapv(f64::from)),
            Items::Array(array) => self.recording_of(index.to_string(), array.index_axis(Axis(0), index).to_owned()),
        }
    }

    /// One ECG of an array: 8 or 12 leads in the usual order; µV and 500 Hz unless said otherwise, as for every array of this program.
    fn recording_of(&self, id: String, samples: ArrayD<f64>) -> Result<Recording> {
        let samples: Array2<f64> = samples.into_dimensionality::<Ix2>().map_err(|error| Error::format(&self.path, error.to_string()))?;
        let names: &[&'static str] = match samples.nrows() {
            8 => &INDEPENDENT,
            12 => &LEADS,
            _ => return Err(Error::shape(self.path.display().to_string(), "(N, 8 or 12, T)", samples.dim())),
        };
        let factor = self.given.unit.unwrap_or(Unit::Microvolt).microvolts();
        let lead =
            |(name, row): (&&'static str, ndarray::ArrayView1<'_, f64>)| Lead { name, samples: row.iter().map(|x| x * factor).collect() };
        let leads = names.iter().zip(samples.rows()).map(lead).collect();
        Ok(Recording { id, leads, rate: self.given.rate.unwrap_or(RATE), ..Recording::default() })
    }
}

/// The largest archive that is read, bytes: unlike a `.npy` file it can only be read whole.
const LARGEST_ARCHIVE: u64 = 256 << 20;

/// The array of ECGs in an archive: the only one, or the one called `rhythm` or `x`.
fn from_npz(path: &Path) -> Result<ArrayD<f64>> {
    let length = std::fs::metadata(path).map_err(|source| Error::io(path, source))?.len();
    if length > LARGEST_ARCHIVE {
        return Err(Error::format(
            path,
            format!("{length} bytes, too many for an archive, which is held in memory: save the ECGs as .npy"),
        ));
    }
    let names = npz::names(path)?;
    let name = match &names[..] {
        [only] => only,
        _ => names.iter().find(|name| ["rhythm", "x"].contains(&name.as_str())).ok_or_else(|| {
            Error::format(path, format!("holds {} and none called rhythm or x: which one are the ECGs?", names.join(", ")))
        })?,
    };
    let array = npz::read_one(path, name).map(NpyArray::into_f64)?;
    match array.ndim() {
        2 => Ok(array.insert_axis(Axis(0))),
        3 => Ok(array),
        _ => Err(Error::shape(path.display().to_string(), "(N, 8 or 12, T)", array.shape())),
    }
}

/// Names in the order people expect: 2 before 10.
fn natural(path: &Path) -> (u64, String) {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    (stem.parse().unwrap_or(u64::MAX), stem)
}
