//! The bytes of a binary file, read from front to back: what is asked for is there or is refused, whatever the file says of itself.

use crate::half::half;
pub(super) use crate::on_disk::OnDisk;

/// What was found, or what is wrong, to which the reader adds the file.
pub(super) type Found<T> = std::result::Result<T, String>;

/// A place in the bytes of a file, and the order of bytes in its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
    /// Whether numbers have their highest byte first.
    pub big: bool,
}

impl<'a> Bytes<'a> {
    /// At the beginning, numbers with their lowest byte first.
    pub fn new(all: &'a [u8]) -> Self {
        Bytes { all, at: 0, big: false }
    }

    /// How many bytes lie before.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How many bytes follow.
    pub fn left(&self) -> usize {
        self.all.len() - self.at
    }

    /// All bytes that follow.
    pub fn rest(&self) -> &'a [u8] {
        &self.all[self.at..]
    }

    /// Goes to a place, which must be in the file.
    pub fn seek(&mut self, at: usize) -> Found<()> {
        if at > self.all.len() {
            return Err(format!("points to byte {at} of {}: damaged or cut off", self.all.len()));
        }
        self.at = at;
        Ok(())
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Found<&'a [u8]> {
        let part = self.all[self.at..].get(..count);
        let part =
            part.ok_or_else(|| format!("ends {} bytes after byte {}, where {count} are announced: truncated", self.left(), self.at))?;
        self.at += count;
        Ok(part)
    }

    /// The next `count` bytes as bytes of their own.
    pub fn part(&mut self, count: usize) -> Found<Bytes<'a>> {
        let big = self.big;
        self.take(count).map(|all| Bytes { all, at: 0, big })
    }

    fn number<const N: usize>(&mut self) -> Found<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        if self.big {
            bytes.reverse();
        }
        Ok(bytes)
    }

    pub fn u8(&mut self) -> Found<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Found<u16> {
        self.number().map(u16::from_le_bytes)
    }

    pub fn i16(&mut self) -> Found<i16> {
        self.number().map(i16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Found<u32> {
        self.number().map(u32::from_le_bytes)
    }

    /// A count or a place, as a `usize`.
    pub fn length(&mut self) -> Found<usize> {
        Ok(self.u32()? as usize)
    }

    pub fn u64(&mut self) -> Found<u64> {
        self.number().map(u64::from_le_bytes)
    }

    /// Text of so many bytes in ISO-8859-1, up to a zero, without blanks around it.
    pub fn text(&mut self, count: usize) -> Found<String> {
        self.take(count).map(latin)
    }
}

/// Text in ISO-8859-1 up to a zero, without blanks around it.
pub(super) fn latin(bytes: &[u8]) -> String {
    bytes.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect::<String>().trim().to_owned()
}

/// Bytes of all texts of an array or a column: one that stands in the file once may be referred to any number of times.
const MOST_TEXT: usize = 1 << 28;

/// Adds a text to those that were taken before, of so many bytes in all.
pub(super) fn count_text(total: &mut usize, text: &str) -> Found<()> {
    *total += text.len();
    if *total > MOST_TEXT { Err(format!("its texts come to more than {MOST_TEXT} bytes")) } else { Ok(()) }
}

/// The most that is read at once, bytes: a header, a chunk, a row.
pub(super) const LARGEST_PART: u64 = 1 << 28;

impl OnDisk {
    /// So many bytes from a place on; no more than the file has.
    pub(super) fn bytes(&self, at: u64, count: u64) -> Found<Vec<u8>> {
        if at.checked_add(count).is_none_or(|end| end > self.length()) {
            return Err(format!("{count} bytes from byte {at} on are wanted, it has {}: damaged or cut off", self.length()));
        }
        if count > LARGEST_PART {
            return Err(format!("{count} bytes in one piece: at most {LARGEST_PART} are read at once"));
        }
        let mut bytes = vec![0; count as usize];
        self.read(at, &mut bytes).map_err(|error| format!("cannot be read at byte {at}: {error}"))?;
        Ok(bytes)
    }

    /// As many of so many bytes as the file has.
    pub(super) fn at_most(&self, at: u64, count: u64) -> Found<Vec<u8>> {
        self.bytes(at, count.min(self.length().saturating_sub(at)))
    }
}

/// How a sample is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// A whole number of 1 to 8 bytes.
    Signed(usize),
    /// A whole number of 1 to 8 bytes that is not negative.
    Unsigned(usize),
    /// IEEE 754 of 2, 4 or 8 bytes.
    Float(usize),
}

impl Number {
    /// Bytes of one.
    pub fn size(self) -> usize {
        match self {
            Number::Signed(size) | Number::Unsigned(size) | Number::Float(size) => size,
        }
    }

    /// The lowest and the highest number; infinite for floats.
    pub fn ends(self) -> [f64; 2] {
        match self {
            Number::Signed(size) => [-(2f64.powi(8 * size as i32 - 1)), 2f64.powi(8 * size as i32 - 1) - 1.0],
            Number::Unsigned(size) => [0.0, 2f64.powi(8 * size as i32) - 1.0],
            Number::Float(_) => [f64::NEG_INFINITY, f64::INFINITY],
        }
    }

    /// The number in [`Self::size`] bytes.
    pub fn read(self, bytes: &[u8], big: bool) -> f64 {
        let mut eight = [0u8; 8];
        let size = self.size();
        eight[..size].copy_from_slice(&bytes[..size]);
        if big {
            eight[..size].reverse();
        }
        let whole = u64::from_le_bytes(eight);
        match self {
            Number::Unsigned(_) => whole as f64,
            // Shifted up and back, the sign spreads over the top.
            Number::Signed(_) => ((whole << (64 - 8 * size)) as i64 >> (64 - 8 * size)) as f64,
            Number::Float(8) => f64::from_bits(whole),
            Number::Float(4) => f64::from(f32::from_bits(whole as u32)),
            Number::Float(_) => f64::from(half(whole as u16)),
        }
    }

    /// All numbers in these bytes; a part of one at the end is left out.
    pub fn read_all(self, bytes: &[u8], big: bool) -> Vec<f64> {
        bytes.chunks_exact(self.size()).map(|one| self.read(one, big)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_refused() {
        let mut bytes = Bytes::new(&[1, 2, 3, 4, 5]);
        assert_eq!((bytes.u16(), bytes.at(), bytes.left()), (Ok(0x201), 2, 3));
        assert!(bytes.u32().unwrap_err().contains("ends 3 bytes after byte 2, where 4"));
        assert_eq!((bytes.u8(), bytes.seek(5), bytes.take(0)), (Ok(3), Ok(()), Ok(&[][..])));
        assert!(bytes.u8().is_err() && bytes.seek(6).is_err() && bytes.take(usize::MAX).is_err());
        bytes.seek(0).unwrap();
        bytes.big = true;
        assert_eq!((bytes.u16(), bytes.text(3).unwrap().as_str()), (Ok(0x102), "\u{3}\u{4}\u{5}"));
    }

    #[test]
    fn numbers_of_every_size() {
        for (number, bytes, value) in [
            (Number::Signed(3), &[0xff, 0xff, 0xff][..], -1.0),
            (Number::Signed(3), &[0, 0, 0x80], -8_388_608.0),
            (Number::Unsigned(3), &[0, 0, 0x80], 8_388_608.0),
            (Number::Signed(8), &[0xfe, 255, 255, 255, 255, 255, 255, 255], -2.0),
            (Number::Float(4), &1.5f32.to_le_bytes(), 1.5),
            (Number::Float(2), &[0, 0x3c], 1.0),
            (Number::Float(2), &[1, 0x80], -2f64.powi(-24)),
            (Number::Float(2), &[0xff, 0x7b], 65504.0),
        ] {
            assert_eq!(number.read(bytes, false), value, "{number:?}");
            let turned: Vec<u8> = bytes.iter().rev().copied().collect();
            assert_eq!(number.read(&turned, true), value, "{number:?}");
        }
        assert!(Number::Float(2).read(&[0, 0x7c], false).is_infinite() && Number::Float(2).read(&[1, 0x7c], false).is_nan());
    }
}
