//! The generator ready to run in f64: the convolutions of its program with weights packed once, each storing straight into the inputs of its readers.
//!
//! Read from the program, whose upsampling [`crate::tape::polyphase`] has merged: interleaving, activation and joining are done at the store.

use crate::tape::{Network, NodeId, Op, OpKind, Program, slice};
use crate::{Error, Result};
use cardiograd_kernels::double::{Activation, DoubleConv, Shape, Signal};
use cardiograd_kernels::{Isa, team};
use std::sync::{Arc, Mutex, PoisonError};

/// The convolutions in order, and where each one's results go.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    stages: Vec<Stage>,
    /// Where the network's input goes.
    entry: Vec<Target>,
    /// Channels and samples of the output.
    output: (usize, usize),
    /// Buffers of earlier runs, zero wherever no result is stored.
    spare: Arc<Mutex<Vec<Vec<Signal>>>>,
}

#[derive(Clone, Debug)]
struct Stage {
    conv: DoubleConv,
    targets: Vec<Target>,
}

/// A buffer (the input of the stage of that number; behind the last, the output) and the first channel there.
type Target = (usize, usize);

impl Pipeline {
    /// The plan of a network of one input, for inputs of a shape (channels, samples).
    ///
    /// # Errors
    /// [`Error::Program`] if it holds anything but convolutions, interleavings, joins and activations.
    pub(super) fn new(network: &Network<f64>, input: (usize, usize)) -> Result<Self> {
        let program = network.program();
        let shapes = program.shapes(&[vec![1, input.0, input.1]])?;
        let reading = Reading { program, shapes: &shapes, readers: program.readers(), convs: program.of_kind(OpKind::Conv1d) };
        let stages = reading.convs.iter().map(|conv| reading.stage(network, *conv)).collect::<Result<_>>()?;
        let last = &shapes[program.output().0];
        let entry = reading.targets(program.inputs()[0])?;
        Ok(Pipeline { stages, entry, output: (last[1], last[2]), spare: Arc::default() })
    }

    /// Runs a group of examples side by side: (N, channels, samples) in, (N, channels, samples) out through `store`. `parallel` splits each
    /// convolution over threads.
    pub(super) fn run(&self, group: usize, x: &[f32], y: &mut [i16], store: impl Fn(f64) -> i16, parallel: bool) {
        let mut buffers = self.take(group);
        for &(buffer, first) in &self.entry {
            x.chunks(x.len() / group).enumerate().for_each(|(example, x)| buffers[buffer].fill(example, first, x));
        }
        if parallel {
            team(|| self.convolve(&mut buffers, true))
        } else {
            self.convolve(&mut buffers, false)
        }
        let output = &buffers[self.stages.len()];
        let size = y.len() / group;
        y.chunks_mut(size).enumerate().for_each(|(example, y)| output.give(example, y, &store));
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
    }

    /// All stages, from the first one's input to the output.
    fn convolve(&self, buffers: &mut [Signal], parallel: bool) {
        for (index, stage) in self.stages.iter().enumerate() {
            // Results go to later stages only.
            let (before, after) = buffers.split_at_mut(index + 1);
            let mut targets: Vec<(&mut Signal, usize)> = Vec::with_capacity(stage.targets.len());
            for (offset, signal) in after.iter_mut().enumerate() {
                if let Some((_, channel)) = stage.targets.iter().find(|(buffer, _)| *buffer == index + 1 + offset) {
                    targets.push((signal, *channel));
                }
            }
            stage.conv.run(Isa::best(), &before[index], &mut targets, parallel);
        }
    }

    /// Buffers for a group, those of an earlier run where there are some of that size.
    fn take(&self, group: usize) -> Vec<Signal> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.last().is_some_and(|last| last[0].group() != group) {
            spare.clear();
        }
        let found = spare.pop();
        drop(spare);
        found.filter(|buffers| buffers[0].group() == group).unwrap_or_else(|| {
            let inputs = self.stages.iter().map(|stage| stage.conv.input(group));
            inputs.chain([Signal::new(group, self.output.0, self.output.1, (1, 1, 0))]).collect()
        })
    }
}

/// A program being read.
struct Reading<'p> {
    program: &'p Program,
    shapes: &'p [Vec<usize>],
    readers: Vec<Vec<NodeId>>,
    convs: Vec<NodeId>,
}

impl Reading<'_> {
    /// The convolution with what is done to its value before anything else reads it.
    fn stage(&self, network: &Network<f64>, conv: NodeId) -> Result<Stage> {
        let node = self.program.node(conv);
        let Op::Conv1d { stride, dilation: 1, padding } = node.op else { return Err(self.refuse(conv)) };
        let (mut end, mut factor, mut activation) = (conv, 1, Activation::None);
        while let [reader] = self.readers[end.0][..] {
            match self.program.node(reader).op {
                Op::Interleave { factor: phases } if factor == 1 && activation == Activation::None => factor = phases,
                Op::Relu if activation == Activation::None => activation = Activation::Leaky(0.0),
                Op::LeakyRelu { slope } if activation == Activation::None => activation = Activation::Leaky(slope),
                Op::Tanh if activation == Activation::None => activation = Activation::Tanh,
                _ => break,
            }
            end = reader;
        }
        let weight = network.parameter(node.inputs[1]);
        let (rows, taps) = (weight.shape()[0], weight.shape()[2]);
        let bias = node.inputs.get(2).map_or_else(|| vec![0.0; rows], |bias| slice(network.parameter(*bias)).to_vec());
        let (from, to) = (&self.shapes[node.inputs[0].0], &self.shapes[conv.0]);
        let shape = Shape { c_in: from[1], c_out: rows / factor, factor, taps, stride, pad: padding.0, len_in: from[2], steps: to[2] };
        Ok(Stage { conv: DoubleConv::new(shape, slice(weight), &bias, activation), targets: self.targets(end)? })
    }

    /// Where a node's value goes: into the inputs of convolutions, also through joins, and to the output.
    fn targets(&self, id: NodeId) -> Result<Vec<Target>> {
        let mut targets = Vec::new();
        if id == self.program.output() {
            targets.push((self.convs.len(), 0));
        }
        for &reader in &self.readers[id.0] {
            let node = self.program.node(reader);
            match node.op {
                Op::Conv1d { .. } if node.inputs[0] == id => {
                    let stage = self.convs.iter().position(|conv| *conv == reader).ok_or_else(|| self.refuse(reader))?;
                    targets.push((stage, 0));
                }
                Op::Concat if node.inputs.iter().filter(|input| **input == id).count() == 1 => {
                    let before: usize = node.inputs.iter().take_while(|input| **input != id).map(|input| self.shapes[input.0][1]).sum();
                    targets.extend(self.targets(reader)?.into_iter().map(|(buffer, channel)| (buffer, before + channel)));
                }
                _ => return Err(self.refuse(reader)),
            }
        }
        Ok(targets)
    }

    fn refuse(&self, id: NodeId) -> Error {
        let node = self.program.node(id);
        Error::Program(format!("node '{}' ({}) has no place in a plan of the generator: run it on the tape", node.name, node.op.kind()))
    }
}
