//! Measuring one ECG: R detection, alignment, median beat, global delineation over the eight independent leads, amplitudes.
//!
//! Everything is relative to the median beat: 600 samples at 500 Hz, the R peak at sample 240, every lead zero at QRS onset. The method follows what
//! GE's Marquette 12SL shows of itself in its outputs; where a wave is not there it is reported missing, and an ECG that cannot be measured
//! is rejected with a reason.

mod atria;
mod beats;
mod cart;
mod delineation;
mod mains;
mod median;
mod overlap;
mod p_leads;
mod p_wave;
mod pacing;
mod plausible;
mod qrs;
mod qrs_leads;
mod quality;
mod shape;
mod t_leads;
mod t_wave;
mod thresholds;
mod uncertainty;

pub use thresholds::Thresholds;

use delineation::{Around, Delineation, Rr};
use pacing::Paced;

use super::filter::{Biquad, Frame, zero_phase};
use super::leads::{INDEPENDENT, RATE, twelve};
use super::{Further, Measurements, Rhythm};
use ndarray::Array2;

/// Samples of the median beat.
pub const BEAT: usize = 600;
/// Where its R peak stands.
pub const R_AT: usize = 240;
/// Milliseconds a sample.
const MS: f64 = 1000.0 / RATE;
/// V5 among the eight independent leads.
const V5: usize = 6;

/// What measuring one ECG gives.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The measurements; [`Measurements::rejected`] says why if the ECG could not be measured.
    pub measurements: Measurements,
    /// The median beat, (12, 600), µV; all zero if the ECG was rejected.
    pub median: Array2<f32>,
}

impl Measured {
    fn rejected(reason: String) -> Self {
        let measurements = Measurements { rejected: Some(reason), ..Measurements::default() };
        Measured { measurements, median: Array2::zeros((12, BEAT)) }
    }
}

/// Measures one recording. Pure: the same recording and thresholds give the same bits.
pub fn measure(rhythm: &Rhythm, thresholds: &Thresholds) -> Measured {
    match try_measure(rhythm, thresholds) {
        Ok(measured) => measured,
        Err(reason) => Measured::rejected(reason),
    }
}

/// The same, with the reason of a rejection as the error.
fn try_measure(rhythm: &Rhythm, thresholds: &Thresholds) -> Result<Measured, String> {
    let recording = prepare(rhythm)?;
    let mut shown = show(&recording, thresholds)?;
    let judged = judge(&recording, &mut shown, thresholds)?;
    let mut measurements = measurements(&shown, &recording);
    measurements.further = Some(Box::new(further(&recording, &shown, &judged, measurements.qt_ms)));
    let eight = Array2::from_shape_fn((8, BEAT), |(lead, t)| shown.beat[t][lead] as f32);
    Ok(Measured { measurements, median: twelve(eight.view()) })
}

/// A recording without hum, stimuli and wander, and its beats.
struct Recording {
    /// Leads without signal; they are zero.
    dead: [bool; 8],
    raw: Vec<Frame>,
    level: Vec<Frame>,
    pulses: Vec<pacing::Pulse>,
    beats: beats::Aligned,
    rate: f64,
    rr: Rr,
}

fn prepare(rhythm: &Rhythm) -> Result<Recording, String> {
    let mut raw = rhythm.frames();
    let mut dead = quality::check_recording(&raw)?;
    if mains::remove(&mut raw) {
        dead = quality::check_recording(&raw)?;
    }
    raw.iter_mut().for_each(|frame| frame.iter_mut().zip(&dead).filter(|(_, dead)| **dead).for_each(|(x, _)| *x = 0.0));
    let pulses = pacing::find(&raw);
    pacing::remove(&mut raw, &pulses);
    let level = zero_phase(&raw, &[Biquad::high_pass(0.5, RATE)], 1000);
    let peaks = beats::detect(&level);
    let beats = beats::align(&level, &peaks)?;
    let rate = beats::rate(&beats);
    let usual = beats::rr_usual(&beats);
    let rr = Rr {
        mean: usual,
        before: beats::rr_before(&beats, usual),
        after: beats::rr_after(&beats, usual),
        to_p: beats::rr_to_p(&beats, usual),
        premature: beats::rr_premature(&beats, usual),
    };
    Ok(Recording { dead, raw, level, pulses, beats, rate, rr })
}

/// The median beat, where its beats stand in the recording, how much its leads count, and its waves.
struct Shown {
    points: Vec<usize>,
    beat: Vec<Frame>,
    weights: Frame,
    found: Delineation,
    paced: Paced,
}

/// A first median finds where QRS begins and where its peak lies; the second one is built around both.
fn show(recording: &Recording, thresholds: &Thresholds) -> Result<Shown, String> {
    let Recording { dead, level, beats, rr, .. } = recording;
    let first = median::median(level, &beats.kept, None)?;
    let weights = quality::weights(level, &beats.kept, &first, dead);
    let found = qrs::delineate(&qrs::smooth(&quality::weigh(&first, &weights)), thresholds)?;
    let shift = found.peak as isize - R_AT as isize;
    let points: Vec<usize> = beats.kept.iter().filter_map(|&r| r.checked_add_signed(shift)).collect();
    let onset = found.onset.saturating_add_signed(-shift);
    let beat = median::median(level, &points, Some(onset))?;
    let weights = quality::weights(level, &points, &beat, dead);
    let found = delineation::delineate(&beat, &weights, Around { rr: *rr, stimulus: None }, thresholds)?;
    let mut shown = Shown { points, beat, weights, found, paced: Paced::default() };
    shown.find_pacing(recording, thresholds)?;
    quality::check_beat(&shown.beat, &shown.found.qrs)?;
    zero_at(&mut shown.beat, shown.found.qrs.onset);
    Ok(shown)
}

impl Shown {
    /// Whether the beat is paced; if its ventricles are, its QRS is delineated again, behind the stimulus.
    fn find_pacing(&mut self, recording: &Recording, thresholds: &Thresholds) -> Result<(), String> {
        let Recording { raw, level, pulses, rr, .. } = recording;
        let Shown { points, beat, weights, found, paced } = self;
        *paced = pacing::of_beats(pulses, points, found.qrs.onset);
        let wide = (found.qrs.offset - found.qrs.onset) as f64 * MS >= pacing::WIDE;
        let p = |found: &Delineation| found.p.as_ref().is_some_and(|p| median::repeats(level, points, beat, weights, p.onset, p.offset));
        // Small stimuli are believed only before what a paced beat looks like.
        if !paced.ventricles && wide && !p(found) {
            paced.over = pacing::small(raw, points, found.qrs.onset);
            paced.ventricles = paced.over.is_some();
        }
        if paced.over.is_some() {
            *found = delineation::delineate(beat, weights, Around { rr: *rr, stimulus: paced.over }, thresholds)?;
        }
        Ok(())
    }
}

/// How sure the measurements are, and why some are empty.
struct Judged {
    sure: uncertainty::Uncertainty,
    notes: Vec<String>,
}

/// Empties what is not there, cannot be, or cannot be trusted.
fn judge(recording: &Recording, shown: &mut Shown, thresholds: &Thresholds) -> Result<Judged, String> {
    let Recording { dead, level, rr, .. } = recording;
    let Shown { points, beat, weights, found, paced } = shown;
    let mut notes = Vec::new();
    notes.extend(INDEPENDENT.iter().zip(dead).filter(|(_, dead)| **dead).map(|(name, _)| format!("lead {name} is flat and left out")));
    if !paced.ventricles {
        quality::check_leads(beat, &found.qrs, found.p.as_ref())?;
    }
    found.p = found.p.filter(|p| median::repeats(level, points, beat, weights, p.onset, p.offset));
    let no_p = paced.ventricles && !paced.atria;
    let atria = delineation::atria(beat, weights, found, *rr, thresholds);
    plausible::check(found, &atria, *rr, no_p, &mut notes);
    let sure = uncertainty::of(level, points, beat, weights, found, Around { rr: *rr, stimulus: paced.over }, thresholds);
    if sure.instead.iter().any(Option::is_some) && (found.p.is_some() || found.t.is_some()) {
        found.put(sure.instead);
        plausible::check(found, &atria, *rr, no_p, &mut notes);
    }
    let [pr, qrs, qt] = &sure.untrusted;
    if let (Some(_), Some(reason)) = (&found.p, pr) {
        notes.push(format!("no PR: {reason}"));
        found.p = None;
    }
    if let (Some(_), Some(reason)) = (&found.t, qt) {
        notes.push(format!("no QT: {reason}"));
        found.t = None;
    }
    match qrs {
        Some(reason) => Err(format!("QRS cannot be told from its surroundings: {reason}")),
        None => Ok(Judged { sure, notes }),
    }
}

fn measurements(shown: &Shown, recording: &Recording) -> Measurements {
    let Delineation { qrs, p, t, .. } = &shown.found;
    let (r_v5, j_v5, t_v5) = amplitudes(|at| shown.beat[at][V5], &shown.found);
    let v5 = !recording.dead[V5];
    Measurements {
        pr_ms: p.as_ref().map(|p| (qrs.onset - p.onset) as f64 * MS),
        qrs_ms: Some((qrs.offset - qrs.onset) as f64 * MS),
        qt_ms: t.as_ref().map(|t| (t.end - qrs.onset) as f64 * MS),
        rate_bpm: Some(recording.rate),
        r_v5_uv: v5.then_some(r_v5),
        j_v5_uv: v5.then_some(j_v5),
        t_v5_uv: t_v5.filter(|_| v5),
        p_onset: p.as_ref().map(|p| p.onset as f64),
        p_offset: p.as_ref().map(|p| p.offset as f64),
        qrs_onset: Some(qrs.onset as f64),
        qrs_offset: Some(qrs.offset as f64),
        t_offset: t.as_ref().map(|t| t.end as f64),
        rejected: None,
        further: None,
    }
}

fn further(recording: &Recording, shown: &Shown, judged: &Judged, qt_ms: Option<f64>) -> Further {
    let Recording { dead, level, beats, rate, .. } = recording;
    let Shown { points, beat, found, .. } = shown;
    let Delineation { qrs, p, t, .. } = found;
    let quality = uncertainty::lead_quality(level, points, beat, found);
    let used = points.len() as f64;
    let limbs = !dead[0] && !dead[1];
    let kept = |at: usize, there: bool| judged.sure.errors[at].filter(|_| there);
    Further {
        errors: [
            kept(0, p.is_some()),
            kept(1, true),
            kept(2, t.is_some()),
            Some(cart::rate_error(beats, *rate)),
            kept(3, !dead[V5]),
            kept(4, !dead[V5]),
            kept(5, t.is_some() && !dead[V5]),
        ],
        quality: Some(shape::middle(&mut quality.to_vec()) * (used / (beats.all.len() as f64 - 2.0).max(used))),
        notes: judged.notes.join("; "),
        beats_found: Some(beats.all.len() as f64),
        beats_used: Some(used),
        rhythm: cart::rhythm(beat, beats, found, shown.paced, *rate).into(),
        p_ms: p.as_ref().map(|p| (p.offset - p.onset) as f64 * MS),
        t_ms: t.as_ref().zip(cart::t_onset(beat, found)).map(|(t, onset)| (t.end - onset) as f64 * MS),
        qtc_ms: qt_ms.map_or([None; 4], |qt| cart::corrected(qt, *rate).map(Some)),
        axes: [
            p.as_ref().filter(|_| limbs).and_then(|p| cart::axis(beat, p.onset, p.offset, true)),
            cart::axis(beat, qrs.onset, qrs.offset, false).filter(|_| limbs),
            t.as_ref().filter(|_| limbs).and_then(|t| cart::axis(beat, t.begin, t.end, false)),
        ],
        lead_quality: quality.map(Some),
        leads: Some(cart::amplitudes(beat, found, dead)),
    }
}

/// R, J and T of one lead that stands at zero at QRS onset. Means over 6 and 14 ms keep the noise of single samples out of J and of the extremum, which
/// noise always enlarges.
fn amplitudes(lead: impl Fn(usize) -> f64, found: &Delineation) -> (f64, f64, Option<f64>) {
    let Delineation { qrs, t, .. } = found;
    let mean = |at: usize, half: usize| (at - half..=at + half).map(&lead).sum::<f64>() / (2 * half + 1) as f64;
    let r = (qrs.onset..=qrs.offset).map(&lead).fold(f64::NEG_INFINITY, f64::max);
    (r, mean(qrs.offset, 1), t.as_ref().map(|t| t_wave::extremum((t.begin..=t.end).map(|at| mean(at, 3)))))
}

fn zero_at(beat: &mut [Frame], at: usize) {
    let zero = beat[at];
    for frame in beat {
        frame.iter_mut().zip(zero).for_each(|(x, zero)| *x -= zero);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::simulator::{Kind, Settings, Simulator};

    #[test]
    fn simulated_ecgs_are_measured_near_their_truth() {
        let simulator = Simulator::new(Settings::default(), 11);
        for index in 0..12 {
            let ecg = simulator.simulate(index);
            let Measured { measurements: found, median } = measure(&ecg.rhythm, &Thresholds::default());
            assert_eq!(found.rejected, None, "ECG {index}");
            let onset = found.qrs_onset.unwrap() as usize;
            assert!(median.column(onset).iter().all(|&x| x == 0.0), "every lead is zero at QRS onset");
            let close = |name: &str, a: Option<f64>, b: Option<f64>, within: f64| {
                let (a, b) = (a.unwrap(), b.unwrap());
                assert!((a - b).abs() <= within, "ECG {index}, {name}: {a} for {b}");
            };
            close("QRS", found.qrs_ms, ecg.truth.qrs_ms, 40.0);
            close("QT", found.qt_ms, ecg.truth.qt_ms, 50.0);
            close("rate", found.rate_bpm, ecg.truth.rate_bpm, 0.5);
            close("R", found.r_v5_uv, ecg.truth.r_v5_uv, 120.0);
        }
    }

    /// The P wave before a short PR segment is not QRS, however low QRS is beside it.
    #[test]
    fn p_is_not_taken_for_qrs() {
        let ecg = Simulator::new(Settings::default(), 1).simulate(529);
        let found = measure(&ecg.rhythm, &Thresholds::default()).measurements;
        for (name, a, b) in
            [("PR", found.pr_ms, ecg.truth.pr_ms), ("QRS", found.qrs_ms, ecg.truth.qrs_ms), ("QT", found.qt_ms, ecg.truth.qt_ms)]
        {
            assert!((a.unwrap() - b.unwrap()).abs() < 30.0, "{name}: {a:?} for {b:?}");
        }
    }

    /// What rises behind T, once it has come to rest, is a U wave, however high; and the way back from one is no phase of T in any lead.
    #[test]
    fn a_u_wave_is_no_part_of_t() {
        let simulator = Simulator::of_kinds(&["u_wave".parse::<Kind>().unwrap()], Settings::default(), 1);
        for index in [5, 6, 21, 69] {
            let ecg = simulator.simulate(index);
            let found = measure(&ecg.rhythm, &Thresholds::default()).measurements;
            let (qt, truth) = (found.qt_ms.unwrap(), ecg.truth.qt_ms.unwrap());
            assert!((qt - truth).abs() < 30.0, "ECG {index}: QT {qt} for {truth}");
        }
    }

    /// A stimulus of 3 mV before P doubles no rate, one before QRS is no QRS, and both are called what they are.
    #[test]
    fn stimuli_are_no_beats() {
        let ecg = Simulator::new(Settings::default(), 6).simulate(1);
        let plain = measure(&ecg.rhythm, &Thresholds::default()).measurements;
        assert_eq!(plain.further.as_ref().unwrap().rhythm, "sinus");
        for before in [130.0, 35.0] {
            let mut samples = ecg.rhythm.samples().to_owned();
            for peak in ecg.r_peaks.iter().filter(|&&peak| peak > 170.0 && peak < 4990.0) {
                samples.column_mut((peak - before) as usize).iter_mut().for_each(|x| *x += 3000.0);
            }
            // Nothing comes before the one in the first 32 ms.
            samples.column_mut(8).iter_mut().for_each(|x| *x += 3000.0);
            let found = measure(&Rhythm::new(samples).unwrap(), &Thresholds::default()).measurements;
            assert_eq!(found.rejected, None, "{before} samples before R");
            let further = found.further.as_ref().unwrap();
            assert_eq!(further.rhythm, "paced");
            assert!((found.rate_bpm.unwrap() - plain.rate_bpm.unwrap()).abs() < 1.0, "{:?} for {:?}", found.rate_bpm, plain.rate_bpm);
            assert!((found.qrs_ms.unwrap() - plain.qrs_ms.unwrap()).abs() < 30.0, "{:?}", found.qrs_ms);
            if before < 60.0 {
                assert!(found.pr_ms.is_none() && further.notes.contains("paced"), "{further:?}");
            }
        }
    }

    /// One dead lead, or one that comes loose now and then, is left out: the others say what there is.
    #[test]
    fn a_dead_or_loose_lead_is_left_out() {
        let ecg = Simulator::new(Settings::default(), 12).simulate(0);
        let close = |found: &Measurements, case: &str| {
            for (name, a, b) in
                [("PR", found.pr_ms, ecg.truth.pr_ms), ("QRS", found.qrs_ms, ecg.truth.qrs_ms), ("QT", found.qt_ms, ecg.truth.qt_ms)]
            {
                let (a, b) = (a.unwrap_or_else(|| panic!("{case}: no {name}: {:?} {:?}", found.rejected, found.further)), b.unwrap());
                assert!((a - b).abs() < 25.0, "{case}, {name}: {a} for {b}");
            }
        };
        for lead in 0..8 {
            let mut samples = ecg.rhythm.samples().to_owned();
            samples.row_mut(lead).fill(12.0);
            let Measured { measurements: found, median } = measure(&Rhythm::new(samples).unwrap(), &Thresholds::default());
            close(&found, INDEPENDENT[lead]);
            let further = found.further.as_ref().unwrap();
            assert!(further.notes.contains(&format!("lead {} is flat", INDEPENDENT[lead])), "{}", further.notes);
            assert_eq!(found.r_v5_uv.is_some(), lead != V5);
            assert_eq!(further.axes[1].is_some(), lead > 1);
            let row = if lead < 2 { lead } else { lead + 4 };
            assert!(further.leads.unwrap()[row].iter().all(Option::is_none), "{:?}", further.leads.unwrap()[row]);
            assert!(median.row(row).iter().all(|&x| x == 0.0));

            let mut samples = ecg.rhythm.samples().to_owned();
            for (from, level) in [(400, 2500.0), (2100, -1800.0), (3900, 900.0)] {
                (from..from + 450).for_each(|t| samples[[lead, t]] = level + (t * t % 97) as f32);
            }
            close(&measure(&Rhythm::new(samples).unwrap(), &Thresholds::default()).measurements, &format!("{} loose", INDEPENDENT[lead]));
        }
    }

    #[test]
    fn what_cannot_be_measured_says_why() {
        let ecg = Simulator::new(Settings::default(), 12).simulate(0);
        let reason = |samples: Array2<f32>| measure(&Rhythm::new(samples).unwrap(), &Thresholds::default()).measurements.rejected;
        let samples = ecg.rhythm.samples().to_owned();
        assert_eq!(reason(samples.clone()), None);
        let mut flat = samples.clone();
        (4..7).for_each(|lead| flat.row_mut(lead).fill(12.0));
        assert!(reason(flat).unwrap().contains("flat lead V3"));
        assert!(reason(samples.mapv(|x| x.clamp(-150.0, 1e9) * 20.0)).unwrap().contains("saturation"));
        assert!(reason(Array2::zeros((8, 5000))).unwrap().contains("flat lead I"));
    }
}
