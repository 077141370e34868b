//! Convolution in groups: each output channel reads the input channels of its own group alone. With as many groups as channels it is depthwise.

use super::definitions::GroupedConv1d;
use super::{Arithmetic, Context, Element, OpClass, OpDefinition, Problem, Values};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};
use cardiograd_kernels::parallel::prelude::*;

/// The sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    c_in: usize,
    len_in: usize,
    c_out: usize,
    len_out: usize,
    /// Input channels and output channels of a group.
    group: (usize, usize),
    taps: usize,
}

impl GroupedConv1d {
    fn sizes(&self, inputs: &[&[usize]]) -> Problem<Sizes> {
        let (&[_, c_in, len_in], &[c_out, group_in, taps]) = (inputs[0], inputs[1]) else {
            return Err(format!("input {:?} or weight {:?} is not of three axes", inputs[0], inputs[1]));
        };
        if c_in % self.groups != 0 || c_out % self.groups != 0 || c_in / self.groups != group_in {
            return Err(format!("a weight of shape {:?} does not fit {c_in} channels in {} groups", inputs[1], self.groups));
        }
        if let Some(bias) = inputs.get(2).filter(|bias| **bias != [c_out]) {
            return Err(format!("the bias has shape {bias:?}, expected [{c_out}]"));
        }
        let span = taps.checked_sub(1).and_then(|gaps| gaps.checked_mul(self.dilation));
        let padded = len_in.checked_add(self.padding.0).and_then(|len| len.checked_add(self.padding.1));
        let reach = padded.zip(span).and_then(|(padded, span)| padded.checked_sub(span)).filter(|reach| *reach > 0);
        let reach = reach.ok_or_else(|| {
            format!("{len_in} samples with padding {}+{} are shorter than the kernel of {taps}", self.padding.0, self.padding.1)
        })?;
        let len_out = reach.div_ceil(self.stride);
        Ok(Sizes { c_in, len_in, c_out, len_out, group: (group_in, c_out / self.groups), taps })
    }

    /// The outputs t that read a sample at tap j, and the sample that the first of them reads.
    fn reached(&self, sizes: &Sizes, j: usize) -> (core::ops::Range<usize>, usize) {
        let offset = j * self.dilation;
        let first = self.padding.0.saturating_sub(offset).div_ceil(self.stride);
        // t · stride + offset − padding < len_in
        let end = (sizes.len_in + self.padding.0).saturating_sub(offset).div_ceil(self.stride).min(sizes.len_out);
        (first.min(end)..end, (first * self.stride + offset).saturating_sub(self.padding.0))
    }
}

impl<T: Real> Arithmetic<T> for GroupedConv1d {
    fn forward(&self, inputs: &[&Tensor<T>], shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape()).collect();
        let s = self.sizes(&shapes)?;
        let (x, w, bias) = (slice(inputs[0]), slice(inputs[1]), inputs.get(2).map(|bias| slice(bias)));
        let mut y = vec![T::ZERO; shape.iter().product()];
        y.par_chunks_mut(s.len_out).enumerate().for_each(|(row, y)| {
            let (n, o) = (row / s.c_out, row % s.c_out);
            y.fill(bias.map_or(T::ZERO, |bias| bias[o]));
            for i in 0..s.group.0 {
                let x = &x[(n * s.c_in + o / s.group.1 * s.group.0 + i) * s.len_in..][..s.len_in];
                for (j, w) in w[(o * s.group.0 + i) * s.taps..][..s.taps].iter().enumerate() {
                    let (reached, from) = self.reached(&s, j);
                    let read = x.get(from..).unwrap_or_default().iter().step_by(self.stride);
                    y[reached].iter_mut().zip(read).for_each(|(y, x)| *y += *w * *x);
                }
            }
        });
        Ok((from_vec(shape, y), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let shapes: Vec<&[usize]> = site.inputs.iter().map(|input| input.shape()).collect();
        let s = self.sizes(&shapes).map_err(|problem| site.error(problem))?;
        let (x, w, g) = (slice(site.inputs[0]), slice(site.inputs[1]), slice(grad));
        let batch = grad.shape()[0];
        let gx = || {
            let mut gx = vec![T::ZERO; x.len()];
            gx.par_chunks_mut(s.len_in.max(1)).enumerate().for_each(|(row, gx)| {
                let (n, c) = (row / s.c_in, row % s.c_in);
                let (group, i) = (c / s.group.0, c % s.group.0);
                for o in group * s.group.1..(group + 1) * s.group.1 {
                    let g = &g[(n * s.c_out + o) * s.len_out..][..s.len_out];
                    for (j, w) in w[(o * s.group.0 + i) * s.taps..][..s.taps].iter().enumerate() {
                        let (reached, from) = self.reached(&s, j);
                        let Some(to) = gx.get_mut(from..) else { continue };
                        to.iter_mut().step_by(self.stride).zip(&g[reached]).for_each(|(gx, g)| *gx += *w * *g);
                    }
                }
            });
            from_vec(site.inputs[0].shape(), gx)
        };
        let gw = || {
            let weight = |at: usize| {
                let (o, i, j) = (at / (s.group.0 * s.taps), at / s.taps % s.group.0, at % s.taps);
                let (reached, from) = self.reached(&s, j);
                let sum = |n: usize| {
                    let x = &x[(n * s.c_in + o / s.group.1 * s.group.0 + i) * s.len_in..][..s.len_in];
                    let g = &g[(n * s.c_out + o) * s.len_out..][reached.clone()];
                    x.get(from..).unwrap_or_default().iter().step_by(self.stride).zip(g).map(|(x, g)| x.f64() * g.f64()).sum::<f64>()
                };
                T::of((0..batch).map(sum).sum())
            };
            from_vec(site.inputs[1].shape(), (0..w.len()).into_par_iter().map(weight).collect())
        };
        let gb = || {
            let sum = |o: usize| (0..batch).flat_map(|n| &g[(n * s.c_out + o) * s.len_out..][..s.len_out]).map(|g| g.f64()).sum::<f64>();
            from_vec(&[s.c_out], (0..s.c_out).map(|o| T::of(sum(o))).collect())
        };
        let mut all = vec![site.needs[0].then(gx), site.needs[1].then(gw)];
        all.extend(site.needs.get(2).map(|need| need.then(gb)));
        Ok(all)
    }
}

impl OpDefinition for GroupedConv1d {
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
        let GroupedConv1d { groups, stride, dilation, padding } = self;
        format!("({groups} groups, stride {stride}, dilation {dilation}, padding {}+{})", padding.0, padding.1)
    }

    fn faults(&self) -> Vec<String> {
        let padding = [("padding", self.padding.0, 0), ("padding", self.padding.1, 0)];
        let steps = [("groups", self.groups, 1), ("stride", self.stride, 1), ("dilation", self.dilation, 1)];
        steps.into_iter().chain(padding).filter_map(|(what, value, least)| step_fault(what, value, least)).collect()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        self.sizes(inputs).map(|sizes| vec![inputs[0][0], sizes.c_out, sizes.len_out])
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        let (channels, taps) = (inputs[1][1], inputs[1][2]);
        let bias = if inputs.len() > 2 { " + b[o]" } else { "" };
        let GroupedConv1d { groups, stride, dilation, padding } = self;
        format!(
            "y[o,t] = Σ(i < {channels}) Σ(j < {taps}) w[o,i,j] · x[i of o's of {groups} groups, {stride}t + {dilation}j − {}]{bias}",
            padding.0
        )
    }

    fn letters(&self) -> &'static [&'static str] {
        &["w", "b"]
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (x, w) = (inputs[0], inputs[1]);
        let (n, o, t) = (at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]);
        let first = o / (shape[1] / self.groups) * w.shape[1];
        let term = |(i, j): (usize, usize)| {
            let place = (t * self.stride + j * self.dilation).checked_sub(self.padding.0).filter(|place| *place < x.shape[2])?;
            Some(w.data[(o * w.shape[1] + i) * w.shape[2] + j] * x.data[(n * x.shape[1] + first + i) * x.shape[2] + place])
        };
        let taps = (0..w.shape[1]).flat_map(|i| (0..w.shape[2]).map(move |j| (i, j)));
        Element::sum(taps.filter_map(term).chain(inputs.get(2).map(|bias| bias.data[o])))
    }
}
