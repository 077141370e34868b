//! AVX2 with FMA: eight lanes, sixteen registers.

use super::{Job, Lanes, MAX_WIDTH};
use core::arch::x86_64::*;

/// Compiles a job with AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub fn run<J: Job>(job: J) -> J::Out {
    // SAFETY: the features are enabled here, hence available.
    unsafe { job.run::<Avx2>() }
}

#[derive(Clone, Copy)]
pub struct Avx2(__m256);

// SAFETY: every intrinsic below needs AVX2 or FMA, which the caller vouches for; pointers are used within the trait's contract, unaligned.
#[allow(clippy::undocumented_unsafe_blocks)]
unsafe impl Lanes for Avx2 {
    const WIDTH: usize = 8;
    const COLUMNS: usize = 1;
    const PANEL: usize = 2;
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Avx2(_mm256_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Avx2(_mm256_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_mul_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_div_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn rectified(self) -> Self {
        unsafe { Avx2(_mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_NLE_UQ>(self.0, _mm256_setzero_ps()))) }
    }
    #[inline(always)]
    unsafe fn where_positive(self, condition: Self) -> Self {
        unsafe { Avx2(_mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GT_OQ>(condition.0, _mm256_setzero_ps()))) }
    }
    #[inline(always)]
    unsafe fn positive_bits(self) -> u16 {
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, _mm256_setzero_ps())) as u16 }
    }
    #[inline(always)]
    unsafe fn where_bits(self, bits: u16) -> Self {
        unsafe {
            let lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(i32::from(bits)), lane), lane);
            Avx2(_mm256_and_ps(self.0, _mm256_castsi256_ps(set)))
        }
    }
    #[inline(always)]
    unsafe fn select_less(self, limit: Self, then: Self, otherwise: Self) -> Self {
        unsafe { Avx2(_mm256_blendv_ps(otherwise.0, then.0, _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, limit.0))) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        unsafe { Avx2(_mm256_fmadd_ps(a.0, b.0, self.0)) }
    }
    #[inline(always)]
    unsafe fn fnma(self, a: Self, b: Self) -> Self {
        unsafe { Avx2(_mm256_fnmadd_ps(a.0, b.0, self.0)) }
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
            // 128-bit halves of rows r and r + 4 share a register, so that only in-lane shuffles remain.
            let pair = |r: usize, half: usize| {
                let low = _mm256_castps128_ps256(_mm_loadu_ps(from[r].add(4 * half)));
                _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from[r + 4].add(4 * half)))
            };
            for half in 0..2 {
                let (a, b, c, d) = (pair(0, half), pair(1, half), pair(2, half), pair(3, half));
                let (ab0, ab1) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (cd0, cd1) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                _mm256_storeu_ps(to[4 * half], _mm256_shuffle_ps::<0x44>(ab0, cd0));
                _mm256_storeu_ps(to[4 * half + 1], _mm256_shuffle_ps::<0xEE>(ab0, cd0));
                _mm256_storeu_ps(to[4 * half + 2], _mm256_shuffle_ps::<0x44>(ab1, cd1));
                _mm256_storeu_ps(to[4 * half + 3], _mm256_shuffle_ps::<0xEE>(ab1, cd1));
            }
        }
    }
}
