//! Eight lanes in plain Rust: any target, and the path that Miri checks.

use super::{Lanes, MAX_WIDTH};

#[derive(Clone, Copy)]
pub struct Portable([f32; 8]);

#[inline(always)]
fn zip(a: Portable, b: Portable, f: impl Fn(f32, f32) -> f32) -> Portable {
    let mut out = a.0;
    for (a, b) in out.iter_mut().zip(b.0) {
        *a = f(*a, b);
    }
    Portable(out)
}

// SAFETY: needs no instruction set; pointers are used within the trait's contract.
unsafe impl Lanes for Portable {
    const WIDTH: usize = 8;
    const COLUMNS: usize = 1;
    const PANEL: usize = 1;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Portable([value; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives eight valid elements; the read is unaligned.
        Portable(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives eight valid elements; the write is unaligned.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        zip(self, other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        zip(self, other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        zip(self, other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        zip(self, other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn rectified(self) -> Self {
        Portable(self.0.map(|v| if v <= 0.0 { 0.0 } else { v }))
    }
    #[inline(always)]
    unsafe fn where_positive(self, condition: Self) -> Self {
        zip(self, condition, |a, c| if c > 0.0 { a } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn positive_bits(self) -> u16 {
        (0..8).fold(0, |bits, l| bits | u16::from(self.0[l] > 0.0) << l)
    }
    #[inline(always)]
    unsafe fn where_bits(self, bits: u16) -> Self {
        Portable(std::array::from_fn(|l| if bits >> l & 1 == 1 { self.0[l] } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn select_less(self, limit: Self, then: Self, otherwise: Self) -> Self {
        Portable(std::array::from_fn(|l| if self.0[l] < limit.0[l] { then.0[l] } else { otherwise.0[l] }))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        zip(self, other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        zip(self, zip(a, b, |a, b| a * b), |c, p| c + p)
    }
    #[inline(always)]
    unsafe fn fnma(self, a: Self, b: Self) -> Self {
        zip(self, zip(a, b, |a, b| a * b), |c, p| c - p)
    }
    #[inline(always)]
    unsafe fn transpose(from: &[*const f32; MAX_WIDTH], to: &[*mut f32; MAX_WIDTH]) {
        for (r, from) in from[..8].iter().enumerate() {
            for (c, to) in to[..8].iter().enumerate() {
                // SAFETY: eight rows of eight valid elements on both sides.
                unsafe { *to.add(r) = *from.add(c) };
            }
        }
    }
}
