//! Whatever a user points at, as a row of recordings: a file, a folder of files, an array, a dataset.

use super::kinds::{InFolders, KINDS, Kind, Reader, Recordings};
use super::{Given, Recording, Unit, arrays, stem};
use crate::dataset::read_table;
use crate::ecg::leads::RATE;
use crate::files::digest::sha256;
use crate::files::npy::NpyRows;
use crate::{Error, Result};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folders in folders that are looked into.
const DEPTH: usize = 6;
/// The most files that a folder may list.
const MOST_FILES: usize = 10_000_000;

/// A file and its kind.
struct Item {
    path: PathBuf,
    kind: &'static Kind,
    id: String,
    /// The file's recordings and which of them, for a file of many in a folder of such.
    row: Option<(Arc<dyn Recordings>, usize)>,
}

enum Items {
    Files(Vec<Item>),
    /// The rows of a dataset, with its ids.
    Dataset {
        rows: NpyRows,
        ids: Vec<String>,
    },
    /// One file of many.
    Many(Box<dyn Recordings>),
}

/// Recordings to read one by one.
pub struct Source {
    path: PathBuf,
    kind: String,
    items: Items,
    given: Given,
}

impl Source {
    /// Opens a file or a folder; a WFDB record may be named without `.hea` or by its signal file.
    ///
    /// # Errors
    /// If there is no such thing, if it is of no kind that is known, or if a folder holds no recording.
    pub fn open(path: impl AsRef<Path>, given: Given) -> Result<Self> {
        let path = path.as_ref();
        if path.is_dir() {
            return Self::folder(path, given);
        }
        let file = record_of(path);
        std::fs::metadata(&file).map_err(|source| Error::io(path, source))?;
        let kind = Kind::of(&file)?.ok_or_else(|| {
            let known = Kind::extensions();
            Error::Usage(format!("{}: not a kind of file that is known ({known}, or a folder)", path.display()))
        })?;
        let items = match kind.reader {
            Reader::Many(open) => Items::Many(open(&file, &given).map_err(|error| error.of_file(&file))?),
            Reader::One(_) => Items::Files(vec![Item { id: stem(&file), path: file, kind, row: None }]),
        };
        Ok(Source { path: path.into(), kind: kind.name.into(), items, given })
    }

    fn folder(path: &Path, given: Given) -> Result<Self> {
        if path.join("dataset.json").exists() {
            return Self::dataset(path);
        }
        let mut files = Vec::new();
        collect(path, DEPTH, &mut files)?;
        files.sort_by_cached_key(natural);
        if files.is_empty() {
            return Err(Error::Usage(format!("{}: there is no recording in this folder ({})", path.display(), Kind::extensions())));
        }
        let mut stems: HashMap<String, usize> = HashMap::new();
        for (file, _) in &files {
            *stems.entry(stem(file)).or_default() += 1;
        }
        // Where stems are the same the path within the folder tells recordings apart.
        let id = |file: &Path| match stems[&stem(file)] {
            1 => stem(file),
            _ => file.strip_prefix(path).unwrap_or(file).display().to_string(),
        };
        let ids: Vec<String> = files.iter().map(|(file, _)| id(file)).collect();
        let kinds: BTreeSet<&str> = files.iter().map(|(_, kind)| kind.name).collect();
        let kind = kinds.into_iter().collect::<Vec<_>>().join(", ");
        let mut items = Vec::new();
        for ((path, kind), id) in files.into_iter().zip(ids) {
            match kind.reader {
                // Collections in parts: every recording of every part. One that cannot be opened is told of when it is read.
                Reader::Many(open) if kind.folders == InFolders::Alone => match open(&path, &given) {
                    Ok(many) => rows_of(&path, kind, &id, Arc::from(many), &mut items),
                    Err(_) => items.push(Item { path, kind, id, row: None }),
                },
                _ => items.push(Item { path, kind, id, row: None }),
            }
        }
        Ok(Source { path: path.into(), kind, items: Items::Files(items), given })
    }

    fn dataset(path: &Path) -> Result<Self> {
        let rows = NpyRows::open(path.join("rhythm.npy"))?;
        let ids: Vec<String> = read_table(path.join("measurements.csv"))?.into_iter().map(|record| record.id).collect();
        if ids.len() != rows.len() {
            return Err(Error::format(path, format!("{} recordings but {} rows of measurements", rows.len(), ids.len())));
        }
        let shape = &rows.header().shape;
        if shape.contains(&0) {
            return Err(Error::format(path, format!("its shape {shape:?} holds no sample: there is no ECG in it")));
        }
        let given = Given { unit: Some(Unit::Microvolt), rate: Some(RATE), leads: Vec::new() };
        Ok(Source { path: path.into(), kind: "NumPy arrays".into(), items: Items::Dataset { rows, ids }, given })
    }

    /// How many recordings there are.
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Files(files) => files.len(),
            Items::Dataset { ids, .. } => ids.len(),
            Items::Many(many) => many.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SHA-256 of the names of all files, by which an interrupted import knows that it goes on with the same ones.
    pub fn digest(&self) -> String {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let within = |file: &Path| match file.strip_prefix(&self.path) {
            Ok(within) if within.components().count() > 1 => within.display().to_string(),
            _ => name(file),
        };
        let names: Vec<String> = match &self.items {
            Items::Files(files) => files.iter().map(|file| within(&file.path)).collect(),
            _ => vec![format!("{} of {}", self.len(), name(&self.path))],
        };
        sha256(names.join("\n").as_bytes())
    }

    /// The kind, or kinds, for people.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Where recording `index` lies.
    pub fn path(&self, index: usize) -> &Path {
        match &self.items {
            Items::Files(files) => &files[index].path,
            _ => &self.path,
        }
    }

    /// The id of recording `index`: a dataset's own, or the file's name without its extension; for an array of several ECGs with `:ROW` behind.
    pub fn id(&self, index: usize) -> String {
        match &self.items {
            Items::Files(files) => files[index].id.clone(),
            Items::Dataset { ids, .. } => ids[index].clone(),
            Items::Many(many) => many.id(index).unwrap_or_else(|| self.row_of(stem(&self.path), index)),
        }
    }

    /// An id that no recording of another path has: the path as it was given instead of the name alone.
    fn long_id(&self, index: usize) -> String {
        match &self.items {
            Items::Files(files) => match &files[index].row {
                Some((_, row)) => format!("{}:{row}", files[index].path.display()),
                None => files[index].path.display().to_string(),
            },
            Items::Dataset { ids, .. } => format!("{}/{}", self.path.display().to_string().trim_end_matches('/'), ids[index]),
            _ => self.row_of(self.path.display().to_string(), index),
        }
    }

    fn row_of(&self, name: String, index: usize) -> String {
        if self.len() == 1 { name } else { format!("{name}:{index}") }
    }

    /// Whether ids are the file's name with numbers behind, which are distinct without a look at them.
    pub fn is_numbered(&self) -> bool {
        matches!(&self.items, Items::Many(many) if (0..many.len().min(1)).all(|first| many.id(first).is_none()))
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
            Items::Files(files) => match (&files[index].row, files[index].kind.reader) {
                (Some((many, row)), _) => many.read(*row),
                (None, Reader::One(read)) => read(&files[index].path, &self.given),
                (None, Reader::Many(open)) => open(&files[index].path, &self.given).and_then(|many| match many.len() {
                    1 => many.read(0),
                    count => {
                        Err(Error::format(&files[index].path, format!("holds {count} recordings: name the file itself, not its folder")))
                    }
                }),
            },
            Items::Dataset { rows, .. } => {
                rows.row_f32(index).and_then(|row| arrays::recording(&self.path, row.mapv(f64::from), &self.given))
            }
            Items::Many(many) => many.read(index),
        };
        let recording = read.map_err(|error| error.of_file(self.path(index)))?;
        recording.check_finite().map_err(|problem| Error::format(self.path(index), problem))?;
        Ok(Recording { id: self.id(index), ..recording })
    }
}

/// The recordings of one file of many, under its own ids or `NAME:ROW`.
fn rows_of(path: &Path, kind: &'static Kind, id: &str, many: Arc<dyn Recordings>, into: &mut Vec<Item>) {
    for row in 0..many.len() {
        let id = match many.id(row) {
            Some(own) => format!("{id}:{own}"),
            None if many.len() == 1 => id.to_owned(),
            None => format!("{id}:{row}"),
        };
        into.push(Item { path: path.into(), kind, id, row: Some((many.clone(), row)) });
    }
}

/// The file that a path names: a WFDB record also without its extension, or by a signal file that lies beside its header.
fn record_of(path: &Path) -> PathBuf {
    let header = path.with_extension("hea");
    let signals = ["dat", "mat", "d0", "d1", "flac"];
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_lowercase();
    let bare = !path.exists() && Kind::by_extension(path).is_empty();
    if end == "dat" || bare || (signals.contains(&end.as_str()) && header.exists()) { header } else { path.to_path_buf() }
}

/// The recordings in a folder; where there are none, those in the folders within.
fn collect(folder: &Path, depth: usize, into: &mut Vec<(PathBuf, &'static Kind)>) -> Result<()> {
    let io = |source| Error::io(folder, source);
    let (mut found, mut folders): (Vec<(PathBuf, &Kind)>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(io)?);
        if kind.is_dir() {
            folders.push(path);
        } else if let Some(kind) = kind_in_folder(&path) {
            found.push((path, kind));
        }
        if into.len() + found.len() > MOST_FILES {
            return Err(Error::format(folder, format!("more than {MOST_FILES} recordings: import its parts")));
        }
    }
    if found.iter().any(|(_, kind)| kind.folders == InFolders::Yes) {
        found.retain(|(_, kind)| kind.folders == InFolders::Yes);
    }
    let headers: HashSet<PathBuf> = found
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "hea"))
        .map(|(path, _)| path.with_extension(""))
        .collect();
    // A `.mat` beside a header of its name holds that record's samples.
    found.retain(|(path, _)| {
        path.extension().is_some_and(|end| end == "hea") || !headers.contains(&path.with_extension("")) || !is_signal(path)
    });
    if found.is_empty() && depth > 0 {
        folders.sort();
        folders.iter().filter(|inner| !hidden(inner)).try_for_each(|inner| collect(inner, depth - 1, into))?;
    }
    into.append(&mut found);
    Ok(())
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn is_signal(path: &Path) -> bool {
    path.extension().is_some_and(|end| ["mat", "dat", "edf"].iter().any(|signal| end.eq_ignore_ascii_case(signal)))
}

/// The kind of a file in a folder, if it is to be taken: only names are looked at first, for folders hold much else.
fn kind_in_folder(path: &Path) -> Option<&'static Kind> {
    let named = Kind::by_extension(path);
    if hidden(path) || named.iter().all(|kind| kind.folders == InFolders::No) {
        return None;
    }
    // A file that cannot be opened is told of when it is read.
    let kind = Kind::of(path).ok().flatten().or_else(|| named.last().copied())?;
    (kind.folders != InFolders::No && KINDS.iter().any(|known| std::ptr::eq(known, kind))).then_some(kind)
}

/// Names in the order people expect: 2 before 10.
fn natural((path, _): &(PathBuf, &Kind)) -> (PathBuf, u64, String) {
    let stem = stem(path);
    (path.parent().unwrap_or(Path::new("")).to_path_buf(), stem.parse().unwrap_or(u64::MAX), stem)
}
