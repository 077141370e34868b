//! The oracle: convolution as its definition reads, in f64 sums. Slow on purpose; everything else is tested against it.

use crate::{Conv1d, Real, sizes};
use alloc::vec;

/// y\[n,o,t\] = b\[o\] + Σ_{i,j} w\[o,i,j\] · x\[n, i, t·stride + j·dilation − pad_left\], x being 0 outside its range.
///
/// # Panics
/// If the geometry is none ([`crate::PreparedConv::new`]), or a slice does not fit it.
pub fn forward<T: Real>(conv: &Conv1d, batch: usize, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) {
    fit(conv, batch, x.len(), w.len(), y.len());
    assert!(bias.is_none_or(|b| b.len() == conv.c_out), "bias does not fit the geometry");
    let len_out = conv.len_out();
    for n in 0..batch {
        for o in 0..conv.c_out {
            for t in 0..len_out {
                let mut sum = bias.map_or(0.0, |b| b[o].f64());
                for i in 0..conv.c_in {
                    for j in 0..conv.kernel {
                        if let Some(s) = conv.source(t, j) {
                            sum += w[(o * conv.c_in + i) * conv.kernel + j].f64() * x[(n * conv.c_in + i) * conv.len_in + s].f64();
                        }
                    }
                }
                y[(n * conv.c_out + o) * len_out + t] = T::of(sum);
            }
        }
    }
}

/// The adjoint of [`forward`] in x: gx\[n,i,s\] = Σ w\[o,i,j\] · gy\[n,o,t\] over all (o, t, j) that read s.
///
/// # Panics
/// As [`forward`].
pub fn grad_input<T: Real>(conv: &Conv1d, batch: usize, w: &[T], gy: &[T], gx: &mut [T]) {
    fit(conv, batch, gx.len(), w.len(), gy.len());
    let len_out = conv.len_out();
    let mut sums = vec![0.0; gx.len()];
    for n in 0..batch {
        for o in 0..conv.c_out {
            for t in 0..len_out {
                let g = gy[(n * conv.c_out + o) * len_out + t].f64();
                for i in 0..conv.c_in {
                    for j in 0..conv.kernel {
                        if let Some(s) = conv.source(t, j) {
                            sums[(n * conv.c_in + i) * conv.len_in + s] += w[(o * conv.c_in + i) * conv.kernel + j].f64() * g;
                        }
                    }
                }
            }
        }
    }
    for (to, from) in gx.iter_mut().zip(sums) {
        *to = T::of(from);
    }
}

/// The adjoint of [`forward`] in w: gw\[o,i,j\] = Σ_{n,t} gy\[n,o,t\] · x\[n,i,source(t, j)\].
///
/// # Panics
/// As [`forward`].
pub fn grad_weight<T: Real>(conv: &Conv1d, batch: usize, x: &[T], gy: &[T], gw: &mut [T]) {
    fit(conv, batch, x.len(), gw.len(), gy.len());
    let len_out = conv.len_out();
    for o in 0..conv.c_out {
        for i in 0..conv.c_in {
            for j in 0..conv.kernel {
                let mut sum = 0.0;
                for n in 0..batch {
                    for t in 0..len_out {
                        if let Some(s) = conv.source(t, j) {
                            sum += gy[(n * conv.c_out + o) * len_out + t].f64() * x[(n * conv.c_in + i) * conv.len_in + s].f64();
                        }
                    }
                }
                gw[(o * conv.c_in + i) * conv.kernel + j] = T::of(sum);
            }
        }
    }
}

/// That slices of these lengths are those of the geometry.
fn fit(conv: &Conv1d, batch: usize, x: usize, w: usize, y: usize) {
    conv.check();
    assert_eq!(x, sizes::product([batch, conv.input_size()]), "the input's side does not fit the geometry");
    assert_eq!(w, conv.weight_size(), "the weights do not fit the geometry");
    assert_eq!(y, sizes::product([batch, conv.output_size()]), "the output's side does not fit the geometry");
}
