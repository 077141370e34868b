//! Small tools on runs of frames: velocity, levels, projections.

use crate::ecg::filter::Frame;
use std::ops::Range;

/// The spatial velocity: the RMS over leads of the central difference, µV a sample; same length, ends repeated.
pub fn velocity(frames: &[Frame]) -> Vec<f64> {
    let mut speed = vec![0.0; frames.len()];
    for t in 1..frames.len().saturating_sub(1) {
        let energy: f64 = frames[t + 1].iter().zip(&frames[t - 1]).map(|(next, past)| (next - past) * (next - past)).sum();
        speed[t] = (energy / 8.0).sqrt() / 2.0;
    }
    if let [first, second, ..] = speed[..] {
        speed[0] = second.max(first);
        let last = speed.len() - 1;
        speed[last] = speed[last - 1];
    }
    speed
}

/// The mean over `width` samples centred on each, fewer at the ends.
pub fn moving_mean(values: &[f64], width: usize) -> Vec<f64> {
    let mut sums = Vec::with_capacity(values.len() + 1);
    sums.push(0.0);
    let mut sum = 0.0;
    for value in values {
        sum += value;
        sums.push(sum);
    }
    let half = width / 2;
    (0..values.len())
        .map(|t| {
            let (from, to) = (t.saturating_sub(half), (t + half + 1).min(values.len()));
            (sums[to] - sums[from]) / (to - from) as f64
        })
        .collect()
}

/// The median (the upper one of two).
pub fn middle(values: &mut [f64]) -> f64 {
    let at = values.len() / 2;
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}

/// The mean frame of a run.
pub fn mean(frames: &[Frame]) -> Frame {
    let mut sum = [0.0; 8];
    for frame in frames {
        sum.iter_mut().zip(frame).for_each(|(sum, x)| *sum += x);
    }
    sum.map(|sum| sum / frames.len().max(1) as f64)
}

/// Lead by lead difference.
pub fn minus(a: &Frame, b: &Frame) -> Frame {
    std::array::from_fn(|lead| a[lead] - b[lead])
}

/// Scalar product over leads.
pub fn dot(a: &Frame, b: &Frame) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The RMS over leads.
pub fn magnitude(frame: &Frame) -> f64 {
    (dot(frame, frame) / 8.0).sqrt()
}

/// The index of the largest value of a non-empty range; the first of equals.
pub fn argmax(values: &[f64], from: usize, to: usize) -> usize {
    (from..to).fold(from, |best, t| if values[t] > values[best] { t } else { best })
}

/// The index of the smallest value of a non-empty range; the first of equals.
pub fn argmin(values: &[f64], from: usize, to: usize) -> usize {
    (from..to).fold(from, |best, t| if values[t] < values[best] { t } else { best })
}

/// One of the twelve leads at an instant: the eight, then III, aVR, aVL, aVF.
pub fn in_lead(frame: &Frame, lead: usize) -> f64 {
    match lead {
        8 => frame[1] - frame[0],
        9 => -(frame[0] + frame[1]) / 2.0,
        10 => frame[0] - frame[1] / 2.0,
        11 => frame[1] - frame[0] / 2.0,
        lead => frame[lead],
    }
}

/// The leads of the twelve that a beat shows: without those that follow from a limb lead that is zero throughout, being dead.
pub fn leads_of(beat: &[Frame]) -> Range<usize> {
    let alive = |lead: usize| beat.iter().any(|frame| frame[lead] != 0.0);
    0..if alive(0) && alive(1) { 12 } else { 8 }
}

/// What single leads say of one fiducial: where they put it together, and how far they are apart, samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consensus {
    /// The fiducial.
    pub at: f64,
    /// Half of the range of the middle half of the leads.
    pub spread: f64,
}

/// Half of the range of the middle half of sorted values.
pub fn spread(sorted: &[f64]) -> f64 {
    (sorted[sorted.len() * 3 / 4] - sorted[sorted.len() / 4]) / 2.0
}
