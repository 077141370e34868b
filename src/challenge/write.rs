//! What a challenge leaves in its folder: `challenge.html`, `.md`, `.csv`, `.json`, a picture of each network's criteria, and every table under `tables/`.

use super::picture;
use super::run::Challenged;
use super::settings::Settings;
use super::summary::{Column, columns};
use super::tables::{details, long_table, main_table};
use super::words::summary_words;
use crate::files::atomic;
use crate::report::colour::Style;
use crate::report::svg::{Svg, escape};
use crate::report::tables::Table;
use crate::{Error, Result};
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

const CSS: &str = include_str!("../report/page/report.css");

/// How the results came to be.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// The program's version.
    pub version: String,
    /// Every setting.
    pub settings: Settings,
    /// Digests of models and dataset: name and `sha256:…`.
    pub digests: Vec<(String, String)>,
    /// What a reader must know of the networks before all else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Writes all forms.
///
/// # Errors
/// [`Error::Io`].
pub fn write(folder: &Path, all: &[Challenged], about: &About) -> Result<()> {
    let seed = about.settings.seed;
    let scored: Vec<(&Challenged, Vec<Column>)> = all.iter().map(|challenged| (challenged, columns(challenged, seed))).collect();
    let tables = folder.join("tables");
    std::fs::create_dir_all(&tables).map_err(|source| Error::io(&tables, source))?;
    let save = |name: String, table: &Table| -> Result<()> {
        atomic::write(tables.join(format!("{name}.csv")), table.csv().as_bytes())?;
        atomic::write(tables.join(format!("{name}.md")), table.markdown().as_bytes())?;
        atomic::write(tables.join(format!("{name}.tex")), table.latex().as_bytes())?;
        atomic::write(tables.join(format!("{name}.html")), table.html().as_bytes())
    };
    let (mut markdown, mut html) = (opening_markdown(about), opening_html(about));
    for (challenged, columns) in &scored {
        let picture = || picture::criteria(challenged, columns, Style::default());
        atomic::write(folder.join(format!("{}.svg", challenged.name)), picture().finish().as_bytes())?;
        let (main, details) = (main_table(challenged, columns), details(challenged, seed));
        let words = sentences(challenged, columns);
        save(challenged.name.clone(), &main)?;
        for (name, table) in &details {
            save(format!("{}_{name}", challenged.name), table)?;
        }
        section_markdown(&mut markdown, challenged, &words, &main, &details);
        section_html(&mut html, challenged, &words, (picture(), &main), &details);
    }
    atomic::write(folder.join("challenge.csv"), long_table(&scored).csv().as_bytes())?;
    atomic::write(folder.join("challenge.md"), markdown.as_bytes())?;
    atomic::write(folder.join("challenge.html"), (html + CLOSING).as_bytes())?;
    atomic::write(folder.join("challenge.json"), format!("{:#}\n", json(all, about)).as_bytes())
}

/// The summary, then the remarks of the criteria that it does not already quote.
fn sentences(challenged: &Challenged, columns: &[Column]) -> Vec<String> {
    let mut words = summary_words(challenged, columns);
    let remarks: Vec<String> = challenged.findings.iter().flat_map(|findings| findings.remarks.iter().cloned()).collect();
    for remark in remarks {
        if !words.iter().any(|sentence| sentence.contains(&remark)) {
            words.push(remark);
        }
    }
    words
}

/// Everything as JSON: settings, digests, and for each network the summary and every figure with its interval.
pub fn json(all: &[Challenged], about: &About) -> serde_json::Value {
    let one = |challenged: &Challenged| {
        let columns = columns(challenged, about.settings.seed);
        serde_json::json!({
            "name": challenged.name,
            "target": challenged.target,
            "unit": challenged.target.unit(),
            "methods": challenged.methods,
            "summary": sentences(challenged, &columns),
            "criteria": columns,
        })
    };
    let networks: Vec<serde_json::Value> = all.iter().map(one).collect();
    serde_json::json!({ "format": "cardiograd-challenge", "about": about, "networks": networks })
}

const QUESTION: &str = "Do these heatmaps deserve trust?";
const READING: &str = "Every criterion shows one way in which a heatmap can be wrong; none shows that it is right. The column of the random control shows what maps \
                       that have nothing to do with the network reach. docs/CHALLENGE.md defines every criterion.";

fn opening_markdown(about: &About) -> String {
    let warnings: String = about.warnings.iter().map(|warning| format!("\n**{warning}.**\n")).collect();
    format!("# {QUESTION}\n\n{READING}\n\n{}, seed {}.\n{warnings}", about.version, about.settings.seed)
}

fn section_markdown(page: &mut String, challenged: &Challenged, words: &[String], main: &Table, details: &[(&str, Table)]) {
    let _ = write!(page, "\n## {} ({})\n\n", challenged.target.title(), challenged.name);
    words.iter().for_each(|sentence| *page += &format!("- {sentence}\n"));
    let _ = write!(page, "\n{}", main.markdown());
    for (_, table) in details {
        let _ = write!(page, "\n{}", table.markdown());
    }
}

/// A table of eleven methods needs the width of the window; figures and their intervals stand below each other.
const WIDE: &str = "main,header,footer{max-width:1500px}td{padding:3px 5px;font-size:13px}thead th{padding:4px 5px}";

const CLOSING: &str =
    "</main><footer>Made by cardiograd. Research software: not a medical device, not for diagnosis.</footer></body></html>\n";

fn opening_html(about: &About) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{QUESTION}</title><style>{CSS}{WIDE}</style></head><body><header><h1>{QUESTION}</h1><p class=\"lead\">{READING}</p><p>{}, seed {}.</p></header><main id=\"main\">{}",
        escape(&about.version),
        about.settings.seed,
        about.warnings.iter().map(|warning| format!("<p class=\"warning\" role=\"note\">{}</p>", escape(warning))).collect::<String>()
    )
}

fn section_html(page: &mut String, challenged: &Challenged, words: &[String], (picture, main): (Svg, &Table), details: &[(&str, Table)]) {
    let title = escape(&format!("{} ({})", challenged.target.title(), challenged.name));
    let _ = write!(page, "<section><h2>{title}</h2><ul>");
    words.iter().for_each(|sentence| *page += &format!("<li>{}</li>", escape(sentence)));
    let _ = write!(page, "</ul><figure>{}<figcaption>{}</figcaption></figure>", picture.inline(), escape(picture::READING));
    scrolled(page, main);
    *page += "<details><summary>Details</summary>";
    details.iter().for_each(|(_, table)| scrolled(page, table));
    *page += "</details></section>";
}

fn scrolled(page: &mut String, table: &Table) {
    let caption = escape(&table.caption);
    let _ = write!(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">{}</div>", table.html());
}
