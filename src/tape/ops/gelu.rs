//! x · Φ(x), Φ being the normal distribution function, or the approximation of it by tanh (Hendrycks & Gimpel 2016).

use super::definitions::Gelu;
use super::function::Function;
use crate::tape::Real;
use cardiograd_kernels::elementary;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The cubic term of the approximation.
const CUBIC: f64 = 0.044715;

/// erf x by the series 2/√π · e^(−x²) · x · Σ (2x²)ⁿ / (1·3·…·(2n + 1)), whose terms are all positive.
fn erf(x: f64) -> f64 {
    // Beyond 6 it is 1 in f64.
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    2.0 / PI.sqrt() * elementary::exp(-x * x) * sum
}

impl Gelu {
    /// The value's factor Φ(x) and its derivative.
    fn gate(&self, x: f64) -> (f64, f64) {
        if self.approximate {
            let factor = (2.0 / PI).sqrt();
            let tanh = elementary::tanh(factor * (x + CUBIC * x * x * x));
            return (0.5 * (1.0 + tanh), 0.5 * (1.0 - tanh * tanh) * factor * (1.0 + 3.0 * CUBIC * x * x));
        }
        (0.5 * (1.0 + erf(x * FRAC_1_SQRT_2)), elementary::exp(-0.5 * x * x) / (2.0 * PI).sqrt())
    }
}

impl Function for Gelu {
    fn value<T: Real>(&self, x: T) -> T {
        let x = x.f64();
        T::of(x * self.gate(x).0)
    }

    fn slope<T: Real>(&self, x: T) -> T {
        let x = x.f64();
        let (gate, slope) = self.gate(x);
        T::of(gate + x * slope)
    }

    /// Φ by Simpson's rule from the density; the approximation by exponentials.
    fn defined(&self, x: f64) -> f64 {
        if self.approximate {
            let z = 2.0 * (2.0 / PI).sqrt() * (x + CUBIC * x.powi(3));
            return x / (1.0 + elementary::exp(-z));
        }
        let (steps, end) = (20_000, x.clamp(-10.0, 10.0));
        let density = |t: f64| elementary::exp(-0.5 * t * t) / (2.0 * PI).sqrt();
        let weight = |at: usize| if at == 0 || at == steps { 1.0 } else { [2.0, 4.0][at % 2] };
        let sum: f64 = (0..=steps).map(|at| weight(at) * density(end * at as f64 / steps as f64)).sum();
        x * (0.5 + sum * end / (3 * steps) as f64)
    }

    fn formula(&self) -> String {
        if self.approximate { format!("y = x/2 · (1 + tanh(√(2/π) · (x + {CUBIC} x³)))") } else { "y = x · Φ(x)".into() }
    }

    fn settings(&self) -> String {
        if self.approximate { "(tanh)".into() } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn erf_is_the_tables() {
        // Abramowitz & Stegun, table 7.1.
        for (x, wanted) in
            [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0), (-1.0, -0.842_700_792_9), (7.0, 1.0)]
        {
            assert!((super::erf(x) - wanted).abs() < 1e-10, "{x}");
        }
        assert!(super::erf(f64::NAN).is_nan());
    }
}
