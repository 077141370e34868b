//! The convolution in f64 by Toom and Cook's scheme (Winograd 1980, Arithmetic Complexity of Computations, theorem 3a): m results of r taps from
//! m + r − 1 = 10 products per channel instead of m·r.
//!
//! d, ten samples of a channel, as functional of polynomials; g, r taps, as a polynomial; ten points x: 0, ±1, ±2, ±1/2, ±3/2, ∞. With M = x·Π (x² − a²),
//! N_x = M / (z − x) and N_∞ = M as polynomials in z:
//!
//! y(t) = Σ_j g(j)·d(t + j) = Σ_x x^t · [g(x) / N_x(x)] · [Σ_i (N_x)_i d(i)],   t < m
//!
//! (at ∞: x^t is 1 for t = m − 1 alone, and g(∞) / N is the last tap). The first bracket is the weight, packed once; the second is found once for all rows,
//! and pairs ±a share its even and odd sums; the outer sum is taken once for all channels, after the products have been added up over them. The
//! polynomials' coefficients are dyadic, hence exact; rounding is some 20 times that of the direct sum. More than seven taps are cut into parts, which read
//! windows of their own and are added up at the points.

use crate::Isa;
use crate::double_lanes::{LANES, Wide, WideJob, dispatch};
use crate::double_shape::Shape;
use crate::double_signal::SLACK;
use crate::double_tile::{Call, Tiled, tap};
use crate::scratch::{Shared, each, lend};
use alloc::{vec, vec::Vec};
use core::ops::Range;

/// Points: 0, four pairs ±a, ∞.
const POINTS: usize = 10;
/// The pairs, a.
const PAIRS: [f64; 4] = [1.0, 2.0, 0.5, 1.5];
/// Taps of a part, at most.
const LONGEST: usize = 7;
/// With more weights than these, f64, many inputs are transformed first and panels of weights are the outer loop.
const RESIDENT: usize = 160 * 1024;
/// Transformed inputs, f64, that stay in the second cache beside a panel of weights.
const LARGE_CHUNK: usize = 160 * 1024;
/// Transformed inputs that stay in the second cache, f64, where weights do too.
const CHUNK: usize = 48 * 1024;

/// Rows that need the same taps, with their weights at the points.
#[derive(Clone, Debug)]
pub(crate) struct Toom {
    rows: Range<usize>,
    scheme: Scheme,
    /// By block of eight rows, point, part, column, lane.
    weight: Vec<f64>,
}

/// How the taps are cut. A stride is folded: a row of the input holds `columns` = stride·c_in numbers, and taps are of rows.
#[derive(Clone, Copy, Debug)]
struct Scheme {
    /// The first tap.
    start: usize,
    parts: usize,
    /// Taps of a part, r.
    taps: usize,
    /// Results of a tile, m.
    results: usize,
    columns: usize,
    /// Tiles of one example.
    tiles: usize,
}

impl Scheme {
    /// For so many taps from `start` on, of signals.
    fn new(shape: &Shape, taps: &Range<usize>) -> Self {
        let folded = taps.start / shape.stride..taps.end.div_ceil(shape.stride);
        let parts = folded.len().div_ceil(LONGEST);
        let taps = folded.len().div_ceil(parts);
        let results = POINTS + 1 - taps;
        let tiles = shape.steps.div_ceil(results);
        Scheme { start: folded.start, parts, taps, results, columns: shape.stride * shape.c_in, tiles }
    }

    /// A row of transformed inputs, whole registers.
    fn width(&self) -> usize {
        self.columns.next_multiple_of(LANES)
    }

    /// Transformed inputs of so many tiles, with what a tile of registers may read past them.
    fn size(&self, rows: usize) -> usize {
        self.parts * POINTS * (rows + SLACK) * self.width()
    }
}

impl Toom {
    /// Operations on registers for one example: products, inputs to the points, and back.
    pub(crate) fn cost(shape: &Shape, rows: usize, taps: Range<usize>) -> f64 {
        let s = Scheme::new(shape, &taps);
        let blocks = rows.div_ceil(LANES);
        let products = s.parts * POINTS * s.columns * blocks;
        (s.tiles * (products + s.parts * 140 * s.width() / LANES + (30 + 30 * s.results) * blocks)) as f64
    }

    /// Packs the weights of some rows, `of(row, channel, tap)`, all whose taps outside `taps` are zero.
    pub(crate) fn new(shape: &Shape, rows: Range<usize>, taps: Range<usize>, of: impl Fn(usize, usize, usize) -> f64) -> Self {
        let scheme = Scheme::new(shape, &taps);
        let blocks = rows.len().div_ceil(LANES);
        let mut weight = vec![0.0; blocks * POINTS * scheme.parts * scheme.columns * LANES];
        for (index, row) in rows.clone().enumerate() {
            for part in 0..scheme.parts {
                for column in 0..scheme.columns {
                    let first = scheme.start + part * scheme.taps;
                    // Folded tap k of this column is tap k·stride + ⌊column / c_in⌋.
                    let tap = |k: usize| k * shape.stride + column / shape.c_in;
                    let taps = (first..first + scheme.taps).map(tap);
                    let g = taps.map(|j| if j < shape.taps { of(row, column % shape.c_in, j) } else { 0.0 });
                    for (point, value) in at_points(&g.collect::<Vec<_>>()).into_iter().enumerate() {
                        let block = (index / LANES * POINTS + point) * scheme.parts + part;
                        weight[(block * scheme.columns + column) * LANES + index % LANES] = value;
                    }
                }
            }
        }
        Toom { rows, scheme, weight }
    }

    /// Convolves; `parallel` splits the work over threads.
    ///
    /// # Safety
    /// The call is as `DoubleConv::run` asserts, of the shape of `new`.
    pub(crate) unsafe fn run(&self, isa: Isa, call: Call<'_>, parallel: bool) {
        let (scheme, all) = (self.scheme, self.scheme.tiles * call.input.layout.group);
        let pieces = if parallel { 4 * crate::parallel::current_num_threads() } else { 1 };
        let row = scheme.parts * POINTS * scheme.width();
        if self.weight.len() > RESIDENT {
            let chunk = (LARGE_CHUNK / row).clamp(24, all.max(24)) / 12 * 12;
            let mut lent = lend(2 * scheme.size(chunk));
            let points = Shared::new(lent.as_mut_ptr().cast::<f64>());
            for first in (0..all).step_by(chunk) {
                let rows = first..all.min(first + chunk);
                let points = Points { values: &points, from: first, rows: chunk + SLACK };
                let share = |index: usize| first + index * rows.len() / pieces..first + (index + 1) * rows.len() / pieces;
                each(pieces, parallel, |index| dispatch(isa, Evaluate { toom: self, call, rows: share(index), to: points }));
                let multiply = |index| Multiply { toom: self, call, from: points, rows: rows.clone(), piece: (index, pieces) };
                each(pieces, parallel, |index| dispatch(isa, multiply(index)));
            }
            return;
        }
        let fit = (CHUNK / row).clamp(1, all.div_ceil(pieces));
        let chunk = fit.next_multiple_of(12);
        each(all.div_ceil(chunk), parallel, |index| {
            let rows = index * chunk..all.min((index + 1) * chunk);
            let mut lent = lend(2 * scheme.size(chunk));
            let points = Shared::new(lent.as_mut_ptr().cast::<f64>());
            let points = Points { values: &points, from: rows.start, rows: chunk + SLACK };
            dispatch(isa, Evaluate { toom: self, call, rows: rows.clone(), to: points });
            dispatch(isa, Multiply { toom: self, call, from: points, rows, piece: (0, 1) });
        });
    }
}

/// r taps at the ten points, divided by N_x(x).
fn at_points(g: &[f64]) -> [f64; POINTS] {
    let mut values = [0.0; POINTS];
    values[0] = g[0] / PAIRS.iter().fold(1.0, |n, a| -n * a * a);
    for (pair, a) in PAIRS.iter().enumerate() {
        let n = 2.0 * a * a * PAIRS.iter().filter(|b| *b != a).fold(1.0, |n, b| n * (a * a - b * b));
        let sum = |x: f64| g.iter().rev().fold(0.0, |sum, g| sum * x + g) / n;
        (values[1 + 2 * pair], values[2 + 2 * pair]) = (sum(*a), sum(-a));
    }
    values[POINTS - 1] = g[g.len() - 1];
    values
}

/// Coefficients of Π (y − b²) over pairs, powers of y = x² upwards, without one of them: the even parts of all polynomials.
const fn product_without(without: usize) -> [f64; 5] {
    let mut product = [1.0, 0.0, 0.0, 0.0, 0.0];
    let mut pair = 0;
    while pair < PAIRS.len() {
        if pair != without {
            let square = PAIRS[pair] * PAIRS[pair];
            let mut power = 4;
            while power > 0 {
                product[power] = product[power - 1] - square * product[power];
                power -= 1;
            }
            product[0] *= -square;
        }
        pair += 1;
    }
    product
}

/// Of each pair, Π over the others; then Π over all.
const EVEN: [[f64; 5]; 5] = [product_without(0), product_without(1), product_without(2), product_without(3), product_without(4)];

/// Inputs at the points, by part, point, row and column.
#[derive(Clone, Copy)]
struct Points<'r> {
    values: &'r Shared<f64>,
    /// The number of the first row.
    from: usize,
    rows: usize,
}

impl Points<'_> {
    /// Where a row of a part begins at a point.
    #[inline(always)]
    fn at(&self, scheme: &Scheme, part: usize, point: usize, row: usize) -> usize {
        ((part * POINTS + point) * self.rows + row - self.from) * scheme.width()
    }
}

/// Brings inputs to the points: rows number (tile, example).
struct Evaluate<'r> {
    toom: &'r Toom,
    call: Call<'r>,
    rows: Range<usize>,
    to: Points<'r>,
}

impl WideJob for Evaluate<'_> {
    #[inline(always)]
    unsafe fn run<V: Wide>(self) {
        let (s, layout) = (&self.toom.scheme, self.call.input.layout);
        // Behind the last step of the signal there are zeros, and behind them SLACK rows that whole registers may read.
        let steps = (self.call.input.values.len() / s.columns - SLACK) / layout.group;
        for row in self.rows.clone() {
            for part in 0..s.parts {
                let first = s.start + part * s.taps + row / layout.group * s.results;
                let count = POINTS.min(steps.saturating_sub(first));
                let whole = count == POINTS;
                for column in (0..s.columns).step_by(LANES) {
                    // SAFETY: the instruction set is there; rows read are of the signal, (first + i)·group + example, and eight numbers from a column
                    // below `columns` end within SLACK rows; rows written are of `to`, whose width is whole registers, and no other task's.
                    unsafe {
                        // Wrapping: a window may lie wholly behind the signal.
                        let from =
                            self.call.input.values.as_ptr().wrapping_add((first * layout.group + row % layout.group) * s.columns + column);
                        let mut x = [V::splat(0.0); POINTS];
                        for (i, x) in x.iter_mut().enumerate() {
                            // The usual case unrolls, for all stay in registers.
                            if whole || i < count {
                                *x = V::load(from.wrapping_add(i * layout.group * s.columns));
                            }
                        }
                        let to = self.to.values.get().add(self.to.at(s, part, 0, row) + column);
                        evaluate(&x, to, self.to.rows * s.width());
                    }
                }
            }
        }
    }
}

/// Σ_i (N_x)_i x(i) at every point, stored `apart` from one another.
///
/// # Safety
/// The instruction set of `V` is available, and eight numbers can be stored at every place.
#[inline(always)]
unsafe fn evaluate<V: Wide>(x: &[V; POINTS], to: *mut f64, apart: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        polynomial(&EVEN[4], x, 0, 1.0).store(to);
        for (pair, a) in PAIRS.iter().enumerate() {
            let (even, odd) = (polynomial(&EVEN[pair], x, 2, 1.0), polynomial(&EVEN[pair], x, 1, *a));
            even.fma(V::splat(1.0), odd).store(to.add((1 + 2 * pair) * apart));
            even.fma(V::splat(-1.0), odd).store(to.add((2 + 2 * pair) * apart));
        }
        polynomial(&EVEN[4], x, 1, 1.0).store(to.add((POINTS - 1) * apart));
    }
}

/// Σ_i scale·c(i)·x(first + 2i) over the coefficients that are not 0.
///
/// # Safety
/// The instruction set of `V` is available.
#[inline(always)]
unsafe fn polynomial<V: Wide>(coefficients: &[f64; 5], x: &[V; POINTS], first: usize, scale: f64) -> V {
    // SAFETY: the caller's contract.
    unsafe {
        let mut sum = V::splat(0.0);
        for (i, c) in coefficients.iter().enumerate() {
            if *c != 0.0 {
                sum = sum.fma(V::splat(scale * c), x[first + 2 * i]);
            }
        }
        sum
    }
}

/// Products at the points, added up over columns, and brought back to results: a share of the panels, and some rows.
#[derive(Clone)]
struct Multiply<'r> {
    toom: &'r Toom,
    call: Call<'r>,
    from: Points<'r>,
    rows: Range<usize>,
    piece: (usize, usize),
}

impl WideJob for Multiply<'_> {
    #[inline(always)]
    unsafe fn run<V: Wide>(self) {
        let (wide, tall) = self.size::<V>();
        let (panels, (index, pieces)) = (self.blocks().div_ceil(wide), self.piece);
        for panel in index * panels / pieces..(index + 1) * panels / pieces {
            for first in self.rows.clone().step_by(tall) {
                // SAFETY: the instruction set is there, as the caller vouches; panel and rows lie inside and are no other piece's.
                unsafe { self.panel::<V>(panel, first, tall.min(self.rows.end - first)) };
            }
        }
    }
}

impl Tiled for Multiply<'_> {
    fn blocks(&self) -> usize {
        self.toom.rows.len().div_ceil(LANES)
    }

    #[inline(always)]
    unsafe fn tile<V: Wide, const B: usize, const P: usize>(&self, block: usize, first: usize, rows: usize) {
        let s = &self.toom.scheme;
        let (width, depth) = (s.width(), s.columns * LANES);
        let panel = POINTS * s.parts * depth;
        let mut at = [[[[0.0; LANES]; P]; POINTS]; B];
        // SAFETY: rows up to first + P ≤ last + SLACK are in `from`; the weights hold (block + B) panels.
        unsafe {
            for point in 0..POINTS {
                let mut acc = [[V::splat(0.0); B]; P];
                for part in 0..s.parts {
                    let x = self.from.values.get().cast_const().add(self.from.at(s, part, point, first));
                    let w = self.toom.weight.as_ptr().add(block * panel + (point * s.parts + part) * depth);
                    acc = tap::<V, B, P>(acc, s.columns, (x, width), (w, panel));
                }
                for r in 0..P {
                    for b in 0..B {
                        acc[r][b].store(at[b][point][r].as_mut_ptr());
                    }
                }
            }
        }
        for (b, at) in at.iter_mut().enumerate() {
            let row = self.toom.rows.start + (block + b) * LANES;
            let end = self.toom.rows.end.min(row + LANES);
            // SAFETY: the instruction set is there, as the caller vouches.
            unsafe { fold_pairs::<V, P>(at) };
            let (mut powers, mut out) = ([1.0; 4], [[0.0; LANES]; P]);
            for step in 0..s.results {
                // SAFETY: as above; the rows and the results are among those of this convolution, which its targets hold, and nobody else's.
                unsafe {
                    for r in 0..P {
                        let sum = back::<V, P>(at, r, step, &powers, step + 1 == s.results);
                        self.call.finish(row, sum).store(out[r].as_mut_ptr());
                    }
                    self.call.put(row..end, first, (s.results, step), &out[..rows]);
                }
                powers.iter_mut().zip(PAIRS).for_each(|(power, a)| *power *= a);
            }
        }
    }
}

/// The values at ±a become their sum and difference.
///
/// # Safety
/// The instruction set of `V` is available.
#[inline(always)]
unsafe fn fold_pairs<V: Wide, const P: usize>(at: &mut [[[f64; LANES]; P]; POINTS]) {
    for pair in 0..PAIRS.len() {
        for r in 0..P {
            // SAFETY: the caller's contract; a row has eight numbers.
            unsafe {
                let [plus, minus] = [1, 2].map(|side| V::load(at[side + 2 * pair][r].as_ptr()));
                plus.fma(V::splat(1.0), minus).store(at[1 + 2 * pair][r].as_mut_ptr());
                plus.fma(V::splat(-1.0), minus).store(at[2 + 2 * pair][r].as_mut_ptr());
            }
        }
    }
}

/// Result number `step` of tile `r`: Σ over pairs of a^step times the sum (even steps) or difference, with 0 for the first and ∞ for the last.
///
/// # Safety
/// The instruction set of `V` is available.
#[inline(always)]
unsafe fn back<V: Wide, const P: usize>(at: &[[[f64; LANES]; P]; POINTS], r: usize, step: usize, powers: &[f64; 4], last: bool) -> V {
    // SAFETY: the caller's contract; a row has eight numbers.
    unsafe {
        let mut sum = if step == 0 { V::load(at[0][r].as_ptr()) } else { V::splat(0.0) };
        for (pair, power) in powers.iter().enumerate() {
            sum = sum.fma(V::splat(*power), V::load(at[1 + 2 * pair + step % 2][r].as_ptr()));
        }
        if last {
            sum = sum.fma(V::splat(1.0), V::load(at[POINTS - 1][r].as_ptr()));
        }
        sum
    }
}
