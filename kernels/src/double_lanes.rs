//! Eight lanes of f64, one register of AVX-512, two of AVX2, four of NEON: the twin of `simd::Lanes` for the convolution in f64.
//!
//! The width is the same everywhere, and so are the operations, so the instruction sets give the same bytes.

use crate::{Isa, fused};

/// Lanes of a register.
pub const LANES: usize = 8;

/// Eight lanes.
///
/// # Safety
/// Every function requires the instruction set of the implementor to be available, and pointers valid for eight elements (any alignment).
#[allow(clippy::missing_safety_doc)]
pub unsafe trait Wide: Copy + 'static {
    /// Whether two blocks of eight channels are held at a time (16 accumulators or more beside 8).
    const PAIRS: bool;
    unsafe fn splat(value: f64) -> Self;
    unsafe fn load(from: *const f64) -> Self;
    unsafe fn store(self, to: *mut f64);
    /// self + a·b
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// Itself where > 0, else `slope` times it.
    unsafe fn leaky(self, slope: Self) -> Self;
    /// Asks for a line that is soon read; any address will do.
    #[inline(always)]
    unsafe fn prefetch(_at: *const f64) {}
}

/// Work that can run on any of them.
pub trait WideJob {
    /// Runs on registers `V`; to be `#[inline(always)]`.
    ///
    /// # Safety
    /// The instruction set of `V` must be available.
    unsafe fn run<V: Wide>(self);
}

/// Runs a job on an instruction set, or on the portable lanes where it is not available.
pub fn dispatch<J: WideJob>(isa: Isa, job: J) {
    match isa {
        // SAFETY: `available` has detected the features that the function enables.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 if isa.available() => unsafe { x86::avx512(job) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 if isa.available() => unsafe { x86::avx2(job) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon if isa.available() => unsafe { arm::neon(job) },
        // SAFETY: the portable lanes need no feature.
        #[cfg(test)]
        _ if isa.imitated() => unsafe { job.run::<Portable<true>>() },
        // SAFETY: as above.
        _ => unsafe { job.run::<Portable<false>>() },
    }
}

/// Plain Rust; in tests also in the blocks of AVX-512.
#[derive(Clone, Copy)]
struct Portable<const PAIRED: bool>([f64; LANES]);

// SAFETY: needs no instruction set; pointers are used within the trait's contract.
unsafe impl<const PAIRED: bool> Wide for Portable<PAIRED> {
    const PAIRS: bool = PAIRED;
    #[inline(always)]
    unsafe fn splat(value: f64) -> Self {
        Portable([value; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self {
        // SAFETY: the caller gives eight valid elements; the read is unaligned.
        Portable(unsafe { from.cast::<[f64; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f64) {
        // SAFETY: the caller gives eight valid elements; the write is unaligned.
        unsafe { to.cast::<[f64; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        let mut sum = self.0;
        for l in 0..LANES {
            sum[l] = fused::double(a.0[l], b.0[l], sum[l]);
        }
        Portable(sum)
    }
    #[inline(always)]
    unsafe fn leaky(self, slope: Self) -> Self {
        Portable(core::array::from_fn(|l| if self.0[l] > 0.0 { self.0[l] } else { slope.0[l] * self.0[l] }))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Wide, WideJob};
    use core::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub fn avx512<J: WideJob>(job: J) {
        // SAFETY: the features are enabled here, hence available.
        unsafe { job.run::<Avx512>() }
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2<J: WideJob>(job: J) {
        // SAFETY: the features are enabled here, hence available.
        unsafe { job.run::<Avx2>() }
    }

    #[derive(Clone, Copy)]
    struct Avx512(__m512d);

    // SAFETY: every intrinsic below needs AVX-512 F, which the caller vouches for; pointers are used within the trait's contract, unaligned.
    #[allow(clippy::undocumented_unsafe_blocks)]
    unsafe impl Wide for Avx512 {
        const PAIRS: bool = true;
        #[inline(always)]
        unsafe fn splat(value: f64) -> Self {
            unsafe { Avx512(_mm512_set1_pd(value)) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f64) -> Self {
            unsafe { Avx512(_mm512_loadu_pd(from)) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f64) {
            unsafe { _mm512_storeu_pd(to, self.0) }
        }
        #[inline(always)]
        unsafe fn prefetch(at: *const f64) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            unsafe { Avx512(_mm512_fmadd_pd(a.0, b.0, self.0)) }
        }
        #[inline(always)]
        unsafe fn leaky(self, slope: Self) -> Self {
            unsafe {
                let positive = _mm512_cmp_pd_mask::<_CMP_GT_OQ>(self.0, _mm512_setzero_pd());
                Avx512(_mm512_mask_mov_pd(_mm512_mul_pd(self.0, slope.0), positive, self.0))
            }
        }
    }

    #[derive(Clone, Copy)]
    struct Avx2(__m256d, __m256d);

    // SAFETY: every intrinsic below needs AVX2 or FMA, which the caller vouches for; pointers are used within the trait's contract, unaligned.
    #[allow(clippy::undocumented_unsafe_blocks)]
    unsafe impl Wide for Avx2 {
        const PAIRS: bool = false;
        #[inline(always)]
        unsafe fn splat(value: f64) -> Self {
            unsafe { Avx2(_mm256_set1_pd(value), _mm256_set1_pd(value)) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f64) -> Self {
            unsafe { Avx2(_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(4))) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f64) {
            unsafe {
                _mm256_storeu_pd(to, self.0);
                _mm256_storeu_pd(to.add(4), self.1);
            }
        }
        #[inline(always)]
        unsafe fn prefetch(at: *const f64) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            unsafe { Avx2(_mm256_fmadd_pd(a.0, b.0, self.0), _mm256_fmadd_pd(a.1, b.1, self.1)) }
        }
        #[inline(always)]
        unsafe fn leaky(self, slope: Self) -> Self {
            unsafe {
                let low = _mm256_cmp_pd::<_CMP_GT_OQ>(self.0, _mm256_setzero_pd());
                let high = _mm256_cmp_pd::<_CMP_GT_OQ>(self.1, _mm256_setzero_pd());
                Avx2(
                    _mm256_blendv_pd(_mm256_mul_pd(self.0, slope.0), self.0, low),
                    _mm256_blendv_pd(_mm256_mul_pd(self.1, slope.1), self.1, high),
                )
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{Wide, WideJob};
    use core::arch::aarch64::*;

    #[target_feature(enable = "neon")]
    pub fn neon<J: WideJob>(job: J) {
        // SAFETY: the feature is enabled here, hence available.
        unsafe { job.run::<Neon>() }
    }

    #[derive(Clone, Copy)]
    struct Neon([float64x2_t; 4]);

    // SAFETY: every intrinsic below needs NEON, which the caller vouches for; pointers are used within the trait's contract, unaligned.
    #[allow(clippy::undocumented_unsafe_blocks)]
    unsafe impl Wide for Neon {
        const PAIRS: bool = false;
        #[inline(always)]
        unsafe fn splat(value: f64) -> Self {
            unsafe { Neon([vdupq_n_f64(value); 4]) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f64) -> Self {
            unsafe { Neon([vld1q_f64(from), vld1q_f64(from.add(2)), vld1q_f64(from.add(4)), vld1q_f64(from.add(6))]) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f64) {
            for (quarter, value) in self.0.into_iter().enumerate() {
                unsafe { vst1q_f64(to.add(2 * quarter), value) };
            }
        }
        #[inline(always)]
        unsafe fn fma(self, a: Self, b: Self) -> Self {
            let [x, y, z] = [self.0, a.0, b.0];
            unsafe {
                Neon([vfmaq_f64(x[0], y[0], z[0]), vfmaq_f64(x[1], y[1], z[1]), vfmaq_f64(x[2], y[2], z[2]), vfmaq_f64(x[3], y[3], z[3])])
            }
        }
        #[inline(always)]
        unsafe fn leaky(self, slope: Self) -> Self {
            let mut all = self.0;
            for (x, slope) in all.iter_mut().zip(slope.0) {
                unsafe { *x = vbslq_f64(vcgtzq_f64(*x), *x, vmulq_f64(*x, slope)) };
            }
            Neon(all)
        }
    }
}
