//! What recurrent layers share: signals as rows of steps, gates of all steps at once, and how a gate's bend is made linear: by its derivative in one
//! run, or by the chord between two.

use super::{Initial, Problem};
use crate::tape::{Real, Tensor, from_vec, slice};

/// Below this difference between two runs the derivative stands for the chord.
const NEAR: f64 = 1e-10;

/// The sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub batch: usize,
    pub features: usize,
    pub len: usize,
    pub hidden: usize,
    /// Gates.
    pub gates: usize,
}

impl Sizes {
    /// From inputs whose shapes have been checked.
    pub fn of(x: &[usize], recurrent: &[usize]) -> Self {
        let hidden = recurrent[1];
        Sizes { batch: x[0], features: x[1], len: x[2], hidden, gates: recurrent[0] / hidden }
    }

    /// Values of the gates of one step.
    pub fn wide(self) -> usize {
        self.batch * self.gates * self.hidden
    }

    /// Values of the state of one step.
    pub fn state(self) -> usize {
        self.batch * self.hidden
    }
}

/// The shape of a layer's output: x (N, F, L), weights (gates · H, F) and (gates · H, H), and two biases (gates · H) or none give (N, H, L).
pub(super) fn shape(gates: usize, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
    let (&[batch, features, len], &[rows, own], &[again, hidden]) = (inputs[0], inputs[1], inputs[2]) else {
        return Err(format!("its inputs have shapes {inputs:?}, expected x (N, F, L) and two weights of two axes"));
    };
    let wide = hidden.checked_mul(gates).filter(|wide| *wide > 0);
    if own != features || wide != Some(rows) || again != rows || features == 0 || len == 0 {
        return Err(format!(
            "its weights have shapes {:?} and {:?}, for {features} features of {len} samples ({gates} · H, {features}) and ({gates} · H, H) are expected",
            inputs[1], inputs[2]
        ));
    }
    match inputs.len() {
        3 => Ok(vec![batch, hidden, len]),
        5 if *inputs[3] == [rows] && *inputs[4] == [rows] => Ok(vec![batch, hidden, len]),
        5 => Err(format!("its biases have shapes {:?} and {:?}, expected [{rows}] each", inputs[3], inputs[4])),
        _ => Err("it has one bias; both are needed, of the input's weights and of the state's, or none".into()),
    }
}

/// Weights and biases of both kinds begin uniform in ±1/√H.
pub(super) fn initial() -> Option<Initial> {
    Some(Initial::UniformBy(2))
}

/// (N, F, L) as rows of F, step by step in the order in which the layer takes them, example by example in each.
pub(super) fn rows<T: Real>(x: &Tensor<T>, reverse: bool) -> Vec<T> {
    let (shape, x) = (x.shape(), slice(x));
    let (batch, features, len) = (shape[0], shape[1], shape[2]);
    let mut all = Vec::with_capacity(x.len());
    for step in 0..len {
        let at = if reverse { len - 1 - step } else { step };
        for n in 0..batch {
            all.extend((0..features).map(|f| x[(n * features + f) * len + at]));
        }
    }
    all
}

/// Rows put back into (N, F, L).
pub(super) fn signal<T: Real>(rows: &[T], batch: usize, features: usize, len: usize, reverse: bool) -> Tensor<T> {
    let mut all = vec![T::ZERO; rows.len()];
    for (index, row) in rows.chunks_exact(features.max(1)).enumerate() {
        let (step, n) = (index / batch.max(1), index % batch.max(1));
        let at = if reverse { len - 1 - step } else { step };
        for (f, v) in row.iter().enumerate() {
            all[(n * features + f) * len + at] = *v;
        }
    }
    from_vec(&[batch, features, len], all)
}

/// The example of a reference run that stands for all, as often as there are examples.
pub(super) fn repeated<T: Real>(x: &Tensor<T>, batch: usize) -> Tensor<T> {
    if x.shape()[0] == batch {
        return x.clone();
    }
    let shape = [&[batch], &x.shape()[1..]].concat();
    from_vec(&shape, slice(x).repeat(batch))
}

/// c ← c + a · wᵀ for rows of a and c; w (outputs, features).
pub(super) fn add_product<T: Real>(a: &[T], w: &[T], features: usize, c: &mut [T]) {
    let (count, outputs) = (a.len() / features, w.len() / features);
    T::gemm(count, features, outputs, T::ONE, (a, features, 1), (w, 1, features), T::ONE, (c, outputs, 1));
}

/// c ← c + g · w for rows of g and c; w (outputs, features).
pub(super) fn add_back<T: Real>(g: &[T], w: &[T], features: usize, c: &mut [T]) {
    let outputs = w.len() / features;
    T::gemm(g.len() / outputs, outputs, features, T::ONE, (g, outputs, 1), (w, features, 1), T::ONE, (c, features, 1));
}

/// gᵀ · a, of rows of g (`outputs` each) and a (`features` each): the gradient of a weight.
pub(super) fn weight_gradient<T: Real>(g: &[T], outputs: usize, a: &[T], features: usize) -> Vec<T> {
    let mut w = vec![T::ZERO; outputs * features];
    T::gemm(outputs, a.len() / features, features, T::ONE, (g, 1, outputs), (a, features, 1), T::ZERO, (&mut w, features, 1));
    w
}

/// The sums of columns, in f64: the gradient of a bias.
pub(super) fn column_sums<T: Real>(g: &[T], columns: usize) -> Vec<T> {
    let mut sums = vec![0.0; columns];
    for row in g.chunks_exact(columns) {
        sums.iter_mut().zip(row).for_each(|(sum, g)| *sum += g.f64());
    }
    sums.into_iter().map(T::of).collect()
}

/// The gates of every step before their bends, without what the state before adds: x · wᵀ plus the biases.
pub(super) fn from_input<T: Real>(sizes: Sizes, x: &[T], w: &[T], biases: &[&[T]]) -> Vec<T> {
    let wide = sizes.gates * sizes.hidden;
    let mut all = vec![T::ZERO; sizes.len * sizes.wide()];
    for bias in biases {
        all.chunks_exact_mut(wide).for_each(|row| row.iter_mut().zip(*bias).for_each(|(v, b)| *v += *b));
    }
    add_product(x, w, sizes.features, &mut all);
    all
}

/// What stands before each step in a list of states: zeros, then all but the last.
pub(super) fn before<T: Real>(states: &[T], size: usize) -> Vec<T> {
    let mut all = vec![T::ZERO; states.len()];
    all[size..].copy_from_slice(&states[..states.len() - size]);
    all
}

/// Bends y = f(x) made linear between two runs: Δy / Δx, or `slope` of an element where they meet.
pub(super) fn chords<T: Real>((x, y): (&[T], &[T]), (x0, y0): (&[T], &[T]), slope: impl Fn(usize) -> T) -> Vec<T> {
    let of = |at: usize| {
        let dx = x[at] - x0[at];
        if dx.abs() < T::of(NEAR) { slope(at) } else { (y[at] - y0[at]) / dx }
    };
    (0..x.len()).map(of).collect()
}

/// The middle between two runs: with it a product's difference is split completely, Δ(a b) = Δa · mean b + Δb · mean a.
pub(super) fn middle<T: Real>(a: &[T], a0: &[T]) -> Vec<T> {
    let half = T::of(0.5);
    a.iter().zip(a0).map(|(a, a0)| half * (*a + *a0)).collect()
}
