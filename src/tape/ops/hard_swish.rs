//! x · min(max(x + 3, 0), 6) / 6 (Howard et al. 2019).

use super::Piece;
use super::definitions::HardSwish;
use super::function::Function;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::Real;

impl Function for HardSwish {
    fn value<T: Real>(&self, x: T) -> T {
        let (three, six) = (T::of(3.0), T::of(6.0));
        // Written so that NaN passes.
        if x <= -three {
            T::ZERO
        } else if x > three {
            x
        } else {
            x * (x + three) / six
        }
    }

    fn slope<T: Real>(&self, x: T) -> T {
        let three = T::of(3.0);
        if x <= -three {
            T::ZERO
        } else if x > three {
            T::ONE
        } else {
            x / three + T::of(0.5)
        }
    }

    fn defined(&self, x: f64) -> f64 {
        x * (x + 3.0).clamp(0.0, 6.0) / 6.0
    }

    fn formula(&self) -> String {
        "y = x · min(max(x + 3, 0), 6) / 6".into()
    }

    fn pieces(&self) -> Vec<Piece> {
        let piece = |up_to, slope| Piece { up_to, slope };
        vec![piece(-3.0, Some(0.0)), piece(3.0, None), piece(f64::INFINITY, Some(1.0))]
    }
}
