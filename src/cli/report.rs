//! `cardiograd report`: what people look at of a study that is finished, and the study held against the published one.

use super::numbers::{ROUNDS, up_to};
use super::places::{Output, Places};
use super::{Globals, print};
use crate::atomic::OutputLock;
use crate::report::reproduction::{Named, Reproduction, Verdict};
use crate::report::store;
use crate::report::{StudyResults, write};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Resamples behind intervals where nothing else is asked for.
const RESAMPLES: usize = 1000;

/// Arguments of `cardiograd report`.
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("made").required(true).multiple(true).args(["output", "reproduction"]))]
pub struct Args {
    /// The folder of a finished study. It is read only.
    study: PathBuf,
    /// A folder for report.html, figures and tables, as `study` writes them.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// A document (.md) that holds the study against the published one: its sentences with verdicts, Table 4 cell by cell, correlations, ranks. Pictures and
    /// tables go into a folder beside it that has its name in small letters.
    #[arg(long, value_name = "FILE.md")]
    reproduction: Option<PathBuf>,
    /// Another study for the document's tables of what each difference does; as often as there are studies.
    #[arg(long, value_name = "[NAME=]DIR", requires = "reproduction")]
    against: Vec<Other>,
    /// Bootstrap resamples of ECGs behind the document's intervals.
    #[arg(long, default_value_t = RESAMPLES, value_name = "N", value_parser = up_to::<ROUNDS>, requires = "reproduction")]
    resamples: usize,
}

/// A study's folder, with the name that it gets in tables.
#[derive(Clone, Debug)]
struct Other {
    name: String,
    folder: PathBuf,
}

impl std::str::FromStr for Other {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let named = text.split_once('=').filter(|(name, _)| !name.contains('/'));
        let (name, folder) = named.map_or((None, text), |(name, folder)| (Some(name.to_owned()), folder));
        let folder = PathBuf::from(folder);
        let name = name.or_else(|| Some(folder.file_name()?.to_str()?.to_owned())).filter(|name| !name.is_empty());
        name.map(|name| Other { name, folder }).ok_or_else(|| "NAME=DIR, or a DIR with a name, is expected".into())
    }
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let others = self.against.iter().map(|other| &other.folder);
        let reads = std::iter::once(&self.study).chain(others).cloned().collect();
        let page = self.output.iter().map(|folder| Output::Folder(folder.clone(), Vec::new()));
        let document = self.reproduction.iter().map(|file| Output::File(file.clone(), &[]));
        Places { reads, writes: page.chain(document).collect() }
    }
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    if let Some(file) = args.reproduction.as_deref().filter(|file| file.extension().is_none_or(|ending| ending != "md")) {
        return Err(Error::Usage(format!("{}: the document is Markdown, its name ends in .md", file.display())));
    }
    let results = store::load(&args.study)?;
    let mut told = serde_json::Map::new();
    if let Some(folder) = &args.output {
        let _lock = OutputLock::inside(folder)?;
        write::write(folder, &results)?;
        told.insert("report".into(), serde_json::json!(folder.join("report.html")));
    }
    if let Some(file) = &args.reproduction {
        told.extend(reproduced(args, &results, file)?);
    }
    match (globals.quiet, globals.json) {
        (true, _) => Ok(()),
        (_, true) => print(serde_json::Value::Object(told)),
        _ => tell(args, &told),
    }
}

/// Writes the document, and gives what there is to tell of it.
fn reproduced(args: &Args, results: &StudyResults, file: &Path) -> Result<serde_json::Map<String, serde_json::Value>> {
    let load = |other: &Other| Ok(Named { name: other.name.clone(), results: store::load(&other.folder)? });
    let others: Vec<Named> = args.against.iter().map(load).collect::<Result<_>>()?;
    let against: String = others.iter().map(|other| format!(" --against '{}=DIR'", other.name)).collect();
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let held = Reproduction::new(results, &others, args.resamples.max(1))?;
    let resamples = if args.resamples == RESAMPLES { String::new() } else { format!(" --resamples {}", args.resamples) };
    let folder = held.write(file, &format!("cardiograd report out --reproduction {name}{against}{resamples}"))?;
    let judgements = held.judgements();
    let count = |verdict: Verdict| judgements.iter().filter(|judged| judged.verdict == verdict).count();
    let all = [Verdict::Holds, Verdict::DoesNotHold, Verdict::CannotBeTold];
    let counts: serde_json::Map<_, _> =
        all.into_iter().map(|verdict| (verdict.words().replace(' ', "_"), serde_json::json!(count(verdict)))).collect();
    let told = [("reproduction", serde_json::json!(file)), ("folder", serde_json::json!(folder)), ("sentences", counts.into())];
    Ok(told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn tell(args: &Args, told: &serde_json::Map<String, serde_json::Value>) -> Result<()> {
    if let Some(folder) = &args.output {
        print(format!("Open {}; figures and tables are beside it.", folder.join("report.html").display()))?;
    }
    let Some(file) = &args.reproduction else { return Ok(()) };
    let count = |verdict: Verdict| told["sentences"][verdict.words().replace(' ', "_")].as_u64().unwrap_or(0);
    let [holds, not, open] = [Verdict::Holds, Verdict::DoesNotHold, Verdict::CannotBeTold].map(count);
    print(format!("{}: of the study's sentences {holds} hold, {not} do not hold, {open} cannot be told.", file.display()))
}
