//! The long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000), one layer in one direction, with PyTorch's gates in PyTorch's order:
//! i, f, o = σ(·), g = tanh(·), c ← f c + i g, h ← o tanh c. Without h and c to begin with it begins with zeros.

use super::definitions::Lstm;
use super::elementwise::sigmoid;
use super::recurrent::{
    Layer, Sizes, add_back, add_product, before, beginning, chords, column_sums, forward, from_input, initial, middle, order, rows, secant,
    shape, to_signal, weight_gradient,
};
use super::{Arithmetic, Context, Element, Initial, OpClass, OpDefinition, Problem, Values};
use crate::Result;
use crate::tape::{Real, Saved, Site, Tensor, from_vec, slice};
use cardiograd_kernels::elementary;

/// The gates' places in a row.
const GATES: usize = 4;
const I: usize = 0;
const F: usize = 1;
const G: usize = 2;
const O: usize = 3;

/// Everything of a run, step by step and example by example in each.
pub(super) struct Run<T> {
    /// The gates before their bends, and behind.
    sums: Vec<T>,
    gates: Vec<T>,
    /// c and tanh c.
    cells: Vec<T>,
    bent_cells: Vec<T>,
    /// h.
    states: Vec<T>,
    /// What h and c began with.
    first: [Vec<T>; 2],
}

/// A run in which every bend is a factor and every product has one factor fixed: derivatives at one run, or chords and means between two.
pub(super) struct Linear<T> {
    /// What a gate's change does behind its bend.
    slopes: Vec<T>,
    cell_slopes: Vec<T>,
    gates: Vec<T>,
    /// The cells before each step.
    cells_before: Vec<T>,
    bent_cells: Vec<T>,
}

fn run<T: Real>(sizes: Sizes, x: &[T], inputs: &[&Tensor<T>]) -> Run<T> {
    let (hidden, state) = (sizes.hidden, sizes.state());
    let first = [5, 6].map(|at| beginning(sizes, inputs.get(at)));
    let biases: Vec<&[T]> = inputs[3..].iter().take(2).map(|bias| slice(bias)).collect();
    let mut sums = from_input(sizes, x, slice(inputs[1]), &biases);
    let mut gates = vec![T::ZERO; sums.len()];
    let (mut cells, mut bent_cells) = (vec![T::ZERO; sizes.len * state], vec![T::ZERO; sizes.len * state]);
    let mut states = cells.clone();
    for step in 0..sizes.len {
        let (own, past) = (step * sizes.wide()..(step + 1) * sizes.wide(), step.saturating_sub(1) * state..);
        if step > 0 || inputs.len() > 5 {
            let h = if step > 0 { &states[past.clone()][..state] } else { &first[0] };
            add_product(h, slice(inputs[2]), hidden, &mut sums[own.clone()]);
        }
        for at in 0..state {
            let (n, k) = (at / hidden, at % hidden);
            let place = |gate: usize| own.start + (n * GATES + gate) * hidden + k;
            for gate in [I, F, O] {
                gates[place(gate)] = sigmoid(sums[place(gate)]);
            }
            gates[place(G)] = T::tanh(sums[place(G)]);
            let last = if step > 0 { cells[past.start + at] } else { first[1][at] };
            let cell = gates[place(F)] * last + gates[place(I)] * gates[place(G)];
            cells[step * state + at] = cell;
            bent_cells[step * state + at] = T::tanh(cell);
            states[step * state + at] = gates[place(O)] * T::tanh(cell);
        }
    }
    Run { sums, gates, cells, bent_cells, states, first }
}

fn derivative<T: Real>(sizes: Sizes, run: &Run<T>) -> Linear<T> {
    let is_g = |at: usize| at / sizes.hidden % GATES == G;
    let slope = |(at, y): (usize, &T)| if is_g(at) { T::ONE - *y * *y } else { *y * (T::ONE - *y) };
    Linear {
        slopes: run.gates.iter().enumerate().map(slope).collect(),
        cell_slopes: run.bent_cells.iter().map(|y| T::ONE - *y * *y).collect(),
        gates: run.gates.clone(),
        cells_before: before(&run.cells, &run.first[1]),
        bent_cells: run.bent_cells.clone(),
    }
}

fn chord<T: Real>(sizes: Sizes, run: &Run<T>, other: &Run<T>) -> Linear<T> {
    let near = derivative(sizes, run);
    Linear {
        slopes: chords((&run.sums, &run.gates), (&other.sums, &other.gates), |at| near.slopes[at]),
        cell_slopes: chords((&run.cells, &run.bent_cells), (&other.cells, &other.bent_cells), |at| near.cell_slopes[at]),
        gates: middle(&run.gates, &other.gates),
        cells_before: before(&middle(&run.cells, &other.cells), &run.first[1]),
        bent_cells: middle(&run.bent_cells, &other.bent_cells),
    }
}

/// Back through time: what arrives at the gates' sums of every step when `grad` (rows) arrives at the states, and at what h and c began with.
fn back<T: Real>(sizes: Sizes, linear: &Linear<T>, recurrent: &[T], grad: &[T]) -> (Vec<T>, [Vec<T>; 2]) {
    let (hidden, state) = (sizes.hidden, sizes.state());
    let mut all = vec![T::ZERO; sizes.len * sizes.wide()];
    let (mut at_state, mut at_cell) = (vec![T::ZERO; state], vec![T::ZERO; state]);
    for step in (0..sizes.len).rev() {
        let own = &mut all[step * sizes.wide()..][..sizes.wide()];
        for at in 0..state {
            let (n, k, here) = (at / hidden, at % hidden, step * state + at);
            let place = |gate: usize| (n * GATES + gate) * hidden + k;
            let of = |values: &[T], gate: usize| values[step * sizes.wide() + place(gate)];
            let h = grad[here] + at_state[at];
            let c = at_cell[at] + h * of(&linear.gates, O) * linear.cell_slopes[here];
            own[place(O)] = h * linear.bent_cells[here] * of(&linear.slopes, O);
            own[place(I)] = c * of(&linear.gates, G) * of(&linear.slopes, I);
            own[place(G)] = c * of(&linear.gates, I) * of(&linear.slopes, G);
            own[place(F)] = c * linear.cells_before[here] * of(&linear.slopes, F);
            at_cell[at] = c * of(&linear.gates, F);
        }
        at_state.fill(T::ZERO);
        add_back(own, recurrent, hidden, &mut at_state);
    }
    (all, [at_state, at_cell])
}

impl<T: Real> Layer<T> for Lstm {
    type Run = Run<T>;
    type Linear = Linear<T>;

    fn is_reversed(&self) -> bool {
        self.reverse
    }

    fn run(&self, sizes: Sizes, x: &[T], inputs: &[&Tensor<T>]) -> Run<T> {
        run(sizes, x, inputs)
    }

    fn states(run: &Run<T>) -> &[T] {
        &run.states
    }

    fn chord(sizes: Sizes, run: &Run<T>, other: &Run<T>) -> Linear<T> {
        chord(sizes, run, other)
    }

    fn at_gates(&self, sizes: Sizes, linear: &Linear<T>, recurrent: &Tensor<T>, grad: &[T]) -> Vec<T> {
        back(sizes, linear, slice(recurrent), grad).0
    }
}

impl<T: Real> Arithmetic<T> for Lstm {
    fn forward(&self, inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((forward(self, inputs), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let sizes = Sizes::of(site.inputs[0].shape(), site.inputs[2].shape());
        let x = rows(site.inputs[0], self.reverse);
        let run = run(sizes, &x, &site.inputs);
        let (gates, first) = back(sizes, &derivative(sizes, &run), slice(site.inputs[2]), &rows(grad, self.reverse));
        let wide = GATES * sizes.hidden;
        let mut all = vec![
            site.needs[0].then(|| to_signal(sizes, &gates, site.inputs[1], self.reverse)),
            site.needs[1].then(|| from_vec(site.inputs[1].shape(), weight_gradient(&gates, wide, &x, sizes.features))),
            site.needs[2].then(|| {
                let states = before(&run.states, &run.first[0]);
                from_vec(site.inputs[2].shape(), weight_gradient(&gates, wide, &states, sizes.hidden))
            }),
        ];
        all.extend(site.needs[3..].iter().take(2).map(|need| need.then(|| from_vec(&[wide], column_sums(&gates, wide)))));
        let states = site.needs.iter().skip(5).zip(first);
        all.extend(states.map(|(need, arrived)| need.then(|| from_vec(&[sizes.hidden], column_sums(&arrived, sizes.hidden)))));
        Ok(all)
    }

    fn secant(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Option<Vec<Option<Tensor<T>>>> {
        secant(self, site, grad)
    }
}

impl OpDefinition for Lstm {
    fn class(&self) -> OpClass {
        OpClass::Other
    }

    fn arity(&self) -> (usize, usize) {
        (3, 7)
    }

    fn signals(&self, _inputs: usize) -> usize {
        1
    }

    fn settings(&self) -> String {
        if self.reverse { "(from the end)".into() } else { String::new() }
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        shape(GATES, 2, inputs)
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        let (from, before) = order(self.reverse);
        format!(
            "from {from}: i, f, o = σ(W x[t] + R h[{before}] + b), g = tanh(W x[t] + R h[{before}] + b), c[t] = f c[{before}] + i g, y[t] = h[t] = o tanh c[t], {} of each",
            inputs[2][1]
        )
    }

    fn letters(&self) -> &'static [&'static str] {
        &["W", "R", "b", "b", "h", "c"]
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (hidden, len, features) = (shape[1], shape[2], inputs[0].shape[1]);
        let (n, k, last) = (at / (hidden * len), at / len % hidden, at % len);
        let first = |at: usize| inputs.get(at).map_or_else(|| vec![0.0; hidden], |state| state.data.to_vec());
        let (mut h, mut c, mut loud) = (first(5), first(6), 0.0f64);
        let steps = if self.reverse { len - last } else { last + 1 };
        for step in 0..steps {
            let t = if self.reverse { len - 1 - step } else { step };
            let mut sum = |row: usize| {
                let x = (0..features).map(|f| inputs[1].data[row * features + f] * inputs[0].data[(n * features + f) * len + t]);
                let r = (0..hidden).map(|j| inputs[2].data[row * hidden + j] * h[j]);
                let b = inputs[3..].iter().take(2).map(|bias| bias.data[row]);
                let found = Element::sum(x.chain(r).chain(b));
                loud = loud.max(found.scale);
                found.value
            };
            let sums: Vec<f64> = (0..GATES * hidden).map(&mut sum).collect();
            for j in 0..hidden {
                let gate = |gate: usize| 1.0 / (1.0 + elementary::exp(-sums[gate * hidden + j]));
                c[j] = gate(F) * c[j] + gate(I) * elementary::tanh(sums[G * hidden + j]);
                h[j] = gate(O) * elementary::tanh(c[j]);
            }
        }
        Element::of_scale(h[k], 1.0 + loud)
    }

    fn initial(&self, at: usize) -> Option<Initial> {
        initial(at)
    }
}
