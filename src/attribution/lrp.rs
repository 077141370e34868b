//! Layer-wise relevance propagation (Bach et al. 2015): the output's value is passed back so that what a node receives it hands on,
//! each input taking a share by its contribution to the node's value.
//!
//! Every rule is the same four steps (Montavon et al. 2019, section 10.2.2): modify inputs and weights, run the op forward to z, divide the
//! relevance by z, take the op's vector–Jacobian product and multiply by the inputs. Biases and the stabiliser keep their share,
//! so Σ relevance falls short of the output by exactly that much: [`crate::audit`] keeps the account.
//!
//! The rules are stated for programs whose batch norms are folded ([`crate::tape::fold_batch_norm`]).

use super::{Method, Settings};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Match, Node, OpClass, OpKind, Program, Real, Rule, RuleSet, Site, Tensor, from_vec, slice, sum_to};
use alloc::sync::Arc;

/// LRP-ε: R\[i\] = Σ_o x\[i\] w\[o,i\] R\[o\] / (z\[o\] + ε sign z\[o\]) (Bach et al. 2015, equation 58; sign 0 = +1). Serves every op that is linear
/// in its signals: convolution, linear layer, batch norm, average pooling, and the sum of two signals, which it splits in the ratio of
/// the terms.
#[derive(Clone, Copy, Debug)]
pub struct Epsilon {
    /// The stabiliser ε, in the units of the node's value.
    pub epsilon: f64,
}

/// LRP-γ for signals of either sign (Andéol et al. 2021, appendix): contributions of the sign of z count (1 + γ)-fold. With x ≥ 0 and z > 0 it is
/// R\[i\] = Σ_o x\[i\] (w + γ w⁺)\[o,i\] R\[o\] / Σ x (w + γ w⁺) (Montavon et al. 2019, table 10.1).
#[derive(Clone, Copy, Debug)]
pub struct Gamma {
    /// How much contributions of the output's sign are favoured.
    pub gamma: f64,
    /// The stabiliser.
    pub epsilon: f64,
}

/// LRP-z⁺, which is α1β0 (Bach et al. 2015, equation 60; Montavon et al. 2017): only positive contributions x\[i\] w\[o,i\] > 0 take relevance.
#[derive(Clone, Copy, Debug)]
pub struct ZPlus {
    /// The stabiliser.
    pub epsilon: f64,
}

/// LRP-♭ (Lapuschkin et al. 2019): every input that a unit sees takes the same share; meant for the first layer.
#[derive(Clone, Copy, Debug)]
pub struct Flat {
    /// The stabiliser.
    pub epsilon: f64,
}

/// Relevance passes an elementwise activation unchanged (Bach et al. 2015, section "Layer-wise relevance propagation for networks").
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass;

/// The product of two signals hands each half of the relevance; a factor that is no signal takes none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Halve;

impl<T: Real> Rule<T> for Epsilon {
    fn propagate(&self, site: &Site<'_, T>, relevance: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let quotient = divide(relevance, site.output, self.epsilon);
        let signals = site.op().signals(site.inputs.len());
        let shares = site.vjp(&quotient)?.into_iter().zip(&site.inputs).enumerate();
        Ok(shares.map(|(at, (share, x))| share.filter(|_| at < signals).map(|share| product(&share, x))).collect())
    }

    fn name(&self) -> &str {
        "lrp_epsilon"
    }
}

impl<T: Real> Rule<T> for Gamma {
    fn propagate(&self, site: &Site<'_, T>, relevance: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let gamma = T::of(self.gamma);
        let up = |w: T| if w > T::ZERO { w + gamma * w } else { w };
        let down = |w: T| if w < T::ZERO { w + gamma * w } else { w };
        let (positive, negative) = signs(site.inputs[0]);
        // Where z > 0 positive contributions are favoured (x⁺w⁺ and x⁻w⁻), where z < 0 negative ones.
        let above = gate(relevance, site.output, |z| z > T::ZERO);
        let below = gate(relevance, site.output, |z| z < T::ZERO);
        let at_above = [(&positive, modified(site, up)), (&negative, modified(site, down))];
        let at_below = [(&positive, modified(site, down)), (&negative, modified(site, up))];
        let first = share(site, &above, &at_above, bias(site, up), self.epsilon)?;
        let second = share(site, &below, &at_below, bias(site, down), self.epsilon)?;
        Ok(only(site, first + second))
    }

    fn name(&self) -> &str {
        "lrp_gamma"
    }
}

impl<T: Real> Rule<T> for ZPlus {
    fn propagate(&self, site: &Site<'_, T>, relevance: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let above = |w: T| if w > T::ZERO { w } else { T::ZERO };
        let below = |w: T| if w < T::ZERO { w } else { T::ZERO };
        let (positive, negative) = signs(site.inputs[0]);
        let parts = [(&positive, modified(site, above)), (&negative, modified(site, below))];
        Ok(only(site, share(site, relevance, &parts, bias(site, above), self.epsilon)?))
    }

    fn name(&self) -> &str {
        "lrp_zplus"
    }
}

impl<T: Real> Rule<T> for Flat {
    fn propagate(&self, site: &Site<'_, T>, relevance: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let ones = from_vec(site.inputs[0].shape(), vec![T::ONE; site.inputs[0].len()]);
        Ok(only(site, share(site, relevance, &[(&ones, modified(site, |_| T::ONE))], None, self.epsilon)?))
    }

    fn name(&self) -> &str {
        "lrp_flat"
    }
}

impl<T: Real> Rule<T> for Pass {
    fn propagate(&self, _site: &Site<'_, T>, relevance: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(vec![Some(relevance.clone())])
    }

    fn name(&self) -> &str {
        "lrp_pass"
    }
}

impl<T: Real> Rule<T> for Halve {
    fn propagate(&self, site: &Site<'_, T>, relevance: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let takers = site.needs.iter().filter(|need| **need).count();
        let share = T::ONE / T::of(takers.max(1) as f64);
        // A factor that stands for several elements takes the shares of all of them.
        let part = |input: &Tensor<T>| sum_to(&relevance.map(|r| *r * share).into_shared(), input.shape());
        Ok(site.needs.iter().zip(&site.inputs).map(|(need, input)| need.then(|| part(input))).collect())
    }

    fn name(&self) -> &str {
        "lrp_halve"
    }
}

/// The relevance of a convolution's or linear layer's input: with z = Σ_parts op(x_p, w_p) + b and s = R / (z + ε sign z), Σ_parts x_p ⊙ opᵀ(w_p, s).
fn share<T: Real>(
    site: &Site<'_, T>,
    relevance: &Tensor<T>,
    parts: &[(&Tensor<T>, Tensor<T>)],
    bias: Option<Tensor<T>>,
    epsilon: f64,
) -> Result<Tensor<T>> {
    if !site.op().class().is_weighted() {
        return Err(site.error("this LRP rule is defined for convolutions and linear layers"));
    }
    let mut z: Option<Tensor<T>> = None;
    for (x, w) in parts {
        let part = match (&z, &bias) {
            (None, Some(bias)) => site.forward(&[x, w, bias])?,
            _ => site.forward(&[x, w])?,
        };
        z = Some(z.map_or(part.clone(), |z| z + &part));
    }
    let z = z.ok_or_else(|| site.error("there is nothing to share between"))?;
    let quotient = divide(relevance, &z, epsilon);
    let mut sum = crate::tape::zeros(site.inputs[0].shape());
    for (x, w) in parts {
        if let Some(share) = site.vjp_at(&[x, w], &quotient)?.swap_remove(0) {
            sum += &product(&share, x);
        }
    }
    Ok(sum)
}

/// R / (z + ε sign z), with sign 0 = +1.
fn divide<T: Real>(relevance: &Tensor<T>, z: &Tensor<T>, epsilon: f64) -> Tensor<T> {
    let epsilon = T::of(epsilon);
    let quotient = |(r, z): (&T, &T)| if *r == T::ZERO { T::ZERO } else { *r / if *z < T::ZERO { *z - epsilon } else { *z + epsilon } };
    from_vec(relevance.shape(), slice(relevance).iter().zip(slice(z)).map(quotient).collect())
}

fn product<T: Real>(a: &Tensor<T>, b: &Tensor<T>) -> Tensor<T> {
    from_vec(a.shape(), slice(a).iter().zip(slice(b)).map(|(a, b)| *a * *b).collect())
}

/// x⁺ and x⁻.
fn signs<T: Real>(x: &Tensor<T>) -> (Tensor<T>, Tensor<T>) {
    let part = |keep: &dyn Fn(T) -> bool| x.map(|v| if keep(*v) { *v } else { T::ZERO }).into_shared();
    (part(&|v| v > T::ZERO), part(&|v| v < T::ZERO))
}

/// Relevance where the node's value passes.
fn gate<T: Real>(relevance: &Tensor<T>, z: &Tensor<T>, keep: impl Fn(T) -> bool) -> Tensor<T> {
    let kept = slice(relevance).iter().zip(slice(z)).map(|(r, z)| if keep(*z) { *r } else { T::ZERO });
    from_vec(relevance.shape(), kept.collect())
}

/// The weight, changed element by element.
fn modified<T: Real>(site: &Site<'_, T>, change: impl Fn(T) -> T) -> Tensor<T> {
    site.inputs.get(1).map_or_else(|| crate::tape::zeros(&[0]), |w| w.map(|w| change(*w)).into_shared())
}

/// The bias, changed element by element.
fn bias<T: Real>(site: &Site<'_, T>, change: impl Fn(T) -> T) -> Option<Tensor<T>> {
    site.inputs.get(2).map(|b| b.map(|b| change(*b)).into_shared())
}

/// The first input receives this, the parameters nothing.
fn only<T: Real>(site: &Site<'_, T>, value: Tensor<T>) -> Vec<Option<Tensor<T>>> {
    core::iter::once(Some(value)).chain((1..site.inputs.len()).map(|_| None)).collect()
}

/// The rules of an LRP method for a program whose batch norms are folded.
///
/// - `lrp_epsilon`, `lrp_gamma`, `lrp_zplus`: that rule at every convolution and linear layer.
/// - `lrp_composite`: ♭ at the convolutions that read the input, z⁺ at the others, ε at linear layers ("EpsilonPlusFlat").
///
/// Elsewhere, always: activations pass relevance; means, remaining batch norms and sums share by ε; selections give all to the winner; what only moves
/// values moves relevance; products hand each signal half. An op of any other class is refused by name.
pub(crate) fn rules<T: Real>(method: Method, program: &Program, settings: &Settings) -> RuleSet<T> {
    let epsilon = settings.lrp_epsilon;
    let present = |class: OpClass| program.nodes_on_path().any(|node| node.op.class() == class);
    let mut set = RuleSet::plain();
    if method == Method::LrpComposite {
        let first = |node: &&Node| program.node(node.inputs[0]).op.kind() == OpKind::Input;
        for node in program.nodes_on_path().filter(|node| node.op.class() == OpClass::Convolution).filter(first) {
            set = set.with(Match::Name(node.name.clone()), Arc::new(Flat { epsilon }));
        }
    }
    let weighted = |class: OpClass| -> Arc<dyn Rule<T>> {
        match (method, class) {
            (Method::LrpGamma, _) => Arc::new(Gamma { gamma: settings.lrp_gamma, epsilon }),
            (Method::LrpZPlus, _) | (Method::LrpComposite, OpClass::Convolution) => Arc::new(ZPlus { epsilon }),
            _ => Arc::new(Epsilon { epsilon }),
        }
    };
    for class in [OpClass::Convolution, OpClass::Dense].into_iter().filter(|class| present(*class)) {
        let left = |node: &Node| node.op.class() == class && set.rule_for(node).is_none();
        if program.nodes_on_path().any(left) {
            set = set.with(Match::Class(class), weighted(class));
        }
    }
    for class in [OpClass::Normalisation, OpClass::Mean, OpClass::Sum].into_iter().filter(|class| present(*class)) {
        set = set.with(Match::Class(class), Arc::new(Epsilon { epsilon }));
    }
    if present(OpClass::Activation) {
        set = set.with(Match::Class(OpClass::Activation), Arc::new(Pass));
    }
    if present(OpClass::Product) {
        set = set.with(Match::Class(OpClass::Product), Arc::new(Halve));
    }
    let unknown = |node: &&Node| {
        let class = node.op.class();
        !(class.is_linear() || matches!(class, OpClass::Activation | OpClass::Selection | OpClass::Product))
    };
    match program.nodes_on_path().find(unknown) {
        Some(node) => set.refused(format!("node '{}' ({}): LRP has no rule for it", node.name, node.op.kind())),
        None => set,
    }
}
