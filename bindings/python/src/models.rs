//! Models: loaded, asked for predictions, explained, traced, perturbed.

use crate::arrays::{Numbers, given, single};
use crate::failure::{raised, spelt, wrong};
use crate::settings::{References, Wanted, columns, wanted};
use crate::work::run;
use cardiograd::Error as Failed;
use cardiograd::attribution::catalogue::{LeftOut, able};
use cardiograd::attribution::{Explanations, Method, Settings};
use cardiograd::evaluation::perturbation::{PerturbationSettings, perturb};
use cardiograd::files::state_dict;
use cardiograd::inputs::{Insisting, check, explain};
use cardiograd::nn::{self, from_state_dict, load_model, onnx, predict_outputs};
use cardiograd::progress::Step;
use cardiograd::tape::{Network, Real, Tensor};
use ndarray::{ArrayD, Axis, Ix3, Slice};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A model of the library.
#[pyclass(frozen, module = "cardiograd._native")]
pub struct Model {
    pub model: Arc<nn::Model>,
    /// Its network in f64, made when first asked for.
    double: OnceLock<Network<f64>>,
}

impl Model {
    pub fn of(model: nn::Model) -> Self {
        Model { model: Arc::new(model), double: OnceLock::new() }
    }
}

/// The names of the methods that can be asked for: those of the study first.
#[pyfunction]
pub fn methods() -> Vec<(&'static str, &'static str)> {
    Method::ALL.iter().map(|method| (method.name(), method.title())).collect()
}

/// ECGs (N, C, L) that a model can take; one (C, L) becomes a batch of one.
fn ecgs<T: Real>(model: &nn::Model, x: &Numbers<'_>, insisting: Insisting) -> PyResult<Tensor<T>> {
    let mut x: ArrayD<T> = x.real();
    if x.ndim() == 2 {
        x = x.insert_axis(Axis(0));
    }
    let shape = x.shape().to_vec();
    let x = x.into_dimensionality::<Ix3>().map_err(|_| wrong(format!("the ECGs: expected shape (N, C, L) or (C, L), found {shape:?}")))?;
    // A program that takes no such shape is a shape asked for wrongly, as seen from here.
    check(model, x.view(), insisting).map_err(|error| wrong(spelt(&error)))?;
    Ok(x.into_dyn().into_shared())
}

#[pymethods]
impl Model {
    /// Reads a file.
    #[staticmethod]
    #[pyo3(signature = (path, arch=None))]
    fn load(py: Python<'_>, path: PathBuf, arch: Option<String>) -> PyResult<Self> {
        py.detach(|| load_model(&path, arch.as_deref())).map(Model::of).map_err(raised)
    }

    /// Reads the bytes of a file of the project's own, of an ONNX file, or, where `arch` is given, of a state dict.
    #[staticmethod]
    #[pyo3(signature = (kind, bytes, arch=None))]
    fn from_bytes(py: Python<'_>, kind: &str, bytes: &[u8], arch: Option<String>) -> PyResult<Self> {
        const NAME: &str = "bytes";
        let read = || match (kind, arch) {
            ("model", _) => nn::Model::from_bytes(bytes, NAME),
            ("onnx", _) => onnx::from_bytes(bytes, NAME).map(nn::Model::new),
            (_, arch) => {
                let (_, dict) = state_dict::read_bytes(Path::new("state dict"), bytes)?;
                from_state_dict(&dict, arch.as_deref().unwrap_or_default(), "state dict")
            }
        };
        py.detach(read).map(Model::of).map_err(raised)
    }

    /// The bytes of the project's own model file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.model.to_bytes()).map_err(raised)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes the project's own model file.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.model.save(path)).map_err(raised)
    }

    #[getter]
    fn target(&self) -> Option<&'static str> {
        self.model.target.map(|target| target.name())
    }

    #[getter]
    fn unit(&self) -> &'static str {
        self.model.unit()
    }

    #[getter]
    fn input(&self) -> Option<&'static str> {
        self.model.input.map(|input| input.name())
    }

    /// What is known of how it was trained, as JSON.
    #[getter]
    fn provenance(&self) -> PyResult<Option<String>> {
        self.model.provenance.as_ref().map(serde_json::to_string).transpose().map_err(|error| wrong(error.to_string()))
    }

    /// (name, op) of every node, parameters left out.
    #[getter]
    fn nodes(&self) -> Vec<(String, String)> {
        let nodes = self.model.network.program().nodes().iter();
        nodes.filter(|node| node.op.kind().name() != "parameter").map(|node| (node.name.clone(), node.op.kind().to_string())).collect()
    }

    #[getter]
    fn parameters(&self) -> usize {
        self.model.network.parameters().values().map(|value| value.len()).sum()
    }

    /// Predictions: (N), or (N, K) for all outputs.
    #[pyo3(signature = (x, column, any_length, any_amplitude, progress))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        x: Numbers<'py>,
        column: Option<Bound<'py, PyAny>>,
        any_length: bool,
        any_amplitude: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let x: Tensor<f32> = ecgs(&self.model, &x, Insisting { any_length, any_amplitude })?;
        let (columns, all) = columns(&self.model, &x.shape()[1..], column.as_ref())?;
        let (count, model) = (x.shape()[0], &self.model);
        let found = run(py, progress.as_ref(), |report| {
            let inputs = |batch: &[usize]| match batch {
                [first, ..] => {
                    let some = x.slice_axis(Axis(0), Slice::from(*first..first + batch.len()));
                    some.into_dimensionality::<Ix3>().map(|some| some.to_owned()).map_err(|error| Failed::Data(error.to_string()))
                }
                [] => Err(Failed::Data("no ECG in the batch".into())),
            };
            let ecgs: Vec<usize> = (0..count).collect();
            predict_outputs(&model.network, &columns, &inputs, &ecgs, "predicting", report)
        })?;
        let values: Vec<f32> = found.into_iter().map(|value| value as f32).collect();
        let shape = if all { vec![count, columns.len()] } else { vec![count] };
        let array = ArrayD::from_shape_vec(shape, values).map_err(|error| wrong(error.to_string()))?;
        Ok(single(py, array).into_any())
    }

    /// Maps, predictions and completeness, in a dictionary.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (x, methods, named, precision, column, ids, any_length, any_amplitude, progress, settings))]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        x: Numbers<'py>,
        methods: Vec<String>,
        named: bool,
        precision: &str,
        column: Option<Bound<'py, PyAny>>,
        ids: Option<Vec<u64>>,
        any_length: bool,
        any_amplitude: bool,
        progress: Option<Py<PyAny>>,
        settings: Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let methods = methods.iter().map(|name| name.parse()).collect::<cardiograd::Result<Vec<Method>>>().map_err(raised)?;
        let asked = Asked { methods, named, column, ids, insisting: Insisting { any_length, any_amplitude }, progress };
        let wanted = wanted(&settings, &self.model)?;
        match precision {
            "f32" => self.explain_in(py, &self.model.network, &x, asked, wanted),
            "f64" => self.explain_in(py, self.double.get_or_init(|| self.model.network.cast()), &x, asked, wanted),
            other => Err(wrong(format!("precision is '{other}': f32 or f64 is expected"))),
        }
    }

    /// The account of one heatmap: (JSON, map (C, L), picture of the program).
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (x, method, id, precision, column, any_length, any_amplitude, settings))]
    fn trace<'py>(
        &self,
        py: Python<'py>,
        x: Numbers<'py>,
        method: &str,
        id: u64,
        precision: &str,
        column: Option<Bound<'py, PyAny>>,
        any_length: bool,
        any_amplitude: bool,
        settings: Bound<'py, PyDict>,
    ) -> PyResult<(String, Bound<'py, PyAny>, String)> {
        let method: Method = method.parse().map_err(raised)?;
        let insisting = Insisting { any_length, any_amplitude };
        let x: Tensor<f64> = ecgs(&self.model, &x, insisting)?;
        if x.shape()[0] != 1 {
            return Err(wrong(format!("one ECG is traced at a time, {} are given", x.shape()[0])));
        }
        let Wanted { settings, references } = wanted(&settings, &self.model)?;
        if matches!(references, References::Each(_)) {
            return Err(wrong("baseline: a heatmap is traced against one baseline"));
        }
        let column = columns(&self.model, &x.shape()[1..], column.as_ref())?;
        let settings = of_column(&settings, column.0[0]);
        able(&[method], true, [self.model.network.program()], &settings).map_err(raised)?;
        let trace = run(py, None, |_| match precision {
            "f32" => cardiograd::trace::trace(&self.model.network, &settings, &cardiograd::tape::cast(&x), id, method),
            "f64" => cardiograd::trace::trace(self.double.get_or_init(|| self.model.network.cast()), &settings, &x, id, method),
            other => Err(Failed::Usage(format!("precision is '{other}': f32 or f64 is expected"))),
        })?;
        let json = serde_json::to_string(&trace).map_err(|error| wrong(error.to_string()))?;
        let graph = cardiograd::trace::graph::svg(&trace.programs[0], trace.walks.first()).finish();
        Ok((json, given(py, trace.map.index_axis_move(Axis(0), 0)), graph))
    }

    /// The curves of maps, (N, iterations + 1) each.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (x, maps, ids, iterations, strength, seed, repeat, any_length, any_amplitude, progress))]
    fn perturb<'py>(
        &self,
        py: Python<'py>,
        x: Numbers<'py>,
        maps: Vec<Numbers<'py>>,
        ids: Option<Vec<u64>>,
        iterations: usize,
        strength: f64,
        seed: u64,
        repeat: u32,
        any_length: bool,
        any_amplitude: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let x: Tensor<f32> = ecgs(&self.model, &x, Insisting { any_length, any_amplitude })?;
        let x = x.into_dimensionality::<Ix3>().map_err(|error| wrong(error.to_string()))?;
        let three = |map: &Numbers<'_>| {
            let map: ArrayD<f32> = map.real();
            let map = if map.ndim() == 2 { map.insert_axis(Axis(0)) } else { map };
            map.into_dimensionality::<Ix3>().map_err(|error| wrong(format!("a heatmap: {error}")))
        };
        let maps = maps.iter().map(three).collect::<PyResult<Vec<_>>>()?;
        let ids = ids.unwrap_or_else(|| (0..x.shape()[0] as u64).collect());
        let settings = PerturbationSettings { iterations, strength, seed, repeat, ..PerturbationSettings::default() };
        let curves = run(py, progress.as_ref(), |report| {
            let views: Vec<_> = maps.iter().map(|map| map.view()).collect();
            perturb(&self.model.network, x.view(), &ids, &views, &settings, report)
        })?;
        Ok(curves.into_iter().map(|curve| single(py, curve.into_dyn()).into_any()).collect())
    }
}

/// What `explain` was asked for.
struct Asked<'py> {
    methods: Vec<Method>,
    named: bool,
    column: Option<Bound<'py, PyAny>>,
    ids: Option<Vec<u64>>,
    insisting: Insisting,
    progress: Option<Py<PyAny>>,
}

/// The settings for explaining one output. Each has random maps of its own, as on the command line.
fn of_column(settings: &Settings, column: usize) -> Settings {
    Settings { output: column, target: settings.target.wrapping_add(column as u32), ..settings.clone() }
}

impl Model {
    fn explain_in<'py, T: Real>(
        &self,
        py: Python<'py>,
        network: &Network<T>,
        x: &Numbers<'py>,
        asked: Asked<'py>,
        wanted: Wanted,
    ) -> PyResult<Bound<'py, PyDict>> {
        let x: Tensor<T> = ecgs(&self.model, x, asked.insisting)?;
        let (columns, all) = columns(&self.model, &x.shape()[1..], asked.column.as_ref())?;
        let ids = asked.ids.unwrap_or_else(|| (0..x.shape()[0] as u64).collect());
        let Wanted { settings, references } = wanted;
        let (methods, left_out): (Vec<Method>, Vec<LeftOut>) =
            able(&asked.methods, asked.named, [network.program()], &settings).map_err(raised)?;
        let sample = match &references {
            References::One(_) => None,
            References::Each(all) => Some(&all[..]),
        };
        let found = run(py, asked.progress.as_ref(), |report| {
            let total = columns.len() as u64;
            let of = |(at, column): (usize, &usize)| {
                let report = |step: Step<'_>| report(Step { done: at as u64 * step.total + step.done, total: total * step.total, ..step });
                explain(network, &of_column(&settings, *column), sample, &x, &ids, &methods, &report)
            };
            columns.iter().enumerate().map(of).collect::<cardiograd::Result<Vec<_>>>()
        })?;
        gathered(py, found, all, left_out)
    }
}

/// Results by output as a dictionary: `maps` {method: (N, C, L) or (N, K, C, L)}, `prediction` (N) or (N, K), `completeness`
/// {method: (sum, difference) arrays}, `left_out` {method: reason}.
fn gathered<'py, T: Real>(py: Python<'py>, found: Vec<Explanations<T>>, all: bool, left_out: Vec<LeftOut>) -> PyResult<Bound<'py, PyDict>> {
    let joined = |parts: Vec<Tensor<T>>| -> PyResult<Tensor<T>> {
        match <[Tensor<T>; 1]>::try_from(parts) {
            Ok([only]) if !all => Ok(only),
            Ok([only]) => Ok(only.insert_axis(Axis(1))),
            Err(parts) => {
                let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
                ndarray::stack(Axis(1), &views).map(|all| all.into_shared()).map_err(|error| wrong(error.to_string()))
            }
        }
    };
    let vector = |values: Vec<T>| ndarray::Array1::from(values).into_dyn().into_shared();
    let (maps, completeness, reasons) = (PyDict::new(py), PyDict::new(py), PyDict::new(py));
    let names: Vec<Method> = found.first().map(|one| one.maps.iter().map(|(method, _)| *method).collect()).unwrap_or_default();
    let promised: Vec<Method> = found.first().map(|one| one.completeness.iter().map(|(method, _)| *method).collect()).unwrap_or_default();
    for method in promised {
        let of =
            |one: &Explanations<T>| one.completeness.iter().find(|(of, _)| *of == method).map(|(_, all)| all.clone()).unwrap_or_default();
        let by_output: Vec<_> = found.iter().map(of).collect();
        let table = |value: fn(&cardiograd::attribution::Completeness) -> f64| {
            let parts: Vec<ndarray::Array1<f64>> = by_output.iter().map(|all| all.iter().map(value).collect()).collect();
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            let table = ndarray::stack(Axis(1), &views).map_err(|error| wrong(error.to_string()))?;
            let table = if all { table.into_dyn() } else { table.index_axis_move(Axis(1), 0).into_dyn() };
            PyResult::Ok(given::<f64>(py, table.into_shared()))
        };
        completeness.set_item(method.name(), (table(|one| one.sum)?, table(|one| one.difference)?, table(|one| one.relative_error())?))?;
    }
    let mut by_method: Vec<Vec<Tensor<T>>> = names.iter().map(|_| Vec::new()).collect();
    let mut predictions = Vec::new();
    for one in found {
        predictions.push(vector(one.prediction));
        by_method.iter_mut().zip(one.maps).for_each(|(parts, (_, map))| parts.push(map));
    }
    for (method, parts) in names.iter().zip(by_method) {
        maps.set_item(method.name(), given(py, joined(parts)?))?;
    }
    for (method, reason) in left_out {
        reasons.set_item(method.name(), reason)?;
    }
    let found = PyDict::new(py);
    found.set_item("maps", maps)?;
    found.set_item("prediction", given(py, joined(predictions)?))?;
    found.set_item("completeness", completeness)?;
    found.set_item("left_out", reasons)?;
    Ok(found)
}
