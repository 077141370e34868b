//! From perturbed predictions to curves and areas: the study's formula, and the ones that its traps call for.

use super::results::PerturbationResults;
use crate::evaluation::bootstrap::quantile;
use ndarray::{Array2, ArrayView1, Axis};

/// What is plotted against the number of perturbed points, and summed to an area. y is the true value, ŷ the prediction at an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// |y − ŷ| / y, mean over ECGs: the study's formula, negative for negative y.
    Paper,
    /// |y − ŷ| / |y|, mean over ECGs.
    AbsolutePercentage,
    /// |y − ŷ| / |y|, median over ECGs.
    MedianPercentage,
    /// |y − ŷ| in the target's unit, mean over ECGs.
    Physical,
    /// |y − ŷ| / SD(y), mean over ECGs.
    PerSd,
    /// |f(x′) − f(x)| in the target's unit, mean over ECGs: what the perturbation moved, whatever the truth.
    Change,
}

impl Scoring {
    /// Every scoring, the study's first.
    pub const ALL: [Scoring; 6] =
        [Scoring::Paper, Scoring::AbsolutePercentage, Scoring::MedianPercentage, Scoring::Physical, Scoring::PerSd, Scoring::Change];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Scoring::Paper => "paper",
            Scoring::AbsolutePercentage => "absolute_percentage",
            Scoring::MedianPercentage => "median_percentage",
            Scoring::Physical => "physical",
            Scoring::PerSd => "per_sd",
            Scoring::Change => "change",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Scoring::Paper => "mean |y − ŷ| / y, as published",
            Scoring::AbsolutePercentage => "mean |y − ŷ| / |y|",
            Scoring::MedianPercentage => "median |y − ŷ| / |y|",
            Scoring::Physical => "mean |y − ŷ| in ms or µV",
            Scoring::PerSd => "mean |y − ŷ| / SD(y)",
            Scoring::Change => "mean |f(x′) − f(x)| in ms or µV",
        }
    }

    fn value(self, truth: f64, first: f64, now: f64, sd: f64) -> f64 {
        match self {
            Scoring::Paper => (truth - now).abs() / truth,
            Scoring::AbsolutePercentage | Scoring::MedianPercentage => (truth - now).abs() / truth.abs(),
            Scoring::Physical => (truth - now).abs(),
            Scoring::PerSd => (truth - now).abs() / sd,
            Scoring::Change => (now - first).abs(),
        }
    }
}

impl PerturbationResults {
    /// The rows that every method can be scored on: true value not zero, every prediction of every method finite.
    pub fn usable(&self) -> Vec<usize> {
        let fine = |row: &usize| {
            self.truth[*row] != 0.0
                && self.truth[*row].is_finite()
                && self.methods.iter().all(|method| method.predictions.row(*row).iter().all(|p| p.is_finite()))
        };
        (0..self.truth.len()).filter(fine).collect()
    }

    /// Scores of one method, (usable ECGs, iterations + 1).
    pub fn scores(&self, method: usize, scoring: Scoring, rows: &[usize]) -> Array2<f64> {
        let predictions = &self.methods[method].predictions;
        Array2::from_shape_fn((rows.len(), predictions.ncols()), |(i, iteration)| {
            let row = rows[i];
            let now = f64::from(predictions[[row, iteration]]);
            scoring.value(self.truth[row], f64::from(predictions[[row, 0]]), now, self.target_sd)
        })
    }
}

/// The curve over ECGs: their mean, or their median for [`Scoring::MedianPercentage`]. Empty when there are no ECGs.
pub fn curve(scores: &Array2<f64>, scoring: Scoring) -> Vec<f64> {
    if scores.nrows() == 0 {
        return Vec::new();
    }
    if scoring != Scoring::MedianPercentage {
        return scores.mean_axis(Axis(0)).map(|mean| mean.to_vec()).unwrap_or_default();
    }
    let median = |column: ArrayView1<'_, f64>| {
        let mut sorted = column.to_vec();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, 0.5).unwrap_or(f64::NAN)
    };
    scores.columns().into_iter().map(median).collect()
}

/// Trapezoid area under a curve from iteration 0 to `end`, or to its own end.
pub fn area<'a>(curve: impl IntoIterator<Item = &'a f64>, end: usize) -> f64 {
    let values: Vec<f64> = curve.into_iter().copied().take(end + 1).collect();
    values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum()
}

/// The last iteration of the study's area.
pub const END: usize = 15;

#[cfg(test)]
mod tests {
    use super::super::results::MethodCurves;
    use super::*;
    use ndarray::array;

    #[test]
    fn scores_by_hand() {
        let results = PerturbationResults {
            ecgs: vec![4, 5, 6],
            truth: vec![10.0, -5.0, 0.0],
            target_sd: 2.0,
            excluded: Vec::new(),
            methods: vec![MethodCurves { method: "saliency".into(), predictions: array![[11.0, 12.0], [-4.0, -10.0], [0.0, 1.0]] }],
        };
        let rows = results.usable();
        assert_eq!(rows, [0, 1]);
        let curve_of = |scoring| curve(&results.scores(0, scoring, &rows), scoring);
        let near = |a: Vec<f64>, b: [f64; 2]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
        near(curve_of(Scoring::Paper), [(0.1 - 0.2) / 2.0, (0.2 - 1.0) / 2.0]);
        near(curve_of(Scoring::AbsolutePercentage), [0.15, 0.6]);
        near(curve_of(Scoring::MedianPercentage), [0.15, 0.6]);
        near(curve_of(Scoring::Physical), [1.0, 3.5]);
        near(curve_of(Scoring::PerSd), [0.5, 1.75]);
        near(curve_of(Scoring::Change), [0.0, 3.5]);
    }

    #[test]
    fn areas() {
        assert_eq!(area(&[0.0, 1.0, 2.0, 3.0], 2), 2.0);
        assert_eq!(area(&[1.0; 201], 15), 15.0);
        assert_eq!(area(&[1.0; 4], 15), 3.0);
    }
}
