//! Training by a plan: the forward run with batch statistics, everything kept for the way back.
//!
//! Activations are blocked as in [`super`]; the batch is cut into parts of fixed size, each worked on by one thread, and sums over the batch are
//! merged in the order of the parts: results do not depend on threads. They agree with the tape's to rounding, since sums are cut otherwise.

use super::compile::Plan;
use super::steps::{ConvStep, Layout, Slot, Step, StepOp};
#[cfg(not(feature = "std"))]
use crate::plain::*;
#[cfg(not(feature = "std"))]
use crate::tape::Real;
use crate::tape::network::Edition;
use crate::tape::{Network, NodeId, Op, Program, Tensor, dense, from_vec, slice};
use crate::{Error, Result};
use cardiograd_kernels::blocked::{Finish, FusedConv, Gate};
use cardiograd_kernels::parallel::prelude::*;
use cardiograd_kernels::training::{self, Affine, Moments};
use cardiograd_kernels::{Buffer, WeightGradient};

/// Examples of a part: their activations stay in a core's cache from one step to the next, and there are parts enough for several cores.
pub(super) const PART: usize = 8;

/// A plan for training steps of one program on inputs of one shape. It reads the parameters anew at each step, and reuses all its memory.
pub struct TrainingPlan {
    pub(super) plan: Plan,
    program: Program,
    example: Vec<usize>,
    /// The network of the last run.
    ran: Option<Edition>,
    pub(super) convs: Vec<Option<TrainConv>>,
    /// What each slot held in the last run, blocked, all examples.
    pub(super) values: Vec<Buffer>,
    pub(super) batch: usize,
    pub(super) spare: Vec<Buffer>,
    /// Sums of a weight gradient by shares; one for all convolutions, so that it stays near.
    pub(super) sums: Buffer,
}

/// What a convolution keeps between runs and within one.
pub(super) struct TrainConv {
    pub forward: FusedConv,
    pub adjoint: Option<FusedConv>,
    pub gradient: WeightGradient,
    /// The convolution's output before batch norm and ReLU.
    pub v: Buffer,
    /// z = scale · v + shift.
    pub affine: Affine,
    /// The batch's statistics, where there is a batch norm.
    pub moments: Option<Moments>,
    /// The same as mean and biased variance of the channels that are there.
    pub statistics: Option<(Vec<f64>, Vec<f64>, usize)>,
}

impl TrainingPlan {
    /// A plan for inputs (N, …) of this example shape; `None` if the program has an op that plans do not train.
    pub fn new(network: &Network<f32>, example: &[usize]) -> Option<Self> {
        if !super::enabled() {
            return None;
        }
        let plan = Plan::compile(network, example).ok()?;
        let convs = plan.steps.list.iter().map(|step| TrainConv::new(&plan, step)).collect::<core::result::Result<Vec<_>, _>>().ok()?;
        let values = (0..plan.steps.layouts.len()).map(|_| Buffer::default()).collect();
        let (program, example) = (network.program().clone(), example.to_vec());
        Some(TrainingPlan { plan, program, example, ran: None, convs, values, batch: 0, spare: Vec::new(), sums: Buffer::default() })
    }

    /// The outputs of a training run, (N, K): batch norms use the statistics of this batch.
    ///
    /// # Errors
    /// If the input does not fit the plan, or the batch is empty; [`Error::Usage`] for a network of another program.
    pub fn forward(&mut self, network: &Network<f32>, input: &Tensor<f32>) -> Result<Tensor<f32>> {
        if *network.program() != self.program {
            return Err(Error::Usage("the training plan is of another program".into()));
        }
        let (size_in, size_out) = (self.plan.steps.planar(self.plan.steps.input), self.plan.steps.planar(self.plan.steps.output));
        let input = input.as_standard_layout();
        let x = input.as_slice().unwrap_or(&[]);
        if x.is_empty() || input.shape()[1..] != self.example[..] {
            return Err(Error::Data(format!("a training run needs examples of shape {:?}, found {:?}", self.example, input.shape())));
        }
        self.ran = Some(network.edition());
        self.batch = input.shape()[0];
        for slot in 0..self.values.len() {
            self.values[slot].reserve(self.batch * self.plan.steps.size(slot));
        }
        let size = self.plan.steps.size(self.plan.steps.input);
        let packed = &mut self.values[self.plan.steps.input].as_mut_slice()[..self.batch * size];
        packed
            .par_chunks_mut(PART * size)
            .zip(x.par_chunks(PART * size_in))
            .for_each(|(to, x)| self.plan.steps.pack(self.plan.steps.input, x, to));
        for index in 0..self.plan.steps.list.len() {
            // The step's output leaves its place while the others are read.
            let mut y = core::mem::take(&mut self.values[self.plan.steps.list[index].y]);
            match self.convs[index].take() {
                Some(mut conv) => {
                    self.convolution(network, index, &mut conv, &mut y)?;
                    self.convs[index] = Some(conv);
                }
                None => self.plain(network, index, &mut y),
            }
            let slot = self.plan.steps.list[index].y;
            self.values[slot] = y;
        }
        let mut output = vec![0.0; self.batch * size_out];
        let y = &self.values[self.plan.steps.output].as_slice()[..self.batch * self.plan.steps.size(self.plan.steps.output)];
        self.plan.steps.unpack(self.plan.steps.output, self.batch, y, &mut output);
        Ok(from_vec(&self.plan.steps.output_shape(self.batch), output))
    }

    /// That a seed is one for the last run, which was this network's.
    pub(super) fn check_seed(&self, network: &Network<f32>, seed: &Tensor<f32>) -> Result<()> {
        network.check_run(self.ran.ok_or_else(|| Error::Usage("the training plan has not run: there is nothing to walk back".into()))?)?;
        let output = self.plan.steps.output_shape(self.batch);
        if seed.shape() == output { Ok(()) } else { Err(Error::shape("the seed of the backward walk", output, seed.shape())) }
    }

    /// Mean, biased variance and count per channel that a batch norm used in the last run.
    pub fn statistics(&self, id: NodeId) -> Option<(&[f64], &[f64], usize)> {
        let of = |step: &Step| if let StepOp::Conv(conv) = &step.op { conv.norm } else { None };
        let index = self.plan.steps.list.iter().position(|step| of(step) == Some(id))?;
        let (mean, variance, count) = self.convs[index].as_ref()?.statistics.as_ref()?;
        Some((mean, variance, *count))
    }

    /// Elements of a slot, all examples.
    pub(super) fn elements(&self, slot: Slot) -> usize {
        self.batch * self.plan.steps.size(slot)
    }

    pub(super) fn value(&self, slot: Slot) -> &[f32] {
        &self.values[slot].as_slice()[..self.elements(slot)]
    }

    /// v ← conv(x) + bias with its statistics, then y ← ReLU(norm(v)) + the other addend.
    fn convolution(&self, network: &Network<f32>, index: usize, state: &mut TrainConv, y: &mut Buffer) -> Result<()> {
        let step = &self.plan.steps.list[index];
        let StepOp::Conv(conv) = &step.op else { return Ok(()) };
        let (isa, groups, len) = (self.plan.steps.isa, conv.conv.c_out.div_ceil(self.plan.steps.isa.width()), conv.conv.len_out());
        let (size_x, size) = (self.plan.steps.size(step.x), self.plan.steps.size_of(Layout::Blocked(conv.conv.c_out, len)));
        let inputs = &network.program().node(conv.node).inputs;
        let weights = slice(network.parameter(inputs[1]));
        let bias = inputs.get(2).map(|at| slice(network.parameter(*at)));
        state.forward.refresh(weights);
        if let Some(adjoint) = &mut state.adjoint {
            adjoint.refresh_adjoint(&state.forward, weights);
        }
        state.v.reserve(self.batch * size);
        let (x, v) = (self.value(step.x), &mut state.v.as_mut_slice()[..self.batch * size]);
        let run = |(v, x): (&mut [f32], &[f32])| {
            state.forward.run(v.len() / size, x, (Gate::Open, None), bias, Finish::default(), v, false);
            conv.norm.map(|_| Moments::of(isa, groups, len, v))
        };
        let parts: Vec<Option<Moments>> = v.par_chunks_mut(PART * size).zip(x.par_chunks(PART * size_x)).map(run).collect();
        if let (Some(norm), Some(moments)) = (conv.norm, parts.into_iter().flatten().reduce(|a, b| a.merge(&b))) {
            state.affine = batch_affine(network, norm, &moments, conv.conv.c_out);
            let channels = ..conv.conv.c_out;
            let variance = moments.squares[channels].iter().map(|s| s / moments.count as f64).collect();
            state.statistics = Some((moments.mean[channels].to_vec(), variance, moments.count));
            state.moments = Some(moments);
        }
        let (v, relu, affine) = (&state.v.as_slice()[..self.batch * size], step.relu.is_some(), &state.affine);
        let y = &mut y.as_mut_slice()[..self.batch * size];
        let parts = y.par_chunks_mut(PART * size).zip(v.par_chunks(PART * size));
        match step.add.map(|slot| self.value(slot)) {
            Some(add) => parts
                .zip(add.par_chunks(PART * size))
                .for_each(|((y, v), add)| training::normalise(isa, len, affine, v, relu, Some(add), y)),
            None => parts.for_each(|(y, v)| training::normalise(isa, len, affine, v, relu, None, y)),
        }
        Ok(())
    }

    /// A step other than a convolution.
    fn plain(&self, network: &Network<f32>, index: usize, y: &mut Buffer) {
        let step = &self.plan.steps.list[index];
        let (size_x, size_y) = (self.plan.steps.size(step.x), self.plan.steps.size(step.y));
        let (x, y) = (self.value(step.x), &mut y.as_mut_slice()[..self.batch * size_y]);
        if matches!(step.op, StepOp::Dense(..)) {
            let inputs = &network.program().node(NodeId(step.y)).inputs;
            let bias = inputs.get(2).map(|at| slice(network.parameter(*at)));
            return dense(self.batch, x, slice(network.parameter(inputs[1])), bias, y);
        }
        let add = step.add.map(|slot| self.value(slot));
        let each = x.par_chunks(size_x).zip(y.par_chunks_mut(size_y)).enumerate();
        each.for_each(|(n, (x, y))| self.plan.steps.apply(step, x, add.map(|add| &add[n * size_y..][..size_y]), y));
    }
}

/// What the parts of a way back through one convolution share: the adjoint, the weight gradient, and z's scale and shift.
pub(super) struct Operators<'a> {
    pub adjoint: Option<&'a FusedConv>,
    pub gradient: &'a WeightGradient,
    pub affine: &'a Affine,
}

/// A step that plans do not train.
struct Untrainable;

impl TrainConv {
    /// The state of a step: nothing for those that are no convolutions.
    fn new(plan: &Plan, step: &Step) -> core::result::Result<Option<Self>, Untrainable> {
        let conv: &ConvStep = match &step.op {
            StepOp::Conv(conv) => conv,
            // A batch norm without a convolution before it is left to the tape.
            StepOp::Affine(..) | StepOp::Own(_) => return Err(Untrainable),
            _ => return Ok(None),
        };
        let needs_adjoint = step.x != plan.steps.input;
        let adjoint = FusedConv::adjoint(conv.conv, slice(&conv.weights), plan.steps.isa, None).filter(|_| needs_adjoint);
        if needs_adjoint && adjoint.is_none() {
            return Err(Untrainable);
        }
        let width = plan.steps.isa.width();
        let padded = conv.conv.c_out.next_multiple_of(width);
        Ok(Some(TrainConv {
            forward: FusedConv::forward(conv.conv, slice(&conv.weights), plan.steps.isa, None),
            adjoint,
            gradient: WeightGradient::new(conv.conv, plan.steps.isa, None),
            v: Buffer::default(),
            affine: Affine { scale: vec![1.0; padded], shift: vec![0.0; padded] },
            moments: None,
            statistics: None,
        }))
    }
}

/// γ and ε of a batch norm, and 1/√(σ² + ε) of a batch, padded like the moments.
pub(super) fn inverse_deviation(network: &Network<f32>, norm: NodeId, moments: &Moments) -> Vec<f64> {
    let Op::BatchNorm { eps, .. } = network.program().node(norm).op else { return Vec::new() };
    moments.squares.iter().map(|s| 1.0 / (s / moments.count as f64 + eps).sqrt()).collect()
}

/// Scale and shift of a batch norm under a batch's statistics; 0 in the lanes beyond the channels.
fn batch_affine(network: &Network<f32>, norm: NodeId, moments: &Moments, channels: usize) -> Affine {
    let inputs = &network.program().node(norm).inputs;
    let (gamma, beta) = (slice(network.parameter(inputs[1])), slice(network.parameter(inputs[2])));
    let inverse = inverse_deviation(network, norm, moments);
    let mut affine = Affine { scale: vec![0.0; moments.mean.len()], shift: vec![0.0; moments.mean.len()] };
    for c in 0..channels {
        let scale = f64::from(gamma[c]) * inverse[c];
        affine.scale[c] = scale as f32;
        affine.shift[c] = (f64::from(beta[c]) - moments.mean[c] * scale) as f32;
    }
    affine
}
