//! What cannot be measured, and why.

use super::R_AT;
use super::p_wave::PWave;
use super::qrs::Qrs;
use super::shape::middle;
use crate::ecg::filter::Frame;
use crate::ecg::leads::{INDEPENDENT, RATE};

/// A lead is noisy with this many times the noise of the middle lead.
const NOISY: f64 = 3.0;
/// A lead that stays within this range over a second is flat, µV.
const FLAT: f64 = 8.0;
/// Beyond this no body-surface potential goes, µV.
const IMPOSSIBLE: f64 = 30_000.0;

/// So many flat leads are left out; a recording with more is refused.
const FLAT_LEADS: usize = 2;

/// Saturation, impossible voltages, and which leads are flat.
pub fn check_recording(frames: &[Frame]) -> Result<[bool; 8], String> {
    let (mut dead, mut first) = ([false; 8], None);
    for (lead, name) in INDEPENDENT.iter().enumerate() {
        let values = || frames.iter().map(move |frame| frame[lead]);
        let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        let seconds = frames.chunks(RATE as usize).filter(|second| second.len() > 250);
        let (mut flat, mut all) = (0, 0);
        for second in seconds {
            let (low, high) = second.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), f| (l.min(f[lead]), h.max(f[lead])));
            all += 1;
            flat += usize::from(high - low < FLAT);
        }
        if 2 * flat > all {
            dead[lead] = true;
            first.get_or_insert_with(|| format!("flat lead {name}: no signal in {flat} of {all} seconds"));
            continue;
        }
        if high - low > IMPOSSIBLE {
            return Err(format!("lead {name} spans {:.0} mV: not a body-surface ECG in µV", (high - low) / 1000.0));
        }
        let mut sorted: Vec<f64> = values().collect();
        let usual = middle(&mut sorted);
        for end in [low, high] {
            let held = longest_hold(values(), end);
            if held > 10 && (end - usual).abs() > 1000.0 {
                return Err(format!("saturation in lead {name}: {} ms at the end of the range", 2 * held));
            }
        }
    }
    let count = dead.iter().filter(|&&dead| dead).count();
    match first {
        Some(first) if count > FLAT_LEADS => Err(format!("{first}; {} more leads are flat, too", count - 1)),
        _ => Ok(dead),
    }
}

/// The longest run of samples at one value.
fn longest_hold(values: impl Iterator<Item = f64>, at: f64) -> usize {
    let (mut longest, mut run) = (0, 0);
    for value in values {
        run = if value == at { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// A median beat whose QRS does not stand out of its noise.
pub fn check_beat(beat: &[Frame], qrs: &Qrs) -> Result<(), String> {
    let mut steps: Vec<f64> =
        beat.windows(3).map(|w| (0..8).map(|l| (w[0][l] - 2.0 * w[1][l] + w[2][l]).abs()).sum::<f64>() / 8.0).collect();
    if qrs.speed < 15.0 * qrs.noise || middle(&mut steps) > 2.0 * qrs.speed {
        return Err(format!("noise: QRS stands only {:.0} times above it", qrs.speed / qrs.noise.max(1e-9)));
    }
    let duration = 2 * (qrs.offset - qrs.onset);
    if !(40..=240).contains(&duration) {
        return Err(format!("QRS cannot be told from its surroundings (it would last {duration} ms)"));
    }
    Ok(())
}

/// How much each lead counts in finding onsets and ends: a lead whose noise in the median beat, or whose beats' scatter about it, is more than [`NOISY`] times
/// that of the middle lead counts as if it were that, and a dead one not at all. Amplitudes are never read from leads so turned down.
pub fn weights(level: &[Frame], points: &[usize], beat: &[Frame], dead: &[bool; 8]) -> Frame {
    let noises: [f64; 8] = std::array::from_fn(|lead| {
        // Second differences over 4 ms: waves are smooth on that scale, noise is not.
        let mut bends: Vec<f64> = beat.windows(5).map(|w| (w[0][lead] - 2.0 * w[2][lead] + w[4][lead]).abs()).collect();
        middle(&mut bends)
    });
    let scatters = scatters(level, points, beat);
    let count = |sizes: &[f64; 8], lead: usize| {
        if dead[lead] {
            return 0.0;
        }
        let usual = middle(&mut sizes.iter().zip(dead).filter(|(_, dead)| !**dead).map(|(size, _)| *size).collect::<Vec<_>>());
        if sizes[lead] > NOISY * usual { NOISY * usual / sizes[lead] } else { 1.0 }
    };
    std::array::from_fn(|lead| count(&noises, lead) * count(&scatters, lead))
}

/// How far single beats lie from the median beat in each lead, over 40-ms steps: the mean over time of the middle beat's distance.
fn scatters(level: &[Frame], points: &[usize], beat: &[Frame]) -> [f64; 8] {
    const STEP: usize = 20;
    let mut sums = [0.0; 8];
    let mut distances: Vec<f64> = Vec::with_capacity(points.len());
    for t in (0..beat.len() - STEP).step_by(STEP) {
        for (lead, sum) in sums.iter_mut().enumerate() {
            // The difference of two instants: the level of a beat does not count.
            let rise = |frames: &[Frame], at: usize| Some(frames.get(at + STEP)?[lead] - frames.get(at)?[lead]);
            let Some(usual) = rise(beat, t) else { continue };
            distances.clear();
            distances.extend(points.iter().filter_map(|&point| Some((rise(level, (point + t).checked_sub(R_AT)?)? - usual).abs())));
            *sum += if distances.is_empty() { 0.0 } else { middle(&mut distances) };
        }
    }
    sums
}

/// The beat with its leads so much turned down.
pub fn weigh(beat: &[Frame], weights: &Frame) -> Vec<Frame> {
    beat.iter().map(|frame| std::array::from_fn(|lead| frame[lead] * weights[lead])).collect()
}

/// The arm electrodes exchanged: P and QRS upside down in I while QRS in V6 is not.
pub fn check_leads(beat: &[Frame], qrs: &Qrs, p: Option<&PWave>) -> Result<(), String> {
    let Some(p) = p else { return Ok(()) };
    let (mut ii, mut vv, mut iv) = (0.0, 0.0, 0.0);
    for frame in &beat[qrs.onset..=qrs.offset] {
        ii += frame[0] * frame[0];
        vv += frame[7] * frame[7];
        iv += frame[0] * frame[7];
    }
    let alike = iv / (ii * vv).sqrt().max(1e-9);
    let atrial = beat[p.peak][0] - (beat[p.onset][0] + beat[p.offset][0]) / 2.0;
    if alike < -0.75 && atrial < -30.0 {
        return Err("lead swap suspected: P and QRS are upside down in lead I but not in V6 (arm electrodes, or dextrocardia)".into());
    }
    Ok(())
}
