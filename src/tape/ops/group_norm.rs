//! Group normalisation (Wu & He 2018): over time and the channels of a group.

use super::definitions::GroupNorm;
use super::standardise::{Blocks, eps_fault};
use super::{Arithmetic, Context, Element, Initial, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Saved, Site, Tensor};

impl GroupNorm {
    fn blocks(&self, shape: &[usize]) -> Blocks {
        let (channels, len) = (shape[1], shape[2]);
        Blocks { size: channels / self.groups * len, count: channels, run: len, eps: self.eps }
    }
}

impl<T: Real> Arithmetic<T> for GroupNorm {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok(self.blocks(shape).forward(inputs))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        self.blocks(grad.shape()).vjp(site, grad)
    }
}

impl OpDefinition for GroupNorm {
    fn class(&self) -> OpClass {
        OpClass::Other
    }

    fn arity(&self) -> (usize, usize) {
        (1, 3)
    }

    fn signals(&self, _inputs: usize) -> usize {
        1
    }

    fn settings(&self) -> String {
        format!("({} groups, eps {})", self.groups, self.eps)
    }

    fn faults(&self) -> Vec<String> {
        step_fault("groups", self.groups, 1).into_iter().chain(eps_fault(self.eps)).collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        match inputs[0] {
            &[_, channels, len] if len > 0 && channels > 0 && channels % self.groups == 0 => {
                self.blocks(inputs[0]).check(inputs, &[channels])?
            }
            x => return Err(format!("its input has shape {x:?}, expected (N, C, L) with C a multiple of {} groups", self.groups)),
        }
        Ok(inputs[0].to_vec())
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        let scaled = if inputs.len() > 1 { "γ · (x − μ) / √(σ² + ε) + β" } else { "(x − μ) / √(σ² + ε)" };
        format!("y = {scaled}, ε = {}, μ and σ² over time and the channels of each of {} groups", self.eps, self.groups)
    }

    fn letters(&self) -> &'static [&'static str] {
        &["γ", "β"]
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        self.blocks(shape).element(inputs, at)
    }

    fn initial(&self, at: usize) -> Option<Initial> {
        Some(Initial::Value(if at == 1 { 1.0 } else { 0.0 }))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
