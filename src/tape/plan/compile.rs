//! From a program to steps: which nodes become one step, and with which parameters.

use super::pool::Pools;
use crate::tape::{Network, NodeId, Op, OpKind, Program, Real, slice};
use cardiograd_kernels::blocked::FusedConv;
use cardiograd_kernels::{Conv1d, Isa};
use std::sync::OnceLock;

/// A value between steps, named by the node that it is the value of.
pub(super) type Slot = usize;

/// The extent of a slot: (channels, samples) blocked, or features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Signal(usize, usize),
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
    /// The index, among the plan's ReLUs, of the one that acts in this step.
    pub relu: Option<usize>,
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
    Linear(Vec<f32>, Option<Vec<f32>>),
}

/// A convolution's weights, made ready in each direction when first needed.
#[derive(Debug)]
pub(super) struct ConvStep {
    pub node: NodeId,
    /// The batch norm.
    pub norm: Option<NodeId>,
    pub conv: Conv1d,
    pub weights: Vec<f32>,
    pub bias: Option<Vec<f32>>,
    /// Scale and shift of the batch norm.
    pub affine: Option<(Vec<f32>, Vec<f32>)>,
    pub forward: OnceLock<FusedConv>,
    pub adjoint: OnceLock<Option<FusedConv>>,
}

/// A compiled program.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) isa: Isa,
    pub(super) steps: Vec<Step>,
    /// By slot; `None` for parameters and nodes that lie inside a step.
    pub(super) extents: Vec<Option<Extent>>,
    pub(super) input: Slot,
    pub(super) output: Slot,
    /// The last step that reads a slot.
    pub(super) last_reader: Vec<usize>,
    /// The ReLU nodes and the extents of their inputs.
    pub(super) relus: Vec<(NodeId, Extent)>,
    nodes: Vec<NodeId>,
    /// Whether gradients are added up in the tape's order on the way back.
    pub(super) ordered: bool,
    pub(super) pools: Pools,
}

/// What is known while compiling.
struct Compiler<'a, T: Real> {
    network: &'a Network<T>,
    shapes: Vec<Vec<usize>>,
    /// Nodes that the output depends on.
    live: Vec<bool>,
    readers: Vec<Vec<NodeId>>,
    steps: Vec<Step>,
    relus: Vec<(NodeId, Extent)>,
    done: Vec<bool>,
}

impl Plan {
    /// The plan of a network for examples of this shape; `None` if an op on the way to the output is not among those that plans know.
    pub(super) fn compile<T: Real>(network: &Network<T>, example: &[usize]) -> Option<Plan> {
        let program = network.program();
        let inputs = program.inputs();
        let [input] = inputs[..] else { return None };
        let mut shape = vec![1];
        shape.extend_from_slice(example);
        let shapes = program.shapes(&[shape]).ok()?;
        let live = live(program);
        if !live[input.0] {
            return None;
        }
        let mut readers = vec![Vec::new(); program.nodes().len()];
        for id in program.ids().filter(|id| live[id.0]) {
            for from in &program.node(id).inputs {
                readers[from.0].push(id);
            }
        }
        let done = vec![false; live.len()];
        let mut compiler = Compiler { network, shapes, live, readers, steps: Vec::new(), relus: Vec::new(), done };
        compiler.compile(input)?;
        let Compiler { shapes, live, steps, relus, .. } = compiler;
        let mut extents: Vec<Option<Extent>> = vec![None; shapes.len()];
        for slot in steps.iter().map(|step| step.y).chain([input.0]) {
            extents[slot] = Some(extent(&shapes[slot])?);
        }
        let mut last_reader = vec![0; shapes.len()];
        for (index, step) in steps.iter().enumerate() {
            for slot in [step.x].into_iter().chain(step.add) {
                last_reader[slot] = index;
            }
        }
        let nodes = program.ids().filter(|id| live[id.0] && program.node(*id).op.kind() != OpKind::Parameter).collect();
        let output = program.output().0;
        last_reader[output] = usize::MAX;
        let (pools, ordered) = (Pools::default(), ordered(program, &live, &steps));
        Some(Plan { isa: Isa::best(), steps, extents, input: input.0, output, last_reader, relus, nodes, ordered, pools })
    }

    /// The nodes that the plan computes, parameters left out.
    pub(super) fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The ReLU nodes.
    pub(super) fn relus(&self) -> Vec<NodeId> {
        self.relus.iter().map(|relu| relu.0).collect()
    }

    /// The shape of the output for a batch.
    pub(super) fn output_shape(&self, batch: usize) -> Vec<usize> {
        self.shape(self.output, batch)
    }

    /// The shape of the value of the convolution of a step for a batch.
    pub(super) fn watched_shape(&self, step: usize, batch: usize) -> Vec<usize> {
        self.shape(self.steps[step].y, batch)
    }

    fn shape(&self, slot: Slot, batch: usize) -> Vec<usize> {
        match self.extents[slot] {
            Some(Extent::Signal(channels, len)) => vec![batch, channels, len],
            Some(Extent::Features(features)) => vec![batch, features],
            None => vec![batch],
        }
    }
}

/// The nodes that the output depends on.
fn live(program: &Program) -> Vec<bool> {
    let mut live = vec![false; program.nodes().len()];
    live[program.output().0] = true;
    for id in program.ids().rev() {
        if live[id.0] {
            program.node(id).inputs.iter().for_each(|input| live[input.0] = true);
        }
    }
    live
}

/// Whether the steps, last to first, bring gradients to every slot in the order of the tape's nodes, last to first. Two may come either way, for a sum of
/// two does not depend on it; of more the first two may.
fn ordered(program: &Program, live: &[bool], steps: &[Step]) -> bool {
    let mut wanted: Vec<Vec<usize>> = vec![Vec::new(); program.nodes().len()];
    for id in program.ids().rev().filter(|id| live[id.0]) {
        program.node(id).inputs.iter().for_each(|input| wanted[input.0].push(id.0));
    }
    let mut found: Vec<Vec<usize>> = vec![Vec::new(); program.nodes().len()];
    let mut joined_late = false;
    for step in steps.iter().rev() {
        let reader = if let StepOp::Conv(conv) = &step.op { conv.node.0 } else { step.y };
        let joined = matches!(step.op, StepOp::Conv(..)) && step.add == Some(step.x);
        // Both are added to one another, then to what has arrived.
        joined_late |= joined && !found[step.x].is_empty();
        found[step.x].push(reader);
        if let Some(add) = step.add {
            found[add].push(step.y);
        }
    }
    for order in found.iter_mut().chain(&mut wanted) {
        let first = order.len().min(2);
        order[..first].sort_unstable();
    }
    let slots = steps.iter().map(|step| step.x).chain(steps.iter().filter_map(|step| step.add));
    !joined_late && slots.into_iter().all(|slot| found[slot] == wanted[slot])
}

fn extent(shape: &[usize]) -> Option<Extent> {
    match *shape {
        [_, channels, len] => Some(Extent::Signal(channels, len)),
        [_, features] => Some(Extent::Features(features)),
        _ => None,
    }
}

impl<T: Real> Compiler<'_, T> {
    fn compile(&mut self, input: NodeId) -> Option<()> {
        let program = self.network.program();
        for id in program.ids().filter(|id| id.0 <= program.output().0) {
            if !self.live[id.0] || self.done[id.0] {
                continue;
            }
            let node = program.node(id);
            let parameters_only = node.inputs.iter().skip(node.op.signals(node.inputs.len()));
            if parameters_only.clone().any(|at| program.node(*at).op.kind() != OpKind::Parameter) {
                return None;
            }
            let signals = &node.inputs[..node.op.signals(node.inputs.len())];
            if signals.iter().any(|at| program.node(*at).op.kind() == OpKind::Parameter) {
                return None;
            }
            match &node.op {
                Op::Input { .. } if id == input => extent(&self.shapes[id.0]).map(drop)?,
                Op::Parameter { .. } => (),
                Op::Conv1d { .. } => self.convolution(id)?,
                _ => {
                    let op = self.plain(id)?;
                    let relu = if matches!(op, StepOp::Relu) { Some(self.relu(id)?) } else { None };
                    self.steps.push(Step { op, x: signals[0].0, y: id.0, add: signals.get(1).map(|id| id.0), relu });
                }
            }
        }
        Some(())
    }

    /// A node that is a step by itself.
    fn plain(&self, id: NodeId) -> Option<StepOp> {
        let node = self.network.program().node(id);
        let x = extent(&self.shapes[node.inputs[0].0])?;
        let signal = matches!(x, Extent::Signal(..));
        match &node.op {
            Op::BatchNorm { eps, .. } if signal => {
                let (scale, shift) = self.affine(id, *eps);
                Some(StepOp::Affine(scale, shift))
            }
            Op::Relu if signal => Some(StepOp::Relu),
            Op::Add if signal => Some(StepOp::Add),
            Op::AvgPool1d { window, stride } if signal => Some(StepOp::Average(*window, *stride)),
            Op::MaxPool1d { window, stride } if signal => Some(StepOp::Max(*window, *stride)),
            Op::GlobalAvgPool if signal => Some(StepOp::Mean),
            Op::Flatten if !signal => Some(StepOp::Same),
            Op::Linear => {
                let value = |at: usize| T::as_f32(slice(self.network.parameter(node.inputs[at]))).map(<[f32]>::to_vec);
                let bias = if node.inputs.len() > 2 { Some(value(2)?) } else { None };
                Some(StepOp::Linear(value(1)?, bias))
            }
            _ => None,
        }
    }

    /// Notes a ReLU and returns its index.
    fn relu(&mut self, id: NodeId) -> Option<usize> {
        self.relus.push((id, extent(&self.shapes[id.0])?));
        Some(self.relus.len() - 1)
    }

    /// Scale and shift of a batch norm in evaluation, as the op computes them.
    fn affine(&self, id: NodeId, eps: f64) -> (Vec<f32>, Vec<f32>) {
        let inputs = &self.network.program().node(id).inputs;
        let value = |at: usize| slice(self.network.parameter(inputs[at])).iter().map(|v| v.f64()).collect::<Vec<_>>();
        let (gamma, beta, mean, variance) = (value(1), value(2), value(3), value(4));
        let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(gamma, v)| gamma / (v + eps).sqrt()).collect();
        let shift = (0..scale.len()).map(|c| (beta[c] - mean[c] * scale[c]) as f32).collect();
        (scale.into_iter().map(|v| v as f32).collect(), shift)
    }

    /// The only reader of a node's value, unless that value is the output.
    fn only_reader(&self, id: NodeId) -> Option<NodeId> {
        match self.readers[id.0][..] {
            [reader] if id != self.network.program().output() => Some(reader),
            _ => None,
        }
    }

    /// A convolution with the batch norm, ReLU and addition that follow it, as far as nothing else reads what lies between.
    fn convolution(&mut self, id: NodeId) -> Option<()> {
        let program = self.network.program();
        let node = program.node(id);
        let Op::Conv1d { stride, dilation, padding } = node.op else { return None };
        let weight = self.network.parameter(node.inputs[1]);
        let (Extent::Signal(c_in, len_in), &[c_out, _, kernel]) = (extent(&self.shapes[node.inputs[0].0])?, weight.shape()) else {
            return None;
        };
        let conv = Conv1d { c_in, c_out, len_in, kernel, stride, dilation, pad_left: padding.0, pad_right: padding.1 };
        let weights = T::as_f32(slice(weight))?.to_vec();
        let bias = match node.inputs.get(2) {
            Some(at) => Some(T::as_f32(slice(self.network.parameter(*at)))?.to_vec()),
            None => None,
        };
        let (mut affine, mut norm) = (None, None);
        let mut last = id;
        let follows = |last: NodeId, kind: OpKind| self.only_reader(last).filter(|next| program.node(*next).op.kind() == kind);
        if let Some(next) = follows(last, OpKind::BatchNorm).filter(|next| program.node(*next).inputs[0] == last) {
            let Op::BatchNorm { eps, .. } = program.node(next).op else { return None };
            let constant = |at: &NodeId| program.node(*at).op.kind() == OpKind::Parameter;
            if program.node(next).inputs[1..].iter().all(constant) {
                affine = Some(self.affine(next, eps));
                norm = Some(next);
                last = next;
            }
        }
        let rectified = follows(last, OpKind::Relu);
        last = rectified.unwrap_or(last);
        // The other addend must be there already: its node comes before the convolution's.
        let addition = follows(last, OpKind::Add).and_then(|next| {
            let others: Vec<NodeId> = program.node(next).inputs.iter().copied().filter(|at| *at != last).collect();
            let &[other] = &others[..] else { return None };
            let ready = other.0 < id.0 && program.node(other).op.kind() != OpKind::Parameter;
            ready.then_some((next, other))
        });
        let relu = match rectified {
            Some(id) => Some(self.relu(id)?),
            None => None,
        };
        for part in [Some(last), rectified, addition.map(|(next, _)| next)].into_iter().flatten() {
            self.done[part.0] = true;
        }
        self.mark_between(id, last);
        let y = addition.map_or(last, |(next, _)| next);
        let step = ConvStep { node: id, norm, conv, weights, bias, affine, forward: OnceLock::new(), adjoint: OnceLock::new() };
        let add = addition.map(|(_, other)| other.0);
        self.steps.push(Step { op: StepOp::Conv(Box::new(step)), x: node.inputs[0].0, y: y.0, add, relu });
        Some(())
    }

    /// Marks the chain of only readers from one node to another as done.
    fn mark_between(&mut self, first: NodeId, last: NodeId) {
        let mut at = first;
        while at != last {
            self.done[at.0] = true;
            let Some(next) = self.only_reader(at) else { return };
            at = next;
        }
        self.done[last.0] = true;
    }
}
