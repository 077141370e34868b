//! Networks as programs, their initialisation and training, and the project's own model file.

mod adam;
mod architectures;
mod checkpoint;
mod container;
mod data;
mod initialise;
#[cfg(feature = "files")]
mod load;
mod metrics;
mod model_file;
mod provenance;
mod scaling;
mod schedule;
mod settings;
mod trainer;

pub use architectures::{ARCHITECTURES, architecture, standardconv, stevennet};
pub use checkpoint::Checkpoint;
pub use data::{Examples, Inputs, TrainingData, predict_ecgs};
pub use initialise::initialise;
#[cfg(feature = "files")]
pub use load::{load_model, load_program, to_state_dict};
pub use metrics::Metrics;
pub use model_file::Model;
pub use provenance::{Epoch, Provenance, Weights};
pub use settings::{Preset, Schedule, TrainSettings};
pub use trainer::{Trained, Trainer, train};
