//! One heatmap as an account that can be read: each node with its formula, the rule that acted on it, what relevance went in and out,
//! where conservation was lost, which ReLU units disagree between input and baseline; and the program as a graph.
//!
//! [`trace`] keeps the books, [`page`] writes them as markdown and HTML, [`graph`] draws the program.

pub mod account;
#[doc = include_str!("../../docs/AUDIT.md")]
#[allow(rustdoc::broken_intra_doc_links)]
pub mod chapter {}
pub mod formula;
pub mod graph;
pub mod page;

use crate::attribution::execute::{Walk, relevance_of};
use crate::attribution::sampler::{Sampler, baseline};
use crate::attribution::{Baseline, Explainer, Method, Recipe, Reduction, Settings, gradcam};
use crate::progress::silent;
use crate::tape::one_hot;
use crate::tape::{Network, NodeId, OpKind, Program, Real, RuleSet, Tape, Tensor, from_vec, slice};
use crate::{Error, Result};
use account::{Ledger, Measure, norm, sum};
use serde::Serialize;

/// A node's line in the account.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The node.
    pub name: String,
    /// Its op with its settings.
    pub op: String,
    /// The op as a formula with this node's numbers.
    pub formula: String,
    /// Its parameters: values, or range and norm.
    pub parameters: Vec<String>,
    /// The signals that it reads.
    pub inputs: Vec<String>,
    /// The shape of its value for one ECG.
    pub shape: Vec<usize>,
    /// ‖value‖.
    pub value_norm: f64,
    /// What passed on the way back; `None` where nothing did.
    pub flow: Option<Passed>,
    /// ReLU units on different sides in input and baseline.
    pub units: Option<Units>,
}

/// What passed a node on the way back.
#[derive(Clone, Debug, Serialize)]
pub struct Passed {
    /// The rule that acted, `derivative` where the op's own did.
    pub rule: String,
    /// ‖·‖ of what arrived.
    pub arrived_norm: f64,
    /// ‖·‖ of all that was handed on.
    pub handed_norm: f64,
    /// Σ relevance that arrived.
    pub arrived: f64,
    /// Σ relevance that was handed to each signal, in the order of `inputs`.
    pub handed: Vec<f64>,
    /// What arrived less what was handed on: lost where it has the sign of the output's sum, made where it has the other.
    pub lost: f64,
    /// Why this op under this rule may lose relevance.
    pub cause: &'static str,
}

/// How the units of a ReLU stand in input and baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Units {
    /// All units.
    pub all: usize,
    /// On for the input, off for the baseline.
    pub only_input: usize,
    /// Off for the input, on for the baseline.
    pub only_baseline: usize,
}

/// The account of the walks of one method over one network.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    /// What was walked, for people.
    pub title: String,
    /// What the sums are sums of.
    pub measure: &'static str,
    /// How many runs were averaged.
    pub runs: usize,
    /// The nodes, from input to output; parameters stand with the nodes that read them.
    pub entries: Vec<Entry>,
    /// Σ relevance at the output.
    pub at_output: f64,
    /// Σ relevance that reached the input.
    pub at_input: f64,
    /// max |account − map| / max |map|, where the map is what the account says reached the input, or that times the input (difference).
    pub distance_to_map: Option<f64>,
}

/// A heatmap with its account.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// The method.
    pub method: Method,
    /// f(input).
    pub prediction: f64,
    /// f(baseline).
    pub at_baseline: f64,
    /// What was done with what reached the input.
    pub reduction: String,
    /// One account, two for a product of two methods, none for methods without a walk back.
    pub walks: Vec<Account>,
    /// The map, (C, L).
    #[serde(skip)]
    pub map: Tensor<f64>,
    /// The programs that were walked, as many as walks, or the one that ran.
    #[serde(skip)]
    pub programs: Vec<Program>,
    /// Values and what arrived, by walk and node.
    #[serde(skip)]
    pub arrays: Vec<Vec<Arrays>>,
}

/// A node's arrays for files.
#[derive(Clone, Debug)]
pub struct Arrays {
    /// The node.
    pub name: String,
    /// Its value on the input.
    pub value: Tensor<f64>,
    /// What arrived at it (the mean over runs); `None` where nothing did.
    pub gradient: Option<Tensor<f64>>,
}

/// What is traced: one ECG.
struct Subject<'a, T: Real> {
    settings: &'a Settings,
    x: Tensor<T>,
    base: Vec<T>,
    map: &'a Tensor<T>,
}

/// Explains the ECG `x` (1, C, L), number `ecg` in its file, by `method`, and keeps the account: of the walks that were made, none is made up here.
///
/// # Errors
/// As [`Explainer::explain`].
pub fn trace<T: Real>(network: &Network<T>, settings: &Settings, x: &Tensor<T>, ecg: u64, method: Method) -> Result<Trace> {
    let &[1, channels, _] = x.shape() else { return Err(Error::shape("the traced ECG", "(1, C, L)", x.shape())) };
    let explainer = Explainer::new(network, settings)?.watched();
    let found = explainer.explain(x, &[ecg], &[method], &silent)?;
    let map = &found.maps[0].1;
    let base = baseline(&settings.baseline, slice(x), channels);
    let at_base = network.run(&[from_vec(x.shape(), base.clone())])?;
    let subject = Subject { settings, x: x.clone(), base, map };
    let mut trace = Trace {
        method,
        prediction: found.prediction[0].f64(),
        at_baseline: slice(at_base.output())[settings.output].f64(),
        reduction: reduction(network, settings, method, [channels, x.shape()[2]])?,
        walks: Vec::new(),
        map: crate::tape::cast(map),
        programs: Vec::new(),
        arrays: Vec::new(),
    };
    let made = joined(explainer.walks());
    let factors = made.len() > 1;
    for walk in made {
        let on = if matches!(walk.recipe, Recipe::Relevance(_)) { explainer.folded()? } else { network };
        let (mut account, arrays) = account(on, &subject, &walk)?;
        if factors {
            account.distance_to_map = None;
        }
        trace.walks.push(account);
        trace.programs.push(on.program().clone());
        trace.arrays.push(arrays);
    }
    if trace.walks.is_empty() {
        trace.programs.push(network.program().clone());
    }
    Ok(trace)
}

/// Batches of one recipe's points put together.
fn joined<T: Real>(walks: Vec<Walk<T>>) -> Vec<Walk<T>> {
    let mut all: Vec<Walk<T>> = Vec::new();
    for walk in walks {
        match all.iter_mut().find(|other| other.method == walk.method) {
            Some(other) => other.points.extend(walk.points),
            None => all.push(walk),
        }
    }
    all
}

/// What is done with what reaches the input, in words.
fn reduction<T: Real>(network: &Network<T>, settings: &Settings, method: Method, example: [usize; 2]) -> Result<String> {
    Ok(match method.row().recipe::<T>(network.program(), settings) {
        Recipe::Gradients { reduction, .. } => match reduction {
            Reduction::Mean => "The map is what reached the input.".into(),
            Reduction::MeanAbsolute => {
                "The map is the mean of the absolute values of what reached the input in each run; the account follows the signed mean."
                    .into()
            }
            Reduction::Variance => "The map is the variance over the runs of what reached the input; the account follows the mean.".into(),
            Reduction::TimesInput => "The map is what reached the input, times the input.".into(),
            Reduction::TimesDifference => "The map is what reached the input, times (input − baseline).".into(),
        },
        Recipe::Relevance(_) => "The map is the relevance that reached the input of the network with its batch norms folded.".into(),
        Recipe::Layer => {
            let layer = gradcam::layer(network, settings.layer.as_deref(), example)?;
            let name = &network.program().node(layer).name;
            format!(
                "The map is ReLU(Σ channels of mean gradient × activation) at '{name}', stretched to the input's length, the same for all leads."
            )
        }
        Recipe::Product(a, b) => {
            let (first, second) = (reduction(network, settings, a, example)?, reduction(network, settings, b, example)?);
            format!("The map is the product of two maps. {}: {first} {}: {second}", a.title(), b.title())
        }
        Recipe::Occlusion => format!(
            "The map comes from forward runs with windows of {} samples of a lead, {} apart, replaced by {}: there is no walk back.",
            settings.occlusion_window,
            settings.occlusion_stride,
            match settings.occluder() {
                Baseline::Zero => "zeros",
                Baseline::Mean => "the lead's mean",
                Baseline::Values(_) => "given values",
            }
        ),
        Recipe::Random => "The map is standard normal noise, a control: the network is not looked at.".into(),
    })
}

/// The account of the walks of one recipe.
fn account<T: Real>(network: &Network<T>, subject: &Subject<'_, T>, made: &Walk<T>) -> Result<(Account, Vec<Arrays>)> {
    let plain = RuleSet::plain();
    let (rules, reference, measure) = match &made.recipe {
        Recipe::Gradients { rules, reference, .. } => (rules, *reference, Measure::TimesDifference),
        Recipe::Relevance(rules) => (rules, false, Measure::Relevance),
        _ => (&plain, false, Measure::TimesDifference),
    };
    let column = subject.settings.output;
    let tape = network.run(std::slice::from_ref(&subject.x))?;
    let base = network.run(&[from_vec(subject.x.shape(), subject.base.clone())])?;
    let mut ledger = Ledger::new(network, rules)?;
    for (x, weight) in &made.points {
        let run = network.run(std::slice::from_ref(x))?;
        let seed = match measure {
            Measure::Relevance => relevance_of(run.output(), column)?,
            Measure::TimesDifference => one_hot(run.output(), column)?,
        };
        ledger.walk(&run, seed, reference.then_some(&base), *weight)?;
    }
    let (mut walk, reached, arrays) = books(network, ledger, (&tape, &base), measure, made.points.len())?;
    let title = made.method.title();
    walk.title = match measure {
        Measure::Relevance => format!("{title}: relevance of the output, batch norms folded"),
        Measure::TimesDifference => format!("{title}: gradients of the output"),
    };
    walk.distance_to_map =
        reached.and_then(|reached| as_map(subject, &made.recipe, slice(&reached))).map(|map| distance(&map, slice(subject.map)));
    Ok((walk, arrays))
}

/// The map that what reached the input says; `None` where it cannot say it, each run being reduced by itself.
fn as_map<T: Real>(subject: &Subject<'_, T>, recipe: &Recipe<T>, reached: &[T]) -> Option<Vec<T>> {
    let (x, b) = (slice(&subject.x), &subject.base);
    if subject.settings.absolute == Some(true) {
        return None;
    }
    let factor = |at: usize| match recipe {
        Recipe::Relevance(_) | Recipe::Gradients { reduction: Reduction::Mean, .. } => Some(T::ONE),
        Recipe::Gradients { reduction: Reduction::TimesInput, sampler: Sampler::Once, .. } => Some(x[at]),
        // Samplers with noise multiply each run by its own noised difference.
        Recipe::Gradients { reduction: Reduction::TimesDifference, sampler: Sampler::Once | Sampler::Path, .. } => Some(x[at] - b[at]),
        _ => None,
    };
    reached.iter().enumerate().map(|(at, g)| Some(factor(at)? * *g)).collect()
}

/// Closes a ledger: one entry per node that is no parameter.
fn books<T: Real>(
    network: &Network<T>,
    ledger: Ledger<'_, T>,
    (tape, base): (&Tape<T>, &Tape<T>),
    measure: Measure,
    runs: usize,
) -> Result<(Account, Option<Tensor<T>>, Vec<Arrays>)> {
    let program = network.program();
    let input = program.inputs()[0];
    let shapes = program.shapes(&[tape.value(input).shape().to_vec()])?;
    let (flows, reached) = ledger.close();
    let (mut entries, mut arrays) = (Vec::new(), Vec::new());
    for id in program.ids().filter(|id| program.node(*id).op.kind() != OpKind::Parameter) {
        let node = program.node(id);
        let signals = &node.inputs[..node.op.signals(node.inputs.len())];
        let flow = flows.get(&id).map(|flow| {
            let arrived = sum(measure, &flow.arrived, tape.value(id), base.value(id));
            let part = |(part, id): (&Option<Tensor<T>>, &NodeId)| match part {
                Some(part) => sum(measure, part, tape.value(*id), base.value(*id)),
                None => 0.0,
            };
            let handed: Vec<f64> = flow.handed.iter().zip(signals).map(part).collect();
            Passed {
                rule: flow.rule.clone(),
                arrived_norm: norm(&flow.arrived),
                handed_norm: flow.handed.iter().flatten().map(|part| norm(part).powi(2)).sum::<f64>().sqrt(),
                arrived,
                lost: arrived - handed.iter().sum::<f64>(),
                handed,
                cause: formula::cause(node, &flow.rule, measure),
            }
        });
        let gradient = if id == input { reached.as_ref() } else { flows.get(&id).map(|flow| &flow.arrived) };
        arrays.push(Arrays {
            name: node.name.clone(),
            value: crate::tape::cast(tape.value(id)),
            gradient: gradient.map(crate::tape::cast),
        });
        entries.push(Entry {
            name: node.name.clone(),
            op: node.op.to_string(),
            formula: formula::formula(program, id, &shapes),
            parameters: formula::parameters(network, id),
            inputs: signals.iter().map(|id| program.node(*id).name.clone()).collect(),
            shape: shapes[id.0][1..].to_vec(),
            value_norm: norm(tape.value(id)),
            flow,
            units: (node.op.kind() == OpKind::Relu).then(|| units(tape.value(node.inputs[0]), base.value(node.inputs[0]))),
        });
    }
    let at_input = reached.as_ref().map_or(0.0, |g| sum(measure, g, tape.value(input), base.value(input)));
    let at_output = flows
        .get(&program.output())
        .map_or(at_input, |flow| sum(measure, &flow.arrived, tape.value(program.output()), base.value(program.output())));
    let measure = match measure {
        Measure::Relevance => "Σ relevance",
        Measure::TimesDifference => "Σ multiplier × (value − value on the baseline)",
    };
    Ok((Account { title: String::new(), measure, runs, entries, at_output, at_input, distance_to_map: None }, reached, arrays))
}

fn units<T: Real>(x: &Tensor<T>, base: &Tensor<T>) -> Units {
    let mut units = Units::default();
    for (x, b) in slice(x).iter().zip(slice(base)) {
        units.all += 1;
        units.only_input += usize::from(*x > T::ZERO && *b <= T::ZERO);
        units.only_baseline += usize::from(*x <= T::ZERO && *b > T::ZERO);
    }
    units
}

/// max |a − b| / max |b|; the absolute distance where b is all 0.
fn distance<T: Real>(a: &[T], b: &[T]) -> f64 {
    let most = b.iter().fold(0.0f64, |most, v| most.max(v.f64().abs()));
    let apart = a.iter().zip(b).fold(0.0f64, |most, (a, b)| most.max((a.f64() - b.f64()).abs()));
    if most == 0.0 { apart } else { apart / most }
}
