//! The arrays of an HDF5 file, read a part at a time: contiguous, compact or in chunks, which may be filtered.
//!
//! Format: "HDF5 File Format Specification", version 3.0, III.A.1 (trees of chunks), IV.A.2.i (layout), VII.C (fixed array index).

use super::disk::Disk;
use super::filter::Filters;
use super::index::{self, grid};
use super::object::{DATASPACE, DATATYPE, Element, FILTERS, LAYOUT, Message, find, shape};
use crate::ecg::read::bytes::{Bytes, Found, LARGEST_PART};
use std::sync::{Arc, Mutex, PoisonError};

/// The longest axis of an array, and the most elements of a part that is read.
const MOST_AXIS: u64 = 1 << 40;
const MOST_ELEMENTS: u64 = 1 << 25;
/// Bytes of chunks that are kept once they are inflated: rows beside each other lie in the same ones.
const KEPT: usize = 1 << 26;

enum Stored {
    /// At an address.
    Contiguous(u64),
    Compact(Vec<u8>),
    Chunked {
        /// The shape of a chunk.
        chunk: Vec<u64>,
        /// All of them, the last axis varying fastest.
        chunks: Vec<index::Chunk>,
        filters: Filters,
        kept: Mutex<Kept>,
    },
}

/// Chunks that were read last, newest first, by their place in the index.
#[derive(Default)]
struct Kept {
    chunks: Vec<(usize, Arc<Vec<u8>>)>,
    bytes: usize,
}

/// An array.
pub struct Array {
    /// Its axes, the last one varying fastest.
    pub shape: Vec<u64>,
    /// Its elements.
    pub element: Element,
    size: usize,
    stored: Stored,
}

impl Array {
    /// Of a dataset's messages; `None` if the object is no dataset.
    pub fn open(disk: &Disk, messages: &[Message]) -> Found<Option<Self>> {
        let Some(layout) = find(messages, LAYOUT)? else { return Ok(None) };
        let (Some(space), Some(kind)) = (find(messages, DATASPACE)?, find(messages, DATATYPE)?) else { return Ok(None) };
        let (shape, element) = (shape(disk, space)?, Element::read(kind)?);
        let size = match element {
            Element::Number(number, _) => number.size(),
            Element::Text(size) | Element::Other(size) => size,
            Element::Elsewhere => 8 + disk.sizes().0,
        };
        if size == 0 || shape.iter().any(|axis| *axis > MOST_AXIS) {
            return Err(format!("elements of {size} bytes in a shape of {shape:?}"));
        }
        // Also where one axis is empty, so that no product of others overflows.
        let bytes = shape.iter().try_fold(size as u64, |product, axis| product.checked_mul((*axis).max(1)));
        bytes.filter(|bytes| *bytes < 1 << 62).ok_or_else(|| format!("its shape {shape:?} is too large"))?;
        let filters = Filters::read(find(messages, FILTERS)?)?;
        let stored = stored(disk, layout, &shape, size, filters)?;
        Ok(Some(Array { shape, element, size, stored }))
    }

    /// All elements at one place of an axis, in the order of the other axes; all of them where there is no axis to choose.
    pub fn part(&self, disk: &Disk, of: Option<(usize, u64)>) -> Found<Vec<u8>> {
        let mut begin = vec![0; self.shape.len()];
        let mut count = self.shape.clone();
        if let Some((axis, at)) = of {
            (begin[axis], count[axis]) = (at, 1);
        }
        let total = count.iter().try_fold(1u64, |product, size| product.checked_mul(*size)).filter(|total| *total <= MOST_ELEMENTS);
        let total = total.and_then(|total| total.checked_mul(self.size as u64)).filter(|bytes| *bytes <= 4 * LARGEST_PART);
        let total = total.ok_or_else(|| format!("a part of {count:?} elements is too large to be read at once"))?;
        if total == 0 {
            return Ok(Vec::new());
        }
        match &self.stored {
            Stored::Compact(bytes) => self.cut(bytes, &begin, &count, total),
            Stored::Contiguous(place) => self.contiguous(disk, *place, of, total),
            Stored::Chunked { chunk, chunks, filters, kept } => {
                let mut to = vec![0; total as usize];
                let low: Vec<u64> = begin.iter().zip(chunk).map(|(begin, chunk)| begin / chunk).collect();
                let high: Vec<u64> =
                    begin.iter().zip(&count).zip(chunk).map(|((begin, count), chunk)| (begin + count).div_ceil(*chunk)).collect();
                let grid = grid(&self.shape, chunk);
                let mut cell = low.clone();
                loop {
                    let at = number(&cell, &grid) as usize;
                    let one = chunks.get(at).ok_or("one of its chunks is not there")?;
                    let bytes = self.chunk(disk, at, one, chunk, filters, kept)?;
                    copy(&bytes, &one.begin, chunk, &mut to, &begin, &count, self.size);
                    if !advance(&mut cell, &low, &high) {
                        return Ok(to);
                    }
                }
            }
        }
    }

    /// A part of an array that lies in one piece: runs of what follows one another, or all of it where runs are many and it is not large.
    fn contiguous(&self, disk: &Disk, place: u64, of: Option<(usize, u64)>, total: u64) -> Found<Vec<u8>> {
        let size = self.size as u64;
        let (outer, run, step, begin) = match of {
            None => (1, total, 0, 0),
            Some((axis, at)) => {
                let run = self.shape[axis + 1..].iter().product::<u64>() * size;
                (self.shape[..axis].iter().product(), run, self.shape[axis] * run, at * run)
            }
        };
        let whole = outer * step;
        if outer > 1 && whole <= LARGEST_PART {
            let bytes = disk.bytes(place, whole)?;
            let runs = bytes.chunks_exact(step as usize).flat_map(|part| &part[begin as usize..][..run as usize]);
            return Ok(runs.copied().collect());
        }
        let mut to = Vec::with_capacity(total as usize);
        for at in 0..outer {
            let (mut from, mut left) = (place.checked_add(at * step + begin).ok_or("it lies outside of the file")?, run);
            while left > 0 {
                let piece = left.min(LARGEST_PART);
                to.extend(disk.bytes(from, piece)?);
                (from, left) = (from + piece, left - piece);
            }
        }
        Ok(to)
    }

    fn cut(&self, bytes: &[u8], begin: &[u64], count: &[u64], total: u64) -> Found<Vec<u8>> {
        let whole = self.shape.iter().try_fold(self.size as u64, |product, size| product.checked_mul(*size));
        if whole != Some(bytes.len() as u64) {
            return Err(format!("{} bytes for an array of {:?}", bytes.len(), self.shape));
        }
        let mut to = vec![0; total as usize];
        copy(bytes, &vec![0; begin.len()], &self.shape, &mut to, begin, count, self.size);
        Ok(to)
    }

    fn chunk(
        &self,
        disk: &Disk,
        at: usize,
        one: &index::Chunk,
        shape: &[u64],
        filters: &Filters,
        kept: &Mutex<Kept>,
    ) -> Found<Arc<Vec<u8>>> {
        if let Some((_, bytes)) = kept.lock().unwrap_or_else(PoisonError::into_inner).chunks.iter().find(|(other, _)| *other == at) {
            return Ok(bytes.clone());
        }
        let length = (shape.iter().product::<u64>() * self.size as u64) as usize;
        let plain = filters.undo(disk.bytes(one.place, one.bytes)?, one.skipped, self.size, length)?;
        if plain.len() < length {
            return Err(format!("a chunk has {} bytes where its shape {shape:?} asks for {length}", plain.len()));
        }
        let plain = Arc::new(plain);
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += plain.len();
        kept.chunks.insert(0, (at, plain.clone()));
        while kept.bytes > KEPT && kept.chunks.len() > 1 {
            let gone = kept.chunks.pop().map_or(0, |(_, bytes)| bytes.len());
            kept.bytes -= gone;
        }
        Ok(plain)
    }
}

/// Copies what two boxes of elements share: `from` of shape `shape` at `at`, `to` of shape `count` at `begin`.
fn copy(from: &[u8], at: &[u64], shape: &[u64], to: &mut [u8], begin: &[u64], count: &[u64], size: usize) {
    let axes = shape.len();
    let low: Vec<u64> = (0..axes).map(|axis| at[axis].max(begin[axis])).collect();
    let high: Vec<u64> = (0..axes).map(|axis| (at[axis] + shape[axis]).min(begin[axis] + count[axis])).collect();
    if axes == 0 {
        to.copy_from_slice(&from[..to.len()]);
        return;
    }
    if low.iter().zip(&high).any(|(low, high)| low >= high) {
        return;
    }
    let place = |index: &[u64], origin: &[u64], shape: &[u64]| {
        (0..axes).fold(0, |sum, axis| sum * shape[axis] as usize + (index[axis] - origin[axis]) as usize) * size
    };
    let run = (high[axes - 1] - low[axes - 1]) as usize * size;
    let mut index = low.clone();
    loop {
        let (source, target) = (place(&index, at, shape), place(&index, begin, count));
        to[target..target + run].copy_from_slice(&from[source..source + run]);
        // The next run: the last axis but one counts fastest.
        if !advance(&mut index[..axes - 1], &low, &high) {
            return;
        }
    }
}

/// Goes to the next place of a box, the last axis counting fastest; whether there is one.
fn advance(index: &mut [u64], low: &[u64], high: &[u64]) -> bool {
    for axis in (0..index.len()).rev() {
        index[axis] += 1;
        if index[axis] < high[axis] {
            return true;
        }
        index[axis] = low[axis];
    }
    false
}

/// The number of a chunk by its place in the grid.
fn number(cell: &[u64], grid: &[u64]) -> u64 {
    cell.iter().zip(grid).fold(0, |sum, (at, size)| sum * size + at)
}

fn stored(disk: &Disk, layout: &[u8], shape: &[u64], size: usize, filters: Filters) -> Found<Stored> {
    let mut at = Bytes::new(layout);
    let version = at.u8()?;
    let filtered = !filters.is_empty();
    let written = |place: Option<u64>| place.map(Stored::Contiguous).ok_or_else(|| "nothing was ever written to it".to_owned());
    let chunked = |chunk: Vec<u64>, mut chunks: Vec<index::Chunk>| {
        let bytes = chunk.iter().try_fold(size as u64, |product, size| product.checked_mul(*size));
        if !matches!(bytes, Some(1..=LARGEST_PART)) || chunk.len() != shape.len() {
            return Err(format!("its chunks of {chunk:?} do not fit its shape {shape:?}, or are too large"));
        }
        let fits =
            |one: &index::Chunk| (0..shape.len()).all(|axis| one.begin[axis] < shape[axis] && one.begin[axis].is_multiple_of(chunk[axis]));
        if !chunks.iter().all(fits) {
            return Err("one of its chunks lies outside of it".into());
        }
        // A chunk that is not there stands for zeros, of which a short file could claim any number.
        let grid = grid(shape, &chunk);
        let needed = grid.iter().try_fold(1u64, |product, count| product.checked_mul(*count));
        if needed.is_none_or(|needed| (chunks.len() as u64) < needed) {
            return Err(format!("part of it was never written: {} chunks of {chunk:?} for a shape of {shape:?}", chunks.len()));
        }
        let place = |one: &index::Chunk| number(&one.begin.iter().zip(&chunk).map(|(at, size)| at / size).collect::<Vec<u64>>(), &grid);
        chunks.sort_by_cached_key(place);
        if chunks.windows(2).any(|pair| pair[0].begin == pair[1].begin) {
            return Err("one of its chunks is there twice: damaged".into());
        }
        Ok(Stored::Chunked { chunk, chunks, filters, kept: Mutex::default() })
    };
    match version {
        1 | 2 => {
            let (axes, class) = (at.u8()?, at.u8()?);
            at.take(5)?;
            let place = if class == 0 { None } else { disk.address(&mut at)? };
            let sizes = (0..axes).map(|_| at.u32().map(u64::from)).collect::<Found<Vec<_>>>()?;
            match class {
                0 => {
                    let length = at.length()?;
                    Ok(Stored::Compact(at.take(length)?.to_vec()))
                }
                1 => written(place),
                _ => {
                    let chunk = sizes[..sizes.len().saturating_sub(1)].to_vec();
                    let chunks = index::tree(disk, place, shape.len())?;
                    chunked(chunk, chunks)
                }
            }
        }
        3..=5 => match at.u8()? {
            0 => {
                let length = at.u16()?.into();
                Ok(Stored::Compact(at.take(length)?.to_vec()))
            }
            1 => written(disk.address(&mut at)?),
            2 if version == 3 => {
                let axes = usize::from(at.u8()?);
                let place = disk.address(&mut at)?;
                let chunk = (1..axes).map(|_| at.u32().map(u64::from)).collect::<Found<Vec<_>>>()?;
                let chunks = index::tree(disk, place, shape.len())?;
                chunked(chunk, chunks)
            }
            2 => {
                let (chunk, chunks) = index::fourth(disk, &mut at, shape, size, filtered)?;
                chunked(chunk, chunks)
            }
            other => Err(format!("its layout of kind {other} (virtual?) is not read")),
        },
        other => Err(format!("its layout is of version {other}: 1 to 5 are read")),
    }
}
