//! The scores of a study's perturbation results, on the ECGs that all methods share.

use super::results::PerturbationResults;
use crate::evaluation::scores;
pub use crate::evaluation::scores::{END, Scoring, area, curve};
use ndarray::{Array2, ArrayView2};

impl PerturbationResults {
    /// The rows that every method can be scored on: true value not zero, every prediction of every method finite.
    pub fn usable(&self) -> Vec<usize> {
        let methods: Vec<ArrayView2<'_, f32>> = self.methods.iter().map(|method| method.predictions.view()).collect();
        scores::usable(&self.truth, &methods)
    }

    /// Scores of one method, (usable ECGs, iterations + 1).
    pub fn scores(&self, method: usize, scoring: Scoring, rows: &[usize]) -> Array2<f64> {
        scores::scores(self.methods[method].predictions.view(), &self.truth, self.target_sd, scoring, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::MethodCurves;
    use super::*;
    use ndarray::array;

    #[test]
    fn a_true_value_of_zero_is_left_out() {
        let results = PerturbationResults {
            ecgs: vec![4, 5, 6],
            truth: vec![10.0, -5.0, 0.0],
            target_sd: 2.0,
            excluded: Vec::new(),
            methods: vec![MethodCurves { method: "saliency".into(), predictions: array![[11.0, 12.0], [-4.0, -10.0], [0.0, 1.0]] }],
        };
        let rows = results.usable();
        assert_eq!(rows, [0, 1]);
        assert_eq!(curve(&results.scores(0, Scoring::Physical, &rows), Scoring::Physical), [1.0, 3.5]);
    }
}
