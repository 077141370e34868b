//! x where x > 0, else α (eˣ − 1) (Clevert et al. 2016).

use super::Piece;
use super::definitions::Elu;
use super::function::Function;
use crate::tape::Real;
use cardiograd_kernels::elementary;

impl Function for Elu {
    fn value<T: Real>(&self, x: T) -> T {
        if x > T::ZERO { x } else { T::of(self.alpha * elementary::exp_m1(x.f64())) }
    }

    fn slope<T: Real>(&self, x: T) -> T {
        if x > T::ZERO { T::ONE } else { T::of(self.alpha) * T::exp(x) }
    }

    fn defined(&self, x: f64) -> f64 {
        if x > 0.0 { x } else { self.alpha * (elementary::exp(x) - 1.0) }
    }

    fn formula(&self) -> String {
        format!("y = x where x > 0, else {} · (eˣ − 1)", self.alpha)
    }

    fn settings(&self) -> String {
        format!("({})", self.alpha)
    }

    fn faults(&self) -> Vec<String> {
        if self.alpha.is_finite() { Vec::new() } else { vec![format!("alpha {}", self.alpha)] }
    }

    /// With α = 1 there is no kink.
    fn pieces(&self) -> Vec<Piece> {
        let kink = [Piece { up_to: 0.0, slope: None }, Piece { up_to: f64::INFINITY, slope: Some(1.0) }];
        if self.alpha == 1.0 { Vec::new() } else { kink.to_vec() }
    }
}
