//! tanh x.

use super::definitions::Tanh;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values, elementwise};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};
use cardiograd_kernels::elementary;

impl<T: Real> Arithmetic<T> for Tanh {
    fn forward(&self, inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((elementwise::map(inputs[0], T::tanh), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(vec![Some(elementwise::zip(grad, site.output, |g, y| g * (T::ONE - y * y)))])
    }
}

impl OpDefinition for Tanh {
    fn class(&self) -> OpClass {
        OpClass::Activation
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        Ok(inputs[0].to_vec())
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        "y = tanh x".into()
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        Element::of_scale(elementary::tanh(inputs[0].data[at]), 1.0)
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
