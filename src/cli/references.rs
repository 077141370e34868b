//! `--baseline` and `--occlusion-value`: what methods compare with, from zeros to the beats of a dataset.

use crate::attribution::Baseline;
use crate::dataset::{Dataset, InputKind, Part, SplitBy};
use crate::files::npy;
use crate::nn::Model;
use crate::random::{Stage, Stream};
use crate::{Error, Result};
use ndarray::{Array2, Array3, Axis, Ix2, Ix3, Slice};
use rand::seq::SliceRandom;
use std::path::Path;

/// How a sample of ECGs serves as the baseline.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
pub(super) enum Use {
    /// Each is a baseline, maps being averaged over them.
    Each,
    /// Their mean is the baseline.
    Mean,
}

/// One baseline, or a sample of them.
pub(super) enum References {
    One(Baseline),
    Sample(Vec<Array2<f64>>),
}

/// The most ECGs of a file or dataset whose mean is one reference, unless another number is asked for.
pub(super) const MOST: usize = 20;

/// Whether a `--baseline` or `--occlusion-value` names a file or dataset.
pub(super) fn takes_files(text: &str) -> bool {
    !["zero", "mean"].contains(&text)
}

/// What `option` asks for, as one baseline: of several ECGs, their mean.
pub(super) fn one(option: &str, text: &str, model: &Model, seed: u64, samples: usize) -> Result<Baseline> {
    match references(option, text, MOST, Use::Mean, model, seed, samples)? {
        References::One(baseline) => Ok(baseline),
        References::Sample(_) => Err(Error::Usage(format!("{option} takes one reference"))),
    }
}

/// What `option` (`--baseline`) with `--baselines` and `--baseline-use` asks for, for a model that looks at `samples` samples.
pub(super) fn references(option: &str, text: &str, most: usize, how: Use, model: &Model, seed: u64, samples: usize) -> Result<References> {
    match text {
        "zero" => return Ok(References::One(Baseline::Zero)),
        "mean" => return Ok(References::One(Baseline::Mean)),
        _ => (),
    }
    let path = Path::new(text);
    if !path.exists() {
        return Err(Error::Usage(format!("{option} takes zero, mean, an .npy file or a dataset; there is no file '{text}'")));
    }
    if most == 0 {
        return Err(Error::Usage("--baselines takes a number from 1".into()));
    }
    let sample = if path.is_dir() { training_ecgs(option, path, most, model, seed, samples)? } else { from_file(path, most)? };
    if how == Use::Mean || sample.shape()[0] == 1 {
        let mean = sample.mean_axis(Axis(0)).ok_or_else(|| Error::format(path, "it holds no ECG"))?;
        return Ok(References::One(Baseline::Values(mean)));
    }
    Ok(References::Sample(sample.outer_iter().map(|ecg| ecg.to_owned()).collect()))
}

/// The first ECGs of an array (N, C, L) or (C, L).
fn from_file(path: &Path, most: usize) -> Result<Array3<f64>> {
    let array = npy::read_f64(path)?;
    let shape = array.shape().to_vec();
    let wrong = || Error::format(path, format!("it has shape {shape:?}, (C, L) or (N, C, L) is expected"));
    if let Ok(one) = array.clone().into_dimensionality::<Ix2>() {
        return Ok(one.insert_axis(Axis(0)));
    }
    let mut all = array.into_dimensionality::<Ix3>().map_err(|_| wrong())?;
    let count = all.shape()[0].min(most);
    all.slice_axis_inplace(Axis(0), Slice::from(..count));
    Ok(all)
}

/// Measured ECGs of the training part of a dataset, drawn by the seed; the split is that of the model, where it names one.
fn training_ecgs(option: &str, path: &Path, most: usize, model: &Model, seed: u64, samples: usize) -> Result<Array3<f64>> {
    let of_length = [InputKind::Median, InputKind::Rhythm].into_iter().find(|kind| kind.samples() == samples);
    let kind = model.input.or(of_length).ok_or_else(|| {
        let text = format!("the ECGs have {samples} samples, a dataset's 600 or 5000: give an array instead");
        Error::Usage(format!("{option} {}: {text}", path.display()))
    })?;
    let data = Dataset::open_checked(path, &[kind])?;
    let about = model.provenance.as_ref().map(|about| about.settings);
    if about.is_some_and(|about| about.further.split != SplitBy::Ecg) {
        let text = "the model's parts are those of a table of labels, so its training ECGs are not known here: give an array instead";
        return Err(Error::Usage(format!("{option} {}: {text}", path.display())));
    }
    let split = data.split(about.map_or(seed, |about| about.seed));
    let measured = |ecg: &usize| data.measurements(*ecg).rejected.is_none();
    let mut ecgs: Vec<usize> = split.part(Part::Train).iter().copied().filter(measured).collect();
    ecgs.shuffle(&mut Stream::new(seed, Stage::Audit).target(3).rng());
    ecgs.truncate(most);
    ecgs.sort_unstable();
    if ecgs.is_empty() {
        return Err(Error::Data(format!("{}: no ECG of the training part could be measured", path.display())));
    }
    Ok(data.inputs(&ecgs, kind)?.mapv(f64::from))
}
