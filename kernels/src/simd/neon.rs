//! NEON (Advanced SIMD of AArch64): eight lanes in two registers of four, thirty-two registers. Same width and same fused operations as AVX2, hence
//! the same bytes.

use super::{Job, Lanes, MAX_WIDTH};
use core::arch::aarch64::*;

/// Compiles a job with NEON.
#[target_feature(enable = "neon")]
pub fn run<J: Job>(job: J) -> J::Out {
    // SAFETY: the feature is enabled here, hence available.
    unsafe { job.run::<Neon>() }
}

#[derive(Clone, Copy)]
pub struct Neon(float32x4_t, float32x4_t);

// SAFETY: every intrinsic below needs NEON, which the caller vouches for; pointers are used within the trait's contract, unaligned.
#[allow(clippy::undocumented_unsafe_blocks)]
unsafe impl Lanes for Neon {
    const WIDTH: usize = 8;
    const COLUMNS: usize = 1;
    const PANEL: usize = 2;
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Neon(vdupq_n_f32(value), vdupq_n_f32(value)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Neon(vld1q_f32(from), vld1q_f32(from.add(4))) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            vst1q_f32(to, self.0);
            vst1q_f32(to.add(4), self.1);
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Neon(vaddq_f32(self.0, other.0), vaddq_f32(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Neon(vsubq_f32(self.0, other.0), vsubq_f32(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { Neon(vmulq_f32(self.0, other.0), vmulq_f32(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { Neon(vdivq_f32(self.0, other.0), vdivq_f32(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn rectified(self) -> Self {
        unsafe {
            let zero = vdupq_n_f32(0.0);
            Neon(vbslq_f32(vcleq_f32(self.0, zero), zero, self.0), vbslq_f32(vcleq_f32(self.1, zero), zero, self.1))
        }
    }
    #[inline(always)]
    unsafe fn where_positive(self, condition: Self) -> Self {
        unsafe {
            let zero = vdupq_n_f32(0.0);
            Neon(vbslq_f32(vcgtq_f32(condition.0, zero), self.0, zero), vbslq_f32(vcgtq_f32(condition.1, zero), self.1, zero))
        }
    }
    #[inline(always)]
    unsafe fn positive_bits(self) -> u16 {
        unsafe {
            let (zero, lane) = (vdupq_n_f32(0.0), vld1q_u32([1, 2, 4, 8].as_ptr()));
            let low = vaddvq_u32(vandq_u32(vcgtq_f32(self.0, zero), lane));
            let high = vaddvq_u32(vandq_u32(vcgtq_f32(self.1, zero), lane));
            (low | high << 4) as u16
        }
    }
    #[inline(always)]
    unsafe fn where_bits(self, bits: u16) -> Self {
        unsafe {
            let (zero, lane) = (vdupq_n_f32(0.0), vld1q_u32([1, 2, 4, 8].as_ptr()));
            let low = vtstq_u32(vdupq_n_u32(u32::from(bits)), lane);
            let high = vtstq_u32(vdupq_n_u32(u32::from(bits >> 4)), lane);
            Neon(vbslq_f32(low, self.0, zero), vbslq_f32(high, self.1, zero))
        }
    }
    #[inline(always)]
    unsafe fn select_less(self, limit: Self, then: Self, otherwise: Self) -> Self {
        unsafe {
            Neon(vbslq_f32(vcltq_f32(self.0, limit.0), then.0, otherwise.0), vbslq_f32(vcltq_f32(self.1, limit.1), then.1, otherwise.1))
        }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // Not vmaxq: the second operand where one is NaN.
        unsafe { Neon(vbslq_f32(vcgtq_f32(self.0, other.0), self.0, other.0), vbslq_f32(vcgtq_f32(self.1, other.1), self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        unsafe { Neon(vfmaq_f32(self.0, a.0, b.0), vfmaq_f32(self.1, a.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn fnma(self, a: Self, b: Self) -> Self {
        unsafe { Neon(vfmsq_f32(self.0, a.0, b.0), vfmsq_f32(self.1, a.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn transpose(from: &[*const f32; MAX_WIDTH], to: &[*mut f32; MAX_WIDTH]) {
        unsafe {
            for top in [0, 4] {
                for left in [0, 4] {
                    let row = |r: usize| vld1q_f32(from[top + r].add(left));
                    let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                    let (ab0, ab1) = (vreinterpretq_f64_f32(vtrn1q_f32(a, b)), vreinterpretq_f64_f32(vtrn2q_f32(a, b)));
                    let (cd0, cd1) = (vreinterpretq_f64_f32(vtrn1q_f32(c, d)), vreinterpretq_f64_f32(vtrn2q_f32(c, d)));
                    let columns = [vtrn1q_f64(ab0, cd0), vtrn1q_f64(ab1, cd1), vtrn2q_f64(ab0, cd0), vtrn2q_f64(ab1, cd1)];
                    for (c, column) in columns.into_iter().enumerate() {
                        vst1q_f32(to[left + c].add(top), vreinterpretq_f32_f64(column));
                    }
                }
            }
        }
    }
}
