//! What was done to the chunks of an HDF5 array before they were written, undone: shuffled bytes, deflate, LZF, checksums.
//!
//! Format: "HDF5 File Format Specification", version 3.0, IV.A.2.l; LZF as in LibLZF (M. Lehmann), which h5py ships.

use crate::ecg::read::bytes::{Bytes, Found, latin};
use std::io::Read;

const MOST_FILTERS: usize = 32;

#[derive(Clone, Copy, Debug)]
enum Filter {
    Deflate,
    Shuffle,
    Checksum,
    Lzf,
}

/// The filters of an array in the order in which they were applied.
#[derive(Debug, Default)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// Of a filter message.
    pub fn read(body: Option<&[u8]>) -> Found<Self> {
        let Some(body) = body else { return Ok(Filters::default()) };
        let mut at = Bytes::new(body);
        let (version, count) = (at.u8()?, usize::from(at.u8()?));
        if count > MOST_FILTERS {
            return Err(format!("{count} filters"));
        }
        at.take(if version == 1 { 6 } else { 0 })?;
        let mut all = Vec::new();
        for _ in 0..count {
            let id = at.u16()?;
            let length = if version == 1 || id >= 256 { usize::from(at.u16()?) } else { 0 };
            let (_flags, values) = (at.u16()?, usize::from(at.u16()?));
            let name = latin(at.take(if version == 1 { length.next_multiple_of(8) } else { length })?);
            at.take(4 * (values + if version == 1 { values % 2 } else { 0 }))?;
            all.push(match id {
                1 => Filter::Deflate,
                2 => Filter::Shuffle,
                3 => Filter::Checksum,
                32_000 => Filter::Lzf,
                _ => return Err(format!("filter {id} '{name}' is not read: deflate (gzip), lzf, shuffle and fletcher32 are")),
            });
        }
        Ok(Filters(all))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A chunk of elements of so many bytes as it was, no more than `length` bytes; filters whose bit is `skipped` were not applied to it.
    pub fn undo(&self, mut bytes: Vec<u8>, skipped: u32, size: usize, length: usize) -> Found<Vec<u8>> {
        for (at, filter) in self.0.iter().enumerate().rev().filter(|(at, _)| skipped >> at & 1 == 0) {
            // A checksum behind the data makes them longer before it is taken off.
            let most = length + 4 * self.0[..at].len();
            bytes = match filter {
                Filter::Deflate => inflate(&bytes, most)?,
                Filter::Shuffle => unshuffle(&bytes, size),
                Filter::Lzf => unpack(&bytes, most)?,
                Filter::Checksum => {
                    let (data, sum) = bytes.split_last_chunk::<4>().ok_or("a chunk is shorter than its checksum")?;
                    let found = fletcher(data);
                    // Versions before 1.6.3 wrote it with its halves' bytes exchanged.
                    let sum = u32::from_le_bytes(*sum);
                    if sum != found && sum != (found & 0x00ff_00ff) << 8 | (found & 0xff00_ff00) >> 8 {
                        return Err("a chunk's checksum does not fit: damaged".into());
                    }
                    data.to_vec()
                }
            };
        }
        Ok(bytes)
    }
}

fn inflate(bytes: &[u8], most: usize) -> Found<Vec<u8>> {
    let mut all = Vec::new();
    let read = flate2::read::ZlibDecoder::new(bytes).take(most as u64 + 1).read_to_end(&mut all);
    read.map_err(|error| format!("a chunk cannot be inflated: {error}"))?;
    if all.len() > most { Err(format!("a chunk inflates to more than {most} bytes")) } else { Ok(all) }
}

/// First bytes of all elements, then second bytes …; what makes no whole element stands behind as it is.
fn unshuffle(bytes: &[u8], size: usize) -> Vec<u8> {
    let count = bytes.len() / size;
    let mut all = vec![0; bytes.len()];
    for byte in 0..size {
        for at in 0..count {
            all[at * size + byte] = bytes[byte * count + at];
        }
    }
    all[count * size..].copy_from_slice(&bytes[count * size..]);
    all
}

/// Fletcher's sum over 16-bit words, highest byte first.
fn fletcher(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (0u32, 0u32);
    for pair in bytes.chunks(2) {
        let word = u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |byte| u32::from(*byte));
        low = (low + word) % 65535;
        high = (high + low) % 65535;
    }
    high << 16 | low
}

/// LZF: runs of bytes, and copies of what stands before.
fn unpack(bytes: &[u8], most: usize) -> Found<Vec<u8>> {
    let damaged = || "a chunk packed by LZF is damaged".to_owned();
    let mut at = Bytes::new(bytes);
    let mut all = Vec::new();
    while at.left() > 0 {
        let control = usize::from(at.u8()?);
        if control < 32 {
            all.extend(at.take(control + 1)?);
        } else {
            let length = 2 + if control >> 5 == 7 { 7 + usize::from(at.u8()?) } else { control >> 5 };
            let back = ((control & 31) << 8 | usize::from(at.u8()?)) + 1;
            let from = all.len().checked_sub(back).ok_or_else(damaged)?;
            // The copy may reach into what it writes.
            for at in from..from + length {
                all.push(all[at]);
            }
        }
        if all.len() > most {
            return Err(damaged());
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_summed_and_packed() {
        assert_eq!(unshuffle(&[1, 3, 5, 2, 4, 6, 9], 2), [1, 2, 3, 4, 5, 6, 9]);
        // Words 0x0102 and 0x0304: sums 0x0406, and 0x0102 + 0x0406.
        assert_eq!(fletcher(&[1, 2, 3, 4]), 0x0508_0406);
        assert_eq!(unpack(&[1, b'a', b'b', 0x40, 1], 100).unwrap(), b"ababab");
        assert_eq!(unpack(&[0, 7, 0xe0, 2, 0], 100).unwrap(), [7; 12]);
        assert!(unpack(&[0x40, 9], 100).is_err() && unpack(&[0, 7, 0xe0, 255, 0], 20).is_err() && unpack(&[5, 1], 20).is_err());
        assert!(Filters(vec![Filter::Checksum]).undo(vec![1, 2, 3, 4, 5, 6], 0, 1, 6).unwrap_err().contains("checksum"));
        let mut summed = b"ecg!".to_vec();
        summed.extend(fletcher(b"ecg!").to_le_bytes());
        assert_eq!(Filters(vec![Filter::Checksum]).undo(summed, 0, 1, 4).unwrap(), b"ecg!");
    }
}
