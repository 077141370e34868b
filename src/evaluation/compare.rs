//! Are methods different? Friedman's test over blocks, then Wilcoxon's signed ranks for each pair with Holm's correction (Demšar 2006).

use super::ranks::{ascending, descending};
use rayon::prelude::*;

/// The comparison of several methods on the same blocks.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Mean rank of each method, 1 for the largest value.
    pub mean_ranks: Vec<f64>,
    /// Friedman's statistic, corrected for ties.
    pub statistic: f64,
    /// Its p value (χ² with one less than the methods as degrees of freedom).
    pub p: f64,
    /// p value of each pair after Holm's correction, symmetric, 1 on the diagonal.
    pub pairs: Vec<Vec<f64>>,
}

/// Compares methods: `values[block][method]`, larger is better. `None` with fewer than two blocks or methods.
pub fn compare(values: &[Vec<f64>]) -> Option<Comparison> {
    let methods = values.first()?.len();
    if values.len() < 2 || methods < 2 {
        return None;
    }
    let (mean_ranks, statistic) = friedman(values);
    let indices: Vec<(usize, usize)> = (0..methods).flat_map(|a| (a + 1..methods).map(move |b| (a, b))).collect();
    let raw: Vec<f64> =
        indices.par_iter().map(|(a, b)| wilcoxon(&values.iter().map(|block| block[*a] - block[*b]).collect::<Vec<f64>>())).collect();
    let mut pairs = vec![vec![1.0; methods]; methods];
    for ((a, b), p) in indices.into_iter().zip(holm(&raw)) {
        (pairs[a][b], pairs[b][a]) = (p, p);
    }
    let p = chi_square_tail(statistic, (methods - 1) as f64);
    Some(Comparison { mean_ranks, statistic, p, pairs })
}

/// Mean ranks and Friedman's χ², corrected for ties.
fn friedman(values: &[Vec<f64>]) -> (Vec<f64>, f64) {
    let (n, k) = (values.len() as f64, values[0].len() as f64);
    let mut sums = vec![0.0; values[0].len()];
    let mut ties = 0.0;
    for block in values {
        let ranks = descending(block);
        sums.iter_mut().zip(&ranks).for_each(|(sum, rank)| *sum += rank);
        ties += tie_term(&ranks);
    }
    let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
    let correction = 1.0 - ties / (n * k * (k * k - 1.0));
    let statistic = if correction > 0.0 { (12.0 / (n * k * (k + 1.0)) * squares - 3.0 * n * (k + 1.0)) / correction } else { 0.0 };
    (sums.into_iter().map(|sum| sum / n).collect(), statistic)
}

/// Σ (t³ − t) over groups of equal ranks.
fn tie_term(ranks: &[f64]) -> f64 {
    let mut sorted = ranks.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.chunk_by(|a, b| a == b).map(|group| group.len() as f64).map(|t| t * t * t - t).sum()
}

/// Two-sided p value of Wilcoxon's signed-rank test for paired differences: zeros left out, normal approximation with the
/// correction for ties, as SciPy's `wilcoxon(method="approx")`. 1 when nothing differs.
pub fn wilcoxon(differences: &[f64]) -> f64 {
    let moved: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let n = moved.len() as f64;
    if moved.is_empty() {
        return 1.0;
    }
    let ranks = ascending(&moved.iter().map(|d| d.abs()).collect::<Vec<f64>>());
    let plus: f64 = moved.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
    let mean = n * (n + 1.0) / 4.0;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - tie_term(&ranks) / 48.0;
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (plus - mean) / variance.sqrt();
    chi_square_tail(z * z, 1.0)
}

/// Holm's step-down correction of p values, in their order.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut so_far = 0.0_f64;
    for (place, index) in order.into_iter().enumerate() {
        so_far = so_far.max((p[index] * (p.len() - place) as f64).min(1.0));
        adjusted[index] = so_far;
    }
    adjusted
}

/// Groups of methods, neighbours in mean rank, of which no pair differs at level `alpha`: the bars of a critical-difference diagram.
/// Only groups of two and more that are in no larger one; indices in order of mean rank.
pub fn groups(comparison: &Comparison, alpha: f64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..comparison.mean_ranks.len()).collect();
    order.sort_by(|a, b| comparison.mean_ranks[*a].total_cmp(&comparison.mean_ranks[*b]));
    let mut groups = Vec::new();
    let mut reached = 0;
    for first in 0..order.len() {
        let alike = |last: usize| (first..=last).all(|i| (i + 1..=last).all(|j| comparison.pairs[order[i]][order[j]] >= alpha));
        let last = (first..order.len()).take_while(|last| alike(*last)).last().unwrap_or(first);
        if last > first && last + 1 > reached {
            groups.push(order[first..=last].to_vec());
            reached = last + 1;
        }
    }
    groups
}

/// Upper tail of the χ² distribution.
pub fn chi_square_tail(x: f64, freedom: f64) -> f64 {
    if x <= 0.0 { 1.0 } else { gamma_tail(freedom / 2.0, x / 2.0) }
}

/// The regularised upper incomplete gamma function Q(a, x), by its series or its continued fraction (DLMF 8.11.4, 8.9.2).
fn gamma_tail(a: f64, x: f64) -> f64 {
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-17 {
            k += 1.0;
            term *= x / k;
            sum += term;
        }
        return 1.0 - front * sum;
    }
    // Lentz's evaluation of the continued fraction.
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / tiny, 1.0 / b);
    let mut h = d;
    for i in 1..10_000 {
        let i = f64::from(i);
        let an = -i * (i - a);
        b += 2.0;
        d = 1.0 / near(an * d + b, tiny);
        c = near(b + an / c, tiny);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * h
}

fn near(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// ln Γ for the halves and wholes that degrees of freedom need, by Γ(a + 1) = a Γ(a).
fn ln_gamma(a: f64) -> f64 {
    let (mut at, mut sum) = if (2.0 * a).round() as i64 % 2 == 0 { (1.0, 0.0) } else { (0.5, 0.5 * std::f64::consts::PI.ln()) };
    while at < a - 1e-9 {
        sum += f64::ln(at);
        at += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_the_closed_forms() {
        // Two degrees of freedom: exp(−x/2). Four: exp(−x/2)(1 + x/2).
        for x in [0.1, 1.0, 3.0, 10.0, 60.0] {
            let e = f64::exp(-x / 2.0);
            assert!((chi_square_tail(x, 2.0) / e - 1.0).abs() < 1e-12);
            assert!((chi_square_tail(x, 4.0) / (e * (1.0 + x / 2.0)) - 1.0).abs() < 1e-12);
        }
        // One degree: the two-sided normal tail at 1.959963984540054.
        assert!((chi_square_tail(1.959963984540054_f64.powi(2), 1.0) - 0.05).abs() < 1e-12);
    }

    #[test]
    fn holm_by_hand() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        let wanted = [0.03, 0.06, 0.06, 0.02];
        assert!(adjusted.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{adjusted:?}");
    }

    #[test]
    fn alike_methods_share_a_bar_and_others_do_not() {
        let values: Vec<Vec<f64>> =
            (0..60).map(|i| vec![f64::from(i % 7) + 10.0, f64::from((i * 3) % 7) + 10.0, f64::from(i % 5)]).collect();
        let comparison = compare(&values).expect("a comparison");
        assert!(comparison.p < 1e-6 && comparison.pairs[0][2] < 1e-6 && comparison.pairs[0][1] > 0.05);
        assert_eq!(groups(&comparison, 0.05).len(), 1);
        assert!(compare(&values[..1]).is_none());
    }

    #[test]
    fn equal_methods_are_not_different() {
        let comparison = compare(&vec![vec![1.0, 1.0, 1.0]; 10]).expect("a comparison");
        assert_eq!((comparison.statistic, comparison.p), (0.0, 1.0));
        assert_eq!(wilcoxon(&[0.0, 0.0]), 1.0);
    }
}
