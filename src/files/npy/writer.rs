//! Writing `.npy`: whole arrays, and rows one after another with their number filled in at the end.

use super::{Element, Header, header};
use crate::files::atomic::{self, AtomicFile};
use crate::{Error, Result, intake};
use ndarray::{ArrayView, Dimension};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Bytes gathered before each write.
const CHUNK: usize = 1 << 16;

/// Writes an array as a `.npy` file, whole or not at all.
///
/// # Errors
/// [`Error::Io`].
pub fn write<T: Element, D: Dimension>(path: impl AsRef<Path>, array: ArrayView<'_, T, D>) -> Result<()> {
    atomic::write_with(path, |file| write_to(file, array))
}

/// Writes an array in `.npy` form to anything.
///
/// # Errors
/// The writer's.
pub fn write_to<T: Element, D: Dimension>(out: &mut impl Write, array: ArrayView<'_, T, D>) -> io::Result<()> {
    out.write_all(&header::bytes(T::DTYPE, array.shape()))?;
    write_elements(out, array)
}

fn write_elements<T: Element, D: Dimension>(out: &mut impl Write, array: ArrayView<'_, T, D>) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut put = |some: &[T]| {
        buffer.clear();
        T::put_le(some, &mut buffer);
        out.write_all(&buffer)
    };
    let count = CHUNK / T::DTYPE.size();
    if let Some(values) = array.as_slice() {
        return values.chunks(count).try_for_each(put);
    }
    let mut values = array.iter().copied();
    loop {
        let some: Vec<T> = values.by_ref().take(count).collect();
        if some.is_empty() {
            return Ok(());
        }
        put(&some)?;
    }
}

/// Appends rows to a `.npy` file of shape (N, …), N known only at the end.
#[derive(Debug)]
pub struct NpyWriter<T, W> {
    path: PathBuf,
    row_shape: Vec<usize>,
    rows: usize,
    out: W,
    element: PhantomData<T>,
}

impl<T: Element> NpyWriter<T, AtomicFile> {
    /// Starts a file that appears under its name at [`NpyWriter::finish`].
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>, row_shape: &[usize]) -> Result<Self> {
        let out = AtomicFile::create(&path)?;
        let mut writer = NpyWriter { path: path.as_ref().into(), row_shape: row_shape.into(), rows: 0, out, element: PhantomData };
        writer.put_header()?;
        Ok(writer)
    }

    /// Fills in the number of rows and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<()> {
        self.put_header()?;
        self.out.commit()
    }
}

impl<T: Element> NpyWriter<T, BufWriter<File>> {
    /// Opens a file in place, for rows that must survive a kill: the first `keep` rows of an existing file stay,
    /// what follows them is cut off. With `keep` = 0 the file is started afresh.
    ///
    /// # Errors
    /// [`Error::Format`] if an existing file has another type or row shape or fewer than `keep` rows; [`Error::Io`].
    pub fn resume(path: impl AsRef<Path>, row_shape: &[usize], keep: usize) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let row_bytes = row_shape.iter().product::<usize>() * T::DTYPE.size();
        let length = (header::WRITTEN + keep * row_bytes) as u64;
        if keep > 0 {
            check_continuable::<T>(&path, row_shape, keep, length)?;
        }
        let io = |source| Error::io(&path, source);
        let file = OpenOptions::new().write(true).create(true).truncate(keep == 0).open(&path).map_err(io)?;
        file.set_len(length).map_err(io)?;
        let out = BufWriter::with_capacity(CHUNK, file);
        let mut writer = NpyWriter { path: path.clone(), row_shape: row_shape.into(), rows: keep, out, element: PhantomData };
        writer.put_header()?;
        Ok(writer)
    }

    /// Makes what was written so far durable and readable: the header's N, then a sync.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn checkpoint(&mut self) -> Result<()> {
        self.put_header()?;
        self.out.get_ref().sync_all().map_err(|source| Error::io(&self.path, source))
    }
}

impl<T: Element, W: Write + Seek> NpyWriter<T, W> {
    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends one row.
    ///
    /// # Errors
    /// [`Error::Shape`] if it has not the row shape, [`Error::Io`].
    pub fn append<D: Dimension>(&mut self, row: ArrayView<'_, T, D>) -> Result<()> {
        if row.shape() != self.row_shape {
            return Err(Error::shape(format!("{}: row {}", self.path.display(), self.rows), &self.row_shape, row.shape()));
        }
        write_elements(&mut self.out, row).map_err(|source| Error::io(&self.path, source))?;
        self.rows += 1;
        Ok(())
    }

    /// Rewrites the header with the present number of rows and returns to the end.
    fn put_header(&mut self) -> Result<()> {
        let shape: Vec<usize> = std::iter::once(self.rows).chain(self.row_shape.iter().copied()).collect();
        let header = header::bytes(T::DTYPE, &shape);
        let text = || format!("rows of shape {:?} have too many axes to be streamed", self.row_shape);
        if header.len() != header::WRITTEN {
            return Err(Error::Usage(text()));
        }
        self.out
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.out.write_all(&header))
            .and_then(|()| self.out.flush())
            .and_then(|()| self.out.seek(SeekFrom::End(0)))
            .map_err(|source| Error::io(&self.path, source))?;
        Ok(())
    }
}

/// Whether an interrupted file holds `keep` rows of the right kind in at least `length` bytes (its header's N is not to be trusted).
fn check_continuable<T: Element>(path: &Path, row_shape: &[usize], keep: usize, length: u64) -> Result<()> {
    let (mut file, present) = intake::open(path)?;
    let header = Header::read_unchecked(path, &mut file)?;
    let right_kind = header.dtype == T::DTYPE
        && !header.big_endian
        && !header.fortran
        && header.offset == header::WRITTEN as u64
        && header.shape.get(1..) == Some(row_shape);
    if right_kind && present >= length {
        return Ok(());
    }
    let text = format!("cannot be continued after row {keep}: it holds {} {:?}", header.dtype.name(), header.shape);
    Err(Error::format(path, text))
}
