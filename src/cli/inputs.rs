//! ECGs in an array file, as `--input X.npy` brings them: (N, C, L) or, for one ECG, (C, L), in µV, of any number type.

use super::amplitude;
use super::measure::unit;
use crate::ecg::leads::LEADS;
use crate::files::npy::{Dtype, NpyRows};
use crate::nn::Model;
use crate::{Error, Result};
use ndarray::{Array3, ArrayD, ArrayView2};
use std::ops::Range;
use std::path::Path;

/// What is said of ECGs, and what insists on those that a model of a known input would refuse.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct InputOptions {
    /// The unit of the ECGs: uV, mV or V [default: uV].
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Take ECGs of another length than the model was trained on.
    #[arg(long)]
    any_length: bool,
    /// Take ECGs whose amplitudes cannot be µV.
    #[arg(long)]
    any_amplitude: bool,
}

/// An open array of ECGs, read a batch at a time.
pub(super) struct Ecgs {
    rows: NpyRows,
    /// ECGs, channels, samples.
    shape: [usize; 3],
    /// Whether amplitudes that cannot be µV are refused.
    in_microvolts: bool,
    /// µV of one unit of the file.
    factor: f64,
}

impl Ecgs {
    /// Opens a file whose ECGs a model can take. A model that says what it looks at takes ECGs of that length and in µV only, unless the
    /// options insist; of other models nothing is known but their program.
    ///
    /// # Errors
    /// [`Error::Format`] if the array has another number of axes, holds no ECG, or its ECGs do not fit the model; as [`NpyRows::open`].
    pub fn open(path: &Path, model: &Model, options: &InputOptions) -> Result<Self> {
        let factor = match options.unit.as_deref() {
            None => 1.0,
            Some(name) => unit(name)?.microvolts(),
        };
        let rows = NpyRows::open(path)?;
        let shape = match rows.header().shape[..] {
            [ecgs, channels, samples] => [ecgs, channels, samples],
            [channels, samples] => [1, channels, samples],
            _ => return Err(Error::shape(path.display().to_string(), "(N, 12, L) or (12, L)", &rows.header().shape)),
        };
        if shape.contains(&0) {
            return Err(Error::format(path, format!("its shape {shape:?} holds no sample")));
        }
        let [_, channels, samples] = shape;
        if let Some(kind) = model.input.filter(|kind| kind.samples() != samples && !options.any_length) {
            let (name, wanted) = (kind.name(), kind.samples());
            let what = format!("its ECGs have {samples} samples; the model looks at {name} ECGs of {wanted} samples at 500 Hz");
            return Err(Error::format(path, format!("{what}: give those, or insist with --any-length")));
        }
        model.network.program().shapes(&[vec![1, channels, samples]]).map_err(|error| Error::format(path, error.to_string()))?;
        Ok(Ecgs { rows, shape, in_microvolts: model.input.is_some() && !options.any_amplitude, factor })
    }

    /// The shape of one ECG.
    pub fn example(&self) -> [usize; 2] {
        [self.shape[1], self.shape[2]]
    }

    /// Number of ECGs.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Some of the ECGs, (N, C, L), in µV: as in the file, which is in µV unless its unit is said.
    ///
    /// # Errors
    /// [`Error::Value`] for a NaN or infinite sample, by ECG, lead and sample, and for an ECG that cannot be in µV; [`Error::Io`].
    pub fn batch(&self, ecgs: Range<usize>) -> Result<Array3<f64>> {
        let [_, channels, samples] = self.shape;
        let single = self.rows.header().shape.len() == 2;
        let rows = if single { 0..channels } else { ecgs.clone() };
        let mut values = Vec::with_capacity(ecgs.len() * channels * samples);
        for row in rows {
            values.extend(self.row(row)?.into_iter().map(|value| value * self.factor));
        }
        let batch = Array3::from_shape_vec((ecgs.len(), channels, samples), values)
            .map_err(|error| Error::format(self.rows.path(), error.to_string()))?;
        ecgs.clone().zip(batch.outer_iter()).try_for_each(|(ecg, samples)| self.check_finite(ecg, samples))?;
        ecgs.zip(batch.outer_iter()).try_for_each(|(ecg, samples)| self.check_amplitude(ecg, samples))?;
        Ok(batch)
    }

    fn row(&self, index: usize) -> Result<ArrayD<f64>> {
        match self.rows.header().dtype {
            Dtype::F64 => self.rows.row::<f64>(index),
            _ => Ok(self.rows.row_f32(index)?.mapv(f64::from)),
        }
    }

    /// Refuses an ECG that cannot be in µV, where the model looks at such.
    fn check_amplitude(&self, ecg: usize, samples: ArrayView2<'_, f64>) -> Result<()> {
        if !self.in_microvolts {
            return Ok(());
        }
        amplitude::check(|| format!("{}: ECG {ecg}", self.rows.path().display()), samples)
    }

    fn check_finite(&self, ecg: usize, samples: ArrayView2<'_, f64>) -> Result<()> {
        let Some(((channel, at), value)) = samples.indexed_iter().find(|(_, value)| !(**value as f32).is_finite()) else { return Ok(()) };
        let channel = if samples.nrows() == LEADS.len() { format!("lead {}", LEADS[channel]) } else { format!("channel {channel}") };
        let at = format!("{}: ECG {ecg}, {channel}, sample {at}", self.rows.path().display());
        Err(Error::Value { at, problem: format!("{value} is not a voltage") })
    }
}
