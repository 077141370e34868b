//! Networks as programs, their initialisation and training, and the project's own model file.
//!
//! - [`architecture`] gives the study's networks as [`crate::tape::Program`]s, [`load_program`] anyone's from a file.
//! - [`train`], or epoch by epoch [`Trainer`] with its [`Checkpoint`]s, fits a program to [`TrainingData`]: batches of inputs by ECG number
//!   from any source, and values. [`TrainSettings::paper`] are the study's settings, [`TrainSettings::quick`] those for a few minutes.
//! - The result is a [`Model`]: a network from µV to ms or µV, with its [`Provenance`] and the [`Metrics`] of each part of the data.
//!   [`load_model`] reads it back, or takes a PyTorch state dict; [`to_state_dict`] goes the other way.

mod adam;
mod architectures;
mod augment;
mod checkpoint;
mod container;
mod data;
mod initialise;
#[cfg(feature = "files")]
mod load;
mod metrics;
mod model_file;
mod near;
mod objective;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "files")]
mod program_file;
mod provenance;
mod saved_training;
mod scaling;
mod schedule;
mod settings;
pub mod shipped;
mod trainer;

pub use architectures::{ARCHITECTURES, architecture, standardconv, stevennet, with_outputs};
pub use augment::Augment;
pub use checkpoint::Checkpoint;
pub use data::{Examples, Inputs, PredictBatch, TakePredictions, TrainingData, predict_ecgs, predict_outputs, predict_outputs_by};
pub use initialise::initialise;
#[cfg(feature = "files")]
pub use load::{double, from_state_dict, load_model, load_program, to_state_dict};
pub use metrics::{Metrics, column_metrics, probabilities};
pub use model_file::{Model, Storage};
pub use near::Near;
pub use objective::sigmoid;
#[cfg(feature = "files")]
pub use program_file::{Fault, in_one_line, parse_program};
pub use provenance::{Epoch, OutputMetrics, Provenance, Weights};
pub use saved_training::{Start, TrainingFiles};
pub use settings::{ClassWeights, Further, Loss, Preset, Schedule, TrainSettings};
pub use trainer::{Trained, Trainer, train};
