//! The mean of windows over time, with zeros around the signal.

use super::definitions::PaddedAvgPool1d;
use super::windows::Windows;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl PaddedAvgPool1d {
    fn windows(&self) -> Windows {
        Windows { size: self.window, stride: self.stride, padding: self.padding, ceil: self.ceil_mode }
    }

    /// What the sum of a window that sees so many samples and covers so many places is divided by.
    fn divisor(&self, seen: usize, covered: usize) -> usize {
        if self.count_include_pad { covered } else { seen }
    }
}

impl<T: Real> Arithmetic<T> for PaddedAvgPool1d {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (x, len) = (slice(inputs[0]), inputs[0].shape()[2]);
        let mut y = vec![T::ZERO; shape.iter().product()];
        for (x, y) in x.chunks(len).zip(y.chunks_mut(shape[2])) {
            for (t, y) in y.iter_mut().enumerate() {
                let (seen, covered) = self.windows().at(t, len);
                let divisor = T::of(self.divisor(seen.len(), covered) as f64);
                *y = x[seen].iter().copied().sum::<T>() / divisor;
            }
        }
        Ok((from_vec(shape, y), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let x = site.inputs[0].shape();
        let mut gx = vec![T::ZERO; x.iter().product()];
        for (gx, g) in gx.chunks_mut(x[2]).zip(slice(grad).chunks(grad.shape()[2])) {
            for (t, g) in g.iter().enumerate() {
                let (seen, covered) = self.windows().at(t, x[2]);
                let share = *g / T::of(self.divisor(seen.len(), covered) as f64);
                gx[seen].iter_mut().for_each(|gx| *gx += share);
            }
        }
        Ok(vec![Some(from_vec(x, gx))])
    }
}

impl OpDefinition for PaddedAvgPool1d {
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
        let place = self.windows().place();
        match self.count_include_pad {
            true => format!("y[c,t] = (1/{0}) Σ(j < {0}) x[c, {place}], zeros around x", self.window),
            false => format!("y[c,t] = mean of those of x[c, {place}], j < {}, that are there", self.window),
        }
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (len, row, t) = (inputs[0].shape[2], at / shape[2], at % shape[2]);
        let place = |j: usize| (t * self.stride + j).checked_sub(self.padding.0).filter(|place| *place < len);
        let seen = (0..self.window).filter_map(place);
        let covered = self.window.min(len + self.padding.0 + self.padding.1 - t * self.stride);
        let divisor = self.divisor(seen.clone().count(), covered) as f64;
        Element::sum(seen.map(|place| inputs[0].data[row * len + place] / divisor))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
