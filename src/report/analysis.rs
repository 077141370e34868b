//! What the curves and maps of a study say: areas, ranks and their stability, differences between methods, correlations.

use super::published;
use super::resampled::Resampled;
use super::results::{PerturbationResults, TargetResults};
use crate::dataset::Target;
use crate::evaluation::bootstrap::{Estimate, quantile};
use crate::evaluation::compare::{Comparison, compare};
use crate::evaluation::ranks::{ascending, descending, pearson, spearman};
use crate::evaluation::scores::{self, END, Scoring, area, curve};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

/// Resamples behind the bands of the curves.
const BAND_RESAMPLES: usize = 200;
/// Resamples behind the intervals of areas and ranks.
const RANK_RESAMPLES: usize = 1000;

/// What perturbation says about the methods for one target.
#[derive(Clone, Debug)]
pub struct PerturbationAnalysis {
    /// The target.
    pub target: Target,
    /// The methods, in the study's order.
    pub methods: Vec<String>,
    /// ECGs scored: the same for all methods.
    pub ecgs: usize,
    /// The study's one scoring, of which curves, ranks, stability and comparison are.
    pub scoring: Scoring,
    /// Area to iteration 15 per scoring and method, with its interval over resamples of ECGs.
    pub areas: Vec<(Scoring, Vec<Estimate>)>,
    /// The curve of each method, with its bootstrap band at some iterations.
    pub curves: Vec<Curve>,
    /// For each end from 10 to 25: the rank of each method, 1 is best.
    pub ranks_by_end: Vec<(usize, Vec<f64>)>,
    /// How firm each method's rank is over resamples of ECGs.
    pub stability: Vec<RankStability>,
    /// Friedman and Wilcoxon on the areas of single ECGs; `None` with fewer than two ECGs or methods.
    pub comparison: Option<Comparison>,
}

/// One line of Figure 7.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The mean at each iteration.
    pub mean: Vec<f64>,
    /// (iteration, 2.5 %, 97.5 %) over resamples of ECGs.
    pub band: Vec<(usize, f64, f64)>,
}

/// The curves of one panel.
#[derive(Clone, Debug)]
pub struct LabelledCurves {
    /// Printed above.
    pub title: String,
    /// What is drawn.
    pub scoring: Scoring,
    /// The methods.
    pub methods: Vec<String>,
    /// Their curves.
    pub curves: Vec<Curve>,
    /// Their classes as [`class`] tells them, by the areas under what is drawn.
    pub classes: Vec<Option<usize>>,
}

/// The rank of one method over bootstrap resamples of ECGs.
#[derive(Clone, Copy, Debug)]
pub struct RankStability {
    /// On all ECGs.
    pub rank: f64,
    /// 2.5 % quantile.
    pub low: f64,
    /// 97.5 % quantile.
    pub high: f64,
    /// Share of the resamples in which it is best.
    pub best: f64,
}

/// Analyses one target by the study's scoring, or by that of its kind where the study's is of another. `None` when there is no perturbation or nothing that can be scored.
pub fn perturbation(results: &TargetResults, scoring: Scoring, seed: u64) -> Option<PerturbationAnalysis> {
    let perturbed = sorted(results.perturbation.as_ref()?);
    let views: Vec<ArrayView2<'_, f32>> = perturbed.methods.iter().map(|method| method.predictions.view()).collect();
    let scoring = scoring.for_kind(results.target.kind());
    let rows = scores::usable(&perturbed.truth, &views, scoring);
    if rows.is_empty() || views.is_empty() {
        return None;
    }
    let mut resampled = Resampled::new(seed, RANK_RESAMPLES);
    let scores_of =
        |view: &ArrayView2<'_, f32>, by: Scoring, rows: &[usize]| scores::scores(*view, &perturbed.truth, perturbed.target_sd, by, rows);
    let scored: Vec<Array2<f64>> = views.par_iter().map(|view| scores_of(view, scoring, &rows)).collect();
    // The study's scripts drop rows for each method by itself; every other scoring compares methods on the same ECGs.
    let own_rows = |view: &ArrayView2<'_, f32>, by: Scoring| match by {
        Scoring::Paper => scores::finite_rows(*view, &perturbed.truth),
        _ => rows.clone(),
    };
    let mut area_of = |view: &ArrayView2<'_, f32>, by: Scoring| resampled.area(&scores_of(view, by, &own_rows(view, by)), by);
    let own = Scoring::of(results.target.kind()).iter();
    let areas = own.map(|by| (*by, views.iter().map(|view| area_of(view, *by)).collect())).collect();
    let singles = Array2::from_shape_fn((rows.len(), views.len()), |(i, m)| area(scored[m].row(i), END));
    let blocks: Vec<Vec<f64>> = singles.rows().into_iter().map(|row| row.to_vec()).collect();
    let curves = curves(&scored, scoring, seed);
    Some(PerturbationAnalysis {
        target: results.target,
        methods: perturbed.methods.iter().map(|method| method.method.clone()).collect(),
        ecgs: rows.len(),
        scoring,
        areas,
        ranks_by_end: scores::ranks_by_end(&curves.iter().map(|curve| curve.mean.clone()).collect::<Vec<_>>()),
        curves,
        stability: stability(&scored, scoring, &mut resampled),
        comparison: compare(&blocks),
    })
}

/// The same results with the methods in the study's order.
pub(super) fn sorted(results: &PerturbationResults) -> PerturbationResults {
    let mut names: Vec<String> = results.methods.iter().map(|method| method.method.clone()).collect();
    super::methods::sort(&mut names);
    let mut sorted = results.clone();
    sorted.methods.sort_by_key(|method| names.iter().position(|name| *name == method.method));
    sorted
}

/// The curve of each method and its band, from scores (n, iterations + 1) on the same ECGs.
pub fn curves(scores: &[Array2<f64>], scoring: Scoring, seed: u64) -> Vec<Curve> {
    let iterations = scores[0].ncols();
    let at: Vec<usize> = (0..iterations).filter(|t| *t <= 25 || t % 5 == 0 || t + 1 == iterations).collect();
    let mut resampled = Resampled::new(seed, BAND_RESAMPLES);
    let mut band = |scores: &Array2<f64>| {
        let centres = resampled.centres(&scores.select(Axis(1), &at), scoring);
        let limits = |(j, t): (usize, &usize)| {
            let mut sorted = centres.column(j).to_vec();
            sorted.sort_by(f64::total_cmp);
            Some((*t, quantile(&sorted, 0.025)?, quantile(&sorted, 0.975)?))
        };
        at.iter().enumerate().filter_map(limits).collect()
    };
    scores.iter().map(|scores| Curve { mean: curve(scores, scoring), band: band(scores) }).collect()
}

fn stability(scored: &[Array2<f64>], scoring: Scoring, resampled: &mut Resampled) -> Vec<RankStability> {
    let whole = descending(&scored.iter().map(|scores| area(&curve(scores, scoring), END)).collect::<Vec<f64>>());
    let areas: Vec<Vec<f64>> = scored.iter().map(|scores| resampled.areas(scores, scoring)).collect();
    let of_resample = |number: usize| descending(&areas.iter().map(|areas| areas[number]).collect::<Vec<f64>>());
    let ranks: Vec<Vec<f64>> = (0..RANK_RESAMPLES).map(of_resample).collect();
    let of = |(m, rank): (usize, &f64)| {
        let mut own: Vec<f64> = ranks.iter().map(|ranks| ranks[m]).collect();
        own.sort_by(f64::total_cmp);
        let best = own.iter().filter(|rank| **rank < 1.5).count() as f64 / own.len() as f64;
        let limit = |share| quantile(&own, share).unwrap_or(f64::NAN);
        RankStability { rank: *rank, low: limit(0.025), high: limit(0.975), best }
    };
    whole.iter().enumerate().map(of).collect()
}

/// How alike two rankings of the methods are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Pearson's correlation of the areas.
    pub pearson: Option<f64>,
    /// Spearman's.
    pub spearman: Option<f64>,
    /// Methods in both.
    pub methods: usize,
}

/// The study's words for how a method did, from the range between the random control and the winner: best, medium, poor.
pub const CLASSES: [&str; 3] = ["best", "medium", "poor"];

/// The class of an area, 1 to 3: the thirds of the range from the random control's area to the winner's, from the winner down; what is below
/// the control is poor. `None` where there is no control or it is not below the winner.
pub fn class(area: f64, random: f64, winner: f64) -> Option<usize> {
    let place = (area - random) / (winner - random);
    (winner > random && place.is_finite()).then(|| {
        if place > 2.0 / 3.0 {
            1
        } else if place > 1.0 / 3.0 {
            2
        } else {
            3
        }
    })
}

/// The class of each method by its area.
pub fn classes(methods: &[String], areas: &[f64]) -> Vec<Option<usize>> {
    let random = methods.iter().zip(areas).find(|(method, _)| *method == "random").map_or(f64::NAN, |(_, area)| *area);
    let winner = areas.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    areas.iter().map(|area| class(*area, random, winner)).collect()
}

/// A class as it stands behind a method's name or an area: ` (1)`; nothing where there is none.
pub fn class_mark(class: Option<usize>) -> String {
    class.map_or_else(String::new, |class| format!(" ({class})"))
}

impl PerturbationAnalysis {
    /// Its panel of Figure 7.
    pub fn panel(&self) -> LabelledCurves {
        LabelledCurves {
            title: self.target.title().into(),
            scoring: self.scoring,
            methods: self.methods.clone(),
            curves: self.curves.clone(),
            classes: self.classes(self.scoring),
        }
    }

    /// The areas by one scoring, with their intervals.
    pub fn areas_by(&self, scoring: Scoring) -> &[Estimate] {
        self.areas.iter().find(|areas| areas.0 == scoring).map_or(&[], |areas| &areas.1)
    }

    /// The class of each method by one scoring, as [`class`] tells it.
    pub fn classes(&self, scoring: Scoring) -> Vec<Option<usize>> {
        classes(&self.methods, &self.areas_by(scoring).iter().map(|area| area.value).collect::<Vec<f64>>())
    }

    /// Whether the ranking is the same for every end from 10 to 25, as the study found.
    pub fn same_at_every_end(&self) -> bool {
        self.ranks_by_end.windows(2).all(|pair| pair[0].1 == pair[1].1)
    }

    /// The methods that no test tells apart from the one of the best mean rank, that one first.
    pub fn best(&self) -> Vec<&str> {
        let Some(comparison) = &self.comparison else { return Vec::new() };
        let order = crate::evaluation::compare::by_rank(comparison);
        let alike = order.iter().filter(|method| comparison.pairs[order[0]][**method] >= 0.05);
        alike.map(|method| self.methods[*method].as_str()).collect()
    }

    /// Correlation of the areas by the study's formula with Table 4 as published, over the methods in both, with the random control or without.
    pub fn against_published(&self, with_random: bool) -> Likeness {
        let areas = self.areas_by(Scoring::Paper);
        let both = |(method, own): (&String, &Estimate)| {
            let wanted = with_random || method != "random";
            Some((own.value, published::table4(method, self.target).filter(|_| wanted)?))
        };
        let (own, theirs): (Vec<f64>, Vec<f64>) = self.methods.iter().zip(areas).filter_map(both).unzip();
        Likeness { pearson: pearson(&own, &theirs), spearman: spearman(&own, &theirs), methods: own.len() }
    }

    /// Experts against perturbation, over the nine methods: (method, rank by the published votes on full heatmaps, rank by area), and Spearman.
    pub fn against_experts(&self) -> (Vec<(String, f64, f64)>, Option<f64>) {
        let areas = self.areas_by(self.scoring);
        let found =
            |(method, area): (&String, &Estimate)| Some((method.clone(), f64::from(published::votes(method, self.target)?.0), area.value));
        let rows: Vec<(String, f64, f64)> = self.methods.iter().zip(areas).filter_map(found).collect();
        let votes = descending(&rows.iter().map(|row| row.1).collect::<Vec<f64>>());
        let objective = descending(&rows.iter().map(|row| row.2).collect::<Vec<f64>>());
        let correlation = pearson(&votes, &objective);
        let ranked = rows.into_iter().zip(votes.iter().zip(&objective)).map(|(row, (v, o))| (row.0, *v, *o)).collect();
        (ranked, correlation)
    }
}

/// Spearman correlation of |attribution| over the points of a map, mean over ECGs, for each pair of methods. Methods in the order of `methods`.
pub fn map_correlations(results: &TargetResults, methods: &[String]) -> Vec<Vec<Option<f64>>> {
    let maps: Vec<_> = methods.iter().map(|method| results.maps_of(method)).collect();
    let ecgs = maps.iter().flatten().map(|maps| maps.dim().0).min().unwrap_or(0);
    let ranks_of = |ecg: usize| -> Vec<Option<Vec<f64>>> {
        let sizes = |maps: &ndarray::Array3<f32>| maps.index_axis(Axis(0), ecg).iter().map(|v| f64::from(v.abs())).collect::<Vec<f64>>();
        maps.iter().map(|maps| maps.map(|maps| ascending(&sizes(maps)))).collect()
    };
    let count = methods.len();
    let per_ecg: Vec<Vec<Option<f64>>> = (0..ecgs)
        .into_par_iter()
        .map(|ecg| {
            let ranks = ranks_of(ecg);
            let pair = |k: usize| pearson(ranks[k / count].as_ref()?, ranks[k % count].as_ref()?);
            (0..count * count).map(|k| if k / count <= k % count { pair(k) } else { None }).collect()
        })
        .collect();
    let mean = |a: usize, b: usize| {
        let k = a.min(b) * count + a.max(b);
        let known: Vec<f64> = per_ecg.iter().filter_map(|pairs| pairs[k]).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    (0..count).map(|a| (0..count).map(|b| mean(a, b)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 4 of the paper prints no classes but says how they come about: from the range between random control and winner.
    #[test]
    fn classes_are_thirds_of_the_range_from_random_to_winner() {
        let qrs = [1.91, 1.65, 1.21, 1.20, 0.58, 0.47];
        assert_eq!(qrs.map(|area| class(area, 0.58, 1.91)), [Some(1), Some(1), Some(2), Some(2), Some(3), Some(3)]);
        assert_eq!([class(1.0, 2.0, 2.0), class(1.0, f64::NAN, 2.0), class(f64::NAN, 0.0, 1.0)], [None; 3]);
    }
}
