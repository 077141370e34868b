//! The tables of a study: errors, data, Table 4 in every scoring, ranks, differences, correlations, experts against perturbation.

use super::analysis::PerturbationAnalysis;
use super::methods::{short, title};
use super::published;
use super::results::StudyResults;
use super::tables::{Cell, Table};
use crate::dataset::Target;
use crate::evaluation::scores::Scoring;

/// The name of a target in a column.
pub fn column(target: Target) -> String {
    format!("{} ({})", target.title(), target.unit())
}

/// Errors of each network on each split, beside those of predicting the training mean and the study's on the test split.
pub fn metrics(results: &StudyResults) -> Table {
    let header = ["Target", "Split", "ECGs", "MAE", "RMSE", "MAE of the mean", "RMSE of the mean", "Study's MAE", "Study's RMSE"];
    let mut table = Table::new("Prediction errors, in the target's unit", header);
    for target in &results.targets {
        let published = published::test_errors(target.target);
        for split in &target.metrics {
            let theirs = (split.split == "test").then_some(published);
            table.rows.push(vec![
                Cell::text(column(target.target)),
                Cell::text(&split.split),
                Cell::number(split.n as f64, 0),
                Cell::number(split.mae, 2),
                Cell::number(split.rmse, 2),
                Cell::number(split.mae_of_mean, 2),
                Cell::number(split.rmse_of_mean, 2),
                Cell::maybe(theirs.map(|t| t.0), 2),
                Cell::maybe(theirs.map(|t| t.1), 2),
            ]);
        }
    }
    table
}

/// How the measurements are distributed.
pub fn data(results: &StudyResults) -> Table {
    let mut table = Table::new("Measurements of the ECGs", ["Measurement", "ECGs", "Mean", "SD", "Minimum", "Median", "Maximum"]);
    for d in &results.data.targets {
        let numbers = [d.mean, d.sd, d.min, d.median, d.max].map(|value| Cell::number(value, 1));
        table.rows.push([Cell::text(column(d.target)), Cell::number(d.n as f64, 0)].into_iter().chain(numbers).collect());
    }
    table
}

/// Table 4: area to iteration 15, methods × targets, by one scoring. The largest of each target is marked, the control left out.
pub fn table4(analyses: &[PerturbationAnalysis], scoring: Scoring) -> Table {
    let header = std::iter::once("Method".to_owned()).chain(analyses.iter().map(|a| a.target.title().to_owned()));
    let mut table = Table::new(format!("Table 4. Area under the error curve to iteration 15: {}", scoring.title()), header);
    for method in methods(analyses) {
        let area = |a: &PerturbationAnalysis| Some(a.areas_by(scoring)[a.methods.iter().position(|name| *name == method)?]);
        let cells = analyses.iter().map(|a| area(a).map_or_else(|| Cell::text("–"), significant));
        table.rows.push(std::iter::once(Cell::text(title(&method))).chain(cells).collect());
    }
    table.mark_largest(usize::MAX);
    table
}

/// Three significant digits, at least two decimals below ten.
fn significant(value: f64) -> Cell {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else if value.abs() >= 0.1 {
        2
    } else {
        4
    };
    Cell::number(value, digits)
}

/// The study's Table 4.
pub fn table4_published() -> Table {
    let header = std::iter::once("Method".to_owned()).chain(Target::STUDY.map(|t| t.title().to_owned()));
    let mut table = Table::new("Table 4 as published (5000 test ECGs)", header);
    let mut names: Vec<String> = super::methods::NINE.iter().map(|name| (*name).to_owned()).chain(["random".to_owned()]).collect();
    super::methods::sort(&mut names);
    for method in names {
        let cells = Target::STUDY.map(|target| Cell::maybe(published::table4(&method, target), 2));
        table.rows.push(std::iter::once(Cell::text(title(&method))).chain(cells).collect());
    }
    table.mark_largest(usize::MAX);
    table
}

/// Ranks by the study's scoring at every end from 10 to 25.
pub fn ranks_by_end(analysis: &PerturbationAnalysis) -> Table {
    let verdict = if analysis.same_at_every_end() { "the same at every end" } else { "it changes with the end" };
    let caption = format!("{}: rank by area to each iteration from 10 to 25, 1 is best; {verdict}", analysis.target.title());
    let header = std::iter::once("Method".to_owned()).chain(analysis.ranks_by_end.iter().map(|(end, _)| end.to_string()));
    let mut table = Table::new(caption, header);
    for (m, method) in analysis.methods.iter().enumerate() {
        let cells = analysis.ranks_by_end.iter().map(|(_, ranks)| rank(ranks[m]));
        table.rows.push(std::iter::once(Cell::text(title(method))).chain(cells).collect());
    }
    table
}

fn rank(value: f64) -> Cell {
    Cell::number(value, if value.fract() == 0.0 { 0 } else { 1 })
}

/// Rank of each method with its 95 % interval over resamples of ECGs, and how often it is best.
pub fn stability(analyses: &[PerturbationAnalysis]) -> Table {
    let header = std::iter::once("Method".to_owned()).chain(analyses.iter().map(|a| a.target.title().to_owned()));
    let caption = "Rank by mean |y − ŷ| / |y| to iteration 15, with its 95 % bootstrap interval over ECGs and the share of resamples in which it is best";
    let mut table = Table::new(caption, header);
    for method in methods(analyses) {
        let cell = |a: &PerturbationAnalysis| {
            let Some(m) = a.methods.iter().position(|name| *name == method) else { return Cell::text("–") };
            let s = a.stability[m];
            Cell::text(format!("{} ({}–{}), {:.0} %", brief_rank(s.rank), brief_rank(s.low), brief_rank(s.high), 100.0 * s.best))
        };
        table.rows.push(std::iter::once(Cell::text(title(&method))).chain(analyses.iter().map(cell)).collect());
    }
    table
}

fn brief_rank(value: f64) -> String {
    let tenths = (value * 10.0).round();
    if tenths % 10.0 == 0.0 { format!("{:.0}", tenths / 10.0) } else { format!("{:.1}", tenths / 10.0) }
}

/// Friedman's test per target.
pub fn differences(analyses: &[PerturbationAnalysis]) -> Table {
    let mut table = Table::new(
        "Friedman's test over ECGs, and pairs of methods that differ by Wilcoxon's test with Holm's correction at 5 %",
        ["Target", "ECGs", "χ²", "p", "Pairs that differ", "Pairs", "F (Iman–Davenport)", "p of F", "p of pairs"],
    );
    for analysis in analyses {
        let Some(c) = &analysis.comparison else { continue };
        let count = c.pairs.len();
        let differ = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).filter(|(a, b)| c.pairs[*a][*b] < 0.05).count();
        table.rows.push(vec![
            Cell::text(analysis.target.title()),
            Cell::number(analysis.ecgs as f64, 0),
            Cell::number(c.statistic, 1),
            small(c.p),
            Cell::number(differ as f64, 0),
            Cell::number((count * (count - 1) / 2) as f64, 0),
            if c.f.is_infinite() { Cell::text("∞") } else { Cell::number(c.f, 1) },
            small(c.f_p),
            Cell::text(c.how()),
        ]);
    }
    table
}

/// A p value.
fn small(p: f64) -> Cell {
    Cell { text: if p < 1e-4 { "< 0.0001".into() } else { format!("{p:.4}") }, value: Some(p), best: false }
}

/// Correlation of the areas with Table 4 as published, and of the published expert ranks with the ranks found here.
pub fn against_published(analyses: &[PerturbationAnalysis]) -> Table {
    let header = ["Target", "Areas and Table 4: Pearson", "Areas and Table 4: Spearman", "Experts' rank and rank found here: Spearman"];
    let mut table = Table::new("Agreement with the study", header);
    for analysis in analyses {
        let (linear, ranked) = analysis.against_published();
        let experts = analysis.against_experts().1;
        let cells = [linear, ranked, experts].map(|value| Cell::maybe(value, 2));
        table.rows.push(std::iter::once(Cell::text(analysis.target.title())).chain(cells).collect());
    }
    table
}

/// Experts' rank (published votes on full heatmaps) against the rank by area, per method and target.
pub fn experts(analyses: &[PerturbationAnalysis]) -> Table {
    let header = std::iter::once("Method".to_owned()).chain(analyses.iter().map(|a| a.target.title().to_owned()));
    let mut table = Table::new("Rank by the study's experts (full heatmaps) → rank by perturbation here, among the nine methods", header);
    for method in super::methods::NINE {
        let cell = |a: &PerturbationAnalysis| {
            let ranks = a.against_experts().0;
            let found = ranks.iter().find(|row| row.0 == method);
            Cell::text(found.map_or("–".into(), |(_, expert, own)| format!("{} → {}", brief_rank(*expert), brief_rank(*own))))
        };
        table.rows.push(std::iter::once(Cell::text(title(method))).chain(analyses.iter().map(cell)).collect());
    }
    table
}

/// Correlation between methods' maps for one target.
pub fn map_correlations(target: Target, methods: &[String], correlations: &[Vec<Option<f64>>]) -> Table {
    let header = std::iter::once("Method".to_owned()).chain(methods.iter().map(|m| short(m).to_owned()));
    let mut table =
        Table::new(format!("{}: Spearman correlation of |attribution| between methods, mean over ECGs", target.title()), header);
    for (method, row) in methods.iter().zip(correlations) {
        let cells = row.iter().map(|value| Cell::maybe(*value, 2));
        table.rows.push(std::iter::once(Cell::text(title(method))).chain(cells).collect());
    }
    table
}

/// ECGs left out of perturbation, and why.
pub fn exclusions(results: &StudyResults) -> Table {
    let mut table = Table::new("ECGs left out of perturbation", ["Target", "ECG", "Reason"]);
    for target in &results.targets {
        for (ecg, reason) in target.perturbation.iter().flat_map(|p| &p.excluded) {
            table.rows.push(vec![Cell::text(target.target.title()), Cell::text(ecg.to_string()), Cell::text(reason)]);
        }
    }
    table
}

fn methods(analyses: &[PerturbationAnalysis]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in analyses.iter().flat_map(|a| &a.methods) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    super::methods::sort(&mut names);
    names
}
