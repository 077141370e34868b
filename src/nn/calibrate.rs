//! Calibration in the large: a trained network's mean error over the training part is taken out of the bias of its last layer.
//!
//! A network that was trained on the statistics of its batches and is used with running averages may be off by much the same amount everywhere, and so may
//! one whose best epoch is one of a high learning rate. The bias is not in any gradient with respect to the input: heatmaps are the same with and without.

use super::data::{TrainingData, predict_outputs};
use super::scaling::is_own;
use crate::dataset::Target;
use crate::progress::Report;
use crate::tape::{Network, NodeId, Op, Program};
use crate::{Error, Result};

/// The bias of the last layer.
///
/// # Errors
/// [`Error::Program`] if the output is not a linear layer with a bias that it alone reads.
fn last_bias(program: &Program) -> Result<NodeId> {
    let last = program.node(program.output());
    match (&last.op, &last.inputs[..]) {
        (Op::Linear, &[_, _, bias]) if is_own(program, bias) => Ok(bias),
        _ => Err(Error::Program(format!(
            "the network cannot be calibrated: its output '{}' is not a linear layer with a bias of its own",
            last.name
        ))),
    }
}

/// Refuses what has no mean error, or no place to take it out of.
///
/// # Errors
/// [`Error::Usage`] for targets that are classes, all of them; [`Error::Program`].
pub(super) fn check(program: &Program, target: Target) -> Result<()> {
    if !target.columns().iter().any(|column| column.is_regression()) {
        return Err(Error::Usage(format!("{target} has no number to calibrate: classes are told by logits, whose mean error is none")));
    }
    last_bias(program).map(|_| ())
}

/// Adds to the bias of each output that is a number its mean of measured − predicted over the training part; gives what was added, 0 for classes.
///
/// # Errors
/// As [`check`] and [`predict_outputs`].
pub(super) fn calibrate(data: &TrainingData<'_>, network: &mut Network<f32>, report: Report<'_>) -> Result<Vec<f64>> {
    let bias = last_bias(network.program())?;
    let (columns, width) = (data.target.columns(), data.target.width());
    let all: Vec<usize> = (0..width).collect();
    let label = format!("calibrating {}", data.target);
    let predicted = predict_outputs(network, &all, data.inputs, &data.train.ecgs, &label, report)?;
    let mut added = vec![0.0; width];
    let mut output = 0;
    for (at, column) in columns.iter().enumerate() {
        if column.is_regression() {
            let known = data.train.column(at, columns.len()).zip(predicted.chunks(width)).filter(|(measured, _)| !measured.is_nan());
            let (sum, count) = known.fold((0.0, 0usize), |(sum, count), (measured, row)| (sum + measured - row[output], count + 1));
            added[output] = sum / count.max(1) as f64;
        }
        output += column.width();
    }
    for (bias, added) in network.parameter_mut(bias).iter_mut().zip(&added) {
        *bias = (f64::from(*bias) + added) as f32;
    }
    Ok(added)
}
