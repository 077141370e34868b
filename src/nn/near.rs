//! How a network errs near a value: its errors on the test examples by what was measured there. A network that is right on average may be wrong where an ECG is
//! unlike most.

use serde::{Deserialize, Serialize};

/// The errors on the examples whose values lie between two bounds, in the target's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Near {
    /// The least value.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Examples.
    pub n: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// Mean of predicted less measured.
    pub bias: f64,
}

/// The most groups of values.
const MOST: usize = 10;
/// The fewest examples of a group.
const FEWEST: usize = 10;

impl Near {
    /// Errors in groups of about as many examples, from the least value on; equal values are in one group. None where there are too few examples for two.
    ///
    /// # Panics
    /// If the two differ in length.
    pub fn of(predicted: &[f64], values: &[f64]) -> Vec<Near> {
        assert_eq!(predicted.len(), values.len(), "one prediction a value");
        let groups = (values.len() / FEWEST).min(MOST);
        if groups < 2 {
            return Vec::new();
        }
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut found = Vec::new();
        let mut first = 0;
        for group in 1..=groups {
            let mut end = values.len() * group / groups;
            while end < values.len() && end > first && values[order[end]] == values[order[end - 1]] {
                end += 1;
            }
            if end <= first {
                continue;
            }
            let members = &order[first..end];
            let n = members.len();
            let mean = |of: &dyn Fn(f64) -> f64| members.iter().map(|at| of(predicted[*at] - values[*at])).sum::<f64>() / n as f64;
            found.push(Near { low: values[members[0]], high: values[members[n - 1]], n, mae: mean(&f64::abs), bias: mean(&|error| error) });
            first = end;
        }
        found
    }

    /// The group that a value lies in, or the nearest: beyond the ends the first or the last.
    pub fn to(all: &[Near], value: f64) -> Option<&Near> {
        let distance = |near: &Near| (near.low - value).max(value - near.high).max(0.0);
        all.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_of_the_neighbours() {
        // Forty values; the larger ones are predicted 7 too low.
        let values: Vec<f64> = (0..40).map(|i| f64::from((i * 17) % 40)).collect();
        let predicted: Vec<f64> = values.iter().map(|v| if *v < 20.0 { v + 1.0 } else { v - 7.0 }).collect();
        let near = Near::of(&predicted, &values);
        assert_eq!(near.len(), 4);
        assert_eq!(near[0], Near { low: 0.0, high: 9.0, n: 10, mae: 1.0, bias: 1.0 });
        assert_eq!(near[3], Near { low: 30.0, high: 39.0, n: 10, mae: 7.0, bias: -7.0 });
        assert_eq!(Near::to(&near, 34.0), Some(&near[3]));
        assert_eq!(Near::to(&near, 900.0), Some(&near[3]));
        assert_eq!(Near::to(&near, 9.4), Some(&near[0]), "between two groups the nearer one");
        assert!(Near::of(&predicted[..19], &values[..19]).is_empty() && Near::to(&[], 1.0).is_none());
        // Equal values are not parted.
        let same = Near::of(&[1.0; 30], &[1.0; 30]);
        assert_eq!((same.len(), same[0].n), (1, 30));
    }
}
