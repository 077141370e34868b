//! Whose task it is: a file that can be made once, on any shared folder, and that its owner keeps alive.
//!
//! A claim is made by creating `claims/ID` exclusively, which is atomic on local file systems and on NFS from version 3. Its owner writes to it every
//! [`BEAT`]; one that has not been written to for [`DEAD`], by the clock of the folder's own file system, or whose process on this machine is gone, is
//! taken over by renaming it away. Two may then, rarely, do the same task: both make the same bytes under temporary names, so nothing is lost.

use crate::intake::{self, Most};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The folder of claims in a plan's.
pub(super) const CLAIMS: &str = "claims";
/// Time between signs of life.
const BEAT: Duration = Duration::from_secs(20);
/// A claim without one for so long is nobody's.
const DEAD: Duration = Duration::from_secs(180);

/// A sign of life takes a byte: a year of them.
const CLAIM: Most = Most { bytes: 1 << 21, of: "the claim of a task" };

/// What a claim says.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Owner {
    host: String,
    process: u32,
    /// When the process began, in the system's own count: numbers of processes come again.
    begun: String,
}

impl Owner {
    fn me() -> Self {
        let process = std::process::id();
        Owner { host: host(), process, begun: begun(process).unwrap_or_default() }
    }

    /// Whether it is known to be gone: a process of this machine that is not there, or another under its number.
    fn is_gone(&self) -> bool {
        cfg!(target_os = "linux") && self.host == host() && begun(self.process).is_none_or(|begun| begun != self.begun)
    }
}

/// The name of this machine and of its boot, as far as the system tells them.
fn host() -> String {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default().trim().to_owned();
    format!("{} {}", read("hostname"), read("random/boot_id"))
}

/// When a process of this machine began; `None` if there is none.
fn begun(process: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may hold blanks and brackets; what follows the last bracket does not. The state Z is of one that has ended.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if state == "Z" { None } else { fields.nth(18).map(str::to_owned) }
}

/// A claim that is held, and kept alive by a thread of its own.
pub(super) struct Claim {
    path: PathBuf,
    stop: Option<Sender<()>>,
    beats: Option<JoinHandle<()>>,
}

impl Claim {
    /// Claims a task; `None` while it is another's.
    ///
    /// # Errors
    /// [`Error::Format`] where something lies in the claim's place that is none, which is left there; [`Error::Io`].
    pub fn take(folder: &Path, id: usize) -> Result<Option<Self>> {
        let claims = folder.join(CLAIMS);
        fs::create_dir_all(&claims).map_err(|source| Error::io(&claims, source))?;
        let path = claims.join(id.to_string());
        for _ in 0..2 {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Self::hold(path, file).map(Some),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if !is_dead(&claims, &path)? {
                        return Ok(None);
                    }
                    // One of those who see that it is dead gets it away; the others find that it is gone, or a new one.
                    let away = claims.join(format!("{id}.dead-{}", std::process::id()));
                    if fs::rename(&path, &away).is_ok() {
                        let _ = fs::remove_file(&away);
                    }
                }
                Err(source) => return Err(Error::io(&path, source)),
            }
        }
        Ok(None)
    }

    fn hold(path: PathBuf, mut file: File) -> Result<Self> {
        let text = serde_json::to_string(&Owner::me()).map_err(|error| Error::format(&path, error.to_string()))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|source| Error::io(&path, source))?;
        let (stop, stopped) = channel();
        let beats = std::thread::spawn(move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                // Writing lets the file system set the time, by its own clock.
                let _ = file.write_all(b"\n").and_then(|()| file.sync_all());
            }
        });
        Ok(Claim { path, stop: Some(stop), beats: Some(beats) })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(beats) = self.beats.take() {
            let _ = beats.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a task is claimed by somebody who lives.
///
/// # Errors
/// As [`Claim::take`].
pub(super) fn is_claimed(folder: &Path, id: usize) -> Result<bool> {
    let claims = folder.join(CLAIMS);
    let path = claims.join(id.to_string());
    Ok(path.exists() && !is_dead(&claims, &path)?)
}

/// Whether a claim is nobody's any more. What is no claim of ours, whole or begun, is a user's: it is neither taken over nor waited for.
fn is_dead(claims: &Path, path: &Path) -> Result<bool> {
    let text = match intake::text(path, CLAIM) {
        // It went between the look and the reading.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(false),
        text => text?,
    };
    match serde_json::from_str::<Owner>(text.trim_end()) {
        Ok(owner) if owner.is_gone() => return Ok(true),
        // An owner that was cut off while it wrote.
        Err(error) if !error.is_eof() => {
            return Err(Error::format(path, "lies where the claim of a task is expected, and is none: move it elsewhere"));
        }
        _ => (),
    }
    let beat = fs::metadata(path).and_then(|about| about.modified());
    Ok(match (beat, now(claims)) {
        (Ok(beat), Some(now)) => now.duration_since(beat).is_ok_and(|silent| silent > DEAD),
        _ => false,
    })
}

/// The time by the clock of a folder's file system.
fn now(folder: &Path) -> Option<std::time::SystemTime> {
    let path = folder.join(format!("now-{}-{:?}", std::process::id(), std::thread::current().id()));
    let file = File::create(&path).ok()?;
    let now = file.metadata().and_then(|about| about.modified()).ok();
    let _ = fs::remove_file(&path);
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_one_s_and_comes_free() {
        let root = tempfile::tempdir().unwrap();
        let claim = Claim::take(root.path(), 3).unwrap().expect("it is free");
        assert!(is_claimed(root.path(), 3).unwrap() && !is_claimed(root.path(), 4).unwrap());
        assert!(Claim::take(root.path(), 3).unwrap().is_none());
        drop(claim);
        assert!(!is_claimed(root.path(), 3).unwrap());
        assert!(fs::read_dir(root.path().join(CLAIMS)).unwrap().next().is_none());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_claim_of_a_dead_process_or_a_silent_one_is_taken_over() {
        let root = tempfile::tempdir().unwrap();
        let claims = root.path().join(CLAIMS);
        fs::create_dir(&claims).unwrap();
        let write = |owner: &Owner| fs::write(claims.join("0"), serde_json::to_string(owner).unwrap()).unwrap();
        // Another process under the number of this one, and one that is not there.
        write(&Owner { begun: "1".into(), ..Owner::me() });
        assert!(!is_claimed(root.path(), 0).unwrap());
        write(&Owner { process: 4_000_000_000, ..Owner::me() });
        drop(Claim::take(root.path(), 0).unwrap().expect("its owner is dead"));
        // Another machine's lives while it is written to.
        write(&Owner { host: "another".into(), ..Owner::me() });
        assert!(Claim::take(root.path(), 0).unwrap().is_none());
        let old = std::time::SystemTime::now() - 2 * DEAD;
        File::options().write(true).open(claims.join("0")).unwrap().set_modified(old).unwrap();
        assert!(Claim::take(root.path(), 0).unwrap().is_some());
    }

    /// However old, and whatever it is: it is named and left, and nothing waits for it.
    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_no_claim_is_somebody_s() {
        let root = tempfile::tempdir().unwrap();
        let claims = root.path().join(CLAIMS);
        fs::create_dir(&claims).unwrap();
        let age = |name: &str| {
            let old = std::time::SystemTime::now() - 2 * DEAD;
            File::options().write(true).open(claims.join(name)).unwrap().set_modified(old).unwrap();
        };
        for (text, taken) in
            [("my thesis", false), ("[1]", false), ("{\"host\":\"a\",\"process\":1}", false), ("", true), ("{\"host\":\"a", true)]
        {
            fs::write(claims.join("0"), text).unwrap();
            age("0");
            match Claim::take(root.path(), 0) {
                Ok(claim) => assert!(taken && claim.is_some(), "{text:?}"),
                Err(error) => {
                    assert!(!taken && error.to_string().contains("claims/0: lies where the claim"), "{error}");
                    assert!(is_claimed(root.path(), 0).is_err());
                    assert_eq!(fs::read_to_string(claims.join("0")).unwrap(), text);
                }
            }
            let _ = fs::remove_file(claims.join("0"));
        }
        let pipe = std::process::Command::new("mkfifo").arg(claims.join("1")).status();
        if pipe.is_ok_and(|status| status.success()) {
            let error = Claim::take(root.path(), 1).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("is a pipe"), "{error}");
        }
    }

    #[test]
    fn many_threads_and_one_task() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let root = tempfile::tempdir().unwrap();
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let Some(claim) = Claim::take(root.path(), 1).unwrap() else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(claim);
                    }
                });
            }
        });
    }
}
