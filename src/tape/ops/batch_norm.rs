//! Batch normalisation on the tape (Ioffe & Szegedy 2015): batch statistics in training, running ones in evaluation.

use super::definitions::BatchNorm;
use super::{Arithmetic, Context, Element, Initial, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Mode, Real, Saved, Site, Tensor, from_vec, slice};
use cardiograd_kernels::batch_norm;

impl<T: Real> Arithmetic<T> for BatchNorm {
    fn forward(&self, inputs: &[&Tensor<T>], _shape: &[usize], context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok(forward(self.eps, inputs, context.mode))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(vjp(self.eps, site, grad))
    }
}

impl OpDefinition for BatchNorm {
    fn class(&self) -> OpClass {
        OpClass::Normalisation
    }

    fn arity(&self) -> (usize, usize) {
        (5, 5)
    }

    fn signals(&self, _inputs: usize) -> usize {
        1
    }

    fn settings(&self) -> String {
        format!("(eps {}, momentum {})", self.eps, self.momentum)
    }

    fn faults(&self) -> Vec<String> {
        let BatchNorm { eps, momentum } = self;
        let sound = *eps >= 0.0 && eps.is_finite() && (0.0..=1.0).contains(momentum);
        if sound { Vec::new() } else { vec![format!("eps {eps}, momentum {momentum}")] }
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        if inputs[0].len() < 2 {
            return Err(format!("its input has shape {:?}, expected (N, C) or (N, C, L)", inputs[0]));
        }
        let channels = inputs[0][1];
        match inputs[1..].iter().find(|shape| ***shape != [channels]) {
            Some(found) => Err(format!("the input has {channels} channels, a parameter has shape {found:?}")),
            None => Ok(inputs[0].to_vec()),
        }
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        format!("y[c,t] = γ[c] · (x[c,t] − μ[c]) / √(σ²[c] + {}) + β[c]", self.eps)
    }

    fn letters(&self) -> &'static [&'static str] {
        &["γ", "β", "μ", "σ²"]
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let c = at / shape.get(2).copied().unwrap_or(1) % inputs[1].data.len();
        let scale = inputs[1].data[c] / (inputs[4].data[c] + self.eps).sqrt();
        Element::sum([inputs[0].data[at] * scale, -inputs[3].data[c] * scale, inputs[2].data[c]])
    }

    fn initial(&self, at: usize) -> Option<Initial> {
        Some(Initial::Value(if at == 1 || at == 4 { 1.0 } else { 0.0 }))
    }

    fn lowering(&self, inputs: &[&[usize]]) -> Option<Lowering> {
        Some(if inputs[0].len() == 3 { Lowering::Affine(self.eps) } else { Lowering::Own })
    }
}

/// Channels and samples per channel of (N, C) or (N, C, L).
fn layout<T: Real>(x: &Tensor<T>) -> (usize, usize) {
    (x.shape()[1], x.shape()[2..].iter().product())
}

/// Mean and variance that a run used: the batch's if they were saved, else the running ones.
fn statistics<T: Real>(saved: &Saved, inputs: &[&Tensor<T>]) -> (Vec<f64>, Vec<f64>) {
    match saved {
        Saved::Statistics { mean, variance, .. } => (mean.clone(), variance.clone()),
        _ => {
            let of = |at: usize| slice(inputs[at]).iter().map(|v| v.f64()).collect();
            (of(3), of(4))
        }
    }
}

fn forward<T: Real>(eps: f64, inputs: &[&Tensor<T>], mode: Mode) -> (Tensor<T>, Saved) {
    let x = inputs[0];
    let (channels, len) = layout(x);
    let saved = match mode {
        Mode::Evaluation => Saved::Nothing,
        Mode::Training => {
            let (mean, variance) = batch_norm::statistics(channels, len, slice(x));
            Saved::Statistics { mean, variance, count: x.shape()[0] * len }
        }
    };
    let (mean, variance) = statistics(&saved, inputs);
    let (gamma, beta) = (slice(inputs[1]), slice(inputs[2]));
    let scale: Vec<f64> = (0..channels).map(|c| gamma[c].f64() / (variance[c] + eps).sqrt()).collect();
    let shift: Vec<T> = (0..channels).map(|c| T::of(beta[c].f64() - mean[c] * scale[c])).collect();
    let scale: Vec<T> = scale.into_iter().map(T::of).collect();
    let mut y = vec![T::ZERO; x.len()];
    batch_norm::affine(channels, len, slice(x), &scale, &shift, &mut y);
    (from_vec(x.shape(), y), saved)
}

/// In evaluation the statistics are constants of the network, so the op is affine. In training they depend on x:
/// gx = γ/σ (g − mean(g) − x̂ · mean(g · x̂)).
fn vjp<T: Real>(eps: f64, site: &Site<'_, T>, grad: &Tensor<T>) -> Vec<Option<Tensor<T>>> {
    let x = site.inputs[0];
    let (channels, len) = layout(x);
    let (mean, variance) = statistics(site.saved, &site.inputs);
    let training = matches!(site.saved, Saved::Statistics { .. });
    let inv_std: Vec<f64> = variance.iter().map(|v| 1.0 / (v + eps).sqrt()).collect();
    let gamma: Vec<f64> = slice(site.inputs[1]).iter().map(|v| v.f64()).collect();
    let sums = (training || site.needs[1..].contains(&true))
        .then(|| batch_norm::gradient_sums(channels, len, slice(x), slice(grad), &mean, &inv_std));
    let gx = site.needs[0].then(|| {
        let count = (x.shape()[0] * len) as f64;
        let scale = |c: usize| gamma[c] * inv_std[c];
        let mut gx = vec![T::ZERO; x.len()];
        match (&sums, training) {
            (Some((sum, product)), true) => {
                let coefficients = (0..channels).map(|c| {
                    let b = -scale(c) * product[c] / count * inv_std[c];
                    (T::of(scale(c)), T::of(b), T::of(-scale(c) * sum[c] / count - b * mean[c]))
                });
                batch_norm::combine(channels, len, &coefficients.collect::<Vec<_>>(), slice(grad), slice(x), &mut gx);
            }
            // The factor alone: nothing is added, for an x that is infinite has no part in it, and −0 adds nothing even to −0.
            _ => {
                let scales: Vec<T> = (0..channels).map(|c| T::of(scale(c))).collect();
                batch_norm::affine(channels, len, slice(grad), &scales, &vec![-T::ZERO; channels], &mut gx);
            }
        }
        from_vec(x.shape(), gx)
    });
    let mut all = vec![gx, None, None, None, None];
    let Some((sum, product)) = sums else { return all };
    let per_channel = |f: &dyn Fn(usize) -> f64| from_vec(&[channels], (0..channels).map(|c| T::of(f(c))).collect());
    all[1] = site.needs[1].then(|| per_channel(&|c| product[c]));
    all[2] = site.needs[2].then(|| per_channel(&|c| sum[c]));
    if !training {
        all[3] = site.needs[3].then(|| per_channel(&|c| -gamma[c] * inv_std[c] * sum[c]));
        all[4] = site.needs[4].then(|| per_channel(&|c| -0.5 * gamma[c] * inv_std[c].powi(2) * product[c]));
    }
    all
}
