//! The mean over an axis, summed in f64; the axis goes.

use super::definitions::Mean;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values, lines};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for Mean {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (own, x) = (lines::of(inputs[0].shape(), self.axis), slice(inputs[0]));
        let mean = |(outer, inner): (usize, usize)| {
            T::of((0..own.size).map(|along| x[own.at(outer, along, inner)].f64()).sum::<f64>() / own.size as f64)
        };
        let places = (0..own.outer).flat_map(|outer| (0..own.inner).map(move |inner| (outer, inner)));
        Ok((from_vec(shape, places.map(mean).collect()), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let shape = site.inputs[0].shape();
        let (own, size) = (lines::of(shape, self.axis), T::of(shape[self.axis] as f64));
        let g = slice(grad);
        let gx = (0..shape.iter().product()).map(|at| {
            let (outer, _, inner) = own.index(at);
            g[outer * own.inner + inner] / size
        });
        Ok(vec![Some(from_vec(shape, gx.collect()))])
    }
}

impl OpDefinition for Mean {
    fn class(&self) -> OpClass {
        OpClass::Mean
    }

    fn settings(&self) -> String {
        format!("(axis {})", self.axis)
    }

    fn faults(&self) -> Vec<String> {
        lines::fault(self.axis).into_iter().collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        let mut shape = inputs[0].to_vec();
        if *lines::size(&mut shape, self.axis)? == 0 {
            return Err(format!("its input has shape {:?}, there is nothing along axis {}", inputs[0], self.axis));
        }
        shape.remove(self.axis);
        Ok(shape)
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        format!("y = (1/{0}) Σ(i < {0}) x[i along axis {1}]", inputs[0][self.axis], self.axis)
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        let own = lines::of(inputs[0].shape, self.axis);
        Element::sum((0..own.size).map(|along| inputs[0].data[own.at(at / own.inner, along, at % own.inner)] / own.size as f64))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
