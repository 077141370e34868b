//! Batch normalisation over (batch, time), per channel: y = γ (x − μ) / √(σ² + ε) + β (Ioffe & Szegedy 2015).
//!
//! Sums are in f64, in sixteen partial sums by position within a row: one pass, the same order on every instruction set and any threads.

use crate::parallel::prelude::*;
use crate::simd::{Job, Lanes};
use crate::{Isa, Real, sizes};
use alloc::vec::Vec;

/// Partial sums of a row.
const PARTS: usize = 16;
/// Elements below which threads cost more than they bring.
const SHARE: usize = 1 << 14;

/// That slices hold whole examples of (channels, len).
fn examples<const N: usize>(channels: usize, len: usize, slices: [usize; N]) {
    let size = sizes::product([channels, len]);
    assert!(size > 0 && slices.iter().all(|held| held.is_multiple_of(size)), "{slices:?} elements are no examples of {channels} × {len}");
    assert!(slices.iter().all(|held| *held == slices[0]), "slices of {slices:?} elements hold different examples");
    // Chunks of rows are shorter than this.
    sizes::product([SHARE, len]);
}

/// Mean and biased variance of each channel of x (batch, channels, len), in one pass: Σ(x − s) and Σ(x − s)² about the channel's first sample s.
///
/// # Panics
/// If `x` is not whole examples, one at least.
pub fn statistics<T: Real>(channels: usize, len: usize, x: &[T]) -> (Vec<f64>, Vec<f64>) {
    examples(channels, len, [x.len()]);
    assert!(!x.is_empty(), "statistics of no example");
    let count = (x.len() / channels) as f64;
    (0..channels)
        .into_par_iter()
        .map(|c| {
            let shift = x[c * len].f64();
            let (sum, squares) = Isa::best().dispatch(CentredSums { x, y: None, channels, channel: c, len, shift });
            let mean = sum / count;
            (shift + mean, not_negative(squares / count - mean * mean))
        })
        .unzip()
}

/// What rounding has made negative is 0; NaN stays NaN.
pub(crate) fn not_negative(variance: f64) -> f64 {
    if variance < 0.0 { 0.0 } else { variance }
}

/// y\[n,c,t\] = scale\[c\] · x\[n,c,t\] + shift\[c\].
///
/// # Panics
/// If the slices do not hold the same examples, or a value per channel.
pub fn affine<T: Real>(channels: usize, len: usize, x: &[T], scale: &[T], shift: &[T], y: &mut [T]) {
    examples(channels, len, [x.len(), y.len()]);
    assert!(scale.len() == channels && shift.len() == channels, "no scale and shift for each of {channels} channels");
    let rows = SHARE.div_ceil(len.max(1));
    y.par_chunks_mut(rows * len).zip(x.par_chunks(rows * len)).enumerate().for_each(|(part, (y, x))| {
        for (row, (x, y)) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)).enumerate() {
            let c = (part * rows + row) % channels;
            let (a, b) = (scale[c], shift[c]);
            for (y, x) in y.iter_mut().zip(x) {
                *y = a * *x + b;
            }
        }
    });
}

/// gx\[n,c,t\] = a\[c\] · g\[n,c,t\] + b\[c\] · x\[n,c,t\] + d\[c\]: the gradient of batch norm in its input, for coefficients (a, b, d).
///
/// # Panics
/// As [`affine`].
pub fn combine<T: Real>(channels: usize, len: usize, coefficients: &[(T, T, T)], g: &[T], x: &[T], gx: &mut [T]) {
    examples(channels, len, [g.len(), x.len(), gx.len()]);
    assert_eq!(coefficients.len(), channels, "no coefficients for each channel");
    let rows = SHARE.div_ceil(len.max(1));
    gx.par_chunks_mut(rows * len).zip(g.par_chunks(rows * len).zip(x.par_chunks(rows * len))).enumerate().for_each(
        |(part, (gx, (g, x)))| {
            for (row, (gx, (g, x))) in gx.chunks_exact_mut(len).zip(g.chunks_exact(len).zip(x.chunks_exact(len))).enumerate() {
                let (a, b, d) = coefficients[(part * rows + row) % channels];
                for (gx, (g, x)) in gx.iter_mut().zip(g.iter().zip(x)) {
                    *gx = a * *g + b * *x + d;
                }
            }
        },
    );
}

/// Per channel, in f64: Σ g and Σ g·x̂, where x̂ = (x − mean) · inv_std. These are the gradients of β and γ.
///
/// # Panics
/// As [`affine`].
pub fn gradient_sums<T: Real>(channels: usize, len: usize, x: &[T], gy: &[T], mean: &[f64], inv_std: &[f64]) -> (Vec<f64>, Vec<f64>) {
    examples(channels, len, [x.len(), gy.len()]);
    assert!(mean.len() == channels && inv_std.len() == channels, "no mean and deviation for each of {channels} channels");
    (0..channels)
        .into_par_iter()
        .map(|c| {
            let (_, products) = Isa::best().dispatch(CentredSums { x, y: Some(gy), channels, channel: c, len, shift: mean[c] });
            (channel_sum(channels, len, gy, c), products * inv_std[c])
        })
        .unzip()
}

/// Σ over batch and time of one channel.
fn channel_sum<T: Real>(channels: usize, len: usize, x: &[T], channel: usize) -> f64 {
    Isa::best().dispatch(CentredSums { x, y: None, channels, channel, len, shift: 0.0 }).0
}

/// Σ over batch and time of each channel of x (batch, channels, len), in f64: the gradient of a bias.
///
/// # Panics
/// If `x` is not whole examples.
pub fn channel_sums<T: Real>(channels: usize, len: usize, x: &[T]) -> Vec<f64> {
    examples(channels, len, [x.len()]);
    (0..channels).into_par_iter().map(|c| channel_sum(channels, len, x, c)).collect()
}

/// Σ (x − shift) and Σ (x − shift)·y over one channel; without y, Σ (x − shift)².
struct CentredSums<'a, T> {
    x: &'a [T],
    y: Option<&'a [T]>,
    channels: usize,
    channel: usize,
    len: usize,
    shift: f64,
}

impl<T: Real> Job for CentredSums<'_, T> {
    type Out = (f64, f64);
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> (f64, f64) {
        let (mut sums, mut products) = ([0.0f64; PARTS], [0.0f64; PARTS]);
        for at in (self.channel * self.len..self.x.len()).step_by(self.channels * self.len) {
            let row = &self.x[at..at + self.len];
            match self.y {
                None => {
                    for x in row.chunks(PARTS) {
                        for ((sum, product), x) in sums.iter_mut().zip(&mut products).zip(x) {
                            let x = x.f64() - self.shift;
                            *sum += x;
                            *product += x * x;
                        }
                    }
                }
                Some(y) => {
                    for (x, y) in row.chunks(PARTS).zip(y[at..at + self.len].chunks(PARTS)) {
                        for ((sum, product), (x, y)) in sums.iter_mut().zip(&mut products).zip(x.iter().zip(y)) {
                            let x = x.f64() - self.shift;
                            *sum += x;
                            *product += x * y.f64();
                        }
                    }
                }
            }
        }
        (sums.iter().sum(), products.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_match_two_passes() {
        let (batch, channels, len) = (3, 5, 37);
        let x: Vec<f32> = (0..batch * channels * len).map(|i| 1000.0 + ((i * 7919) % 101) as f32 / 7.0).collect();
        let g: Vec<f32> = x.iter().rev().map(|v| v - 1003.0).collect();
        let (mean, variance) = statistics(channels, len, &x);
        let inv_std: Vec<f64> = variance.iter().map(|v| 1.0 / v.sqrt()).collect();
        let (sum, product) = gradient_sums(channels, len, &x, &g, &mean, &inv_std);
        for c in 0..channels {
            let pick = |v: &[f32]| -> Vec<f64> {
                (0..batch).flat_map(|n| v[(n * channels + c) * len..][..len].iter().map(|v| f64::from(*v)).collect::<Vec<_>>()).collect()
            };
            let (x, g) = (pick(&x), pick(&g));
            let m = x.iter().sum::<f64>() / x.len() as f64;
            let v = x.iter().map(|x| (x - m).powi(2)).sum::<f64>() / x.len() as f64;
            let p: f64 = x.iter().zip(&g).map(|(x, g)| g * (x - m) / v.sqrt()).sum();
            assert!((mean[c] - m).abs() < 1e-10 && (variance[c] - v).abs() < 1e-10 * v);
            assert!((sum[c] - g.iter().sum::<f64>()).abs() < 1e-9 && (product[c] - p).abs() < 1e-9);
        }
    }
}
