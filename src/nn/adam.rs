//! Adam (Kingma & Ba 2015) with PyTorch's order of operations.

use super::model_file::{StoredTensor, restore, store};
use crate::tape::{Gradients, Network, NodeId, Parameters, Tensor, slice, zeros};
use crate::{Error, Result};
use cardiograd_kernels::elementary;
use cardiograd_kernels::training::AdamStep;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

const BETA2: f64 = 0.999;
const EPSILON: f32 = 1e-8;
/// Elements that one task updates; each element is its own result, so the cut changes nothing.
const CHUNK: usize = 1 << 14;

/// Running averages of gradients and their squares, per trainable parameter.
#[derive(Clone, Debug)]
pub(super) struct Adam {
    trainable: Vec<NodeId>,
    first: Vec<Tensor<f32>>,
    second: Vec<Tensor<f32>>,
    steps: u64,
}

/// [`Adam`] as it lies in a checkpoint.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAdam {
    first: Vec<StoredTensor>,
    second: Vec<StoredTensor>,
    steps: u64,
}

impl Adam {
    pub fn new(network: &Network<f32>) -> Self {
        let trainable = network.program().trainable();
        let moments: Vec<_> = trainable.iter().map(|id| zeros(network.parameter(*id).shape())).collect();
        Adam { trainable, first: moments.clone(), second: moments, steps: 0 }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step: m ← m + (1 − β₁)(g − m), v ← β₂ v + (1 − β₂) g², p ← p − α/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε).
    /// A parameter on which the output does not depend stays.
    pub fn step(&mut self, network: &mut Network<f32>, gradients: &Gradients<f32>, learning_rate: f64, beta1: f64) {
        self.steps += 1;
        let power = |beta: f64| 1.0 - elementary::pow(beta, self.steps as f64);
        let step = AdamStep {
            size: (learning_rate / power(beta1)) as f32,
            root: power(BETA2).sqrt() as f32,
            weight1: (1.0 - beta1) as f32,
            beta2: BETA2 as f32,
            weight2: (1.0 - BETA2) as f32,
            epsilon: EPSILON,
        };
        for ((id, first), second) in self.trainable.iter().zip(&mut self.first).zip(&mut self.second) {
            let Some(gradient) = gradients.get(*id) else { continue };
            let mut parameter = network.parameter_mut(*id);
            let parameter = parameter.as_slice_mut().expect("parameters are in standard layout");
            let moments = elements(first).par_chunks_mut(CHUNK).zip(elements(second).par_chunks_mut(CHUNK));
            parameter
                .par_chunks_mut(CHUNK)
                .zip(moments)
                .zip(slice(gradient).par_chunks(CHUNK))
                .for_each(|((p, (m, v)), g)| step.update(p, m, v, g));
        }
    }

    pub fn store(&self, network: &Network<f32>) -> StoredAdam {
        let named = |moments: &[Tensor<f32>]| {
            let name = |id: &NodeId| network.program().node(*id).name.clone();
            store(&self.trainable.iter().map(name).zip(moments.iter().cloned()).collect::<Parameters<f32>>())
        };
        StoredAdam { first: named(&self.first), second: named(&self.second), steps: self.steps }
    }

    /// # Errors
    /// [`Error::Parameters`] if the averages are not those of the network's trainable parameters.
    pub fn restore(network: &Network<f32>, stored: StoredAdam) -> Result<Self> {
        let mut adam = Adam::new(network);
        adam.steps = stored.steps;
        for (moments, stored) in [(&mut adam.first, stored.first), (&mut adam.second, stored.second)] {
            let mut stored = restore(stored)?;
            for (id, moment) in adam.trainable.iter().zip(moments) {
                let name = &network.program().node(*id).name;
                match stored.remove(name) {
                    Some(value) if value.shape() == moment.shape() => *moment = value,
                    _ => {
                        return Err(Error::Parameters(format!(
                            "the running averages of parameter '{name}' are missing or of another shape"
                        )));
                    }
                }
            }
        }
        Ok(adam)
    }
}

/// The elements of a tensor, to change; shared data is copied first.
fn elements(tensor: &mut Tensor<f32>) -> &mut [f32] {
    tensor.as_slice_mut().expect("parameters are in standard layout")
}
