//! Rows of a `.npy` file too large for memory, read by position.

use super::{Dtype, Element, Header, elements, numbers};
use crate::on_disk::OnDisk;
use crate::{Error, Result};
use ndarray::{ArrayD, IxDyn};
use std::path::{Path, PathBuf};

/// Elements that are read at a time into a buffer of the caller's: they stay in the cache on their way.
const PIECE: usize = 1 << 14;

/// An open `.npy` file of shape (N, …) whose rows are read one at a time, from any thread.
#[derive(Debug)]
pub struct NpyRows {
    path: PathBuf,
    header: Header,
    file: OnDisk,
}

impl NpyRows {
    /// Opens a file and checks its size.
    ///
    /// # Errors
    /// As [`super::read`]; also for a file in Fortran order (its rows are not contiguous) and for a single number.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file = OnDisk::open(&path)?;
        let header = Header::read(&path, &mut file.start(Header::LONGEST)?.as_slice(), file.length())?;
        if header.shape.is_empty() {
            return Err(Error::format(&path, "holds a single number, not rows"));
        }
        if header.fortran && header.shape.len() > 1 {
            return Err(Error::format(&path, "is in Fortran order: save it again with numpy.ascontiguousarray"));
        }
        Ok(NpyRows { path, header, file })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.header.shape[0]
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one row.
    pub fn row_shape(&self) -> &[usize] {
        &self.header.shape[1..]
    }

    /// Row `index` in the type of the file.
    ///
    /// # Errors
    /// [`Error::Usage`] beyond the last row, [`Error::Format`] if `T` is not the file's type or the file was cut since it was opened,
    /// [`Error::Io`].
    pub fn row<T: Element>(&self, index: usize) -> Result<ArrayD<T>> {
        if T::DTYPE != self.header.dtype {
            let text = format!("holds {}, {} wanted", self.header.dtype.name(), T::DTYPE.name());
            return Err(Error::format(&self.path, text));
        }
        let values = elements(&self.header, &self.row_bytes(index)?);
        self.shaped(values)
    }

    /// Row `index` as f32, whatever the file's type (f64 and wide integers are rounded to nearest).
    ///
    /// # Errors
    /// As [`NpyRows::row`].
    pub fn row_f32(&self, index: usize) -> Result<ArrayD<f32>> {
        self.check_index(index)?;
        let row = self.header.elements() / self.len();
        self.shaped(self.values_f32(index * row, row)?)
    }

    /// As many rows from the one numbered `first` as fill `to`, one after another, as f32. They go through memory once, a piece at a time.
    ///
    /// # Errors
    /// As [`NpyRows::values_f32`].
    pub fn fill_f32(&self, first: usize, to: &mut [f32]) -> Result<()> {
        let row: usize = self.row_shape().iter().product();
        let from = first.checked_mul(row).ok_or_else(|| self.beyond(first, to.len()))?;
        for (piece, to) in to.chunks_mut(PIECE).enumerate() {
            to.copy_from_slice(&self.values_f32(from + piece * PIECE, to.len())?);
        }
        Ok(())
    }

    /// `count` elements from the one numbered `from`, in the order of the file, as f32: a part of a row too long for memory.
    ///
    /// # Errors
    /// [`Error::Usage`] beyond the last element; as [`NpyRows::row`].
    pub fn values_f32(&self, from: usize, count: usize) -> Result<Vec<f32>> {
        let (header, all) = (&self.header, self.header.elements());
        if from.checked_add(count).is_none_or(|end| end > all) {
            return Err(self.beyond(from, count));
        }
        let size = header.dtype.size();
        let bytes = self.bytes(from * size, count * size)?;
        Ok(match header.dtype {
            Dtype::F32 => elements::<f32>(header, &bytes),
            Dtype::F64 => elements::<f64>(header, &bytes).into_iter().map(|v| v as f32).collect(),
            Dtype::I16 => elements::<i16>(header, &bytes).into_iter().map(f32::from).collect(),
            Dtype::I32 => elements::<i32>(header, &bytes).into_iter().map(|v| v as f32).collect(),
            Dtype::I64 => elements::<i64>(header, &bytes).into_iter().map(|v| v as f32).collect(),
            _ => numbers(header, &bytes).into_iter().map(|v| v as f32).collect(),
        })
    }

    fn beyond(&self, from: usize, count: usize) -> Error {
        let text = format!("elements {from} to {} asked for, there are {}", from.saturating_add(count), self.header.elements());
        Error::Usage(format!("{}: {text}", self.path.display()))
    }

    fn check_index(&self, index: usize) -> Result<()> {
        if index < self.len() {
            return Ok(());
        }
        Err(Error::Usage(format!("{}: row {index} asked for, there are {}", self.path.display(), self.len())))
    }

    fn row_bytes(&self, index: usize) -> Result<Vec<u8>> {
        self.check_index(index)?;
        let bytes = self.header.data_bytes() / self.len();
        self.bytes(index * bytes, bytes)
    }

    fn bytes(&self, from: usize, count: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; count];
        self.file.fill(self.header.offset + from as u64, &mut buffer)?;
        Ok(buffer)
    }

    fn shaped<T>(&self, values: Vec<T>) -> Result<ArrayD<T>> {
        ArrayD::from_shape_vec(IxDyn(self.row_shape()), values).map_err(|error| Error::format(&self.path, error.to_string()))
    }
}
