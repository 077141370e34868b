//! eˣ / Σ eˣ along an axis.

use super::definitions::Softmax;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values, lines};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};
use cardiograd_kernels::elementary;

impl<T: Real> Arithmetic<T> for Softmax {
    /// In f64, with the largest taken off first, so that nothing overflows.
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let (own, x) = (lines::of(shape, self.axis), slice(inputs[0]));
        let mut y = vec![T::ZERO; x.len()];
        for (outer, inner) in (0..own.outer).flat_map(|outer| (0..own.inner).map(move |inner| (outer, inner))) {
            let at = |along: usize| own.at(outer, along, inner);
            let most = (0..own.size).fold(f64::NEG_INFINITY, |most, along| most.max(x[at(along)].f64()));
            let exponential = |along: usize| elementary::exp(x[at(along)].f64() - most);
            let sum: f64 = (0..own.size).map(exponential).sum();
            (0..own.size).for_each(|along| y[at(along)] = T::of(exponential(along) / sum));
        }
        Ok((from_vec(shape, y), Saved::Nothing))
    }

    /// gx = y (g − Σ g y).
    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let (own, y, g) = (lines::of(grad.shape(), self.axis), slice(site.output), slice(grad));
        let mut gx = vec![T::ZERO; y.len()];
        for (outer, inner) in (0..own.outer).flat_map(|outer| (0..own.inner).map(move |inner| (outer, inner))) {
            let at = |along: usize| own.at(outer, along, inner);
            let dot: f64 = (0..own.size).map(|along| g[at(along)].f64() * y[at(along)].f64()).sum();
            (0..own.size).for_each(|along| gx[at(along)] = T::of(y[at(along)].f64() * (g[at(along)].f64() - dot)));
        }
        Ok(vec![Some(from_vec(grad.shape(), gx))])
    }
}

impl OpDefinition for Softmax {
    fn class(&self) -> OpClass {
        OpClass::Other
    }

    fn settings(&self) -> String {
        format!("(axis {})", self.axis)
    }

    fn faults(&self) -> Vec<String> {
        lines::fault(self.axis).into_iter().collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        let mut shape = inputs[0].to_vec();
        lines::size(&mut shape, self.axis)?;
        Ok(shape)
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        format!("y = eˣ / Σ(i < {}) eˣ[i along axis {}]", inputs[0][self.axis], self.axis)
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let own = lines::of(shape, self.axis);
        let (outer, along, inner) = own.index(at);
        let x = |along: usize| inputs[0].data[own.at(outer, along, inner)];
        let sum: f64 = (0..own.size).map(|other| elementary::exp(x(other) - x(along))).sum();
        Element::of_scale(1.0 / sum, 1.0)
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
