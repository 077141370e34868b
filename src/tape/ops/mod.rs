//! The ops, a file each: output shape, value, vector–Jacobian product, faults, class, formula, definition, and what a plan can do with it.
//! Values only; no op knows a method.

mod add;
#[cfg(feature = "files")]
mod attributes;
mod avg_pool1d;
mod batch_norm;
mod broadcast;
mod class;
mod clip;
mod concat;
mod conv1d;
mod conv_transpose1d;
mod crop;
mod custom;
mod definition;
mod divide;
mod elementwise;
mod elu;
mod flatten;
mod function;
mod gelu;
mod global_avg_pool;
mod global_max_pool;
mod group_norm;
mod grouped_conv1d;
mod gru;
mod hard_swish;
mod input;
mod instance_norm;
mod interleave;
mod layer_norm;
mod leaky_relu;
mod linear;
mod lines;
mod lstm;
mod matmul;
mod max_pool1d;
mod mean;
mod multiply;
mod pad;
mod padded_avg_pool1d;
mod padded_max_pool1d;
mod parameter;
mod prelu;
mod ready;
mod recurrent;
mod relu;
mod reshape;
mod selu;
mod sigmoid;
mod silu;
mod softmax;
mod softplus;
mod standardise;
mod subtract;
mod tanh;
mod transpose;
mod upsample;
mod windows;

#[cfg(not(feature = "std"))]
use crate::plain::*;
#[cfg(feature = "files")]
pub(crate) use attributes::{Attribute, Attributes};
pub(crate) use broadcast::sum_to;
pub use class::OpClass;
pub use custom::Custom;
pub use definition::{Arithmetic, Context, Element, Initial, Lowering, OpDefinition, Piece, Problem, Values};
pub(crate) use linear::dense;
pub(crate) use ready::Ready;

use super::op::definitions;
use crate::Result;
use crate::tape::{Op, Real, Saved, Site, Tensor};
use alloc::sync::Arc;
use core::any::Any;

/// An op's definition in one precision.
fn arithmetic<T: Real>(op: &Op) -> Arc<dyn Arithmetic<T>> {
    let definition = op.definition();
    let (single, double): (Arc<dyn Arithmetic<f32>>, Arc<dyn Arithmetic<f64>>) = (Arc::clone(&definition) as _, definition);
    let is = |any: &dyn Any| any.downcast_ref::<Arc<dyn Arithmetic<T>>>().cloned();
    is(&single).or_else(|| is(&double)).expect("a Real is f32 or f64")
}

/// The op's value.
pub(crate) fn forward<T: Real>(op: &Op, inputs: &[&Tensor<T>], context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
    let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape()).collect();
    let shape = op.output_shape(&shapes)?;
    let (value, saved) = arithmetic::<T>(op).forward(inputs, &shape, context)?;
    if value.shape() != shape || !value.is_standard_layout() {
        return Err(format!("it gave a value of shape {:?}, or not in standard layout; its shape is {shape:?}", value.shape()));
    }
    Ok((value, saved))
}

/// The op's vector–Jacobian product: what each needed input receives.
pub(crate) fn vjp<T: Real>(site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
    arithmetic::<T>(site.op()).vjp(site, grad)
}

/// What each needed input receives of a gradient between the run and the reference run, if the op has that in closed form.
pub(crate) fn secant<T: Real>(site: &Site<'_, T>, grad: &Tensor<T>) -> Option<Vec<Option<Tensor<T>>>> {
    arithmetic::<T>(site.op()).secant(site, grad)
}
