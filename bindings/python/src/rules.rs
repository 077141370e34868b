//! Methods of one's own: rules that are functions of Python, composed with any sampler and reduction.

use crate::arrays::{back, given};
use crate::failure::{raised, wrong};
use cardiograd::attribution::{Design, Family, Method, Recipe, Reduction, Row, Sampler, Settings, Sum, Unit};
use cardiograd::tape::{Match, OpClass, OpKind, Program, Real, Rule, RuleSet, Site, Tensor};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::sync::Arc;

/// A function of Python as a rule.
struct Function {
    name: String,
    function: Py<PyAny>,
    /// Whether it asks for what would flow without it.
    wants_plain: bool,
}

impl<T: Real> Rule<T> for Function {
    fn propagate(&self, site: &Site<'_, T>, grad_out: &Tensor<T>) -> cardiograd::Result<Vec<Option<Tensor<T>>>> {
        let plain = self.wants_plain.then(|| site.vjp(grad_out)).transpose()?;
        Python::attach(|py| {
            let asked = || -> PyResult<Bound<'_, PyAny>> {
                let list = |tensors: &[&Tensor<T>]| PyList::new(py, tensors.iter().map(|tensor| given(py, (*tensor).clone())));
                let reference = match &site.reference {
                    None => py.None().into_bound(py),
                    Some((inputs, output)) => PyTuple::new(py, [list(inputs)?.into_any(), given(py, (*output).clone())])?.into_any(),
                };
                let arguments = (given(py, grad_out.clone()), list(&site.inputs)?, given(py, site.output.clone()), reference);
                let named = PyDict::new(py);
                if let Some(plain) = plain {
                    let plain = plain.into_iter().map(|part| part.map_or_else(|| py.None().into_bound(py), |part| given(py, part)));
                    named.set_item("plain", PyList::new(py, plain)?)?;
                }
                self.function.bind(py).call(arguments, Some(&named))
            };
            let found = asked().map_err(|error| site.error(format!("the rule '{}' failed: {}", self.name, told(py, &error))))?;
            self.taken(site, &found)
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// An exception in a line: its kind, its text, and the line of Python that raised it.
fn told(py: Python<'_>, error: &PyErr) -> String {
    let mut place = String::new();
    let mut at = error.traceback(py).map(|traceback| traceback.into_any());
    while let Some(traceback) = at {
        let line = traceback.getattr("tb_lineno").and_then(|line| line.extract::<usize>());
        let file = traceback.getattr("tb_frame").and_then(|frame| frame.getattr("f_code")?.getattr("co_filename")?.extract::<String>());
        if let (Ok(line), Ok(file)) = (line, file) {
            place = format!(" ({file}, line {line})");
        }
        at = traceback.getattr("tb_next").ok().filter(|next| !next.is_none());
    }
    format!("{error}{place}")
}

impl Function {
    /// What the function gave, one gradient an input: an array where one input needs one, else a list with None where none is needed.
    fn taken<T: Real>(&self, site: &Site<'_, T>, found: &Bound<'_, PyAny>) -> cardiograd::Result<Vec<Option<Tensor<T>>>> {
        let fault = |what: String| site.error(format!("the rule '{}' {what}", self.name));
        let kind = || found.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        let parts: Vec<Option<Bound<'_, PyAny>>> = if let Ok(list) = found.cast::<PyList>() {
            list.iter().map(|part| Some(part).filter(|part| !part.is_none())).collect()
        } else if let Ok(tuple) = found.cast::<PyTuple>() {
            tuple.iter().map(|part| Some(part).filter(|part| !part.is_none())).collect()
        } else {
            let first = site.needs.iter().position(|needed| *needed).unwrap_or(0);
            (0..site.inputs.len()).map(|at| (at == first).then(|| found.clone())).collect()
        };
        if parts.len() != site.inputs.len() {
            return Err(fault(format!("gave {} gradients, the node has {} inputs", parts.len(), site.inputs.len())));
        }
        let one = |((part, needed), input): ((Option<Bound<'_, PyAny>>, &bool), &&Tensor<T>)| match part {
            _ if !needed => Ok(None),
            None => Err(fault("gave None for an input that needs a gradient".into())),
            Some(part) => {
                let array = back::<T>(&part).ok_or_else(|| fault(format!("gave a {}, a float32 or float64 array is expected", kind())))?;
                if array.shape() != input.shape() {
                    return Err(fault(format!("gave a gradient of shape {:?} for an input of shape {:?}", array.shape(), input.shape())));
                }
                Ok(Some(array.as_standard_layout().into_owned().into_shared()))
            }
        };
        parts.into_iter().zip(&site.needs).zip(&site.inputs).map(one).collect()
    }
}

/// A method made of such rules.
struct Composed {
    rules: Vec<(Match, Arc<Function>)>,
    sampler: Sampler,
    reduction: Reduction,
    reference: bool,
}

impl Design for Composed {
    fn recipe<T: Real>(&self, _: &Program, _: &Settings) -> Recipe<T> {
        let with = |rules: RuleSet<T>, (on, rule): &(Match, Arc<Function>)| rules.with(on.clone(), rule.clone());
        let rules = self.rules.iter().fold(RuleSet::plain(), with);
        Recipe::Gradients { rules, sampler: self.sampler, reduction: self.reduction, reference: self.reference }
    }
}

const CLASSES: [OpClass; 11] = [
    OpClass::Source,
    OpClass::Convolution,
    OpClass::Dense,
    OpClass::Normalisation,
    OpClass::Mean,
    OpClass::Sum,
    OpClass::Movement,
    OpClass::Activation,
    OpClass::Selection,
    OpClass::Product,
    OpClass::Other,
];

/// What a rule acts on, by name: a kind of op, `class:NAME`, or `node:NAME`.
fn matching(text: &str) -> PyResult<Match> {
    if let Some(name) = text.strip_prefix("node:") {
        return Ok(Match::Name(name.to_owned()));
    }
    if let Some(name) = text.strip_prefix("class:") {
        let found = CLASSES.into_iter().find(|class| class.name() == name || class.name().replace(' ', "_") == name);
        return found.map(Match::Class).ok_or_else(|| {
            wrong(format!(
                "there is no class of ops '{name}': the classes are {}",
                CLASSES.map(|class| class.name().replace(' ', "_")).join(", ")
            ))
        });
    }
    let found = OpKind::ALL.iter().copied().find(|kind| kind.name() == text);
    let kinds = || OpKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
    found.map(Match::Kind).ok_or_else(|| wrong(format!("there is no op '{text}': the ops are {}; or class:NAME, node:NAME", kinds())))
}

fn named<T: Copy>(what: &str, text: &str, all: &[(&str, T)]) -> PyResult<T> {
    all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        wrong(format!("{what} is '{text}': one of {} is expected", all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")))
    })
}

/// Registers a method: rules (what it acts on, its function, whether that asks for the plain gradients), sampler, reduction.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn register(
    name: String,
    title: String,
    rules: Vec<(String, Py<PyAny>, bool)>,
    sampler: &str,
    reduction: &str,
    reference: bool,
    family: &str,
    unit: &str,
    sum: &str,
) -> PyResult<()> {
    let all = rules
        .into_iter()
        .map(|(on, function, wants_plain)| Ok((matching(&on)?, Arc::new(Function { name: name.clone(), function, wants_plain }))));
    let rules = all.collect::<PyResult<Vec<_>>>()?;
    let sampler = named(
        "sampler",
        sampler,
        &[("once", Sampler::Once), ("noise", Sampler::Noise), ("path", Sampler::Path), ("random_path", Sampler::RandomPath)],
    )?;
    let reduction = named(
        "reduction",
        reduction,
        &[
            ("mean", Reduction::Mean),
            ("mean_absolute", Reduction::MeanAbsolute),
            ("variance", Reduction::Variance),
            ("times_input", Reduction::TimesInput),
            ("times_difference", Reduction::TimesDifference),
        ],
    )?;
    let family = named(
        "family",
        family,
        &[
            ("slope", Family::Slope),
            ("spread", Family::Spread),
            ("contribution", Family::Contribution),
            ("relevance", Family::Relevance),
            ("pseudo_gradient", Family::PseudoGradient),
        ],
    )?;
    let unit = named(
        "unit",
        unit,
        &[
            ("per_microvolt", Unit::PerMicrovolt),
            ("per_microvolt_squared", Unit::PerMicrovoltSquared),
            ("prediction", Unit::Prediction),
            ("arbitrary", Unit::Arbitrary),
        ],
    )?;
    let sum = named("sum", sum, &[("free", Sum::Free), ("difference", Sum::Difference)])?;
    let heeds: &'static [&'static str] = if matches!(sampler, Sampler::Noise | Sampler::RandomPath) { &["samples"] } else { &[] };
    // A method stays for as long as the program runs, and with it its name and its rules.
    let (name, title): (&'static str, &'static str) = (name.leak(), title.leak());
    let design: &'static Composed = Box::leak(Box::new(Composed { rules, sampler, reduction, reference }));
    Method::register(Row { name, title, short: title, paper: "one's own", family, unit, sum, heeds, design }).map(|_| ()).map_err(raised)
}
