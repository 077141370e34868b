//! Inputs joined along the channel axis.

use super::definitions::Concat;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};

impl<T: Real> Arithmetic<T> for Concat {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let mut out = Vec::with_capacity(shape.iter().product());
        for n in 0..shape[0] {
            for input in inputs {
                let size = input.len() / shape[0];
                out.extend_from_slice(&slice(input)[n * size..(n + 1) * size]);
            }
        }
        Ok((from_vec(shape, out), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let batch = grad.shape()[0];
        let row = grad.len() / batch.max(1);
        let mut from = 0;
        let mut all = Vec::with_capacity(site.inputs.len());
        for (input, need) in site.inputs.iter().zip(&site.needs) {
            let size = input.len() / batch.max(1);
            let part = || (0..batch).flat_map(|n| slice(grad)[n * row + from..][..size].iter().copied()).collect();
            all.push(need.then(|| from_vec(input.shape(), part())));
            from += size;
        }
        Ok(all)
    }
}

impl OpDefinition for Concat {
    fn class(&self) -> OpClass {
        OpClass::Movement
    }

    fn arity(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        let first = inputs[0];
        let alike = |other: &&[usize]| other.len() == first.len() && first.len() >= 2 && other[0] == first[0] && other[2..] == first[2..];
        if !inputs.iter().all(alike) {
            return Err(format!("its inputs have shapes {inputs:?}, which differ beyond the channels"));
        }
        let mut shape = first.to_vec();
        let channels = inputs.iter().try_fold(0usize, |sum, input| sum.checked_add(input[1]));
        shape[1] = channels.ok_or_else(|| format!("its inputs have shapes {inputs:?}, too many channels"))?;
        Ok(shape)
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        format!("y = {} signals joined along the channels", inputs.len())
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let size: usize = shape[1..].iter().product();
        let (n, mut rest) = (at / size, at % size);
        for input in inputs {
            let own = input.data.len() / shape[0];
            if rest < own {
                return Element::term(input.data[n * own + rest]);
            }
            rest -= own;
        }
        Element::of_scale(f64::NAN, 1.0)
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
