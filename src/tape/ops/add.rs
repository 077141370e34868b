//! The sum of two signals, element by element, broadcast.

use super::definitions::Add;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values, broadcast};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};

impl<T: Real> Arithmetic<T> for Add {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((broadcast::zip(inputs[0], inputs[1], shape, |a, b| a + b), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let share = |(need, input): (&bool, &&Tensor<T>)| need.then(|| broadcast::sum_to(grad, input.shape()));
        Ok(site.needs.iter().zip(&site.inputs).map(share).collect())
    }
}

impl OpDefinition for Add {
    fn class(&self) -> OpClass {
        OpClass::Sum
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        broadcast::shape(inputs)
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        "y = a + b".into()
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        Element::sum([0, 1].map(|input| inputs[input].data[broadcast::place(at, inputs[input].shape, shape)]))
    }

    fn lowering(&self, inputs: &[&[usize]]) -> Option<Lowering> {
        Some(if inputs[0].len() == 3 && inputs[0] == inputs[1] { Lowering::Add } else { Lowering::Own })
    }
}
