//! A training of a few weights, whose checkpoints are read.

use cardiograd::Result;
use cardiograd::nn::{Schedule, TrainSettings};
use cardiograd::tape::{Builder, ConvLayer, Program};
use ndarray::Array3;

/// A convolution, a batch norm, a ReLU, a linear layer.
pub fn program() -> Program {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(12), None]);
    let x = build.conv1d("conv", x, ConvLayer::same(12, 2, 3));
    let x = build.batch_norm("bn", x, 2);
    let x = build.relu("relu", x);
    let x = build.node("mean", cardiograd::tape::Op::GlobalAvgPool, &[x]);
    let y = build.linear("fc", x, 2, 1, true);
    build.finish(y).expect("a valid program")
}

/// Two epochs.
pub fn settings() -> TrainSettings {
    let schedule = Schedule::Plateau { factor: 0.5, patience: 1, threshold: 1e-4 };
    TrainSettings { epochs: 2, batch: 2, learning_rate: 0.01, schedule, standardise: false, seed: 1, ..TrainSettings::paper() }
}

/// Short made-up ECGs.
pub fn inputs(ecgs: &[usize]) -> Result<Array3<f32>> {
    Ok(Array3::from_shape_fn((ecgs.len(), 12, 20), |(n, lead, t)| ((ecgs[n] * 7 + lead * 3 + t) % 11) as f32 - 5.0))
}
