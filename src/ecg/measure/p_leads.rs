//! P onset in single leads, and what they agree on.
//!
//! The atria are not excited together: in one lead P rises before it does in another, or is two humps where others have one. In a lead P reaches back as
//! long as the trace stays off its level at rest, notches included.

use super::p_wave::PWave;
use super::qrs::Qrs;
use super::shape::{Consensus, argmax, in_lead, spread};
use crate::ecg::filter::Frame;

use super::Thresholds;

/// A lead has a P wave of at least this height over its level at rest, µV.
const SMALLEST: f64 = 25.0;
/// Within this share of its height a lead is at rest.
const RESTS: f64 = 0.25;
/// The furthest that a lead's P begins before that of all leads together, samples (100 ms).
const REACH: usize = 50;
/// P begins with the lead that is so many after the earliest.
const EARLIEST: usize = 3;
/// So many leads must have a P wave.
const FEWEST: usize = 4;

/// P onset by the twelve leads. `rest` is the level before P and `from` the first sample at which P can begin.
pub fn delineate(smooth: &[Frame], p: &PWave, qrs: &Qrs, thresholds: &Thresholds) -> Option<Consensus> {
    let from = p.onset.saturating_sub(REACH).max(p.from).max(1);
    let to = p.offset.min(qrs.onset);
    let mut onsets: Vec<f64> = (0..8).filter_map(|lead| onset(smooth, lead, &p.rest, from, to, thresholds)).collect();
    if onsets.len() < FEWEST {
        return None;
    }
    onsets.sort_unstable_by(f64::total_cmp);
    Some(Consensus { at: onsets[EARLIEST - 1], spread: spread(&onsets) })
}

fn onset(smooth: &[Frame], lead: usize, rest: &Frame, from: usize, to: usize, thresholds: &Thresholds) -> Option<f64> {
    let zero = in_lead(rest, lead);
    let values: Vec<f64> = smooth[..=to].iter().map(|frame| in_lead(frame, lead) - zero).collect();
    let sizes: Vec<f64> = values.iter().map(|x| x.abs()).collect();
    let peak = argmax(&sizes, from, to);
    if sizes[peak] < SMALLEST {
        return None;
    }
    let sign = values[peak].signum();
    let raised = (from..peak).rev().find(|&t| sign * values[t] < RESTS * sizes[peak])?;
    let slope = |t: usize| values[t].signum() * (values[t + 1] - values[t - 1]);
    let steepest = (raised..=(raised + 15).min(peak)).map(slope).fold(0.0, f64::max);
    (from..=raised).rev().find(|&t| slope(t) < thresholds.p_onset * steepest).map(|t| t as f64)
}
