//! The P wave on the median beat.

use super::Thresholds;
use super::qrs::Qrs;
use super::shape::{argmax, dot, magnitude, minus, velocity};
use crate::ecg::filter::{Biquad, Frame, zero_phase};
use crate::ecg::leads::RATE;

/// Where P lies, in samples of the median beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PWave {
    /// Onset.
    pub onset: usize,
    /// Peak.
    pub peak: usize,
    /// Offset.
    pub offset: usize,
}

/// P is there if its RMS over leads is this much, µV.
const SMALLEST: f64 = 12.0;

/// Delineates P (25 Hz low-pass) in the 350 ms before QRS, after the previous T wave. `t_end` in samples of the beat, `rr` in samples.
pub fn delineate(beat: &[Frame], qrs: &Qrs, t_end: Option<usize>, rr: f64, thresholds: &Thresholds) -> Option<PWave> {
    let smooth = zero_phase(beat, &[Biquad::low_pass(25.0, RATE)], 100);
    let speed = velocity(&smooth);
    let previous = t_end.map_or(0.0, |end| end as f64 - rr).max(2.0) as usize;
    let from = qrs.onset.saturating_sub(175).max(previous);
    let to = qrs.onset.saturating_sub(6);
    if from + 30 >= to {
        return None;
    }
    // The height over the chord from the start of the search to QRS onset: a wave stands out of it, a drift does not.
    let (left, right) = (smooth[from], smooth[to]);
    let height = |t: usize| {
        let u = (t - from) as f64 / (to - from) as f64;
        let chord: Frame = std::array::from_fn(|lead| left[lead] + u * (right[lead] - left[lead]));
        minus(&smooth[t], &chord)
    };
    let heights: Vec<f64> = (0..=to).map(|t| if t < from { 0.0 } else { magnitude(&height(t)) }).collect();
    let peak = argmax(&heights, from + 5, to - 5);
    let size = heights[peak];
    if size < SMALLEST.max(4.0 * qrs.noise) {
        return None;
    }
    let rise = argmax(&speed, peak.saturating_sub(40).max(from), peak);
    let onset = (from..rise).rev().find(|&t| speed[t] < thresholds.p_onset * speed[rise])?;
    let unit = height(peak).map(|x| x / (8.0f64.sqrt() * size));
    let fall = |t: usize| dot(&minus(&smooth[t - 1], &smooth[t + 1]), &unit) / 2.0;
    let steepest = (peak..(peak + 35).min(to)).fold(peak, |best, t| if fall(t) > fall(best) { t } else { best });
    let offset = (steepest..=to).find(|&t| fall(t) < thresholds.p_offset * fall(steepest)).unwrap_or(to);
    (offset > peak && peak > onset).then_some(PWave { onset, peak, offset })
}
