//! Studies that differ in something, side by side with the one that the document is of: what each difference does.

use super::areas::{Areas, mean_place};
use super::tables::{counted, error_of, kind};
use super::verdict::Figure;
use super::{Named, Reproduction};
use crate::dataset::Target;
use crate::evaluation::ranks::spearman;
use crate::report::methods::{NINE, title};
use crate::report::published;
use crate::report::results::StudyResults;
use crate::report::study_tables::column;
use crate::report::tables::{Cell, Table};

/// What the study that the document is of is called.
const OWN: &str = "this study";

/// The tables; none where there is no other study.
pub(super) fn tables(of: &Reproduction<'_>) -> Vec<(&'static str, Table)> {
    if of.others.is_empty() {
        return Vec::new();
    }
    vec![
        ("ablation_settings", settings(of)),
        ("ablation_errors", errors(of)),
        ("ablation_likeness", likeness(of)),
        ("ablation_places", places(of)),
    ]
}

/// Every study with its name, this one first.
fn studies<'a>(of: &'a Reproduction<'_>) -> impl Iterator<Item = (&'a str, &'a StudyResults)> {
    std::iter::once((OWN, of.study)).chain(of.others.iter().map(|Named { name, results }| (name.as_str(), results)))
}

/// Every study's areas with its name, this one's first.
fn areas<'a>(of: &'a Reproduction<'_>) -> impl Iterator<Item = (&'a str, &'a [Areas])> {
    let names = of.others.iter().map(|other| other.name.as_str());
    std::iter::once((OWN, &of.areas[..])).chain(names.zip(of.of_others.iter().map(Vec::as_slice)))
}

/// What differs between the studies.
fn settings(of: &Reproduction<'_>) -> Table {
    let names = studies(of).map(|(name, _)| name);
    let mut table = Table::new("What differs in the settings of the studies", std::iter::once("Setting").chain(names));
    let mut seen: Vec<&str> = Vec::new();
    for (name, _) in studies(of).flat_map(|(_, study)| &study.provenance.settings) {
        if seen.contains(&name.as_str()) {
            continue;
        }
        seen.push(name);
        let values: Vec<&str> = studies(of).map(|(_, study)| study.setting(name).unwrap_or("–")).collect();
        if values.iter().any(|value| *value != values[0]) {
            table.rows.push(std::iter::once(name.as_str()).chain(values).map(Cell::text).collect());
        }
    }
    table
}

fn errors(of: &Reproduction<'_>) -> Table {
    let targets: Vec<Target> =
        Target::ALL.into_iter().filter(|target| studies(of).any(|(_, study)| error_of(study, *target).is_some())).collect();
    let header = ["Study", "Input", "ECGs"].map(str::to_owned).into_iter().chain(targets.iter().map(|target| column(*target)));
    let mut table = Table::new("Mean absolute errors on the studies' own test splits, and as published for median beats", header);
    let published = targets.iter().map(|target| Cell::maybe(published::test_errors(*target).map(|errors| errors.0), 2));
    let first = [Cell::text("as published"), Cell::text("median beats"), Cell::number(150_000.0, 0)];
    table.rows.push(first.into_iter().chain(published).collect());
    for (name, study) in studies(of) {
        let first = [Cell::text(name), Cell::text(kind(study)), Cell::number(study.data.ecgs as f64, 0)];
        let own = targets.iter().map(|target| Cell::maybe(error_of(study, *target), 2));
        table.rows.push(first.into_iter().chain(own).collect());
    }
    table
}

/// How near each study's Table 4 is to the published one.
fn likeness(of: &Reproduction<'_>) -> Table {
    let header = ["Study", "Cells", "Within 25 %", "Of one class"].map(str::to_owned);
    let header = header.into_iter().chain(Target::STUDY.map(|target| format!("Spearman, {}", target.title())));
    let caption = "How near each study's Table 4 is to the published one: cells, and Spearman's correlation without Random with its 95 % bootstrap interval over ECGs";
    let mut table = Table::new(caption, header);
    for (name, all) in areas(of) {
        let sums = all.iter().map(counted).fold([0; 3], |sums, own| std::array::from_fn(|k| sums[k] + own[k]));
        let mut row = vec![Cell::text(name)];
        row.extend([sums[2], sums[0], sums[1]].map(|n| Cell::number(n as f64, 0)));
        row.extend(Target::STUDY.map(|target| {
            let found = all.iter().find(|areas| areas.target == target).map(|areas| areas.likeness(false, spearman));
            found.map_or_else(|| Cell::text("–"), |found| super::tables::figure(&found, 2))
        }));
        table.rows.push(row);
    }
    table
}

/// Where each method stands in each study.
fn places(of: &Reproduction<'_>) -> Table {
    let caption =
        "The place of each method between Random (0) and the winner (1) in each study, with its 95 % bootstrap interval over ECGs";
    let header = ["Target", "Method", "As published"].into_iter().chain(areas(of).map(|(name, _)| name));
    let mut table = Table::new(caption, header);
    let cell = |place: Option<Figure>| place.map_or_else(|| Cell::text("–"), |place| super::tables::figure(&place, 2));
    let one =
        |all: &[Areas], target: Target, method: &str| all.iter().find(|areas| areas.target == target).and_then(|areas| areas.place(method));
    for target in Target::STUDY.into_iter().filter(|target| areas(of).any(|(_, all)| all.iter().any(|areas| areas.target == *target))) {
        for method in NINE {
            let there = Areas::published(target).and_then(|areas| areas.place(method)).map(|place| place.value);
            let first = [Cell::text(target.title()), Cell::text(title(method)), Cell::maybe(there, 2)];
            table.rows.push(first.into_iter().chain(areas(of).map(|(_, all)| cell(one(all, target, method)))).collect());
        }
    }
    let published: Vec<Areas> = Target::STUDY.into_iter().filter_map(Areas::published).collect();
    let mean = |all: &[Areas], method: &str| {
        let six: Vec<&Areas> = all.iter().collect();
        if six.len() == Target::STUDY.len() { mean_place(&six, method) } else { None }
    };
    for method in NINE {
        let first = [Cell::text("Mean of six"), Cell::text(title(method)), Cell::maybe(mean(&published, method).map(|mean| mean.value), 2)];
        table.rows.push(first.into_iter().chain(areas(of).map(|(_, all)| cell(mean(all, method)))).collect());
    }
    table
}
