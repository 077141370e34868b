//! Axes in another order; the batch stays first.

use super::definitions::Transpose;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Saved, Site, Tensor};
use ndarray::{ArrayView, IxDyn};

impl Transpose {
    /// All axes, the batch's among them.
    fn order(&self) -> Vec<usize> {
        core::iter::once(0).chain(self.axes.iter().copied()).collect()
    }
}

/// The axes of a tensor in this order, in standard layout.
fn permuted<T: Real>(x: &Tensor<T>, order: &[usize]) -> Tensor<T> {
    x.view().permuted_axes(IxDyn(order)).as_standard_layout().into_owned().into_shared()
}

impl<T: Real> Arithmetic<T> for Transpose {
    fn forward(&self, inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((permuted(inputs[0], &self.order()), Saved::Nothing))
    }

    fn vjp(&self, _site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let order = self.order();
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, from)| back[*from] = to);
        Ok(vec![Some(permuted(grad, &back))])
    }
}

impl OpDefinition for Transpose {
    fn class(&self) -> OpClass {
        OpClass::Movement
    }

    fn settings(&self) -> String {
        format!("({:?})", self.axes)
    }

    fn faults(&self) -> Vec<String> {
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        let each_once = sorted.iter().copied().eq(1..=sorted.len());
        if each_once { Vec::new() } else { vec![format!("axes {:?}: each behind the batch is needed once, as [2, 1]", self.axes)] }
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        if inputs[0].len() != self.axes.len() + 1 {
            return Err(format!("its input has shape {:?}, it puts {} axes behind the batch in order", inputs[0], self.axes.len()));
        }
        Ok(self.order().into_iter().map(|axis| inputs[0][axis]).collect())
    }

    fn formula(&self, _inputs: &[&[usize]]) -> String {
        format!("y = x with its axes in the order {:?}", self.axes)
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let view = ArrayView::from_shape(IxDyn(inputs[0].shape), inputs[0].data);
        let (mut index, mut rest) = (vec![0; shape.len()], at);
        for (axis, size) in shape.iter().enumerate().rev() {
            index[self.order()[axis]] = rest % size;
            rest /= size;
        }
        Element::term(view.ok().and_then(|view| view.get(IxDyn(&index)).copied()).unwrap_or(f64::NAN))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Own)
    }
}
