//! Zip archives, the envelope of `.npz`, `.pt` and `.whl`: reading that no claimed size can inflate, writing the same bytes each time.

use crate::{Error, Result};
use std::io::{Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// What every entry may expand to, whatever its compressed size.
const SMALL: u64 = 64 << 20;
/// How many times its compressed size a larger entry may expand to. Weights and ECGs stay below 10; zip bombs reach 1000.
const EXPANSION: u64 = 100;
/// More entries than any array file or wheel has.
const ENTRIES: usize = 100_000;

/// The first bytes of a zip file.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

/// An open archive. `path` names it in errors.
pub(crate) struct Archive<R> {
    path: PathBuf,
    zip: ZipArchive<R>,
}

impl<R: Read + Seek> Archive<R> {
    pub(crate) fn open(path: &Path, from: R) -> Result<Self> {
        let zip =
            ZipArchive::new(from).map_err(|error| Error::format(path, format!("not a readable zip archive (truncated?): {error}")))?;
        if zip.len() > ENTRIES {
            return Err(Error::format(path, format!("{} entries: at most {ENTRIES} are read", zip.len())));
        }
        Ok(Archive { path: path.into(), zip })
    }

    /// The names of the entries, in the archive's order.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let bad = |error| Error::format(&self.path, format!("the name of an entry is not readable: {error}"));
        self.zip.file_names().map(|name| name.map(|name| name.into_owned()).map_err(bad)).collect()
    }

    /// The contents of the entry called `name`, at most `limit` bytes.
    pub(crate) fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let bad = |problem: String| Error::format(&self.path, format!("entry '{}': {problem}", name.escape_debug()));
        let entry = self.zip.by_name(name).map_err(|error| bad(error.to_string()))?;
        let claimed = entry.size();
        if claimed > limit {
            return Err(bad(format!("{claimed} bytes, at most {limit} are expected here")));
        }
        if claimed > SMALL.max(entry.compressed_size().saturating_mul(EXPANSION)) {
            return Err(bad(format!("claims to expand from {} to {claimed} bytes: refused as a zip bomb", entry.compressed_size())));
        }
        // The vector grows with what really comes out, so a false claim costs nothing.
        let mut bytes = Vec::new();
        entry.take(claimed + 1).read_to_end(&mut bytes).map_err(|error| bad(format!("damaged: {error}")))?;
        if bytes.len() as u64 != claimed {
            return Err(bad(format!("holds {} bytes, {claimed} claimed", bytes.len())));
        }
        Ok(bytes)
    }
}

/// Writes stored entries with a fixed date, so that the same contents give the same file.
pub(crate) struct Builder<W: Write + Seek> {
    zip: ZipWriter<W>,
}

impl<W: Write + Seek> Builder<W> {
    pub(crate) fn new(out: W) -> Self {
        Builder { zip: ZipWriter::new(out) }
    }

    /// Starts an entry of `size` bytes; its contents are written to the returned writer.
    pub(crate) fn entry(&mut self, name: &str, size: u64) -> std::io::Result<&mut impl Write> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(size >= u64::from(u32::MAX));
        self.zip.start_file(name, options)?;
        Ok(&mut self.zip)
    }

    pub(crate) fn finish(self) -> std::io::Result<W> {
        Ok(self.zip.finish()?)
    }
}

/// An archive in memory.
pub(crate) fn in_memory<'a>(path: &Path, bytes: &'a [u8]) -> Result<Archive<Cursor<&'a [u8]>>> {
    Archive::open(path, Cursor::new(bytes))
}
