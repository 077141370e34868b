//! The division into training, validation and test ECGs: seeded 60 / 20 / 20, of single ECGs or of groups that stay together, or given.

use crate::random::{Stage, Stream};
use crate::{Error, Result};
use rand::seq::SliceRandom;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

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

    /// The same with groups (patients) that stay together: groups are shuffled and dealt out until a part has its share of the ECGs. `groups` names
    /// that of each ECG.
    pub fn grouped<G: AsRef<str>>(groups: &[G], seed: u64) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut members: HashMap<&str, Vec<usize>> = HashMap::new();
        for (ecg, group) in groups.iter().map(AsRef::as_ref).enumerate() {
            let own = members.entry(group).or_default();
            if own.is_empty() {
                names.push(group);
            }
            own.push(ecg);
        }
        let mut rng = Stream::new(seed, Stage::Split).rng();
        names.shuffle(&mut rng);
        let ecgs = groups.len() as u128;
        let (first, second) = ((ecgs * 3 / 5) as usize, (ecgs * 4 / 5) as usize);
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        let mut dealt = 0;
        for name in names {
            let own = &members[name];
            // A group goes where its middle lies.
            let middle = dealt + own.len() / 2;
            let part = usize::from(middle >= first) + usize::from(middle >= second);
            parts[part].extend(own);
            dealt += own.len();
        }
        // Any first ECGs of a part are a random sample, not the ECGs of a few patients.
        parts.iter_mut().for_each(|part| part.shuffle(&mut rng));
        let [train, validation, test] = parts;
        Split { train, validation, test }
    }

    /// A division that a table gives, one text an ECG: `train`, `validation` (`valid`, `val`, `dev`) and `test`, or whole numbers of folds, of which the
    /// largest is the test part, the next the validation part and the others the training part, as PTB-XL recommends of its ten. An ECG without
    /// a text is in no part. The seed decides the order within each.
    ///
    /// # Errors
    /// [`Error::Data`] for a text that is neither, and for fewer than three folds.
    pub fn given<T: AsRef<str>>(texts: &[T], seed: u64) -> Result<Self> {
        let texts: Vec<&str> = texts.iter().map(|text| text.as_ref().trim()).collect();
        let folds: Option<Vec<Option<i64>>> =
            texts.iter().map(|text| if text.is_empty() { Some(None) } else { fold(text).map(Some) }).collect();
        let word = |text: &&str| match text.to_ascii_lowercase().as_str() {
            "train" | "training" => Ok(Some(0)),
            "validation" | "valid" | "val" | "dev" => Ok(Some(1)),
            "test" | "testing" => Ok(Some(2)),
            "" => Ok(None),
            _ => {
                Err(Error::Data(format!("'{text}' in the column of the split is no part: train, validation and test, or numbers of folds")))
            }
        };
        let of: Vec<Option<usize>> = match folds {
            Some(folds) => {
                let all: BTreeSet<i64> = folds.iter().flatten().copied().collect();
                let mut largest = all.iter().rev();
                let (Some(test), Some(validation), true) = (largest.next(), largest.next(), all.len() > 2) else {
                    return Err(Error::Data(format!("{} folds in the column of the split: three parts need at least 3", all.len())));
                };
                let part = |fold: i64| if fold == *test { 2 } else { usize::from(fold == *validation) };
                folds.into_iter().map(|fold| fold.map(part)).collect()
            }
            None => texts.iter().map(word).collect::<Result<_>>()?,
        };
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.shuffle(&mut Stream::new(seed, Stage::Split).rng());
        let [train, validation, test] = [0, 1, 2].map(|part| order.iter().copied().filter(|ecg| of[*ecg] == Some(part)).collect());
        Ok(Split { train, validation, test })
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

/// The number of a fold; tables that have been through a spreadsheet write 3 as 3.0.
fn fold(text: &str) -> Option<i64> {
    text.parse::<f64>().ok().filter(|fold| fold.fract() == 0.0 && fold.abs() < 1e9).map(|fold| fold as i64)
}

/// How a dataset is divided. A column is one of its labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Single ECGs, shuffled.
    #[default]
    Ecg,
    /// The groups that a column names, shuffled.
    Group(Word),
    /// As a column gives it.
    Column(Word),
}

/// The name of a column, kept once for the whole process so that settings stay small and can be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(&'static str);

impl Word {
    /// The word of a text.
    ///
    /// # Errors
    /// [`Error::Usage`] for more than 1000 letters, or too many words in one run.
    pub fn new(text: &str) -> Result<Self> {
        static WORDS: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());
        let mut words = WORDS.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Ok(Word(word));
        }
        if text.len() > 1000 || words.len() > 1 << 12 {
            return Err(Error::Usage("the name of a column is too long, or there are too many".into()));
        }
        let word: &'static str = Box::leak(text.into());
        words.push(word);
        Ok(Word(word))
    }

    /// Its text.
    pub fn text(self) -> &'static str {
        self.0
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Word::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn groups_stay_together_and_no_ecg_is_lost(groups in prop::collection::vec(0u8..40, 0..300), seed: u64) {
            let names: Vec<String> = groups.iter().map(u8::to_string).collect();
            let split = Split::grouped(&names, seed);
            let mut all: Vec<usize> = Part::ALL.iter().flat_map(|&part| split.part(part).to_vec()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..groups.len()).collect::<Vec<_>>());
            let of = |part| split.part(part).iter().map(|ecg| groups[*ecg]).collect::<BTreeSet<u8>>();
            prop_assert!(of(Part::Train).is_disjoint(&of(Part::Test)) && of(Part::Train).is_disjoint(&of(Part::Validation)));
            prop_assert!(of(Part::Validation).is_disjoint(&of(Part::Test)));
            // A part misses its share by no more than a group.
            let largest = (0..40).map(|group| groups.iter().filter(|other| **other == group).count()).max().unwrap_or(0);
            prop_assert!(split.part(Part::Train).len().abs_diff(groups.len() * 3 / 5) <= largest);
        }
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
    fn folds_are_read_as_ptb_xl_recommends() {
        let folds: Vec<String> = (0..40).map(|ecg| format!("{}.0", 1 + ecg % 10)).collect();
        let split = Split::given(&folds, 1).unwrap();
        assert_eq!(split.part(Part::Test).len(), 4);
        assert!(split.part(Part::Test).iter().all(|ecg| ecg % 10 == 9) && split.part(Part::Validation).iter().all(|ecg| ecg % 10 == 8));
        assert_eq!(split.part(Part::Train).len(), 32);
        let words = Split::given(&["train", "", "Test", "val", "train"], 1).unwrap();
        assert_eq!((words.part(Part::Test), words.part(Part::Validation), words.part(Part::Train).len()), (&[2][..], &[3][..], 2));
        assert!(Split::given(&["1", "2"], 1).unwrap_err().to_string().contains("at least 3"));
        assert!(Split::given(&["train", "half"], 1).unwrap_err().to_string().contains("'half'"));
        assert_eq!(Word::new("fold").unwrap(), Word::new("fold").unwrap());
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
