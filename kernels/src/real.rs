//! The two number types, and what the kernels ask of them.

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
    /// tanh x.
    fn tanh(self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// Whether the value is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The slice itself if this is f32, for kernels that only f32 has.
    fn as_f32(slice: &[Self]) -> Option<&[f32]>;
    /// As [`Real::as_f32`].
    fn as_f32_mut(slice: &mut [Self]) -> Option<&mut [f32]>;
    /// C ← α·A·B + β·C with A (m × k), B (k × n), C (m × n) at the given (row, column) strides.
    ///
    /// # Panics
    /// If a matrix does not fit its slice.
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

/// The number of elements a strided matrix reaches into its slice.
fn reach(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    if rows == 0 || cols == 0 { 0 } else { (rows - 1) * row_stride + (cols - 1) * col_stride + 1 }
}

macro_rules! real {
    ($t:ty, $name:literal, $gemm:path, $as_f32:expr, $as_f32_mut:expr) => {
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
                self.tanh()
            }
            fn exp(self) -> Self {
                self.exp()
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
                assert!(reach(m, k, a.1, a.2) <= a.0.len(), "A is shorter than its shape");
                assert!(reach(k, n, b.1, b.2) <= b.0.len(), "B is shorter than its shape");
                assert!(reach(m, n, c.1, c.2) <= c.0.len(), "C is shorter than its shape");
                assert!(c.1 >= n * c.2 || c.2 >= m * c.1 || m <= 1 || n <= 1, "the elements of C overlap");
                // SAFETY: the assertions above bound every element that the strides reach, strides are non-negative,
                // C is exclusively borrowed and its elements do not overlap.
                unsafe {
                    $gemm(
                        m,
                        k,
                        n,
                        alpha,
                        a.0.as_ptr(),
                        a.1 as isize,
                        a.2 as isize,
                        b.0.as_ptr(),
                        b.1 as isize,
                        b.2 as isize,
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

real!(f32, "f32", matrixmultiply::sgemm, Some, Some);
real!(f64, "f64", matrixmultiply::dgemm, |_| None, |_| None);
