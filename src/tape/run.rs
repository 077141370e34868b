//! One forward run: the values of all nodes.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::network::Edition;
use crate::tape::{NodeId, Real, Tensor};

/// Whether batch norm uses the batch's statistics or the running ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics.
    Training,
    /// Running statistics.
    Evaluation,
}

/// What an op keeps from its forward run for the way back, beyond inputs and output.
#[derive(Clone, Debug)]
pub enum Saved {
    /// Nothing.
    Nothing,
    /// Where each maximum came from, as positions within the rows of the input.
    ArgMax(Vec<u32>),
    /// Batch norm in training: the batch's mean and biased variance per channel.
    Statistics {
        /// Mean.
        mean: Vec<f64>,
        /// Biased variance.
        variance: Vec<f64>,
        /// Elements per channel.
        count: usize,
    },
}

impl Saved {
    pub(crate) fn argmax(&self) -> Option<&[u32]> {
        match self {
            Saved::ArgMax(at) => Some(at),
            _ => None,
        }
    }
}

/// The values of one forward run, at the program's node ids.
#[derive(Clone, Debug)]
pub struct Tape<T> {
    pub(crate) values: Vec<Tensor<T>>,
    pub(crate) saved: Vec<Saved>,
    pub(crate) output: NodeId,
    pub(crate) mode: Mode,
    /// The network that ran.
    pub(crate) edition: Edition,
}

impl<T: Real> Tape<T> {
    /// A node's value.
    pub fn value(&self, id: NodeId) -> &Tensor<T> {
        &self.values[id.0]
    }

    /// The output's value.
    pub fn output(&self) -> &Tensor<T> {
        self.value(self.output)
    }

    /// Where each output of a selection came from, as positions within the rows of its input.
    pub fn winners(&self, id: NodeId) -> Option<&[u32]> {
        self.saved[id.0].argmax()
    }

    /// The mode of the run.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The batch statistics that a batch norm node used in training: mean, biased variance, elements per channel.
    pub fn statistics(&self, id: NodeId) -> Option<(&[f64], &[f64], usize)> {
        match &self.saved[id.0] {
            Saved::Statistics { mean, variance, count } => Some((mean, variance, *count)),
            _ => None,
        }
    }
}
