//! x / (1 + e⁻ˣ), also called swish (Ramachandran et al. 2017).

use super::definitions::Silu;
use super::elementwise::sigmoid;
use super::function::Function;
use crate::tape::Real;
use cardiograd_kernels::elementary;

impl Function for Silu {
    fn value<T: Real>(&self, x: T) -> T {
        x * sigmoid(x)
    }

    fn slope<T: Real>(&self, x: T) -> T {
        let open = sigmoid(x);
        open + x * open * (T::ONE - open)
    }

    fn defined(&self, x: f64) -> f64 {
        x / (1.0 + elementary::exp(-x))
    }

    fn formula(&self) -> String {
        "y = x / (1 + e⁻ˣ)".into()
    }
}
