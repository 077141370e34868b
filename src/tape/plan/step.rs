//! What steps other than convolutions do to blocked values, one way and the other: evaluation and training share it.

use super::steps::{Step, StepOp, Steps};
use cardiograd_kernels::blocked;

/// max(x, 0) as the op has it: NaN stays NaN, and is seen at the output.
pub(super) fn rectified(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

impl Steps {
    /// y of a step that works example by example: a ReLU, a sum, a pooling, a mean, the same values.
    pub(super) fn apply(&self, step: &Step, x: &[f32], add: Option<&[f32]>, y: &mut [f32]) {
        let (isa, size_x, size_y, len) = (self.isa, self.size(step.x), self.size(step.y), self.samples(step.x));
        let pairs = x.chunks_exact(size_x).zip(y.chunks_exact_mut(size_y));
        match &step.op {
            StepOp::Relu => y.iter_mut().zip(x).for_each(|(y, x)| *y = rectified(*x)),
            StepOp::Add | StepOp::Same => {
                y.copy_from_slice(x);
                y.iter_mut().zip(add.into_iter().flatten()).for_each(|(y, a)| *y += a);
            }
            StepOp::Average(window, stride) => pairs.for_each(|(x, y)| blocked::average(isa, len, *window, *stride, x, y)),
            StepOp::Max(window, stride) => pairs.for_each(|(x, y)| blocked::max(isa, len, *window, *stride, x, y)),
            StepOp::Mean => pairs.for_each(|(x, y)| blocked::mean(isa, len, x, y)),
            StepOp::Affine(scale, shift) => {
                y.copy_from_slice(x);
                y.chunks_exact_mut(size_y).for_each(|y| blocked::affine(isa, len, scale, shift, y));
            }
            StepOp::Conv(_) | StepOp::Dense(..) | StepOp::Own(_) => (),
        }
    }

    /// gx ← gx + the adjoint, at gy, of a pooling or a mean; x is what the step read.
    pub(super) fn apply_adjoint(&self, step: &Step, x: &[f32], gy: &[f32], gx: &mut [f32]) {
        let (isa, size_x, size_y, len) = (self.isa, self.size(step.x), self.size(step.y), self.samples(step.x));
        let pairs = gy.chunks_exact(size_y).zip(gx.chunks_exact_mut(size_x));
        match &step.op {
            StepOp::Average(window, stride) => pairs.for_each(|(gy, gx)| blocked::average_grad(isa, len, *window, *stride, gy, gx)),
            StepOp::Max(window, stride) => {
                pairs.zip(x.chunks_exact(size_x)).for_each(|((gy, gx), x)| blocked::max_grad(isa, len, *window, *stride, x, gy, gx));
            }
            StepOp::Mean => pairs.for_each(|(gy, gx)| blocked::mean_grad(isa, len, gy, gx)),
            _ => (),
        }
    }
}
