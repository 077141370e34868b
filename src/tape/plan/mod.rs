//! Execution plans: a program with its parameters, compiled once for one input shape and executed many times in f32.
//!
//! A plan is data: its steps, which of them run as one, and in which buffer each value lies are decided when it is compiled, and can be read
//! ([`Network::plan_text`]). It fuses bias, batch norm, ReLU and residual additions into the stores of convolutions, and on the way back the ReLU's derivative (or the
//! rule that stands for it) and the batch norm's factor into their loads; activations stay channel-blocked between layers, and chunks of examples
//! stay in one core's caches. [`Network::run`] and [`Network::backward`] do the same unfused, in any precision, under any rule. A plan does the same
//! operations on the same numbers in the same order, so its results are the tape's, byte for byte, NaN and the signs of zeros included;
//! `CARDIOGRAD_PLANS=off` switches plans off. Ops that plans have no step for are computed within the plan as the tape computes them, as far as they need
//! nothing ready ([`crate::tape::Lowering::Own`]); the way back is then the tape's. What a plan cannot do (recurrent layers, several inputs, other rules, f64)
//! falls back to the tape.

mod back;
mod compile;
mod cost;
mod execute;
mod needs;
mod pool;
mod schedule;
#[cfg(feature = "std")]
mod stem;
mod step;
mod steps;
mod training;
mod training_back;
mod why;

#[cfg(not(feature = "std"))]
use crate::plain::*;
pub use cost::RunBytes;
pub use execute::Keep;
pub(crate) use execute::Passed;
pub use training::TrainingPlan;

use super::network::Edition;
use crate::tape::{Network, NodeId, OpKind, Real, ReluFormula, RuleSet, Tape, Tensor, Want, from_vec, one_hot, slice};
use crate::{Error, Result};
use alloc::sync::Arc;
use cardiograd_kernels::sync::{Mutex, OnceLock, PoisonError};
use compile::Plan;

/// The plans that a network keeps: each holds the weights once more, in each of two directions, and its working memory.
const KEPT: usize = 4;

/// Plans of a network by the shape of an example, the one used last at the end; `None` where none is possible.
#[derive(Debug, Default)]
pub(crate) struct PlanCache(Mutex<Vec<Kept>>);

/// The shape of an example and its plan.
type Kept = (Vec<usize>, Option<Arc<Plan>>);

impl PlanCache {
    /// The plan for a shape, made now if need be; then the one that has not been used for longest is let go.
    fn get(&self, shape: &[usize], make: impl FnOnce() -> Option<Plan>) -> Option<Arc<Plan>> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match plans.iter().position(|(of, _)| of == shape) {
            Some(at) => plans.remove(at),
            None => (shape.to_vec(), make().map(Arc::new)),
        };
        let plan = entry.1.clone();
        if plans.len() >= KEPT {
            plans.remove(0);
        }
        plans.push(entry);
        plan
    }
}

/// Whether plans are on: they are, unless `CARDIOGRAD_PLANS` is `off`.
fn enabled() -> bool {
    #[cfg(not(feature = "std"))]
    return true;
    #[cfg(feature = "std")]
    static ENABLED: OnceLock<bool> = OnceLock::new();
    #[cfg(feature = "std")]
    *ENABLED.get_or_init(|| std::env::var("CARDIOGRAD_PLANS").map_or(true, |value| value != "off"))
}

/// That the environment's settings of how networks are computed can be followed: `CARDIOGRAD_KERNEL` and `CARDIOGRAD_PLANS`.
///
/// # Errors
/// [`Error::Usage`] for a kernel that is none or that this machine does not have, and for anything but `on` and `off`.
pub fn check_environment() -> Result<()> {
    cardiograd_kernels::Isa::chosen().map_err(|refused| Error::Usage(refused.to_string()))?;
    #[cfg(not(feature = "std"))]
    return Ok(());
    #[cfg(feature = "std")]
    {
        let plans = std::env::var_os("CARDIOGRAD_PLANS").unwrap_or_default();
        if ["", "on", "off"].iter().any(|known| plans == *known) {
            return Ok(());
        }
        let found: String = plans.to_string_lossy().escape_debug().take(40).collect();
        Err(Error::Usage(format!("CARDIOGRAD_PLANS is '{found}': it can be 'on' or 'off'")))
    }
}

/// A forward run that can be walked back to the input: by the plan, or where there is none by the tape. It belongs to the network that looked, with the
/// parameters that it had then, and to clones of it.
pub struct Look<T: Real> {
    inputs: Vec<Tensor<T>>,
    output: Tensor<T>,
    planned: Option<(Arc<Plan>, Passed)>,
    tape: OnceLock<Tape<T>>,
    /// The network that looked.
    edition: Edition,
}

impl<T: Real> Drop for Look<T> {
    fn drop(&mut self) {
        if let Some((plan, passed)) = &mut self.planned {
            plan.recycle(passed);
        }
    }
}

impl<T: Real> Look<T> {
    /// The output's value.
    pub fn output(&self) -> &Tensor<T> {
        &self.output
    }

    /// The unfused run of the same inputs, with every value; made when first asked for.
    ///
    /// # Errors
    /// As [`Network::run`]; [`Error::Usage`] for a look of another network.
    pub fn tape(&self, network: &Network<T>) -> Result<&Tape<T>> {
        network.check_run(self.edition)?;
        if let Some(tape) = self.tape.get() {
            return Ok(tape);
        }
        let tape = network.run(&self.inputs)?;
        Ok(self.tape.get_or_init(|| tape))
    }
}

impl<T: Real> Network<T> {
    /// The plan for inputs of this shape, if there can be one.
    fn plan(&self, inputs: &[Tensor<T>]) -> Option<Arc<Plan>> {
        let [input] = inputs else { return None };
        self.plan_of(input.shape())
    }

    /// The plan for one input of this shape (N, …), if there can be one.
    fn plan_of(&self, shape: &[usize]) -> Option<Arc<Plan>> {
        if self.never_planned().is_some() || shape.len() < 2 || shape.contains(&0) {
            return None;
        }
        let shape = &shape[1..];
        self.plans().get(shape, || Plan::compile(self, shape).ok())
    }

    /// Why there is no plan whatever the network, if there is none.
    fn never_planned(&self) -> Option<&'static str> {
        if !enabled() {
            return Some("CARDIOGRAD_PLANS is off");
        }
        T::as_f32(&[]).is_none().then_some("plans compute in f32 only")
    }

    /// The output by a plan; `None` where there is none.
    ///
    /// # Errors
    /// If the inputs do not fit the program.
    pub(crate) fn predict_planned(&self, inputs: &[Tensor<T>]) -> Result<Option<Tensor<T>>> {
        let Some(plan) = self.plan(inputs) else { return Ok(None) };
        self.program().shapes(&[inputs[0].shape().to_vec()])?;
        let input = inputs[0].as_standard_layout();
        let Some(x) = input.as_slice().and_then(T::as_f32) else { return Ok(None) };
        let output = plan.forward(x, None, None).0;
        Ok(Some(typed(&plan.steps.output_shape(inputs[0].shape()[0]), output)))
    }

    /// A run on one input that can be walked back to it, by a plan where there can be one: quickest under rules that need signs only ([`Keep::Signs`]).
    ///
    /// # Errors
    /// If the input does not fit the program.
    pub fn look(&self, input: Tensor<T>) -> Result<Look<T>> {
        self.look_at(input, Keep::Signs, None)
    }

    /// [`Network::look`] that keeps what `keep` says, and what the convolution `watch` gives ([`Network::watched`]). A rule that needs more than was
    /// kept is right too, but takes another run on the tape.
    ///
    /// # Errors
    /// As [`Network::look`].
    pub fn look_at(&self, input: Tensor<T>, keep: Keep, watch: Option<NodeId>) -> Result<Look<T>> {
        self.look_all(vec![input], keep, watch)
    }

    /// [`Network::look_at`] on all the inputs of a program, in its order; where there are several, on the tape.
    ///
    /// # Errors
    /// As [`Network::look`].
    pub fn look_all(&self, inputs: Vec<Tensor<T>>, keep: Keep, watch: Option<NodeId>) -> Result<Look<T>> {
        let standard = |x: Tensor<T>| if x.is_standard_layout() { x } else { x.as_standard_layout().into_owned().into_shared() };
        let inputs: Vec<Tensor<T>> = inputs.into_iter().map(standard).collect();
        // Where the way back is on the tape, so is the way forward: what it needs is kept at once.
        let plan = self.plan(&inputs).filter(|plan| plan.back.is_ok());
        if let (Some(plan), [input]) = (plan, &inputs[..]) {
            self.program().shapes(&[input.shape().to_vec()])?;
            if let Some(x) = T::as_f32(slice(input)) {
                let (output, passed) = plan.forward(x, Some(keep), watch.and_then(|node| plan.steps.step_of(node)));
                let output = typed(&plan.steps.output_shape(input.shape()[0]), output);
                return Ok(Look { inputs, output, planned: Some((plan, passed)), tape: OnceLock::new(), edition: self.edition() });
            }
        }
        let tape = self.run(&inputs)?;
        Ok(Look { inputs, output: tape.output().clone(), planned: None, tape: OnceLock::from(tape), edition: self.edition() })
    }

    /// The gradient of an output column in the input under rules, for each example of a look; `reference` is a look at the baseline, of batch 1 or
    /// that of `look`.
    ///
    /// # Errors
    /// As [`Network::backward`]; [`Error::Usage`] for a look of another network, or from before a parameter was changed.
    pub fn look_back(&self, look: &Look<T>, rules: &RuleSet<T>, reference: Option<&Look<T>>, column: usize) -> Result<Tensor<T>> {
        let mut all = self.look_back_all(look, rules, reference, column)?;
        match all.len() {
            1 => Ok(all.remove(0)),
            several => Err(Error::Program(format!("the program has {several} inputs, this needs one"))),
        }
    }

    /// [`Network::look_back`] to each of the program's inputs, in its order.
    ///
    /// # Errors
    /// As [`Network::look_back`].
    pub fn look_back_all(&self, look: &Look<T>, rules: &RuleSet<T>, reference: Option<&Look<T>>, column: usize) -> Result<Vec<Tensor<T>>> {
        for look in [Some(look), reference].into_iter().flatten() {
            self.check_run(look.edition)?;
        }
        let seed = one_hot(look.output(), column)?;
        if let Some((plan, passed)) = &look.planned {
            rules.check(self.program())?;
            let base = reference.map(|reference| reference.planned.as_ref().map(|(_, passed)| passed));
            if let (Some(formulas), None | Some(Some(_)), Some(seed)) = (self.relu_formulas(plan, rules), base, T::as_f32(slice(&seed))) {
                let base = base.flatten();
                let needs = formulas.contains(&ReluFormula::Chord);
                let batch = look.inputs[0].shape()[0];
                if needs && !base.is_some_and(|base| base.batch() == 1 || base.batch() == batch) {
                    return Err(Error::Rule(format!("a rule that takes differences from a reference run needs one of batch 1 or {batch}")));
                }
                if let Some(gradient) = plan.backward(passed, seed, &formulas, base, false) {
                    return Ok(vec![typed(look.inputs[0].shape(), gradient)]);
                }
            }
        }
        let reference = reference.map(|reference| reference.tape(self)).transpose()?;
        let mut gradients = self.backward(look.tape(self)?, seed, rules, reference, &Want::inputs(self.program()))?;
        let reached = |(id, x): (NodeId, &Tensor<T>)| gradients.take(id).unwrap_or_else(|| crate::tape::zeros(x.shape()));
        Ok(self.program().inputs().into_iter().zip(&look.inputs).map(reached).collect())
    }

    /// The value of a node in a look and the gradient of an output column in it, both (N, …): by the plan where it was watched
    /// ([`Network::look_at`]); no gradient where the output does not depend on the node.
    ///
    /// # Errors
    /// As [`Network::look_back`]; [`Error::Program`] if there is no such node.
    pub fn watched(&self, look: &Look<T>, node: NodeId, column: usize) -> Result<(Tensor<T>, Option<Tensor<T>>)> {
        self.check_run(look.edition)?;
        if node.0 >= self.program().nodes().len() {
            return Err(Error::Program(format!("there is no node {}, the program has {}", node.0, self.program().nodes().len())));
        }
        let seed = one_hot(look.output(), column)?;
        if let (Some((plan, passed)), Some(seed)) = (&look.planned, T::as_f32(slice(&seed)))
            && let Some(step) = plan.steps.step_of(node).filter(|step| passed.watch() == Some(*step))
            && let Some(gradient) = plan.backward(passed, seed, &vec![ReluFormula::Derivative; plan.steps.relus.len()], None, true)
        {
            let shape = plan.steps.watched_shape(step, look.inputs[0].shape()[0]);
            return Ok((typed(&shape, plan.watched(passed, step)), Some(typed(&shape, gradient))));
        }
        let tape = look.tape(self)?;
        let mut gradients = self.backward(tape, seed, &RuleSet::plain(), None, &Want::nodes([node]))?;
        Ok((tape.value(node).clone(), gradients.take(node)))
    }

    /// What the rules do at each of the plan's ReLUs; `None` if they act elsewhere or do what plans do not fuse.
    fn relu_formulas(&self, plan: &Plan, rules: &RuleSet<T>) -> Option<Vec<ReluFormula>> {
        let program = self.program();
        let elsewhere = |id: &NodeId| {
            let node = program.node(*id);
            node.op.kind() != OpKind::Relu && rules.rule_for(node).is_some()
        };
        if plan.steps.nodes.iter().any(elsewhere) {
            return None;
        }
        plan.steps
            .relus
            .iter()
            .map(|(id, _)| rules.rule_for(program.node(*id)).map_or(Some(ReluFormula::Derivative), |rule| rule.at_relu()))
            .collect()
    }
}

/// f32 values as T, which is f32 wherever there is a plan.
fn typed<T: Real>(shape: &[usize], values: Vec<f32>) -> Tensor<T> {
    let mut typed = vec![T::ZERO; values.len()];
    match T::as_f32_mut(&mut typed) {
        Some(to) => to.copy_from_slice(&values),
        None => typed.iter_mut().zip(values).for_each(|(to, from)| *to = T::of(f64::from(from))),
    }
    from_vec(shape, typed)
}

#[cfg(test)]
mod tests {
    use crate::nn;
    use crate::tape::Network;

    #[test]
    fn a_network_keeps_a_few_plans() {
        let program = nn::stevennet(12, None).unwrap();
        let network: Network<f32> = Network::new(program.clone(), nn::initialise(&program, 1, 0).unwrap()).unwrap();
        for len in (100..120).chain([100]) {
            network.predict(&[crate::tape::zeros(&[1, 12, len])]).unwrap();
        }
        let plans = network.plans().0.lock().unwrap();
        assert_eq!((plans.len(), &plans[super::KEPT - 1].0[..]), (super::KEPT, &[12, 100][..]));
    }

    #[test]
    fn stevennet_is_one_step_a_layer() {
        let program = nn::stevennet(12, None).unwrap();
        let parameters = nn::initialise(&program, 1, 0).unwrap();
        let network: Network<f32> = Network::new(program, parameters).unwrap();
        let plan = super::Plan::compile(&network, &[12, 600]).unwrap();
        // 18 convolutions with all that follows them, the pooling, the mean, the linear layer.
        assert_eq!((plan.steps.list.len(), plan.steps.relus.len()), (21, 18));
        // All sixteen long convolutions follow one another, behind two short ones and the pooling.
        assert_eq!(plan.steps.chain_forward(3), 3..=18);
        // In both directions, and a handful of buffers are used again and again.
        let text = network.plan_text(&[12, 600]);
        assert!(text.starts_with("the whole network is planned: "), "{text}");
        assert!(text.contains("\nsteps 3–18 as a chain: ") && text.contains("\nsteps 18–3 as a chain: "), "{text}");
        assert!(plan.forward.places.len() <= 4 && plan.back.as_ref().unwrap().places.len() <= 4, "{text}");
    }

    #[test]
    fn what_has_no_plan_says_why() {
        let program = nn::stevennet(12, None).unwrap();
        let network: Network<f32> = Network::new(program.clone(), nn::initialise(&program, 1, 0).unwrap()).unwrap();
        assert_eq!(network.cast::<f64>().plan_text(&[12, 600]), "no plan: plans compute in f32 only\n");
        assert_eq!(network.plan_text(&[11, 600]), "no plan: inputs of this shape do not fit\n");
        let mut build = crate::tape::Builder::new();
        let x = build.input("x", &[Some(2), None]);
        let conv = crate::tape::ConvLayer { stride: 2, ..crate::tape::ConvLayer::same(2, 2, 3) };
        let conv = build.conv1d("conv", x, conv);
        let squashed = build.node("squash", crate::tape::Op::Tanh, &[conv]);
        let ratio = build.node("ratio", crate::tape::Op::Divide, &[squashed, conv]);
        let y = build.node("mean", crate::tape::Op::GlobalAvgPool, &[ratio]);
        let program = build.finish(y).unwrap();
        let parameters = nn::initialise(&program, 1, 0).unwrap();
        let network: Network<f32> = Network::new(program.clone(), parameters).unwrap();
        let why = "no plan, the network runs on the tape: node 'ratio' (divide): plans have no step for it; 2 of 4 nodes stand before it\n";
        assert_eq!(network.plan_text(&[2, 20]), why);
        let squashed = network.with_output(program.find("squash").unwrap()).unwrap().plan_text(&[2, 20]);
        assert!(squashed.contains("step 1: squash → 2 × 10, tanh as on the tape\n"), "{squashed}");
        assert!(squashed.contains("the way back is on the tape: 'squash' (tanh) is computed as there"), "{squashed}");
        let early = network.with_output(program.find("conv").unwrap()).unwrap();
        assert!(early.plan_text(&[2, 20]).contains("the way back is on the tape: the convolution 'conv' has a stride"));
    }

    #[test]
    fn runs_through_max_pools_take_no_more_buffers_each_time() {
        let program = nn::standardconv(12, None).unwrap();
        let parameters = nn::initialise(&program, 1, 0).unwrap();
        let network: Network<f32> = Network::new(program, parameters).unwrap();
        let plan = network.plan_of(&[1, 12, 64]).unwrap();
        let run = || drop(network.look(crate::tape::zeros(&[3, 12, 64])).unwrap());
        (0..4).for_each(|_| run());
        let few = plan.pools.count();
        (0..20).for_each(|_| run());
        // Threads may each come to have their own.
        assert!(plan.pools.count() < few + 20, "{} buffers, {few} before", plan.pools.count());
    }
}
