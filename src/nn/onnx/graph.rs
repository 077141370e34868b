//! From the nodes of an ONNX graph to a program: what is known is computed, what is a signal becomes an op of ours, and whatever cannot be taken is named
//! with its node, all at once.
//!
//! A signal has two shapes: that of our op, (C, L) or (F) of one example, and that which the graph sees, which may have axes of size 1 besides, as in a
//! two-dimensional convolution that is a one-dimensional one in disguise.

use super::attributes::Attributes;
use super::constant::compute;
use super::proto::{GraphProto, NodeProto, ValueInfoProto};
use super::tensor::{Array, array};
use crate::shape::elements;
use crate::tape::limits::{MOST_NODES, MOST_PARAMETERS, MOST_VALUES};
use crate::tape::{Network, Op, Parameters, Program, Real, cast, from_vec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

/// A batch that no size of a graph is taken for.
const BATCH: usize = 7919;

/// What is computed of known values, and what the parameters of all nodes take, comes to no more than so many times the weights of the file, and this
/// many values: a node that makes much of nothing takes few bytes, and many nodes may read one weight.
const TIMES: usize = 8;
const MORE: usize = 1 << 25;

/// A value of the graph.
#[derive(Clone)]
pub(super) enum Value {
    /// Many nodes may read it: it is held once.
    Known(Rc<Array>),
    Variable(Variable),
    /// One whose batch the graph sees at another place than first.
    Turned(Variable, usize),
    /// Several outputs of one node.
    Parts(Vec<Value>),
    /// erf(x / √2) of a signal x, 1 + that, and x times that: parts of a GELU, as is what follows.
    Erf(Variable),
    OnePlusErf(Variable),
    TwiceGelu(Variable),
    /// Half of 1 + erf(x / √2).
    Cdf(Variable),
    /// Whether a signal is above a number: a part of a softplus.
    Above(Variable, f64),
    /// What a node that cannot be taken gives.
    Lost,
}

/// A value that depends on the input.
#[derive(Clone)]
pub(super) struct Variable {
    /// The node that has it.
    pub node: usize,
    /// One example of it, as our ops have it.
    pub ours: Vec<usize>,
    /// As the graph sees it, the batch first.
    pub seen: Vec<usize>,
    /// Zeros to be put around it by the convolution that reads it.
    pub pad: (usize, usize),
}

/// A node of ours to be.
pub(super) struct Draft {
    pub name: String,
    pub op: Op,
    pub inputs: Vec<usize>,
}

/// A graph on the way to a program.
pub(super) struct Import<'a> {
    graph: &'a GraphProto,
    folder: &'a Path,
    values: BTreeMap<&'a str, Value>,
    pub drafts: Vec<Draft>,
    parameters: Parameters<f64>,
    names: BTreeSet<String>,
    /// The number that the next node takes whose name is taken, by that name.
    numbers: BTreeMap<String, usize>,
    /// Values that may still be computed, or become parameters.
    room: usize,
    /// How often each value is read.
    pub readers: BTreeMap<&'a str, usize>,
    faults: Vec<String>,
    pub batch: usize,
}

/// What was taken, or why not.
pub(super) type Taken<T> = std::result::Result<T, String>;

/// What cannot be taken of a graph, one entry a node.
pub(super) type Faults = Vec<String>;

/// The network of a graph whose input has `samples` samples where the file leaves that open.
pub(super) fn network<T: Real>(graph: &GraphProto, folder: &Path, samples: usize) -> std::result::Result<Network<T>, Faults> {
    let mut import = Import::new(graph, folder, samples).map_err(|fault| vec![fault])?;
    for node in &graph.node {
        import.node(node);
        if import.room == 0 || import.drafts.len() > 2 * MOST_NODES {
            return Err(vec![format!(
                "its nodes make more than {TIMES} times the weights that the file holds (and {MORE} values), or more than {MOST_NODES} nodes here"
            )]);
        }
    }
    if !import.faults.is_empty() {
        return Err(import.faults);
    }
    import.finish().map_err(|fault| vec![fault])
}

/// The sizes of an input, `None` where they are open.
fn open_sizes(input: &ValueInfoProto) -> Taken<Vec<Option<usize>>> {
    let shape = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).and_then(|t| t.shape.as_ref());
    let shape = shape.ok_or_else(|| format!("input '{}' has no shape: export with a fixed number of leads", input.name))?;
    shape
        .dim
        .iter()
        .map(|dim| match dim.dim_value {
            Some(size) if size > 0 => match usize::try_from(size) {
                Ok(size) if size <= MOST_VALUES => Ok(Some(size)),
                _ => Err(format!("input '{}' has a size of {size}, at most {MOST_VALUES} is taken", input.name)),
            },
            _ => Ok(None),
        })
        .collect()
}

/// The weight at a place among a node's inputs; `None` where it is absent.
pub(super) fn known(inputs: &[Option<Value>], at: usize) -> Taken<Option<&Array>> {
    match inputs.get(at) {
        Some(Some(Value::Known(array))) => Ok(Some(array)),
        None | Some(None) => Ok(None),
        _ => Err(format!("its input {at} depends on the input of the network, a weight is taken there")),
    }
}

/// Refuses what no run could hold, before the next node reckons with its size.
fn bounded(value: &Value) -> Taken<()> {
    match value {
        Value::Variable(x) | Value::Turned(x, _) => match elements(&x.ours, 1) {
            Some(count) if count <= MOST_VALUES => Ok(()),
            _ => Err(format!("it gives {:?} for one example, more than {MOST_VALUES} values", x.ours)),
        },
        Value::Parts(all) => all.iter().try_for_each(bounded),
        _ => Ok(()),
    }
}

impl<'a> Import<'a> {
    fn new(graph: &'a GraphProto, folder: &'a Path, samples: usize) -> Taken<Self> {
        if !graph.sparse_initializer.is_empty() {
            return Err("it has sparse weights, which are not read".into());
        }
        let (mut values, mut room, mut held) = (BTreeMap::new(), MORE, 0usize);
        for tensor in &graph.initializer {
            let array = array(tensor, folder)?;
            // Many may lie in the same part of a file beside.
            held = held.saturating_add(array.len());
            if held > MOST_PARAMETERS {
                return Err(format!("its weights come to more than {MOST_PARAMETERS} values"));
            }
            room = array.len().saturating_mul(TIMES).saturating_add(room);
            values.insert(tensor.name.as_str(), Value::Known(array.into()));
        }
        let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|input| !values.contains_key(input.name.as_str())).collect();
        if inputs.is_empty() {
            return Err("it has no input".into());
        }
        let [_] = &graph.output[..] else {
            let names: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
            return Err(format!(
                "it has {} outputs ({}), one is taken: export the one that is to be explained",
                names.len(),
                names.join(", ")
            ));
        };
        let mut readers = BTreeMap::new();
        let read = graph.node.iter().flat_map(|node| &node.input).chain(graph.output.iter().map(|output| &output.name));
        for name in read {
            *readers.entry(name.as_str()).or_insert(0) += 1;
        }
        let mut import = Import {
            graph,
            folder,
            values,
            drafts: Vec::new(),
            parameters: Parameters::new(),
            names: BTreeSet::new(),
            numbers: BTreeMap::new(),
            room,
            readers,
            faults: Vec::new(),
            batch: BATCH,
        };
        let batches = inputs.iter().map(|input| Ok(open_sizes(input)?.first().copied().flatten())).collect::<Taken<Vec<_>>>()?;
        import.batch = batches.iter().copied().flatten().next().unwrap_or(BATCH);
        if batches.iter().flatten().any(|batch| *batch != import.batch) {
            return Err(format!("its inputs have batches of different sizes ({batches:?})"));
        }
        for input in &inputs {
            import.input(input, samples, inputs.len() > 1)?;
        }
        if !import.drafts.iter().any(|draft| matches!(&draft.op, Op::Input { shape } if shape.len() == 2)) {
            return Err("none of its inputs is an ECG, (N, C, L)".into());
        }
        Ok(import)
    }

    /// An input: (N, C, L), or with axes of size 1 besides; beside an ECG also numbers (N, F).
    fn input(&mut self, input: &'a ValueInfoProto, samples: usize, beside: bool) -> Taken<()> {
        let open = open_sizes(input)?;
        if let ([_, features], true) = (&open[..], beside) {
            let features = features
                .ok_or_else(|| format!("input '{}' leaves open how many numbers it has: export it with a fixed one", input.name))?;
            let node = self.draft(&input.name, Op::Input { shape: vec![Some(features)] }, vec![]);
            let signal = Variable { node, ours: vec![features], seen: vec![self.batch, features], pad: (0, 0) };
            self.values.insert(&input.name, Value::Variable(signal));
            return Ok(());
        }
        let wrong = || format!("input '{}' has {} axes: (N, C, L) is taken, or (N, C, 1, L)", input.name, open.len());
        let [_, channels, rest @ ..] = &open[..] else { return Err(wrong()) };
        // The time axis is the one that is open or longer than 1.
        let long: Vec<usize> = (0..rest.len()).filter(|at| rest[*at] != Some(1)).collect();
        let time = match long[..] {
            [time] => time,
            [] if !rest.is_empty() => rest.len() - 1,
            _ => return Err(wrong()),
        };
        let channels =
            channels.ok_or_else(|| format!("input '{}' leaves the number of leads open: export it with a fixed one", input.name))?;
        let len = rest[time].unwrap_or(samples);
        let mut seen = vec![1; rest.len()];
        seen[time] = len;
        let node = self.draft(&input.name, Op::Input { shape: vec![Some(channels), rest[time]] }, vec![]);
        let signal = Variable { node, ours: vec![channels, len], seen: [&[self.batch, channels], &seen[..]].concat(), pad: (0, 0) };
        self.values.insert(&input.name, Value::Variable(signal));
        Ok(())
    }

    /// A name that no other node has.
    fn free(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "node" } else { wanted };
        let mut name = wanted.to_owned();
        while !self.names.insert(name.clone()) {
            let number = self.numbers.entry(wanted.to_owned()).or_insert(1);
            *number += 1;
            name = format!("{wanted}_{number}");
        }
        name
    }

    pub(super) fn draft(&mut self, name: &str, op: Op, inputs: Vec<usize>) -> usize {
        let name = self.free(name);
        self.drafts.push(Draft { name, op, inputs });
        self.drafts.len() - 1
    }

    pub(super) fn parameter(&mut self, name: &str, shape: Vec<usize>, values: &[f64], trainable: bool) -> usize {
        let at = self.draft(name, Op::Parameter { shape: shape.clone(), trainable }, vec![]);
        self.room = self.room.saturating_sub(values.len());
        self.parameters.insert(self.drafts[at].name.clone(), from_vec(&shape, values.to_vec()));
        at
    }

    /// The signals of inputs, zeros around them put there, if all are signals whose batch is first.
    pub(super) fn signals(&mut self, name: &str, inputs: &[Option<Value>]) -> Option<Vec<Variable>> {
        let own: Option<Vec<Variable>> =
            inputs.iter().map(|value| if let Some(Value::Variable(signal)) = value { Some(signal.clone()) } else { None }).collect();
        Some(own?.iter().map(|signal| self.padded(name, signal)).collect())
    }

    /// Takes one node, or notes why not.
    fn node(&mut self, node: &'a NodeProto) {
        let title = if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name };
        let inputs: Vec<Option<Value>> = node
            .input
            .iter()
            .map(|name| (!name.is_empty()).then(|| self.values.get(name.as_str()).cloned().unwrap_or(Value::Lost)))
            .collect();
        let lost = inputs.iter().any(|value| matches!(value, Some(Value::Lost)));
        let found = if lost {
            // The fault that it stems from is noted already, unless a value is named that nothing gives.
            match node.input.iter().find(|name| !name.is_empty() && !self.values.contains_key(name.as_str())) {
                Some(name) => Err(format!("nothing gives its input '{name}'")),
                None if self.faults.is_empty() => {
                    Err("it reads a further output of a node before, which is not taken (the memory of an LSTM, say)".into())
                }
                None => Ok(Value::Lost),
            }
        } else if !["", "ai.onnx"].contains(&node.domain.as_str()) {
            Err(format!("it belongs to '{}', ops of ONNX itself are taken", node.domain))
        } else {
            self.take(node, &inputs)
        };
        let value = found.unwrap_or_else(|problem| {
            self.faults.push(format!("node '{title}' ({}): {problem}", node.op_type));
            Value::Lost
        });
        if let Value::Parts(parts) = value {
            let named = node.output.iter().zip(parts).filter(|(output, _)| !output.is_empty());
            named.for_each(|(output, part)| drop(self.values.insert(output, part)));
            return;
        }
        if let Some(output) = node.output.first() {
            self.values.insert(output, value);
        }
        // Further outputs (masks, running statistics) exist in training only.
        for output in node.output.iter().skip(1) {
            self.values.insert(output, Value::Lost);
        }
    }

    fn take(&mut self, node: &'a NodeProto, inputs: &[Option<Value>]) -> Taken<Value> {
        let known: Option<Vec<Option<&Array>>> = inputs
            .iter()
            .map(|value| match value {
                None => Some(None),
                Some(Value::Known(array)) => Some(Some(&**array)),
                Some(_) => None,
            })
            .collect();
        if let Some(known) = known {
            return match compute(node, &known, self.folder) {
                Some(found) => {
                    let array = found?;
                    self.room = self.room.saturating_sub(array.len());
                    Ok(Value::Known(array.into()))
                }
                None => Err("it has no signal as input and is not computed while reading".into()),
            };
        }
        let a = Attributes::of(node);
        let value = self.lower(node, &a, inputs)?;
        a.all_known()?;
        bounded(&value)?;
        Ok(value)
    }

    /// The value of a parameter of one number.
    pub(super) fn number(&self, draft: usize) -> Option<f64> {
        match &self.parameters.get(&self.drafts[draft].name)?.as_slice()? {
            [value] => Some(*value),
            _ => None,
        }
    }

    /// A weight under the name that it has in the file, where it is used as it stands.
    pub(super) fn weight(
        &mut self,
        node: &NodeProto,
        input: usize,
        fallback: &str,
        shape: Vec<usize>,
        values: &[f64],
        trainable: bool,
    ) -> usize {
        let own = node.input.get(input).filter(|name| self.graph.initializer.iter().any(|tensor| tensor.name == **name)).cloned();
        let name = own.unwrap_or_else(|| format!("{}.{fallback}", node.output.first().map_or("", String::as_str)));
        self.parameter(&name, shape, values, trainable)
    }

    /// The program, in an order in which it can run, without what the output does not need.
    fn finish<T: Real>(mut self) -> Taken<Network<T>> {
        let name = &self.graph.output[0].name;
        let signal = match self.values.get(name.as_str()) {
            Some(Value::Variable(signal)) if signal.pad == (0, 0) => signal.clone(),
            Some(Value::Known(_)) => return Err(format!("its output '{name}' does not depend on the input")),
            _ => return Err(format!("nothing gives its output '{name}'")),
        };
        let mut output = signal.node;
        if signal.ours.len() != 1 {
            output = self.draft("flatten", Op::Flatten, vec![output]);
        }
        let mut order = Vec::new();
        let mut placed = vec![false; self.drafts.len()];
        let mut open = vec![(output, false)];
        while let Some((at, entered)) = open.pop() {
            if placed[at] {
                continue;
            }
            if entered {
                placed[at] = true;
                order.push(at);
            } else {
                open.push((at, true));
                open.extend(self.drafts[at].inputs.iter().rev().map(|input| (*input, false)));
            }
        }
        let nodes: Vec<serde_json::Value> = order
            .iter()
            .map(|at| {
                let Draft { name, op, inputs } = &self.drafts[*at];
                let inputs: Vec<&str> = inputs.iter().map(|input| self.drafts[*input].name.as_str()).collect();
                serde_json::json!({ "name": name, "op": op, "inputs": inputs })
            })
            .collect();
        let program: Program = serde_json::from_value(serde_json::json!({ "nodes": nodes, "output": self.drafts[output].name }))
            .map_err(|error| format!("its program is not one of ours: {error}"))?;
        let used: BTreeSet<&str> = order.iter().map(|at| self.drafts[*at].name.as_str()).collect();
        self.parameters.retain(|name, _| used.contains(name.as_str()));
        let parameters = self.parameters.iter().map(|(name, value)| (name.clone(), cast::<f64, T>(value))).collect();
        Network::new(program, parameters).map_err(|error| error.to_string())
    }
}
