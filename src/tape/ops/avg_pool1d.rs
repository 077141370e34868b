//! The mean of windows over time.

use super::definitions::AvgPool1d;
use super::windows::Windows;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};
use cardiograd_kernels::pool;

impl AvgPool1d {
    fn windows(&self) -> Windows {
        Windows::plain(self.window, self.stride)
    }
}

impl<T: Real> Arithmetic<T> for AvgPool1d {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let x = inputs[0];
        let mut y = vec![T::ZERO; shape.iter().product()];
        pool::average(x.shape()[2], self.window, self.stride, slice(x), &mut y);
        Ok((from_vec(shape, y), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let x = site.inputs[0].shape();
        let mut gx = vec![T::ZERO; x.iter().product()];
        pool::average_grad(x[2], self.window, self.stride, slice(grad), &mut gx);
        Ok(vec![Some(from_vec(x, gx))])
    }
}

impl OpDefinition for AvgPool1d {
    fn class(&self) -> OpClass {
        OpClass::Mean
    }

    fn settings(&self) -> String {
        self.windows().settings()
    }

    fn faults(&self) -> Vec<String> {
        self.windows().faults()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        self.windows().shape(inputs[0])
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        format!("y[c,t] = (1/{0}) Σ(j < {0}) x[c, {1}]", self.window, self.windows().place())
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (len, row, t) = (inputs[0].shape[2], at / shape[2], at % shape[2]);
        Element::sum((0..self.window).map(|j| inputs[0].data[row * len + t * self.stride + j] / self.window as f64))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Average(self.window, self.stride))
    }
}
