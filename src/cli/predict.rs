//! `cardiograd predict`.

use super::beside::BesideOptions;
use super::inputs::{Ecgs, InputOptions, InputPlace};
use super::models::warn_if_worse_than_mean;
use super::outputs::{Column, columns};
use super::provenance::{Files, Input, Recorded, program_file, publish};
use super::{Globals, Progress, print};
use crate::atomic::WorkFolder;
use crate::files::npy;
use crate::nn::{load_model, predict_outputs_by};
use crate::tape::{Tensor, from_vec};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd predict`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The model: the project's own file, or a PyTorch state dict with --arch.
    #[arg(value_parser = super::models::model_path)]
    model: PathBuf,
    #[command(flatten)]
    place: InputPlace,
    #[command(flatten)]
    beside: BesideOptions,
    /// Writes the predictions as float32, (N), or (N, K) with --column all, instead of printing them.
    #[arg(long, short, value_name = "Y.npy")]
    output: Option<PathBuf>,
    /// The network of a state dict: stevennet, standardconv or a program file (.json).
    #[arg(long)]
    arch: Option<String>,
    /// Which output, from 0 or by its name, of a network with several; `all` for every one.
    #[arg(long, value_name = "K|NAME|all")]
    column: Option<Column>,
    #[command(flatten)]
    inputs: InputOptions,
}

/// Runs the command, and records where predictions in a file come from.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let Some(output) = &args.output else { return make(args, globals) };
    let work = WorkFolder::create(output)?;
    make_at(args, globals, Some(work.place()))?;
    publish("predict", args, work, &[])
}

impl Recorded for Args {
    fn files(&mut self) -> Files<'_> {
        let mut inputs = vec![("model", Input::Path(&mut self.model)), ("input", self.place.as_input())];
        inputs.extend(program_file(&mut self.arch));
        inputs.extend(self.beside.files());
        Files { inputs, output: self.output.as_mut() }
    }

    fn seed(&self) -> Option<u64> {
        None
    }
}

/// The predictions, without a record.
pub(super) fn make(args: &Args, globals: &Globals) -> Result<()> {
    make_at(args, globals, args.output.as_deref())
}

/// The predictions, written to `place` if they go to a file.
fn make_at(args: &Args, globals: &Globals, place: Option<&Path>) -> Result<()> {
    let model = load_model(&args.model, args.arch.as_deref())?;
    let ecgs = Ecgs::open(args.place.path(), &model, &args.inputs)?;
    let columns = columns(&model, &ecgs.example(), args.column.as_ref())?;
    let progress = Progress::new(globals.quiet);
    // Batches are contiguous: `predict_outputs_by` goes through the indices in order.
    let inputs = |batch: &[usize]| match batch {
        [first, .., last] => Ok(ecgs.batch(*first..last + 1)?.mapv(|v| v as f32)),
        [only] => Ok(ecgs.batch(*only..only + 1)?.mapv(|v| v as f32)),
        [] => Err(Error::Data("no ECG in the batch".into())),
    };
    let all: Vec<usize> = (0..ecgs.len()).collect();
    let beside = args.beside.open(model.network.program(), ecgs.total())?;
    let predict = |x: Tensor<f32>, batch: &[usize]| {
        let first = batch.first().copied().unwrap_or_default();
        let numbers = ecgs.numbers(first..first + batch.len());
        model.network.predict(&beside.with(model.network.program(), x, &numbers)?)
    };
    let predicted = predict_outputs_by(&predict, &columns, &inputs, &all, "predicting", &|step| progress.step(step))?;
    progress.finish();
    ecgs.tell(globals);
    warn_if_worse_than_mean(&model, globals);
    let rows: Vec<&[f64]> = predicted.chunks(columns.len()).collect();
    let one = args.column != Some(Column::All);
    let target = model.target.map(crate::dataset::Target::name);
    if let Some(path) = place {
        let values: Vec<f32> = predicted.iter().map(|value| *value as f32).collect();
        let shape = if one { vec![rows.len()] } else { vec![rows.len(), columns.len()] };
        npy::write(path, from_vec(&shape, values).view())?;
    }
    if globals.quiet {
        return Ok(());
    }
    match &args.output {
        _ if globals.json => {
            let predictions = if one { serde_json::json!(predicted) } else { serde_json::json!(rows) };
            print(serde_json::json!({ "target": target, "unit": model.unit(), "predictions": predictions }))
        }
        Some(path) => print(format!("{} predictions in {}", predicted.len(), path.display())),
        None => rows.iter().try_for_each(|row| {
            let values: Vec<String> = row.iter().map(|value| format!("{value:.4}")).collect();
            print(format!("{} {}", values.join(" "), model.unit()).trim_end())
        }),
    }
}
