//! Percentile bootstrap over units (ECGs), with one random stream per resample.

use crate::random::{Stage, Stream};
use rand::RngExt;
use rayon::prelude::*;
use serde::Serialize;

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure on all ECGs.
    pub value: f64,
    /// Lower end, of a bootstrap the 2.5 % quantile over resamples of ECGs.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// ECGs that it rests on.
    pub ecgs: usize,
}

/// Resamples for an interval of 95 %.
pub const RESAMPLES: usize = 2000;

/// The units of resample `number`: `n` indices below `n`, with replacement.
pub fn resample(n: usize, seed: u64, number: usize) -> Vec<usize> {
    let mut rng = Stream::new(seed, Stage::Bootstrap).repeat(number as u32).rng();
    (0..n).map(|_| rng.random_range(0..n as u64) as usize).collect()
}

/// The statistic of each resample of `n` units, in the order of the resamples; those where it is `None` are left out.
pub fn statistics(n: usize, resamples: usize, seed: u64, statistic: impl Fn(&[usize]) -> Option<f64> + Sync) -> Vec<f64> {
    if n == 0 {
        return Vec::new();
    }
    let all: Vec<Option<f64>> = (0..resamples).into_par_iter().map(|number| statistic(&resample(n, seed, number))).collect();
    all.into_iter().flatten().collect()
}

/// The 95 % percentile interval of a statistic. `None` when no resample has it.
pub fn interval(n: usize, resamples: usize, seed: u64, statistic: impl Fn(&[usize]) -> Option<f64> + Sync) -> Option<(f64, f64)> {
    let mut all = statistics(n, resamples, seed, statistic);
    all.sort_by(f64::total_cmp);
    Some((quantile(&all, 0.025)?, quantile(&all, 0.975)?))
}

/// The quantile of values sorted by [`f64::total_cmp`], linear between them (Hyndman and Fan's type 7, NumPy's default). `None` where there are
/// none, and where one is not finite: such a value is first or last.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    if !(sorted[0].is_finite() && sorted[last].is_finite()) {
        return None;
    }
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (lower, part) = (place.floor() as usize, place.fract());
    let upper = (lower + 1).min(last);
    Some(sorted[lower] + part * (sorted[upper] - sorted[lower]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&sorted, 0.5), Some(3.0));
        assert_eq!(quantile(&sorted, 1.0), Some(8.0));
        assert!((quantile(&sorted, 0.9).expect("a value") - 6.8).abs() < 1e-12);
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!([quantile(&[1.0, 2.0, f64::NAN], 0.5), quantile(&[f64::NEG_INFINITY, 2.0, 3.0], 0.5)], [None; 2]);
        assert_eq!(interval(3, 20, 1, |units| Some(if units[0] == 0 { f64::NAN } else { 1.0 })), None);
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let mean = |units: &[usize]| Some(units.iter().map(|i| values[*i]).sum::<f64>() / units.len() as f64);
        let (low, high) = interval(values.len(), 2000, 3, mean).expect("an interval");
        let error = 1.96 * (33.25_f64 / 400.0).sqrt();
        assert!((low - (9.5 - error)).abs() < 0.06 && (high - (9.5 + error)).abs() < 0.06, "{low} {high}");
        assert_eq!(interval(values.len(), 50, 3, mean), interval(values.len(), 50, 3, mean));
    }
}
