//! From votes to the study's Table 2 (votes per method) and Table 3 (agreement), with more coefficients beside Cohen's κ.

use super::key::{Key, View};
use super::votes::Checked;
use crate::dataset::Target;
use crate::evaluation::agreement::{
    Votes, cohen_kappa, cohen_kappa_of, fleiss_kappa, gwet_ac1, krippendorff_alpha, mean_pairwise_kappa, wording,
};
use crate::evaluation::bootstrap;
use crate::report::methods::title;
use crate::report::published;
use crate::report::tables::{Cell, Table};

/// What the votes say.
pub struct Tally {
    /// Table 2: votes per method and target, one table per view.
    pub votes: Vec<(View, Table)>,
    /// Table 3: agreement between raters per target and in all, one table per view.
    pub between: Vec<(View, Table)>,
    /// κ of each pair of raters.
    pub pairs: Table,
    /// Agreement of each rater with themselves.
    pub within: Table,
}

/// Which screens a coefficient is over; `None` for all targets together.
#[derive(Clone, Copy)]
struct Part {
    view: View,
    target: Option<Target>,
}

/// Makes the tables. Intervals are 95 % percentile bootstrap intervals over ECGs.
pub fn tally(key: &Key, checked: &Checked, resamples: usize, seed: u64) -> Tally {
    let votes = View::BOTH.map(|view| (view, votes_table(key, checked, view))).to_vec();
    let between = View::BOTH.map(|view| (view, between_table(key, checked, view, (resamples, seed)))).to_vec();
    Tally { votes, between, pairs: pairs_table(key, checked), within: within_table(key, checked, (resamples, seed)) }
}

/// Every target, then all together.
fn parts(key: &Key, view: View) -> Vec<Part> {
    key.targets.iter().map(|target| Some(*target)).chain([None]).map(|target| Part { view, target }).collect()
}

fn name(part: Part) -> String {
    part.target.map_or("Total".into(), |target| target.title().into())
}

fn votes_table(key: &Key, checked: &Checked, view: View) -> Table {
    let header = std::iter::once("Method".to_owned()).chain(key.targets.iter().map(|t| t.title().to_owned())).chain(["Total".to_owned()]);
    let mut table = Table::new(format!("Table 2. Votes, {}", view.title()), header);
    let count = |method: usize, target: Option<Target>| {
        let screens = key.raters.iter().zip(&checked.choices).flat_map(|(rater, choices)| rater.screens.iter().zip(choices));
        let chosen = screens.filter(|(s, choice)| s.view == view && target.is_none_or(|t| s.target == t) && **choice == Some(method));
        chosen.count() as f64
    };
    for (m, method) in key.methods.iter().enumerate() {
        let cells = parts(key, view).into_iter().map(|part| Cell::number(count(m, part.target), 0));
        table.rows.push(std::iter::once(Cell::text(title(method))).chain(cells).collect());
    }
    table.mark_largest(usize::MAX);
    let sum = |part: Part| Cell::number((0..key.methods.len()).map(|m| count(m, part.target)).sum(), 0);
    table.rows.push(std::iter::once(Cell::text("All")).chain(parts(key, view).into_iter().map(sum)).collect());
    table
}

/// Votes of all raters on the items of a part, grouped by ECG: `items[ecg]` are rows of one vote per rater.
fn items(key: &Key, checked: &Checked, part: Part) -> Vec<Votes> {
    let mut items: Vec<Votes> = vec![Vec::new(); key.ecgs.len()];
    for target in key.targets.iter().filter(|t| part.target.is_none_or(|target| **t == target)) {
        let mut rows: Vec<Votes> = vec![vec![vec![None; key.raters.len()]; key.presentations]; key.ecgs.len()];
        for (r, (rater, choices)) in key.raters.iter().zip(&checked.choices).enumerate() {
            for (screen, choice) in rater.screens.iter().zip(choices) {
                if screen.view == part.view && screen.target == *target {
                    rows[screen.ecg][screen.presentation][r] = *choice;
                }
            }
        }
        rows.into_iter().enumerate().for_each(|(ecg, rows)| items[ecg].extend(rows));
    }
    items
}

fn gathered(items: &[Votes], units: &[usize]) -> Votes {
    units.iter().flat_map(|ecg| items[*ecg].iter().cloned()).collect()
}

fn between_table(key: &Key, checked: &Checked, view: View, (resamples, seed): (usize, u64)) -> Table {
    let header =
        ["Measurement", "Mean of Cohen's κ", "95 % interval", "In words", "Fleiss' κ", "Krippendorff's α", "Gwet's AC1", "Study's κ"];
    let mut table = Table::new(format!("Table 3. Agreement between raters, {}", view.title()), header);
    for part in parts(key, view) {
        let items = items(key, checked, part);
        let everything = gathered(&items, &(0..items.len()).collect::<Vec<_>>());
        let kappa = mean_pairwise_kappa(&everything);
        let interval = bootstrap::interval(items.len(), resamples, seed, |units| mean_pairwise_kappa(&gathered(&items, units)));
        table.rows.push(vec![
            Cell::text(name(part)),
            Cell::maybe(kappa, 2),
            range(kappa.and(interval)),
            Cell::text(kappa.map_or("–", wording)),
            Cell::maybe(fleiss_kappa(&everything), 2),
            Cell::maybe(krippendorff_alpha(&everything), 2),
            Cell::maybe(gwet_ac1(&everything, key.methods.len()), 2),
            study(part),
        ]);
    }
    table
}

/// The study's κ with its interval.
fn study(part: Part) -> Cell {
    let row = match part.target {
        None => Some(6),
        Some(target) => Target::STUDY.iter().position(|t| *t == target),
    };
    let column = usize::from(part.view == View::Averaged);
    row.map_or_else(
        || Cell::text("–"),
        |row| {
            let (kappa, low, high) = published::KAPPA[row][column];
            Cell::text(format!("{kappa:.2} ({low:.2}, {high:.2})"))
        },
    )
}

fn range(interval: Option<(f64, f64)>) -> Cell {
    interval.map_or_else(|| Cell::text("–"), |(low, high)| Cell::text(format!("{low:.2} to {high:.2}").replace('-', "−")))
}

fn pairs_table(key: &Key, checked: &Checked) -> Table {
    let count = key.raters.len();
    let pairs: Vec<(usize, usize)> = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
    let names = pairs.iter().map(|(a, b)| format!("{} and {}", key.raters[*a].rater, key.raters[*b].rater));
    let mut table = Table::new("Cohen's κ of each pair of raters", ["View".to_owned(), "Measurement".to_owned()].into_iter().chain(names));
    for part in View::BOTH.into_iter().flat_map(|view| parts(key, view)) {
        let items = items(key, checked, part);
        let everything = gathered(&items, &(0..items.len()).collect::<Vec<_>>());
        let cells = pairs.iter().map(|(a, b)| Cell::maybe(cohen_kappa_of(&everything, *a, *b), 2));
        table.rows.push([Cell::text(part.view.title()), Cell::text(name(part))].into_iter().chain(cells).collect());
    }
    table
}

/// A rater's κ with themselves: pairs of votes on different presentations of one ECG.
fn own_kappa(items: &[Votes], units: &[usize], presentations: usize, rater: usize) -> Option<f64> {
    let rows = units.iter().flat_map(|ecg| items[*ecg].chunks(presentations));
    let pairs = rows.flat_map(|rows| {
        let ends = (0..rows.len()).flat_map(move |a| (a + 1..rows.len()).map(move |b| (a, b)));
        ends.map(move |(a, b)| (rows[a][rater], rows[b][rater]))
    });
    cohen_kappa(pairs)
}

fn within_table(key: &Key, checked: &Checked, (resamples, seed): (usize, u64)) -> Table {
    let header = ["View".to_owned(), "Measurement".to_owned()].into_iter().chain(key.raters.iter().map(|rater| rater.rater.clone()));
    let mut table = Table::new("Cohen's κ of each rater's first and later votes, with 95 % intervals", header);
    for part in View::BOTH.into_iter().flat_map(|view| parts(key, view)) {
        let items = items(key, checked, part);
        let every: Vec<usize> = (0..items.len()).collect();
        let cell = |rater: usize| {
            let of = |units: &[usize]| own_kappa(&items, units, key.presentations, rater);
            let Some(kappa) = of(&every) else { return Cell::text("–") };
            let interval = range(bootstrap::interval(items.len(), resamples, seed, of)).text;
            Cell::valued(format!("{kappa:.2} ({interval}), {}", wording(kappa)).replace('-', "−"), kappa)
        };
        table
            .rows
            .push([Cell::text(part.view.title()), Cell::text(name(part))].into_iter().chain((0..key.raters.len()).map(cell)).collect());
    }
    table
}
