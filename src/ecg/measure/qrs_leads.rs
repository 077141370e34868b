//! QRS onset and offset in single leads, and what they agree on: as a cardiologist sees it, lead by lead.

use super::qrs::Qrs;
use super::shape::{Consensus, argmax, in_lead, leads_of, spread, velocity};
use super::{BEAT, Thresholds};
use crate::ecg::filter::Frame;

/// A lead has a QRS of at least this height, µV.
const SMALLEST: f64 = 100.0;
/// Below this slope a trace looks level, µV a sample (1.5 µV a ms).
const LEVEL: f64 = 3.0;
/// It must look level for so many samples (12 ms).
const QUIET: usize = 6;
/// Flanks of this share of the steepest belong to QRS.
const FLANK: f64 = 0.3;
/// How far outside of the QRS of all leads together a flank can be, samples before and after.
const OUTSIDE: (usize, usize) = (10, 15);
/// How far outside of it an onset and an offset can be, samples (80 ms).
const REACH: usize = 40;
/// So many leads must have a QRS.
const FEWEST: usize = 4;

/// What is slower than this share of the fastest is no part of QRS: P before it, the ST segment after it.
const SLOW: (f64, f64) = (0.30, 0.15);
/// Up to here the two ways of looking are averaged, samples (24 ms).
const NEAR: f64 = 12.0;

/// QRS settled between all leads together and the single ones, and how far the latter are apart at onset and offset, samples.
pub fn settle(smooth: &[Frame], qrs: &Qrs, thresholds: &Thresholds) -> (Qrs, Option<(f64, f64)>) {
    let (mut onsets, mut offsets): (Vec<f64>, Vec<f64>) = leads_of(smooth).filter_map(|lead| ends(smooth, lead, qrs, thresholds)).unzip();
    if onsets.len() < FEWEST {
        return (*qrs, None);
    }
    let (onset, offset) = (middle(&mut onsets), middle(&mut offsets));
    let speed = velocity(smooth);
    let fastest = |from: usize, to: usize| speed[from.min(to)..from.max(to)].iter().fold(0.0, |a: f64, &b| a.max(b));
    // All leads together have taken in a neighbouring wave if what lies between is slow; and a T wave, unlike the end of a bundle branch block,
    // gathers speed.
    let slow = |together: usize, leads: f64, share: f64| fastest(together, leads as usize) < share * qrs.speed;
    let gathers = |from: usize, to: usize| {
        let third = (to - from) / 3;
        speed[to - third..to].iter().sum::<f64>() > 1.2 * speed[from..from + third].iter().sum::<f64>()
    };
    let weight = thresholds.qrs_of_leads;
    let between = |together: usize, leads: f64, foreign: bool| match foreign {
        _ if (leads - together as f64).abs() <= NEAR => (weight * leads + (1.0 - weight) * together as f64).round() as usize,
        true => leads.round() as usize,
        false => together,
    };
    let p_wave = onset.at > qrs.onset as f64 && slow(qrs.onset, onset.at, SLOW.0);
    let t_wave = offset.at + NEAR < qrs.offset as f64 && slow(qrs.offset, offset.at, SLOW.1) && gathers(offset.at as usize, qrs.offset);
    let settled = Qrs { onset: between(qrs.onset, onset.at, p_wave), offset: between(qrs.offset, offset.at, t_wave), ..*qrs };
    if settled.onset + 10 > settled.offset { (*qrs, None) } else { (settled, Some((onset.spread, offset.spread))) }
}

fn middle(values: &mut [f64]) -> Consensus {
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len();
    Consensus { at: (values[count / 2] + values[(count - 1) / 2]) / 2.0, spread: spread(values) }
}

fn ends(smooth: &[Frame], lead: usize, qrs: &Qrs, thresholds: &Thresholds) -> Option<(f64, f64)> {
    let (from, to) = (qrs.onset.saturating_sub(OUTSIDE.0).max(1), (qrs.offset + OUTSIDE.1).min(BEAT - 2));
    let (first, last) = (from.saturating_sub(REACH + QUIET).max(1), (to + REACH + QUIET).min(BEAT - 2));
    let value = |t: usize| in_lead(&smooth[t], lead);
    let slope: Vec<f64> = (0..=last).map(|t| if t < first { 0.0 } else { (value(t + 1) - value(t - 1)).abs() / 2.0 }).collect();
    let (low, high) = (from..to).map(value).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if high - low < SMALLEST {
        return None;
    }
    let steepest = slope[argmax(&slope, from, to)];
    let strong = |t: &usize| slope[*t] > FLANK * steepest;
    let (begin, end) = ((from..to).find(strong)?, (from..to).rev().find(strong)?);
    let (before, after) = ((thresholds.qrs_lead.0 * steepest).max(LEVEL), (thresholds.qrs_lead.1 * steepest).max(LEVEL));
    let onset = (first + QUIET..=begin).rev().find(|&t| slope[t + 1 - QUIET..=t].iter().all(|&s| s < before))?;
    let offset = (end..=last - QUIET).find(|&t| slope[t..t + QUIET].iter().all(|&s| s < after))?;
    Some((onset as f64, offset as f64))
}
