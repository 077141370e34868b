//! Phases side by side become one signal: y\[n, c, l·factor + p\] = x\[n, c·factor + p, l\].

use super::definitions::Interleave;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for Interleave {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (x, len, factor) = (inputs[0], inputs[0].shape()[2], self.factor);
        let mut y = vec![T::ZERO; x.len()];
        for (y, x) in y.chunks_mut((len * factor).max(1)).zip(slice(x).chunks((len * factor).max(1))) {
            for (p, phase) in x.chunks(len).enumerate() {
                for (to, from) in y[p..].iter_mut().step_by(factor).zip(phase) {
                    *to = *from;
                }
            }
        }
        Ok((from_vec(shape, y), Saved::Nothing))
    }

    /// The inverse, which is also the adjoint.
    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let (shape, factor) = (site.inputs[0].shape(), self.factor);
        let rows = slice(grad).chunks((shape[2] * factor).max(1));
        let apart = rows.flat_map(|row| (0..factor).flat_map(move |p| row[p..].iter().step_by(factor).copied()));
        Ok(vec![Some(from_vec(shape, apart.collect()))])
    }
}

impl OpDefinition for Interleave {
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
        let factor = self.factor;
        match inputs[0] {
            &[batch, channels, len] if channels % factor == 0 => {
                let long = len.checked_mul(factor).ok_or_else(|| format!("{len} samples times {factor} is too much"))?;
                Ok(vec![batch, channels / factor, long])
            }
            x => Err(format!("its input has shape {x:?}, expected (N, C·{factor}, L)")),
        }
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        format!("y[c, {0}t + p] = x[{0}c + p, t]", self.factor)
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (row, t) = (at / shape[2], at % shape[2]);
        Element::term(inputs[0].data[(row * self.factor + t % self.factor) * inputs[0].shape[2] + t / self.factor])
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
