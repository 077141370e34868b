//! ln(1 + e^(βx)) / β.

use super::definitions::Softplus;
use super::elementwise::sigmoid;
use super::function::Function;
use crate::tape::Real;
use cardiograd_kernels::elementary;

impl Function for Softplus {
    /// Without overflow on either side.
    fn value<T: Real>(&self, x: T) -> T {
        let x = x.f64();
        let bend = elementary::ln_1p(elementary::exp(-(self.beta * x).abs())) / self.beta;
        T::of(if x < 0.0 { bend } else { x + bend })
    }

    fn slope<T: Real>(&self, x: T) -> T {
        sigmoid(T::of(self.beta) * x)
    }

    fn defined(&self, x: f64) -> f64 {
        let z = self.beta * x;
        if z > 700.0 { x } else { elementary::ln(1.0 + elementary::exp(z)) / self.beta }
    }

    fn formula(&self) -> String {
        format!("y = ln(1 + e^({0}x)) / {0}", self.beta)
    }

    fn settings(&self) -> String {
        format!("({})", self.beta)
    }

    fn faults(&self) -> Vec<String> {
        if self.beta > 0.0 && self.beta.is_finite() { Vec::new() } else { vec![format!("beta {}, a number above 0 is needed", self.beta)] }
    }
}
