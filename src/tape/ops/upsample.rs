//! Nearest upsampling: each sample repeated.

use super::definitions::Upsample;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for Upsample {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let repeated = slice(inputs[0]).iter().flat_map(|v| core::iter::repeat_n(*v, self.factor));
        Ok((from_vec(shape, repeated.collect()), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let sums = slice(grad).chunks(self.factor).map(|part| part.iter().copied().sum());
        Ok(vec![Some(from_vec(site.inputs[0].shape(), sums.collect()))])
    }
}

impl OpDefinition for Upsample {
    fn class(&self) -> OpClass {
        OpClass::Movement
    }

    fn settings(&self) -> String {
        format!("({})", self.factor)
    }

    fn faults(&self) -> Vec<String> {
        step_fault("factor", self.factor, 1).into_iter().collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        match inputs[0] {
            &[batch, channels, len] => {
                let long = len.checked_mul(self.factor).ok_or_else(|| format!("{len} samples times {} is too much", self.factor))?;
                Ok(vec![batch, channels, long])
            }
            x => Err(format!("its input has shape {x:?}, expected (N, C, L)")),
        }
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        format!("y[c,t] = x[c, ⌊t / {}⌋]", self.factor)
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (row, t) = (at / shape[2], at % shape[2]);
        Element::term(inputs[0].data[row * inputs[0].shape[2] + t / self.factor])
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
