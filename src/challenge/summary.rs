//! From figures per ECG to one figure per method and criterion, with a percentile bootstrap interval over ECGs.

use super::findings::{Criterion, Findings};
use super::replace::Replacement;
use super::run::Challenged;
pub use crate::evaluation::bootstrap::Estimate;
use crate::evaluation::bootstrap::{RESAMPLES, quantile, resample};
use serde::Serialize;
use std::collections::BTreeMap;

/// Which way a figure speaks for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// The larger the better.
    Higher,
    /// The smaller the better.
    Lower,
    /// Neither: it describes.
    Neither,
}

/// One criterion of the main table.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Its name in files.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Which way is better.
    pub better: Better,
    /// Whether it can rank methods by itself: a map of one constant, or of nothing but the ECG, has not got the best figure.
    pub ranks_alone: bool,
    /// One figure per method; `None` where there is none.
    pub cells: Vec<Option<Estimate>>,
}

/// Bootstrap resamples, drawn once for each number of ECGs.
#[derive(Debug)]
pub struct Resamples {
    seed: u64,
    drawn: BTreeMap<usize, Vec<Vec<usize>>>,
}

impl Resamples {
    /// Resamples under a seed.
    pub fn new(seed: u64) -> Self {
        Resamples { seed, drawn: BTreeMap::new() }
    }

    /// A statistic of `n` ECGs, with its interval. `None` where the statistic has no value on all of them.
    pub fn estimate(&mut self, n: usize, ecgs: usize, statistic: impl Fn(&[usize]) -> Option<f64>) -> Option<Estimate> {
        let seed = self.seed;
        let value = statistic(&(0..n).collect::<Vec<usize>>())?;
        let drawn = self.drawn.entry(n).or_insert_with(|| (0..RESAMPLES).map(|number| resample(n, seed, number)).collect());
        let mut all: Vec<f64> = drawn.iter().filter_map(|units| statistic(units)).collect();
        all.sort_by(f64::total_cmp);
        Some(Estimate { value, low: quantile(&all, 0.025)?, high: quantile(&all, 0.975)?, ecgs })
    }

    /// The mean over the ECGs that have a value.
    pub fn mean(&mut self, values: &[Option<f64>]) -> Option<Estimate> {
        let mean = |units: &[usize]| {
            let (sum, n) = units.iter().filter_map(|unit| values[*unit]).fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
            (n > 0).then(|| sum / n as f64)
        };
        self.estimate(values.len(), values.iter().flatten().count(), mean)
    }

    /// (score − lower) / (upper − lower), of sums over the ECGs that have all three: 0 at the lower bound, 1 at the upper.
    pub fn normalised(&mut self, scores: &[Option<f64>], lower: &[Option<f64>], upper: &[Option<f64>]) -> Option<Estimate> {
        let all: Vec<Option<[f64; 3]>> = (0..scores.len()).map(|n| Some([scores[n]?, lower[n]?, upper[n]?])).collect();
        let ratio = |units: &[usize]| {
            let (above, whole) = units.iter().filter_map(|unit| all[*unit]).fold((0.0, 0.0), |sum, [score, lower, upper]| {
                let (above, whole): (f64, f64) = sum;
                (above + score - lower, whole + upper - lower)
            });
            (whole > 0.0).then(|| above / whole)
        };
        self.estimate(all.len(), all.iter().flatten().count(), ratio)
    }
}

/// The columns of the main table, in its order: criterion, measure, name for people, which way is better.
const PLAIN: [(Criterion, &str, &str, Better); 8] = [
    (Criterion::Localisation, "ratio", "Localisation: share of |attribution| / share of points", Better::Higher),
    (Criterion::Infidelity, "noise.unexplained", "Infidelity under noise: share unexplained", Better::Lower),
    (Criterion::Infidelity, "window.unexplained", "Infidelity under removal: share unexplained", Better::Lower),
    (Criterion::Sensitivity, "max", "Max-sensitivity", Better::Lower),
    (Criterion::Cascading, "spearman_absolute", "All weights randomised: rank correlation", Better::Lower),
    (Criterion::Independent, "mean.spearman_absolute", "One layer randomised, mean over layers: rank correlation", Better::Lower),
    (Criterion::PermutedLabels, "permuted.spearman_absolute", "Trained on permuted labels: rank correlation", Better::Lower),
    (Criterion::Seeds, "mean.spearman_absolute", "Trained from another seed: rank correlation", Better::Higher),
];

/// The main table's columns for one network.
pub fn columns(challenged: &Challenged, seed: u64) -> Vec<Column> {
    let mut resamples = Resamples::new(seed);
    let mut all = Vec::new();
    for (criterion, measure, title, better) in PLAIN {
        let Some(found) = challenged.of(criterion) else { continue };
        // The cascade ends where every layer is randomised; its last layer has another name in every network.
        let all_layers = criterion == Criterion::Cascading;
        let layer = if all_layers { found.measures.iter().rev().find_map(|measure| measure.layer.as_deref()) } else { None };
        let cells = challenged.methods.iter().map(|m| resamples.mean(found.values_at(layer, measure, m.name())?)).collect();
        let name = if all_layers { "cascading.all".into() } else { format!("{criterion}.{measure}") };
        let ranks_alone = criterion == Criterion::Infidelity;
        all.push(Column { name, title: title.into(), better, ranks_alone, cells });
    }
    if let Some(found) = challenged.of(Criterion::Replacement) {
        for kind in Replacement::ALL {
            all.extend(replacement_columns(challenged, found, kind, &mut resamples));
        }
    }
    if let Some(found) = challenged.of(Criterion::Likeness) {
        let cells = challenged.methods.iter().map(|m| resamples.mean(found.values("mean", m.name())?)).collect();
        all.push(Column {
            name: "likeness.mean".into(),
            title: "Rank correlation with the other methods".into(),
            better: Better::Neither,
            ranks_alone: false,
            cells,
        });
    }
    all
}

fn replacement_columns(challenged: &Challenged, found: &Findings, kind: Replacement, resamples: &mut Resamples) -> Vec<Column> {
    let bound = |of: &str| found.values(&format!("{}.bounds", kind.name()), of);
    let mut normalised = |what: &str, title: String, better: Better| {
        let measure = format!("{}.{what}", kind.name());
        let cell = |method: &crate::attribution::Method, resamples: &mut Resamples| {
            resamples.normalised(found.values(&measure, method.name())?, bound("random_orders")?, bound("oracle")?)
        };
        let cells = challenged.methods.iter().map(|method| cell(method, resamples)).collect();
        Column { name: format!("replacement.{measure}"), title, better, ranks_alone: true, cells }
    };
    vec![
        normalised("morf", format!("MoRF, {}: 0 random, 1 oracle", kind.title()), Better::Higher),
        normalised("lerf", format!("LeRF, {}: 0 random, 1 oracle", kind.title()), Better::Lower),
    ]
}
