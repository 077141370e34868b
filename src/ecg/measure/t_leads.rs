//! The end of T in single leads, and what they agree on.
//!
//! The spatial velocity sees a T wave as one movement; the leads see it one by one, as a cardiologist does. In a lead T is its largest wave and, where the
//! wave swings well past the level at rest, the phase that follows.

use super::qrs::Qrs;
use super::shape::{Consensus, argmax, in_lead, leads_of, spread};
use super::{BEAT, Thresholds};
use crate::ecg::filter::Frame;

/// A lead has a T wave of at least this height over its level at rest, µV.
const SMALLEST: f64 = 30.0;
/// A second phase is at least this high, µV, and at least this share of the first.
const PHASE: (f64, f64) = (20.0, 0.25);
/// It has its crest within these many samples (80 ms) of where the first dies away …
const PHASE_WITHIN: usize = 40;
/// … and the first dies away so many samples (40 ms) before all leads together come to rest: what follows later is a U wave, or the way back from one.
const PHASE_BEFORE: usize = 20;
/// T ends with the lead that is so many before the latest, as 12SL and cardiologists have it: single leads end late by noise.
const LATEST: usize = 4;
/// So many leads must have a T wave.
const FEWEST: usize = 4;

/// The end of T by the twelve leads. `rest` is the level before P, `limit` where the next P wave begins, `about` the end that all leads together have.
pub fn delineate(smooth: &[Frame], qrs: &Qrs, rest: &Frame, about: usize, limit: usize, thresholds: &Thresholds) -> Option<Consensus> {
    let limit = limit.min(BEAT - 15);
    let mut ends: Vec<f64> =
        leads_of(smooth).filter_map(|lead| end(&over_rest(smooth, rest, lead), qrs.offset + 40, about, limit, thresholds)).collect();
    if ends.len() < FEWEST {
        return None;
    }
    ends.sort_unstable_by(f64::total_cmp);
    Some(Consensus { at: ends[ends.len() - LATEST], spread: spread(&ends) })
}

/// One lead over its level at rest.
fn over_rest(smooth: &[Frame], rest: &Frame, lead: usize) -> Vec<f64> {
    let zero = in_lead(rest, lead);
    smooth.iter().map(|frame| in_lead(frame, lead) - zero).collect()
}

fn end(values: &[f64], from: usize, about: usize, limit: usize, thresholds: &Thresholds) -> Option<f64> {
    if from + 10 >= limit {
        return None;
    }
    let furthest = |from: usize, to: usize| (from..to).fold(from, |best, t| if values[t].abs() > values[best].abs() { t } else { best });
    let peak = furthest(from, (about + 10).clamp(from + 1, limit));
    if values[peak].abs() < SMALLEST {
        return None;
    }
    let first = dies_away(values, peak, values[peak].signum(), limit, thresholds.t_end_lead)?;
    let last = (first + PHASE_WITHIN).min(limit);
    let crest = furthest(first, last.max(first + 1));
    let second = first + PHASE_BEFORE <= about && values[crest] * -values[peak].signum() > PHASE.0.max(PHASE.1 * values[peak].abs());
    let end = if second { dies_away(values, crest, values[crest].signum(), limit, thresholds.t_end_lead) } else { None };
    Some(end.unwrap_or(first) as f64)
}

/// Where the fall from a crest dies away.
fn dies_away(values: &[f64], crest: usize, sign: f64, limit: usize, fraction: f64) -> Option<usize> {
    let fall: Vec<f64> = (0..limit - 1).map(|t| if t < crest.max(1) { 0.0 } else { sign * (values[t - 1] - values[t + 1]) }).collect();
    let steepest = argmax(&fall, crest.min(limit - 2), (crest + 100).min(limit - 1));
    if fall[steepest] <= 0.0 {
        return None;
    }
    Some((steepest..limit - 1).find(|&t| fall[t] < fraction * fall[steepest]).unwrap_or(limit))
}
