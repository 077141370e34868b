//! Writing programs: one call a layer, parameters named as PyTorch names them.

use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Node, NodeId, Op, Program};

/// Builds a [`Program`] node by node. A layer that is used twice is declared once by its parameter nodes (see [`Builder::parameter`])
/// and applied twice with [`Builder::node`].
#[derive(Debug, Default)]
pub struct Builder {
    nodes: Vec<Node>,
}

/// The settings of a convolution layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvLayer {
    /// Input channels.
    pub c_in: usize,
    /// Output channels.
    pub c_out: usize,
    /// Taps.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Step between taps.
    pub dilation: usize,
    /// Zeros before and after.
    pub padding: (usize, usize),
    /// Whether there is a bias.
    pub bias: bool,
}

impl ConvLayer {
    /// A layer with bias whose output is as long as its input: k − 1 zeros, the odd one on the right, as PyTorch's 'same'.
    pub fn same(c_in: usize, c_out: usize, kernel: usize) -> Self {
        let all = kernel.saturating_sub(1);
        ConvLayer { c_in, c_out, kernel, stride: 1, dilation: 1, padding: (all / 2, all - all / 2), bias: true }
    }
}

impl Builder {
    /// An empty program.
    pub fn new() -> Self {
        Builder::default()
    }

    /// Adds any node.
    pub fn node(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId]) -> NodeId {
        self.nodes.push(Node { name: name.into(), op, inputs: inputs.to_vec() });
        NodeId(self.nodes.len() - 1)
    }

    /// An input of one example's shape.
    pub fn input(&mut self, name: &str, shape: &[Option<usize>]) -> NodeId {
        self.node(name, Op::Input { shape: shape.to_vec() }, &[])
    }

    /// A parameter.
    pub fn parameter(&mut self, name: impl Into<String>, shape: &[usize], trainable: bool) -> NodeId {
        self.node(name, Op::Parameter { shape: shape.to_vec(), trainable }, &[])
    }

    /// A convolution with parameters `{name}.weight` and, if wanted, `{name}.bias`.
    pub fn conv1d(&mut self, name: &str, x: NodeId, layer: ConvLayer) -> NodeId {
        let ConvLayer { c_in, c_out, kernel, stride, dilation, padding, bias } = layer;
        let mut inputs = vec![x, self.parameter(format!("{name}.weight"), &[c_out, c_in, kernel], true)];
        if bias {
            inputs.push(self.parameter(format!("{name}.bias"), &[c_out], true));
        }
        self.node(name, Op::Conv1d { stride, dilation, padding }, &inputs)
    }

    /// Batch normalisation with PyTorch's defaults and names: ε 1e-5, momentum 0.1.
    pub fn batch_norm(&mut self, name: &str, x: NodeId, channels: usize) -> NodeId {
        let mut inputs = vec![x];
        for (part, trainable) in [("weight", true), ("bias", true), ("running_mean", false), ("running_var", false)] {
            inputs.push(self.parameter(format!("{name}.{part}"), &[channels], trainable));
        }
        self.node(name, Op::BatchNorm { eps: 1e-5, momentum: 0.1 }, &inputs)
    }

    /// A linear layer with parameters `{name}.weight` and, if wanted, `{name}.bias`.
    pub fn linear(&mut self, name: &str, x: NodeId, features: usize, outputs: usize, bias: bool) -> NodeId {
        let mut inputs = vec![x, self.parameter(format!("{name}.weight"), &[outputs, features], true)];
        if bias {
            inputs.push(self.parameter(format!("{name}.bias"), &[outputs], true));
        }
        self.node(name, Op::Linear, &inputs)
    }

    /// One direction of an LSTM's layer, with PyTorch's names: `{name}.weight_ih_l0`, `{name}.weight_hh_l0`, `{name}.bias_ih_l0`, `{name}.bias_hh_l0`, or with
    /// `_reverse` behind them. The node itself is `{name}` or `{name}.reverse`.
    pub fn lstm(&mut self, name: &str, x: NodeId, features: usize, hidden: usize, reverse: bool) -> NodeId {
        self.recurrent(name, x, (features, hidden), 4, Op::Lstm { reverse }, reverse)
    }

    /// The same of a GRU, as PyTorch has it.
    pub fn gru(&mut self, name: &str, x: NodeId, features: usize, hidden: usize, reverse: bool) -> NodeId {
        self.recurrent(name, x, (features, hidden), 3, Op::Gru { reverse, linear_before_reset: true }, reverse)
    }

    fn recurrent(&mut self, name: &str, x: NodeId, (features, hidden): (usize, usize), gates: usize, op: Op, reverse: bool) -> NodeId {
        let (way, suffix) = if reverse { ("_reverse", ".reverse") } else { ("", "") };
        let wide = gates * hidden;
        let shapes: [(&str, &[usize]); 4] =
            [("weight_ih", &[wide, features]), ("weight_hh", &[wide, hidden]), ("bias_ih", &[wide]), ("bias_hh", &[wide])];
        let mut inputs = vec![x];
        for (part, shape) in shapes {
            inputs.push(self.parameter(format!("{name}.{part}_l0{way}"), shape, true));
        }
        self.node(format!("{name}{suffix}"), op, &inputs)
    }

    /// A ReLU.
    pub fn relu(&mut self, name: &str, x: NodeId) -> NodeId {
        self.node(name, Op::Relu, &[x])
    }

    /// The finished program.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn finish(self, output: NodeId) -> Result<Program> {
        Program::new(self.nodes, output)
    }
}
