//! Networks as programs, their initialisation and training, and the project's own model file.
//!
//! - [`architecture`] gives the study's networks as [`crate::tape::Program`]s, [`load_program`] anyone's from a file.
//! - [`train`], or epoch by epoch [`Trainer`] with its [`Checkpoint`]s, fits a program to [`TrainingData`]: batches of inputs by ECG number
//!   from any source, and values. [`TrainSettings::paper`] are the study's settings, [`TrainSettings::quick`] those for a few minutes.
//! - The result is a [`Model`]: a network from µV to ms or µV, with its [`Provenance`] and the [`Metrics`] of each part of the data.
//!   [`load_model`] reads it back, or takes a PyTorch state dict; [`to_state_dict`] goes the other way.

#[cfg(feature = "std")]
mod adam;
mod architectures;
#[cfg(feature = "std")]
mod augment;
mod bare;
#[cfg(feature = "std")]
mod calibrate;
#[cfg(feature = "std")]
mod checkpoint;
mod container;
#[cfg(feature = "std")]
mod data;
#[cfg(feature = "std")]
mod initialise;
#[cfg(feature = "files")]
mod load;
#[cfg(feature = "std")]
mod metrics;
#[cfg(feature = "std")]
mod model_file;
#[cfg(feature = "std")]
mod near;
#[cfg(feature = "std")]
mod objective;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "files")]
mod program_file;
#[cfg(feature = "std")]
mod provenance;
#[cfg(feature = "std")]
mod saved_training;
#[cfg(feature = "std")]
mod scaling;
#[cfg(feature = "std")]
mod schedule;
#[cfg(feature = "std")]
mod settings;
#[cfg(feature = "std")]
pub mod shipped;
mod stored;
#[cfg(feature = "std")]
mod trainer;

pub use architectures::{ARCHITECTURES, architecture, standardconv, stevennet, with_outputs};
#[cfg(feature = "std")]
pub use augment::Augment;
pub use bare::network_from_bytes;
#[cfg(feature = "std")]
pub use checkpoint::Checkpoint;
#[cfg(feature = "std")]
pub use data::{Examples, Inputs, PredictBatch, TakePredictions, TrainingData, predict_ecgs, predict_outputs, predict_outputs_by};
#[cfg(feature = "std")]
pub use initialise::initialise;
#[cfg(feature = "files")]
pub use load::{double, from_state_dict, load_model, load_program, to_state_dict};
#[cfg(feature = "std")]
pub use metrics::{Metrics, column_metrics, probabilities};
#[cfg(feature = "std")]
pub use model_file::{Model, Storage};
#[cfg(feature = "std")]
pub use near::Near;
#[cfg(feature = "std")]
pub use objective::sigmoid;
#[cfg(feature = "files")]
pub use program_file::{Fault, in_one_line, parse_program};
#[cfg(feature = "std")]
pub use provenance::{Epoch, OutputMetrics, Provenance, Weights};
#[cfg(feature = "std")]
pub use saved_training::{Start, TrainingFiles};
#[cfg(feature = "std")]
pub use settings::{ClassWeights, Further, Loss, Preset, Schedule, TrainSettings};
#[cfg(feature = "std")]
pub use trainer::{Trained, Trainer, train};
