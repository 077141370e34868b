//! `cardiograd evaluate`.

use super::models::{Loaded, ModelOptions};
use super::{Globals, Progress, Tone, print, print_toned};
use crate::dataset::{Dataset, InputKind, Part, Target};
use crate::nn::{Examples, Metrics, predict_ecgs};
use crate::report::findings::words_for_the_mean;
use crate::report::results::ExactErrors;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd evaluate`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Models: the project's own files, or PyTorch state dicts with --arch, --target and --input.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// The dataset.
    #[arg(long, value_name = "DATASET")]
    data: PathBuf,
    /// The part: train, validation or test.
    #[arg(long, default_value = "test")]
    split: Part,
    /// Seed of the split [default: the model's own, else 0].
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    options: ModelOptions,
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let models = args.models.iter().map(|path| Ok((path, args.options.load(path)?))).collect::<Result<Vec<_>>>()?;
    let kinds: Vec<InputKind> = models.iter().map(|(_, loaded)| loaded.input).collect();
    let dataset = Dataset::open_checked(&args.data, &kinds)?;
    let digest = dataset_digest(&dataset);
    let mut rows = Vec::new();
    for (path, loaded) in &models {
        let progress = Progress::new(globals.quiet);
        let (metrics, exact) = evaluate(args, &dataset, path, loaded, &progress)?;
        let same_data = loaded.model.provenance.as_ref().map(|about| about.dataset == digest);
        rows.push((*path, loaded.target, metrics, exact, same_data));
    }
    if globals.quiet {
        return Ok(());
    }
    if globals.json {
        let row = |(path, target, metrics, exact, same): &(&PathBuf, Target, Metrics, Option<ExactErrors>, Option<bool>)| serde_json::json!({ "model": path.display().to_string(), "target": target, "unit": target.unit(), "metrics": metrics, "against_exact": exact, "trained_on_this_dataset": same });
        return print(serde_json::Value::from(rows.iter().map(row).collect::<Vec<_>>()));
    }
    print(HEADER)?;
    for (path, target, metrics, _, same_data) in &rows {
        let note = if *same_data == Some(false) { "  (trained on another dataset)" } else { "" };
        print(format!("{}  {}{note}", line(*target, metrics), path.display()))?;
    }
    for (path, target, metrics, exact, _) in rows {
        let unit = target.unit();
        if let Some(e) = exact {
            print(format!(
                "{}: against the exact values of {} ECGs MAE {:.3} {unit}, RMSE {:.3} {unit}; the measurement itself errs by {:.3} and {:.3} {unit}",
                path.display(),
                e.n,
                e.mae,
                e.rmse,
                e.mae_of_measured,
                e.rmse_of_measured
            ))?;
        }
        if metrics.mae >= metrics.mae_of_mean {
            print_toned(
                Tone::Warning,
                "warning",
                format!("{}: {}", path.display(), words_for_the_mean(metrics.mae, metrics.mae_of_mean, unit)),
            )?;
        }
    }
    Ok(())
}

fn evaluate(args: &Args, dataset: &Dataset, path: &Path, loaded: &Loaded, progress: &Progress) -> Result<(Metrics, Option<ExactErrors>)> {
    let Loaded { model, target, input, .. } = loaded;
    let (target, input) = (*target, *input);
    let split = dataset.split(args.seed.unwrap_or_else(|| loaded.split_seed(0)));
    let examples = Examples::of(dataset, &split, args.split, target);
    if examples.is_empty() {
        return Err(Error::Data(format!("{}: no ECG of the {} part has a value for {target}", args.data.display(), args.split)));
    }
    let train = Examples::of(dataset, &split, Part::Train, target).values;
    let train_mean = match &model.provenance {
        Some(about) => about.train_mean,
        None => train.iter().sum::<f64>() / train.len() as f64,
    };
    let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, input);
    let label = format!("evaluating {}", path.display());
    let predicted = predict_ecgs(&model.network, &inputs, &examples.ecgs, &label, &|step| progress.step(step))?;
    let all = examples.ecgs.iter().zip(examples.values.iter().zip(&predicted));
    let exact = ExactErrors::of(all.map(|(ecg, (measured, predicted))| (dataset.exact(*ecg, target), *measured, *predicted)));
    Ok((Metrics::new(args.split, &predicted, &examples.values, train_mean), exact))
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
