//! Writing that leaves either the whole file (or folder) or nothing: a temporary beside the target, synced, then renamed over it.

use crate::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that appears under its name only at [`AtomicFile::commit`]; dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    /// `None` once closed.
    file: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// Opens a temporary file in the folder of `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder does not exist or cannot be written, or `path` is a folder or a device.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        if path.exists() && !path.is_file() {
            return Err(Error::io(&path, io::Error::new(io::ErrorKind::InvalidInput, "exists and is not a plain file")));
        }
        let folder = folder_of(&path);
        if !folder.is_dir() {
            let text = format!("the folder {} does not exist", folder.display());
            return Err(Error::io(&path, io::Error::new(io::ErrorKind::NotFound, text)));
        }
        loop {
            let temporary = temporary_beside(&path)?;
            match OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
                Ok(file) => return Ok(AtomicFile { path, temporary, file: Some(BufWriter::with_capacity(1 << 16, file)) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(path, error)),
            }
        }
    }

    /// The name that the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes, syncs and renames.
    ///
    /// # Errors
    /// [`Error::Io`]; the temporary file is removed and whatever had the name before is untouched.
    pub fn commit(mut self) -> Result<()> {
        let outcome = self.close().and_then(|()| fs::rename(&self.temporary, &self.path));
        if outcome.is_err() {
            let _ = fs::remove_file(&self.temporary);
        }
        sync_folder(folder_of(&self.path));
        outcome.map_err(|source| Error::io(&self.path, source))
    }

    fn close(&mut self) -> io::Result<()> {
        let file = self.open()?;
        file.flush()?;
        file.get_ref().sync_all()?;
        self.file = None;
        Ok(())
    }

    fn open(&mut self) -> io::Result<&mut BufWriter<File>> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the file is closed"))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.open()?.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open()?.flush()
    }
}

impl Read for AtomicFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.open()?;
        file.flush()?;
        file.get_mut().read(buffer)
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.open()?.seek(to)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // `into_parts` closes without writing what is still buffered.
            drop(file.into_parts());
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a whole file from memory.
///
/// # Errors
/// As [`AtomicFile::create`] and [`AtomicFile::commit`].
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Writes a whole file through `fill`; when `fill` fails, nothing is left.
///
/// # Errors
/// As [`AtomicFile::create`] and [`AtomicFile::commit`], and `fill`'s own.
pub fn write_with(path: impl AsRef<Path>, fill: impl FnOnce(&mut AtomicFile) -> io::Result<()>) -> Result<()> {
    let mut file = AtomicFile::create(&path)?;
    fill(&mut file).map_err(|source| Error::io(path.as_ref(), source))?;
    file.commit()
}

/// A folder that is filled under the name `NAME.partial` and gets its own name at [`AtomicFolder::commit`].
///
/// Dropped before that, the partial folder is removed, unless [`AtomicFolder::keep_partial`] was asked for
/// (long jobs that continue after a kill).
#[derive(Debug)]
pub struct AtomicFolder {
    path: PathBuf,
    partial: PathBuf,
    remove: bool,
    /// Held by a run that may be continued, so that no other run continues it at the same time. The system lets go of it after a kill.
    lock: Option<File>,
}

/// The file that [`AtomicFolder::resume`] locks.
const LOCK: &str = ".lock";

impl AtomicFolder {
    /// Starts afresh: a partial folder left by an earlier run is emptied.
    ///
    /// # Errors
    /// [`Error::Usage`] if `path` exists already (nothing of the user's is ever overwritten by a folder), [`Error::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let (path, partial) = Self::names(path.as_ref())?;
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(|source| Error::io(&partial, source))?;
        }
        fs::create_dir_all(&partial).map_err(|source| Error::io(&partial, source))?;
        Ok(AtomicFolder { path, partial, remove: true, lock: None })
    }

    /// Continues in the partial folder of an earlier run, or starts one; it is kept when dropped.
    ///
    /// # Errors
    /// As [`AtomicFolder::create`]; [`Error::Usage`] if another run is at work in it.
    pub fn resume(path: impl AsRef<Path>) -> Result<Self> {
        let (path, partial) = Self::names(path.as_ref())?;
        let io = |source| Error::io(&partial, source);
        fs::create_dir_all(&partial).map_err(io)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(partial.join(LOCK)).map_err(io)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let text = format!("another run is writing {}: wait for it, or choose another name", partial.display());
                return Err(Error::Usage(text));
            }
            // A file system without locks is no reason not to work.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Ok(AtomicFolder { path, partial, remove: false, lock: Some(lock) })
    }

    fn names(path: &Path) -> Result<(PathBuf, PathBuf)> {
        if path.exists() {
            return Err(Error::Usage(format!("{} exists already: remove it or choose another name", path.display())));
        }
        Ok((path.to_path_buf(), partial_name(path)?))
    }

    /// Where to write the contents.
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// The name that the folder will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the partial folder in place when dropped, for a later [`AtomicFolder::resume`].
    pub fn keep_partial(&mut self) {
        self.remove = false;
    }

    /// Removes the partial folder.
    pub fn discard(mut self) {
        self.remove = true;
    }

    /// Renames the partial folder to its name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn commit(mut self) -> Result<()> {
        if self.lock.take().is_some() {
            fs::remove_file(self.partial.join(LOCK)).map_err(|source| Error::io(&self.partial, source))?;
        }
        sync_folder(&self.partial);
        fs::rename(&self.partial, &self.path).map_err(|source| Error::io(&self.path, source))?;
        self.remove = false;
        sync_folder(folder_of(&self.path));
        Ok(())
    }
}

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        self.lock = None;
        if self.remove {
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// `NAME.partial` beside `NAME`.
///
/// # Errors
/// [`Error::Usage`] for a path without a last name (`/`, `..`).
pub fn partial_name(path: &Path) -> Result<PathBuf> {
    let mut name = file_name(path)?.to_os_string();
    name.push(".partial");
    Ok(path.with_file_name(name))
}

fn file_name(path: &Path) -> Result<&std::ffi::OsStr> {
    path.file_name().ok_or_else(|| Error::Usage(format!("'{}' is not the name of a file", path.display())))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn temporary_beside(path: &Path) -> Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut name = std::ffi::OsString::from(".");
    name.push(file_name(path)?);
    name.push(format!(".{}-{}.partial", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
    Ok(path.with_file_name(name))
}

/// Makes a rename durable where a folder can be opened and synced (Unix); elsewhere the attempt fails and is of no account.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write(&path, b"old").unwrap();
        let failed = write_with(&path, |file| {
            file.write_all(&[7; 100_000])?;
            Err(io::Error::other("disk on fire"))
        });
        assert!(failed.unwrap_err().to_string().contains("disk on fire"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.bin"]);
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(write(folder.path(), b"").is_err());
        assert!(write(folder.path().join("absent/x"), b"").unwrap_err().to_string().contains("does not exist"));
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        {
            let folder = AtomicFolder::create(&path).unwrap();
            fs::write(folder.partial().join("x"), b"1").unwrap();
        }
        assert!(names(root.path()).is_empty());
        let folder = AtomicFolder::resume(&path).unwrap();
        fs::write(folder.partial().join("x"), b"1").unwrap();
        drop(folder);
        assert_eq!(names(root.path()), ["data.partial"]);
        let folder = AtomicFolder::resume(&path).unwrap();
        assert!(folder.partial().join("x").exists());
        assert!(AtomicFolder::resume(&path).unwrap_err().to_string().contains("another run"));
        folder.commit().unwrap();
        assert_eq!(names(root.path()), ["data"]);
        assert_eq!(names(&path), ["x"]);
        assert_eq!(AtomicFolder::create(&path).unwrap_err().exit_code(), 2);
    }
}
