//! Every node against its definition: at sampled points a node's value is computed again in f64 from the formula of its op, by loops
//! that share nothing with the kernels.

use super::{Check, Worst};
use crate::evaluation::ranks::larger;
use crate::random::{Stage, Stream};
use crate::tape::{Node, NodeId, Op, Program, Real, Tape, Tensor, slice};
use rand::RngExt;

/// Points looked at per node.
const POINTS: usize = 48;

/// The largest difference between a run's values and the formulas of `program`, over all nodes, as a share of the sum of the absolute terms.
/// The detail names the worst node. A value that is not finite is worse than any difference, wherever in the run it is.
pub fn definitions<T: Real>(program: &Program, tape: &Tape<T>, seed: u64) -> Check {
    let mut worst = Worst::default();
    for id in program.ids().filter(|id| !program.node(*id).inputs.is_empty()) {
        let node = program.node(id);
        let inputs: Vec<&Tensor<T>> = node.inputs.iter().map(|input| tape.value(*input)).collect();
        let value = tape.value(id);
        if let Some((at, found)) = slice(value).iter().enumerate().find(|(_, v)| !v.is_finite()) {
            let found = found.f64();
            worst.see(f64::NAN, || format!("node '{}' ({}), element {at}: {found:e}", node.name, node.op.kind()));
        }
        let mut rng = Stream::new(seed, Stage::Audit).ecg(id.0 as u64).rng();
        for _ in 0..POINTS.min(value.len()) {
            let at = rng.random_range(0..value.len() as u64) as usize;
            let (expected, scale) = formula(node, &inputs, value.shape(), at);
            let found = slice(value)[at].f64();
            let error = if found == expected { 0.0 } else { (found - expected).abs() / scale };
            worst.see(error, || format!("node '{}' ({}), element {at}: {found:e}, by its formula {expected:e}", node.name, node.op.kind()));
        }
    }
    let bound = if size_of::<T>() == 4 { 2e-5 } else { 1e-12 };
    Check::new(format!("every op against its definition ({})", precision_name::<T>()), worst.figure, bound, worst.at)
}

/// `f32` or `f64`.
pub(super) fn precision_name<T>() -> &'static str {
    if size_of::<T>() == 4 { "f32" } else { "f64" }
}

/// A node's element by the formula of its op, and the sum of its absolute terms.
fn formula<T: Real>(node: &Node, inputs: &[&Tensor<T>], shape: &[usize], at: usize) -> (f64, f64) {
    let x = slice(inputs[0]);
    let v = |tensor: usize, at: usize| slice(inputs[tensor])[at].f64();
    let alone = |value: f64| (value, value.abs());
    let time = shape.get(2).copied().unwrap_or(1);
    let (row, t) = (at / time, at % time);
    let len = inputs[0].shape().get(2).copied().unwrap_or(1);
    let sum = |terms: &mut dyn Iterator<Item = f64>| terms.fold((0.0, 0.0), |(sum, scale), term| (sum + term, scale + term.abs()));
    match node.op {
        Op::Input { .. } | Op::Parameter { .. } => alone(v(0, at)),
        Op::Conv1d { stride, dilation, padding } => convolution(inputs, shape, at, (stride, dilation, padding.0)),
        Op::Linear => {
            let (outputs, features) = (inputs[1].shape()[0], inputs[1].shape()[1]);
            let (n, o) = (at / outputs, at % outputs);
            let bias = inputs.get(2).map(|_| v(2, o));
            sum(&mut (0..features).map(|i| v(0, n * features + i) * v(1, o * features + i)).chain(bias))
        }
        Op::BatchNorm { eps, .. } => {
            let c = row % inputs[1].len();
            let scale = v(1, c) / (v(4, c) + eps).sqrt();
            sum(&mut [v(0, at) * scale, -v(3, c) * scale, v(2, c)].into_iter())
        }
        Op::Relu => alone(if v(0, at) <= 0.0 { 0.0 } else { v(0, at) }),
        Op::LeakyRelu { slope } => alone(if v(0, at) > 0.0 { v(0, at) } else { slope * v(0, at) }),
        Op::Tanh => (v(0, at).tanh(), 1.0),
        Op::Sigmoid => (1.0 / (1.0 + (-v(0, at)).exp()), 1.0),
        Op::AvgPool1d { window, stride } => sum(&mut (0..window).map(|j| v(0, row * len + t * stride + j) / window as f64)),
        Op::MaxPool1d { window, stride } => alone((0..window).map(|j| x[row * len + t * stride + j].f64()).fold(f64::NEG_INFINITY, larger)),
        Op::GlobalAvgPool => sum(&mut (0..len).map(|t| v(0, at * len + t) / len as f64)),
        Op::Add => sum(&mut [v(0, at), v(1, at)].into_iter()),
        Op::Multiply => alone(v(0, at) * v(1, at)),
        Op::Upsample { factor } => alone(v(0, row * len + t / factor)),
        Op::Interleave { factor } => alone(v(0, (row * factor + t % factor) * len + t / factor)),
        Op::Flatten => alone(v(0, at)),
        Op::Concat => {
            let size: usize = shape[1..].iter().product();
            let (n, mut rest) = (at / size, at % size);
            for input in inputs {
                let own = input.len() / shape[0];
                if rest < own {
                    return alone(slice(input)[n * own + rest].f64());
                }
                rest -= own;
            }
            (f64::NAN, 1.0)
        }
    }
}

fn convolution<T: Real>(inputs: &[&Tensor<T>], shape: &[usize], at: usize, (stride, dilation, left): (usize, usize, usize)) -> (f64, f64) {
    let (c_in, len) = (inputs[0].shape()[1], inputs[0].shape()[2]);
    let (c_out, taps) = (inputs[1].shape()[0], inputs[1].shape()[2]);
    let (n, o, t) = (at / (shape[1] * shape[2]), at / shape[2] % c_out, at % shape[2]);
    let mut sum = inputs.get(2).map_or(0.0, |bias| slice(bias)[o].f64());
    let mut scale = sum.abs();
    for i in 0..c_in {
        for j in 0..taps {
            let place = (t * stride + j * dilation).checked_sub(left).filter(|place| *place < len);
            let Some(place) = place else { continue };
            let term = slice(inputs[1])[(o * c_in + i) * taps + j].f64() * slice(inputs[0])[(n * c_in + i) * len + place].f64();
            sum += term;
            scale += term.abs();
        }
    }
    // An FFT's error goes with the size of the whole row, not with the terms of one point.
    let row = slice(inputs[0])[n * c_in * len..(n + 1) * c_in * len].iter().fold(0.0f64, |most, v| most.max(v.f64().abs()));
    let weight = slice(inputs[1])[o * c_in * taps..(o + 1) * c_in * taps].iter().map(|v| v.f64().abs()).sum::<f64>();
    (sum, scale.max(row * weight))
}

/// The first node, in the program's order, at which two runs of the same names differ by more than `bound` of the node's largest value.
pub fn first_difference<T: Real>(a: (&Program, &Tape<T>), b: (&Program, &Tape<T>), bound: f64) -> Option<(NodeId, f64)> {
    a.0.ids().find_map(|id| {
        let other = b.0.find(&a.0.node(id).name)?;
        let (left, right) = (a.1.value(id), b.1.value(other));
        if left.shape() != right.shape() || matches!(a.0.node(id).op, Op::Parameter { .. }) {
            return None;
        }
        let most = slice(left).iter().fold(f64::MIN_POSITIVE, |most, v| most.max(v.f64().abs()));
        let error = slice(left).iter().zip(slice(right)).map(|(l, r)| (l.f64() - r.f64()).abs()).fold(0.0, larger) / most;
        (error > bound || error.is_nan()).then_some((id, error))
    })
}
