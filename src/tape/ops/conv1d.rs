//! Convolution over time.

use super::definitions::Conv1d;
use super::{Arithmetic, Context, Element, Lowering, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};
use alloc::sync::Arc;
use cardiograd_kernels::{self as kernels, PreparedConv, batch_norm, conv1d};

impl Conv1d {
    /// The geometry for inputs of these shapes.
    fn geometry(&self, inputs: &[&[usize]]) -> Problem<kernels::Conv1d> {
        let (&[_, c_in, len_in], &[c_out, w_in, kernel]) = (inputs[0], inputs[1]) else {
            return Err(format!("input {:?} or weight {:?} is not of three axes", inputs[0], inputs[1]));
        };
        if w_in != c_in {
            return Err(format!("the weight takes {w_in} channels, the input has {c_in}"));
        }
        if let Some(bias) = inputs.get(2).filter(|bias| **bias != [c_out]) {
            return Err(format!("the bias has shape {bias:?}, expected [{c_out}]"));
        }
        let Conv1d { stride, dilation, padding } = *self;
        let conv = kernels::Conv1d { c_in, c_out, len_in, kernel, stride, dilation, pad_left: padding.0, pad_right: padding.1 };
        let span = kernel.checked_sub(1).and_then(|gaps| gaps.checked_mul(dilation));
        let padded = len_in.checked_add(padding.0).and_then(|len| len.checked_add(padding.1));
        match (span, padded) {
            (Some(span), Some(padded)) if span < padded && stride > 0 => Ok(conv),
            _ => Err(format!("{len_in} samples with padding {}+{} are shorter than the kernel of {kernel}", padding.0, padding.1)),
        }
    }
}

/// The weights made ready: from the network's in evaluation, afresh in training.
fn prepared<T: Real>(conv: &kernels::Conv1d, weight: &Tensor<T>, context: &Context<'_, T>) -> Arc<PreparedConv<T>> {
    match context.cache {
        Some(ready) => ready.convolution(conv, weight),
        None => Arc::new(PreparedConv::new(*conv, slice(weight))),
    }
}

impl<T: Real> Arithmetic<T> for Conv1d {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape()).collect();
        let conv = self.geometry(&shapes)?;
        let batch = shape[0];
        let mut y = vec![T::ZERO; batch * conv.output_size()];
        prepared(&conv, inputs[1], context).forward(batch, slice(inputs[0]), inputs.get(2).map(|bias| slice(bias)), &mut y);
        Ok((from_vec(shape, y), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let shapes: Vec<&[usize]> = site.inputs.iter().map(|input| input.shape()).collect();
        let conv = self.geometry(&shapes).map_err(|problem| site.error(problem))?;
        let (x, weight) = (site.inputs[0], site.inputs[1]);
        let batch = x.shape()[0];
        let gx = site.needs[0].then(|| {
            let mut gx = vec![T::ZERO; x.len()];
            prepared(&conv, weight, site.context).grad_input(batch, slice(grad), &mut gx);
            from_vec(x.shape(), gx)
        });
        let gw = site.needs[1].then(|| {
            let mut gw = vec![T::ZERO; weight.len()];
            conv1d::grad_weight(&conv, batch, slice(x), slice(grad), &mut gw);
            from_vec(weight.shape(), gw)
        });
        let mut all = vec![gx, gw];
        if let Some(need) = site.needs.get(2) {
            // Over batch and time of each channel, in f64.
            let sums = || batch_norm::channel_sums(grad.shape()[1], grad.shape()[2], slice(grad)).into_iter().map(T::of).collect();
            all.push(need.then(|| from_vec(&[conv.c_out], sums())));
        }
        Ok(all)
    }
}

impl OpDefinition for Conv1d {
    fn class(&self) -> OpClass {
        OpClass::Convolution
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn signals(&self, _inputs: usize) -> usize {
        1
    }

    fn scales_by_output(&self) -> bool {
        true
    }

    fn settings(&self) -> String {
        format!("(stride {}, dilation {}, padding {}+{})", self.stride, self.dilation, self.padding.0, self.padding.1)
    }

    fn faults(&self) -> Vec<String> {
        let steps =
            [("stride", self.stride, 1), ("dilation", self.dilation, 1), ("padding", self.padding.0, 0), ("padding", self.padding.1, 0)];
        steps.into_iter().filter_map(|(what, value, least)| step_fault(what, value, least)).collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        self.geometry(inputs).map(|conv| vec![inputs[0][0], conv.c_out, conv.len_out()])
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        let Conv1d { stride, dilation, padding } = *self;
        let (c_in, taps) = (inputs[1][1], inputs[1][2]);
        let at = match (stride, dilation) {
            (1, 1) => "t + j".to_owned(),
            (stride, 1) => format!("{stride}t + j"),
            (1, dilation) => format!("t + {dilation}j"),
            (stride, dilation) => format!("{stride}t + {dilation}j"),
        };
        let at = if padding.0 == 0 { at } else { format!("{at} − {}", padding.0) };
        let zeros = if padding == (0, 0) { String::new() } else { format!("; {} zeros before x, {} behind", padding.0, padding.1) };
        let bias = if inputs.len() > 2 { " + b[o]" } else { "" };
        format!("y[o,t] = Σ(i < {c_in}) Σ(j < {taps}) w[o,i,j] · x[i, {at}]{bias}{zeros}")
    }

    fn letters(&self) -> &'static [&'static str] {
        &["w", "b"]
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (x, w) = (inputs[0], inputs[1]);
        let (c_in, len, c_out, taps) = (x.shape[1], x.shape[2], w.shape[0], w.shape[2]);
        let (n, o, t) = (at / (shape[1] * shape[2]), at / shape[2] % c_out, at % shape[2]);
        let mut sum = inputs.get(2).map_or(0.0, |bias| bias.data[o]);
        let mut scale = sum.abs();
        for i in 0..c_in {
            for j in 0..taps {
                let place = (t * self.stride + j * self.dilation).checked_sub(self.padding.0).filter(|place| *place < len);
                let Some(place) = place else { continue };
                let term = w.data[(o * c_in + i) * taps + j] * x.data[(n * c_in + i) * len + place];
                sum += term;
                scale += term.abs();
            }
        }
        // An FFT's error goes with the size of the whole row, not with the terms of one point.
        let row = x.data[n * c_in * len..(n + 1) * c_in * len].iter().fold(0.0f64, |most, v| most.max(v.abs()));
        let weight = w.data[o * c_in * taps..(o + 1) * c_in * taps].iter().map(|v| v.abs()).sum::<f64>();
        Element::of_scale(sum, scale.max(row * weight))
    }

    fn lowering(&self, _inputs: &[&[usize]]) -> Option<Lowering> {
        Some(Lowering::Convolution { stride: self.stride, dilation: self.dilation, padding: self.padding })
    }
}
