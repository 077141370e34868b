//! What a planned run takes of memory.

use super::compile::Plan;
use super::execute::Keep;
use super::steps::StepOp;
use crate::tape::{Network, Real, RuleSet};

/// What a run of one example takes, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunBytes {
    /// While it goes forward or back, beyond what is kept.
    pub running: usize,
    /// From the way forward to the way back.
    pub kept: usize,
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
        // Buffers are kept for the next run and grow to the largest value that ever was in them; one more is in work.
        RunBytes { running: (most + 1) * largest * element, kept: relus.chain(pooled).sum() }
    }
}

impl<T: Real> Network<T> {
    /// What a run of one example takes whose inputs have these shapes (without the batch axis), by a plan where there is one for these rules, else on
    /// the tape.
    pub fn run_bytes(&self, example: &[Vec<usize>], rules: &RuleSet<T>, keep: Keep) -> RunBytes {
        let shapes: Vec<Vec<usize>> = example.iter().map(|example| [&[1], &example[..]].concat()).collect();
        let planned = if let [shape] = &shapes[..] { self.plan_of(shape) } else { None };
        let planned = planned.filter(|plan| self.relu_formulas(plan, rules).is_some());
        if let Some(plan) = planned {
            return plan.bytes(keep);
        }
        // Every value stays until the way back is done, and there each has a gradient for a while.
        let shapes = self.program().shapes(&shapes).unwrap_or_default();
        let nodes = shapes.iter().zip(self.program().nodes()).filter(|(_, node)| !node.inputs.is_empty());
        let values = nodes.map(|(shape, _)| shape.iter().product::<usize>()).sum::<usize>() * size_of::<T>();
        RunBytes { running: values, kept: values }
    }
}
