//! x where x > 0, else slope · x.

use super::definitions::LeakyRelu;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Piece, Problem, Values, elementwise};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};

impl<T: Real> Arithmetic<T> for LeakyRelu {
    fn forward(&self, inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let slope = T::of(self.slope);
        Ok((elementwise::map(inputs[0], |x| if x > T::ZERO { x } else { slope * x }), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let slope = T::of(self.slope);
        Ok(vec![Some(elementwise::zip(grad, site.inputs[0], |g, x| if x > T::ZERO { g } else { slope * g }))])
    }
}

impl OpDefinition for LeakyRelu {
    fn class(&self) -> OpClass {
        OpClass::Activation
    }

    fn settings(&self) -> String {
        format!("({})", self.slope)
    }

    fn faults(&self) -> Vec<String> {
        if self.slope.is_finite() { Vec::new() } else { vec![format!("slope {}", self.slope)] }
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        Ok(inputs[0].to_vec())
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        format!("y = x where x > 0, else {} · x", self.slope)
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        let x = inputs[0].data[at];
        Element::term(if x > 0.0 { x } else { self.slope * x })
    }

    fn pieces(&self) -> Vec<Piece> {
        vec![Piece { up_to: 0.0, slope: Some(self.slope) }, Piece { up_to: f64::INFINITY, slope: Some(1.0) }]
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
