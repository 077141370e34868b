//! Pooling and per-channel maps on blocked activations, one example at a time: plain loops over rows of lanes, which compilers vectorise.
//!
//! Part of [`crate::blocked`]; `x` and `y` are one blocked example each, gradients are added to what is there.

use crate::Isa;
use crate::pool::pooled_len;

/// Rows of one group: (len, width).
fn groups(isa: Isa, len: usize) -> usize {
    len * isa.width()
}

/// y\[t\] = mean of x\[t·stride .. t·stride + window\].
pub fn average(isa: Isa, len: usize, window: usize, stride: usize, x: &[f32], y: &mut [f32]) {
    let (w, out, scale) = (isa.width(), pooled_len(len, window, stride), 1.0 / window as f32);
    for (x, y) in x.chunks_exact(groups(isa, len)).zip(y.chunks_exact_mut(groups(isa, out))) {
        for (t, y) in y.chunks_exact_mut(w).enumerate() {
            y.fill(0.0);
            for x in x[t * stride * w..][..window * w].chunks_exact(w) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
            }
            y.iter_mut().for_each(|y| *y *= scale);
        }
    }
}

/// The adjoint of [`average`], added to gx.
pub fn average_grad(isa: Isa, len: usize, window: usize, stride: usize, gy: &[f32], gx: &mut [f32]) {
    let (w, out, scale) = (isa.width(), pooled_len(len, window, stride), 1.0 / window as f32);
    for (gx, gy) in gx.chunks_exact_mut(groups(isa, len)).zip(gy.chunks_exact(groups(isa, out))) {
        for (t, gy) in gy.chunks_exact(w).enumerate() {
            for gx in gx[t * stride * w..][..window * w].chunks_exact_mut(w) {
                gx.iter_mut().zip(gy).for_each(|(gx, gy)| *gx += gy * scale);
            }
        }
    }
}

/// y\[t\] = max of x\[t·stride .. t·stride + window\].
pub fn max(isa: Isa, len: usize, window: usize, stride: usize, x: &[f32], y: &mut [f32]) {
    let (w, out) = (isa.width(), pooled_len(len, window, stride));
    for (x, y) in x.chunks_exact(groups(isa, len)).zip(y.chunks_exact_mut(groups(isa, out))) {
        for (t, y) in y.chunks_exact_mut(w).enumerate() {
            let (first, rest) = x[t * stride * w..][..window * w].split_at(w);
            y.copy_from_slice(first);
            for x in rest.chunks_exact(w) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x > *y { *x } else { *y });
            }
        }
    }
}

/// The adjoint of [`max`] at x, added to gx; of equal values the first receives the gradient.
pub fn max_grad(isa: Isa, len: usize, window: usize, stride: usize, x: &[f32], gy: &[f32], gx: &mut [f32]) {
    let (w, out) = (isa.width(), pooled_len(len, window, stride));
    for ((x, gx), gy) in x.chunks_exact(groups(isa, len)).zip(gx.chunks_exact_mut(groups(isa, len))).zip(gy.chunks_exact(groups(isa, out)))
    {
        for (t, gy) in gy.chunks_exact(w).enumerate() {
            for (lane, gy) in gy.iter().enumerate() {
                let mut best = t * stride * w + lane;
                for s in 1..window {
                    let at = (t * stride + s) * w + lane;
                    if x[at] > x[best] {
                        best = at;
                    }
                }
                gx[best] += gy;
            }
        }
    }
}

/// The mean over time of each channel, summed in f64 in the order of time; y holds the channels.
pub fn mean(isa: Isa, len: usize, x: &[f32], y: &mut [f32]) {
    let w = isa.width();
    for (x, y) in x.chunks_exact(groups(isa, len)).zip(y.chunks_mut(w)) {
        let mut sums = [0.0f64; crate::simd::MAX_WIDTH];
        for x in x.chunks_exact(w) {
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        y.iter_mut().zip(sums).for_each(|(y, sum)| *y = (sum / len as f64) as f32);
    }
}

/// The adjoint of [`mean`], added to gx.
pub fn mean_grad(isa: Isa, len: usize, gy: &[f32], gx: &mut [f32]) {
    let w = isa.width();
    for (gx, gy) in gx.chunks_exact_mut(groups(isa, len)).zip(gy.chunks(w)) {
        for gx in gx.chunks_exact_mut(w) {
            gx.iter_mut().zip(gy).for_each(|(gx, gy)| *gx += gy / len as f32);
        }
    }
}

/// x ← scale\[c\] · x + shift\[c\] for each channel c; lanes beyond the channels are left.
pub fn affine(isa: Isa, len: usize, scale: &[f32], shift: &[f32], x: &mut [f32]) {
    let w = isa.width();
    for (x, (scale, shift)) in x.chunks_exact_mut(groups(isa, len)).zip(scale.chunks(w).zip(shift.chunks(w))) {
        for x in x.chunks_exact_mut(w) {
            x.iter_mut().zip(scale.iter().zip(shift)).for_each(|(x, (a, b))| *x = a * *x + b);
        }
    }
}
