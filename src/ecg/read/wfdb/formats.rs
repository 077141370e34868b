//! How WFDB stores samples: "WFDB Applications Guide", `signal(5)` (G. B. Moody).

/// A format of signal files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// First differences of 8 bits.
    F8,
    /// 16-bit two's complement.
    F16,
    /// 24-bit two's complement.
    F24,
    /// 32-bit two's complement.
    F32,
    /// 16-bit two's complement, most significant byte first.
    F61,
    /// 8-bit offset binary.
    F80,
    /// 16-bit offset binary.
    F160,
    /// Two 12-bit samples in three bytes.
    F212,
    /// Three 10-bit samples in four bytes.
    F310,
    /// Three 10-bit samples in four bytes, packed otherwise.
    F311,
    /// FLAC of 8, 16 or 24 bits.
    Flac(u32),
}

use Format::{F8, F16, F24, F32, F61, F80, F160, F212, F310, F311, Flac};

const ALL: [(&str, Format); 13] = [
    ("8", F8),
    ("16", F16),
    ("24", F24),
    ("32", F32),
    ("61", F61),
    ("80", F80),
    ("160", F160),
    ("212", F212),
    ("310", F310),
    ("311", F311),
    ("508", Flac(8)),
    ("516", Flac(16)),
    ("524", Flac(24)),
];

impl Format {
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(other, _)| *other == name).map(|(_, format)| *format)
    }

    pub fn known() -> String {
        ALL.map(|(name, _)| name).join(", ")
    }

    /// The value that stands for a missing sample: the most negative one. Differences have none.
    pub fn missing(self) -> Option<i64> {
        Some(match self {
            F8 => return None,
            F16 | F61 | F160 => i64::from(i16::MIN),
            F24 => -(1 << 23),
            F32 => i64::from(i32::MIN),
            F80 => -128,
            F212 => -2048,
            F310 | F311 => -512,
            Flac(bits) => -(1 << (bits - 1)),
        })
    }

    /// Whether any part of a file can be read without what is before it.
    pub fn is_direct(self) -> bool {
        !matches!(self, F8 | Flac(_))
    }

    /// Values and bytes of a group that packing keeps together; FLAC has none.
    pub fn group(self) -> (usize, usize) {
        match self {
            F8 | F80 => (1, 1),
            F16 | F61 | F160 => (1, 2),
            F24 => (1, 3),
            F32 => (1, 4),
            F212 => (2, 3),
            F310 | F311 => (3, 4),
            Flac(_) => (1, 1),
        }
    }

    /// Bytes that the first `values` of a group take.
    pub fn bytes_of(self, values: usize) -> usize {
        let (group, bytes) = self.group();
        let last = match (self, values % group) {
            (_, 0) => 0,
            (F310, 2) => 4,
            (F311, 2) => 3,
            _ => 2,
        };
        values / group * bytes + last
    }

    /// Values that so many bytes hold.
    pub fn values_in(self, bytes: u64) -> u64 {
        let (group, size) = self.group();
        let rest = (bytes % size as u64) as usize;
        let more = (0..group).rev().find(|&values| self.bytes_of(values) <= rest).unwrap_or(0);
        (bytes / size as u64).saturating_mul(group as u64) + more as u64
    }

    /// Value number `at` of the bytes, which begin with a group; of differences the difference.
    pub fn value(self, bytes: &[u8], at: usize) -> i64 {
        let pair = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        // Shifted up and back, the sign of the top bit spreads.
        let ten = |raw: u16| i64::from((raw << 6) as i16 >> 6);
        match self {
            F8 => i64::from(bytes[at] as i8),
            F16 => i64::from(pair(2 * at) as i16),
            F24 => i64::from(i32::from_le_bytes([0, bytes[3 * at], bytes[3 * at + 1], bytes[3 * at + 2]]) >> 8),
            F32 => i64::from(i32::from_le_bytes([bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]])),
            F61 => i64::from(i16::from_be_bytes([bytes[2 * at], bytes[2 * at + 1]])),
            F80 => i64::from(bytes[at]) - 128,
            F160 => i64::from(pair(2 * at)) - 32_768,
            F212 => {
                let three = 3 * (at / 2);
                let twelve = if at.is_multiple_of(2) {
                    u16::from(bytes[three]) | (u16::from(bytes[three + 1]) & 0x0f) << 8
                } else {
                    u16::from(bytes[three + 2]) | (u16::from(bytes[three + 1]) & 0xf0) << 4
                };
                i64::from((twelve << 4) as i16 >> 4)
            }
            F310 => {
                let four = 4 * (at / 3);
                match at % 3 {
                    0 => ten(pair(four) >> 1),
                    1 => ten(pair(four + 2) >> 1),
                    _ => ten(pair(four) >> 11 | (pair(four + 2) >> 11) << 5),
                }
            }
            F311 => {
                let four = 4 * (at / 3);
                match at % 3 {
                    0 => ten(pair(four)),
                    1 => ten(pair(four) >> 10 | u16::from(bytes[four + 2]) << 6),
                    _ => ten(pair(four + 2) >> 4),
                }
            }
            Flac(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_a_file_ends_within() {
        for (_, format) in ALL.into_iter().filter(|(_, format)| !matches!(format, Flac(_))) {
            for values in 0..10 {
                let bytes = format.bytes_of(values) as u64;
                assert!(format.values_in(bytes) >= values as u64, "{format:?}");
                assert!(bytes == 0 || format.values_in(bytes - 1) < values as u64, "{format:?}");
            }
        }
    }
}
