//! Errors of predictions, beside those of always predicting the training mean.

use super::data::Examples;
use super::objective::{sigmoid, softmax};
use crate::dataset::{Part, Target, TargetKind};
use serde::{Deserialize, Serialize};

/// The errors of one network on one part, in the target's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// The part.
    pub part: Part,
    /// Examples.
    pub n: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// Root mean squared error.
    pub rmse: f64,
    /// Mean absolute error of predicting the training mean.
    pub mae_of_mean: f64,
    /// Root mean squared error of predicting the training mean.
    pub rmse_of_mean: f64,
}

impl Metrics {
    /// The errors of `predicted` against `values`; NaN where there is no example.
    ///
    /// # Panics
    /// If the two differ in length.
    pub fn new(part: Part, predicted: &[f64], values: &[f64], train_mean: f64) -> Self {
        assert_eq!(predicted.len(), values.len(), "one prediction a value");
        let n = values.len();
        let mean = |error: &dyn Fn(usize) -> f64| (0..n).map(error).sum::<f64>() / n as f64;
        Metrics {
            part,
            n,
            mae: mean(&|i| (predicted[i] - values[i]).abs()),
            rmse: mean(&|i| (predicted[i] - values[i]).powi(2)).sqrt(),
            mae_of_mean: mean(&|i| (train_mean - values[i]).abs()),
            rmse_of_mean: mean(&|i| (train_mean - values[i]).powi(2)).sqrt(),
        }
    }

    /// How many times smaller the mean absolute error is than that of predicting the training mean.
    pub fn gain(&self) -> f64 {
        self.mae_of_mean / self.mae
    }
}

/// What outputs say: of yes or no and of classes the probabilities, of a number itself, and of one class of several its logit, which alone says no more.
pub fn probabilities(kind: TargetKind, outputs: &[f64]) -> Vec<f64> {
    match kind {
        TargetKind::Binary | TargetKind::MultiLabel => outputs.iter().map(|logit| sigmoid(*logit)).collect(),
        TargetKind::MultiClass => softmax(&outputs.iter().map(|logit| *logit as f32).collect::<Vec<f32>>()).0,
        _ => outputs.to_vec(),
    }
}

/// For each column of a target the mean over the training examples that have it, and the errors of outputs (N, K) on a part, `None` where no example has
/// it. Of classes they are errors of probabilities: of yes against 0 or 1, of one of several against 1 where it is right.
pub fn column_metrics(target: Target, part: Part, outputs: &[f64], examples: &Examples, train: &Examples) -> Vec<(f64, Option<Metrics>)> {
    let (columns, width) = (target.columns(), target.width());
    let mut first = 0;
    let mut found = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let own = first..first + column.width();
        first = own.end;
        let known: Vec<f64> = train.column(at, columns.len()).filter(|value| !value.is_nan()).collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let rows = outputs.chunks(width).zip(examples.column(at, columns.len())).filter(|(_, value)| !value.is_nan());
        let pairs: Vec<(f64, f64, f64)> = rows
            .map(|(row, value)| match column.kind() {
                TargetKind::MultiClass => {
                    let share = known.iter().filter(|other| **other == value).count() as f64 / known.len() as f64;
                    (probabilities(column.kind(), &row[own.clone()])[value as usize], 1.0, share)
                }
                kind => (probabilities(kind, &row[own.clone()])[0], value, mean),
            })
            .collect();
        let predicted: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
        let values: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
        let metrics = match column.kind() {
            TargetKind::MultiClass => {
                let guess = |of: &dyn Fn(f64) -> f64| pairs.iter().map(|pair| of(pair.2 - pair.1)).sum::<f64>() / pairs.len() as f64;
                let all = Metrics::new(part, &predicted, &values, 0.0);
                Metrics { mae_of_mean: guess(&f64::abs), rmse_of_mean: guess(&|e| e * e).sqrt(), ..all }
            }
            _ => Metrics::new(part, &predicted, &values, mean),
        };
        found.push((mean, (!pairs.is_empty()).then_some(metrics)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_hand() {
        let metrics = Metrics::new(Part::Test, &[1.0, 5.0], &[2.0, 2.0], 3.0);
        assert_eq!((metrics.n, metrics.mae, metrics.rmse), (2, 2.0, 5.0f64.sqrt()));
        assert_eq!((metrics.mae_of_mean, metrics.rmse_of_mean, metrics.gain()), (1.0, 1.0, 0.5));
    }
}
