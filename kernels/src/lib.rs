//! Kernels of cardiograd: slices in, slices out, in f32 and f64.
//!
//! Tensors are dense and row-major, `(batch, channel, time)`. Every function's contract is stated as mathematics in its documentation.
//! Results never depend on the number of threads, nor, for the per-example functions, on what else is in the batch.

pub mod batch_norm;
pub mod conv1d;
pub mod naive;
pub mod pool;
mod real;

pub use conv1d::{Conv1d, PreparedConv};
pub use real::Real;
