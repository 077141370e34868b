//! Atria that do not beat: fibrillation and flutter, as a dipole at any time.

use super::draws::{normal, uniform};
use super::wave::{Vector, add, direction};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;

/// Three waves of wandering frequency: Hz, phase, dipole.
#[derive(Clone, Copy, Debug)]
pub struct Fibrillation([(f64, f64, Vector); 3]);

impl Fibrillation {
    /// Waves of 4.5–8 Hz.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        Fibrillation(
            [(); 3].map(|()| {
                (uniform(rng, 4.5, 8.0), uniform(rng, 0.0, TAU), direction(normal(rng, 30.0, 8.0), normal(rng, 60.0, 60.0), -40.0))
            }),
        )
    }

    /// Each wave's dipole and its height at a time.
    pub fn at(&self, time: f64) -> impl Iterator<Item = (f64, &Vector)> {
        self.0.iter().map(move |(hertz, phase, vector)| {
            // A slowly wandering frequency, as fibrillation is never periodic.
            ((TAU * hertz * time + 2.0 * (TAU * 0.31 * time + phase).sin() + phase).sin(), vector)
        })
    }
}

/// Saw teeth: slow in one direction, quick in the other.
#[derive(Clone, Copy, Debug)]
pub struct Flutter {
    /// Waves a second.
    pub hertz: f64,
    /// The time at which one begins.
    pub start: f64,
    /// The dipole at the tip.
    pub vector: Vector,
}

impl Flutter {
    /// The dipole at a time.
    pub fn at(&self, time: f64) -> Vector {
        const RISE: f64 = 0.65;
        let phase = ((time - self.start) * self.hertz).rem_euclid(1.0);
        // Cosines instead of straight sides: a corner would be seen as a wave of its own.
        let height = if phase < RISE {
            -(std::f64::consts::PI * phase / RISE).cos()
        } else {
            (std::f64::consts::PI * (phase - RISE) / (1.0 - RISE)).cos()
        };
        let mut dipole = [0.0; 3];
        add(&mut dipole, &self.vector, 0.5 * height);
        dipole
    }
}
