//! NumPy's `.npz`: named arrays in a zip archive, one `NAME.npy` each.

use super::archive::{Archive, Builder};
use super::atomic::AtomicFile;
use super::npy::{self, Element, NpyArray};
use crate::{Error, Result};
use ndarray::{ArrayView, Dimension};
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

/// Reads every array of a `.npz` (stored or deflated), in the file's order, under the names that `numpy.load` gives.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] for a damaged archive, an entry that is no array, two of one name.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, NpyArray)>> {
    let path = path.as_ref();
    let mut archive = open(path)?;
    let mut arrays: Vec<(String, NpyArray)> = Vec::new();
    for entry in archive.names()? {
        let name = entry.strip_suffix(".npy").unwrap_or(&entry);
        if arrays.iter().any(|(other, _)| other == name) {
            return Err(Error::format(path, format!("holds two arrays called '{}'", name.escape_debug())));
        }
        let bytes = archive.read(&entry, u64::MAX)?;
        arrays.push((name.to_owned(), npy::read_bytes(&path.join(&entry), &bytes)?));
    }
    Ok(arrays)
}

/// Reads the one array called `name`.
///
/// # Errors
/// As [`read`]; [`Error::Format`] with the names there are, if there is none of that name.
pub fn read_one(path: impl AsRef<Path>, name: &str) -> Result<NpyArray> {
    let path = path.as_ref();
    let mut archive = open(path)?;
    let names = archive.names()?;
    let wanted = names.iter().find(|entry| entry.strip_suffix(".npy").unwrap_or(entry) == name);
    let Some(entry) = wanted else {
        let present: Vec<&str> = names.iter().map(|entry| entry.strip_suffix(".npy").unwrap_or(entry)).collect();
        return Err(Error::format(path, format!("holds no array '{name}' (it holds {})", present.join(", "))));
    };
    let bytes = archive.read(entry, u64::MAX)?;
    npy::read_bytes(&path.join(entry), &bytes)
}

/// The names of the arrays.
///
/// # Errors
/// As [`read`].
pub fn names(path: impl AsRef<Path>) -> Result<Vec<String>> {
    let names = open(path.as_ref())?.names()?;
    Ok(names.into_iter().map(|entry| entry.strip_suffix(".npy").map_or(entry.clone(), str::to_owned)).collect())
}

/// Whether the file is a zip archive of arrays and of nothing else.
///
/// # Errors
/// [`Error::Io`].
pub fn is_npz(path: impl AsRef<Path>) -> Result<bool> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| Error::io(path, source))?;
    let names = Archive::open(path, BufReader::new(file)).and_then(|archive| archive.names());
    Ok(names.is_ok_and(|names| names.iter().all(|name| name.ends_with(".npy"))))
}

fn open(path: &Path) -> Result<Archive<BufReader<File>>> {
    let file = File::open(path).map_err(|source| Error::io(path, source))?;
    Archive::open(path, BufReader::new(file))
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
