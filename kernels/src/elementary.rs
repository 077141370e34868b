//! Elementary functions, the same bits on every platform: those of `libm`, plain sums and products, never the platform's, whose last bits differ from
//! system to system and from processor to processor.
//!
//! What is exact or rounded correctly by IEEE 754 (√x, |x|, powers of two) is not here: the standard library's gives the same bits everywhere.

/// eˣ.
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// eˣ − 1.
pub fn exp_m1(x: f64) -> f64 {
    libm::expm1(x)
}

/// ln x.
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// ln(1 + x).
pub fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// log₁₀ x.
pub fn log10(x: f64) -> f64 {
    libm::log10(x)
}

/// ∛x.
pub fn cbrt(x: f64) -> f64 {
    libm::cbrt(x)
}

/// √(x² + y²).
pub fn hypot(x: f64, y: f64) -> f64 {
    libm::hypot(x, y)
}

/// The angle of (x, y), in (−π, π].
pub fn atan2(y: f64, x: f64) -> f64 {
    libm::atan2(y, x)
}

/// xʸ.
pub fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

/// 10ᵏ, rounded to nearest where |k| ≤ 22, whose powers f64 holds: [`pow`] may miss that by a bit.
pub fn power_of_ten(k: i32) -> f64 {
    let whole = |n: i32| (0..n).fold(1.0, |power, _| power * 10.0);
    match k {
        0..=22 => whole(k),
        -22..=-1 => 1.0 / whole(-k),
        _ => pow(10.0, f64::from(k)),
    }
}

/// tanh x.
pub fn tanh(x: f64) -> f64 {
    libm::tanh(x)
}

/// sin x.
pub fn sin(x: f64) -> f64 {
    libm::sin(x)
}

/// cos x.
pub fn cos(x: f64) -> f64 {
    libm::cos(x)
}

/// What the standard library's floating-point numbers have as methods and the language's core has not, for builds without `std` (with it the methods of its own go first): exact, or rounded
/// correctly by IEEE 754, but for [`Exact::powi`], which is the same products in the same order.
pub trait Exact {
    /// The nearest whole number, halves away from 0.
    fn round(self) -> Self;
    /// The nearest whole number, halves to the even one.
    fn round_ties_even(self) -> Self;
    /// xⁿ, by squaring.
    fn powi(self, n: i32) -> Self;
}

macro_rules! exact {
    ($t:ty, $round:path, $even:path) => {
        impl Exact for $t {
            fn round(self) -> Self {
                $round(self)
            }
            fn round_ties_even(self) -> Self {
                $even(self)
            }
            fn powi(self, n: i32) -> Self {
                let (mut power, mut square, mut left) = (1.0, self, n.unsigned_abs());
                while left > 0 {
                    if left & 1 == 1 {
                        power *= square;
                    }
                    left >>= 1;
                    square *= square;
                }
                if n < 0 { 1.0 / power } else { power }
            }
        }
    };
}

exact!(f32, libm::roundf, libm::rintf);
exact!(f64, libm::round, libm::rint);

#[cfg(test)]
mod tests {
    use super::*;

    /// Within three units in the last place of the platform's, which is a check of another kind.
    #[test]
    fn they_are_the_functions_of_their_names() {
        let close = |name: &str, x: f64, found: f64, wanted: f64| {
            let unit = (wanted.abs() * f64::EPSILON).max(f64::MIN_POSITIVE);
            assert!((found - wanted).abs() <= 3.0 * unit || found == wanted, "{name} {x}: {found:e} for {wanted:e}");
        };
        for i in -2000..=2000 {
            let x = f64::from(i) * 0.0173;
            close("exp", x, exp(x), x.exp());
            close("exp_m1", x, exp_m1(x), x.exp_m1());
            close("tanh", x, tanh(x), x.tanh());
            close("sin", x, sin(x), x.sin());
            close("cos", x, cos(x), x.cos());
            let positive = x.abs() + 1e-3;
            close("ln", positive, ln(positive), positive.ln());
            close("ln_1p", positive, ln_1p(positive), positive.ln_1p());
            close("log10", positive, log10(positive), positive.log10());
            close("pow", positive, pow(positive, 0.37 * x), positive.powf(0.37 * x));
            close("cbrt", x, cbrt(x), x.cbrt());
            close("hypot", x, hypot(x, 3.1), x.hypot(3.1));
            close("atan2", x, atan2(x, -0.7), x.atan2(-0.7));
        }
    }

    #[test]
    fn the_known_values() {
        assert_eq!([exp(0.0), ln(1.0), cos(0.0), pow(0.999, 0.0)], [1.0, 0.0, 1.0, 1.0]);
        assert_eq!([sin(0.0), tanh(0.0), exp_m1(0.0), ln_1p(0.0)], [0.0; 4]);
        assert_eq!([exp(f64::NEG_INFINITY), tanh(f64::INFINITY), ln(0.0)], [0.0, 1.0, f64::NEG_INFINITY]);
        // Whole powers of ten, from which axes and decimals are counted.
        for k in -22..=22 {
            assert_eq!(power_of_ten(k), format!("1e{k}").parse().unwrap());
        }
        for k in -10..=15 {
            assert_eq!(log10(power_of_ten(k)), f64::from(k));
        }
        assert_eq!([power_of_ten(400), power_of_ten(-400)], [f64::INFINITY, 0.0]);
        // Within one unit in the last place: `libm` promises no more of its exponential, whose e is one above the nearest.
        assert!(exp(1.0).to_bits().abs_diff(std::f64::consts::E.to_bits()) <= 1);
        assert_eq!(ln(2.0).to_bits(), std::f64::consts::LN_2.to_bits());
    }
}
