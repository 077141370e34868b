//! `cardiograd train`.

use super::evaluate::{HEADER, dataset_digest, line};
use super::provenance::{Files, Input, Recorded, record};
use super::{Globals, Progress, print};
use crate::dataset::{Dataset, InputKind, Part, Target};
use crate::nn::{
    ARCHITECTURES, Checkpoint, Examples, Model, Preset, Schedule, TrainSettings, Trained, Trainer, TrainingData, load_program,
};
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
    #[arg(long)]
    epochs: Option<usize>,
    /// ECGs in a batch [default: 32].
    #[arg(long)]
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

    /// `NAME.extension` → `NAME.last.extension`.
    fn last(&self) -> PathBuf {
        let extension = self.output.extension().map_or(String::new(), |extension| format!(".{}", extension.to_string_lossy()));
        let stem = self.output.file_stem().unwrap_or_default().to_string_lossy();
        self.output.with_file_name(format!("{stem}.last{extension}"))
    }

    fn checkpoint(&self) -> PathBuf {
        let mut name = self.output.file_name().unwrap_or_default().to_os_string();
        name.push(".checkpoint");
        self.output.with_file_name(name)
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
    let best = match finished(args, &settings, &digest, &program)? {
        Some(model) => model,
        None => {
            let progress = Progress::new(globals.quiet);
            let trained = train(args, &settings, &dataset, &program, &digest, &|step| progress.step(step))?;
            trained.last.save(args.last())?;
            trained.best.save(&args.output)?;
            let _ = std::fs::remove_file(args.checkpoint());
            trained.best
        }
    };
    if !globals.quiet { show(args, globals, &best) } else { Ok(()) }
}

/// With `--resume`, the model of a training of these settings that has already ended.
fn finished(args: &Args, settings: &TrainSettings, digest: &str, program: &Program) -> Result<Option<Model>> {
    if !args.resume || args.checkpoint().exists() || !args.output.exists() {
        return Ok(None);
    }
    let model = Model::load(&args.output)?;
    let same = model.network.program() == program && (model.target, model.input) == (Some(args.target), Some(args.input));
    let about = model.provenance.as_ref().filter(|about| same && about.settings == *settings && about.dataset == digest);
    Ok(about.is_some().then_some(model))
}

fn train(args: &Args, settings: &TrainSettings, dataset: &Dataset, program: &Program, digest: &str, report: Report<'_>) -> Result<Trained> {
    let split = dataset.split(settings.seed);
    let [train, validation, test] = Part::ALL.map(|part| Examples::of(dataset, &split, part, args.target));
    let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, args.input);
    let data =
        TrainingData { target: args.target, input: args.input, inputs: &inputs, train: &train, validation: &validation, test: &test };
    let mut trainer = Trainer::new(program, data, settings)?;
    let path = args.checkpoint();
    if args.resume && path.exists() {
        trainer.resume(Checkpoint::load(&path)?)?;
    }
    while !trainer.is_done() {
        trainer.epoch(report)?;
        trainer.checkpoint().save(&path)?;
    }
    trainer.finish(digest, report)
}

fn show(args: &Args, globals: &Globals, model: &Model) -> Result<()> {
    let Some(about) = &model.provenance else { return Ok(()) };
    if globals.json {
        return print(serde_json::json!({
            "model": path_text(&args.output), "last": path_text(&args.last()), "target": args.target, "unit": args.target.unit(), "provenance": about,
        }));
    }
    print(HEADER)?;
    about.metrics.iter().try_for_each(|metrics| print(line(args.target, metrics)))?;
    let rate = if matches!(about.settings.schedule, Schedule::OneCycle) { "largest learning rate" } else { "learning rate" };
    let TrainSettings { epochs, batch, learning_rate, .. } = about.settings;
    print(format!("{epochs} epochs in batches of {batch}, {rate} {learning_rate}; best epoch {}", about.best_epoch + 1))?;
    print(format!("{} (best epoch), {} (last epoch)", path_text(&args.output), path_text(&args.last())))
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}
