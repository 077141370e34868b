//! Plain Rust: any target, and the path that Miri checks. Eight lanes; tests take sixteen as well, in the blocks of AVX-512, which so can be compared
//! where the processor has not got it.

use super::{Lanes, MAX_WIDTH};
use crate::fused;

#[derive(Clone, Copy)]
pub struct Portable<const W: usize>([f32; W]);

#[inline(always)]
fn zip<const W: usize>(a: Portable<W>, b: Portable<W>, f: impl Fn(f32, f32) -> f32) -> Portable<W> {
    let mut out = a.0;
    for (a, b) in out.iter_mut().zip(b.0) {
        *a = f(*a, b);
    }
    Portable(out)
}

// SAFETY: needs no instruction set; pointers are used within the trait's contract.
unsafe impl<const W: usize> Lanes for Portable<W> {
    const WIDTH: usize = W;
    const COLUMNS: usize = W / 8;
    const PANEL: usize = W / 8;
    const ROWS: usize = if W == 16 { 12 } else { 4 };

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Portable([value; W])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives as many valid elements; the read is unaligned.
        Portable(unsafe { from.cast::<[f32; W]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives as many valid elements; the write is unaligned.
        unsafe { to.cast::<[f32; W]>().write_unaligned(self.0) }
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
        (0..W).fold(0, |bits, l| bits | u16::from(self.0[l] > 0.0) << l)
    }
    #[inline(always)]
    unsafe fn where_bits(self, bits: u16) -> Self {
        Portable(core::array::from_fn(|l| if bits >> l & 1 == 1 { self.0[l] } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn select_less(self, limit: Self, then: Self, otherwise: Self) -> Self {
        Portable(core::array::from_fn(|l| if self.0[l] < limit.0[l] { then.0[l] } else { otherwise.0[l] }))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        zip(self, other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        let mut sum = self.0;
        for l in 0..W {
            sum[l] = fused::single(a.0[l], b.0[l], sum[l]);
        }
        Portable(sum)
    }
    #[inline(always)]
    unsafe fn fnma(self, a: Self, b: Self) -> Self {
        // SAFETY: needs no instruction set.
        unsafe { self.fma(Portable(a.0.map(|a| -a)), b) }
    }
    #[inline(always)]
    unsafe fn transpose(from: &[*const f32; MAX_WIDTH], to: &[*mut f32; MAX_WIDTH]) {
        for (r, from) in from[..W].iter().enumerate() {
            for (c, to) in to[..W].iter().enumerate() {
                // SAFETY: as many rows of as many valid elements on both sides.
                unsafe { *to.add(r) = *from.add(c) };
            }
        }
    }
}
