//! The P wave on the median beat.

use super::Thresholds;
use super::qrs::Qrs;
use super::shape::{argmax, argmin, dot, magnitude, mean, minus, moving_mean, velocity};
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
    /// Where the search began: P cannot begin before.
    pub from: usize,
    /// The level at rest before it.
    pub rest: Frame,
}

/// P is there if its RMS over leads is this much, µV.
const SMALLEST: f64 = 12.0;

/// The beat as P is delineated on it: 25 Hz low-pass.
pub fn smooth(beat: &[Frame]) -> Vec<Frame> {
    zero_phase(beat, &[Biquad::low_pass(25.0, RATE)], 100)
}

/// Delineates P ([`smooth`]) in the 350 ms before QRS, after the previous T wave. `t_end` in samples of the beat, `rr` in samples.
pub fn delineate(smooth: &[Frame], qrs: &Qrs, t_end: Option<usize>, rr: f64, thresholds: &Thresholds) -> Option<PWave> {
    let previous = t_end.map_or(0.0, |end| end as f64 - rr).max(2.0) as usize;
    within(smooth, qrs, qrs.onset.saturating_sub(175).max(previous), thresholds)
}

/// Delineates P between a sample and QRS.
pub fn within(smooth: &[Frame], qrs: &Qrs, from: usize, thresholds: &Thresholds) -> Option<PWave> {
    let speed = velocity(smooth);
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
    let peak = last_hump(&heights, argmax(&heights, from + 5, to - 5), to - 5);
    let size = heights[peak];
    if size < SMALLEST.max(4.0 * qrs.noise) {
        return None;
    }
    let unit = height(peak).map(|x| x / (8.0f64.sqrt() * size));
    let slope = |t: usize| dot(&minus(&smooth[t + 1], &smooth[t - 1]), &unit) / 2.0;
    let first = peak.saturating_sub(LONGEST).max(from + 1);
    let rise = argmax(&speed, peak.saturating_sub(40).max(first), peak.max(first + 1));
    let (mut onset, mut rest) = first_flank(smooth, &speed, first, rise, &unit, size, thresholds.p_onset)?;
    let last = (peak + 35).min(to);
    let fall = (peak..last).fold(peak, |best, t| if slope(t) < slope(best) { t } else { best });
    let offset = (fall..=to).find(|&t| slope(t) > thresholds.p_offset * slope(fall)).unwrap_or(to);
    if offset > onset + LONGEST_P {
        // A hump of T, or U, has been taken in: P begins behind the calm between.
        let even = moving_mean(&speed, 13);
        let calm = argmin(&even, onset + 8, rise.max(onset + 9));
        if calm + 15 < rise {
            (onset, rest) = first_flank(smooth, &speed, calm, rise, &unit, size, thresholds.p_onset)?;
        }
    }
    (offset > peak && peak > onset).then_some(PWave { onset, peak, offset, from, rest })
}

/// A hump nearer to QRS is P, and a higher one before it a U wave or a phase of T, if it has this share of the height, comes so many samples later (90 ms), and the
/// leads come back to this share of it between.
const LAST_HUMP: (f64, usize, f64) = (0.4, 45, 0.5);

/// The last considerable hump before QRS. Two humps of one P wave stand nearer together.
fn last_hump(heights: &[f64], highest: usize, to: usize) -> usize {
    let (share, apart, back) = LAST_HUMP;
    let mut hump = highest;
    while hump + apart < to {
        let later = argmax(heights, hump + apart, to);
        let valley = argmin(heights, hump, later);
        let inside = later > hump + apart && later + 1 < to;
        if !inside || heights[later] < share * heights[highest] || heights[valley] > back * heights[later] {
            break;
        }
        hump = later;
    }
    hump
}

/// The furthest that P begins before its peak, samples (170 ms).
const LONGEST: usize = 85;
/// No P wave lasts longer, samples (180 ms).
pub const LONGEST_P: usize = 90;
/// A flank before the steepest counts if it has this share of its velocity, and this multiple of the lowest velocity around …
const FLANK: f64 = 0.45;
const FLANK_NOISE: f64 = 3.0;
/// … lies within this many samples (40 ms) before where the later one began, and climbs towards the peak rather than across: the cosine.
const FLANK_REACH: usize = 20;
const FLANK_COSINE: f64 = 0.5;
/// A valley counts once the velocity (26-ms mean) is down to this share of the flank's.
const VALLEY: f64 = 0.6;

/// Up to this multiple of the lowest velocity the leads are as calm.
const CALM: f64 = 1.5;

/// The share of P's height within which the leads are at rest.
const RESTS: f64 = 0.35;

/// Where the first flank of P begins: the leads do not rise together when the atria are not excited together. Each flank is followed backwards to
/// where the velocity falls below a fraction of its own, but not past the valley before it: drift and U waves are nearly as fast as a small P.
fn first_flank(
    smooth: &[Frame],
    speed: &[f64],
    from: usize,
    rise: usize,
    unit: &Frame,
    size: f64,
    fraction: f64,
) -> Option<(usize, Frame)> {
    let even = moving_mean(speed, 13);
    let floor = moving_mean(&speed[from..=rise], 21).iter().fold(f64::INFINITY, |a: f64, &b| a.min(b));
    // P begins at rest: where the leads still stand away from their calmest level before it, a hump of a notched P has gone before.
    // The crest of a U wave is calm too: of what is about as calm, rest is where the leads have come down furthest.
    let calmest = even[argmin(&even, from, rise.max(from + 1))];
    let low = |t: &usize| dot(&smooth[*t], unit);
    let calm = (from..rise).filter(|&t| even[t] <= CALM * calmest).min_by(|a, b| low(a).total_cmp(&low(b))).unwrap_or(from);
    let rest = mean(&smooth[calm.saturating_sub(8)..=calm + 8]);
    let rests = |t: usize| t <= calm || dot(&minus(&smooth[t], &rest), unit) < RESTS * 8.0f64.sqrt() * size;
    let enough = (FLANK * speed[rise]).max(FLANK_NOISE * floor);
    let step = |t: usize| minus(&smooth[t + 1], &smooth[t - 1]);
    let mut flank = rise;
    loop {
        let low = |t: usize| speed[t] < fraction * speed[flank];
        let valley = |t: usize| even[t] < VALLEY * even[flank] && even[t] <= even[t - 1] && even[t] <= even[t + 1];
        let onset = (from..flank).rev().find(|&t| (low(t) || valley(t)) && rests(t));
        let onset = onset.or_else(|| (from..flank).rev().find(|&t| low(t) || valley(t)))?;
        let climbs = |t: usize| dot(&step(t), unit) > FLANK_COSINE * dot(&step(t), &step(t)).sqrt();
        let crest = |t: usize| speed[t] >= enough && (t - 4..=t + 4).all(|u| speed[u] <= speed[t]) && climbs(t);
        let earliest = onset.saturating_sub(FLANK_REACH).max(from + 5);
        match (earliest..onset).rev().find(|&t| crest(t)) {
            Some(earlier) => flank = earlier,
            None => return Some((onset, rest)),
        }
    }
}
