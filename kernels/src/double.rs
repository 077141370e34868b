//! Convolution in f64 by register blocks: 16 channels × 12 positions on AVX-512, 8 × 6 elsewhere; weights packed once, what follows fused at the store.
//!
//! y(n, o, t) = φ(b(o) + Σ_c Σ_j w(o·f + p, c, j) · x(n, c, s·q + j − pad)), with t = f·q + p: an ordinary convolution of stride s for f = 1, the
//! convolution behind an f-fold upsampling by phases for s = 1. One chain of fused products per result, over taps, then channels, and the bias last: the
//! same bytes on every instruction set that has fused products, whatever is in the group. Taps that are zero in a whole block of channels, and taps that
//! meet nothing but padding, are left out.

use crate::Isa;
use crate::double_lanes::{LANES, Wide, WideJob, dispatch};
pub use crate::double_signal::Signal;
use crate::double_signal::{Layout, SLACK};
use crate::scratch::{Shared, each};
use std::ops::Range;

/// What is done with a result before it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// Its own value where > 0, else this slope times it (0: ReLU).
    Leaky(f64),
    /// Hyperbolic tangent, to 4e-16 absolute.
    Tanh,
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Channels read.
    pub c_in: usize,
    /// Channels given.
    pub c_out: usize,
    /// Phases: the weights have c_out·factor rows, that of channel o and phase p is o·factor + p.
    pub factor: usize,
    /// Taps.
    pub taps: usize,
    /// Stride; 1 where factor > 1.
    pub stride: usize,
    /// Zeros on the left.
    pub pad: usize,
    /// Samples read.
    pub len_in: usize,
    /// Positions q; the result has factor times as many samples.
    pub steps: usize,
}

/// A convolution with its weights packed: by block of eight rows, tap, channel, lane.
#[derive(Clone, Debug)]
pub struct DoubleConv {
    shape: Shape,
    activation: Activation,
    /// Rows by phase, then channel, filled up with zeros to whole blocks.
    weight: Vec<f64>,
    bias: Vec<f64>,
    /// Of each block, the taps that are not zero.
    taps: Vec<Range<usize>>,
}

impl DoubleConv {
    /// Packs weights (c_out·factor, c_in, taps) and a bias (c_out·factor).
    ///
    /// # Panics
    /// If the slices have other sizes.
    pub fn new(shape: Shape, weight: &[f64], bias: &[f64], activation: Activation) -> Self {
        let Shape { c_in, c_out, factor, taps, .. } = shape;
        let rows = c_out * factor;
        assert!(weight.len() == rows * c_in * taps && bias.len() == rows && rows * c_in * taps > 0, "weights of another shape");
        assert!(factor == 1 || shape.stride == 1, "phases with a stride");
        let blocks = rows.div_ceil(LANES);
        let mut packed = vec![0.0; blocks * c_in * taps * LANES];
        let mut ordered = vec![0.0; blocks * LANES];
        let mut used = vec![taps..0; blocks];
        for flat in 0..rows {
            let (row, block) = (flat % c_out * factor + flat / c_out, flat / LANES);
            ordered[flat] = bias[row];
            for c in 0..c_in {
                for j in 0..taps {
                    let w = weight[(row * c_in + c) * taps + j];
                    packed[((block * taps + j) * c_in + c) * LANES + flat % LANES] = w;
                    if w != 0.0 {
                        used[block] = used[block].start.min(j)..used[block].end.max(j + 1);
                    }
                }
            }
        }
        DoubleConv { shape, activation, weight: packed, bias: ordered, taps: used }
    }

    /// Zeros for a group of inputs.
    pub fn input(&self, group: usize) -> Signal {
        let Shape { c_in, len_in, taps, stride, pad, .. } = self.shape;
        Signal::new(group, c_in, len_in, (taps, stride, pad))
    }

    /// Convolves and stores in every target, from its channel on; `parallel` splits the work over threads.
    ///
    /// # Panics
    /// If the input was made for another convolution, or a target has another length or group, or too few channels.
    pub fn run(&self, isa: Isa, input: &Signal, targets: &mut [(&mut Signal, usize)], parallel: bool) {
        let (s, from) = (&self.shape, &input.layout);
        assert!(
            (from.channels, from.len, from.stride, from.pad) == (s.c_in, s.len_in, s.stride, s.pad),
            "an input for another convolution"
        );
        let rows = (s.steps - 1 + (s.taps - 1) / s.stride + 1) * from.group + SLACK;
        assert!(rows * s.stride * s.c_in <= input.values.len(), "an input too short");
        for (target, channel) in targets.iter() {
            let to = &target.layout;
            assert!(
                to.group == from.group && to.len == s.steps * s.factor && channel + s.c_out <= to.channels,
                "a target of another shape"
            );
        }
        let place = |(target, channel): &mut (&mut Signal, usize)| Place {
            values: Shared::new(target.values.as_mut_ptr()),
            layout: target.layout,
            channel: *channel,
        };
        let targets: Vec<Place> = targets.iter_mut().map(place).collect();
        let run = Run { conv: self, input, targets: &targets };
        let pieces = if parallel { 4 * rayon::current_num_threads() } else { 1 };
        each(pieces, parallel, |index| dispatch(isa, Piece { run, index, pieces }));
    }
}

/// Weights that stay in the second cache while tiles of positions stream by: with fewer than these, f64, positions are the outer loop.
const RESIDENT: usize = 96 * 1024;

/// Where results go, from a channel on.
struct Place {
    values: Shared<f64>,
    layout: Layout,
    channel: usize,
}

#[derive(Clone, Copy)]
struct Run<'r> {
    conv: &'r DoubleConv,
    input: &'r Signal,
    targets: &'r [Place],
}

/// One of so many shares of the results.
struct Piece<'r> {
    run: Run<'r>,
    index: usize,
    pieces: usize,
}

impl WideJob for Piece<'_> {
    #[inline(always)]
    unsafe fn run<V: Wide>(self) {
        let (conv, input) = (self.run.conv, self.run.input);
        let (blocks, wide, tall) = (conv.taps.len(), if V::PAIRS { 2 } else { 1 }, if V::PAIRS { 12 } else { 6 });
        let results = conv.shape.steps * input.layout.group;
        let (panels, tiles) = (blocks.div_ceil(wide), results.div_ceil(tall));
        let resident = conv.weight.len() <= RESIDENT;
        let (outer, inner) = if resident { (tiles, panels) } else { (panels, tiles) };
        for outer in self.index * outer / self.pieces..(self.index + 1) * outer / self.pieces {
            for inner in 0..inner {
                let (panel, tile) = if resident { (inner, outer) } else { (outer, inner) };
                let (block, first) = (panel * wide, tile * tall);
                let rows = tall.min(results - first);
                // SAFETY: the instruction set is there, as the caller vouches; block and rows lie inside, as `tile` demands, and are no other piece's.
                unsafe {
                    match (V::PAIRS && block + 1 < blocks, rows) {
                        (true, 9..) => self.run.tile::<V, 2, 12>(block, first, rows),
                        (true, 5..) => self.run.tile::<V, 2, 8>(block, first, rows),
                        (true, _) => self.run.tile::<V, 2, 4>(block, first, rows),
                        (false, 7..) => self.run.tile::<V, 1, 12>(block, first, rows),
                        (false, 4..) => self.run.tile::<V, 1, 6>(block, first, rows),
                        (false, _) => self.run.tile::<V, 1, 3>(block, first, rows),
                    }
                }
            }
        }
    }
}

impl Run<'_> {
    /// Results `first`.. of `B` blocks, `P` of them computed and `rows` stored.
    ///
    /// # Safety
    /// The instruction set of `V` is available, `block + B` ≤ blocks, `rows` ≤ `P` ≤ 12, `first + rows` ≤ steps·group, and the sizes are as
    /// `DoubleConv::run` asserts. No one else stores these results.
    #[inline(always)]
    unsafe fn tile<V: Wide, const B: usize, const P: usize>(&self, block: usize, first: usize, rows: usize) {
        let s = &self.conv.shape;
        let (group, stride) = (self.input.layout.group, s.stride);
        let (from, to) = (first / group, (first + rows - 1) / group);
        let used = self.conv.taps[block..block + B].iter().fold(s.taps..0, |a, b| a.start.min(b.start)..a.end.max(b.end));
        // Tap j of step q reads sample q·stride + j − pad: outside the signal there are zeros.
        let start = used.start.max(s.pad.saturating_sub(to * stride));
        let end = used.end.min((s.len_in + s.pad).saturating_sub(from * stride));
        let (row, panel) = (stride * s.c_in, s.c_in * s.taps * LANES);
        let mut out = [[[0.0; LANES]; P]; B];
        // SAFETY: the largest row read is first + P − 1 + (taps − 1) / stride · group < rows of `DoubleConv::run`, columns are below
        // stride·c_in; the weights hold (block + B) panels.
        unsafe {
            let x = self.input.values.as_ptr().add(first * row);
            let w = self.conv.weight.as_ptr().add(block * panel);
            let mut acc = [[V::splat(0.0); B]; P];
            for j in start..end {
                let x = x.add(j / stride * group * row + j % stride * s.c_in);
                acc = tap::<V, B, P>(acc, s.c_in, (x, row), (w.add(j * s.c_in * LANES), panel));
            }
            for r in 0..P {
                for b in 0..B {
                    acc[r][b].store(out[b][r].as_mut_ptr());
                }
            }
        }
        for (b, out) in out.iter_mut().enumerate() {
            self.finish(block + b, &mut out[..rows]);
            // SAFETY: the block and the results are among those of this convolution, which its targets hold, and nobody else's.
            unsafe { self.put(block + b, first, &out[..rows]) };
        }
    }

    #[inline(always)]
    fn finish(&self, block: usize, results: &mut [[f64; LANES]]) {
        let bias = &self.conv.bias[block * LANES..][..LANES];
        for out in results.iter_mut() {
            for l in 0..LANES {
                out[l] += bias[l];
            }
        }
        // Loops, not closures: these would be compiled without the registers.
        match self.conv.activation {
            Activation::None => {}
            Activation::Leaky(slope) => {
                for out in results {
                    for l in 0..LANES {
                        out[l] = if out[l] > 0.0 { out[l] } else { slope * out[l] };
                    }
                }
            }
            Activation::Tanh => {
                for out in results {
                    for l in 0..LANES {
                        out[l] = tanh(out[l]);
                    }
                }
            }
        }
    }

    /// Stores the results of a block from number `first` on: rows of the weights are numbered phase·c_out + channel.
    ///
    /// # Safety
    /// `first` + results ≤ steps·group, the targets are as `DoubleConv::run` asserts, and nobody else reads or stores these results.
    #[inline(always)]
    unsafe fn put(&self, block: usize, first: usize, results: &[[f64; LANES]]) {
        let (c_out, factor, group) = (self.conv.shape.c_out, self.conv.shape.factor, self.input.layout.group);
        let mut lane = 0;
        let (mut phase, mut channel) = (block * LANES / c_out, block * LANES % c_out);
        while lane < LANES && phase < factor {
            let count = (LANES - lane).min(c_out - channel);
            for Place { values, layout, channel: offset } in self.targets {
                let (mut step, mut example) = (first / group, first % group);
                let mut at = layout.at(example, step * factor + phase) + offset + channel;
                for out in results {
                    // SAFETY: the caller's contract: sample step·factor + phase of this example has `count` channels from there on.
                    unsafe {
                        let to = values.get().add(at);
                        // All lanes: a copy of a size that the compiler knows.
                        if count == LANES {
                            out.as_ptr().copy_to_nonoverlapping(to, LANES);
                        } else {
                            out.as_ptr().add(lane).copy_to_nonoverlapping(to, count);
                        }
                    }
                    (example, at) = (example + 1, at + layout.stride * layout.channels);
                    if example == group {
                        (step, example) = (step + 1, 0);
                        at = layout.at(0, step * factor + phase) + offset + channel;
                    }
                }
            }
            lane += count;
            (phase, channel) = (phase + 1, 0);
        }
    }
}

/// Adds one tap of all channels: `x` and the distance of its rows, the weights and the distance of their blocks.
///
/// # Safety
/// `V`'s instruction set is available; `P` rows of `channels` samples and `B` blocks of `channels` registers can be read.
#[inline(always)]
unsafe fn tap<V: Wide, const B: usize, const P: usize>(
    mut acc: [[V; B]; P],
    channels: usize,
    (mut x, row): (*const f64, usize),
    (mut w, panel): (*const f64, usize),
) -> [[V; B]; P] {
    for _ in 0..channels {
        // SAFETY: the caller's contract; one sample and one register further each time.
        unsafe {
            let mut weights = [V::splat(0.0); B];
            for b in 0..B {
                weights[b] = V::load(w.add(b * panel));
            }
            for r in 0..P {
                let value = V::splat(*x.add(r * row));
                for b in 0..B {
                    acc[r][b] = acc[r][b].fma(weights[b], value);
                }
            }
            (x, w) = (x.add(1), w.add(LANES));
        }
    }
    acc
}

/// Hyperbolic tangent, 1 − 2 / (e^{2|x|} + 1) with the sign of x, to 4e-16 absolute (not relative near 0); NaN for NaN. Plain sums and products, so that it
/// gives the same bytes everywhere and compilers can use registers for it.
#[inline(always)]
fn tanh(x: f64) -> f64 {
    /// Added and taken away, it rounds to whole numbers and leaves them in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let y = 2.0 * x.abs();
    let y = if y > 40.0 { 40.0 } else { y };
    let shifted = y * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (y - k * LN2_HIGH) - k * LN2_LOW;
    // e^r on |r| ≤ ln 2 / 2: Taylor to the 13th power, remainder 4e-18.
    let mut e = 1.0 / 6_227_020_800.0;
    for n in [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        e = e * r + n;
    }
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    let t = 1.0 - 2.0 / (e * power + 1.0);
    t.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::tanh;

    #[test]
    fn tanh_is_the_library_s() {
        for i in -40_000..=40_000 {
            let x = f64::from(i) * 7.3e-4;
            assert!((tanh(x) - x.tanh()).abs() <= 4e-16, "{x}: {} for {}", tanh(x), x.tanh());
        }
        assert_eq!((tanh(0.0), tanh(f64::INFINITY), tanh(f64::NEG_INFINITY)), (0.0, 1.0, -1.0));
        assert!(tanh(f64::NAN).is_nan());
    }
}
