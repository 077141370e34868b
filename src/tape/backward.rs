//! The walk back: one reverse loop, rule or vector–Jacobian product at each node, accumulation in one place.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Network, NodeId, Program, Real, RuleSet, Site, Tape, Tensor, from_vec};
use crate::{Error, Result};

/// The nodes whose gradients are wanted; everything that does not lie between them and the output is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want(Vec<NodeId>);

impl Want {
    /// The program's inputs: what explanations need.
    pub fn inputs(program: &Program) -> Self {
        Want(program.inputs())
    }

    /// The trainable parameters: what training needs.
    pub fn trainable(program: &Program) -> Self {
        Want(program.trainable())
    }

    /// Any nodes.
    pub fn nodes(ids: impl Into<Vec<NodeId>>) -> Self {
        Want(ids.into())
    }

    /// These and more.
    #[must_use]
    pub fn and(mut self, id: NodeId) -> Self {
        self.0.push(id);
        self
    }

    /// For each node, whether its value depends on a wanted one.
    fn reached(&self, program: &Program) -> Vec<bool> {
        let mut reached = vec![false; program.nodes().len()];
        for id in program.ids() {
            reached[id.0] = self.0.contains(&id) || program.node(id).inputs.iter().any(|input| reached[input.0]);
        }
        reached
    }
}

/// The gradients that were wanted.
#[derive(Clone, Debug)]
pub struct Gradients<T>(Vec<Option<Tensor<T>>>);

impl<T: Real> Gradients<T> {
    /// A node's gradient, of the shape of its value; `None` if it was not wanted or the output does not depend on it.
    pub fn get(&self, id: NodeId) -> Option<&Tensor<T>> {
        self.0[id.0].as_ref()
    }

    /// From values by node.
    pub(crate) fn from_values(values: Vec<Option<Tensor<T>>>) -> Self {
        Gradients(values)
    }

    /// The same, taken out.
    pub fn take(&mut self, id: NodeId) -> Option<Tensor<T>> {
        self.0[id.0].take()
    }
}

impl<T: Real> Network<T> {
    /// Walks back from the output, which receives `seed` (of its shape), to the wanted nodes.
    ///
    /// `reference` is a second run of this network that some rules need (DeepLIFT's baseline); its batch is 1 or that of `tape`.
    ///
    /// # Errors
    /// [`Error::Rule`] if an entry of the rule set acts nowhere or a rule cannot act; [`Error::Shape`] if the seed does not fit; [`Error::Usage`] for a run of
    /// another network, or from before a parameter was changed.
    pub fn backward(
        &self,
        tape: &Tape<T>,
        seed: Tensor<T>,
        rules: &RuleSet<T>,
        reference: Option<&Tape<T>>,
        want: &Want,
    ) -> Result<Gradients<T>> {
        self.backward_observed(tape, seed, rules, reference, want, &mut |_, _| ())
    }

    /// [`Network::backward`], showing `observe` what arrives at each node before it is propagated.
    ///
    /// # Errors
    /// As [`Network::backward`].
    pub fn backward_observed(
        &self,
        tape: &Tape<T>,
        seed: Tensor<T>,
        rules: &RuleSet<T>,
        reference: Option<&Tape<T>>,
        want: &Want,
        observe: &mut dyn FnMut(NodeId, &Tensor<T>),
    ) -> Result<Gradients<T>> {
        let program = self.program();
        for run in [Some(tape), reference].into_iter().flatten() {
            self.check_run(run.edition)?;
        }
        rules.check(program)?;
        if seed.shape() != tape.output().shape() {
            return Err(Error::shape("the seed of the backward walk", tape.output().shape(), seed.shape()));
        }
        let reached = want.reached(program);
        let context = self.context(tape.mode);
        let mut arrived: Vec<Option<Tensor<T>>> = vec![None; program.nodes().len()];
        arrived[program.output().0] = Some(seed);
        for id in program.ids().rev().filter(|id| id.0 <= program.output().0) {
            if !reached[id.0] {
                continue;
            }
            let node = program.node(id);
            let wanted = want.0.contains(&id);
            let Some(grad) = (if wanted { arrived[id.0].clone() } else { arrived[id.0].take() }) else { continue };
            observe(id, &grad);
            let needs: Vec<bool> = node.inputs.iter().map(|input| reached[input.0]).collect();
            if !needs.contains(&true) {
                continue;
            }
            let site = Site {
                id,
                node,
                inputs: node.inputs.iter().map(|input| tape.value(*input)).collect(),
                output: tape.value(id),
                reference: reference.map(|tape| (node.inputs.iter().map(|input| tape.value(*input)).collect(), tape.value(id))),
                needs,
                saved: &tape.saved[id.0],
                saved_reference: reference.map(|tape| &tape.saved[id.0]),
                context: &context,
            };
            let onward = match rules.rule_for(node) {
                Some(rule) => rule.propagate(&site, &grad)?,
                None => site.vjp(&grad)?,
            };
            for (input, part) in node.inputs.iter().zip(onward) {
                if let (true, Some(part)) = (reached[input.0], part) {
                    accumulate(&mut arrived[input.0], part);
                }
            }
        }
        for id in program.ids().filter(|id| !want.0.contains(id)) {
            arrived[id.0] = None;
        }
        Ok(Gradients(arrived))
    }

    /// The gradient of one output column, summed over the batch (so each example gets its own), in the program's only input.
    ///
    /// # Errors
    /// As [`Network::backward`]; [`Error::Program`] if there are several inputs.
    pub fn gradient(&self, tape: &Tape<T>, rules: &RuleSet<T>, column: usize) -> Result<Tensor<T>> {
        let inputs = self.program().inputs();
        let [input] = inputs[..] else {
            return Err(Error::Program(format!("the program has {} inputs, this needs one", inputs.len())));
        };
        let mut gradients = self.backward(tape, one_hot(tape.output(), column)?, rules, None, &Want::nodes([input]))?;
        Ok(gradients.take(input).unwrap_or_else(|| crate::tape::zeros(tape.value(input).shape())))
    }
}

/// The seed that picks one column of an output (N, K): 1 there, 0 elsewhere.
pub(crate) fn one_hot<T: Real>(output: &Tensor<T>, column: usize) -> Result<Tensor<T>> {
    let &[batch, columns] = output.shape() else {
        return Err(Error::Program(format!("the output has shape {:?}, an explanation needs (N, K)", output.shape())));
    };
    if column >= columns {
        return Err(Error::Usage(format!("output {column} was asked for, the network has {columns} (0 to {})", columns - 1)));
    }
    Ok(from_vec(&[batch, columns], (0..batch * columns).map(|at| if at % columns == column { T::ONE } else { T::ZERO }).collect()))
}

/// The only place where gradients are summed.
fn accumulate<T: Real>(sum: &mut Option<Tensor<T>>, part: Tensor<T>) {
    match sum {
        None => *sum = Some(part),
        Some(sum) => *sum += &part,
    }
}
