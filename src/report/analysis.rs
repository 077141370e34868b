//! What the curves and maps of a study say: areas, ranks and their stability, differences between methods, correlations.

use super::published;
use super::results::{PerturbationResults, TargetResults};
use crate::dataset::Target;
use crate::evaluation::bootstrap::{quantile, resample};
use crate::evaluation::compare::{Comparison, compare};
use crate::evaluation::ranks::{ascending, descending, pearson, spearman};
use crate::evaluation::scores::{self, END, Scoring, area, curve};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

/// Resamples behind the bands of the curves.
const BAND_RESAMPLES: usize = 200;
/// Resamples behind the intervals of ranks.
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
    /// Area to iteration 15 per scoring and method.
    pub areas: Vec<(Scoring, Vec<f64>)>,
    /// Mean curve per method, by mean |y − ŷ| / |y|, with its bootstrap band at some iterations.
    pub curves: Vec<Curve>,
    /// For each end from 10 to 25: the rank of each method by the study's scoring, 1 is best.
    pub ranks_by_end: Vec<(usize, Vec<f64>)>,
    /// How firm each method's rank is over resamples of ECGs, by mean |y − ŷ| / |y|.
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
    /// The methods.
    pub methods: Vec<String>,
    /// Their curves.
    pub curves: Vec<Curve>,
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

/// Analyses one target. `None` when there is no perturbation or nothing that can be scored.
pub fn perturbation(results: &TargetResults, seed: u64) -> Option<PerturbationAnalysis> {
    let perturbed = sorted(results.perturbation.as_ref()?);
    let views: Vec<ArrayView2<'_, f32>> = perturbed.methods.iter().map(|method| method.predictions.view()).collect();
    let rows = scores::usable(&perturbed.truth, &views);
    if rows.is_empty() || views.is_empty() {
        return None;
    }
    let curves_by = |scoring| scores::curves(&perturbed.truth, perturbed.target_sd, &views, scoring);
    let paper = curves_by(Scoring::Paper);
    let areas = Scoring::ALL.into_par_iter().map(|scoring| (scoring, curves_by(scoring).iter().map(|curve| area(curve, END)).collect()));
    let percentage =
        |view: &ArrayView2<'_, f32>| scores::scores(*view, &perturbed.truth, perturbed.target_sd, Scoring::AbsolutePercentage, &rows);
    let scored: Vec<Array2<f64>> = views.par_iter().map(percentage).collect();
    let singles = Array2::from_shape_fn((rows.len(), views.len()), |(i, m)| area(scored[m].row(i), END));
    let blocks: Vec<Vec<f64>> = singles.rows().into_iter().map(|row| row.to_vec()).collect();
    Some(PerturbationAnalysis {
        target: results.target,
        methods: perturbed.methods.iter().map(|method| method.method.clone()).collect(),
        ecgs: rows.len(),
        areas: areas.collect(),
        curves: curves(&scored, seed),
        ranks_by_end: scores::ranks_by_end(&paper),
        stability: stability(&singles, seed),
        comparison: compare(&blocks),
    })
}

/// The same results with the methods in the study's order.
fn sorted(results: &PerturbationResults) -> PerturbationResults {
    let mut names: Vec<String> = results.methods.iter().map(|method| method.method.clone()).collect();
    super::methods::sort(&mut names);
    let mut sorted = results.clone();
    sorted.methods.sort_by_key(|method| names.iter().position(|name| *name == method.method));
    sorted
}

/// How often each of `n` units is drawn in each of `resamples` resamples, over n: a mean is then a product.
fn weights(n: usize, resamples: usize, seed: u64) -> Array2<f64> {
    let mut weights = Array2::zeros((resamples, n));
    for (number, mut row) in weights.rows_mut().into_iter().enumerate() {
        for unit in resample(n, seed, number) {
            row[unit] += 1.0 / n as f64;
        }
    }
    weights
}

/// The mean curve of each method and its band, from scores (n, iterations + 1) on the same ECGs.
pub fn curves(scores: &[Array2<f64>], seed: u64) -> Vec<Curve> {
    let iterations = scores[0].ncols();
    let at: Vec<usize> = (0..iterations).filter(|t| *t <= 25 || t % 5 == 0 || t + 1 == iterations).collect();
    let weights = weights(scores[0].nrows(), BAND_RESAMPLES, seed);
    let band = |scores: &Array2<f64>| {
        let means = weights.dot(&scores.select(Axis(1), &at));
        let limits = |(j, t): (usize, &usize)| {
            let mut sorted = means.column(j).to_vec();
            sorted.sort_by(f64::total_cmp);
            Some((*t, quantile(&sorted, 0.025)?, quantile(&sorted, 0.975)?))
        };
        at.iter().enumerate().filter_map(limits).collect()
    };
    scores.iter().map(|scores| Curve { mean: curve(scores, Scoring::AbsolutePercentage), band: band(scores) }).collect()
}

fn stability(singles: &Array2<f64>, seed: u64) -> Vec<RankStability> {
    let whole = descending(&singles.mean_axis(Axis(0)).map(|mean| mean.to_vec()).unwrap_or_default());
    let means = weights(singles.nrows(), RANK_RESAMPLES, seed).dot(singles);
    let ranks: Vec<Vec<f64>> = means.rows().into_iter().map(|row| descending(&row.to_vec())).collect();
    let of = |(m, rank): (usize, &f64)| {
        let mut own: Vec<f64> = ranks.iter().map(|ranks| ranks[m]).collect();
        own.sort_by(f64::total_cmp);
        let best = own.iter().filter(|rank| **rank < 1.5).count() as f64 / own.len() as f64;
        let limit = |share| quantile(&own, share).unwrap_or(f64::NAN);
        RankStability { rank: *rank, low: limit(0.025), high: limit(0.975), best }
    };
    whole.iter().enumerate().map(of).collect()
}

impl PerturbationAnalysis {
    /// Its panel of Figure 7.
    pub fn panel(&self) -> LabelledCurves {
        LabelledCurves { title: self.target.title().into(), methods: self.methods.clone(), curves: self.curves.clone() }
    }

    /// The areas by one scoring.
    pub fn areas_by(&self, scoring: Scoring) -> &[f64] {
        self.areas.iter().find(|areas| areas.0 == scoring).map_or(&[], |areas| &areas.1)
    }

    /// Whether the ranking is the same for every end from 10 to 25, as the study found.
    pub fn same_at_every_end(&self) -> bool {
        self.ranks_by_end.windows(2).all(|pair| pair[0].1 == pair[1].1)
    }

    /// Correlation of the areas (study's scoring) with Table 4 as published, over the methods in both: Pearson, Spearman.
    pub fn against_published(&self) -> (Option<f64>, Option<f64>) {
        let areas = self.areas_by(Scoring::Paper);
        let found = self.methods.iter().zip(areas).filter_map(|(method, own)| Some((*own, published::table4(method, self.target)?)));
        let (own, theirs): (Vec<f64>, Vec<f64>) = found.unzip();
        (pearson(&own, &theirs), spearman(&own, &theirs))
    }

    /// Experts against perturbation, over the nine methods: (method, rank by the published votes on full heatmaps, rank by area), and Spearman.
    pub fn against_experts(&self) -> (Vec<(String, f64, f64)>, Option<f64>) {
        let areas = self.areas_by(Scoring::Paper);
        let found = |(method, area): (&String, &f64)| Some((method.clone(), f64::from(published::votes(method, self.target)?.0), *area));
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
