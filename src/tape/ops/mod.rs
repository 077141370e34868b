//! The arithmetic of the ops: for each, output shape, forward, and vector–Jacobian product. Values only; no op knows a method.

mod conv;
mod elementwise;
mod linear;
mod norm;
mod pool;
mod shape;

use crate::Result;
use crate::tape::{Mode, Op, Real, Saved, Site, Tensor};

pub(crate) use conv::ConvCache;

/// How ops run: the mode, and weights made ready in earlier runs of the same network.
pub(crate) struct Context<'a, T: Real> {
    pub mode: Mode,
    pub cache: Option<&'a ConvCache<T>>,
}

impl<T: Real> Context<'_, T> {
    /// Evaluation without a cache.
    pub fn evaluation() -> Self {
        Context { mode: Mode::Evaluation, cache: None }
    }
}

/// An op's problem with its inputs; the caller adds the node's name.
pub(crate) type Problem<T> = std::result::Result<T, String>;

impl Op {
    /// The shape of the output for inputs of these shapes.
    pub(crate) fn output_shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        match self {
            Op::Input { .. } | Op::Parameter { .. } => Err("has no inputs".into()),
            Op::Conv1d { .. } => conv::geometry(self, inputs).map(|conv| vec![inputs[0][0], conv.c_out, conv.len_out()]),
            Op::BatchNorm { .. } => norm::shape(inputs),
            Op::Relu | Op::LeakyRelu { .. } | Op::Tanh | Op::Sigmoid => Ok(inputs[0].to_vec()),
            Op::Add | Op::Multiply => elementwise::equal_shapes(inputs),
            Op::AvgPool1d { window, stride } | Op::MaxPool1d { window, stride } => pool::shape(inputs[0], *window, *stride),
            Op::GlobalAvgPool => pool::global_shape(inputs[0]),
            Op::Linear => linear::shape(inputs),
            Op::Concat => shape::concat_shape(inputs),
            Op::Upsample { factor } => shape::upsample_shape(inputs[0], *factor),
            Op::Interleave { factor } => shape::interleave_shape(inputs[0], *factor),
            Op::Flatten => shape::flatten_shape(inputs[0]),
        }
    }
}

/// The op's value.
pub(crate) fn forward<T: Real>(op: &Op, inputs: &[&Tensor<T>], context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
    let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape()).collect();
    let shape = op.output_shape(&shapes)?;
    let value = match op {
        Op::Input { .. } | Op::Parameter { .. } => return Err("is not computed".into()),
        Op::BatchNorm { eps, .. } => return Ok(norm::forward(*eps, inputs, context.mode)),
        Op::MaxPool1d { window, stride } => return Ok(pool::max(*window, *stride, inputs[0], &shape)),
        Op::Conv1d { .. } => conv::forward(&conv::geometry(op, &shapes)?, inputs, context),
        // Written so that NaN passes and is seen at the output.
        Op::Relu => elementwise::map(inputs[0], |x| if x <= T::ZERO { T::ZERO } else { x }),
        Op::LeakyRelu { slope } => {
            let slope = T::of(*slope);
            elementwise::map(inputs[0], |x| if x > T::ZERO { x } else { slope * x })
        }
        Op::Tanh => elementwise::map(inputs[0], T::tanh),
        Op::Sigmoid => elementwise::map(inputs[0], elementwise::sigmoid),
        Op::Add => elementwise::zip(inputs[0], inputs[1], |a, b| a + b),
        Op::Multiply => elementwise::zip(inputs[0], inputs[1], |a, b| a * b),
        Op::AvgPool1d { window, stride } => pool::average(*window, *stride, inputs[0], &shape),
        Op::GlobalAvgPool => pool::global(inputs[0], &shape),
        Op::Linear => linear::forward(inputs, &shape),
        Op::Concat => shape::concat(inputs, &shape),
        Op::Upsample { factor } => shape::upsample(inputs[0], *factor, &shape),
        Op::Interleave { factor } => shape::interleave(inputs[0], *factor, &shape),
        Op::Flatten => shape::reshape(inputs[0], &shape),
    };
    Ok((value, Saved::Nothing))
}

/// The op's vector–Jacobian product: what each needed input receives.
pub(crate) fn vjp<T: Real>(site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
    let x = site.inputs[0];
    let only = |value: Tensor<T>| Ok(vec![Some(value)]);
    match site.op() {
        Op::Input { .. } | Op::Parameter { .. } => Ok(Vec::new()),
        Op::Conv1d { .. } => conv::vjp(site, grad),
        Op::BatchNorm { eps, .. } => Ok(norm::vjp(*eps, site, grad)),
        Op::Relu => only(elementwise::zip(grad, x, |g, x| if x > T::ZERO { g } else { T::ZERO })),
        Op::LeakyRelu { slope } => {
            let slope = T::of(*slope);
            only(elementwise::zip(grad, x, |g, x| if x > T::ZERO { g } else { slope * g }))
        }
        Op::Tanh => only(elementwise::zip(grad, site.output, |g, y| g * (T::ONE - y * y))),
        Op::Sigmoid => only(elementwise::zip(grad, site.output, |g, y| g * y * (T::ONE - y))),
        Op::Add => Ok(site.needs.iter().map(|need| need.then(|| grad.clone())).collect()),
        Op::Multiply => {
            let other = |at: usize| elementwise::zip(grad, site.inputs[1 - at], |g, v| g * v);
            Ok((0..2).map(|at| site.needs[at].then(|| other(at))).collect())
        }
        Op::AvgPool1d { window, stride } => only(pool::average_grad(*window, *stride, grad, x.shape())),
        Op::MaxPool1d { .. } => {
            let (at, _) = site.argmax().ok_or_else(|| site.error("no record of its maxima"))?;
            only(pool::max_grad(at, grad, x.shape()))
        }
        Op::GlobalAvgPool => only(pool::global_grad(grad, x.shape())),
        Op::Linear => Ok(linear::vjp(site, grad)),
        Op::Concat => Ok(shape::concat_grad(site, grad)),
        Op::Upsample { factor } => only(shape::upsample_grad(*factor, grad, x.shape())),
        Op::Interleave { factor } => only(shape::deinterleave(grad, *factor, x.shape())),
        Op::Flatten => only(shape::reshape(grad, x.shape())),
    }
}
