//! One simulated heart: the intervals and the dipole of its waves, times relative to QRS onset.

use super::Settings;
use super::chambers::Conduction;
use super::draws::{bounded, normal, uniform};
use super::wave::{Lobe, Vector, add, direction, smooth_step};
use crate::ecg::filter::Frame;
use rand_chacha::ChaCha8Rng;

/// The lead system: Dower's matrix, from the dipole (X left, Y down, Z back) to I, II, V1–V6.
pub struct Leads;

impl Leads {
    /// V5 among the eight independent leads.
    pub const V5: usize = 6;
    const DOWER: [[f64; 3]; 8] = [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ];

    /// What the eight leads see of a dipole (G. E. Dower, J. Electrocardiol. 1:195, 1968).
    pub fn see(dipole: &Vector) -> Frame {
        Leads::DOWER.map(|row| row.iter().zip(dipole).map(|(a, x)| a * x).sum())
    }
}

/// The parameters of one heart. Times in seconds relative to QRS onset.
#[derive(Clone, Debug)]
pub struct Heart {
    /// Mean heart rate, beats per minute.
    pub rate: f64,
    /// QRS duration.
    pub qrs_seconds: f64,
    /// The P wave; it ends before 0.
    pub p: Lobe,
    /// Septal, main and terminal forces; together their support is [0, QRS duration].
    pub qrs: [Lobe; 3],
    /// The dipole at the J point.
    pub j: Vector,
    /// The T wave; it ends at the QT interval.
    pub t: Lobe,
    r_time: f64,
}

impl Heart {
    /// Draws a heart from the population.
    pub fn draw(settings: &Settings, rng: &mut ChaCha8Rng) -> Self {
        let rate = match settings.conduction {
            Conduction::CompleteBlock => bounded(rng, 42.0, 5.0, 32.0, 52.0),
            _ => bounded(rng, 70.0, 12.0, 45.0, 115.0),
        };
        let rr = 60.0 / rate;
        let qt = 1e-3 * bounded(rng, 408.0, 18.0, 355.0, 465.0) * rr.cbrt();
        let p_seconds = 1e-3 * bounded(rng, 106.0, 11.0, 75.0, 135.0);
        let pr = match settings.conduction {
            Conduction::FirstDegreeBlock => 1e-3 * bounded(rng, 280.0, 30.0, 230.0, 340.0).min(1e3 * (rr - qt - 0.03)),
            // A P wave that begins inside the T wave has no visible T end before it: the longest PR leaves 20 ms for the shortest RR.
            _ => (1e-3 * bounded(rng, 159.0 - 0.25 * (rate - 70.0), 22.0, 108.0, 230.0)).min(rr - qt - 0.08),
        };
        let pr = pr.max(p_seconds + 0.008);
        let qrs_seconds = 1e-3 * bounded(rng, 93.0, 9.0, 70.0, 124.0);
        let axis = bounded(rng, 42.0, 28.0, -30.0, 95.0);
        let tilt = normal(rng, 20.0, 14.0);
        let size: f64 = normal(rng, 0.0, 1.0);
        let qrs = draw_qrs(rng, 1150.0 * (0.30 * size).exp(), axis, tilt, qrs_seconds);
        let st = uniform(rng, 0.060, 0.120).min(qt - qrs_seconds - 0.120).max(0.03);
        let t = Lobe {
            on: qrs_seconds + st,
            off: qt,
            peak: uniform(rng, 0.54, 0.64),
            power: uniform(rng, 1.9, 2.3),
            vector: {
                let length = 330.0 * (0.30 * (0.70 * size + 0.714 * normal(rng, 0.0, 1.0))).exp();
                direction(length, 0.5 * axis + normal(rng, 22.0, 14.0), normal(rng, -25.0, 14.0))
            },
        };
        let p = Lobe {
            on: -pr,
            off: p_seconds - pr,
            peak: uniform(rng, 0.44, 0.56),
            power: uniform(rng, 1.0, 1.2),
            vector: direction(110.0 * (0.27 * normal(rng, 0.0, 1.0)).exp(), normal(rng, 52.0, 14.0), normal(rng, -5.0, 14.0)),
        };
        let j = [0; 3].map(|_| normal(rng, 0.0, 22.0));
        let mut heart = Heart { rate, qrs_seconds, p, qrs, j, t, r_time: 0.0 };
        heart.r_time = heart.find_r();
        heart
    }

    /// When T ends: the QT interval.
    pub fn t_end(&self) -> f64 {
        self.t.off
    }

    /// When the magnitude over the eight leads is largest within QRS.
    pub fn r_time(&self) -> f64 {
        self.r_time
    }

    /// What the leads see of the atria at a time.
    pub fn atria(&self, time: f64) -> Frame {
        let mut dipole = [0.0; 3];
        add(&mut dipole, &self.p.vector, self.p.height(time));
        Leads::see(&dipole)
    }

    /// What the leads see of the ventricles at a time: QRS, ST segment and T.
    pub fn ventricles(&self, time: f64) -> Frame {
        if time <= 0.0 || time >= self.t_end() {
            return [0.0; 8];
        }
        let mut dipole = [0.0; 3];
        for lobe in self.qrs.iter().chain([&self.t]) {
            add(&mut dipole, &lobe.vector, lobe.height(time));
        }
        // The injury potential grows over the second half of QRS, holds through the ST segment and dies away under the T wave.
        let grown = smooth_step(2.0 * time / self.qrs_seconds - 1.0);
        let left = 1.0 - smooth_step((time - self.t.on) / (self.t.off - self.t.on));
        add(&mut dipole, &self.j, grown * left);
        Leads::see(&dipole)
    }

    /// The largest value of a lead between two times.
    pub fn largest(&self, lead: usize, from: f64, to: f64) -> f64 {
        self.values(lead, from, to).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The value of a lead that lies furthest from 0 between two times, with its sign.
    pub fn extremum(&self, lead: usize, from: f64, to: f64) -> f64 {
        self.values(lead, from, to).fold(0.0, |best, x| if x.abs() > best.abs() { x } else { best })
    }

    fn values(&self, lead: usize, from: f64, to: f64) -> impl Iterator<Item = f64> {
        const STEPS: usize = 500;
        (0..=STEPS).map(move |k| self.ventricles(from + (to - from) * k as f64 / STEPS as f64)[lead])
    }

    fn find_r(&self) -> f64 {
        const STEPS: usize = 500;
        let energy = |time: f64| -> f64 { self.ventricles(time).iter().map(|x| x * x).sum() };
        let times = (0..=STEPS).map(|k| self.qrs_seconds * k as f64 / STEPS as f64);
        times.fold((0.0, 0.0), |best: (f64, f64), time| if energy(time) > best.1 { (time, energy(time)) } else { best }).0
    }
}

/// Septal forces to the right and front, main forces along the axis, terminal forces upwards and back.
fn draw_qrs(rng: &mut ChaCha8Rng, size: f64, axis: f64, tilt: f64, seconds: f64) -> [Lobe; 3] {
    let septal = size * uniform(rng, 0.16, 0.32);
    let terminal = size * uniform(rng, 0.20, 0.42);
    let lobe =
        |from: f64, to: f64, peak: f64, power: f64, vector: Vector| Lobe { on: from * seconds, off: to * seconds, peak, power, vector };
    let (first, last) = (uniform(rng, 0.38, 0.48), uniform(rng, 0.48, 0.58));
    [
        lobe(
            0.0,
            first,
            uniform(rng, 0.45, 0.6),
            uniform(rng, 1.5, 1.8),
            direction(septal, normal(rng, 150.0, 25.0), normal(rng, -50.0, 12.0)),
        ),
        lobe(0.08, 0.84, uniform(rng, 0.47, 0.53), uniform(rng, 1.2, 1.7), direction(size, axis, tilt)),
        lobe(
            last,
            1.0,
            uniform(rng, 0.4, 0.5),
            uniform(rng, 1.5, 1.8),
            direction(terminal, normal(rng, -130.0, 30.0), normal(rng, 45.0, 12.0)),
        ),
    ]
}
