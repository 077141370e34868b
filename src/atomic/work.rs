//! Work that takes long: done in a folder beside the output, from where it gets its name when it is whole.

use super::{OutputLock, file_name, folder_of, hand_on, hidden, sweep, sync_folder};
use crate::intake;
use crate::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// The end of a work folder's name.
pub(super) const PARTIAL: &str = ".cardiograd-partial";
/// The file that says that a work folder is ours. The first thing in it, and the last to go.
const MARK: &str = ".cardiograd-work";
/// What it says.
const OURS: &[u8] = b"cardiograd's: work on the output beside this folder. Removed when that is done.\n";
/// The file that says that everything was ready to get its name.
const DONE: &str = ".cardiograd-done";

/// A folder beside an output in which it is made, with the output's lock: `.NAME.cardiograd-partial`.
///
/// The output is written to [`WorkFolder::place`], what belongs to it (a record) and what a later run can use (caches, checkpoints) to
/// [`WorkFolder::beside`]; [`WorkFolder::publish`] gives names and removes the rest. Files in it are written as everywhere; they need no locks
/// of their own.
#[derive(Debug)]
pub struct WorkFolder {
    lock: OutputLock,
    folder: PathBuf,
    place: PathBuf,
    continued: bool,
    remove: bool,
}

impl WorkFolder {
    /// Starts afresh: what an earlier run left is removed. Dropped unpublished, it leaves nothing.
    ///
    /// # Errors
    /// As [`OutputLock::beside`]; [`Error::Usage`] if the work folder's name is taken by something that is not ours.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(OutputLock::beside(path)?, false)
    }

    /// Goes on with what an earlier run left, or starts; kept when dropped, unless [`WorkFolder::discard`]ed.
    ///
    /// # Errors
    /// As [`WorkFolder::create`].
    pub fn resume(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(OutputLock::beside(path)?, true)
    }

    fn open(lock: OutputLock, resume: bool) -> Result<Self> {
        let name = file_name(lock.path())?;
        let folder = lock.path().with_file_name(hidden(name, PARTIAL));
        let place = folder.join(name);
        let found = is_there(&folder)?;
        if found && !resume {
            remove(&folder)?;
        } else if found {
            sweep(&folder);
            let _ = fs::remove_file(folder.join(DONE));
        }
        let continued = found && resume && fs::read_dir(&folder).is_ok_and(|mut all| all.any(|e| e.is_ok_and(|e| e.file_name() != MARK)));
        let io = |source| Error::io(&folder, source);
        if !folder.exists() {
            fs::create_dir(&folder).map_err(io)?;
        }
        let mark = folder.join(MARK);
        if !marked(&folder).is_ok_and(|text| text == OURS)
            && let Err(source) = fs::write(&mark, OURS)
        {
            if !continued {
                let _ = remove(&folder);
            }
            return Err(io(source));
        }
        Ok(WorkFolder { lock, folder, place, continued, remove: !resume })
    }

    /// The name that the output will have.
    pub fn path(&self) -> &Path {
        self.lock.path()
    }

    /// Where to write the output.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Where to write what else there is, under a name of the caller's.
    pub fn beside(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether an earlier run left something to go on with.
    pub fn is_continued(&self) -> bool {
        self.continued
    }

    /// Removes it.
    pub fn discard(mut self) {
        self.remove = true;
    }

    /// Keeps it when dropped, for a later [`WorkFolder::resume`].
    pub fn keep(&mut self) {
        self.remove = false;
    }

    /// Gives the output its name and removes the folder.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn commit(self) -> Result<()> {
        let name = file_name(&self.place)?.to_owned();
        self.publish(&[&name], None)
    }

    /// Gives what lies in here under these names the same names beside it, in this order and the record last, and removes the folder. A record
    /// that is replaced goes first, so that a kill on the way never leaves a new output with the old one's record. The same command, run again,
    /// mends what such a kill leaves.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn publish(mut self, names: &[&OsStr], record: Option<&OsStr>) -> Result<()> {
        let io = |source| Error::io(self.lock.path(), source);
        let to = |name: &OsStr| self.lock.path().with_file_name(name);
        sync_folder(&self.place);
        fs::write(self.folder.join(DONE), b"").map_err(io)?;
        sync_folder(&self.folder);
        if let Some(record) = record {
            remove_if_there(&to(record))?;
        }
        for name in names.iter().chain(&record) {
            let (from, to) = (self.folder.join(name), to(name));
            if let Ok(replaced) = fs::metadata(&to) {
                hand_on(&replaced, &from);
            }
            fs::rename(from, &to).map_err(|source| Error::io(to, source))?;
        }
        sync_folder(folder_of(self.lock.path()));
        self.remove = true;
        Ok(())
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if self.remove {
            let _ = remove(&self.folder);
        }
    }
}

/// What the mark of a folder says, as far as ours goes: a user's folder may hold anything under that name.
fn marked(folder: &Path) -> Result<Vec<u8>> {
    intake::start(&folder.join(MARK), OURS.len() as u64 + 1)
}

/// Whether there is a work folder. What is there under its name and is not ours is an error: it is never written into or removed.
fn is_there(folder: &Path) -> Result<bool> {
    let Ok(found) = fs::symlink_metadata(folder) else { return Ok(false) };
    let empty = || fs::read_dir(folder).is_ok_and(|mut all| all.next().is_none());
    // A kill may come between making the folder and marking it.
    if found.is_dir() && (empty() || marked(folder).is_ok_and(|text| OURS.starts_with(&text))) {
        return Ok(true);
    }
    Err(Error::Usage(format!("{} is not this program's: move it away, or choose another name for the output", folder.display())))
}

/// Removes a work folder, what says that it is done and whose it is last: a kill on the way leaves one that can still be told.
fn remove(folder: &Path) -> Result<()> {
    let io = |source| Error::io(folder, source);
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if [MARK, DONE].iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let path = entry.path();
        let gone = if entry.file_type().map_err(io)?.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        gone.map_err(io)?;
    }
    remove_if_there(&folder.join(DONE))?;
    remove_if_there(&folder.join(MARK))?;
    fs::remove_dir(folder).map_err(io)
}

/// Removes a file that need not be there.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_if_there(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::io(file, source)),
        _ => Ok(()),
    }
}

/// A folder that appears whole or not at all: filled under [`AtomicFolder::partial`], it gets its own name at [`AtomicFolder::commit`].
#[derive(Debug)]
pub struct AtomicFolder {
    work: WorkFolder,
}

impl AtomicFolder {
    /// Starts afresh: what an earlier run left is removed. Dropped before it is committed, it leaves nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] if `path` exists already (nothing of the user's is ever overwritten by a folder), or while another run makes it; [`Error::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref(), false)
    }

    /// Goes on with what an earlier run left, or starts; it is kept when dropped.
    ///
    /// # Errors
    /// As [`AtomicFolder::create`].
    pub fn resume(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref(), true)
    }

    fn open(path: &Path, resume: bool) -> Result<Self> {
        let taken = || Error::Usage(format!("{} exists already: remove it or choose another name", path.display()));
        if exists(path) {
            tidy(path);
            return Err(taken());
        }
        let lock = OutputLock::with_parents(path)?;
        // Another run may have given it its name since.
        if exists(path) {
            return Err(taken());
        }
        let work = WorkFolder::open(lock, resume)?;
        if !work.place().is_dir() {
            fs::create_dir(work.place()).map_err(|source| Error::io(path, source))?;
        }
        Ok(AtomicFolder { work })
    }

    /// Where to write the contents.
    pub fn partial(&self) -> &Path {
        self.work.place()
    }

    /// The name that the folder will have.
    pub fn path(&self) -> &Path {
        self.work.path()
    }

    /// Where to write what is not among the contents and a later run can use: caches, how far it is. It goes when the folder gets its name.
    pub fn beside(&self, name: impl AsRef<Path>) -> PathBuf {
        self.work.beside(name)
    }

    /// Removes what an earlier run left among the contents.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn empty(&self) -> Result<()> {
        let place = self.partial();
        fs::remove_dir_all(place).and_then(|()| fs::create_dir(place)).map_err(|source| Error::io(place, source))
    }

    /// The folder in which it is made, to be named to people.
    pub fn work(&self) -> &Path {
        self.work.folder()
    }

    /// Whether an earlier run left something to go on with.
    pub fn is_continued(&self) -> bool {
        self.work.is_continued()
    }

    /// Leaves what is done in place when dropped, for a later [`AtomicFolder::resume`].
    pub fn keep_partial(&mut self) {
        self.work.keep();
    }

    /// Removes what is done.
    pub fn discard(self) {
        self.work.discard();
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// [`Error::Usage`] if something has got that name meanwhile; [`Error::Io`].
    pub fn commit(self) -> Result<()> {
        if exists(self.path()) {
            return Err(Error::Usage(format!(
                "{} was made meanwhile by something else: its result is not replaced",
                self.path().display()
            )));
        }
        self.work.commit()
    }
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// What a kill may leave beside an output that has got its name, its lock file and its empty work folder: removes it.
pub fn tidy(path: &Path) {
    let Ok(name) = file_name(path) else { return };
    let folder = path.with_file_name(hidden(name, PARTIAL));
    if !folder.exists() && !path.with_file_name(hidden(name, super::lock::LOCK)).exists() {
        return;
    }
    let Ok(_lock) = OutputLock::beside(path) else { return };
    let ours = is_there(&folder).is_ok_and(|there| there) && !folder.join(name).exists();
    // A kill may also come while a finished one is removed.
    let bare = || fs::read_dir(&folder).is_ok_and(|mut all| all.all(|entry| entry.is_ok_and(|entry| entry.file_name() == MARK)));
    if ours && (folder.join(DONE).exists() || bare()) {
        let _ = remove(&folder);
    }
}

/// Unfinished work of an earlier version of this program, which kept it under `NAME.partial`: neither gone on with nor removed.
pub fn earlier_work(path: &Path) -> Option<PathBuf> {
    let mut name: OsString = path.file_name()?.to_owned();
    name.push(".partial");
    Some(path.with_file_name(name)).filter(|folder| folder.join(".lock").is_file())
}

#[cfg(test)]
mod tests {
    use super::super::{tests::names, write};
    use super::*;

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        // A user's folders, whatever they are called, are none of ours.
        fs::create_dir(root.path().join("data.partial")).unwrap();
        {
            let folder = AtomicFolder::create(&path).unwrap();
            fs::write(folder.partial().join("x"), b"1").unwrap();
        }
        assert_eq!(names(root.path()), ["data.partial"]);
        let folder = AtomicFolder::resume(&path).unwrap();
        assert!(!folder.is_continued());
        fs::write(folder.partial().join("x"), b"1").unwrap();
        fs::write(folder.beside("cache"), b"1").unwrap();
        drop(folder);
        assert_eq!(names(root.path()), [".data.cardiograd-partial", "data.partial"]);
        let folder = AtomicFolder::resume(&path).unwrap();
        assert!(folder.is_continued() && folder.partial().join("x").exists() && folder.beside("cache").exists());
        assert!(AtomicFolder::resume(&path).unwrap_err().to_string().contains("another run"));
        assert!(AtomicFolder::create(&path).unwrap_err().to_string().contains("another run"));
        folder.commit().unwrap();
        assert_eq!(names(root.path()), ["data", "data.partial"]);
        assert_eq!(names(&path), ["x"]);
        assert_eq!(AtomicFolder::create(&path).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn what_is_not_ours_is_not_touched() {
        let root = tempfile::tempdir().unwrap();
        let (path, work) = (root.path().join("data"), root.path().join(".data.cardiograd-partial"));
        fs::create_dir(&work).unwrap();
        fs::write(work.join("thesis"), b"years").unwrap();
        for outcome in [AtomicFolder::create(&path), AtomicFolder::resume(&path)] {
            assert!(outcome.unwrap_err().to_string().contains("not this program's"));
        }
        assert_eq!(names(root.path()), [".data.cardiograd-partial"]);
        assert_eq!(names(&work), ["thesis"]);
        fs::remove_dir_all(&work).unwrap();
        fs::write(&work, b"a file").unwrap();
        assert!(AtomicFolder::create(&path).is_err());
        fs::remove_file(&work).unwrap();
        // Between making a work folder and marking it there is nothing in it.
        fs::create_dir(&work).unwrap();
        AtomicFolder::create(&path).unwrap().commit().unwrap();
        assert_eq!(names(root.path()), ["data"]);
    }

    #[test]
    fn a_kill_after_the_rename_is_tidied_and_one_before_is_gone_on_with() {
        let root = tempfile::tempdir().unwrap();
        let (path, work) = (root.path().join("data"), root.path().join(".data.cardiograd-partial"));
        AtomicFolder::create(&path).unwrap().commit().unwrap();
        fs::create_dir(&work).unwrap();
        for (name, text) in [(MARK, OURS), (DONE, b""), ("cache", b"")] {
            fs::write(work.join(name), text).unwrap();
        }
        assert!(AtomicFolder::create(&path).is_err());
        assert_eq!(names(root.path()), ["data"]);
        fs::create_dir(&work).unwrap();
        fs::write(work.join(MARK), OURS).unwrap();
        assert!(AtomicFolder::create(&path).is_err());
        assert_eq!(names(root.path()), ["data"]);
        // Work that is not done is not thrown away because something else has the name.
        fs::create_dir(&work).unwrap();
        fs::write(work.join(MARK), OURS).unwrap();
        fs::write(work.join("cache"), "").unwrap();
        assert!(AtomicFolder::resume(&path).is_err());
        assert_eq!(names(&work), [MARK, "cache"]);
    }

    #[test]
    fn an_output_and_its_record_come_together() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/out.npz");
        assert!(WorkFolder::create(&path).unwrap_err().to_string().contains("does not exist"));
        fs::create_dir(root.path().join("a")).unwrap();
        for text in ["old", "new"] {
            let work = WorkFolder::create(&path).unwrap();
            write(work.place(), text.as_bytes()).unwrap();
            write(work.beside("out.npz.record"), text.as_bytes()).unwrap();
            write(work.beside("cache"), b"").unwrap();
            work.publish(&["out.npz".as_ref()], Some("out.npz.record".as_ref())).unwrap();
            assert_eq!(names(path.parent().unwrap()), ["out.npz", "out.npz.record"]);
            assert_eq!(fs::read(path.with_file_name("out.npz.record")).unwrap(), text.as_bytes());
        }
        // What cannot be published leaves the old output, without a record that might not be its own.
        let work = WorkFolder::create(&path).unwrap();
        assert!(work.publish(&["out.npz".as_ref()], Some("out.npz.record".as_ref())).is_err());
        assert_eq!(names(path.parent().unwrap()), ["out.npz"]);
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
