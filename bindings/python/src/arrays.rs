//! Arrays between Python and the library. In, an array is copied once, for the library works on it while Python may change it; out, it is handed over.

use crate::failure::wrong;
use cardiograd::tape::{Real, Tensor};
use ndarray::{Array2, Array3, ArrayD, Ix2, Ix3};
use numpy::{IntoPyArray, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::any::Any;

/// What Python gives as numbers: float32 or float64; the Python half makes one of the two of any other kind.
#[derive(FromPyObject)]
pub enum Numbers<'py> {
    /// float32.
    Single(PyReadonlyArrayDyn<'py, f32>),
    /// float64.
    Double(PyReadonlyArrayDyn<'py, f64>),
}

impl Numbers<'_> {
    /// The values in the arithmetic of the work.
    pub fn real<T: Real>(&self) -> ArrayD<T> {
        // Strides of an array without values may be any, which ndarray does not take.
        match self {
            Numbers::Single(array) if array.is_empty() => ArrayD::from_elem(array.shape(), T::ZERO),
            Numbers::Double(array) if array.is_empty() => ArrayD::from_elem(array.shape(), T::ZERO),
            Numbers::Single(array) => array.as_array().mapv(|v| T::of(f64::from(v))),
            Numbers::Double(array) => array.as_array().mapv(T::of),
        }
    }

    /// The values of an array of D = 2 axes.
    pub fn two(&self, what: &str) -> PyResult<Array2<f64>> {
        let array = self.real::<f64>();
        let shape = array.shape().to_vec();
        array.into_dimensionality::<Ix2>().map_err(|_| wrong(format!("{what}: 2 axes are expected, its shape is {shape:?}")))
    }

    /// The values of an array of D = 3 axes.
    pub fn three(&self, what: &str) -> PyResult<Array3<f64>> {
        let array = self.real::<f64>();
        let shape = array.shape().to_vec();
        array.into_dimensionality::<Ix3>().map_err(|_| wrong(format!("{what}: 3 axes are expected, its shape is {shape:?}")))
    }
}

/// A tensor as an array, float32 or float64, of the tensor's memory.
pub fn given<'py, T: Real>(py: Python<'py>, tensor: Tensor<T>) -> Bound<'py, PyAny> {
    let tensor: Box<dyn Any> = Box::new(tensor);
    match tensor.downcast::<Tensor<f32>>() {
        Ok(tensor) => tensor.into_owned().into_pyarray(py).into_any(),
        Err(other) => {
            let tensor = other.downcast::<Tensor<f64>>().expect("there are two arithmetics");
            tensor.into_owned().into_pyarray(py).into_any()
        }
    }
}

/// An array of f32 in the memory of the caller's.
pub fn single<'py>(py: Python<'py>, array: ArrayD<f32>) -> Bound<'py, PyArrayDyn<f32>> {
    array.into_pyarray(py)
}

/// What a function of Python gave back for an array: the values, copied.
pub fn back<T: Real>(value: &Bound<'_, PyAny>) -> Option<ArrayD<T>> {
    if let Ok(array) = value.cast::<PyArrayDyn<f32>>() {
        return Some(array.readonly().as_array().mapv(|v| T::of(f64::from(v))));
    }
    let array = value.cast::<PyArrayDyn<f64>>().ok()?;
    Some(array.readonly().as_array().mapv(T::of))
}
