//! Where the chunks of an HDF5 array lie: a tree (all files but those of the latest format), a fixed array, one after another, or one alone.
//!
//! Format: "HDF5 File Format Specification", version 3.0, III.A.1, IV.A.2.i, VII.C.

use super::disk::{Disk, whole};
use crate::ecg::read::bytes::{Bytes, Found};

/// Chunks of an array, and levels of a tree: more than any file of ECGs has.
const MOST_CHUNKS: usize = 4_000_000;
const DEEPEST_TREE: u16 = 32;

/// A chunk.
pub struct Chunk {
    /// The place of its first element in the array.
    pub begin: Vec<u64>,
    /// Its address, and its bytes as they are stored.
    pub place: u64,
    pub bytes: u64,
    /// Filters that were not applied to it, a bit each.
    pub skipped: u32,
}

/// The chunks of a tree (version 1) for an array of so many axes.
pub fn tree(disk: &Disk, place: Option<u64>, axes: usize) -> Found<Vec<Chunk>> {
    let mut all = Vec::new();
    if let Some(place) = place {
        node(disk, place, axes, u16::MAX, &mut all)?;
    }
    Ok(all)
}

/// The chunks below a node, whose level must fall at every step: no circle is walked.
fn node(disk: &Disk, place: u64, axes: usize, above: u16, all: &mut Vec<Chunk>) -> Found<()> {
    let address = disk.sizes().0;
    let start = disk.part(place, 8 + 2 * address as u64)?;
    let mut at = Bytes::new(&start);
    if at.take(4)? != b"TREE" || at.u8()? != 1 {
        return Err("its tree of chunks is not where it should be".into());
    }
    let (level, count) = (u16::from(at.u8()?), at.u16()?);
    if level >= above || level > DEEPEST_TREE {
        return Err("its tree of chunks runs in a circle".into());
    }
    // A key tells bytes, skipped filters and the first element, with the bytes of an element as a further axis.
    let entry = 8 + 8 * (axes + 1) + address;
    let body = disk.part(place + start.len() as u64, u64::from(count) * entry as u64)?;
    for entry in body.chunks_exact(entry) {
        let mut at = Bytes::new(entry);
        let (bytes, skipped) = (at.u32()?.into(), at.u32()?);
        let begin = (0..axes).map(|_| at.u64()).collect::<Found<_>>()?;
        at.u64()?;
        let child = disk.address(&mut at)?.ok_or("its tree of chunks ends nowhere")?;
        if level > 0 {
            node(disk, child, axes, level, all)?;
        } else {
            all.push(Chunk { begin, place: child, bytes, skipped });
        }
        if all.len() > MOST_CHUNKS {
            return Err(format!("it has more than {MOST_CHUNKS} chunks"));
        }
    }
    Ok(())
}

/// How many chunks there are along each axis.
pub fn grid(shape: &[u64], chunk: &[u64]) -> Vec<u64> {
    shape.iter().zip(chunk).map(|(size, chunk)| size.div_ceil(*chunk)).collect()
}

/// The shape of a chunk and the chunks, of a layout message of version 4 from its flags on.
pub fn fourth(disk: &Disk, at: &mut Bytes<'_>, shape: &[u64], size: usize, filtered: bool) -> Found<(Vec<u64>, Vec<Chunk>)> {
    let (flags, axes, width) = (at.u8()?, usize::from(at.u8()?), usize::from(at.u8()?));
    if axes != shape.len() + 1 || !(1..=8).contains(&width) {
        return Err(format!("chunks of {axes} axes for an array of {}", shape.len()));
    }
    let chunk = (1..axes).map(|_| at.take(width).map(whole)).collect::<Found<Vec<u64>>>()?;
    at.take(width)?;
    let bytes = chunk.iter().try_fold(size as u64, |product, size| product.checked_mul(*size)).filter(|bytes| *bytes > 0);
    let bytes = bytes.ok_or_else(|| format!("its chunks of {chunk:?} are not possible"))?;
    let grid = grid(shape, &chunk);
    let count = grid.iter().try_fold(1u64, |product, count| product.checked_mul(*count)).filter(|count| *count <= MOST_CHUNKS as u64);
    let count = count.ok_or_else(|| format!("it has more than {MOST_CHUNKS} chunks"))?;
    let begin = |mut at: u64| {
        let mut begin = vec![0; grid.len()];
        for axis in (0..grid.len()).rev() {
            begin[axis] = at % grid[axis] * chunk[axis];
            at /= grid[axis];
        }
        begin
    };
    if count == 0 {
        return Ok((chunk, Vec::new()));
    }
    let kind = at.u8()?;
    let chunks = match kind {
        1 => {
            let (bytes, skipped) = if flags & 2 != 0 { (disk.length(at)?, at.u32()?) } else { (bytes, 0) };
            disk.address(at)?.map(|place| Chunk { begin: begin(0), place, bytes, skipped }).into_iter().collect()
        }
        2 => {
            let place = disk.address(at)?;
            let one = |(at, place)| Chunk { begin: begin(at), place, bytes, skipped: 0 };
            place.map_or(Vec::new(), |place| (0..count).map_while(|at| Some((at, place.checked_add(at.checked_mul(bytes)?)?))).map(one).collect())
        }
        3 => {
            at.u8()?;
            let entries = disk.address(at)?.map_or(Ok(Vec::new()), |place| fixed(disk, place, count, filtered))?;
            let entries = entries.into_iter().zip(0..).filter_map(|((place, own, skipped), at)| {
                Some(Chunk { begin: begin(at), place: place?, bytes: own.unwrap_or(bytes), skipped })
            });
            entries.collect()
        }
        _ => return Err("its chunks are found by an index of the latest format (for arrays that grow), which is not read: save it without libver='latest'".into()),
    };
    Ok((chunk, chunks))
}

type Entry = (Option<u64>, Option<u64>, u32);

/// The entries of a fixed array: a header, a block of entries, in pages where they are many.
fn fixed(disk: &Disk, place: u64, count: u64, filtered: bool) -> Found<Vec<Entry>> {
    let (address, size) = disk.sizes();
    let start = disk.part(place, (8 + size + address) as u64)?;
    let mut at = Bytes::new(&start);
    if at.take(4)? != b"FAHD" {
        return Err("its index of chunks is not where it should be".into());
    }
    let (_version, kind, width, bits) = (at.u8()?, at.u8()?, usize::from(at.u8()?), at.u8()?);
    let held = disk.length(&mut at)?;
    let least = address + if filtered { 5 } else { 0 };
    if held < count || (kind == 1) != filtered || width < least || width > least + 7 || bits > 30 {
        return Err("its index of chunks does not fit its shape".into());
    }
    let Some(block) = disk.address(&mut at)? else { return Ok(Vec::new()) };
    let page = 1u64 << bits;
    let pages = if held > page { held.div_ceil(page) } else { 0 };
    let block = block.checked_add(6 + address as u64).ok_or("its index of chunks lies outside of the file")?;
    let mut all = Vec::new();
    let mut take = |from: u64, count: u64| -> Found<()> {
        let body = disk.part(from, count * width as u64)?;
        for entry in body.chunks_exact(width) {
            let mut at = Bytes::new(entry);
            let place = disk.address(&mut at)?;
            let (bytes, skipped) = if filtered { (Some(whole(at.take(width - address - 4)?)), at.u32()?) } else { (None, 0) };
            all.push((place, bytes, skipped));
        }
        Ok(())
    };
    if pages == 0 {
        take(block, count)?;
    } else {
        // A bit a page tells whether it was written, and a checksum ends the head and every page.
        let written = disk.part(block, pages.div_ceil(8))?;
        let mut from = block + pages.div_ceil(8) + 4;
        for number in 0..pages {
            let own = page.min(held - number * page);
            if written[(number / 8) as usize] >> (7 - number % 8) & 1 == 0 {
                return Err("part of it was never written".into());
            }
            take(from, own)?;
            from += own * width as u64 + 4;
        }
    }
    all.truncate(count as usize);
    Ok(all)
}
