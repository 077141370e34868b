//! DeepLIFT's rescale rule (Shrikumar et al. 2017, section 3.5.1): through a nonlinearity y = f(x) the multiplier is Δy / Δx, the
//! differences being taken from a reference run. Linear ops need no rule: their derivative already is their multiplier.

use super::gauss_legendre;
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Match, Node, NodeId, OpClass, Program, Real, ReluFormula, Rule, RuleSet, Site, Tensor, from_vec, slice};
use alloc::sync::Arc;
use ndarray::{Axis, Slice};
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

/// The rescale rule for whatever is not linear. For an activation the multiplier is Δy / Δx, which is its mean derivative between the two runs; for a product,
/// and for every op that is no activation and no selection, it is the mean derivative on the straight way between them, which is as complete. Recurrent
/// layers are taken gate by gate, with this rule at each bend and each product ([`crate::tape::Arithmetic::secant`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Rescale;

impl Rescale {
    /// The rule at every op on the way from input to output that is not linear, but for the pools that `max_pool` leaves to the derivative. A linear
    /// program needs none: its multipliers are its gradient. A product is only a nonlinearity when both factors depend on the input, and the rule then
    /// splits it; with a parameter as one factor it gives the plain derivative, since the parameter is the same in both runs.
    pub(super) fn rules<T: Real>(program: &Program, max_pool: MaxPoolRule) -> RuleSet<T> {
        let plain: Vec<&str> = match max_pool {
            MaxPoolRule::Captum => Rescale::pools_after_activations(program).into_iter().map(|node| node.name.as_str()).collect(),
            MaxPoolRule::Exact => Vec::new(),
        };
        let rule: Arc<dyn Rule<T>> = Arc::new(Rescale);
        let nodes = program.nodes_on_path().filter(|node| !node.op.class().is_linear() && !plain.contains(&node.name.as_str()));
        nodes.fold(RuleSet::plain(), |rules, node| rules.with(Match::Name(node.name.clone()), Arc::clone(&rule)))
    }

    /// The max-pools on the way from input to output that directly follow an activation function.
    pub fn pools_after_activations(program: &Program) -> Vec<&Node> {
        let class = |id: NodeId| program.node(id).op.class();
        let follows = |node: &&Node| node.op.class() == OpClass::Selection && class(node.inputs[0]) == OpClass::Activation;
        program.nodes_on_path().filter(follows).collect()
    }
}

impl<T: Real> Rule<T> for Rescale {
    fn propagate(&self, site: &Site<'_, T>, grad_out: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let Some((inputs, output)) = &site.reference else { return Err(site.error("the rescale rule needs a reference run")) };
        let batch = site.output.shape()[0];
        if output.shape()[0] != 1 && output.shape()[0] != batch {
            return Err(site.error(format!("the reference run has a batch of {}, expected 1 or {batch}", output.shape()[0])));
        }
        match site.op().class() {
            OpClass::Activation => elementwise(site, inputs[0], output, grad_out),
            OpClass::Selection => selection(site, inputs[0], output, grad_out),
            OpClass::Product => product(site, inputs, grad_out),
            class if class.is_linear() => Err(site.error(format!("the rescale rule is not defined for {}", site.op().kind()))),
            _ => site.secant(grad_out).map_or_else(|| on_the_way(site, inputs, output, grad_out), Ok),
        }
    }

    fn name(&self) -> &str {
        "rescale"
    }

    fn at_relu(&self) -> Option<ReluFormula> {
        Some(ReluFormula::Chord)
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
fn selection<T: Real>(site: &Site<'_, T>, x0: &Tensor<T>, y0: &Tensor<T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
    let Some((at, Some(at0))) = site.argmax() else { return Err(site.error("no record of its maxima")) };
    let plain = site.vjp(grad)?.swap_remove(0).ok_or_else(|| site.error("it has no derivative"))?;
    let (x, y, x0, y0) = (slice(site.inputs[0]), slice(site.output), slice(x0), slice(y0));
    // The rows of the input, along its last axis; each gives as many outputs.
    let len = site.inputs[0].shape()[site.inputs[0].ndim() - 1];
    let out = grad.len() * len / x.len().max(1);
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

/// a·b − a₀·b₀ = Δa·(b + b₀)/2 + Δb·(a + a₀)/2: the only split that treats both factors alike and is complete, and the derivative half way.
fn product<T: Real>(site: &Site<'_, T>, inputs: &[&Tensor<T>], grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
    let middle: Vec<Tensor<T>> = site.inputs.iter().zip(inputs).map(|(v, v0)| between(v, v0, 0.5)).collect();
    site.vjp_at(&middle.iter().collect::<Vec<_>>(), grad)
}

/// v₀ + share · (v − v₀), at one half as ½ (v + v₀).
fn between<T: Real>(v: &Tensor<T>, v0: &Tensor<T>, share: f64) -> Tensor<T> {
    let (values, v0, half, t) = (slice(v), slice(v0), T::of(0.5), T::of(share));
    let point = |(at, v): (usize, &T)| {
        let v0 = reference(v0, at);
        if share == 0.5 { half * (*v + v0) } else { v0 + t * (*v - v0) }
    };
    from_vec(v.shape(), values.iter().enumerate().map(point).collect())
}

/// The mean derivative on the straight way from the reference: what the multiplier of an activation and the split of a product are too, and complete
/// for any function (fundamental theorem of calculus). By Gauss–Legendre quadrature with as many points as completeness takes, example by example.
fn on_the_way<T: Real>(site: &Site<'_, T>, inputs: &[&Tensor<T>], output: &Tensor<T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
    let tolerance = if size_of::<T>() == 4 { 1e-6 } else { 1e-12 };
    let row = |tensor: &Tensor<T>, n: usize| {
        let n = if tensor.shape()[0] == 1 { 0 } else { n };
        tensor.slice_axis(Axis(0), Slice::from(n..n + 1)).to_owned().into_shared()
    };
    let mut whole: Vec<Vec<T>> = vec![Vec::new(); site.inputs.len()];
    for n in 0..grad.shape()[0] {
        // What no wanted input reaches is the same in both runs, and need not have a batch.
        let pick = |all: &[&Tensor<T>]| -> Vec<Tensor<T>> {
            all.iter().zip(&site.needs).map(|(tensor, need)| if *need { row(tensor, n) } else { (*tensor).clone() }).collect()
        };
        let (x, x0, g) = (pick(&site.inputs), pick(inputs), row(grad, n));
        let (y, y0) = (row(site.output, n), row(output, n));
        let terms = |m: &Tensor<T>, v: &Tensor<T>, v0: &Tensor<T>| {
            let each = slice(m).iter().zip(slice(v)).zip(slice(v0)).map(|((m, v), v0)| m.f64() * (v.f64() - v0.f64()));
            each.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
        };
        let (wanted, size) = terms(&g, &y, &y0);
        let settled = MOST_POINTS.into_iter().find_map(|points| {
            let mean = match mean_derivative(site, &x, &x0, &g, points) {
                Ok(mean) => mean,
                Err(error) => return Some(Err(error)),
            };
            let parts = mean.iter().zip(&x).zip(&x0).filter_map(|((m, x), x0)| Some(terms(m.as_ref()?, x, x0)));
            let (found, sizes) = parts.fold((0.0, size), |(sum, size), part| (sum + part.0, size + part.1));
            ((found - wanted).abs() <= tolerance * sizes).then_some(Ok(mean))
        });
        let mean = settled.unwrap_or_else(|| Err(site.error("the mean derivative between input and reference does not settle")))?;
        whole.iter_mut().zip(mean).for_each(|(whole, part)| whole.extend(part.iter().flat_map(|part| slice(part).iter().copied())));
    }
    let joined = whole.into_iter().zip(&site.inputs).zip(&site.needs);
    Ok(joined.map(|((values, input), need)| need.then(|| from_vec(input.shape(), values))).collect())
}

/// Points on the way, as many as it takes.
const MOST_POINTS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

fn mean_derivative<T: Real>(
    site: &Site<'_, T>,
    x: &[Tensor<T>],
    x0: &[Tensor<T>],
    g: &Tensor<T>,
    points: usize,
) -> Result<Vec<Option<Tensor<T>>>> {
    let (nodes, weights) = gauss_legendre::rule(points);
    let mut sums: Vec<Option<Tensor<T>>> = vec![None; x.len()];
    for (node, weight) in nodes.into_iter().zip(weights) {
        let at: Vec<Tensor<T>> = x.iter().zip(x0).map(|(x, x0)| between(x, x0, node)).collect();
        for (sum, part) in sums.iter_mut().zip(site.vjp_at(&at.iter().collect::<Vec<_>>(), g)?) {
            let Some(part) = part.map(|part| part.map(|v| *v * T::of(weight)).into_shared()) else { continue };
            match sum {
                None => *sum = Some(part),
                Some(sum) => *sum += &part,
            }
        }
    }
    Ok(sums)
}
