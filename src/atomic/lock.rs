//! One writer an output, in all processes: a lock file, locked by the operating system.

use super::{file_name, folder_of, hidden, sweep_one};
use crate::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The end of a lock file's name.
pub(super) const LOCK: &str = ".cardiograd-lock";

/// What this process holds: everything at or below these paths is written without a lock of its own.
static HELD: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The right to write an output, held for the whole run.
///
/// The lock file is locked by the system (`flock`), which lets go of it when the process ends, however it ends; the file itself is removed by
/// whoever held it, or by the next run after a kill. On a file system without locks the file's existence is the lock: there a kill leaves it, and the
/// message says what to remove.
#[derive(Debug)]
pub struct OutputLock {
    path: PathBuf,
    file: PathBuf,
    /// Open, and so locked, until this is dropped.
    _open: File,
    held: Vec<PathBuf>,
    /// Folders made for it: they go again if nothing came into them.
    made: Made,
}

impl OutputLock {
    /// Locks a file, or a folder that appears whole, by `.NAME.cardiograd-lock` beside it. What killed writers left of it is removed.
    ///
    /// # Errors
    /// [`Error::Usage`] while another run writes it, and for a path without a last name (`/`, `..`); [`Error::Io`] where its folder does not exist or
    /// cannot be written.
    pub fn beside(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (folder, name) = (folder_of(path), file_name(path)?);
        if !folder.is_dir() {
            let text = format!("the folder {} does not exist", folder.display());
            return Err(Error::io(path, io::Error::new(io::ErrorKind::NotFound, text)));
        }
        let lock = Self::acquire(path, folder.join(hidden(name, LOCK)))?;
        sweep_one(folder, Some(name));
        let held = [name.to_owned(), hidden(name, super::work::PARTIAL)].map(|name| identity(&folder.join(name)));
        Ok(lock.holding(held.into_iter().collect::<Result<_>>()?))
    }

    /// As [`OutputLock::beside`], making the folders that `path` lies in; they go again if nothing comes into them.
    ///
    /// # Errors
    /// As [`OutputLock::beside`].
    pub fn with_parents(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        file_name(path)?;
        let made = Made::folders(folder_of(path))?;
        let mut lock = Self::beside(path)?;
        lock.made = made;
        Ok(lock)
    }

    /// Locks a folder that is filled in place, by `.cardiograd-lock` in it; it is made if it is not there. What killed writers left of files directly
    /// in it is removed.
    ///
    /// # Errors
    /// As [`OutputLock::beside`].
    pub fn inside(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let made = Made::folders(folder)?;
        let mut lock = Self::acquire(folder, folder.join(LOCK))?;
        lock.made = made;
        sweep_one(folder, None);
        let held = fs::canonicalize(folder).map_err(|source| Error::io(folder, source))?;
        Ok(lock.holding(vec![held]))
    }

    /// As [`OutputLock::inside`]; `None` where this process holds the folder already, or one that it lies in.
    ///
    /// # Errors
    /// As [`OutputLock::beside`].
    pub fn inside_unless_held(folder: impl AsRef<Path>) -> Result<Option<Self>> {
        let folder = folder.as_ref();
        if fs::canonicalize(folder).is_ok_and(|folder| lock_list().iter().any(|held| folder.starts_with(held))) {
            return Ok(None);
        }
        Self::inside(folder).map(Some)
    }

    fn acquire(path: &Path, file: PathBuf) -> Result<Self> {
        let io = |source| Error::io(path, source);
        loop {
            let (open, new) = match OpenOptions::new().write(true).create_new(true).open(&file) {
                Ok(open) => (open, true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match OpenOptions::new().write(true).open(&file) {
                    Ok(open) => (open, false),
                    // Its holder has just removed it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(io(error)),
                },
                Err(error) => return Err(io(error)),
            };
            match open.try_lock() {
                // The holder before may have removed the file between our opening and locking it: then it locks nothing.
                Ok(()) if is_same_file(&open, &file) => {}
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Usage(format!("another run is writing {}: wait for it, or choose another name", path.display())));
                }
                Err(TryLockError::Error(_)) if new => {}
                Err(TryLockError::Error(_)) => {
                    let text = format!("its file system has no locks: if no other run is writing it, remove {}", file.display());
                    return Err(Error::Usage(format!("{}: {text}", path.display())));
                }
            }
            return Ok(OutputLock { path: path.to_owned(), file, _open: open, held: Vec::new(), made: Made(Vec::new()) });
        }
    }

    fn holding(mut self, held: Vec<PathBuf>) -> Self {
        lock_list().extend(held.iter().cloned());
        self.held = held;
        self
    }

    /// The output.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        let mut all = lock_list();
        for held in &self.held {
            if let Some(at) = all.iter().position(|other| other == held) {
                all.swap_remove(at);
            }
        }
        drop(all);
        // While it is still locked, so that nobody holds a file that is gone without noticing.
        let _ = fs::remove_file(&self.file);
    }
}

fn lock_list() -> MutexGuard<'static, Vec<PathBuf>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process holds the lock of `path`, or of a folder that it lies in.
pub(super) fn is_held(path: &Path) -> Result<bool> {
    if lock_list().is_empty() || !folder_of(path).is_dir() {
        return Ok(false);
    }
    let path = identity(path)?;
    Ok(lock_list().iter().any(|held| path.starts_with(held)))
}

/// One name for a path, whatever links lead to its folder.
fn identity(path: &Path) -> Result<PathBuf> {
    let folder = fs::canonicalize(folder_of(path)).map_err(|source| Error::io(path, source))?;
    Ok(folder.join(file_name(path)?))
}

/// Whether an open file is the one that has the name.
#[cfg(unix)]
pub(super) fn is_same_file(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |found: &fs::Metadata| (found.dev(), found.ino());
    matches!((open.metadata(), fs::metadata(path)), (Ok(a), Ok(b)) if place(&a) == place(&b))
}

/// Elsewhere an open file keeps its name.
#[cfg(not(unix))]
pub(super) fn is_same_file(_open: &File, path: &Path) -> bool {
    path.exists()
}

/// Folders made on the way to an output, the innermost last; those that are empty go again.
#[derive(Debug)]
struct Made(Vec<PathBuf>);

impl Made {
    fn folders(folder: &Path) -> Result<Self> {
        let missing: Vec<&Path> = folder.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists()).collect();
        let mut made = Made(Vec::new());
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Ok(()) => made.0.push(folder.to_owned()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::io(folder, source)),
            }
        }
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.0.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::names;
    use super::*;

    #[test]
    fn one_lock_an_output() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("out");
        let lock = OutputLock::beside(&path).unwrap();
        assert!(OutputLock::beside(&path).unwrap_err().to_string().contains("another run is writing"));
        assert!(is_held(&path).unwrap() && is_held(&root.path().join("./out")).unwrap());
        assert!(!is_held(&root.path().join("outer")).unwrap());
        drop(lock);
        assert!(!is_held(&path).unwrap());
        // A lock file that a kill left locks nothing.
        fs::write(root.path().join(".out.cardiograd-lock"), "").unwrap();
        drop(OutputLock::beside(&path).unwrap());
        assert!(names(root.path()).is_empty());
        assert!(OutputLock::beside(root.path().join("a/b")).unwrap_err().to_string().contains("does not exist"));
        assert_eq!(OutputLock::beside(root.path().join("..")).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn folders_that_stay_empty_go_again() {
        let root = tempfile::tempdir().unwrap();
        let lock = OutputLock::with_parents(root.path().join("a/b/out")).unwrap();
        assert!(root.path().join("a/b").is_dir());
        drop(lock);
        assert!(names(root.path()).is_empty());
        let lock = OutputLock::inside(root.path().join("a/b")).unwrap();
        assert!(OutputLock::inside(root.path().join("a/b")).is_err());
        assert!(is_held(&root.path().join("a/b/c")).unwrap());
        fs::write(root.path().join("a/x"), "").unwrap();
        drop(lock);
        assert_eq!(names(&root.path().join("a")), ["x"]);
    }

    /// Many threads that take and leave one lock: never two at once, and none is kept out by a file that is gone.
    #[test]
    fn taking_and_leaving_never_lets_two_in() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let root = tempfile::tempdir().unwrap();
        let (path, inside, turns) = (root.path().join("out"), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let Ok(lock) = OutputLock::beside(&path) else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        turns.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert!(turns.into_inner() >= 1);
        assert!(names(root.path()).is_empty());
    }
}
