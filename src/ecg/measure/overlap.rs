//! P waves that begin before the last T wave has ended, in fast rhythms and long PR intervals.
//!
//! The two cannot be told apart along T's own direction in the space of the leads, but across it only P moves. So P is looked for again in what is left
//! once T's direction has been projected out. Whether T does leave nothing is seen before P; where it does, nothing is said.

use super::delineation::Rr;
use super::p_wave::{self, PWave};
use super::qrs::Qrs;
use super::shape::{dot, magnitude, mean, minus};
use super::{BEAT, Thresholds};
use crate::ecg::filter::Frame;

/// P is looked for at most so far before QRS, samples (440 ms).
const REACH: usize = 220;
/// What T leaves before P is at most this share of what is left of P, or this, µV.
const LEFT: (f64, f64) = (0.35, 4.0);

/// P as it is seen across T; `None` where the two cannot be told apart.
pub fn across_t(smooth: &[Frame], qrs: &Qrs, rr: Rr, thresholds: &Thresholds) -> Option<PWave> {
    let from = qrs.offset + 30;
    let to = ((qrs.onset as f64 + 0.75 * rr.after) as usize).min(BEAT - 20);
    if from + 20 >= to {
        return None;
    }
    let crest = (from..to).fold(from, |best, t| if magnitude(&smooth[t]) > magnitude(&smooth[best]) { t } else { best });
    let left = without(smooth, &smooth[crest]);
    let after_last = (qrs.offset as f64 + 25.0 - rr.before).max(2.0) as usize;
    let p = p_wave::within(&left, qrs, after_last.max(qrs.onset.saturating_sub(REACH)), thresholds)?;
    let before = p.onset.saturating_sub(3).max(after_last + 1);
    let zero = mean(&left[before.saturating_sub(6)..=before]);
    let over = |t: usize| magnitude(&minus(&left[t], &zero));
    let size = over(p.peak);
    let most = (after_last..before).map(over).fold(0.0, f64::max);
    if most > (LEFT.0 * size).max(LEFT.1) || before < after_last + 15 {
        return None;
    }
    Some(p)
}

/// The beat less its part along a direction.
fn without(beat: &[Frame], direction: &Frame) -> Vec<Frame> {
    let length = dot(direction, direction).max(1e-9);
    beat.iter()
        .map(|frame| {
            let along = dot(frame, direction) / length;
            std::array::from_fn(|lead| frame[lead] - along * direction[lead])
        })
        .collect()
}
