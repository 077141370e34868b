//! The seeded 60 / 20 / 20 division into training, validation and test ECGs.

use crate::random::{Stage, Stream};
use crate::{Error, Result};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What weights are fitted to: 60 %.
    Train,
    /// What the learning rate and the best epoch are chosen by: 20 %.
    Validation,
    /// What results are reported on: the rest.
    Test,
}

impl Part {
    /// Every part.
    pub const ALL: [Part; 3] = [Part::Train, Part::Validation, Part::Test];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Part::ALL
            .into_iter()
            .find(|part| part.name() == text)
            .ok_or_else(|| Error::Usage(format!("unknown split '{text}': the splits are train validation test")))
    }
}

/// Which ECGs belong to which part. It depends on the number of ECGs and the seed alone, not on the target, so that
/// no test ECG of one target is a training ECG of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    train: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
}

impl Split {
    /// Shuffles `0..ecgs` with the stream of [`Stage::Split`] and cuts at 60 % and 80 % (rounded down).
    pub fn new(ecgs: usize, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..ecgs).collect();
        order.shuffle(&mut Stream::new(seed, Stage::Split).rng());
        // In integers: a rounding of 0.6 · N must not decide where an ECG goes.
        let (first, second) = ((ecgs as u128 * 3 / 5) as usize, (ecgs as u128 * 4 / 5) as usize);
        Split { train: order[..first].to_vec(), validation: order[first..second].to_vec(), test: order[second..].to_vec() }
    }

    /// The ECGs of a part, in shuffled order: any first n of them are a random sample.
    pub fn part(&self, part: Part) -> &[usize] {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_ecg_is_in_exactly_one_part(ecgs in 0usize..500, seed: u64) {
            let split = Split::new(ecgs, seed);
            let mut all: Vec<usize> = Part::ALL.iter().flat_map(|&part| split.part(part).to_vec()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..ecgs).collect::<Vec<_>>());
            prop_assert_eq!(split.part(Part::Train).len(), ecgs * 3 / 5);
            prop_assert_eq!(split.part(Part::Test).len(), ecgs - ecgs * 4 / 5);
            prop_assert_eq!(split, Split::new(ecgs, seed));
        }
    }

    #[test]
    fn the_seed_decides_and_the_order_is_shuffled() {
        assert_ne!(Split::new(100, 1), Split::new(100, 2));
        assert_ne!(Split::new(100, 1).part(Part::Train), (0..60).collect::<Vec<_>>());
        // Part of the definition of every result: a change of shuffle or stream changes all of them.
        assert_eq!(Split::new(10, 1).part(Part::Train), [0, 4, 6, 5, 8, 1]);
        assert_eq!("test".parse::<Part>().unwrap(), Part::Test);
        assert_eq!("half".parse::<Part>().unwrap_err().exit_code(), 2);
    }
}
