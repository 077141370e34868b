//! ECGs: leads and units, the simulator, the Pulse2pulse generator, measurement.

pub mod leads;
mod measurements;

pub use measurements::Measurements;
