//! `cardiograd verify`: a result is made again from what its record says it was made from, and compared.
//!
//! What a result must consist of is known from making it again, and what its record must say from the command, so that nothing can be hidden by
//! leaving it out of the record.

use super::provenance::{OUTPUT, Recorded, options};
use super::{Arguments, Command, Globals, Tone, explain, perturb, predict, print, print_toned, study, trace, train};
use crate::atomic::WorkFolder;
use crate::audit::compare::{BOUND_F32, Difference, compare};
use crate::audit::digest::{is_kernel, kernel};
use crate::audit::provenance::{Finding, Kind, Record, record_of};
use crate::{Error, Result};
use clap::Parser;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Exit codes, for `--help`.
const EXIT_CODES: &str = "Exit code 0: made again and the same. 1: verified to be different; each finding is a line. 2: wrong usage. 3: not verified, since it could \
                          not be compared: inputs gone, made by another version, or by a command that fails now. Any machine can tell: every kernel gives the same bytes. \
                          With --digests, 0 says that the digests are as recorded and no more: whoever changes a result can change its record.";

/// Arguments of `cardiograd verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXIT_CODES)]
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
    /// Compare digests with the record only, make nothing again.
    #[arg(long)]
    digests: bool,
}

/// This program, as records name it.
const VERSION: &str = concat!("cardiograd ", env!("CARGO_PKG_VERSION"));

/// What there is to say: what is wrong, why it could not be compared, and what was done.
#[derive(Default)]
struct Verdict {
    findings: Vec<Finding>,
    reasons: Vec<String>,
    notes: Vec<String>,
    /// The kernel that the result was made again on.
    kernel: String,
}

/// Runs the command: findings make the exit code 1, and what could not be compared, for whatever reason, makes it 3.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let unknown = |error: Error| if matches!(error, Error::Usage(_)) { error } else { Error::Unverified(format!("not verified: {error}")) };
    let record = find(args).map_err(unknown)?;
    verdict(args, &record, globals).map_err(unknown)?.tell(args, &record, globals)
}

fn verdict(args: &Args, record: &Record, globals: &Globals) -> Result<Verdict> {
    let mut verdict = verify(args, record, globals)?;
    verdict.findings.sort_by_key(|finding| finding.kind);
    Ok(verdict)
}

impl Verdict {
    fn outcome(&self, args: &Args) -> &'static str {
        match self {
            Verdict { findings, .. } if !findings.is_empty() => "different",
            Verdict { reasons, .. } if !reasons.is_empty() => "not_compared",
            _ if args.digests => "digests_as_recorded",
            _ => "same",
        }
    }

    /// Prints it, a finding a line, and gives it as the error that sets the exit code.
    fn tell(&self, args: &Args, record: &Record, globals: &Globals) -> Result<()> {
        let (outcome, result) = (self.outcome(args), args.result.display());
        let problems: Vec<&String> = self.findings.iter().map(|finding| &finding.text).collect();
        if globals.json && !globals.quiet {
            let kinds: Vec<String> = self.findings.iter().map(|finding| format!("{:?}", finding.kind).to_lowercase()).collect();
            print(serde_json::json!({
                "result": args.result, "verified": outcome == "same", "outcome": outcome, "problems": problems, "kinds": kinds,
                "not_compared": self.reasons, "notes": self.notes,
                "command": record.command, "version": record.version, "kernel": record.kernel, "kernel_here": self.kernel,
            }))?;
        } else if !globals.quiet {
            self.lines().iter().try_for_each(|(word, line)| print_toned(Tone::Bad, word, line))?;
            self.reasons.iter().try_for_each(|reason| print_toned(Tone::Warning, "not compared", reason))?;
            match outcome {
                "same" => print_toned(Tone::Good, "verified", format!("{result}: {}", self.notes.join("; ")))?,
                "digests_as_recorded" => print(format!("{result}: {}; nothing was made again", self.notes.join("; ")))?,
                _ => (),
            }
        }
        let told = !globals.quiet && !globals.json;
        match outcome {
            "different" if told => Err(Error::Data(format!("{result}: not verified: {}; each is a line above", self.counted()))),
            "different" => Err(Error::Data(format!("{result}: not verified: {}: {}", self.counted(), some(&problems)))),
            "not_compared" => {
                Err(Error::Unverified(format!("{result}: not verified, it could not be compared: {}", self.reasons.join("; "))))
            }
            _ => Ok(()),
        }
    }
}

impl Verdict {
    /// A line for each finding, with a word for its kind. Of files that are there too many, a few are named and the rest counted: nothing of the result
    /// hangs on them.
    fn lines(&self) -> Vec<(&'static str, String)> {
        const FEW: usize = 3;
        let (extra, others): (Vec<&Finding>, Vec<&Finding>) = self.findings.iter().partition(|finding| finding.kind == Kind::Extra);
        let mut lines: Vec<(&'static str, String)> = others.iter().map(|finding| (word(finding.kind), finding.text.clone())).collect();
        let named = if extra.len() > FEW + 1 { FEW } else { extra.len() };
        lines.extend(extra.iter().take(named).map(|finding| (word(Kind::Extra), finding.text.clone())));
        if extra.len() > named {
            lines.push((word(Kind::Extra), format!("and {} files more that the command does not make", extra.len() - named)));
        }
        lines
    }

    /// `2 changed, 1 missing`.
    fn counted(&self) -> String {
        let count = |kind: Kind| self.findings.iter().filter(|finding| finding.kind == kind).count();
        let kinds = [Kind::Changed, Kind::Missing, Kind::Record, Kind::Extra].map(|kind| (count(kind), word(kind)));
        kinds.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect::<Vec<_>>().join(", ")
    }
}

/// The word for a kind of finding.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Changed => "changed",
        Kind::Missing => "missing",
        Kind::Record => "in the record",
        Kind::Extra => "extra",
    }
}

/// The first of some findings in one line, and how many more there are.
fn some(findings: &[&String]) -> String {
    const FEW: usize = 6;
    let few: Vec<&str> = findings.iter().take(FEW).map(|text| text.as_str()).collect();
    let more = findings.len().saturating_sub(FEW);
    if more == 0 { few.join("; ") } else { format!("{}; and {more} more", few.join("; ")) }
}

fn find(args: &Args) -> Result<Record> {
    if !args.result.exists() {
        return Err(Error::Data(format!("there is no result {}", args.result.display())));
    }
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
    let mut verdict = Verdict { kernel: kernel(), notes: vec!["digests as recorded".to_owned()], ..Verdict::default() };
    if !record.is_whole() {
        verdict.findings.push(Finding::new(Kind::Changed, "record: its own bytes changed (seed, options or digests)"));
    }
    let command = match parsed(record) {
        Ok(command) => command,
        Err(reason) => {
            verdict.findings.extend(record.changed_outputs(&args.result)?);
            verdict.reasons.push(reason);
            return Ok(verdict);
        }
    };
    let mut making = Making { args, record, globals, paths: Vec::new() };
    let told_by = |kind: Kind| move |finding: &Finding| finding.kind == kind;
    let inputs = match making.inputs(&command)? {
        Ok(inputs) => inputs,
        Err(findings) => {
            verdict.findings.extend(findings.into_iter().chain(record.changed_outputs(&args.result)?));
            return Ok(verdict);
        }
    };
    let as_made_from = verdict.findings.is_empty() && inputs.is_empty();
    // An input that is gone says nothing of the result.
    let (gone, changed): (Vec<Finding>, Vec<Finding>) = inputs.into_iter().partition(told_by(Kind::Missing));
    verdict.reasons.extend(gone.into_iter().map(|finding| finding.text));
    verdict.findings.extend(changed);
    let outputs = record.changed_outputs(&args.result)?;
    if args.digests || !as_made_from {
        verdict.findings.extend(outputs);
        return Ok(verdict);
    }
    if record.version != VERSION {
        verdict.reasons.push(format!("it was made by {:?}, this is {VERSION}: the same bytes cannot be asked for", record.version));
    }
    match making.compared(command) {
        Ok(differences) => making.judge(&differences, outputs, &mut verdict),
        Err(error) => {
            verdict.findings.extend(outputs);
            verdict.reasons.push(format!("it could not be made again: {error}"));
        }
    }
    Ok(verdict)
}

/// The command of a record with its options; what it leaves out of both its lists is at this version's defaults, which [`Making::inputs`] names.
fn parsed(record: &Record) -> std::result::Result<Command, String> {
    let first_line = |error: clap::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
    Arguments::try_parse_from(words(record))
        .map(|parsed| parsed.command)
        .map_err(|error| format!("the record's options: {}", first_line(error)))
}

/// The command line of a record. The defaults of another version are not those of this one, and are given too.
fn words(record: &Record) -> Vec<String> {
    let defaults = if record.version == VERSION { &[][..] } else { &record.defaults };
    let start = ["cardiograd".to_owned(), record.command.clone(), format!("--{OUTPUT}=result")];
    start.into_iter().chain(record.arguments.iter().chain(defaults).cloned()).collect()
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
    /// Finds the inputs and names those that changed; `Err` names what the record does not say as its command writes it, after which nothing
    /// in it can be relied on.
    fn inputs(&mut self, command: &Command) -> Result<std::result::Result<Vec<Finding>, Vec<Finding>>> {
        let (files, seed) = match command {
            Command::Explain(args) => known(args),
            Command::Predict(args) => known(args),
            #[cfg(feature = "cli")]
            Command::Train(args) => known(args),
            #[cfg(feature = "cli")]
            Command::Perturb(args) => known(args),
            #[cfg(feature = "cli")]
            Command::Study(args) => known(args),
            #[cfg(feature = "cli")]
            Command::Trace(args) => known(args),
            _ => {
                return Err(Error::Unverified(format!(
                    "the record names the command '{}', whose results are not verified",
                    self.record.command
                )));
            }
        };
        let faults = self.faults(&files, seed)?;
        if !faults.is_empty() {
            return Ok(Err(faults));
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
        Ok(Ok(self.record.changed_inputs(&self.paths)))
    }

    /// What the record does not say as its command, with these input files and this seed, writes it.
    fn faults(&self, files: &[(String, PathBuf)], seed: Option<u64>) -> Result<Vec<Finding>> {
        let (record, mut faults) = (self.record, Vec::new());
        let mut say = |text: String| faults.push(Finding::new(Kind::Record, format!("record: {text}")));
        let recorded: Vec<(String, PathBuf)> = record.inputs.iter().map(|input| (input.role.clone(), input.path.clone())).collect();
        files.iter().filter(|file| !recorded.contains(file)).for_each(|(role, path)| {
            say(format!("it does not name the {role} {}, which its options do", path.display()));
        });
        recorded.iter().filter(|file| !files.contains(file)).for_each(|(role, path)| {
            say(format!("it names the {} {:?}, which its options do not", role.escape_debug(), path.display().to_string()));
        });
        if faults.is_empty() && recorded != files {
            faults.push(Finding::new(Kind::Record, "record: its inputs are not in the order of its command"));
        }
        let mut say = |text: String| faults.push(Finding::new(Kind::Record, format!("record: {text}")));
        if record.seed != seed {
            let text = |seed: Option<u64>| seed.map_or("none".to_owned(), |seed| seed.to_string());
            say(format!("its seed is {}, by its options {}", text(record.seed), text(seed)));
        }
        if record.version == VERSION {
            let (given, defaults) = options(words(record))?;
            defaults.iter().filter(|option| !record.defaults.contains(option)).for_each(|option| say(format!("it does not say {option}")));
            let more = record.defaults.iter().filter(|option| !defaults.contains(option));
            more.for_each(|option| say(format!("{option:?} is no default of {}", record.command)));
            if given != record.arguments {
                say(format!("its options are not as {} writes them", record.command));
            }
            if !is_kernel(&record.kernel) {
                say(format!("{:?} is no kernel", record.kernel));
            }
        }
        if record.outputs.is_empty() {
            say("it names no file of the result".to_owned());
        }
        Ok(faults)
    }

    /// An input where the record says, else of its name beside the result.
    fn present(&self, recorded: &Path) -> PathBuf {
        let beside = recorded.file_name().map(|name| self.args.result.with_file_name(name));
        if recorded.exists() { recorded.to_owned() } else { beside.filter(|path| path.exists()).unwrap_or_else(|| recorded.to_owned()) }
    }

    /// Makes the result again in a folder of its own and compares.
    fn compared(&self, command: Command) -> Result<Vec<Difference>> {
        let scratch = Scratch::new()?;
        let again = scratch.0.beside(self.args.result.file_name().unwrap_or("result".as_ref()));
        let quiet = Globals { quiet: true, ..self.globals.clone() };
        match command {
            Command::Explain(args) => explain::make(&self.moved(args, &again), &quiet)?,
            Command::Predict(args) => predict::make(&self.moved(args, &again), &quiet)?,
            #[cfg(feature = "cli")]
            Command::Trace(args) => trace::make(&self.moved(args.named(), &again))?,
            #[cfg(feature = "cli")]
            Command::Train(args) => train::make(&self.moved(args, &again), &quiet)?,
            #[cfg(feature = "cli")]
            Command::Perturb(args) => perturb::make(&self.moved(args, &again), &quiet)?,
            #[cfg(feature = "cli")]
            Command::Study(args) => {
                study::lend(&self.args.result, &again)?;
                study::make(&self.moved(args, &again), &quiet)?;
            }
            _ => return Err(Error::Data("this result cannot be made again".into())),
        }
        compare(self.record, &self.args.result, &again)
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

    /// What the differences say. By another version nothing is known to be the same, or to be different.
    fn judge(&self, differences: &[Difference], outputs: Vec<Finding>, verdict: &mut Verdict) {
        let comparable = verdict.reasons.is_empty();
        // What both say is said once: of a file that is new, and of one that is gone.
        let twice = |finding: &Finding| matches!(finding.kind, Kind::Extra) || finding.text.ends_with("it is not there");
        verdict.findings.extend(outputs.into_iter().filter(|finding| !comparable || !twice(finding)));
        verdict.findings.extend(differences.iter().filter(|_| comparable).map(|d| {
            let place = if d.place.is_empty() { "the result" } else { d.place.as_str() };
            let text = match d.kind {
                Kind::Changed => format!("{place}, made again: {}", d.problem),
                Kind::Missing => format!("{place}: it is not there; the command makes it"),
                Kind::Record => format!("record: it does not name {place}, which the command makes"),
                Kind::Extra if self.args.result.join(&d.place).exists() && self.unrecorded(&d.place) => {
                    format!("result {}: it is not in the record, nor does the command make it", self.args.result.join(&d.place).display())
                }
                Kind::Extra => format!("{place}: the command does not make it"),
            };
            Finding::new(d.kind, text)
        }));
        if comparable {
            let note = if self.record.command == "study" { " from its own dataset and models, which were not made again" } else { "" };
            let from = &self.record.kernel;
            let made_on = if *from == verdict.kernel { String::new() } else { format!(" (made on {from})") };
            verdict.notes.push(format!("made again on {}{made_on}{note}: the same bytes", verdict.kernel));
        } else {
            let most =
                differences.iter().filter(|d| d.bound.is_some()).fold(0.0, |most, d| crate::evaluation::ranks::larger(most, d.relative));
            let far = match (differences.is_empty(), differences.iter().any(|d| d.bound.is_none())) {
                (true, _) => "the same bytes".to_owned(),
                (false, other) => {
                    let tables = if other { "; tables and pictures differ, and are not compared" } else { "" };
                    format!("rows differ by up to {most:.1e} of their norm, {BOUND_F32:.0e} being what rounding explains{tables}")
                }
            };
            verdict.reasons.push(format!("made again on {} by {VERSION}: {far}", verdict.kernel));
        }
    }

    fn unrecorded(&self, file: &str) -> bool {
        self.record.outputs.iter().all(|output| output.path != Path::new(file))
    }
}

/// The input files of a command by role, and its seed.
fn known<A: Recorded>(args: &A) -> (Vec<(String, PathBuf)>, Option<u64>) {
    let files = args.clone().files().inputs.iter().map(|(role, input)| ((*role).to_owned(), input.path())).collect();
    (files, args.seed())
}

/// A folder for what is made again, gone with this value, or with the next verification after a kill.
struct Scratch(WorkFolder);

impl Scratch {
    fn new() -> Result<Self> {
        let (folder, name) = (std::env::temp_dir(), "cardiograd-verify-");
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            // The lock of a living one is not to be had; that of a dead one is, and dropping it removes the folder.
            let number = entry
                .file_name()
                .to_str()
                .and_then(|text| text.strip_prefix('.')?.strip_prefix(name)?.split('.').next().map(str::to_owned));
            let _ = number.map(|number| WorkFolder::create(folder.join(format!("{name}{number}"))));
        }
        // Containers may share the folder and have processes of one number.
        let mut tries = (0..64).map(|k| WorkFolder::create(folder.join(format!("{name}{}-{k}", std::process::id()))));
        let made = tries.find(|made| !matches!(made, Err(Error::Usage(_))));
        made.unwrap_or_else(|| Err(Error::Data(format!("no folder to work in under {}", folder.display())))).map(Scratch)
    }
}
