//! What records a patient: electrodes, amplifier, sampling and what disturbs them.

use super::Kind;
use super::beats::Events;
use super::patients::{Backdrop, Patient};
use super::waves::{Wave, dipole, span};
use crate::ecg::Rhythm;
use crate::ecg::filter::Frame;
use crate::ecg::leads::RATE;
use crate::ecg::simulator::draws::{normal, uniform};
use crate::ecg::simulator::heart::Leads;
use crate::ecg::simulator::{Settings, noise};
use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;

/// The leads as shown, from the leads as they should be.
type View = [[f64; 8]; 8];

/// A recorder with its faults.
#[derive(Clone, Debug)]
pub struct Machine {
    view: View,
    rate: f64,
    /// Voltages beyond are cut off, µV.
    limit: f64,
    /// The smallest step, µV; 0 for none.
    step: f64,
    /// Factor on the usual noise.
    noise: f64,
    muscle: f64,
    wander: f64,
    mains: Option<(f64, f64)>,
    loose: Option<usize>,
}

impl Machine {
    /// Draws the machine of a kind.
    pub fn draw(kind: Kind, patient: &Patient, rng: &mut ChaCha8Rng) -> Self {
        let mut machine = Machine {
            view: unity(),
            rate: RATE,
            limit: f64::INFINITY,
            step: 0.0,
            noise: 1.0,
            muscle: 0.0,
            wander: 0.0,
            mains: None,
            loose: None,
        };
        let mut one_of_eight = || (uniform(rng, 0.0, 8.0) as usize).min(7);
        match kind {
            Kind::DeadLead => machine.view[one_of_eight()] = [0.0; 8],
            Kind::LooseLead => machine.loose = Some(one_of_eight()),
            Kind::SwapRaLa => machine.view = exchanged(0, 1),
            Kind::SwapRaLl => machine.view = exchanged(0, 2),
            Kind::SwapLaLl => machine.view = exchanged(1, 2),
            Kind::SwapRaRl => machine.view = exchanged(0, 3),
            Kind::SwapLaRl => machine.view = exchanged(1, 3),
            Kind::SwapLlRl => machine.view = exchanged(2, 3),
            Kind::SwapV1V2 => machine.view.swap(2, 3),
            Kind::Clipped => machine.limit = machine.largest(patient) * uniform(rng, 0.5, 0.8),
            Kind::LowGain => {
                let gain = uniform(rng, 0.2, 0.35);
                machine.view.iter_mut().flatten().for_each(|x| *x *= gain);
                (machine.step, machine.noise) = (5.0, gain);
            }
            Kind::Rate250 => machine.rate = 250.0,
            Kind::Rate1000 => machine.rate = 1000.0,
            Kind::Upsampled100 => machine.rate = 100.0,
            Kind::Mains50 => machine.mains = Some((50.0, uniform(rng, 40.0, 200.0))),
            Kind::Mains60 => machine.mains = Some((60.0, uniform(rng, 40.0, 200.0))),
            Kind::Wander => machine.wander = uniform(rng, 400.0, 1500.0),
            Kind::Muscle => machine.muscle = uniform(rng, 20.0, 45.0),
            _ => {}
        }
        machine
    }

    /// What is shown of what the leads would see.
    pub fn shown(&self, frame: Frame) -> Frame {
        self.view.map(|row| row.iter().zip(frame).map(|(a, x)| a * x).sum())
    }

    /// Whether a voltage, as beats vary, may be cut off.
    pub fn cuts(&self, voltage: f64) -> bool {
        1.2 * voltage.abs() > self.limit
    }

    /// Whether a lead shows nothing.
    pub fn is_dead(&self, lead: usize) -> bool {
        self.view[lead] == [0.0; 8]
    }

    fn largest(&self, patient: &Patient) -> f64 {
        let (_, end) = span(&patient.waves.qrs).unwrap_or((0.0, 0.1));
        let at = |k: usize| self.shown(Leads::see(&dipole(&patient.waves.qrs, end * k as f64 / 200.0)));
        (0..200).flat_map(at).fold(0.0, |largest: f64, x| largest.max(x.abs()))
    }

    /// Records a patient.
    pub fn record(&self, patient: &Patient, events: &Events, settings: &Settings, rng: &mut ChaCha8Rng) -> Rhythm {
        // A slow recorder's own low-pass comes before its sampling.
        let rate = if self.rate < 250.0 { RATE } else { self.rate };
        let samples = (settings.seconds * rate).round() as usize;
        let mut frames = render(patient, events, samples, rate);
        frames.iter_mut().for_each(|frame| *frame = self.shown(*frame));
        noise::add_at(&mut frames, settings.noise * self.noise, rate, rng);
        if settings.noise > 0.0 {
            self.disturb(&mut frames, rate, settings.noise, rng);
        }
        for frame in &mut frames {
            for (lead, x) in frame.iter_mut().enumerate() {
                *x = if self.is_dead(lead) { 0.0 } else { x.clamp(-self.limit, self.limit) };
                if self.step > 0.0 {
                    *x = (*x / self.step).round() * self.step;
                }
            }
        }
        let samples = Array2::from_shape_fn((8, frames.len()), |(lead, t)| frames[t][lead]);
        let recorded =
            if self.rate < rate { Rhythm::through(samples.view(), rate, self.rate) } else { Rhythm::at_rate(samples.view(), rate) };
        recorded.expect("the simulator makes finite recordings of the asked length")
    }

    fn disturb(&self, frames: &mut [Frame], rate: f64, factor: f64, rng: &mut ChaCha8Rng) {
        if let Some((hertz, size)) = self.mains {
            let (hertz, levels) =
                (hertz + normal(rng, 0.0, 0.05), [(); 8].map(|()| (size * uniform(rng, 0.3, 1.0), uniform(rng, 0.0, TAU))));
            for (t, frame) in frames.iter_mut().enumerate() {
                let turn = TAU * hertz * t as f64 / rate;
                frame.iter_mut().zip(levels).for_each(|(x, (size, phase))| {
                    *x += factor * size * ((turn + phase).sin() + 0.15 * (3.0 * turn + phase).sin());
                });
            }
        }
        if self.wander > 0.0 {
            let sines = [(); 3].map(|()| (uniform(rng, 0.10, 0.45), uniform(rng, 0.0, TAU)));
            let levels =
                [(); 8].map(|()| self.wander / 3.0 * uniform(rng, 0.2, 0.5) * if uniform(rng, 0.0, 1.0) < 0.5 { 1.0 } else { -1.0 });
            for (t, frame) in frames.iter_mut().enumerate() {
                let sum: f64 = sines.iter().map(|(hertz, phase)| (TAU * hertz * t as f64 / rate + phase).sin()).sum();
                frame.iter_mut().zip(levels).for_each(|(x, level)| *x += factor * level * sum);
            }
        }
        if self.muscle > 0.0 {
            // The usual muscle noise is 5–12 µV.
            let muscle = noise::band_noise(frames.len(), rate, rng);
            let levels = [(); 8].map(|()| self.muscle * uniform(rng, 0.6, 1.4));
            for (frame, muscle) in frames.iter_mut().zip(&muscle) {
                (0..8).for_each(|lead| frame[lead] += factor * levels[lead] * muscle[lead]);
            }
        }
        if let Some(lead) = self.loose {
            let seconds = frames.len() as f64 / rate;
            for third in 0..3 {
                let from = seconds * (third as f64 + uniform(rng, 0.05, 0.6)) / 3.0;
                let (from, to) = ((from * rate) as usize, ((from + uniform(rng, 0.3, 1.2)) * rate) as usize);
                let level = normal(rng, 0.0, 2000.0);
                for frame in frames.iter_mut().take(to).skip(from) {
                    frame[lead] = level + normal(rng, 0.0, 40.0);
                }
            }
        }
    }
}

fn unity() -> View {
    std::array::from_fn(|row| std::array::from_fn(|column| f64::from(u8::from(row == column))))
}

/// The leads when two of the electrodes right arm, left arm, left leg, right leg (0–3) are exchanged. Against Wilson's terminal the arms lie at
/// −(I + II)/3 and (2 I − II)/3, the left leg at (2 II − I)/3 and, since the legs hardly differ, the right leg with it.
fn exchanged(a: usize, b: usize) -> View {
    let third = |one: f64, two: f64| [one / 3.0, two / 3.0];
    let mut electrodes = [third(-1.0, -1.0), third(2.0, -1.0), third(-1.0, 2.0), third(-1.01, 1.97)];
    electrodes.swap(a, b);
    let [ra, la, ll, _] = electrodes;
    let minus = |x: [f64; 2], y: [f64; 2]| [x[0] - y[0], x[1] - y[1]];
    let terminal = [0, 1].map(|k| (ra[k] + la[k] + ll[k]) / 3.0);
    let mut view = unity();
    for (row, limb) in [minus(la, ra), minus(ll, ra)].into_iter().enumerate() {
        view[row] = [0.0; 8];
        view[row][..2].copy_from_slice(&limb);
    }
    for row in &mut view[2..] {
        row[0] -= terminal[0];
        row[1] -= terminal[1];
    }
    view
}

/// The leads before the machine.
fn render(patient: &Patient, events: &Events, samples: usize, rate: f64) -> Vec<Frame> {
    let mut frames = vec![[0.0; 8]; samples];
    let mut draw = |waves: Vec<&Wave>, onset: f64, gain: f64| {
        let Some((from, to)) = span(waves.iter().copied()) else { return };
        let first = ((onset + from) * rate).ceil().max(0.0) as usize;
        let last = ((onset + to) * rate).floor();
        for (t, frame) in frames.iter_mut().enumerate().skip(first).take_while(|(t, _)| *t as f64 <= last) {
            let seen = Leads::see(&dipole(waves.iter().copied(), t as f64 / rate - onset));
            frame.iter_mut().zip(seen).for_each(|(x, y)| *x += gain * y);
        }
    };
    for beat in &events.beats {
        let waves = patient.premature.as_ref().filter(|_| beat.premature).unwrap_or(&patient.waves);
        draw(waves.ventricles().collect(), beat.onset, beat.gain);
    }
    for (onset, gain) in &events.atrial {
        draw(patient.waves.p.iter().collect(), *onset, *gain);
    }
    add_spikes(&mut frames, patient, events, rate);
    for (t, frame) in frames.iter_mut().enumerate() {
        let time = t as f64 / rate;
        match &patient.backdrop {
            Backdrop::None => break,
            Backdrop::Flutter(flutter) => frame.iter_mut().zip(Leads::see(&flutter.at(time))).for_each(|(x, y)| *x += y),
            Backdrop::Fibrillation(waves) => {
                for (height, vector) in waves.at(time) {
                    frame.iter_mut().zip(Leads::see(vector)).for_each(|(x, y)| *x += height * y);
                }
            }
        }
    }
    frames
}

/// The pacemaker's spikes before the patient's own beats. A sample is the mean over its own time.
fn add_spikes(frames: &mut [Frame], patient: &Patient, events: &Events, rate: f64) {
    for beat in events.beats.iter().filter(|beat| !beat.premature) {
        for spike in &patient.spikes {
            let (from, seen) = ((beat.onset + spike.at) * rate, Leads::see(&spike.vector));
            let to = from + spike.seconds * rate;
            let first = (from + 0.5).floor().max(0.0);
            for (t, frame) in frames.iter_mut().enumerate().skip(first as usize).take_while(|(t, _)| *t as f64 - 0.5 < to) {
                let share = (to.min(t as f64 + 0.5) - from.max(t as f64 - 0.5)).max(0.0);
                frame.iter_mut().zip(seen).for_each(|(x, y)| *x += share * y);
            }
        }
    }
}
