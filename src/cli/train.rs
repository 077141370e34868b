//! `cardiograd train`.

use super::evaluate::{HEADER, dataset_digest, line};
use super::labels::{LabelOptions, split_by, targets};
use super::numbers::{ROUNDS, up_to};
use super::places::{Output, Places};
use super::provenance::{Files, Input, Recorded, program_file, publish, record_at, tell_of};
use super::{Globals, Progress, print};
use crate::atomic::{OutputLock, WorkFolder, remove_if_there};
use crate::dataset::{Dataset, InputKind, Part, Split, Target};
use crate::ecg::leads::LEADS;
use crate::files::digest::sha256_file;
use crate::nn::{
    ARCHITECTURES, Augment, ClassWeights, Examples, Further, Loss, Model, Preset, Schedule, Start, Storage, TrainSettings, TrainingData,
    TrainingFiles, load_model, load_program, with_outputs,
};
use crate::progress::Step;
use crate::tape::{Network, Program};
use crate::{Error, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How a training goes, where it is not as its preset says.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Course {
    /// Passes over the training ECGs [default: of the preset].
    #[arg(long, value_name = "N", value_parser = up_to::<ROUNDS>)]
    epochs: Option<usize>,
    /// ECGs in a batch [default: of the preset].
    #[arg(long, value_name = "N", value_parser = up_to::<ROUNDS>)]
    batch: Option<usize>,
    /// Learning rate; with one_cycle, the largest of the cycle [default: 0.008].
    #[arg(long, value_name = "RATE")]
    lr: Option<f64>,
    /// What happens to the learning rate: constant, plateau (halved after more than 10 epochs without an improvement) or one_cycle
    /// [default: of the preset].
    #[arg(long, value_name = "NAME")]
    schedule: Option<Schedule>,
    /// Whether leads and target are standardised while training (the model takes µV all the same) [default: of the preset].
    #[arg(long, value_name = "yes|no", value_parser = clap::builder::BoolishValueParser::new())]
    standardise: Option<bool>,
}

impl Course {
    /// The preset's settings with what was asked for.
    pub(super) fn of(self, preset: TrainSettings) -> TrainSettings {
        TrainSettings {
            epochs: self.epochs.unwrap_or(preset.epochs),
            batch: self.batch.unwrap_or(preset.batch),
            learning_rate: self.lr.unwrap_or(preset.learning_rate),
            schedule: self.schedule.unwrap_or(preset.schedule),
            standardise: self.standardise.unwrap_or(preset.standardise),
            ..preset
        }
    }
}

/// Arguments of `cardiograd train`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The dataset.
    dataset: PathBuf,
    /// What to predict: pr qrs qt r_v5 j_v5 t_v5 or rate, or a column of the labels; several, separated by commas, get an output each of one network.
    /// COLUMN=TEXT is yes where the column is that text, COLUMN>NUMBER where it is above; NAME: before it calls it NAME, [UNIT] behind a number is its
    /// unit, @PLACE last (p, pr, qrs, st, qt, before_qrs) where in a beat it shows, by which challenge judges heatmaps.
    #[arg(long, value_name = "NAME,…")]
    target: String,
    #[command(flatten)]
    labels: LabelOptions,
    /// What is made small: mse for numbers, bce for yes or no (0 and 1), cross_entropy for one of several classes [default: by what the column holds].
    #[arg(long, value_name = "mse|bce|cross_entropy")]
    loss: Option<Loss>,
    /// What to look at: median (12 × 600) or rhythm (12 × 5000).
    #[arg(long)]
    input: InputKind,
    /// The model to write, with the weights of the best epoch; those of the last go beside it, as NAME.last.EXTENSION.
    #[arg(long, short, value_name = "MODEL")]
    output: PathBuf,
    /// paper: the study's settings, 100 epochs; full: raw values as the study's, 10 epochs, one cycle of the learning rate; quick: standardised, 5 epochs,
    /// one cycle.
    #[arg(long, default_value = "paper")]
    preset: Preset,
    #[command(flatten)]
    course: Course,
    /// Seed of the split, the initial weights and the order of the ECGs.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The network: stevennet, standardconv or a program file (.json) [default: stevennet, or that of --from].
    #[arg(long)]
    arch: Option<String>,
    /// A model to begin from (fine-tuning); a last layer of other outputs begins anew.
    #[arg(long, value_name = "MODEL")]
    from: Option<PathBuf>,
    /// Keeps ECGs of one group, as a patient, in one part: the column of the labels that names it.
    #[arg(long, value_name = "COLUMN", requires = "labels", conflicts_with = "split_column")]
    group: Option<String>,
    /// Takes the parts from a column of the labels: train, validation and test, or numbers of folds, of which the largest is the test part, the next
    /// the validation part and the others the training part.
    #[arg(long, value_name = "COLUMN", requires = "labels")]
    split_column: Option<String>,
    /// How classes weigh: equal, balanced (every class the same in all), or how many times yes weighs as much as no [default: equal].
    #[arg(long, value_name = "WEIGHTS")]
    class_weights: Option<ClassWeights>,
    /// Ends the training when the validation loss has not been the lowest for so many epochs.
    #[arg(long, value_name = "EPOCHS", value_parser = up_to::<ROUNDS>)]
    patience: Option<usize>,
    /// What is done to training ECGs on their way in, separated by commas: noise, wander, lead_dropout, shift.
    #[arg(long, value_name = "LIST")]
    augment: Option<Augment>,
    /// Takes the mean error over the training part out of the bias of the last layer afterwards (calibration in the large); heatmaps are as without.
    #[arg(long)]
    calibrate: bool,
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
        let mut places = Places::recorded(self, |path| Output::File(path, &[]));
        places.writes.extend(other.into_iter().chain([checkpoint]).map(|path| Output::File(path, &[])));
        places
    }

    fn settings(&self) -> Result<TrainSettings> {
        let preset = self.preset.settings();
        let further = Further {
            split: split_by(self.group.as_deref(), self.split_column.as_deref())?,
            class_weights: self.class_weights.unwrap_or_default(),
            patience: self.patience,
            augment: self.augment.unwrap_or_default(),
            from: self.from.as_deref().map(digest_of).transpose()?,
            calibrate: self.calibrate,
        };
        Ok(TrainSettings { further, seed: self.seed, ..self.course.of(preset) })
    }

    /// The network to train, and the one to begin from.
    fn network(&self, target: Target) -> Result<(Program, Option<Network<f32>>)> {
        let example = [LEADS.len(), self.input.samples()];
        if let Some(path) = &self.from {
            let from = load_model(path, self.arch.as_deref())?.network;
            let columns = from.program().columns(&example).map_err(|error| Error::format(path, error.to_string()))?;
            let program = from.program().clone();
            return Ok((if columns == target.width() { program } else { with_outputs(&program, target.width())? }, Some(from)));
        }
        let name = self.arch.as_deref().unwrap_or(ARCHITECTURES[0]);
        let program = load_program(name)?;
        if ARCHITECTURES.contains(&name) {
            return Ok((with_outputs(&program, target.width())?, None));
        }
        match program.columns(&example)? {
            columns if columns == target.width() => Ok((program, None)),
            columns => Err(Error::Usage(format!("{name} has {columns} outputs, {target} needs {}", target.width()))),
        }
    }
}

/// SHA-256 of a file.
fn digest_of(path: &Path) -> Result<[u8; 32]> {
    let hex = sha256_file(path)?;
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = hex.get(2 * at..2 * at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()).unwrap_or(0);
    }
    Ok(digest)
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
        inputs.extend(self.labels.file());
        inputs.extend(self.from.as_mut().map(|path| ("from", Input::Path(path))));
        inputs.extend(program_file(&mut self.arch));
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
    let settings = args.settings()?;
    let dataset = args.labels.put(Dataset::open_checked(&args.dataset, &[args.input])?, globals)?;
    let digest = dataset_digest(&dataset);
    let target = Target::several(&targets(&args.target, args.loss, &dataset)?)?;
    let split = dataset.split_by(settings.further.split, settings.seed)?;
    let (program, from) = args.network(target)?;
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
        from,
        ..TrainingFiles::beside(&place)
    };
    work.keep();
    let progress = Progress::new(globals.quiet);
    let report = |step: Step<'_>| progress.step(step);
    let outcome = with_data(target, args.input, &split, &dataset, |data| {
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
fn with_data<T>(
    target: Target,
    input: InputKind,
    split: &Split,
    dataset: &Dataset,
    with: impl FnOnce(TrainingData<'_>) -> Result<T>,
) -> Result<T> {
    let [train, validation, test] = Part::ALL.map(|part| Examples::of(dataset, split, part, target));
    let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, input);
    with(TrainingData { target, input, inputs: &inputs, train: &train, validation: &validation, test: &test })
}

fn show(args: &Args, globals: &Globals, model: &Model) -> Result<()> {
    let (Some(about), Some(target)) = (&model.provenance, model.target) else { return Ok(()) };
    let last = TrainingFiles::beside(&args.output).other.as_deref().map_or(String::new(), path_text);
    if globals.json {
        let mut told = serde_json::json!({
            "model": path_text(&args.output), "last": last, "target": target, "unit": target.unit(), "provenance": about,
        });
        if !about.outputs.is_empty() {
            told["outputs"] = serde_json::json!(about.outputs);
        }
        if !about.calibration.is_empty() {
            told["calibration"] = serde_json::json!(about.calibration);
        }
        if about.settings.further != Further::default() {
            told["further"] = serde_json::json!(about.settings.further);
        }
        return print(told);
    }
    print(HEADER)?;
    about.metrics.iter().try_for_each(|metrics| print(line(target, metrics)))?;
    let outputs = about.outputs.iter().flat_map(|output| output.metrics.iter().map(move |metrics| line(output.target, metrics)));
    outputs.into_iter().try_for_each(print)?;
    if target.columns().iter().any(|column| !column.is_regression()) {
        print("of classes the errors are those of probabilities; evaluate tells AUROC and the rest")?;
    }
    let rate = if matches!(about.settings.schedule, Schedule::OneCycle) { "largest learning rate" } else { "learning rate" };
    let TrainSettings { batch, learning_rate, further, .. } = about.settings;
    let (epochs, further) = (about.epochs.len(), further.to_string());
    let further = if further.is_empty() { further } else { format!("; {further}") };
    if let Some(added) = about.calibration_in_words(target) {
        print(format!("calibrated: {added}"))?;
    }
    print(format!("{epochs} epochs in batches of {batch}, {rate} {learning_rate}; best epoch {}{further}", about.best_epoch + 1))?;
    print(format!("{} (best epoch), {} (last epoch)", path_text(&args.output), last))
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}
