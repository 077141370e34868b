//! The convolution in f64 as it stands: one chain of fused products per result, over taps, then channels.
//!
//! Taps that are zero in a whole block of channels, and taps that meet nothing but padding, are left out: that changes no sum, which begins with +0.

use crate::Isa;
use crate::double_lanes::{LANES, Wide, WideJob, dispatch};
use crate::double_shape::Shape;
use crate::double_tile::{Call, Tiled, tap};
use crate::scratch::each;
use alloc::{vec, vec::Vec};
use core::ops::Range;

/// Weights that stay in the second cache while tiles of positions stream by: with fewer than these, f64, positions are the outer loop.
const RESIDENT: usize = 96 * 1024;

/// Weights packed by block of eight rows, tap, channel, lane.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    weight: Vec<f64>,
    /// Of each block, the taps that are not zero.
    taps: Vec<Range<usize>>,
    rows: usize,
}

impl Packed {
    /// Packs weights, `of(row, channel, tap)`, rows numbered phase·c_out + channel.
    pub(crate) fn new(shape: &Shape, of: impl Fn(usize, usize, usize) -> f64) -> Self {
        let (rows, c_in, taps) = (shape.c_out * shape.factor, shape.c_in, shape.taps);
        let blocks = rows.div_ceil(LANES);
        let mut weight = vec![0.0; blocks * c_in * taps * LANES];
        let mut used = vec![taps..0; blocks];
        for row in 0..rows {
            let block = row / LANES;
            for c in 0..c_in {
                for j in 0..taps {
                    let w = of(row, c, j);
                    weight[((block * taps + j) * c_in + c) * LANES + row % LANES] = w;
                    if w != 0.0 {
                        used[block] = used[block].start.min(j)..used[block].end.max(j + 1);
                    }
                }
            }
        }
        Packed { weight, taps: used, rows }
    }

    /// Convolves; `parallel` splits the work over threads.
    ///
    /// # Safety
    /// The call is as `DoubleConv::run` asserts, of the shape of `new`.
    pub(crate) unsafe fn run(&self, isa: Isa, call: Call<'_>, parallel: bool) {
        let pieces = if parallel { 4 * crate::parallel::current_num_threads() } else { 1 };
        each(pieces, parallel, |index| dispatch(isa, Piece { tiles: Tiles { direct: self, call }, index, pieces }));
    }
}

/// One of so many shares of the results.
struct Piece<'r> {
    tiles: Tiles<'r>,
    index: usize,
    pieces: usize,
}

impl WideJob for Piece<'_> {
    #[inline(always)]
    unsafe fn run<V: Wide>(self) {
        let (wide, tall) = self.tiles.size::<V>();
        let results = self.tiles.call.shape.steps * self.tiles.call.input.layout.group;
        let (panels, tiles) = (self.tiles.blocks().div_ceil(wide), results.div_ceil(tall));
        let resident = self.tiles.direct.weight.len() <= RESIDENT;
        let (outer, inner) = if resident { (tiles, panels) } else { (panels, tiles) };
        for outer in self.index * outer / self.pieces..(self.index + 1) * outer / self.pieces {
            for inner in 0..inner {
                let (panel, tile) = if resident { (inner, outer) } else { (outer, inner) };
                let first = tile * tall;
                // SAFETY: the instruction set is there, as the caller vouches; panel and rows lie inside and are no other piece's.
                unsafe { self.tiles.panel::<V>(panel, first, tall.min(results - first)) };
            }
        }
    }
}

/// Results number (step, example), by blocks of rows.
#[derive(Clone, Copy)]
struct Tiles<'r> {
    direct: &'r Packed,
    call: Call<'r>,
}

impl Tiled for Tiles<'_> {
    fn blocks(&self) -> usize {
        self.direct.taps.len()
    }

    #[inline(always)]
    unsafe fn tile<V: Wide, const B: usize, const P: usize>(&self, block: usize, first: usize, rows: usize) {
        let (s, input) = (self.call.shape, self.call.input);
        let (group, stride) = (input.layout.group, s.stride);
        let (from, to) = (first / group, (first + rows - 1) / group);
        let used = self.direct.taps[block..block + B].iter().fold(s.taps..0, |a, b| a.start.min(b.start)..a.end.max(b.end));
        // Tap j of step q reads sample q·stride + j − pad: outside the signal there are zeros.
        let start = used.start.max(s.pad.saturating_sub(to * stride));
        let end = used.end.min((s.len_in + s.pad).saturating_sub(from * stride));
        let (row, panel) = (stride * s.c_in, s.c_in * s.taps * LANES);
        let mut out = [[[0.0; LANES]; P]; B];
        // SAFETY: the largest row read is first + P − 1 + (taps − 1) / stride · group < rows of `DoubleConv::run`, columns are below
        // stride·c_in; the weights hold (block + B) panels.
        unsafe {
            let x = input.values.as_ptr().add(first * row);
            let w = self.direct.weight.as_ptr().add(block * panel);
            let mut acc = [[V::splat(0.0); B]; P];
            for j in start..end {
                let x = x.add(j / stride * group * row + j % stride * s.c_in);
                acc = tap::<V, B, P>(acc, s.c_in, (x, row), (w.add(j * s.c_in * LANES), panel));
            }
            for r in 0..P {
                for b in 0..B {
                    self.call.finish((block + b) * LANES, acc[r][b]).store(out[b][r].as_mut_ptr());
                }
            }
        }
        for (b, out) in out.iter().enumerate() {
            let row = (block + b) * LANES;
            // SAFETY: the block and the results are among those of this convolution, which its targets hold, and nobody else's.
            unsafe { self.call.put(row..self.direct.rows.min(row + LANES), first, (1, 0), &out[..rows]) };
        }
    }
}
