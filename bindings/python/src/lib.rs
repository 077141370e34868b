//! The native half of the Python package `cardiograd`: arrays and words in, a call of the library, arrays out. What a user sees, with its documentation, is
//! in `python/cardiograd/`; what is computed is computed in the library.

mod arrays;
mod ecgs;
mod failure;
mod models;
mod pictures;
mod rules;
mod settings;
mod training;
mod work;

use pyo3::prelude::*;
use std::process::ExitCode;

/// The native half of `cardiograd`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::ecgs::{measure, read, simulate, twelve};
    #[pymodule_export]
    use super::failure::Error;
    #[pymodule_export]
    use super::models::{Model, methods};
    #[pymodule_export]
    use super::pictures::{draw_ecg, draw_maps};
    #[pymodule_export]
    use super::rules::register;
    #[pymodule_export]
    use super::training::{check_dataset, simulate_dataset, train};
    #[pymodule_export]
    use super::work::set_threads;
    #[pymodule_export]
    use super::{command, version};
}

/// The version of the library.
#[pyfunction]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Runs the `cardiograd` program on arguments, its name first, and gives its exit code.
#[pyfunction]
fn command(py: Python<'_>, words: Vec<std::ffi::OsString>) -> u8 {
    let code = py.detach(|| cardiograd::run_with(words));
    (0..u8::MAX).find(|number| ExitCode::from(*number) == code).unwrap_or(u8::MAX)
}
