//! The two rules that change how gradients pass a ReLU.

use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, ReluFormula, Rule, Site, Tensor, from_vec, slice};

/// R = max(g, 0): the forward sign is ignored (Zeiler & Fergus 2014, section 2.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Deconvolution;

/// R = max(g, 0) where the forward input was > 0, else 0 (Springenberg et al. 2015, section 3.4).
#[derive(Clone, Copy, Debug, Default)]
pub struct GuidedBackprop;

/// max(g, 0), NaN where g is.
fn positive<T: Real>(g: T) -> T {
    if g <= T::ZERO { T::ZERO } else { g }
}

impl<T: Real> Rule<T> for Deconvolution {
    fn propagate(&self, _site: &Site<'_, T>, grad_out: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let positive = slice(grad_out).iter().map(|g| positive(*g));
        Ok(vec![Some(from_vec(grad_out.shape(), positive.collect()))])
    }

    fn name(&self) -> &str {
        "deconvolution"
    }

    fn at_relu(&self) -> Option<ReluFormula> {
        Some(ReluFormula::Positive)
    }
}

impl<T: Real> Rule<T> for GuidedBackprop {
    fn propagate(&self, site: &Site<'_, T>, grad_out: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let pairs = slice(grad_out).iter().zip(slice(site.inputs[0]));
        let guided = pairs.map(|(g, x)| if *x > T::ZERO { positive(*g) } else { T::ZERO });
        Ok(vec![Some(from_vec(grad_out.shape(), guided.collect()))])
    }

    fn name(&self) -> &str {
        "guided_backprop"
    }

    fn at_relu(&self) -> Option<ReluFormula> {
        Some(ReluFormula::PositiveDerivative)
    }
}
