//! What runs take of memory, by plan or on the tape.

use super::compile::Plan;
use super::execute::Keep;
use super::needs::Needs;
use super::steps::StepOp;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Network, Node, Op, Real, RuleSet};
use cardiograd_kernels::{Conv1d, Isa};

/// What a run of one example takes, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunBytes {
    /// While it goes forward or back, beyond what is kept.
    pub running: usize,
    /// Of that, what a thread keeps for its next run.
    pub scratch: usize,
    /// From the way forward to the way back.
    pub kept: usize,
    /// What is made of the parameters, in both directions, for as long as the network lives.
    pub prepared: usize,
    /// Whether a plan makes the run.
    pub planned: bool,
}

/// What all take: their weights together, or without the standard library, where none stay ready, those of the largest; of working memory as much as the
/// one that takes most.
fn together(all: impl Iterator<Item = Needs>) -> Needs {
    all.fold(Needs::default(), |sum, needs| Needs {
        weights: if cfg!(feature = "std") { sum.weights.saturating_add(needs.weights) } else { sum.weights.max(needs.weights) },
        scratch: sum.scratch.max(needs.scratch),
        lent: sum.lent.max(needs.lent),
    })
}

impl Plan {
    fn bytes(&self, keep: Keep) -> RunBytes {
        let largest = (0..self.steps.layouts.len()).map(|slot| self.steps.size(slot)).max().unwrap_or(0);
        let most = self.forward.places.len().max(self.back.as_ref().map_or(0, |back| back.places.len()));
        let element = size_of::<f32>();
        let relus = self.steps.relus.iter().map(|(_, layout)| match keep {
            Keep::Values => self.steps.size_of(*layout) * element,
            Keep::Signs => self.steps.size_of(*layout) / self.steps.isa.width() * size_of::<u16>(),
        });
        let pooled = self.steps.list.iter().filter(|step| matches!(step.op, StepOp::Max(..))).map(|step| self.steps.size(step.x) * element);
        let convolutions = self.steps.list.iter().filter_map(|step| step.op.convolution());
        let isa = self.steps.isa;
        let both = move |conv: Conv1d| core::iter::once(conv).chain(conv.adjoint()).map(move |conv| Needs::of(&conv, isa));
        let needs = together(convolutions.flat_map(|step| both(step.conv)));
        let bytes = |count: usize| count.saturating_mul(element);
        // Buffers are kept for the next run and grow to the largest value that ever was in them; one more is in work.
        let running = ((most + 1) * largest * element).saturating_add(bytes(needs.scratch));
        let kept = relus.chain(pooled).sum();
        RunBytes { running, scratch: bytes(needs.lent), kept, prepared: bytes(needs.weights), planned: true }
    }
}

impl<T: Real> Network<T> {
    /// What a run of one example takes whose inputs have these shapes (without the batch axis), by a plan where there is one for these rules, else on
    /// the tape.
    pub fn run_bytes(&self, example: &[Vec<usize>], rules: &RuleSet<T>, keep: Keep) -> RunBytes {
        let shapes: Vec<Vec<usize>> = example.iter().map(|example| [&[1], &example[..]].concat()).collect();
        let planned = if let [shape] = &shapes[..] { self.plan_of(shape) } else { None };
        let planned = planned.filter(|plan| plan.back.is_ok() && self.relu_formulas(plan, rules).is_some());
        if let Some(plan) = planned {
            return plan.bytes(keep);
        }
        // Every value stays until the way back is done, and there each has a gradient for a while.
        let shapes = self.program().shapes(&shapes).unwrap_or_default();
        let nodes = || shapes.iter().zip(self.program().nodes()).filter(|(_, node)| !node.inputs.is_empty());
        let values = nodes().map(|(shape, _)| shape.iter().product::<usize>()).sum::<usize>() * size_of::<T>();
        let double = size_of::<T>() > size_of::<f32>();
        let convolutions = nodes().filter_map(|(_, node)| geometry(node, &shapes));
        let needs = together(convolutions.map(|conv| Needs::prepared(&conv, Isa::best(), double)));
        let bytes = |count: usize| count.saturating_mul(size_of::<T>());
        let running = values.saturating_add(bytes(needs.scratch));
        RunBytes { running, scratch: bytes(needs.lent), kept: values, prepared: bytes(needs.weights), planned: false }
    }
}

/// The geometry of a convolution among nodes of these shapes.
fn geometry(node: &Node, shapes: &[Vec<usize>]) -> Option<Conv1d> {
    let &Op::Conv1d { stride, dilation, padding: (pad_left, pad_right) } = &node.op else { return None };
    match (&shapes[node.inputs[0].0][..], &shapes[node.inputs[1].0][..]) {
        (&[_, c_in, len_in], &[c_out, _, kernel]) => Some(Conv1d { c_in, c_out, len_in, kernel, stride, dilation, pad_left, pad_right }),
        _ => None,
    }
}
