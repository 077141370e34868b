//! max(x, 0).

use super::definitions::Relu;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Piece, Problem, Values, elementwise};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};

impl<T: Real> Arithmetic<T> for Relu {
    fn forward(&self, inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        // Written so that NaN passes and is seen at the output.
        Ok((elementwise::map(inputs[0], |x| if x <= T::ZERO { T::ZERO } else { x }), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(vec![Some(elementwise::zip(grad, site.inputs[0], |g, x| if x > T::ZERO { g } else { T::ZERO }))])
    }
}

impl OpDefinition for Relu {
    fn class(&self) -> OpClass {
        OpClass::Activation
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        Ok(inputs[0].to_vec())
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        "y = max(x, 0)".into()
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        let x = inputs[0].data[at];
        Element::term(if x <= 0.0 { 0.0 } else { x })
    }

    fn pieces(&self) -> Vec<Piece> {
        vec![Piece { up_to: 0.0, slope: Some(0.0) }, Piece { up_to: f64::INFINITY, slope: Some(1.0) }]
    }

    fn lowering(&self, inputs: &[&[usize]]) -> Option<Lowering> {
        Some(if inputs[0].len() == 3 { Lowering::Relu } else { Lowering::Own })
    }
}
