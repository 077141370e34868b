//! One-dimensional convolution: its geometry, weights made ready for it, and the three products forward, input gradient, weight gradient.

use crate::Real;
use rayon::prelude::*;

/// The geometry of a convolution of one example: (c_in, len_in) → (c_out, len_out).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv1d {
    /// Input channels.
    pub c_in: usize,
    /// Output channels.
    pub c_out: usize,
    /// Input length in samples.
    pub len_in: usize,
    /// Taps of the kernel.
    pub kernel: usize,
    /// Step between outputs, ≥ 1.
    pub stride: usize,
    /// Step between taps, ≥ 1.
    pub dilation: usize,
    /// Zeros before the signal.
    pub pad_left: usize,
    /// Zeros after the signal.
    pub pad_right: usize,
}

impl Conv1d {
    /// The reach of the dilated kernel, in samples.
    pub fn span(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// The output length; 0 when the padded signal is shorter than the kernel.
    pub fn len_out(&self) -> usize {
        let padded = self.len_in + self.pad_left + self.pad_right;
        if padded < self.span() { 0 } else { (padded - self.span()) / self.stride + 1 }
    }

    /// The input sample that output `t` reads with tap `j`, or `None` in the padding.
    pub fn source(&self, t: usize, j: usize) -> Option<usize> {
        (t * self.stride + j * self.dilation).checked_sub(self.pad_left).filter(|s| *s < self.len_in)
    }

    /// Elements of one example's input.
    pub fn input_size(&self) -> usize {
        self.c_in * self.len_in
    }

    /// Elements of one example's output.
    pub fn output_size(&self) -> usize {
        self.c_out * self.len_out()
    }

    /// Elements of the weights.
    pub fn weight_size(&self) -> usize {
        self.c_out * self.c_in * self.kernel
    }
}

/// Weights made ready for one geometry: made once, applied to any number of examples.
#[derive(Clone, Debug)]
pub struct PreparedConv<T> {
    conv: Conv1d,
    weights: Vec<T>,
}

impl<T: Real> PreparedConv<T> {
    /// Prepares weights `w` (c_out, c_in, kernel).
    ///
    /// # Panics
    /// If `w` has another size.
    pub fn new(conv: Conv1d, w: &[T]) -> Self {
        assert_eq!(w.len(), conv.weight_size(), "weights do not fit the geometry");
        PreparedConv { conv, weights: w.to_vec() }
    }

    /// The geometry.
    pub fn conv(&self) -> &Conv1d {
        &self.conv
    }

    /// y\[n,o,t\] = b\[o\] + Σ_{i,j} w\[o,i,j\] · x\[n, i, t·stride + j·dilation − pad_left\]; x (n, c_in, len_in), y (n, c_out, len_out).
    pub fn forward(&self, batch: usize, x: &[T], bias: Option<&[T]>, y: &mut [T]) {
        let conv = &self.conv;
        assert_eq!(x.len(), batch * conv.input_size(), "x does not fit the geometry");
        assert_eq!(y.len(), batch * conv.output_size(), "y does not fit the geometry");
        let (len_out, taps) = (conv.len_out(), conv.c_in * conv.kernel);
        if y.is_empty() {
            return;
        }
        y.par_chunks_mut(conv.output_size()).enumerate().for_each_init(Vec::new, |columns, (n, y)| {
            unfold(conv, &x[n * conv.input_size()..][..conv.input_size()], columns);
            for (o, row) in y.chunks_mut(len_out).enumerate() {
                row.fill(bias.map_or(T::ZERO, |b| b[o]));
            }
            T::gemm(conv.c_out, taps, len_out, T::ONE, (&self.weights, taps, 1), (columns, len_out, 1), T::ONE, (y, len_out, 1));
        });
    }

    /// The adjoint of [`PreparedConv::forward`] in x: gy (n, c_out, len_out) → gx (n, c_in, len_in), overwritten.
    pub fn grad_input(&self, batch: usize, gy: &[T], gx: &mut [T]) {
        let conv = &self.conv;
        assert_eq!(gy.len(), batch * conv.output_size(), "gy does not fit the geometry");
        assert_eq!(gx.len(), batch * conv.input_size(), "gx does not fit the geometry");
        let (len_out, taps) = (conv.len_out(), conv.c_in * conv.kernel);
        if gx.is_empty() {
            return;
        }
        gx.par_chunks_mut(conv.input_size()).enumerate().for_each_init(Vec::new, |columns, (n, gx)| {
            columns.clear();
            columns.resize(taps * len_out, T::ZERO);
            let gy = &gy[n * conv.output_size()..][..conv.output_size()];
            T::gemm(taps, conv.c_out, len_out, T::ONE, (&self.weights, 1, taps), (gy, len_out, 1), T::ZERO, (columns, len_out, 1));
            fold(conv, columns, gx);
        });
    }
}

/// The adjoint of the convolution in its weights: gw\[o,i,j\] = Σ_{n,t} gy\[n,o,t\] · x\[n,i,source(t, j)\], overwritten, summed over n in order.
pub fn grad_weight<T: Real>(conv: &Conv1d, batch: usize, x: &[T], gy: &[T], gw: &mut [T]) {
    assert_eq!(x.len(), batch * conv.input_size(), "x does not fit the geometry");
    assert_eq!(gy.len(), batch * conv.output_size(), "gy does not fit the geometry");
    assert_eq!(gw.len(), conv.weight_size(), "gw does not fit the geometry");
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
