//! Two studies side by side: what differs in their settings, their networks' errors, and how methods fared in each.

use super::analysis::{self, PerturbationAnalysis};
use super::methods::title;
use super::results::StudyResults;
use super::study_tables::{column, digits, named};
use super::svg::escape;
use super::tables::{Cell, Table};
use crate::Result;
use crate::evaluation::ranks::{descending, spearman};
use crate::files::atomic;
use std::fmt::Write;
use std::path::Path;

const CSS: &str = include_str!("page/report.css");

/// Both studies with their analyses, by the scoring of the first.
pub struct Pair<'a> {
    here: &'a StudyResults,
    there: &'a StudyResults,
    analyses: Vec<(PerturbationAnalysis, PerturbationAnalysis)>,
}

impl<'a> Pair<'a> {
    /// A study and the one that it is held against; targets that only one of them has are left out.
    pub fn new(here: &'a StudyResults, there: &'a StudyResults) -> Self {
        let of = |study: &StudyResults, target| analysis::perturbation(study.target(target)?, here.scoring, study.provenance.seed);
        let both = here.targets.iter().filter_map(|target| Some((of(here, target.target)?, of(there, target.target)?)));
        Pair { here, there, analyses: both.collect() }
    }

    /// The settings that differ.
    fn settings(&self) -> Table {
        let mut table = Table::new("What differs in the settings", ["Setting", "This study", "The other"]);
        let absent = "–".to_owned();
        let names = self.here.provenance.settings.iter().chain(&self.there.provenance.settings).map(|setting| setting.0.as_str());
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            let [here, there] = [self.here, self.there].map(|study| study.setting(name).map_or(absent.clone(), str::to_owned));
            if here != there && !seen.contains(&name) {
                table.rows.push(vec![Cell::text(name), Cell::text(here), Cell::text(there)]);
            }
            seen.push(name);
        }
        table
    }

    fn metrics(&self) -> Table {
        let header = ["Target", "MAE", "MAE there", "RMSE", "RMSE there", "MAE against exact", "MAE against exact there"];
        let mut table = Table::new("Errors of the networks on their own test splits, in the target's unit", header);
        for target in &self.here.targets {
            let pair = [target.split("test"), self.there.target(target.target).and_then(|other| other.split("test"))];
            let mut row = vec![Cell::text(column(target.target))];
            row.extend(pair.map(|test| Cell::maybe(test.map(|test| test.mae), 2)));
            row.extend(pair.map(|test| Cell::maybe(test.map(|test| test.rmse), 2)));
            row.extend(pair.map(|test| Cell::maybe(test.and_then(|test| Some(test.exact?.mae)), 2)));
            table.rows.push(row);
        }
        table
    }

    fn areas(&self) -> Table {
        let caption = format!(
            "Area to iteration 15 in both studies, {}, with its 95 % bootstrap interval, and the rank by it among the methods of each",
            named(self.here.scoring)
        );
        let mut table = Table::new(caption, ["Target", "Method", "Area", "Area there", "Rank", "Rank there"]);
        for (here, there) in &self.analyses {
            let areas = [here, there].map(|a| a.areas_by(self.here.scoring));
            let ranks = areas.map(|areas| descending(&areas.iter().map(|area| area.value).collect::<Vec<f64>>()));
            for (at, method) in here.methods.iter().enumerate() {
                let Some(other) = there.methods.iter().position(|name| name == method) else { continue };
                let mut row = vec![Cell::text(here.target.title()), Cell::text(title(method))];
                row.extend([areas[0][at], areas[1][other]].map(|area| Cell::estimate(Some(area), digits(area.value))));
                row.extend([ranks[0][at], ranks[1][other]].map(|rank| Cell::number(rank, if rank.fract() == 0.0 { 0 } else { 1 })));
                table.rows.push(row);
            }
        }
        table
    }

    fn likeness(&self) -> Table {
        let header =
            ["Target", "Spearman of the areas, without Random", "Not told apart from the best", "Not told apart from the best there"];
        let mut table = Table::new(format!("Do the studies agree on the methods? {}", named(self.here.scoring)), header);
        for (here, there) in &self.analyses {
            let areas = [here, there].map(|a| a.areas_by(self.here.scoring));
            let both = here.methods.iter().enumerate().filter(|(_, method)| *method != "random").filter_map(|(at, method)| {
                let other = there.methods.iter().position(|name| name == method)?;
                Some((areas[0][at].value, areas[1][other].value))
            });
            let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
            let best = |a: &PerturbationAnalysis| Cell::text(a.best().into_iter().map(title).collect::<Vec<_>>().join(", "));
            table.rows.push(vec![Cell::text(here.target.title()), Cell::maybe(spearman(&a, &b), 2), best(here), best(there)]);
        }
        table
    }

    /// Every table with the name of its file.
    pub fn tables(&self) -> Vec<(&'static str, Table)> {
        vec![
            ("against_settings", self.settings()),
            ("against_metrics", self.metrics()),
            ("against_likeness", self.likeness()),
            ("against_areas", self.areas()),
        ]
    }

    /// Writes `against.html` and the tables into a study's folder.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>Two studies side by side</title><style>{CSS}</style></head><body><header><h1>Two studies side by side</h1><p class=\"lead\">{}</p></header><main id=\"main\">",
            escape(&self.words())
        );
        for (name, table) in self.tables() {
            let path = |ending: &str| folder.join(format!("tables/{name}.{ending}"));
            atomic::write(path("csv"), table.csv().as_bytes())?;
            atomic::write(path("md"), table.markdown().as_bytes())?;
            atomic::write(path("tex"), table.latex().as_bytes())?;
            let caption = escape(&table.caption);
            let _ = write!(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">{}</div>", table.html());
        }
        page += "</main><footer>Made by cardiograd. Research software: not a medical device, not for diagnosis.</footer></body></html>\n";
        atomic::write(folder.join("against.html"), page.as_bytes())
    }

    /// What each study is of.
    fn words(&self) -> String {
        let of = |study: &StudyResults| format!("{} ECGs (source: {}, seed {})", study.data.ecgs, study.data.source, study.provenance.seed);
        format!("This study is of {}, the other of {}. “There” is the other.", of(self.here), of(self.there))
    }
}
