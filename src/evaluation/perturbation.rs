//! The study's objective test of a heatmap: add noise to the points that it highlights, strongest first, and watch the prediction.
//!
//! Points are ordered by decreasing |attribution| (ties by index), once. Iteration 0 is the ECG itself; each iteration adds to the next point
//! a draw from Normal(0, σ), σ = 0.2 · (max − min of that ECG), and earlier perturbations stay. The draw of an iteration belongs to the ECG, the
//! iteration and the repeat, and is common to all methods and targets: methods are compared on the same noise.

use crate::progress::{Report, Step};
use crate::random::{Stage, Stream, standard_normal};
use crate::tape::{Network, Tensor, from_vec};
use crate::unfit::first_unfit;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// How ECGs are perturbed. The defaults are the study's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerturbationSettings {
    /// Points perturbed, one an iteration.
    pub iterations: usize,
    /// The noise's standard deviation as a share of (max − min) of the whole ECG.
    pub strength: f64,
    /// The master seed.
    pub seed: u64,
    /// Which of several independent repeats this is.
    pub repeat: u32,
    /// A ceiling for the memory of inputs in flight, bytes. Results do not depend on it.
    pub memory: usize,
}

impl Default for PerturbationSettings {
    fn default() -> Self {
        PerturbationSettings { iterations: 200, strength: 0.2, seed: 0, repeat: 0, memory: 64 << 20 }
    }
}

/// Whatever predicts one value for each ECG of a batch (N, C, L). An ECG's prediction must not depend on the rest of the batch.
pub trait Predictor: Sync {
    /// One prediction for each ECG.
    ///
    /// # Errors
    /// If the batch does not fit.
    fn predict_batch(&self, x: Tensor<f32>) -> Result<Vec<f32>>;

    /// Predictions of one ECG (C, L) as its points change: for each k of `rows` after the first k of the `changes`, each a place (row-major) and the
    /// value that it takes. They are those of [`Predictor::predict_batch`] on the changed ECGs, which is what this does unless there is a shorter way.
    ///
    /// # Errors
    /// If the ECG does not fit.
    fn predict_changes(&self, x: ArrayView2<'_, f32>, changes: &[(usize, f32)], rows: Range<usize>) -> Result<Vec<f32>> {
        self.predict_batch(changed(x, changes, rows))
    }
}

/// The ECGs of [`Predictor::predict_changes`], each as a whole.
fn changed(x: ArrayView2<'_, f32>, changes: &[(usize, f32)], rows: Range<usize>) -> Tensor<f32> {
    let start: Vec<f32> = x.iter().copied().collect();
    let mut inputs = vec![0.0; rows.len() * start.len()];
    inputs.par_chunks_mut((PIECE * start.len()).max(1)).enumerate().for_each(|(piece, inputs)| {
        let (mut now, mut taken) = (start.clone(), 0);
        for (row, input) in inputs.chunks_exact_mut(start.len()).enumerate() {
            let wanted = rows.start + piece * PIECE + row;
            for (place, value) in &changes[taken..wanted] {
                now[*place] = *value;
            }
            taken = wanted;
            input.copy_from_slice(&now);
        }
    });
    from_vec(&[rows.len(), x.nrows(), x.ncols()], inputs)
}

impl Predictor for Network<f32> {
    fn predict_batch(&self, x: Tensor<f32>) -> Result<Vec<f32>> {
        let count = x.shape()[0];
        let output = self.predict(&[x])?;
        if output.shape() != [count, 1] {
            return Err(Error::Program(format!("the network gives shape {:?}, perturbation needs ({count}, 1)", output.shape())));
        }
        Ok(output.iter().copied().collect())
    }

    fn predict_changes(&self, x: ArrayView2<'_, f32>, changes: &[(usize, f32)], rows: Range<usize>) -> Result<Vec<f32>> {
        let (ecg, count) = (x.as_standard_layout(), rows.len());
        let values = ecg.as_slice().unwrap_or(&[]);
        match self.predict_changes_planned(&[x.nrows(), x.ncols()], values, changes, rows.clone())? {
            Some(outputs) if outputs.len() == count => Ok(outputs),
            // One that has several outputs is refused there.
            _ => self.predict_batch(changed(x, changes, rows)),
        }
    }
}

/// Inputs that run together, at most: all of the study's iterations on one ECG, which threads then share evenly.
const BATCH: usize = 256;
/// Inputs that are made together.
const PIECE: usize = 16;

/// The places of a map's points (row-major) by decreasing |attribution|, ties by place; the first `count` of them.
///
/// # Errors
/// [`Error::Value`] for an attribution that is not a number: it has no place in the order.
pub fn order<'a>(map: impl IntoIterator<Item = &'a f32>, count: usize) -> Result<Vec<usize>> {
    let sizes: Vec<f32> = map.into_iter().map(|v| v.abs()).collect();
    if let Some(at) = sizes.iter().position(|size| size.is_nan()) {
        return Err(Error::Value {
            at: format!("a heatmap, point {at}"),
            problem: "the attribution is not a number and cannot be ranked".into(),
        });
    }
    let mut places: Vec<usize> = (0..sizes.len()).collect();
    let stronger = |a: &usize, b: &usize| sizes[*b].total_cmp(&sizes[*a]).then(a.cmp(b));
    if count < places.len() {
        places.select_nth_unstable_by(count, stronger);
        places.truncate(count);
    }
    places.sort_unstable_by(stronger);
    Ok(places)
}

/// What is added at each iteration to ECG number `id`, µV: the same for every map of the ECG.
pub fn noise<'a>(x: impl IntoIterator<Item = &'a f32>, id: u64, settings: &PerturbationSettings) -> Vec<f64> {
    let (low, high) = x.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        let v = f64::from(*v);
        (low.min(v), high.max(v))
    });
    let sigma = settings.strength * (high - low);
    let mut rng = Stream::new(settings.seed, Stage::Perturbation).ecg(id).repeat(settings.repeat).rng();
    (0..settings.iterations).map(|_| sigma * standard_normal(&mut rng)).collect()
}

/// Predictions while the points of heatmaps are perturbed: for each method's maps (N, C, L) of the ECGs `x` (N, C, L), an array
/// (N, iterations + 1) whose column 0 is the unperturbed ECG. `ids` are the ECGs' numbers in their dataset and address the noise.
///
/// A prediction that is not finite stays in the curve; scoring leaves such ECGs out and says so.
///
/// # Errors
/// [`Error::Usage`] if there are more iterations than points or senseless settings; [`Error::Shape`] if maps and ECGs do not fit;
/// [`Error::Value`] for a sample or an attribution that is not finite.
pub fn perturb(
    predictor: &dyn Predictor,
    x: ArrayView3<'_, f32>,
    ids: &[u64],
    maps: &[ArrayView3<'_, f32>],
    settings: &PerturbationSettings,
    report: Report<'_>,
) -> Result<Vec<Array2<f32>>> {
    check(x, ids, maps, settings)?;
    let done = AtomicU64::new(0);
    let total = ids.len() as u64;
    let rows: Vec<Vec<Vec<f32>>> = (0..ids.len())
        .into_par_iter()
        .map(|n| {
            let own: Vec<_> = maps.iter().map(|map| map.index_axis(Axis(0), n)).collect();
            let curves = one(predictor, x.index_axis(Axis(0), n), ids[n], &own, settings)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            report(Step { label: "perturbing", done, total, unit: "ECGs", note: "" });
            Ok(curves)
        })
        .collect::<Result<_>>()?;
    let columns = settings.iterations + 1;
    let gather = |m: usize| Array2::from_shape_fn((ids.len(), columns), |(n, t)| rows[n][m][t]);
    Ok((0..maps.len()).map(gather).collect())
}

fn check(x: ArrayView3<'_, f32>, ids: &[u64], maps: &[ArrayView3<'_, f32>], settings: &PerturbationSettings) -> Result<()> {
    let (count, channels, len) = x.dim();
    if ids.len() != count {
        return Err(Error::Data(format!("{} ids were given for {count} ECGs", ids.len())));
    }
    if settings.iterations == 0 || settings.iterations > channels * len {
        let text =
            format!("{} iterations: an ECG of {channels} × {len} has 1 to {} points to perturb", settings.iterations, channels * len);
        return Err(Error::Usage(text));
    }
    if !(settings.strength.is_finite() && settings.strength >= 0.0) {
        return Err(Error::Usage(format!("a strength of {} is not a share of the ECG's range", settings.strength)));
    }
    if let Some(map) = maps.iter().find(|map| map.dim() != x.dim()) {
        return Err(Error::shape("a heatmap", x.dim(), map.dim()));
    }
    for (what, values) in std::iter::once(("sample", &x)).chain(maps.iter().map(|map| ("attribution", map))) {
        if let Some(((n, lead, t), v)) = first_unfit(values, |v: f32| !v.is_finite()) {
            let at = format!("ECG {}, lead {lead}, sample {t}", ids[n]);
            return Err(Error::Value { at, problem: format!("the {what} is {v}, which cannot be perturbed") });
        }
    }
    Ok(())
}

/// The curves of one ECG, one per map. All its inputs run in batches of its own.
fn one(
    predictor: &dyn Predictor,
    x: ArrayView2<'_, f32>,
    id: u64,
    maps: &[ArrayView2<'_, f32>],
    settings: &PerturbationSettings,
) -> Result<Vec<Vec<f32>>> {
    let noise = noise(x.iter(), id, settings);
    let batch = (settings.memory / (x.len() * size_of::<f32>() * rayon::current_num_threads()).max(1)).clamp(1, BATCH);
    let curve = |(index, map): (usize, &ArrayView2<'_, f32>)| -> Result<Vec<f32>> {
        let places = order(map.iter(), settings.iterations)?;
        let change = |(place, draw): (usize, &f64)| (place, (f64::from(x[(place / x.ncols(), place % x.ncols())]) + draw) as f32);
        let changes: Vec<(usize, f32)> = places.into_iter().zip(&noise).map(change).collect();
        // The ECG itself runs once, with the first map's inputs.
        let first = usize::from(index > 0);
        let mut curve = Vec::with_capacity(changes.len() + 1);
        for row in (first..=changes.len()).step_by(batch) {
            let rows = row..(row + batch).min(changes.len() + 1);
            let (count, predictions) = (rows.len(), predictor.predict_changes(x, &changes, rows)?);
            if predictions.len() != count {
                return Err(Error::shape("the predictions", count, predictions.len()));
            }
            curve.extend(predictions);
        }
        Ok(curve)
    };
    let mut curves: Vec<Vec<f32>> = maps.par_iter().enumerate().map(curve).collect::<Result<_>>()?;
    if let Some((first, others)) = curves.split_first_mut() {
        others.iter_mut().for_each(|curve| curve.insert(0, first[0]));
    }
    Ok(curves)
}
