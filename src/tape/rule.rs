//! Rules: what acts on the way back instead of an op's own derivative. This is the one open trait of the design.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Node, NodeId, Op, OpClass, OpKind, Program, Real, ReluFormula, Saved, Tensor};
use crate::{Error, Result};
use alloc::sync::Arc;

/// What a rule sees at a node: the op, its values in this run, and, where there is one, the same in the reference run.
pub struct Site<'a, T: Real> {
    /// The node's place.
    pub id: NodeId,
    /// The node.
    pub node: &'a Node,
    /// The values of its inputs, in the op's order.
    pub inputs: Vec<&'a Tensor<T>>,
    /// Its value.
    pub output: &'a Tensor<T>,
    /// The inputs and the output in the reference run (batch 1, or the batch of the run).
    pub reference: Option<(Vec<&'a Tensor<T>>, &'a Tensor<T>)>,
    /// For which inputs a gradient is wanted.
    pub needs: Vec<bool>,
    pub(crate) saved: &'a Saved,
    pub(crate) saved_reference: Option<&'a Saved>,
    pub(crate) context: &'a super::ops::Context<'a, T>,
}

impl<T: Real> Site<'_, T> {
    /// The op.
    pub fn op(&self) -> &Op {
        &self.node.op
    }

    /// The op's own vector–Jacobian product at this run's values: what happens where no rule acts.
    ///
    /// # Errors
    /// As the op.
    pub fn vjp(&self, grad_out: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        super::ops::vjp(self, grad_out)
    }

    /// Between this run and the reference run: factors with which the inputs' differences give exactly what `grad_out` makes of the output's; `None`
    /// where the op has none in closed form, or there is no reference run.
    pub fn secant(&self, grad_out: &Tensor<T>) -> Option<Vec<Option<Tensor<T>>>> {
        super::ops::secant(self, grad_out)
    }

    /// The op applied to other inputs, e.g. to modified weights (LRP), in evaluation mode.
    ///
    /// # Errors
    /// If the inputs do not fit the op.
    pub fn forward(&self, inputs: &[&Tensor<T>]) -> Result<Tensor<T>> {
        let context = super::ops::Context::evaluation();
        Ok(super::ops::forward(&self.node.op, inputs, &context).map_err(|problem| self.error(problem))?.0)
    }

    /// The op's vector–Jacobian product at other inputs, in evaluation mode; `output` must be the op's value there.
    ///
    /// # Errors
    /// If the inputs do not fit the op.
    pub fn vjp_at(&self, inputs: &[&Tensor<T>], grad_out: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let context = super::ops::Context::evaluation();
        let (output, saved) = super::ops::forward(&self.node.op, inputs, &context).map_err(|problem| self.error(problem))?;
        let site = Site {
            id: self.id,
            node: self.node,
            inputs: inputs.to_vec(),
            output: &output,
            reference: None,
            needs: self.needs.clone(),
            saved: &saved,
            saved_reference: None,
            context: &context,
        };
        super::ops::vjp(&site, grad_out)
    }

    /// For max-pooling: the position, within its row of the input, that each output came from; in this run and in the reference run.
    pub fn argmax(&self) -> Option<(&[u32], Option<&[u32]>)> {
        let own = self.saved.argmax()?;
        Some((own, self.saved_reference.and_then(Saved::argmax)))
    }

    /// An error that names this node.
    pub fn error(&self, problem: impl core::fmt::Display) -> Error {
        Error::Rule(format!("node '{}' ({}): {problem}", self.node.name, self.node.op.kind()))
    }
}

/// A backward rule. Implement it outside the crate to add an explanation method; no op has to know.
pub trait Rule<T: Real>: Send + Sync {
    /// From what arrives at the node's output to what each input receives; `None` for inputs whose `needs` is false.
    ///
    /// # Errors
    /// Where the rule cannot act on this node; make them with [`Site::error`].
    fn propagate(&self, site: &Site<'_, T>, grad_out: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>>;

    /// A short name for traces.
    fn name(&self) -> &str;

    /// What the rule does at a ReLU, if it is one of the formulas that execution plans fuse; `None` leaves the rule to the tape. A rule that offers
    /// a formula must do in [`Rule::propagate`] what the formula says, whatever the node: sets try both on sample values and refuse to act
    /// if they differ.
    fn at_relu(&self) -> Option<ReluFormula> {
        None
    }
}

/// Which nodes a rule acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Every node of a kind.
    Kind(OpKind),
    /// Every node whose op is of a class.
    Class(OpClass),
    /// The node of this name.
    Name(String),
}

impl Match {
    fn fits(&self, node: &Node) -> bool {
        match self {
            Match::Kind(kind) => node.op.kind() == *kind,
            Match::Class(class) => node.op.class() == *class,
            Match::Name(name) => node.name == *name,
        }
    }

    fn text(&self) -> String {
        match self {
            Match::Kind(kind) => format!("every {kind}"),
            Match::Class(class) => format!("every {}", class.name()),
            Match::Name(name) => format!("node '{name}'"),
        }
    }
}

/// An ordered list of rules; the first entry that fits a node acts. Nodes that none fits use the op's own derivative.
#[derive(Clone)]
pub struct RuleSet<T: Real> {
    entries: Vec<(Match, Arc<dyn Rule<T>>)>,
    /// What is wrong with the first rule that offers a formula and does otherwise, or why the set must not be used.
    fault: Option<String>,
}

impl<T: Real> Default for RuleSet<T> {
    fn default() -> Self {
        RuleSet { entries: Vec::new(), fault: None }
    }
}

impl<T: Real> RuleSet<T> {
    /// No rules: the plain gradient.
    pub fn plain() -> Self {
        RuleSet::default()
    }

    /// The set with one more entry, behind those it has. A rule that offers a formula ([`Rule::at_relu`]) is tried on sample values here; if it
    /// does otherwise, [`RuleSet::check`] says so and nothing runs under this set.
    #[must_use]
    pub fn with(mut self, on: Match, rule: Arc<dyn Rule<T>>) -> Self {
        let known = self.entries.iter().any(|(_, other)| Arc::ptr_eq(other, &rule));
        if self.fault.is_none() && !known {
            self.fault = super::probe::fault(rule.as_ref());
        }
        self.entries.push((on, rule));
        self
    }

    /// The set where a method has no rule for something and will not act without: [`RuleSet::check`] says why, and nothing runs under this set.
    #[must_use]
    pub fn refused(mut self, why: impl Into<String>) -> Self {
        self.fault.get_or_insert(why.into());
        self
    }

    /// Whether there are no rules.
    pub fn is_plain(&self) -> bool {
        self.entries.is_empty()
    }

    /// The rule that acts on a node, if any.
    pub fn rule_for(&self, node: &Node) -> Option<&Arc<dyn Rule<T>>> {
        self.entries.iter().find(|(on, _)| on.fits(node)).map(|(_, rule)| rule)
    }

    /// Checks that every rule keeps the formula that it offers, and that every entry acts on the way from an input to the output of a program: one
    /// that does not would silently give the plain gradient.
    ///
    /// # Errors
    /// [`Error::Rule`] naming the first rule that does otherwise, or the first idle entry.
    pub fn check(&self, program: &Program) -> Result<()> {
        if let Some(fault) = &self.fault {
            return Err(Error::Rule(fault.clone()));
        }
        if self.entries.is_empty() {
            return Ok(());
        }
        let on_path = program.on_path();
        let mut acts = vec![false; self.entries.len()];
        for (node, _) in program.nodes().iter().zip(&on_path).filter(|(_, on_path)| **on_path) {
            if let Some(index) = self.entries.iter().position(|(on, _)| on.fits(node)) {
                acts[index] = true;
            }
        }
        match self.entries.iter().zip(acts).find(|(_, acts)| !acts) {
            None => Ok(()),
            Some(((on, rule), _)) => Err(Error::Rule(format!(
                "the rule '{}' for {} acts nowhere in this program; its ops from input to output are: {}",
                rule.name(),
                on.text(),
                kinds(program, &on_path)
            ))),
        }
    }
}

/// The op kinds of a program's nodes on the way from an input to the output, for messages.
fn kinds(program: &Program, on_path: &[bool]) -> String {
    let nodes = program.nodes().iter().zip(on_path).filter(|(_, on_path)| **on_path).map(|(node, _)| node.op.kind());
    let all: alloc::collections::BTreeSet<&str> = nodes.filter(|kind| *kind != OpKind::Parameter).map(OpKind::name).collect();
    all.into_iter().collect::<Vec<_>>().join(" ")
}
