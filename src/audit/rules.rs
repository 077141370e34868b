//! The rules that methods put at ReLUs, against their formulas: what a rule hands on at each unit is computed again by the formula in the
//! method's paper, in f64, by code that shares nothing with the rule.

use super::{Check, Worst};
use crate::attribution::{Method, Recipe, Settings};
use crate::tape::{Match, Network, NodeId, OpKind, Real, Rule, RuleSet, Site, Tape, Tensor, Want, one_hot, slice};
use crate::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// The methods whose rules at ReLUs are checked.
const METHODS: [Method; 4] = [Method::Saliency, Method::GuidedBackprop, Method::Deconvolution, Method::DeepLift];

/// What a method hands on at a ReLU that receives `g`, with input `x` and, in the reference run, `x0`. Not a number where any of them is none.
fn formula(method: Method, g: f64, x: f64, x0: f64) -> f64 {
    let above = |value: f64| if value <= 0.0 { 0.0 } else { value };
    let open = |value: f64| {
        if x.is_nan() {
            f64::NAN
        } else if x > 0.0 {
            value
        } else {
            0.0
        }
    };
    match method {
        // Zeiler & Fergus 2014: the rectifier acts on what passes back, whatever the forward value.
        Method::Deconvolution => above(g),
        // Springenberg et al. 2015: both the gradient and the forward value must be positive.
        Method::GuidedBackprop => above(open(g)),
        // Shrikumar et al. 2017, section 3.5.1.
        Method::DeepLift if (x - x0).abs() >= 1e-10 || x0.is_nan() => g * (above(x) - above(x0)) / (x - x0),
        _ => open(g),
    }
}

struct Inspector<T: Real> {
    inner: Option<Arc<dyn Rule<T>>>,
    method: Method,
    worst: Arc<Mutex<Worst>>,
}

impl<T: Real> Rule<T> for Inspector<T> {
    fn propagate(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let onward = match &self.inner {
            Some(rule) => rule.propagate(site, grad)?,
            None => site.vjp(grad)?,
        };
        let Some(Some(handed)) = onward.first() else { return Ok(onward) };
        let (g, x, handed) = (slice(grad), slice(site.inputs[0]), slice(handed));
        let x0 = site.reference.as_ref().map_or(&[][..], |(inputs, _)| slice(inputs[0]));
        let most = g.iter().fold(f64::MIN_POSITIVE, |most, g| most.max(g.f64().abs()));
        let mut worst = self.worst.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, found) in handed.iter().enumerate() {
            let before = if x0.is_empty() { 0.0 } else { x0[at % x0.len()].f64() };
            let wanted = formula(self.method, g[at].f64(), x[at].f64(), before);
            let place =
                || format!("{} at node '{}', element {at}: {:e}, by its formula {wanted:e}", self.method, site.node.name, found.f64());
            worst.see((found.f64() - wanted).abs() / most, place);
        }
        Ok(onward)
    }

    fn name(&self) -> &str {
        self.inner.as_ref().map_or("derivative", |rule| rule.name())
    }
}

/// Walks back under `rules` and compares what every ReLU hands on with the formula of `method`; `reference` is the run on the baseline, for
/// DeepLIFT. The figure is the largest difference as a share of the largest value that the node received, the detail names the worst node.
///
/// # Errors
/// As [`Network::backward`]; [`Error::Rule`] if the program has no ReLU.
pub fn relu_rules<T: Real>(
    network: &Network<T>,
    tape: &Tape<T>,
    reference: Option<&Tape<T>>,
    rules: &RuleSet<T>,
    method: Method,
    output: usize,
) -> Result<Check> {
    let program = network.program();
    let relus = program.acting(OpKind::Relu);
    if relus.is_empty() {
        return Err(Error::Rule("the program has no ReLU whose rule could be checked".into()));
    }
    let worst = Arc::new(Mutex::new(Worst::default()));
    let mut watched = RuleSet::plain();
    let on_path = program.on_path();
    let acted = |id: &NodeId| on_path[id.0] && (relus.contains(id) || rules.rule_for(program.node(*id)).is_some());
    for id in program.ids().filter(acted) {
        let node = program.node(id);
        let inner = rules.rule_for(node).cloned();
        let rule: Arc<dyn Rule<T>> = match inner {
            Some(rule) if !relus.contains(&id) => rule,
            inner => Arc::new(Inspector { inner, method, worst: Arc::clone(&worst) }),
        };
        watched = watched.with(Match::Name(node.name.clone()), rule);
    }
    network.backward(tape, one_hot(tape.output(), output)?, &watched, reference, &Want::inputs(program))?;
    let worst = std::mem::take(&mut *worst.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Check::new("rules at ReLUs against their formulas (f64)", worst.figure, 1e-12, worst.at))
}

/// [`relu_rules`] for the rules of four methods as the catalogue gives them, baseline zero; the worst of them.
///
/// # Errors
/// As [`relu_rules`].
pub(super) fn catalogued(network: &Network<f64>, settings: &Settings, x: &Tensor<f64>) -> Result<Option<Check>> {
    if network.program().acting(OpKind::Relu).is_empty() {
        return Ok(None);
    }
    let (tape, zero) = (network.run(std::slice::from_ref(x))?, network.run(&[crate::tape::zeros(x.shape())])?);
    let mut checks = Vec::new();
    for method in METHODS {
        let Recipe::Gradients { rules, reference, .. } = method.row().recipe::<f64>(network.program(), settings) else { continue };
        checks.push(relu_rules(network, &tape, reference.then_some(&zero), &rules, method, settings.output)?);
    }
    // A figure that is not a number is above all others.
    Ok(checks.into_iter().max_by(|a, b| a.figure.total_cmp(&b.figure)))
}
