//! Convolution on the tape: geometry from shapes, and weights made ready once for as long as they live.

use super::{Context, Problem};
use crate::Result;
use crate::tape::plan::PlanCache;
use crate::tape::{Op, Real, Site, Tensor, from_vec, slice};
use cardiograd_kernels::{Conv1d, PreparedConv, batch_norm, conv1d};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most lengths for which one weight is kept ready; the least recently used goes.
const LENGTHS: usize = 8;

/// A weight tensor, and what was made ready from it by geometry, the most recently used last.
#[derive(Debug)]
struct Entry<T> {
    weight: Tensor<T>,
    ready: Vec<(Conv1d, Arc<PreparedConv<T>>)>,
}

/// What was made ready from parameters: weights, by the address of the weight tensor (an entry holds its tensor, so an address stays taken), and
/// plans. Weights that nobody else holds any more, as computed ones after their run, go; of the others a few lengths stay.
#[derive(Debug)]
pub(crate) struct ConvCache<T> {
    weights: Mutex<HashMap<usize, Entry<T>>>,
    pub(crate) plans: PlanCache,
}

impl<T> Default for ConvCache<T> {
    fn default() -> Self {
        ConvCache { weights: Mutex::new(HashMap::new()), plans: PlanCache::default() }
    }
}

impl<T: Real> ConvCache<T> {
    fn get(&self, conv: &Conv1d, weight: &Tensor<T>) -> Arc<PreparedConv<T>> {
        let address = weight.as_ptr() as usize;
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        if !weights.contains_key(&address) {
            // `Err` is a tensor that somebody else holds too.
            let held = |(address, Entry { weight, ready })| Some((address, Entry { weight: weight.try_into_owned_nocopy().err()?, ready }));
            *weights = std::mem::take(&mut *weights).into_iter().filter_map(held).collect();
        }
        let ready = &mut weights.entry(address).or_insert_with(|| Entry { weight: weight.clone(), ready: Vec::new() }).ready;
        let found = ready.iter().position(|(of, _)| of == conv).map(|at| ready.remove(at).1);
        let found = found.unwrap_or_else(|| Arc::new(PreparedConv::new(*conv, slice(weight))));
        if ready.len() == LENGTHS {
            ready.remove(0);
        }
        ready.push((*conv, Arc::clone(&found)));
        found
    }
}

/// The geometry of a convolution of these input shapes.
pub(super) fn geometry(op: &Op, inputs: &[&[usize]]) -> Problem<Conv1d> {
    let Op::Conv1d { stride, dilation, padding } = op else { return Err("is not a convolution".into()) };
    let (&[_, c_in, len_in], &[c_out, w_in, kernel]) = (inputs[0], inputs[1]) else {
        return Err(format!("input {:?} or weight {:?} is not of three axes", inputs[0], inputs[1]));
    };
    if w_in != c_in {
        return Err(format!("the weight takes {w_in} channels, the input has {c_in}"));
    }
    if let Some(bias) = inputs.get(2).filter(|bias| **bias != [c_out]) {
        return Err(format!("the bias has shape {bias:?}, expected [{c_out}]"));
    }
    let conv = Conv1d { c_in, c_out, len_in, kernel, stride: *stride, dilation: *dilation, pad_left: padding.0, pad_right: padding.1 };
    let span = kernel.checked_sub(1).and_then(|gaps| gaps.checked_mul(*dilation));
    let padded = len_in.checked_add(padding.0).and_then(|len| len.checked_add(padding.1));
    match (span, padded) {
        (Some(span), Some(padded)) if span < padded && *stride > 0 => Ok(conv),
        _ => Err(format!("{len_in} samples with padding {}+{} are shorter than the kernel of {kernel}", padding.0, padding.1)),
    }
}

/// The weights made ready: from the cache in evaluation, afresh in training.
fn prepared<T: Real>(conv: &Conv1d, weight: &Tensor<T>, context: &Context<'_, T>) -> Arc<PreparedConv<T>> {
    match context.cache {
        Some(cache) => cache.get(conv, weight),
        None => Arc::new(PreparedConv::new(*conv, slice(weight))),
    }
}

pub(super) fn forward<T: Real>(conv: &Conv1d, inputs: &[&Tensor<T>], context: &Context<'_, T>) -> Tensor<T> {
    let batch = inputs[0].shape()[0];
    let mut y = vec![T::ZERO; batch * conv.output_size()];
    prepared(conv, inputs[1], context).forward(batch, slice(inputs[0]), inputs.get(2).map(|bias| slice(bias)), &mut y);
    from_vec(&[batch, conv.c_out, conv.len_out()], y)
}

pub(super) fn vjp<T: Real>(site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
    let shapes: Vec<&[usize]> = site.inputs.iter().map(|input| input.shape()).collect();
    let conv = geometry(site.op(), &shapes).map_err(|problem| site.error(problem))?;
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
        all.push(need.then(|| from_vec(&[conv.c_out], channel_sums(grad))));
    }
    Ok(all)
}

/// Σ over batch and time of each channel, in f64.
fn channel_sums<T: Real>(grad: &Tensor<T>) -> Vec<T> {
    batch_norm::channel_sums(grad.shape()[1], grad.shape()[2], slice(grad)).into_iter().map(T::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_lengths_stay_and_computed_weights_go() {
        let cache = ConvCache::<f64>::default();
        let conv = |len_in| Conv1d { c_in: 1, c_out: 1, len_in, kernel: 3, stride: 1, dilation: 1, pad_left: 1, pad_right: 1 };
        let weight = from_vec(&[1, 1, 3], vec![1.0; 3]);
        let kept = |weight: &Tensor<f64>| cache.weights.lock().unwrap()[&(weight.as_ptr() as usize)].ready.len();
        let first = cache.get(&conv(10), &weight);
        for len in 11..30 {
            assert!(Arc::ptr_eq(&first, &cache.get(&conv(10), &weight)), "the most recently used stays");
            cache.get(&conv(len), &weight);
        }
        assert_eq!(kept(&weight), LENGTHS);
        for _ in 0..5 {
            let computed = from_vec(&[1, 1, 3], vec![2.0; 3]);
            cache.get(&conv(10), &computed);
            cache.get(&conv(11), &computed);
        }
        assert_eq!(cache.weights.lock().unwrap().len(), 2, "the weight that is held, and the last computed one");
    }
}
