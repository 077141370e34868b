//! Mains hum of 50 or 60 Hz: found and taken out before anything is looked at.
//!
//! Its size and phase are followed over time from what lies outside of QRS, so that, unlike with a notch, no QRS rings on.

use super::shape::{middle, minus, moving_mean, velocity};
use crate::ecg::filter::Frame;
use crate::ecg::leads::RATE;

/// The frequencies of mains, Hz.
const HERTZ: [f64; 2] = [50.0, 60.0];
/// Hum below this in every lead is left alone, µV.
const LEAST: f64 = 12.0;
/// A harmonic below this stays too, µV.
const LEAST_HARMONIC: f64 = 2.0;
/// The fundamental and its harmonics up to this one are taken out.
const HARMONICS: usize = 3;
/// Samples that hold whole periods of both frequencies (100 ms).
const PERIODS: usize = 50;
/// Hum is followed by a mean over this, twice, samples (0.4 s).
const FOLLOW: usize = 201;
/// What moves more than this many times as fast as usual, once the hum is averaged out, is QRS …
const FAST: f64 = 4.0;
/// … and so is what lies so near to it, samples.
const AROUND: usize = 35;

/// Takes the hum out of a recording that has one; leaves all others as they are, to the bit. Says whether it had.
pub fn remove(frames: &mut [Frame]) -> bool {
    let mut had = false;
    for hertz in HERTZ {
        if !suspected(frames, hertz) {
            continue;
        }
        let level = without_hum(frames);
        let calm = calm(&level);
        for harmonic in 1..=HARMONICS {
            let hertz = harmonic as f64 * hertz;
            let least = if harmonic == 1 { LEAST } else { LEAST_HARMONIC };
            let out = hertz < 0.45 * RATE && take_out(frames, &level, &calm, hertz, least);
            had |= out;
            if !out && harmonic == 1 {
                break;
            }
        }
    }
    had
}

/// Whether a lead usually has that much of a frequency, in stretches of 200 ms.
fn suspected(frames: &[Frame], hertz: f64) -> bool {
    const STRETCH: usize = 2 * PERIODS;
    let turns: Vec<(f64, f64)> = (0..STRETCH).map(|t| (std::f64::consts::TAU * hertz * t as f64 / RATE).sin_cos()).collect();
    let mut sizes: [Vec<f64>; 8] = Default::default();
    for stretch in frames.chunks_exact(STRETCH) {
        let (mut sines, mut cosines) = ([0.0; 8], [0.0; 8]);
        for (frame, (sin, cos)) in stretch.iter().zip(&turns) {
            for lead in 0..8 {
                sines[lead] += sin * frame[lead];
                cosines[lead] += cos * frame[lead];
            }
        }
        (0..8).for_each(|lead| sizes[lead].push(sines[lead].hypot(cosines[lead]) * 2.0 / STRETCH as f64));
    }
    sizes.iter_mut().any(|sizes| !sizes.is_empty() && middle(sizes) > LEAST)
}

/// The mean over whole periods of both frequencies.
fn without_hum(frames: &[Frame]) -> Vec<Frame> {
    let mut means = vec![[0.0; 8]; frames.len()];
    for lead in 0..8 {
        let values: Vec<f64> = frames.iter().map(|frame| frame[lead]).collect();
        let mean = moving_mean(&values, PERIODS + 1);
        means.iter_mut().zip(mean).for_each(|(frame, mean)| frame[lead] = mean);
    }
    means
}

/// 1 where the heart is at rest, 0 at QRS.
fn calm(level: &[Frame]) -> Vec<f64> {
    let speed = velocity(level);
    let most = FAST * middle(&mut speed.clone());
    let mut calm = vec![1.0; level.len()];
    for (t, _) in speed.iter().enumerate().filter(|(_, speed)| **speed > most) {
        calm[t.saturating_sub(AROUND)..(t + AROUND + 1).min(level.len())].fill(0.0);
    }
    calm
}

/// Takes one frequency out, where the largest of the leads has enough of it. Says whether it had.
fn take_out(frames: &mut [Frame], level: &[Frame], calm: &[f64], hertz: f64, least: f64) -> bool {
    let follow = |values: Vec<f64>| moving_mean(&moving_mean(&values, FOLLOW), FOLLOW);
    let turn = |t: usize| (std::f64::consts::TAU * hertz * t as f64 / RATE).sin_cos();
    let turns: Vec<(f64, f64)> = (0..frames.len()).map(turn).collect();
    let share = follow(calm.to_vec());
    let quick: Vec<Frame> = frames.iter().zip(level).map(|(frame, level)| minus(frame, level)).collect();
    let part = |lead: usize, of: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        let values = quick.iter().zip(calm).zip(&turns).map(|((frame, calm), turn)| frame[lead] * calm * of(turn)).collect();
        follow(values).iter().zip(&share).map(|(sum, share)| if *share > 0.02 { 2.0 * sum / share } else { 0.0 }).collect()
    };
    let parts: Vec<(Vec<f64>, Vec<f64>)> = (0..8).map(|lead| (part(lead, |turn| turn.0), part(lead, |turn| turn.1))).collect();
    let size = |(sines, cosines): &(Vec<f64>, Vec<f64>)| {
        let mut sizes: Vec<f64> = sines.iter().zip(cosines).step_by(25).map(|(a, b)| a.hypot(*b)).collect();
        middle(&mut sizes)
    };
    if parts.iter().map(size).fold(0.0, f64::max) < least {
        return false;
    }
    for (lead, (sines, cosines)) in parts.iter().enumerate() {
        for (t, frame) in frames.iter_mut().enumerate() {
            frame[lead] -= sines[t] * turns[t].0 + cosines[t] * turns[t].1;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hum(hertz: f64, size: f64) -> Vec<Frame> {
        let at = |t: usize| size * (std::f64::consts::TAU * (hertz + 0.05) * t as f64 / RATE + 1.0).sin();
        (0..5000).map(|t| std::array::from_fn(|lead| at(t) * (1.0 + lead as f64) / 8.0)).collect()
    }

    /// Tall narrow waves once a second.
    fn beats() -> Vec<Frame> {
        (0..5000).map(|t| [1000.0 * (-((t % 500) as f64 - 250.0).powi(2) / 50.0).exp(); 8]).collect()
    }

    #[test]
    fn hum_goes_and_the_heart_stays() {
        for hertz in HERTZ {
            let clean = beats();
            let mut frames: Vec<Frame> = clean.iter().zip(hum(hertz, 200.0)).map(|(a, b)| std::array::from_fn(|k| a[k] + b[k])).collect();
            remove(&mut frames);
            let left = frames[500..4500].iter().zip(&clean[500..4500]).flat_map(|(a, b)| minus(a, b)).fold(0.0, |m: f64, x| m.max(x.abs()));
            assert!(left < 12.0, "{hertz} Hz: {left} µV of 200 are left");
        }
        let mut clean = beats();
        remove(&mut clean);
        assert_eq!(clean, beats(), "no hum, no change");
    }
}
