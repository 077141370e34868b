//! A network as data: named nodes in an order in which each comes after its inputs.

use super::limits;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Op, OpKind};
use crate::{Error, Result};
use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The place of a node in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// An operation, its name, and where its inputs come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// A unique name: a state dict's module name (`block8.conv2`) or tensor name (`block8.conv2.weight`).
    pub name: String,
    /// The operation.
    pub op: Op,
    /// Earlier nodes, in the order the op wants them.
    pub inputs: Vec<NodeId>,
}

/// A network: nodes and the one that is its output. A node may feed many; a parameter may be used many times.
///
/// The serialised form names inputs, so that people can write it:
/// `{"nodes": [{"name": "x", "op": {"input": {"shape": [12, null]}}}, {"name": "pool", "op": "global_avg_pool", "inputs": ["x"]}], "output": "pool"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Program {
    nodes: Vec<Node>,
    output: NodeId,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    nodes: Vec<WrittenNode>,
    output: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenNode {
    name: String,
    op: Op,
    #[serde(default)]
    inputs: Vec<String>,
}

impl From<Program> for Written {
    fn from(program: Program) -> Self {
        let name = |id: &NodeId| program.nodes[id.0].name.clone();
        let nodes = program.nodes.iter().map(|node| WrittenNode {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs: node.inputs.iter().map(name).collect(),
        });
        Written { nodes: nodes.collect(), output: name(&program.output) }
    }
}

impl TryFrom<Written> for Program {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let mut known = BTreeMap::new();
        let mut nodes = Vec::with_capacity(written.nodes.len());
        for (id, node) in written.nodes.into_iter().enumerate() {
            let find = |input: &String| {
                known
                    .get(input)
                    .copied()
                    .ok_or_else(|| Error::Program(format!("node '{}' reads '{input}', which no earlier node is called", node.name)))
            };
            let inputs = node.inputs.iter().map(find).collect::<Result<_>>()?;
            known.insert(node.name.clone(), NodeId(id));
            nodes.push(Node { name: node.name, op: node.op, inputs });
        }
        let output = known.get(&written.output).copied();
        let output = output.ok_or_else(|| Error::Program(format!("the output '{}' is not the name of a node", written.output)))?;
        Program::new(nodes, output)
    }
}

impl Program {
    /// A program of these nodes.
    ///
    /// # Errors
    /// [`Error::Program`] if a name is used twice or cannot be one, an input does not come before its reader, an op has the wrong number of inputs
    /// or a setting that is senseless or beyond [`crate::tape::limits`], the parameters take too much memory, or there is no input node. The
    /// message is of the first fault and says how many there are.
    pub fn new(nodes: Vec<Node>, output: NodeId) -> Result<Self> {
        let faults = faults(&nodes, output);
        match &faults[..] {
            [] => Ok(Program { nodes, output }),
            [only] => Err(Error::Program(only.clone())),
            [first, rest @ ..] => Err(Error::Program(format!("{first} (the first of {} faults)", 1 + rest.len()))),
        }
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Every node's id, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// The output node.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// The node of a name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == name).map(NodeId)
    }

    /// The ids of the nodes of one kind, in order.
    pub fn of_kind(&self, kind: OpKind) -> Vec<NodeId> {
        self.ids().filter(|id| self.node(*id).op.kind() == kind).collect()
    }

    /// The input nodes, in order.
    pub fn inputs(&self) -> Vec<NodeId> {
        self.of_kind(OpKind::Input)
    }

    /// The parameter nodes, in order.
    pub fn parameters(&self) -> Vec<NodeId> {
        self.of_kind(OpKind::Parameter)
    }

    /// The parameters that training changes by gradient, in order.
    pub fn trainable(&self) -> Vec<NodeId> {
        self.ids().filter(|id| matches!(self.node(*id).op, Op::Parameter { trainable: true, .. })).collect()
    }

    /// The number of trainable values.
    pub fn trainable_size(&self) -> usize {
        let size = |id: NodeId| match &self.node(id).op {
            Op::Parameter { shape, .. } => shape.iter().product(),
            _ => 0,
        };
        self.trainable().into_iter().map(size).sum()
    }

    /// The program that ends at another node (the rest is kept, unused).
    pub fn with_output(&self, output: NodeId) -> Result<Self> {
        Program::new(self.nodes.clone(), output)
    }

    /// The shape of every node's value for inputs of the given shapes (batch axis included), without computing anything.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Program`] naming the first node that cannot work on its inputs.
    pub fn shapes(&self, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
        Ok(self.measured(inputs)?.0)
    }

    /// How many values the run of one example has in all nodes but the parameters, for inputs of the given shapes (batch axis included).
    ///
    /// # Errors
    /// As [`Program::shapes`].
    pub fn values(&self, inputs: &[Vec<usize>]) -> Result<usize> {
        Ok(self.measured(inputs)?.1)
    }

    /// Which of the inputs is the ECG: the first of channels and samples, or the only one.
    ///
    /// # Errors
    /// [`Error::Program`] if there are several and none is of channels and samples.
    pub fn ecg_input(&self) -> Result<usize> {
        let inputs = self.inputs();
        let signal = |id: &NodeId| matches!(&self.node(*id).op, Op::Input { shape } if shape.len() == 2);
        match (inputs.iter().position(signal), inputs.len()) {
            (Some(at), _) => Ok(at),
            (None, 1) => Ok(0),
            _ => Err(Error::Program("none of the program's inputs is an ECG, (N, C, L)".into())),
        }
    }

    /// The shapes of all inputs in a run of `batch` examples whose ECGs have this shape; those beside it have the sizes that they declare.
    ///
    /// # Errors
    /// [`Error::Program`] if an input beside the ECG leaves a size open, or as [`Program::ecg_input`].
    pub fn input_shapes(&self, batch: usize, ecg: &[usize]) -> Result<Vec<Vec<usize>>> {
        let main = self.ecg_input()?;
        let of = |(at, id): (usize, NodeId)| {
            let Op::Input { shape } = &self.node(id).op else { return Ok(Vec::new()) };
            let declared: Option<Vec<usize>> = if at == main { Some(ecg.to_vec()) } else { shape.iter().copied().collect() };
            let declared = declared.ok_or_else(|| Error::Program(format!("input '{}' leaves a size open", self.node(id).name)))?;
            Ok([&[batch], &declared[..]].concat())
        };
        self.inputs().into_iter().enumerate().map(of).collect()
    }

    /// How many examples whose ECGs have this shape (without the batch axis) may run at a time if all their values in f32 are to fit `bytes`: 1 to `most`.
    ///
    /// # Errors
    /// As [`Program::shapes`].
    pub fn batch_within(&self, example: &[usize], bytes: usize, most: usize) -> Result<usize> {
        let values = self.values(&self.input_shapes(1, example)?)?;
        Ok((bytes / values.saturating_mul(size_of::<f32>()).max(1)).clamp(1, most.max(1)))
    }

    /// How many outputs the network has for examples whose ECGs have this shape (without the batch axis): K of (N, K).
    ///
    /// # Errors
    /// As [`Program::shapes`]; [`Error::Program`] if the output is not (N, K).
    pub fn columns(&self, example: &[usize]) -> Result<usize> {
        match self.shapes(&self.input_shapes(1, example)?)?[self.output.0][..] {
            [_, columns] if columns > 0 => Ok(columns),
            ref found => {
                Err(Error::Program(format!("the output '{}' has shape {found:?}, (N, K) is expected", self.node(self.output).name)))
            }
        }
    }

    /// For each node, whether it lies on a way from an input to the output: only there can a rule act or a layer be looked at.
    pub fn on_path(&self) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        for (id, node) in self.nodes.iter().enumerate() {
            reached[id] = node.op.kind() == OpKind::Input || node.inputs.iter().any(|input| reached[input.0]);
        }
        reached.into_iter().zip(self.live()).map(|(reached, live)| reached && live).collect()
    }

    /// For each node, whether the output depends on it.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        live[self.output.0] = true;
        for id in (0..=self.output.0).rev() {
            if live[id] {
                self.nodes[id].inputs.iter().for_each(|input| live[input.0] = true);
            }
        }
        live
    }

    /// For each node, the nodes that read it, in order; one that reads it twice stands there twice.
    pub fn readers(&self) -> Vec<Vec<NodeId>> {
        let mut readers = vec![Vec::new(); self.nodes.len()];
        for id in self.ids() {
            self.node(id).inputs.iter().for_each(|input| readers[input.0].push(id));
        }
        readers
    }

    /// The nodes on a way from an input to the output, in order.
    pub fn nodes_on_path(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().zip(self.on_path()).filter(|(_, on_path)| *on_path).map(|(node, _)| node)
    }

    /// The ids of the nodes of one kind that lie on a way from an input to the output, in order.
    pub fn acting(&self, kind: OpKind) -> Vec<NodeId> {
        let on_path = self.on_path();
        self.of_kind(kind).into_iter().filter(|id| on_path[id.0]).collect()
    }

    fn measured(&self, inputs: &[Vec<usize>]) -> Result<(Vec<Vec<usize>>, usize)> {
        let mut given = inputs.iter();
        let mut run = limits::Run::default();
        let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let fail = |problem: String| Error::Program(format!("node '{}' ({}): {problem}", node.name, node.op.kind()));
            let shape = match &node.op {
                Op::Input { shape } => {
                    let found = given.next().ok_or_else(|| Error::Program(format!("input '{}' was not given", node.name)))?;
                    check_input(&node.name, shape, found)?;
                    found.clone()
                }
                Op::Parameter { shape, .. } => shape.clone(),
                op => {
                    let read: Vec<&[usize]> = node.inputs.iter().map(|id| shapes[id.0].as_slice()).collect();
                    // The op itself was asked when the program was made.
                    op.definition().shape(&read).map_err(fail)?
                }
            };
            run.add(node, &shape).map_err(fail)?;
            shapes.push(shape);
        }
        if given.next().is_some() {
            return Err(Error::Program(format!("{} inputs were given, the program has {}", inputs.len(), self.inputs().len())));
        }
        Ok((shapes, run.total()))
    }
}

/// Everything that is wrong with a list of nodes as a program.
fn faults(nodes: &[Node], output: NodeId) -> Vec<String> {
    if nodes.len() > limits::MOST_NODES {
        return vec![format!("there are {} nodes, at most {} are allowed", nodes.len(), limits::MOST_NODES)];
    }
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    for (id, node) in nodes.iter().enumerate() {
        if let Some(fault) = limits::name_fault(&node.name) {
            all.push(format!("node {id}: {fault}"));
            continue;
        }
        let mut fail = |what: String| all.push(format!("node '{}' ({}): {what}", node.name, node.op.kind()));
        if !names.insert(node.name.as_str()) {
            fail("its name is used twice".into());
        }
        if let Some(input) = node.inputs.iter().find(|input| input.0 >= id) {
            fail(format!("it reads node {}, which does not come before it", input.0));
        }
        limits::op_faults(&node.op, node.inputs.len()).into_iter().for_each(fail);
    }
    if output.0 >= nodes.len() {
        all.push(format!("the output is node {}, there are {}", output.0, nodes.len()));
    }
    if !nodes.iter().any(|node| node.op.kind() == OpKind::Input) {
        all.push("there is no input node".into());
    }
    if all.is_empty() {
        all.extend(limits::too_many_parameters(nodes));
    }
    all
}

/// Checks a given input against its declaration. A batch may be empty, an example may not.
fn check_input(name: &str, declared: &[Option<usize>], found: &[usize]) -> Result<()> {
    let fits = found.len() == declared.len() + 1
        && declared.iter().zip(&found[1..]).all(|(want, have)| want.map_or(*have > 0, |want| want == *have));
    if fits {
        return Ok(());
    }
    let sizes: Vec<String> = declared.iter().map(|n| n.map_or("any".into(), |n: usize| n.to_string())).collect();
    Err(Error::Shape { at: format!("input '{name}'"), expected: format!("(N, {})", sizes.join(", ")), found: format!("{found:?}") })
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in self.nodes.iter().filter(|node| node.op.kind() != OpKind::Parameter) {
            let inputs: Vec<&str> = node.inputs.iter().map(|id| self.nodes[id.0].name.as_str()).collect();
            writeln!(f, "{:24} = {} {}", node.name, node.op, inputs.join(" "))?;
        }
        writeln!(f, "output {}, {} trainable values", self.node(self.output).name, self.trainable_size())
    }
}
