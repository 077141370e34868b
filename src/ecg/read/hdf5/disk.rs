//! An HDF5 file as a place to read from: its superblock, and parts of it by address.

use super::texts::Collection;
use crate::ecg::read::bytes::{Bytes, Found, OnDisk};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Where a superblock may stand: at the beginning, or behind a user's block of a power of two.
const PLACES: [u64; 4] = [0, 512, 1024, 2048];

/// Whether a file begins as one, if no user's block longer than `start` stands before.
pub fn is_hdf5(start: &[u8]) -> bool {
    PLACES.iter().any(|&place| start.get(place as usize..).is_some_and(|rest| rest.starts_with(SIGNATURE)))
}

/// What is read of headers, indices and texts comes to no more than so many times the file, and this many bytes: each is read once, and some of it
/// twice to see what it is. Indices that refer to the same parts over and over would be read without end.
const TIMES: u64 = 8;
const MORE: u64 = 1 << 20;

/// An open file. Addresses are counted from the superblock.
pub struct Disk {
    file: OnDisk,
    base: u64,
    /// Bytes of headers, indices and texts that may still be read.
    room: AtomicU64,
    /// The texts that were read last, and where they lie: those of an array follow one another.
    texts: Mutex<Option<(u64, Arc<Collection>)>>,
    /// Bytes of an address, and of a length.
    address: usize,
    size: usize,
}

impl Disk {
    /// Reads the superblock; gives the address of the root group too.
    pub fn open(file: OnDisk) -> Found<(Self, u64)> {
        let room = AtomicU64::new(file.length().saturating_mul(TIMES).saturating_add(MORE));
        let mut disk = Disk { file, base: 0, room, texts: Mutex::default(), address: 8, size: 8 };
        let base = PLACES.into_iter().find(|&place| disk.bytes(place, 8).is_ok_and(|bytes| bytes == SIGNATURE));
        disk.base = base.ok_or("not an HDF5 file: its signature is not there")?;
        let start = disk.at_most(8, 88)?;
        let mut at = Bytes::new(&start);
        let version = at.u8()?;
        let sizes = match version {
            0 | 1 => {
                at.take(4)?;
                let sizes = (at.u8()?, at.u8()?);
                // Ranks of B-trees, which tell nothing that their nodes do not; version 1 has one more.
                at.take(if version == 0 { 9 } else { 13 })?;
                sizes
            }
            2 | 3 => {
                let sizes = (at.u8()?, at.u8()?);
                at.u8()?;
                sizes
            }
            other => return Err(format!("its superblock is of version {other}: 0 to 3 are read")),
        };
        if ![2, 4, 8].contains(&sizes.0) || ![2, 4, 8].contains(&sizes.1) {
            return Err(format!("its addresses have {} bytes and its lengths {}", sizes.0, sizes.1));
        }
        (disk.address, disk.size) = (sizes.0.into(), sizes.1.into());
        let address = |at: &mut Bytes<'_>| disk.address(at);
        let (_base, _, _end) = (address(&mut at)?, address(&mut at)?, address(&mut at)?);
        let root = match version {
            // The address of a driver's block; then a symbol table's entry: where its name stands, and its header.
            0 | 1 => {
                let (_driver, _name) = (address(&mut at)?, address(&mut at)?);
                address(&mut at)?
            }
            _ => None,
        };
        let root = if version < 2 { root } else { address(&mut at)? };
        let root = root.ok_or("it has no root group")?;
        Ok((disk, root))
    }

    /// So many bytes from an address; no more than the file has.
    pub fn bytes(&self, at: u64, count: u64) -> Found<Vec<u8>> {
        self.file.bytes(self.base.checked_add(at).ok_or("an address lies outside of the file")?, count)
    }

    /// The same of a header, an index or texts: what tells where other things lie.
    pub fn part(&self, at: u64, count: u64) -> Found<Vec<u8>> {
        let left = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(count));
        left.map_err(|_| "its parts refer to each other over and over: damaged")?;
        self.bytes(at, count)
    }

    /// The texts at an address.
    pub fn collection(&self, at: u64) -> Found<Arc<Collection>> {
        let mut kept = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((place, collection)) if *place == at => Ok(collection.clone()),
            _ => {
                let collection = Arc::new(Collection::read(self, at)?);
                *kept = Some((at, collection.clone()));
                Ok(collection)
            }
        }
    }

    /// As many of so many bytes as the file has.
    pub fn at_most(&self, at: u64, count: u64) -> Found<Vec<u8>> {
        self.file.at_most(self.base.checked_add(at).ok_or("an address lies outside of the file")?, count)
    }

    /// The next address; `None` where it is undefined.
    pub fn address(&self, at: &mut Bytes<'_>) -> Found<Option<u64>> {
        let bytes = at.take(self.address)?;
        Ok((!bytes.iter().all(|byte| *byte == 0xff)).then(|| whole(bytes)))
    }

    /// The next length.
    pub fn length(&self, at: &mut Bytes<'_>) -> Found<u64> {
        at.take(self.size).map(whole)
    }

    /// Bytes of an address and of a length.
    pub fn sizes(&self) -> (usize, usize) {
        (self.address, self.size)
    }
}

/// A whole number of 1 to 8 bytes, the lowest first.
pub fn whole(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(eight)
}
