//! Program transforms that change how a network is written and not what it computes: batch norm folded into the layer before it,
//! biases taken out of layers, nodes in another order. Explanations that depend on the function alone must not change under them
//! (implementation invariance, Sundararajan et al. 2017), and rules for batch norm are best stated on the folded program.

use crate::Result;
use crate::random::{Stage, Stream};
use crate::tape::{Network, Node, NodeId, Op, OpKind, Parameters, Program, Real, Tensor, from_vec, slice};
use rand::RngExt;

/// The network with every batch norm that alone reads a convolution or linear layer folded into it: with s = γ / √(σ² + ε),
/// w′\[o\] = s\[o\] · w\[o\] and b′\[o\] = β\[o\] + s\[o\] · (b\[o\] − μ\[o\]), computed in f64. The merged layer takes the batch norm's name,
/// as its value is the same, and keeps the layer's parameter names. Other batch norms stay. Equal to the network given, up to rounding.
///
/// # Errors
/// None for a valid network; [`crate::Error::Parameters`] if a folded weight overflows the precision.
pub fn fold_batch_norm<T: Real>(network: &Network<T>) -> Result<Network<T>> {
    let program = network.program();
    let pairs = foldable(program);
    let mut rewrite = Rewrite::new(network);
    for id in program.ids() {
        let node = program.node(id);
        if let Some(pair) = pairs.iter().find(|pair| pair.layer == id) {
            rewrite.place.push(NodeId(usize::MAX)); // the merged layer comes where the batch norm was
            debug_assert!(pair.norm > id);
        } else if let Some(pair) = pairs.iter().find(|pair| pair.norm == id) {
            rewrite.merge(*pair);
        } else {
            rewrite.keep(node);
        }
    }
    rewrite.finish()
}

/// The network with every bias of a convolution or linear layer that nothing else reads moved into a batch norm of its own behind the
/// layer (γ = 1, μ = 0, σ² = 1 − ε, β = the bias): the same function from other ops. The batch norm takes the layer's name.
///
/// # Errors
/// None for a valid network.
pub fn unfuse_biases<T: Real>(network: &Network<T>) -> Result<Network<T>> {
    const EPS: f64 = 0.5; // 1 − ε and ε add up to exactly 1 in any precision
    let program = network.program();
    let mut rewrite = Rewrite::new(network);
    for id in program.ids() {
        let node = program.node(id);
        let alone = |bias: &NodeId| readers(program, *bias) == 1 && program.node(*bias).op.kind() == OpKind::Parameter;
        match node.inputs.get(2).filter(|bias| matches!(node.op, Op::Conv1d { .. } | Op::Linear) && alone(bias)) {
            None => rewrite.keep(node),
            Some(bias) => {
                let channels = network.parameter(*bias).len();
                let moved = rewrite.place[bias.0];
                let inputs = node.inputs[..2].iter().map(|input| rewrite.place[input.0]).collect();
                let layer = rewrite.push(Node { name: format!("{}.unbiased", node.name), op: node.op.clone(), inputs });
                let mut inputs = vec![layer];
                for (part, value) in [("unit", 1.0), ("zero", 0.0), ("half", 1.0 - EPS)] {
                    inputs.push(rewrite.parameter(format!("{}.{part}", node.name), from_vec(&[channels], vec![T::of(value); channels])));
                }
                inputs.insert(2, moved);
                let norm = Node { name: node.name.clone(), op: Op::BatchNorm { eps: EPS, momentum: 0.1 }, inputs };
                let last = rewrite.push(norm);
                rewrite.place.push(last);
            }
        }
    }
    rewrite.finish()
}

/// The network with its nodes in another order that still puts each after its inputs, drawn from the seed. Input nodes keep their
/// order among themselves, since runs give inputs by position.
///
/// # Errors
/// None for a valid network.
pub fn reorder<T: Real>(network: &Network<T>, seed: u64) -> Result<Network<T>> {
    let program = network.program();
    let mut rng = Stream::new(seed, Stage::Audit).rng();
    let mut rewrite = Rewrite::new(network);
    rewrite.place = vec![NodeId(usize::MAX); program.nodes().len()];
    let mut left: Vec<NodeId> = program.ids().collect();
    while !left.is_empty() {
        let first_input = left.iter().find(|id| program.node(**id).op.kind() == OpKind::Input).copied();
        let ready = |id: &NodeId| {
            let node = program.node(*id);
            let in_turn = node.op.kind() != OpKind::Input || first_input == Some(*id);
            in_turn && node.inputs.iter().all(|input| rewrite.place[input.0].0 != usize::MAX)
        };
        let able: Vec<usize> = (0..left.len()).filter(|at| ready(&left[*at])).collect();
        let id = left.remove(able[rng.random_range(0..able.len() as u64) as usize]);
        let inputs = program.node(id).inputs.iter().map(|input| rewrite.place[input.0]).collect();
        rewrite.place[id.0] = rewrite.push(Node { inputs, ..program.node(id).clone() });
    }
    rewrite.finish()
}

/// A layer and the batch norm that alone reads it.
#[derive(Clone, Copy)]
struct Pair {
    layer: NodeId,
    norm: NodeId,
}

/// The pairs that can be merged: nothing else reads the layer or its parameters, and all of them are parameters of the network.
fn foldable(program: &Program) -> Vec<Pair> {
    let pair = |norm: NodeId| {
        let node = program.node(norm);
        let layer = node.inputs[0];
        let parameter = |id: &NodeId| program.node(*id).op.kind() == OpKind::Parameter;
        let own = |id: &NodeId| parameter(id) && readers(program, *id) == 1;
        let fits = matches!(program.node(layer).op, Op::Conv1d { .. } | Op::Linear)
            && readers(program, layer) == 1
            && program.output() != layer
            && program.node(layer).inputs[1..].iter().all(own)
            && node.inputs[1..].iter().all(parameter);
        fits.then_some(Pair { layer, norm })
    };
    program.of_kind(OpKind::BatchNorm).into_iter().filter_map(pair).collect()
}

/// How many inputs of nodes are this node.
fn readers(program: &Program, id: NodeId) -> usize {
    program.nodes().iter().flat_map(|node| &node.inputs).filter(|input| **input == id).count()
}

/// A program being written anew.
struct Rewrite<'a, T: Real> {
    network: &'a Network<T>,
    nodes: Vec<Node>,
    /// Where each old node went.
    place: Vec<NodeId>,
    parameters: Parameters<T>,
}

impl<'a, T: Real> Rewrite<'a, T> {
    fn new(network: &'a Network<T>) -> Self {
        Rewrite { network, nodes: Vec::new(), place: Vec::new(), parameters: network.parameters() }
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// A new parameter that is not trained.
    fn parameter(&mut self, name: String, value: Tensor<T>) -> NodeId {
        let op = Op::Parameter { shape: value.shape().to_vec(), trainable: false };
        self.parameters.insert(name.clone(), value);
        self.push(Node { name, op, inputs: Vec::new() })
    }

    /// The old node, reading what its inputs became.
    fn keep(&mut self, node: &Node) {
        let inputs = node.inputs.iter().map(|input| self.place[input.0]).collect();
        let id = self.push(Node { inputs, ..node.clone() });
        self.place.push(id);
    }

    /// One layer in place of a pair.
    fn merge(&mut self, pair: Pair) {
        let program = self.network.program();
        let (layer, norm) = (program.node(pair.layer), program.node(pair.norm));
        let Op::BatchNorm { eps, .. } = norm.op else { return };
        let value = |id: NodeId| slice(self.network.parameter(id)).iter().map(|v| v.f64()).collect::<Vec<f64>>();
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|at| value(norm.inputs[at]));
        let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + eps).sqrt()).collect();
        let bias = layer.inputs.get(2).map_or_else(|| vec![0.0; scale.len()], |id| value(*id));
        let weight = self.network.parameter(layer.inputs[1]);
        let row = weight.len() / scale.len().max(1);
        let scaled = slice(weight).iter().enumerate().map(|(at, w)| T::of(w.f64() * scale[at / row])).collect();
        let scaled = from_vec(weight.shape(), scaled);
        let shifted = (0..scale.len()).map(|o| T::of(beta[o] + scale[o] * (bias[o] - mean[o]))).collect();
        let shifted = from_vec(&[scale.len()], shifted);
        self.parameters.insert(program.node(layer.inputs[1]).name.clone(), scaled);
        let bias = match layer.inputs.get(2) {
            Some(id) => {
                self.parameters.insert(program.node(*id).name.clone(), shifted);
                self.place[id.0]
            }
            None => self.parameter(format!("{}.bias", layer.name), shifted),
        };
        let inputs = vec![self.place[layer.inputs[0].0], self.place[layer.inputs[1].0], bias];
        let id = self.push(Node { name: norm.name.clone(), op: layer.op.clone(), inputs });
        self.place.push(id);
    }

    /// The network without parameters that nothing reads any more.
    fn finish(mut self) -> Result<Network<T>> {
        let output = self.place[self.network.program().output().0];
        let mut used = vec![false; self.nodes.len()];
        self.nodes.iter().flat_map(|node| &node.inputs).for_each(|input| used[input.0] = true);
        let (mut nodes, mut place) = (Vec::new(), Vec::new());
        for (at, mut node) in self.nodes.into_iter().enumerate() {
            place.push(NodeId(nodes.len()));
            if node.op.kind() == OpKind::Parameter && !used[at] && output.0 != at {
                self.parameters.remove(&node.name);
                continue;
            }
            node.inputs.iter_mut().for_each(|input| *input = place[input.0]);
            nodes.push(node);
        }
        Network::new(Program::new(nodes, place[output.0])?, self.parameters)
    }
}
