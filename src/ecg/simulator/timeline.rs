//! When the chambers of a simulated heart contract, and what that looks like before noise.

use super::Settings;
use super::atria::Fibrillation;
use super::chambers::{Atria, Conduction};
use super::draws::{normal, uniform};
use super::heart::{Heart, Leads};
use super::wave::{Lobe, direction};
use crate::ecg::filter::Frame;
use crate::ecg::leads::RATE;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;

#[derive(Clone, Copy, Debug)]
struct Beat {
    onset: f64,
    gain: f64,
    ectopic: bool,
}

/// The beats of one recording.
#[derive(Clone, Debug)]
pub struct Timeline {
    beats: Vec<Beat>,
    atrial: Vec<f64>,
    ectopic: Option<Ectopic>,
    fibrillation: Option<Fibrillation>,
    has_p: bool,
    seconds: f64,
}

/// A ventricular beat from elsewhere: tall, wide and notched, as excitation turns on its way, with its T wave against it.
#[derive(Clone, Debug)]
pub(super) struct Ectopic {
    pub(super) qrs: Lobe,
    pub(super) turned: Lobe,
    pub(super) t: Lobe,
}

impl Timeline {
    /// Draws the beats: RR modulated by 25 ms at 0.25 Hz (breathing) plus 10 ms of jitter, each beat with its own gain (6 %).
    pub fn draw(heart: &Heart, settings: &Settings, rng: &mut ChaCha8Rng) -> Self {
        let rr = 60.0 / heart.rate;
        let phase = uniform(rng, 0.0, TAU);
        let mut onset = -uniform(rng, 0.0, rr) - rr;
        let mut beats = Vec::new();
        while onset < settings.seconds + 1.0 {
            beats.push(Beat { onset, gain: 1.0 + normal(rng, 0.0, 0.06), ectopic: false });
            let step = match settings.atria {
                Atria::Fibrillating => rr * uniform(rng, 0.65, 1.45),
                _ => rr + 0.025 * (TAU * 0.25 * onset + phase).sin() + normal(rng, 0.0, 0.010),
            };
            // A premature beat falls late in the cycle and is followed by a compensatory pause.
            if settings.ectopic > 0.0 && uniform(rng, 0.0, 1.0) < settings.ectopic {
                let early = (heart.t_end() + 0.10).max(0.62 * rr);
                beats.push(Beat { onset: onset + early, gain: 1.0 + normal(rng, 0.0, 0.06), ectopic: true });
                onset += step.max(rr) + rr;
            } else {
                onset += step;
            }
        }
        let atrial = match (settings.atria, settings.conduction) {
            (Atria::Sinus, Conduction::CompleteBlock) => dissociated(settings.seconds, rng),
            (Atria::Sinus, _) => beats.iter().filter(|beat| !beat.ectopic).map(|beat| beat.onset).collect(),
            _ => Vec::new(),
        };
        let has_p = settings.atria == Atria::Sinus && settings.conduction != Conduction::CompleteBlock;
        let ectopic = (settings.ectopic > 0.0).then(|| Ectopic::draw(rng));
        let fibrillation = (settings.atria == Atria::Fibrillating).then(|| Fibrillation::draw(rng));
        Timeline { beats, atrial, ectopic, fibrillation, has_p, seconds: settings.seconds }
    }

    /// Whether every sinus beat has its P wave at the same distance.
    pub fn has_p(&self) -> bool {
        self.has_p
    }

    /// The median gain of the sinus beats whose QRS lies inside the recording: the gain of their median beat, since every wave of a beat shares its gain.
    pub fn median_gain(&self) -> f64 {
        let inside = |beat: &&Beat| !beat.ectopic && (0.0..self.seconds).contains(&beat.onset);
        let mut gains: Vec<f64> = self.beats.iter().filter(inside).map(|beat| beat.gain).collect();
        gains.sort_by(f64::total_cmp);
        match gains.len() {
            0 => 1.0,
            n if n % 2 == 1 => gains[n / 2],
            n => (gains[n / 2 - 1] + gains[n / 2]) / 2.0,
        }
    }

    /// Beats per minute from the first to the last R peak inside the recording; `None` with fewer than two.
    pub fn rate(&self, heart: &Heart) -> Option<f64> {
        let peaks = self.r_peaks(heart);
        let (first, last) = (peaks.first()?, peaks.last()?);
        (peaks.len() > 1).then(|| 60.0 * RATE * (peaks.len() - 1) as f64 / (last - first))
    }

    /// The R peaks inside the recording, in samples.
    pub fn r_peaks(&self, heart: &Heart) -> Vec<f64> {
        let peak = |beat: &Beat| match (&self.ectopic, beat.ectopic) {
            (Some(ectopic), true) => beat.onset + ectopic.qrs.peak * ectopic.qrs.off,
            _ => beat.onset + heart.r_time(),
        };
        self.beats.iter().map(peak).filter(|time| (0.0..self.seconds).contains(time)).map(|time| time * RATE).collect()
    }

    /// The noise-free recording.
    pub fn render(&self, heart: &Heart, samples: usize) -> Vec<Frame> {
        let mut frames = vec![[0.0; 8]; samples];
        for beat in &self.beats {
            match (&self.ectopic, beat.ectopic) {
                (Some(ectopic), true) => {
                    draw_wave(&mut frames, beat.onset, 0.0, ectopic.t.off, beat.gain, |time| ectopic.at(time));
                }
                _ => draw_wave(&mut frames, beat.onset, 0.0, heart.t_end(), beat.gain, |time| heart.ventricles(time)),
            }
        }
        for &onset in &self.atrial {
            let gain = self.beats.iter().find(|beat| beat.onset == onset).map_or(1.0, |beat| beat.gain);
            draw_wave(&mut frames, onset, heart.p.on, heart.p.off, gain, |time| heart.atria(time));
        }
        if let Some(waves) = &self.fibrillation {
            for (t, frame) in frames.iter_mut().enumerate() {
                for (height, vector) in waves.at(t as f64 / RATE) {
                    frame.iter_mut().zip(Leads::see(vector)).for_each(|(x, y)| *x += height * y);
                }
            }
        }
        frames
    }
}

fn dissociated(seconds: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let pp = 60.0 / uniform(rng, 60.0, 100.0);
    let mut onset = -uniform(rng, 0.0, pp);
    let mut onsets = Vec::new();
    while onset < seconds + 1.0 {
        onsets.push(onset);
        onset += pp + normal(rng, 0.0, 0.010);
    }
    onsets
}

fn draw_wave(frames: &mut [Frame], onset: f64, from: f64, to: f64, gain: f64, shape: impl Fn(f64) -> Frame) {
    let first = ((onset + from) * RATE).ceil().max(0.0) as usize;
    let last = ((onset + to) * RATE).floor().min(frames.len() as f64 - 1.0);
    if last < first as f64 {
        return;
    }
    for (t, frame) in frames.iter_mut().enumerate().take(last as usize + 1).skip(first) {
        let seen = shape(t as f64 / RATE - onset);
        frame.iter_mut().zip(seen).for_each(|(x, y)| *x += gain * y);
    }
}

impl Ectopic {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let frontal = uniform(rng, -180.0, 180.0);
        let seconds = uniform(rng, 0.130, 0.170);
        let tilt = uniform(rng, -60.0, 60.0);
        let turn = uniform(rng, 40.0, 90.0);
        Ectopic {
            qrs: Lobe { on: 0.0, off: 0.65 * seconds, peak: 0.5, power: 1.3, vector: direction(2000.0, frontal, tilt) },
            turned: Lobe { on: 0.35 * seconds, off: seconds, peak: 0.5, power: 1.3, vector: direction(1400.0, frontal + turn, tilt) },
            t: Lobe { on: 0.9 * seconds, off: seconds + 0.26, peak: 0.5, power: 1.2, vector: direction(500.0, frontal + 180.0, 0.0) },
        }
    }

    fn at(&self, time: f64) -> Frame {
        let mut dipole = [0.0; 3];
        for lobe in [&self.qrs, &self.turned, &self.t] {
            super::wave::add(&mut dipole, &lobe.vector, lobe.height(time));
        }
        Leads::see(&dipole)
    }
}
