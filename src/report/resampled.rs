//! Curves and areas over resamples of ECGs: means as one product of matrices, medians resample by resample.

use crate::evaluation::bootstrap::{Estimate, quantile, resample};
use crate::evaluation::scores::{END, Scoring, area, curve};
use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Resamples under a seed, drawn once for each number of ECGs.
pub(super) struct Resampled {
    seed: u64,
    count: usize,
    drawn: BTreeMap<usize, Drawn>,
}

/// The ECGs of each resample, and how often each is among them over their number, (resamples, n): a mean is then a product.
struct Drawn {
    units: Vec<Vec<usize>>,
    weights: Array2<f64>,
}

impl Drawn {
    fn new(n: usize, count: usize, seed: u64) -> Self {
        let units: Vec<Vec<usize>> = (0..count).map(|number| resample(n, seed, number)).collect();
        let mut weights = Array2::zeros((count, n));
        for (units, mut row) in units.iter().zip(weights.rows_mut()) {
            units.iter().for_each(|unit| row[*unit] += 1.0 / n as f64);
        }
        Drawn { units, weights }
    }
}

impl Resampled {
    /// `count` resamples under a seed.
    pub fn new(seed: u64, count: usize) -> Self {
        Resampled { seed, count, drawn: BTreeMap::new() }
    }

    fn of(&mut self, n: usize) -> &Drawn {
        let (seed, count) = (self.seed, self.count);
        self.drawn.entry(n).or_insert_with(|| Drawn::new(n, count, seed))
    }

    /// The curve on each resample, (resamples, iterations), of scores (n, iterations).
    pub fn centres(&mut self, scores: &Array2<f64>, scoring: Scoring) -> Array2<f64> {
        let drawn = self.of(scores.nrows());
        if scoring != Scoring::MedianPercentage {
            return drawn.weights.dot(scores);
        }
        let median = |(units, iteration): (&Vec<usize>, usize)| {
            let mut values: Vec<f64> = units.iter().map(|unit| scores[[*unit, iteration]]).collect();
            values.sort_unstable_by(f64::total_cmp);
            quantile(&values, 0.5).unwrap_or(f64::NAN)
        };
        let row = |units: &Vec<usize>| (0..scores.ncols()).map(|iteration| median((units, iteration))).collect::<Vec<f64>>();
        let values: Vec<f64> = drawn.units.par_iter().flat_map_iter(row).collect();
        let shape = (drawn.units.len(), scores.ncols());
        Array2::from_shape_fn(shape, |(number, iteration)| values[number * shape.1 + iteration])
    }

    /// The area to iteration 15 on each resample.
    pub fn areas(&mut self, scores: &Array2<f64>, scoring: Scoring) -> Vec<f64> {
        if scoring == Scoring::MedianPercentage {
            let early = scores.slice_axis(Axis(1), (..scores.ncols().min(END + 1)).into()).to_owned();
            return self.centres(&early, scoring).rows().into_iter().map(|curve| area(curve, END)).collect();
        }
        // The area of a mean is the mean of areas.
        let singles: Array1<f64> = scores.rows().into_iter().map(|row| area(row, END)).collect();
        self.of(scores.nrows()).weights.dot(&singles).to_vec()
    }

    /// The area on all ECGs with its interval; NaN where there is none.
    pub fn area(&mut self, scores: &Array2<f64>, scoring: Scoring) -> Estimate {
        let value = area(&curve(scores, scoring), END);
        let mut areas = if scores.nrows() == 0 { Vec::new() } else { self.areas(scores, scoring) };
        areas.sort_by(f64::total_cmp);
        let end = |share: f64| quantile(&areas, share).unwrap_or(f64::NAN);
        Estimate { value, low: end(0.025), high: end(0.975), ecgs: scores.nrows() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_those_of_the_resampled_curves() {
        let scores = Array2::from_shape_fn((9, 20), |(ecg, iteration)| ((ecg * 7 + 3 * iteration) % 11) as f64 + 0.1 * ecg as f64);
        for scoring in [Scoring::AbsolutePercentage, Scoring::MedianPercentage] {
            let mut resampled = Resampled::new(4, 12);
            for (number, found) in resampled.areas(&scores, scoring).into_iter().enumerate() {
                let drawn = scores.select(Axis(0), &resample(9, 4, number));
                assert!((found - area(&curve(&drawn, scoring), END)).abs() < 1e-9);
            }
            let whole = resampled.area(&scores, scoring);
            assert!(whole.low <= whole.value && whole.value <= whole.high && whole.ecgs == 9, "{whole:?}");
        }
        assert!(Resampled::new(4, 12).area(&Array2::zeros((0, 20)), Scoring::Paper).value.is_nan());
    }
}
