//! Pooling on the tape: average, maximum, and the mean over all time.

use super::Problem;
use crate::tape::{Real, Saved, Tensor, from_vec, slice};
use cardiograd_kernels::pool;

pub(super) fn shape(x: &[usize], window: usize, stride: usize) -> Problem<Vec<usize>> {
    let &[batch, channels, len] = x else { return Err(format!("its input has shape {x:?}, expected (N, C, L)")) };
    match pool::pooled_len(len, window, stride) {
        0 => Err(format!("{len} samples are shorter than its window of {window}")),
        out => Ok(vec![batch, channels, out]),
    }
}

pub(super) fn global_shape(x: &[usize]) -> Problem<Vec<usize>> {
    match x {
        &[batch, channels, len] if len > 0 => Ok(vec![batch, channels]),
        _ => Err(format!("its input has shape {x:?}, expected (N, C, L)")),
    }
}

pub(super) fn average<T: Real>(window: usize, stride: usize, x: &Tensor<T>, shape: &[usize]) -> Tensor<T> {
    let mut y = vec![T::ZERO; shape.iter().product()];
    pool::average(x.shape()[2], window, stride, slice(x), &mut y);
    from_vec(shape, y)
}

pub(super) fn average_grad<T: Real>(window: usize, stride: usize, grad: &Tensor<T>, x: &[usize]) -> Tensor<T> {
    let mut gx = vec![T::ZERO; x.iter().product()];
    pool::average_grad(x[2], window, stride, slice(grad), &mut gx);
    from_vec(x, gx)
}

pub(super) fn max<T: Real>(window: usize, stride: usize, x: &Tensor<T>, shape: &[usize]) -> (Tensor<T>, Saved) {
    let size = shape.iter().product();
    let (mut y, mut at) = (vec![T::ZERO; size], vec![0; size]);
    pool::max(x.shape()[2], window, stride, slice(x), &mut y, &mut at);
    (from_vec(shape, y), Saved::ArgMax(at))
}

pub(super) fn max_grad<T: Real>(at: &[u32], grad: &Tensor<T>, x: &[usize]) -> Tensor<T> {
    let mut gx = vec![T::ZERO; x.iter().product()];
    pool::max_grad(x[2], grad.shape()[2], at, slice(grad), &mut gx);
    from_vec(x, gx)
}

/// The mean over time, summed in f64.
pub(super) fn global<T: Real>(x: &Tensor<T>, shape: &[usize]) -> Tensor<T> {
    let len = x.shape()[2];
    from_vec(shape, slice(x).chunks(len).map(|row| T::of(row.iter().map(|v| v.f64()).sum::<f64>() / len as f64)).collect())
}

pub(super) fn global_grad<T: Real>(grad: &Tensor<T>, x: &[usize]) -> Tensor<T> {
    let len = T::of(x[2] as f64);
    from_vec(x, slice(grad).iter().flat_map(|g| std::iter::repeat_n(*g / len, x[2])).collect())
}
