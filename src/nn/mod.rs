//! Networks as programs, their initialisation and training.

mod architectures;
mod initialise;

pub use architectures::{ARCHITECTURES, architecture, standardconv, stevennet};
pub use initialise::initialise;
