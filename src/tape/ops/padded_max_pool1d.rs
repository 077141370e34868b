//! The maximum of windows over time; of equal ones the first. What lies around the signal never wins.

use super::definitions::PaddedMaxPool1d;
use super::windows::Windows;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl PaddedMaxPool1d {
    fn windows(&self) -> Windows {
        Windows { size: self.window, stride: self.stride, padding: self.padding, ceil: self.ceil_mode }
    }
}

impl<T: Real> Arithmetic<T> for PaddedMaxPool1d {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (x, len, size) = (slice(inputs[0]), inputs[0].shape()[2], shape.iter().product());
        let (mut y, mut at) = (vec![T::ZERO; size], vec![0; size]);
        let windows: Vec<_> = (0..shape[2]).map(|t| self.windows().at(t, len).0).collect();
        for ((x, y), at) in x.chunks(len).zip(y.chunks_mut(shape[2])).zip(at.chunks_mut(shape[2])) {
            for ((y, at), seen) in y.iter_mut().zip(at).zip(&windows) {
                let first = (x[seen.start], seen.start);
                let better = |best: (T, usize), (place, value): (usize, &T)| if value.beats(best.0) { (*value, place) } else { best };
                let (value, place) = (seen.start..).zip(&x[seen.clone()]).fold(first, better);
                (*y, *at) = (value, place as u32);
            }
        }
        Ok((from_vec(shape, y), Saved::ArgMax(at)))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        super::windows::max_vjp(site, grad)
    }
}

impl OpDefinition for PaddedMaxPool1d {
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
        format!("y[c,t] = max(j < {}) x[c, {}], −∞ around x", self.window, self.windows().place())
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (len, row, t) = (inputs[0].shape[2], at / shape[2], at % shape[2]);
        let place = |j: usize| (t * self.stride + j).checked_sub(self.padding.0).filter(|place| *place < len);
        let seen = (0..self.window).filter_map(place).map(|place| inputs[0].data[row * len + place]);
        Element::term(seen.fold(f64::NEG_INFINITY, |most, v| if v.beats(most) { v } else { most }))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
