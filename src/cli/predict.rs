//! `cardiograd predict`.

use super::inputs::Ecgs;
use super::provenance::{Files, Input, Recorded, program_file, record};
use super::{Globals, Progress, print};
use crate::files::npy;
use crate::nn::{load_model, predict_ecgs};
use crate::{Error, Result};
use ndarray::Array1;
use std::path::PathBuf;

/// Arguments of `cardiograd predict`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The model: the project's own file, or a PyTorch state dict with --arch.
    model: PathBuf,
    /// ECGs, (N, 12, L) or (12, L), µV.
    #[arg(long, short, value_name = "X.npy")]
    input: PathBuf,
    /// Writes the predictions as (N) float32 instead of printing them.
    #[arg(long, short, value_name = "Y.npy")]
    output: Option<PathBuf>,
    /// The network of a state dict: stevennet, standardconv or a program file (.json).
    #[arg(long)]
    arch: Option<String>,
}

/// Runs the command, and records where predictions in a file come from.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    make(args, globals)?;
    record("predict", args)
}

impl Recorded for Args {
    fn files(&mut self) -> Files<'_> {
        let mut inputs = vec![("model", Input::Path(&mut self.model)), ("input", Input::Path(&mut self.input))];
        inputs.extend(program_file(&mut self.arch));
        Files { inputs, output: self.output.as_mut() }
    }

    fn seed(&self) -> Option<u64> {
        None
    }
}

/// The predictions, without a record.
pub(super) fn make(args: &Args, globals: &Globals) -> Result<()> {
    let model = load_model(&args.model, args.arch.as_deref())?;
    let ecgs = Ecgs::open(&args.input, model.network.program())?;
    let progress = Progress::new(globals.quiet);
    // Batches are contiguous: `predict_ecgs` goes through the indices in order.
    let inputs = |batch: &[usize]| match batch {
        [first, .., last] => Ok(ecgs.batch(*first..last + 1)?.mapv(|v| v as f32)),
        [only] => Ok(ecgs.batch(*only..only + 1)?.mapv(|v| v as f32)),
        [] => Err(Error::Data("no ECG in the batch".into())),
    };
    let all: Vec<usize> = (0..ecgs.len()).collect();
    let predicted = predict_ecgs(&model.network, &inputs, &all, "predicting", &|step| progress.step(step))?;
    progress.finish();
    let target = model.target.map(crate::dataset::Target::name);
    if let Some(path) = &args.output {
        npy::write(path, Array1::from_iter(predicted.iter().map(|value| *value as f32)).view())?;
    }
    if globals.quiet {
        return Ok(());
    }
    match &args.output {
        _ if globals.json => print(serde_json::json!({ "target": target, "unit": model.unit(), "predictions": predicted })),
        Some(path) => print(format!("{} predictions in {}", predicted.len(), path.display())),
        None => predicted.iter().try_for_each(|value| print(format!("{value:.4} {}", model.unit()).trim_end())),
    }
}
