//! The direct form on blocked activations: as [`crate::direct`], with the input's channels in lanes and the output stored as it is summed.

use crate::direct::{CHAIN, Direct, Operands, RUN, panel, stepped};
use crate::geometry::{Conv1d, MAX_ROWS};
use crate::scratch::{self, Shared, each};
use crate::simd::{Isa, Job, Lanes, MAX_WIDTH};
use crate::through::{Gate, Sink, SinkAt, Source, SourceAt};
use core::ops::Range;

impl Direct {
    /// y = conv(x) + bias on blocked activations.
    pub(crate) fn run(&self, examples: usize, x: Source<'_>, bias: Option<&[f32]>, y: Sink<'_>, parallel: bool) {
        self.run_within(examples, x, bias, y, 0..self.conv.len_out(), parallel);
    }

    /// The same for some samples of y alone, one at least.
    pub(crate) fn run_within(&self, examples: usize, x: Source<'_>, bias: Option<&[f32]>, y: Sink<'_>, time: Range<usize>, parallel: bool) {
        let (conv, w) = (&self.conv, self.isa.width());
        let (groups_in, groups) = (conv.c_in.div_ceil(w), conv.c_out.div_ceil(w));
        // Rows of a group, with its padding, that these samples need, and those that the last block reads in vain.
        let padded = (time.len() - 1) * conv.stride + conv.span() + MAX_ROWS * conv.stride;
        let panels = groups.div_ceil(2);
        let at_once = if parallel { examples } else { 1 };
        let mut buffer = scratch::lend(at_once * groups_in * padded * w);
        let buffer = Shared::new(buffer.as_mut_ptr());
        let wanted = if parallel { (4 * crate::parallel::current_num_threads()).div_ceil(at_once * panels) } else { 1 };
        let segment = time.len().div_ceil(wanted).min(192).next_multiple_of(48);
        let segments = time.len().div_ceil(segment);
        for first in (0..examples).step_by(at_once) {
            each(at_once * groups_in, parallel, |task| {
                let from = x.at(first + task / groups_in, task % groups_in, w, conv.c_in, conv.len_in, x.scale_lanes(task % groups_in, w));
                let to = Shared::new(buffer.get().wrapping_add(task * padded * w));
                self.isa.dispatch(Pad { from, to, first: time.start * conv.stride, left: conv.pad_left, len: conv.len_in, rows: padded });
            });
            each(at_once * panels * segments, parallel, |task| {
                let (n, rest) = (task / (panels * segments), task % (panels * segments));
                let (start, group) = (rest % segments * segment, rest / segments * 2);
                let to = |g: usize| y.at(first + n, g, w, conv.c_out, conv.len_out(), y.affine_lanes(g, w));
                self.isa.dispatch(Stretch {
                    form: self,
                    x: Shared::new(buffer.get().wrapping_add((n * groups_in * padded + start * conv.stride) * w)),
                    padded,
                    bias,
                    to: [to(group), to((group + 1).min(groups - 1))],
                    group,
                    time: time.start + start..time.end.min(time.start + start + segment),
                });
            });
        }
    }
}

/// Some rows of one group of one example with zeros around it.
struct Pad<'a> {
    from: SourceAt<'a>,
    to: Shared,
    /// The first row, counted from the first of the zeros before the signal.
    first: usize,
    left: usize,
    len: usize,
    rows: usize,
}

impl Job for Pad<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (to, w) = (self.to.get(), V::WIDTH);
        // Rows of zeros before the samples, the first sample, and how many there are.
        let before = self.left.saturating_sub(self.first).min(self.rows);
        let start = self.first.saturating_sub(self.left).min(self.len);
        let count = (self.len - start).min(self.rows - before);
        // SAFETY: the rows are this task's own.
        unsafe {
            crate::rows::clear::<V>(to, 0..before);
            self.from.load::<V>(start, count, to.add(before * w));
            crate::rows::clear::<V>(to, before + count..self.rows);
        }
    }
}

/// Up to two registers of output channels over a segment of time of one example.
struct Stretch<'a> {
    form: &'a Direct,
    /// Where the rows of its first sample lie.
    x: Shared,
    padded: usize,
    bias: Option<&'a [f32]>,
    to: [SinkAt<'a>; 2],
    group: usize,
    time: core::ops::Range<usize>,
}

impl Job for Stretch<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (conv, w) = (&self.form.conv, V::WIDTH);
        let groups = conv.c_out.div_ceil(w);
        let registers = (groups - self.group).min(2);
        let step = V::PANEL.min(registers);
        let rows = self.time.len().next_multiple_of(V::ROWS);
        // Sums lie register by register, so that each is a run of rows to store.
        let mut sums = scratch::lend(rows * w * registers);
        let sums = sums.as_mut_ptr();
        // SAFETY: `sums` holds the rows; the padded input has rows for every block; the packed weights have every (i, j) and whole registers;
        // the samples of this segment and these registers are this task's own.
        unsafe {
            for g in 0..registers {
                let mut bias = [0.0; MAX_WIDTH];
                for (to, from) in bias.iter_mut().zip(self.bias.map_or(&[][..], |b| &b[(self.group + g) * w..]).iter().take(w)) {
                    *to = *from;
                }
                let bias = V::load(bias.as_ptr());
                for r in 0..rows {
                    bias.store(sums.add((r * registers + g) * w));
                }
            }
            for g in (0..registers).step_by(step) {
                for r in (0..rows).step_by(V::ROWS) {
                    for first in (0..conv.c_in).step_by(CHAIN) {
                        let (b, b_step) = self.form.panel_weights::<V>(self.group, registers, g, first);
                        let walk = Operands {
                            outer: CHAIN.min(conv.c_in - first),
                            outer_step: 1,
                            inner: conv.kernel,
                            inner_step: conv.dilation * w,
                            b_step,
                            c_step: registers * w,
                        };
                        let a = self.x.get().add((first / w * self.padded + r * conv.stride) * w + first % w);
                        stepped::<V>(&walk, step, conv.stride, w, a, b, sums.add((r * registers + g) * w));
                    }
                }
            }
            for g in 0..registers {
                // The bias is in the sums; −0 adds nothing, not even to −0.
                self.to[g].store::<V>(sums.add(g * w), registers, &[-0.0; MAX_WIDTH], self.time.start, self.time.len());
            }
        }
    }
}

/// The weight gradient, directly, on blocked activations and in parts; see [`crate::WeightGradient`].
#[derive(Clone, Debug)]
pub struct DirectGradient {
    conv: Conv1d,
    isa: Isa,
}

impl DirectGradient {
    /// Of this geometry.
    pub fn new(conv: Conv1d, isa: Isa) -> Self {
        DirectGradient { conv: conv.reduced(), isa }
    }

    /// Rows (i, j) of the sums with those that the last block computes in vain, and columns of output channels.
    fn extent(&self) -> (usize, usize) {
        ((self.conv.c_in * self.conv.kernel).next_multiple_of(MAX_ROWS), self.conv.c_out.next_multiple_of(self.isa.width()))
    }

    /// Elements of the sums of a part.
    pub fn size(&self) -> usize {
        (self.extent().0 * self.extent().1).next_multiple_of(MAX_WIDTH)
    }

    /// Tap sums over some examples.
    pub fn part(&self, examples: usize, x: &[f32], gy: &[f32], sums: &mut [f32]) {
        let (conv, w) = (&self.conv, self.isa.width());
        let (groups_in, groups_out) = (conv.c_in.div_ceil(w), conv.c_out.div_ceil(w));
        let padded = conv.len_in + conv.pad_left + conv.pad_right;
        let mut buffer = scratch::lend(groups_in * padded * w);
        let buffer = Shared::new(buffer.as_mut_ptr());
        sums.fill(0.0);
        let source = Source::Blocked(x, Gate::Open, None);
        for n in 0..examples {
            for group in 0..groups_in {
                let from = source.at(n, group, w, conv.c_in, conv.len_in, source.scale_lanes(group, w));
                let to = Shared::new(buffer.get().wrapping_add(group * padded * w));
                self.isa.dispatch(Pad { from, to, first: 0, left: conv.pad_left, len: conv.len_in, rows: padded });
            }
            let gy = &gy[n * groups_out * conv.len_out() * w..][..groups_out * conv.len_out() * w];
            self.isa.dispatch(TapSums { conv, x: buffer, padded, gy, sums: &mut *sums });
        }
    }

    /// The gradient from the sum of the parts.
    pub fn finish(&self, sums: &mut [f32], gw: &mut [f32]) {
        let (taps, columns) = (self.conv.c_in * self.conv.kernel, self.extent().1);
        for (o, gw) in gw.chunks_exact_mut(taps).enumerate() {
            for (row, gw) in gw.iter_mut().enumerate() {
                *gw = sums.chunks_exact(self.size()).map(|part| part[row * columns + o]).sum();
            }
        }
    }
}

/// Adds one example to the tap sums.
struct TapSums<'a> {
    conv: &'a Conv1d,
    x: Shared,
    padded: usize,
    gy: &'a [f32],
    sums: &'a mut [f32],
}

impl Job for TapSums<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (conv, w, len_out) = (self.conv, V::WIDTH, self.conv.len_out());
        let (taps, groups) = (conv.c_in * conv.kernel, conv.c_out.div_ceil(w));
        let columns = groups * w;
        // The sample that row (i, j) reads for output 0; rows in vain read the first.
        let offset = |row: usize| {
            let (i, j) = (row / conv.kernel, row % conv.kernel);
            if row < taps { (i / w * self.padded + j * conv.dilation) * w + i % w } else { 0 }
        };
        for first in (0..len_out).step_by(RUN) {
            let inner = RUN.min(len_out - first);
            let walk = Operands { outer: 1, outer_step: 0, inner, inner_step: conv.stride * w, b_step: w, c_step: columns };
            for group in 0..groups {
                for row in (0..taps).step_by(V::ROWS) {
                    // SAFETY: rows up to the next multiple of MAX_ROWS lie in the sums; the padded input holds every (i, j) at every t.
                    unsafe {
                        let a = self.x.get().add(first * conv.stride * w);
                        let b = self.gy.as_ptr().add((group * len_out + first) * w);
                        let rows = core::array::from_fn(|r| offset(row + r));
                        panel::<V>(&walk, 1, &rows, a, b, self.sums.as_mut_ptr().add(row * columns + group * w));
                    }
                }
            }
        }
    }
}
