//! Functions of one number, element by element: what activations that are nothing else share.

use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Piece, Problem, Values, elementwise};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};
use core::fmt;

/// y = f(x).
pub(super) trait Function: fmt::Debug + Send + Sync + 'static {
    fn value<T: Real>(&self, x: T) -> T;

    /// f′(x).
    fn slope<T: Real>(&self, x: T) -> T;

    /// f as its definition has it, in f64.
    fn defined(&self, x: f64) -> f64;

    fn formula(&self) -> String;

    fn settings(&self) -> String {
        String::new()
    }

    fn faults(&self) -> Vec<String> {
        Vec::new()
    }

    fn pieces(&self) -> Vec<Piece> {
        Vec::new()
    }
}

impl<T: Real, F: Function> Arithmetic<T> for F {
    fn forward(&self, inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((elementwise::map(inputs[0], |x| self.value(x)), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(vec![Some(elementwise::zip(grad, site.inputs[0], |g, x| g * self.slope(x)))])
    }
}

impl<F: Function> OpDefinition for F {
    fn class(&self) -> OpClass {
        OpClass::Activation
    }

    fn settings(&self) -> String {
        Function::settings(self)
    }

    fn faults(&self) -> Vec<String> {
        Function::faults(self)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        Ok(inputs[0].to_vec())
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        Function::formula(self)
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        let x = inputs[0].data[at];
        Element::of_scale(self.defined(x), 1.0 + x.abs())
    }

    fn pieces(&self) -> Vec<Piece> {
        Function::pieces(self)
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
