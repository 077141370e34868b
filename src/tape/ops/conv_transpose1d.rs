//! Transposed convolution: the adjoint of a convolution, from its output's length to its input's.

use super::definitions::ConvTranspose1d;
use super::{Arithmetic, Context, Element, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};
use cardiograd_kernels::{Conv1d, PreparedConv, batch_norm, conv1d};

impl ConvTranspose1d {
    /// The convolution that this is the adjoint of: it reads this one's output.
    fn convolution(&self, inputs: &[&[usize]]) -> Problem<Conv1d> {
        let (&[_, c_in, len], &[w_in, c_out, kernel]) = (inputs[0], inputs[1]) else {
            return Err(format!("input {:?} or weight {:?} is not of three axes", inputs[0], inputs[1]));
        };
        if w_in != c_in {
            return Err(format!("the weight takes {w_in} channels, the input has {c_in}"));
        }
        if let Some(bias) = inputs.get(2).filter(|bias| **bias != [c_out]) {
            return Err(format!("the bias has shape {bias:?}, expected [{c_out}]"));
        }
        let span = kernel.checked_sub(1).and_then(|gaps| gaps.checked_mul(self.dilation));
        let whole = len.checked_sub(1).and_then(|steps| steps.checked_mul(self.stride)).zip(span);
        let whole = whole.and_then(|(steps, span)| steps.checked_add(span)?.checked_add(self.extra)?.checked_add(1));
        let len_in = whole.and_then(|whole| whole.checked_sub(self.padding.0)?.checked_sub(self.padding.1)).filter(|len| *len > 0);
        let len_in =
            len_in.ok_or_else(|| format!("{len} samples less padding {}+{} leave none, or too many", self.padding.0, self.padding.1))?;
        let (pad_left, pad_right) = self.padding;
        let conv = Conv1d { c_in: c_out, c_out: c_in, len_in, kernel, stride: self.stride, dilation: self.dilation, pad_left, pad_right };
        // More zeros at the end than a step would make the convolution longer than the input here.
        if self.extra >= self.stride { Err(format!("extra {} is not less than stride {}", self.extra, self.stride)) } else { Ok(conv) }
    }
}

impl<T: Real> Arithmetic<T> for ConvTranspose1d {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape()).collect();
        let conv = self.convolution(&shapes)?;
        let mut y = vec![T::ZERO; shape.iter().product()];
        PreparedConv::new(conv, slice(inputs[1])).grad_input(shape[0], slice(inputs[0]), &mut y);
        if let Some(bias) = inputs.get(2) {
            let rows = y.chunks_mut(shape[2]).zip(slice(bias).iter().cycle());
            rows.for_each(|(row, bias)| row.iter_mut().for_each(|v| *v += *bias));
        }
        Ok((from_vec(shape, y), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let shapes: Vec<&[usize]> = site.inputs.iter().map(|input| input.shape()).collect();
        let conv = self.convolution(&shapes).map_err(|problem| site.error(problem))?;
        let (x, weight, batch) = (site.inputs[0], site.inputs[1], grad.shape()[0]);
        let gx = || {
            let mut gx = vec![T::ZERO; x.len()];
            PreparedConv::new(conv, slice(weight)).forward(batch, slice(grad), None, &mut gx);
            from_vec(x.shape(), gx)
        };
        let gw = || {
            let mut gw = vec![T::ZERO; weight.len()];
            conv1d::grad_weight(&conv, batch, slice(grad), slice(x), &mut gw);
            from_vec(weight.shape(), gw)
        };
        let gb = || {
            let sums = batch_norm::channel_sums(grad.shape()[1], grad.shape()[2], slice(grad));
            from_vec(&[conv.c_in], sums.into_iter().map(T::of).collect())
        };
        let mut all = vec![site.needs[0].then(gx), site.needs[1].then(gw)];
        all.extend(site.needs.get(2).map(|need| need.then(gb)));
        Ok(all)
    }
}

impl OpDefinition for ConvTranspose1d {
    fn class(&self) -> OpClass {
        OpClass::Convolution
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn signals(&self, _inputs: usize) -> usize {
        1
    }

    fn settings(&self) -> String {
        let ConvTranspose1d { stride, dilation, padding, extra } = self;
        format!("(stride {stride}, dilation {dilation}, padding {}+{}, extra {extra})", padding.0, padding.1)
    }

    fn faults(&self) -> Vec<String> {
        let padding = [("padding", self.padding.0, 0), ("padding", self.padding.1, 0), ("extra", self.extra, 0)];
        let steps = [("stride", self.stride, 1), ("dilation", self.dilation, 1)];
        steps.into_iter().chain(padding).filter_map(|(what, value, least)| step_fault(what, value, least)).collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        self.convolution(inputs).map(|conv| vec![inputs[0][0], conv.c_in, conv.len_in])
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        let bias = if inputs.len() > 2 { " + b[o]" } else { "" };
        let ConvTranspose1d { stride, dilation, padding, .. } = self;
        format!("y[o, {stride}t + {dilation}j − {}] = Σ(i < {}) Σ(j < {}) w[i,o,j] · x[i,t]{bias}", padding.0, inputs[1][0], inputs[1][2])
    }

    fn letters(&self) -> &'static [&'static str] {
        &["w", "b"]
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (x, w) = (inputs[0], inputs[1]);
        let (n, o, s) = (at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]);
        let term = |(i, j): (usize, usize)| {
            let steps = (s + self.padding.0).checked_sub(j * self.dilation).filter(|steps| steps % self.stride == 0)?;
            let t = Some(steps / self.stride).filter(|t| *t < x.shape[2])?;
            Some(w.data[(i * w.shape[1] + o) * w.shape[2] + j] * x.data[(n * x.shape[1] + i) * x.shape[2] + t])
        };
        let taps = (0..w.shape[0]).flat_map(|i| (0..w.shape[2]).map(move |j| (i, j)));
        let sum = Element::sum(taps.filter_map(term).chain(inputs.get(2).map(|bias| bias.data[o])));
        // An FFT's error goes with the size of the whole row, not with the terms of one point.
        let row = x.data[n * x.shape[1] * x.shape[2]..][..x.shape[1] * x.shape[2]].iter().fold(0.0f64, |most, v| most.max(v.abs()));
        let weight: f64 = w.data.chunks(w.shape[2]).skip(o).step_by(w.shape[1]).flatten().map(|v| v.abs()).sum();
        Element::of_scale(sum.value, sum.scale.max(row * weight))
    }
}
