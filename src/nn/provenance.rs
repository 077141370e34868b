//! How a trained model came to be.

use super::metrics::Metrics;
use super::near::Near;
use super::settings::TrainSettings;
use crate::dataset::{Part, Target};
use serde::{Deserialize, Serialize};

/// What one epoch brought, in the target's unit; of classes and of several outputs the losses, which have none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Root mean squared error over the epoch's training batches, as they came (batch statistics, weights changing).
    pub train_rmse: f64,
    /// Root mean squared error on the validation part after the epoch.
    pub validation_rmse: f64,
    /// The learning rate of its last step.
    pub learning_rate: f64,
}

/// Which weights of a training a model holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// Those after the epoch with the lowest validation error.
    Best,
    /// Those after the last epoch.
    Last,
}

/// How a trained model came to be: enough to train it again, bit for bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The program, e.g. `cardiograd 0.1.0`.
    pub version: String,
    /// The settings, seed included.
    pub settings: TrainSettings,
    /// The dataset's digest, as whoever trained gave it; may be empty.
    pub dataset: String,
    /// Mean of the target over the training examples, in its unit.
    pub train_mean: f64,
    /// Every epoch.
    pub epochs: Vec<Epoch>,
    /// The epoch with the lowest validation error, from 0.
    pub best_epoch: usize,
    /// Which weights these are.
    pub weights: Weights,
    /// Errors on each part that has examples; of classes those of their probabilities. Empty for several outputs.
    pub metrics: Vec<Metrics>,
    /// The same of each of several outputs; empty for one. Kept apart in files.
    #[serde(skip)]
    pub outputs: Vec<OutputMetrics>,
    /// Errors on the test part by the measured value; empty where it has too few examples, and for classes and several outputs. Kept apart in files.
    #[serde(skip)]
    pub near: Vec<Near>,
    /// What was added to the bias of each output after the training, in its unit, so that its mean error over the training part is 0 (0 for classes);
    /// empty if that was not asked for ([`Further::calibrate`](super::Further)). Kept apart in files.
    #[serde(skip)]
    pub calibration: Vec<f64>,
}

/// What one of several outputs is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputMetrics {
    /// What it predicts.
    pub target: Target,
    /// Mean of that over the training examples that have it.
    pub train_mean: f64,
    /// Errors on each part that has examples.
    pub metrics: Vec<Metrics>,
}

impl OutputMetrics {
    /// An output of which nothing is known yet but its mean.
    pub(super) fn new(target: Target, train_mean: f64) -> Self {
        OutputMetrics { target, train_mean, metrics: Vec::new() }
    }
}

impl Provenance {
    /// What calibration added, in words; nothing where there was none. `target` is the model's.
    pub fn calibration_in_words(&self, target: Target) -> Option<String> {
        let mut at = 0;
        let columns = target.columns().into_iter().filter_map(|column| {
            let added = self.calibration.get(at).copied();
            at += column.width();
            added.filter(|_| column.is_regression()).map(|added| match self.calibration.len() {
                1 => format!("{added:+.3} {}", column.unit()),
                _ => format!("{added:+.3} {} to {column}", column.unit()),
            })
        });
        let added: Vec<String> = columns.collect();
        (!added.is_empty())
            .then(|| format!("{} added after the training, so that the mean error over the training part is 0", added.join(", ")))
    }

    /// The errors on a part.
    pub fn metrics(&self, part: Part) -> Option<&Metrics> {
        self.metrics.iter().find(|metrics| metrics.part == part)
    }
}
