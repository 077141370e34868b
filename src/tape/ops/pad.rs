//! A value put before and behind an axis.

use super::definitions::Pad;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values, lines};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for Pad {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (own, whole) = (lines::of(inputs[0].shape(), self.axis), lines::of(shape, self.axis));
        let mut y = vec![T::of(self.value); shape.iter().product()];
        for (y, x) in y.chunks_mut(whole.block().max(1)).zip(slice(inputs[0]).chunks(own.block().max(1))) {
            y[self.before * own.inner..][..x.len()].copy_from_slice(x);
        }
        Ok((from_vec(shape, y), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let x = site.inputs[0].shape();
        let (own, whole) = (lines::of(x, self.axis), lines::of(grad.shape(), self.axis));
        let parts = slice(grad).chunks(whole.block().max(1)).flat_map(|g| g[self.before * own.inner..][..own.block()].iter().copied());
        Ok(vec![Some(from_vec(x, parts.collect()))])
    }
}

impl OpDefinition for Pad {
    fn class(&self) -> OpClass {
        OpClass::Movement
    }

    fn settings(&self) -> String {
        format!("(axis {}, {}+{} of {})", self.axis, self.before, self.after, self.value)
    }

    fn faults(&self) -> Vec<String> {
        let value = (!self.value.is_finite()).then(|| format!("value {}", self.value));
        let sides = [("before", self.before, 0), ("after", self.after, 0)];
        let sides = sides.into_iter().filter_map(|(what, value, least)| step_fault(what, value, least));
        sides.chain(value).chain(lines::fault(self.axis)).collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        let mut shape = inputs[0].to_vec();
        let size = lines::size(&mut shape, self.axis)?;
        let padded = size.checked_add(self.before).and_then(|size| size.checked_add(self.after));
        *size = padded.ok_or_else(|| format!("{size} elements with padding {}+{} are too many", self.before, self.after))?;
        Ok(shape)
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        format!("y = x with {} times {} before and {} behind along axis {}", self.before, self.value, self.after, self.axis)
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (own, whole) = (lines::of(inputs[0].shape, self.axis), lines::of(shape, self.axis));
        let (outer, along, inner) = whole.index(at);
        let found = along.checked_sub(self.before).filter(|along| *along < own.size);
        Element::term(found.map_or(self.value, |along| inputs[0].data[own.at(outer, along, inner)]))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
