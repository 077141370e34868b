//! Conservation of relevance, node by node: what a rule receives at a node it must hand on, all of it.

use crate::Result;
use crate::tape::{Match, Network, NodeId, OpKind, Real, Rule, RuleSet, Site, Tape, Tensor, Want, slice};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What one node received and handed on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passage {
    /// Σ R received.
    pub received: f64,
    /// Σ |R| received.
    pub size: f64,
    /// Σ R handed on.
    pub handed: f64,
}

impl Passage {
    /// What went missing, as a share of Σ |R| received.
    pub fn lost(&self) -> f64 {
        let lost = (self.received - self.handed).abs();
        if lost == 0.0 { 0.0 } else { lost / self.size }
    }
}

type Ledger = Arc<Mutex<BTreeMap<NodeId, Passage>>>;

/// A rule that does what another does and writes down the sums.
struct Witness<T: Real> {
    inner: Option<Arc<dyn Rule<T>>>,
    ledger: Ledger,
}

impl<T: Real> Rule<T> for Witness<T> {
    fn propagate(&self, site: &Site<'_, T>, relevance: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let onward = match &self.inner {
            Some(rule) => rule.propagate(site, relevance)?,
            None => site.vjp(relevance)?,
        };
        let sum = |part: &Tensor<T>| slice(part).iter().map(|r| r.f64()).sum::<f64>();
        let signals = site.op().signals(site.inputs.len());
        let passage = Passage {
            received: sum(relevance),
            size: slice(relevance).iter().map(|r| r.f64().abs()).sum(),
            handed: onward.iter().take(signals).flatten().map(sum).sum(),
        };
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).insert(site.id, passage);
        Ok(onward)
    }

    fn name(&self) -> &str {
        self.inner.as_ref().map_or("derivative", |rule| rule.name())
    }
}

/// Walks `seed` back under relevance rules and keeps the sums of every node that something passed through.
///
/// # Errors
/// As [`Network::backward`].
pub fn passages<T: Real>(network: &Network<T>, tape: &Tape<T>, seed: Tensor<T>, rules: &RuleSet<T>) -> Result<BTreeMap<NodeId, Passage>> {
    let program = network.program();
    rules.check(program)?;
    let ledger = Ledger::default();
    let mut watched = RuleSet::plain();
    let on_path = program.on_path();
    for id in program.ids().filter(|id| on_path[id.0] && program.node(*id).op.kind() != OpKind::Input) {
        let node = program.node(id);
        let witness = Witness { inner: rules.rule_for(node).cloned(), ledger: Arc::clone(&ledger) };
        watched = watched.with(Match::Name(node.name.clone()), Arc::new(witness));
    }
    network.backward(tape, seed, &watched, None, &Want::nodes(program.inputs()))?;
    let passages = std::mem::take(&mut *ledger.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(passages)
}
