//! Average, max and global-average pooling over time. Windows never reach beyond the signal (PyTorch's `ceil_mode = false`, no padding).

use crate::Real;
use rayon::prelude::*;

/// Rows of about this many elements are one task.
const SHARE: usize = 1 << 14;

/// The pooled length: ⌊(len − window) / stride⌋ + 1, or 0 when the signal is shorter than the window.
pub fn pooled_len(len: usize, window: usize, stride: usize) -> usize {
    if len < window { 0 } else { (len - window) / stride + 1 }
}

/// y\[r,t\] = mean of x\[r, t·stride .. t·stride + window\], for each row r of length `len`.
pub fn average<T: Real>(len: usize, window: usize, stride: usize, x: &[T], y: &mut [T]) {
    let out = pooled_len(len, window, stride);
    let scale = T::ONE / T::of(window as f64);
    let rows = SHARE.div_ceil(len.max(1));
    x.par_chunks(rows * len).zip(y.par_chunks_mut((rows * out).max(1))).for_each(|(x, y)| {
        for (x, y) in x.chunks(len).zip(y.chunks_mut(out)) {
            for (t, y) in y.iter_mut().enumerate() {
                *y = x[t * stride..][..window].iter().copied().sum::<T>() * scale;
            }
        }
    });
}

/// The adjoint of [`average`]; gx is overwritten.
pub fn average_grad<T: Real>(len: usize, window: usize, stride: usize, gy: &[T], gx: &mut [T]) {
    let out = pooled_len(len, window, stride);
    let scale = T::ONE / T::of(window as f64);
    let rows = SHARE.div_ceil(len.max(1));
    gx.par_chunks_mut((rows * len).max(1)).zip(gy.par_chunks((rows * out).max(1))).for_each(|(gx, gy)| {
        gx.fill(T::ZERO);
        for (gx, gy) in gx.chunks_mut(len).zip(gy.chunks(out)) {
            for (t, g) in gy.iter().enumerate() {
                for gx in &mut gx[t * stride..][..window] {
                    *gx += *g * scale;
                }
            }
        }
    });
}

/// y\[r,t\] = max of the window and `at` its position within the row (the first one on ties, as PyTorch).
pub fn max<T: Real>(len: usize, window: usize, stride: usize, x: &[T], y: &mut [T], at: &mut [u32]) {
    let out = pooled_len(len, window, stride);
    for ((x, y), at) in x.chunks(len).zip(y.chunks_mut(out)).zip(at.chunks_mut(out)) {
        for t in 0..out {
            let mut best = t * stride;
            for s in best + 1..t * stride + window {
                if x[s] > x[best] {
                    best = s;
                }
            }
            (y[t], at[t]) = (x[best], best as u32);
        }
    }
}

/// The adjoint of [`max`] at the positions it found; gx is overwritten.
pub fn max_grad<T: Real>(len: usize, out: usize, at: &[u32], gy: &[T], gx: &mut [T]) {
    gx.fill(T::ZERO);
    for ((gx, gy), at) in gx.chunks_mut(len).zip(gy.chunks(out)).zip(at.chunks(out)) {
        for (g, at) in gy.iter().zip(at) {
            gx[*at as usize] += *g;
        }
    }
}
