//! `cardiograd survey`: make the pages of a blinded review, tally its votes.

use super::Globals;
use super::numbers::{ECGS, ROUNDS, up_to};
use super::places::{Output, Places};
use crate::files::atomic::{self, OutputLock};
use crate::report::store;
use crate::report::tables::Table;
use crate::survey::{self, Key, Settings, Tally, View};
use crate::{Error, Result};
use clap::Subcommand;
use serde_json::json;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd survey`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Write one offline page per rater, a voting guide, and a key to keep apart.
    Make(Make),
    /// Check votes and count them: votes per method, agreement between and within raters.
    Tally(Count),
}

#[derive(clap::Args, Debug)]
struct Make {
    /// A study's folder, as `cardiograd study` writes it.
    study: PathBuf,
    /// ECGs to show.
    #[arg(long, default_value_t = 51, value_parser = up_to::<ECGS>)]
    ecgs: usize,
    /// How often each ECG comes.
    #[arg(long, default_value_t = 2, value_parser = up_to::<ROUNDS>)]
    presentations: usize,
    /// Raters.
    #[arg(long, default_value_t = 3, value_parser = up_to::<ROUNDS>)]
    raters: usize,
    /// Seed of the orders and ids; drawn anew when it is not given, and kept in the key.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder to write: `pages/` to hand out, `key/` to keep.
    #[arg(short, long)]
    output: PathBuf,
}

/// What each table is written as.
const ENDINGS: [&str; 3] = ["csv", "md", "html"];

#[derive(clap::Args, Debug)]
struct Count {
    /// The key that was kept.
    key: PathBuf,
    /// Files of votes, CSV or JSON, as the pages save them.
    #[arg(required = true)]
    votes: Vec<PathBuf>,
    /// Folder for the tables as CSV, Markdown and HTML.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Resamples of ECGs behind each interval.
    #[arg(long, default_value_t = 1000, value_parser = up_to::<ROUNDS>)]
    resamples: usize,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        match &self.action {
            Action::Make(make) => {
                let pages = Output::Folder(make.output.join("pages"), Vec::new());
                let key = Output::Folder(make.output.join("key"), vec!["key.json".into()]);
                Places { reads: vec![make.study.clone()], writes: vec![pages, key] }
            }
            Action::Tally(count) => {
                let reads = std::iter::once(&count.key).chain(&count.votes).cloned().collect();
                Places { reads, writes: count.output.iter().map(|folder| Output::Folder(folder.clone(), names())).collect() }
            }
        }
    }
}

/// The files that tables are written to.
fn names() -> Vec<String> {
    let stems = ["table2_full", "table2_averaged", "table3_full", "table3_averaged", "pairs", "within_raters"];
    stems.iter().flat_map(|stem| ENDINGS.map(|ending| format!("{stem}.{ending}"))).collect()
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    match &args.action {
        Action::Make(args) => make(args, globals),
        Action::Tally(args) => count(args, globals),
    }
}

fn make(args: &Make, globals: &Globals) -> Result<()> {
    let results = store::load(&args.study)?;
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one("survey"));
    let settings = Settings { ecgs: args.ecgs, presentations: args.presentations, raters: args.raters, seed };
    let survey = survey::make(&results, settings)?;
    let _lock = OutputLock::inside(&args.output)?;
    let (pages, key) = (args.output.join("pages"), args.output.join("key"));
    for folder in [&pages, &key] {
        std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
        atomic::sweep(folder);
    }
    for (name, page) in &survey.pages {
        atomic::write(pages.join(name), page.as_bytes())?;
    }
    atomic::write(pages.join("guide.html"), survey::guide().as_bytes())?;
    let text = serde_json::to_string_pretty(&survey.key).map_err(|error| Error::format(&key, error.to_string()))?;
    atomic::write(key.join("key.json"), text.as_bytes())?;
    let screens = survey.key.raters.first().map_or(0, |rater| rater.screens.len());
    if globals.json {
        return super::print(
            json!({ "survey": survey.key.survey, "pages": pages, "key": key.join("key.json"), "screens": screens, "raters": args.raters }),
        );
    }
    if !globals.quiet {
        super::print(format_args!(
            "{} pages of {screens} screens each in {}: one for each rater, with guide.html",
            args.raters,
            pages.display()
        ))?;
        super::print(format_args!("key in {}: keep it away from raters until all have voted", key.join("key.json").display()))?;
    }
    Ok(())
}

fn count(args: &Count, globals: &Globals) -> Result<()> {
    let key = Key::read(&args.key)?;
    let mut votes = Vec::new();
    for path in &args.votes {
        votes.extend(survey::read(path)?);
    }
    let checked = survey::check(&key, &votes)?;
    let tally = survey::tally(&key, &checked, args.resamples, args.seed);
    let tables = tables(&tally);
    if let Some(folder) = &args.output {
        write(folder, &tables)?;
    }
    if globals.json {
        let as_json = |(name, table): &(String, &Table)| (name.clone(), rows(table));
        return super::print(json!({ "notes": checked.notes, "tables": tables.iter().map(as_json).collect::<serde_json::Map<_, _>>() }));
    }
    if !globals.quiet {
        checked.notes.iter().try_for_each(|note| super::print(format_args!("note: {note}")))?;
        tables.iter().try_for_each(|(_, table)| super::print(format_args!("{}", table.markdown())))?;
    }
    Ok(())
}

/// Every table with the name of its file.
fn tables(tally: &Tally) -> Vec<(String, &Table)> {
    let view = |view: View| if view == View::Full { "full" } else { "averaged" };
    let votes = tally.votes.iter().map(|(v, table)| (format!("table2_{}", view(*v)), table));
    let between = tally.between.iter().map(|(v, table)| (format!("table3_{}", view(*v)), table));
    votes.chain(between).chain([("pairs".to_owned(), &tally.pairs), ("within_raters".to_owned(), &tally.within)]).collect()
}

fn rows(table: &Table) -> serde_json::Value {
    let row = |row: &Vec<crate::report::tables::Cell>| {
        let cell = |(name, cell): (&String, &crate::report::tables::Cell)| {
            (name.clone(), cell.value.map_or(json!(cell.text), |value| json!(value)))
        };
        serde_json::Value::Object(table.header.iter().zip(row).map(cell).collect())
    };
    table.rows.iter().map(row).collect()
}

fn write(folder: &Path, tables: &[(String, &Table)]) -> Result<()> {
    let _lock = OutputLock::inside(folder)?;
    for (name, table) in tables {
        for (ending, text) in ENDINGS.into_iter().zip([table.csv(), table.markdown(), table.html()]) {
            atomic::write(folder.join(format!("{name}.{ending}")), text.as_bytes())?;
        }
    }
    Ok(())
}
