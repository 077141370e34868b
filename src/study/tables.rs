//! The tables of a study for programs to read: names as on the command line, numbers in full.

use crate::dataset::{Target, TargetKind};
use crate::evaluation::scores::{END, Scoring, area, curves, exclusion, ranks_by_end};
use crate::files::atomic;
use crate::report::results::{SplitMetrics, StudyResults, TargetResults};
use crate::report::tables::{Cell, Table};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};
use std::path::Path;

/// What perturbation did to one network.
#[derive(Clone, Debug)]
pub struct Perturbed {
    /// The column: the target's name, or whatever tells this network from another of the same target.
    pub name: String,
    /// The ECGs (n), as indices in their dataset.
    pub ecgs: Vec<u64>,
    /// Their measured values (n); NaN where nobody knows any of them.
    pub truth: Vec<f64>,
    /// Standard deviation of the target over the training part; NaN where it is not known.
    pub sd: f64,
    /// What kind of value is predicted, by which it is scored.
    pub kind: TargetKind,
    /// Names of methods and their predictions, (n, iterations + 1).
    pub methods: Vec<(String, Array2<f32>)>,
}

impl Perturbed {
    /// What a study found, one entry per target that was perturbed.
    pub fn of(results: &StudyResults) -> Vec<Perturbed> {
        let one = |target: &TargetResults| {
            let found = target.perturbation.as_ref()?;
            Some(Perturbed {
                name: target.target.name().into(),
                ecgs: found.ecgs.clone(),
                truth: found.truth.clone(),
                sd: found.target_sd,
                kind: target.target.kind(),
                methods: found.methods.iter().map(|method| (method.method.clone(), method.predictions.clone())).collect(),
            })
        };
        results.targets.iter().filter_map(one).collect()
    }

    fn views(&self) -> Vec<ArrayView2<'_, f32>> {
        self.methods.iter().map(|(_, curves)| curves.view()).collect()
    }

    /// The scorings of its kind; only that of the change where no value is known, and none by a deviation that is not.
    pub fn scorings(&self) -> Vec<Scoring> {
        if self.is_unknown() {
            return vec![Scoring::Change];
        }
        Scoring::of(self.kind).iter().copied().filter(|scoring| *scoring != Scoring::PerSd || !self.sd.is_nan()).collect()
    }

    /// Whether nobody knows the value of any of the ECGs.
    pub fn is_unknown(&self) -> bool {
        !self.truth.is_empty() && self.truth.iter().all(|value| value.is_nan())
    }

    /// Area to iteration 15 of each method, by one scoring; NaN where no ECG can be scored, and by a scoring of another kind.
    pub fn areas(&self, scoring: Scoring) -> Vec<f64> {
        if !self.scorings().contains(&scoring) {
            return vec![f64::NAN; self.methods.len()];
        }
        let curves = curves(&self.truth, self.sd, &self.views(), scoring);
        curves.iter().map(|curve| if curve.is_empty() { f64::NAN } else { area(curve, END) }).collect()
    }

    /// ECGs that the corrected scorings leave out, and why.
    pub fn excluded(&self) -> Vec<(u64, String)> {
        let views = self.views();
        let reason =
            |row: usize| exclusion(self.truth[row], &views, row, self.scorings()[0]).map(|reason| (self.ecgs[row], reason.to_owned()));
        (0..self.ecgs.len()).filter_map(reason).collect()
    }
}

/// The scorings that any of some networks is scored by, those of numbers first.
pub fn scorings(networks: &[Perturbed]) -> Vec<Scoring> {
    let all = Scoring::ALL.into_iter().chain(Scoring::CLASSES);
    all.filter(|scoring| networks.iter().any(|network| network.scorings().contains(scoring))).collect()
}

/// Table 4: area to iteration 15, methods × networks of the scoring's kind, by one scoring. Methods in the order of the first network's.
pub fn area_table(networks: &[Perturbed], scoring: Scoring) -> Table {
    let networks: Vec<&Perturbed> = networks.iter().filter(|network| network.scorings().contains(&scoring)).collect();
    let header = std::iter::once("method".to_owned()).chain(networks.iter().map(|network| network.name.clone()));
    let mut table = Table::new(scoring.title(), header);
    let areas: Vec<Vec<f64>> = networks.iter().map(|network| network.areas(scoring)).collect();
    let methods = networks.first().map_or(&[][..], |first| &first.methods);
    for (at, (method, _)) in methods.iter().enumerate() {
        let cells = areas.iter().map(|areas| Cell::number(areas[at], 4));
        table.rows.push(std::iter::once(Cell::text(method)).chain(cells).collect());
    }
    table
}

/// Ranks by every scoring at every end from 10 to 25; 1 is the largest area.
pub fn rank_table(networks: &[Perturbed]) -> Table {
    let methods = networks.first().map_or(&[][..], |first| &first.methods);
    let header = ["target", "scoring", "end"].into_iter().map(str::to_owned).chain(methods.iter().map(|(name, _)| name.clone()));
    let mut table = Table::new("Rank by area to each end", header);
    for network in networks {
        for scoring in network.scorings() {
            for (end, ranks) in ranks_by_end(&curves(&network.truth, network.sd, &network.views(), scoring)) {
                let row = [Cell::text(&network.name), Cell::text(scoring.name()), Cell::number(end as f64, 0)];
                table.rows.push(row.into_iter().chain(ranks.iter().map(|rank| Cell::number(*rank, 1))).collect());
            }
        }
    }
    table
}

/// ECGs that the corrected scorings leave out.
pub fn exclusions_table(networks: &[Perturbed]) -> Table {
    let mut table = Table::new("ECGs left out", ["target", "ecg", "reason"]);
    for network in networks {
        for (ecg, reason) in network.excluded() {
            table.rows.push(vec![Cell::text(&network.name), Cell::number(ecg as f64, 0), Cell::text(reason)]);
        }
    }
    table
}

/// Errors of each network on each part, beside those of predicting the training mean; where exact values are known, behind them the errors against
/// those, of the network and of the measurement.
pub fn metrics_table(networks: &[(Target, &[SplitMetrics])]) -> Table {
    let exact = ["exact_n", "exact_mae", "exact_rmse", "exact_mae_of_measured", "exact_rmse_of_measured"];
    let header = ["target", "unit", "split", "n", "mae", "rmse", "mae_of_mean", "rmse_of_mean"].into_iter().chain(exact);
    let mut table = Table::new("Prediction errors", header);
    for (target, metrics) in networks {
        for m in *metrics {
            let numbers = [m.mae, m.rmse, m.mae_of_mean, m.rmse_of_mean].map(|value| Cell::number(value, 3));
            let names = [Cell::text(target.name()), Cell::text(target.error_unit()), Cell::text(&m.split), Cell::number(m.n as f64, 0)];
            let exact = m.exact.map(|e| [e.n as f64, e.mae, e.rmse, e.mae_of_measured, e.rmse_of_measured]);
            let exact = (0..5).map(|at| Cell::maybe(exact.map(|exact| exact[at]), 3));
            table.rows.push(names.into_iter().chain(numbers).chain(exact).collect());
        }
    }
    table
}

/// Writes `table4.csv` (the study's scoring; where every network is of classes, that of logits), `table4_SCORING.csv` for every scoring, `ranks.csv` and `exclusions.csv` into a folder.
///
/// # Errors
/// [`Error::Io`]; [`Error::Data`] if nothing was perturbed.
pub fn write_area_tables(folder: &Path, networks: &[Perturbed]) -> Result<()> {
    if networks.iter().all(|network| network.methods.is_empty()) {
        return Err(Error::Data("nothing was perturbed: there is no table to write".into()));
    }
    let write = |name: String, table: Table| atomic::write(folder.join(name), table.csv().as_bytes());
    let all = scorings(networks);
    write("table4.csv".into(), area_table(networks, all.first().copied().unwrap_or(Scoring::Paper)))?;
    for scoring in all {
        write(format!("table4_{}.csv", scoring.name()), area_table(networks, scoring))?;
    }
    write("ranks.csv".into(), rank_table(networks))?;
    write("exclusions.csv".into(), exclusions_table(networks))
}
