//! What training and evaluation read: batches of inputs by ECG, and the values to predict.

use crate::ahead::in_turn;
use crate::dataset::{Dataset, InputKind, Part, Split, Target};
use crate::progress::{Report, Step};
use crate::tape::{Network, Tensor, slice};
use crate::{Error, Result};
use ndarray::Array3;

/// Inputs of the asked ECGs as one batch, (N, C, L) in µV.
pub type Inputs<'a> = &'a (dyn Fn(&[usize]) -> Result<Array3<f32>> + Sync);

/// ECGs with the value to predict, in an order of which any first part is a random sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examples {
    /// Indices of the ECGs, as [`Inputs`] takes them.
    pub ecgs: Vec<usize>,
    /// The measured values, in the target's unit, of a target with several columns one after another for each ECG: NaN where missing. Classes are 0
    /// and 1, or the place of a class.
    pub values: Vec<f64>,
}

impl Examples {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.ecgs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ecgs.is_empty()
    }

    /// The examples of a dataset's part: ECGs in which the target was measured, of a target with several columns any of them.
    pub fn of(dataset: &Dataset, split: &Split, part: Part, target: Target) -> Self {
        let (ecgs, columns) = (dataset.examples(split, part, target), target.columns());
        let value = |ecg: usize, column: Target| dataset.target(ecg, column).unwrap_or(f64::NAN);
        let values = ecgs.iter().flat_map(|&ecg| columns.iter().map(move |column| value(ecg, *column))).collect();
        Examples { ecgs, values }
    }

    /// The values of one of several columns.
    pub fn column(&self, at: usize, columns: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().copied().skip(at).step_by(columns.max(1))
    }
}

/// The examples of one target, in three parts.
#[derive(Clone, Copy)]
pub struct TrainingData<'a> {
    /// What is predicted; also keys the random streams.
    pub target: Target,
    /// From what.
    pub input: InputKind,
    /// Where inputs come from.
    pub inputs: Inputs<'a>,
    /// What weights are fitted to.
    pub train: &'a Examples,
    /// What the best epoch and the learning rate are chosen by.
    pub validation: &'a Examples,
    /// What results are reported on.
    pub test: &'a Examples,
}

impl TrainingData<'_> {
    /// The examples of a part.
    pub fn part(&self, part: Part) -> &Examples {
        match part {
            Part::Train => self.train,
            Part::Validation => self.validation,
            Part::Test => self.test,
        }
    }

    /// Refuses parts that cannot be trained on.
    pub(super) fn check(&self) -> Result<()> {
        for part in Part::ALL {
            let Examples { ecgs, values } = self.part(part);
            let columns = self.target.columns();
            if ecgs.len() * columns.len() != values.len() {
                return Err(Error::Data(format!("the {part} part has {} ECGs and {} values", ecgs.len(), values.len())));
            }
            if ecgs.is_empty() && part != Part::Test {
                return Err(Error::Data(format!("no ECG of the {part} part has a value for {}: use a larger dataset", self.target)));
            }
            if let Some(at) = values.iter().position(|value| value.is_infinite() || (columns.len() == 1 && value.is_nan())) {
                let at = at / columns.len();
                return Err(Error::Data(format!("ECG {}: its value for {} is {}", ecgs[at], self.target, values[at])));
            }
            let lacking = (0..columns.len()).find(|at| part != Part::Test && self.part(part).column(*at, columns.len()).all(f64::is_nan));
            if let Some(at) = lacking {
                return Err(Error::Data(format!("no ECG of the {part} part has a value for {}: use a larger dataset", columns[at])));
            }
        }
        Ok(())
    }

    /// A checksum of which ECGs are in which part, and of their values.
    pub(super) fn fingerprint(&self) -> u32 {
        let mut bytes = Vec::new();
        for part in Part::ALL {
            let Examples { ecgs, values } = self.part(part);
            bytes.extend((ecgs.len() as u64).to_le_bytes());
            bytes.extend(ecgs.iter().flat_map(|ecg| (*ecg as u64).to_le_bytes()));
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        super::container::crc32(&bytes)
    }
}

/// Examples at which predictions are made at a time; no result depends on it.
const BATCH: usize = 64;
/// Values of inputs that are in hand at a time: ECGs longer than these take are predicted from one by one.
const VALUES: usize = 1 << 22;

/// What a network predicts for ECGs, one value each.
///
/// # Errors
/// If an input does not fit the network, which must have one output, or a prediction is not finite; what reading inputs brings.
pub fn predict_ecgs(network: &Network<f32>, inputs: Inputs<'_>, ecgs: &[usize], label: &str, report: Report<'_>) -> Result<Vec<f64>> {
    let one = |x, _: &[usize]| predict_batch(network, x);
    kept(ecgs.len(), |take| predict_with(&one, 1, inputs, ecgs, (label, report), take))
}

/// What a network predicts for ECGs in some of its outputs, (N, K) in row-major order.
///
/// # Errors
/// If an input does not fit the network, which must have these outputs, or a prediction in them is not finite; what reading inputs brings.
pub fn predict_outputs(
    network: &Network<f32>,
    outputs: &[usize],
    inputs: Inputs<'_>,
    ecgs: &[usize],
    label: &str,
    report: Report<'_>,
) -> Result<Vec<f64>> {
    let predict = |x, _: &[usize]| network.predict(&[x]);
    kept(ecgs.len() * outputs.len(), |take| predict_outputs_by(&predict, outputs, inputs, ecgs, (label, report), take))
}

/// All predictions of some work that gives them away.
fn kept(count: usize, work: impl FnOnce(TakePredictions<'_>) -> Result<()>) -> Result<Vec<f64>> {
    let mut all = Vec::with_capacity(count);
    work(&mut |some| {
        all.extend(some.iter().copied().map(f64::from));
        Ok(())
    })?;
    Ok(all)
}

/// What is predicted for a batch of ECGs (N, C, L), and their numbers.
pub type PredictBatch<'a, R> = &'a (dyn Fn(Tensor<f32>, &[usize]) -> Result<R> + Sync);

/// Where predictions go as they are made: those of some ECGs at a time, in order, one ECG's outputs beside each other.
pub type TakePredictions<'a> = &'a mut (dyn FnMut(&[f32]) -> Result<()> + Send);

/// [`predict_outputs`] by a function of a batch of ECGs and their places in `ecgs`' list, as for networks that get more than the ECG; predictions are not
/// kept but given away as they are made.
///
/// # Errors
/// As [`predict_outputs`], and what `take` returns.
pub fn predict_outputs_by(
    predict: PredictBatch<'_, Tensor<f32>>,
    outputs: &[usize],
    inputs: Inputs<'_>,
    ecgs: &[usize],
    (label, report): (&str, Report<'_>),
    take: TakePredictions<'_>,
) -> Result<()> {
    let some = |x: Tensor<f32>, batch: &[usize]| {
        let count = x.shape()[0];
        let y = predict(x, batch)?;
        match y.shape() {
            [rows, columns] if *rows == count && outputs.iter().all(|output| output < columns) => {
                Ok(slice(&y).chunks(*columns).flat_map(|row| outputs.iter().map(|output| row[*output])).collect())
            }
            found => Err(Error::Program(format!("the network gives shape {found:?}, outputs {outputs:?} are asked for"))),
        }
    };
    predict_with(&some, outputs.len(), inputs, ecgs, (label, report), take)
}

/// Predictions batch by batch, `width` values an ECG; the next batch is read while one is predicted from.
fn predict_with(
    predict: PredictBatch<'_, Vec<f32>>,
    width: usize,
    inputs: Inputs<'_>,
    ecgs: &[usize],
    (label, report): (&str, Report<'_>),
    take: TakePredictions<'_>,
) -> Result<()> {
    let Some(only) = ecgs.get(..1) else { return Ok(()) };
    // How long ECGs are is seen at the first.
    let first = inputs(only)?;
    let (values, mut done) = (first.len(), 0);
    let size = (VALUES / values.max(1)).clamp(1, BATCH);
    let mut first = Some(first).filter(|_| size.min(ecgs.len()) == 1);
    let portions = ecgs.chunks(size).map(|batch| (batch, first.take()));
    let read = |(batch, x): (_, Option<Array3<f32>>)| Ok((batch, x.map_or_else(|| inputs(batch), Ok)?));
    in_turn(portions, values <= VALUES, read, |(batch, x): (&[usize], _)| {
        let output = predict(x.into_dyn().into_shared(), batch)?;
        if let Some(at) = output.iter().position(|value| !value.is_finite()) {
            let problem = format!("the network predicts {}", output[at]);
            return Err(Error::Value { at: format!("ECG {}", batch[at / width]), problem });
        }
        take(&output)?;
        done += batch.len() as u64;
        report(Step { label, done, total: ecgs.len() as u64, unit: "ECGs", note: "" });
        Ok(())
    })
}

/// The single output for each example of a batch (N, C, L).
pub(super) fn predict_batch(network: &Network<f32>, x: Tensor<f32>) -> Result<Vec<f32>> {
    let count = x.shape()[0];
    let output = network.predict(&[x])?;
    if output.shape() != [count, 1] {
        return Err(Error::Program(format!("the network gives shape {:?}, training and evaluation need ({count}, 1)", output.shape())));
    }
    Ok(slice(&output).to_vec())
}
