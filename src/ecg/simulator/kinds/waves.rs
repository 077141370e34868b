//! The waves of one beat of any shape: lobes and levels, as many as it takes, times in seconds relative to the beginning of QRS.

use crate::ecg::simulator::heart::Heart;
use crate::ecg::simulator::wave::{Lobe, Vector, add, smooth_step};

/// A potential that rises, holds and falls, each with flat ends.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    pub rise: [f64; 2],
    pub fall: [f64; 2],
    pub vector: Vector,
}

impl Level {
    fn height(&self, time: f64) -> f64 {
        let along = |[from, to]: [f64; 2]| smooth_step((time - from) / (to - from));
        along(self.rise) * (1.0 - along(self.fall))
    }
}

/// One part of a wave.
#[derive(Clone, Copy, Debug)]
pub enum Wave {
    Lobe(Lobe),
    Level(Level),
}

impl Wave {
    fn add_to(&self, dipole: &mut Vector, time: f64) {
        match self {
            Wave::Lobe(lobe) => add(dipole, &lobe.vector, lobe.height(time)),
            Wave::Level(level) => add(dipole, &level.vector, level.height(time)),
        }
    }

    /// Start and end of the support.
    pub fn support(&self) -> (f64, f64) {
        match self {
            Wave::Lobe(lobe) => (lobe.on, lobe.off),
            Wave::Level(level) => (level.rise[0], level.fall[1]),
        }
    }

    fn scale(&mut self, factor: f64) {
        let vector = match self {
            Wave::Lobe(lobe) => &mut lobe.vector,
            Wave::Level(level) => &mut level.vector,
        };
        vector.iter_mut().for_each(|x| *x *= factor);
    }
}

/// The dipole of a list of waves.
pub fn dipole<'a>(waves: impl IntoIterator<Item = &'a Wave>, time: f64) -> Vector {
    let mut sum = [0.0; 3];
    waves.into_iter().for_each(|wave| wave.add_to(&mut sum, time));
    sum
}

/// From the earliest beginning to the latest end of a list of waves; `None` for none.
pub fn span<'a>(waves: impl IntoIterator<Item = &'a Wave>) -> Option<(f64, f64)> {
    waves.into_iter().map(Wave::support).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// One beat. `p` may be empty.
#[derive(Clone, Debug, Default)]
pub struct Waves {
    pub p: Vec<Wave>,
    pub qrs: Vec<Wave>,
    /// ST and T: what QT ends with.
    pub t: Vec<Wave>,
    /// Behind T, no part of QT.
    pub u: Vec<Wave>,
}

impl Waves {
    /// The beat of a heart of the default population.
    pub fn of(heart: &Heart) -> Self {
        let st = Level { rise: [0.5 * heart.qrs_seconds, heart.qrs_seconds], fall: [heart.t.on, heart.t.off], vector: heart.j };
        Waves {
            p: vec![Wave::Lobe(heart.p)],
            qrs: heart.qrs.map(Wave::Lobe).into(),
            t: vec![Wave::Level(st), Wave::Lobe(heart.t)],
            u: Vec::new(),
        }
    }

    /// QRS, ST, T and U.
    pub fn ventricles(&self) -> impl Iterator<Item = &Wave> {
        self.qrs.iter().chain(&self.t).chain(&self.u)
    }

    /// Everything `factor` times as large.
    pub fn scale(&mut self, factor: f64) {
        for wave in self.p.iter_mut().chain(&mut self.qrs).chain(&mut self.t).chain(&mut self.u) {
            wave.scale(factor);
        }
    }
}
