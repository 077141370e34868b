//! One median beat delineated: QRS, T and P, each from all leads together and from the single leads.

use super::p_wave::PWave;
use super::qrs::Qrs;
use super::t_wave::TWave;
use super::{BEAT, Thresholds, atria, overlap, p_leads, p_wave, qrs, qrs_leads, quality, shape, t_leads, t_wave};
use crate::ecg::filter::Frame;

/// Where the waves of a beat lie, and how far single leads are apart at each fiducial.
#[derive(Clone, Debug)]
pub struct Delineation {
    /// QRS.
    pub qrs: Qrs,
    /// P, if there is one.
    pub p: Option<PWave>,
    /// T, if there is one.
    pub t: Option<TWave>,
    /// Spread of the leads, samples.
    pub spread: Spread,
}

/// Half of the range of the middle half of the leads at each fiducial, samples; `None` where too few leads show the wave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    /// At P onset.
    pub p_onset: Option<f64>,
    /// At QRS onset and offset.
    pub qrs: Option<(f64, f64)>,
    /// At the end of T.
    pub t_end: Option<f64>,
}

/// The RR intervals that a beat stands in, samples.
#[derive(Clone, Copy, Debug)]
pub struct Rr {
    /// The mean one of the dominant rhythm.
    pub mean: f64,
    /// The one that the previous T wave is judged by.
    pub before: f64,
    /// The one that leaves T its room.
    pub after: f64,
    /// The one after which the next P comes.
    pub to_p: f64,
    /// The one to the premature beat that stands behind T of the median beat, if one does.
    pub premature: Option<f64>,
}

impl Delineation {
    /// Moves P onset, QRS offset and T end to where PR, QRS and QT (ms) are these.
    pub fn put(&mut self, [pr, qrs, qt]: [Option<f64>; 3]) {
        let samples = |ms: f64| (ms / super::MS).round() as usize;
        let onset = self.qrs.onset;
        if let (Some(p), Some(pr)) = (&mut self.p, pr) {
            p.onset = onset.saturating_sub(samples(pr)).min(p.offset);
        }
        if let Some(qrs) = qrs {
            self.qrs.offset = onset + samples(qrs);
        }
        if let (Some(t), Some(qt)) = (&mut self.t, qt) {
            t.end = (onset + samples(qt)).clamp(t.begin + 1, super::BEAT - 8);
        }
    }
}

/// What a beat stands in.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// Its RR intervals.
    pub rr: Rr,
    /// Where the stimulus is over that its QRS answers, a sample of the beat; `None` where the ventricles are not paced.
    pub stimulus: Option<usize>,
}

/// All waves of a beat whose leads count by `weights`.
///
/// # Errors
/// Why QRS cannot be delineated.
pub fn delineate(beat: &[Frame], weights: &Frame, around: Around, thresholds: &Thresholds) -> Result<Delineation, String> {
    let Around { rr, stimulus } = around;
    let mut weighed = quality::weigh(beat, weights);
    let smooth = qrs::smooth(&weighed);
    let together = qrs::delineate(&smooth, thresholds)?;
    let (qrs, qrs_spread) = qrs_leads::settle(&smooth, &together, thresholds);
    let qrs = qrs::with_late_wave(&smooth, qrs, thresholds);
    let qrs = match stimulus {
        Some(over) => qrs::answer(&smooth, &qrs, over, thresholds),
        None => qrs,
    };
    super::zero_at(&mut weighed, qrs.onset);
    let room = rr.premature.and_then(|rr| qrs::next(&smooth, &qrs, rr, thresholds)).unwrap_or(BEAT);
    // What follows would be smeared into T.
    let last = weighed[room.saturating_sub(1)];
    weighed[room..].fill(last);
    let (for_p, for_t) = (p_wave::smooth(&weighed), t_wave::smooth(&weighed));
    let t = t_wave::delineate(&for_t, &qrs, rr.after, thresholds);
    let p = p_wave::delineate(&for_p, &qrs, t.as_ref().map(|t| t.end), rr.before, thresholds);
    let p_leads = p.as_ref().and_then(|p| p_leads::delineate(&for_p, p, &qrs, thresholds));
    let p = p.map(|p| PWave { onset: p_leads.map_or(p.onset, |leads| first_onset(p.onset, leads.at, p.offset)), ..p });
    let next_p = p.as_ref().map_or(f64::INFINITY, |p| p.onset as f64 + rr.to_p - 4.0).min(qrs.onset as f64 + rr.after - 40.0);
    let next_p = if room < BEAT { room } else { next_p as usize };
    let rest = level_at_rest(&weighed, p.as_ref(), t.as_ref());
    let t = t_wave::last_flank(&for_t, &qrs, next_p, rest.as_ref(), thresholds).or(t);
    let t_leads = t.as_ref().zip(rest).and_then(|(t, rest)| t_leads::delineate(&for_t, &qrs, &rest, t.end, next_p, thresholds));
    let t = t.map(|t| TWave { end: t_leads.map_or(t.end, |leads| ((leads.at + t.end as f64) / 2.0).round() as usize), ..t });
    let spread = Spread { p_onset: p_leads.map(|leads| leads.spread), qrs: qrs_spread, t_end: t_leads.map(|leads| leads.spread) };
    Ok(Delineation { qrs, p, t, spread })
}

/// What the atria do beside P.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Atria {
    /// How P stands to the T wave before it.
    pub meeting: Meeting,
    /// The period of flutter waves, samples, if that is what there is.
    pub flutter: Option<usize>,
}

/// Looks at the atria of a delineated beat.
pub fn atria(beat: &[Frame], weights: &Frame, found: &Delineation, rr: Rr, thresholds: &Thresholds) -> Atria {
    let mut weighed = quality::weigh(beat, weights);
    super::zero_at(&mut weighed, found.qrs.onset);
    let smooth = p_wave::smooth(&weighed);
    let t_end = found.t.as_ref().map_or(found.qrs.offset as f64 + 100.0, |t| t.end as f64) - rr.before;
    Atria { meeting: meeting(&smooth, found, rr, thresholds), flutter: atria::flutter(&smooth, &found.qrs, t_end.max(0.0) as usize) }
}

/// P begins so soon after T, samples (50 ms), that it may have begun before …
const TOUCHES: f64 = 25.0;
/// … or, where it cannot be told, so soon (36 ms), unless PR would be short enough, samples (200 ms), for P not to reach back into T …
const TOO_NEAR: f64 = 18.0;
const SHORT_PR: usize = 100;
/// … at RR intervals below this, samples (0.75 s).
const FAST: f64 = 375.0;

/// P that shows so much earlier across T, samples, begins there.
const EARLY: usize = 12;

/// How P stands to the T wave before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meeting {
    /// T has ended before P begins.
    Apart,
    /// P begins in T, so many samples before T's end as it was found.
    InT(f64),
    /// It cannot be told.
    Unknown,
}

/// Whether P begins in T.
fn meeting(smooth: &[Frame], found: &Delineation, rr: Rr, thresholds: &Thresholds) -> Meeting {
    let Delineation { qrs, p, t, .. } = found;
    let (p, t) = (p.as_ref(), t.as_ref());
    let t_end = t.map(|t| t.end as f64 - rr.before);
    let gap = p.zip(t_end).map(|(p, end)| p.onset as f64 - end);
    if rr.before > FAST || gap.is_some_and(|gap| gap > TOUCHES) {
        return Meeting::Apart;
    }
    let across = overlap::across_t(smooth, qrs, rr, thresholds);
    match (across, t_end, gap) {
        (Some(across), Some(end), _) if (across.onset as f64) < end || p.is_some_and(|p| across.onset + EARLY < p.onset) => {
            Meeting::InT((end - across.onset as f64).max(0.0))
        }
        (Some(_), _, Some(_)) => Meeting::Apart,
        (None, _, Some(gap)) if gap > TOO_NEAR && p.is_some_and(|p| p.onset + SHORT_PR > qrs.onset) => Meeting::Apart,
        _ => Meeting::Unknown,
    }
}

/// Leads that begin later than all together by more than this do not count, samples (12 ms) …
const LATER: f64 = 6.0;
/// … and those that begin this much earlier are right: the first hump of a notched P stands in few.
const EARLIER: f64 = 10.0;

/// P onset between what all leads together and what the single ones say.
fn first_onset(together: usize, leads: f64, offset: usize) -> usize {
    let later = leads - together as f64;
    match later {
        _ if later > LATER => together,
        _ if later < -EARLIER && offset as f64 - leads <= p_wave::LONGEST_P as f64 => leads as usize,
        _ if later < -EARLIER => together,
        _ => ((leads + together as f64) / 2.0).round() as usize,
    }
}

/// The level at rest: before P, or where there is none after T.
fn level_at_rest(beat: &[Frame], p: Option<&PWave>, t: Option<&TWave>) -> Option<Frame> {
    let (from, to) = match (p, t) {
        (Some(p), _) => (p.onset.saturating_sub(14), p.onset.saturating_sub(2).max(1)),
        (None, Some(t)) => (t.end + 10, t.end + 60),
        _ => return None,
    };
    (to <= BEAT).then(|| shape::mean(&beat[from..to]))
}
