//! Standardised training: the scales, and folding them into the first and last layer afterwards.
//!
//! Leads are divided, not shifted: a shift does not pass through the zeros of a padded convolution, a factor does.

use super::data::TrainingData;
use crate::dataset::Target;
use crate::tape::{Network, NodeId, Op, Program, Tensor};
use crate::{Error, Result};
use ndarray::Axis;

/// Training ECGs that the leads' root mean squares are taken over, at most.
const SAMPLE: usize = 1000;

/// What inputs and targets are divided by while training.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scaling {
    /// Divisor of each input channel.
    leads: Vec<f32>,
    /// Mean and standard deviation of each output; 0 and 1 for logits.
    outputs: Vec<(f64, f64)>,
    /// The same of each column of values.
    values: Vec<(f64, f64)>,
    identity: bool,
}

/// Where the scales go: the convolutions that read the input, and the last layer.
struct Places {
    first: Vec<NodeId>,
    last_weight: NodeId,
    last_bias: NodeId,
}

impl Scaling {
    /// No scaling.
    pub fn identity(target: Target) -> Self {
        let (outputs, values) = (vec![(0.0, 1.0); target.width()], vec![(0.0, 1.0); target.columns().len()]);
        Scaling { leads: Vec::new(), outputs, values, identity: true }
    }

    /// The scales of the training examples.
    ///
    /// # Errors
    /// [`Error::Program`] if the program has no place to fold them into; what reading inputs brings.
    pub fn of(program: &Program, data: &TrainingData<'_>) -> Result<Self> {
        Places::find(program)?;
        let ecgs = &data.train.ecgs[..data.train.len().min(SAMPLE)];
        let mut squares: Vec<f64> = Vec::new();
        let mut count = 0;
        for batch in ecgs.chunks(64) {
            let x = (data.inputs)(batch)?;
            squares.resize(x.len_of(Axis(1)), 0.0);
            count += x.len_of(Axis(0)) * x.len_of(Axis(2));
            for ecg in x.outer_iter() {
                for (sum, lead) in squares.iter_mut().zip(ecg.outer_iter()) {
                    *sum += lead.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
                }
            }
        }
        let positive = |scale: f64| if scale > 0.0 { scale } else { 1.0 };
        let all = data.target.columns();
        let scale = |(at, column): (usize, &Target)| {
            if !column.is_regression() {
                return (0.0, 1.0);
            }
            let known = || data.train.column(at, all.len()).filter(|value| !value.is_nan());
            let n = known().count() as f64;
            let mean = known().sum::<f64>() / n;
            let variance = known().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
            (mean, positive(variance.sqrt()))
        };
        let values: Vec<(f64, f64)> = all.iter().enumerate().map(scale).collect();
        let outputs = all.iter().zip(&values).flat_map(|(column, scale)| std::iter::repeat_n(*scale, column.width())).collect();
        let leads = squares.iter().map(|sum| positive((sum / count as f64).sqrt()) as f32).collect();
        Ok(Scaling { leads, outputs, values, identity: false })
    }

    /// Divides the channels of a batch (N, C, L).
    pub fn input(&self, x: &mut Tensor<f32>) {
        if !self.identity {
            for (mut lead, scale) in x.axis_iter_mut(Axis(1)).zip(&self.leads) {
                lead.mapv_inplace(|v| v / scale);
            }
        }
    }

    /// The scaled value of a column.
    pub fn target(&self, column: usize, value: f64) -> f32 {
        let (mean, deviation) = self.values[column];
        ((value - mean) / deviation) as f32
    }

    /// An error in the unit of a target of one column from a scaled one.
    pub fn error(&self, scaled: f64) -> f64 {
        scaled * self.values[0].1
    }

    /// The network on unscaled inputs and targets: w ← w / s per input channel; in the last layer w ← σ w, b ← σ b + μ per output.
    ///
    /// # Errors
    /// As [`Scaling::of`].
    pub fn fold(&self, mut network: Network<f32>) -> Result<Network<f32>> {
        if self.identity {
            return Ok(network);
        }
        let places = Places::find(network.program())?;
        for weight in places.first {
            for (mut channel, scale) in network.parameter_mut(weight).axis_iter_mut(Axis(1)).zip(&self.leads) {
                channel.mapv_inplace(|v| v / scale);
            }
        }
        for (mut row, (_, deviation)) in network.parameter_mut(places.last_weight).axis_iter_mut(Axis(0)).zip(&self.outputs) {
            row.mapv_inplace(|v| (f64::from(v) * deviation) as f32);
        }
        for (bias, (mean, deviation)) in network.parameter_mut(places.last_bias).iter_mut().zip(&self.outputs) {
            *bias = (f64::from(*bias) * deviation + mean) as f32;
        }
        Ok(network)
    }

    /// The other way, for a training that begins from a trained network: the network on scaled inputs that gives scaled targets.
    ///
    /// # Errors
    /// As [`Scaling::of`].
    pub fn unfold(&self, mut network: Network<f32>) -> Result<Network<f32>> {
        if self.identity {
            return Ok(network);
        }
        let places = Places::find(network.program())?;
        for weight in places.first {
            for (mut channel, scale) in network.parameter_mut(weight).axis_iter_mut(Axis(1)).zip(&self.leads) {
                channel.mapv_inplace(|v| v * scale);
            }
        }
        for (mut row, (_, deviation)) in network.parameter_mut(places.last_weight).axis_iter_mut(Axis(0)).zip(&self.outputs) {
            row.mapv_inplace(|v| (f64::from(v) / deviation) as f32);
        }
        for (bias, (mean, deviation)) in network.parameter_mut(places.last_bias).iter_mut().zip(&self.outputs) {
            *bias = ((f64::from(*bias) - mean) / deviation) as f32;
        }
        Ok(network)
    }
}

/// Whether a node is a parameter that one node alone reads: what is done to it is done to that node.
pub(super) fn is_own(program: &Program, id: NodeId) -> bool {
    matches!(program.node(id).op, Op::Parameter { .. }) && program.readers()[id.0].len() == 1
}

impl Places {
    fn find(program: &Program) -> Result<Self> {
        let refuse = |why: String| Err(Error::Program(format!("standardised training cannot be folded into this network: {why}")));
        let readers = program.readers();
        let alone = |id: NodeId| is_own(program, id);
        let mut first = Vec::new();
        for input in program.inputs() {
            for reader in &readers[input.0] {
                let node = program.node(*reader);
                match node.op {
                    Op::Conv1d { .. } if node.inputs[0] == input && alone(node.inputs[1]) => first.push(node.inputs[1]),
                    _ => return refuse(format!("'{}' reads the input and is not a convolution with weights of its own", node.name)),
                }
            }
        }
        let last = program.node(program.output());
        match (&last.op, &last.inputs[..]) {
            (Op::Linear, &[_, last_weight, last_bias]) if alone(last_weight) && alone(last_bias) => {
                Ok(Places { first, last_weight, last_bias })
            }
            _ => refuse(format!("its output '{}' is not a linear layer with weights and bias of its own", last.name)),
        }
    }
}
