//! Checksums made right, without which no changed byte would come past them: of the project's own files, of zip archives, of SCP-ECG and ISHNE.

use flate2::read::DeflateDecoder;
use std::io::Read;

/// Where a file of ours has its checksum, its length, and its contents (`src/nn/container.rs`).
const CONTAINER: [usize; 3] = [12, 16, 24];

/// A file of ours with checksum and length made right; `None` for what is too short to be one.
pub fn container(bytes: &[u8]) -> Option<Vec<u8>> {
    let [checksum, length, contents] = CONTAINER;
    let payload = bytes.get(contents..)?;
    let mut fixed = bytes.to_vec();
    fixed[checksum..length].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    fixed[length..contents].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    Some(fixed)
}

/// Entries inflated for their checksum are cut off here.
const INFLATED: u64 = 1 << 20;

/// An archive with the checksums of its entries made right, as far as they can be found; `None` for what has no directory.
pub fn zip(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    let mut at = number(bytes, end + 16, 4)?;
    let mut fixed = bytes.to_vec();
    while let Some(next) = entry(bytes, at, &mut fixed) {
        at = next;
    }
    Some(fixed)
}

/// Mends the entry whose line of the directory is at `at`, and says where the next line is.
fn entry(bytes: &[u8], at: usize, fixed: &mut [u8]) -> Option<usize> {
    if bytes.get(at..at + 4)? != b"PK\x01\x02" {
        return None;
    }
    let method = number(bytes, at + 10, 2)?;
    let size = number(bytes, at + 20, 4)?;
    let local = number(bytes, at + 42, 4)?;
    let names = number(bytes, local + 26, 2)? + number(bytes, local + 28, 2)?;
    let start = local + 30 + names;
    if let Some(data) = bytes.get(start..start + size) {
        let checksum = checksum(method, data).to_le_bytes();
        for place in [at + 16, local + 14] {
            fixed.get_mut(place..place + 4)?.copy_from_slice(&checksum);
        }
    }
    Some(at + 46 + number(bytes, at + 28, 2)? + number(bytes, at + 30, 2)? + number(bytes, at + 32, 2)?)
}

fn checksum(method: usize, data: &[u8]) -> u32 {
    if method == 0 {
        return crc32fast::hash(data);
    }
    let mut plain = Vec::new();
    // What cannot be inflated to its end is checked as far as it goes.
    let _ = DeflateDecoder::new(data).take(INFLATED).read_to_end(&mut plain);
    crc32fast::hash(&plain)
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    Some(bytes.get(at..at + size)?.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// The sum of SCP-ECG and ISHNE: CRC-CCITT from all ones.
fn ccitt(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |sum, byte| {
        (0..8).rev().fold(sum, |sum: u16, bit| sum << 1 ^ if sum >> 15 != u16::from(byte >> bit & 1) { 0x1021 } else { 0 })
    })
}

/// Makes right the sum over the header of an ISHNE file, where the header says it ends.
pub fn ishne(bytes: &mut [u8]) {
    let Some(end) = number(bytes, 22, 4) else { return };
    if let Some(header) = bytes.get(10..end) {
        let sum = ccitt(header);
        bytes[8..10].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Makes right the sums of an SCP-ECG record: of every section that section 0 lists, of section 0, of the record.
pub fn scp(bytes: &mut [u8]) {
    let length = |bytes: &[u8], at: usize| number(bytes, at, 4).filter(|length| *length >= 16);
    let listed = length(bytes, 10).unwrap_or(16) / 10;
    for pointer in 0..listed {
        let Some(place) = number(bytes, 28 + 10 * pointer, 4).and_then(|place| place.checked_sub(1)) else { break };
        let Some(end) = length(bytes, place + 4).map(|length| place + length) else { continue };
        if place > 6 && end <= bytes.len() {
            let sum = ccitt(&bytes[place + 2..end]);
            bytes[place..place + 2].copy_from_slice(&sum.to_le_bytes());
        }
    }
    for (place, end) in [(6, length(bytes, 10).map(|length| 6 + length)), (0, number(bytes, 2, 4))] {
        if let Some(end) = end.filter(|end| *end <= bytes.len() && *end >= place + 2) {
            let sum = ccitt(&bytes[place + 2..end]);
            bytes[place..place + 2].copy_from_slice(&sum.to_le_bytes());
        }
    }
}
