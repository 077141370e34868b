//! Zip archives, the envelope of `.npz`, `.pt` and `.whl`: reading that no claimed size can inflate, writing the same bytes each time.
//!
//! What comes out of an archive is bounded by its own length: entries may not share bytes, none may expand beyond all bounds, and all that is
//! read together may not either, those of an archive within the archive included. Opening and reading take time linear in the file.

use crate::{Error, Result};
use std::collections::HashMap;
use std::collections::hash_map;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// What every entry, and all that is read of an archive, may expand to, whatever the compressed size.
const SMALL: u64 = 64 << 20;
/// How many times its compressed size what is larger may expand to. Weights and ECGs stay below 10; zip bombs reach 1000.
const EXPANSION: u64 = 100;
/// What a zip file without 64-bit records can list; a network has some hundred tensors, a wheel some hundred files.
const ENTRIES: usize = 65_535;
/// The bytes of an entry's own header before its name.
const LOCAL_HEADER: u64 = 30;

/// The first bytes of a zip file.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

/// An open archive. `path` names it in errors.
pub(crate) struct Archive<R> {
    path: PathBuf,
    zip: ZipArchive<R>,
    names: Vec<String>,
    places: HashMap<String, usize>,
    /// Bytes that may still come out.
    room: u64,
}

impl<R: Read + Seek> Archive<R> {
    pub(crate) fn open(path: &Path, mut from: R) -> Result<Self> {
        let length = from.seek(SeekFrom::End(0)).map_err(|source| Error::io(path, source))?;
        Self::open_within(path, from, SMALL.max(length.saturating_mul(EXPANSION)))
    }

    /// An archive of which `room` bytes may come out.
    fn open_within(path: &Path, from: R, room: u64) -> Result<Self> {
        let bad = |problem: String| Error::format(path, problem);
        let zip = ZipArchive::new(from).map_err(|error| bad(format!("not a readable zip archive (truncated?): {error}")))?;
        if zip.len() > ENTRIES {
            return Err(bad(format!("{} entries: at most {ENTRIES} are read", zip.len())));
        }
        if zip.has_duplicate_names() {
            return Err(bad("holds two entries of one name".into()));
        }
        apart(&zip).map_err(bad)?;
        let mut names = Vec::with_capacity(zip.len());
        let mut places = HashMap::with_capacity(zip.len());
        for name in zip.file_names() {
            let name = name.map_err(|error| bad(format!("the name of an entry is not readable: {error}")))?.into_owned();
            match places.entry(name.clone()) {
                hash_map::Entry::Occupied(_) => return Err(bad(format!("holds two entries of one name, '{name}'"))),
                hash_map::Entry::Vacant(place) => place.insert(names.len()),
            };
            names.push(name);
        }
        Ok(Archive { path: path.into(), zip, names, places, room })
    }

    /// The names of the entries, in the archive's order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The contents of the entry called `name`, at most `limit` bytes.
    pub(crate) fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let bad = |problem: String| Error::format(&self.path, format!("entry '{name}': {problem}"));
        let place = *self.places.get(name).ok_or_else(|| bad("is not in the archive".into()))?;
        let entry = self.zip.by_index(place).map_err(|error| bad(error.to_string()))?;
        let claimed = entry.size();
        if claimed > limit {
            return Err(bad(format!("{claimed} bytes, at most {limit} are expected here")));
        }
        if claimed > SMALL.max(entry.compressed_size().saturating_mul(EXPANSION)) {
            return Err(bad(format!("claims to expand from {} to {claimed} bytes: refused as a zip bomb", entry.compressed_size())));
        }
        self.room = self.room.checked_sub(claimed).ok_or_else(|| {
            let hint = "refused as a zip bomb (if it is none, save it without compression)";
            bad(format!("with its {claimed} bytes more comes out of the archive than {EXPANSION} times its length: {hint}"))
        })?;
        // The vector grows with what really comes out, so a false claim costs nothing.
        let mut bytes = Vec::new();
        entry.take(claimed + 1).read_to_end(&mut bytes).map_err(|error| bad(format!("damaged: {error}")))?;
        if bytes.len() as u64 != claimed {
            return Err(bad(format!("holds {} bytes, {claimed} claimed", bytes.len())));
        }
        Ok(bytes)
    }

    /// An archive that was an entry of this one: what comes out of it counts as coming out of this one.
    pub(crate) fn nested<'a>(&self, path: &Path, bytes: &'a [u8]) -> Result<Archive<Cursor<&'a [u8]>>> {
        Archive::open_within(path, Cursor::new(bytes), self.room)
    }
}

/// Refuses entries that share bytes with each other or with the directory: a few bytes shown under many names expand without end.
fn apart<R: Read + Seek>(zip: &ZipArchive<R>) -> std::result::Result<(), String> {
    let span = |place: usize| {
        let entry = zip.by_index_data(place).map_err(|error| error.to_string())?;
        let (start, size) = (entry.header_start(), entry.compressed_size());
        Ok((start, start.saturating_add(LOCAL_HEADER).saturating_add(size)))
    };
    let mut spans = (0..zip.len()).map(span).collect::<std::result::Result<Vec<(u64, u64)>, String>>()?;
    spans.sort_unstable();
    spans.push((zip.central_directory_start(), u64::MAX));
    match spans.windows(2).all(|pair| pair[0].1 <= pair[1].0) {
        true => Ok(()),
        false => Err("entries overlap: refused as a zip bomb".into()),
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
