//! Parameters as they lie in the project's own files: of 32 bits, or of 16 with a scale.

use crate::half::half;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Parameters, from_vec};
use crate::{Error, Result, shape};
use serde::{Deserialize, Serialize};

/// A parameter as it lies in a file, row-major.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredTensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// A parameter of a file of 16-bit weights, row-major: `values`, or if there are none `halves` times 2^`exponent`.
#[derive(Serialize, Deserialize)]
pub(super) struct Packed {
    pub name: String,
    pub shape: Vec<usize>,
    pub exponent: i32,
    pub halves: Vec<u16>,
    pub values: Vec<f32>,
}

impl Packed {
    /// In 32 bits.
    ///
    /// # Errors
    /// [`Error::Parameters`] for what no writer of ours leaves.
    pub fn whole(self) -> Result<StoredTensor> {
        let Packed { name, shape, exponent, halves, values } = self;
        if !halves.is_empty() && !values.is_empty() {
            return Err(Error::Parameters(format!("parameter '{name}' is there twice, in 16 and in 32 bits")));
        }
        if !(-200..=200).contains(&exponent) {
            return Err(Error::Parameters(format!("parameter '{name}' is scaled by 2^{exponent}, beyond any weight")));
        }
        let scale = 2f64.powi(exponent);
        let values = if halves.is_empty() { values } else { halves.iter().map(|bits| (f64::from(half(*bits)) * scale) as f32).collect() };
        Ok(StoredTensor { name, shape, values })
    }
}

/// By name, their shapes and names checked.
pub(super) fn restore(stored: Vec<StoredTensor>) -> Result<Parameters<f32>> {
    let mut parameters = Parameters::new();
    for StoredTensor { name, shape, values } in stored {
        if shape::elements(&shape, size_of::<f32>()) != Some(values.len()) {
            return Err(Error::Parameters(format!("parameter '{name}' of shape {shape:?} has {} values", values.len())));
        }
        if parameters.contains_key(&name) {
            return Err(Error::Parameters(format!("two parameters are called '{name}'")));
        }
        parameters.insert(name, from_vec(&shape, values));
    }
    Ok(parameters)
}
