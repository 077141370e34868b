//! The difference of two signals, element by element, broadcast.

use super::definitions::Subtract;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values, broadcast};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};

impl<T: Real> Arithmetic<T> for Subtract {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((broadcast::zip(inputs[0], inputs[1], shape, |a, b| a - b), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let minus = || broadcast::sum_to(&grad.map(|g| -*g).into_shared(), site.inputs[1].shape());
        Ok(vec![site.needs[0].then(|| broadcast::sum_to(grad, site.inputs[0].shape())), site.needs[1].then(minus)])
    }
}

impl OpDefinition for Subtract {
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
        "y = a − b".into()
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let of = |input: &Values<'_>| input.data[broadcast::place(at, input.shape, shape)];
        Element::sum([of(&inputs[0]), -of(&inputs[1])])
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
