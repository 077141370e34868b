//! What predictions are worth: the figures of a kind of target, each with an interval over resamples of ECGs or of groups of them.

use super::bootstrap::{Estimate, quantile, resample};
use super::classes::{self, Decisions, Scored};
use super::errors::{Differences, errors};
use rayon::prelude::*;

/// Resamples behind the intervals.
pub const RESAMPLES: usize = 1000;

/// A figure by its name; `None` where the ECGs cannot tell it.
pub type Named = (&'static str, Option<f64>);

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Its name in files.
    pub name: &'static str,
    /// Value and interval; `None` where the ECGs cannot tell it. The interval is NaN where too few resamples can.
    pub estimate: Option<Estimate>,
}

/// Of numbers, pairs of what is right and what was predicted: mean absolute and root mean squared error, R², bias and limits of agreement.
pub fn numbers(pairs: &[(f64, f64)]) -> Vec<Named> {
    let (all, limits) = (errors(pairs), Differences::of(pairs));
    vec![
        ("mae", all.map(|all| all.mae)),
        ("rmse", all.map(|all| all.rmse)),
        ("r2", r2(pairs)),
        ("bias", limits.as_ref().map(|limits| limits.bias)),
        ("lower_limit", limits.as_ref().map(|limits| limits.lower)),
        ("upper_limit", limits.as_ref().map(|limits| limits.upper)),
    ]
}

/// The coefficient of determination, 1 − SS(residual) / SS(total). `None` where all values are the same.
pub fn r2(pairs: &[(f64, f64)]) -> Option<f64> {
    let mean = pairs.iter().map(|pair| pair.0).sum::<f64>() / pairs.len() as f64;
    let total: f64 = pairs.iter().map(|pair| (pair.0 - mean).powi(2)).sum();
    let residual: f64 = pairs.iter().map(|pair| (pair.0 - pair.1).powi(2)).sum();
    (total > 0.0).then(|| 1.0 - residual / total)
}

/// Of probabilities of a yes: areas under the ROC and precision–recall curves, Brier's score, and decisions at a threshold.
pub fn yes_or_no(pairs: &[Scored], threshold: f64) -> Vec<Named> {
    let at = Decisions::of(pairs, threshold);
    vec![
        ("auroc", classes::auroc(pairs)),
        ("auprc", classes::auprc(pairs)),
        ("brier", classes::brier(pairs)),
        ("f1", at.f1()),
        ("sensitivity", at.sensitivity()),
        ("specificity", at.specificity()),
        ("precision", at.precision()),
    ]
}

/// Of classes, the right one and the probability of each: accuracy, and the means over the classes of the area under the ROC curve (one against the
/// others) and of F1, where the most probable class is decided for.
pub fn one_of_several(rows: &[(usize, Vec<f64>)]) -> Vec<Named> {
    let decided = |row: &(usize, Vec<f64>)| (0..row.1.len()).max_by(|a, b| row.1[*a].total_cmp(&row.1[*b]).then(b.cmp(a))).unwrap_or(0);
    let n = rows.len();
    let right = rows.iter().filter(|row| decided(row) == row.0).count();
    let classes = rows.first().map_or(0, |row| row.1.len());
    let over = |of: &dyn Fn(usize) -> Option<f64>| {
        let all: Vec<f64> = (0..classes).filter_map(of).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    };
    let auroc = |class: usize| classes::auroc(&rows.iter().map(|row| (row.0 == class, row.1[class])).collect::<Vec<Scored>>());
    let f1 = |class: usize| {
        let all: Vec<Scored> = rows.iter().map(|row| (row.0 == class, f64::from(u8::from(decided(row) == class)))).collect();
        Decisions::of(&all, 0.5).f1()
    };
    vec![("accuracy", (n > 0).then(|| right as f64 / n as f64)), ("auroc", over(&auroc)), ("f1", over(&f1))]
}

/// The figures of rows, with intervals over resamples of groups: `groups` tells that of each row by any number. Without it every row is a group.
pub fn with_intervals<R: Clone + Sync>(
    rows: &[R],
    groups: Option<&[usize]>,
    seed: u64,
    figures: impl Fn(&[R]) -> Vec<Named> + Sync,
) -> Vec<Figure> {
    let units = units(rows.len(), groups);
    let whole = figures(rows);
    let of = |number: usize| {
        let drawn: Vec<R> =
            resample(units.len(), seed, number).into_iter().flat_map(|unit| &units[unit]).map(|row| rows[*row].clone()).collect();
        figures(&drawn)
    };
    let all: Vec<Vec<Named>> = if units.is_empty() { Vec::new() } else { (0..RESAMPLES).into_par_iter().map(of).collect() };
    let one = |(at, (name, value)): (usize, &Named)| {
        let mut found: Vec<f64> = all.iter().filter_map(|figures| figures[at].1).collect();
        found.sort_by(f64::total_cmp);
        // What fewer than half of the resamples can tell has no interval.
        let end = |share| if found.len() < RESAMPLES / 2 { f64::NAN } else { quantile(&found, share).unwrap_or(f64::NAN) };
        Figure { name, estimate: value.map(|value| Estimate { value, low: end(0.025), high: end(0.975), ecgs: rows.len() }) }
    };
    whole.iter().enumerate().map(one).collect()
}

fn units(rows: usize, groups: Option<&[usize]>) -> Vec<Vec<usize>> {
    let Some(groups) = groups else { return (0..rows).map(|row| vec![row]).collect() };
    let mut units: std::collections::BTreeMap<usize, Vec<usize>> = std::collections::BTreeMap::new();
    groups.iter().enumerate().for_each(|(row, group)| units.entry(*group).or_default().push(row));
    units.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(figures: &[Named], name: &str) -> f64 {
        figures.iter().find(|figure| figure.0 == name).and_then(|figure| figure.1).unwrap()
    }

    #[test]
    fn figures_by_hand_and_by_scikit_learn() {
        let found = numbers(&[(3.0, 2.5), (-0.5, 0.0), (2.0, 2.0), (7.0, 8.0)]);
        // The example of scikit-learn's r2_score.
        assert!((value(&found, "r2") - 0.948_608_137_044_967_9).abs() < 1e-12);
        assert_eq!((value(&found, "mae"), value(&found, "bias")), (0.5, 0.25));
        assert_eq!(r2(&[(1.0, 2.0), (1.0, 0.0)]), None);
        let rows = [(0, vec![0.7, 0.2, 0.1]), (1, vec![0.3, 0.4, 0.3]), (2, vec![0.5, 0.2, 0.3]), (1, vec![0.1, 0.3, 0.6])];
        let found = one_of_several(&rows);
        // scikit-learn: accuracy_score, roc_auc_score(multi_class="ovr"), f1_score(average="macro").
        assert_eq!(value(&found, "accuracy"), 0.5);
        assert!((value(&found, "auroc") - 2.5 / 3.0).abs() < 1e-12, "{}", value(&found, "auroc"));
        assert!((value(&found, "f1") - 4.0 / 9.0).abs() < 1e-12, "{}", value(&found, "f1"));
    }

    #[test]
    fn intervals_are_over_groups() {
        // Ten patients with ten equal ECGs each: as wide as that of ten values, not of a hundred.
        let rows: Vec<(f64, f64)> = (0..100).map(|i| (0.0, f64::from(i / 10))).collect();
        let groups: Vec<usize> = (0..100).map(|i| i / 10).collect();
        let width = |groups: Option<&[usize]>| {
            let bias = with_intervals(&rows, groups, 1, numbers)[3].estimate.unwrap();
            assert_eq!((bias.value, bias.ecgs), (4.5, 100));
            bias.high - bias.low
        };
        let (by_ecg, by_group) = (width(None), width(Some(&groups)));
        assert!(by_group > 2.5 * by_ecg && by_group < 4.5 * by_ecg, "{by_ecg} {by_group}");
        let lonely = with_intervals(&[(true, 0.5)], None, 1, |pairs| yes_or_no(pairs, 0.5));
        assert_eq!(lonely[0].estimate, None);
        assert_eq!(lonely[4].estimate.map(|e| e.value), Some(1.0));
    }
}
