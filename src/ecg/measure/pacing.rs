//! Stimuli of a pacemaker: found by their edges, taken out of the recording before anything is measured.
//!
//! Nothing that a heart does steps. A QRS needs 10 ms and more to reach its largest slope; the edge of a stimulus, even through a 150-Hz low-pass,
//! needs less than 4. So an edge is a slope that stands alone: in two leads at least, fast, out of 20 quiet milliseconds, and taken back soon.

use super::shape::{middle, minus};
use crate::ecg::filter::Frame;

/// One stimulus: the first and last samples of the recording that it spoils.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulse {
    /// The last sample before it.
    pub from: usize,
    /// The first sample after it.
    pub to: usize,
}

/// The least edge, µV in 4 ms in the second most moved lead, and as a multiple of what is usual.
const EDGE: (f64, f64) = (80.0, 8.0);
/// What the 20 ms before an edge may move, as a share of it.
const QUIET: f64 = 0.2;
/// An edge is taken back by this share within these many samples (40 ms).
const BACK: (f64, usize) = (0.4, 20);

/// The first sample at which an edge can be told, and how much of the recording must come before it to tell it by itself, samples (32 ms).
const FIRST: usize = 3;
const SEEN_BEFORE: usize = 16;
/// In the 20 ms after a stimulus nothing moves at more than this share of its edge.
const OVER: f64 = 0.6;

/// The stimuli of a recording, in order.
pub fn find(frames: &[Frame]) -> Vec<Pulse> {
    let speed = speeds(frames);
    let mut some: Vec<f64> = speed.iter().copied().step_by(5).collect();
    let least = EDGE.0.max(EDGE.1 * middle(&mut some));
    let mut pulses: Vec<Pulse> = Vec::new();
    let mut t = FIRST;
    while t + BACK.1 + 8 < speed.len() {
        match edge(frames, &speed, t, least) {
            Some(pulse) => {
                t = pulse.to + 2;
                pulses.push(pulse);
            }
            None => t += 1,
        }
    }
    // Where little comes before an edge, others like it must say what it is.
    let early = pulses.iter().take_while(|pulse| pulse.from < SEEN_BEFORE).count();
    if pulses.len() < early + OF_BEATS.1 {
        pulses.drain(..early);
    }
    pulses
}

/// What the second most moved lead moves in 4 ms, sample by sample.
fn speeds(frames: &[Frame]) -> Vec<f64> {
    let mut speed = vec![0.0; frames.len()];
    for t in 1..frames.len().saturating_sub(1) {
        let (mut most, mut second) = (0.0f64, 0.0f64);
        for (after, before) in frames[t + 1].iter().zip(&frames[t - 1]) {
            let step = (after - before).abs();
            second = second.max(step.min(most));
            most = most.max(step);
        }
        speed[t] = second;
    }
    speed
}

/// The stimulus that begins with an edge at a sample, if one does.
fn edge(frames: &[Frame], speed: &[f64], t: usize, least: f64) -> Option<Pulse> {
    let here = speed[t];
    if here < least || speed[t - 1] >= here || speed[t + 1] > here {
        return None;
    }
    let quiet = |from: usize, to: usize| speed[t.saturating_sub(from)..t.saturating_sub(to)].iter().all(|&before| before <= QUIET * here);
    let (lone, first) = (quiet(11, 1), quiet(16, 6));
    if !lone && !first {
        return None;
    }
    let step = |t: usize, lead: usize| frames[t + 1][lead] - frames[t - 1][lead];
    // Back by the same leads: the projection of what follows on the edge.
    let along = |u: usize| -> f64 { (0..8).map(|lead| step(u, lead) * step(t, lead)).sum() };
    let whole = along(t);
    let back = (t + 1..=t + BACK.1).find(|&u| along(u) < -BACK.0 * whole && speed[u + 1] <= speed[u])?;
    // An edge back is as sudden as the edge out, unlike the second side of a narrow wave.
    let sudden = back <= t + 4 || speed[back - 4] < 0.5 * speed[back];
    // A stimulus of several phases, one soon after another, begins before its largest edge; it swings back at once.
    let start = if lone { t - 2 } else { (t.saturating_sub(7).max(1)..t - 1).find(|&u| speed[u] > QUIET * here)? - 1 };
    let rest = (back + 1..back + 5).find(|&u| along(u) > -0.1 * whole).unwrap_or(back + 5);
    // Noise goes on as it began; a stimulus is over.
    let over = (rest + 2..(rest + 12).min(speed.len())).all(|u| speed[u] < OVER * here);
    (sudden && over && (lone || back <= t + 3)).then_some(Pulse { from: start, to: rest + 1 })
}

/// What is paced.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Paced {
    /// A stimulus stands before P.
    pub atria: bool,
    /// A stimulus stands before QRS.
    pub ventricles: bool,
    /// Where the usual stimulus before QRS is over, a sample of the median beat; at most 24 ms after its edge, since the heart goes on under a longer one.
    pub over: Option<usize>,
}

/// A stimulus before each beat keeps its place within these many samples (12 ms) …
const KEEPS: usize = 6;
/// … in this share of the beats, and in so many.
const OF_BEATS: (f64, usize) = (0.4, 3);
/// It stands at most so many samples before QRS onset (ventricles: 120 ms, atria: 400 ms), or within the first 10 ms of QRS as it seems.
const BEFORE: (usize, usize) = (60, 200);
const INSIDE: usize = 5;

/// Whether the beats follow stimuli. `beats` have their R peak, at sample [`super::R_AT`] of the median beat, at these samples of the recording;
/// QRS begins at `onset` of the median beat.
pub fn of_beats(pulses: &[Pulse], beats: &[usize], onset: usize) -> Paced {
    let before = |beat: usize, from: usize, to: usize| {
        let begins = (beat + onset + INSIDE).saturating_sub(super::R_AT);
        let lead = |pulse: &Pulse| begins.wrapping_sub(pulse.from);
        pulses.iter().rev().find(|pulse| (from..=to).contains(&lead(pulse))).map(|pulse| (lead(pulse), pulse.to - pulse.from))
    };
    // How long before QRS the usual stimulus begins, and how long it lasts.
    let kept = |from: usize, to: usize| {
        let mut leads: Vec<(usize, usize)> = beats.iter().filter_map(|&beat| before(beat, from, to)).collect();
        leads.sort_unstable();
        let usual = *leads.get(leads.len() / 2)?;
        let same = leads.iter().filter(|lead| lead.0.abs_diff(usual.0) <= KEEPS).count();
        (same >= OF_BEATS.1 && same as f64 >= OF_BEATS.0 * beats.len() as f64).then_some(usual)
    };
    let ventricles = kept(0, BEFORE.0 + INSIDE);
    let over = ventricles.map(|(lead, lasts)| (onset + INSIDE).saturating_sub(lead) + lasts.min(3 * SPREAD));
    Paced { atria: kept(BEFORE.0 + INSIDE + 1, BEFORE.1).is_some(), ventricles: ventricles.is_some(), over }
}

/// A small stimulus moves the leads out and back at once this many times as much, in energy, as what comes before it, and as what stands 8 ms beside it.
const SMALL: (f64, f64) = (3.0, 2.0);
/// A QRS that begins in the ventricles' muscle lasts at least so long, ms.
pub const WIDE: f64 = 116.0;
/// It is looked for so many samples before QRS onset, and compared with what lies before that.
const SMALL_WITHIN: (usize, usize) = (20, 70);

/// Where stimuli too small to be seen in a single beat, as of bipolar electrodes, are over before QRS, a sample of the median beat, if there are any: looked for
/// in the middle one of the beats, sample by sample.
pub fn small(frames: &[Frame], beats: &[usize], onset: usize) -> Option<usize> {
    let (near, far) = SMALL_WITHIN;
    let first = |beat: usize| (beat + onset).checked_sub(super::R_AT + far);
    let whole: Vec<usize> =
        beats.iter().filter_map(|&beat| first(beat)).filter(|&from| from > 8 && from + far + 16 < frames.len()).collect();
    if whole.len() < OF_BEATS.1 {
        return None;
    }
    // Beats are aligned to a sample or two.
    let about = |from: usize, t: usize| (t - 1..=t + 1).map(|t| out_and_back(frames, from + t)).fold(0.0, f64::max);
    let usual: Vec<f64> = (1..far + 8).map(|t| middle(&mut whole.iter().map(|&from| about(from, t)).collect::<Vec<_>>())).collect();
    let floor = usual[..far - near - 4].iter().sum::<f64>() / (far - near - 4) as f64;
    let most = (far - near..far + 3).fold(far - near, |best, t| if usual[t] > usual[best] { t } else { best });
    let stands_out = usual[most] > SMALL.0 * floor && usual[most] > SMALL.1 * usual[most - 4].max(usual[most + 4]);
    stands_out.then(|| (onset + most + SPREAD).saturating_sub(far))
}

/// How much the leads go out and come back within one sample, or two: the bend at a sample against those on either side of it. A wave that begins bends but once.
fn out_and_back(frames: &[Frame], t: usize) -> f64 {
    let bends = |t: usize, wide: usize| -> Frame {
        std::array::from_fn(|lead| frames[t + wide][lead] - frames[t + wide - 1][lead] - frames[t][lead] + frames[t - 1][lead])
    };
    let turns = |wide: usize| {
        let (here, before, after) = (bends(t, wide), bends(t - wide, wide), bends(t + wide, wide));
        -(0..8).map(|lead| here[lead] * (before[lead] + after[lead])).sum::<f64>()
    };
    turns(1).max(turns(2))
}

/// Samples that an edge takes.
const SPREAD: usize = 4;

/// The recording without its stimuli: a short one is bridged by a straight line, a long one let down by its first edge, since the heart goes on under it.
pub fn remove(frames: &mut [Frame], pulses: &[Pulse]) {
    for pulse in pulses {
        let inner = pulse.to - pulse.from;
        if inner <= 3 * SPREAD {
            bridge(frames, pulse.from, pulse.to);
            continue;
        }
        let edge = minus(&frames[pulse.from + SPREAD], &frames[pulse.from]);
        for frame in &mut frames[pulse.from + SPREAD..=pulse.to - SPREAD] {
            *frame = minus(frame, &edge);
        }
        bridge(frames, pulse.from, pulse.from + SPREAD);
        bridge(frames, pulse.to - SPREAD, pulse.to);
    }
}

fn bridge(frames: &mut [Frame], from: usize, to: usize) {
    let (left, step) = (frames[from], minus(&frames[to], &frames[from]));
    for (t, frame) in frames.iter_mut().enumerate().take(to).skip(from + 1) {
        let u = (t - from) as f64 / (to - from) as f64;
        *frame = std::array::from_fn(|lead| left[lead] + u * step[lead]);
    }
}
