//! The header of a `.npy` file: a Python dictionary literal with `descr`, `fortran_order` and `shape`.

use super::Dtype;
use crate::{Error, Result, shape};
use std::io::Read;
use std::path::Path;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// No header of a plain array comes near this; NumPy itself warns above 10 000.
const LONGEST_TEXT: usize = 65_536;
/// What our own headers take, so that the number of rows can grow in place.
pub(super) const WRITTEN: usize = 128;

/// What a `.npy` file says about its array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The element type.
    pub dtype: Dtype,
    /// Most significant byte first.
    pub big_endian: bool,
    /// First index fastest.
    pub fortran: bool,
    /// The shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Where the data begin, bytes from the start of the file.
    pub offset: u64,
}

impl Header {
    /// The most bytes that one takes.
    pub(super) const LONGEST: usize = 12 + LONGEST_TEXT;

    /// Reads a header and compares the size it claims with `length`, the length of the whole file.
    ///
    /// # Errors
    /// [`Error::Format`]: not a `.npy` file, an unknown type, more or fewer bytes than the shape asks for; [`Error::Io`].
    pub fn read(path: &Path, from: &mut impl Read, length: u64) -> Result<Self> {
        let header = Self::read_unchecked(path, from)?;
        header.check_length(path, length)?;
        Ok(header)
    }

    /// Reads a header that may not agree with the file's length (an interrupted [`super::NpyWriter`]).
    pub(super) fn read_unchecked(path: &Path, from: &mut impl Read) -> Result<Self> {
        let bad = |problem: String| Error::format(path, problem);
        let mut start = [0; 8];
        exactly(path, from, &mut start)?;
        if &start[..6] != MAGIC {
            return Err(bad("not a NumPy .npy file (it does not begin with \\x93NUMPY)".into()));
        }
        let (prefix, text_length) = match start[6] {
            1 => {
                let mut field = [0; 2];
                exactly(path, from, &mut field)?;
                (10, usize::from(u16::from_le_bytes(field)))
            }
            2 | 3 => {
                let mut field = [0; 4];
                exactly(path, from, &mut field)?;
                (12, u32::from_le_bytes(field) as usize)
            }
            version => return Err(bad(format!(".npy version {version} is not known (1, 2 and 3 are)"))),
        };
        if text_length > LONGEST_TEXT {
            return Err(bad(format!("a header of {text_length} bytes is not one of a plain array")));
        }
        let mut text = vec![0; text_length];
        exactly(path, from, &mut text)?;
        let text = std::str::from_utf8(&text).map_err(|_| bad("the header is not text".into()))?;
        let mut header = parse(text).map_err(|problem| bad(format!("header: {problem}")))?;
        header.offset = prefix + text_length as u64;
        Ok(header)
    }

    fn check_length(&self, path: &Path, length: u64) -> Result<()> {
        let (kind, present) = (|| format!("{} of shape {:?}", self.dtype.name(), self.shape), length.saturating_sub(self.offset));
        // Sizes of 0 hide nothing: what rows and strides are made of must fit as well.
        let Some(elements) = shape::elements(&self.shape, self.dtype.size()) else {
            let text = format!("{}: sizes too large for any memory, the file has {present} bytes (truncated?)", kind());
            return Err(Error::format(path, text));
        };
        let claimed = (elements * self.dtype.size()) as u64;
        if claimed == present {
            return Ok(());
        }
        let relation = if claimed < present { "trailing bytes" } else { "truncated?" };
        Err(Error::format(path, format!("{} take {claimed} bytes, the file has {present} ({relation})", kind())))
    }

    /// Elements in all. Does not overflow after [`Header::read`].
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of data.
    pub fn data_bytes(&self) -> usize {
        self.elements() * self.dtype.size()
    }
}

/// The bytes of our header: version 1, little-endian, C order, [`WRITTEN`] long where that is enough.
pub(in crate::files) fn bytes(dtype: Dtype, shape: &[usize]) -> Vec<u8> {
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    let tuple = if dims.len() == 1 { format!("({},)", dims[0]) } else { format!("({})", dims.join(", ")) };
    let dict = format!("{{'descr': '<{}', 'fortran_order': False, 'shape': {tuple}, }}", dtype.code());
    let total = (10 + dict.len() + 1).next_multiple_of(64).max(WRITTEN);
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend(((total - 10) as u16).to_le_bytes());
    out.extend(dict.as_bytes());
    out.resize(total - 1, b' ');
    out.push(b'\n');
    out
}

fn exactly(path: &Path, from: &mut impl Read, buffer: &mut [u8]) -> Result<()> {
    from.read_exact(buffer).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::format(path, "truncated: the file ends within the .npy header"),
        _ => Error::io(path, error),
    })
}

fn parse(text: &str) -> std::result::Result<Header, String> {
    let mut at = Cursor { rest: text };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    at.expect('{')?;
    while !at.take('}') {
        let key = at.string()?;
        at.expect(':')?;
        match key {
            "descr" => descr = Some(at.descr()?),
            "fortran_order" => fortran = Some(at.boolean()?),
            "shape" => shape = Some(at.tuple()?),
            other => return Err(format!("unknown key '{other}'")),
        }
        if !at.take(',') {
            at.expect('}')?;
            break;
        }
    }
    if !at.rest.trim().is_empty() {
        return Err("text after the dictionary".into());
    }
    let (dtype, big_endian) = dtype(descr.ok_or("no 'descr'")?)?;
    Ok(Header { dtype, big_endian, fortran: fortran.ok_or("no 'fortran_order'")?, shape: shape.ok_or("no 'shape'")?, offset: 0 })
}

fn dtype(descr: &str) -> std::result::Result<(Dtype, bool), String> {
    let unknown = || {
        let hint = "floats of 16, 32 and 64 bits, integers and booleans are read: convert with array.astype('float32')";
        format!("elements of type '{descr}' are not read ({hint})")
    };
    let big_endian = match descr.as_bytes().first() {
        Some(b'<') => false,
        Some(b'>') => true,
        Some(b'=') => cfg!(target_endian = "big"),
        // Single bytes have no order.
        Some(b'|') => false,
        _ => return Err(unknown()),
    };
    let dtype = Dtype::ALL
        .into_iter()
        .find(|dtype| dtype.code() == &descr[1..] && (dtype.size() == 1) == descr.starts_with('|'))
        .ok_or_else(unknown)?;
    Ok((dtype, big_endian))
}

/// A reader of the few Python literals that a header holds.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> std::result::Result<(), String> {
        if self.take(wanted) { Ok(()) } else { Err(format!("'{wanted}' expected")) }
    }

    fn string(&mut self) -> std::result::Result<&'a str, String> {
        let quote = if self.take('\'') {
            '\''
        } else if self.take('"') {
            '"'
        } else {
            return Err("a quoted name expected".into());
        };
        let (text, rest) = self.rest.split_once(quote).ok_or("a quote is not closed")?;
        self.rest = rest;
        Ok(text)
    }

    fn descr(&mut self) -> std::result::Result<&'a str, String> {
        self.string().map_err(|_| "'descr' is not a simple type (arrays of records are not read)".to_owned())
    }

    fn boolean(&mut self) -> std::result::Result<bool, String> {
        self.rest = self.rest.trim_start();
        for (text, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(text) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err("'fortran_order' is neither True nor False".into())
    }

    fn tuple(&mut self) -> std::result::Result<Vec<usize>, String> {
        self.expect('(')?;
        let mut shape = Vec::new();
        while !self.take(')') {
            self.rest = self.rest.trim_start();
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = self.rest.split_at(digits);
            let value = number.parse().map_err(|_| "'shape' is not a tuple of sizes".to_owned())?;
            // Python 2 wrote long integers with an L.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            shape.push(value);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        if shape.len() > 32 {
            return Err(format!("{} axes: NumPy has at most 32 here", shape.len()));
        }
        Ok(shape)
    }
}
