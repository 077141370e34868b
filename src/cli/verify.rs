//! `cardiograd verify`: a result is made again from what its record says it was made from, and compared.

use super::provenance::{OUTPUT, Recorded};
use super::{Arguments, Command, Globals, explain, perturb, predict, print, study, trace, train};
use crate::audit::compare::{BOUND_F32, Difference, compare};
use crate::audit::digest::kernel;
use crate::audit::provenance::{Record, record_of};
use crate::{Error, Result};
use clap::Parser;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd verify`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A result of explain, predict or train, with its record RESULT.provenance.json beside it, or a folder of trace, perturb or study.
    result: PathBuf,
    /// Where the model is now; as often as there are models.
    #[arg(long, value_name = "MODEL")]
    model: Vec<PathBuf>,
    /// Where the ECGs of --input are now.
    #[arg(long, value_name = "X.npy")]
    input: Vec<PathBuf>,
    /// Where the dataset is now.
    #[arg(long, value_name = "DATASET")]
    data: Vec<PathBuf>,
    /// The record, where it is not beside the result.
    #[arg(long, value_name = "RECORD.json")]
    record: Option<PathBuf>,
    /// Compare digests only, make nothing again.
    #[arg(long)]
    digests: bool,
}

/// What there is to say: what is wrong, and what was done.
struct Verdict {
    problems: Vec<String>,
    notes: Vec<String>,
}

/// Runs the command: what changed is named, and makes the exit code 1.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    if !args.result.exists() {
        return Err(Error::Data(format!("there is no result {}", args.result.display())));
    }
    let record = find(args)?;
    let Verdict { problems, notes } = verify(args, &record, globals)?;
    if !globals.quiet {
        if globals.json {
            let (made, here) = (&record.kernel, kernel());
            print(serde_json::json!({
                "result": args.result, "verified": problems.is_empty(), "problems": problems, "notes": notes,
                "command": record.command, "version": record.version, "kernel": made, "kernel_here": here,
            }))?;
        } else if problems.is_empty() {
            print(format!("{}: verified; {}", args.result.display(), notes.join("; ")))?;
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Data(format!("not verified: {}", problems.join("; ")))) }
}

fn find(args: &Args) -> Result<Record> {
    if let Some(path) = &args.record {
        return Record::read(path);
    }
    Record::find(&args.result)?.ok_or_else(|| {
        let (result, record) = (args.result.display(), record_of(&args.result));
        let text =
            format!("there is no record {} of where it comes from: move the two together, or name it with --record", record.display());
        Error::Data(format!("{result}: {text}"))
    })
}

fn verify(args: &Args, record: &Record, globals: &Globals) -> Result<Verdict> {
    let mut problems = Vec::new();
    if !record.is_whole() {
        problems.push("record: its own bytes changed (seed, options or digests)".to_owned());
    }
    let recorded = record.arguments.iter().map(String::as_str);
    // Where it goes is set below.
    let output = format!("--{OUTPUT}=result");
    let words = ["cardiograd", record.command.as_str(), &output].into_iter().chain(recorded);
    let first_line = |error: clap::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
    let parsed = Arguments::try_parse_from(words).map_err(|error| Error::Data(format!("the record's options: {}", first_line(error))))?;
    let mut making = Making { args, record, globals, paths: Vec::new() };
    let inputs = making.changed_inputs(&parsed.command)?;
    let outputs = record.changed_outputs(&args.result)?;
    let as_made_from = problems.is_empty() && inputs.is_empty();
    problems.extend(inputs.into_iter().chain(outputs));
    let mut notes = vec!["digests as recorded".to_owned()];
    let here = kernel();
    let retrained = record.command == "train" && here != record.kernel;
    if retrained && !args.digests {
        let text = "training adds rounding up, so only that kernel gives its bytes: not trained again";
        notes.push(format!("made on {}, this is {here}; {text}", record.kernel));
    }
    if as_made_from && !args.digests && !retrained {
        let (wrong, note) = making.compared(parsed.command)?;
        problems.extend(wrong);
        notes.push(note);
    }
    Ok(Verdict { problems, notes })
}

/// What making a result again needs.
struct Making<'a> {
    args: &'a Args,
    record: &'a Record,
    globals: &'a Globals,
    /// Where inputs are now, in the record's order.
    paths: Vec<PathBuf>,
}

impl Making<'_> {
    /// Finds the inputs and names those that changed.
    fn changed_inputs(&mut self, command: &Command) -> Result<Vec<String>> {
        let roles = match command {
            Command::Explain(args) => roles(args),
            Command::Predict(args) => roles(args),
            Command::Train(args) => roles(args),
            Command::Perturb(args) => roles(args),
            Command::Study(args) => roles(args),
            Command::Trace(args) => roles(args),
            _ => {
                return Err(Error::Data(format!("the record names the command '{}', whose results are not verified", self.record.command)));
            }
        };
        if roles.iter().ne(self.record.inputs.iter().map(|input| &input.role)) {
            return Err(Error::Data("the record's inputs are not those of its command: it was changed by hand".into()));
        }
        let mut used: BTreeMap<&str, usize> = BTreeMap::new();
        for input in &self.record.inputs {
            let given = match input.role.as_str() {
                "model" => &self.args.model,
                "input" => &self.args.input,
                "data" => &self.args.data,
                _ => &Vec::new(),
            };
            let at = used.entry(&input.role).or_default();
            let path = given.get(*at).cloned().unwrap_or_else(|| self.present(&input.path));
            *at += 1;
            self.paths.push(path);
        }
        for (option, given) in [("model", &self.args.model), ("input", &self.args.input), ("data", &self.args.data)] {
            if given.len() > used.get(option).copied().unwrap_or(0) {
                return Err(Error::Usage(format!("--{option}: the record names no such input")));
            }
        }
        Ok(self.record.changed_inputs(&self.paths))
    }

    /// An input where the record says, else of its name beside the result.
    fn present(&self, recorded: &Path) -> PathBuf {
        let beside = recorded.file_name().map(|name| self.args.result.with_file_name(name));
        if recorded.exists() { recorded.to_owned() } else { beside.filter(|path| path.exists()).unwrap_or_else(|| recorded.to_owned()) }
    }

    /// Makes the result again in a folder of its own and compares.
    fn compared(&self, command: Command) -> Result<(Vec<String>, String)> {
        let scratch = Scratch::new()?;
        let again = scratch.0.join(self.args.result.file_name().unwrap_or("result".as_ref()));
        let quiet = Globals { quiet: true, ..self.globals.clone() };
        match command {
            Command::Explain(args) => explain::make(&self.moved(args, &again), &quiet)?,
            Command::Predict(args) => predict::make(&self.moved(args, &again), &quiet)?,
            Command::Trace(args) => trace::make(&self.moved(args.named(), &again), &quiet)?,
            Command::Train(args) => train::make(&self.moved(args, &again), &quiet)?,
            Command::Perturb(args) => perturb::make(&self.moved(args, &again), &quiet)?,
            Command::Study(args) => {
                study::lend(&self.args.result, &again)?;
                study::make(&self.moved(args, &again), &quiet)?;
            }
            _ => return Err(Error::Data("this result cannot be made again".into())),
        }
        let differences = compare(self.record, &self.args.result, &again)?;
        Ok(self.judged(&differences))
    }

    /// The arguments with inputs where they are now and the result elsewhere.
    fn moved<A: Recorded>(&self, mut args: A, output: &Path) -> A {
        let files = args.files();
        files.inputs.into_iter().zip(&self.paths).for_each(|((_, mut input), path)| input.set(path));
        if let Some(place) = files.output {
            *place = output.to_owned();
        }
        args
    }

    fn judged(&self, differences: &[Difference]) -> (Vec<String>, String) {
        let (made, here) = (&self.record.kernel, kernel());
        let same = *made == here;
        let told = |difference: &Difference| format!("{}, made again: {}", difference.place, difference.problem);
        let wrong = |difference: &&Difference| same || difference.bound.is_some_and(|bound| difference.relative > bound);
        let mut problems: Vec<String> = differences.iter().filter(wrong).map(told).collect();
        let current = concat!("cardiograd ", env!("CARGO_PKG_VERSION"));
        if !problems.is_empty() && self.record.version != current {
            problems.push(format!("it was made by {}, this is {current}", self.record.version));
        }
        let note = match (same, differences.is_empty()) {
            (_, true) => format!("made again on {here}: the same bytes"),
            (true, false) => format!("made again on {here}"),
            (false, false) => {
                let most = differences.iter().filter(|d| d.bound.is_some()).map(|d| d.relative).fold(0.0, f64::max);
                let text = if differences.iter().any(|d| d.bound.is_none()) { "; tables and pictures are not compared" } else { "" };
                format!(
                    "made again on {here} (it was made on {made}): rows differ by up to {most:.1e} of their norm, {BOUND_F32:.0e} being the bound{text}"
                )
            }
        };
        (problems, note)
    }
}

fn roles<A: Recorded>(args: &A) -> Vec<String> {
    args.clone().files().inputs.iter().map(|(role, _)| (*role).to_owned()).collect()
}

/// A folder for what is made again, gone with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("cardiograd-verify-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|source| Error::io(&path, source))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
