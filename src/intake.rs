//! The one way in: how a file of a user is opened and read. Everything that reads one comes through here.
//!
//! Plain files alone are taken: a device may have no end, a pipe blocks and cannot be read twice. A file is read no further than its kind
//! can be long, and what it is said to be long is never believed beyond what comes out of it.

use crate::{Error, Result};
use std::fs::{File, FileType};
use std::io::Read;
use std::path::Path;

/// The most that files of a kind hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// Bytes.
    pub bytes: u64,
    /// The kind, for messages, e.g. `the key of a survey`.
    pub of: &'static str,
}

/// Opens a plain file and tells its length.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let io = |source| Error::io(path, source);
    // Before it is opened, for opening a pipe waits for whoever writes to it; and after, for it may have been exchanged between.
    plain(path, std::fs::metadata(path).map_err(io)?.file_type())?;
    let file = File::open(path).map_err(io)?;
    let about = file.metadata().map_err(io)?;
    plain(path, about.file_type())?;
    Ok((file, about.len()))
}

fn plain(path: &Path, kind: FileType) -> Result<()> {
    match kind {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_dir() => Err(Error::format(path, "is a folder where a file is wanted")),
        _ => Err(Error::format(path, "is a pipe, a device or a socket: only plain files are read, save it to one first")),
    }
}

/// Opens a plain file of no more than so many bytes, to be read to no more than that even if it grows.
pub(crate) fn open_most(path: &Path, most: Most) -> Result<std::io::Take<File>> {
    let (file, length) = open(path)?;
    if length > most.bytes {
        return Err(too_long(path, most, &length.to_string()));
    }
    Ok(file.take(most.bytes))
}

fn too_long(path: &Path, most: Most, length: &str) -> Error {
    Error::format(path, format!("{length} bytes: {} has at most {}", most.of, most.bytes))
}

/// The whole of a plain file.
pub(crate) fn read(path: &Path, most: Most) -> Result<Vec<u8>> {
    let mut file = open_most(path, most)?;
    file.set_limit(most.bytes.saturating_add(1));
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|source| Error::io(path, source))?;
    // It may have grown since it was opened.
    if bytes.len() as u64 > most.bytes { Err(too_long(path, most, "more")) } else { Ok(bytes) }
}

/// The first bytes of a plain file, fewer if it is shorter.
pub(crate) fn start(path: &Path, count: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.0.take(count).read_to_end(&mut bytes).map_err(|source| Error::io(path, source))?;
    Ok(bytes)
}

/// A part of a plain file: `length` bytes from `offset`, or all that follow, no more than `most`.
#[cfg(feature = "onnx")]
pub(crate) fn part(path: &Path, offset: u64, length: Option<u64>, most: u64) -> Result<Vec<u8>> {
    use std::io::Seek;
    let io = |source| Error::io(path, source);
    let (mut file, size) = open(path)?;
    let rest =
        size.checked_sub(offset).ok_or_else(|| Error::format(path, format!("it has {size} bytes, a part from {offset} is wanted")))?;
    let length = length.unwrap_or(rest);
    if length > rest.min(most) {
        return Err(Error::format(
            path,
            format!("{length} bytes from {offset} are wanted, it has {rest} there, and at most {most} are read"),
        ));
    }
    file.seek(std::io::SeekFrom::Start(offset)).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(Error::format(path, "it ends while it is read")) }
}

/// The whole of a plain file of text.
#[cfg(feature = "files")]
pub(crate) fn text(path: &Path, most: Most) -> Result<String> {
    utf8(path, read(path, most)?)
}

#[cfg(feature = "files")]
fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::format(path, format!("not a text file: byte {at} is not UTF-8"))
    })
}

/// A value in a JSON file of ours. Unknown fields are for the value's type to refuse; what is wrong is named with line and column.
#[cfg(feature = "files")]
pub(crate) fn json<V: serde::de::DeserializeOwned>(path: &Path, most: Most) -> Result<V> {
    serde_json::from_str(&text(path, most)?).map_err(|error| Error::format(path, format!("not {}: {error}", most.of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Most = Most { bytes: 10, of: "a small file" };

    #[test]
    fn plain_files_of_fitting_length_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, SMALL).unwrap(), b"0123456789");
        assert_eq!(start(&path, 3).unwrap(), b"012");
        std::fs::write(&path, "0123456789a").unwrap();
        assert!(read(&path, SMALL).unwrap_err().to_string().contains("11 bytes: a small file has at most 10"));
        assert!(read(folder.path(), SMALL).unwrap_err().to_string().contains("is a folder"));
        assert!(matches!(read(&folder.path().join("absent"), SMALL), Err(Error::Io { .. })));
    }

    #[cfg(all(unix, feature = "files"))]
    #[test]
    fn pipes_and_devices_are_refused_and_bytes_that_are_no_text_named() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
            let text = read(path, SMALL).unwrap_err().to_string();
            assert!(text.contains("only plain files") && text.starts_with(&path.display().to_string()), "{text}");
        }
        let path = folder.path().join("x");
        std::fs::write(&path, b"abc\xff").unwrap();
        assert!(text(&path, SMALL).unwrap_err().to_string().contains("byte 3 is not UTF-8"));
        std::fs::write(&path, "{\n 1").unwrap();
        let text = json::<Vec<u32>>(&path, SMALL).unwrap_err().to_string();
        assert!(text.contains("not a small file") && text.contains("line 1"), "{text}");
    }
}
