//! What the figures of one network say, in sentences that claim no more than the figures.
//!
//! A method is named only where its whole interval lies on one side of what it is compared with.

use super::findings::Criterion;
use super::replace::Replacement;
use super::run::Challenged;
use super::summary::{Column, Estimate};
use crate::attribution::Method;

/// A rank correlation of this much is called high.
const HIGH: f64 = 0.5;

/// The summary of one network, a sentence or two for each criterion asked.
pub fn summary_words(challenged: &Challenged, columns: &[Column]) -> Vec<String> {
    let words = Words { challenged, columns };
    let mut all: Vec<String> = [
        words.localisation(),
        words.infidelity(),
        words.sensitivity(),
        words.randomisation(),
        words.permuted(),
        words.seeds(),
        words.replacement(),
    ]
    .into_iter()
    .flatten()
    .collect();
    all.push(words.closing());
    all
}

struct Words<'a> {
    challenged: &'a Challenged,
    columns: &'a [Column],
}

impl Words<'_> {
    fn column(&self, prefix: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.starts_with(prefix))
    }

    /// The methods, the random control left out, whose figures in a column satisfy a condition; and how many were asked.
    fn those(&self, column: &Column, condition: impl Fn(&Estimate) -> bool) -> (Vec<&'static str>, usize) {
        let asked = self.challenged.methods.iter().zip(&column.cells).filter(|(method, cell)| **method != Method::Random && cell.is_some());
        let asked: Vec<(&Method, &Option<Estimate>)> = asked.collect();
        let named = asked.iter().filter(|(_, cell)| cell.as_ref().is_some_and(&condition)).map(|(method, _)| method.title()).collect();
        (named, asked.len())
    }

    /// The control's figure in a column.
    fn control(&self, column: &Column) -> Option<Estimate> {
        let at = self.challenged.methods.iter().position(|method| *method == Method::Random)?;
        column.cells[at]
    }

    fn localisation(&self) -> Option<String> {
        let column = self.column("localisation")?;
        let (inside, asked) = self.those(column, |e| e.low > 1.0);
        let (outside, _) = self.those(column, |e| e.high < 1.0);
        (asked > 0).then(|| {
            format!(
                "Localisation: {} of {asked} methods put more |attribution| into the segment where the {} is measured than its share of points{}; {} put less.",
                inside.len(),
                self.challenged.target.title(),
                listed(&inside),
                count(&outside)
            )
        })
    }

    fn infidelity(&self) -> Option<String> {
        let [noise, window] = ["infidelity.noise", "infidelity.window"].map(|name| self.column(name));
        let say = |column: &Column, what: &str| {
            let (good, asked) = self.those(column, |e| e.high < 0.5);
            format!("{} of {asked} explain more than half of what {what} does to the prediction{}", good.len(), listed(&good))
        };
        Some(format!(
            "Infidelity: taken as linear models of the prediction, {}; {}.",
            say(noise?, "small noise"),
            say(window?, "removing 100 ms of a lead")
        ))
    }

    fn sensitivity(&self) -> Option<String> {
        let column = self.column("sensitivity")?;
        let (steady, asked) = self.those(column, |e| e.high < 0.5);
        let (unsteady, _) = self.those(column, |e| e.low > 1.0);
        (asked > 0).then(|| {
            format!(
                "Max-sensitivity: under small noise the maps of {} of {asked} methods move by less than half their size{}, those of {} by more than their size.",
                steady.len(),
                listed(&steady),
                count(&unsteady)
            )
        })
    }

    fn randomisation(&self) -> Option<String> {
        let column = self.column("cascading")?;
        let floor = self.control(column).map_or(String::new(), |e| format!(" (unrelated maps: {:.2})", e.value).replace('-', "−"));
        let (same, asked) = self.those(column, |e| e.low > HIGH);
        (asked > 0).then(|| {
            format!(
                "Weights: with every layer randomised, the maps of {} of {asked} methods keep a rank correlation above {HIGH} with those of the trained network{floor}{}.{}",
                same.len(),
                listed(&same),
                if same.is_empty() { "" } else { " What such a map shows is largely not what training has put into the weights." }
            )
        })
    }

    fn permuted(&self) -> Option<String> {
        let column = self.column("permuted")?;
        let (same, asked) = self.those(column, |e| e.low > HIGH);
        let learned = self.challenged.of(Criterion::PermutedLabels).map_or(String::new(), |found| found.remarks.join(" "));
        (asked > 0).then(|| {
            format!(
                "Labels: {} of {asked} methods give a network trained on permuted labels maps of a rank correlation above {HIGH}{}. {learned}",
                same.len(),
                listed(&same)
            )
        })
    }

    fn seeds(&self) -> Option<String> {
        let column = self.column("seeds")?;
        let (same, asked) = self.those(column, |e| e.low > HIGH);
        (asked > 0).then(|| {
            format!(
                "Seeds: for a network trained from another seed, the maps of {} of {asked} methods have a rank correlation above {HIGH} with these{}.",
                same.len(),
                listed(&same)
            )
        })
    }

    fn replacement(&self) -> Option<String> {
        let columns: Vec<&Column> =
            Replacement::ALL.iter().filter_map(|kind| self.column(&format!("replacement.{}.morf", kind.name()))).collect();
        if columns.is_empty() {
            return None;
        }
        let above: Vec<Vec<&str>> = columns.iter().map(|column| self.those(column, |e| e.low > 0.0).0).collect();
        let always: Vec<&str> = above[0].iter().copied().filter(|name| above.iter().all(|names| names.contains(name))).collect();
        let asked = self.those(columns[0], |_| true).1;
        let somewhere =
            self.those(columns[0], |_| true).0.into_iter().filter(|name| above.iter().any(|names| names.contains(name))).count();
        Some(format!(
            "Replacement: under all {} replacements, replacing first what the map ranks first moves the prediction more than random orders do for {} of {asked} methods{}; under none of them for {}.",
            columns.len(),
            always.len(),
            listed(&always),
            asked - somewhere
        ))
    }

    fn closing(&self) -> String {
        let few = self.columns.iter().flat_map(|column| column.cells.iter().flatten()).map(|e| e.ecgs).min().unwrap_or(0);
        format!(
            "These statements are of this network and of {few} ECGs or more, each criterion for itself, without correction for their number. None of them shows that a map is right; \
             intervals over few ECGs are narrower than they should be."
        )
    }
}

/// ` (A, B and C)`, or nothing.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!(" ({one})"),
        [most @ .., last] => format!(" ({} and {last})", most.join(", ")),
    }
}

/// `none`, or how many and which.
fn count(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { format!("{}{}", names.len(), listed(names)) }
}
