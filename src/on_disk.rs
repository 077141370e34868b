//! Files of which parts are read over and over, more of them than may be open at once: those that were opened first are closed, and opened again when
//! their turn comes.
//!
//! A system lets a process hold some hundred open files (`ulimit -n`); a study of days of ECG is thousands.

use crate::{Error, Result, intake};
use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::SystemTime;

/// How many of these files are open at once. The smallest limit that systems come with is 256, of all that a process opens.
const MOST_OPEN: usize = 64;

type Handle = Mutex<Option<File>>;

/// The open ones, the first opened first. Closed and dropped ones leave when another one is opened.
static OPEN: Mutex<VecDeque<Weak<Handle>>> = Mutex::new(VecDeque::new());

/// A plain file, read from any place and any thread.
#[derive(Debug)]
pub(crate) struct OnDisk {
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    // A shared cursor and a lock, not the positional reads that each operating system spells differently: a part comes from the page cache in
    // microseconds, and what is done with it takes far longer.
    handle: Arc<Handle>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves a file as usable as before: every read begins with a seek.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OnDisk {
    /// Opens a plain file.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, length) = intake::open(path)?;
        let modified = file.metadata().and_then(|about| about.modified()).ok();
        let handle = Arc::new(Mutex::new(Some(file)));
        enter(&handle);
        Ok(OnDisk { path: path.into(), length, modified, handle })
    }

    /// Bytes that it had when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its first bytes, fewer if it is shorter.
    ///
    /// # Errors
    /// As [`OnDisk::fill`].
    pub fn start(&self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.length).unwrap_or(usize::MAX).min(count)];
        self.fill(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills a buffer from a place on.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] if it was cut off or, where it had to be opened again, changed since it was opened.
    pub fn fill(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        self.read(at, buffer).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => Error::format(&self.path, "was cut off since it was opened"),
            ErrorKind::InvalidData => Error::format(&self.path, source.to_string()),
            _ => Error::io(&self.path, source),
        })
    }

    /// As [`OnDisk::fill`], without the file's name.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut handle = lock(&self.handle);
        let file = match &mut *handle {
            Some(file) => file,
            closed => {
                let changed = || io::Error::new(ErrorKind::InvalidData, "was changed since it was opened");
                let (file, _) = intake::open(&self.path).map_err(|error| match error {
                    Error::Io { source, .. } => source,
                    // It is no plain file any more.
                    _ => changed(),
                })?;
                if !self.is(&file.metadata()?) {
                    return Err(changed());
                }
                enter(&self.handle);
                closed.insert(file)
            }
        };
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(buffer)
    }

    fn is(&self, about: &Metadata) -> bool {
        about.len() == self.length && about.modified().ok() == self.modified
    }
}

/// Counts a file among the open ones, and closes those opened first while there are too many; one that is being read from stays.
fn enter(handle: &Arc<Handle>) {
    let mut open = lock(&OPEN);
    open.retain(|other| other.strong_count() > 0);
    open.push_back(Arc::downgrade(handle));
    for _ in MOST_OPEN..open.len() {
        let Some(oldest) = open.pop_front() else { return };
        let Some(other) = oldest.upgrade() else { continue };
        match other.try_lock() {
            Ok(mut file) => *file = None,
            Err(TryLockError::Poisoned(file)) => *file.into_inner() = None,
            Err(TryLockError::WouldBlock) => open.push_back(oldest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> usize {
        let all: Vec<Arc<Handle>> = lock(&OPEN).iter().filter_map(Weak::upgrade).collect();
        all.iter().filter(|handle| lock(handle).is_some()).count()
    }

    #[test]
    fn more_files_than_may_be_open_are_read_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let of = |at: usize| {
            let path = folder.path().join(at.to_string());
            std::fs::write(&path, at.to_le_bytes()).unwrap();
            OnDisk::open(&path).unwrap()
        };
        let files: Vec<OnDisk> = (0..3 * MOST_OPEN).map(of).collect();
        for _ in 0..2 {
            std::thread::scope(|scope| {
                for half in files.chunks(files.len() / 2) {
                    scope.spawn(move || {
                        for file in half {
                            let mut bytes = [0; 8];
                            file.fill(0, &mut bytes).unwrap();
                            assert_eq!(usize::from_le_bytes(bytes).to_string(), file.path.file_name().unwrap().to_str().unwrap());
                        }
                    });
                }
            });
            // Those that other threads read while they should be closed may stay.
            assert!((1..=MOST_OPEN + 8).contains(&open()), "{}", open());
        }
        let closed = files.iter().find(|file| lock(&file.handle).is_none()).unwrap();
        std::fs::write(&closed.path, [0; 9]).unwrap();
        assert!(closed.fill(0, &mut [0; 8]).unwrap_err().to_string().contains("changed since it was opened"));
        let there = files.iter().find(|file| lock(&file.handle).is_some()).unwrap();
        assert!(there.fill(1, &mut [0; 8]).unwrap_err().to_string().contains("cut off"));
    }
}
