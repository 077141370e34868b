//! How sure the measurements of one ECG are: the delete-a-group jackknife over its beats, and how far its leads are apart.

use super::delineation::{Around, Delineation, delineate};
use super::{MS, R_AT, Thresholds, V5, median};
use crate::ecg::filter::Frame;

/// Groups of beats, each left out in turn.
const GROUPS: usize = 4;
/// Beats needed, so that three are left.
const FEWEST: usize = 4;
/// PR, QRS and QT are trusted if they stay within this when beats are left out, ms …
const STAYS: [f64; 3] = [20.0, 20.0, 24.0];
/// … for this share of the groups.
const AGREE: f64 = 0.7;

/// Standard errors of PR, QRS, QT (ms) and of R, J and T in V5 (µV), and what is not trusted.
#[derive(Clone, Debug, Default)]
pub struct Uncertainty {
    /// In this order.
    pub errors: [Option<f64>; 6],
    /// PR, QRS and QT where most parts of the beats say something else than all together: the middle one, ms.
    pub instead: [Option<f64>; 3],
    /// Why PR, QRS or QT is not trusted.
    pub untrusted: [Option<String>; 3],
}

/// A standard error is √(reading² + (beats · jackknife)² + (leads · spread)²): what the eye of a reader leaves, what the beats differ by, what the leads
/// differ by. Their sizes are those of the errors on LUDB's odd records and on simulated ECGs; `examples/measure_folds.rs` looks whether 68 % of errors lie
/// within them.
struct Model {
    reading: f64,
    beats: f64,
    leads: f64,
}

const MODELS: [Model; 6] = [
    Model { reading: 3.4, beats: 0.6, leads: 0.35 },
    Model { reading: 4.6, beats: 1.2, leads: 0.35 },
    Model { reading: 6.5, beats: 1.0, leads: 0.4 },
    Model { reading: 3.0, beats: 1.3, leads: 0.0 },
    Model { reading: 3.0, beats: 1.3, leads: 0.0 },
    Model { reading: 3.0, beats: 1.3, leads: 0.0 },
];

/// The six quantities of one delineated beat.
fn quantities(beat: &[Frame], found: &Delineation) -> [Option<f64>; 6] {
    let zero = beat[found.qrs.onset][V5];
    let lead = |at: usize| beat[at][V5] - zero;
    let amplitudes = super::amplitudes(lead, found);
    let (onset, offset) = (found.qrs.onset as f64, found.qrs.offset as f64);
    [
        found.p.as_ref().map(|p| (onset - p.onset as f64) * MS),
        Some((offset - onset) * MS),
        found.t.as_ref().map(|t| (t.end as f64 - onset) * MS),
        Some(amplitudes.0),
        Some(amplitudes.1),
        amplitudes.2,
    ]
}

/// The standard errors of what was found on the median of the beats at `points`, levelled at `onset`.
pub fn of(
    level: &[Frame],
    points: &[usize],
    beat: &[Frame],
    weights: &Frame,
    found: &Delineation,
    around: Around,
    thresholds: &Thresholds,
) -> Uncertainty {
    let mut parts: Vec<[Option<f64>; 6]> = Vec::new();
    if points.len() >= FEWEST {
        let groups = GROUPS.min(points.len());
        for left_out in 0..groups {
            let others: Vec<usize> = points.iter().enumerate().filter(|(at, _)| at % groups != left_out).map(|(_, &point)| point).collect();
            let part = median::median(level, &others, Some(found.qrs.onset)).ok().and_then(|beat| {
                let found = delineate(&beat, weights, around, thresholds).ok()?;
                Some(quantities(&beat, &found))
            });
            parts.push(part.unwrap_or_default());
        }
    }
    let spreads = [found.spread.p_onset, found.spread.qrs.map(|(onset, offset)| onset.hypot(offset)), found.spread.t_end, None, None, None];
    let whole = quantities(beat, found);
    let mut all = Uncertainty::default();
    for at in 0..6 {
        if whole[at].is_none() {
            continue;
        }
        let values: Vec<f64> = parts.iter().filter_map(|part| part[at]).collect();
        let beats = jackknife(&values, parts.len());
        let Model { reading, beats: of_beats, leads } = MODELS[at];
        // Too few beats to tell, or too few leads: as if they differed as much as they may.
        let over_beats = beats.unwrap_or(2.0 * reading);
        let over_leads = spreads[at].map_or(if at < 3 { 2.0 * reading } else { 0.0 }, |spread| spread * MS);
        all.errors[at] = Some(reading.hypot((of_beats * over_beats).hypot(leads * over_leads)));
        if let (Some(limit), Some(whole), false) = (STAYS.get(at), whole[at], parts.is_empty()) {
            let enough = AGREE * parts.len() as f64;
            let agree = |value: f64| values.iter().filter(|&&part| (part - value).abs() <= *limit).count();
            let middle = if values.is_empty() { whole } else { super::shape::middle(&mut values.clone()) };
            if agree(whole) as f64 >= enough {
                continue;
            }
            if agree(middle) as f64 >= enough {
                all.instead[at] = Some(middle);
            } else {
                let agree = agree(whole);
                let reason = format!("it changes with the beats it is measured on (the same without others in {agree} of {})", parts.len());
                all.untrusted[at] = Some(reason);
            }
        }
    }
    all
}

/// The jackknife's standard error; `None` where fewer than two groups have the quantity.
fn jackknife(values: &[f64], groups: usize) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let sum: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    Some((sum / values.len() as f64 * (groups as f64 - 1.0)).sqrt())
}

/// How alike the single beats are to the median beat in each lead, from 0 to 1: the middle correlation from before QRS to the end of T.
pub fn lead_quality(level: &[Frame], points: &[usize], beat: &[Frame], found: &Delineation) -> [f64; 8] {
    let from = found.qrs.onset.saturating_sub(30);
    let to = found.t.as_ref().map_or(found.qrs.offset + 60, |t| t.end).min(beat.len() - 1);
    let template = &beat[from..=to];
    let count = template.len() as f64;
    let mut alike: Vec<[f64; 8]> = Vec::new();
    for &point in points {
        let Some(first) = (point + from).checked_sub(R_AT) else { continue };
        let Some(part) = level.get(first..first + template.len()) else { continue };
        alike.push(std::array::from_fn(|lead| {
            let (mut a, mut b, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for (x, y) in template.iter().zip(part) {
                let (x, y) = (x[lead], y[lead]);
                a += x;
                b += y;
                aa += x * x;
                bb += y * y;
                ab += x * y;
            }
            let scale = ((aa - a * a / count) * (bb - b * b / count)).sqrt();
            if scale > 0.0 { ((ab - a * b / count) / scale).clamp(0.0, 1.0) } else { 0.0 }
        }));
    }
    std::array::from_fn(|lead| {
        let mut values: Vec<f64> = alike.iter().map(|beat| beat[lead]).collect();
        if values.is_empty() { 0.0 } else { super::shape::middle(&mut values) }
    })
}

#[cfg(test)]
mod tests {
    use super::jackknife;

    #[test]
    fn the_jackknife_of_a_mean_is_its_standard_error() {
        // Means with one of four values left out: (sum − x) / 3.
        let values = [10.0, 14.0, 9.0, 15.0];
        let left_out: Vec<f64> = values.iter().map(|x| (48.0 - x) / 3.0).collect();
        let variance = values.iter().map(|x| (x - 12.0f64).powi(2)).sum::<f64>() / 3.0;
        assert!((jackknife(&left_out, 4).unwrap() - (variance / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(jackknife(&[1.0], 4), None);
    }
}
