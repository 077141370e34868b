//! The ops as plain data, a row each. What an op computes and means, and what it may be called with, stands in its own file in `ops/`.

use super::limits::op_faults;
#[cfg(feature = "files")]
use super::ops::Attributes;
use super::ops::{Custom, OpClass, OpDefinition, Problem};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use alloc::sync::Arc;
use core::fmt;
use serde::{Deserialize, Serialize};

/// From rows (what is said of the op, its variant, its name in program files, its attributes) to [`Op`], [`OpKind`], the definitions that the files
/// in `ops/` are about, and the ways between them.
macro_rules! ops {
    ($( $(#[$about:meta])* $variant:ident = $name:literal $({ $( $(#[$of:meta])* $attribute:ident: $type:ty ),* $(,)? })?; )*) => {
        /// An operation of a [`crate::tape::Program`]. All act on a batch: (N, C, L) for signals, (N, F) for features.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[non_exhaustive]
        pub enum Op {
            $( $(#[$about])* #[serde(rename = $name)] $variant $({
                $( $(#[$of])* $attribute: $type ),*
            })?, )*
            /// An op from outside of this crate ([`Op::custom`]); it has no place in files.
            #[serde(skip_deserializing)]
            Custom(Custom),
        }

        /// The kind of an op, without its numbers: what rules match on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[allow(missing_docs)]
        #[non_exhaustive]
        pub enum OpKind {
            $( #[serde(rename = $name)] $variant, )*
            /// An op from outside of this crate, by its name.
            #[serde(skip)]
            Custom(&'static str),
        }

        /// The ops as types of their own, for their definitions.
        pub(crate) mod definitions {
            #[cfg(not(feature = "std"))]
            use alloc::vec::Vec;
            $( #[derive(Clone, Debug)] pub struct $variant { $($( pub $attribute: $type ),*)? } )*
        }

        impl OpKind {
            /// Every kind that has a place in files.
            pub const ALL: &'static [OpKind] = &[$( OpKind::$variant ),*];

            /// The name, as in program files.
            pub fn name(self) -> &'static str {
                match self {
                    $( OpKind::$variant => $name, )*
                    OpKind::Custom(name) => name,
                }
            }
        }

        impl Op {
            /// The kind.
            pub fn kind(&self) -> OpKind {
                match self {
                    $( Op::$variant { .. } => OpKind::$variant, )*
                    Op::Custom(custom) => OpKind::Custom(custom.name()),
                }
            }

            /// What the op does and is.
            pub fn definition(&self) -> Arc<dyn OpDefinition> {
                match self {
                    $( Op::$variant $({ $( $attribute ),* })? => Arc::new(definitions::$variant { $($( $attribute: $attribute.clone() ),*)? }), )*
                    Op::Custom(custom) => custom.definition(),
                }
            }

            /// The op of a kind with attributes from a file. All are read, so that all their faults are found.
            #[cfg(feature = "files")]
            pub(crate) fn read(kind: OpKind, from: &mut impl Attributes) -> Option<Op> {
                let _ = &from;
                match kind {
                    $( OpKind::$variant => {
                        $($( let $attribute = from.read(stringify!($attribute)); )*)?
                        Some(Op::$variant $({ $( $attribute: $attribute? ),* })?)
                    } )*
                    OpKind::Custom(_) => None,
                }
            }
        }
    };
}

ops! {
    /// A value given at run time; `shape` is one example's, `None` where any size will do.
    Input = "input" {
        /// Shape without the batch axis, e.g. `[12, null]`.
        shape: Vec<Option<usize>>,
    };
    /// A value that comes with the network: a weight, or (not trainable) a buffer such as a running mean.
    Parameter = "parameter" {
        /// The full shape.
        shape: Vec<usize>,
        /// Whether training changes it by gradient.
        trainable: bool,
    };
    /// y\[n,o,t\] = b\[o\] + Σ w\[o,i,j\] · x\[n, i, t·stride + j·dilation − padding.0\]. Inputs: x, weight (O, I, K), optionally bias (O).
    Conv1d = "conv1d" {
        /// Step between outputs.
        stride: usize,
        /// Step between taps.
        dilation: usize,
        /// Zeros before and after the signal.
        padding: (usize, usize),
    };
    /// y = γ (x − μ) / √(σ² + ε) + β per channel. Inputs: x, weight γ, bias β, running_mean, running_var (C each).
    /// In training μ and σ² are the batch's, in evaluation the running ones (Ioffe & Szegedy 2015).
    BatchNorm = "batch_norm" {
        /// Added to the variance.
        eps: f64,
        /// Weight of the batch in the running averages.
        momentum: f64,
    };
    /// max(x, 0); its derivative at exactly 0 is 0.
    Relu = "relu";
    /// x where x > 0, else slope · x.
    LeakyRelu = "leaky_relu" {
        /// The slope below 0.
        slope: f64,
    };
    /// tanh x.
    Tanh = "tanh";
    /// 1 / (1 + e⁻ˣ).
    Sigmoid = "sigmoid";
    /// Mean of windows over time, without padding.
    AvgPool1d = "avg_pool1d" {
        /// Samples in a window.
        window: usize,
        /// Step between windows.
        stride: usize,
    };
    /// Maximum of windows over time, without padding.
    MaxPool1d = "max_pool1d" {
        /// Samples in a window.
        window: usize,
        /// Step between windows.
        stride: usize,
    };
    /// (N, C, L) → (N, C), the mean over time.
    GlobalAvgPool = "global_avg_pool";
    /// x · wᵀ + b. Inputs: x (N, F), weight (O, F), optionally bias (O).
    Linear = "linear";
    /// Elementwise sum of two signals; axes are aligned from the last, and one of size 1 stands for all.
    Add = "add";
    /// Elementwise product of two signals, aligned like a sum's.
    Multiply = "multiply";
    /// Any number of inputs joined along the channel axis.
    Concat = "concat";
    /// Each sample repeated `factor` times (nearest upsampling).
    Upsample = "upsample" {
        /// Repeats.
        factor: usize,
    };
    /// (N, C·factor, L) → (N, C, L·factor): channel c·factor + p holds the samples of phase p of channel c.
    Interleave = "interleave" {
        /// Phases.
        factor: usize,
    };
    /// (N, C, L) → (N, C·L).
    Flatten = "flatten";
    /// Mean of windows over time, with zeros around the signal.
    PaddedAvgPool1d = "padded_avg_pool1d" {
        /// Samples in a window.
        window: usize,
        /// Step between windows.
        stride: usize,
        /// Zeros before and after the signal.
        padding: (usize, usize),
        /// Whether a last window that only begins in the signal counts.
        ceil_mode: bool,
        /// Whether the padding's zeros count in the means; else they are of the samples that are there.
        count_include_pad: bool,
    };
    /// Maximum of windows over time, with −∞ around the signal.
    PaddedMaxPool1d = "padded_max_pool1d" {
        /// Samples in a window.
        window: usize,
        /// Step between windows.
        stride: usize,
        /// Places before and after the signal that never win.
        padding: (usize, usize),
        /// Whether a last window that only begins in the signal counts.
        ceil_mode: bool,
    };
    /// (N, C, L) → (N, C), the maximum over time.
    GlobalMaxPool = "global_max_pool";
    /// A value put before and behind an axis.
    Pad = "pad" {
        /// 1 is the first behind the batch: channels; 2 is time.
        axis: usize,
        /// How many before.
        before: usize,
        /// How many behind.
        after: usize,
        /// The value.
        value: f64,
    };
    /// An axis without its ends, of what is left one in `step`.
    Crop = "crop" {
        /// 1 is the first behind the batch: channels; 2 is time.
        axis: usize,
        /// How many are left out before.
        before: usize,
        /// How many are left out behind.
        after: usize,
        /// Of so many the first is taken.
        step: usize,
    };
    /// A convolution in groups of channels. Inputs: x, weight (O, I / groups, K), optionally bias (O).
    GroupedConv1d = "grouped_conv1d" {
        /// Groups; as many as channels for a depthwise convolution.
        groups: usize,
        /// Step between outputs.
        stride: usize,
        /// Step between taps.
        dilation: usize,
        /// Zeros before and after the signal.
        padding: (usize, usize),
    };
    /// The adjoint of a convolution. Inputs: x, weight (I, O, K), optionally bias (O). (L − 1)·stride + dilation·(K − 1) + 1 + extra − padding samples.
    ConvTranspose1d = "conv_transpose1d" {
        /// Step between the places of neighbouring inputs.
        stride: usize,
        /// Step between taps.
        dilation: usize,
        /// Samples left out before and after.
        padding: (usize, usize),
        /// Samples more at the end, fewer than stride.
        extra: usize,
    };
    /// Elementwise difference of two signals, aligned like a sum's.
    Subtract = "subtract";
    /// Elementwise quotient of two signals, aligned like a sum's.
    Divide = "divide";
    /// x / (1 + e⁻ˣ).
    Silu = "silu";
    /// x · Φ(x).
    Gelu = "gelu" {
        /// Whether Φ is approximated by tanh.
        approximate: bool,
    };
    /// x where x > 0, else alpha (eˣ − 1).
    Elu = "elu" {
        /// The depth below 0.
        alpha: f64,
    };
    /// The self-normalising [`Op::Elu`].
    Selu = "selu";
    /// x where x > 0, else slope · x. Inputs: x, slope (C, or 1).
    Prelu = "prelu";
    /// ln(1 + e^(beta x)) / beta.
    Softplus = "softplus" {
        /// How sharp the bend is.
        beta: f64,
    };
    /// x · min(max(x + 3, 0), 6) / 6.
    HardSwish = "hard_swish";
    /// min(max(x, low), high).
    Clip = "clip" {
        /// The lowest value.
        low: f64,
        /// The highest value.
        high: f64,
    };
    /// The last axes of each example brought to mean 0 and variance 1. Inputs: x, optionally weight and bias of the shape of those axes.
    LayerNorm = "layer_norm" {
        /// How many axes.
        axes: usize,
        /// Added to the variance.
        eps: f64,
    };
    /// The same over time and the channels of a group. Inputs: x (N, C, L), optionally weight and bias (C).
    GroupNorm = "group_norm" {
        /// Groups.
        groups: usize,
        /// Added to the variance.
        eps: f64,
    };
    /// The same over time, channel by channel. Inputs: x (N, C, L), optionally weight and bias (C).
    InstanceNorm = "instance_norm" {
        /// Added to the variance.
        eps: f64,
    };
    /// eˣ / Σ eˣ along an axis.
    Softmax = "softmax" {
        /// 1 is the first behind the batch.
        axis: usize,
    };
    /// The matrix products of two signals: (N, …, A, B) · (N, …, B, C).
    Matmul = "matmul";
    /// Axes in another order.
    Transpose = "transpose" {
        /// Which axis comes first behind the batch, and so on: `[2, 1]` swaps channels and time.
        axes: Vec<usize>,
    };
    /// The same values in the same order, under another shape.
    Reshape = "reshape" {
        /// An example's shape; one size may be null, it is what is left.
        shape: Vec<Option<usize>>,
    };
    /// The mean over an axis, which goes.
    Mean = "mean" {
        /// 1 is the first behind the batch: channels; 2 is time.
        axis: usize,
    };
    /// A recurrent layer with a memory (LSTM), one direction: (N, F, L) → (N, H, L). Inputs: x, weights W (4 H, F) and R (4 H, H), and two biases (4 H) or
    /// none; rows are the gates i, f, g, o. Behind biases, h and c to begin with (H each), else it begins with zeros.
    Lstm = "lstm" {
        /// Whether it goes from the last sample to the first.
        reverse: bool,
    };
    /// A gated recurrent layer (GRU), one direction: (N, F, L) → (N, H, L). Inputs: x, weights W (3 H, F) and R (3 H, H), and two biases (3 H) or none; rows
    /// are the gates r, z, n. Behind biases, an h to begin with (H), else it begins with zeros.
    Gru = "gru" {
        /// Whether it goes from the last sample to the first.
        reverse: bool,
        /// Whether the reset gate acts behind the state's weights (as in PyTorch), else before them.
        linear_before_reset: bool,
    };
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Op {
    /// An op of one's own. `name` is what it is called in messages and matched by ([`OpKind::Custom`]); programs with it run, explain, trace and audit
    /// as far as its class and its definition allow, and cannot be written to files.
    pub fn custom(name: &'static str, definition: impl OpDefinition) -> Op {
        Op::Custom(Custom::new(name, Arc::new(definition)))
    }

    /// The mean of windows.
    pub fn avg_pool1d(window: usize, stride: usize) -> Op {
        Op::AvgPool1d { window, stride }
    }

    /// The maximum of windows.
    pub fn max_pool1d(window: usize, stride: usize) -> Op {
        Op::MaxPool1d { window, stride }
    }

    /// What rules may expect of it.
    pub fn class(&self) -> OpClass {
        self.definition().class()
    }

    /// How many inputs the op takes, least and most.
    pub fn arity(&self) -> (usize, usize) {
        self.definition().arity()
    }

    /// How many of the inputs are signals that flow (the rest are parameters by role: weights, biases, running statistics).
    pub fn signals(&self, inputs: usize) -> usize {
        self.definition().signals(inputs)
    }

    /// The shape of the output for inputs of these shapes.
    ///
    /// # Errors
    /// What is wrong with them, or with the op itself, in words.
    pub fn output_shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        match op_faults(self, inputs.len()).into_iter().next() {
            Some(fault) => Err(fault),
            None => self.definition().shape(inputs),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind(), self.definition().settings())
    }
}

#[cfg(test)]
mod tests {
    use super::OpKind;

    /// What a person writes programs by.
    #[test]
    fn every_op_is_a_file_and_stands_in_the_documentation() {
        let table = include_str!("../../docs/OPS.md");
        for kind in OpKind::ALL {
            assert!(table.contains(&format!("\n| `{kind}` | ")), "docs/OPS.md has no row for {kind}");
            let file = format!("{}/src/tape/ops/{kind}.rs", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&file).is_file(), "{file}");
        }
    }
}
