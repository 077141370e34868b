//! A value that is given at run time.

use super::definitions::Input;
use super::{Arithmetic, Context, Element, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::{MOST_VALUES, shape_fault};
use crate::tape::{Real, Saved, Site, Tensor};

impl<T: Real> Arithmetic<T> for Input {
    fn forward(&self, _inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Err("is not computed".into())
    }

    fn vjp(&self, _site: &Site<'_, T>, _grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        Ok(Vec::new())
    }
}

impl OpDefinition for Input {
    fn class(&self) -> OpClass {
        OpClass::Source
    }

    fn arity(&self) -> (usize, usize) {
        (0, 0)
    }

    fn settings(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(|n| n.map_or("any".into(), |n| n.to_string())).collect();
        format!("({})", sizes.join(", "))
    }

    fn faults(&self) -> Vec<String> {
        let known: Vec<usize> = self.shape.iter().flatten().copied().collect();
        shape_fault(&format!("{:?}", self.shape), &known, MOST_VALUES).into_iter().collect()
    }

    fn shape(&self, _inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        Err("has no inputs".into())
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        "x, given".into()
    }

    fn element(&self, _inputs: &[Values<'_>], _shape: &[usize], _at: usize) -> Element {
        Element::term(f64::NAN)
    }
}
