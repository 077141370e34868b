//! The command line: arguments → resolved configuration → one command a file.

mod audit;
mod beside;
mod challenge;
mod console;
#[cfg(feature = "cli")]
mod convert;
#[cfg(feature = "cli")]
mod convert_recording;
mod evaluate;
mod explain;
#[cfg(feature = "cli")]
mod export;
mod generate;
mod given;
mod growing;
mod import_;
mod inputs;
mod inspect;
mod labels;
mod measure;
mod method_options;
mod models;
mod numbers;
mod outputs;
mod perturb;
mod pictures;
mod places;
mod plan;
mod predict;
mod progress;
mod provenance;
mod recordings;
mod references;
mod render;
mod report;
mod rows;
mod segments;
mod shipped;
mod sources;
mod study;
mod survey;
mod trace;
mod train;
mod verify;
mod windows;
#[cfg(feature = "cli")]
mod work;

use crate::ecg::amplitude;
use crate::{Error, Result};
use clap::{Parser, Subcommand};
use numbers::{THREADS, up_to};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::OnceLock;

pub(crate) use console::{Tone, print, print_toned};
pub use progress::Progress;

/// Train networks on 12-lead ECGs, explain them with gradient heatmaps, and judge the heatmaps.
#[derive(Parser, Debug)]
#[command(name = "cardiograd", version, about, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes; help lists them apart.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// Threads to use [default: one per core]; results do not depend on it.
    #[arg(long, global = true, value_name = "N", value_parser = up_to::<THREADS>)]
    pub threads: Option<usize>,
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

// One is made in a run.
#[derive(Subcommand, Debug)]
#[cfg_attr(not(feature = "cli"), allow(clippy::large_enum_variant))]
enum Command {
    /// Run the whole study: data, six networks, nine methods, perturbation, report.
    #[cfg(feature = "cli")]
    Study(study::Args),
    /// Cut a study into tasks for any engine: a cluster, a workflow, a shell.
    #[cfg(feature = "cli")]
    Plan(plan::Args),
    /// Do tasks of a plan: one, a share, or all that nobody else does.
    #[cfg(feature = "cli")]
    Run(work::RunArgs),
    /// What of a plan is done, running, failed, and how long the rest takes.
    #[cfg(feature = "cli")]
    Status(work::StatusArgs),
    /// Make the study of a plan whose tasks are done: the bytes that `study` makes.
    #[cfg(feature = "cli")]
    Merge(work::MergeArgs),
    /// What work takes on this machine: milliseconds an ECG, memory.
    #[cfg(feature = "cli")]
    Bench(plan::BenchArgs),
    /// Generate ECGs with the simulator or Pulse2pulse and measure them, into a dataset.
    #[cfg(feature = "cli")]
    Generate(generate::Args),
    /// Measure ECGs: intervals, amplitudes, fiducials.
    #[cfg(feature = "cli")]
    Measure(measure::Args),
    /// Bring recordings into a dataset.
    #[cfg(feature = "cli")]
    Import(import_::Args),
    /// Train a network on measurements of a dataset, or on labels of your own.
    #[cfg(feature = "cli")]
    Train(train::Args),
    /// Prediction errors of models on a dataset.
    #[cfg(feature = "cli")]
    Evaluate(evaluate::Args),
    /// Predict from an array of ECGs.
    Predict(predict::Args),
    /// Heatmaps of a prediction by any of the methods.
    Explain(explain::Args),
    /// One heatmap as a readable account: formulas, rules, relevance in and out of every node, and the program as a graph.
    #[cfg(feature = "cli")]
    Trace(trace::Args),
    /// Judge heatmaps by perturbing what they highlight.
    #[cfg(feature = "cli")]
    Perturb(perturb::Args),
    /// Test on sampled ECGs whether heatmaps are what they claim to be: pass or fail per line, what is not tested, and a certificate.
    #[cfg(feature = "cli")]
    Audit(audit::Args),
    /// Make a result again from what its record says it was made from, and compare.
    Verify(verify::Args),
    /// Ask whether heatmaps deserve trust: randomised networks, replaced patches, where they look.
    #[cfg(feature = "cli")]
    Challenge(challenge::Args),
    /// The models that come with the program, with their test errors; the card of a model.
    #[cfg(feature = "cli")]
    Models(shipped::Args),
    /// Convert a model between .pt, .safetensors and the own format, or a recording to WFDB, CSV or .npy.
    #[cfg(feature = "cli")]
    Convert(convert::Args),
    /// Write a heatmap as an ONNX graph: the prediction and the walk back, for any ONNX runtime.
    #[cfg(feature = "cli")]
    Export(export::Args),
    /// What a model, dataset or result file holds.
    Inspect(inspect::Args),
    /// Draw an ECG, a heatmap or perturbation curves as SVG or PNG.
    #[cfg(feature = "cli")]
    Render(render::Args),
    /// The report of a finished study anew, and the study held against the published one.
    #[cfg(feature = "cli")]
    Report(report::Args),
    /// The blinded expert review: make its pages, tally its votes.
    #[cfg(feature = "cli")]
    Survey(survey::Args),
}

/// What the program was called with.
static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// What the program was called with, its own name first: the process' arguments, unless a program that it is a part of gave others.
fn words() -> Vec<OsString> {
    WORDS.get_or_init(|| std::env::args_os().collect()).clone()
}

/// Runs the program on the process arguments.
pub fn run() -> ExitCode {
    run_with(words())
}

/// Runs the program, which a process does once, on given arguments, its own name first.
pub fn run_with(given: Vec<OsString>) -> ExitCode {
    match Arguments::try_parse_from(WORDS.get_or_init(|| given)) {
        Ok(Arguments { globals, command }) => console::end(globals.start().and_then(|()| dispatch(&command, &globals))),
        Err(message) => console::show(&message),
    }
}

fn dispatch(command: &Command, globals: &Globals) -> Result<()> {
    command.places().check()?;
    match command {
        #[cfg(feature = "cli")]
        Command::Study(args) => study::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Plan(args) => plan::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Run(args) => work::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Status(args) => work::status(args, globals),
        #[cfg(feature = "cli")]
        Command::Merge(args) => work::merged(args, globals),
        #[cfg(feature = "cli")]
        Command::Bench(args) => plan::bench(args, globals),
        #[cfg(feature = "cli")]
        Command::Generate(args) => generate::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Measure(args) => measure::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Import(args) => import_::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Train(args) => train::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Evaluate(args) => evaluate::run(args, globals),
        Command::Predict(args) => predict::run(args, globals),
        Command::Explain(args) => explain::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Trace(args) => trace::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Perturb(args) => perturb::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Audit(args) => audit::run(args, globals),
        Command::Verify(args) => verify::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Challenge(args) => challenge::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Models(args) => shipped::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Convert(args) => convert::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Export(args) => export::run(args, globals),
        Command::Inspect(args) => inspect::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Render(args) => render::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Report(args) => report::run(args, globals),
        #[cfg(feature = "cli")]
        Command::Survey(args) => survey::run(args, globals),
    }
}

impl Globals {
    /// What is done before any command: the environment is understood, the threads started.
    fn start(&self) -> Result<()> {
        crate::tape::plan::check_environment()?;
        match self.threads {
            Some(0) => Err(Error::Usage("--threads takes a number from 1".into())),
            threads => crate::start_threads(threads),
        }
    }
}
