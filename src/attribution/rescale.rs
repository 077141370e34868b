//! DeepLIFT's rescale rule (Shrikumar et al. 2017, section 3.5.1): through a nonlinearity y = f(x) the multiplier is Δy / Δx, the
//! differences being taken from a reference run. Linear ops need no rule: their derivative already is their multiplier.

use crate::Result;
use crate::tape::{Node, OpKind, Program, Real, ReluRule, Rule, Site, Tensor, from_vec, slice};
use serde::{Deserialize, Serialize};

/// Below this |Δx| the plain derivative stands for the quotient.
const NEAR: f64 = 1e-10;

/// What DeepLIFT does at a max-pool that directly follows an activation function, as in conv → ReLU → max-pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxPoolRule {
    /// The plain derivative. This is what Captum 0.9 computes there: the activation's backward hook reads the gradient before the pool's
    /// hook has replaced it. Maps agree with Captum's, and are not complete.
    #[default]
    Captum,
    /// The rescale rule, as everywhere else: complete.
    Exact,
}

/// The rescale rule for ReLU, leaky ReLU, tanh, sigmoid, max-pooling and products of two signals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rescale;

impl Rescale {
    /// The ops that are not linear in their signals, and so need this rule.
    pub const KINDS: [OpKind; 6] = [OpKind::Relu, OpKind::LeakyRelu, OpKind::Tanh, OpKind::Sigmoid, OpKind::MaxPool1d, OpKind::Multiply];

    /// The max-pools on the way from input to output that directly follow an activation function.
    pub fn pools_after_activations(program: &Program) -> Vec<&Node> {
        let activation = |kind: OpKind| matches!(kind, OpKind::Relu | OpKind::LeakyRelu | OpKind::Tanh | OpKind::Sigmoid);
        let follows = |node: &&Node| node.op.kind() == OpKind::MaxPool1d && activation(program.node(node.inputs[0]).op.kind());
        program.nodes().iter().zip(program.on_path()).filter(|(_, on_path)| *on_path).map(|(node, _)| node).filter(follows).collect()
    }
}

impl<T: Real> Rule<T> for Rescale {
    fn propagate(&self, site: &Site<'_, T>, grad_out: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let Some((inputs, output)) = &site.reference else { return Err(site.error("the rescale rule needs a reference run")) };
        let batch = site.output.shape()[0];
        if output.shape()[0] != 1 && output.shape()[0] != batch {
            return Err(site.error(format!("the reference run has a batch of {}, expected 1 or {batch}", output.shape()[0])));
        }
        match site.op().kind() {
            OpKind::Relu | OpKind::LeakyRelu | OpKind::Tanh | OpKind::Sigmoid => elementwise(site, inputs[0], output, grad_out),
            OpKind::MaxPool1d => max_pool(site, inputs[0], output, grad_out),
            OpKind::Multiply => Ok(product(site, inputs, grad_out)),
            kind => Err(site.error(format!("the rescale rule is not defined for {kind}"))),
        }
    }

    fn name(&self) -> &str {
        "rescale"
    }

    fn at_relu(&self) -> Option<ReluRule> {
        Some(ReluRule::Rescale)
    }
}

/// A value of the reference run at the place of element `at` of the run: a reference of batch 1 serves every example.
fn reference<T: Real>(values: &[T], at: usize) -> T {
    values[at % values.len()]
}

fn elementwise<T: Real>(site: &Site<'_, T>, x0: &Tensor<T>, y0: &Tensor<T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
    let plain = site.vjp(grad)?.swap_remove(0).ok_or_else(|| site.error("it has no derivative"))?;
    let (x, y, x0, y0, near) = (slice(site.inputs[0]), slice(site.output), slice(x0), slice(y0), T::of(NEAR));
    let multiplied = slice(grad).iter().zip(slice(&plain)).enumerate().map(|(at, (g, plain))| {
        let dx = x[at] - reference(x0, at);
        if dx.abs() < near { *plain } else { *g * ((y[at] - reference(y0, at)) / dx) }
    });
    Ok(vec![Some(from_vec(grad.shape(), multiplied.collect()))])
}

/// With outputs o (input) and r (reference) of a window and m = max(o, r): g·(m − r) belongs to the input's arg-max and g·(o − m) to the
/// reference's; the sum at each position is divided by Δx there. The two parts add up to g·(o − r), so completeness holds.
fn max_pool<T: Real>(site: &Site<'_, T>, x0: &Tensor<T>, y0: &Tensor<T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
    let Some((at, Some(at0))) = site.argmax() else { return Err(site.error("no record of its maxima")) };
    let plain = site.vjp(grad)?.swap_remove(0).ok_or_else(|| site.error("it has no derivative"))?;
    let (x, y, x0, y0) = (slice(site.inputs[0]), slice(site.output), slice(x0), slice(y0));
    let (len, out) = (site.inputs[0].shape()[2], grad.shape()[2]);
    let mut sums = vec![T::ZERO; x.len()];
    for (index, g) in slice(grad).iter().enumerate() {
        let row = index / out * len;
        let (o, r) = (y[index], reference(y0, index));
        let m = if o > r { o } else { r };
        sums[row + at[index] as usize] += *g * (m - r);
        sums[row + at0[index % at0.len()] as usize] += *g * (o - m);
    }
    for (index, (sum, plain)) in sums.iter_mut().zip(slice(&plain)).enumerate() {
        let dx = x[index] - reference(x0, index);
        *sum = if dx.abs() < T::of(NEAR) { *plain } else { *sum / dx };
    }
    Ok(vec![Some(from_vec(site.inputs[0].shape(), sums))])
}

/// a·b − a₀·b₀ = Δa·(b + b₀)/2 + Δb·(a + a₀)/2: the only split that treats both factors alike and is complete.
fn product<T: Real>(site: &Site<'_, T>, inputs: &[&Tensor<T>], grad: &Tensor<T>) -> Vec<Option<Tensor<T>>> {
    let half = T::of(0.5);
    let part = |other: usize| {
        let (v, v0) = (slice(site.inputs[other]), slice(inputs[other]));
        let values = slice(grad).iter().enumerate().map(|(at, g)| *g * half * (v[at] + reference(v0, at)));
        from_vec(grad.shape(), values.collect())
    };
    (0..2).map(|at| site.needs[at].then(|| part(1 - at))).collect()
}
