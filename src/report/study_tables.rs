//! The tables of perturbation: Table 4 in every scoring, ranks, differences, correlations, experts against perturbation.
//! Those of the networks' errors are in [`super::error_tables`].

use super::analysis::{PerturbationAnalysis, class_mark};
use super::methods::{short, title};
use super::published;
use super::results::StudyResults;
use super::tables::{Cell, Table};
use crate::dataset::Target;
use crate::evaluation::compare::Comparison;
use crate::evaluation::scores::Scoring;

/// The name of a target in a column, with the unit of its values and errors.
pub fn column(target: Target) -> String {
    match target.error_unit() {
        "" => target.title().to_owned(),
        unit => format!("{} ({unit})", target.title()),
    }
}

/// The scorings of some analyses, each once: by which they rank first.
pub fn scorings(analyses: &[PerturbationAnalysis]) -> Vec<Scoring> {
    let mut all: Vec<Scoring> = Vec::new();
    for scoring in analyses.iter().map(|a| a.scoring) {
        if !all.contains(&scoring) {
            all.push(scoring);
        }
    }
    all
}

/// Their names for captions.
pub fn named_of(analyses: &[PerturbationAnalysis]) -> String {
    scorings(analyses).into_iter().map(named).collect::<Vec<_>>().join(" and ")
}

/// Every scoring that some analyses have areas by, those of numbers first.
pub fn all_scorings(analyses: &[PerturbationAnalysis]) -> Vec<Scoring> {
    let all = Scoring::ALL.into_iter().chain(Scoring::CLASSES);
    all.filter(|scoring| analyses.iter().any(|a| !a.areas_by(*scoring).is_empty())).collect()
}

/// Whether the published study has figures for any of the targets.
pub fn any_published(analyses: &[PerturbationAnalysis]) -> bool {
    analyses.iter().any(|a| published::table4("random", a.target).is_some())
}

/// How the measurements are distributed.
pub fn data(results: &StudyResults) -> Table {
    let mut table = Table::new("Measurements of the ECGs", ["Measurement", "ECGs", "Mean", "SD", "Minimum", "Median", "Maximum"]);
    for d in &results.data.targets {
        // Of yes or no the mean is the share of yes.
        let digits = if d.target.is_regression() { 1 } else { 3 };
        let numbers = [d.mean, d.sd, d.min, d.median, d.max].map(|value| Cell::number(value, digits));
        table.rows.push([Cell::text(column(d.target)), Cell::number(d.n as f64, 0)].into_iter().chain(numbers).collect());
    }
    table
}

/// Table 4: area to iteration 15, methods × targets, by one scoring, with intervals and the study's classes. The largest of each target is marked.
pub fn table4(analyses: &[PerturbationAnalysis], scoring: Scoring) -> Table {
    let analyses: Vec<PerturbationAnalysis> = analyses.iter().filter(|a| !a.areas_by(scoring).is_empty()).cloned().collect();
    let analyses = &analyses[..];
    let header = std::iter::once("Method".to_owned()).chain(analyses.iter().map(|a| a.target.title().to_owned()));
    let caption = format!(
        "Table 4. Area under the error curve to iteration 15, {}; below it the 95 % bootstrap interval over {} ECGs. In parentheses the study's class: \
         best (1), medium (2), poor (3), thirds of the range from the random control to the winner. The largest area is bold, which no test stands behind.",
        named(scoring),
        counts(analyses)
    );
    let mut table = Table::new(caption, header);
    for method in methods(analyses) {
        let cell = |a: &PerturbationAnalysis| {
            let Some(at) = a.methods.iter().position(|name| *name == method) else { return Cell::text("–") };
            let area = a.areas_by(scoring)[at];
            Cell::estimate(Some(area), digits(area.value)).with(&class_mark(a.classes(scoring)[at]))
        };
        table.rows.push(std::iter::once(Cell::text(title(&method))).chain(analyses.iter().map(cell)).collect());
    }
    table.mark_largest(usize::MAX);
    table
}

/// The name of a scoring for captions: what it is, and its name in files.
pub fn named(scoring: Scoring) -> String {
    format!("by the scoring {} ({})", scoring.name(), scoring.title())
}

/// The ECGs of each target, or of all where they are the same.
pub fn counts(analyses: &[PerturbationAnalysis]) -> String {
    let ecgs: Vec<String> = analyses.iter().map(|a| a.ecgs.to_string()).collect();
    match ecgs.first() {
        Some(first) if ecgs.iter().all(|other| other == first) => first.clone(),
        _ => ecgs.join(" / "),
    }
}

/// Every area of every scoring as one long table for programs.
pub fn areas(analyses: &[PerturbationAnalysis]) -> Table {
    let mut table = Table::new(
        "Areas under the error curve to iteration 15, by every scoring",
        ["target", "scoring", "of_the_study", "method", "value", "low", "high", "ecgs", "class"],
    );
    for analysis in analyses {
        for &(scoring, _) in &analysis.areas {
            let classes = analysis.classes(scoring);
            for ((method, area), class) in analysis.methods.iter().zip(analysis.areas_by(scoring)).zip(classes) {
                let own = if scoring == analysis.scoring { "yes" } else { "no" };
                let mut row = [analysis.target.name(), scoring.name(), own, method].map(Cell::text).to_vec();
                row.extend([area.value, area.low, area.high].map(|v| Cell::number(v, 4)));
                row.push(Cell::number(area.ecgs as f64, 0));
                row.push(Cell::maybe(class.map(|class| class as f64), 0));
                table.rows.push(row);
            }
        }
    }
    table
}

/// Decimals for three significant digits, at least two below ten.
pub(super) fn digits(value: f64) -> usize {
    match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    }
}

/// The study's Table 4.
pub fn table4_published() -> Table {
    let header = std::iter::once("Method".to_owned()).chain(Target::STUDY.map(|t| t.title().to_owned()));
    let mut table = Table::new(format!("Table 4 as published (5000 test ECGs of Pulse2pulse), {}", named(Scoring::Paper)), header);
    let mut names: Vec<String> = super::methods::NINE.iter().map(|name| (*name).to_owned()).chain(["random".to_owned()]).collect();
    super::methods::sort(&mut names);
    for method in names {
        let cells = Target::STUDY.map(|target| Cell::maybe(published::table4(&method, target), 2));
        table.rows.push(std::iter::once(Cell::text(title(&method))).chain(cells).collect());
    }
    table.mark_largest(usize::MAX);
    table
}

/// Ranks at every end from 10 to 25.
pub fn ranks_by_end(analysis: &PerturbationAnalysis) -> Table {
    let verdict = if analysis.same_at_every_end() { "the same at every end" } else { "it changes with the end" };
    let caption = format!(
        "{}: rank by area to each iteration from 10 to 25, {}, 1 is best; {verdict}",
        analysis.target.title(),
        named(analysis.scoring)
    );
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
    let caption = format!(
        "Rank by area to iteration 15, {}: the 95 % bootstrap interval over ECGs, and the share of resamples in which it is best",
        named_of(analyses)
    );
    let mut table = Table::new(caption, header);
    for method in methods(analyses) {
        let cell = |a: &PerturbationAnalysis| {
            let Some(m) = a.methods.iter().position(|name| *name == method) else { return Cell::text("–") };
            let s = a.stability[m];
            let mut cell = Cell::valued(format!("{}, {:.0} %", brief_rank(s.rank), 100.0 * s.best), s.rank);
            cell.interval = Some((format!("{} to {}", brief_rank(s.low), brief_rank(s.high)), s.low, s.high));
            cell
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
    let caption = format!(
        "Friedman's test over ECGs, and pairs of methods that differ by Wilcoxon's test with Holm's correction at 5 %, on the areas of single ECGs {}",
        named_of(analyses)
    );
    let header = ["Target", "ECGs", "χ²", "p", "Pairs that differ", "Pairs", "F (Iman–Davenport)", "p of F", "p of pairs"];
    let mut table = Table::new(caption, header);
    for analysis in analyses {
        let Some(c) = &analysis.comparison else { continue };
        let differ = pairs(c).into_iter().filter(|(a, b)| c.pairs[*a][*b] < 0.05).count();
        table.rows.push(vec![
            Cell::text(analysis.target.title()),
            Cell::number(analysis.ecgs as f64, 0),
            Cell::number(c.statistic, 1),
            small(c.p),
            Cell::number(differ as f64, 0),
            Cell::number(pairs(c).len() as f64, 0),
            if c.f.is_infinite() { Cell::text("∞") } else { Cell::number(c.f, 1) },
            small(c.f_p),
            Cell::text(c.how()),
        ]);
    }
    table
}

/// The pairs of methods of a comparison, each once.
fn pairs(comparison: &Comparison) -> Vec<(usize, usize)> {
    let count = comparison.pairs.len();
    (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect()
}

/// Every pair of methods of every target as one long table: p before and after Holm's correction.
pub fn all_pairs(analyses: &[PerturbationAnalysis]) -> Table {
    let header = ["Target", "Method", "Other method", "Mean rank", "Other mean rank", "p", "p (Holm)", "Exact", "Differ at 5 %"];
    let caption = format!(
        "Wilcoxon's test of every pair of methods, on the areas of single ECGs {}; Holm's correction is over the pairs of one target",
        named_of(analyses)
    );
    let mut table = Table::new(caption, header);
    let word = |yes: bool| Cell::text(if yes { "yes" } else { "no" });
    for analysis in analyses {
        let Some(c) = &analysis.comparison else { continue };
        for (a, b) in pairs(c) {
            let mut row = vec![Cell::text(analysis.target.title())];
            row.extend([a, b].map(|m| Cell::text(title(&analysis.methods[m]))));
            row.extend([a, b].map(|m| Cell::number(c.mean_ranks[m], 2)));
            row.extend([small(c.raw[a][b]), small(c.pairs[a][b]), word(c.exact[a][b]), word(c.pairs[a][b] < 0.05)]);
            table.rows.push(row);
        }
    }
    table
}

/// Holm's p of every pair of methods of one target, methods × methods in order of mean rank.
pub fn holm(analysis: &PerturbationAnalysis) -> Option<Table> {
    let c = analysis.comparison.as_ref()?;
    let order = crate::evaluation::compare::by_rank(c);
    let header = std::iter::once("Method".to_owned()).chain(order.iter().map(|m| short(&analysis.methods[*m]).to_owned()));
    let caption = format!(
        "{}: p of each pair of methods by Wilcoxon's test with Holm's correction, {}; from the best mean rank down",
        analysis.target.title(),
        named(analysis.scoring)
    );
    let mut table = Table::new(caption, header);
    for a in &order {
        let cells = order.iter().map(|b| if a == b { Cell::text("–") } else { small(c.pairs[*a][*b]) });
        table.rows.push(std::iter::once(Cell::text(title(&analysis.methods[*a]))).chain(cells).collect());
    }
    Some(table)
}

/// A p value.
fn small(p: f64) -> Cell {
    Cell::valued(if p < 1e-4 { "< 0.0001".into() } else { format!("{p:.4}") }, p)
}

/// Correlation of the areas with Table 4 as published, with the random control and without, and of the published expert ranks with the ranks
/// found here.
pub fn against_published(analyses: &[PerturbationAnalysis]) -> Table {
    let header = [
        "Target",
        "Pearson, Random among the methods",
        "Pearson, without Random",
        "Spearman, Random among the methods",
        "Spearman, without Random",
        "Experts' rank and rank found here: Spearman",
    ];
    let caption = format!(
        "Agreement with the study. Columns 2 to 5: areas found here and Table 4 as published, both {}. The random control is no method: \
         the figures without it say how alike the methods' areas are. Last column: published votes \
         of three experts on full heatmaps, and areas found here {}",
        named(Scoring::Paper),
        named_of(analyses)
    );
    let mut table = Table::new(caption, header);
    for analysis in analyses {
        let (with, without) = (analysis.against_published(true), analysis.against_published(false));
        let experts = analysis.against_experts().1;
        let cells = [with.pearson, without.pearson, with.spearman, without.spearman, experts].map(|value| Cell::maybe(value, 2));
        table.rows.push(std::iter::once(Cell::text(analysis.target.title())).chain(cells).collect());
    }
    table
}

/// Experts' rank (published votes on full heatmaps) against the rank by area, per method and target.
pub fn experts(analyses: &[PerturbationAnalysis], source: &str) -> Table {
    let header = std::iter::once("Method".to_owned()).chain(analyses.iter().map(|a| a.target.title().to_owned()));
    let caption = format!(
        "Rank by the study's experts (full heatmaps of 51 Pulse2pulse ECGs, the study's networks) → rank by perturbation here ({} ECGs of this study, source \
         {source}, its own networks; {}), among the nine methods",
        counts(analyses),
        named_of(analyses)
    );
    let mut table = Table::new(caption, header);
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
