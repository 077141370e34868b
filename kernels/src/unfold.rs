//! The convolution as im2col and a matrix product: the form of f64, and of the data gradient of strided convolutions.

use crate::Real;
use crate::geometry::Conv1d;
use crate::parallel::prelude::*;
use alloc::vec::Vec;

/// Columns of one product: short outputs of several examples stand side by side, so that the weights, which are then large, are packed once for all.
const COLUMNS: usize = 512;

/// See [`crate::PreparedConv::forward`].
pub fn forward<T: Real>(conv: &Conv1d, w: &[T], x: &[T], bias: Option<&[T]>, y: &mut [T]) {
    let (len_out, taps) = (conv.len_out(), conv.c_in * conv.kernel);
    let group = (COLUMNS / len_out).max(1);
    y.par_chunks_mut(group * conv.output_size()).enumerate().for_each_init(
        Default::default,
        |(columns, product): &mut (Vec<_>, Vec<_>), (g, y)| {
            let width = y.len() / conv.c_out;
            columns.clear();
            columns.resize(taps * width, T::ZERO);
            for (n, from) in (0..width).step_by(len_out).enumerate() {
                unfold(conv, &x[(g * group + n) * conv.input_size()..][..conv.input_size()], columns, from, width);
            }
            product.clear();
            (0..conv.c_out).for_each(|o| product.resize((o + 1) * width, bias.map_or(T::ZERO, |b| b[o])));
            T::gemm(conv.c_out, taps, width, T::ONE, (w, taps, 1), (columns, width, 1), T::ONE, (product, width, 1));
            for (n, y) in y.chunks_mut(conv.output_size()).enumerate() {
                for (y, row) in y.chunks_mut(len_out).zip(product.chunks(width)) {
                    y.copy_from_slice(&row[n * len_out..][..len_out]);
                }
            }
        },
    );
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
        columns.clear();
        columns.resize(conv.c_in * conv.kernel * len_out, T::ZERO);
        unfold(conv, &x[n * conv.input_size()..][..conv.input_size()], &mut columns, 0, len_out);
        let gy = &gy[n * conv.output_size()..][..conv.output_size()];
        T::gemm(conv.c_out, len_out, taps, T::ONE, (gy, len_out, 1), (&columns, 1, len_out), T::ONE, (gw, taps, 1));
    }
}

/// columns\[(i, j), from + t\] = x\[i, source(t, j)\] in rows of `width`; what lies in the padding is left as it is, 0.
fn unfold<T: Real>(conv: &Conv1d, x: &[T], columns: &mut [T], from: usize, width: usize) {
    let len_out = conv.len_out();
    for (row, columns) in columns.chunks_mut(width).enumerate() {
        let (x, j) = (&x[row / conv.kernel * conv.len_in..][..conv.len_in], row % conv.kernel);
        let columns = &mut columns[from..][..len_out];
        // Outputs [first, last) read inside the signal.
        let offset = (j * conv.dilation) as isize - conv.pad_left as isize;
        let reach = |end: isize| (end - offset).max(0).unsigned_abs().div_ceil(conv.stride).min(len_out);
        let (first, last) = (reach(0), reach(conv.len_in as isize));
        if first >= last {
            continue;
        }
        let x = &x[(first * conv.stride).wrapping_add_signed(offset)..];
        if conv.stride == 1 {
            columns[first..last].copy_from_slice(&x[..last - first]);
        } else {
            columns[first..last].iter_mut().zip(x.iter().step_by(conv.stride)).for_each(|(to, from)| *to = *from);
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
