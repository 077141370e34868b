//! The convolution as im2col and a matrix product: the form of f64, and of the data gradient of strided convolutions.

use crate::{Conv1d, Real};
use rayon::prelude::*;

/// See [`crate::PreparedConv::forward`].
pub fn forward<T: Real>(conv: &Conv1d, w: &[T], x: &[T], bias: Option<&[T]>, y: &mut [T]) {
    let (len_out, taps) = (conv.len_out(), conv.c_in * conv.kernel);
    y.par_chunks_mut(conv.output_size()).enumerate().for_each_init(Vec::new, |columns, (n, y)| {
        unfold(conv, &x[n * conv.input_size()..][..conv.input_size()], columns);
        for (o, row) in y.chunks_mut(len_out).enumerate() {
            row.fill(bias.map_or(T::ZERO, |b| b[o]));
        }
        T::gemm(conv.c_out, taps, len_out, T::ONE, (w, taps, 1), (columns, len_out, 1), T::ONE, (y, len_out, 1));
    });
}

/// See [`crate::PreparedConv::grad_input`].
pub fn grad_input<T: Real>(conv: &Conv1d, w: &[T], gy: &[T], gx: &mut [T]) {
    let (len_out, taps) = (conv.len_out(), conv.c_in * conv.kernel);
    gx.par_chunks_mut(conv.input_size()).enumerate().for_each_init(Vec::new, |columns, (n, gx)| {
        columns.clear();
        columns.resize(taps * len_out, T::ZERO);
        let gy = &gy[n * conv.output_size()..][..conv.output_size()];
        T::gemm(taps, conv.c_out, len_out, T::ONE, (w, 1, taps), (gy, len_out, 1), T::ZERO, (columns, len_out, 1));
        fold(conv, columns, gx);
    });
}

/// See [`crate::conv1d::grad_weight`].
pub fn grad_weight<T: Real>(conv: &Conv1d, batch: usize, x: &[T], gy: &[T], gw: &mut [T]) {
    let (len_out, taps) = (conv.len_out(), conv.c_in * conv.kernel);
    gw.fill(T::ZERO);
    let mut columns = Vec::new();
    for n in 0..batch {
        unfold(conv, &x[n * conv.input_size()..][..conv.input_size()], &mut columns);
        let gy = &gy[n * conv.output_size()..][..conv.output_size()];
        T::gemm(conv.c_out, len_out, taps, T::ONE, (gy, len_out, 1), (&columns, 1, len_out), T::ONE, (gw, taps, 1));
    }
}

/// columns\[(i, j), t\] = x\[i, source(t, j)\], 0 in the padding.
fn unfold<T: Real>(conv: &Conv1d, x: &[T], columns: &mut Vec<T>) {
    let len_out = conv.len_out();
    columns.clear();
    columns.resize(conv.c_in * conv.kernel * len_out, T::ZERO);
    for i in 0..conv.c_in {
        for j in 0..conv.kernel {
            let row = &mut columns[(i * conv.kernel + j) * len_out..][..len_out];
            for (t, to) in row.iter_mut().enumerate() {
                if let Some(s) = conv.source(t, j) {
                    *to = x[i * conv.len_in + s];
                }
            }
        }
    }
}

/// The adjoint of [`unfold`].
fn fold<T: Real>(conv: &Conv1d, columns: &[T], x: &mut [T]) {
    let len_out = conv.len_out();
    x.fill(T::ZERO);
    for i in 0..conv.c_in {
        for j in 0..conv.kernel {
            let row = &columns[(i * conv.kernel + j) * len_out..][..len_out];
            for (t, from) in row.iter().enumerate() {
                if let Some(s) = conv.source(t, j) {
                    x[i * conv.len_in + s] += *from;
                }
            }
        }
    }
}
