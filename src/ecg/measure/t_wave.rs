//! The T wave on the median beat.

use super::qrs::Qrs;
use super::shape::{argmax, argmin, dot, magnitude, mean, minus, moving_mean, velocity};
use super::{BEAT, Thresholds};
use crate::ecg::filter::{Biquad, Frame, zero_phase};
use crate::ecg::leads::RATE;

/// Where T lies, in samples of the median beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TWave {
    /// Where it can begin at the earliest: past the J point.
    pub begin: usize,
    /// Its end.
    pub end: usize,
}

/// T is there if its RMS over leads is this much, µV.
const SMALLEST: f64 = 25.0;

/// The beat as T is delineated on it: 15 Hz low-pass.
pub fn smooth(beat: &[Frame]) -> Vec<Frame> {
    zero_phase(beat, &[Biquad::low_pass(15.0, RATE)], 100)
}

/// Delineates T: the beat ([`smooth`]), projected on the direction from its end to its peak, to where the slope falls below a fraction of the
/// steepest. `rr` in samples.
pub fn delineate(smooth: &[Frame], qrs: &Qrs, rr: f64, thresholds: &Thresholds) -> Option<TWave> {
    let begin = qrs.offset + 20;
    // The next beat's P wave is in the window too: T ends before it.
    let limit = ((qrs.onset as f64 + rr - 40.0) as usize).min(BEAT - 15);
    let latest = (qrs.peak as f64 + (0.62 * rr).clamp(140.0, 280.0)) as usize;
    if begin + 40 >= latest.min(limit) {
        return None;
    }
    let sizes: Vec<f64> = smooth.iter().map(magnitude).collect();
    let peak = argmax(&sizes, begin + 10, latest.min(limit));
    let level = resting_level(smooth, peak, limit);
    let direction = minus(&smooth[peak], &level);
    let size = magnitude(&direction);
    if size < SMALLEST.max(6.0 * qrs.noise) {
        return None;
    }
    let unit = direction.map(|x| x / (8.0f64.sqrt() * size));
    let projected: Vec<f64> = smooth.iter().map(|frame| dot(&minus(frame, &level), &unit)).collect();
    let slope: Vec<f64> =
        (0..BEAT).map(|t| if t == 0 || t + 1 == BEAT { 0.0 } else { (projected[t - 1] - projected[t + 1]) / 2.0 }).collect();
    let crest = argmax(&projected, begin, (peak + 25).min(limit));
    let steepest = argmax(&slope, crest, (crest + 100).min(limit));
    let threshold = thresholds.t_end * slope[steepest];
    let end = (steepest..limit).find(|&t| slope[t] < threshold)?;
    (end > crest + 10).then_some(TWave { begin, end })
}

/// A later flank counts if its velocity reaches this share of the fastest one's, this multiple of the lowest velocity around …
const FLANK: f64 = 0.25;
const FLANK_NOISE: f64 = 4.0;
/// … and if it comes within these many samples (90 ms) of where the former one died away; a U wave comes later or is slower.
const FLANK_REACH: usize = 45;
/// The share of the fastest flank's velocity at which leads are still moving.
const MOVING: f64 = 0.35;

/// Delineates T's end again, flank by flank. Where T has several phases, or its leads peak one after the other, the projection on one direction ends
/// with the first of them. The spatial velocity shows every flank: T ends where the slope along its last considerable one dies away.
/// `limit` is where the next P wave, or the search, begins.
pub fn last_flank(smooth: &[Frame], qrs: &Qrs, limit: usize, rest: Option<&Frame>, thresholds: &Thresholds) -> Option<TWave> {
    let speed = velocity(smooth);
    let begin = qrs.offset + 20;
    let limit = limit.min(BEAT - 15);
    let from = qrs.offset + 50;
    if from + 30 >= limit {
        return None;
    }
    let floor = moving_mean(&speed, 21)[from..limit].iter().fold(f64::INFINITY, |a: f64, &b| a.min(b));
    let fastest = argmax(&speed, from, limit - 8);
    let enough = (FLANK * speed[fastest]).max(FLANK_NOISE * floor);
    if speed[fastest] < enough {
        return None;
    }
    let mut flank = rest.and_then(|rest| t_before_u(smooth, &speed, from, fastest, enough, rest)).unwrap_or(fastest);
    loop {
        let along = minus(&smooth[flank + 1], &smooth[flank - 1]);
        let slope = |t: usize| dot(&minus(&smooth[t + 1], &smooth[t - 1]), &along);
        let end = (flank..limit).find(|&t| slope(t) < thresholds.t_end * slope(flank))?;
        let crest = |t: usize| speed[t] >= enough && (t - 4..=t + 4).all(|u| speed[u] <= speed[t]);
        let later = || (end..(end + FLANK_REACH).min(limit - 8)).find(|&t| crest(t));
        // Leads that are still on the move when this direction has come to rest: their flank need not be a peak of the velocity.
        let moving = speed[end] > MOVING * speed[fastest] && end + 16 < limit;
        match if moving { Some(argmax(&speed, end, end + 16)) } else { later() } {
            Some(next) if !rest.is_some_and(|rest| u_wave(smooth, from, end, next, limit, rest)) => flank = next,
            _ => return Some(TWave { begin, end }),
        }
    }
}

/// T has come to rest where this share of its height is left …
const AT_REST: f64 = 0.2;
/// … and what rises behind it, in the same direction and to at most this share of it, is a U wave, …
const U_WAVE: f64 = 0.5;
/// … or, where no more than so much of T is left between, to this share: two humps of one T wave never come down that far.
const HIGH_U_WAVE: (f64, f64) = (0.12, 0.8);
/// Directions are the same beyond this cosine.
const SAME: f64 = 0.5;

/// Whether the flank `next` behind the end of T belongs to a U wave: the leads had come to rest, and rise again the way T went, but less.
fn u_wave(smooth: &[Frame], from: usize, end: usize, next: usize, limit: usize, rest: &Frame) -> bool {
    let over = |t: usize| minus(&smooth[t], rest);
    let size = |t: usize| magnitude(&over(t));
    let highest = |from: usize, to: usize| (from..to.max(from + 1)).fold(from, |best, t| if size(t) > size(best) { t } else { best });
    let t = highest(from, end);
    let low = (end..next.max(end + 1)).fold(end, |best, t| if size(t) < size(best) { t } else { best });
    let u = highest(low, (next + 40).min(limit));
    let cosine = dot(&over(t), &over(u)) / (8.0 * size(t) * size(u)).max(1e-9);
    cosine > SAME && apart(size(t), size(low), size(u))
}

/// Whether, by their heights, what stands behind T is a U wave: T has come to rest between, and was the higher one.
fn apart(t: f64, low: f64, u: f64) -> bool {
    (low < AT_REST * t && u < U_WAVE * t) || (low < HIGH_U_WAVE.0 * t && u < HIGH_U_WAVE.1 * t)
}

/// Where the fastest flank is that of a U wave behind a lower T: a considerable flank before it that ends at rest, if T is the higher one.
fn t_before_u(smooth: &[Frame], speed: &[f64], from: usize, fastest: usize, enough: f64, rest: &Frame) -> Option<usize> {
    let size = |t: usize| magnitude(&minus(&smooth[t], rest));
    let low = (from..fastest).rev().find(|&t| size(t) <= size(t - 1) && size(t) <= size(t + 1))?;
    let highest = |from: usize, to: usize| (from..to).map(size).fold(0.0, f64::max);
    let (t, u) = (highest(from, low.max(from + 1)), highest(low, fastest + 1));
    if !apart(t, size(low), u) || low < from + 10 {
        return None;
    }
    let flank = argmax(speed, from, low);
    (speed[flank] >= enough).then_some(flank)
}

/// The level after T: the mean of the 40 ms at which the velocity is lowest.
fn resting_level(smooth: &[Frame], peak: usize, limit: usize) -> Frame {
    let (from, to) = ((peak + 40).min(limit - 11), (peak + 130).min(limit));
    let means = moving_mean(&velocity(smooth), 21);
    let quiet = argmin(&means, from, to.max(from + 1));
    mean(&smooth[quiet - 10..=quiet + 10])
}

/// The value furthest from zero, with its sign.
pub fn extremum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |best, x| if x.abs() > best.abs() { x } else { best })
}
