//! Kernels of cardiograd: slices in, slices out, in f32 and f64.
//!
//! Tensors are dense and row-major, `(batch, channel, time)`. Every function's contract is stated as mathematics in its documentation.
//! Every safe function asserts, once a call, the sizes that its registers rely on: a slice that does not fit, or a size that wraps, is a panic.
//! Results never depend on the number of threads, nor, for the per-example functions, on what else is in the batch, nor on the instruction set: sums
//! have one order, set by the geometry, products that are added are rounded once everywhere (`fused.rs`), and no function is the platform's ([`elementary`]).
//! NaN is NaN everywhere, with whatever bits the processor gives it.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
mod awake;
pub mod batch_norm;
mod bin_gemm;
pub mod blocked;
mod blocked_pool;
#[cfg(test)]
mod bytes;
pub mod chain;
pub mod conv1d;
#[cfg(feature = "std")]
mod crew;
mod direct;
mod direct_blocked;
pub mod double;
mod double_direct;
mod double_lanes;
mod double_shape;
mod double_signal;
mod double_tile;
mod double_toom;
pub mod elementary;
mod fft;
mod fused;
mod gemm;
mod geometry;
mod mirror;
pub mod naive;
pub mod parallel;
mod plan;
pub mod pool;
mod real;
mod rows;
mod scratch;
mod simd;
mod sizes;
mod spectral;
mod spectral_gradient;
pub mod sync;
#[cfg(feature = "std")]
mod team;
mod through;
mod tiling;
pub mod training;
mod unfold;
mod weight_gradient;

#[cfg(feature = "std")]
pub use awake::awake;
pub use conv1d::PreparedConv;
pub use geometry::Conv1d;
pub use plan::{Choice, Method};
pub use real::Real;
pub use scratch::Buffer;
pub use simd::{Isa, UnknownKernel};
#[cfg(feature = "std")]
pub use team::team;
pub use tiling::Tiling;
pub use weight_gradient::WeightGradient;

/// Runs `work`; without the feature `std` there are no threads to keep awake for it.
#[cfg(not(feature = "std"))]
pub fn awake<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    work()
}

/// Runs `work`; without the feature `std` there are no threads to share it.
#[cfg(not(feature = "std"))]
pub fn team<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    work()
}
