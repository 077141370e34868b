//! Curves and areas over resamples of ECGs: means as one product of matrices, medians by counting.

use crate::evaluation::bootstrap::{Estimate, quantile, resample};
use crate::evaluation::scores::{END, Scoring, area, curve};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use std::collections::BTreeMap;

/// Resamples under a seed, drawn once for each number of ECGs.
pub(super) struct Resampled {
    seed: u64,
    count: usize,
    drawn: BTreeMap<usize, Drawn>,
}

/// How often each ECG is among those of each resample, (resamples, n), and that over n: a mean is then a product.
struct Drawn {
    counts: Array2<u32>,
    weights: Array2<f64>,
}

impl Drawn {
    fn new(n: usize, count: usize, seed: u64) -> Self {
        let mut counts = Array2::zeros((count, n));
        for (number, mut row) in counts.rows_mut().into_iter().enumerate() {
            resample(n, seed, number).into_iter().for_each(|unit| row[unit] += 1);
        }
        let weights = weights(counts.view());
        Drawn { counts, weights }
    }
}

/// Counts over n, each added up from as many shares: as sums over ECGs have always been made here.
fn weights(counts: ArrayView2<'_, u32>) -> Array2<f64> {
    let share = 1.0 / counts.ncols() as f64;
    counts.mapv(|count| (0..count).fold(0.0, |sum, _| sum + share))
}

/// The median of values of which each is there `counts` times, `order` being their order: the mean of the two in the middle.
fn median(values: ArrayView1<'_, f64>, order: &[usize], counts: ArrayView1<'_, u32>) -> f64 {
    let places = [(order.len() - 1) / 2, order.len() / 2];
    let mut middle = [f64::NAN; 2];
    for (found, place) in middle.iter_mut().zip(places) {
        let mut seen = 0;
        for unit in order {
            seen += counts[*unit] as usize;
            if seen > place {
                *found = values[*unit];
                break;
            }
        }
    }
    middle[0] + 0.5 * (middle[1] - middle[0])
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
        let mut centres = Array2::zeros((drawn.counts.nrows(), scores.ncols()));
        for (values, mut column) in scores.columns().into_iter().zip(centres.columns_mut()) {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
            column.iter_mut().zip(drawn.counts.rows()).for_each(|(centre, counts)| *centre = median(values, &order, counts));
        }
        centres
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
