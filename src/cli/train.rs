//! `cardiograd train`.

use super::evaluate::{HEADER, dataset_digest, line};
use super::numbers::{ROUNDS, up_to};
use super::provenance::{Files, Input, Recorded, record};
use super::{Globals, Progress, print};
use crate::dataset::{Dataset, InputKind, Part, Target};
use crate::nn::{ARCHITECTURES, Examples, Model, Preset, Schedule, Start, TrainSettings, TrainingData, TrainingFiles, load_program};
use crate::progress::Report;
use crate::tape::Program;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd train`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The dataset.
    dataset: PathBuf,
    /// What to predict: pr qrs qt r_v5 j_v5 t_v5 or rate.
    #[arg(long)]
    target: Target,
    /// What to look at: median (12 × 600) or rhythm (12 × 5000).
    #[arg(long)]
    input: InputKind,
    /// The model to write, with the weights of the best epoch; those of the last go beside it, as NAME.last.EXTENSION.
    #[arg(long, short, value_name = "MODEL")]
    output: PathBuf,
    /// paper: the study's settings; quick: standardised, few epochs, one cycle of the learning rate.
    #[arg(long, default_value = "paper")]
    preset: Preset,
    /// Passes over the training ECGs [default: paper 100, quick 5].
    #[arg(long, value_parser = up_to::<ROUNDS>)]
    epochs: Option<usize>,
    /// ECGs in a batch [default: 32].
    #[arg(long, value_parser = up_to::<ROUNDS>)]
    batch: Option<usize>,
    /// Learning rate; with quick, the largest of the cycle [default: 0.008].
    #[arg(long)]
    lr: Option<f64>,
    /// Seed of the split, the initial weights and the order of the ECGs.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The network: stevennet, standardconv or a program file (.json).
    #[arg(long, default_value = "stevennet")]
    arch: String,
    /// Continue after an interruption, to the same result as without it.
    #[arg(long)]
    resume: bool,
}

impl Args {
    fn settings(&self) -> TrainSettings {
        let preset = self.preset.settings();
        TrainSettings {
            epochs: self.epochs.unwrap_or(preset.epochs),
            batch: self.batch.unwrap_or(preset.batch),
            learning_rate: self.lr.unwrap_or(preset.learning_rate),
            seed: self.seed,
            ..preset
        }
    }
}

/// Runs the command, and records where the model comes from.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    make(args, globals)?;
    record("train", args)
}

impl Recorded for Args {
    fn files(&mut self) -> Files<'_> {
        let mut inputs = vec![("data", Input::Path(&mut self.dataset))];
        if !ARCHITECTURES.contains(&self.arch.as_str()) {
            inputs.push(("arch", Input::Text(&mut self.arch)));
        }
        Files { inputs, output: Some(&mut self.output) }
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

/// The model, without a record.
pub(super) fn make(args: &Args, globals: &Globals) -> Result<()> {
    if args.output.file_name().is_none() || args.output.is_dir() {
        return Err(Error::Usage(format!("{} is not the name of a file", args.output.display())));
    }
    let settings = args.settings();
    let dataset = Dataset::open(&args.dataset)?;
    let digest = dataset_digest(&args.dataset)?;
    let program = load_program(&args.arch)?;
    let files = TrainingFiles::beside(&args.output);
    let progress = Progress::new(globals.quiet);
    let best = train(args, &files, &settings, &dataset, &program, &digest, &|step| progress.step(step))?;
    progress.finish();
    if !globals.quiet { show(args, &files, globals, &best) } else { Ok(()) }
}

fn train(
    args: &Args,
    files: &TrainingFiles,
    settings: &TrainSettings,
    dataset: &Dataset,
    program: &Program,
    digest: &str,
    report: Report<'_>,
) -> Result<Model> {
    let split = dataset.split(settings.seed);
    let [train, validation, test] = Part::ALL.map(|part| Examples::of(dataset, &split, part, args.target));
    let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, args.input);
    let data =
        TrainingData { target: args.target, input: args.input, inputs: &inputs, train: &train, validation: &validation, test: &test };
    files.train(program, data, settings, digest, if args.resume { Start::Resume } else { Start::Afresh }, report)
}

fn show(args: &Args, files: &TrainingFiles, globals: &Globals, model: &Model) -> Result<()> {
    let Some(about) = &model.provenance else { return Ok(()) };
    let last = files.other.as_deref().map_or(String::new(), path_text);
    if globals.json {
        return print(serde_json::json!({
            "model": path_text(&args.output), "last": last, "target": args.target, "unit": args.target.unit(), "provenance": about,
        }));
    }
    print(HEADER)?;
    about.metrics.iter().try_for_each(|metrics| print(line(args.target, metrics)))?;
    let rate = if matches!(about.settings.schedule, Schedule::OneCycle) { "largest learning rate" } else { "learning rate" };
    let TrainSettings { epochs, batch, learning_rate, .. } = about.settings;
    print(format!("{epochs} epochs in batches of {batch}, {rate} {learning_rate}; best epoch {}", about.best_epoch + 1))?;
    print(format!("{} (best epoch), {} (last epoch)", path_text(&args.output), last))
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}
