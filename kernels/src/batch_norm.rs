//! Batch normalisation over (batch, time), per channel: y = γ (x − μ) / √(σ² + ε) + β (Ioffe & Szegedy 2015).

use crate::Real;
use rayon::prelude::*;

/// Mean and biased variance of each channel of x (batch, channels, len), summed in f64 in index order.
pub fn statistics<T: Real>(channels: usize, len: usize, x: &[T]) -> (Vec<f64>, Vec<f64>) {
    let batch = x.len() / (channels * len);
    let count = (batch * len) as f64;
    (0..channels)
        .into_par_iter()
        .map(|c| {
            let rows = || (0..batch).map(move |n| &x[(n * channels + c) * len..][..len]);
            let mean = rows().map(|row| row.iter().map(|v| v.f64()).sum::<f64>()).sum::<f64>() / count;
            let variance = rows().map(|row| row.iter().map(|v| (v.f64() - mean).powi(2)).sum::<f64>()).sum::<f64>() / count;
            (mean, variance)
        })
        .unzip()
}

/// y\[n,c,t\] = scale\[c\] · x\[n,c,t\] + shift\[c\].
pub fn affine<T: Real>(channels: usize, len: usize, x: &[T], scale: &[T], shift: &[T], y: &mut [T]) {
    for (row, (x, y)) in x.chunks(len).zip(y.chunks_mut(len)).enumerate() {
        let (a, b) = (scale[row % channels], shift[row % channels]);
        for (y, x) in y.iter_mut().zip(x) {
            *y = a * *x + b;
        }
    }
}

/// Per channel, in f64 in index order: Σ g and Σ g·x̂, where x̂ = (x − mean) · inv_std. These are the gradients of β and γ.
pub fn gradient_sums<T: Real>(channels: usize, len: usize, x: &[T], gy: &[T], mean: &[f64], inv_std: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let batch = x.len() / (channels * len);
    (0..channels)
        .into_par_iter()
        .map(|c| {
            let (mut sum, mut product) = (0.0, 0.0);
            for n in 0..batch {
                let at = (n * channels + c) * len;
                for (x, g) in x[at..at + len].iter().zip(&gy[at..at + len]) {
                    sum += g.f64();
                    product += g.f64() * (x.f64() - mean[c]) * inv_std[c];
                }
            }
            (sum, product)
        })
        .unzip()
}
