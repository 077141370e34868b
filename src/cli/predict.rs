//! `cardiograd predict`.

use super::beside::BesideOptions;
use super::inputs::{Ecgs, InputOptions, InputPlace};
use super::models::warn_if_worse_than_mean;
use super::outputs::{Column, columns};
use super::provenance::{Files, Input, Recorded, digested_meanwhile, program_file, publish_of};
use super::{Globals, Progress, print};
use crate::atomic::WorkFolder;
use crate::files::npy::NpyWriter;
use crate::nn::{load_model, predict_outputs_by};
use crate::progress::Step;
use crate::tape::Tensor;
use crate::{Error, Result};
use ndarray::{ArrayView, IxDyn};
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
    let inputs = digested_meanwhile(args)?;
    make_at(args, globals, Some(work.place()))?;
    publish_of("predict", args, inputs.wait()?, work, &[])
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
        [first, ..] => ecgs.inputs::<f32>(*first..first + batch.len()),
        [] => Err(Error::Data("no ECG in the batch".into())),
    };
    let all: Vec<usize> = (0..ecgs.len()).collect();
    let beside = args.beside.open(model.network.program(), ecgs.total())?;
    let predict = |x: Tensor<f32>, batch: &[usize]| {
        let first = batch.first().copied().unwrap_or_default();
        let numbers = ecgs.numbers(first..first + batch.len());
        model.network.predict(&beside.with(model.network.program(), x, &numbers)?)
    };
    let one = args.column != Some(Column::All);
    let row = if one { Vec::new() } else { vec![columns.len()] };
    let mut file = place.map(|path| NpyWriter::create(path, &row)).transpose()?;
    // What only goes into a file is not kept.
    let (keeps, mut predicted) = (!globals.quiet && (globals.json || place.is_none()), Vec::new());
    let mut take = |some: &[f32]| {
        if let Some(file) = &mut file {
            let rows = ArrayView::from_shape(IxDyn(&[&[some.len() / columns.len()], &row[..]].concat()), some);
            rows.map_err(|error| Error::Data(error.to_string()))?.outer_iter().try_for_each(|row| file.append(row))?;
        }
        predicted.extend(some.iter().copied().map(f64::from).filter(|_| keeps));
        Ok(())
    };
    let report = |step: Step<'_>| progress.step(step);
    predict_outputs_by(&predict, &columns, &inputs, &all, ("predicting", &report), &mut take)?;
    progress.finish();
    ecgs.tell(globals);
    warn_if_worse_than_mean(&model, globals);
    file.map_or(Ok(()), NpyWriter::finish)?;
    if globals.quiet {
        return Ok(());
    }
    let target = model.target.map(crate::dataset::Target::name);
    let mut rows = predicted.chunks(columns.len());
    match &args.output {
        _ if globals.json => {
            let predictions = if one { serde_json::json!(predicted) } else { rows.collect() };
            print(serde_json::json!({ "target": target, "unit": model.unit(), "predictions": predictions }))
        }
        Some(path) => print(format!("{} predictions in {}", ecgs.len() * columns.len(), path.display())),
        None => rows.try_for_each(|row| {
            let values: Vec<String> = row.iter().map(|value| format!("{value:.4}")).collect();
            print(format!("{} {}", values.join(" "), model.unit()).trim_end())
        }),
    }
}
