//! The tables of a study held against the published one.

use super::ablation;
use super::areas::Areas;
use super::criteria::error_estimates;
use super::peaks::{Peaks, sought};
use super::through;
use super::verdict::Figure;
use super::{Judgement, Reproduction};
use crate::dataset::Target;
use crate::evaluation::bootstrap::Estimate;
use crate::evaluation::errors::errors;
use crate::evaluation::ranks::{kendall, spearman};
use crate::evaluation::scores::Scoring;
use crate::nn::Schedule;
use crate::report::analysis::classes;
use crate::report::methods::{NINE, title};
use crate::report::published;
use crate::report::results::StudyResults;
use crate::report::study_tables::{column, digits, named};
use crate::report::tables::{Cell, Table};

/// How far from the published a cell of Table 4 counts as equal.
const NEAR: f64 = 0.25;

/// Every table with the name of its file.
pub(super) fn all(of: &Reproduction<'_>) -> Vec<(&'static str, Table)> {
    let mut all = vec![
        ("sentences", sentences(of.judgements())),
        ("differs", differs(of.study)),
        ("errors", metrics(of.study)),
        ("table4_counts", counts(&of.areas)),
        ("table4_cells", cells(&of.areas)),
        ("places", places(&of.areas)),
        ("likeness", likeness(&of.areas)),
        ("likeness_by_scoring", by_scoring(of.study, of.resamples)),
        ("ranks_over_ends", ranks(&of.areas)),
        ("experts", experts(&of.areas)),
    ];
    all.extend(of.peaks.iter().map(|peaks| ("averaged", averaged(peaks))));
    all.push(("through", through::table(of.study, &of.areas, of.resamples)));
    all.extend(ablation::tables(of));
    all.retain(|(_, table)| !table.rows.is_empty());
    all
}

/// A share in percent.
pub(super) fn in_percent(share: Estimate) -> Estimate {
    Estimate { value: 100.0 * share.value, low: 100.0 * share.low, high: 100.0 * share.high, ..share }
}

/// A figure with its interval.
pub(super) fn figure(figure: &Figure, decimals: usize) -> Cell {
    let (low, high) = figure.interval();
    Cell::estimate(Some(Estimate { value: figure.value, low, high, ecgs: 0 }), decimals)
}

/// Sentences and verdicts, as a file; the document lays them out by itself.
fn sentences(judgements: &[Judgement]) -> Table {
    let header =
        ["sentence", "from", "verdict", "figure", "criterion", "verdict_by_absolute_percentage", "published_table_by_the_same_criterion"];
    let mut table = Table::new("The study's sentences, and what is found of them here", header);
    for judged in judgements {
        let [absolute, published] = [judged.absolute, judged.published].map(|verdict| verdict.map_or("–", super::Verdict::words));
        let row = [judged.says, judged.from, judged.verdict.words(), &judged.figure, judged.criterion, absolute, published];
        table.rows.push(row.map(Cell::text).to_vec());
    }
    table
}

/// What was done there and what here.
fn differs(study: &StudyResults) -> Table {
    let setting = |name: &str| study.setting(name).unwrap_or("–").to_owned();
    let tested = study.targets.iter().filter_map(|target| target.split("test")).map(|test| test.n).max().unwrap_or(0);
    let perturbed = study.targets.iter().filter_map(|target| target.perturbation.as_ref()).map(|p| p.ecgs.len()).max().unwrap_or(0);
    let labels = match study.data.source.as_str() {
        "simulator" | "pulse2pulse" => "cardiograd's own measurement of each ECG",
        _ => "those of the dataset",
    };
    let trained = study.targets.iter().map(|target| target.epochs.len()).max().filter(|epochs| *epochs > 0);
    let schedule = Schedule::STUDY.to_string();
    let rows: [(&str, &str, String); 13] = [
        ("ECGs", "150000 Pulse2pulse ECGs", setting("ECGs")),
        ("measurements and median beats", "Marquette 12SL", labels.into()),
        ("networks", "6, for median beats", format!("{}, for {}", study.targets.len(), kind(study))),
        ("network", "stevennet", setting("network")),
        ("epochs", "100", trained.map_or_else(|| setting("epochs"), |epochs| epochs.to_string())),
        ("batch", "32", setting("batch")),
        ("learning rate", "0.008", setting("learning rate")),
        ("schedule", &schedule, setting("schedule")),
        ("standardised while training", "no", setting("standardised while training")),
        ("test ECGs", "30000", tested.to_string()),
        ("ECGs perturbed", "5000", perturbed.to_string()),
        ("points perturbed", "200", setting("points perturbed")),
        ("experts", "3, 51 ECGs", "none".into()),
    ];
    let mut table = Table::new("What was done in the study and here", ["What", "The study", "Here", "The same"]);
    for (what, there, here) in rows {
        let same = if here == there { "yes" } else { "no" };
        table.rows.push(vec![Cell::text(what), Cell::text(there), Cell::text(here), Cell::text(same)]);
    }
    table
}

/// What networks look at, in words.
pub(super) fn kind(study: &StudyResults) -> &'static str {
    match study.input {
        crate::dataset::InputKind::Median => "median beats",
        crate::dataset::InputKind::Rhythm => "10-s ECGs",
    }
}

/// Errors of the networks beside the published.
fn metrics(study: &StudyResults) -> Table {
    let caption = "Prediction errors on the test split, in the target's unit, with 95 % bootstrap intervals over its ECGs, beside those that the study published for \
                   median beats";
    let header = ["Target", "ECGs", "MAE", "Published MAE", "Times", "RMSE", "Published RMSE", "Times the RMSE", "MAE of the mean"];
    let mut table = Table::new(caption, header);
    for target in study.targets.iter().filter(|target| target.target.is_regression() && !target.test.is_empty()) {
        let pairs = target.pairs();
        let theirs = published::test_errors(target.target);
        let mut row = vec![Cell::text(column(target.target)), Cell::number(pairs.len() as f64, 0)];
        let [mae, rmse] = error_estimates(study, &pairs);
        let both = [(mae, theirs.map(|t| t.0)), (rmse, theirs.map(|t| t.1))];
        for (own, theirs) in both {
            let ratio = own.and_then(|own| Some(own.value / theirs?));
            row.extend([Cell::estimate(own, 2), Cell::maybe(theirs, 2), Cell::maybe(ratio, 2)]);
        }
        row.push(Cell::maybe(target.split("test").map(|test| test.mae_of_mean), 2));
        table.rows.push(row);
    }
    table
}

/// One cell of Table 4 beside the published.
pub(super) struct CellPair<'a> {
    method: &'a str,
    here: Estimate,
    there: f64,
    /// Here and as published.
    classes: [Option<usize>; 2],
}

impl CellPair<'_> {
    fn ratio(&self) -> f64 {
        self.here.value / self.there
    }

    fn is_near(&self) -> bool {
        (self.ratio() - 1.0).abs() <= NEAR
    }

    fn is_of_one_class(&self) -> bool {
        self.classes[0].is_some() && self.classes[0] == self.classes[1]
    }
}

/// The cells of one target that both tables have, in the order of the study's tables.
pub(super) fn pairs(areas: &Areas) -> Vec<CellPair<'_>> {
    let Some(published) = Areas::published(areas.target) else { return Vec::new() };
    let [here, theirs] = [areas, &published].map(|all| classes(&all.methods, &all.values()));
    let pair = |(m, there): (usize, f64)| {
        let method = areas.methods[m].as_str();
        let published = published.at(method).and_then(|m| theirs[m]);
        CellPair { method, here: areas.areas[m], there, classes: [here[m], published] }
    };
    areas.both(true).into_iter().map(pair).collect()
}

/// Cells within 25 %, cells of one class, cells.
pub(super) fn counted(areas: &Areas) -> [usize; 3] {
    let pairs = pairs(areas);
    let near = pairs.iter().filter(|pair| pair.is_near()).count();
    [near, pairs.iter().filter(|pair| pair.is_of_one_class()).count(), pairs.len()]
}

fn counts(all: &[Areas]) -> Table {
    let caption = "Cells of Table 4 within 25 % of the published, and of its class (thirds of the range from Random to the winner, the control itself included)";
    let mut table = Table::new(caption, ["Target", "Cells", "Within 25 %", "Of one class", "Winner here", "Winner as published"]);
    let mut sums = [0; 3];
    for areas in all {
        let own = counted(areas);
        own.iter().zip(&mut sums).for_each(|(own, sum)| *sum += own);
        let published = Areas::published(areas.target);
        let winners = [Some(areas), published.as_ref()].map(|areas| {
            let all: Vec<&str> = areas.map(Areas::winners).unwrap_or_default().into_iter().map(title).collect();
            if all.is_empty() { "–".to_owned() } else { all.join(", ") }
        });
        let mut row = vec![Cell::text(areas.target.title())];
        row.extend([own[2], own[0], own[1]].map(|n| Cell::number(n as f64, 0)));
        row.extend(winners.map(Cell::text));
        table.rows.push(row);
    }
    if all.len() > 1 {
        let mut row = vec![Cell::text("All")];
        row.extend([sums[2], sums[0], sums[1]].map(|n| Cell::number(n as f64, 0)));
        row.extend([Cell::text(""), Cell::text("")]);
        table.rows.push(row);
    }
    table
}

/// Every cell with its ratio and classes.
fn cells(all: &[Areas]) -> Table {
    let caption = format!(
        "Area under the error curve to iteration 15, {}, with its 95 % bootstrap interval over ECGs, beside Table 4 as published; ratio of the two, and the study's \
         classes best (1), medium (2), poor (3)",
        named(Scoring::Paper)
    );
    let header = ["Target", "Method", "Here", "Published", "Ratio", "Within 25 %", "Class here", "Class published", "Of one class"];
    let mut table = Table::new(caption, header);
    let word = |yes: bool| Cell::text(if yes { "yes" } else { "no" });
    for areas in all {
        for pair in pairs(areas) {
            let mut row = vec![Cell::text(areas.target.title()), Cell::text(title(pair.method))];
            row.extend([
                Cell::estimate(Some(pair.here), digits(pair.here.value)),
                Cell::number(pair.there, 2),
                Cell::number(pair.ratio(), 2),
            ]);
            row.push(word(pair.is_near()));
            row.extend(pair.classes.map(|class| Cell::maybe(class.map(|class| class as f64), 0)));
            row.push(word(pair.is_of_one_class()));
            table.rows.push(row);
        }
    }
    table
}

/// Places between Random and the winner, here and as published.
fn places(all: &[Areas]) -> Table {
    let caption = "The place of each method between Random (0) and the winner (1), with its 95 % bootstrap interval, and behind “;” that of the published areas";
    let mut table = Table::new(caption, std::iter::once("Method").chain(all.iter().map(|areas| areas.target.title())));
    for method in NINE {
        let cell = |areas: &Areas| {
            let Some(own) = areas.place(method) else { return Cell::text("–") };
            let there = Areas::published(areas.target).and_then(|published| published.place(method));
            let there = there.map_or_else(String::new, |place| format!("; {}", place.said(2)));
            let mut cell = figure(&own, 2);
            // The interval first: “;” belongs to the published.
            if let Some((interval, _, _)) = cell.interval.take() {
                cell.text += &format!(" ({interval})");
            }
            cell.with(&there)
        };
        table.rows.push(std::iter::once(Cell::text(title(method))).chain(all.iter().map(cell)).collect());
    }
    table
}

/// Pairs of the nine methods whose published areas differ by more than intervals of our widths around them reach, and how many of those are in the
/// same order here.
pub(super) fn told_apart(areas: &Areas) -> (usize, usize, usize) {
    let both = areas.both(false);
    let half = |m: usize| (areas.areas[m].high - areas.areas[m].low).abs() / 2.0 / areas.areas[m].value.abs();
    let (mut all, mut apart, mut same) = (0, 0, 0);
    for (k, (a, theirs)) in both.iter().enumerate() {
        for (b, other) in &both[k + 1..] {
            all += 1;
            if (theirs - other).abs() > theirs * half(*a) + other * half(*b) {
                apart += 1;
                same += usize::from((theirs - other) * (areas.areas[*a].value - areas.areas[*b].value) > 0.0);
            }
        }
    }
    (all, apart, same)
}

/// Correlations with the published table.
fn likeness(all: &[Areas]) -> Table {
    let caption = format!(
        "Rank correlation of the areas here with Table 4 as published, both {}, with 95 % intervals over bootstrap resamples of ECGs. Random is a control and no \
         method: the figures without it say how alike the methods' orders are. A pair of methods is told apart where intervals as wide as ours, in percent, around the \
         published areas would not meet; the order of the others is noise",
        named(Scoring::Paper)
    );
    let header = [
        "Target",
        "ECGs",
        "Spearman, with Random",
        "Spearman, without",
        "Kendall, with Random",
        "Kendall, without",
        "Pairs of methods",
        "Told apart",
        "Of these in the same order",
    ];
    let mut table = Table::new(caption, header);
    for areas in all {
        let (pairs, apart, same) = told_apart(areas);
        let mut row = vec![Cell::text(areas.target.title()), Cell::number(areas.areas.first().map_or(0, |a| a.ecgs) as f64, 0)];
        for of in [spearman, kendall] {
            row.extend([true, false].map(|with_random| figure(&areas.likeness(with_random, of), 2)));
        }
        row.extend([pairs, apart, same].map(|n| Cell::number(n as f64, 0)));
        table.rows.push(row);
    }
    table
}

/// Spearman's correlation with the published table by every scoring: whether the published formula, in which small values weigh much, is the reason.
fn by_scoring(study: &StudyResults, resamples: usize) -> Table {
    let caption = "Spearman's correlation with Table 4 as published, without Random, of the areas by each scoring: what the published formula, in which ECGs of small \
                   values weigh most, does to the order";
    let mut table = Table::new(caption, std::iter::once("Scoring").chain(Target::STUDY.iter().map(|target| target.title())));
    for scoring in Scoring::ALL {
        let cell = |target: Target| {
            let areas = study.target(target).and_then(|results| Areas::of(results, scoring, (study.provenance.seed, resamples)));
            areas.map_or_else(|| Cell::text("–"), |areas| figure(&areas.likeness(false, spearman), 2))
        };
        let cells: Vec<Cell> = Target::STUDY.into_iter().map(cell).collect();
        if cells.iter().any(|cell| cell.value.is_some()) {
            table.rows.push(std::iter::once(Cell::text(format!("{} ({})", scoring.name(), scoring.title()))).chain(cells).collect());
        }
    }
    table
}

/// Ranks to 15, and what they are over ends 10 to 25.
fn ranks(all: &[Areas]) -> Table {
    let reach: Vec<&Areas> = all.iter().filter(|areas| !areas.ranks_by_end.is_empty()).collect();
    let caption = format!(
        "Rank of each method by area, {}: to the last end up to 15, and in parentheses the lowest and the highest over the ends from 10 to 25; 1 is best",
        named(Scoring::Paper)
    );
    let mut table = Table::new(caption, std::iter::once("Method").chain(reach.iter().map(|areas| areas.target.title())));
    let mut names: Vec<String> = Vec::new();
    for method in reach.iter().flat_map(|areas| &areas.methods) {
        if !names.contains(method) {
            names.push(method.clone());
        }
    }
    let brief = |rank: f64| if rank.fract() == 0.0 { format!("{rank:.0}") } else { format!("{rank:.1}") };
    for method in &names {
        let cell = |areas: &&Areas| {
            let Some(m) = areas.at(method) else { return Cell::text("–") };
            let ranks: Vec<f64> = areas.ranks_by_end.iter().map(|(_, ranks)| ranks[m]).collect();
            let own =
                areas.ranks_by_end.iter().rfind(|(end, _)| *end <= crate::evaluation::scores::END).map_or(ranks[0], |(_, ranks)| ranks[m]);
            let (low, high) = ranks.iter().fold((own, own), |(low, high), rank| (low.min(*rank), high.max(*rank)));
            let mut cell = Cell::valued(brief(own), own);
            if low < high {
                cell.interval = Some((format!("{} to {}", brief(low), brief(high)), low, high));
            }
            cell
        };
        table.rows.push(std::iter::once(Cell::text(title(method))).chain(reach.iter().map(cell)).collect());
    }
    if !table.rows.is_empty() {
        let word = |areas: &&Areas| {
            let same = areas.ranks_by_end.windows(2).all(|pair| pair[0].1 == pair[1].1);
            Cell::text(if same { "yes" } else { "no" })
        };
        table.rows.push(std::iter::once(Cell::text("the same at every end")).chain(reach.iter().map(word)).collect());
    }
    table
}

/// Published votes against areas, here and as published.
fn experts(all: &[Areas]) -> Table {
    let caption = "Spearman's correlation over the nine methods of the published votes of three experts (their ECGs, their networks) with the areas here, with 95 % intervals \
                   over bootstrap resamples of ECGs, and with the areas as published";
    let header = ["Target", "Full heatmaps", "Averaged heatmaps", "Full, areas as published", "Averaged, areas as published"];
    let mut table = Table::new(caption, header);
    for areas in all {
        let of = |areas: &Areas, averaged: bool| {
            let voted = |method: &&str| {
                let (full, mean) = published::votes(method, areas.target)?;
                Some((areas.at(method)?, f64::from(if averaged { mean } else { full })))
            };
            let (places, votes): (Vec<usize>, Vec<f64>) = NINE.iter().filter_map(voted).unzip();
            areas.figure(|areas| spearman(&places.iter().map(|m| areas[*m]).collect::<Vec<_>>(), &votes).unwrap_or(f64::NAN))
        };
        let published = Areas::published(areas.target);
        let mut row = vec![Cell::text(areas.target.title())];
        row.extend([false, true].map(|averaged| figure(&of(areas, averaged), 2)));
        row.extend([false, true].map(|averaged| Cell::maybe(published.as_ref().map(|p| of(p, averaged).value), 2)));
        table.rows.push(row);
    }
    table
}

/// Where averaged heatmaps are largest.
fn averaged(peaks: &Peaks) -> Table {
    let targets: Vec<Target> = Target::STUDY.into_iter().filter(|target| peaks.shares.iter().any(|one| one.0 == *target)).collect();
    let sought: Vec<String> = targets.iter().map(|target| format!("{}: {}", target.title(), sought(*target))).collect();
    let caption = format!(
        "Share of the ECGs drawn, in percent, in which the averaged heatmap (mean of |attribution| over leads) is largest at a place that makes the measurement, with Wilson's \
         95 % interval. {}",
        sought.join("; ")
    );
    let mut table = Table::new(caption, std::iter::once("Method").chain(targets.iter().map(|target| target.title())));
    for method in NINE {
        let cell = |target: &Target| {
            let share = peaks.share(*target, method);
            Cell::estimate(share.map(in_percent), 0)
        };
        table.rows.push(std::iter::once(Cell::text(title(method))).chain(targets.iter().map(cell)).collect());
    }
    table
}

/// Mean absolute error of a target on the test split, where there is one.
pub(super) fn error_of(study: &StudyResults, target: Target) -> Option<f64> {
    errors(&study.target(target)?.pairs()).map(|errors| errors.mae)
}
