//! The quotient of two signals, element by element, broadcast.

use super::definitions::Divide;
use super::{Arithmetic, Context, Element, OpClass, OpDefinition, Problem, Values, broadcast};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};

impl<T: Real> Arithmetic<T> for Divide {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((broadcast::zip(inputs[0], inputs[1], shape, |a, b| a / b), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let (a, b, shape) = (site.inputs[0], site.inputs[1], grad.shape());
        let first = || broadcast::sum_to(&broadcast::zip(grad, b, shape, |g, b| g / b), a.shape());
        let second = || {
            let slope = broadcast::zip(site.output, b, shape, |y, b| -y / b);
            broadcast::sum_to(&broadcast::zip(grad, &slope, shape, |g, s| g * s), b.shape())
        };
        Ok(vec![site.needs[0].then(first), site.needs[1].then(second)])
    }
}

impl OpDefinition for Divide {
    fn class(&self) -> OpClass {
        OpClass::Other
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        broadcast::shape(inputs)
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        "y = a / b".into()
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let of = |input: &Values<'_>| input.data[broadcast::place(at, input.shape, shape)];
        Element::term(of(&inputs[0]) / of(&inputs[1]))
    }
}
