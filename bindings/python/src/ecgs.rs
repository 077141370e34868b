//! Recordings: read, simulated, measured. What is measured is what the command line measures of the same recording.

use crate::arrays::{Numbers, single};
use crate::failure::{raised, wrong};
use crate::work::run;
use cardiograd::Error as Failed;
use cardiograd::ecg::leads::{INDEPENDENT, LEADS};
use cardiograd::ecg::measure::{Thresholds, measure as measured};
use cardiograd::ecg::read::{Given, Lead, Recording, Source, Unit, lead_name};
use cardiograd::ecg::simulator::{self, Kind, Simulator};
use cardiograd::ecg::stated::{rounded, whole_microvolts};
use cardiograd::ecg::{Measurements, Rhythm};
use cardiograd::progress::Step;
use ndarray::Array2;
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::{Path, PathBuf};

fn unit(name: &str) -> PyResult<Unit> {
    Unit::named(name).ok_or_else(|| wrong(format!("unit is '{name}': the units are uV, mV and V")))
}

/// The recordings of a file, a folder or a dataset: a dictionary each. `row` chooses one.
#[pyfunction]
#[pyo3(signature = (path, unit_name, rate, row))]
pub fn read<'py>(
    py: Python<'py>,
    path: PathBuf,
    unit_name: Option<&str>,
    rate: Option<f64>,
    row: Option<usize>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let given = Given { unit: unit_name.map(unit).transpose()?, rate, ..Given::default() };
    let found = py
        .detach(|| {
            let source = Source::open(&path, given)?;
            let rows = match row {
                Some(row) if row >= source.len() => {
                    return Err(Failed::Usage(format!("row {row}: {} holds {} ECGs, numbered from 0", path.display(), source.len())));
                }
                Some(row) => row..row + 1,
                None => 0..source.len(),
            };
            rows.map(|at| Ok((source.id(at), source.read(at)?))).collect::<cardiograd::Result<Vec<_>>>()
        })
        .map_err(raised)?;
    found.into_iter().map(|(id, recording)| dictionary(py, id, recording)).collect()
}

fn dictionary<'py>(py: Python<'py>, id: String, recording: Recording) -> PyResult<Bound<'py, PyDict>> {
    let Recording { leads, rate, labels, median, notes, .. } = recording;
    let names: Vec<&str> = leads.iter().map(|lead| lead.name.as_str()).collect();
    let length = leads.first().map_or(0, |lead| lead.samples.len());
    if let Some(lead) = leads.iter().find(|lead| lead.samples.len() != length) {
        return Err(crate::failure::Error::new_err(format!(
            "{id}: lead {} has {} samples, others {length}",
            lead.name,
            lead.samples.len()
        )));
    }
    let values: Vec<f64> = leads.iter().flat_map(|lead| lead.samples.iter().copied()).collect();
    let samples = Array2::from_shape_vec((names.len(), length), values).map_err(|error| wrong(error.to_string()))?;
    let found = PyDict::new(py);
    found.set_item("id", id)?;
    found.set_item("leads", names)?;
    found.set_item("samples", samples.into_pyarray(py))?;
    found.set_item("rate", rate)?;
    found.set_item("notes", notes)?;
    found.set_item("labels", labels.as_ref().map(json).transpose()?)?;
    found.set_item("median", median.map(|median| median.into_pyarray(py)))?;
    Ok(found)
}

fn json(measurements: &Measurements) -> PyResult<String> {
    serde_json::to_string(measurements).map_err(|error| wrong(error.to_string()))
}

/// Samples (leads, T) as a recording. Without names 8 or 12 leads stand in the usual order.
fn recording(id: &str, x: &Numbers<'_>, leads: Option<&[String]>, rate: f64, unit_name: &str) -> PyResult<Recording> {
    let samples = x.two("a recording")?;
    // What is no lead of the twelve is passed over, as in a file.
    let names: Vec<String> = match leads {
        Some(names) => names.iter().map(|name| lead_name(name).map_or_else(|| name.clone(), str::to_owned)).collect(),
        None if samples.nrows() == 8 => INDEPENDENT.map(str::to_owned).to_vec(),
        None if samples.nrows() == 12 => LEADS.map(str::to_owned).to_vec(),
        None => return Err(wrong(format!("a recording: expected shape (8 or 12, T), found {:?}", samples.dim()))),
    };
    if names.len() != samples.nrows() {
        return Err(wrong(format!("{} leads are named, the samples have {} rows", names.len(), samples.nrows())));
    }
    let factor = unit(unit_name)?.microvolts();
    let lead = |(name, row): (&String, ndarray::ArrayView1<'_, f64>)| Lead::new(name.clone(), row.iter().map(|v| v * factor).collect());
    let leads = names.iter().zip(samples.rows()).map(lead).collect();
    Ok(Recording { id: id.to_owned(), leads, rate, ..Recording::default() })
}

/// A recording that cannot be an ECG is a wrong value here, not a wrong file.
fn said(error: Failed) -> PyErr {
    match error {
        Failed::Format { path, problem } => wrong(format!("{}: {problem}", path.display())),
        other => raised(other),
    }
}

/// All 12 leads at 500 Hz, (12, T) µV, and what was done to get there.
#[pyfunction]
pub fn twelve<'py>(
    py: Python<'py>,
    id: &str,
    x: Numbers<'py>,
    leads: Option<Vec<String>>,
    rate: f64,
    unit_name: &str,
) -> PyResult<(Bound<'py, PyAny>, Vec<String>)> {
    let recording = recording(id, &x, leads.as_deref(), rate, unit_name)?;
    let (rhythm, notes) = py.detach(|| recording.rhythm(Path::new(id))).map_err(said)?;
    Ok((single(py, rhythm.twelve().into_dyn()).into_any(), notes))
}

/// Measurements as JSON, and the median beat (12, 600), of each recording.
#[pyfunction]
#[pyo3(signature = (ids, xs, leads, rate, unit_name, thresholds, progress))]
#[allow(clippy::too_many_arguments)]
pub fn measure<'py>(
    py: Python<'py>,
    ids: Vec<String>,
    xs: Vec<Numbers<'py>>,
    leads: Option<Vec<String>>,
    rate: f64,
    unit_name: &str,
    thresholds: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
    let thresholds: Thresholds = thresholds.parse().map_err(raised)?;
    let all = ids.iter().zip(&xs).map(|(id, x)| recording(id, x, leads.as_deref(), rate, unit_name)).collect::<PyResult<Vec<_>>>()?;
    let rhythms =
        all.iter().map(|one| one.rhythm(Path::new(&one.id)).map(|(rhythm, _)| rhythm).map_err(said)).collect::<PyResult<Vec<_>>>()?;
    let total = rhythms.len() as u64;
    let found = run(py, progress.as_ref(), |report| {
        let one = |(done, rhythm): (usize, Rhythm)| {
            report(Step { label: "measuring", done: done as u64, total, unit: "ECGs", note: "" });
            Ok(measured(&Rhythm::new(whole_microvolts(rhythm.into_samples()).0)?, &thresholds))
        };
        rhythms.into_iter().enumerate().map(one).collect::<cardiograd::Result<Vec<_>>>()
    })?;
    found.into_iter().map(|one| Ok((json(&rounded(&one.measurements))?, single(py, one.median.into_dyn()).into_any()))).collect()
}

/// Simulated ECGs: rhythm (8, T) µV, beat (12, 600) µV, exact measurements as JSON, and the kind.
#[pyfunction]
#[pyo3(signature = (first, count, seed, noise, seconds, kinds, progress))]
#[allow(clippy::too_many_arguments, clippy::type_complexity)]
pub fn simulate<'py>(
    py: Python<'py>,
    first: u64,
    count: usize,
    seed: u64,
    noise: f64,
    seconds: f64,
    kinds: Vec<String>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>, String, Option<&'static str>)>> {
    if !(noise >= 0.0 && noise.is_finite() && (5.0..=3600.0).contains(&seconds)) {
        return Err(wrong(format!("noise {noise}, {seconds} s: noise from 0 and 5 to 3600 s can be simulated")));
    }
    let simulator = simulator_of(&kinds, seed, noise, seconds)?;
    let found = run(py, progress.as_ref(), |report| {
        let one = |at: usize| {
            report(Step { label: "simulating", done: at as u64, total: count as u64, unit: "ECGs", note: "" });
            simulator.simulate(first + at as u64)
        };
        Ok((0..count).map(one).collect::<Vec<_>>())
    })?;
    found
        .into_iter()
        .map(|one| {
            let kind = one.kind.map(Kind::name);
            let truth = json(&one.truth)?;
            Ok((single(py, one.rhythm.into_samples().into_dyn()).into_any(), single(py, one.beat.into_dyn()).into_any(), truth, kind))
        })
        .collect()
}

/// A simulator of the default population, or of kinds by name.
pub fn simulator_of(kinds: &[String], seed: u64, noise: f64, seconds: f64) -> PyResult<Simulator> {
    let settings = simulator::Settings { noise, seconds, ..simulator::Settings::default() };
    if kinds.is_empty() {
        return Ok(Simulator::new(settings, seed));
    }
    let all = Kind::all();
    let named = |name: &String| {
        let known = || all.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" ");
        all.iter()
            .copied()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| wrong(format!("there is no kind '{name}': the kinds are {}", known())))
    };
    let kinds = kinds.iter().map(named).collect::<PyResult<Vec<Kind>>>()?;
    Ok(Simulator::of_kinds(&kinds, settings, seed))
}
