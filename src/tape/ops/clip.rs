//! min(max(x, low), high); ReLU6 is that of 0 and 6.

use super::Piece;
use super::definitions::Clip;
use super::function::Function;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::Real;

impl Function for Clip {
    fn value<T: Real>(&self, x: T) -> T {
        let (low, high) = (T::of(self.low), T::of(self.high));
        // Written so that NaN passes.
        if x <= low {
            low
        } else if x > high {
            high
        } else {
            x
        }
    }

    fn slope<T: Real>(&self, x: T) -> T {
        if x > T::of(self.low) && x <= T::of(self.high) { T::ONE } else { T::ZERO }
    }

    fn defined(&self, x: f64) -> f64 {
        x.max(self.low).min(self.high)
    }

    fn formula(&self) -> String {
        format!("y = min(max(x, {}), {})", self.low, self.high)
    }

    fn settings(&self) -> String {
        format!("({}, {})", self.low, self.high)
    }

    fn faults(&self) -> Vec<String> {
        let sound = self.low.is_finite() && self.high.is_finite() && self.low <= self.high;
        if sound { Vec::new() } else { vec![format!("low {}, high {}", self.low, self.high)] }
    }

    fn pieces(&self) -> Vec<Piece> {
        let piece = |up_to, slope| Piece { up_to, slope: Some(slope) };
        vec![piece(self.low, 0.0), piece(self.high, 1.0), piece(f64::INFINITY, 0.0)]
    }
}
