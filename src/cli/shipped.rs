//! `cardiograd models`: the models that come with the program, and the card of a model.

use super::models::ModelOptions;
use super::places::{Output, Places};
use super::{Globals, Progress, measure, print};
use crate::atomic;
use crate::audit::provenance::Record;
use crate::dataset::{Dataset, Part, Target};
use crate::ecg::Rhythm;
use crate::ecg::leads::twelve;
use crate::ecg::measure::{Thresholds, measure as measure_rhythm};
use crate::ecg::read::{Given, Source};
use crate::evaluation::errors::errors;
use crate::files::digest::sha256_file;
use crate::nn::shipped::{FOLDER, folders, shipped};
use crate::nn::{Examples, Model, predict_ecgs};
use crate::report::card::{Card, Predictions};
use crate::{Error, Result};
use ndarray::{Array3, Axis};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd models`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Write the card of a model: origin, errors with limits of agreement, errors near each value, where it fails.
    Card(CardArgs),
}

/// Arguments of `cardiograd models card`.
#[derive(clap::Args, Debug)]
struct CardArgs {
    /// The model: a file of ours that was trained, or a shipped model's name.
    #[arg(value_parser = super::models::model_path)]
    model: PathBuf,
    /// The dataset that it was trained on.
    #[arg(long, value_name = "DATASET")]
    data: PathBuf,
    /// Recordings to try it on, as often as there are sets.
    #[arg(long, value_name = "RECORDINGS")]
    recordings: Vec<PathBuf>,
    /// The same network with weights of 32 bits, to say what rounding them changed.
    #[arg(long, value_name = "MODEL")]
    whole: Option<PathBuf>,
    /// The name on the card [default: the file's stem].
    #[arg(long)]
    name: Option<String>,
    /// The card; `inspect` prints NAME.md that lies beside NAME.cgm.
    #[arg(long, short, value_name = "CARD.md")]
    output: PathBuf,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let Some(What::Card(card)) = &self.what else { return Places::default() };
        let reads = [&card.model, &card.data].into_iter().chain(&card.recordings).chain(&card.whole).cloned().collect();
        Places { reads, writes: vec![Output::File(card.output.clone(), &["md"])] }
    }
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    match &args.what {
        None => list(globals),
        Some(What::Card(args)) => card(args, globals),
    }
}

/// The shipped models, one a line.
fn list(globals: &Globals) -> Result<()> {
    let mut rows = Vec::new();
    for (name, path) in shipped() {
        let model = Model::load(&path)?;
        let test = model.provenance.as_ref().and_then(|about| about.metrics(Part::Test).copied());
        rows.push((name, path, model, test));
    }
    if globals.json {
        let row = |(name, path, model, test): &(String, PathBuf, Model, Option<crate::nn::Metrics>)| {
            Ok(json!({
                "name": name, "path": path, "sha256": sha256_file(path)?, "target": model.target, "unit": model.unit(),
                "input": model.input, "test": test,
            }))
        };
        return print(serde_json::Value::from(rows.iter().map(row).collect::<Result<Vec<_>>>()?));
    }
    if globals.quiet {
        return Ok(());
    }
    if rows.is_empty() {
        let folders = folders().iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
        return print(format!("no shipped model is found in {folders}; {FOLDER} names the folder where they are"));
    }
    print(format!("{:<20} {:<20} {:<7} {:>8} {:>10} {:>10}", "model", "predicts", "from", "test n", "MAE", "RMSE"))?;
    for (name, _, model, test) in &rows {
        let title = model.target.map_or("", Target::title);
        let input = model.input.map_or("", |input| input.name());
        let errors = test.map_or_else(String::new, |m| format!("{:>8} {:>10.2} {:>10.2} {}", m.n, m.mae, m.rmse, model.unit()));
        print(format!("{name:<20} {title:<20} {input:<7} {errors}"))?;
    }
    Ok(())
}

/// Writes a card.
fn card(args: &CardArgs, globals: &Globals) -> Result<()> {
    let dataset = Dataset::open(&args.data)?;
    let [loaded] = &ModelOptions::default().load(&args.model, &dataset)?[..] else {
        return Err(Error::Usage(format!("{}: a card is of a network of one output", args.model.display())));
    };
    let Some(provenance) = &loaded.model.provenance else {
        return Err(Error::Usage(format!("{}: a card tells of a training, and the file knows of none", args.model.display())));
    };
    dataset.check_arrays(&args.data, &[loaded.input])?;
    let digest = super::evaluate::dataset_digest(&dataset);
    if provenance.dataset != digest {
        let text =
            format!("{} is not the dataset that the model was trained on ({digest}, not {})", args.data.display(), provenance.dataset);
        return Err(Error::Usage(text));
    }
    let split = loaded.split(&dataset, None)?;
    let examples = Examples::of(&dataset, &split, Part::Test, loaded.target);
    let progress = Progress::new(globals.quiet);
    let predicted = |model: &Model| {
        let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, loaded.input);
        predict_ecgs(&model.network, &inputs, &examples.ecgs, "predicting the test part", &|step| progress.step(step))
    };
    let pairs = |found: Vec<f64>| examples.values.iter().copied().zip(found).collect::<Vec<_>>();
    let test = pairs(predicted(&loaded.model)?);
    let mae = |pairs: &[(f64, f64)]| errors(pairs).map_or(f64::NAN, |found| found.mae);
    let rounding = match &args.whole {
        None => None,
        Some(path) => {
            let whole = Model::load(path)?;
            if whole.provenance != loaded.model.provenance {
                return Err(Error::Usage(format!("{}: not the same network as {}", path.display(), args.model.display())));
            }
            Some(mae(&test) - mae(&pairs(predicted(&whole)?)))
        }
    };
    progress.finish();
    let others = args.recordings.iter().map(|path| on_recordings(path, loaded)).collect::<Result<Vec<_>>>()?;
    let train = Examples::of(&dataset, &split, Part::Train, loaded.target).values;
    let range = train.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    let ids = examples.ecgs.iter().map(|ecg| dataset.records()[*ecg].id.clone()).collect();
    let command = Record::find(&args.model)?.map(|record| format!("cardiograd {} {}", record.command, record.arguments.join(" ")));
    let size = std::fs::metadata(&args.model).map_err(|source| Error::io(&args.model, source))?.len();
    let card = Card {
        name: args.name.as_deref().unwrap_or(&loaded.name),
        target: loaded.target,
        input: loaded.input,
        provenance,
        command,
        data: origin(&dataset),
        file: (sha256_file(&args.model)?, size),
        rounding,
        trained_on: range,
        test: Predictions { title: "the test part".into(), ids, pairs: test, unmeasured: 0 },
        others,
    };
    atomic::write(&args.output, card.markdown().as_bytes())?;
    if globals.quiet { Ok(()) } else { print(args.output.display()) }
}

/// Where a dataset's ECGs came from.
fn origin(dataset: &Dataset) -> String {
    let Some(origin) = dataset.manifest().map(|manifest| &manifest.origin) else {
        return format!("{} of an unknown source", dataset.len());
    };
    let seed = origin.seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
    let details: String = origin.details.iter().map(|(name, value)| format!(", {name} {value}")).collect();
    format!("{} from {}{seed}{details}", dataset.len(), origin.source)
}

/// Measured and predicted values of recordings.
fn on_recordings(path: &Path, loaded: &super::models::Loaded) -> Result<Predictions> {
    let source = Source::open(path, Given::default())?;
    let mut found = Predictions { title: title(path), ids: Vec::new(), pairs: Vec::new(), unmeasured: 0 };
    for at in 0..source.len() {
        let (rhythm, _) = source.read(at)?.rhythm(source.path(at))?;
        let rhythm = Rhythm::new(measure::whole_microvolts(rhythm.into_samples()).0)?;
        let measured = measure_rhythm(&rhythm, &Thresholds::default());
        let Some(value) = loaded.target.value(&measured.measurements).filter(|_| measured.measurements.rejected.is_none()) else {
            found.unmeasured += 1;
            continue;
        };
        let input = match loaded.input {
            crate::dataset::InputKind::Median => measured.median.clone(),
            crate::dataset::InputKind::Rhythm => twelve(rhythm.samples()),
        };
        let input: Array3<f32> = input.insert_axis(Axis(0));
        let inputs = |_: &[usize]| Ok(input.clone());
        let predicted = predict_ecgs(&loaded.model.network, &inputs, &[0], "", &crate::progress::silent)?;
        found.ids.push(source.id(at));
        found.pairs.extend(predicted.first().map(|predicted| (value, *predicted)));
    }
    Ok(found)
}

fn title(path: &Path) -> String {
    format!("On recordings: {}", path.file_name().unwrap_or_default().to_string_lossy())
}
