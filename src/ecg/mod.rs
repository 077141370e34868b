//! ECGs: leads and units, the simulator, the Pulse2pulse generator, measurement.

pub mod amplitude;
#[cfg(feature = "files")]
pub mod axes;
mod filter;
mod further;
pub mod generator;
pub mod leads;
pub mod measure;
mod measurements;
#[cfg(feature = "files")]
pub mod read;
mod rhythm;
pub mod simulator;
pub mod stated;

pub use further::{Further, WAVES, WITH_ERROR};
pub use measurements::Measurements;
pub use rhythm::{LONGEST, LOWEST, Rhythm, SHORTEST, resampled};
