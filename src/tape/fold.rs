//! Program transforms that change how a network is written and not what it computes: batch norm folded into the layer before it,
//! biases taken out of layers, nodes in another order. Explanations that depend on the function alone must not change under them
//! (implementation invariance, Sundararajan et al. 2017), and rules for batch norm are best stated on the folded program.

use super::rewrite::Rewrite;
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::random::{Stage, Stream};
use crate::tape::{Network, NodeId, Op, OpKind, Program, Real, from_vec, slice};
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
        if let Some(pair) = pairs.iter().find(|pair| pair.norm == id) {
            merge(&mut rewrite, *pair);
        } else if pairs.iter().all(|pair| pair.layer != id) {
            rewrite.keep(id);
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
    let readers = program.readers();
    let mut rewrite = Rewrite::new(network);
    for id in program.ids() {
        let node = program.node(id);
        let alone = |bias: &NodeId| readers[bias.0].len() == 1 && program.node(*bias).op.kind() == OpKind::Parameter;
        let Some(bias) = node.inputs.get(2).filter(|bias| node.op.class().is_weighted() && alone(bias)) else {
            rewrite.keep(id);
            continue;
        };
        let channels = network.parameter(*bias).len();
        let mut inputs = rewrite.inputs(node);
        let moved = inputs.remove(2);
        let layer = rewrite.push(format!("{}.unbiased", node.name), node.op.clone(), inputs);
        let mut inputs = vec![layer];
        for (part, value) in [("unit", 1.0), ("zero", 0.0), ("half", 1.0 - EPS)] {
            inputs.push(rewrite.parameter(format!("{}.{part}", node.name), from_vec(&[channels], vec![T::of(value); channels])));
        }
        inputs.insert(2, moved);
        let norm = rewrite.push(node.name.clone(), Op::BatchNorm { eps: EPS, momentum: 0.1 }, inputs);
        rewrite.put(id, norm);
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
    let mut left: Vec<NodeId> = program.ids().collect();
    while !left.is_empty() {
        let first_input = left.iter().find(|id| program.node(**id).op.kind() == OpKind::Input).copied();
        let ready = |id: &NodeId| {
            let node = program.node(*id);
            let in_turn = node.op.kind() != OpKind::Input || first_input == Some(*id);
            in_turn && node.inputs.iter().all(|input| rewrite.place(*input).is_some())
        };
        let able: Vec<usize> = (0..left.len()).filter(|at| ready(&left[*at])).collect();
        rewrite.keep(left.remove(able[rng.random_range(0..able.len() as u64) as usize]));
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
    let readers = program.readers();
    let parameter = |id: &NodeId| program.node(*id).op.kind() == OpKind::Parameter;
    let pair = |norm: NodeId| {
        let node = program.node(norm);
        let layer = node.inputs[0];
        let own = |id: &NodeId| parameter(id) && readers[id.0].len() == 1;
        let fits = program.node(layer).op.definition().scales_by_output()
            && readers[layer.0].len() == 1
            && program.output() != layer
            && program.node(layer).inputs[1..].iter().all(own)
            && node.inputs[1..].iter().all(parameter);
        fits.then_some(Pair { layer, norm })
    };
    program.of_kind(OpKind::BatchNorm).into_iter().filter_map(pair).collect()
}

/// One layer in place of a pair.
fn merge<T: Real>(rewrite: &mut Rewrite<'_, T>, pair: Pair) {
    let network = rewrite.network();
    let program = network.program();
    let (layer, norm) = (program.node(pair.layer), program.node(pair.norm));
    let Op::BatchNorm { eps, .. } = norm.op else { return };
    let value = |id: NodeId| slice(network.parameter(id)).iter().map(|v| v.f64()).collect::<Vec<f64>>();
    let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|at| value(norm.inputs[at]));
    let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + eps).sqrt()).collect();
    let bias = layer.inputs.get(2).map_or_else(|| vec![0.0; scale.len()], |id| value(*id));
    let weight = network.parameter(layer.inputs[1]);
    let row = weight.len() / scale.len().max(1);
    let scaled = slice(weight).iter().enumerate().map(|(at, w)| T::of(w.f64() * scale[at / row])).collect();
    rewrite.set(layer.inputs[1], from_vec(weight.shape(), scaled));
    let shifted = (0..scale.len()).map(|o| T::of(beta[o] + scale[o] * (bias[o] - mean[o]))).collect();
    let shifted = from_vec(&[scale.len()], shifted);
    let mut inputs = rewrite.inputs(layer);
    match layer.inputs.get(2) {
        Some(id) => rewrite.set(*id, shifted),
        None => inputs.push(rewrite.parameter(format!("{}.bias", layer.name), shifted)),
    }
    let merged = rewrite.push(norm.name.clone(), layer.op.clone(), inputs);
    rewrite.put(pair.norm, merged);
}
