//! Everything that people look at, written under a study's folder: `report.html`, `figures/*.svg`, `.pdf` and `.png`, `tables/*.csv`, `.md`, `.tex`,
//! `.html`.

use super::analysis::{self, PerturbationAnalysis};
use super::colour::Style;
use super::results::StudyResults;
use super::study_tables as tables;
use super::tables::Table;
use super::{error_tables, figures, page, pdf, png, worst};
use crate::files::atomic;
use crate::{Error, Result};
use std::path::Path;

/// Writes the report, figures and tables of a study.
///
/// # Errors
/// [`Error::Io`]; whatever [`StudyResults::check`] finds.
pub fn write(folder: &Path, results: &StudyResults) -> Result<()> {
    results.check()?;
    let analyses = analyses(results);
    drawn(&folder.join("figures"), results, &analyses, Style::default())?;
    make(&folder.join("tables"))?;
    for (name, table) in all_tables(results, &analyses) {
        let path = |ending: &str| folder.join(format!("tables/{name}.{ending}"));
        atomic::write(path("csv"), table.csv().as_bytes())?;
        atomic::write(path("md"), table.markdown().as_bytes())?;
        atomic::write(path("tex"), table.latex().as_bytes())?;
        atomic::write(path("html"), table.html().as_bytes())?;
    }
    atomic::write(folder.join("report.html"), page::page(results, &analyses).as_bytes())
}

/// Writes the figures of a study, in any style, into a folder.
///
/// # Errors
/// As [`write`].
pub fn figures(folder: &Path, results: &StudyResults, style: Style) -> Result<()> {
    results.check()?;
    drawn(folder, results, &analyses(results), style)
}

fn analyses(results: &StudyResults) -> Vec<PerturbationAnalysis> {
    results.targets.iter().filter_map(|target| analysis::perturbation(target, results.scoring, results.provenance.seed)).collect()
}

fn drawn(folder: &Path, results: &StudyResults, analyses: &[PerturbationAnalysis], style: Style) -> Result<()> {
    make(folder)?;
    for figure in figures::all(results, analyses, style) {
        figure.svg.check()?;
        let svg = figure.svg.finish();
        atomic::write(folder.join(format!("{}.svg", figure.name)), svg.as_bytes())?;
        atomic::write(folder.join(format!("{}.pdf", figure.name)), &pdf::pdf(&svg)?)?;
        atomic::write(folder.join(format!("{}.png", figure.name)), &png::png(&svg, png::PRINT)?)?;
    }
    for figure in worst::figures(results, style) {
        figure.svg.check()?;
        atomic::write(folder.join(format!("{}.svg", figure.name)), figure.svg.finish().as_bytes())?;
    }
    Ok(())
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))
}

/// Every table with the name of its file.
fn all_tables(results: &StudyResults, analyses: &[PerturbationAnalysis]) -> Vec<(String, Table)> {
    let mut all = vec![("metrics".to_owned(), error_tables::metrics(results)), ("data".to_owned(), tables::data(results))];
    all.push(("agreement".into(), error_tables::agreement(results)));
    if results.targets.iter().any(|target| !target.target.is_regression()) {
        all.push(("classes".into(), error_tables::classes(results)));
        all.extend(Some(("several_classes".into(), error_tables::several(results))).filter(|(_, table)| !table.rows.is_empty()));
    }
    all.push(("thresholds".into(), error_tables::thresholds(results)));
    all.push(("worst_ecgs".into(), error_tables::worst(results)));
    all.push(("worst_shares".into(), error_tables::worst_shares(results)));
    if !analyses.is_empty() {
        let scorings = tables::all_scorings(analyses).into_iter();
        all.extend(scorings.map(|scoring| (format!("table4_{}", scoring.name()), tables::table4(analyses, scoring))));
        all.push(("areas".into(), tables::areas(analyses)));
        all.push((format!("rank_stability_{}", results.scoring), tables::stability(analyses)));
        all.push((format!("differences_{}", results.scoring), tables::differences(analyses)));
        all.push((format!("pairs_{}", results.scoring), tables::all_pairs(analyses)));
        if tables::any_published(analyses) {
            all.push(("table4_published".into(), tables::table4_published()));
            all.push(("experts".into(), tables::experts(analyses, &results.data.source)));
            all.push(("against_published".into(), tables::against_published(analyses)));
        }
        all.push(("exclusions".into(), tables::exclusions(results)));
        all.extend(analyses.iter().map(|a| (format!("ranks_by_end_{}_{}", a.target, a.scoring), tables::ranks_by_end(a))));
    }
    all.extend(page::correlation_tables(results));
    all
}
