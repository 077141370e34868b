//! The ops that random residual networks have not, each with shapes to try it at.

use cardiograd::tape::Op;

/// Shapes without the batch.
pub type Shapes = Vec<Vec<usize>>;

/// Every op that is in no random residual network, with the shapes of its signals (without the batch) and of its parameters.
pub fn more_ops() -> Vec<(Op, Shapes, Shapes)> {
    let signal = || vec![3, 7];
    let one = |op: Op| (op, vec![signal()], vec![]);
    let conv = |groups, stride, dilation, padding| Op::GroupedConv1d { groups, stride, dilation, padding };
    let transposed = |stride, dilation, padding, extra| Op::ConvTranspose1d { stride, dilation, padding, extra };
    let max = |window, stride, padding, ceil_mode| Op::PaddedMaxPool1d { window, stride, padding, ceil_mode };
    let mean = |padding, ceil_mode, count_include_pad| Op::PaddedAvgPool1d { window: 3, stride: 2, padding, ceil_mode, count_include_pad };
    let mut all: Vec<_> = [
        Op::Silu,
        Op::Gelu { approximate: false },
        Op::Gelu { approximate: true },
        Op::Elu { alpha: 0.7 },
        Op::Elu { alpha: 1.0 },
        Op::Selu,
        Op::Softplus { beta: 1.5 },
        Op::HardSwish,
        Op::Clip { low: -1.1, high: 1.3 },
        Op::GlobalMaxPool,
        max(3, 2, (1, 1), false),
        max(3, 2, (0, 0), true),
        max(4, 3, (2, 3), true),
        mean((1, 1), false, true),
        mean((1, 1), false, false),
        mean((0, 2), true, true),
        mean((2, 1), true, false),
        Op::Pad { axis: 2, before: 2, after: 1, value: 0.0 },
        Op::Pad { axis: 1, before: 0, after: 2, value: -0.5 },
        Op::Crop { axis: 2, before: 1, after: 2, step: 1 },
        Op::Crop { axis: 2, before: 0, after: 0, step: 3 },
        Op::Crop { axis: 1, before: 1, after: 1, step: 1 },
        Op::LayerNorm { axes: 1, eps: 1e-3 },
        Op::LayerNorm { axes: 2, eps: 1e-3 },
        Op::InstanceNorm { eps: 1e-3 },
        Op::GroupNorm { groups: 3, eps: 1e-3 },
        Op::Softmax { axis: 2 },
        Op::Softmax { axis: 1 },
        Op::Transpose { axes: vec![2, 1] },
        Op::Reshape { shape: vec![Some(7), None] },
        Op::Reshape { shape: vec![None] },
        Op::Mean { axis: 1 },
        Op::Mean { axis: 2 },
    ]
    .into_iter()
    .map(one)
    .collect();
    all.extend([
        (Op::Prelu, vec![signal()], vec![vec![3]]),
        (Op::Prelu, vec![signal()], vec![vec![1]]),
        (Op::LayerNorm { axes: 1, eps: 1e-3 }, vec![signal()], vec![vec![7], vec![7]]),
        (Op::GroupNorm { groups: 1, eps: 1e-3 }, vec![signal()], vec![vec![3], vec![3]]),
        (Op::InstanceNorm { eps: 1e-3 }, vec![signal()], vec![vec![3], vec![3]]),
        (conv(3, 1, 1, (1, 1)), vec![signal()], vec![vec![6, 1, 3], vec![6]]),
        (conv(3, 2, 2, (3, 0)), vec![signal()], vec![vec![3, 1, 2]]),
        (conv(2, 3, 1, (2, 4)), vec![vec![4, 7]], vec![vec![6, 2, 5], vec![6]]),
        (conv(1, 1, 3, (9, 0)), vec![signal()], vec![vec![2, 3, 4]]),
        (transposed(2, 1, (1, 1), 1), vec![signal()], vec![vec![3, 4, 3], vec![4]]),
        (transposed(3, 2, (0, 2), 0), vec![signal()], vec![vec![3, 2, 3]]),
        (Op::Add, vec![signal(), vec![3, 1]], vec![]),
        (Op::Add, vec![signal()], vec![vec![3, 1]]),
        (Op::Subtract, vec![signal(), signal()], vec![]),
        (Op::Subtract, vec![vec![1, 7], signal()], vec![]),
        (Op::Multiply, vec![signal(), vec![3, 1]], vec![]),
        (Op::Multiply, vec![signal()], vec![vec![7]]),
        (Op::Matmul, vec![vec![3, 4], vec![4, 2]], vec![]),
        (Op::Matmul, vec![vec![2, 3, 4], vec![2, 4, 2]], vec![]),
        (Op::Lstm { reverse: false }, vec![signal()], vec![vec![8, 3], vec![8, 2], vec![8], vec![8]]),
        (Op::Lstm { reverse: true }, vec![signal()], vec![vec![4, 3], vec![4, 1]]),
        (Op::Gru { reverse: false, linear_before_reset: true }, vec![signal()], vec![vec![6, 3], vec![6, 2], vec![6], vec![6]]),
        (Op::Gru { reverse: true, linear_before_reset: false }, vec![signal()], vec![vec![6, 3], vec![6, 2], vec![6], vec![6]]),
        (Op::Lstm { reverse: false }, vec![signal()], vec![vec![8, 3], vec![8, 2], vec![8], vec![8], vec![2], vec![2]]),
        (Op::Gru { reverse: true, linear_before_reset: true }, vec![signal()], vec![vec![6, 3], vec![6, 2], vec![6], vec![6], vec![2]]),
        (Op::Gru { reverse: false, linear_before_reset: false }, vec![signal()], vec![vec![6, 3], vec![6, 2], vec![6], vec![6], vec![2]]),
        (Op::Gru { reverse: true, linear_before_reset: true }, vec![vec![1, 1]], vec![vec![9, 1], vec![9, 3]]),
    ]);
    all
}
