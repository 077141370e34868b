//! How a network is trained: the settings, and the presets.

use super::augment::Augment;
use crate::dataset::{SplitBy, TargetKind};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// What happens to the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It is multiplied by `factor` when the validation loss has not fallen below (1 − threshold) × its best for more than `patience`
    /// epochs (PyTorch's `ReduceLROnPlateau`).
    Plateau {
        /// Factor on the learning rate.
        factor: f64,
        /// Epochs without improvement that are borne.
        patience: usize,
        /// Relative improvement that counts.
        threshold: f64,
    },
    /// It rises from 1/25 of itself to itself over the first 30 % of all steps and falls to 1/250 000 over the rest, along cosines, while
    /// Adam's β₁ falls from 0.95 to 0.85 and rises again (Smith & Topin 2019; PyTorch's `OneCycleLR`).
    OneCycle,
}

impl Display for Schedule {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Schedule::Constant => f.write_str("constant"),
            Schedule::Plateau { factor, patience, threshold } => {
                write!(f, "× {factor} after more than {patience} epochs without an improvement of {threshold} (relative)")
            }
            Schedule::OneCycle => f.write_str("one cycle"),
        }
    }
}

impl Schedule {
    /// The study's: the rate is halved after more than 10 epochs without an improvement.
    pub const STUDY: Schedule = Schedule::Plateau { factor: 0.5, patience: 10, threshold: 1e-4 };

    /// The name by which it is asked for; a plateau's numbers are those of [`Schedule::STUDY`].
    pub fn name(self) -> &'static str {
        match self {
            Schedule::Constant => "constant",
            Schedule::Plateau { .. } => "plateau",
            Schedule::OneCycle => "one_cycle",
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = [Schedule::Constant, Schedule::STUDY, Schedule::OneCycle];
        let named = known.into_iter().find(|schedule| schedule.name() == text);
        named.ok_or_else(|| Error::Usage(format!("unknown schedule '{text}': constant, plateau or one_cycle")))
    }
}

/// How a network is trained with Adam, numbers on the mean squared error and classes on cross entropy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSettings {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples in a batch.
    pub batch: usize,
    /// Adam's learning rate; with [`Schedule::OneCycle`], the largest.
    pub learning_rate: f64,
    /// What happens to it.
    pub schedule: Schedule,
    /// Whether each lead is divided by its root mean square, and the target brought to mean 0 and standard deviation 1, while training. The
    /// scaling is folded into the first and last layer afterwards: a trained model maps µV to the target's unit either way.
    pub standardise: bool,
    /// The master seed.
    pub seed: u64,
    /// What goes beyond the study's trainings. Files keep it apart, so that those of a training without it are as they were before there was any.
    #[serde(skip)]
    pub further: Further,
}

/// Settings that the study's trainings do without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Further {
    /// How ECGs are divided into parts.
    pub split: SplitBy,
    /// How classes weigh in the loss.
    pub class_weights: ClassWeights,
    /// Ends the training when the validation loss has not been the lowest for so many epochs.
    pub patience: Option<usize>,
    /// What is done to training ECGs on their way in.
    pub augment: Augment,
    /// SHA-256 of the model that training began from.
    pub from: Option<[u8; 32]>,
    /// Whether the mean error over the training part is taken out of the last layer's bias afterwards. Files keep it apart, as what was added
    /// ([`Provenance::calibration`](super::Provenance)).
    #[serde(skip)]
    pub calibrate: bool,
}

impl Display for Further {
    /// What differs from the study's, a few words each; nothing where nothing does.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let mut all = Vec::new();
        match self.split {
            SplitBy::Ecg => {}
            SplitBy::Group(word) => all.push(format!("ECGs of one {} in one part", word.text())),
            SplitBy::Column(word) => all.push(format!("parts by {}", word.text())),
        }
        match self.class_weights {
            ClassWeights::Equal => {}
            ClassWeights::Balanced => all.push("balanced classes".into()),
            ClassWeights::Yes(weight) => all.push(format!("yes weighs {weight}")),
        }
        all.extend(self.patience.map(|patience| format!("ends {patience} epochs after the best")));
        if self.augment.any() {
            all.push(format!("augmented by {}", self.augment));
        }
        all.extend(self.from.map(|digest| {
            let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            format!("begun from the model {hex}…")
        }));
        if self.calibrate {
            all.push("calibrated on the training part".into());
        }
        f.write_str(&all.join(", "))
    }
}

/// How the classes of a target weigh in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All the same.
    #[default]
    Equal,
    /// Each n / (classes · n of the class) over the training examples, so that every class weighs the same in all.
    Balanced,
    /// Yes weighs so many times as much as no.
    Yes(f64),
}

impl FromStr for ClassWeights {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match (text, text.parse::<f64>()) {
            ("equal", _) => Ok(ClassWeights::Equal),
            ("balanced", _) => Ok(ClassWeights::Balanced),
            (_, Ok(weight)) if weight > 0.0 && weight.is_finite() => Ok(ClassWeights::Yes(weight)),
            _ => Err(Error::Usage(format!("unknown class weights '{text}': equal, balanced, or how many times yes weighs as much as no"))),
        }
    }
}

/// What is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The mean squared error.
    Mse,
    /// Binary cross entropy of logits.
    Bce,
    /// Cross entropy of the softmax of logits.
    CrossEntropy,
}

impl Loss {
    /// The kind of target that it is for.
    pub fn kind(self) -> TargetKind {
        match self {
            Loss::Mse => TargetKind::Regression,
            Loss::Bce => TargetKind::Binary,
            Loss::CrossEntropy => TargetKind::MultiClass,
        }
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "mse" => Ok(Loss::Mse),
            "bce" => Ok(Loss::Bce),
            "cross_entropy" => Ok(Loss::CrossEntropy),
            _ => Err(Error::Usage(format!("unknown loss '{text}': the losses are mse, bce and cross_entropy"))),
        }
    }
}

impl TrainSettings {
    /// The study's: raw µV in, raw ms or µV out, 100 epochs of batches of 32, learning rate 0.008, halved on a plateau of 10 epochs.
    pub fn paper() -> Self {
        TrainSettings {
            epochs: 100,
            batch: 32,
            learning_rate: 0.008,
            schedule: Schedule::STUDY,
            standardise: false,
            seed: 0,
            further: Further::default(),
        }
    }

    /// As the study trains, on raw values, but in a tenth of the epochs by one cycle of the learning rate: on 24 000 Pulse2pulse ECGs that gives a test
    /// MAE of 3.7 ms for the PR interval (published: 4.8 ms on 150 000 ECGs in 100 epochs). Raw values, since with a standardised target a network's last
    /// features may have negative weights, which (Guided) Grad-CAM does not see.
    pub fn full() -> Self {
        TrainSettings { epochs: 10, schedule: Schedule::OneCycle, ..TrainSettings::paper() }
    }

    /// A useful network in few steps: standardised, one cycle. On a few thousand simulated ECGs it is meant to bring each of the six
    /// targets at least three times nearer than predicting the mean does.
    pub fn quick() -> Self {
        TrainSettings {
            epochs: 5,
            batch: 32,
            learning_rate: 0.008,
            schedule: Schedule::OneCycle,
            standardise: true,
            seed: 0,
            further: Further::default(),
        }
    }

    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Usage(what));
        if self.epochs == 0 || self.batch == 0 {
            return wrong(format!("{} epochs of batches of {}: both must be at least 1", self.epochs, self.batch));
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return wrong(format!("a learning rate of {}: it must be above 0", self.learning_rate));
        }
        if self.further.patience == Some(0) {
            return wrong("a patience of 0 epochs: it must be at least 1".into());
        }
        match self.schedule {
            Schedule::Plateau { factor, threshold, .. } if !(factor > 0.0 && factor < 1.0 && (0.0..1.0).contains(&threshold)) => {
                wrong(format!("a plateau factor of {factor} and threshold of {threshold}: both must lie between 0 and 1"))
            }
            _ => Ok(()),
        }
    }
}

/// A named set of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// [`TrainSettings::quick`].
    Quick,
    /// [`TrainSettings::paper`].
    Paper,
    /// [`TrainSettings::full`].
    Full,
}

impl Preset {
    /// The settings.
    pub fn settings(self) -> TrainSettings {
        match self {
            Preset::Quick => TrainSettings::quick(),
            Preset::Paper => TrainSettings::paper(),
            Preset::Full => TrainSettings::full(),
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Quick => "quick",
            Preset::Full => "full",
            Preset::Paper => "paper",
        }
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "quick" => Ok(Preset::Quick),
            "full" => Ok(Preset::Full),
            "paper" => Ok(Preset::Paper),
            _ => Err(Error::Usage(format!("unknown preset '{text}': the presets are quick, full and paper"))),
        }
    }
}
