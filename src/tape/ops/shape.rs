//! Ops that move values and compute nothing: concatenation, nearest upsampling, interleaving of phases, flattening.

use super::Problem;
use crate::shape::elements;
use crate::tape::{Real, Site, Tensor, from_vec, slice};

pub(super) fn concat_shape(inputs: &[&[usize]]) -> Problem<Vec<usize>> {
    let first = inputs[0];
    let alike = |other: &&[usize]| other.len() == first.len() && first.len() >= 2 && other[0] == first[0] && other[2..] == first[2..];
    if !inputs.iter().all(alike) {
        return Err(format!("its inputs have shapes {inputs:?}, which differ beyond the channels"));
    }
    let mut shape = first.to_vec();
    let channels = inputs.iter().try_fold(0usize, |sum, input| sum.checked_add(input[1]));
    shape[1] = channels.ok_or_else(|| format!("its inputs have shapes {inputs:?}, too many channels"))?;
    Ok(shape)
}

pub(super) fn concat<T: Real>(inputs: &[&Tensor<T>], shape: &[usize]) -> Tensor<T> {
    let mut out = Vec::with_capacity(shape.iter().product());
    for n in 0..shape[0] {
        for input in inputs {
            let size = input.len() / shape[0];
            out.extend_from_slice(&slice(input)[n * size..(n + 1) * size]);
        }
    }
    from_vec(shape, out)
}

pub(super) fn concat_grad<T: Real>(site: &Site<'_, T>, grad: &Tensor<T>) -> Vec<Option<Tensor<T>>> {
    let batch = grad.shape()[0];
    let row = grad.len() / batch.max(1);
    let mut from = 0;
    let mut all = Vec::with_capacity(site.inputs.len());
    for (input, need) in site.inputs.iter().zip(&site.needs) {
        let size = input.len() / batch.max(1);
        let part = || (0..batch).flat_map(|n| slice(grad)[n * row + from..][..size].iter().copied()).collect();
        all.push(need.then(|| from_vec(input.shape(), part())));
        from += size;
    }
    all
}

pub(super) fn upsample_shape(x: &[usize], factor: usize) -> Problem<Vec<usize>> {
    match x {
        &[batch, channels, len] => {
            let long = len.checked_mul(factor).ok_or_else(|| format!("{len} samples times {factor} is too much"))?;
            Ok(vec![batch, channels, long])
        }
        _ => Err(format!("its input has shape {x:?}, expected (N, C, L)")),
    }
}

pub(super) fn upsample<T: Real>(x: &Tensor<T>, factor: usize, shape: &[usize]) -> Tensor<T> {
    from_vec(shape, slice(x).iter().flat_map(|v| std::iter::repeat_n(*v, factor)).collect())
}

pub(super) fn upsample_grad<T: Real>(factor: usize, grad: &Tensor<T>, x: &[usize]) -> Tensor<T> {
    from_vec(x, slice(grad).chunks(factor).map(|part| part.iter().copied().sum()).collect())
}

pub(super) fn flatten_shape(x: &[usize]) -> Problem<Vec<usize>> {
    match x {
        [batch, rest @ ..] if !rest.is_empty() => {
            let features = elements(rest, 1).ok_or_else(|| format!("its input has shape {x:?}, too much to flatten"))?;
            Ok(vec![*batch, features])
        }
        _ => Err(format!("its input has shape {x:?}, expected (N, C, L)")),
    }
}

pub(super) fn reshape<T: Real>(x: &Tensor<T>, shape: &[usize]) -> Tensor<T> {
    from_vec(shape, slice(x).to_vec())
}

pub(super) fn interleave_shape(x: &[usize], factor: usize) -> Problem<Vec<usize>> {
    match x {
        &[batch, channels, len] if channels % factor == 0 => {
            let long = len.checked_mul(factor).ok_or_else(|| format!("{len} samples times {factor} is too much"))?;
            Ok(vec![batch, channels / factor, long])
        }
        _ => Err(format!("its input has shape {x:?}, expected (N, C·{factor}, L)")),
    }
}

/// y\[n, c, l·factor + p\] = x\[n, c·factor + p, l\].
pub(super) fn interleave<T: Real>(x: &Tensor<T>, factor: usize, shape: &[usize]) -> Tensor<T> {
    let len = x.shape()[2];
    let mut y = vec![T::ZERO; x.len()];
    for (y, x) in y.chunks_mut((len * factor).max(1)).zip(slice(x).chunks((len * factor).max(1))) {
        for (p, phase) in x.chunks(len).enumerate() {
            for (to, from) in y[p..].iter_mut().step_by(factor).zip(phase) {
                *to = *from;
            }
        }
    }
    from_vec(shape, y)
}

/// The inverse of [`interleave`], which is also its adjoint.
pub(super) fn deinterleave<T: Real>(y: &Tensor<T>, factor: usize, shape: &[usize]) -> Tensor<T> {
    let len = shape[2];
    let rows = slice(y).chunks((len * factor).max(1));
    from_vec(shape, rows.flat_map(|row| (0..factor).flat_map(move |p| row[p..].iter().step_by(factor).copied())).collect())
}
