//! What recurrent layers share: signals as rows of steps, gates of all steps at once, and how a gate's bend is made linear: by its derivative in one
//! run, or by the chord between two.

use super::{Initial, Problem};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Real, Site, Tensor, from_vec, slice};

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

/// What a layer computes and how it is made linear; what follows from that is the same for all.
pub(super) trait Layer<T: Real> {
    /// Everything of a run.
    type Run;
    /// A run with every bend and product made linear.
    type Linear;
    /// Whether it goes from the last sample to the first.
    fn is_reversed(&self) -> bool;
    /// A run over rows of steps.
    fn run(&self, sizes: Sizes, x: &[T], inputs: &[&Tensor<T>]) -> Self::Run;
    /// The states of a run, step by step.
    fn states(run: &Self::Run) -> &[T];
    /// What is linear between two runs.
    fn chord(sizes: Sizes, run: &Self::Run, other: &Self::Run) -> Self::Linear;
    /// What arrives at the gates' sums of every step when `grad` (rows) arrives at the states.
    fn at_gates(&self, sizes: Sizes, linear: &Self::Linear, recurrent: &Tensor<T>, grad: &[T]) -> Vec<T>;
}

/// The states of a layer, (N, H, L).
pub(super) fn forward<T: Real, L: Layer<T>>(layer: &L, inputs: &[&Tensor<T>]) -> Tensor<T> {
    let sizes = Sizes::of(inputs[0].shape(), inputs[2].shape());
    let run = layer.run(sizes, &rows(inputs[0], layer.is_reversed()), inputs);
    signal(L::states(&run), sizes.batch, sizes.hidden, sizes.len, layer.is_reversed())
}

/// A layer's [`Arithmetic::secant`](super::Arithmetic::secant): its signal alone receives anything.
pub(super) fn secant<T: Real, L: Layer<T>>(layer: &L, site: &Site<'_, T>, grad: &Tensor<T>) -> Option<Vec<Option<Tensor<T>>>> {
    let (others, _) = site.reference.as_ref()?;
    if site.needs[1..].contains(&true) {
        return None;
    }
    let reverse = layer.is_reversed();
    let sizes = Sizes::of(site.inputs[0].shape(), site.inputs[2].shape());
    let own = layer.run(sizes, &rows(site.inputs[0], reverse), &site.inputs);
    let other = layer.run(sizes, &rows(&repeated(others[0], sizes.batch), reverse), &site.inputs);
    let gates = layer.at_gates(sizes, &L::chord(sizes, &own, &other), site.inputs[2], &rows(grad, reverse));
    let none = site.inputs[1..].iter().map(|_| None);
    Some(core::iter::once(Some(to_signal(sizes, &gates, site.inputs[1], reverse))).chain(none).collect())
}

/// What the signal receives of what arrives at the gates' sums.
pub(super) fn to_signal<T: Real>(sizes: Sizes, gates: &[T], weight: &Tensor<T>, reverse: bool) -> Tensor<T> {
    let mut x = vec![T::ZERO; sizes.len * sizes.batch * sizes.features];
    add_back(gates, slice(weight), sizes.features, &mut x);
    signal(&x, sizes.batch, sizes.features, sizes.len, reverse)
}

/// The order of the steps and the step before, in words.
pub(super) fn order(reverse: bool) -> (&'static str, &'static str) {
    if reverse { ("the last sample to the first", "t+1") } else { ("the first sample to the last", "t−1") }
}

/// The shape of a layer's output: x (N, F, L), weights (gates · H, F) and (gates · H, H), and two biases (gates · H) or none, and behind biases what its
/// `states` begin with (H each), give (N, H, L).
pub(super) fn shape(gates: usize, states: usize, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
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
    let ends = match inputs.len() {
        3 => &[],
        5 => &inputs[5..],
        all if all == 5 + states => &inputs[5..],
        4 => return Err("it has one bias; both are needed, of the input's weights and of the state's, or none".into()),
        _ => return Err(format!("behind two biases it takes nothing, or what {states} states of {hidden} values begin with")),
    };
    match inputs.get(3).zip(inputs.get(4)) {
        Some((a, b)) if **a != [rows] || **b != [rows] => Err(format!("its biases have shapes {a:?} and {b:?}, expected [{rows}] each")),
        _ if ends.iter().any(|state| **state != [hidden]) => {
            Err(format!("its states begin with shapes {ends:?}, expected [{hidden}] each"))
        }
        _ => Ok(vec![batch, hidden, len]),
    }
}

/// Weights and biases of both kinds begin uniform in ±1/√H, what states begin with at zero.
pub(super) fn initial(at: usize) -> Option<Initial> {
    Some(if at < 5 { Initial::UniformBy(2) } else { Initial::Value(0.0) })
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

/// What a state begins with, for every example: a layer's input (H), or zeros.
pub(super) fn beginning<T: Real>(sizes: Sizes, given: Option<&&Tensor<T>>) -> Vec<T> {
    given.map_or_else(|| vec![T::ZERO; sizes.state()], |state| slice(state).repeat(sizes.batch))
}

/// What stands before each step in a list of states: what they begin with, then all but the last.
pub(super) fn before<T: Real>(states: &[T], first: &[T]) -> Vec<T> {
    let size = first.len();
    let mut all = vec![T::ZERO; states.len()];
    all[..size].copy_from_slice(first);
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
