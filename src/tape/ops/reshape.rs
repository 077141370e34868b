//! The same values in the same order, under another shape.

use super::definitions::Reshape;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::shape::elements;
use crate::tape::limits::{MOST_VALUES, shape_fault};
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for Reshape {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((from_vec(shape, slice(inputs[0]).to_vec()), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(vec![Some(from_vec(site.inputs[0].shape(), slice(grad).to_vec()))])
    }
}

impl OpDefinition for Reshape {
    fn class(&self) -> OpClass {
        OpClass::Movement
    }

    fn settings(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(|n| n.map_or("rest".into(), |n| n.to_string())).collect();
        format!("({})", sizes.join(", "))
    }

    fn faults(&self) -> Vec<String> {
        let known: Vec<usize> = self.shape.iter().flatten().copied().collect();
        let one = (known.len() + 1 < self.shape.len()).then(|| format!("shape {:?}: one size may be left open", self.shape));
        shape_fault(&format!("{:?}", self.shape), &known, MOST_VALUES).into_iter().chain(one).collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        let fail = || format!("its input has shape {:?}, an example of which does not fill {}", inputs[0], self.settings());
        let [batch, example @ ..] = inputs[0] else { return Err(fail()) };
        let known: Vec<usize> = self.shape.iter().flatten().copied().collect();
        let (all, known) = (elements(example, 1).ok_or_else(fail)?, elements(&known, 1).ok_or_else(fail)?);
        let open = all / known.max(1);
        let shape: Vec<usize> = self.shape.iter().map(|size| size.unwrap_or(open)).collect();
        if elements(&shape, 1) != Some(all) {
            return Err(fail());
        }
        Ok(core::iter::once(*batch).chain(shape).collect())
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        format!("y = x as {}", OpDefinition::settings(self))
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        Element::term(inputs[0].data[at])
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
