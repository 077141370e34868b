//! `cardiograd train`.

use super::evaluate::{HEADER, dataset_digest, line};
use super::numbers::{ROUNDS, up_to};
use super::places::{Output, Places};
use super::provenance::{Files, Input, Recorded, publish, record_at, tell_of};
use super::{Globals, Progress, print};
use crate::atomic::{OutputLock, WorkFolder, remove_if_there};
use crate::dataset::{Dataset, InputKind, Part, Target};
use crate::nn::{
    ARCHITECTURES, Examples, Model, Preset, Schedule, Start, Storage, TrainSettings, TrainingData, TrainingFiles, load_program,
};
use crate::progress::Step;
use crate::{Error, Result};
use std::ffi::OsString;
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
    /// paper: the study's settings; full: the same in 36 epochs; quick: standardised, few epochs, one cycle of the learning rate.
    #[arg(long, default_value = "paper")]
    preset: Preset,
    /// Passes over the training ECGs [default: paper 100, full 36, quick 5].
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
    /// How the model's file stores weights: f32, or f16 for half the size (parameters of more than 4096 values rounded to 11 bits).
    #[arg(long, value_name = "f32|f16", default_value = "f32")]
    weights: Storage,
    /// Continue after an interruption, to the same result as without it.
    #[arg(long)]
    resume: bool,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let TrainingFiles { other, checkpoint, .. } = TrainingFiles::beside(&self.output);
        let mut places = Places::recorded(self, Output::File);
        places.writes.extend(other.into_iter().chain([checkpoint]).map(Output::File));
        places
    }

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
    let trained = trained(args, globals)?;
    match trained.work {
        Some(work) => publish("train", args, work, &[&trained.last])?,
        // Trained before; a kill may have come before its record.
        None => record_at("train", args, &args.output)?,
    }
    if !globals.quiet { show(args, globals, &trained.best) } else { Ok(()) }
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
    let Trained { work, last, .. } = trained(args, globals)?;
    let Some(name) = args.output.file_name() else { return Ok(()) };
    work.map_or(Ok(()), |work| work.publish(&[&last, name], None))
}

/// A model, and where it lies until it gets its name; nowhere, if it was there already.
struct Trained {
    best: Model,
    work: Option<WorkFolder>,
    /// The name of the model of the last epoch.
    last: OsString,
    /// The lock of that one.
    _held: OutputLock,
}

fn trained(args: &Args, globals: &Globals) -> Result<Trained> {
    if args.output.file_name().is_none() || args.output.is_dir() {
        return Err(Error::Usage(format!("{} is not the name of a file", args.output.display())));
    }
    let settings = args.settings();
    let dataset = Dataset::open_checked(&args.dataset, &[args.input])?;
    let digest = dataset_digest(&dataset);
    let program = load_program(&args.arch)?;
    let finished = TrainingFiles { storage: args.weights, ..TrainingFiles::beside(&args.output) };
    let other = finished.other.clone().unwrap_or_default();
    let last = other.file_name().unwrap_or_default().to_owned();
    let mut work = if args.resume { WorkFolder::resume(&args.output) } else { WorkFolder::create(&args.output) }?;
    let held = match OutputLock::beside(&other) {
        Err(error) if !work.is_continued() => {
            work.discard();
            return Err(error);
        }
        outcome => outcome?,
    };
    // Of what a kill left between two renames one model is gone from here: the same training gives it again.
    if work.place().exists() && !work.beside(&last).exists() {
        remove_if_there(work.place())?;
    }
    if args.resume && !work.beside("checkpoint").exists() {
        tell_of(Some(finished.checkpoint.clone()).filter(|checkpoint| checkpoint.exists()));
    }
    let place = work.place().to_owned();
    let files = TrainingFiles {
        other: Some(work.beside(&last)),
        checkpoint: work.beside("checkpoint"),
        storage: args.weights,
        ..TrainingFiles::beside(&place)
    };
    work.keep();
    let progress = Progress::new(globals.quiet);
    let report = |step: Step<'_>| progress.step(step);
    let outcome = with_data(args, &settings, &dataset, |data| {
        let there = if args.resume && other.exists() { finished.finished(&program, &data, &settings, &digest)? } else { None };
        match there {
            Some(model) => Ok((model, true)),
            None => files
                .train(&program, data, &settings, &digest, if args.resume { Start::Resume } else { Start::Afresh }, &report)
                .map(|model| (model, false)),
        }
    });
    progress.finish();
    match outcome {
        Ok((best, false)) => Ok(Trained { best, work: Some(work), last, _held: held }),
        Ok((best, true)) => {
            work.discard();
            Ok(Trained { best, work: None, last, _held: held })
        }
        // A full disk may be emptied and the work continued; another training's checkpoint is not thrown away.
        Err(error @ Error::Io { .. }) => Err(error),
        Err(error) if work.is_continued() => Err(error),
        Err(error) => {
            work.discard();
            Err(error)
        }
    }
}

/// Does something with the examples of a training.
fn with_data<T>(args: &Args, settings: &TrainSettings, dataset: &Dataset, with: impl FnOnce(TrainingData<'_>) -> Result<T>) -> Result<T> {
    let split = dataset.split(settings.seed);
    let [train, validation, test] = Part::ALL.map(|part| Examples::of(dataset, &split, part, args.target));
    let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, args.input);
    with(TrainingData { target: args.target, input: args.input, inputs: &inputs, train: &train, validation: &validation, test: &test })
}

fn show(args: &Args, globals: &Globals, model: &Model) -> Result<()> {
    let Some(about) = &model.provenance else { return Ok(()) };
    let last = TrainingFiles::beside(&args.output).other.as_deref().map_or(String::new(), path_text);
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
