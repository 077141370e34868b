//! Agreement of raters on nominal choices, with votes missing or not: Cohen's κ, Fleiss' κ, Krippendorff's α, Gwet's AC1.
//!
//! With all votes in one category, the chance-corrected coefficients are 0/0. The study gives 1.00 for such a table (everybody chose
//! Input × gradient for the R wave), and so do these functions: full agreement is 1 whatever chance would have done.

use std::collections::BTreeMap;

/// Votes on items: `votes[item][rater]` is a category from 0, or `None` where the rater did not vote.
pub type Votes = Vec<Vec<Option<usize>>>;

/// Cohen's κ of two raters over the items that both voted on (Cohen 1960). `None` when there are none.
pub fn cohen_kappa(pairs: impl IntoIterator<Item = (Option<usize>, Option<usize>)>) -> Option<f64> {
    let both: Vec<(usize, usize)> = pairs.into_iter().filter_map(|(a, b)| Some((a?, b?))).collect();
    let n = both.len() as f64;
    if both.is_empty() {
        return None;
    }
    let mut margins: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (a, b) in &both {
        margins.entry(*a).or_default().0 += 1.0;
        margins.entry(*b).or_default().1 += 1.0;
    }
    let observed = both.iter().filter(|(a, b)| a == b).count() as f64 / n;
    let expected = margins.values().map(|(a, b)| a * b).sum::<f64>() / (n * n);
    Some(corrected(observed, expected))
}

/// Cohen's κ of two columns of a table.
pub fn cohen_kappa_of(votes: &[Vec<Option<usize>>], a: usize, b: usize) -> Option<f64> {
    cohen_kappa(votes.iter().map(|item| (item[a], item[b])))
}

/// Mean of Cohen's κ over every pair of raters that share an item (Light 1971). `None` when no pair does.
pub fn mean_pairwise_kappa(votes: &[Vec<Option<usize>>]) -> Option<f64> {
    let raters = votes.first()?.len();
    let pairs = (0..raters).flat_map(|a| (a + 1..raters).map(move |b| (a, b)));
    let all: Vec<f64> = pairs.filter_map(|(a, b)| cohen_kappa_of(votes, a, b)).collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

/// Fleiss' κ, in Gwet's form for missing votes: chance from the mean of the items' shares (Fleiss 1971; Gwet 2014).
pub fn fleiss_kappa(votes: &[Vec<Option<usize>>]) -> Option<f64> {
    let counts = Counts::new(votes);
    let expected = counts.shares().values().map(|share| share * share).sum();
    Some(corrected(counts.observed()?, expected))
}

/// Gwet's AC1 (Gwet 2008) for a choice among `categories`, chosen or not; the chance term holds their number.
/// `None` when no item has two votes or there is no choice.
pub fn gwet_ac1(votes: &[Vec<Option<usize>>], categories: usize) -> Option<f64> {
    if categories < 2 {
        return None;
    }
    let counts = Counts::new(votes);
    let spread: f64 = counts.shares().values().map(|share| share * (1.0 - share)).sum();
    Some(corrected(counts.observed()?, spread / (categories - 1) as f64))
}

/// Krippendorff's α for nominal data (Krippendorff 2004), over the items with at least two votes.
pub fn krippendorff_alpha(votes: &[Vec<Option<usize>>]) -> Option<f64> {
    let counts = Counts::new(votes);
    let mut totals: BTreeMap<usize, f64> = BTreeMap::new();
    let mut disagreement = 0.0;
    for item in counts.items.iter().filter(|item| total(item) > 1.0) {
        let n = total(item);
        let same: f64 = item.values().map(|count| count * count).sum();
        disagreement += (n * n - same) / (n - 1.0);
        item.iter().for_each(|(category, count)| *totals.entry(*category).or_default() += count);
    }
    let n: f64 = totals.values().sum();
    if n == 0.0 {
        return None;
    }
    let by_chance = (n * n - totals.values().map(|count| count * count).sum::<f64>()) / (n - 1.0);
    Some(if by_chance == 0.0 { 1.0 } else { 1.0 - disagreement / by_chance })
}

fn corrected(observed: f64, expected: f64) -> f64 {
    if observed >= 1.0 { 1.0 } else { (observed - expected) / (1.0 - expected) }
}

/// Votes per category and item, for the items that have any.
struct Counts {
    items: Vec<BTreeMap<usize, f64>>,
}

impl Counts {
    fn new(votes: &[Vec<Option<usize>>]) -> Self {
        let count = |item: &Vec<Option<usize>>| {
            let mut counts = BTreeMap::new();
            item.iter().flatten().for_each(|category| *counts.entry(*category).or_insert(0.0) += 1.0);
            counts
        };
        Counts { items: votes.iter().map(count).filter(|counts: &BTreeMap<usize, f64>| !counts.is_empty()).collect() }
    }

    /// Share of agreeing pairs, mean over the items with at least two votes.
    fn observed(&self) -> Option<f64> {
        let agreeing = |item: &BTreeMap<usize, f64>| {
            let n = total(item);
            item.values().map(|count| count * (count - 1.0)).sum::<f64>() / (n * (n - 1.0))
        };
        let shares: Vec<f64> = self.items.iter().filter(|item| total(item) > 1.0).map(agreeing).collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }

    /// Share of each category, mean over items.
    fn shares(&self) -> BTreeMap<usize, f64> {
        let mut shares = BTreeMap::new();
        for item in &self.items {
            let weight = 1.0 / (total(item) * self.items.len() as f64);
            item.iter().for_each(|(category, count)| *shares.entry(*category).or_insert(0.0) += count * weight);
        }
        shares
    }
}

fn total(item: &BTreeMap<usize, f64>) -> f64 {
    item.values().sum()
}

/// The word for a κ, by the study's scale (after Landis and Koch 1977); `undefined` for what is not a number.
pub fn wording(kappa: f64) -> &'static str {
    match kappa {
        k if k.is_nan() => "undefined",
        k if k <= 0.0 => "disagreement",
        k if k <= 0.20 => "slight",
        k if k <= 0.40 => "fair",
        k if k <= 0.60 => "moderate",
        k if k <= 0.80 => "substantial",
        k if k < 1.0 => "near perfect",
        _ => "perfect",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_table_by_hand() {
        // 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: agreement 0.7, chance 0.5, κ 0.4.
        let cells = [((0, 0), 20), ((0, 1), 5), ((1, 0), 10), ((1, 1), 15)];
        let pairs = cells.into_iter().flat_map(|((a, b), n)| std::iter::repeat_n((Some(a), Some(b)), n));
        assert!((cohen_kappa(pairs).expect("κ") - 0.4).abs() < 1e-12);
    }

    #[test]
    fn unanimity_is_perfect() {
        let votes = vec![vec![Some(5); 3]; 40];
        assert_eq!(mean_pairwise_kappa(&votes), Some(1.0));
        assert_eq!([fleiss_kappa(&votes), krippendorff_alpha(&votes), gwet_ac1(&votes, 9)], [Some(1.0); 3]);
    }

    #[test]
    fn nothing_shared_is_no_agreement_to_speak_of() {
        let votes = vec![vec![Some(1), None], vec![None, Some(1)]];
        assert_eq!(mean_pairwise_kappa(&votes), None);
        assert_eq!([fleiss_kappa(&votes), krippendorff_alpha(&votes), gwet_ac1(&votes, 9)], [None; 3]);
    }

    #[test]
    fn words() {
        assert_eq!(
            [-0.1, 0.0, 0.15, 0.49, 0.7, 0.97, 1.0].map(wording).join(" "),
            "disagreement disagreement slight moderate substantial near perfect perfect"
        );
        assert_eq!(wording(f64::NAN), "undefined");
    }

    proptest! {
        #[test]
        fn names_and_order_do_not_matter(table in proptest::collection::vec(proptest::collection::vec(proptest::option::weighted(0.8, 0_usize..5), 4), 2..30)) {
            let renamed: Votes = table.iter().rev().map(|item| item.iter().rev().map(|vote| vote.map(|v| 4 - v)).collect()).collect();
            for (a, b) in [
                (mean_pairwise_kappa(&table), mean_pairwise_kappa(&renamed)),
                (fleiss_kappa(&table), fleiss_kappa(&renamed)),
                (krippendorff_alpha(&table), krippendorff_alpha(&renamed)),
                (gwet_ac1(&table, 5), gwet_ac1(&renamed, 5)),
            ] {
                match (a, b) {
                    (Some(a), Some(b)) => { prop_assert!((a - b).abs() < 1e-9 && a <= 1.0 + 1e-12); }
                    (a, b) => prop_assert_eq!(a.is_some(), b.is_some()),
                }
            }
        }
    }
}
