//! From perturbed predictions to curves, areas and ranks: the study's formula, and the ones that its traps call for.

use super::bootstrap::quantile;
use super::classes::placements;
use super::ranks::descending;
use crate::dataset::TargetKind;
use crate::{Error, Result};
use cardiograd_kernels::elementary;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

/// The last iteration of the study's area.
pub const END: usize = 15;
/// The ends at which the study checked its ranking.
pub const ENDS: std::ops::RangeInclusive<usize> = 10..=25;

/// What is plotted against the number of perturbed points, and summed to an area. y is the measured value, ŷ the prediction at an iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scoring {
    /// |y − ŷ| / y, mean over ECGs: the study's formula, negative for negative y.
    Paper,
    /// |y − ŷ| / |y|, mean over ECGs: what a study ranks by unless it is told another.
    #[default]
    AbsolutePercentage,
    /// |y − ŷ| / |y|, median over ECGs.
    MedianPercentage,
    /// |y − ŷ| in the target's unit, mean over ECGs.
    Physical,
    /// |y − ŷ| / SD(y), mean over ECGs.
    PerSd,
    /// |f(x′) − f(x)| in the target's unit, mean over ECGs: what the perturbation moved, whatever was measured.
    Change,
    /// Of classes: how far the logit fell towards the wrong label, mean over ECGs.
    Logit,
    /// Of yes or no: how far the probability fell towards the wrong label, mean over ECGs.
    Probability,
    /// Of classes: how far the area under the ROC curve over all ECGs fell.
    Auroc,
}

impl Scoring {
    /// The scorings of numbers, the study's first.
    pub const ALL: [Scoring; 6] =
        [Scoring::Paper, Scoring::AbsolutePercentage, Scoring::MedianPercentage, Scoring::Physical, Scoring::PerSd, Scoring::Change];

    /// The scorings of yes or no.
    pub const CLASSES: [Scoring; 3] = [Scoring::Logit, Scoring::Probability, Scoring::Auroc];

    /// The scorings of a kind of target. One class of several has no probability by itself.
    pub fn of(kind: TargetKind) -> &'static [Scoring] {
        match kind {
            TargetKind::Regression | TargetKind::Several => &Scoring::ALL,
            TargetKind::Binary | TargetKind::MultiLabel => &Scoring::CLASSES,
            TargetKind::Class | TargetKind::MultiClass => &[Scoring::Logit, Scoring::Auroc],
        }
    }

    /// This scoring where it is one of a kind's, else the first by which that kind is ranked.
    pub fn for_kind(self, kind: TargetKind) -> Scoring {
        match Scoring::of(kind) {
            own if own.contains(&self) => self,
            own if own.contains(&Scoring::default()) => Scoring::default(),
            own => own[0],
        }
    }

    /// Whether it is of classes: a measured value is then 0 or 1, and no percentage is taken of it.
    pub fn is_of_classes(self) -> bool {
        matches!(self, Scoring::Logit | Scoring::Probability | Scoring::Auroc)
    }

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Scoring::Paper => "paper",
            Scoring::AbsolutePercentage => "absolute_percentage",
            Scoring::MedianPercentage => "median_percentage",
            Scoring::Physical => "physical",
            Scoring::PerSd => "per_sd",
            Scoring::Change => "change",
            Scoring::Logit => "logit",
            Scoring::Probability => "probability",
            Scoring::Auroc => "auroc",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Scoring::Paper => "mean |y − ŷ| / y, as published",
            Scoring::AbsolutePercentage => "mean |y − ŷ| / |y|",
            Scoring::MedianPercentage => "median |y − ŷ| / |y|",
            Scoring::Physical => "mean |y − ŷ| in ms or µV",
            Scoring::PerSd => "mean |y − ŷ| / SD(y)",
            Scoring::Change => "mean |f(x′) − f(x)| in ms or µV",
            Scoring::Logit => "mean fall of the logit towards the wrong label",
            Scoring::Probability => "mean fall of the probability of the right label",
            Scoring::Auroc => "fall of AUROC over ECGs",
        }
    }

    /// The score of one prediction; of classes `truth` is 0 or 1 and predictions are logits. `first` is the prediction before any perturbation, `sd` the
    /// standard deviation of the target. NaN for [`Scoring::Auroc`], which no prediction has alone.
    pub fn value(self, truth: f64, first: f64, now: f64, sd: f64) -> f64 {
        let towards_wrong = |first: f64, now: f64| if truth > 0.5 { first - now } else { now - first };
        let probability = |logit: f64| 1.0 / (1.0 + elementary::exp(-logit));
        match self {
            Scoring::Logit => towards_wrong(first, now),
            Scoring::Probability => towards_wrong(probability(first), probability(now)),
            Scoring::Auroc => f64::NAN,
            Scoring::Paper => (truth - now).abs() / truth,
            Scoring::AbsolutePercentage | Scoring::MedianPercentage => (truth - now).abs() / truth.abs(),
            Scoring::Physical => (truth - now).abs(),
            Scoring::PerSd => (truth - now).abs() / sd,
            Scoring::Change => (now - first).abs(),
        }
    }
}

impl std::str::FromStr for Scoring {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = || Scoring::ALL.into_iter().chain(Scoring::CLASSES);
        let known = || all().map(Scoring::name).collect::<Vec<_>>().join(" ");
        let found = all().find(|scoring| scoring.name() == text);
        found.ok_or_else(|| Error::Usage(format!("unknown scoring '{text}': the scorings are {}", known())))
    }
}

impl std::fmt::Display for Scoring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Scores of one method on some of its rows, (rows, iterations + 1). `predictions` is (n, iterations + 1), `truth` (n). Of [`Scoring::Auroc`] a row's
/// score is its share in the fall of the area, so that the mean over rows is that fall; NaN where only one label occurs.
pub fn scores(predictions: ArrayView2<'_, f32>, truth: &[f64], sd: f64, scoring: Scoring, rows: &[usize]) -> Array2<f64> {
    if scoring == Scoring::Auroc {
        let at = |iteration: usize| {
            let pairs: Vec<_> = rows.iter().map(|row| (truth[*row] > 0.5, f64::from(predictions[[*row, iteration]]))).collect();
            placements(&pairs).unwrap_or_else(|| vec![f64::NAN; rows.len()])
        };
        let first = if predictions.ncols() > 0 { at(0) } else { Vec::new() };
        let mut shares = Array2::zeros((rows.len(), predictions.ncols()));
        for (iteration, mut column) in shares.columns_mut().into_iter().enumerate() {
            column.iter_mut().zip(first.iter().zip(at(iteration))).for_each(|(share, (first, now))| *share = first - now);
        }
        return shares;
    }
    Array2::from_shape_fn((rows.len(), predictions.ncols()), |(i, iteration)| {
        let row = rows[i];
        scoring.value(truth[row], f64::from(predictions[[row, 0]]), f64::from(predictions[[row, iteration]]), sd)
    })
}

/// Why a row cannot be scored on every method; `None` where it can. A NaN is a value that nobody knows, of which the change of the prediction can still be
/// scored. `methods` are (n, iterations + 1) each.
pub fn exclusion(truth: f64, methods: &[ArrayView2<'_, f32>], row: usize, scoring: Scoring) -> Option<&'static str> {
    if !truth.is_finite() && !(truth.is_nan() && scoring == Scoring::Change) {
        Some("the measured value is not finite")
    } else if truth == 0.0 && !scoring.is_of_classes() {
        Some("the measured value is 0: a percentage of it is infinite")
    } else if methods.iter().any(|predictions| predictions.row(row).iter().any(|p| !p.is_finite())) {
        Some("a prediction is not finite")
    } else {
        None
    }
}

/// The rows that every method can be scored on: measured value not 0 (unless it is a label), every prediction of every method finite.
pub fn usable(truth: &[f64], methods: &[ArrayView2<'_, f32>], scoring: Scoring) -> Vec<usize> {
    (0..truth.len()).filter(|row| exclusion(truth[*row], methods, *row, scoring).is_none()).collect()
}

/// The rows that the study's scripts keep for one method: those of which every score is finite, whatever the other methods do.
pub fn finite_rows(predictions: ArrayView2<'_, f32>, truth: &[f64]) -> Vec<usize> {
    let finite = |row: &usize| {
        let first = f64::from(predictions[[*row, 0]]);
        predictions.row(*row).iter().all(|now| Scoring::Paper.value(truth[*row], first, f64::from(*now), 1.0).is_finite())
    };
    (0..truth.len()).filter(finite).collect()
}

/// The curve over ECGs: their mean, or their median for [`Scoring::MedianPercentage`]. Empty when there are no ECGs.
pub fn curve(scores: &Array2<f64>, scoring: Scoring) -> Vec<f64> {
    if scores.nrows() == 0 {
        return Vec::new();
    }
    if scoring != Scoring::MedianPercentage {
        return scores.mean_axis(Axis(0)).map(|mean| mean.to_vec()).unwrap_or_default();
    }
    let median = |column: ArrayView1<'_, f64>| {
        let mut sorted = column.to_vec();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, 0.5).unwrap_or(f64::NAN)
    };
    scores.columns().into_iter().map(median).collect()
}

/// Trapezoid area under a curve from iteration 0 to `end`, or to its own end. NaN for a curve without points, of which nothing is known.
pub fn area<'a>(curve: impl IntoIterator<Item = &'a f64>, end: usize) -> f64 {
    let values: Vec<f64> = curve.into_iter().copied().take(end + 1).collect();
    if values.is_empty() {
        return f64::NAN;
    }
    values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum()
}

/// The curve of each method by one scoring. The study's scoring drops rows per method, as its scripts do; every other compares the methods on
/// the same ECGs. `methods` are (n, iterations + 1) each.
pub fn curves(truth: &[f64], sd: f64, methods: &[ArrayView2<'_, f32>], scoring: Scoring) -> Vec<Vec<f64>> {
    let common = usable(truth, methods, scoring);
    let of = |predictions: &ArrayView2<'_, f32>| {
        let rows = if scoring == Scoring::Paper { finite_rows(*predictions, truth) } else { common.clone() };
        curve(&scores(*predictions, truth, sd, scoring, &rows), scoring)
    };
    methods.iter().map(of).collect()
}

/// The rank of each curve by its area to each end from 10 to 25 that the curves reach; 1 is the largest.
pub fn ranks_by_end(curves: &[Vec<f64>]) -> Vec<(usize, Vec<f64>)> {
    let reach = curves.iter().map(Vec::len).min().unwrap_or(0);
    let ranks = |end: usize| (end, descending(&curves.iter().map(|curve| area(curve, end)).collect::<Vec<f64>>()));
    ENDS.filter(|end| *end < reach).map(ranks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn curves_by_hand() {
        let predictions = array![[11.0f32, 12.0], [-4.0, -10.0], [0.0, 1.0]];
        let truth = [10.0, -5.0, 0.0];
        let of = |scoring| curves(&truth, 2.0, &[predictions.view()], scoring).remove(0);
        let near = |a: Vec<f64>, b: [f64; 2]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
        near(of(Scoring::Paper), [(0.1 - 0.2) / 2.0, (0.2 - 1.0) / 2.0]);
        near(of(Scoring::AbsolutePercentage), [0.15, 0.6]);
        near(of(Scoring::MedianPercentage), [0.15, 0.6]);
        near(of(Scoring::Physical), [1.0, 3.5]);
        near(of(Scoring::PerSd), [0.5, 1.75]);
        near(of(Scoring::Change), [0.0, 3.5]);
    }

    #[test]
    fn only_the_published_scoring_drops_rows_per_method() {
        let whole = array![[2.0f32, 3.0], [4.0, 6.0]];
        let broken = array![[2.0f32, 3.0], [4.0, f32::INFINITY]];
        let both = [whole.view(), broken.view()];
        let truth = [1.0, 2.0];
        assert_eq!(usable(&truth, &both, Scoring::Physical), [0]);
        assert_eq!(exclusion(2.0, &both, 1, Scoring::Physical), Some("a prediction is not finite"));
        let physical = curves(&truth, 1.0, &both, Scoring::Physical);
        assert_eq!(physical, [vec![1.0, 2.0], vec![1.0, 2.0]]);
        let paper = curves(&truth, 1.0, &both, Scoring::Paper);
        assert_eq!(paper, [vec![1.0, 2.0], vec![1.0, 2.0]]);
        let change = curves(&[3.0, 0.0], 1.0, &[whole.view()], Scoring::Change);
        assert_eq!(change, [vec![0.0, 1.0]], "a measured value of 0 is left out for every scoring, so that all use the same ECGs");
    }

    #[test]
    fn labels_are_scored_by_how_far_predictions_fall() {
        // Two yes and two no, told apart; then a no rises above one yes and ties with the other.
        let predictions = array![[2.0f32, 0.5], [1.0, 1.0], [0.0, 1.0], [-1.0, -1.0]];
        let truth = [1.0, 1.0, 0.0, 0.0];
        let of = |scoring| curves(&truth, 1.0, &[predictions.view()], scoring).remove(0);
        assert_eq!(of(Scoring::Logit), [0.0, (1.5 + 1.0) / 4.0]);
        let p = |logit: f64| 1.0 / (1.0 + elementary::exp(-logit));
        assert!((of(Scoring::Probability)[1] - (p(2.0) - p(0.5) + p(1.0) - p(0.0)) / 4.0).abs() < 1e-12);
        assert_eq!(of(Scoring::Auroc), [0.0, 1.0 - 2.5 / 4.0]);
        assert!(curves(&[1.0; 4], 1.0, &[predictions.view()], Scoring::Auroc)[0][0].is_nan());
        let kind = crate::dataset::TargetKind::Binary;
        assert_eq!((Scoring::Auroc.for_kind(kind), Scoring::Paper.for_kind(kind)), (Scoring::Auroc, Scoring::Logit));
        assert_eq!(Scoring::Logit.for_kind(TargetKind::Regression), Scoring::AbsolutePercentage);
        assert_eq!("auroc".parse::<Scoring>().unwrap(), Scoring::Auroc);
    }

    #[test]
    fn areas_and_ranks() {
        assert_eq!(area(&[0.0, 1.0, 2.0, 3.0], 2), 2.0);
        assert_eq!(area(&[1.0; 201], 15), 15.0);
        assert_eq!(area(&[1.0; 4], 15), 3.0);
        assert!(area(&[], 15).is_nan());
        let early: Vec<f64> = (0..=30).map(|t| if t > 3 { 1.0 } else { 0.0 }).collect();
        let late: Vec<f64> = (0..=30).map(|t| if t > 14 { 5.0 } else { 0.0 }).collect();
        let ranks = ranks_by_end(&[early, late]);
        assert_eq!((ranks.len(), ranks[0].0, ranks[15].0), (16, 10, 25));
        assert_eq!(ranks[0].1, [1.0, 2.0]);
        assert_eq!(ranks[15].1, [2.0, 1.0]);
        assert!(ranks_by_end(&[vec![0.0; 8]]).is_empty());
    }
}
