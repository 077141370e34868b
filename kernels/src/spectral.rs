//! Long kernels by FFT: analysis of the input, one complex matrix product per bin, synthesis of the output.
//!
//! Real transforms of one tile of one example each, 8 or 16 channels to a register; nothing of one example touches another, so an example's bytes
//! do not depend on its batch. Spectra lie as \[bin\]\[row\]\[group\]\[re | im\], row = (example, tile). Factors left by the transforms (2 · 2 · N) are
//! divided out of the weights.

use crate::bin_gemm::{Product, multiply};
use crate::fft::Fft;
use crate::geometry::{Conv1d, Side};
use crate::rows::{Channels, clear, load_rows};
use crate::scratch::{self, Buffer, Shared, each};
use crate::simd::{Isa, Job, Lanes, MAX_WIDTH};
use crate::through::{Sink, Source, SourceAt, lanes};
use crate::tiling::{Span, Tiling};
use alloc::sync::Arc;
use core::ops::Range;

/// Bytes of spectra that a chunk of examples may take: about what stays near a core.
pub(crate) const CHUNK_BYTES: usize = 3 << 20;

/// A convolution ready to run by FFT. For the data gradient it is the forward product of the adjoint geometry.
#[derive(Clone, Debug)]
pub struct Spectral {
    conv: Conv1d,
    tiling: Tiling,
    isa: Isa,
    fft: Arc<Fft>,
    weights: Buffer,
}

/// Rows of two registers, and the distance between bins, odd in cache lines so that bins do not all fall into the same sets.
pub(crate) fn bin_stride(rows: usize, groups: usize, width: usize) -> usize {
    rows * groups * 2 * width + 16
}

impl Spectral {
    /// Prepares the weights `w` (c_out, c_in, kernel) of `conv`, or for [`Side::Adjoint`] those (c_in, c_out, kernel) of the convolution
    /// whose adjoint `conv` is.
    pub fn new(conv: Conv1d, tiling: Tiling, isa: Isa, side: Side, w: &[f32]) -> Self {
        let fft = Fft::cached(tiling.half);
        let groups = conv.c_out.div_ceil(isa.width());
        let weights = Buffer::zeros(groups * fft.bins() * bin_stride(conv.c_in, 1, isa.width()));
        let mut form = Spectral { conv, tiling, isa, fft, weights };
        form.refresh(side, w);
        form
    }

    /// Takes other weights of the same shape.
    pub fn refresh(&mut self, side: Side, w: &[f32]) {
        let (conv, fft, groups) = (&self.conv, &self.fft, self.conv.c_out.div_ceil(self.isa.width()));
        let to = Shared::new(self.weights.as_mut_ptr());
        each(conv.c_in * groups, true, |task| {
            self.isa.dispatch(Prepare { conv, fft, side, w, row: task / groups, group: task % groups, to });
        });
    }

    /// Examples that are worked on together.
    fn chunk(&self, batch: usize) -> usize {
        let channels = self.conv.c_in.next_multiple_of(self.isa.width()) + self.conv.c_out.next_multiple_of(self.isa.width());
        let each = self.tiling.tiles * self.fft.bins() * channels * 8;
        batch.div_ceil(crate::parallel::current_num_threads()).clamp(1, (CHUNK_BYTES / each).max(1))
    }

    /// y = conv(x) + bias; see [`crate::PreparedConv::forward`].
    pub fn forward(&self, batch: usize, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let chunk = self.chunk(batch);
        let (size_in, size_out) = (self.conv.input_size(), self.conv.output_size());
        let parallel = batch.div_ceil(chunk) < crate::parallel::current_num_threads();
        let y = Shared::new(y.as_mut_ptr());
        each(batch.div_ceil(chunk), !parallel, |index| {
            let (first, count) = (index * chunk, chunk.min(batch - index * chunk));
            // SAFETY: chunks are disjoint parts of y, which is exclusively borrowed.
            let y = unsafe { core::slice::from_raw_parts_mut(y.get().add(first * size_out), count * size_out) };
            let to = Sink::Planar(Shared::new(y.as_mut_ptr()), size_out);
            self.run(count, Source::Planar(&x[first * size_in..][..count * size_in], size_in), bias, to, parallel);
        });
    }

    /// One chunk of examples. In parallel each task takes one example and some of the output's groups, from its input to its output: what the
    /// tasks of an example have in common is its input, transformed by each for itself, since what one core has just written is far from another.
    pub(crate) fn run(&self, examples: usize, x: Source<'_>, bias: Option<&[f32]>, y: Sink<'_>, parallel: bool) {
        let groups = self.conv.c_out.div_ceil(self.isa.width());
        if !parallel {
            return self.part(0..examples, 0..groups, x, bias, y);
        }
        let parts = crate::parallel::current_num_threads().div_ceil(examples.max(1)).min(groups);
        each(examples * parts, true, |task| {
            let (example, part) = (task / parts, task % parts);
            self.part(example..example + 1, part * groups / parts..(part + 1) * groups / parts, x, bias, y);
        });
    }

    /// The convolution.
    pub(crate) fn conv(&self) -> &Conv1d {
        &self.conv
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// The weights' spectra, \[group\]\[bin\]\[term\]\[re | im\], and the distance between bins.
    pub(crate) fn weights(&self) -> (*const f32, usize) {
        (self.weights.as_ptr(), bin_stride(self.conv.c_in, 1, self.isa.width()))
    }

    /// The same to be written.
    pub(crate) fn weights_mut(&mut self) -> (*mut f32, usize) {
        (self.weights.as_mut_ptr(), bin_stride(self.conv.c_in, 1, self.isa.width()))
    }

    /// Its transform.
    pub(crate) fn fft(&self) -> &Fft {
        &self.fft
    }

    /// How signals are cut into frames.
    pub(crate) fn tiling(&self) -> Tiling {
        self.tiling
    }

    /// Frames of an example.
    pub(crate) fn tiles(&self) -> usize {
        self.tiling.tiles
    }

    /// Bins of a frame.
    pub(crate) fn bins(&self) -> usize {
        self.fft.bins()
    }

    /// From bin to bin of the spectra of some rows of so many channels.
    pub(crate) fn stride(&self, rows: usize, channels: usize) -> usize {
        bin_stride(rows, channels.div_ceil(self.isa.width()), self.isa.width())
    }

    /// Whether the bins of this one's output may lie where those of the input of `next` do.
    pub(crate) fn precedes(&self, next: &Spectral) -> bool {
        let (conv, after) = (&self.conv, &next.conv);
        self.isa == next.isa && self.tiling == next.tiling && conv.c_out == after.c_in && conv.len_out() == after.len_in
    }

    /// The products of all bins for some groups, from the spectra of `rows` rows of the input to those of the output, where the groups of `layout`
    /// lie side by side.
    pub(crate) fn multiply(&self, rows: usize, groups: Range<usize>, layout: Range<usize>, from: Shared, to: Shared) {
        let (conv, width, bins) = (&self.conv, self.isa.width(), self.fft.bins());
        let groups_in = conv.c_in.div_ceil(width);
        let stride = bin_stride(conv.c_in, 1, width);
        let product = Product {
            rows,
            terms: conv.c_in,
            groups: groups.len(),
            a_row: groups_in * 2 * width,
            a_term: 2 * width,
            rows_in_lanes: false,
            b_term: 2 * width,
            b_group: bins * stride,
            c_row: layout.len() * 2 * width,
            add: false,
        };
        let weights = self.weights.as_ptr().wrapping_add(groups.start * product.b_group);
        let to = Shared::new(to.get().wrapping_add((groups.start - layout.start) * 2 * width));
        let (a, c) = ((from, bin_stride(rows, groups_in, width)), (to, bin_stride(rows, layout.len(), width)));
        self.isa.dispatch(Bins::<false> { product, range: 0..bins, a, b: (weights, stride), c });
    }

    /// Some groups of the output of some examples.
    fn part(&self, examples: Range<usize>, groups: Range<usize>, x: Source<'_>, bias: Option<&[f32]>, y: Sink<'_>) {
        let (conv, isa, tiles) = (&self.conv, self.isa, self.tiling.tiles);
        let (width, bins, rows) = (isa.width(), self.fft.bins(), examples.len() * tiles);
        let groups_in = conv.c_in.div_ceil(width);
        let (stride_in, stride_out) = (bin_stride(rows, groups_in, width), bin_stride(rows, groups.len(), width));
        let mut spectra = scratch::lend(bins * (stride_in + stride_out));
        let z = Shared::new(spectra.as_mut_ptr());
        let out = Shared::new(z.get().wrapping_add(bins * stride_in));
        let side = Framed { conv, tiling: self.tiling, output: false };
        isa.dispatch(Analyse { fft: &self.fft, side, examples: examples.clone(), x, to: z, stride: stride_in });
        self.multiply(rows, groups.clone(), groups.clone(), z, out);
        let side = Framed { conv, tiling: self.tiling, output: true };
        isa.dispatch(Synthesise { fft: &self.fft, side, examples, layout: groups.clone(), groups, from: out, stride: stride_out, bias, y });
    }
}

/// One of a convolution's two signals, cut into frames.
#[derive(Clone, Copy)]
pub(crate) struct Framed<'a> {
    conv: &'a Conv1d,
    tiling: Tiling,
    output: bool,
}

impl<'a> Framed<'a> {
    /// The input or the output of a convolution.
    pub(crate) fn of(conv: &'a Conv1d, tiling: Tiling, output: bool) -> Self {
        Framed { conv, tiling, output }
    }

    /// The input of a form.
    pub(crate) fn input(form: &'a Spectral) -> Self {
        Framed { conv: &form.conv, tiling: form.tiling, output: false }
    }

    /// The output of a form.
    pub(crate) fn output(form: &'a Spectral) -> Self {
        Framed { output: true, ..Framed::input(form) }
    }

    fn channels(&self) -> usize {
        if self.output { self.conv.c_out } else { self.conv.c_in }
    }

    fn len(&self) -> usize {
        if self.output { self.conv.len_out() } else { self.conv.len_in }
    }

    /// The samples of a tile and the frame rows that they lie in.
    pub(crate) fn span(&self, tile: usize) -> Span {
        let frame = self.tiling.frame(self.conv, tile);
        if self.output { frame.output } else { frame.input }
    }

    /// One tile of one register of channels: samples → bins; the next ones lie `ahead` further ([`Fft::forward`]).
    ///
    /// # Safety
    /// V's instruction set is available; `from` holds the tile's samples, `frame` 2 · N registers, and the bins are writable.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(crate) unsafe fn analyse<V: Lanes>(
        &self,
        fft: &Fft,
        from: &SourceAt<'_>,
        tile: usize,
        frame: *mut f32,
        to: *mut f32,
        stride: usize,
        ahead: usize,
    ) {
        let (n, w, span) = (fft.len(), V::WIDTH, self.span(tile));
        // SAFETY: the span lies within the channels of x and within the frame's n rows; the rest is the caller's contract.
        unsafe {
            clear::<V>(frame, 0..span.row);
            clear::<V>(frame, span.row + span.count..n);
            from.load::<V>(span.start, span.count, frame.add(span.row * w));
            fft.forward::<V>(frame, frame.add(n * w), to, stride, ahead);
        }
    }
}

/// Every row and register of some examples: samples → bins, \[bin\]\[row\]\[group\].
pub(crate) struct Analyse<'a> {
    pub fft: &'a Fft,
    pub side: Framed<'a>,
    pub examples: Range<usize>,
    pub x: Source<'a>,
    pub to: Shared,
    pub stride: usize,
}

impl Job for Analyse<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (w, side, tiles) = (V::WIDTH, self.side, self.side.tiling.tiles);
        let groups = side.channels().div_ceil(w);
        let mut frames = scratch::lend(2 * self.fft.len() * w);
        for group in 0..groups {
            let scale = self.x.scale_lanes(group, w);
            for example in 0..self.examples.len() {
                let from = self.x.at(self.examples.start + example, group, w, side.channels(), side.len(), scale);
                for tile in 0..tiles {
                    let at = ((example * tiles + tile) * groups + group) * 2 * w;
                    // SAFETY: the bins of this row and group are this task's own.
                    unsafe {
                        let to = self.to.get().add(at);
                        side.analyse::<V>(self.fft, &from, tile, frames.as_mut_ptr(), to, self.stride, groups * 2 * w);
                    }
                }
            }
        }
    }
}

/// Every row and some groups of the output of some examples: bins, \[bin\]\[row\]\[group\], → samples.
pub(crate) struct Synthesise<'a> {
    pub fft: &'a Fft,
    pub side: Framed<'a>,
    pub examples: Range<usize>,
    pub groups: Range<usize>,
    /// The groups that lie side by side in `from`.
    pub layout: Range<usize>,
    pub from: Shared,
    pub stride: usize,
    pub bias: Option<&'a [f32]>,
    pub y: Sink<'a>,
}

impl Job for Synthesise<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (n, w, side, tiles) = (self.fft.len(), V::WIDTH, self.side, self.side.tiling.tiles);
        let mut frames = scratch::lend(2 * n * w);
        let frame = frames.as_mut_ptr();
        for group in self.groups.clone() {
            // The bias is added here rather than to bin 0, so that it is rounded once.
            let (bias, affine) = (lane_values(self.bias, group, w), self.y.affine_lanes(group, w));
            for example in 0..self.examples.len() {
                let to = self.y.at(self.examples.start + example, group, w, side.channels(), side.len(), affine);
                for tile in 0..tiles {
                    let (row, index) = (example * tiles + tile, group - self.layout.start);
                    let (span, at) = (side.span(tile), (row * self.layout.len() + index) * 2 * w);
                    // SAFETY: the bins are this task's own, as are the samples that the span and the channels name.
                    unsafe {
                        let (from, ahead) = (self.from.get().add(at), self.layout.len() * 2 * w);
                        let rows = self.fft.inverse::<V>(from, self.stride, ahead, frame, frame.add(n * w));
                        to.store::<V>(rows.add(span.row * w), 1, &bias, span.start, span.count);
                    }
                }
            }
        }
    }
}

/// The values of a register's channels, 0 beyond the last and where there are none.
pub(crate) fn lane_values(values: Option<&[f32]>, group: usize, width: usize) -> [f32; MAX_WIDTH] {
    values.map_or([0.0; MAX_WIDTH], |values| lanes(values, group, width))
}

/// The products of a range of bins.
pub(crate) struct Bins<const CONJUGATE: bool> {
    pub product: Product,
    pub range: Range<usize>,
    pub a: (Shared, usize),
    pub b: (*const f32, usize),
    pub c: (Shared, usize),
}

impl<const CONJUGATE: bool> Job for Bins<CONJUGATE> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for f in self.range {
            // SAFETY: every bin of A, B and C holds the product's elements; the bins of C are this task's own.
            unsafe {
                let (a, b, c) = (self.a.0.get().add(f * self.a.1), self.b.0.add(f * self.b.1), self.c.0.get().add(f * self.c.1));
                multiply::<V, CONJUGATE>(&self.product, a, b, c, (a.wrapping_add(self.a.1), b.wrapping_add(self.b.1)));
            }
        }
    }
}

/// The spectrum of one register of weights.
struct Prepare<'a> {
    conv: &'a Conv1d,
    fft: &'a Fft,
    side: Side,
    w: &'a [f32],
    row: usize,
    group: usize,
    to: Shared,
}

impl Job for Prepare<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (conv, n, w) = (self.conv, self.fft.len(), V::WIDTH);
        let (taps, lane) = (conv.kernel, self.group * w);
        let lanes = w.min(conv.c_out - lane);
        let channels = match self.side {
            Side::Forward => Channels { first: (lane * conv.c_in + self.row) * taps, stride: conv.c_in * taps, lanes },
            Side::Adjoint => Channels { first: (self.row * conv.c_out + lane) * taps, stride: taps, lanes },
        };
        // Of the adjoint's own mirrored tap k − 1 − j, the row is pad_left − (k − 1 − j).
        let row = |j: usize| match self.side {
            Side::Forward => (conv.pad_left + n - j) % n,
            Side::Adjoint => (conv.pad_left + n + j + 1 - taps) % n,
        };
        let stride = bin_stride(conv.c_in, 1, w);
        let mut frames = scratch::lend(2 * n * w);
        let frame = frames.as_mut_ptr();
        // SAFETY: channels name kernel samples of w each; rows are below n; the bins are this task's own.
        unsafe {
            clear::<V>(frame, 0..n);
            load_rows::<V>(self.w.as_ptr(), channels, taps, frame, row);
            let scale = V::splat(0.25 / n as f32);
            for j in 0..taps {
                let at = frame.add(row(j) * w);
                V::load(at).mul(scale).store(at);
            }
            let to = self.to.get().add(self.group * self.fft.bins() * stride + self.row * 2 * w);
            self.fft.forward::<V>(frame, frame.add(n * w), to, stride, 2 * w);
        }
    }
}
