//! Writing that leaves either the whole file (or folder) or nothing: a temporary beside the target, synced, then renamed over it.
//!
//! What else is left on a disk, and who may remove it:
//! - every output has a lock, a file beside it or in its folder, which the system lets go of after a kill ([`OutputLock`]);
//! - a file's temporary is locked by the process that writes it: one without a living owner is removed by the next writer of that name;
//! - work that takes long is done in a work folder beside the output, which the lock's holder owns and which says that it is ours ([`WorkFolder`]).
//!
//! All these names begin with a dot and hold `.cardiograd-`; nothing under another name, and no folder without our marker, is ever removed.

mod lock;
mod work;

use crate::{Error, Result};
pub use lock::OutputLock;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
pub use work::{AtomicFolder, WorkFolder, earlier_work, remove_if_there, tidy};

/// A file that appears under its name only at [`AtomicFile::commit`]; dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    /// `None` once renamed or given up.
    file: Option<BufWriter<File>>,
    /// Where this process does not hold the output already, or a folder that it lies in.
    _lock: Option<OutputLock>,
}

impl AtomicFile {
    /// Opens a temporary file in the folder of `path`. A file that is replaced hands on its permissions.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder does not exist or cannot be written, or `path` is a folder or a device; [`Error::Usage`] while another
    /// process writes the same file.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let replaced = fs::metadata(&path).ok();
        if replaced.as_ref().is_some_and(|found| !found.is_file()) {
            return Err(Error::io(&path, io::Error::new(io::ErrorKind::InvalidInput, "exists and is not a plain file")));
        }
        let lock = if lock::is_held(&path)? { None } else { Some(OutputLock::beside(&path)?) };
        let (temporary, file) = open_temporary(&path)?;
        if let Some(replaced) = replaced {
            hand_on(&replaced, &temporary);
        }
        let file = Some(BufWriter::with_capacity(1 << 16, file));
        Ok(AtomicFile { path, temporary, file, _lock: lock })
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
        let synced = self.open().and_then(|file| file.flush().and_then(|()| file.get_ref().sync_all()));
        synced.and_then(|()| fs::rename(&self.temporary, &self.path)).map_err(|source| Error::io(&self.path, source))?;
        // Held open, and so locked, until it has its name: nobody takes the temporary for a dead one.
        self.file = None;
        sync_folder(folder_of(&self.path));
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

/// What stands between an output's name and the numbers that tell its temporaries apart.
const TEMPORARY: &str = ".cardiograd-tmp-";

/// A new file beside `path`, locked by this process, and its name.
fn open_temporary(path: &Path) -> Result<(PathBuf, File)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_file_name(hidden(file_name(path)?, &format!("{TEMPORARY}{}-{number}", std::process::id())));
        let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other.map_err(|source| Error::io(path, source))?,
        };
        match file.try_lock() {
            // Between the two calls another process may have found it without an owner.
            Ok(()) if lock::is_same_file(&file, &temporary) => return Ok((temporary, file)),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            // Without locks nobody removes temporaries that are not its own.
            Err(TryLockError::Error(_)) => return Ok((temporary, file)),
        }
    }
}

/// Finds out whether files can be made in a folder, by an attempt that leaves nothing; what a kill leaves of one, the next attempt removes.
///
/// # Errors
/// [`Error::Io`] if they cannot.
pub fn can_write_in(folder: &Path) -> Result<()> {
    sweep_one(folder, None);
    let (temporary, _file) = open_temporary(&folder.join("attempt"))?;
    fs::remove_file(&temporary).map_err(|source| Error::io(folder, source))
}

/// Removes what dead processes left of files: the temporaries in `folder` of the output `name`, or of any. Those of living processes, and
/// all of them on a file system without locks, stay.
fn sweep_one(folder: &Path, name: Option<&OsStr>) {
    let prefix = name.map(|name| hidden(name, TEMPORARY));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let file_name = entry.file_name();
        let text = file_name.to_string_lossy();
        let numbered = text.rsplit_once(TEMPORARY).is_some_and(|(before, after)| {
            before.starts_with('.') && after.split_once('-').is_some_and(|(a, b)| [a, b].iter().all(|n| n.parse::<u64>().is_ok()))
        });
        let wanted = prefix.as_ref().is_none_or(|prefix| file_name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes()));
        if numbered && wanted && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let path = entry.path();
            let dead = OpenOptions::new().write(true).open(&path).ok().filter(|file| file.try_lock().is_ok());
            if dead.is_some() {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// Removes the temporaries of dead processes everywhere below a folder whose lock the caller holds.
pub fn sweep(folder: &Path) {
    sweep_one(folder, None);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep(&entry.path());
        }
    }
}

/// Whether a name is one of ours: a lock, a temporary, a work folder.
pub fn is_ours(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with('.') && name.to_string_lossy().contains(".cardiograd-")
}

/// `.NAME` and what it is.
fn hidden(name: &OsStr, what: &str) -> OsString {
    let mut text = OsString::from(".");
    text.push(name);
    text.push(what);
    text
}

fn file_name(path: &Path) -> Result<&OsStr> {
    path.file_name().ok_or_else(|| Error::Usage(format!("'{}' is not the name of a file", path.display())))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Gives a file the owner and permissions of the one that it replaces, where that is allowed (an owner of one's own, a file system that has them);
/// elsewhere it has those of a new file.
fn hand_on(replaced: &fs::Metadata, to: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, chown};
        let _ = chown(to, None, Some(replaced.gid()));
        let _ = chown(to, Some(replaced.uid()), None);
    }
    // After the owner: a change of that takes permissions away.
    let _ = fs::set_permissions(to, replaced.permissions());
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

    pub(super) fn names(folder: &Path) -> Vec<String> {
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
    fn temporaries_of_the_dead_go_and_those_of_the_living_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let dead = [".a.bin.cardiograd-tmp-999999-0", ".a.bin.cardiograd-tmp-1-7"];
        let others = [
            ".a.bin.cardiograd-tmp-",
            ".a.bin.cardiograd-tmp-1-x",
            "a.bin.cardiograd-tmp-1-1",
            ".a.bin.1-1.partial",
            ".b.cardiograd-tmp-1-1",
        ];
        dead.iter().chain(&others).for_each(|name| fs::write(folder.path().join(name), "x").unwrap());
        let mut writing = AtomicFile::create(&path).unwrap();
        writing.write_all(b"whole").unwrap();
        sweep_one(folder.path(), Some(OsStr::new("a.bin")));
        assert!(writing.temporary.exists());
        let error = OutputLock::beside(&path).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().contains("another run is writing")), (2, true));
        writing.commit().unwrap();
        let mut left: Vec<&str> = others.to_vec();
        left.push("a.bin");
        left.sort();
        assert_eq!(names(folder.path()), left);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_replaced_hands_on_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
