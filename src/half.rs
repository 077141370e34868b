//! IEEE 754 binary16, the 16-bit floats of weights in files: to f32, exactly, and from it, rounded to the nearest (ties to even).

#[cfg(not(feature = "std"))]
use crate::plain::*;

/// The value of a half; exact.
pub(crate) fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

/// The half nearest to a value, of two the one whose last bit is 0; beyond 65 519 it is infinite.
#[cfg(feature = "std")]
pub(crate) fn to_half(value: f32) -> u16 {
    let sign = ((value.to_bits() >> 16) & 0x8000) as u16;
    let size = value.abs();
    if size.is_nan() {
        return sign | 0x7e00;
    }
    // The place of the last bit: 2⁻²⁴ for what is subnormal as a half, else 2⁻¹⁰ of the value's own power of two.
    let exponent = ((size.to_bits() >> 23) as i32 - 127).max(-14);
    // Both products are exact: powers of two, and an f32 rounded to no more than 2048.
    let steps = (size * 2f32.powi(10 - exponent)).round_ties_even();
    if exponent > 15 || steps * 2f32.powi(exponent - 10) > 65_504.0 {
        return sign | 0x7c00;
    }
    // A carry out of the fraction raises the exponent, as it should.
    sign | (((exponent + 14) as u16) << 10).wrapping_add(steps as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0001, 5.9604645e-8), (0x0400, 6.1035156e-5), (0x3555, 0.33325195)]
        {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert_eq!(half(0x8000).to_bits(), (-0f32).to_bits());
        assert!(half(0x7e00).is_nan() && half(0xfc00) == f32::NEG_INFINITY);
    }

    #[test]
    fn every_half_comes_back_and_what_lies_between_goes_to_the_nearer_one() {
        for bits in (0..=u16::MAX).filter(|bits| !half(*bits).is_nan()) {
            assert_eq!(to_half(half(bits)), bits, "{bits:#x}");
        }
        assert!(half(to_half(f32::NAN)).is_nan());
        for bits in 0..0x7bffu16 {
            let (low, high) = (half(bits), half(bits + 1));
            // The middle of two halves is an f32; it goes to the even one, its neighbours to the nearer.
            let middle = (low + high) / 2.0;
            assert_eq!(to_half(middle), bits + (bits & 1), "{bits:#x}");
            assert_eq!(to_half(f32::from_bits(middle.to_bits() - 1)), bits);
            assert_eq!(to_half(f32::from_bits(middle.to_bits() + 1)), bits + 1);
        }
        assert_eq!([65_519.0, 65_520.0, 1e30, -1e30].map(to_half), [0x7bff, 0x7c00, 0x7c00, 0xfc00]);
        assert_eq!([1e-30, -1e-30, f32::MIN_POSITIVE / 2.0].map(to_half), [0, 0x8000, 0]);
    }
}
