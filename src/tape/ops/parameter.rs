//! A value that comes with the network.

use super::definitions::Parameter;
use super::{Arithmetic, Context, Element, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::{MOST_PARAMETERS, shape_fault};
use crate::tape::{Real, Saved, Site, Tensor};

impl<T: Real> Arithmetic<T> for Parameter {
    fn forward(&self, _inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Err("is not computed".into())
    }

    fn vjp(&self, _site: &Site<'_, T>, _grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(Vec::new())
    }
}

impl OpDefinition for Parameter {
    fn class(&self) -> OpClass {
        OpClass::Source
    }

    fn arity(&self) -> (usize, usize) {
        (0, 0)
    }

    fn settings(&self) -> String {
        format!("{:?}{}", self.shape, if self.trainable { "" } else { " fixed" })
    }

    fn faults(&self) -> Vec<String> {
        shape_fault(&format!("{:?}", self.shape), &self.shape, MOST_PARAMETERS).into_iter().collect()
    }

    fn shape(&self, _inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        Err("has no inputs".into())
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        if self.trainable { "trained" } else { "fixed" }.into()
    }

    fn element(&self, _inputs: &[Values<'_>], _shape: &[usize], _at: usize) -> Element {
        Element::term(f64::NAN)
    }
}
