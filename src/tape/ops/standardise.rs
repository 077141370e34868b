//! What layer, group and instance normalisation share: blocks of neighbouring values are brought to mean 0 and variance 1, then scaled and shifted.
//! The statistics are those of the example itself, in training as in evaluation.

use super::{Element, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

/// Blocks of `size` values, and which of `count` factors and shifts an element has.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    pub size: usize,
    pub count: usize,
    /// Neighbouring elements that share a factor.
    pub run: usize,
    pub eps: f64,
}

impl Blocks {
    fn parameter(&self, at: usize) -> usize {
        at / self.run % self.count
    }

    /// Mean and 1 / √(σ² + ε) of a block.
    fn statistics(&self, block: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let n = self.size as f64;
        let mean = block.clone().sum::<f64>() / n;
        (mean, 1.0 / (block.map(|v| (v - mean).powi(2)).sum::<f64>() / n + self.eps).sqrt())
    }

    /// That weight and bias, where they are given, have a value for each.
    pub fn check(&self, inputs: &[&[usize]], expected: &[usize]) -> Problem<()> {
        match inputs[1..].iter().find(|shape| *shape != &expected) {
            Some(found) if inputs.len() == 3 => Err(format!("a parameter has shape {found:?}, expected {expected:?}")),
            None if inputs.len() != 2 => Ok(()),
            _ => Err("it has a weight and no bias: it takes both, or neither".into()),
        }
    }

    pub fn forward<T: Real>(&self, inputs: &[&Tensor<T>]) -> (Tensor<T>, Saved) {
        let scales = inputs.get(1).zip(inputs.get(2)).map(|(w, b)| (slice(w), slice(b)));
        let mut y = slice(inputs[0]).to_vec();
        for (index, block) in y.chunks_mut(self.size.max(1)).enumerate() {
            let (mean, inverse) = self.statistics(block.iter().map(|v| v.f64()));
            for (at, v) in block.iter_mut().enumerate() {
                let p = self.parameter(index * self.size + at);
                let unit = (v.f64() - mean) * inverse;
                *v = T::of(scales.map_or(unit, |(w, b)| w[p].f64() * unit + b[p].f64()));
            }
        }
        (from_vec(inputs[0].shape(), y), Saved::Nothing)
    }

    /// With h = γ g: gx = (h − mean h − x̂ · mean(h x̂)) / σ; gγ = Σ g x̂, gβ = Σ g.
    pub fn vjp<T: Real>(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let weight = site.inputs.get(1).map(|w| slice(w));
        let (mut gx, n) = (Vec::with_capacity(grad.len()), self.size as f64);
        let (mut for_weight, mut for_bias) = (vec![0.0; self.count], vec![0.0; self.count]);
        let blocks = slice(site.inputs[0]).chunks(self.size.max(1)).zip(slice(grad).chunks(self.size.max(1)));
        for (index, (x, g)) in blocks.enumerate() {
            let (mean, inverse) = self.statistics(x.iter().map(|v| v.f64()));
            let at = |at: usize| self.parameter(index * self.size + at);
            let unit: Vec<f64> = x.iter().map(|v| (v.f64() - mean) * inverse).collect();
            let h: Vec<f64> = g.iter().enumerate().map(|(i, g)| g.f64() * weight.map_or(1.0, |w| w[at(i)].f64())).collect();
            let mean_h = h.iter().sum::<f64>() / n;
            let mean_product = h.iter().zip(&unit).map(|(h, u)| h * u).sum::<f64>() / n;
            gx.extend(h.iter().zip(&unit).map(|(h, u)| T::of((h - mean_h - u * mean_product) * inverse)));
            for (i, g) in g.iter().enumerate() {
                for_weight[at(i)] += g.f64() * unit[i];
                for_bias[at(i)] += g.f64();
            }
        }
        let mut all = vec![site.needs[0].then(|| from_vec(grad.shape(), gx))];
        for (at, sums) in [for_weight, for_bias].into_iter().enumerate().take(site.inputs.len() - 1) {
            let sums = || sums.into_iter().map(T::of).collect();
            all.push(site.needs[at + 1].then(|| from_vec(site.inputs[at + 1].shape(), sums())));
        }
        Ok(all)
    }

    pub fn element(&self, inputs: &[Values<'_>], at: usize) -> Element {
        let block = &inputs[0].data[at / self.size * self.size..][..self.size];
        let n = self.size as f64;
        let mean = block.iter().sum::<f64>() / n;
        let variance = block.iter().map(|v| v * v).sum::<f64>() / n - mean * mean;
        let unit = (inputs[0].data[at] - mean) / (variance + self.eps).sqrt();
        // Rounding of the statistics shows in the value by as much as the values are larger than their spread.
        let loud = 1.0 + block.iter().fold(0.0f64, |most, v| most.max(v.abs())) / (variance + self.eps).sqrt();
        let p = self.parameter(at);
        let (w, b) = (inputs.get(1).map_or(1.0, |w| w.data[p]), inputs.get(2).map_or(0.0, |b| b.data[p]));
        Element::of_scale(w * unit + b, w.abs() * loud * loud + b.abs())
    }
}

/// What is wrong with an ε.
pub(super) fn eps_fault(eps: f64) -> Option<String> {
    (!(eps > 0.0 && eps.is_finite())).then(|| format!("eps {eps}, a number above 0 is needed"))
}
