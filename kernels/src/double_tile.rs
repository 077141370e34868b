//! Tiles of results of the convolution in f64: blocks of eight channels × positions in registers, what is done to them, and where they are stored.

use crate::double_lanes::{LANES, Wide};
use crate::double_shape::{Activation, Shape};
use crate::double_signal::{Layout, Signal};
use crate::scratch::Shared;
use core::ops::Range;

/// One convolution being computed.
#[derive(Clone, Copy)]
pub(crate) struct Call<'r> {
    pub(crate) shape: &'r Shape,
    pub(crate) activation: Activation,
    /// By row of the weights, numbered phase·c_out + channel, and eight more.
    pub(crate) bias: &'r [f64],
    pub(crate) input: &'r Signal,
    pub(crate) targets: &'r [Place],
}

/// Where results go, from a channel on.
pub(crate) struct Place {
    pub(crate) values: Shared<f64>,
    pub(crate) layout: Layout,
    pub(crate) channel: usize,
}

/// A form of the convolution, which computes tiles.
pub(crate) trait Tiled {
    /// Blocks of eight channels.
    fn blocks(&self) -> usize;

    /// Positions `first`.. of `B` blocks, `P` of them computed and `rows` kept.
    ///
    /// # Safety
    /// The instruction set of `V` is available, `block + B` ≤ blocks, `rows` ≤ `P` ≤ 12, and `first + rows` ≤ the positions of the form. No one else
    /// stores these results.
    unsafe fn tile<V: Wide, const B: usize, const P: usize>(&self, block: usize, first: usize, rows: usize);

    /// Blocks of one panel, and positions of a tile.
    #[inline(always)]
    fn size<V: Wide>(&self) -> (usize, usize) {
        if V::PAIRS { (2, 12) } else { (1, 6) }
    }

    /// The tile of a panel from a position on, `rows` of it.
    ///
    /// # Safety
    /// As `tile`, for the blocks of the panel, with `rows` ≤ those of `size`.
    #[inline(always)]
    unsafe fn panel<V: Wide>(&self, panel: usize, first: usize, rows: usize) {
        let block = panel * self.size::<V>().0;
        // SAFETY: the caller's contract.
        unsafe {
            match (V::PAIRS && block + 1 < self.blocks(), rows) {
                (true, 9..) => self.tile::<V, 2, 12>(block, first, rows),
                (true, 5..) => self.tile::<V, 2, 8>(block, first, rows),
                (true, _) => self.tile::<V, 2, 4>(block, first, rows),
                (false, 7..) => self.tile::<V, 1, 12>(block, first, rows),
                (false, 4..) => self.tile::<V, 1, 6>(block, first, rows),
                (false, _) => self.tile::<V, 1, 3>(block, first, rows),
            }
        }
    }
}

impl Call<'_> {
    /// Adds the bias of the rows from `row` on, and activates.
    ///
    /// # Safety
    /// The instruction set of `V` is available, and `row` is one of the weights'.
    #[inline(always)]
    pub(crate) unsafe fn finish<V: Wide>(&self, row: usize, sum: V) -> V {
        // SAFETY: the caller's contract; there are eight biases more than rows.
        unsafe {
            let value = sum.fma(V::splat(1.0), V::load(self.bias.as_ptr().add(row)));
            match self.activation {
                Activation::None => value,
                Activation::Leaky(slope) => value.leaky(V::splat(slope)),
                Activation::Tanh => {
                    let mut lanes = [0.0; LANES];
                    value.store(lanes.as_mut_ptr());
                    // A loop, not a closure: that would be compiled without the registers.
                    for lane in &mut lanes {
                        *lane = tanh(*lane);
                    }
                    V::load(lanes.as_ptr())
                }
            }
        }
    }

    /// Stores results of up to eight rows of the weights: number i is example i mod group at step ⌊i / group⌋·`every` + `offset`, from i = `first` on. Steps
    /// behind the last are left out.
    ///
    /// # Safety
    /// The targets are as `DoubleConv::run` asserts, and nobody else reads or stores these results.
    #[inline(always)]
    pub(crate) unsafe fn put(&self, rows: Range<usize>, first: usize, (every, offset): (usize, usize), results: &[[f64; LANES]]) {
        let (c_out, factor, steps, group) = (self.shape.c_out, self.shape.factor, self.shape.steps, self.input.layout.group);
        let mut lane = 0;
        let (mut phase, mut channel) = (rows.start / c_out, rows.start % c_out);
        while lane < rows.len() {
            let count = (rows.len() - lane).min(c_out - channel);
            for Place { values, layout, channel: before } in self.targets {
                let (mut step, mut example) = (first / group * every + offset, first % group);
                let mut at = layout.at(example, step * factor + phase) + before + channel;
                for out in results {
                    if step >= steps {
                        break;
                    }
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
                        (step, example) = (step + every, 0);
                        at = layout.at(0, step * factor + phase) + before + channel;
                    }
                }
            }
            lane += count;
            (phase, channel) = (phase + 1, 0);
        }
    }
}

/// Weights are asked for so many registers ahead: the processor's own fetching stops at every page.
const AHEAD: usize = 32;

/// Adds one tap of all channels: `x` and the distance of its rows, the weights and the distance of their blocks.
///
/// # Safety
/// `V`'s instruction set is available; `P` rows of `channels` samples and `B` blocks of `channels` registers can be read.
#[inline(always)]
pub(crate) unsafe fn tap<V: Wide, const B: usize, const P: usize>(
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
                V::prefetch(w.wrapping_add(b * panel + AHEAD * LANES));
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
    let shifted = y * core::f64::consts::LOG2_E + ROUND;
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
