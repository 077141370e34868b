//! The two number types, and what the kernels ask of them.

use crate::{gemm, sizes};
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// f32 for work, f64 as the reference.
pub trait Real:
    Copy
    + Default
    + PartialEq
    + PartialOrd
    + Debug
    + Display
    + Send
    + Sync
    + 'static
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// `"f32"` or `"f64"`.
    const NAME: &'static str;
    /// Rounds an f64.
    fn of(value: f64) -> Self;
    /// Widens to f64, exactly.
    fn f64(self) -> f64;
    /// |x|.
    fn abs(self) -> Self;
    /// √x.
    fn sqrt(self) -> Self;
    /// tanh x, of [`crate::elementary`].
    fn tanh(self) -> Self;
    /// eˣ, likewise.
    fn exp(self) -> Self;
    /// Whether the value is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Whether a maximum takes this rather than the best so far: where it is larger, or NaN, which thus is seen behind a pooling.
    #[inline(always)]
    fn beats(self, best: Self) -> bool {
        self > best || self.partial_cmp(&self).is_none()
    }
    /// The slice itself if this is f32, for kernels that only f32 has.
    fn as_f32(slice: &[Self]) -> Option<&[f32]>;
    /// As [`Real::as_f32`].
    fn as_f32_mut(slice: &mut [Self]) -> Option<&mut [f32]>;
    /// C ← α·A·B + β·C with A (m × k), B (k × n), C (m × n) at the given (row, column) strides, α being 1 and β 0 or 1. Terms are summed in order, in
    /// runs of 256, each a chain of fused products: the same bytes on every instruction set.
    ///
    /// # Panics
    /// If a matrix does not fit its slice, two elements of C are one, or α or β is another.
    #[allow(clippy::too_many_arguments)]
    fn gemm(
        m: usize,
        k: usize,
        n: usize,
        alpha: Self,
        a: (&[Self], usize, usize),
        b: (&[Self], usize, usize),
        beta: Self,
        c: (&mut [Self], usize, usize),
    );
}

/// Whether a strided matrix lies within so many elements; strides that do not fit a pointer's never do.
fn within(elements: usize, (rows, cols): (usize, usize), (row_stride, col_stride): (usize, usize)) -> bool {
    if rows == 0 || cols == 0 {
        return true;
    }
    let last = (rows - 1).checked_mul(row_stride).zip((cols - 1).checked_mul(col_stride)).and_then(|(row, col)| row.checked_add(col));
    row_stride <= sizes::MOST && col_stride <= sizes::MOST && last.is_some_and(|last| last < elements)
}

/// Whether no two elements of a strided matrix that lies within a slice are one.
fn distinct((rows, cols): (usize, usize), (row_stride, col_stride): (usize, usize)) -> bool {
    match (rows > 1, cols > 1) {
        _ if rows == 0 || cols == 0 => true,
        (false, false) => true,
        (true, false) => row_stride > 0,
        (false, true) => col_stride > 0,
        (true, true) => {
            let beyond = |step: usize, count: usize, inner: usize| inner > 0 && count.checked_mul(inner).is_some_and(|row| step >= row);
            beyond(row_stride, cols, col_stride) || beyond(col_stride, rows, row_stride)
        }
    }
}

macro_rules! real {
    ($t:ty, $name:literal, $gemm:path, $tanh:path, $exp:path, $as_f32:expr, $as_f32_mut:expr) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NAME: &'static str = $name;
            fn of(value: f64) -> Self {
                value as $t
            }
            fn f64(self) -> f64 {
                f64::from(self)
            }
            fn abs(self) -> Self {
                self.abs()
            }
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            fn tanh(self) -> Self {
                $tanh(self)
            }
            fn exp(self) -> Self {
                $exp(self)
            }
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            fn as_f32(slice: &[Self]) -> Option<&[f32]> {
                $as_f32(slice)
            }
            fn as_f32_mut(slice: &mut [Self]) -> Option<&mut [f32]> {
                $as_f32_mut(slice)
            }
            fn gemm(
                m: usize,
                k: usize,
                n: usize,
                alpha: Self,
                a: (&[Self], usize, usize),
                b: (&[Self], usize, usize),
                beta: Self,
                c: (&mut [Self], usize, usize),
            ) {
                assert!(within(a.0.len(), (m, k), (a.1, a.2)), "A is shorter than its shape");
                assert!(within(b.0.len(), (k, n), (b.1, b.2)), "B is shorter than its shape");
                assert!(within(c.0.len(), (m, n), (c.1, c.2)), "C is shorter than its shape");
                assert!(distinct((m, n), (c.1, c.2)), "the elements of C overlap");
                // Where another factor would join is a matter of the instruction set.
                assert!(alpha == 1.0 && (beta == 0.0 || beta == 1.0), "a product with the factors {alpha} and {beta}");
                if m == 0 || n == 0 {
                    return;
                }
                if !gemm::elsewhere() {
                    return gemm::plain((m, k, n), a, b, beta == 1.0, c);
                }
                // Without terms the strides of A and B reach nothing, and are whatever they are.
                let [a_strides, b_strides] = [(a.1, a.2), (b.1, b.2)].map(|strides| if k == 0 { (0, 0) } else { strides });
                // SAFETY: the assertions above bound every element that the strides reach, strides are non-negative,
                // C is exclusively borrowed and its elements do not overlap.
                unsafe {
                    $gemm(
                        m,
                        k,
                        n,
                        alpha,
                        a.0.as_ptr(),
                        a_strides.0 as isize,
                        a_strides.1 as isize,
                        b.0.as_ptr(),
                        b_strides.0 as isize,
                        b_strides.1 as isize,
                        beta,
                        c.0.as_mut_ptr(),
                        c.1 as isize,
                        c.2 as isize,
                    );
                }
            }
        }
    };
}

real!(f32, "f32", matrixmultiply::sgemm, libm::tanhf, libm::expf, Some, Some);
real!(f64, "f64", matrixmultiply::dgemm, libm::tanh, libm::exp, |_| None, |_| None);
