//! A program with its parameters, ready to run.

use super::limits;
use super::ops::{Context, Ready, forward};
use super::plan::{PlanCache, check_environment};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Mode, NodeId, Op, OpKind, Program, Real, Saved, Tape, Tensor, cast, slice};
use crate::{Error, Result};
use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU64, Ordering};
use ndarray::{ArrayViewMutD, Axis, Slice};

/// Parameters by name.
pub type Parameters<T> = BTreeMap<String, Tensor<T>>;

/// A program with its parameters.
#[derive(Debug)]
pub struct Network<T: Real> {
    program: Program,
    parameters: Vec<Option<Tensor<T>>>,
    cache: Ready<T>,
    edition: Edition,
}

/// Which program with which parameter values a network is: what runs are made of. Clones share it; whatever is made or changed has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edition(u64);

impl Edition {
    fn fresh() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Edition(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

impl<T: Real> Clone for Network<T> {
    fn clone(&self) -> Self {
        Network { edition: self.edition, ..Network::of(self.program.clone(), self.parameters.clone()) }
    }
}

impl<T: Real> Network<T> {
    /// Binds parameters to a program.
    ///
    /// # Errors
    /// [`Error::Parameters`] if one is missing, one too many, of another shape, not finite, or a variance that is not positive; [`Error::Usage`] if the
    /// environment asks for what cannot be done ([`crate::tape::plan::check_environment`]).
    pub fn new(program: Program, mut parameters: Parameters<T>) -> Result<Self> {
        check_environment()?;
        let mut bound = Vec::with_capacity(program.nodes().len());
        for node in program.nodes() {
            let Op::Parameter { shape, .. } = &node.op else {
                bound.push(None);
                continue;
            };
            let Some(value) = parameters.remove(&node.name) else {
                return Err(Error::Parameters(format!("parameter '{}' of shape {shape:?} is missing", node.name)));
            };
            bound.push(Some(checked(&node.name, shape, value)?));
        }
        check_variances(&program, &bound)?;
        if let Some(name) = parameters.keys().next() {
            let more = parameters.len() - 1;
            let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
            return Err(Error::Parameters(format!("parameter '{name}'{rest} has no place in the program")));
        }
        Ok(Network::of(program, bound))
    }

    fn of(program: Program, parameters: Vec<Option<Tensor<T>>>) -> Self {
        Network { program, parameters, cache: Ready::default(), edition: Edition::fresh() }
    }

    /// What its runs are made of.
    pub(crate) fn edition(&self) -> Edition {
        self.edition
    }

    /// That a run is one of this network as it is now.
    ///
    /// # Errors
    /// [`Error::Usage`] for another network's, or one from before a parameter was changed.
    pub(crate) fn check_run(&self, edition: Edition) -> Result<()> {
        if edition == self.edition {
            return Ok(());
        }
        Err(Error::Usage(
            "the run is of another network, or of this one before its parameters were changed: run this one on the input first".into(),
        ))
    }

    /// What is made ready from the parameters is forgotten, for they change.
    fn change(&mut self) {
        self.cache = Ready::default();
        self.edition = Edition::fresh();
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The parameters by name.
    pub fn parameters(&self) -> Parameters<T> {
        let named = |id: NodeId| (self.program.node(id).name.clone(), self.parameter(id).clone());
        self.program.parameters().into_iter().map(named).collect()
    }

    /// A parameter node's value.
    ///
    /// # Panics
    /// If the node is not a parameter.
    pub fn parameter(&self, id: NodeId) -> &Tensor<T> {
        self.parameters[id.0].as_ref().expect("the node is a parameter")
    }

    /// A parameter's elements, to change in place: the shape stays. What was prepared from the old values is forgotten.
    ///
    /// # Panics
    /// If the node is not a parameter.
    pub fn parameter_mut(&mut self, id: NodeId) -> ArrayViewMutD<'_, T> {
        self.change();
        self.parameters[id.0].as_mut().expect("the node is a parameter").view_mut()
    }

    /// Gives a parameter another value. What was prepared from the old one is forgotten.
    ///
    /// # Errors
    /// [`Error::Parameters`], and nothing is changed, if the node is not a parameter, or the value is of another shape, not finite, or a variance that is
    /// not positive.
    pub fn set_parameter(&mut self, id: NodeId, value: Tensor<T>) -> Result<()> {
        let Some((Op::Parameter { shape, .. }, name)) = self.program.nodes().get(id.0).map(|node| (&node.op, &node.name)) else {
            return Err(Error::Parameters(format!("node {} is not a parameter", id.0)));
        };
        let before = self.parameters[id.0].replace(checked(name, shape, value)?);
        if let Err(error) = check_variances(&self.program, &self.parameters) {
            self.parameters[id.0] = before;
            return Err(error);
        }
        self.change();
        Ok(())
    }

    /// The same network in another precision.
    pub fn cast<U: Real>(&self) -> Network<U> {
        let parameters = self.parameters.iter().map(|value| value.as_ref().map(cast)).collect();
        Network::of(self.program.clone(), parameters)
    }

    /// The same parameters under a program that ends at another node.
    ///
    /// # Errors
    /// If the node is not in the program.
    pub fn with_output(&self, output: NodeId) -> Result<Self> {
        Ok(Network::of(self.program.with_output(output)?, self.parameters.clone()))
    }

    /// A run in evaluation mode that keeps every value.
    ///
    /// # Errors
    /// If the inputs do not fit the program.
    pub fn run(&self, inputs: &[Tensor<T>]) -> Result<Tape<T>> {
        self.run_in(inputs, Mode::Evaluation)
    }

    /// A run that keeps every value, in either mode. In training mode weights change between runs, so nothing is prepared ahead.
    ///
    /// # Errors
    /// If the inputs do not fit the program.
    pub fn run_in(&self, inputs: &[Tensor<T>], mode: Mode) -> Result<Tape<T>> {
        if mode == Mode::Training && inputs.iter().any(|input| input.is_empty()) {
            return Err(Error::Data("a training run needs at least one example".into()));
        }
        let (values, saved) = self.execute(inputs, mode, |_, _| ())?;
        let values = values.into_iter().map(|value| value.expect("every value was kept")).collect();
        Ok(Tape { values, saved, output: self.program.output(), mode, edition: self.edition })
    }

    /// The output alone, in evaluation mode: by a plan (see [`crate::tape::plan`]) where there can be one, else node by node, values being
    /// dropped as soon as no node needs them.
    ///
    /// # Errors
    /// If the inputs do not fit the program.
    pub fn predict(&self, inputs: &[Tensor<T>]) -> Result<Tensor<T>> {
        if let Some(pieces) = self.pieces(inputs)? {
            let parts = pieces.iter().map(|piece| self.predict(core::slice::from_ref(piece))).collect::<Result<Vec<_>>>()?;
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            let whole = ndarray::concatenate(Axis(0), &views).map_err(|error| Error::Data(format!("joining predictions: {error}")))?;
            return Ok(whole.as_standard_layout().into_owned().into_shared());
        }
        if let Some(output) = self.predict_planned(inputs)? {
            return Ok(output);
        }
        let output = self.program.output();
        let readers = self.program.readers();
        let free = |values: &mut Vec<Option<Tensor<T>>>, done: usize| {
            for input in &self.program.nodes()[done].inputs {
                if *input != output && readers[input.0].last() == Some(&NodeId(done)) {
                    values[input.0] = None;
                }
            }
        };
        let (mut values, _) = self.execute(inputs, Mode::Evaluation, free)?;
        Ok(values[output.0].take().expect("the output is kept"))
    }

    /// A batch in parts whose values keep within [`limits::MOST_VALUES`], if they would not together; no result depends on it.
    fn pieces(&self, inputs: &[Tensor<T>]) -> Result<Option<Vec<Tensor<T>>>> {
        let [input] = inputs else { return Ok(None) };
        let Some((&count, example)) = input.shape().split_first().filter(|(count, _)| **count > 1) else { return Ok(None) };
        let most = self.program.batch_within(example, limits::MOST_VALUES * size_of::<f32>(), count)?;
        if most == count {
            return Ok(None);
        }
        let part = |from: usize| input.slice_axis(Axis(0), Slice::from(from..count.min(from + most))).to_owned().into_shared();
        Ok(Some((0..count).step_by(most).map(part).collect()))
    }

    /// Runs node by node; `after` may drop values once a node is done.
    #[allow(clippy::type_complexity)]
    fn execute(
        &self,
        inputs: &[Tensor<T>],
        mode: Mode,
        mut after: impl FnMut(&mut Vec<Option<Tensor<T>>>, usize),
    ) -> Result<(Vec<Option<Tensor<T>>>, Vec<Saved>)> {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
        self.program.shapes(&shapes)?;
        let context = self.context(mode);
        let count = self.program.nodes().len();
        let mut values: Vec<Option<Tensor<T>>> = Vec::with_capacity(count);
        let mut saved = Vec::with_capacity(count);
        let mut given = inputs.iter();
        for (id, node) in self.program.nodes().iter().enumerate() {
            let (value, keep) = match &node.op {
                Op::Input { .. } => {
                    (given.next().expect("inputs were counted").as_standard_layout().into_owned().into_shared(), Saved::Nothing)
                }
                Op::Parameter { .. } => (self.parameter(NodeId(id)).clone(), Saved::Nothing),
                op => {
                    let read: Vec<&Tensor<T>> = node.inputs.iter().map(|id| values[id.0].as_ref().expect("inputs are alive")).collect();
                    forward(op, &read, &context)
                        .map_err(|problem| Error::Program(format!("node '{}' ({}): {problem}", node.name, op.kind())))?
                }
            };
            values.push(Some(value));
            saved.push(keep);
            after(&mut values, id);
        }
        Ok((values, saved))
    }

    /// The plans made from this network's parameters.
    pub(crate) fn plans(&self) -> &PlanCache {
        &self.cache.plans
    }

    /// How ops run in this network: evaluation reuses weights made ready, training does not.
    pub(crate) fn context(&self, mode: Mode) -> Context<'_, T> {
        Context { mode, cache: (mode == Mode::Evaluation).then_some(&self.cache) }
    }

    /// Moves the running averages of every batch norm towards the statistics of a training run (unbiased variance, as PyTorch), given as mean,
    /// biased variance and count by node.
    ///
    /// # Errors
    /// As [`Network::check_running_averages`], or [`Error::Parameters`] for statistics of another number of channels; then nothing is changed.
    pub fn update_running_averages<'s>(&mut self, statistics: impl Fn(NodeId) -> Option<(&'s [f64], &'s [f64], usize)>) -> Result<()> {
        self.check_running_averages()?;
        for id in self.program.of_kind(OpKind::BatchNorm) {
            let (Some((mean, variance, _)), node) = (statistics(id), self.program.node(id)) else { continue };
            let channels = self.parameter(node.inputs[3]).len();
            if mean.len() != channels || variance.len() != channels {
                return Err(Error::Parameters(format!("node '{}': statistics of {} channels, it has {channels}", node.name, mean.len())));
            }
        }
        for id in self.program.ids() {
            let (Op::BatchNorm { momentum, .. }, Some((mean, variance, count))) = (&self.program.node(id).op, statistics(id)) else {
                continue;
            };
            let unbiased = count as f64 / (count as f64 - 1.0).max(1.0);
            let inputs = self.program.node(id).inputs.clone();
            for (at, batch, factor) in [(inputs[3], mean, 1.0), (inputs[4], variance, unbiased)] {
                let running = self.parameters[at.0].as_mut().expect("running statistics are parameters");
                for (running, batch) in running.iter_mut().zip(batch) {
                    *running = T::of((1.0 - momentum) * running.f64() + momentum * factor * batch);
                }
            }
        }
        self.change();
        Ok(())
    }

    /// That training can move every batch norm's running mean and variance: they are parameters, not computed by other nodes.
    ///
    /// # Errors
    /// [`Error::Program`] naming the first that is not.
    pub fn check_running_averages(&self) -> Result<()> {
        for node in self.program.nodes().iter().filter(|node| node.op.kind() == OpKind::BatchNorm) {
            for (at, what) in [(node.inputs[3], "mean"), (node.inputs[4], "variance")] {
                let from = self.program.node(at);
                if from.op.kind() != OpKind::Parameter {
                    return Err(Error::Program(format!(
                        "node '{}' (batch_norm): training moves its running {what}, which '{}' ({}) computes: make it a parameter",
                        node.name,
                        from.name,
                        from.op.kind()
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Checks that no batch norm divides by the root of a variance that is negative or 0.
fn check_variances<T: Real>(program: &Program, bound: &[Option<Tensor<T>>]) -> Result<()> {
    for node in program.nodes() {
        let Op::BatchNorm { eps, .. } = node.op else { continue };
        let Some(variances) = &bound[node.inputs[4].0] else { continue };
        if let Some(at) = slice(variances).iter().position(|v| v.f64() + eps <= 0.0) {
            let (name, value) = (&program.node(node.inputs[4]).name, slice(variances)[at]);
            return Err(Error::Parameters(format!("parameter '{name}': element {at} is {value}, a variance must be positive")));
        }
    }
    Ok(())
}

/// Checks a parameter's shape and values and brings it into standard layout.
fn checked<T: Real>(name: &str, shape: &[usize], value: Tensor<T>) -> Result<Tensor<T>> {
    if value.shape() != shape {
        return Err(Error::Parameters(format!("parameter '{name}': expected shape {shape:?}, found {:?}", value.shape())));
    }
    let value = if value.is_standard_layout() { value } else { value.as_standard_layout().into_owned().into_shared() };
    if let Some(at) = slice(&value).iter().position(|v| !v.is_finite()) {
        return Err(Error::Parameters(format!("parameter '{name}': element {at} is not finite")));
    }
    Ok(value)
}
