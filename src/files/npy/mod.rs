//! NumPy's `.npy`: one array, written in little-endian C order, read in any order and endianness.
//!
//! Format: numpy/lib/format.py (versions 1, 2 and 3), <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//! There is no memory mapping: rows are read by position, so that a file cut short by somebody else is an error and not the end
//! of the process; Python users may well map the same files.

mod header;
mod rows;
mod writer;

pub use header::Header;
pub(super) use header::bytes as header_bytes;
pub use rows::NpyRows;
pub use writer::{NpyWriter, write, write_to};

use crate::half::half;
use crate::intake::{self, Most};
use crate::{Error, Result};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use std::io::Read;
use std::path::Path;

/// The element types that are read; those of [`Element`] are written as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// `<f4`
    F32,
    /// `<f8`
    F64,
    /// `<i2`
    I16,
    /// `<i4`
    I32,
    /// `<i8`
    I64,
    /// `<f2`
    F16,
    /// `|i1`
    I8,
    /// `|u1`
    U8,
    /// `<u2`
    U16,
    /// `<u4`
    U32,
    /// `<u8`
    U64,
    /// `|b1`
    Bool,
}

impl Dtype {
    const ALL: [Dtype; 12] = [
        Dtype::F32,
        Dtype::F64,
        Dtype::I16,
        Dtype::I32,
        Dtype::I64,
        Dtype::F16,
        Dtype::I8,
        Dtype::U8,
        Dtype::U16,
        Dtype::U32,
        Dtype::U64,
        Dtype::Bool,
    ];

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
            Dtype::I16 | Dtype::F16 | Dtype::U16 => 2,
            Dtype::F32 | Dtype::I32 | Dtype::U32 => 4,
            Dtype::F64 | Dtype::I64 | Dtype::U64 => 8,
        }
    }

    /// NumPy's name: `float32`.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "float32",
            Dtype::F64 => "float64",
            Dtype::I16 => "int16",
            Dtype::I32 => "int32",
            Dtype::I64 => "int64",
            Dtype::F16 => "float16",
            Dtype::I8 => "int8",
            Dtype::U8 => "uint8",
            Dtype::U16 => "uint16",
            Dtype::U32 => "uint32",
            Dtype::U64 => "uint64",
            Dtype::Bool => "bool",
        }
    }

    /// The header's code without the byte order: `f4`.
    fn code(self) -> &'static str {
        match self {
            Dtype::F32 => "f4",
            Dtype::F64 => "f8",
            Dtype::I16 => "i2",
            Dtype::I32 => "i4",
            Dtype::I64 => "i8",
            Dtype::F16 => "f2",
            Dtype::I8 => "i1",
            Dtype::U8 => "u1",
            Dtype::U16 => "u2",
            Dtype::U32 => "u4",
            Dtype::U64 => "u8",
            Dtype::Bool => "b1",
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A number that an array may hold.
pub trait Element: sealed::Sealed + Copy + Default + Send + Sync + 'static {
    /// Its type in files.
    const DTYPE: Dtype;
    /// Numbers from their bytes in little-endian order (`DTYPE.size()` each).
    fn from_le(bytes: &[u8]) -> Vec<Self>;
    /// Numbers from their bytes in big-endian order.
    fn from_be(bytes: &[u8]) -> Vec<Self>;
    /// Appends the bytes of numbers in little-endian order.
    fn put_le(values: &[Self], out: &mut Vec<u8>);
}

macro_rules! element {
    ($($type:ty => $dtype:expr),*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: Dtype = $dtype;
            // In pieces of a fixed size these loops are copies of memory, or vectors of exchanged bytes.
            fn from_le(bytes: &[u8]) -> Vec<Self> {
                bytes.as_chunks().0.iter().map(|raw| <$type>::from_le_bytes(*raw)).collect()
            }
            fn from_be(bytes: &[u8]) -> Vec<Self> {
                bytes.as_chunks().0.iter().map(|raw| <$type>::from_be_bytes(*raw)).collect()
            }
            fn put_le(values: &[Self], out: &mut Vec<u8>) {
                let start = out.len();
                out.resize(start + size_of_val(values), 0);
                out[start..].as_chunks_mut().0.iter_mut().zip(values).for_each(|(raw, value)| *raw = value.to_le_bytes());
            }
        }
    )*};
}
element!(f32 => Dtype::F32, f64 => Dtype::F64, i16 => Dtype::I16, i32 => Dtype::I32, i64 => Dtype::I64);

/// An array as the file holds it; types that are not among these as the next wider one that is (uint64 as float64).
#[derive(Clone, Debug, PartialEq)]
pub enum NpyArray {
    /// float32
    F32(ArrayD<f32>),
    /// float64
    F64(ArrayD<f64>),
    /// int16
    I16(ArrayD<i16>),
    /// int32
    I32(ArrayD<i32>),
    /// int64
    I64(ArrayD<i64>),
}

/// Runs one body for whichever type the array has.
macro_rules! each {
    ($array:expr, $inner:ident => $body:expr) => {
        match $array {
            NpyArray::F32($inner) => $body,
            NpyArray::F64($inner) => $body,
            NpyArray::I16($inner) => $body,
            NpyArray::I32($inner) => $body,
            NpyArray::I64($inner) => $body,
        }
    };
}

impl NpyArray {
    /// The element type.
    pub fn dtype(&self) -> Dtype {
        match self {
            NpyArray::F32(_) => Dtype::F32,
            NpyArray::F64(_) => Dtype::F64,
            NpyArray::I16(_) => Dtype::I16,
            NpyArray::I32(_) => Dtype::I32,
            NpyArray::I64(_) => Dtype::I64,
        }
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        each!(self, array => array.shape())
    }

    /// Every element as f32 (f64 and wide integers are rounded to nearest).
    pub fn into_f32(self) -> ArrayD<f32> {
        match self {
            NpyArray::F32(array) => array,
            NpyArray::F64(array) => array.mapv(|v| v as f32),
            NpyArray::I16(array) => array.mapv(f32::from),
            NpyArray::I32(array) => array.mapv(|v| v as f32),
            NpyArray::I64(array) => array.mapv(|v| v as f32),
        }
    }

    /// Every element as f64 (int64 beyond 2⁵³ is rounded to nearest).
    pub fn into_f64(self) -> ArrayD<f64> {
        match self {
            NpyArray::F32(array) => array.mapv(f64::from),
            NpyArray::F64(array) => array,
            NpyArray::I16(array) => array.mapv(f64::from),
            NpyArray::I32(array) => array.mapv(f64::from),
            NpyArray::I64(array) => array.mapv(|v| v as f64),
        }
    }
}

macro_rules! from_array {
    ($($type:ty => $variant:ident),*) => {$(
        impl<D: ndarray::Dimension> From<ndarray::Array<$type, D>> for NpyArray {
            fn from(array: ndarray::Array<$type, D>) -> Self {
                NpyArray::$variant(array.into_dyn())
            }
        }
    )*};
}
from_array!(f32 => F32, f64 => F64, i16 => I16, i32 => I32, i64 => I64);

/// What is kept in memory whole; arrays of ECGs of any number are read by rows.
const LARGEST: Most = Most { bytes: 1 << 32, of: "an array that is read whole" };

/// Reads a `.npy` file of at most 4 GiB.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] for anything that is not an array of a known type whose size agrees with the file's length.
pub fn read(path: impl AsRef<Path>) -> Result<NpyArray> {
    let path = path.as_ref();
    let (mut file, length) = intake::open(path)?;
    if length > LARGEST.bytes {
        let text = format!("{length} bytes: {} has at most {}; save it as several files", LARGEST.of, LARGEST.bytes);
        return Err(Error::format(path, text));
    }
    let header = Header::read(path, &mut file, length)?;
    // The buffer grows with what comes out: a file of holes, or one that is cut while it is read, takes no more than it gives.
    let mut data = Vec::new();
    file.take(header.data_bytes() as u64).read_to_end(&mut data).map_err(|source| Error::io(path, source))?;
    if data.len() != header.data_bytes() {
        return Err(Error::format(path, "was cut off while it was read"));
    }
    decode(path, &header, &data)
}

/// Reads what a `.npy` file says of its array.
///
/// # Errors
/// As [`read`].
pub fn header(path: impl AsRef<Path>) -> Result<Header> {
    let path = path.as_ref();
    let (mut file, length) = intake::open(path)?;
    Header::read(path, &mut file, length)
}

/// Reads a `.npy` file that is in memory (an entry of a `.npz`); `path` names it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(path: &Path, bytes: &[u8]) -> Result<NpyArray> {
    let mut rest = bytes;
    let header = Header::read(path, &mut rest, bytes.len() as u64)?;
    decode(path, &header, rest)
}

/// Reads numbers of any type as f32.
///
/// # Errors
/// As [`read`].
pub fn read_f32(path: impl AsRef<Path>) -> Result<ArrayD<f32>> {
    Ok(read(path)?.into_f32())
}

/// Reads numbers of any type as f64.
///
/// # Errors
/// As [`read`].
pub fn read_f64(path: impl AsRef<Path>) -> Result<ArrayD<f64>> {
    Ok(read(path)?.into_f64())
}

fn decode(path: &Path, header: &Header, data: &[u8]) -> Result<NpyArray> {
    Ok(match header.dtype {
        Dtype::F32 => NpyArray::F32(array(path, header, data)?),
        Dtype::F64 => NpyArray::F64(array(path, header, data)?),
        Dtype::I16 => NpyArray::I16(array(path, header, data)?),
        Dtype::I32 => NpyArray::I32(array(path, header, data)?),
        Dtype::I64 => NpyArray::I64(array(path, header, data)?),
        Dtype::F16 => NpyArray::F32(shaped(path, header, numbers(header, data).into_iter().map(|v| v as f32).collect())?),
        Dtype::I8 | Dtype::U8 | Dtype::Bool => {
            NpyArray::I16(shaped(path, header, numbers(header, data).into_iter().map(|v| v as i16).collect())?)
        }
        Dtype::U16 => NpyArray::I32(shaped(path, header, numbers(header, data).into_iter().map(|v| v as i32).collect())?),
        Dtype::U32 => NpyArray::I64(shaped(path, header, numbers(header, data).into_iter().map(|v| v as i64).collect())?),
        Dtype::U64 => NpyArray::F64(shaped(path, header, numbers(header, data))?),
    })
}

fn array<T: Element>(path: &Path, header: &Header, data: &[u8]) -> Result<ArrayD<T>> {
    shaped(path, header, elements(header, data))
}

fn shaped<T: Clone>(path: &Path, header: &Header, values: Vec<T>) -> Result<ArrayD<T>> {
    let shape = IxDyn(&header.shape).set_f(header.fortran);
    let array = ArrayD::from_shape_vec(shape, values).map_err(|error| Error::format(path, format!("shape {:?}: {error}", header.shape)))?;
    Ok(if header.fortran { array.as_standard_layout().into_owned() } else { array })
}

fn elements<T: Element>(header: &Header, data: &[u8]) -> Vec<T> {
    if header.big_endian { T::from_be(data) } else { T::from_le(data) }
}

/// The elements of any type as f64.
fn numbers(header: &Header, data: &[u8]) -> Vec<f64> {
    let order = |raw: &[u8]| raw.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    let little = |raw: &[u8]| raw.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    let bits = |raw: &[u8]| if header.big_endian { order(raw) } else { little(raw) };
    let number = |raw: &[u8]| match (header.dtype, bits(raw)) {
        (Dtype::F16, bits) => f64::from(half(bits as u16)),
        (Dtype::I8, bits) => f64::from(bits as u8 as i8),
        (Dtype::Bool, bits) => f64::from(u8::from(bits != 0)),
        (Dtype::F32, bits) => f64::from(f32::from_bits(bits as u32)),
        (Dtype::F64, bits) => f64::from_bits(bits),
        (Dtype::I16, bits) => f64::from(bits as u16 as i16),
        (Dtype::I32, bits) => f64::from(bits as u32 as i32),
        (Dtype::I64, bits) => bits as i64 as f64,
        (Dtype::U8 | Dtype::U16 | Dtype::U32 | Dtype::U64, bits) => bits as f64,
    };
    data.chunks_exact(header.dtype.size()).map(number).collect()
}
