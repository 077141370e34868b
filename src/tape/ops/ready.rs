//! What a network makes ready from its parameters: convolutions' weights, once for as long as they live, and plans.

#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::plan::PlanCache;
use crate::tape::{Real, Tensor, slice};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use cardiograd_kernels::sync::{Mutex, PoisonError};
use cardiograd_kernels::{Conv1d, PreparedConv};

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
pub(crate) struct Ready<T> {
    weights: Mutex<BTreeMap<usize, Entry<T>>>,
    pub(crate) plans: PlanCache,
}

impl<T> Default for Ready<T> {
    fn default() -> Self {
        Ready { weights: Mutex::new(BTreeMap::new()), plans: PlanCache::default() }
    }
}

impl<T: Real> Ready<T> {
    /// The weights of a convolution, made ready now if need be.
    pub(super) fn convolution(&self, conv: &Conv1d, weight: &Tensor<T>) -> Arc<PreparedConv<T>> {
        // Without the standard library memory is dearer than time: nothing stays ready.
        if cfg!(not(feature = "std")) {
            return Arc::new(PreparedConv::new(*conv, slice(weight)));
        }
        let address = weight.as_ptr() as usize;
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        if !weights.contains_key(&address) {
            // `Err` is a tensor that somebody else holds too.
            let held = |(address, Entry { weight, ready })| Some((address, Entry { weight: weight.try_into_owned_nocopy().err()?, ready }));
            *weights = core::mem::take(&mut *weights).into_iter().filter_map(held).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::from_vec;

    #[test]
    fn few_lengths_stay_and_computed_weights_go() {
        let cache = Ready::<f64>::default();
        let conv = |len_in| Conv1d { c_in: 1, c_out: 1, len_in, kernel: 3, stride: 1, dilation: 1, pad_left: 1, pad_right: 1 };
        let weight = from_vec(&[1, 1, 3], vec![1.0; 3]);
        let kept = |weight: &Tensor<f64>| cache.weights.lock().unwrap()[&(weight.as_ptr() as usize)].ready.len();
        let first = cache.convolution(&conv(10), &weight);
        for len in 11..30 {
            assert!(Arc::ptr_eq(&first, &cache.convolution(&conv(10), &weight)), "the most recently used stays");
            cache.convolution(&conv(len), &weight);
        }
        assert_eq!(kept(&weight), LENGTHS);
        for _ in 0..5 {
            let computed = from_vec(&[1, 1, 3], vec![2.0; 3]);
            cache.convolution(&conv(10), &computed);
            cache.convolution(&conv(11), &computed);
        }
        assert_eq!(cache.weights.lock().unwrap().len(), 2, "the weight that is held, and the last computed one");
    }
}
