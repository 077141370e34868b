//! Tensors: shared, dense, row-major arrays of any rank, the batch first.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::Real;
use crate::{Error, Result};
use ndarray::{ArcArray, ArrayD, ArrayViewD, Axis, IxDyn};

/// A dense row-major array; clones share the data. Everything on a tape keeps the standard layout.
pub type Tensor<T> = ArcArray<T, IxDyn>;

/// A tensor of zeros.
pub fn zeros<T: Real>(shape: &[usize]) -> Tensor<T> {
    from_vec(shape, vec![T::ZERO; shape.iter().product()])
}

/// A tensor from its elements in row-major order.
///
/// # Panics
/// If the number of elements is not the product of the shape.
pub fn from_vec<T: Real>(shape: &[usize], data: Vec<T>) -> Tensor<T> {
    assert_eq!(shape.iter().product::<usize>(), data.len(), "elements do not fill the shape");
    ArrayD::from_shape_vec(IxDyn(shape), data).expect("the length was checked").into_shared()
}

/// The elements in row-major order.
///
/// # Panics
/// If the tensor is not in standard layout, which no tensor on a tape is.
pub fn slice<T>(tensor: &Tensor<T>) -> &[T] {
    tensor.as_slice().expect("tensors on a tape are in standard layout")
}

/// The same values in another precision.
pub fn cast<A: Real, B: Real>(tensor: &Tensor<A>) -> Tensor<B> {
    tensor.map(|v| B::of(v.f64())).into_shared()
}

/// Tensors of one shape stacked along a new first axis.
///
/// # Errors
/// If the shapes differ or there are none.
pub fn stack<T: Real>(parts: &[ArrayViewD<'_, T>]) -> Result<Tensor<T>> {
    ndarray::stack(Axis(0), parts)
        .map(|all| all.into_shared())
        .map_err(|error| Error::Data(format!("stacking {} arrays: {error}", parts.len())))
}
