//! What predictions are worth: bias and limits of agreement (Bland and Altman 1999), calibration, the share of the worst ECGs, and how well a
//! threshold of a measurement is told.
//!
//! Intervals are of 95 %: Student's for bias, limits and slopes, Wilson's for shares. All are checked against SciPy and statsmodels.

use super::bootstrap::Estimate;
use super::tails::t_two_sided;

/// The share of ECGs that are called the worst.
pub const WORST: f64 = 0.01;
/// The normal quantile behind limits of agreement of 95 %.
const Z: f64 = 1.96;
/// The same with all digits, behind Wilson's interval.
const NORMAL: f64 = 1.959_963_984_540_054;

/// Mean and mean of squares of errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// ECGs.
    pub n: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// Root mean squared error.
    pub rmse: f64,
}

/// The errors of predictions: pairs of what is right and what was predicted. `None` where there are none.
pub fn errors(pairs: &[(f64, f64)]) -> Option<Errors> {
    let n = pairs.len();
    let mean = |of: &dyn Fn(f64) -> f64| pairs.iter().map(|(right, found)| of(found - right)).sum::<f64>() / n as f64;
    (n > 0).then(|| Errors { n, mae: mean(&f64::abs), rmse: mean(&|e| e * e).sqrt() })
}

/// What the ECGs of the largest errors do to the root mean squared error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorstShare {
    /// How many are called the worst: 1 %, rounded up.
    pub ecgs: usize,
    /// Their share of the sum of squared errors.
    pub share: f64,
    /// The root mean squared error of all.
    pub rmse: f64,
    /// That of the others; NaN where there are none.
    pub without: f64,
}

/// What the worst 1 % of ECGs carry. `None` where there is no error.
pub fn worst_share(pairs: &[(f64, f64)]) -> Option<WorstShare> {
    let mut squares: Vec<f64> = pairs.iter().map(|(right, found)| (found - right).powi(2)).collect();
    squares.sort_by(|a, b| b.total_cmp(a));
    let ecgs = (WORST * squares.len() as f64).ceil() as usize;
    let (all, worst) = (squares.iter().sum::<f64>(), squares.iter().take(ecgs).sum::<f64>());
    let rest = (squares.len() - ecgs) as f64;
    let without = if rest > 0.0 { (squares[ecgs..].iter().sum::<f64>() / rest).sqrt() } else { f64::NAN };
    (all > 0.0).then(|| WorstShare { ecgs, share: worst / all, rmse: (all / squares.len() as f64).sqrt(), without })
}

/// The pairs of the largest absolute errors, as places in `pairs`, the largest first.
pub fn worst(pairs: &[(f64, f64)], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    let size = |at: usize| (pairs[at].1 - pairs[at].0).abs();
    order.sort_by(|a, b| size(*b).total_cmp(&size(*a)).then(a.cmp(b)));
    order.truncate(count);
    order
}

/// Bias and limits of agreement of predictions less measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Mean difference.
    pub bias: Estimate,
    /// Standard deviation of the differences (n − 1).
    pub sd: f64,
    /// bias − 1.96 SD.
    pub lower: Estimate,
    /// bias + 1.96 SD.
    pub upper: Estimate,
}

/// Bland and Altman's figures: the interval of a limit is ± t √(SD² (1/n + 1.96² / 2(n − 1))). `None` with fewer than two pairs.
pub fn agreement(pairs: &[(f64, f64)]) -> Option<Agreement> {
    let Differences { bias, sd, lower, upper } = Differences::of(pairs)?;
    let (ecgs, n) = (pairs.len(), pairs.len() as f64);
    let t = t_two_sided(0.05, n - 1.0);
    let around = |value: f64, error: f64| Estimate { value, low: value - t * error, high: value + t * error, ecgs };
    let at_limit = sd * (1.0 / n + Z * Z / (2.0 * (n - 1.0))).sqrt();
    Some(Agreement { bias: around(bias, sd / n.sqrt()), sd, lower: around(lower, at_limit), upper: around(upper, at_limit) })
}

/// [`Agreement`] without its intervals, which take longer than all else where they are not asked for.
pub(super) struct Differences {
    pub(super) bias: f64,
    pub(super) sd: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
}

impl Differences {
    /// `None` with fewer than two pairs.
    pub(super) fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let n = pairs.len() as f64;
        let bias = pairs.iter().map(|(right, found)| found - right).sum::<f64>() / n;
        let sd = (pairs.iter().map(|(right, found)| (found - right - bias).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        (pairs.len() > 1).then_some(Differences { bias, sd, lower: bias - Z * sd, upper: bias + Z * sd })
    }
}

/// The line measured = intercept + slope × predicted: 0 and 1 for a calibrated network. A slope below 1 is that of predictions too far spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Its slope.
    pub slope: Estimate,
    /// Its value at 0, in the target's unit.
    pub intercept: Estimate,
}

/// Least squares of what is right on what was predicted, with Student's intervals. `None` with fewer than three pairs, or where all predictions are
/// the same.
pub fn calibration(pairs: &[(f64, f64)]) -> Option<Calibration> {
    let ecgs = pairs.len();
    let n = ecgs as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (y, x) = (mean(&|pair| pair.0), mean(&|pair| pair.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|pair| of(pair.1 - x, pair.0 - y)).sum::<f64>();
    let (xx, xy) = (sum(&|x, _| x * x), sum(&|x, y| x * y));
    if ecgs < 3 || !(xx > 0.0 && xx.is_finite()) {
        return None;
    }
    let slope = xy / xx;
    let variance = sum(&|x, y| (y - slope * x).powi(2)) / (n - 2.0);
    let t = t_two_sided(0.05, n - 2.0);
    let around = |value: f64, error: f64| Estimate { value, low: value - t * error, high: value + t * error, ecgs };
    Some(Calibration {
        slope: around(slope, (variance / xx).sqrt()),
        intercept: around(y - slope * x, (variance * (1.0 / n + x * x / xx)).sqrt()),
    })
}

/// A share of `n` with Wilson's interval (1927). `None` of nothing.
pub fn share(count: usize, n: usize) -> Option<Estimate> {
    if n == 0 {
        return None;
    }
    let (p, n_) = (count as f64 / n as f64, n as f64);
    let z2 = NORMAL * NORMAL;
    let middle = (p + z2 / (2.0 * n_)) / (1.0 + z2 / n_);
    let half = NORMAL / (1.0 + z2 / n_) * (p * (1.0 - p) / n_ + z2 / (4.0 * n_ * n_)).sqrt();
    // At the ends the interval reaches them, whatever rounding makes of it.
    let low = if count == 0 { 0.0 } else { middle - half };
    let high = if count == n { 1.0 } else { middle + half };
    Some(Estimate { value: p, low, high, ecgs: n })
}

/// How predictions tell which ECGs are above a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// ECGs above it, and predicted above it.
    pub found: usize,
    /// ECGs above it, and predicted not to be.
    pub missed: usize,
    /// ECGs not above it, and predicted to be.
    pub alarms: usize,
    /// ECGs not above it, and predicted not to be.
    pub spared: usize,
}

impl Detection {
    /// Counts pairs of what is right and what was predicted.
    pub fn of(pairs: impl IntoIterator<Item = (f64, f64)>, threshold: f64) -> Self {
        let mut counts = Detection { found: 0, missed: 0, alarms: 0, spared: 0 };
        for (right, found) in pairs {
            *match (right > threshold, found > threshold) {
                (true, true) => &mut counts.found,
                (true, false) => &mut counts.missed,
                (false, true) => &mut counts.alarms,
                (false, false) => &mut counts.spared,
            } += 1;
        }
        counts
    }

    /// The share of ECGs above the threshold that are predicted to be. `None` where there is none.
    pub fn sensitivity(&self) -> Option<Estimate> {
        share(self.found, self.found + self.missed)
    }

    /// The share of the others that are predicted not to be.
    pub fn specificity(&self) -> Option<Estimate> {
        share(self.spared, self.spared + self.alarms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ecg_in_a_hundred_can_carry_the_error() {
        // 99 errors of 1 and one of 30: 900 of 999.
        let pairs: Vec<(f64, f64)> = (0..100).map(|i| (100.0, if i == 40 { 130.0 } else { 101.0 })).collect();
        let found = worst_share(&pairs).expect("a share");
        assert_eq!((found.ecgs, found.without), (1, 1.0));
        assert!((found.share - 900.0 / 999.0).abs() < 1e-12 && (found.rmse - 9.99f64.sqrt()).abs() < 1e-12);
        assert_eq!(worst(&pairs, 3), [40, 0, 1]);
        assert_eq!(worst_share(&pairs[..1]).map(|found| (found.ecgs, found.without.is_nan())), Some((1, true)));
        assert_eq!((worst_share(&[(1.0, 1.0)]), worst_share(&[]), errors(&[])), (None, None, None));
        assert_eq!(errors(&[(1.0, 4.0), (1.0, -3.0)]), Some(Errors { n: 2, mae: 3.5, rmse: 12.5f64.sqrt() }));
    }

    #[test]
    fn a_threshold_counts_both_kinds_of_ecgs() {
        let found = Detection::of([(210.0, 205.0), (210.0, 200.0), (190.0, 201.0), (190.0, 180.0), (200.0, 199.0)], 200.0);
        assert_eq!(found, Detection { found: 1, missed: 1, alarms: 1, spared: 2 });
        assert_eq!(found.sensitivity().map(|e| e.value), Some(0.5));
        assert_eq!(found.specificity().map(|e| e.value), Some(2.0 / 3.0));
        assert_eq!(Detection::of([(1.0, 1.0)], 200.0).sensitivity(), None);
        assert_eq!((agreement(&[(1.0, 2.0)]), calibration(&[(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)])), (None, None));
    }
}
