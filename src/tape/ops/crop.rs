//! A part of an axis, every so many elements.

use super::definitions::Crop;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values, lines};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for Crop {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (own, part) = (lines::of(inputs[0].shape(), self.axis), lines::of(shape, self.axis));
        let x = slice(inputs[0]);
        let rows = (0..part.outer).flat_map(|outer| (0..part.size).map(move |along| (outer, along)));
        let y = rows.flat_map(|(outer, along)| x[own.at(outer, self.before + along * self.step, 0)..][..own.inner].iter().copied());
        Ok((from_vec(shape, y.collect()), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let shape = site.inputs[0].shape();
        let (own, part) = (lines::of(shape, self.axis), lines::of(grad.shape(), self.axis));
        let mut gx = vec![T::ZERO; shape.iter().product()];
        for (row, g) in slice(grad).chunks(part.inner.max(1)).enumerate() {
            let (outer, along) = (row / part.size, row % part.size);
            gx[own.at(outer, self.before + along * self.step, 0)..][..own.inner].copy_from_slice(g);
        }
        Ok(vec![Some(from_vec(shape, gx))])
    }
}

impl OpDefinition for Crop {
    fn class(&self) -> OpClass {
        OpClass::Movement
    }

    fn settings(&self) -> String {
        format!("(axis {}, without {}+{}, step {})", self.axis, self.before, self.after, self.step)
    }

    fn faults(&self) -> Vec<String> {
        let steps = [("before", self.before, 0), ("after", self.after, 0), ("step", self.step, 1)];
        steps.into_iter().filter_map(|(what, value, least)| step_fault(what, value, least)).chain(lines::fault(self.axis)).collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        let mut shape = inputs[0].to_vec();
        let size = lines::size(&mut shape, self.axis)?;
        match size.checked_sub(self.before).and_then(|size| size.checked_sub(self.after)) {
            None | Some(0) => return Err(format!("{size} elements less {}+{} leave none", self.before, self.after)),
            Some(left) => *size = left.div_ceil(self.step),
        }
        Ok(shape)
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        let every = if self.step == 1 { String::new() } else { format!(", of the rest one in {}", self.step) };
        format!("y = x without the first {} and the last {} along axis {}{every}", self.before, self.after, self.axis)
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (outer, along, inner) = lines::of(shape, self.axis).index(at);
        Element::term(inputs[0].data[lines::of(inputs[0].shape, self.axis).at(outer, self.before + along * self.step, inner)])
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
