//! `cardiograd evaluate`.

use super::models::{Loaded, ModelOptions};
use super::places::{Output, Places};
use super::{Globals, Progress, Tone, print, print_toned};
use crate::dataset::{Dataset, InputKind, Part, Split, Target};
use crate::evaluation::classes::{Bin, youden};
use crate::evaluation::worth::Figure;
use crate::nn::{Examples, Metrics, predict_outputs};
use crate::report::findings::words_for_the_mean;
use crate::report::results::ExactErrors;
use crate::{Error, Result};
use std::path::PathBuf;
use worth::{Columns, Rows};

mod tell;
mod worth;

/// Arguments of `cardiograd evaluate`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Models: the project's own files, or state dicts and ONNX files with --target and --input.
    #[arg(required = true, value_parser = super::models::model_path)]
    models: Vec<PathBuf>,
    /// The dataset.
    #[arg(long, value_name = "DATASET")]
    data: PathBuf,
    /// The part: train, validation or test.
    #[arg(long, default_value = "test")]
    split: Part,
    /// Seed of the split [default: the model's own, else 0] and of the resamples.
    #[arg(long)]
    seed: Option<u64>,
    /// Where probabilities become a yes: a number, or youden, which is chosen on the validation part [default: 0.5].
    #[arg(long, value_name = "P|youden")]
    threshold: Option<Threshold>,
    /// Resamples groups of ECGs, as patients, for the intervals: the column of the labels that names them [default: that of the model's split].
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// Figures of subgroups, too: columns of the labels whose texts tell them, separated by commas.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    by: Vec<String>,
    #[command(flatten)]
    options: ModelOptions,
    /// Writes every figure with its interval, one a row.
    #[arg(long, short, value_name = "FIGURES.csv")]
    output: Option<PathBuf>,
}

/// Where a probability becomes a yes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Threshold {
    At(f64),
    Youden,
}

impl std::str::FromStr for Threshold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match (text, text.parse::<f64>()) {
            ("youden", _) => Ok(Threshold::Youden),
            (_, Ok(at)) if (0.0..=1.0).contains(&at) => Ok(Threshold::At(at)),
            _ => Err(Error::Usage(format!("threshold '{text}': a probability from 0 to 1, or youden"))),
        }
    }
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let mut options = self.options.clone();
        let files = options.files();
        let reads = files.iter().map(|(_, file)| file.path()).chain(self.models.iter().cloned()).chain([self.data.clone()]).collect();
        Places { reads, writes: self.output.iter().map(|path| Output::File(path.clone(), &["csv"])).collect() }
    }
}

/// One column of one model on the part.
struct Evaluated {
    model: String,
    target: Target,
    metrics: Metrics,
    exact: Option<ExactErrors>,
    same_data: Option<bool>,
    /// Where a probability is a yes, and whether that was chosen by Youden's index.
    threshold: Option<(f64, bool)>,
    figures: Vec<Figure>,
    calibration: Vec<Bin>,
    by: Vec<Subgroup>,
}

/// The figures of the ECGs of which a column holds one text.
struct Subgroup {
    column: String,
    text: String,
    n: usize,
    figures: Vec<Figure>,
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let dataset = args.options.dataset(&args.data, globals)?;
    let models = args.models.iter().map(|path| Ok((path, args.options.load_asked(path, &dataset)?))).collect::<Result<Vec<_>>>()?;
    let kinds: Vec<InputKind> = models.iter().map(|(_, loaded)| loaded.input).collect();
    let digest = dataset_digest(&dataset);
    let progress = Progress::new(globals.quiet);
    let one = |(path, loaded): &(&PathBuf, Loaded)| {
        // Labels are part of the digest; a measurement does not depend on them.
        let told = !(args.options.any_labels() && loaded.target.columns().into_iter().all(Target::is_measurement));
        let same_data = loaded.model.provenance.as_ref().filter(|_| told).map(|about| about.dataset == digest);
        evaluate(args, &dataset, &path.display().to_string(), loaded, same_data, &progress)
    };
    // Whether the arrays are the dataset's is found out meanwhile, and told first.
    let all = || models.iter().map(one).collect::<Result<Vec<_>>>();
    let (rows, checked) = rayon::join(all, || dataset.check_arrays(&args.data, &kinds));
    progress.finish();
    checked?;
    let rows: Vec<Evaluated> = rows?.into_iter().flatten().collect();
    if let Some(path) = &args.output {
        crate::atomic::write(path, tell::table(&rows, args.split).csv().as_bytes())?;
    }
    match (globals.quiet, globals.json) {
        (true, _) => Ok(()),
        (_, true) => print(tell::json(&rows)),
        _ => tell(args, &rows),
    }
}

fn tell(args: &Args, rows: &[Evaluated]) -> Result<()> {
    print(HEADER)?;
    for row in rows {
        let note = if row.same_data == Some(false) { "  (trained on another dataset)" } else { "" };
        print(format!("{}  {}{note}", line(row.target, &row.metrics), row.model))?;
    }
    for row in rows {
        let (path, unit, metrics) = (&row.model, row.target.error_unit(), &row.metrics);
        if let Some(e) = &row.exact {
            print(format!(
                "{path}: against the exact values of {} ECGs MAE {:.3} {unit}, RMSE {:.3} {unit}; the measurement itself errs by {:.3} and {:.3} {unit}",
                e.n, e.mae, e.rmse, e.mae_of_measured, e.rmse_of_measured
            ))?;
        }
        if metrics.mae >= metrics.mae_of_mean {
            print_toned(Tone::Warning, "warning", format!("{path}: {}", words_for_the_mean(metrics.mae, metrics.mae_of_mean, unit)))?;
        }
    }
    rows.iter().flat_map(|row| tell::words(row, args.split)).try_for_each(print)?;
    match &args.output {
        Some(path) => print(format!("every figure in {}", path.display())),
        None => Ok(()),
    }
}

/// What one model predicts for the ECGs of a part that have its target.
fn predicted(
    dataset: &Dataset,
    split: &Split,
    part: Part,
    loaded: &Loaded,
    path: &str,
    progress: &Progress,
) -> Result<(Examples, Vec<f64>)> {
    let Loaded { model, target, input, .. } = loaded;
    let examples = Examples::of(dataset, split, part, *target);
    let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, *input);
    let all: Vec<usize> = (0..target.width()).collect();
    let label = format!("evaluating {path}");
    let found = predict_outputs(&model.network, &all, &inputs, &examples.ecgs, &label, &|step| progress.step(step))?;
    Ok((examples, found))
}

fn evaluate(
    args: &Args,
    dataset: &Dataset,
    path: &str,
    loaded: &Loaded,
    same_data: Option<bool>,
    progress: &Progress,
) -> Result<Vec<Evaluated>> {
    let target = loaded.target;
    let split = loaded.split(dataset, args.seed)?;
    if dataset.examples(&split, args.split, target).is_empty() {
        return Err(Error::Data(format!("{}: no ECG of the {} part has a value for {target}", args.data.display(), args.split)));
    }
    let (examples, found) = predicted(dataset, &split, args.split, loaded, path, progress)?;
    let train = Examples::of(dataset, &split, Part::Train, target);
    let own = loaded.model.provenance.as_ref();
    let mut metrics = crate::nn::column_metrics(target, args.split, &found, &examples, &train);
    if let ([(mean, Some(one))], Some(about)) = (&mut metrics[..], own.filter(|_| target.is_regression())) {
        // The mean that its training knew, whatever this dataset's is.
        *mean = about.train_mean;
        *one = Metrics::new(args.split, &found, &examples.values, about.train_mean);
    }
    let youden_on = match args.threshold {
        Some(Threshold::Youden) => Some(predicted(dataset, &split, Part::Validation, loaded, path, progress)?),
        _ => None,
    };
    let groups = Columns::new(dataset, args, own)?;
    let mut all = Vec::new();
    for (at, (column, (_, metrics))) in target.columns().into_iter().zip(metrics).enumerate() {
        let Some(metrics) = metrics else { continue };
        let rows = Rows::new(target, at, &examples, &found);
        let threshold = rows.is_yes_or_no().then(|| match (&args.threshold, &youden_on) {
            (Some(Threshold::At(at)), _) => Ok((*at, false)),
            (_, Some((examples, found))) => {
                let chosen = youden(&Rows::new(target, at, examples, found).scored());
                chosen.map(|at| (at, true)).ok_or_else(|| {
                    Error::Data(format!(
                        "{column}: the validation part has one label only, a threshold cannot be chosen on it: --threshold P"
                    ))
                })
            }
            _ => Ok((0.5, false)),
        });
        let threshold = threshold.transpose()?;
        let limit = threshold.map_or(0.5, |chosen| chosen.0);
        let seed = args.seed.unwrap_or(0);
        let triples = || examples.ecgs.iter().zip(examples.values.iter().zip(&found));
        let exact =
            (target.width() == 1).then(|| ExactErrors::of(triples().map(|(ecg, (m, p))| (dataset.exact(*ecg, target), *m, *p)))).flatten();
        all.push(Evaluated {
            model: path.to_owned(),
            target: column,
            metrics,
            exact,
            same_data,
            threshold,
            figures: rows.figures(limit, groups.groups(&rows).as_deref(), seed),
            calibration: rows.calibration(),
            by: groups.subgroups(&rows, limit, seed),
        });
    }
    Ok(all)
}

/// What tells one dataset from another: the digest of its manifest, which holds the digests of its files.
pub(super) fn dataset_digest(dataset: &Dataset) -> String {
    format!("sha256:{}", dataset.digest())
}

/// The head of [`line`]s.
pub(super) const HEADER: &str = "target  part            n        MAE       RMSE   MAE of mean   gain";

/// One network's errors on one part, against measured values; `gain` is how many times better than predicting the training mean.
pub(super) fn line(target: Target, metrics: &Metrics) -> String {
    let Metrics { part, n, mae, rmse, mae_of_mean, .. } = metrics;
    let unit = target.error_unit();
    let part = part.name();
    format!("{:<7} {part:<10} {n:>6} {mae:>10.3} {rmse:>10.3} {mae_of_mean:>10.3} {unit:<3} {:>5.1}x", target.name(), metrics.gain())
}
