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

use delineation::{Delineation, Rr};

use super::filter::{Biquad, Frame, zero_phase};
use super::leads::{RATE, twelve};
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
    let mut raw = rhythm.frames();
    quality::check_recording(&raw)?;
    mains::remove(&mut raw);
    let pulses = pacing::find(&raw);
    pacing::remove(&mut raw, &pulses);
    let level = zero_phase(&raw, &[Biquad::high_pass(0.5, RATE)], 1000);
    let peaks = beats::detect(&level);
    let aligned = beats::align(&level, &peaks)?;
    let rate = beats::rate(&aligned);
    let rr = Rr { mean: 60.0 * RATE / rate, before: beats::rr_before(&aligned), after: beats::rr_after(&aligned) };

    // A first median finds where QRS begins and where its peak lies; the second one is built around both.
    let first = median::median(&level, &aligned.kept, None)?;
    let weights = quality::weights(&level, &aligned.kept, &first);
    let found = qrs::delineate(&qrs::smooth(&quality::weigh(&first, &weights)), thresholds)?;
    let shift = found.peak as isize - R_AT as isize;
    let centred: Vec<usize> = aligned.kept.iter().filter_map(|&r| r.checked_add_signed(shift)).collect();
    let onset = found.onset.saturating_add_signed(-shift);
    let mut beat = median::median(&level, &centred, Some(onset))?;
    let weights = quality::weights(&level, &centred, &beat);
    let mut found = delineation::delineate(&beat, &weights, rr, thresholds)?;
    quality::check_beat(&beat, &found.qrs)?;
    zero_at(&mut beat, found.qrs.onset);

    let mut notes = Vec::new();
    let mut paced = pacing::of_beats(&pulses, &centred, found.qrs.onset);
    if !paced.ventricles {
        quality::check_leads(&beat, &found.qrs, found.p.as_ref())?;
    }
    found.p = found.p.filter(|p| median::repeats(&level, &centred, &beat, &weights, p.onset, p.offset));
    // Small stimuli are believed only before what a paced beat looks like.
    let wide = (found.qrs.offset - found.qrs.onset) as f64 * MS >= pacing::WIDE;
    paced.ventricles |= wide && found.p.is_none() && pacing::small(&raw, &centred, found.qrs.onset);
    let atria = delineation::atria(&beat, &weights, &found, rr, thresholds);
    plausible::check(&mut found, &atria, rr.mean * MS, rr.before == rr.mean, paced.ventricles && !paced.atria, &mut notes);
    let sure = uncertainty::of(&level, &centred, &beat, &weights, &found, rr, thresholds);
    found.put([sure.instead[0], sure.instead[1], sure.instead[2]]);
    let [pr, qrs_duration, qt] = &sure.untrusted;
    if let (Some(_), Some(reason)) = (&found.p, pr) {
        notes.push(format!("no PR: {reason}"));
        found.p = None;
    }
    if let (Some(_), Some(reason)) = (&found.t, qt) {
        notes.push(format!("no QT: {reason}"));
        found.t = None;
    }
    if let Some(reason) = qrs_duration {
        return Err(format!("QRS cannot be told from its surroundings: {reason}"));
    }
    let Delineation { qrs, p, t, .. } = &found;
    let (r_v5, j_v5, t_v5) = amplitudes(|at| beat[at][V5], &found);
    let mut measurements = Measurements {
        pr_ms: p.as_ref().map(|p| (qrs.onset - p.onset) as f64 * MS),
        qrs_ms: Some((qrs.offset - qrs.onset) as f64 * MS),
        qt_ms: t.as_ref().map(|t| (t.end - qrs.onset) as f64 * MS),
        rate_bpm: Some(rate),
        r_v5_uv: Some(r_v5),
        j_v5_uv: Some(j_v5),
        t_v5_uv: t_v5,
        p_onset: p.as_ref().map(|p| p.onset as f64),
        p_offset: p.as_ref().map(|p| p.offset as f64),
        qrs_onset: Some(qrs.onset as f64),
        qrs_offset: Some(qrs.offset as f64),
        t_offset: t.as_ref().map(|t| t.end as f64),
        rejected: None,
        further: None,
    };
    let quality = uncertainty::lead_quality(&level, &centred, &beat, &found);
    let used = centred.len() as f64;
    let kept = |at: usize, there: bool| sure.errors[at].filter(|_| there);
    measurements.further = Some(Box::new(Further {
        errors: [
            kept(0, p.is_some()),
            kept(1, true),
            kept(2, t.is_some()),
            Some(cart::rate_error(&aligned, rate)),
            kept(3, true),
            kept(4, true),
            kept(5, t.is_some()),
        ],
        quality: Some(shape::middle(&mut quality.to_vec()) * (used / (aligned.all.len() as f64 - 2.0).max(used))),
        notes: notes.join("; "),
        beats_found: Some(aligned.all.len() as f64),
        beats_used: Some(used),
        rhythm: cart::rhythm(&beat, &aligned, &found, paced, rate).into(),
        p_ms: p.as_ref().map(|p| (p.offset - p.onset) as f64 * MS),
        t_ms: t.as_ref().zip(cart::t_onset(&beat, &found)).map(|(t, onset)| (t.end - onset) as f64 * MS),
        qtc_ms: measurements.qt_ms.map_or([None; 4], |qt| cart::corrected(qt, rate).map(Some)),
        axes: [
            p.as_ref().and_then(|p| cart::axis(&beat, p.onset, p.offset, true)),
            cart::axis(&beat, qrs.onset, qrs.offset, false),
            t.as_ref().and_then(|t| cart::axis(&beat, t.begin, t.end, false)),
        ],
        lead_quality: quality.map(Some),
        leads: Some(cart::amplitudes(&beat, &found)),
    }));
    let eight = Array2::from_shape_fn((8, BEAT), |(lead, t)| beat[t][lead] as f32);
    Ok(Measured { measurements, median: twelve(eight.view()) })
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
    use crate::ecg::simulator::{Settings, Simulator};

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

    #[test]
    fn what_cannot_be_measured_says_why() {
        let ecg = Simulator::new(Settings::default(), 12).simulate(0);
        let reason = |samples: Array2<f32>| measure(&Rhythm::new(samples).unwrap(), &Thresholds::default()).measurements.rejected;
        let samples = ecg.rhythm.samples().to_owned();
        assert_eq!(reason(samples.clone()), None);
        let mut flat = samples.clone();
        flat.row_mut(4).fill(12.0);
        assert!(reason(flat).unwrap().contains("flat lead V3"));
        assert!(reason(samples.mapv(|x| x.clamp(-150.0, 1e9) * 20.0)).unwrap().contains("saturation"));
        assert!(reason(Array2::zeros((8, 5000))).unwrap().contains("flat lead I"));
    }
}
