//! Layer normalisation (Ba et al. 2016): over the last axes of each example.

use super::definitions::LayerNorm;
use super::standardise::{Blocks, eps_fault};
use super::{Arithmetic, Context, Element, Initial, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Saved, Site, Tensor};

impl LayerNorm {
    fn blocks(&self, shape: &[usize]) -> Blocks {
        let size = shape[shape.len() - self.axes..].iter().product();
        Blocks { size, count: size, run: 1, eps: self.eps }
    }
}

impl<T: Real> Arithmetic<T> for LayerNorm {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok(self.blocks(shape).forward(inputs))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        self.blocks(grad.shape()).vjp(site, grad)
    }
}

impl OpDefinition for LayerNorm {
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
        format!("(last {}, eps {})", self.axes, self.eps)
    }

    fn faults(&self) -> Vec<String> {
        step_fault("axes", self.axes, 1).into_iter().chain(eps_fault(self.eps)).collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        if inputs[0].len() <= self.axes || inputs[0][inputs[0].len() - self.axes..].contains(&0) {
            return Err(format!("its input has shape {:?}, it normalises over the last {} axes behind the batch", inputs[0], self.axes));
        }
        self.blocks(inputs[0]).check(inputs, &inputs[0][inputs[0].len() - self.axes..])?;
        Ok(inputs[0].to_vec())
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        let scaled = if inputs.len() > 1 { "γ · (x − μ) / √(σ² + ε) + β" } else { "(x − μ) / √(σ² + ε)" };
        format!("y = {scaled}, ε = {}, μ and σ² over the last {} axes", self.eps, self.axes)
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
