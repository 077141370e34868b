//! Datasets and training.

use crate::ecgs::simulator_of;
use crate::failure::{raised, wrong};
use crate::models::Model;
use crate::work::run;
use cardiograd::dataset::{Dataset, InputKind, Origin, Part, Source, Target, generate_folder};
use cardiograd::ecg::measure::Thresholds;
use cardiograd::nn::{Examples, Further, Preset, TrainSettings, Trainer, TrainingData, load_program};
use pyo3::prelude::*;
use std::path::PathBuf;

/// What the manifest of a dataset says, as JSON, after its table has been read and checked.
#[pyfunction]
pub fn check_dataset(py: Python<'_>, path: PathBuf) -> PyResult<(String, Vec<String>)> {
    let dataset = py.detach(|| Dataset::open(&path)).map_err(raised)?;
    let manifest = serde_json::to_string(&dataset.manifest()).map_err(|error| wrong(error.to_string()))?;
    let measured = dataset.records().iter().map(|record| {
        let mut value = serde_json::to_value(&record.measurements).map_err(|error| wrong(error.to_string()))?;
        value["id"] = record.id.clone().into();
        Ok(value.to_string())
    });
    Ok((manifest, measured.collect::<PyResult<_>>()?))
}

/// Simulates and measures ECGs into a new dataset folder, as `cardiograd generate --source simulator` does.
#[pyfunction]
#[pyo3(signature = (path, count, seed, kinds, thresholds, progress))]
pub fn simulate_dataset(
    py: Python<'_>,
    path: PathBuf,
    count: usize,
    seed: u64,
    kinds: Vec<String>,
    thresholds: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    let thresholds: Thresholds = thresholds.parse().map_err(raised)?;
    if count == 0 {
        return Err(wrong("0 ECGs: a dataset has one at least"));
    }
    let source = Source::Simulator(simulator_of(&kinds, seed, 1.0, 10.0)?);
    let origin = Origin { seed: Some(seed), ..Origin::default() };
    run(py, progress.as_ref(), |report| generate_folder(&path, &source, origin, count, &thresholds, report).map(|_| ()))
}

/// Trains a network on one target of a dataset: the model of the best epoch, the bytes that `cardiograd train` writes.
#[pyfunction]
#[pyo3(signature = (path, target, input, preset, epochs, batch, lr, schedule, standardise, calibrate, seed, arch, progress))]
#[allow(clippy::too_many_arguments)]
pub fn train(
    py: Python<'_>,
    path: PathBuf,
    target: &str,
    input: &str,
    preset: &str,
    epochs: Option<usize>,
    batch: Option<usize>,
    lr: Option<f64>,
    schedule: Option<&str>,
    standardise: Option<bool>,
    calibrate: bool,
    seed: u64,
    arch: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<Model> {
    let target: Target = target.parse().map_err(raised)?;
    let input: InputKind = input.parse().map_err(raised)?;
    let preset = preset.parse::<Preset>().map_err(raised)?.settings();
    let settings = TrainSettings {
        epochs: epochs.unwrap_or(preset.epochs),
        batch: batch.unwrap_or(preset.batch),
        learning_rate: lr.unwrap_or(preset.learning_rate),
        schedule: schedule.map(str::parse).transpose().map_err(raised)?.unwrap_or(preset.schedule),
        standardise: standardise.unwrap_or(preset.standardise),
        further: Further { calibrate, ..preset.further },
        seed,
    };
    let model = run(py, progress.as_ref(), |report| {
        let program = load_program(arch)?;
        let dataset = Dataset::open_checked(&path, &[input])?;
        let split = dataset.split(settings.seed);
        let [train, validation, test] = Part::ALL.map(|part| Examples::of(&dataset, &split, part, target));
        let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, input);
        let data = TrainingData { target, input, inputs: &inputs, train: &train, validation: &validation, test: &test };
        let mut trainer = Trainer::new(&program, data, &settings)?;
        while !trainer.is_done() {
            trainer.epoch(report)?;
        }
        Ok(trainer.finish(&format!("sha256:{}", dataset.digest()), report)?.best)
    })?;
    Ok(Model::of(model))
}
