//! A certificate as a page to print: no script, nothing from elsewhere.

use super::figure::words;
use super::{About, Certificate};
use crate::report::svg::escape;
use crate::report::tables::{Cell, Table};
use std::fmt::Write;

const CSS: &str = include_str!("../report/page/report.css");

/// What the checks are and are not.
const READING: &str = "Each line tests a statement that must hold whatever the network is, on the ECGs named here, and passes when its figure is not above its bound. \
                       Tests can show that something is wrong; they prove nothing.";

/// The page.
pub fn html(certificate: &Certificate) -> String {
    let title = "Audit of a network's heatmaps";
    let failed = certificate.failures().len();
    let verdict = match failed {
        0 => format!("All {} checks passed.", certificate.checks.len()),
        _ => format!("{failed} of {} checks failed.", certificate.checks.len()),
    };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{CSS}</style></head><body><header><h1>{title}</h1><p class=\"lead\">{verdict} {READING}</p></header><main id=\"main\">"
    );
    for table in [facts(certificate), lines(certificate)] {
        let caption = escape(&table.caption);
        let _ = write!(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">{}</div>", table.html());
    }
    page += "<h2>Not tested</h2><ul>";
    certificate.not_covered.iter().for_each(|line| page += &format!("<li>{}</li>", escape(line)));
    page + "</ul></main><footer>Made by cardiograd. Research software: not a medical device, not for diagnosis.</footer></body></html>\n"
}

fn facts(certificate: &Certificate) -> Table {
    let mut table = Table::new("What was audited", ["Fact", "Value"]);
    let mut fact = |name: &str, value: String| table.rows.push(vec![Cell::text(name), Cell::text(value)]);
    if let Some(About { model, model_sha256, dataset, dataset_sha256, date, command }) = &certificate.about {
        fact("Model", format!("{model}, SHA-256 {model_sha256}"));
        fact("Dataset", format!("{dataset}, SHA-256 {dataset_sha256}"));
        fact("Date", format!("on {date} (UTC)"));
        fact("Command", command.clone());
    }
    fact("Program", format!("SHA-256 {}", certificate.program_sha256));
    fact("Parameters", format!("SHA-256 {}", certificate.parameters_sha256));
    fact("ECGs", format!("number {}", certificate.ecgs.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")));
    fact("Their samples", format!("SHA-256 {}", certificate.inputs_sha256));
    fact("Made by", format!("{}, kernel {}, seed {}", certificate.version, certificate.kernel, certificate.seed));
    table
}

fn lines(certificate: &Certificate) -> Table {
    let mut table = Table::new("Checks", ["Check", "Outcome", "Figure", "Bound", "Where, and what else there is to say"]);
    for check in &certificate.checks {
        let figure = words(check.figure).map_or_else(|| format!("{:.2e}", check.figure), str::to_owned);
        let outcome = if check.passed { "pass" } else { "FAIL" };
        let mut row = vec![Cell::text(&check.name), Cell::text(outcome), Cell::valued(figure, check.figure)];
        row.extend([Cell::valued(format!("{:.0e}", check.bound), check.bound), Cell::text(&check.detail)]);
        row[1].best = !check.passed;
        table.rows.push(row);
    }
    table
}
