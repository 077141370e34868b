//! λ x where x > 0, else λ α (eˣ − 1), with the λ and α of Klambauer et al. 2017.

use super::Piece;
use super::definitions::Selu;
use super::function::Function;
use crate::tape::Real;
use cardiograd_kernels::elementary;

const ALPHA: f64 = 1.673_263_242_354_377_2;
const LAMBDA: f64 = 1.050_700_987_355_480_5;

impl Function for Selu {
    fn value<T: Real>(&self, x: T) -> T {
        if x > T::ZERO { T::of(LAMBDA) * x } else { T::of(LAMBDA * ALPHA * elementary::exp_m1(x.f64())) }
    }

    fn slope<T: Real>(&self, x: T) -> T {
        if x > T::ZERO { T::of(LAMBDA) } else { T::of(LAMBDA * ALPHA) * T::exp(x) }
    }

    fn defined(&self, x: f64) -> f64 {
        LAMBDA * if x > 0.0 { x } else { ALPHA * (elementary::exp(x) - 1.0) }
    }

    fn formula(&self) -> String {
        format!("y = {LAMBDA:.6} · x where x > 0, else {:.6} · (eˣ − 1)", LAMBDA * ALPHA)
    }

    fn pieces(&self) -> Vec<Piece> {
        vec![Piece { up_to: 0.0, slope: None }, Piece { up_to: f64::INFINITY, slope: Some(LAMBDA) }]
    }
}
