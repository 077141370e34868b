//! cardiograd trains 1-D residual networks on 12-lead ECGs, explains their predictions with gradient heatmaps, and judges the heatmaps.
//!
//! Everything rests on a reverse-mode tape ([`tape`]): a network is a [`tape::Program`], plain data; one forward run leaves a
//! [`tape::Tape`]; an explanation method is a set of backward rules ([`attribution`]) and never a patch of the model.
//! Data flows one way: ECG ([`ecg`]) → [`dataset`] → model ([`nn`]) → [`attribution`] → [`evaluation`] → [`report`].

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
mod ahead;
#[cfg(feature = "std")]
pub mod atomic;
pub mod attribution;
#[cfg(feature = "std")]
pub mod dataset;
#[cfg(feature = "std")]
pub mod ecg;
mod error;
#[cfg(feature = "std")]
pub mod evaluation;
#[cfg(feature = "files")]
pub mod files;
mod half;
#[cfg(feature = "std")]
pub mod inputs;
#[cfg(feature = "std")]
mod intake;
pub mod nn;
#[cfg(feature = "files")]
mod on_disk;
#[cfg(not(feature = "std"))]
mod plain;
pub mod progress;
pub mod random;
#[cfg(feature = "report")]
pub mod report;
pub mod shape;
pub mod tape;
#[cfg(feature = "std")]
mod threads;
#[cfg(feature = "std")]
mod unfit;

#[cfg(feature = "files")]
pub mod audit;
#[cfg(feature = "report")]
pub mod challenge;
// Every command's file is compiled, and the linker leaves out what the commands that are built in do not use.
#[cfg(feature = "cli-core")]
#[cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports))]
mod cli;
#[cfg(feature = "onnx")]
pub mod export;
#[cfg(feature = "report")]
pub mod study;
#[cfg(feature = "report")]
pub mod survey;
#[cfg(feature = "report")]
pub mod trace;

pub use error::{Error, Result};
#[cfg(feature = "std")]
pub use threads::start_threads;

/// What most programs that explain a network begin with: `use cardiograd::prelude::*`.
pub mod prelude {
    pub use crate::attribution::{Baseline, Completeness, Explainer, Explanations, Method, Settings};
    #[cfg(feature = "std")]
    pub use crate::nn::Model;
    #[cfg(feature = "files")]
    pub use crate::nn::load_model;
    pub use crate::progress::silent;
    #[cfg(feature = "std")]
    pub use crate::start_threads;
    pub use crate::tape::{Builder, Match, Network, Op, OpKind, Program, Real, Rule, RuleSet, Site, Tensor};
    pub use crate::{Error, Result};
}

/// The `cardiograd` program: what it is called with is read from the process' arguments. Not a part of the library's interface.
#[cfg(feature = "cli-core")]
#[doc(hidden)]
pub fn run() -> std::process::ExitCode {
    cli::run()
}

/// The same on given arguments, the program's name first, for a process that is more than this program; once a process.
#[cfg(feature = "cli-core")]
#[doc(hidden)]
pub fn run_with(words: Vec<std::ffi::OsString>) -> std::process::ExitCode {
    cli::run_with(words)
}
