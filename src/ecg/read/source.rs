//! Whatever a user points at, as a row of recordings: a file, a folder of files of one kind, an array, a dataset.

use super::{Given, Lead, Recording, Unit, columns, muse, osf, wfdb};
use crate::dataset::read_table;
use crate::ecg::leads::{INDEPENDENT, LEADS, RATE};
use crate::files::digest::sha256;
use crate::files::npy::{NpyArray, NpyRows};
use crate::files::{npy, npz};
use crate::intake::{self, Most};
use crate::{Error, Result};
use ndarray::{Array2, ArrayD, Axis, Ix2};
use std::collections::{HashMap, HashSet};
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
    /// The rows of a dataset, with its ids.
    Dataset {
        rows: NpyRows,
        ids: Vec<String>,
    },
    Rows(NpyRows),
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
        Source { path: path.into(), kind, items, given }.of_samples()
    }

    /// Refuses arrays in which there is no ECG: no row, no lead or no sample. A row of nothing takes no byte, so that a short file could list any
    /// number of them.
    fn of_samples(self) -> Result<Self> {
        let shape = match &self.items {
            Items::Files(_) => return Ok(self),
            Items::Dataset { rows, .. } | Items::Rows(rows) => &rows.header().shape,
            Items::Array(array) => array.shape(),
        };
        match shape.contains(&0) {
            true => Err(Error::format(&self.path, format!("its shape {shape:?} holds no sample: there is no ECG in it"))),
            false => Ok(self),
        }
    }

    fn folder(path: &Path, given: Given) -> Result<Self> {
        if path.join("dataset.json").exists() {
            let rows = NpyRows::open(path.join("rhythm.npy"))?;
            let ids: Vec<String> = read_table(path.join("measurements.csv"))?.into_iter().map(|record| record.id).collect();
            if ids.len() != rows.len() {
                return Err(Error::format(path, format!("{} recordings but {} rows of measurements", rows.len(), ids.len())));
            }
            let given = Given { unit: Some(Unit::Microvolt), rate: Some(RATE) };
            let source = Source { path: path.into(), kind: Kind::Npy, items: Items::Dataset { rows, ids }, given };
            return source.of_samples();
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
        let mut seen: HashMap<String, &PathBuf> = HashMap::new();
        for file in &files {
            if let Some(other) = seen.insert(stem(file), file) {
                let text = format!("{} and {} have the same name and would have the same id", other.display(), file.display());
                return Err(Error::format(path, text));
            }
        }
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
        Ok(Items::Rows(rows))
    }

    /// How many recordings there are.
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Files(files) => files.len(),
            Items::Dataset { ids, .. } => ids.len(),
            Items::Rows(rows) => rows.len(),
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

    /// The id of recording `index`: a dataset's own, or the file's name without its extension; for an array of several ECGs with `:ROW` behind.
    pub fn id(&self, index: usize) -> String {
        match &self.items {
            Items::Files(files) => stem(&files[index]),
            Items::Dataset { ids, .. } => ids[index].clone(),
            _ => self.row_of(stem(&self.path), index),
        }
    }

    /// An id that no recording of another path has: the path as it was given instead of the name alone.
    fn long_id(&self, index: usize) -> String {
        match &self.items {
            Items::Files(files) => files[index].display().to_string(),
            Items::Dataset { ids, .. } => format!("{}/{}", self.path.display().to_string().trim_end_matches('/'), ids[index]),
            _ => self.row_of(self.path.display().to_string(), index),
        }
    }

    fn row_of(&self, name: String, index: usize) -> String {
        if self.len() == 1 { name } else { format!("{name}:{index}") }
    }

    /// The ids of the recordings of several sources, all distinct: [`Source::id`], and for those that would come twice the path as it was given
    /// in place of the name (`a/x.npy:3` and `b/x.npy:3`, `data/7` for a dataset).
    ///
    /// # Errors
    /// [`Error::Usage`] if a recording is given twice.
    pub fn distinct_ids(sources: &[Source]) -> Result<Vec<Vec<String>>> {
        let mut ids: Vec<Vec<String>> = sources.iter().map(|source| (0..source.len()).map(|at| source.id(at)).collect()).collect();
        let mut counts: HashMap<String, usize> = HashMap::new();
        ids.iter().flatten().for_each(|id| *counts.entry(id.clone()).or_default() += 1);
        for (source, ids) in sources.iter().zip(&mut ids) {
            for (at, id) in ids.iter_mut().enumerate().filter(|(_, id)| counts[*id] > 1) {
                *id = source.long_id(at);
            }
        }
        let mut seen = HashSet::new();
        match ids.iter().flatten().find(|id| !seen.insert(id.as_str())) {
            Some(id) => Err(Error::Usage(format!("the recording '{id}' is given twice: every row needs an id of its own"))),
            None => Ok(ids),
        }
    }

    /// Reads recording `index`.
    ///
    /// # Errors
    /// As the reader of its kind.
    pub fn read(&self, index: usize) -> Result<Recording> {
        let read = match &self.items {
            Items::Files(files) => match self.kind {
                Kind::Wfdb => wfdb::read(&files[index]),
                Kind::Muse => muse::read(&files[index]),
                Kind::Asc => osf::read_asc(&files[index]),
                _ => columns::read(&files[index], &self.given),
            },
            Items::Dataset { rows, .. } | Items::Rows(rows) => {
                rows.row_f32(index).and_then(|row| self.recording_of(self.id(index), row.mapv(f64::from)))
            }
            Items::Array(array) => self.recording_of(self.id(index), array.index_axis(Axis(0), index).to_owned()),
        };
        read.map_err(|error| error.of_file(self.path(index)))
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
const LARGEST_ARCHIVE: Most = Most { bytes: 256 << 20, of: "an archive of ECGs, which is held in memory (save larger ones as .npy)," };

/// The array of ECGs in an archive: the only one, or the one called `rhythm` or `x`.
fn from_npz(path: &Path) -> Result<ArrayD<f64>> {
    intake::open_most(path, LARGEST_ARCHIVE)?;
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

/// The name of a file without its extension.
fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Names in the order people expect: 2 before 10.
fn natural(path: &Path) -> (u64, String) {
    let stem = stem(path);
    (stem.parse().unwrap_or(u64::MAX), stem)
}
