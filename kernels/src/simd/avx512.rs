//! AVX-512 F: sixteen lanes, thirty-two registers.

use super::{Job, Lanes, MAX_WIDTH};
use core::arch::x86_64::*;

/// Compiles a job with AVX-512 F.
#[target_feature(enable = "avx512f,avx2,fma")]
pub fn run<J: Job>(job: J) -> J::Out {
    // SAFETY: the features are enabled here, hence available.
    unsafe { job.run::<Avx512>() }
}

#[derive(Clone, Copy)]
pub struct Avx512(__m512);

// SAFETY: every intrinsic below needs AVX-512 F, which the caller vouches for; pointers are used within the trait's contract, unaligned.
#[allow(clippy::undocumented_unsafe_blocks)]
unsafe impl Lanes for Avx512 {
    const WIDTH: usize = 16;
    const COLUMNS: usize = 2;
    const PANEL: usize = 2;
    const ROWS: usize = 12;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Avx512(_mm512_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Avx512(_mm512_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_mul_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_div_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn rectified(self) -> Self {
        unsafe { Avx512(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(self.0, _mm512_setzero_ps()), self.0)) }
    }
    #[inline(always)]
    unsafe fn where_positive(self, condition: Self) -> Self {
        unsafe { Avx512(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(condition.0, _mm512_setzero_ps()), self.0)) }
    }
    #[inline(always)]
    unsafe fn positive_bits(self) -> u16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, _mm512_setzero_ps()) }
    }
    #[inline(always)]
    unsafe fn where_bits(self, bits: u16) -> Self {
        unsafe { Avx512(_mm512_maskz_mov_ps(bits, self.0)) }
    }
    #[inline(always)]
    unsafe fn select_less(self, limit: Self, then: Self, otherwise: Self) -> Self {
        unsafe { Avx512(_mm512_mask_mov_ps(otherwise.0, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, limit.0), then.0)) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        unsafe { Avx512(_mm512_fmadd_ps(a.0, b.0, self.0)) }
    }
    #[inline(always)]
    unsafe fn fnma(self, a: Self, b: Self) -> Self {
        unsafe { Avx512(_mm512_fnmadd_ps(a.0, b.0, self.0)) }
    }
    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch_to_write(at: *mut f32) {
        unsafe { core::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly)) }
    }
    #[inline(always)]
    unsafe fn transpose(from: &[*const f32; MAX_WIDTH], to: &[*mut f32; MAX_WIDTH]) {
        unsafe {
            // Quarter q of rows r, r + 4, r + 8, r + 12 share a register, so that only in-lane shuffles remain.
            let quad = |r: usize, q: usize| {
                let at = |i: usize| _mm_loadu_ps(from[r + 4 * i].add(4 * q));
                let v = _mm512_castps128_ps512(at(0));
                let v = _mm512_insertf32x4::<1>(v, at(1));
                let v = _mm512_insertf32x4::<2>(v, at(2));
                _mm512_insertf32x4::<3>(v, at(3))
            };
            for q in 0..4 {
                let (a, b, c, d) = (quad(0, q), quad(1, q), quad(2, q), quad(3, q));
                let (ab0, ab1) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (cd0, cd1) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                _mm512_storeu_ps(to[4 * q], _mm512_shuffle_ps::<0x44>(ab0, cd0));
                _mm512_storeu_ps(to[4 * q + 1], _mm512_shuffle_ps::<0xEE>(ab0, cd0));
                _mm512_storeu_ps(to[4 * q + 2], _mm512_shuffle_ps::<0x44>(ab1, cd1));
                _mm512_storeu_ps(to[4 * q + 3], _mm512_shuffle_ps::<0xEE>(ab1, cd1));
            }
        }
    }
}
