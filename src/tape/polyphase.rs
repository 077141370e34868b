//! A program transform: nearest upsampling followed by a convolution becomes a convolution at the low rate, one group of output channels
//! per phase, whose results are interleaved. The same function with about 1 / factor of the arithmetic.
//!
//! With upsampling by f, output t = f·q + p reads the low-rate sample ⌊(t + j − pad) / f⌋ = q + ⌊(p + j − pad) / f⌋ with tap j: all taps
//! of a phase that fall on the same sample add up to one tap. Zero padding maps to zero padding, since a high-rate position is outside
//! the signal exactly when its low-rate sample is.

use super::limits::MOST_PARAMETERS;
use crate::Result;
use crate::shape::elements;
use crate::tape::{Network, Node, NodeId, Op, Parameters, Program, Real, Tensor, from_vec, slice};

/// The network with every upsampling that only feeds one convolution of stride and dilation 1 (with weights that nothing else reads)
/// merged into it. Equal to the network given, up to rounding.
///
/// # Errors
/// None for a valid network.
pub fn polyphase<T: Real>(network: &Network<T>) -> Result<Network<T>> {
    let program = network.program();
    let mut parameters = network.parameters();
    let mut nodes: Vec<Node> = Vec::new();
    let mut place = Vec::with_capacity(program.nodes().len());
    for (id, node) in program.nodes().iter().enumerate() {
        let mut node = node.clone();
        for input in &mut node.inputs {
            *input = place[input.0];
        }
        if let Some(phases) = Phases::of(program, NodeId(id)) {
            phases.parameters(network, &mut nodes, &mut parameters);
            // The convolution reads what the upsampling read; the interleaving takes over the convolution's name, as its value is the same.
            node.inputs[0] = nodes[node.inputs[0].0].inputs[0];
            let (left, right) = (usize::try_from(-phases.first).unwrap_or(0), usize::try_from(phases.last).unwrap_or(0));
            node.op = Op::Conv1d { stride: 1, dilation: 1, padding: (left, right) };
            let name = std::mem::replace(&mut node.name, format!("{}.phases", program.nodes()[id].name));
            nodes.push(node);
            nodes.push(Node { name, op: Op::Interleave { factor: phases.factor }, inputs: vec![NodeId(nodes.len() - 1)] });
        } else {
            nodes.push(node);
        }
        place.push(NodeId(nodes.len() - 1));
    }
    Network::new(prune(nodes, place[program.output().0])?, parameters)
}

/// An upsampling and the convolution behind it.
struct Phases {
    conv: NodeId,
    factor: usize,
    pad: usize,
    taps: usize,
    /// The low-rate samples that the phases read, relative to their own place.
    first: isize,
    last: isize,
}

impl Phases {
    /// The pair that ends at this node, if it can be merged.
    fn of(program: &Program, conv: NodeId) -> Option<Phases> {
        let node = program.node(conv);
        let Op::Conv1d { stride: 1, dilation: 1, padding } = node.op else { return None };
        let Op::Upsample { factor } = program.node(node.inputs[0]).op else { return None };
        let Op::Parameter { shape, .. } = &program.node(node.inputs[1]).op else { return None };
        let readers = |id: NodeId| program.nodes().iter().flat_map(|node| &node.inputs).filter(|input| **input == id).count();
        // 'same' padding keeps the length a multiple of the factor; other lengths would cut a phase short.
        if node.inputs.iter().any(|id| readers(*id) > 1) || padding.0 + padding.1 + 1 != shape[2] {
            return None;
        }
        // As many phases as this would make more weights than a program may have.
        if elements(&[factor, shape[0], shape[1], shape[2]], 1).is_none_or(|count| count > MOST_PARAMETERS) {
            return None;
        }
        let at = |p: usize, j: usize| (p as isize + j as isize - padding.0 as isize).div_euclid(factor as isize);
        let (first, last) = (at(0, 0), at(factor - 1, shape[2] - 1));
        (first <= 0 && last >= 0).then_some(Phases { conv, factor, pad: padding.0, taps: shape[2], first, last })
    }

    /// Replaces weight and bias by those of the phases: output channel o·factor + p, taps added up per low-rate sample.
    fn parameters<T: Real>(&self, network: &Network<T>, nodes: &mut [Node], parameters: &mut Parameters<T>) {
        let program = network.program();
        let inputs = &program.node(self.conv).inputs;
        let mut replace = |id: NodeId, value: Tensor<T>| {
            let name = &program.node(id).name;
            let node = nodes.iter_mut().find(|node| node.name == *name).expect("parameters come before their reader");
            node.op = Op::Parameter { shape: value.shape().to_vec(), trainable: false };
            parameters.insert(name.clone(), value);
        };
        let weight = network.parameter(inputs[1]);
        let (c_out, c_in) = (weight.shape()[0], weight.shape()[1]);
        let low = (self.last - self.first + 1) as usize;
        let mut sums = vec![0.0; c_out * self.factor * c_in * low];
        for (row, w) in slice(weight).chunks(self.taps).enumerate() {
            let (o, i) = (row / c_in, row % c_in);
            for p in 0..self.factor {
                for (j, w) in w.iter().enumerate() {
                    let at = (p as isize + j as isize - self.pad as isize).div_euclid(self.factor as isize) - self.first;
                    sums[((o * self.factor + p) * c_in + i) * low + at as usize] += w.f64();
                }
            }
        }
        replace(inputs[1], from_vec(&[c_out * self.factor, c_in, low], sums.into_iter().map(T::of).collect()));
        if let Some(bias) = inputs.get(2) {
            let values = slice(network.parameter(*bias)).iter().flat_map(|b| std::iter::repeat_n(*b, self.factor));
            replace(*bias, from_vec(&[c_out * self.factor], values.collect()));
        }
    }
}

/// The program without nodes that the output does not depend on (inputs and parameters stay, they are its interface).
fn prune(nodes: Vec<Node>, output: NodeId) -> Result<Program> {
    let mut needed = vec![false; nodes.len()];
    needed[output.0] = true;
    for id in (0..nodes.len()).rev() {
        if needed[id] {
            nodes[id].inputs.iter().for_each(|input| needed[input.0] = true);
        }
    }
    let mut place = vec![NodeId(0); nodes.len()];
    let mut kept: Vec<Node> = Vec::new();
    for (id, mut node) in nodes.into_iter().enumerate() {
        if needed[id] || matches!(node.op, Op::Input { .. } | Op::Parameter { .. }) {
            node.inputs.iter_mut().for_each(|input| *input = place[input.0]);
            place[id] = NodeId(kept.len());
            kept.push(node);
        }
    }
    Program::new(kept, place[output.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Builder, ConvLayer, OpKind};
    use proptest::prelude::*;

    /// upsample → conv, with a second reader of the convolution's value.
    fn network(c_in: usize, c_out: usize, kernel: usize, factor: usize, values: &[f64]) -> Network<f64> {
        let mut build = Builder::new();
        let x = build.input("x", &[Some(c_in), None]);
        let up = build.node("up", Op::Upsample { factor }, &[x]);
        let conv = build.conv1d("conv", up, ConvLayer::same(c_in, c_out, kernel));
        let relu = build.relu("relu", conv);
        let sum = build.node("sum", Op::Add, &[conv, relu]);
        let program = build.finish(sum).unwrap();
        let take = |n: usize| values.iter().cycle().take(n).copied().collect::<Vec<f64>>();
        let parameters = [
            ("conv.weight".to_owned(), from_vec(&[c_out, c_in, kernel], take(c_out * c_in * kernel))),
            ("conv.bias".to_owned(), from_vec(&[c_out], take(c_out))),
        ];
        Network::new(program, parameters.into()).unwrap()
    }

    proptest! {
        #[test]
        fn the_merged_network_is_the_same_function(
            c_in in 1usize..4, c_out in 1usize..4, kernel in 1usize..30, factor in 1usize..7, len in 1usize..20,
            values in prop::collection::vec(-2.0..2.0, 97), x in prop::collection::vec(-3.0..3.0, 2 * 3 * 20),
        ) {
            let network = network(c_in, c_out, kernel, factor, &values);
            let merged = polyphase(&network).unwrap();
            prop_assert!(merged.program().of_kind(OpKind::Upsample).is_empty());
            let x = from_vec(&[2, c_in, len], x[..2 * c_in * len].to_vec());
            let (a, b) = (network.predict(std::slice::from_ref(&x)).unwrap(), merged.predict(&[x]).unwrap());
            prop_assert_eq!(a.shape(), b.shape());
            for (a, b) in a.iter().zip(b.iter()) {
                prop_assert!((a - b).abs() < 1e-10, "{} {}", a, b);
            }
        }
    }
}
