//! QRS onset and offset on the median beat.

use super::shape::{argmax, argmin, magnitude, mean, minus, moving_mean, velocity};
use super::{BEAT, R_AT, Thresholds};
use crate::ecg::filter::{Biquad, Frame, zero_phase};
use crate::ecg::leads::RATE;

/// Where QRS lies, in samples of the median beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Qrs {
    /// Onset.
    pub onset: usize,
    /// Where the magnitude over the leads is largest.
    pub peak: usize,
    /// Offset, the J point.
    pub offset: usize,
    /// The lowest velocity of the beat, that of its noise, µV a sample.
    pub noise: f64,
    /// The largest velocity.
    pub speed: f64,
}

/// Samples on either side of the aligned point that QRS can reach.
const REACH: usize = 110;
/// Samples that the velocity must stay low, 16 ms.
const QUIET: usize = 8;
/// A neighbouring wave is slower than this fraction of the QRS peak over this many samples …
const SLOW: (f64, usize) = (0.15, 40);
/// … and lasts this many, 28 ms.
const LASTS: usize = 14;
/// Ripples up to this multiple of the threshold do not belong to QRS.
const RIPPLE: f64 = 2.5;

/// The beat as QRS is delineated on it: 60 Hz low-pass.
pub fn smooth(beat: &[Frame]) -> Vec<Frame> {
    zero_phase(beat, &[Biquad::low_pass(60.0, RATE)], 50)
}

/// Delineates QRS: outward from the velocity peak ([`smooth`]) to where the velocity stays low for 16 ms.
pub fn delineate(smooth: &[Frame], thresholds: &Thresholds) -> Result<Qrs, String> {
    let speed = velocity(smooth);
    let top = argmax(&speed, R_AT - 60, R_AT + 60);
    let noise = floor(&speed, top);
    let (before, after) = ((thresholds.qrs_onset * speed[top]).max(3.0 * noise), (thresholds.qrs_offset * speed[top]).max(1.8 * noise));
    let start = walk(&speed, top, before, -1).or_else(|| walk(&speed, top, before.max(SEGMENT * calm(&speed, top, -1)), -1));
    let end = walk(&speed, top, after, 1)
        .filter(|&end| end - top < LATEST)
        .or_else(|| walk(&speed, top, after.max(SEGMENT * calm(&speed, top, 1)), 1))
        .map(|end| last_flank(&speed, top, end, after, noise));
    let (Some(onset), Some(offset)) = (start, end) else {
        return Err("QRS has no clear beginning or end (noise, or a rhythm without a baseline)".into());
    };
    let zero = smooth[onset];
    let sizes: Vec<f64> = smooth.iter().map(|frame| magnitude(&minus(frame, &zero))).collect();
    let peak = argmax(&sizes, onset, offset + 1);
    Ok(Qrs { onset, peak, offset, noise, speed: speed[top] })
}

/// The muscle answers a stimulus within so many samples (60 ms) of its end, …
const ANSWERS: usize = 30;
/// … after a valley of the velocity that is the lowest of so many samples on either side (6 ms) and below this share of the fastest, …
const BEFORE_ANSWER: (usize, f64) = (3, 0.35);
/// … at which the leads are back at the level that they had so many samples (52 to 36 ms) before the stimulus was over, but for this share of the height of QRS: what a
/// stimulus leaves goes back to where it came from, and QRS does not.
const BACK: (usize, usize, f64) = (26, 18, 0.1);

/// QRS of a paced beat: it begins where the muscle answers, not with what a stimulus leaves behind, which fades until then. `over`: where the stimulus is over.
pub fn answer(smooth: &[Frame], qrs: &Qrs, over: usize, thresholds: &Thresholds) -> Qrs {
    let speed = velocity(smooth);
    let (beside, share) = BEFORE_ANSWER;
    let to = (over + ANSWERS).min(qrs.offset.saturating_sub(LASTS));
    if over < beside || over >= to || qrs.onset > to {
        return *qrs;
    }
    let fastest = (to..=qrs.offset).map(|t| speed[t]).fold(0.0, f64::max);
    let lowest = |&t: &usize| speed[t] < share * fastest && (t - beside..=t + beside).all(|beside| speed[beside] >= speed[t]);
    let level = mean(&smooth[over.saturating_sub(BACK.0)..=over.saturating_sub(BACK.1)]);
    let away = |t: usize| magnitude(&minus(&smooth[t], &level));
    let back = |&t: &usize| away(t) < BACK.2 * away(qrs.peak);
    let valley = (over..to).filter(lowest).filter(back).min_by(|&a, &b| speed[a].total_cmp(&speed[b]));
    let onset = valley.map_or(over, |valley| {
        let threshold = (thresholds.qrs_onset * fastest).max(SEGMENT * speed[valley]);
        (valley..to + LASTS).find(|&t| speed[t] > threshold).map_or(valley, |t| t - 1)
    });
    if onset > qrs.onset { Qrs { onset, ..*qrs } } else { *qrs }
}

/// Where QRS can end without doubt, samples after its largest velocity (130 ms).
const LATEST: usize = 65;
/// A segment that slopes is told from QRS at this multiple of its own velocity.
const SEGMENT: f64 = 1.5;

/// The velocity of the PR or ST segment: its calmest 24 ms. In bundle branch block the ST segment slopes at once.
fn calm(speed: &[f64], top: usize, direction: isize) -> f64 {
    let means = moving_mean(speed, 13);
    (25..REACH).map(|k| means[top.saturating_add_signed(direction * k as isize).min(BEAT - 1)]).fold(f64::INFINITY, f64::min)
}

/// A flank after QRS has come to rest still belongs to it if it is this share of the fastest …
const LATE: f64 = 0.12;
/// … this multiple of the velocity of noise …
const LATE_NOISE: f64 = 4.5;
/// … within this many samples (50 ms) of the rest, and soon over (30 ms): T is slower to begin and longer.
const LATE_WITHIN: usize = 25;
const LATE_LASTS: usize = 15;

/// An S wave can rest in its trough and an r′ come late: QRS ends with its last fast flank.
fn last_flank(speed: &[f64], top: usize, end: usize, threshold: f64, noise: f64) -> usize {
    let mut end = end;
    let enough = (LATE * speed[top]).max(LATE_NOISE * noise);
    while end < top + LATEST {
        let Some(start) = (end..end + LATE_WITHIN).find(|&t| speed[t] >= enough) else { break };
        let flank = argmax(speed, start, start + LATE_LASTS);
        let half = speed[flank] / 2.0;
        let Some(over) = (flank..flank + LATE_LASTS).find(|&t| speed[t] < half) else { break };
        end = (over..over + LATE_LASTS).find(|&t| speed[t] < threshold).unwrap_or(over + LATE_LASTS);
    }
    end
}

/// A wave behind QRS belongs to it if it has its crest within so many samples (70 ms) of where QRS had come to rest, …
const LATE_CREST: usize = 35;
/// … is at least so high, µV and as a share of the height of QRS, …
const LATE_SIZE: (f64, f64) = (30.0, 0.03);
/// … and is back within so many samples of the crest (50 ms) and of that rest (96 ms), but for a share of its height: T lasts longer.
const LATE_BACK: (usize, usize, f64) = (25, 48, 0.3);

/// QRS with a low r′ of right bundle branch block behind it: slower than any share of the fastest flank, but out and back sooner than T.
pub fn with_late_wave(smooth: &[Frame], qrs: Qrs, thresholds: &Thresholds) -> Qrs {
    let end = qrs.offset;
    let away = |t: usize| magnitude(&minus(&smooth[t], &smooth[end]));
    let highest = |from: usize, to: usize| (from..to).fold(from, |best, t| if away(t) > away(best) { t } else { best });
    let crest = highest(end, end + LATE_CREST);
    let inside = crest > end + 4 && crest + 1 < end + LATE_CREST;
    if end > qrs.onset + REACH || !inside || away(crest) < LATE_SIZE.0.max(LATE_SIZE.1 * away(highest(qrs.onset, end))) {
        return qrs;
    }
    let (within, lasts, rest) = LATE_BACK;
    let low = |&t: &usize| away(t) < rest * away(crest);
    let Some(back) = (crest..(crest + within).min(end + lasts)).find(low) else { return qrs };
    // What swings on is no wave that ends.
    if !(back..back + 10).all(|t| away(t) < 0.5 * away(crest)) {
        return qrs;
    }
    let speed = velocity(&smooth[..back + LATE_LASTS + 2]);
    let threshold = (thresholds.qrs_offset * qrs.speed).max(1.8 * qrs.noise);
    Qrs { offset: (back..back + LATE_LASTS).find(|&t| speed[t] < threshold).unwrap_or(back), ..qrs }
}

/// How far from where it is expected the next QRS can be fastest, samples (120 ms).
const ABOUT: usize = 60;

/// Where the QRS of the next beat begins on this one's median, `rr` samples later; `None` if that is beyond it.
pub fn next(smooth: &[Frame], qrs: &Qrs, rr: f64, thresholds: &Thresholds) -> Option<usize> {
    let about = qrs.peak + rr as usize;
    let (from, to) = (about.saturating_sub(ABOUT).max(qrs.offset + REACH), (about + ABOUT).min(BEAT - 1));
    if from + 10 >= to {
        return None;
    }
    let speed = velocity(smooth);
    let top = argmax(&speed, from, to);
    walk(&speed, top, (thresholds.qrs_onset * speed[top]).max(3.0 * qrs.noise), -1).filter(|&onset| onset > qrs.offset + LATEST)
}

/// The velocity of noise alone: the lowest 40-ms mean outside QRS.
fn floor(speed: &[f64], top: usize) -> f64 {
    let means = moving_mean(speed, 21);
    let outside = (11..BEAT - 11).filter(|t| t.abs_diff(top) > 60);
    outside.map(|t| means[t]).fold(f64::INFINITY, f64::min)
}

/// Walks from the velocity peak until the velocity stays below the threshold. Where it does not because the neighbouring wave follows at once
/// (P before a short PR segment, ST–T after), QRS ends in the valley between the two.
fn walk(speed: &[f64], top: usize, threshold: f64, direction: isize) -> Option<usize> {
    let at = |k: usize| top.saturating_add_signed(direction * k as isize).min(BEAT - 1);
    let most = |from: usize, count: usize| (from..from + count).map(|k| speed[at(k)]).fold(0.0, f64::max);
    // What follows a valley is a wave of its own if it is slow and lasts; a small q or s wave is soon over.
    let other_wave = |k: usize| most(k, SLOW.1) < SLOW.0 * speed[top] && (k + 1..k + LASTS).all(|k| most(k, QUIET) >= threshold);
    let mut valley = 1;
    for k in 1..REACH {
        let here = speed[at(k)];
        if here < threshold && (most(k, QUIET) < threshold || most(k, SLOW.1) < RIPPLE * threshold || other_wave(k)) {
            return Some(at(k));
        }
        if here < speed[at(valley)] {
            valley = k;
        } else if here > 1.5 * speed[at(valley)] && speed[at(valley)] < 3.0 * threshold && other_wave(valley) {
            return Some(at(valley));
        }
    }
    let (from, to) = if direction < 0 { (at(70), at(15)) } else { (at(20), at(100)) };
    let slowest = argmin(speed, from, to);
    (speed[slowest] < 0.25 * speed[top]).then_some(slowest)
}
