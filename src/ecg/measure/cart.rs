//! What else a cart prints: corrected QT, axes, durations, amplitudes of every wave in every lead, and the rhythm where it is certain.
//!
//! Amplitudes follow the CSE working party (Eur. Heart J. 6:815, 1985): relative to the level at QRS onset, P to that at its own onset; a deflection of
//! QRS counts from 20 µV and 6 ms.

use super::beats::Aligned;
use super::delineation::Delineation;
use super::pacing::Paced;
use super::shape::{argmax, argmin, in_lead, middle};
use super::{MS, t_wave};
use crate::ecg::filter::Frame;

/// The least deflection of QRS, µV and samples.
const DEFLECTION: (f64, usize) = (20.0, 3);
/// The least T′, µV.
const T2: f64 = 30.0;
/// Of the twelve in the order of print, where each stands among the eight and the four derived ones ([`in_lead`]).
const PRINTED: [usize; 12] = [0, 1, 8, 9, 10, 11, 2, 3, 4, 5, 6, 7];

/// Bazett, Fridericia, Framingham, Hodges; ms.
pub fn corrected(qt: f64, rate: f64) -> [f64; 4] {
    let rr = 60.0 / rate;
    [qt / rr.sqrt(), qt / rr.cbrt(), qt + 154.0 * (1.0 - rr), qt + 1.75 * (rate - 60.0)]
}

/// Amplitudes of P, Q, R, S, R′, S′, T, T′, J, J + 60 and J + 80 ms in the twelve leads, µV. The beat stands at zero at QRS onset.
/// Nothing of leads that are dead or follow from dead ones.
pub fn amplitudes(beat: &[Frame], found: &Delineation, dead: &[bool; 8]) -> [[Option<f64>; 11]; 12] {
    PRINTED.map(|lead| {
        let is_dead = if lead < 8 { dead[lead] } else { dead[0] || dead[1] };
        if is_dead {
            return [None; 11];
        }
        let values: Vec<f64> = beat.iter().map(|frame| in_lead(frame, lead)).collect();
        in_one_lead(&values, found)
    })
}

fn in_one_lead(values: &[f64], found: &Delineation) -> [Option<f64>; 11] {
    let qrs = &found.qrs;
    let mean = |at: usize, half: usize| {
        let part = &values[at.saturating_sub(half)..(at + half + 1).min(values.len())];
        part.iter().sum::<f64>() / part.len() as f64
    };
    let p = found.p.as_ref().map(|p| {
        let zero = mean(p.onset, 3);
        t_wave::extremum((p.onset..=p.offset).map(|at| mean(at, 2) - zero))
    });
    let [q, r, s, r2, s2] = deflections(&values[qrs.onset..=qrs.offset]);
    let (mut t, mut t2) = (None, None);
    if let Some(wave) = &found.t {
        let smooth: Vec<f64> = (wave.begin..=wave.end).map(|at| mean(at, 3)).collect();
        let (high, low) = (argmax(&smooth, 0, smooth.len()), argmin(&smooth, 0, smooth.len()));
        let (first, second) = if smooth[high].abs() >= smooth[low].abs() { (high, low) } else { (low, high) };
        t = Some(smooth[first]);
        let opposite = smooth[first] * smooth[second] < 0.0 && second > first && smooth[second].abs() >= T2;
        t2 = opposite.then_some(smooth[second]);
    }
    let after = |ms: usize| (qrs.offset + ms / 2 + 3 < values.len()).then(|| mean(qrs.offset + ms / 2, 1));
    [p, q, r, s, r2, s2, t, t2, after(0), after(60), after(80)]
}

/// Q, R, S, R′ and S′ of a lead's QRS: its deflections from zero in order. A QRS that is one negative deflection is a Q (QS).
fn deflections(values: &[f64]) -> [Option<f64>; 5] {
    let mut peaks: Vec<f64> = Vec::new();
    let mut from = 0;
    while from < values.len() {
        let positive = values[from] > 0.0;
        let to = (from..values.len()).find(|&at| (values[at] > 0.0) != positive).unwrap_or(values.len());
        let peak = t_wave::extremum(values[from..to].iter().copied());
        if to - from >= DEFLECTION.1 && peak.abs() >= DEFLECTION.0 {
            match peaks.last_mut() {
                // A ripple too small to count parts nothing.
                Some(last) if *last * peak > 0.0 => *last = if peak.abs() > last.abs() { peak } else { *last },
                _ => peaks.push(peak),
            }
        }
        from = to;
    }
    let mut waves = [None; 5];
    let first = usize::from(peaks.first().is_some_and(|&peak| peak > 0.0));
    for (wave, peak) in waves.iter_mut().skip(first).zip(peaks) {
        *wave = Some(peak);
    }
    waves
}

/// The frontal axis of what lies between two samples, degrees: of its areas in I and aVF over the chord, or over zero.
pub fn axis(beat: &[Frame], from: usize, to: usize, chord: bool) -> Option<f64> {
    let value = |t: usize| [beat[t][0], in_lead(&beat[t], 11)];
    let (left, right) = (value(from), value(to));
    let mut area = [0.0; 2];
    for t in from..=to {
        let u = (t - from) as f64 / (to - from).max(1) as f64;
        for k in 0..2 {
            area[k] += value(t)[k] - if chord { left[k] + u * (right[k] - left[k]) } else { 0.0 };
        }
    }
    // aVF is smaller than a bipolar lead by √3 / 2.
    let (x, y) = (area[0], area[1] * 2.0 / 3.0f64.sqrt());
    let least = 2.0 * (to - from) as f64;
    (x.hypot(y) > least).then(|| y.atan2(x).to_degrees())
}

/// Where T begins, a sample: its first flank followed back to where its slope dies away.
pub fn t_onset(beat: &[Frame], found: &Delineation) -> Option<usize> {
    let t = found.t.as_ref()?;
    let size = |at: usize| super::shape::magnitude(&beat[at]);
    let sizes: Vec<f64> = (0..=t.end).map(size).collect();
    let even = super::shape::moving_mean(&sizes, 11);
    let peak = argmax(&even, t.begin, t.end);
    let slope = |at: usize| even[at + 1] - even[at - 1];
    let steepest = (t.begin..peak).fold(t.begin, |best, at| if slope(at) > slope(best) { at } else { best });
    Some((found.qrs.offset + 1..steepest).rev().find(|&at| slope(at) < 0.2 * slope(steepest)).unwrap_or(found.qrs.offset))
}

/// RR intervals differ so little from beat to beat in sinus rhythm (share of the mean), and so much in fibrillation.
const REGULAR: f64 = 0.10;
const IRREGULAR: f64 = 0.12;
/// So many RR intervals are needed to say so.
const ENOUGH: usize = 6;
/// Of the QRS complexes so many are of the dominant shape in fibrillation; else premature beats may be what makes it irregular.
const ALIKE: f64 = 0.8;

/// The rhythm, where it is certain.
pub fn rhythm(beat: &[Frame], beats: &Aligned, found: &Delineation, paced: Paced, rate: f64) -> &'static str {
    if paced.atria || paced.ventricles {
        return "paced";
    }
    let intervals: Vec<f64> = beats.all.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    if intervals.len() < ENOUGH {
        return "";
    }
    let usual = middle(&mut intervals.clone());
    let mut steps: Vec<f64> = intervals.windows(2).map(|pair| (pair[1] - pair[0]).abs() / usual).collect();
    let step = middle(&mut steps);
    let alike = beats.kept.len() as f64 >= ALIKE * (beats.all.len() as f64 - 2.0);
    let upright = found.p.as_ref().is_some_and(|p| axis(beat, p.onset, p.offset, true).is_some_and(|axis| (-10.0..=90.0).contains(&axis)));
    if upright && step < REGULAR && alike && (40.0..=150.0).contains(&rate) {
        "sinus"
    } else if found.p.is_none() && step > IRREGULAR && alike {
        "atrial fibrillation"
    } else if step > IRREGULAR {
        "irregular"
    } else {
        ""
    }
}

/// The standard error of the rate, per minute: of the mean of the RR intervals, or a sample at either end.
pub fn rate_error(beats: &Aligned, rate: f64) -> f64 {
    let span = (beats.all[beats.all.len() - 1] - beats.all[0]) as f64;
    // Each end is off by about a sample: half of that in the mean over all intervals.
    rate * 1.5 / span.max(1.0) * MS / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_leave_qt_as_it_is_at_sixty() {
        assert!(corrected(400.0, 60.0).iter().all(|qtc| (qtc - 400.0).abs() < 1e-9));
        let fast = corrected(320.0, 100.0);
        assert!((fast[0] - 413.1).abs() < 0.1 && (fast[1] - 379.4).abs() < 0.1, "{fast:?}");
        assert!((fast[2] - 381.6).abs() < 0.1 && (fast[3] - 390.0).abs() < 0.1, "{fast:?}");
    }

    #[test]
    fn deflections_have_the_names_of_their_order() {
        let lead = |parts: &[(f64, usize)]| -> Vec<f64> { parts.iter().flat_map(|&(x, count)| vec![x; count]).collect() };
        assert_eq!(deflections(&lead(&[(-80.0, 8), (900.0, 15), (-300.0, 10)])), [Some(-80.0), Some(900.0), Some(-300.0), None, None]);
        let bundle = lead(&[(150.0, 6), (-400.0, 10), (600.0, 20)]);
        assert_eq!(deflections(&bundle), [None, Some(150.0), Some(-400.0), Some(600.0), None]);
        assert_eq!(deflections(&lead(&[(-900.0, 30)])), [Some(-900.0), None, None, None, None], "QS");
        let ripple = lead(&[(900.0, 10), (-12.0, 4), (300.0, 6), (-200.0, 2)]);
        assert_eq!(deflections(&ripple), [None, Some(900.0), None, None, None], "neither 12 µV nor 4 ms count");
    }
}
