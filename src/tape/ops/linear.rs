//! The linear layer: y = x · wᵀ + b.

use super::definitions::Linear;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

/// y ← x · wᵀ + b for `batch` rows of x and y.
pub(crate) fn dense<T: Real>(batch: usize, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) {
    let (features, outputs) = (x.len() / batch.max(1), y.len() / batch.max(1));
    match bias {
        Some(bias) => y.chunks_exact_mut(outputs.max(1)).for_each(|y| y.copy_from_slice(bias)),
        None => y.fill(T::ZERO),
    }
    T::gemm(batch, features, outputs, T::ONE, (x, features, 1), (w, 1, features), T::ONE, (y, outputs, 1));
}

impl<T: Real> Arithmetic<T> for Linear {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let mut y = vec![T::ZERO; shape[0] * shape[1]];
        dense(shape[0], slice(inputs[0]), slice(inputs[1]), inputs.get(2).map(|bias| slice(bias)), &mut y);
        Ok((from_vec(shape, y), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let (x, weight) = (site.inputs[0], site.inputs[1]);
        let (batch, features, outputs) = (x.shape()[0], x.shape()[1], weight.shape()[0]);
        let product = |m: usize, k: usize, n: usize, a: (&[T], usize, usize), b: (&[T], usize, usize)| {
            let mut c = vec![T::ZERO; m * n];
            T::gemm(m, k, n, T::ONE, a, b, T::ZERO, (&mut c, n, 1));
            from_vec(&[m, n], c)
        };
        let g = slice(grad);
        let gx = site.needs[0].then(|| product(batch, outputs, features, (g, outputs, 1), (slice(weight), features, 1)));
        let gw = site.needs[1].then(|| product(outputs, batch, features, (g, 1, outputs), (slice(x), features, 1)));
        let mut all = vec![gx, gw];
        if let Some(need) = site.needs.get(2) {
            let sum = |o: usize| T::of((0..batch).map(|n| g[n * outputs + o].f64()).sum());
            all.push(need.then(|| from_vec(&[outputs], (0..outputs).map(sum).collect())));
        }
        Ok(all)
    }
}

impl OpDefinition for Linear {
    fn class(&self) -> OpClass {
        OpClass::Dense
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn signals(&self, _inputs: usize) -> usize {
        1
    }

    fn scales_by_output(&self) -> bool {
        true
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        let (&[batch, features], &[outputs, w_features]) = (inputs[0], inputs[1]) else {
            return Err(format!("input {:?} or weight {:?} is not of two axes", inputs[0], inputs[1]));
        };
        if features != w_features {
            return Err(format!("the weight takes {w_features} features, the input has {features}"));
        }
        match inputs.get(2).filter(|bias| **bias != [outputs]) {
            Some(bias) => Err(format!("the bias has shape {bias:?}, expected [{outputs}]")),
            None => Ok(vec![batch, outputs]),
        }
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        let bias = if inputs.len() > 2 { " + b[o]" } else { "" };
        format!("y[o] = Σ(i < {}) w[o,i] · x[i]{bias}", inputs[1][1])
    }

    fn letters(&self) -> &'static [&'static str] {
        &["w", "b"]
    }

    fn element(&self, inputs: &[Values<'_>], _shape: &[usize], at: usize) -> Element {
        let (outputs, features) = (inputs[1].shape[0], inputs[1].shape[1]);
        let (x, w) = (&inputs[0].data[at / outputs * features..][..features], &inputs[1].data[at % outputs * features..][..features]);
        let bias = inputs.get(2).map(|bias| bias.data[at % outputs]);
        Element::sum(x.iter().zip(w).map(|(x, w)| x * w).chain(bias))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Dense)
    }
}
