//! ECGs in an array file, as `--input X.npy` brings them: (N, C, L) or, for one ECG, (C, L), in µV, of any number type.

use crate::ecg::leads::LEADS;
use crate::files::npy::{Dtype, NpyRows};
use crate::tape::Program;
use crate::{Error, Result};
use ndarray::{Array3, ArrayD, ArrayView2};
use std::ops::Range;
use std::path::Path;

/// An open array of ECGs, read a batch at a time.
pub(super) struct Ecgs {
    rows: NpyRows,
    /// ECGs, channels, samples.
    shape: [usize; 3],
}

impl Ecgs {
    /// Opens a file whose ECGs a program can take.
    ///
    /// # Errors
    /// [`Error::Format`] if the array has another number of axes, holds no ECG, or its ECGs do not fit the program; as [`NpyRows::open`].
    pub fn open(path: &Path, program: &Program) -> Result<Self> {
        let rows = NpyRows::open(path)?;
        let shape = match rows.header().shape[..] {
            [ecgs, channels, samples] => [ecgs, channels, samples],
            [channels, samples] => [1, channels, samples],
            _ => return Err(Error::shape(path.display().to_string(), "(N, 12, L) or (12, L)", &rows.header().shape)),
        };
        if shape.contains(&0) {
            return Err(Error::format(path, format!("its shape {shape:?} holds no sample")));
        }
        program.shapes(&[shape.to_vec()]).map_err(|error| Error::format(path, error.to_string()))?;
        Ok(Ecgs { rows, shape })
    }

    /// Number of ECGs.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Some of the ECGs, (N, C, L), exactly as in the file.
    ///
    /// # Errors
    /// [`Error::Value`] for a NaN or infinite sample, by ECG, lead and sample; [`Error::Io`].
    pub fn batch(&self, ecgs: Range<usize>) -> Result<Array3<f64>> {
        let [_, channels, samples] = self.shape;
        let single = self.rows.header().shape.len() == 2;
        let rows = if single { 0..channels } else { ecgs.clone() };
        let mut values = Vec::with_capacity(ecgs.len() * channels * samples);
        for row in rows {
            values.extend(self.row(row)?);
        }
        let batch = Array3::from_shape_vec((ecgs.len(), channels, samples), values)
            .map_err(|error| Error::format(self.rows.path(), error.to_string()))?;
        for (ecg, samples) in ecgs.zip(batch.outer_iter()) {
            self.check_finite(ecg, samples)?;
        }
        Ok(batch)
    }

    fn row(&self, index: usize) -> Result<ArrayD<f64>> {
        match self.rows.header().dtype {
            Dtype::F64 => self.rows.row::<f64>(index),
            _ => Ok(self.rows.row_f32(index)?.mapv(f64::from)),
        }
    }

    fn check_finite(&self, ecg: usize, samples: ArrayView2<'_, f64>) -> Result<()> {
        let Some(((channel, at), value)) = samples.indexed_iter().find(|(_, value)| !(**value as f32).is_finite()) else { return Ok(()) };
        let channel = if samples.nrows() == LEADS.len() { format!("lead {}", LEADS[channel]) } else { format!("channel {channel}") };
        let at = format!("{}: ECG {ecg}, {channel}, sample {at}", self.rows.path().display());
        Err(Error::Value { at, problem: format!("{value} is not a voltage") })
    }
}
