//! Where averaged heatmaps are largest, beside the places that a person would look at: the study's experts judged such heatmaps by eye.

use crate::dataset::{InputKind, Target};
use crate::ecg::Measurements;
use crate::ecg::leads::{RATE, V5};
use crate::evaluation::bootstrap::Estimate;
use crate::evaluation::errors::share;
use crate::evaluation::perturbation::order;
use crate::report::methods::NINE;
use crate::report::results::StudyResults;
use crate::report::scale::averaged;
use ndarray::{ArrayView2, Axis};

/// Samples a millisecond.
const PER_MS: f64 = RATE / 1000.0;
/// How near a place counts as there, ms: sharp ones, and the rounded T wave.
const SHARP: f64 = 20.0;
const ROUND: f64 = 40.0;
/// How far the R peak reaches for the points that are perturbed first, ms.
const PEAK: f64 = 10.0;
/// The points that the area is over.
const POINTS: usize = 15;

/// How often the averaged heatmap of each method is largest at a place that makes the measurement.
pub(super) struct Peaks {
    /// Target, method, share of the ECGs drawn in which it is so, with Wilson's interval.
    pub shares: Vec<(Target, String, Estimate)>,
}

impl Peaks {
    /// Looks at the kept ECGs of a study. `None` where there are none, or they are no median beats.
    pub fn of(study: &StudyResults) -> Option<Self> {
        if study.input != InputKind::Median || study.ecgs.ids.is_empty() {
            return None;
        }
        let mut shares = Vec::new();
        for target in study.targets.iter().filter(|target| Target::STUDY.contains(&target.target)) {
            for method in NINE {
                let Some(maps) = target.maps_of(method) else { continue };
                let (mut there, mut looked) = (0, 0);
                for (ecg, map) in maps.axis_iter(Axis(0)).enumerate() {
                    let x = study.ecgs.inputs.index_axis(Axis(0), ecg);
                    let Some(places) = places(target.target, x, &study.ecgs.measurements[ecg]) else { continue };
                    let mean = averaged(map);
                    let Some((largest, _)) = mean.indexed_iter().filter(|(_, v)| **v > 0.0).max_by(|a, b| a.1.total_cmp(b.1)) else {
                        continue;
                    };
                    looked += 1;
                    there += usize::from(places.iter().any(|(at, reach)| (largest as f64 - at).abs() <= reach * PER_MS));
                }
                shares.extend(share(there, looked).map(|share| (target.target, method.to_owned(), share)));
            }
        }
        (!shares.is_empty()).then_some(Peaks { shares })
    }

    /// That of a method for a target.
    pub fn share(&self, target: Target, method: &str) -> Option<Estimate> {
        self.shares.iter().find(|one| one.0 == target && one.1 == method).map(|one| one.2)
    }
}

/// What is looked for, in words.
pub(super) fn sought(target: Target) -> &'static str {
    match target {
        Target::Pr => "P onset or QRS onset ± 20 ms",
        Target::Qrs => "QRS onset or end ± 20 ms",
        Target::Qt => "QRS onset ± 20 ms or T end ± 40 ms",
        Target::RV5 => "R peak in V5 ± 20 ms",
        Target::JV5 => "J point ± 20 ms",
        _ => "T peak in V5 ± 40 ms",
    }
}

/// The places that make a measurement, in samples, and how near counts, ms. `None` where one was not found in the ECG.
pub(super) fn places(target: Target, x: ArrayView2<'_, f32>, found: &Measurements) -> Option<Vec<(f64, f64)>> {
    Some(match target {
        Target::Pr => vec![(found.p_onset?, SHARP), (found.qrs_onset?, SHARP)],
        Target::Qrs => vec![(found.qrs_onset?, SHARP), (found.qrs_offset?, SHARP)],
        Target::Qt => vec![(found.qrs_onset?, SHARP), (found.t_offset?, ROUND)],
        Target::RV5 => vec![(r_peak(x, found)?, SHARP)],
        Target::JV5 => vec![(found.qrs_offset?, SHARP)],
        _ => vec![(t_peak(x, found)?, ROUND)],
    })
}

/// The sample of a lead between two that is farthest from a level, or highest.
fn extreme(x: ArrayView2<'_, f32>, from: f64, to: f64, of: impl Fn(f32) -> f32) -> Option<f64> {
    let lead = x.row(V5);
    let (from, to) = (from.ceil().max(0.0) as usize, (to.floor().max(0.0) as usize + 1).min(lead.len()));
    let best = (from..to).max_by(|a, b| of(lead[*a]).total_cmp(&of(lead[*b])))?;
    Some(best as f64)
}

/// The highest sample of V5 within the QRS complex.
fn r_peak(x: ArrayView2<'_, f32>, found: &Measurements) -> Option<f64> {
    extreme(x, found.qrs_onset?, found.qrs_offset?, |uv| uv)
}

/// The sample of V5 between the J point, 40 ms on, and the T end that is farthest from the level at QRS onset.
fn t_peak(x: ArrayView2<'_, f32>, found: &Measurements) -> Option<f64> {
    let level = *x.row(V5).get(found.qrs_onset? as usize)?;
    extreme(x, found.qrs_offset? + ROUND * PER_MS, found.t_offset?, |uv| (uv - level).abs())
}

/// Of the points that perturbation takes first of a method's heatmaps for the R amplitude, the share that lies on the R peak in V5: mean over the ECGs
/// drawn. `None` where there are no heatmaps of median beats.
pub(super) fn on_the_peak(study: &StudyResults, method: &str) -> Option<f64> {
    let maps = study.target(Target::RV5).filter(|_| study.input == InputKind::Median)?.maps_of(method)?;
    let mut shares = Vec::new();
    for (ecg, map) in maps.axis_iter(Axis(0)).enumerate() {
        let x = study.ecgs.inputs.index_axis(Axis(0), ecg);
        let Some(peak) = r_peak(x, &study.ecgs.measurements[ecg]) else { continue };
        let on = |place: &&usize| {
            let (lead, at) = (**place / map.ncols(), **place % map.ncols());
            lead == V5 && (at as f64 - peak).abs() <= PEAK * PER_MS
        };
        let first = order(map.iter(), POINTS).ok()?;
        shares.push(first.iter().filter(on).count() as f64 / first.len().max(1) as f64);
    }
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn peaks_are_those_of_v5() {
        let mut x = Array2::<f32>::zeros((12, 600));
        (x[[V5, 240]], x[[V5, 250]], x[[V5, 400]], x[[0, 230]], x[[V5, 262]]) = (900.0, -1200.0, -300.0, 5000.0, -700.0);
        let found = Measurements { qrs_onset: Some(225.0), qrs_offset: Some(258.0), t_offset: Some(450.0), ..Measurements::default() };
        assert_eq!((r_peak(x.view(), &found), t_peak(x.view(), &found)), (Some(240.0), Some(400.0)));
        assert_eq!(places(Target::Pr, x.view(), &found), None);
        assert_eq!(places(Target::JV5, x.view(), &found), Some(vec![(258.0, SHARP)]));
    }
}
