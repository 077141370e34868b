//! NumPy's `.npz`: named arrays in a zip archive, one `NAME.npy` each; beside them texts may stand, one `NAME.json` each, which readers of arrays pass over.

use super::archive::{Archive, Builder};
use super::atomic::AtomicFile;
use super::npy::{self, Element, NpyArray};
use crate::intake::{self, Most};
use crate::{Error, Result};
use ndarray::{Array3, ArrayView, Axis, Dimension};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

/// Reads every array of a `.npz` (stored or deflated), in the file's order, under the names that `numpy.load` gives.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] for a damaged archive, an entry that is no array, two of one name.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, NpyArray)>> {
    let path = path.as_ref();
    let mut arrays: Vec<(String, NpyArray)> = Vec::new();
    each(path, &mut |name, array| {
        arrays.push((name.to_owned(), array));
        Ok(())
    })?;
    Ok(arrays)
}

/// Reads the arrays of a `.npz` one after another, in the file's order, so that one at a time is held.
///
/// # Errors
/// As [`read`], and what `take` returns.
pub fn each(path: impl AsRef<Path>, take: &mut dyn FnMut(&str, NpyArray) -> Result<()>) -> Result<()> {
    let path = path.as_ref();
    let mut archive = open(path)?;
    let mut seen: HashSet<String> = HashSet::new();
    for entry in archive.names().iter().filter(|entry| !is_text(entry)).cloned().collect::<Vec<_>>() {
        let name = plain(&entry);
        if !seen.insert(name.to_owned()) {
            return Err(Error::format(path, format!("holds two arrays called '{name}'")));
        }
        let bytes = archive.read(&entry, u64::MAX)?;
        take(name, npy::read_bytes(&path.join(&entry), &bytes)?)?;
    }
    Ok(())
}

/// The name of an array as `numpy.load` gives it.
fn plain(entry: &str) -> &str {
    entry.strip_suffix(".npy").unwrap_or(entry)
}

/// Whether an entry is a text beside the arrays.
fn is_text(entry: &str) -> bool {
    entry.ends_with(".json")
}

/// The most bytes of a text beside arrays.
const LONGEST_TEXT: u64 = 1 << 28;

/// Reads the text called `name` (with its ending) that stands beside the arrays; `None` if there is none.
///
/// # Errors
/// As [`read`]; [`Error::Format`] if it is not UTF-8 or beyond 256 MB.
pub fn text(path: impl AsRef<Path>, name: &str) -> Result<Option<String>> {
    let path = path.as_ref();
    let mut archive = open(path)?;
    if !archive.names().iter().any(|entry| entry == name) {
        return Ok(None);
    }
    let bytes = archive.read(name, LONGEST_TEXT)?;
    String::from_utf8(bytes).map(Some).map_err(|_| Error::format(path, format!("its member '{name}' is not UTF-8")))
}

/// Reads the one array called `name`.
///
/// # Errors
/// As [`read`]; [`Error::Format`] with the names there are, if there is none of that name.
pub fn read_one(path: impl AsRef<Path>, name: &str) -> Result<NpyArray> {
    let path = path.as_ref();
    let mut archive = open(path)?;
    let Some(entry) = archive.names().iter().find(|entry| plain(entry) == name && !is_text(entry)).cloned() else {
        let present: Vec<&str> = archive.names().iter().filter(|entry| !is_text(entry)).map(|entry| plain(entry)).collect();
        return Err(Error::format(path, format!("holds no array '{name}' (it holds {})", present.join(", "))));
    };
    let bytes = archive.read(&entry, u64::MAX)?;
    npy::read_bytes(&path.join(&entry), &bytes)
}

/// The largest archive of ECGs that is read, bytes: unlike a `.npy` file it can only be read whole.
const LARGEST_ECGS: Most = Most { bytes: 256 << 20, of: "an archive of ECGs, which is held in memory (save larger ones as .npy)," };

/// The ECGs (N, C, L) of an archive: its only array, or the one called `rhythm` or `x`.
///
/// # Errors
/// As [`read`]; [`Error::Format`] with the names there are if none of them is meant; [`Error::Shape`] for another number of axes.
pub fn ecgs(path: impl AsRef<Path>) -> Result<Array3<f64>> {
    let path = path.as_ref();
    intake::open_most(path, LARGEST_ECGS)?;
    let names = names(path)?;
    let name = match &names[..] {
        [only] => only,
        _ => names.iter().find(|name| ["rhythm", "x"].contains(&name.as_str())).ok_or_else(|| {
            Error::format(path, format!("holds {} and none called rhythm or x: which one are the ECGs?", names.join(", ")))
        })?,
    };
    let array = read_one(path, name)?.into_f64();
    let shape = array.shape().to_vec();
    let array = if array.ndim() == 2 { array.insert_axis(Axis(0)) } else { array };
    array.into_dimensionality().map_err(|_| Error::shape(path.display().to_string(), "(N, C, L)", shape))
}

/// The names of the arrays.
///
/// # Errors
/// As [`read`].
pub fn names(path: impl AsRef<Path>) -> Result<Vec<String>> {
    Ok(open(path.as_ref())?.names().iter().filter(|entry| !is_text(entry)).map(|entry| plain(entry).to_owned()).collect())
}

/// Whether the file is a zip archive of arrays, with texts beside them or not, and of nothing else.
///
/// # Errors
/// [`Error::Io`].
pub fn is_npz(path: impl AsRef<Path>) -> Result<bool> {
    let path = path.as_ref();
    match open(path) {
        Ok(archive) => Ok(archive.names().iter().all(|name| name.ends_with(".npy") || is_text(name))),
        Err(error @ Error::Io { .. }) => Err(error),
        Err(_) => Ok(false),
    }
}

fn open(path: &Path) -> Result<Archive<BufReader<File>>> {
    Archive::open(path, BufReader::new(intake::open(path)?.0))
}

/// Writes a `.npz`, one array at a time; the file appears at [`NpzWriter::finish`]. The same arrays give the same bytes.
pub struct NpzWriter {
    path: PathBuf,
    names: Vec<String>,
    zip: Builder<AtomicFile>,
}

impl NpzWriter {
    /// Starts a file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        Ok(NpzWriter { zip: Builder::new(AtomicFile::create(&path)?), path, names: Vec::new() })
    }

    /// Adds an array.
    ///
    /// # Errors
    /// [`Error::Usage`] if the name was used already, [`Error::Io`].
    pub fn add<T: Element, D: Dimension>(&mut self, name: &str, array: ArrayView<'_, T, D>) -> Result<()> {
        if self.names.iter().any(|other| other == name) {
            return Err(Error::Usage(format!("{}: two arrays called '{name}'", self.path.display())));
        }
        self.names.push(name.to_owned());
        // Shape and type take 128 bytes or a little more.
        let size = (array.len() * T::DTYPE.size() + 1024) as u64;
        let write = |zip: &mut Builder<AtomicFile>| npy::write_to(zip.entry(&format!("{name}.npy"), size)?, array);
        write(&mut self.zip).map_err(|source| Error::io(&self.path, source))
    }

    /// Completes the file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        let mut file = self.zip.finish().map_err(|source| Error::io(&self.path, source))?;
        file.flush().map_err(|source| Error::io(&self.path, source))?;
        file.commit()
    }
}

/// Writes a whole `.npz` of arrays that are in memory.
///
/// # Errors
/// As [`NpzWriter`].
pub fn write(path: impl AsRef<Path>, arrays: &[(&str, &NpyArray)]) -> Result<()> {
    let mut file = NpzWriter::create(path)?;
    for (name, array) in arrays {
        match array {
            NpyArray::F32(array) => file.add(name, array.view()),
            NpyArray::F64(array) => file.add(name, array.view()),
            NpyArray::I16(array) => file.add(name, array.view()),
            NpyArray::I32(array) => file.add(name, array.view()),
            NpyArray::I64(array) => file.add(name, array.view()),
        }?;
    }
    file.finish()
}
