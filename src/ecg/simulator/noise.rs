//! What is not the heart: muscle noise, baseline wander and the mains.

use super::draws::{normal, uniform};
use crate::ecg::filter::{Biquad, Frame, zero_phase};
use crate::ecg::leads::RATE;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// Adds, per lead and times `factor`: noise of 15–150 Hz (5–12 µV RMS), wander (a 0.1–0.4 Hz sine of 20–70 µV peak to peak and a random walk)
/// and 50 Hz (0–4 µV). The draws do not depend on the factor.
pub fn add(frames: &mut [Frame], factor: f64, rng: &mut ChaCha8Rng) {
    add_at(frames, factor, RATE, rng);
}

/// The same at another rate, Hz.
pub fn add_at(frames: &mut [Frame], factor: f64, rate: f64, rng: &mut ChaCha8Rng) {
    let muscle = band_noise(frames.len(), rate, rng);
    // A walk has the same spread after the same time.
    let step = 0.35 * (RATE / rate).sqrt();
    let breathing = uniform(rng, 0.1, 0.4);
    let levels: [[f64; 5]; 8] = [(); 8].map(|()| {
        [uniform(rng, 5.0, 12.0), uniform(rng, 10.0, 35.0), uniform(rng, 0.0, TAU), uniform(rng, 0.0, 4.0), uniform(rng, 0.0, TAU)]
    });
    let mut walk = [0.0; 8];
    for (t, frame) in frames.iter_mut().enumerate() {
        let time = t as f64 / rate;
        for (lead, [rms, wander, start, mains, phase]) in levels.iter().enumerate() {
            walk[lead] += normal(rng, 0.0, step);
            let sines = wander * (TAU * breathing * time + start).sin() + mains * (TAU * 50.0 * time + phase).sin();
            frame[lead] += factor * (rms * muscle[t][lead] + sines + walk[lead]);
        }
    }
}

/// White noise between 15 and 150 Hz (or what the rate can hold), every lead scaled to an RMS of 1.
pub fn band_noise(samples: usize, rate: f64, rng: &mut ChaCha8Rng) -> Vec<Frame> {
    let white: Vec<Frame> = (0..samples).map(|_| [(); 8].map(|()| StandardNormal.sample(rng))).collect();
    let mut band = zero_phase(&white, &[Biquad::high_pass(15.0, rate), Biquad::low_pass(150f64.min(0.45 * rate), rate)], 50);
    let mut energy = [0.0; 8];
    for frame in &band {
        energy.iter_mut().zip(frame).for_each(|(sum, x)| *sum += x * x);
    }
    let scale = energy.map(|sum: f64| (samples as f64 / sum).sqrt());
    for frame in &mut band {
        frame.iter_mut().zip(scale).for_each(|(x, scale)| *x *= scale);
    }
    band
}
