//! Elementwise maps, over threads when the tensor is large (each element is its own result, so threads change nothing).

use crate::tape::{Real, Tensor, from_vec, slice};
use rayon::prelude::*;

/// Elements below which threads cost more than they bring.
const CHUNK: usize = 1 << 15;

/// f at every element.
pub(super) fn map<T: Real>(x: &Tensor<T>, f: impl Fn(T) -> T + Sync) -> Tensor<T> {
    let mut out = slice(x).to_vec();
    out.par_chunks_mut(CHUNK).for_each(|part| part.iter_mut().for_each(|v| *v = f(*v)));
    from_vec(x.shape(), out)
}

/// f at every pair of elements of two equal shapes.
pub(super) fn zip<T: Real>(a: &Tensor<T>, b: &Tensor<T>, f: impl Fn(T, T) -> T + Sync) -> Tensor<T> {
    let mut out = slice(a).to_vec();
    out.par_chunks_mut(CHUNK).zip(slice(b).par_chunks(CHUNK)).for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a = f(*a, *b)));
    from_vec(a.shape(), out)
}

/// 1 / (1 + e⁻ˣ) without overflow on either side.
pub(super) fn sigmoid<T: Real>(x: T) -> T {
    let small = T::exp(-x.abs());
    let at_positive = T::ONE / (T::ONE + small);
    if x < T::ZERO { small * at_positive } else { at_positive }
}
