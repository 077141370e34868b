//! ECGs: leads and units, the simulator, the Pulse2pulse generator, measurement.

mod filter;
pub mod leads;
pub mod measure;
mod measurements;
mod rhythm;
pub mod simulator;

pub use measurements::Measurements;
pub use rhythm::{LONGEST, Rhythm, SHORTEST};
