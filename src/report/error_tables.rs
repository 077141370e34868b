//! The tables of the networks' errors: against measured and exact values, agreement and calibration, thresholds, the worst ECGs.
//!
//! *Measured* is what this program read off the ECG and what networks are trained on; *exact* is what a simulator put in.

use super::findings::beside_the_mean;
use super::published;
use super::results::{Prediction, StudyResults, TargetResults};
use super::study_tables::{column, digits};
use super::tables::{Cell, Table};
use crate::dataset::{Target, TargetKind};
use crate::evaluation::classes::Scored;
use crate::evaluation::errors::{self, Detection, WorstShare};
use crate::evaluation::worth::{one_of_several, with_intervals, yes_or_no};
use crate::nn::probabilities;
use cardiograd_kernels::elementary;

/// ECGs listed for each target.
pub const LISTED: usize = 5;

/// Errors of each network on each split, beside those of predicting the training mean and the study's on the test split, and, where exact values are
/// known, those against them.
pub fn metrics(results: &StudyResults) -> Table {
    let mut header = vec!["Target", "Split", "ECGs", "MAE", "RMSE", "MAE of the mean", "RMSE of the mean", "Study's MAE", "Study's RMSE"];
    let exact = results.targets.iter().any(|target| target.metrics.iter().any(|m| m.exact.is_some()));
    let mut caption = "Prediction errors against measured values, in the target's unit".to_owned();
    if results.targets.iter().any(|target| !target.target.is_regression()) {
        caption += "; of yes or no, and of classes, of probabilities against 0 and 1";
    }
    if exact {
        header.extend(["MAE against exact", "RMSE against exact", "MAE of the measurement", "RMSE of the measurement"]);
        caption +=
            "; behind them those against the exact values of the simulator, of the network and of the measurement that it was trained on";
    }
    let mut table = Table::new(caption, header);
    for target in &results.targets {
        let published = published::test_errors(target.target);
        let digits = if target.target.is_regression() { 2 } else { 3 };
        for split in &target.metrics {
            let theirs = published.filter(|_| split.split == "test");
            let mut row = vec![
                Cell::text(column(target.target)),
                Cell::text(&split.split),
                Cell::number(split.n as f64, 0),
                Cell::number(split.mae, digits).with(&if split.is_worse_than_mean() {
                    format!(" ({})", beside_the_mean(split.mae, split.mae_of_mean))
                } else {
                    String::new()
                }),
                Cell::number(split.rmse, digits),
                Cell::number(split.mae_of_mean, digits),
                Cell::number(split.rmse_of_mean, digits),
                Cell::maybe(theirs.map(|t| t.0), 2),
                Cell::maybe(theirs.map(|t| t.1), 2),
            ];
            if exact {
                let all = split.exact.map(|e| [e.mae, e.rmse, e.mae_of_measured, e.rmse_of_measured]);
                row.extend((0..4).map(|at| Cell::maybe(all.map(|all| all[at]), 2)));
            }
            table.rows.push(row);
        }
    }
    table
}

/// Bland and Altman's figures and the line of calibration of each network on the test split.
pub fn agreement(results: &StudyResults) -> Table {
    let caption = "Agreement of predicted with measured values on the test split: bias (predicted − measured) and limits of agreement (bias ± 1.96 SD), and the line \
                   measured = intercept + slope × predicted, which is 0 + 1 × for a calibrated network; 95 % intervals by Student's t";
    let mut table = Table::new(caption, ["Target", "ECGs", "Bias", "Lower limit", "Upper limit", "Slope", "Intercept"]);
    for target in results.targets.iter().filter(|target| target.target.is_regression()) {
        let pairs = target.pairs();
        let (found, line) = (errors::agreement(&pairs), errors::calibration(&pairs));
        let decimals = found.map_or(1, |found| digits(found.sd));
        let mut row = vec![Cell::text(column(target.target)), Cell::number(pairs.len() as f64, 0)];
        row.extend([found.map(|f| f.bias), found.map(|f| f.lower), found.map(|f| f.upper)].map(|e| Cell::estimate(e, decimals)));
        row.extend([Cell::estimate(line.map(|l| l.slope), 3), Cell::estimate(line.map(|l| l.intercept), decimals)]);
        table.rows.push(row);
    }
    table
}

/// What the networks of yes or no are worth on the test split; empty where there is none.
pub fn classes(results: &StudyResults) -> Table {
    let caption = "How the networks tell yes from no on the test split: areas under the ROC and precision–recall curves, Brier's score, and decisions at a \
                   probability of 0.5, with 95 % bootstrap intervals over ECGs";
    let names = ["AUROC", "AUPRC", "Brier", "F1", "Sensitivity", "Specificity", "Precision"];
    let mut table = Table::new(caption, ["Target", "ECGs", "Yes"].into_iter().chain(names));
    for target in results.targets.iter().filter(|target| !target.target.is_regression()) {
        let pairs = target.scored();
        let mut row = vec![Cell::text(target.target.title()), Cell::number(pairs.len() as f64, 0)];
        row.push(Cell::number(pairs.iter().filter(|pair| pair.0).count() as f64, 0));
        let figures = with_intervals(&pairs, None, results.provenance.seed, |pairs| yes_or_no(pairs, 0.5));
        row.extend(figures.iter().map(|figure| Cell::estimate(figure.estimate, 3)));
        table.rows.push(row);
    }
    table
}

/// What the networks that tell several classes apart are worth on the test split; empty where there is none.
pub fn several(results: &StudyResults) -> Table {
    let caption = "How the networks tell one of several classes on the test split: the share that is right, and means over classes of the area under the ROC curve and of \
                   F1, with 95 % bootstrap intervals over ECGs";
    let mut table = Table::new(caption, ["Label", "Classes", "ECGs", "Accuracy", "AUROC", "F1"]);
    let mut done: Vec<&str> = Vec::new();
    for first in results.targets.iter().filter(|target| target.target.kind() == TargetKind::Class) {
        let row = first.target.row();
        if done.contains(&row.column.as_str()) {
            continue;
        }
        done.push(&row.column);
        let same = |target: &&TargetResults| target.target.kind() == TargetKind::Class && target.target.row().column == row.column;
        let classes: Vec<Vec<Scored>> = results.targets.iter().filter(same).map(TargetResults::scored).collect();
        let right = |at: usize| classes.iter().position(|class| class.get(at).is_some_and(|one| one.0));
        let odds = |at: usize| classes.iter().filter_map(|class| class.get(at).map(|one| one.1)).collect();
        let rows: Vec<(usize, Vec<f64>)> = (0..first.test.len()).filter_map(|at| Some((right(at)?, odds(at)))).collect();
        let figures = with_intervals(&rows, None, results.provenance.seed, one_of_several);
        let mut cells = vec![Cell::text(&row.column), Cell::number(classes.len() as f64, 0), Cell::number(rows.len() as f64, 0)];
        cells.extend(figures.iter().map(|figure| Cell::estimate(figure.estimate, 3)));
        table.rows.push(cells);
    }
    table
}

/// A limit that clinicians know.
struct Threshold {
    target: Target,
    name: &'static str,
    limit: f64,
    /// Whether the interval is corrected for the rate by Fridericia's cube root.
    corrected: bool,
}

/// First-degree block, wide QRS, long QT of men and of women (Rautaharju et al. 2009).
const THRESHOLDS: [Threshold; 4] = [
    Threshold { target: Target::Pr, name: "PR > 200 ms", limit: 200.0, corrected: false },
    Threshold { target: Target::Qrs, name: "QRS > 120 ms", limit: 120.0, corrected: false },
    Threshold { target: Target::Qt, name: "QTcF > 450 ms", limit: 450.0, corrected: true },
    Threshold { target: Target::Qt, name: "QTcF > 460 ms", limit: 460.0, corrected: true },
];

/// QT / ∛RR (Fridericia 1920), RR in seconds.
fn fridericia(qt: f64, rate_bpm: f64) -> f64 {
    qt / elementary::cbrt(60.0 / rate_bpm)
}

impl Threshold {
    /// Right and predicted value of an ECG as they are held against the limit; `None` without the rate that they need.
    fn pair(&self, of: &Prediction, right: Option<f64>) -> Option<(f64, f64)> {
        let right = right?;
        if !self.corrected {
            return Some((right, of.predicted));
        }
        let rate = of.rate_bpm.filter(|rate| *rate > 0.0)?;
        Some((fridericia(right, rate), fridericia(of.predicted, rate)))
    }
}

/// How the networks tell which ECGs of the test split are above clinicians' limits, by the measured values and by the exact ones where known.
pub fn thresholds(results: &StudyResults) -> Table {
    let caption = "Which ECGs of the test split are above a limit: sensitivity and specificity of the prediction, with Wilson's 95 % interval. QTcF is QT / ∛RR, by \
                   the measured rate for both";
    let header = ["Limit", "By", "ECGs above", "ECGs not above", "Sensitivity", "Specificity", "Found", "Missed", "False alarms"];
    let mut table = Table::new(caption, header);
    for threshold in &THRESHOLDS {
        let Some(target) = results.target(threshold.target) else { continue };
        type Right = fn(&Prediction) -> Option<f64>;
        let by: [(&str, Right); 2] = [("measured values", |p| Some(p.truth)), ("exact values", |p| p.exact)];
        for (name, right) in by {
            let pairs: Vec<(f64, f64)> = target.test.iter().filter_map(|p| threshold.pair(p, right(p))).collect();
            if pairs.is_empty() {
                continue;
            }
            let found = Detection::of(pairs, threshold.limit);
            let Detection { found: hits, missed, alarms, spared } = found;
            let mut row = vec![Cell::text(threshold.name), Cell::text(name)];
            row.extend([hits + missed, alarms + spared].map(|n| Cell::number(n as f64, 0)));
            row.extend([found.sensitivity(), found.specificity()].map(|share| Cell::estimate(share, 3)));
            row.extend([hits, missed, alarms].map(|n| Cell::number(n as f64, 0)));
            table.rows.push(row);
        }
    }
    table
}

/// The figure of one of the worst ECGs, without ending.
pub fn worst_figure(index: u64) -> String {
    format!("ecg_{index}")
}

/// The ECGs with the largest errors of each target, each leading to its picture.
pub fn worst(results: &StudyResults) -> Table {
    let exact = results.targets.iter().any(|target| target.test.iter().any(|p| p.exact.is_some()));
    let mut header = vec!["Target", "ECG", "Measured", "Predicted", "Predicted − measured"];
    if exact {
        header.extend(["Exact", "Measured − exact"]);
    }
    let mut table = Table::new(format!("The {LISTED} test ECGs with the largest errors of each target; each leads to its picture"), header);
    for target in &results.targets {
        for at in errors::worst(&target.pairs(), LISTED) {
            let p = &target.test[at];
            let name = results.worst.id(p.ecg).map_or_else(|| p.ecg.to_string(), str::to_owned);
            let mut ecg = Cell::valued(name, p.ecg as f64);
            if results.worst.id(p.ecg).is_some() {
                ecg = ecg.linked(format!("figures/{}.svg", worst_figure(p.ecg)));
            }
            let mut row = vec![Cell::text(column(target.target)), ecg];
            let (truth, predicted) = target.pair(p);
            let decimals = if target.target.is_regression() { 1 } else { 3 };
            row.extend([truth, predicted, predicted - truth].map(|v| Cell::number(v, decimals)));
            if exact {
                row.extend([p.exact, p.exact.map(|exact| p.truth - exact)].map(|v| Cell::maybe(v, 1)));
            }
            table.rows.push(row);
        }
    }
    table
}

/// What the worst 1 % of ECGs do to each network's root mean squared error.
pub fn worst_shares(results: &StudyResults) -> Table {
    let header = ["Target", "ECGs", "Worst 1 %, ECGs", "Their share of the squared error, %", "RMSE", "RMSE without them"];
    let mut table = Table::new("What the worst 1 % of the test ECGs carry of each network's squared error", header);
    for target in results.targets.iter().filter(|target| target.target.is_regression()) {
        let pairs = target.pairs();
        let Some(WorstShare { ecgs, share, rmse, without }) = errors::worst_share(&pairs) else { continue };
        let mut row = vec![Cell::text(column(target.target)), Cell::number(pairs.len() as f64, 0), Cell::number(ecgs as f64, 0)];
        row.extend([Cell::number(100.0 * share, 1), Cell::number(rmse, 2), Cell::number(without, 2)]);
        table.rows.push(row);
    }
    table
}

impl TargetResults {
    /// Measured and predicted values of the test split; of yes or no the label and the probability of yes.
    pub fn pairs(&self) -> Vec<(f64, f64)> {
        self.test.iter().map(|p| self.pair(p)).collect()
    }

    /// The same of one ECG.
    pub(super) fn pair(&self, p: &Prediction) -> (f64, f64) {
        let (truth, predicted) = p.pair();
        // One class of several is predicted by its log-odds.
        let kind = if self.target.kind() == TargetKind::Class { TargetKind::Binary } else { self.target.kind() };
        (truth, probabilities(kind, &[predicted])[0])
    }

    /// Labels and probabilities of yes, of a target of yes or no.
    pub fn scored(&self) -> Vec<Scored> {
        self.pairs().into_iter().map(|(label, p)| (label > 0.5, p)).collect()
    }
}
