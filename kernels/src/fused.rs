//! a·b + c rounded once, where the processor has no instruction for it: f32 by way of f64, f64 by error-free transformations.
//!
//! Both round to odd what they keep of the exact value before the last rounding (Boldo & Melquiond 2008, Emulation of FMA and correctly rounded sums):
//! of a value that cannot be held, the neighbour whose last bit is 1. With two bits or more to spare the rounding that follows is as of the exact
//! value. Plain sums and products, no branches: compilers use registers for it. `mul_add` of the standard library is a call of the platform's
//! mathematics there, lane by lane, and on some platforms rounds twice.

/// Whether the compiler has the instruction, as every AArch64 does.
#[cfg(feature = "std")]
const INSTRUCTION: bool = cfg!(any(target_arch = "aarch64", all(target_arch = "x86_64", target_feature = "fma")));

/// a·b + c, rounded once.
#[inline(always)]
pub fn single(a: f32, b: f32, c: f32) -> f32 {
    #[cfg(feature = "std")]
    if INSTRUCTION {
        return a.mul_add(b, c);
    }
    emulated_single(a, b, c)
}

/// The product is exact in f64, and their sum rounded to odd has 29 bits to spare, more where the result is subnormal.
#[inline(always)]
fn emulated_single(a: f32, b: f32, c: f32) -> f32 {
    sum_to_odd(f64::from(a) * f64::from(b), f64::from(c)) as f32
}

/// a·b + c, rounded once.
#[inline(always)]
pub fn double(a: f64, b: f64, c: f64) -> f64 {
    #[cfg(feature = "std")]
    if INSTRUCTION {
        return a.mul_add(b, c);
    }
    emulated_double(a, b, c)
}

/// Magnitudes between which no step of [`emulated_double`] overflows or loses bits below the smallest number: of factors, and of the term.
const FACTORS: (f64, f64) = (f64::from_bits((1023 - 400) << 52), f64::from_bits((1023 + 400) << 52));
const TERM: (f64, f64) = (f64::from_bits((1023 - 900) << 52), f64::from_bits((1023 + 900) << 52));

#[inline(always)]
fn emulated_double(a: f64, b: f64, c: f64) -> f64 {
    let within = |x: f64, (least, most): (f64, f64)| (x.abs() >= least) & (x.abs() <= most);
    // Without a product the sum is exact.
    if (a == 0.0) | (b == 0.0) {
        return a * b + c;
    }
    if !(within(a, FACTORS) & within(b, FACTORS) & (within(c, TERM) | (c == 0.0))) {
        return libm::fma(a, b, c);
    }
    let (product, low) = exact_product(a, b);
    let (rest, lowest) = exact_sum(c, low);
    let (high, middle) = exact_sum(product, rest);
    high + sum_to_odd(lowest, middle)
}

/// x + y as its rounding and what that loses (Knuth).
#[inline(always)]
fn exact_sum(x: f64, y: f64) -> (f64, f64) {
    let sum = x + y;
    let back = sum - x;
    (sum, (x - (sum - back)) + (y - back))
}

/// x·y as its rounding and what that loses (Dekker, with Veltkamp's halves of 26 bits).
#[inline(always)]
fn exact_product(x: f64, y: f64) -> (f64, f64) {
    let halves = |x: f64| {
        let turned = 134_217_729.0 * x;
        let high = turned - (turned - x);
        (high, x - high)
    };
    let ((xh, xl), (yh, yl), product) = (halves(x), halves(y), x * y);
    (product, ((xh * yh - product) + xh * yl + xl * yh) + xl * yl)
}

/// x + y, rounded to odd.
#[inline(always)]
fn sum_to_odd(x: f64, y: f64) -> f64 {
    let (sum, lost) = exact_sum(x, y);
    let bits = sum.to_bits();
    // Of infinity and NaN nothing is lost that compares with 0. Where the last bit is 0, the odd neighbour on the side of what was lost.
    let inexact = (lost < 0.0) | (lost > 0.0);
    let step = if (lost > 0.0) == (sum > 0.0) { 1 } else { u64::MAX };
    f64::from_bits(if inexact & (bits & 1 == 0) { bits.wrapping_add(step) } else { bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator of patterns: any bits, few bits, exponents near one another.
    struct Draw(u64);

    impl Draw {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn double(&mut self, spread: u64) -> f64 {
            let (bits, how) = (self.next(), self.next());
            let exponent = if spread == 0 { bits >> 52 & 0x7ff } else { 1023 - spread / 2 + (bits >> 52) % spread };
            // Few significant bits make ties.
            let mantissa = if how % 3 == 0 { bits & !(u64::MAX >> (12 + how / 8 % 30)) } else { bits };
            f64::from_bits((how & 4) << 61 | exponent << 52 | mantissa & ((1 << 52) - 1))
        }

        fn single(&mut self, spread: u32) -> f32 {
            let (bits, how) = (self.next() as u32, self.next() as u32);
            let exponent = if spread == 0 { bits >> 23 & 0xff } else { 127 - spread / 2 + (bits >> 23) % spread };
            let mantissa = if how % 3 == 0 { bits & !(u32::MAX >> (9 + how / 8 % 20)) } else { bits };
            f32::from_bits((how & 4) << 29 | exponent << 23 | mantissa & ((1 << 23) - 1))
        }
    }

    const ROUNDS: usize = if cfg!(miri) { 300 } else { 400_000 };

    #[test]
    fn a_fused_product_in_f32_is_rounded_once() {
        let mut draw = Draw(0x1234_5678_9ABC_DEF1);
        for round in 0..ROUNDS {
            let spread = [0, 4, 30, 60][round % 4];
            let (a, b) = (draw.single(spread), draw.single(spread));
            // Near the product as well, and where the result is subnormal.
            let c = match round / 4 % 4 {
                0 => draw.single(spread),
                1 => (-a * b) * (1.0 + f32::EPSILON * (round % 5) as f32),
                2 => a * b * f32::from_bits((127 - (20 + round as u32 % 8)) << 23),
                _ => f32::from_bits(draw.next() as u32 & 0x807f_ffff),
            };
            let (found, wanted) = (emulated_single(a, b, c), a.mul_add(b, c));
            assert!(
                found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan(),
                "{a:e} · {b:e} + {c:e}: {found:e} for {wanted:e}"
            );
        }
        // In f64 the last term is lost, and what is left is a tie of f32, which rounded again goes to the even neighbour below.
        let a = 1.0 + 2f32.powi(-12);
        assert_eq!(emulated_single(a, a, 2f32.powi(-60)), 1.0 + 2f32.powi(-11) + f32::EPSILON);
        assert_eq!((f64::from(a) * f64::from(a) + 2f64.powi(-60)) as f32, 1.0 + 2f32.powi(-11));
        assert_eq!(emulated_single(-0.0, 1.0, -0.0).to_bits(), (-0.0f32).to_bits());
        assert_eq!(emulated_single(-1.0, 1.0, 1.0).to_bits(), 0);
        assert_eq!(emulated_single(f32::MAX, 2.0, f32::NEG_INFINITY), f32::NEG_INFINITY);
        assert!(emulated_single(f32::INFINITY, 0.0, 1.0).is_nan());
    }

    #[test]
    fn a_fused_product_in_f64_is_rounded_once() {
        let mut draw = Draw(0x0FED_CBA9_8765_4321);
        for round in 0..ROUNDS {
            let spread = [0, 4, 60, 300, 1000][round % 5];
            let (a, b) = (draw.double(spread), draw.double(spread));
            let c = match round / 5 % 5 {
                0 => draw.double(spread),
                1 => (-a * b) * (1.0 + f64::EPSILON * (round % 5) as f64),
                2 => a * b * f64::from_bits((1023 - (50 + round as u64 % 8)) << 52),
                3 => draw.double(1800),
                _ => f64::from_bits(draw.next() & 0x800f_ffff_ffff_ffff),
            };
            let (found, wanted) = (emulated_double(a, b, c), a.mul_add(b, c));
            assert!(
                found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan(),
                "{a:e} · {b:e} + {c:e}: {found:e} for {wanted:e}"
            );
        }
        let zeros = [(-0.0, 1.0, -0.0), (0.0, 1.0, -0.0), (-1.0, 1.0, 1.0), (1e-200, 1e-200, -0.0), (1.0, 0.0, 5e-324)];
        for (a, b, c) in zeros {
            assert_eq!(emulated_double(a, b, c).to_bits(), a.mul_add(b, c).to_bits(), "{a} · {b} + {c}");
        }
    }
}
