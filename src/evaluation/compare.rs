//! Are methods different? Friedman's test over blocks, as χ² and as Iman and Davenport's F, then Wilcoxon's signed ranks for each pair with
//! Holm's correction (Demšar 2006, sections 3.2.2 and 3.1.3).

use super::ranks::{descending, larger};
use super::signed_ranks::{SignedRanks, tie_term, wilcoxon};
pub use super::tails::chi_square_tail;
use super::tails::f_tail;
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
    /// Iman and Davenport's F (1980): (n − 1) χ² / (n (k − 1) − χ²) for n blocks and k methods; infinite where all blocks agree. χ² is
    /// conservative (Demšar 2006).
    pub f: f64,
    /// Its p value (F with k − 1 and (k − 1)(n − 1) degrees of freedom).
    pub f_p: f64,
    /// p value of each pair after Holm's correction, symmetric, 1 on the diagonal.
    pub pairs: Vec<Vec<f64>>,
    /// The same before the correction.
    pub raw: Vec<Vec<f64>>,
    /// Whether the pair's p value before correction is exact, symmetric, true on the diagonal.
    pub exact: Vec<Vec<bool>>,
}

impl Comparison {
    /// How the p values of pairs were had: `exact`, `normal approximation`, or how many of which.
    pub fn how(&self) -> String {
        let count = self.pairs.len();
        let all = count * (count - 1) / 2;
        match (0..count).map(|a| self.exact[a][..a].iter().filter(|exact| **exact).count()).sum::<usize>() {
            0 => "normal approximation".into(),
            exact if exact == all => "exact".into(),
            exact => format!("exact for {exact} of {all}, else normal approximation"),
        }
    }
}

/// Compares methods: `values[block][method]`, larger is better. `None` with fewer than two blocks or methods, and where a value is not a number.
pub fn compare(values: &[Vec<f64>]) -> Option<Comparison> {
    let methods = values.first()?.len();
    if values.len() < 2 || methods < 2 || values.iter().flatten().any(|value| value.is_nan()) {
        return None;
    }
    let (mean_ranks, statistic) = friedman(values);
    let indices: Vec<(usize, usize)> = (0..methods).flat_map(|a| (a + 1..methods).map(move |b| (a, b))).collect();
    // Equal values differ by 0, infinite ones too.
    let difference = |a: f64, b: f64| if a == b { 0.0 } else { a - b };
    let of = |(a, b): &(usize, usize)| wilcoxon(&values.iter().map(|block| difference(block[*a], block[*b])).collect::<Vec<f64>>());
    let tests: Vec<SignedRanks> = indices.par_iter().map(of).collect();
    let mut pairs = vec![vec![1.0; methods]; methods];
    let mut raw = pairs.clone();
    let mut exact = vec![vec![true; methods]; methods];
    let adjusted = holm(&tests.iter().map(|test| test.p).collect::<Vec<f64>>());
    for (((a, b), p), test) in indices.into_iter().zip(adjusted).zip(&tests) {
        (pairs[a][b], pairs[b][a]) = (p, p);
        (raw[a][b], raw[b][a]) = (test.p, test.p);
        (exact[a][b], exact[b][a]) = (test.exact, test.exact);
    }
    let (n, freedom) = (values.len() as f64, (methods - 1) as f64);
    // What rounding leaves where all blocks agree.
    let rest = n * freedom - statistic;
    let f = if rest <= 1e-12 * n * freedom { f64::INFINITY } else { (n - 1.0) * statistic / rest };
    Some(Comparison {
        mean_ranks,
        statistic,
        p: chi_square_tail(statistic, freedom),
        f,
        f_p: f_tail(f, freedom, freedom * (n - 1.0)),
        pairs,
        raw,
        exact,
    })
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

/// Holm's step-down correction of p values (Holm 1979), in their order. One that is not a number stays so.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut so_far = 0.0_f64;
    for (place, index) in order.into_iter().enumerate() {
        let scaled = p[index] * (p.len() - place) as f64;
        so_far = larger(so_far, if scaled > 1.0 { 1.0 } else { scaled });
        adjusted[index] = so_far;
    }
    adjusted
}

/// The largest groups of methods of which no pair differs at level `alpha` (the maximal cliques of "not told apart", by Bron and Kerbosch 1973):
/// the bars of a critical-difference diagram. A group need not be a run of neighbours in mean rank, since the tests look at pairs and not at
/// ranks. Groups of two and more, each in order of mean rank, those that begin first first.
pub fn groups(comparison: &Comparison, alpha: f64) -> Vec<Vec<usize>> {
    let count = comparison.mean_ranks.len();
    let alike = |a: usize, b: usize| a != b && comparison.pairs[a][b] >= alpha;
    let order = by_rank(comparison);
    let mut groups = cliques(&alike, Vec::new(), (0..count).collect(), Vec::new());
    groups.retain(|group| group.len() > 1);
    let place = |method: usize| order.iter().position(|other| *other == method).unwrap_or(count);
    groups.iter_mut().for_each(|group| group.sort_by_key(|method| place(*method)));
    groups.sort_by_key(|group| group.iter().map(|method| place(*method)).collect::<Vec<usize>>());
    groups
}

/// The methods from the best mean rank down.
pub fn by_rank(comparison: &Comparison) -> Vec<usize> {
    let mut order: Vec<usize> = (0..comparison.mean_ranks.len()).collect();
    order.sort_by(|a, b| comparison.mean_ranks[*a].total_cmp(&comparison.mean_ranks[*b]));
    order
}

/// The maximal cliques that hold all of `chosen`, some of `open` and none of `closed`.
fn cliques(alike: &dyn Fn(usize, usize) -> bool, chosen: Vec<usize>, mut open: Vec<usize>, mut closed: Vec<usize>) -> Vec<Vec<usize>> {
    if open.is_empty() && closed.is_empty() {
        return vec![chosen];
    }
    // A clique without the pivot holds something that is not alike to it: only such are tried.
    let among = |node: usize| open.iter().filter(|other| alike(node, **other)).count();
    let pivot = open.iter().chain(&closed).copied().max_by_key(|node| among(*node));
    let tried: Vec<usize> = open.iter().copied().filter(|node| pivot.is_none_or(|pivot| !alike(pivot, *node))).collect();
    let mut all = Vec::new();
    for node in tried {
        let of = |nodes: &[usize]| nodes.iter().copied().filter(|other| alike(node, *other)).collect::<Vec<usize>>();
        all.extend(cliques(alike, [&chosen[..], &[node]].concat(), of(&open), of(&closed)));
        open.retain(|other| *other != node);
        closed.push(node);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_by_hand() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        let wanted = [0.03, 0.06, 0.06, 0.02];
        assert!(adjusted.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{adjusted:?}");
        let unknown = holm(&[0.01, f64::NAN, 0.9]);
        assert!((unknown[0] - 0.03).abs() < 1e-12 && unknown[1].is_nan() && unknown[2] == 1.0, "{unknown:?}");
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

    /// A comparison of which only the pairs' p values and ranks matter.
    fn told(mean_ranks: Vec<f64>, alike: &[(usize, usize)]) -> Comparison {
        let count = mean_ranks.len();
        let pairs = (0..count)
            .map(|a| (0..count).map(|b| if a == b || alike.contains(&(a, b)) || alike.contains(&(b, a)) { 0.5 } else { 0.01 }).collect());
        let pairs: Vec<Vec<f64>> = pairs.collect();
        let exact = vec![vec![true; count]; count];
        Comparison { mean_ranks, statistic: 0.0, p: 1.0, f: 0.0, f_p: 1.0, raw: pairs.clone(), pairs, exact }
    }

    /// What a run of neighbours leaves out: the first and the last are not told apart, though the one between differs from both.
    #[test]
    fn a_pair_that_is_not_told_apart_is_joined_wherever_its_ranks_are() {
        assert_eq!(groups(&told(vec![1.0, 2.0, 3.0], &[(0, 2)]), 0.05), [vec![0, 2]]);
        let comparison = told(vec![4.0, 1.0, 3.0, 2.0], &[(1, 3), (3, 0), (1, 0), (2, 0)]);
        assert_eq!(groups(&comparison, 0.05), [vec![1, 3, 0], vec![2, 0]]);
        assert!(groups(&told(vec![1.0, 2.0], &[]), 0.05).is_empty());
    }

    #[test]
    fn equal_methods_are_not_different() {
        let comparison = compare(&vec![vec![1.0, 1.0, 1.0]; 10]).expect("a comparison");
        assert_eq!((comparison.statistic, comparison.p, comparison.f, comparison.f_p), (0.0, 1.0, 0.0, 1.0));
    }

    #[test]
    fn blocks_that_agree_leave_no_doubt_and_what_is_not_a_number_is_not_compared() {
        let comparison = compare(&vec![vec![3.0, 2.0, 1.0]; 6]).expect("a comparison");
        assert_eq!((comparison.statistic, comparison.f, comparison.f_p), (12.0, f64::INFINITY, 0.0));
        assert!(compare(&[vec![1.0, 2.0], vec![f64::NAN, 1.0]]).is_none());
        let infinite = compare(&[vec![f64::INFINITY, 2.0], vec![f64::INFINITY, 1.0]]).expect("a comparison");
        assert_eq!(infinite.mean_ranks, [1.0, 2.0]);
        assert!(infinite.pairs[0][1].is_finite());
    }

    #[test]
    fn how_p_values_were_had_is_said() {
        let of = |n: i32, step: f64| {
            let block = |i: i32| vec![f64::from(i * i) + 0.37 * f64::from(i % 3), f64::from(i) * step, 50.5];
            compare(&(1..=n).map(block).collect::<Vec<_>>()).expect("a comparison").how()
        };
        assert_eq!(
            [of(9, 1.25), of(30, 1.25), of(9, 0.0)],
            ["exact", "normal approximation", "exact for 2 of 3, else normal approximation"]
        );
    }
}
