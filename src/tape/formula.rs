//! What a rule does at a ReLU, element by element, where that is one of the formulas that execution plans carry out at a convolution's load.

use cardiograd_kernels::Real;

/// Below this |Δx| a chord has no slope of its own and the derivative stands for it.
const NEAR: f64 = 1e-10;

/// What becomes of a gradient g at y = max(x, 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReluFormula {
    /// g where x > 0: the derivative.
    Derivative,
    /// max(g, 0).
    Positive,
    /// max(g, 0) where x > 0.
    PositiveDerivative,
    /// g · Δy / Δx against the reference run; the derivative where |Δx| < 1e-10.
    Chord,
}

impl ReluFormula {
    /// The formula at one unit, with input `x` and, in the reference run, `x0`.
    pub(super) fn value<T: Real>(self, g: T, x: T, x0: T) -> T {
        let positive = |v: T| if v > T::ZERO { v } else { T::ZERO };
        let derivative = |g: T| if x > T::ZERO { g } else { T::ZERO };
        match self {
            ReluFormula::Derivative => derivative(g),
            ReluFormula::Positive => positive(g),
            ReluFormula::PositiveDerivative => derivative(positive(g)),
            ReluFormula::Chord => {
                let dx = x - x0;
                if dx.abs() < T::of(NEAR) { derivative(g) } else { g * ((positive(x) - positive(x0)) / dx) }
            }
        }
    }
}
