//! The gated recurrent unit (Cho et al. 2014), one layer in one direction, with PyTorch's gates in PyTorch's order: r, z = σ(·), n = tanh(·),
//! h ← (1 − z) n + z h. Without an h to begin with it begins with zeros. The reset gate r acts on R h + b ("reset after", as in PyTorch), or on h before that.

use super::definitions::Gru;
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
const GATES: usize = 3;
const R: usize = 0;
const Z: usize = 1;
const N: usize = 2;

/// Everything of a run, step by step and example by example in each.
pub(super) struct Run<T> {
    /// The gates before their bends, and behind.
    sums: Vec<T>,
    gates: Vec<T>,
    /// What r is multiplied with: R h + b of the gate n, or h.
    held: Vec<T>,
    /// h, and before each step.
    states: Vec<T>,
    states_before: Vec<T>,
}

/// A run in which every bend is a factor and every product has one factor fixed: derivatives at one run, or chords and means between two.
pub(super) struct Linear<T> {
    slopes: Vec<T>,
    gates: Vec<T>,
    held: Vec<T>,
    states_before: Vec<T>,
}

/// The weights of the state: those of r and z, and those of n.
fn parts<T: Real>(hidden: usize, recurrent: &Tensor<T>) -> (&[T], &[T]) {
    slice(recurrent).split_at(N * hidden * hidden)
}

/// The columns of gates r and z of rows of all three, and that of n.
fn columns<T: Real>(gates: &[T], hidden: usize) -> (Vec<T>, Vec<T>) {
    let rows = || gates.chunks_exact(GATES * hidden);
    (rows().flat_map(|row| row[..N * hidden].to_vec()).collect(), rows().flat_map(|row| row[N * hidden..].to_vec()).collect())
}

impl Gru {
    fn gated<T: Real>(&self, sizes: Sizes, x: &[T], inputs: &[&Tensor<T>]) -> Run<T> {
        let (hidden, state) = (sizes.hidden, sizes.state());
        // Of the state's bias the part of n stands inside of r's product, or outside.
        let of_state: Option<Vec<T>> = inputs.get(4).map(|bias| slice(bias).to_vec());
        let outside = of_state.as_ref().map(|bias| {
            let inside = |at: usize| self.linear_before_reset && at >= N * hidden;
            (0..bias.len()).map(|at| if inside(at) { T::ZERO } else { bias[at] }).collect::<Vec<T>>()
        });
        let biases: Vec<&[T]> = inputs.get(3).map(|bias| slice(bias)).into_iter().chain(outside.as_deref()).collect();
        let mut sums = from_input(sizes, x, slice(inputs[1]), &biases);
        let (for_gates, for_new) = parts(hidden, inputs[2]);
        let mut gates = vec![T::ZERO; sums.len()];
        let (mut held, mut states) = (vec![T::ZERO; sizes.len * state], vec![T::ZERO; sizes.len * state]);
        let first = beginning(sizes, inputs.get(5));
        let mut h = first.clone();
        for step in 0..sizes.len {
            let own = step * sizes.wide()..(step + 1) * sizes.wide();
            let held = &mut held[step * state..][..state];
            let mut from_state = vec![T::ZERO; sizes.batch * N * hidden];
            add_product(&h, for_gates, hidden, &mut from_state);
            for (at, part) in from_state.into_iter().enumerate() {
                let place = own.start + at / (N * hidden) * GATES * hidden + at % (N * hidden);
                sums[place] += part;
                gates[place] = sigmoid(sums[place]);
            }
            let gate = |n: usize, gate: usize, k: usize| own.start + (n * GATES + gate) * hidden + k;
            let mut new = vec![T::ZERO; state];
            if self.linear_before_reset {
                if let Some(bias) = &of_state {
                    held.chunks_exact_mut(hidden).for_each(|row| row.copy_from_slice(&bias[N * hidden..]));
                }
                add_product(&h, for_new, hidden, held);
                new.iter_mut().enumerate().for_each(|(at, v)| *v = gates[gate(at / hidden, R, at % hidden)] * held[at]);
            } else {
                held.copy_from_slice(&h);
                let reset: Vec<T> = (0..state).map(|at| gates[gate(at / hidden, R, at % hidden)] * h[at]).collect();
                add_product(&reset, for_new, hidden, &mut new);
            }
            for (at, part) in new.into_iter().enumerate() {
                let (n, k) = (at / hidden, at % hidden);
                sums[gate(n, N, k)] += part;
                gates[gate(n, N, k)] = T::tanh(sums[gate(n, N, k)]);
                let (z, new) = (gates[gate(n, Z, k)], gates[gate(n, N, k)]);
                h[at] = (T::ONE - z) * new + z * h[at];
            }
            states[step * state..][..state].copy_from_slice(&h);
        }
        let states_before = before(&states, &first);
        Run { sums, gates, held, states, states_before }
    }

    /// Back through time: what arrives at the gates' sums of every step when `grad` (rows) arrives at the states, what arrives where the state's weights
    /// of n give their product, and at what h began with.
    fn back<T: Real>(&self, sizes: Sizes, linear: &Linear<T>, recurrent: &Tensor<T>, grad: &[T]) -> [Vec<T>; 3] {
        let (hidden, state) = (sizes.hidden, sizes.state());
        let (for_gates, for_new) = parts(hidden, recurrent);
        let mut all = vec![T::ZERO; sizes.len * sizes.wide()];
        let mut at_products = vec![T::ZERO; sizes.len * state];
        let mut at_state = vec![T::ZERO; state];
        for step in (0..sizes.len).rev() {
            let start = step * sizes.wide();
            let place = |at: usize, gate: usize| start + (at / hidden * GATES + gate) * hidden + at % hidden;
            let product = &mut at_products[step * state..][..state];
            let mut onward = vec![T::ZERO; state];
            for at in 0..state {
                let here = step * state + at;
                let h = grad[here] + at_state[at];
                let (z, new) = (linear.gates[place(at, Z)], linear.gates[place(at, N)]);
                all[place(at, Z)] = h * (linear.states_before[here] - new) * linear.slopes[place(at, Z)];
                all[place(at, N)] = h * (T::ONE - z) * linear.slopes[place(at, N)];
                onward[at] = h * z;
                product[at] = all[place(at, N)] * if self.linear_before_reset { linear.gates[place(at, R)] } else { T::ONE };
            }
            let mut reset = vec![T::ZERO; state];
            add_back(product, for_new, hidden, &mut reset);
            for at in 0..state {
                let (r, held) = (linear.gates[place(at, R)], linear.held[step * state + at]);
                let at_r = if self.linear_before_reset { all[place(at, N)] * held } else { reset[at] * held };
                all[place(at, R)] = at_r * linear.slopes[place(at, R)];
                onward[at] += if self.linear_before_reset { reset[at] } else { reset[at] * r };
            }
            add_back(&columns(&all[start..start + sizes.wide()], hidden).0, for_gates, hidden, &mut onward);
            at_state = onward;
        }
        [all, at_products, at_state]
    }
}

fn slope<T: Real>(y: T, new: bool) -> T {
    if new { T::ONE - y * y } else { y * (T::ONE - y) }
}

fn derivative<T: Real>(sizes: Sizes, run: &Run<T>) -> Linear<T> {
    let slopes = run.gates.iter().enumerate().map(|(at, y)| slope(*y, at / sizes.hidden % GATES == N));
    Linear { slopes: slopes.collect(), gates: run.gates.clone(), held: run.held.clone(), states_before: run.states_before.clone() }
}

fn chord<T: Real>(sizes: Sizes, run: &Run<T>, other: &Run<T>) -> Linear<T> {
    Linear {
        slopes: chords((&run.sums, &run.gates), (&other.sums, &other.gates), |at| slope(run.gates[at], at / sizes.hidden % GATES == N)),
        gates: middle(&run.gates, &other.gates),
        held: middle(&run.held, &other.held),
        states_before: middle(&run.states_before, &other.states_before),
    }
}

impl<T: Real> Layer<T> for Gru {
    type Run = Run<T>;
    type Linear = Linear<T>;

    fn is_reversed(&self) -> bool {
        self.reverse
    }

    fn run(&self, sizes: Sizes, x: &[T], inputs: &[&Tensor<T>]) -> Run<T> {
        self.gated(sizes, x, inputs)
    }

    fn states(run: &Run<T>) -> &[T] {
        &run.states
    }

    fn chord(sizes: Sizes, run: &Run<T>, other: &Run<T>) -> Linear<T> {
        chord(sizes, run, other)
    }

    fn at_gates(&self, sizes: Sizes, linear: &Linear<T>, recurrent: &Tensor<T>, grad: &[T]) -> Vec<T> {
        let [gates, _, _] = self.back(sizes, linear, recurrent, grad);
        gates
    }
}

impl<T: Real> Arithmetic<T> for Gru {
    fn forward(&self, inputs: &[&Tensor<T>], _shape: &[usize], _context: &Context<'_, T>) -> Problem<(Tensor<T>, Saved)> {
        Ok((forward(self, inputs), Saved::Nothing))
    }

    fn vjp(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
        let sizes = Sizes::of(site.inputs[0].shape(), site.inputs[2].shape());
        let (x, hidden) = (rows(site.inputs[0], self.reverse), sizes.hidden);
        let run = self.gated(sizes, &x, &site.inputs);
        let [gates, products, first] = self.back(sizes, &derivative(sizes, &run), site.inputs[2], &rows(grad, self.reverse));
        let wide = GATES * hidden;
        let recurrent = || {
            let mut all = weight_gradient(&columns(&gates, hidden).0, N * hidden, &run.states_before, hidden);
            let reset = |at: usize| run.gates[(at / hidden * GATES + R) * hidden + at % hidden] * run.states_before[at];
            let read = if self.linear_before_reset { run.states_before.clone() } else { (0..products.len()).map(reset).collect() };
            all.extend(weight_gradient(&products, hidden, &read, hidden));
            from_vec(site.inputs[2].shape(), all)
        };
        let mut all = vec![
            site.needs[0].then(|| to_signal(sizes, &gates, site.inputs[1], self.reverse)),
            site.needs[1].then(|| from_vec(site.inputs[1].shape(), weight_gradient(&gates, wide, &x, sizes.features))),
            site.needs[2].then(recurrent),
        ];
        if let [_, _, _, of_input, of_state, ..] = site.needs[..] {
            let sums = column_sums(&gates, wide);
            all.push(of_input.then(|| from_vec(&[wide], sums.clone())));
            let new = column_sums(&products, hidden);
            all.push(of_state.then(|| from_vec(&[wide], [&sums[..N * hidden], &new].concat())));
        }
        all.extend(site.needs.iter().skip(5).map(|need| need.then(|| from_vec(&[hidden], column_sums(&first, hidden)))));
        Ok(all)
    }

    fn secant(&self, site: &Site<'_, T>, grad: &Tensor<T>) -> Option<Vec<Option<Tensor<T>>>> {
        secant(self, site, grad)
    }
}

impl OpDefinition for Gru {
    fn class(&self) -> OpClass {
        OpClass::Other
    }

    fn arity(&self) -> (usize, usize) {
        (3, 6)
    }

    fn signals(&self, _inputs: usize) -> usize {
        1
    }

    fn settings(&self) -> String {
        let from = if self.reverse { "from the end, " } else { "" };
        format!("({from}reset {} the state's weights)", if self.linear_before_reset { "behind" } else { "before" })
    }

    fn shape(&self, inputs: &[&[usize]]) -> Problem<Vec<usize>> {
        shape(GATES, 1, inputs)
    }

    fn formula(&self, inputs: &[&[usize]]) -> String {
        let (from, before) = order(self.reverse);
        let new = if self.linear_before_reset { format!("r (R h[{before}] + b)") } else { format!("R (r h[{before}]) + b") };
        format!(
            "from {from}: r, z = σ(W x[t] + R h[{before}] + b), n = tanh(W x[t] + b + {new}), y[t] = h[t] = (1 − z) n + z h[{before}], {} of each",
            inputs[2][1]
        )
    }

    fn letters(&self) -> &'static [&'static str] {
        &["W", "R", "b", "b", "h"]
    }

    fn element(&self, inputs: &[Values<'_>], shape: &[usize], at: usize) -> Element {
        let (hidden, len, features) = (shape[1], shape[2], inputs[0].shape[1]);
        let (example, k, last) = (at / (hidden * len), at / len % hidden, at % len);
        let (mut h, mut loud) = (inputs.get(5).map_or_else(|| vec![0.0; hidden], |state| state.data.to_vec()), 0.0f64);
        let bias = |which: usize, row: usize| inputs.get(which).map_or(0.0, |bias| bias.data[row]);
        let steps = if self.reverse { len - last } else { last + 1 };
        for step in 0..steps {
            let t = if self.reverse { len - 1 - step } else { step };
            let from_x = |row: usize| {
                let terms = (0..features).map(|f| inputs[1].data[row * features + f] * inputs[0].data[(example * features + f) * len + t]);
                Element::sum(terms.chain([bias(3, row)]))
            };
            let from_h =
                |row: usize, h: &[f64]| Element::sum((0..hidden).map(|j| inputs[2].data[row * hidden + j] * h[j]).chain([bias(4, row)]));
            let mut gate = |gate: usize, j: usize| {
                let (x, s) = (from_x(gate * hidden + j), from_h(gate * hidden + j, &h));
                loud = loud.max(x.scale + s.scale);
                1.0 / (1.0 + elementary::exp(-x.value - s.value))
            };
            let r: Vec<f64> = (0..hidden).map(|j| gate(R, j)).collect();
            let z: Vec<f64> = (0..hidden).map(|j| gate(Z, j)).collect();
            let reset: Vec<f64> = h.iter().zip(&r).map(|(h, r)| h * r).collect();
            let new = |j: usize| {
                let s =
                    if self.linear_before_reset { r[j] * from_h(N * hidden + j, &h).value } else { from_h(N * hidden + j, &reset).value };
                elementary::tanh(from_x(N * hidden + j).value + s)
            };
            h = (0..hidden).map(|j| (1.0 - z[j]) * new(j) + z[j] * h[j]).collect();
        }
        Element::of_scale(h[k], 1.0 + loud)
    }

    fn initial(&self, at: usize) -> Option<Initial> {
        initial(at)
    }
}
