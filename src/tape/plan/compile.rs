//! From a program to steps: which nodes become one step, and with which parameters.

use super::pool::Pools;
use super::schedule::{Back, Forward, Schedule};
#[cfg(feature = "std")]
use super::stem::Stem;
use super::steps::{ConvStep, Layout, OwnStep, Step, StepOp, Steps};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Lowering, Network, Node, NodeId, OpKind, Program, Real, Tensor, slice};
use cardiograd_kernels::sync::OnceLock;
use cardiograd_kernels::{Conv1d, Isa};
use core::any::Any;

/// A compiled program.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) steps: Steps,
    pub(super) forward: Schedule<Forward>,
    /// The part of it that can be brought up to date where the input changed.
    #[cfg(feature = "std")]
    pub(super) stem: Option<Stem>,
    /// The way back to the input; why there is none, in words.
    pub(super) back: Result<Schedule<Back>, String>,
    pub(super) pools: Pools,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unplanned {
    /// The first node that plans cannot take, if it is one.
    pub node: Option<NodeId>,
    pub why: &'static str,
}

impl Unplanned {
    pub fn whole(why: &'static str) -> Self {
        Unplanned { node: None, why }
    }
}

/// What is known while compiling.
struct Compiler<'a, T: Real> {
    network: &'a Network<T>,
    shapes: Vec<Vec<usize>>,
    /// Nodes that the output depends on.
    live: Vec<bool>,
    /// Those of its readers that the output depends on, for each node.
    readers: Vec<Vec<NodeId>>,
    steps: Vec<Step>,
    relus: Vec<(NodeId, Layout)>,
    done: Vec<bool>,
}

impl Plan {
    /// The plan of a network for examples of this shape.
    ///
    /// # Errors
    /// The first thing on the way to the output that is not among those that plans know.
    pub(super) fn compile<T: Real>(network: &Network<T>, example: &[usize]) -> Result<Plan, Unplanned> {
        let program = network.program();
        let inputs = program.inputs();
        let [input] = inputs[..] else { return Err(Unplanned::whole("plans take one input")) };
        let mut shape = vec![1];
        shape.extend_from_slice(example);
        let shapes = program.shapes(&[shape]).map_err(|_| Unplanned::whole("inputs of this shape do not fit"))?;
        let live = program.live();
        if !live[input.0] {
            return Err(Unplanned::whole("the output does not depend on the input"));
        }
        let mut readers = program.readers();
        readers.iter_mut().for_each(|readers| readers.retain(|id| live[id.0]));
        let done = vec![false; live.len()];
        let mut compiler = Compiler { network, shapes, live, readers, steps: Vec::new(), relus: Vec::new(), done };
        compiler.compile(input)?;
        let Compiler { shapes, live, steps, relus, .. } = compiler;
        let nodes = program.ids().filter(|id| live[id.0] && program.node(*id).op.kind() != OpKind::Parameter).collect();
        let (mut layouts, output) = (vec![None; shapes.len()], program.output().0);
        for slot in steps.iter().map(|step| step.y).chain([input.0]) {
            layouts[slot] =
                Some(layout(&shapes[slot]).ok_or(Unplanned { node: Some(NodeId(slot)), why: "its value has neither 2 nor 3 axes" })?);
        }
        let mut last_reader = vec![0; shapes.len()];
        for (index, step) in steps.iter().enumerate() {
            for slot in step.reads() {
                last_reader[slot] = index;
            }
        }
        last_reader[output] = usize::MAX;
        let mut steps = Steps { isa: Isa::best(), list: steps, layouts, input: input.0, output, last_reader, relus, nodes };
        steps.find_chains();
        let back = match no_way_back(&steps, program, &live) {
            Some(why) => Err(why),
            None => Ok(Schedule::back(&steps, None)),
        };
        let forward = Schedule::forward(&steps);
        Ok(Plan {
            #[cfg(feature = "std")]
            stem: Stem::of(&steps, &forward),
            forward,
            steps,
            back,
            pools: Pools::default(),
        })
    }
}

/// Why gradients cannot go back through the steps, if they cannot.
fn no_way_back(steps: &Steps, program: &Program, live: &[bool]) -> Option<String> {
    if let Some((step, own)) = steps.list.iter().find_map(|step| if let StepOp::Own(own) = &step.op { Some((step, own)) } else { None }) {
        let name = &program.node(step.nodes[0]).name;
        return Some(format!("'{name}' ({}) is computed as there", own.op.kind()));
    }
    let without = |step: &&Step| step.op.convolution().is_some_and(|conv| conv.conv.stride != 1 || conv.conv.adjoint().is_none());
    if let Some(step) = steps.list.iter().find(without) {
        let name = &program.node(step.nodes[0]).name;
        return Some(format!("the convolution '{name}' has a stride, or more padding than its kernel: its adjoint is on the tape"));
    }
    (!ordered(program, live, &steps.list)).then(|| "gradients would be added up in another order than the tape's".into())
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
        let joined = step.op.convolution().is_some() && step.add == Some(step.x);
        // Both are added to one another, then to what has arrived.
        joined_late |= joined && !found[step.x].is_empty();
        found[step.x].push(step.op.convolution().map_or(step.y, |conv| conv.node.0));
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

fn layout(shape: &[usize]) -> Option<Layout> {
    match *shape {
        [_, channels, len] => Some(Layout::Blocked(channels, len)),
        [_, features] => Some(Layout::Features(features)),
        _ => None,
    }
}

impl<'a, T: Real> Compiler<'a, T> {
    fn node(&self, id: NodeId) -> &'a Node {
        self.network.program().node(id)
    }

    fn is_parameter(&self, id: NodeId) -> bool {
        self.node(id).op.kind() == OpKind::Parameter
    }

    /// What the op of a node is to plans. Only the crate's own ops are asked: a step is the op's arithmetic byte for byte, which is tested for them.
    fn lowering(&self, id: NodeId) -> Option<Lowering> {
        let node = self.node(id);
        if let OpKind::Custom(_) = node.op.kind() {
            return None;
        }
        let inputs: Vec<&[usize]> = node.inputs.iter().map(|input| self.shapes[input.0].as_slice()).collect();
        node.op.definition().lowering(&inputs)
    }

    fn compile(&mut self, input: NodeId) -> Result<(), Unplanned> {
        let program = self.network.program();
        for id in program.ids().filter(|id| id.0 <= program.output().0) {
            if !self.live[id.0] || self.done[id.0] || self.is_parameter(id) || id == input {
                continue;
            }
            let refuse = |why| Unplanned { node: Some(id), why };
            let node = self.node(id);
            let lowering = self.lowering(id).ok_or(refuse("plans have no step for it"))?;
            if lowering == Lowering::Own {
                self.steps.push(self.own(id).ok_or(refuse("plans have no step for values of its shape"))?);
                continue;
            }
            let (signals, fixed) = node.inputs.split_at(node.op.signals(node.inputs.len()));
            if !fixed.iter().all(|at| self.is_parameter(*at)) {
                return Err(refuse("its weights are computed by other nodes"));
            }
            if signals.iter().any(|at| self.is_parameter(*at)) {
                return Err(refuse("it reads a parameter as a signal"));
            }
            let step = match lowering {
                Lowering::Convolution { .. } => self.convolution(id, &lowering),
                _ => self.plain(id, &lowering),
            };
            self.steps.push(step.ok_or(refuse("plans have no step for values of its shape"))?);
        }
        layout(&self.shapes[input.0]).map(drop).ok_or(Unplanned { node: Some(input), why: "it has neither 2 nor 3 axes" })
    }

    /// A parameter's values in f32, which is what plans compute in.
    fn values(&self, id: NodeId) -> Option<Vec<f32>> {
        T::as_f32(slice(self.network.parameter(id))).map(<[f32]>::to_vec)
    }

    /// A parameter itself, if it is in f32: a plan holds no copy of the weights that its network has.
    fn shared(&self, id: NodeId) -> Option<Tensor<f32>> {
        let parameter: &dyn Any = self.network.parameter(id);
        parameter.downcast_ref::<Tensor<f32>>().cloned()
    }

    /// A node that is a step by itself.
    fn plain(&mut self, id: NodeId, lowering: &Lowering) -> Option<Step> {
        let node = self.node(id);
        layout(&self.shapes[node.inputs[0].0])?;
        let mut relu = None;
        let op = match lowering {
            Lowering::Affine(eps) => {
                let (scale, shift) = self.affine(id, *eps);
                StepOp::Affine(scale, shift)
            }
            Lowering::Relu => {
                relu = Some(self.relu(id)?);
                StepOp::Relu
            }
            Lowering::Add => StepOp::Add,
            Lowering::Average(window, stride) => StepOp::Average(*window, *stride),
            Lowering::Max(window, stride) => StepOp::Max(*window, *stride),
            Lowering::Mean => StepOp::Mean,
            Lowering::Same => StepOp::Same,
            Lowering::Dense => {
                let bias = if node.inputs.len() > 2 { Some(self.values(node.inputs[2])?) } else { None };
                StepOp::Dense(self.values(node.inputs[1])?, bias)
            }
            Lowering::Convolution { .. } | Lowering::Own => return None,
        };
        let add = if matches!(op, StepOp::Add) { Some(node.inputs[1].0) } else { None };
        Some(Step { op, x: node.inputs[0].0, y: id.0, add, more: Vec::new(), relu, nodes: vec![id], chains: (false, false) })
    }

    /// A node that is computed as on the tape, from parameters and slots.
    fn own(&self, id: NodeId) -> Option<Step> {
        let node = self.node(id);
        layout(&self.shapes[id.0])?;
        let (mut inputs, mut slots) = (Vec::with_capacity(node.inputs.len()), Vec::new());
        for at in &node.inputs {
            if self.is_parameter(*at) {
                inputs.push(Some(self.shared(*at)?));
            } else {
                layout(&self.shapes[at.0])?;
                inputs.push(None);
                slots.push(at.0);
            }
        }
        let (&x, more) = slots.split_first()?;
        let op = StepOp::Own(Box::new(OwnStep { op: node.op.clone(), inputs }));
        Some(Step { op, x, y: id.0, add: None, more: more.to_vec(), relu: None, nodes: vec![id], chains: (false, false) })
    }

    /// Notes a ReLU and returns its index.
    fn relu(&mut self, id: NodeId) -> Option<usize> {
        self.relus.push((id, layout(&self.shapes[id.0])?));
        Some(self.relus.len() - 1)
    }

    /// Scale and shift of a batch norm in evaluation, as the op computes them.
    fn affine(&self, id: NodeId, eps: f64) -> (Vec<f32>, Vec<f32>) {
        let inputs = &self.node(id).inputs;
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
    fn convolution(&mut self, id: NodeId, lowering: &Lowering) -> Option<Step> {
        let Lowering::Convolution { stride, dilation, padding } = *lowering else { return None };
        let node = self.node(id);
        let weight = self.network.parameter(node.inputs[1]);
        let (Layout::Blocked(c_in, len_in), &[c_out, _, kernel]) = (layout(&self.shapes[node.inputs[0].0])?, weight.shape()) else {
            return None;
        };
        let conv = Conv1d { c_in, c_out, len_in, kernel, stride, dilation, pad_left: padding.0, pad_right: padding.1 };
        let bias = match node.inputs.get(2) {
            Some(at) => Some(self.values(*at)?),
            None => None,
        };
        let (mut affine, mut norm) = (None, None);
        let mut nodes = vec![id];
        let mut last = id;
        if let Some(next) = self.only_reader(last)
            && let Some(Lowering::Affine(eps)) = self.lowering(next)
            && self.node(next).inputs[0] == last
            && self.node(next).inputs[1..].iter().all(|at| self.is_parameter(*at))
        {
            affine = Some(self.affine(next, eps));
            norm = Some(next);
            last = next;
            nodes.push(next);
        }
        let follows = |last: NodeId, wanted: Lowering| self.only_reader(last).filter(|next| self.lowering(*next) == Some(wanted));
        let rectified = follows(last, Lowering::Relu);
        last = rectified.unwrap_or(last);
        nodes.extend(rectified);
        // The other addend must be there already: its node comes before the convolution's.
        let addition = follows(last, Lowering::Add).and_then(|next| {
            let others: Vec<NodeId> = self.node(next).inputs.iter().copied().filter(|at| *at != last).collect();
            let &[other] = &others[..] else { return None };
            (other.0 < id.0 && !self.is_parameter(other)).then_some((next, other))
        });
        nodes.extend(addition.map(|(next, _)| next));
        let relu = match rectified {
            Some(id) => Some(self.relu(id)?),
            None => None,
        };
        nodes.iter().for_each(|node| self.done[node.0] = true);
        let y = addition.map_or(last, |(next, _)| next).0;
        let weights = self.shared(node.inputs[1])?;
        let step = ConvStep { node: id, norm, conv, weights, bias, affine, forward: OnceLock::new(), adjoint: OnceLock::new() };
        let (op, add) = (StepOp::Conv(Box::new(step)), addition.map(|(_, other)| other.0));
        Some(Step { op, x: node.inputs[0].0, y, add, more: Vec::new(), relu, nodes, chains: (false, false) })
    }
}
