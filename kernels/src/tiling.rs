//! How a stride-1 convolution is cut into frames of N samples for the FFT.
//!
//! A frame holds the positions \[origin, origin + N) of both signals, so filter tap j always lies at (pad_left − j) mod N and its adjoint at
//! (j − pad_left) mod N. One frame suffices when the circular wrap falls on zeros: N ≥ len_in + max(pad_left, pad_right) (the two wrap zones share
//! them), N ≥ len_out. Otherwise overlap-save: frame i computes the S = N − kernel + 1 outputs from i·S on, and reads N inputs from i·S − pad_left.

use crate::geometry::Conv1d;

/// The frames of one geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    pub(crate) half: usize,
    pub(crate) tiles: usize,
}

/// One frame: which samples of the input and of the output lie at which of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// First input sample, count, and the row of the first.
    pub input: Span,
    /// First output sample, count, and the row of the first.
    pub output: Span,
}

/// A run of samples within a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First sample.
    pub start: usize,
    /// Samples.
    pub count: usize,
    /// The frame row of the first.
    pub row: usize,
}

/// The longest half of a frame: beyond what any signal gains from.
const LONGEST: usize = 1 << 24;

impl Tiling {
    /// The tiling with frames of N = 2 · `half`, or `None` where the geometry does not allow it.
    ///
    /// # Panics
    /// If the geometry is none ([`crate::PreparedConv::new`]).
    pub fn new(conv: &Conv1d, half: usize) -> Option<Tiling> {
        conv.check();
        if half == 0 || half > LONGEST {
            return None;
        }
        let (n, taps) = (2 * half, conv.kernel);
        if conv.stride != 1 || conv.dilation != 1 || conv.pad_left >= taps || conv.pad_right >= taps || conv.len_out() == 0 || n < taps {
            return None;
        }
        let single = n >= conv.len_in + conv.pad_left.max(conv.pad_right) && n >= conv.len_out();
        let tiles = if single { 1 } else { conv.len_out().div_ceil(n - taps + 1) };
        Some(Tiling { half, tiles })
    }

    /// Half the samples of a frame, N / 2.
    pub fn half(&self) -> usize {
        self.half
    }

    /// Frames per example.
    pub fn tiles(&self) -> usize {
        self.tiles
    }

    /// Frame `index` of the geometry that this was made for.
    pub(crate) fn frame(&self, conv: &Conv1d, index: usize) -> Frame {
        let n = 2 * self.half;
        if self.tiles == 1 && n >= conv.len_in + conv.pad_left.max(conv.pad_right) {
            return Frame {
                input: Span { start: 0, count: conv.len_in, row: 0 },
                output: Span { start: 0, count: conv.len_out(), row: 0 },
            };
        }
        let valid = n - conv.kernel + 1;
        let start = index * valid;
        // Position `start − pad_left` lies at row 0.
        let first = start.saturating_sub(conv.pad_left).min(conv.len_in);
        let end = (start + n).saturating_sub(conv.pad_left).min(conv.len_in).max(first);
        Frame {
            input: Span { start: first, count: end - first, row: (first + conv.pad_left).saturating_sub(start).min(n) },
            output: Span { start, count: valid.min(conv.len_out() - start), row: conv.pad_left },
        }
    }
}
