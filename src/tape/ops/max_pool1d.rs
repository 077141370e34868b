//! The maximum of windows over time; of equal ones the first.

use super::definitions::MaxPool1d;
use super::windows::Windows;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};
use cardiograd_kernels::pool;

impl MaxPool1d {
    fn windows(&self) -> Windows {
        Windows::plain(self.window, self.stride)
    }
}

impl<T: Real> Arithmetic<T> for MaxPool1d {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (x, size) = (inputs[0], shape.iter().product());
        let (mut y, mut at) = (vec![T::ZERO; size], vec![0; size]);
        pool::max(x.shape()[2], self.window, self.stride, slice(x), &mut y, &mut at);
        Ok((from_vec(shape, y), Saved::ArgMax(at)))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        super::windows::max_vjp(site, grad)
    }
}

impl OpDefinition for MaxPool1d {
    fn class(&self) -> OpClass {
        OpClass::Selection
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
        format!("y[c,t] = max(j < {}) x[c, {}]", self.window, self.windows().place())
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (len, row, t) = (inputs[0].shape[2], at / shape[2], at % shape[2]);
        let window = &inputs[0].data[row * len + t * self.stride..][..self.window];
        Element::term(window.iter().fold(f64::NEG_INFINITY, |most, v| if v.beats(most) { *v } else { most }))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Max(self.window, self.stride))
    }
}
