//! The groups of an HDF5 file: what they link to, kept in a symbol table or in messages of their own.
//!
//! Format: "HDF5 File Format Specification", version 3.0, III.A, III.C, III.D, IV.A.2.g and r.

use super::disk::{Disk, whole};
use super::object::{LINK, LINK_INFO, Message, SYMBOLS, find};
use crate::ecg::read::bytes::{Bytes, Found, latin};

/// Links of all groups, and levels of a tree: more than any file of ECGs has.
pub const MOST_LINKS: usize = 1_000_000;
const DEEPEST_TREE: u16 = 32;

/// The objects that a group links to, by name.
pub fn links(disk: &Disk, messages: &[Message]) -> Found<Vec<(String, u64)>> {
    if let Some(body) = find(messages, SYMBOLS)? {
        let mut at = Bytes::new(body);
        let (tree, heap) = (disk.address(&mut at)?, disk.address(&mut at)?);
        let (Some(tree), Some(heap)) = (tree, heap) else { return Ok(Vec::new()) };
        let names = heap_of(disk, heap)?;
        let mut all = Vec::new();
        symbols(disk, tree, &names, u16::MAX, &mut all)?;
        return Ok(all);
    }
    if let Some(body) = find(messages, LINK_INFO)? {
        let mut at = Bytes::new(body);
        at.u8()?;
        let flags = at.u8()?;
        at.take(if flags & 1 != 0 { 8 } else { 0 })?;
        if disk.address(&mut at)?.is_some() {
            return Err(
                "a group keeps its many links in a dense index, which is not read: save the file again without libver='latest'".into()
            );
        }
    }
    messages.iter().filter(|message| message.kind == LINK).filter_map(|message| link(disk, &message.body).transpose()).collect()
}

/// The names of a symbol table.
fn heap_of(disk: &Disk, place: u64) -> Found<Vec<u8>> {
    let start = disk.part(place, 8 + 2 * disk.sizes().1 as u64 + disk.sizes().0 as u64)?;
    let mut at = Bytes::new(&start);
    if at.take(4)? != b"HEAP" {
        return Err("a group's names are not where they should be".into());
    }
    at.take(4)?;
    let (length, _free) = (disk.length(&mut at)?, disk.length(&mut at)?);
    disk.address(&mut at)?.map_or(Ok(Vec::new()), |data| disk.part(data, length))
}

/// The entries below a node of a group's tree, whose level must fall at every step: no circle is walked.
fn symbols(disk: &Disk, place: u64, names: &[u8], above: u16, all: &mut Vec<(String, u64)>) -> Found<()> {
    let (address, size) = disk.sizes();
    let start = disk.part(place, 8 + 2 * address as u64)?;
    let mut at = Bytes::new(&start);
    if at.take(4)? != b"TREE" || at.u8()? != 0 {
        return Err("a group's tree is not where it should be".into());
    }
    let (level, count) = (u16::from(at.u8()?), at.u16()?);
    if level >= above || level > DEEPEST_TREE {
        return Err("a group's tree runs in a circle".into());
    }
    let body = disk.part(place + start.len() as u64, u64::from(count) * (address + size) as u64)?;
    let mut at = Bytes::new(&body);
    for _ in 0..count {
        at.take(size)?;
        let child = disk.address(&mut at)?.ok_or("a group's tree ends nowhere")?;
        if level == 0 {
            leaf(disk, child, names, all)?
        } else {
            symbols(disk, child, names, level, all)?
        }
        if all.len() > MOST_LINKS {
            return Err(format!("a group has more than {MOST_LINKS} links"));
        }
    }
    Ok(())
}

fn leaf(disk: &Disk, place: u64, names: &[u8], all: &mut Vec<(String, u64)>) -> Found<()> {
    let start = disk.part(place, 8)?;
    let mut at = Bytes::new(&start);
    if at.take(4)? != b"SNOD" {
        return Err("a group's entries are not where they should be".into());
    }
    at.u16()?;
    let count = at.u16()?;
    let entry = 2 * disk.sizes().0 + 24;
    let body = disk.part(place + 8, u64::from(count) * entry as u64)?;
    for entry in body.chunks_exact(entry) {
        let mut at = Bytes::new(entry);
        let name = disk.address(&mut at)?.and_then(|name| names.get(usize::try_from(name).ok()?..));
        let (Some(name), Some(object)) = (name, disk.address(&mut at)?) else { continue };
        // Entries of kind 2 are links by name, which lead to what is linked elsewhere, or out of the file.
        if at.u32()? != 2 {
            all.push((latin(name), object));
        }
    }
    Ok(())
}

/// A link message; `None` for links by name and out of the file.
fn link(disk: &Disk, body: &[u8]) -> Found<Option<(String, u64)>> {
    let mut at = Bytes::new(body);
    at.u8()?;
    let flags = at.u8()?;
    let kind = if flags & 8 != 0 { at.u8()? } else { 0 };
    at.take(if flags & 4 != 0 { 8 } else { 0 } + if flags & 16 != 0 { 1 } else { 0 })?;
    let length = whole(at.take(1 << (flags & 3))?);
    let name = String::from_utf8_lossy(at.take(usize::try_from(length).map_err(|error| error.to_string())?)?).into_owned();
    match kind {
        0 => Ok(disk.address(&mut at)?.map(|object| (name, object))),
        _ => Ok(None),
    }
}
