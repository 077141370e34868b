//! Average, max and global-average pooling over time. Windows never reach beyond the signal (PyTorch's `ceil_mode = false`, no padding).
//! A NaN is the maximum of every window that holds one, as in PyTorch.

use crate::parallel::prelude::*;
use crate::{Real, sizes};

/// Rows of about this many elements are one task.
const SHARE: usize = 1 << 14;

/// The pooled length: ⌊(len − window) / stride⌋ + 1, or 0 when the signal is shorter than the window.
///
/// # Panics
/// For window or stride 0.
pub fn pooled_len(len: usize, window: usize, stride: usize) -> usize {
    assert!(window > 0 && stride > 0, "a pooling with window {window} and stride {stride}");
    if len < window { 0 } else { (len - window) / stride + 1 }
}

/// That `x` and `y` hold equally many rows of `len` and `out` elements.
fn fit(len: usize, out: usize, x: usize, y: usize) {
    assert!(len > 0 && out > 0, "a row of {len} samples has no window");
    assert!(
        x.is_multiple_of(len) && y.is_multiple_of(out) && x / len == y / out,
        "{x} and {y} elements are not rows of {len} and of {out}"
    );
    sizes::product([SHARE, len.max(out)]);
}

/// y\[r,t\] = mean of x\[r, t·stride .. t·stride + window\], for each row r of length `len`.
///
/// # Panics
/// If the slices are not such rows, or a row has no window.
pub fn average<T: Real>(len: usize, window: usize, stride: usize, x: &[T], y: &mut [T]) {
    let out = pooled_len(len, window, stride);
    fit(len, out, x.len(), y.len());
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
///
/// # Panics
/// As [`average`].
pub fn average_grad<T: Real>(len: usize, window: usize, stride: usize, gy: &[T], gx: &mut [T]) {
    let out = pooled_len(len, window, stride);
    fit(len, out, gx.len(), gy.len());
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
///
/// # Panics
/// As [`average`]; if a row is too long for the positions.
pub fn max<T: Real>(len: usize, window: usize, stride: usize, x: &[T], y: &mut [T], at: &mut [u32]) {
    let out = pooled_len(len, window, stride);
    fit(len, out, x.len(), y.len());
    assert!(at.len() == y.len() && u32::try_from(len).is_ok(), "{} positions for {} maxima of rows of {len}", at.len(), y.len());
    for ((x, y), at) in x.chunks(len).zip(y.chunks_mut(out)).zip(at.chunks_mut(out)) {
        for t in 0..out {
            let mut best = t * stride;
            for s in best + 1..t * stride + window {
                if x[s].beats(x[best]) {
                    best = s;
                }
            }
            (y[t], at[t]) = (x[best], best as u32);
        }
    }
}

/// The adjoint of [`max`] at the positions it found; gx is overwritten.
///
/// # Panics
/// As [`max`]; if a position lies beyond its row.
pub fn max_grad<T: Real>(len: usize, out: usize, at: &[u32], gy: &[T], gx: &mut [T]) {
    fit(len, out, gx.len(), gy.len());
    assert!(at.len() == gy.len(), "{} positions for {} maxima", at.len(), gy.len());
    gx.fill(T::ZERO);
    for ((gx, gy), at) in gx.chunks_mut(len).zip(gy.chunks(out)).zip(at.chunks(out)) {
        for (g, at) in gy.iter().zip(at) {
            gx[*at as usize] += *g;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_is_the_maximum_wherever_it_stands() {
        for place in 0..3 {
            let mut x = [3.0f32, -1.0, 7.0];
            x[place] = f32::NAN;
            let (mut y, mut at) = ([0.0], [9]);
            max(3, 3, 1, &x, &mut y, &mut at);
            assert!(y[0].is_nan() && at[0] as usize == place, "{x:?}");
        }
    }
}
