//! Pooling and per-channel maps on blocked activations, one example at a time: plain loops over rows of lanes, which compilers vectorise.
//!
//! Part of [`crate::blocked`]; `x` and `y` are one blocked example each, gradients are added to what is there.
//! Sums that are no chain of a convolution begin with −0, which adds nothing: so a sum of −0 is −0, as it is in the unfused ops.

use crate::pool::pooled_len;
use crate::{Isa, Real, sizes};

/// Rows of one group: (len, width).
fn groups(isa: Isa, len: usize) -> usize {
    sizes::product([len, isa.width()])
}

/// The pooled length of slices that are groups of `len` and of as many pooled samples.
fn pooled(isa: Isa, len: usize, window: usize, stride: usize, x: usize, y: usize) -> usize {
    let out = pooled_len(len, window, stride);
    assert!(out > 0, "{len} samples are shorter than the window of {window}");
    let (size_x, size_y) = (groups(isa, len), groups(isa, out));
    assert!(x.is_multiple_of(size_x) && y.is_multiple_of(size_y) && x / size_x == y / size_y, "the slices do not hold the same groups");
    out
}

/// That slices are groups of `len`, and a value for each of their channels.
fn averaged(isa: Isa, len: usize, x: usize, y: usize) {
    let size = groups(isa, len);
    assert!(size > 0 && x.is_multiple_of(size) && x / size == y.div_ceil(isa.width()), "the slices do not hold the same channels");
}

/// y\[t\] = mean of x\[t·stride .. t·stride + window\].
///
/// # Panics
/// If the slices are not whole groups of equally many channels, or a signal has no window.
pub fn average(isa: Isa, len: usize, window: usize, stride: usize, x: &[f32], y: &mut [f32]) {
    let (w, out, scale) = (isa.width(), pooled(isa, len, window, stride, x.len(), y.len()), 1.0 / window as f32);
    for (x, y) in x.chunks_exact(groups(isa, len)).zip(y.chunks_exact_mut(groups(isa, out))) {
        for (t, y) in y.chunks_exact_mut(w).enumerate() {
            y.fill(-0.0);
            for x in x[t * stride * w..][..window * w].chunks_exact(w) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
            }
            y.iter_mut().for_each(|y| *y *= scale);
        }
    }
}

/// The adjoint of [`average`], added to gx.
///
/// # Panics
/// If the slices are not whole groups of equally many channels, or a signal has no window.
pub fn average_grad(isa: Isa, len: usize, window: usize, stride: usize, gy: &[f32], gx: &mut [f32]) {
    let (w, out, scale) = (isa.width(), pooled(isa, len, window, stride, gx.len(), gy.len()), 1.0 / window as f32);
    for (gx, gy) in gx.chunks_exact_mut(groups(isa, len)).zip(gy.chunks_exact(groups(isa, out))) {
        for (t, gy) in gy.chunks_exact(w).enumerate() {
            for gx in gx[t * stride * w..][..window * w].chunks_exact_mut(w) {
                gx.iter_mut().zip(gy).for_each(|(gx, gy)| *gx += gy * scale);
            }
        }
    }
}

/// y\[t\] = max of x\[t·stride .. t·stride + window\].
///
/// # Panics
/// If the slices are not whole groups of equally many channels, or a signal has no window.
pub fn max(isa: Isa, len: usize, window: usize, stride: usize, x: &[f32], y: &mut [f32]) {
    let (w, out) = (isa.width(), pooled(isa, len, window, stride, x.len(), y.len()));
    for (x, y) in x.chunks_exact(groups(isa, len)).zip(y.chunks_exact_mut(groups(isa, out))) {
        for (t, y) in y.chunks_exact_mut(w).enumerate() {
            let (first, rest) = x[t * stride * w..][..window * w].split_at(w);
            y.copy_from_slice(first);
            for x in rest.chunks_exact(w) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = if x.beats(*y) { *x } else { *y });
            }
        }
    }
}

/// The adjoint of [`max`] at x, added to gx; of equal values the first receives the gradient.
///
/// # Panics
/// If the slices are not whole groups of equally many channels, or a signal has no window.
pub fn max_grad(isa: Isa, len: usize, window: usize, stride: usize, x: &[f32], gy: &[f32], gx: &mut [f32]) {
    let (w, out) = (isa.width(), pooled(isa, len, window, stride, gx.len(), gy.len()));
    assert!(x.len() == gx.len(), "x and its gradient differ in size");
    for ((x, gx), gy) in x.chunks_exact(groups(isa, len)).zip(gx.chunks_exact_mut(groups(isa, len))).zip(gy.chunks_exact(groups(isa, out)))
    {
        for (t, gy) in gy.chunks_exact(w).enumerate() {
            for (lane, gy) in gy.iter().enumerate() {
                let mut best = t * stride * w + lane;
                for s in 1..window {
                    let at = (t * stride + s) * w + lane;
                    if x[at].beats(x[best]) {
                        best = at;
                    }
                }
                gx[best] += gy;
            }
        }
    }
}

/// The mean over time of each channel, summed in f64 in the order of time; y holds the channels.
///
/// # Panics
/// If the slices do not hold the same channels.
pub fn mean(isa: Isa, len: usize, x: &[f32], y: &mut [f32]) {
    averaged(isa, len, x.len(), y.len());
    let w = isa.width();
    for (x, y) in x.chunks_exact(groups(isa, len)).zip(y.chunks_mut(w)) {
        let mut sums = [-0.0f64; crate::simd::MAX_WIDTH];
        for x in x.chunks_exact(w) {
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        y.iter_mut().zip(sums).for_each(|(y, sum)| *y = (sum / len as f64) as f32);
    }
}

/// The adjoint of [`mean`], added to gx.
///
/// # Panics
/// As [`mean`].
pub fn mean_grad(isa: Isa, len: usize, gy: &[f32], gx: &mut [f32]) {
    averaged(isa, len, gx.len(), gy.len());
    let w = isa.width();
    for (gx, gy) in gx.chunks_exact_mut(groups(isa, len)).zip(gy.chunks(w)) {
        for gx in gx.chunks_exact_mut(w) {
            gx.iter_mut().zip(gy).for_each(|(gx, gy)| *gx += gy / len as f32);
        }
    }
}

/// x ← scale\[c\] · x + shift\[c\] for each channel c; lanes beyond the channels are left.
///
/// # Panics
/// If the slices do not hold the same channels.
pub fn affine(isa: Isa, len: usize, scale: &[f32], shift: &[f32], x: &mut [f32]) {
    assert_eq!(scale.len(), shift.len(), "scale and shift differ in size");
    averaged(isa, len, x.len(), scale.len());
    let w = isa.width();
    for (x, (scale, shift)) in x.chunks_exact_mut(groups(isa, len)).zip(scale.chunks(w).zip(shift.chunks(w))) {
        for x in x.chunks_exact_mut(w) {
            x.iter_mut().zip(scale.iter().zip(shift)).for_each(|(x, (a, b))| *x = a * *x + b);
        }
    }
}
