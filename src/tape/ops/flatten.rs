//! (N, C, L) → (N, C·L).

use super::definitions::Flatten;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::shape::elements;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for Flatten {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((from_vec(shape, slice(inputs[0]).to_vec()), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(vec![Some(from_vec(site.inputs[0].shape(), slice(grad).to_vec()))])
    }
}

impl OpDefinition for Flatten {
    fn class(&self) -> OpClass {
        OpClass::Movement
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        match inputs[0] {
            [batch, rest @ ..] if !rest.is_empty() => {
                let features = elements(rest, 1).ok_or_else(|| format!("its input has shape {:?}, too much to flatten", inputs[0]))?;
                Ok(vec![*batch, features])
            }
            x => Err(format!("its input has shape {x:?}, expected (N, C, L)")),
        }
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        "y = x, channels one after another".into()
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        Element::term(inputs[0].data[at])
    }

    /// Features are flat already.
    fn lowering(&self, inputs: &[&[usize]]) -> Option<Lowering> {
        Some(if inputs[0].len() == 2 { Lowering::Same } else { Lowering::Own })
    }
}
