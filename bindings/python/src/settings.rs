//! The settings of the methods, as Python gives them by name.

use crate::arrays::Numbers;
use crate::failure::{raised, wrong};
use cardiograd::attribution::{Baseline, Interpolation, MaxPoolRule, Quadrature, Settings};
use cardiograd::dataset::Target;
use cardiograd::nn::Model;
use ndarray::{Array2, Axis};
use numpy::PyUntypedArrayMethods;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What baseline methods compare with: one baseline, or several whose maps are averaged.
pub enum References {
    One(Baseline),
    Each(Vec<Array2<f64>>),
}

/// Settings, what to compare with, and how the ECGs that are explained are looked upon.
pub struct Wanted {
    pub settings: Settings,
    pub references: References,
}

/// A setting of a name, taken out of the dictionary.
fn take<'py, T: FromPyObjectOwned<'py>>(given: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<T>> {
    let Some(value) = given.get_item(name)? else { return Ok(None) };
    given.del_item(name)?;
    if value.is_none() {
        return Ok(None);
    }
    let kind = value.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    value.extract().map(Some).map_err(|_| wrong(format!("{name}: a value of another type than {kind} is expected")))
}

/// One of two words.
fn word<T: Copy>(given: &Bound<'_, PyDict>, name: &str, words: [(&str, T); 2]) -> PyResult<T> {
    let Some(text) = take::<String>(given, name)? else { return Ok(words[0].1) };
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => Err(wrong(format!("{name} is '{text}': {} or {} is expected", words[0].0, words[1].0))),
    }
}

/// A baseline: `zero`, `mean`, or values (C, L) or (N, C, L).
fn references(given: &Bound<'_, PyDict>, name: &str) -> PyResult<Option<References>> {
    let Some(value) = given.get_item(name)?.filter(|value| !value.is_none()) else {
        take::<Bound<'_, PyAny>>(given, name)?;
        return Ok(None);
    };
    if let Ok(text) = value.extract::<String>() {
        given.del_item(name)?;
        return match text.as_str() {
            "zero" => Ok(Some(References::One(Baseline::Zero))),
            "mean" => Ok(Some(References::One(Baseline::Mean))),
            _ => Err(wrong(format!("{name} is '{text}': zero, mean, or an array (C, L) or (N, C, L) is expected"))),
        };
    }
    let Some(values) = take::<Numbers<'_>>(given, name)? else { return Ok(None) };
    let axes = match &values {
        Numbers::Single(array) => array.ndim(),
        Numbers::Double(array) => array.ndim(),
    };
    if axes == 2 {
        return Ok(Some(References::One(Baseline::Values(values.two(name)?))));
    }
    let all = values.three(name)?;
    match all.len_of(Axis(0)) {
        0 => Err(wrong(format!("{name}: there is no ECG in it"))),
        1 => Ok(Some(References::One(Baseline::Values(all.index_axis_move(Axis(0), 0))))),
        _ => Ok(Some(References::Each(all.outer_iter().map(|one| one.to_owned()).collect()))),
    }
}

/// The settings of a dictionary for a model; what is not said is the study's.
pub fn wanted(given: &Bound<'_, PyDict>, model: &Model) -> PyResult<Wanted> {
    let study = Settings::default();
    let occlusion_value = match references(given, "occlusion_value")? {
        None => None,
        Some(References::One(value)) => Some(value),
        Some(References::Each(_)) => return Err(wrong("occlusion_value: one ECG is expected, not several")),
    };
    let (baseline, each) = match references(given, "baseline")? {
        None => (Baseline::Zero, None),
        Some(References::One(baseline)) => (baseline, None),
        Some(References::Each(all)) => (Baseline::Zero, Some(all)),
    };
    let settings = Settings {
        seed: take(given, "seed")?.unwrap_or(study.seed),
        target: model.target.map_or(0, Target::index),
        baseline: baseline.clone(),
        multiply_by_inputs: take(given, "multiply_by_inputs")?.unwrap_or(study.multiply_by_inputs),
        absolute: take(given, "absolute")?,
        samples: take(given, "samples")?,
        steps: take(given, "steps")?.unwrap_or(study.steps),
        quadrature: word(given, "quadrature", [("exact", Quadrature::Exact), ("captum", Quadrature::Captum)])?,
        noise: take(given, "noise")?.unwrap_or(study.noise),
        draws: take::<Numbers<'_>>(given, "draws")?.map(|values| values.three("draws")).transpose()?,
        coefficients: take::<Numbers<'_>>(given, "coefficients")?.map(|values| values.real::<f64>().into_iter().collect()),
        layer: take(given, "layer")?,
        interpolation: word(given, "interpolation", [("linear", Interpolation::Linear), ("nearest", Interpolation::Nearest)])?,
        lrp_epsilon: take(given, "lrp_epsilon")?.unwrap_or(study.lrp_epsilon),
        lrp_gamma: take(given, "lrp_gamma")?.unwrap_or(study.lrp_gamma),
        occlusion_window: take(given, "occlusion_window")?.unwrap_or(study.occlusion_window),
        occlusion_stride: take(given, "occlusion_stride")?.unwrap_or(study.occlusion_stride),
        occlusion_value,
        max_pool: word(given, "max_pool", [("captum", MaxPoolRule::Captum), ("exact", MaxPoolRule::Exact)])?,
        memory: take::<usize>(given, "memory")?.map_or(study.memory, |megabytes| megabytes.saturating_mul(1 << 20)),
        ..study
    };
    if let Some(unknown) = given.keys().iter().next() {
        return Err(wrong(format!("there is no setting '{unknown}'")));
    }
    Ok(Wanted { settings, references: each.map_or(References::One(baseline), References::Each) })
}

/// The outputs of a model that are asked for: one by number, `all`, or the only one.
pub fn columns(model: &Model, example: &[usize], asked: Option<&Bound<'_, PyAny>>) -> PyResult<(Vec<usize>, bool)> {
    let count = model.network.program().columns(example).map_err(raised)?;
    let listed = (0..count.min(8)).map(|at| at.to_string()).collect::<Vec<_>>().join(", ");
    let outputs =
        if count == 1 { "1 output (0)".to_owned() } else { format!("{count} outputs ({listed}{})", if count > 8 { ", …" } else { "" }) };
    let Some(asked) = asked.filter(|asked| !asked.is_none()) else {
        return if count == 1 {
            Ok((vec![0], false))
        } else {
            Err(wrong(format!("the network has {outputs}: which is asked for: column=NUMBER or \"all\"")))
        };
    };
    if let Ok(text) = asked.extract::<String>() {
        if text == "all" {
            return Ok(((0..count).collect(), true));
        }
        let named = model.outputs().map_err(raised)?.iter().position(|target| target.name() == text).filter(|column| *column < count);
        return named
            .map(|column| (vec![column], false))
            .ok_or_else(|| wrong(format!("column '{text}': the network has {outputs}, and none of this name")));
    }
    match asked.extract::<usize>() {
        Ok(column) if column < count => Ok((vec![column], false)),
        _ => Err(wrong(format!("column {asked}: the network has {outputs}"))),
    }
}
