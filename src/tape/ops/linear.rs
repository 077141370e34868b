//! The linear layer: y = x · wᵀ + b.

use super::Problem;
use crate::tape::{Real, Site, Tensor, from_vec, slice};

pub(super) fn shape(inputs: &[&[usize]]) -> Problem<Vec<usize>> {
    let (&[batch, features], &[outputs, w_features]) = (inputs[0], inputs[1]) else {
        return Err(format!("input {:?} or weight {:?} is not of two axes", inputs[0], inputs[1]));
    };
    if features != w_features {
        return Err(format!("the weight takes {w_features} features, the input has {features}"));
    }
    match inputs.get(2).filter(|bias| **bias != [outputs]) {
        Some(bias) => Err(format!("the bias has shape {bias:?}, expected [{outputs}]")),
        None => Ok(vec![batch, outputs]),
    }
}

pub(super) fn forward<T: Real>(inputs: &[&Tensor<T>], shape: &[usize]) -> Tensor<T> {
    let (batch, outputs, features) = (shape[0], shape[1], inputs[0].shape()[1]);
    let mut y = match inputs.get(2) {
        Some(bias) => slice(bias).repeat(batch),
        None => vec![T::ZERO; batch * outputs],
    };
    T::gemm(
        batch,
        features,
        outputs,
        T::ONE,
        (slice(inputs[0]), features, 1),
        (slice(inputs[1]), 1, features),
        T::ONE,
        (&mut y, outputs, 1),
    );
    from_vec(shape, y)
}

pub(super) fn vjp<T: Real>(site: &Site<'_, T>, grad: &Tensor<T>) -> Vec<Option<Tensor<T>>> {
    let (x, weight) = (site.inputs[0], site.inputs[1]);
    let (batch, features, outputs) = (x.shape()[0], x.shape()[1], weight.shape()[0]);
    let product = |m: usize, k: usize, n: usize, a: (&[T], usize, usize), b: (&[T], usize, usize)| {
        let mut c = vec![T::ZERO; m * n];
        T::gemm(m, k, n, T::ONE, a, b, T::ZERO, (&mut c, n, 1));
        from_vec(&[m, n], c)
    };
    let g = slice(grad);
    let gx = site.needs[0].then(|| product(batch, outputs, features, (g, outputs, 1), (slice(weight), features, 1)));
    let gw = site.needs[1].then(|| product(outputs, batch, features, (g, 1, outputs), (slice(x), features, 1)));
    let mut all = vec![gx, gw];
    if let Some(need) = site.needs.get(2) {
        let sum = |o: usize| T::of((0..batch).map(|n| g[n * outputs + o].f64()).sum());
        all.push(need.then(|| from_vec(&[outputs], (0..outputs).map(sum).collect())));
    }
    all
}
