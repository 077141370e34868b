//! Baseline methods over a distribution of baselines (Lundberg & Lee 2017; Erion et al. 2021): the mean of the maps that each baseline
//! gives. For DeepLIFT this is DeepLIFT-SHAP; for Gradient SHAP every baseline is used equally often, which is the same expectation with
//! less variance than drawing them; completeness then holds against the mean prediction of the baselines.

use super::{Baseline, Explainer, Explanations, Method, Settings};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::progress::Report;
use crate::tape::{Network, Real, Tensor};
use crate::{Error, Result};
use ndarray::{Array2, Axis};

/// Maps of the ECGs `x` (N, C, L), averaged over baselines (C, L) each. Each baseline's draws come from a seed of its own
/// (`settings.seed` + its place · 2³²). Completeness entries are averaged too.
///
/// # Errors
/// [`Error::Data`] without a baseline; otherwise as [`Explainer::explain`].
pub fn over_baselines<T: Real>(
    network: &Network<T>,
    settings: &Settings,
    baselines: &[Array2<f64>],
    x: &Tensor<T>,
    ids: &[u64],
    methods: &[Method],
    report: Report<'_>,
) -> Result<Explanations<T>> {
    let mut sums: Option<Explanations<f64>> = None;
    let mut prediction = Vec::new();
    for (place, baseline) in baselines.iter().enumerate() {
        let settings = Settings {
            baseline: Baseline::Values(baseline.clone()),
            seed: settings.seed.wrapping_add((place as u64) << 32),
            ..settings.clone()
        };
        let found = Explainer::new(network, &settings)?.explain(x, ids, methods, report)?;
        prediction.clone_from(&found.prediction);
        add(&mut sums, &found);
    }
    let sums = sums.ok_or_else(|| Error::Data("there is no baseline to average over".into()))?;
    let share = 1.0 / baselines.len() as f64;
    let maps = sums.maps.into_iter().map(|(method, map)| (method, map.map(|v| T::of(v * share)).into_shared())).collect();
    let mut completeness = sums.completeness;
    completeness.iter_mut().flat_map(|(_, all)| all).for_each(|one| (one.sum, one.difference) = (one.sum * share, one.difference * share));
    Ok(Explanations { prediction, maps, beside: Vec::new(), completeness })
}

fn add<T: Real>(sums: &mut Option<Explanations<f64>>, found: &Explanations<T>) {
    let maps = found.maps.iter().map(|(method, map)| (*method, crate::tape::cast::<T, f64>(map)));
    match sums {
        None => {
            *sums = Some(Explanations {
                prediction: Vec::new(),
                maps: maps.collect(),
                beside: Vec::new(),
                completeness: found.completeness.clone(),
            })
        }
        Some(sums) => {
            sums.maps.iter_mut().zip(maps).for_each(|((_, sum), (_, map))| *sum += &map);
            let ours = sums.completeness.iter_mut().flat_map(|(_, all)| all);
            for (sum, one) in ours.zip(found.completeness.iter().flat_map(|(_, all)| all)) {
                (sum.sum, sum.difference) = (sum.sum + one.sum, sum.difference + one.difference);
            }
        }
    }
}

/// The mean ECG of a sample (N, C, L): the mean beat where inputs are median beats.
///
/// # Errors
/// [`Error::Data`] if there is none.
pub fn mean_ecg(x: &ndarray::Array3<f32>) -> Result<Array2<f64>> {
    x.mapv(f64::from).mean_axis(Axis(0)).ok_or_else(|| Error::Data("there is no ECG to average".into()))
}
