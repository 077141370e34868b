//! Every node against its definition: at sampled points a node's value is computed again in f64 from the definition of its op
//! ([`crate::tape::OpDefinition::element`]), by loops that share nothing with the kernels.

use super::{Check, Worst};
use crate::evaluation::ranks::larger;
use crate::random::{Stage, Stream};
use crate::tape::{Element, NodeId, Op, Program, Real, Tape, Values, slice};
use rand::RngExt;

/// Points looked at per node.
const POINTS: usize = 48;

/// The largest difference between a run's values and the formulas of `program`, over all nodes, as a share of the sum of the absolute terms.
/// The detail names the worst node. A value that is not finite is worse than any difference, wherever in the run it is.
pub fn definitions<T: Real>(program: &Program, tape: &Tape<T>, seed: u64) -> Check {
    let mut worst = Worst::default();
    for id in program.ids().filter(|id| !program.node(*id).inputs.is_empty()) {
        let node = program.node(id);
        let (definition, value) = (node.op.definition(), tape.value(id));
        let widened: Vec<Vec<f64>> = node.inputs.iter().map(|input| slice(tape.value(*input)).iter().map(|v| v.f64()).collect()).collect();
        let inputs = node.inputs.iter().zip(&widened).map(|(input, data)| Values { shape: tape.value(*input).shape(), data });
        let inputs: Vec<Values<'_>> = inputs.collect();
        if let Some((at, found)) = slice(value).iter().enumerate().find(|(_, v)| !v.is_finite()) {
            let found = found.f64();
            worst.see(f64::NAN, || format!("node '{}' ({}), element {at}: {found:e}", node.name, node.op.kind()));
        }
        let mut rng = Stream::new(seed, Stage::Audit).ecg(id.0 as u64).rng();
        for _ in 0..POINTS.min(value.len()) {
            let at = rng.random_range(0..value.len() as u64) as usize;
            let Element { value: expected, scale } = definition.element(&inputs, value.shape(), at);
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
