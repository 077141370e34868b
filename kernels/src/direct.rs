//! Short kernels, strides and dilations: the convolution as a register-blocked real matrix product that reads its operand in place (no im2col).
//!
//! Output channels run over lanes. C\[t, o\] += x\[i, t·stride + j·dilation\] · w\[(i, j), o\] for a block of `ROWS` time steps: x is broadcast from
//! a zero-padded copy of the channel-major input, the weights are packed by panels of output channels. The weight gradient is the same product
//! with rows (i, j) and the sum over time. Every element is the same sum of chains of fused additions wherever its block begins, so blocks of rows do not show in the bytes.

use crate::geometry::{Conv1d, MAX_ROWS, Side};
use crate::rows::{Channels, channels, load_rows, store_rows};
use crate::scratch::{self, Buffer, Shared, each};
use crate::simd::{Isa, Job, Lanes, MAX_WIDTH};

/// Elements of transposed gradient that a block works on: half of a 32 kB L1.
const BLOCK: usize = 4096;
/// Samples whose products are one chain of a weight gradient, for eight channels of the output at a time, whatever the registers hold.
pub(crate) const RUN: usize = BLOCK / 8;
/// Input channels whose products with all taps are one chain of fused additions: the same sums in the same order in both layouts and on every
/// instruction set, hence the same bytes; and shorter chains lose less.
pub(crate) const CHAIN: usize = 8;

/// A convolution ready to run directly.
#[derive(Clone, Debug)]
pub struct Direct {
    pub(crate) conv: Conv1d,
    pub(crate) isa: Isa,
    /// \[pair of registers\]\[(i, j)\]\[o of these, padded to whole registers\]: what a block reads lies in one run, whatever the channels.
    pub(crate) weights: Buffer,
}

/// Where a block of the product finds its operands.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    /// Terms: `outer` runs of `inner`, at these steps through A.
    pub outer: usize,
    pub outer_step: usize,
    pub inner: usize,
    pub inner_step: usize,
    /// From term to term of B.
    pub b_step: usize,
    /// From row to row of C.
    pub c_step: usize,
}

/// C\[r\]\[g\] += Σ a\[rows\[r\] + term\] · B\[term\]\[g\] for M rows and G registers.
///
/// # Safety
/// V's instruction set is available and every element that the walk reaches lies in its buffer.
#[inline(always)]
unsafe fn block<V: Lanes, const M: usize, const G: usize>(walk: &Operands, rows: [usize; M], a: *const f32, b: *const f32, c: *mut f32) {
    let w = V::WIDTH;
    // SAFETY: the caller's contract.
    unsafe {
        // Sums of a block start at 0 and join C at the end: long sums over time are then sums of short ones, and lose less.
        let mut sums = [[V::splat(0.0); G]; M];
        let mut b = b;
        for outer in 0..walk.outer {
            let mut a = a.wrapping_add(outer * walk.outer_step);
            for _ in 0..walk.inner {
                let mut columns = [V::splat(0.0); G];
                for (g, column) in columns.iter_mut().enumerate() {
                    *column = V::load(b.add(g * w));
                }
                for m in 0..M {
                    let value = V::splat(*a.add(rows[m]));
                    for g in 0..G {
                        sums[m][g] = sums[m][g].fma(value, columns[g]);
                    }
                }
                // Wrapping: after the last term they may lie beyond their buffers.
                a = a.wrapping_add(walk.inner_step);
                b = b.wrapping_add(walk.b_step);
            }
        }
        for m in 0..M {
            for g in 0..G {
                let at = c.add(m * walk.c_step + g * w);
                V::load(at).add(sums[m][g]).store(at);
            }
        }
    }
}

/// [`block`] for `V::ROWS` rows (the first of `rows`) and one or two registers.
#[inline(always)]
pub(crate) unsafe fn panel<V: Lanes>(
    walk: &Operands,
    registers: usize,
    rows: &[usize; MAX_ROWS],
    a: *const f32,
    b: *const f32,
    c: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        match (V::ROWS, registers) {
            (12, 2) => block::<V, 12, 2>(walk, *rows, a, b, c),
            (12, _) => block::<V, 12, 1>(walk, *rows, a, b, c),
            (6, 2) => block::<V, 6, 2>(walk, core::array::from_fn(|r| rows[r]), a, b, c),
            (6, _) => block::<V, 6, 1>(walk, core::array::from_fn(|r| rows[r]), a, b, c),
            _ => block::<V, 4, 1>(walk, core::array::from_fn(|r| rows[r]), a, b, c),
        }
    }
}

/// [`panel`] with rows at a constant step of `stride` samples of `unit` elements; stride 1 is compiled on its own, with the offsets in the
/// instructions.
#[inline(always)]
pub(crate) unsafe fn stepped<V: Lanes>(
    walk: &Operands,
    registers: usize,
    stride: usize,
    unit: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let one = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        if stride == 1 {
            panel::<V>(walk, registers, &one.map(|r| r * unit), a, b, c);
        } else {
            panel::<V>(walk, registers, &one.map(|r| r * unit * stride), a, b, c);
        }
    }
}

/// Examples whose padded inputs are held at once; fixed by the geometry, since the weight gradient's sum follows it.
fn chunk(conv: &Conv1d, batch: usize) -> usize {
    let each = padded_size(conv) + conv.len_out() * conv.c_out.next_multiple_of(MAX_WIDTH);
    (4_000_000 / each.max(1)).clamp(1, 32).min(batch.max(1))
}

/// Length of a channel with its padding, and of an example, with room for the rows that the last block reads in vain.
fn padded_len(conv: &Conv1d) -> usize {
    conv.len_in + conv.pad_left + conv.pad_right
}

fn padded_size(conv: &Conv1d) -> usize {
    conv.c_in * padded_len(conv) + MAX_ROWS * conv.stride
}

/// Copies examples with zeros around every channel.
fn pad(conv: &Conv1d, examples: usize, x: &[f32], to: Shared) {
    let (len, size) = (padded_len(conv), padded_size(conv));
    each(examples, true, |n| {
        // SAFETY: example n's own part of the buffer.
        let to = unsafe { core::slice::from_raw_parts_mut(to.get().add(n * size), size) };
        for (i, to) in to[..conv.c_in * len].chunks_exact_mut(len).enumerate() {
            to[..conv.pad_left].fill(0.0);
            to[conv.pad_left..][..conv.len_in].copy_from_slice(&x[(n * conv.c_in + i) * conv.len_in..][..conv.len_in]);
            to[conv.pad_left + conv.len_in..].fill(0.0);
        }
        to[conv.c_in * len..].fill(0.0);
    });
}

impl Direct {
    /// Packs the weights; `side` as in [`crate::spectral::Spectral::new`].
    pub fn new(conv: Conv1d, isa: Isa, side: Side, w: &[f32]) -> Self {
        let conv = conv.reduced();
        let weights = Buffer::zeros(conv.c_in * conv.kernel * conv.c_out.next_multiple_of(isa.width()));
        let mut form = Direct { conv, isa, weights };
        form.refresh(side, w);
        form
    }

    /// Takes other weights of the same shape.
    pub fn refresh(&mut self, side: Side, w: &[f32]) {
        let (conv, taps) = (&self.conv, self.conv.kernel);
        let (padded, pair) = (conv.c_out.next_multiple_of(self.isa.width()), 2 * self.isa.width());
        let to = self.weights.as_mut_slice();
        for first in (0..conv.c_out).step_by(pair) {
            let (rows, columns) = (&mut to[first * conv.c_in * taps..], pair.min(padded - first));
            for i in 0..conv.c_in {
                for j in 0..taps {
                    let row = &mut rows[(i * taps + j) * columns..][..columns.min(conv.c_out - first)];
                    for (o, to) in (first..).zip(row) {
                        *to = match side {
                            Side::Forward => w[(o * conv.c_in + i) * taps + j],
                            Side::Adjoint => w[(i * conv.c_out + o) * taps + taps - 1 - j],
                        };
                    }
                }
            }
        }
    }

    /// The weights of output register `g` of the pair that begins with register `group`, from input channel `first` on, and how far it is from one (i, j)
    /// to the next.
    ///
    /// # Safety
    /// There are these registers and this channel.
    #[inline(always)]
    pub(crate) unsafe fn panel_weights<V: Lanes>(&self, group: usize, registers: usize, g: usize, first: usize) -> (*const f32, usize) {
        let (taps, columns) = (self.conv.kernel, registers * V::WIDTH);
        // SAFETY: the caller's contract.
        (unsafe { self.weights.as_ptr().add(group * V::WIDTH * self.conv.c_in * taps + first * taps * columns + g * V::WIDTH) }, columns)
    }

    /// y = conv(x) + bias; see [`crate::PreparedConv::forward`].
    pub fn forward(&self, batch: usize, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let conv = &self.conv;
        let (chunk, size) = (chunk(conv, batch), padded_size(conv));
        let groups = conv.c_out.div_ceil(self.isa.width()).div_ceil(2);
        for first in (0..batch).step_by(chunk) {
            let count = chunk.min(batch - first);
            let mut padded = scratch::lend(count * size);
            let padded = Shared::new(padded.as_mut_ptr());
            pad(conv, count, &x[first * conv.input_size()..], padded);
            // Enough segments of time for every thread; blocks are independent, so they do not show in the result.
            let wanted = (4 * crate::parallel::current_num_threads()).div_ceil(count * groups);
            let segment = conv.len_out().div_ceil(wanted).next_multiple_of(48);
            let segments = conv.len_out().div_ceil(segment);
            let y = Shared::new(y[first * conv.output_size()..].as_mut_ptr());
            each(count * groups * segments, true, |task| {
                let (n, rest) = (task / (groups * segments), task % (groups * segments));
                let start = rest % segments * segment;
                self.isa.dispatch(Forward {
                    form: self,
                    x: Shared::new(padded.get().wrapping_add(n * size)),
                    bias,
                    y: Shared::new(y.get().wrapping_add(n * conv.output_size())),
                    group: rest / segments * 2,
                    time: start..conv.len_out().min(start + segment),
                });
            });
        }
    }
}

/// Up to two registers of output channels over a segment of time of one example.
struct Forward<'a> {
    form: &'a Direct,
    x: Shared,
    bias: Option<&'a [f32]>,
    y: Shared,
    group: usize,
    time: core::ops::Range<usize>,
}

impl Job for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (conv, w) = (&self.form.conv, V::WIDTH);
        let groups = conv.c_out.div_ceil(w);
        let registers = (groups - self.group).min(2);
        // A panel narrower than what is here is taken twice.
        let step = V::PANEL.min(registers);
        let rows = self.time.len().next_multiple_of(V::ROWS);
        let channels_at_once = CHAIN;
        let mut sums = scratch::lend(rows * w * registers);
        let sums = sums.as_mut_ptr();
        // SAFETY: `sums` holds the padded rows of `registers` registers; the padded input has room for them; the packed weights have every
        // (i, j) and whole registers; samples self.time of this task's channels are its own.
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
            for first in (0..conv.c_in).step_by(channels_at_once) {
                for g in (0..registers).step_by(step) {
                    let (b, b_step) = self.form.panel_weights::<V>(self.group, registers, g, first);
                    let walk = Operands {
                        outer: channels_at_once.min(conv.c_in - first),
                        outer_step: padded_len(conv),
                        inner: conv.kernel,
                        inner_step: conv.dilation,
                        b_step,
                        c_step: registers * w,
                    };
                    for r in (0..rows).step_by(V::ROWS) {
                        let a = self.x.get().add(first * padded_len(conv) + (self.time.start + r) * conv.stride);
                        stepped::<V>(&walk, step, conv.stride, 1, a, b, sums.add((r * registers + g) * w));
                    }
                }
            }
            for g in 0..registers {
                let to = self.y.get().add(self.time.start);
                let channels = channels(conv.c_out, self.group + g, w, conv.len_out());
                store_rows::<V>(sums, to, channels, self.time.len(), |t| t * registers + g);
            }
        }
    }
}

/// The weight gradient, directly; see [`crate::conv1d::grad_weight`].
pub fn grad_weight(conv: &Conv1d, isa: Isa, batch: usize, x: &[f32], gy: &[f32], gw: &mut [f32]) {
    let conv = &conv.reduced();
    let (w, len_out) = (isa.width(), conv.len_out());
    let (taps, groups) = (conv.c_in * conv.kernel, conv.c_out.div_ceil(w));
    let (chunk, size, columns) = (chunk(conv, batch), padded_size(conv), groups * w);
    // Rows of the sums, with those that the last block computes in vain.
    let rows = taps.next_multiple_of(MAX_ROWS);
    let mut padded = scratch::lend(chunk * size);
    let mut turned = scratch::lend(chunk * len_out * columns);
    let mut sums = scratch::lend(rows * columns);
    sums.as_mut_slice()[..rows * columns].fill(0.0);
    let (padded, turned) = (Shared::new(padded.as_mut_ptr()), Shared::new(turned.as_mut_ptr()));
    let to = Shared::new(sums.as_mut_ptr());
    for first in (0..batch).step_by(chunk) {
        let count = chunk.min(batch - first);
        pad(conv, count, &x[first * conv.input_size()..], padded);
        each(count * groups, true, |task| {
            let (n, group) = (task / groups, task % groups);
            let gy = &gy[(first + n) * conv.output_size()..][..conv.output_size()];
            let channels = channels(conv.c_out, group, w, len_out);
            let to = Shared::new(turned.get().wrapping_add(n * len_out * columns + group * w));
            isa.dispatch(ByTime { gy, channels, len: len_out, to, groups });
        });
        let panels = groups.div_ceil(2);
        let bands = taps.div_ceil(4 * MAX_ROWS);
        each(bands * panels, true, |task| {
            let start = task / panels * 4 * MAX_ROWS;
            let rows = start..taps.min(start + 4 * MAX_ROWS);
            isa.dispatch(Weights { conv, examples: count, x: padded, gy: turned, to, rows, group: task % panels * 2 });
        });
    }
    let sums = sums.as_mut_slice();
    for (o, gw) in gw.chunks_exact_mut(taps).enumerate() {
        for (row, gw) in gw.iter_mut().enumerate() {
            *gw = sums[row * columns + o];
        }
    }
}

/// One register of output channels of a gradient, by time: \[t\]\[o\].
struct ByTime<'a> {
    gy: &'a [f32],
    channels: Channels,
    len: usize,
    to: Shared,
    groups: usize,
}

impl Job for ByTime<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: gy holds the channels; rows at this step are this task's own.
        unsafe { load_rows::<V>(self.gy.as_ptr(), self.channels, self.len, self.to.get(), |t| t * self.groups) };
    }
}

/// Adds the examples of a chunk to a band of weight gradients, up to two registers wide.
struct Weights<'a> {
    conv: &'a Conv1d,
    examples: usize,
    x: Shared,
    gy: Shared,
    to: Shared,
    rows: core::ops::Range<usize>,
    group: usize,
}

impl Job for Weights<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (conv, w, len_out) = (self.conv, V::WIDTH, self.conv.len_out());
        let groups = conv.c_out.div_ceil(w);
        let registers = (groups - self.group).min(2);
        let columns = groups * w;
        // Sixteen channels have chains of half the length, if there are more than eight of them; what else is at hand may not show in the bytes.
        let run = |group: usize| if conv.c_out - group * w / 16 * 16 > 8 { RUN / 2 } else { RUN };
        let alike = (self.group..self.group + registers).all(|group| run(group) == run(self.group));
        let step = if alike { V::PANEL.min(registers) } else { 1 };
        // The sample that row (i, j) reads for output 0; rows in vain read the first.
        let offset = |row: usize| {
            if row < self.rows.end { row / conv.kernel * padded_len(conv) + row % conv.kernel * conv.dilation } else { 0 }
        };
        for n in 0..self.examples {
            for g in (self.group..self.group + registers).step_by(step) {
                for t in (0..len_out).step_by(run(g)) {
                    let walk = Operands {
                        outer: 1,
                        outer_step: 0,
                        inner: run(g).min(len_out - t),
                        inner_step: conv.stride,
                        b_step: columns,
                        c_step: columns,
                    };
                    for row in self.rows.clone().step_by(V::ROWS) {
                        // SAFETY: rows up to the next multiple of MAX_ROWS lie in the sums; a band is a multiple of ROWS long or the last, so no
                        // other task writes these; the padded input holds every (i, j) at every t.
                        unsafe {
                            let a = self.x.get().add(n * padded_size(conv) + t * conv.stride);
                            let b = self.gy.get().add((n * len_out + t) * columns + g * w);
                            let rows = core::array::from_fn(|r| offset(row + r));
                            panel::<V>(&walk, step, &rows, a, b, self.to.get().add(row * columns + g * w));
                        }
                    }
                }
            }
        }
    }
}
