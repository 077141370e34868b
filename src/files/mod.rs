//! Files that users bring and take away: arrays, weights, recordings.
//!
//! Readers take a file for hostile until it is shown otherwise: a claimed size is compared with what is there before anything
//! is allocated. Writers leave either the whole file or nothing ([`atomic`]).

mod archive;
pub mod digest;
pub mod npy;
pub mod npz;
pub mod npz_rows;
pub mod state_dict;

pub use crate::atomic;
