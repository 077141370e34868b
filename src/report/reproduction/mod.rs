//! A study held against the published one: what `docs/REPRODUCTION.md` is made of.
//!
//! No figure and no verdict is typed: each is computed from a finished study's results, by a criterion that the document prints. A study of any size will
//! do, and the document says its size first.

mod ablation;
mod areas;
mod claims;
mod criteria;
mod document;
mod peaks;
mod place_chart;
mod tables;
mod through;
mod verdict;

use super::analysis::{self, PerturbationAnalysis};
use super::colour::Style;
use super::figures::{self, Figure};
use super::results::StudyResults;
use super::svg::Svg;
use super::tables::Table;
use crate::dataset::Target;
use crate::evaluation::scores::Scoring;
use crate::files::atomic;
use crate::{Error, Result};
use areas::Areas;
use claims::CLAIMS;
use criteria::Evidence;
use peaks::Peaks;
use std::path::{Path, PathBuf};
pub use verdict::Verdict;

/// A study with a name, for tables of several.
pub struct Named {
    /// What it is called.
    pub name: String,
    /// The study.
    pub results: StudyResults,
}

/// The pictures' files.
const PLACES: &str = "places";
const CURVES: &str = "curves";
const RANKS: &str = "ranks";

/// A sentence of the study, and what is found of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Where the study says it.
    pub from: &'static str,
    /// What it says, in our words.
    pub says: &'static str,
    /// What decides it.
    pub criterion: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// The figure behind it, or why there is none.
    pub figure: String,
    /// The verdict on areas of |y − ŷ| / |y|, which small values of either sign do not turn over; `None` where it does not rest on areas alone.
    pub absolute: Option<Verdict>,
    /// The verdict by the same criterion on Table 4 as published; `None` where that does not say.
    pub published: Option<Verdict>,
    /// Anchor and name of what it is read from.
    pub behind: (&'static str, &'static str),
}

/// One study held against the published one, and others beside it that differ in something.
pub struct Reproduction<'a> {
    study: &'a StudyResults,
    others: &'a [Named],
    /// By the published formula, the study's six targets.
    areas: Vec<Areas>,
    /// The same of each of the others.
    of_others: Vec<Vec<Areas>>,
    peaks: Option<Peaks>,
    /// Curves and ranks by the published formula, of the same targets.
    analyses: Vec<PerturbationAnalysis>,
    judgements: Vec<Judgement>,
    /// Resamples of ECGs behind intervals.
    resamples: usize,
}

/// The areas of the study's six targets.
fn areas_of(study: &StudyResults, scoring: Scoring, resamples: usize) -> Vec<Areas> {
    let of = |target: Target| Areas::of(study.target(target)?, scoring, (study.provenance.seed, resamples));
    Target::STUDY.into_iter().filter_map(of).collect()
}

impl<'a> Reproduction<'a> {
    /// Looks at a study and at others, with intervals over so many resamples of ECGs.
    ///
    /// # Errors
    /// [`Error::Data`] if the study has none of the published study's targets; whatever [`StudyResults::check`] finds.
    pub fn new(study: &'a StudyResults, others: &'a [Named], resamples: usize) -> Result<Self> {
        study.check()?;
        others.iter().try_for_each(|other| other.results.check())?;
        if !study.targets.iter().any(|results| Target::STUDY.contains(&results.target)) {
            let own: Vec<&str> = study.targets.iter().map(|results| results.target.name()).collect();
            let published = Target::STUDY.map(Target::name).join(", ");
            return Err(Error::Data(format!("the study predicts {}: none of what the published study did ({published})", own.join(", "))));
        }
        let of_others = others.iter().map(|other| areas_of(&other.results, Scoring::Paper, resamples)).collect();
        let areas = areas_of(study, Scoring::Paper, resamples);
        let analyse = |areas: &Areas| analysis::perturbation(study.target(areas.target)?, Scoring::Paper, study.provenance.seed);
        let analyses = areas.iter().filter_map(analyse).collect();
        let mut held =
            Reproduction { study, others, areas, of_others, peaks: Peaks::of(study), analyses, judgements: Vec::new(), resamples };
        held.judgements = held.judged();
        Ok(held)
    }

    /// Every sentence of the study with its verdict.
    pub fn judgements(&self) -> &[Judgement] {
        &self.judgements
    }

    fn judged(&self) -> Vec<Judgement> {
        let published: Vec<Areas> = Target::STUDY.into_iter().filter_map(Areas::published).collect();
        let here = Evidence { areas: self.areas.iter().collect(), study: Some(self.study), peaks: self.peaks.as_ref() };
        let there = Evidence { areas: published.iter().collect(), study: None, peaks: None };
        let absolute = areas_of(self.study, Scoring::AbsolutePercentage, self.resamples);
        let by_absolute = Evidence { areas: absolute.iter().collect(), study: None, peaks: None };
        let judge = |claim: &claims::Claim| {
            let (verdict, figure) = (claim.judge)(&here).unwrap_or_else(|reason| (Verdict::CannotBeTold, reason));
            let published = (claim.judge)(&there).ok().map(|(verdict, _)| verdict);
            let absolute = published.map(|_| (claim.judge)(&by_absolute).map_or(Verdict::CannotBeTold, |(verdict, _)| verdict));
            let claims::Claim { from, says, criterion, behind, .. } = *claim;
            Judgement { from, says, criterion, verdict, figure, absolute, published, behind }
        };
        CLAIMS.iter().map(judge).collect()
    }

    /// Every table with the name of its file.
    pub fn tables(&self) -> Vec<(&'static str, Table)> {
        tables::all(self)
    }

    /// The document, in Markdown, with the tables that [`Reproduction::tables`] gave. `command` made it, `pictures` is where its pictures lie, as seen from it.
    pub fn document(&self, tables: &[(&'static str, Table)], command: &str, pictures: &str) -> String {
        document::document(self, tables, command, pictures)
    }

    /// The pictures with the names of their files and what they show.
    fn pictures(&self) -> Vec<(&'static str, String, Svg)> {
        let mut all: Vec<_> = place_chart::places(&self.areas).into_iter().map(|(caption, svg)| (PLACES, caption, svg)).collect();
        if !self.analyses.is_empty() {
            let style = Style::default();
            let of_report = [(CURVES, figures::curves(&self.analyses, false, style)), (RANKS, figures::stability(&self.analyses, style))];
            all.extend(of_report.map(|(name, Figure { caption, svg, .. })| (name, caption, svg)));
        }
        all
    }

    /// Writes the document, and its pictures and tables into a folder beside it that has its name in small letters, without the ending. Gives the folder.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, file: &Path, command: &str) -> Result<PathBuf> {
        let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_lowercase();
        let folder = file.with_file_name(&name);
        std::fs::create_dir_all(&folder).map_err(|source| Error::io(&folder, source))?;
        for (name, _, svg) in self.pictures() {
            svg.check()?;
            atomic::write(folder.join(format!("{name}.svg")), svg.finish().as_bytes())?;
        }
        let tables = self.tables();
        for (name, table) in &tables {
            atomic::write(folder.join(format!("{name}.csv")), table.csv().as_bytes())?;
        }
        atomic::write(file, self.document(&tables, command, &name).as_bytes())?;
        Ok(folder)
    }
}
