//! Wilcoxon's signed-rank test of paired differences (Wilcoxon 1945), exact where the exact distribution is his.

use super::ranks::ascending;
use super::tails::chi_square_tail;

/// With more differences than this the normal approximation serves.
const EXACT_UP_TO: usize = 25;

/// What the test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignedRanks {
    /// Σ of the ranks of positive differences.
    pub plus: f64,
    /// Differences that are not 0, which are ranked.
    pub ranked: usize,
    /// The two-sided p value; 1 when nothing differs.
    pub p: f64,
    /// Whether it is from the exact distribution.
    pub exact: bool,
}

/// The two-sided test. Zeros are left out before ranking, as Wilcoxon did (SciPy's `zero_method="wilcox"`); equal sizes share their mean rank.
/// With at most 25 differences, none of them 0 and no two of one size, p is exact; else it is the normal approximation with the correction
/// for ties and without one for continuity (SciPy's `method="approx"`). p is NaN where a difference is not a number.
pub fn wilcoxon(differences: &[f64]) -> SignedRanks {
    let moved: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let ranks = ascending(&moved.iter().map(|d| d.abs()).collect::<Vec<f64>>());
    let plus: f64 = moved.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
    let ties = tie_term(&ranks);
    let found = |p: f64, exact: bool| SignedRanks { plus, ranked: moved.len(), p, exact };
    if moved.is_empty() {
        return found(1.0, differences.is_empty());
    }
    if moved.iter().any(|d| d.is_nan()) {
        return SignedRanks { plus: f64::NAN, ..found(f64::NAN, false) };
    }
    if moved.len() <= EXACT_UP_TO && moved.len() == differences.len() && ties == 0.0 {
        return found(exact(moved.len(), plus as usize), true);
    }
    let n = moved.len() as f64;
    let mean = n * (n + 1.0) / 4.0;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    if variance <= 0.0 {
        return found(1.0, false);
    }
    let z = (plus - mean) / variance.sqrt();
    found(chi_square_tail(z * z, 1.0), false)
}

/// 2 P(W ≤ the smaller of the two sums), of all 2ⁿ ways to sign the ranks; the number of ways with each sum, rank by rank.
fn exact(n: usize, plus: usize) -> f64 {
    let whole = n * (n + 1) / 2;
    let mut ways = vec![0u64; whole + 1];
    ways[0] = 1;
    for rank in 1..=n {
        for sum in (rank..=whole).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let tail: u64 = ways[..=plus.min(whole - plus)].iter().sum();
    (2.0 * tail as f64 / (1u64 << n) as f64).min(1.0)
}

/// Σ (t³ − t) over groups of equal ranks.
pub(super) fn tie_term(ranks: &[f64]) -> f64 {
    let mut sorted = ranks.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.chunk_by(|a, b| a == b).map(|group| group.len() as f64).map(|t| t * t * t - t).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_differences_of_one_sign_are_one_way_in_thirty_two() {
        let found = wilcoxon(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(found, SignedRanks { plus: 15.0, ranked: 5, p: 0.0625, exact: true });
        assert_eq!(wilcoxon(&[-1.0, -2.0, -3.0, -4.0, -5.0]).p, 0.0625);
        assert_eq!((wilcoxon(&[1.0]).p, wilcoxon(&[1.0, 2.0, 3.0, 4.0, -0.5]).p), (1.0, 0.125));
    }

    #[test]
    fn zeros_ties_and_many_differences_are_approximated() {
        assert!(!wilcoxon(&[0.0, 1.0, 2.0, 3.0]).exact);
        assert!(!wilcoxon(&[1.0, -1.0, 2.0, 3.0]).exact);
        let of = |n: i32| wilcoxon(&(1..=n).map(f64::from).collect::<Vec<f64>>()).exact;
        assert!(of(25) && !of(26));
        assert_eq!((wilcoxon(&[0.0, 0.0]).p, wilcoxon(&[0.0, 0.0]).ranked), (1.0, 0));
        assert!(wilcoxon(&[1.0, f64::NAN, 3.0]).p.is_nan());
    }
}
