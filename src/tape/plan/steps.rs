//! The steps of a plan as data: what each does, what it reads and writes, and how values lie in memory.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{NodeId, Op, Tensor};
use cardiograd_kernels::blocked::{self, FusedConv};
use cardiograd_kernels::sync::OnceLock;
use cardiograd_kernels::{Conv1d, Isa, chain};
use core::ops::RangeInclusive;

/// A value between steps, named by the node that it is the value of.
pub(super) type Slot = usize;

/// How a slot's value lies in memory: (channels, samples) blocked, or features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Blocked(usize, usize),
    Features(usize),
}

/// One step: reads slots, writes one.
#[derive(Debug)]
pub(super) struct Step {
    pub op: StepOp,
    pub x: Slot,
    pub y: Slot,
    /// The slot that is added after the ReLU (convolution) or to x (addition).
    pub add: Option<Slot>,
    /// What an op that is computed as on the tape reads besides x, in order.
    pub more: Vec<Slot>,
    /// The index, among the plan's ReLUs, of the one that acts in this step.
    pub relu: Option<usize>,
    /// The nodes that the step computes, in order.
    pub nodes: Vec<NodeId>,
    /// Whether the next step can follow it from spectrum to spectrum, and on the way back the step before it.
    pub chains: (bool, bool),
}

#[derive(Debug)]
pub(super) enum StepOp {
    /// Convolution and batch norm, then ReLU and addition as the step says.
    Conv(Box<ConvStep>),
    /// Channel-wise scale and shift.
    Affine(Vec<f32>, Vec<f32>),
    Relu,
    Add,
    Average(usize, usize),
    Max(usize, usize),
    Mean,
    /// The same features under another name.
    Same,
    /// Weights (outputs, features) and bias.
    Dense(Vec<f32>, Option<Vec<f32>>),
    /// The op as on the tape, on values laid out as there.
    Own(Box<OwnStep>),
}

/// An op that plans have no step of their own for.
#[derive(Debug)]
pub(super) struct OwnStep {
    pub op: Op,
    /// Its inputs: parameters, and `None` for what slots hold, in their order.
    pub inputs: Vec<Option<Tensor<f32>>>,
}

impl StepOp {
    /// The convolution, if it is one.
    pub fn convolution(&self) -> Option<&ConvStep> {
        match self {
            StepOp::Conv(conv) => Some(conv),
            _ => None,
        }
    }

    /// Whether the way back changes the gradient where it lies.
    pub fn is_within(&self) -> bool {
        matches!(self, StepOp::Affine(..) | StepOp::Relu)
    }

    /// Whether the way back hands the gradient on as it is.
    pub fn moves(&self) -> bool {
        matches!(self, StepOp::Add | StepOp::Same)
    }
}

/// A convolution's weights, made ready in each direction when first needed.
#[derive(Debug)]
pub(super) struct ConvStep {
    pub node: NodeId,
    /// The batch norm.
    pub norm: Option<NodeId>,
    pub conv: Conv1d,
    /// The network's own tensor.
    pub weights: Tensor<f32>,
    pub bias: Option<Vec<f32>>,
    /// Scale and shift of the batch norm.
    pub affine: Option<(Vec<f32>, Vec<f32>)>,
    pub forward: OnceLock<FusedConv>,
    pub adjoint: OnceLock<Option<FusedConv>>,
}

/// All steps, in order.
#[derive(Debug)]
pub(super) struct Steps {
    pub isa: Isa,
    pub list: Vec<Step>,
    /// By slot; `None` for parameters and nodes that lie inside a step.
    pub layouts: Vec<Option<Layout>>,
    pub input: Slot,
    pub output: Slot,
    /// The last step that reads a slot.
    pub last_reader: Vec<usize>,
    /// The ReLU nodes and the layouts of their inputs.
    pub relus: Vec<(NodeId, Layout)>,
    /// The nodes that the steps compute, and the input; parameters left out.
    pub nodes: Vec<NodeId>,
}

impl Step {
    /// The slots that it reads.
    pub fn reads(&self) -> impl Iterator<Item = Slot> + '_ {
        [self.x].into_iter().chain(self.add).chain(self.more.iter().copied())
    }
}

impl Steps {
    /// Which convolutions can follow one another.
    pub fn find_chains(&mut self) {
        // A chain has the weights of all its steps ready at once, for which a device has no room.
        if cfg!(not(feature = "std")) {
            return;
        }
        let isa = self.isa;
        for index in 1..self.list.len() {
            let (before, next) = (&self.list[index - 1], &self.list[index]);
            let (Some(a), Some(b)) = (before.op.convolution(), next.op.convolution()) else { continue };
            let linked = next.x == before.y;
            let forward = linked && chain::will_follow(&a.conv, &b.conv, isa);
            let adjoints = a.conv.adjoint().zip(b.conv.adjoint());
            let back = linked && adjoints.is_some_and(|(a, b)| chain::will_follow(&b, &a, isa));
            self.list[index - 1].chains.0 = forward;
            self.list[index].chains.1 = back;
        }
    }

    /// The steps from `first` on that form a chain.
    pub fn chain_forward(&self, first: usize) -> RangeInclusive<usize> {
        let mut last = first;
        while self.list[last].chains.0 {
            last += 1;
        }
        first..=last
    }

    /// The steps from `last` back, down to `floor` at most, that form a chain of adjoints, where gradients have arrived at these slots.
    pub fn chain_back(&self, last: usize, floor: usize, mut arrived: Vec<Slot>) -> RangeInclusive<usize> {
        let mut first = last;
        loop {
            let step = &self.list[first];
            let other = step.add.filter(|add| *add != step.x);
            let joined = step.add.is_some() && other.is_none();
            // Two sums in one store, or one beside it, are for the single step.
            if (joined && arrived.contains(&step.x)) || other.is_some_and(|other| arrived.contains(&other)) {
                return if first == last { last..=last } else { first + 1..=last };
            }
            arrived.extend(other.into_iter().chain([step.x]));
            if first == floor || !step.chains.1 {
                return first..=last;
            }
            first -= 1;
        }
    }

    /// The step of a convolution.
    pub fn step_of(&self, node: NodeId) -> Option<usize> {
        self.list.iter().position(|step| step.op.convolution().is_some_and(|conv| conv.node == node))
    }

    /// The shape of the output for a batch.
    pub fn output_shape(&self, batch: usize) -> Vec<usize> {
        self.shape(self.output, batch)
    }

    /// The shape of the value of the convolution of a step for a batch.
    pub fn watched_shape(&self, step: usize, batch: usize) -> Vec<usize> {
        self.shape(self.list[step].y, batch)
    }

    /// The shape of a slot's value for a batch.
    pub fn shape(&self, slot: Slot, batch: usize) -> Vec<usize> {
        match self.layouts[slot] {
            Some(Layout::Blocked(channels, len)) => vec![batch, channels, len],
            Some(Layout::Features(features)) => vec![batch, features],
            None => vec![batch],
        }
    }

    /// Elements of a slot of one example.
    pub fn size(&self, slot: Slot) -> usize {
        self.layouts[slot].map_or(0, |layout| self.size_of(layout))
    }

    pub fn size_of(&self, layout: Layout) -> usize {
        match layout {
            Layout::Blocked(channels, len) => blocked::size(self.isa, channels, len),
            Layout::Features(features) => features,
        }
    }

    /// Elements of a slot of one example outside the plan.
    pub fn planar(&self, slot: Slot) -> usize {
        match self.layouts[slot] {
            Some(Layout::Blocked(channels, len)) => channels * len,
            Some(Layout::Features(features)) => features,
            None => 0,
        }
    }

    /// Samples of a slot's value; 1 for features.
    pub fn samples(&self, slot: Slot) -> usize {
        match self.layouts[slot] {
            Some(Layout::Blocked(_, len)) => len,
            _ => 1,
        }
    }

    /// Planar examples into a slot's layout.
    pub fn pack(&self, slot: Slot, x: &[f32], to: &mut [f32]) {
        match self.layouts[slot] {
            Some(Layout::Blocked(channels, len)) => {
                let batch = x.len() / (channels * len);
                blocked::pack(self.isa, channels, len, x, &mut to[..batch * self.size(slot)]);
            }
            _ => to[..x.len()].copy_from_slice(x),
        }
    }

    /// A slot's layout into planar examples.
    pub fn unpack(&self, slot: Slot, batch: usize, x: &[f32], to: &mut [f32]) {
        match self.layouts[slot] {
            Some(Layout::Blocked(channels, len)) => blocked::unpack(self.isa, channels, len, &x[..batch * self.size(slot)], to),
            _ => to.copy_from_slice(&x[..to.len()]),
        }
    }
}
