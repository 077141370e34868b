//! A `.npz` whose arrays grow together, some rows at a time, each in its final place: names and shapes are known ahead, and with them where every entry
//! lies. Nothing is written twice or kept in memory, and a file that was interrupted is gone on with. The bytes are those of
//! [`NpzWriter`](super::npz::NpzWriter).
//!
//! Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local headers), 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end) and 4.5.3 (zip64).

use super::npy::{self, Dtype, Element};
use crate::{Error, Result};
use crc32fast::Hasher;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A size or offset from which a field of 32 bits is not enough.
const WIDE: u64 = u32::MAX as u64;
/// 1 January 1980, the date of every entry.
const DATE: u16 = 0x21;
/// Bytes gathered before each write.
const CHUNK: usize = 1 << 16;

/// An array to come, of shape (N, …).
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its name, in ASCII.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// How far a file is: what is needed to go on with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Rows that every array has.
    pub rows: usize,
    /// The CRC-32 of each entry so far.
    pub crcs: Vec<u32>,
}

/// A `.npz` that grows.
pub struct NpzRows {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

/// An entry of the archive and how far it is.
#[derive(Debug)]
struct Entry {
    /// The name of the file in the archive.
    name: String,
    /// The type of an array's elements; a text has none, and its head is all of it.
    dtype: Option<Dtype>,
    /// The array's header.
    head: Vec<u8>,
    /// Where the local header begins, bytes.
    start: u64,
    /// Bytes of the array's header and data.
    size: u64,
    /// Bytes of one row.
    row: u64,
    /// Whether the size needs zip64. Decided as [`NpzWriter`](super::npz::NpzWriter) decides it.
    wide: bool,
    rows: usize,
    crc: Hasher,
}

impl NpzRows {
    /// Starts a file in place of whatever is there; it is to be given its name by the caller when it is finished.
    ///
    /// # Errors
    /// [`Error::Usage`] for two arrays of one name, a name that is not ASCII, or sizes beyond 2⁶⁴; [`Error::Io`].
    pub fn create(path: impl AsRef<Path>, arrays: &[Planned]) -> Result<Self> {
        Self::create_beside(path, arrays, None)
    }

    /// The same with a text behind the arrays: the name of its entry and what it says.
    ///
    /// # Errors
    /// As [`NpzRows::create`].
    pub fn create_beside(path: impl AsRef<Path>, arrays: &[Planned], text: Option<(&str, &str)>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let io = |source| Error::io(&path, source);
        let (entries, end) = layout(&path, arrays, text)?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).map_err(io)?;
        file.set_len(end).map_err(io)?;
        for entry in &entries {
            entry.put_header(&mut file).and_then(|()| file.write_all(&entry.head)).map_err(io)?;
        }
        Ok(NpzRows { path, file, entries })
    }

    /// Goes on with a file of the same arrays; what was written behind the mark is written again.
    ///
    /// # Errors
    /// As [`NpzRows::create`]; [`Error::Format`] if the file or the mark is not of these arrays.
    pub fn resume(path: impl AsRef<Path>, arrays: &[Planned], mark: &Mark) -> Result<Self> {
        Self::resume_beside(path, arrays, None, mark)
    }

    /// The same for a file with a text behind the arrays.
    ///
    /// # Errors
    /// As [`NpzRows::resume`].
    pub fn resume_beside(path: impl AsRef<Path>, arrays: &[Planned], text: Option<(&str, &str)>, mark: &Mark) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let io = |source| Error::io(&path, source);
        let (mut entries, end) = layout(&path, arrays, text)?;
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
        let fits = arrays.iter().all(|array| array.shape.first().is_some_and(|rows| mark.rows <= *rows));
        if mark.crcs.len() != entries.len() || !fits || file.metadata().map_err(io)?.len() < end {
            return Err(Error::format(&path, "it cannot be gone on with: it is not the file that its journal tells of"));
        }
        for (entry, crc) in entries.iter_mut().zip(&mark.crcs).filter(|(entry, _)| entry.dtype.is_some()) {
            (entry.rows, entry.crc) = (mark.rows, Hasher::new_with_initial(*crc));
        }
        Ok(NpzRows { path, file, entries })
    }

    /// Appends whole rows to the array at a place in the list.
    ///
    /// # Errors
    /// [`Error::Usage`] if they are of another type, not whole rows or too many; [`Error::Io`].
    pub fn append<T: Element>(&mut self, array: usize, values: &[T]) -> Result<()> {
        let Some(entry) = self.entries.get_mut(array) else {
            return Err(Error::Usage(format!("{}: there is no array {array}", self.path.display())));
        };
        let bytes = (values.len() * T::DTYPE.size()) as u64;
        let at = entry.data() + entry.rows as u64 * entry.row;
        if Some(T::DTYPE) != entry.dtype || entry.row == 0 || !bytes.is_multiple_of(entry.row) || at + bytes > entry.end() {
            return Err(Error::Usage(format!("{}: {} values are not rows of '{}'", self.path.display(), values.len(), entry.name)));
        }
        let mut put = || -> io::Result<()> {
            self.file.seek(SeekFrom::Start(at))?;
            let mut buffer = Vec::with_capacity(CHUNK);
            for some in values.chunks(CHUNK / T::DTYPE.size()) {
                buffer.clear();
                T::put_le(some, &mut buffer);
                self.file.write_all(&buffer)?;
                entry.crc.update(&buffer);
            }
            Ok(())
        };
        put().map_err(|source| Error::io(&self.path, source))?;
        entry.rows += (bytes / entry.row) as usize;
        Ok(())
    }

    /// Makes what was written durable and says how far it is.
    ///
    /// # Errors
    /// [`Error::Usage`] while arrays have different numbers of rows; [`Error::Io`].
    pub fn checkpoint(&mut self) -> Result<Mark> {
        let rows = self.entries.first().map_or(0, |entry| entry.rows);
        if let Some(entry) = self.entries.iter().find(|entry| entry.dtype.is_some() && entry.rows != rows) {
            return Err(Error::Usage(format!("{}: '{}' has {} rows, others {rows}", self.path.display(), entry.name, entry.rows)));
        }
        self.file.sync_data().map_err(|source| Error::io(&self.path, source))?;
        Ok(Mark { rows, crcs: self.entries.iter().map(|entry| entry.crc.clone().finalize()).collect() })
    }

    /// Completes the file, durably.
    ///
    /// # Errors
    /// [`Error::Usage`] if rows are missing; [`Error::Io`].
    pub fn finish(mut self) -> Result<()> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.data() + entry.rows as u64 * entry.row != entry.end()) {
            return Err(Error::Usage(format!("{}: '{}' lacks rows behind {}", self.path.display(), entry.name, entry.rows)));
        }
        let directory = directory(&self.entries);
        let mut put = || -> io::Result<()> {
            for entry in &self.entries {
                entry.put_header(&mut self.file)?;
            }
            self.file.seek(SeekFrom::Start(self.entries.last().map_or(0, Entry::end)))?;
            self.file.write_all(&directory)?;
            let end = self.file.stream_position()?;
            self.file.set_len(end)?;
            self.file.sync_all()
        };
        put().map_err(|source| Error::io(&self.path, source))
    }
}

/// Every entry in its place, and where the central directory begins.
fn layout(path: &Path, arrays: &[Planned], text: Option<(&str, &str)>) -> Result<(Vec<Entry>, u64)> {
    let fail = |problem: String| Error::Usage(format!("{}: {problem}", path.display()));
    let mut entries: Vec<Entry> = Vec::new();
    let mut start = 0u64;
    for Planned { name, dtype, shape } in arrays {
        if !name.is_ascii() || name.len() > 1000 || entries.iter().any(|other| other.name == format!("{name}.npy")) {
            return Err(fail(format!("'{}' is no name for an array here", name.escape_debug())));
        }
        let large = || fail(format!("'{name}' of shape {shape:?} is too large"));
        let row = shape.iter().skip(1).try_fold(dtype.size() as u64, |bytes, n| bytes.checked_mul(*n as u64)).ok_or_else(large)?;
        let data = shape.first().and_then(|rows| row.checked_mul(*rows as u64)).ok_or_else(large)?;
        let head = npy::header_bytes(*dtype, shape);
        let size = data.checked_add(head.len() as u64).ok_or_else(large)?;
        let mut crc = Hasher::new();
        crc.update(&head);
        let wide = data.saturating_add(1024) >= WIDE;
        let entry = Entry { name: format!("{name}.npy"), dtype: Some(*dtype), head, start, size, row, wide, rows: 0, crc };
        start = start.checked_add(entry.header().len() as u64).and_then(|at| at.checked_add(size)).ok_or_else(large)?;
        entries.push(entry);
    }
    if let Some((name, text)) = text {
        let (head, size) = (text.as_bytes().to_vec(), text.len() as u64);
        let crc = Hasher::new_with_initial(crc32fast::hash(&head));
        let entry = Entry { name: name.into(), dtype: None, head, start, size, row: 0, wide: size >= WIDE, rows: 0, crc };
        start =
            start.checked_add(entry.header().len() as u64).and_then(|at| at.checked_add(size)).ok_or_else(|| fail("too large".into()))?;
        entries.push(entry);
    }
    Ok((entries, start))
}

impl Entry {
    /// Where the rows begin.
    fn data(&self) -> u64 {
        self.end() - self.size + self.head.len() as u64
    }

    fn end(&self) -> u64 {
        self.start + self.header().len() as u64 + self.size
    }

    /// What the local header and the central one share: from the version to the length of the name.
    fn common(&self) -> Vec<u8> {
        let size = if self.wide { u32::MAX } else { self.size as u32 };
        let mut out = Vec::new();
        // Version, flags, method (stored), time.
        [if self.wide { 45u16 } else { 10 }, 0, 0, 0, DATE].iter().for_each(|field| out.extend(field.to_le_bytes()));
        [self.crc.clone().finalize(), size, size].iter().for_each(|field| out.extend(field.to_le_bytes()));
        out.extend((self.name.len() as u16).to_le_bytes());
        out
    }

    /// The zip64 field with these values; nothing without any.
    fn extra(values: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        if !values.is_empty() {
            [1u16, 8 * values.len() as u16].iter().for_each(|field| out.extend(field.to_le_bytes()));
            values.iter().for_each(|value| out.extend(value.to_le_bytes()));
        }
        out
    }

    /// The sizes for the zip64 field: as it is and compressed, which is the same.
    fn sizes(&self) -> Vec<u64> {
        if self.wide { vec![self.size; 2] } else { Vec::new() }
    }

    /// The local header.
    fn header(&self) -> Vec<u8> {
        let extra = Entry::extra(&self.sizes());
        let mut out = b"PK\x03\x04".to_vec();
        out.extend(self.common());
        out.extend((extra.len() as u16).to_le_bytes());
        out.extend(self.name.bytes());
        out.extend(extra);
        out
    }

    fn put_header(&self, file: &mut File) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.start))?;
        file.write_all(&self.header())
    }

    /// The header in the central directory.
    fn central(&self) -> Vec<u8> {
        let far = (self.start >= WIDE).then_some(self.start);
        let extra = Entry::extra(&self.sizes().into_iter().chain(far).collect::<Vec<_>>());
        let system: u8 = if cfg!(windows) { 0 } else { 3 };
        let mut out = b"PK\x01\x02".to_vec();
        out.extend([if self.wide { 45 } else { 10 }, system]);
        out.extend(self.common());
        out.extend((extra.len() as u16).to_le_bytes());
        // Comment, disk, internal attributes; then a plain file that everybody may read.
        out.extend([0; 6]);
        out.extend((0o100_644u32 << 16).to_le_bytes());
        out.extend((self.start.min(WIDE) as u32).to_le_bytes());
        out.extend(self.name.bytes());
        out.extend(extra);
        out
    }
}

/// The central directory and its end.
fn directory(entries: &[Entry]) -> Vec<u8> {
    let mut out: Vec<u8> = entries.iter().flat_map(Entry::central).collect();
    let (start, size, count) = (entries.last().map_or(0, Entry::end), out.len() as u64, entries.len());
    let wide = count > usize::from(u16::MAX) || start.max(size) > WIDE;
    if wide {
        let version = if entries.iter().any(|entry| entry.wide) { 45u16 } else { 10 };
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        [version, version].iter().for_each(|field| out.extend(field.to_le_bytes()));
        out.extend([0; 8]);
        [count as u64, count as u64, size, start].iter().for_each(|field| out.extend(field.to_le_bytes()));
        out.extend(b"PK\x06\x07");
        out.extend([0; 4]);
        out.extend((start + size).to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    let count = count.min(usize::from(u16::MAX)) as u16;
    out.extend(b"PK\x05\x06");
    [0, 0, count, count].iter().for_each(|field| out.extend(field.to_le_bytes()));
    [if wide { u32::MAX } else { size as u32 }, start.min(WIDE) as u32].iter().for_each(|field| out.extend(field.to_le_bytes()));
    out.extend([0; 2]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::npz::{self, NpzWriter};
    use ndarray::{Array1, Array3};

    fn planned(name: &str, dtype: Dtype, shape: &[usize]) -> Planned {
        Planned { name: name.into(), dtype, shape: shape.into() }
    }

    #[test]
    fn rows_in_any_portions_give_the_bytes_of_a_whole_write() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let map = Array3::from_shape_fn((7, 3, 5), |(n, c, t)| (n * 100 + c * 10 + t) as f32 - 0.5);
        let last = Array1::from_shape_fn(7, |n| n as f64 / 3.0);
        let mut whole = NpzWriter::create(place("whole.npz")).unwrap();
        whole.add("map", map.view()).unwrap();
        whole.add("prediction", last.view()).unwrap();
        whole.finish().unwrap();
        let arrays = [planned("map", Dtype::F32, &[7, 3, 5]), planned("prediction", Dtype::F64, &[7])];
        let (map, last) = (map.into_raw_vec_and_offset().0, last.into_raw_vec_and_offset().0);
        for portion in [1, 2, 3, 7] {
            let grown = place("grown.npz");
            let mut rows = NpzRows::create(&grown, &arrays).unwrap();
            for first in (0..7).step_by(portion) {
                let to = 7.min(first + portion);
                rows.append(0, &map[first * 15..to * 15]).unwrap();
                rows.append(1, &last[first..to]).unwrap();
                // As after a kill: what follows the mark is forgotten.
                let mark = rows.checkpoint().unwrap();
                if to < 7 {
                    rows.append(0, &[9.0f32; 15]).unwrap();
                    rows = NpzRows::resume(&grown, &arrays, &mark).unwrap();
                }
            }
            rows.finish().unwrap();
            assert!(std::fs::read(&grown).unwrap() == std::fs::read(place("whole.npz")).unwrap(), "in portions of {portion}");
        }
        let mut short = NpzRows::create(place("short.npz"), &arrays).unwrap();
        assert!(
            short.append(0, &[0.0f32; 14]).is_err() && short.append(0, &[0.0f64; 15]).is_err() && short.append(1, &[0.0f64; 8]).is_err()
        );
        short.append(0, &[0.0f32; 15]).unwrap();
        assert!(short.checkpoint().is_err());
        assert!(short.finish().is_err());
        let mark = Mark { rows: 8, crcs: vec![0, 0] };
        assert!(NpzRows::resume(place("whole.npz"), &arrays, &mark).is_err());
        assert!(NpzRows::create(place("x.npz"), &[planned("a", Dtype::F64, &[1 << 40, 1 << 40])]).is_err());
        assert!(NpzRows::create(place("x.npz"), &[planned("a", Dtype::F64, &[1]), planned("a", Dtype::F64, &[1])]).is_err());
    }

    /// The fields beyond 4 GiB, as the zip crate writes them; its own CRC-32 of zeros stands in for the data, which are a hole.
    #[test]
    fn beyond_4_gib_the_headers_are_those_of_the_zip_crate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.npz");
        let rows = (1usize << 32) / (12 * 5000 * 4) + 2;
        let arrays =
            [planned("a", Dtype::F32, &[rows, 12, 5000]), planned("b", Dtype::F32, &[3, 2]), planned("c", Dtype::F32, &[rows, 12, 5000])];
        let mut large = NpzRows::create(&path, &arrays).unwrap();
        for (entry, array) in large.entries.iter_mut().zip(&arrays) {
            entry.rows = array.shape[0];
        }
        large.append(1, &[0.0f32; 0]).unwrap();
        large.finish().unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        assert!(length > 2 * WIDE);
        assert_eq!(npz::names(&path).unwrap(), ["a", "b", "c"]);
        let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
        let sizes: Vec<u64> = (0..3).map(|at| archive.by_index(at).unwrap().size()).collect();
        assert_eq!(sizes, arrays.clone().map(|array| 128 + array.shape.iter().product::<usize>() as u64 * 4));
        let mut head = [0; 128];
        io::Read::read_exact(&mut archive.by_index(2).unwrap(), &mut head).unwrap();
        assert_eq!(head[..], npy::header_bytes(Dtype::F32, &[rows, 12, 5000]));
        // The same fields from the crate, for entries that claim as much but hold one byte.
        let claimed = |size: u64| {
            let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
            let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            zip.start_file("a.npy", options.last_modified_time(zip::DateTime::default()).large_file(size >= WIDE)).unwrap();
            zip.write_all(b"x").unwrap();
            zip.finish().unwrap().into_inner()
        };
        let theirs = claimed(1 << 33);
        let ours = Entry {
            size: 1,
            crc: Hasher::new_with_initial(crc32fast::hash(b"x")),
            ..layout(&path, &arrays[..1], None).unwrap().0.remove(0)
        };
        assert_eq!(theirs[..ours.header().len()], ours.header()[..]);
        let mut both = ours.header();
        both.push(b'x');
        both.extend(directory(std::slice::from_ref(&ours)));
        assert_eq!(theirs, both);
    }
}
