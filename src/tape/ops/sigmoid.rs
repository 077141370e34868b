//! 1 / (1 + e⁻ˣ).

use super::definitions::Sigmoid;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values, elementwise};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};
use cardiograd_kernels::elementary;

impl<T: Real> Arithmetic<T> for Sigmoid {
    fn forward(&self, inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((elementwise::map(inputs[0], elementwise::sigmoid), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(vec![Some(elementwise::zip(grad, site.output, |g, y| g * y * (T::ONE - y)))])
    }
}

impl OpDefinition for Sigmoid {
    fn class(&self) -> OpClass {
        OpClass::Activation
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        Ok(inputs[0].to_vec())
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        "y = 1 / (1 + e⁻ˣ)".into()
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        Element::of_scale(1.0 / (1.0 + elementary::exp(-inputs[0].data[at])), 1.0)
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
