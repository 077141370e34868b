//! The operations as plain data: what they are called, what they take, what comes out. Their arithmetic is in `ops/`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An operation of a [`crate::tape::Program`]. All act on a batch: (N, C, L) for signals, (N, F) for features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// A value given at run time; `shape` is one example's, `None` where any size will do.
    Input {
        /// Shape without the batch axis, e.g. `[12, null]`.
        shape: Vec<Option<usize>>,
    },
    /// A value that comes with the network: a weight, or (not trainable) a buffer such as a running mean.
    Parameter {
        /// The full shape.
        shape: Vec<usize>,
        /// Whether training changes it by gradient.
        trainable: bool,
    },
    /// y\[n,o,t\] = b\[o\] + Σ w\[o,i,j\] · x\[n, i, t·stride + j·dilation − padding.0\]. Inputs: x, weight (O, I, K), optionally bias (O).
    #[serde(rename = "conv1d")]
    Conv1d {
        /// Step between outputs.
        stride: usize,
        /// Step between taps.
        dilation: usize,
        /// Zeros before and after the signal.
        padding: (usize, usize),
    },
    /// y = γ (x − μ) / √(σ² + ε) + β per channel. Inputs: x, weight γ, bias β, running_mean, running_var (C each).
    /// In training μ and σ² are the batch's, in evaluation the running ones (Ioffe & Szegedy 2015).
    BatchNorm {
        /// Added to the variance.
        eps: f64,
        /// Weight of the batch in the running averages.
        momentum: f64,
    },
    /// max(x, 0); its derivative at exactly 0 is 0.
    Relu,
    /// x where x > 0, else slope · x.
    LeakyRelu {
        /// The slope below 0.
        slope: f64,
    },
    /// tanh x.
    Tanh,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// Mean of windows over time, without padding.
    #[serde(rename = "avg_pool1d")]
    AvgPool1d {
        /// Samples in a window.
        window: usize,
        /// Step between windows.
        stride: usize,
    },
    /// Maximum of windows over time, without padding.
    #[serde(rename = "max_pool1d")]
    MaxPool1d {
        /// Samples in a window.
        window: usize,
        /// Step between windows.
        stride: usize,
    },
    /// (N, C, L) → (N, C), the mean over time.
    GlobalAvgPool,
    /// x · wᵀ + b. Inputs: x (N, F), weight (O, F), optionally bias (O).
    Linear,
    /// Elementwise sum of two equal shapes.
    Add,
    /// Elementwise product of two equal shapes.
    Multiply,
    /// Any number of inputs joined along the channel axis.
    Concat,
    /// Each sample repeated `factor` times (nearest upsampling).
    Upsample {
        /// Repeats.
        factor: usize,
    },
    /// (N, C·factor, L) → (N, C, L·factor): channel c·factor + p holds the samples of phase p of channel c.
    Interleave {
        /// Phases.
        factor: usize,
    },
    /// (N, C, L) → (N, C·L).
    Flatten,
}

/// The kind of an op, without its numbers: what rules match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum OpKind {
    Input,
    Parameter,
    Conv1d,
    BatchNorm,
    Relu,
    LeakyRelu,
    Tanh,
    Sigmoid,
    AvgPool1d,
    MaxPool1d,
    GlobalAvgPool,
    Linear,
    Add,
    Multiply,
    Concat,
    Upsample,
    Interleave,
    Flatten,
}

impl OpKind {
    /// Every kind.
    pub const ALL: [OpKind; 18] = [
        OpKind::Input,
        OpKind::Parameter,
        OpKind::Conv1d,
        OpKind::BatchNorm,
        OpKind::Relu,
        OpKind::LeakyRelu,
        OpKind::Tanh,
        OpKind::Sigmoid,
        OpKind::AvgPool1d,
        OpKind::MaxPool1d,
        OpKind::GlobalAvgPool,
        OpKind::Linear,
        OpKind::Add,
        OpKind::Multiply,
        OpKind::Concat,
        OpKind::Upsample,
        OpKind::Interleave,
        OpKind::Flatten,
    ];

    /// The name, as in program files.
    pub fn name(self) -> &'static str {
        match self {
            OpKind::Input => "input",
            OpKind::Parameter => "parameter",
            OpKind::Conv1d => "conv1d",
            OpKind::BatchNorm => "batch_norm",
            OpKind::Relu => "relu",
            OpKind::LeakyRelu => "leaky_relu",
            OpKind::Tanh => "tanh",
            OpKind::Sigmoid => "sigmoid",
            OpKind::AvgPool1d => "avg_pool1d",
            OpKind::MaxPool1d => "max_pool1d",
            OpKind::GlobalAvgPool => "global_avg_pool",
            OpKind::Linear => "linear",
            OpKind::Add => "add",
            OpKind::Multiply => "multiply",
            OpKind::Concat => "concat",
            OpKind::Upsample => "upsample",
            OpKind::Interleave => "interleave",
            OpKind::Flatten => "flatten",
        }
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Op {
    /// The kind.
    pub fn kind(&self) -> OpKind {
        match self {
            Op::Input { .. } => OpKind::Input,
            Op::Parameter { .. } => OpKind::Parameter,
            Op::Conv1d { .. } => OpKind::Conv1d,
            Op::BatchNorm { .. } => OpKind::BatchNorm,
            Op::Relu => OpKind::Relu,
            Op::LeakyRelu { .. } => OpKind::LeakyRelu,
            Op::Tanh => OpKind::Tanh,
            Op::Sigmoid => OpKind::Sigmoid,
            Op::AvgPool1d { .. } => OpKind::AvgPool1d,
            Op::MaxPool1d { .. } => OpKind::MaxPool1d,
            Op::GlobalAvgPool => OpKind::GlobalAvgPool,
            Op::Linear => OpKind::Linear,
            Op::Add => OpKind::Add,
            Op::Multiply => OpKind::Multiply,
            Op::Concat => OpKind::Concat,
            Op::Upsample { .. } => OpKind::Upsample,
            Op::Interleave { .. } => OpKind::Interleave,
            Op::Flatten => OpKind::Flatten,
        }
    }

    /// How many inputs the op takes, least and most.
    pub fn arity(&self) -> (usize, usize) {
        match self {
            Op::Input { .. } | Op::Parameter { .. } => (0, 0),
            Op::Conv1d { .. } | Op::Linear => (2, 3),
            Op::BatchNorm { .. } => (5, 5),
            Op::Add | Op::Multiply => (2, 2),
            Op::Concat => (1, usize::MAX),
            _ => (1, 1),
        }
    }

    /// How many of the inputs are signals that flow (the rest are parameters by role: weights, biases, running statistics).
    pub fn signals(&self, inputs: usize) -> usize {
        match self {
            Op::Conv1d { .. } | Op::Linear | Op::BatchNorm { .. } => 1,
            _ => inputs,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Op::Input { shape } => {
                let sizes: Vec<String> = shape.iter().map(|n| n.map_or("any".into(), |n| n.to_string())).collect();
                write!(f, "{kind}({})", sizes.join(", "))
            }
            Op::Parameter { shape, trainable } => write!(f, "{kind}{shape:?}{}", if *trainable { "" } else { " fixed" }),
            Op::Conv1d { stride, dilation, padding } => {
                write!(f, "{kind}(stride {stride}, dilation {dilation}, padding {}+{})", padding.0, padding.1)
            }
            Op::BatchNorm { eps, momentum } => write!(f, "{kind}(eps {eps}, momentum {momentum})"),
            Op::LeakyRelu { slope } => write!(f, "{kind}({slope})"),
            Op::AvgPool1d { window, stride } | Op::MaxPool1d { window, stride } => write!(f, "{kind}({window}, stride {stride})"),
            Op::Upsample { factor } | Op::Interleave { factor } => write!(f, "{kind}({factor})"),
            _ => write!(f, "{kind}"),
        }
    }
}
