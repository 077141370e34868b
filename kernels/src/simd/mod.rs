//! A small abstraction over SIMD registers of f32, and the choice of the instruction set at run time.
//!
//! Kernels are written once, generic over [`Lanes`], as `#[inline(always)]` functions called from [`Job::run`]; [`Isa::dispatch`] compiles each job
//! once per instruction set inside a function that enables it. A closure is a function of its own, without the features: none around register code.

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod avx2;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod avx512;
#[cfg(all(feature = "std", target_arch = "aarch64"))]
mod neon;
mod portable;

#[cfg(feature = "std")]
use crate::sync::OnceLock;
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::{Display, Formatter};

/// The widest register of any instruction set here, in f32.
pub const MAX_WIDTH: usize = 16;

/// One register of f32 lanes.
///
/// # Safety
/// Every function requires the instruction set of the implementor to be available, and pointers valid for `WIDTH` elements (any alignment).
#[allow(clippy::missing_safety_doc)]
pub unsafe trait Lanes: Copy + 'static {
    /// f32 per register.
    const WIDTH: usize;
    /// Registers side by side that the complex matrix kernel holds as columns.
    const COLUMNS: usize;
    /// The same of the real matrix kernel.
    const PANEL: usize;
    /// Rows of the real matrix kernel (ROWS × PANEL accumulators).
    const ROWS: usize;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// The larger lane by lane; the second where one is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// max(own, 0) as ReLU takes it: +0 where its own lanes are ≤ 0, else its own, NaN among them.
    unsafe fn rectified(self) -> Self;
    /// Its own lanes where those of `condition` are > 0, else 0.
    unsafe fn where_positive(self, condition: Self) -> Self;
    /// A bit for each lane, the first lane's lowest: whether it is > 0.
    unsafe fn positive_bits(self) -> u16;
    /// Its own lanes where their bits are set, else 0.
    unsafe fn where_bits(self, bits: u16) -> Self;
    /// `then` where its own lanes are < `limit`, else `otherwise`.
    unsafe fn select_less(self, limit: Self, then: Self, otherwise: Self) -> Self;
    /// self + a·b
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// self − a·b
    unsafe fn fnma(self, a: Self, b: Self) -> Self;
    /// Asks for the cache line at an address, which need not be valid; changes no value.
    unsafe fn prefetch(_at: *const f32) {}
    /// The same for a line that will be written, which other cores may have read.
    unsafe fn prefetch_to_write(_at: *mut f32) {}
    /// Transposes a WIDTH × WIDTH block: `to[c][r] = from[r][c]`. The first WIDTH pointers are used.
    unsafe fn transpose(from: &[*const f32; MAX_WIDTH], to: &[*mut f32; MAX_WIDTH]);
}

/// Work that can run on any instruction set.
pub trait Job {
    /// What it returns.
    type Out;
    /// Runs on registers `V`; to be `#[inline(always)]`.
    ///
    /// # Safety
    /// The instruction set of `V` must be available.
    unsafe fn run<V: Lanes>(self) -> Self::Out;
}

/// An instruction set that the kernels are compiled for. All give the same bytes: the same sums in the same order of products that are rounded once
/// with the sum they join, in plain Rust too, which is slow where the processor has no such instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust, 8 lanes, any target.
    Portable,
    /// NEON of AArch64, 8 lanes.
    Neon,
    /// AVX2 with FMA, 8 lanes.
    Avx2,
    /// AVX-512 F, 16 lanes.
    Avx512,
}

impl Isa {
    /// Every instruction set.
    pub const ALL: [Isa; 4] = [Isa::Portable, Isa::Neon, Isa::Avx2, Isa::Avx512];

    /// Whether this machine has it.
    pub fn available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Isa::Avx512 => is_x86_feature_detected!("avx512f") && Isa::Avx2.available(),
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            _ => false,
        }
    }

    /// Itself where it is available, else the portable one.
    pub fn or_portable(self) -> Isa {
        if self.available() || self.imitated() { self } else { Isa::Portable }
    }

    /// Whether plain Rust stands for it: in the unit tests for AVX-512, whose lanes and blocks are of other sizes than those of the others.
    pub(crate) fn imitated(self) -> bool {
        cfg!(all(test, not(miri))) && self == Isa::Avx512 && !self.available()
    }

    /// The best one of this machine, or the one that `CARDIOGRAD_KERNEL` names (`portable`, `neon`, `avx2`, `avx512`); read once.
    ///
    /// # Panics
    /// If the variable names none, or one that this machine does not have: ask [`Isa::chosen`] first.
    pub fn best() -> Isa {
        match Isa::chosen() {
            Ok(isa) => isa,
            Err(refused) => panic!("{refused}"),
        }
    }

    /// [`Isa::best`], or why what `CARDIOGRAD_KERNEL` names cannot be used. Unset and empty are the same.
    ///
    /// # Errors
    /// [`UnknownKernel`].
    #[cfg(feature = "std")]
    pub fn chosen() -> Result<Isa, UnknownKernel> {
        static CHOSEN: OnceLock<Result<Isa, UnknownKernel>> = OnceLock::new();
        CHOSEN.get_or_init(|| Isa::named(&std::env::var_os("CARDIOGRAD_KERNEL").unwrap_or_default().to_string_lossy())).clone()
    }

    /// The portable one: without the feature `std` there is no asking the processor, nor the environment.
    ///
    /// # Errors
    /// None.
    #[cfg(not(feature = "std"))]
    pub fn chosen() -> Result<Isa, UnknownKernel> {
        Ok(Isa::Portable)
    }

    /// The one of this name; the best one of this machine for an empty name.
    #[cfg(feature = "std")]
    fn named(name: &str) -> Result<Isa, UnknownKernel> {
        let mut all = Isa::ALL.into_iter().filter(|isa| isa.available());
        let found = if name.is_empty() { all.next_back() } else { all.find(|isa| isa.to_string() == name.to_lowercase()) };
        found.ok_or_else(|| UnknownKernel(name.into()))
    }

    /// f32 lanes of a register.
    pub fn width(self) -> usize {
        if self == Isa::Avx512 { 16 } else { 8 }
    }

    /// Runs a job on this instruction set, or on the portable one where it is not available.
    #[inline]
    pub fn dispatch<J: Job>(self, job: J) -> J::Out {
        match self {
            // SAFETY: `available` has detected the features that the function enables.
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Isa::Avx512 if self.available() => unsafe { avx512::run(job) },
            // SAFETY: as above.
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Isa::Avx2 if self.available() => unsafe { avx2::run(job) },
            // SAFETY: as above.
            #[cfg(all(feature = "std", target_arch = "aarch64"))]
            Isa::Neon if self.available() => unsafe { neon::run(job) },
            // SAFETY: the portable lanes need no feature.
            #[cfg(test)]
            _ if self.imitated() => unsafe { job.run::<portable::Portable<16>>() },
            // SAFETY: as above.
            _ => unsafe { job.run::<portable::Portable<8>>() },
        }
    }
}

impl Display for Isa {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

/// What `CARDIOGRAD_KERNEL` names is no kernel, or none that this machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKernel(String);

impl Display for UnknownKernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        let known = Isa::ALL.iter().any(|isa| isa.to_string() == self.0.to_lowercase());
        let what = if known { "which this machine does not have" } else { "which is no kernel" };
        let names = |isas: &mut dyn Iterator<Item = Isa>| isas.map(|isa| isa.to_string()).collect::<Vec<_>>().join(", ");
        let name: String = self.0.escape_debug().take(40).collect();
        write!(f, "CARDIOGRAD_KERNEL is '{name}', {what}: ")?;
        write!(f, "there are {}; this machine has ", names(&mut Isa::ALL.into_iter()))?;
        f.write_str(&names(&mut Isa::ALL.into_iter().filter(|isa| isa.available())))
    }
}

impl core::error::Error for UnknownKernel {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_the_kernels_that_this_machine_has_or_refused() {
        for isa in Isa::ALL {
            let name = isa.to_string().to_uppercase();
            assert_eq!(Isa::named(&name), if isa.available() { Ok(isa) } else { Err(UnknownKernel(name.clone())) });
        }
        assert!(Isa::named("").is_ok_and(Isa::available));
        let refused = Isa::named("avx\n3").unwrap_err().to_string();
        assert!(
            refused.starts_with("CARDIOGRAD_KERNEL is 'avx\\n3', which is no kernel: there are portable, neon, avx2, avx512;"),
            "{refused}"
        );
        let lacking = Isa::ALL.into_iter().find(|isa| !isa.available()).map(|isa| UnknownKernel(isa.to_string()).to_string());
        assert!(lacking.is_none_or(|refused| refused.contains("which this machine does not have")));
    }

    struct Transpose;

    impl Job for Transpose {
        type Out = (usize, Vec<f32>);
        #[inline(always)]
        unsafe fn run<V: Lanes>(self) -> (usize, Vec<f32>) {
            let w = V::WIDTH;
            let source: Vec<f32> = (0..w * w).map(|v| v as f32).collect();
            let mut target = vec![0.0; w * w];
            let (mut from, mut to) = ([source.as_ptr(); MAX_WIDTH], [target.as_mut_ptr(); MAX_WIDTH]);
            for r in 0..w {
                from[r] = from[r].wrapping_add(r * w);
                to[r] = to[r].wrapping_add(r * w);
            }
            // SAFETY: both hold w rows of w elements.
            unsafe { V::transpose(&from, &to) };
            (w, target)
        }
    }

    #[test]
    fn every_instruction_set_transposes() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available() || isa.imitated()) {
            let (w, target) = isa.dispatch(Transpose);
            assert_eq!(w, isa.width());
            for r in 0..w {
                for c in 0..w {
                    assert_eq!(target[c * w + r], (r * w + c) as f32, "{isa} at ({r}, {c})");
                }
            }
        }
    }
}
