//! Whether a rule that offers a formula for ReLUs ([`Rule::at_relu`]) does in [`Rule::propagate`] what the formula says: plans carry out the
//! formula, the tape the rule, and one method must not have two maps.

use super::ops::Context;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Node, NodeId, Op, Real, Rule, Saved, Site, Tensor, from_vec, slice};

/// Inputs, references and gradients of either sign, of either zero, tiny and large.
const SAMPLES: [f64; 12] = [-1e6, -2.5, -1.0, -1e-3, -1e-12, -0.0, 0.0, 1e-12, 1e-3, 0.75, 3.0, 1e6];

/// What is wrong with the rule's offer, if anything is.
pub(super) fn fault<T: Real>(rule: &dyn Rule<T>) -> Option<String> {
    let formula = rule.at_relu()?;
    let of = |index: fn(usize) -> usize| -> Tensor<T> {
        let values = (0..SAMPLES.len().pow(3)).map(|at| T::of(SAMPLES[index(at) % SAMPLES.len()]));
        from_vec(&[SAMPLES.len(), SAMPLES.len(), SAMPLES.len()], values.collect())
    };
    let (x, x0, grad) = (of(|at| at), of(|at| at / SAMPLES.len()), of(|at| at / SAMPLES.len().pow(2)));
    let relu = |x: &Tensor<T>| x.map(|v| if *v <= T::ZERO { T::ZERO } else { *v }).into_shared();
    let (y, y0) = (relu(&x), relu(&x0));
    let node = Node { name: "probe".into(), op: Op::Relu, inputs: vec![NodeId(0)] };
    let context = Context::evaluation();
    let site = Site {
        id: NodeId(1),
        node: &node,
        inputs: vec![&x],
        output: &y,
        reference: Some((vec![&x0], &y0)),
        needs: vec![true],
        saved: &Saved::Nothing,
        saved_reference: Some(&Saved::Nothing),
        context: &context,
    };
    let offer = format!("the rule '{}' offers the formula {formula:?} at ReLUs", rule.name());
    let found = match rule.propagate(&site, &grad) {
        Ok(parts) => parts.into_iter().next().flatten(),
        Err(error) => return Some(format!("{offer} and fails at one: {error}")),
    };
    let Some(found) = found.filter(|found| found.shape() == grad.shape()) else {
        return Some(format!("{offer} and hands on something of another shape"));
    };
    let sample = |at: usize| (slice(&grad)[at], slice(&x)[at], slice(&x0)[at]);
    // By bits, since maps must be equal by bits.
    let same = |a: T, b: T| a == b && a.f64().is_sign_negative() == b.f64().is_sign_negative();
    let found = found.as_standard_layout();
    let differs = |(at, found): (usize, &T)| {
        let (g, x, x0) = sample(at);
        let wanted = formula.value(g, x, x0);
        (!same(wanted, *found))
            .then(|| format!("{offer} and does otherwise: gradient {g}, input {x}, reference {x0} give {found}, not {wanted}"))
    };
    found.iter().enumerate().find_map(differs)
}
