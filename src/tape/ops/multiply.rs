//! The product of two signals, element by element, broadcast.

use super::definitions::Multiply;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values, broadcast};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};

impl<T: Real> Arithmetic<T> for Multiply {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((broadcast::zip(inputs[0], inputs[1], shape, |a, b| a * b), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let by_other = |at: usize| broadcast::zip(grad, site.inputs[1 - at], grad.shape(), |g, v| g * v);
        let other = |at: usize| broadcast::sum_to(&by_other(at), site.inputs[at].shape());
        Ok((0..2).map(|at| site.needs[at].then(|| other(at))).collect())
    }
}

impl OpDefinition for Multiply {
    fn class(&self) -> OpClass {
        OpClass::Product
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        broadcast::shape(inputs)
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        "y = a · b".into()
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let [a, b] = [0, 1].map(|input| inputs[input].data[broadcast::place(at, inputs[input].shape, shape)]);
        Element::term(a * b)
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
