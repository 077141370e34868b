//! Errors of predictions, beside those of always predicting the training mean.

use crate::dataset::Part;
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
