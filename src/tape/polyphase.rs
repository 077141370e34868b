//! A program transform: nearest upsampling followed by a convolution becomes a convolution at the low rate, one group of output channels
//! per phase, whose results are interleaved. The same function with about 1 / factor of the arithmetic.
//!
//! With upsampling by f, output t = f·q + p reads the low-rate sample ⌊(t + j − pad) / f⌋ = q + ⌊(p + j − pad) / f⌋ with tap j: all taps
//! of a phase that fall on the same sample add up to one tap. Zero padding maps to zero padding, since a high-rate position is outside
//! the signal exactly when its low-rate sample is.

use super::limits::MOST_PARAMETERS;
use super::rewrite::Rewrite;
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::shape::elements;
use crate::tape::{Network, NodeId, Op, Program, Real, from_vec, slice};

/// The network with every upsampling that only feeds one convolution of stride and dilation 1 (with weights that nothing else reads)
/// merged into it. Equal to the network given, up to rounding.
///
/// # Errors
/// None for a valid network.
pub fn polyphase<T: Real>(network: &Network<T>) -> Result<Network<T>> {
    let program = network.program();
    let readers = program.readers();
    let mut rewrite = Rewrite::new(network);
    for id in program.ids() {
        let Some(phases) = Phases::of(program, &readers, id) else {
            rewrite.keep(id);
            continue;
        };
        phases.parameters(&mut rewrite);
        let node = program.node(id);
        let mut inputs = rewrite.inputs(node);
        // The convolution reads what the upsampling read; the interleaving takes over the convolution's name, as its value is the same.
        inputs[0] = rewrite.inputs(program.node(node.inputs[0]))[0];
        let (left, right) = (usize::try_from(-phases.first).unwrap_or(0), usize::try_from(phases.last).unwrap_or(0));
        let op = Op::Conv1d { stride: 1, dilation: 1, padding: (left, right) };
        let conv = rewrite.push(format!("{}.phases", node.name), op, inputs);
        let whole = rewrite.push(node.name.clone(), Op::Interleave { factor: phases.factor }, vec![conv]);
        rewrite.put(id, whole);
    }
    rewrite.finish()
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
    fn of(program: &Program, readers: &[Vec<NodeId>], conv: NodeId) -> Option<Phases> {
        let node = program.node(conv);
        let Op::Conv1d { stride: 1, dilation: 1, padding } = node.op else { return None };
        let Op::Upsample { factor } = program.node(node.inputs[0]).op else { return None };
        let Op::Parameter { shape, .. } = &program.node(node.inputs[1]).op else { return None };
        // 'same' padding keeps the length a multiple of the factor; other lengths would cut a phase short.
        if node.inputs.iter().any(|id| readers[id.0].len() > 1) || padding.0 + padding.1 + 1 != shape[2] {
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
    fn parameters<T: Real>(&self, rewrite: &mut Rewrite<'_, T>) {
        let network = rewrite.network();
        let inputs = &network.program().node(self.conv).inputs;
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
        rewrite.set(inputs[1], from_vec(&[c_out * self.factor, c_in, low], sums.into_iter().map(T::of).collect()));
        if let Some(bias) = inputs.get(2) {
            let values = slice(network.parameter(*bias)).iter().flat_map(|b| core::iter::repeat_n(*b, self.factor));
            rewrite.set(*bias, from_vec(&[c_out * self.factor], values.collect()));
        }
    }
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
