//! What is done to training ECGs so that a network does not rely on accidents of a recording. Each ECG and epoch has draws of its own, whatever
//! the batch or the thread.

use crate::random::{Stage, Stream, standard_normal};
use crate::{Error, Result};
use cardiograd_kernels::elementary;
use ndarray::ArrayViewMut2;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::str::FromStr;

/// The largest standard deviation of white noise, µV.
const NOISE: f64 = 20.0;
/// The largest amplitude of a wandering baseline, µV, and its frequencies, cycles a sample: 0.1 to 0.5 Hz of ECGs at 500 Hz.
const WANDER: f64 = 100.0;
const SLOW: [f64; 2] = [0.1 / 500.0, 0.5 / 500.0];
/// The share of ECGs that lose leads, and how many they lose at most.
const DROPPED: f64 = 0.5;
const MOST_DROPPED: usize = 3;
/// The largest shift as a share of the ECG.
const SHIFT: f64 = 0.03;

/// Which of them are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// White noise in every lead, of a standard deviation between 0 and 20 µV.
    pub noise: bool,
    /// A sine of 0.1 to 0.5 Hz in every lead, of up to 100 µV.
    pub wander: bool,
    /// In half of the ECGs one to three leads are flat.
    pub lead_dropout: bool,
    /// All leads are moved in time by up to 3 %, the ends continued by their last sample.
    pub shift: bool,
}

impl FromStr for Augment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut all = Augment::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "noise" => all.noise = true,
                "wander" => all.wander = true,
                "lead_dropout" => all.lead_dropout = true,
                "shift" => all.shift = true,
                _ => return Err(Error::Usage(format!("unknown augmentation '{name}': noise, wander, lead_dropout, shift"))),
            }
        }
        Ok(all)
    }
}

impl std::fmt::Display for Augment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [(self.noise, "noise"), (self.wander, "wander"), (self.lead_dropout, "lead_dropout"), (self.shift, "shift")];
        f.write_str(&all.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect::<Vec<_>>().join(","))
    }
}

impl Augment {
    /// Whether anything is done.
    pub(super) fn any(self) -> bool {
        self != Augment::default()
    }

    /// Changes one ECG, (C, L) µV, as it is seen in one epoch.
    pub(super) fn change(self, mut ecg: ArrayViewMut2<'_, f32>, seed: u64, target: u32, index: usize, epoch: usize) {
        let mut rng = Stream::new(seed, Stage::Augmentation).target(target).ecg(index as u64).repeat(epoch as u32).rng();
        let (leads, samples) = ecg.dim();
        // Every draw is made whatever is asked for, so that one augmentation does not change another's.
        let sd = NOISE * rng.random::<f64>();
        let dropped: Vec<usize> = {
            let count = if rng.random::<f64>() < DROPPED { rng.random_range(1..=MOST_DROPPED as u32) as usize } else { 0 };
            (0..count).map(|_| rng.random_range(0..leads.max(1) as u64) as usize).collect()
        };
        let by = ((2.0 * rng.random::<f64>() - 1.0) * SHIFT * samples as f64).round() as isize;
        let slow: Vec<[f64; 3]> = (0..leads)
            .map(|_| [WANDER * rng.random::<f64>(), SLOW[0] + (SLOW[1] - SLOW[0]) * rng.random::<f64>(), TAU * rng.random::<f64>()])
            .collect();
        if self.shift && samples > 0 {
            for mut lead in ecg.outer_iter_mut() {
                let old = lead.to_vec();
                for (at, value) in lead.iter_mut().enumerate() {
                    *value = old[(at as isize - by).clamp(0, samples as isize - 1) as usize];
                }
            }
        }
        if self.wander {
            for (mut lead, [size, frequency, phase]) in ecg.outer_iter_mut().zip(slow) {
                lead.iter_mut()
                    .enumerate()
                    .for_each(|(at, value)| *value += (size * elementary::sin(TAU * frequency * at as f64 + phase)) as f32);
            }
        }
        if self.noise {
            ecg.iter_mut().for_each(|value| *value += (sd * standard_normal(&mut rng)) as f32);
        }
        if self.lead_dropout {
            dropped.into_iter().filter(|lead| *lead < leads).for_each(|lead| ecg.row_mut(lead).fill(0.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn each_does_what_it_says_and_draws_do_not_depend_on_the_others() {
        let ecg = Array2::from_shape_fn((12, 600), |(lead, at)| (lead * 1000 + at) as f32);
        let changed = |augment: Augment, index, epoch| {
            let mut x = ecg.clone();
            augment.change(x.view_mut(), 1, 7, index, epoch);
            x
        };
        let only = |text: &str| text.parse::<Augment>().unwrap();
        assert_eq!(changed(Augment::default(), 0, 0), ecg);
        let all = only("noise,wander,lead_dropout,shift");
        assert_eq!(changed(all, 3, 2), changed(all, 3, 2));
        assert!(changed(all, 3, 2) != changed(all, 4, 2) && changed(all, 3, 2) != changed(all, 3, 3));
        let flat = |x: &Array2<f32>| x.outer_iter().filter(|lead| lead.iter().all(|v| *v == 0.0)).count();
        let dropped: Vec<usize> = (0..40).map(|index| flat(&changed(only("lead_dropout"), index, 0))).collect();
        assert!(dropped.iter().all(|count| *count <= 3) && dropped.contains(&0) && dropped.iter().any(|count| *count > 1), "{dropped:?}");
        let shifted = changed(only("shift"), 1, 0);
        let by = shifted[[3, 300]] - ecg[[3, 300]];
        assert!(by != 0.0 && by.abs() <= 18.0 && shifted.row(5)[200] - ecg.row(5)[200] == by);
        let noisy = &changed(only("noise"), 1, 0) - &ecg;
        let sd = noisy.std(0.0);
        assert!(sd > 0.0 && sd < 21.0 && noisy.mean().unwrap().abs() < 1.0, "{sd}");
        assert!((&changed(only("wander"), 1, 0) - &ecg).iter().all(|v| v.abs() <= 101.0));
        assert!("nose".parse::<Augment>().is_err());
    }
}
