//! The account of a walk back: what arrives at each node, what it hands on, under which rule.

use crate::Result;
use crate::tape::{Match, Network, NodeId, OpKind, Real, Rule, RuleSet, Site, Tape, Tensor, Want, slice};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a method conserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Relevance itself: Σ R.
    Relevance,
    /// What arrived, times the value's difference from its value on the baseline: Σ m · (value − value on the baseline).
    TimesDifference,
}

/// What passed a node: weighted sums over the walks of a method (one walk, or one per sample).
#[derive(Clone, Debug)]
pub struct Flow<T> {
    /// The rule that acted, `derivative` where the op's own did.
    pub rule: String,
    /// What arrived, of the shape of the node's value.
    pub arrived: Tensor<T>,
    /// What it handed to each of its signals; `None` where nothing was wanted.
    pub handed: Vec<Option<Tensor<T>>>,
}

type Flows<T> = Arc<Mutex<BTreeMap<NodeId, Flow<T>>>>;

/// A rule that does what another does and writes it down.
struct Recorder<T: Real> {
    inner: Option<Arc<dyn Rule<T>>>,
    weight: T,
    flows: Flows<T>,
}

impl<T: Real> Recorder<T> {
    fn write_down(&self, site: &Site<'_, T>, grad: &Tensor<T>, onward: &[Option<Tensor<T>>]) {
        let signals = site.op().signals(site.inputs.len());
        let weighted = |part: &Tensor<T>| part.map(|v| *v * self.weight).into_shared();
        let handed: Vec<Option<Tensor<T>>> = onward.iter().take(signals).map(|part| part.as_ref().map(weighted)).collect();
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        match flows.get_mut(&site.id) {
            None => {
                let flow = Flow { rule: self.name().to_owned(), arrived: weighted(grad), handed };
                flows.insert(site.id, flow);
            }
            Some(flow) => {
                flow.arrived += &weighted(grad);
                for (sum, part) in flow.handed.iter_mut().zip(handed) {
                    if let (Some(sum), Some(part)) = (sum, part) {
                        *sum += &part;
                    }
                }
            }
        }
    }
}

impl<T: Real> Rule<T> for Recorder<T> {
    fn propagate(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let onward = match &self.inner {
            Some(rule) => rule.propagate(site, grad)?,
            None => site.vjp(grad)?,
        };
        self.write_down(site, grad, &onward);
        Ok(onward)
    }

    fn name(&self) -> &str {
        self.inner.as_ref().map_or("derivative", |rule| rule.name())
    }
}

/// The flows of a method's walks over one network.
pub struct Ledger<'a, T: Real> {
    network: &'a Network<T>,
    rules: &'a RuleSet<T>,
    flows: Flows<T>,
    input: Option<Tensor<T>>,
}

impl<'a, T: Real> Ledger<'a, T> {
    /// An empty ledger.
    ///
    /// # Errors
    /// [`crate::Error::Rule`] if an entry of the rule set acts nowhere.
    pub fn new(network: &'a Network<T>, rules: &'a RuleSet<T>) -> Result<Self> {
        rules.check(network.program())?;
        Ok(Ledger { network, rules, flows: Arc::default(), input: None })
    }

    /// Walks back once over a run of one example and adds what passes, times `weight`.
    ///
    /// # Errors
    /// As [`Network::backward`].
    pub fn walk(&mut self, tape: &Tape<T>, seed: Tensor<T>, reference: Option<&Tape<T>>, weight: f64) -> Result<()> {
        let program = self.network.program();
        let weight = T::of(weight);
        let mut recorded = RuleSet::plain();
        let on_path = program.on_path();
        for id in program.ids().filter(|id| on_path[id.0] && program.node(*id).op.kind() != OpKind::Input) {
            let node = program.node(id);
            let recorder = Recorder { inner: self.rules.rule_for(node).cloned(), weight, flows: Arc::clone(&self.flows) };
            recorded = recorded.with(Match::Name(node.name.clone()), Arc::new(recorder));
        }
        let input = program.inputs()[0];
        let found = self.network.backward(tape, seed, &recorded, reference, &Want::nodes([input]))?;
        let shape = tape.value(input).shape();
        let part = found.get(input).map_or_else(|| crate::tape::zeros(shape), |g| g.map(|v| *v * weight).into_shared());
        match &mut self.input {
            None => self.input = Some(part),
            Some(sum) => *sum += &part,
        }
        Ok(())
    }

    /// What passed each node, and what reached the input.
    pub fn close(self) -> (BTreeMap<NodeId, Flow<T>>, Option<Tensor<T>>) {
        let flows = std::mem::take(&mut *self.flows.lock().unwrap_or_else(PoisonError::into_inner));
        (flows, self.input)
    }
}

/// Σ of a signal's relevance: of `passed` itself, or of `passed` × (value − value on the baseline).
pub fn sum<T: Real>(measure: Measure, passed: &Tensor<T>, value: &Tensor<T>, base: &Tensor<T>) -> f64 {
    let values = slice(passed).iter().zip(slice(value)).zip(slice(base));
    values
        .map(|((m, v), b)| match measure {
            Measure::Relevance => m.f64(),
            Measure::TimesDifference => m.f64() * (v.f64() - b.f64()),
        })
        .sum()
}

/// √Σ v².
pub fn norm<T: Real>(values: &Tensor<T>) -> f64 {
    slice(values).iter().map(|v| v.f64() * v.f64()).sum::<f64>().sqrt()
}
