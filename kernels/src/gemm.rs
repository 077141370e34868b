//! The matrix product of [`Real::gemm`]: every element the same sum on every instruction set.
//!
//! C ← A·B + β·C, β 0 or 1: over terms in order, in runs of [`RUN`], each run one chain of fused products that starts at +0 and then joins C. That is what
//! `matrixmultiply` does wherever the processor has fused products, which is where it is asked; elsewhere, and where the portable kernel is chosen, the
//! same sum is taken here.

use crate::{Isa, Real, fused};

/// Terms of a chain: the depth that `matrixmultiply` packs at once.
const RUN: usize = 256;
/// Columns of C that are summed side by side.
const COLUMNS: usize = 16;

/// A number type with products that are rounded once.
pub(crate) trait Fused: Real {
    /// a·b + c.
    fn fused(a: Self, b: Self, c: Self) -> Self;
}

impl Fused for f32 {
    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        fused::single(a, b, c)
    }
}

impl Fused for f64 {
    #[inline(always)]
    fn fused(a: f64, b: f64, c: f64) -> f64 {
        fused::double(a, b, c)
    }
}

/// Whether `matrixmultiply` takes this sum: it looks for the same features.
pub(crate) fn elsewhere() -> bool {
    (Isa::Avx2.available() || Isa::Neon.available()) && Isa::chosen() != Ok(Isa::Portable)
}

/// The sum, in plain Rust; sizes and strides are as [`Real::gemm`] asserts.
#[allow(clippy::too_many_arguments)]
pub(crate) fn plain<T: Fused>(
    (m, k, n): (usize, usize, usize),
    (a, a_row, a_col): (&[T], usize, usize),
    (b, b_row, b_col): (&[T], usize, usize),
    add: bool,
    (c, c_row, c_col): (&mut [T], usize, usize),
) {
    if k == 0 && add {
        return;
    }
    for i in 0..m {
        for first in (0..n).step_by(COLUMNS) {
            let width = COLUMNS.min(n - first);
            for start in (0..k.max(1)).step_by(RUN) {
                let mut sums = [T::ZERO; COLUMNS];
                for l in start..k.min(start + RUN) {
                    let (value, row) = (a[i * a_row + l * a_col], l * b_row + first * b_col);
                    let mut factors = [T::ZERO; COLUMNS];
                    for (j, factor) in factors[..width].iter_mut().enumerate() {
                        *factor = b[row + j * b_col];
                    }
                    for j in 0..COLUMNS {
                        sums[j] = T::fused(value, factors[j], sums[j]);
                    }
                }
                for (j, sum) in sums[..width].iter().enumerate() {
                    let to = &mut c[i * c_row + (first + j) * c_col];
                    *to = if add || start > 0 { *to + *sum } else { *sum };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<T: Real>(seed: usize, len: usize) -> Vec<T> {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 10_007) as f64 / 5003.5 - 1.0;
        (0..len).map(|i| T::of(value(i) * (1.0 + value(i + 1)))).collect()
    }

    fn same<T: Fused>(sizes: (usize, usize, usize), turned: bool, beta: T) {
        let (m, k, n) = sizes;
        let (a, b, c): (Vec<T>, Vec<T>, Vec<T>) = (values(1, m * k), values(2, k * n), values(3, m * n));
        let (a_strides, b_strides) = if turned { ((1, m), (1, k)) } else { ((k, 1), (n, 1)) };
        let (mut here, mut there) = (c.clone(), c);
        plain(sizes, (&a, a_strides.0, a_strides.1), (&b, b_strides.0, b_strides.1), beta == T::ONE, (&mut here, n, 1));
        T::gemm(m, k, n, T::ONE, (&a, a_strides.0, a_strides.1), (&b, b_strides.0, b_strides.1), beta, (&mut there, n, 1));
        let bits = |v: &[T]| v.iter().map(|v| v.f64().to_bits()).collect::<Vec<_>>();
        assert!(bits(&here) == bits(&there), "{} {sizes:?} turned {turned} β {beta}", T::NAME);
    }

    #[test]
    fn the_sum_is_the_same_wherever_it_is_taken() {
        let sizes = [(1, 1, 1), (3, 0, 2), (1, 300, 17), (9, 257, 5), (16, 16, 16), (23, 600, 33), (70, 40, 1)];
        for sizes in if cfg!(miri) { &sizes[..2] } else { &sizes[..] } {
            for turned in [false, true] {
                same::<f32>(*sizes, turned, 0.0);
                same::<f32>(*sizes, turned, 1.0);
                same::<f64>(*sizes, turned, 0.0);
                same::<f64>(*sizes, turned, 1.0);
            }
        }
    }
}
