//! The mean over all time, summed in f64.

use super::definitions::GlobalAvgPool;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for GlobalAvgPool {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let len = inputs[0].shape()[2];
        let mean = |row: &[T]| T::of(row.iter().map(|v| v.f64()).sum::<f64>() / len as f64);
        Ok((from_vec(shape, slice(inputs[0]).chunks(len).map(mean).collect()), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let x = site.inputs[0].shape();
        let len = T::of(x[2] as f64);
        Ok(vec![Some(from_vec(x, slice(grad).iter().flat_map(|g| core::iter::repeat_n(*g / len, x[2])).collect()))])
    }
}

impl OpDefinition for GlobalAvgPool {
    fn class(&self) -> OpClass {
        OpClass::Mean
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        match inputs[0] {
            &[batch, channels, len] if len > 0 => Ok(vec![batch, channels]),
            x => Err(format!("its input has shape {x:?}, expected (N, C, L)")),
        }
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        format!("y[c] = (1/{0}) Σ(t < {0}) x[c,t]", inputs[0].get(2).copied().unwrap_or(1))
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        let len = inputs[0].shape[2];
        Element::sum(inputs[0].data[at * len..][..len].iter().map(|v| v / len as f64))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Mean)
    }
}
