//! What Parquet's pages are packed by: Snappy, gzip, Zstandard, or nothing; and how small numbers (levels, places in a dictionary) stand in them.
//!
//! Formats: `google/snappy/format_description.txt`; `parquet-format/Encodings.md` (RLE and bit-packed hybrid).

use super::thrift::varint;
use crate::ecg::read::bytes::{Bytes, Found};
use std::io::Read;

/// Said of a codec that is not read, where this build leaves one out.
const ZSTD: &str = if cfg!(feature = "zstd") { "" } else { " (Zstandard is, with the feature zstd)" };

/// The largest window of Zstandard that is held for a page that is smaller itself, bytes.
#[cfg(feature = "zstd")]
const WINDOW: u64 = 8 << 20;

/// How a column's pages are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    None,
    Snappy,
    Gzip,
    #[cfg(feature = "zstd")]
    Zstandard,
}

impl Codec {
    /// By its number in the format.
    pub fn of(number: i64) -> Found<Self> {
        Ok(match number {
            0 => Codec::None,
            1 => Codec::Snappy,
            2 => Codec::Gzip,
            #[cfg(feature = "zstd")]
            6 => Codec::Zstandard,
            other => {
                let name = ["", "", "", "LZO", "Brotli", "LZ4", "Zstandard", "LZ4"]
                    .get(usize::try_from(other).unwrap_or(0))
                    .copied()
                    .unwrap_or("");
                return Err(format!(
                    "its pages are packed by {name} (codec {other}), which is not read{ZSTD}: write it with compression snappy, gzip or none"
                ));
            }
        })
    }

    /// The bytes of a page, which tells how many they are.
    pub fn unpack(self, bytes: &[u8], length: usize) -> Found<Vec<u8>> {
        let all = match self {
            Codec::None => bytes.to_vec(),
            Codec::Snappy => snappy(bytes, length)?,
            Codec::Gzip => {
                let mut all = Vec::new();
                let read = flate2::read::MultiGzDecoder::new(bytes).take(length as u64 + 1).read_to_end(&mut all);
                read.map_err(|error| format!("a page cannot be inflated: {error}"))?;
                all
            }
            #[cfg(feature = "zstd")]
            Codec::Zstandard => {
                let mut all = Vec::new();
                let window = (length as u64).max(WINDOW);
                let page = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(bytes, window)
                    .map_err(|error| format!("a page is no Zstandard: {error}"))?;
                page.take(length as u64 + 1).read_to_end(&mut all).map_err(|error| format!("a page cannot be unpacked: {error}"))?;
                all
            }
        };
        if all.len() == length { Ok(all) } else { Err(format!("a page has {} bytes where {length} are announced", all.len())) }
    }
}

/// Snappy: the length, then runs of bytes and copies of what stands before.
fn snappy(bytes: &[u8], most: usize) -> Found<Vec<u8>> {
    let mut at = Bytes::new(bytes);
    let damaged = || "a page packed by Snappy is damaged".to_owned();
    if varint(&mut at)? != most as u64 {
        return Err(damaged());
    }
    let mut all = Vec::new();
    while at.left() > 0 {
        let tag = usize::from(at.u8()?);
        let (length, back) = match tag & 3 {
            0 => {
                let length = match tag >> 2 {
                    small @ 0..=59 => small,
                    long => at.take(long - 59)?.iter().rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)),
                };
                all.extend(at.take(length.checked_add(1).ok_or_else(damaged)?)?);
                (0, 0)
            }
            1 => ((tag >> 2 & 7) + 4, (tag >> 5) << 8 | usize::from(at.u8()?)),
            2 => ((tag >> 2) + 1, usize::from(at.u16()?)),
            _ => ((tag >> 2) + 1, at.length()?),
        };
        if length > 0 {
            let from = all.len().checked_sub(back).filter(|_| back > 0).ok_or_else(damaged)?;
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

/// So many numbers of so many bits: runs of one number, and groups of eight side by side from the lowest bit.
pub fn hybrid(at: &mut Bytes<'_>, width: u8, count: usize) -> Found<Vec<u32>> {
    if width > 32 {
        return Err(format!("numbers of {width} bits"));
    }
    let mut all = Vec::new();
    if width == 0 {
        all.resize(count, 0);
        return Ok(all);
    }
    while all.len() < count {
        let head = varint(at)?;
        let left = count - all.len();
        if head & 1 == 0 {
            let value = at.take(usize::from(width).div_ceil(8))?.iter().rev().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
            let run = usize::try_from(head >> 1).unwrap_or(usize::MAX).min(left);
            if run == 0 {
                return Err("a run of no numbers".into());
            }
            all.resize(all.len() + run, value);
        } else {
            let groups = usize::try_from(head >> 1).unwrap_or(usize::MAX);
            // The last group may be cut where the numbers end.
            let bytes = at.take(groups.saturating_mul(width.into()).min(at.left()))?;
            let held = bytes.len() * 8 / usize::from(width);
            if held == 0 {
                return Err("truncated: a group of numbers is not there".into());
            }
            all.extend((0..held.min(left)).map(|number| {
                let begin = number * usize::from(width);
                (0..usize::from(width)).fold(0u32, |sum, bit| {
                    let place = begin + bit;
                    sum | u32::from(bytes[place / 8] >> (place % 8) & 1) << bit
                })
            }));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snappy_and_small_numbers() {
        assert_eq!(Codec::Snappy.unpack(&[6, 4, b'a', b'b', 1, 2], 6).unwrap(), b"ababab");
        for (bytes, length) in [
            (&[6, 4, b'a', b'b', 1, 3][..], 6),
            (&[6, 4, b'a', b'b', 1, 0], 6),
            (&[7, 4, b'a', b'b', 1, 2], 6),
            (&[1, 0xfc, 255, 255, 255, 255], 1),
        ] {
            assert!(Codec::Snappy.unpack(bytes, length).is_err(), "{bytes:?}");
        }
        #[cfg(feature = "zstd")]
        {
            // A frame of six bytes: as they are, and one of them repeated (RFC 8878, 3.1.1).
            let plain = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 6, 0x31, 0, 0, b'a', b'b', b'a', b'b', b'a', b'b'];
            let run = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 6, 0x33, 0, 0, b'a'];
            assert_eq!(Codec::of(6).unwrap().unpack(&plain, 6).unwrap(), b"ababab");
            assert_eq!(Codec::Zstandard.unpack(&run, 6).unwrap(), b"aaaaaa");
            for (bytes, length) in [(&plain[..], 5), (&plain[..], 7), (&plain[..12], 6), (&plain[..4], 6), (&[0x28, 0xb5][..], 6)] {
                assert!(Codec::Zstandard.unpack(bytes, length).is_err(), "{bytes:?}");
            }
        }
        // A run of four 5s, then 0 … 7 in three bits each (the example of the format's description).
        let bytes = [8, 5, 3, 0x88, 0xc6, 0xfa];
        assert_eq!(hybrid(&mut Bytes::new(&bytes), 3, 12).unwrap(), [5, 5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(hybrid(&mut Bytes::new(&bytes), 3, 13).is_err());
        assert!(hybrid(&mut Bytes::new(&[0, 1]), 3, 2).unwrap_err().contains("no numbers"));
        assert_eq!(hybrid(&mut Bytes::new(&[]), 0, 3).unwrap(), [0, 0, 0]);
    }
}
