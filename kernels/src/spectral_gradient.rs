//! The weight gradient of long kernels by FFT: both signals' spectra, one product per bin summed over rows, the taps from its inverse transform.
//!
//! All at once, or in parts of fixed size whose spectra are added in order, so that the sum does not depend on threads; a part may share its analysis of
//! the output's gradient with the data gradient of the same examples.

use crate::bin_gemm::Product;
use crate::fft::Fft;
use crate::geometry::Conv1d;
use crate::rows::{Channels, store_rows};
use crate::scratch::{self, Shared, each};
use crate::simd::{Isa, Job, Lanes};
use crate::spectral::{Analyse, Bins, CHUNK_BYTES, Framed, Spectral, Synthesise, bin_stride};
use crate::through::{Gate, Sink, Source};
use crate::tiling::Tiling;
use alloc::sync::Arc;

/// The weight gradient by FFT; see [`crate::conv1d::grad_weight`].
pub fn grad_weight(conv: &Conv1d, tiling: Tiling, isa: Isa, batch: usize, x: &[f32], gy: &[f32], gw: &mut [f32]) {
    let fft = Fft::cached(tiling.half);
    let (width, bins, tiles) = (isa.width(), fft.bins(), tiling.tiles);
    let (groups_in, groups_out) = (conv.c_in.div_ceil(width), conv.c_out.div_ceil(width));
    let example_bytes = tiles * bins * (groups_in + groups_out) * width * 8;
    // The order of the sum follows the chunk, so its size depends on the geometry alone.
    let chunk = (8 * CHUNK_BYTES / example_bytes).clamp(1, 64).min(batch.max(1));
    let (stride_x, stride_g) = (bin_stride(chunk * tiles, groups_in, width), bin_stride(chunk * tiles, groups_out, width));
    let stride_w = bin_stride(conv.c_in, groups_out, width);
    let mut spectra = scratch::lend(bins * (stride_x + stride_g + stride_w));
    let zx = Shared::new(spectra.as_mut_ptr());
    let zg = Shared::new(zx.get().wrapping_add(bins * stride_x));
    let zw = Shared::new(zg.get().wrapping_add(bins * stride_g));
    for first in (0..batch).step_by(chunk) {
        let rows = chunk.min(batch - first) * tiles;
        each(2 * (rows / tiles), true, |task| {
            let (n, output) = (task / 2, task % 2 == 1);
            let (x, z, groups, stride) = if output {
                (Source::Planar(gy, conv.output_size()), zg, groups_out, stride_g)
            } else {
                (Source::Planar(x, conv.input_size()), zx, groups_in, stride_x)
            };
            let to = Shared::new(z.get().wrapping_add(n * tiles * groups * 2 * width));
            let side = Framed::of(conv, tiling, output);
            isa.dispatch(Analyse { fft: &fft, side, examples: first + n..first + n + 1, x, to, stride });
        });
        let product = Product {
            rows: conv.c_in,
            terms: rows,
            groups: groups_out,
            a_row: 2 * width,
            a_term: groups_in * 2 * width,
            rows_in_lanes: true,
            b_term: groups_out * 2 * width,
            b_group: 2 * width,
            c_row: groups_out * 2 * width,
            add: first > 0,
        };
        each(bins, true, |bin| {
            let (a, b, c) = ((zx, stride_x), (zg.get().cast_const(), stride_g), (zw, stride_w));
            isa.dispatch(Bins::<true> { product, range: bin..bin + 1, a, b, c });
        });
    }
    let gw = Shared::new(gw.as_mut_ptr());
    each(conv.c_in * groups_out, true, |task| {
        let from = Shared::new(zw.get().wrapping_add(task * 2 * width));
        isa.dispatch(Taps { conv, fft: &fft, from, stride: stride_w, gw, row: task / groups_out, group: task % groups_out });
    });
}

/// The weight gradient by FFT on blocked activations, in parts; see [`crate::WeightGradient`].
#[derive(Clone, Debug)]
pub struct SpectralGradient {
    conv: Conv1d,
    tiling: Tiling,
    isa: Isa,
    fft: Arc<Fft>,
}

impl SpectralGradient {
    /// Of this geometry and tiling.
    pub fn new(conv: Conv1d, tiling: Tiling, isa: Isa) -> Self {
        SpectralGradient { conv, tiling, isa, fft: Fft::cached(tiling.half) }
    }

    /// Distance between bins of the sums.
    fn stride(&self) -> usize {
        bin_stride(self.conv.c_in, self.conv.c_out.div_ceil(self.isa.width()), self.isa.width())
    }

    /// Elements of the sums of a part.
    pub fn size(&self) -> usize {
        self.fft.bins() * self.stride()
    }

    /// The spectra of the gradient summed over some examples.
    pub fn part(&self, examples: usize, x: &[f32], gy: &[f32], sums: &mut [f32]) {
        let (conv, isa, tiles) = (&self.conv, self.isa, self.tiling.tiles);
        let (width, bins, rows) = (isa.width(), self.fft.bins(), examples * tiles);
        let (groups_in, groups_out) = (conv.c_in.div_ceil(width), conv.c_out.div_ceil(width));
        let (stride_x, stride_g) = (bin_stride(rows, groups_in, width), bin_stride(rows, groups_out, width));
        let mut spectra = scratch::lend(bins * (stride_x + stride_g));
        let zx = Shared::new(spectra.as_mut_ptr());
        let zg = Shared::new(zx.get().wrapping_add(bins * stride_x));
        let (x, gy) = (Source::Blocked(x, Gate::Open, None), Source::Blocked(gy, Gate::Open, None));
        let side = |output: bool| Framed::of(conv, self.tiling, output);
        isa.dispatch(Analyse { fft: &self.fft, side: side(false), examples: 0..examples, x, to: zx, stride: stride_x });
        isa.dispatch(Analyse { fft: &self.fft, side: side(true), examples: 0..examples, x: gy, to: zg, stride: stride_g });
        self.correlate(rows, (zx, stride_x), (zg, stride_g), sums);
    }

    /// Whether [`SpectralGradient::part_with`] can work with this data gradient: both cut their signals alike.
    pub fn shares_with(&self, adjoint: &Spectral) -> bool {
        let (conv, back) = (&self.conv, adjoint.conv());
        self.isa == adjoint.isa() && self.tiling == adjoint.tiling() && conv.adjoint().is_some_and(|adjoint| adjoint == *back)
    }

    /// [`SpectralGradient::part`] and the data gradient of the same examples, from one analysis of the output's gradient: in the frames of the data
    /// gradient, where gy overlaps and x, which lies where that one's output does, is cut at the tiles.
    pub fn part_with(&self, adjoint: &Spectral, examples: usize, x: &[f32], gy: &[f32], to: Sink<'_>, sums: &mut [f32]) {
        let (conv, isa, rows) = (&self.conv, self.isa, examples * self.tiling.tiles);
        let (width, bins) = (isa.width(), self.fft.bins());
        let (groups_in, groups_out) = (conv.c_in.div_ceil(width), conv.c_out.div_ceil(width));
        let (stride_x, stride_g) = (bin_stride(rows, groups_in, width), bin_stride(rows, groups_out, width));
        let mut spectra = scratch::lend(bins * (stride_x + stride_g));
        let zx = Shared::new(spectra.as_mut_ptr());
        let zg = Shared::new(zx.get().wrapping_add(bins * stride_x));
        let (x, gy) = (Source::Blocked(x, Gate::Open, None), Source::Blocked(gy, Gate::Open, None));
        let (side_x, side_g) = (Framed::output(adjoint), Framed::input(adjoint));
        isa.dispatch(Analyse { fft: &self.fft, side: side_x, examples: 0..examples, x, to: zx, stride: stride_x });
        isa.dispatch(Analyse { fft: &self.fft, side: side_g, examples: 0..examples, x: gy, to: zg, stride: stride_g });
        self.correlate(rows, (zx, stride_x), (zg, stride_g), sums);
        // The spectra of x are done with: the data gradient's take their place.
        adjoint.multiply(rows, 0..groups_in, 0..groups_in, zg, zx);
        let side = Framed::output(adjoint);
        isa.dispatch(Synthesise {
            fft: &self.fft,
            side,
            examples: 0..examples,
            groups: 0..groups_in,
            layout: 0..groups_in,
            from: zx,
            stride: stride_x,
            bias: None,
            y: to,
        });
    }

    /// The spectra of the gradient's sum over rows.
    fn correlate(&self, rows: usize, (zx, stride_x): (Shared, usize), (zg, stride_g): (Shared, usize), sums: &mut [f32]) {
        let (conv, width) = (&self.conv, self.isa.width());
        let (groups_in, groups_out) = (conv.c_in.div_ceil(width), conv.c_out.div_ceil(width));
        let product = Product {
            rows: conv.c_in,
            terms: rows,
            groups: groups_out,
            a_row: 2 * width,
            a_term: groups_in * 2 * width,
            rows_in_lanes: true,
            b_term: groups_out * 2 * width,
            b_group: 2 * width,
            c_row: groups_out * 2 * width,
            add: false,
        };
        let c = (Shared::new(sums.as_mut_ptr()), self.stride());
        let (a, b) = ((zx, stride_x), (zg.get().cast_const(), stride_g));
        self.isa.dispatch(Bins::<true> { product, range: 0..self.fft.bins(), a, b, c });
    }

    /// The taps of the sum of the parts.
    pub fn finish(&self, sums: &mut [f32], gw: &mut [f32]) {
        let (conv, width, size, stride) = (&self.conv, self.isa.width(), self.size(), self.stride());
        let groups = conv.c_out.div_ceil(width);
        let parts = sums.len() / size;
        let (sums, gw) = (Shared::new(sums.as_mut_ptr()), Shared::new(gw.as_mut_ptr()));
        each(conv.c_in * groups, true, |task| {
            let from = Shared::new(sums.get().wrapping_add(task * 2 * width));
            self.isa.dispatch(AddParts { from, stride, bins: self.fft.bins(), part: size, parts });
            self.isa.dispatch(Taps { conv, fft: &self.fft, from, stride, gw, row: task / groups, group: task % groups });
        });
    }
}

/// Adds the bins of one register of the parts to those of the first.
struct AddParts {
    from: Shared,
    stride: usize,
    bins: usize,
    part: usize,
    parts: usize,
}

impl Job for AddParts {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for bin in 0..self.bins {
            for half in 0..2 {
                // SAFETY: the bins of this register in every part, this task's own.
                unsafe {
                    let at = self.from.get().add(bin * self.stride + half * V::WIDTH);
                    let mut sum = V::load(at);
                    for part in 1..self.parts {
                        sum = sum.add(V::load(at.add(part * self.part)));
                    }
                    sum.store(at);
                }
            }
        }
    }
}

/// The taps of one register of weight gradients.
struct Taps<'a> {
    conv: &'a Conv1d,
    fft: &'a Fft,
    from: Shared,
    stride: usize,
    gw: Shared,
    row: usize,
    group: usize,
}

impl Job for Taps<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (conv, n, w) = (self.conv, self.fft.len(), V::WIDTH);
        let (taps, lane) = (conv.kernel, self.group * w);
        let lanes = w.min(conv.c_out - lane);
        let channels = Channels { first: (lane * conv.c_in + self.row) * taps, stride: conv.c_in * taps, lanes };
        let row = |j: usize| (n + j - conv.pad_left) % n;
        let mut frames = scratch::lend(2 * n * w);
        let frame = frames.as_mut_ptr();
        // SAFETY: the bins are readable; channels name kernel weights of gw each, this task's own; rows are below n.
        unsafe {
            let rows = self.fft.inverse::<V>(self.from.get(), self.stride, 2 * w, frame, frame.add(n * w));
            let scale = V::splat(0.25 / n as f32);
            for j in 0..taps {
                let at = rows.add(row(j) * w);
                V::load(at).mul(scale).store(at);
            }
            store_rows::<V>(rows, self.gw.get(), channels, taps, row);
        }
    }
}
