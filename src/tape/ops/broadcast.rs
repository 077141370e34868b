//! Two signals of different shapes, element by element: axes are aligned from the last one, and where one of the two has one element it stands for all
//! (as NumPy has it).

use super::Problem;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Tensor, from_vec, slice};
use cardiograd_kernels::parallel::prelude::*;

/// Elements below which threads cost more than they bring.
const CHUNK: usize = 1 << 15;

/// The common shape.
pub(super) fn shape(inputs: &[&[usize]]) -> Problem<Vec<usize>> {
    let (a, b) = (inputs[0], inputs[1]);
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    let both = |axis: usize| match (size(a, axis), size(b, axis)) {
        (a, b) if a == b || b == 1 => Some(a),
        (1, b) => Some(b),
        _ => None,
    };
    (0..rank).map(both).collect::<Option<_>>().ok_or_else(|| format!("its inputs have shapes {a:?} and {b:?}"))
}

/// For each axis of `whole`, how far apart its elements lie in an array of shape `part`; 0 where one stands for all.
fn steps(part: &[usize], whole: &[usize]) -> Vec<usize> {
    let mut step = 1;
    let mut steps = vec![0; whole.len()];
    for (axis, size) in part.iter().enumerate().rev() {
        steps[axis + whole.len() - part.len()] = if *size == 1 { 0 } else { step };
        step *= size;
    }
    steps
}

/// The place in an array of shape `part` that element `at` of shape `whole` reads.
pub(super) fn place(at: usize, part: &[usize], whole: &[usize]) -> usize {
    let (mut rest, mut place) = (at, 0);
    for (size, step) in whole.iter().zip(steps(part, whole)).rev() {
        place += rest % size * step;
        rest /= size;
    }
    place
}

/// The places that the elements of `whole` read, in order, from element `from` on.
fn places(part: &[usize], whole: &[usize], from: usize) -> impl Iterator<Item = usize> {
    let (steps, sizes) = (steps(part, whole), whole.to_vec());
    let mut index: Vec<usize> = Vec::with_capacity(sizes.len());
    let mut rest = from;
    for size in sizes.iter().rev() {
        index.push(rest % (*size).max(1));
        rest /= (*size).max(1);
    }
    index.reverse();
    let mut at: usize = index.iter().zip(&steps).map(|(i, step)| i * step).sum();
    core::iter::from_fn(move || {
        let found = at;
        for axis in (0..sizes.len()).rev() {
            index[axis] += 1;
            at += steps[axis];
            if index[axis] < sizes[axis] {
                break;
            }
            at -= steps[axis] * sizes[axis];
            index[axis] = 0;
        }
        Some(found)
    })
}

/// f at every pair of elements, over threads when there are many (each element is its own result, so threads change nothing).
pub(super) fn zip<T: Real>(a: &Tensor<T>, b: &Tensor<T>, shape: &[usize], f: impl Fn(T, T) -> T + Sync) -> Tensor<T> {
    if a.shape() == b.shape() {
        return super::elementwise::zip(a, b, f);
    }
    let (x, y) = (slice(a), slice(b));
    let mut out = vec![T::ZERO; shape.iter().product()];
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
        let pairs = places(a.shape(), shape, chunk * CHUNK).zip(places(b.shape(), shape, chunk * CHUNK));
        out.iter_mut().zip(pairs).for_each(|(out, (a, b))| *out = f(x[a], y[b]));
    });
    from_vec(shape, out)
}

/// A tensor summed, in f64, over the axes along which a tensor of this shape stood for all: the adjoint of broadcasting.
pub(crate) fn sum_to<T: Real>(tensor: &Tensor<T>, shape: &[usize]) -> Tensor<T> {
    if tensor.shape() == shape {
        return tensor.clone();
    }
    let mut sums = vec![0.0; shape.iter().product()];
    slice(tensor).iter().zip(places(shape, tensor.shape(), 0)).for_each(|(v, at)| sums[at] += v.f64());
    from_vec(shape, sums.into_iter().map(T::of).collect())
}
