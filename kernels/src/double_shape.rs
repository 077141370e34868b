//! The sizes of a convolution in f64, and what follows it at the store.

use crate::double_lanes::LANES;
use crate::double_signal::rows;
use crate::sizes;

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

impl Shape {
    /// That it is a convolution of weights and biases of these lengths, and that the sizes that follow from it are ones that memory can hold.
    #[track_caller]
    pub(crate) fn check(&self, weights: usize, biases: usize) {
        let Shape { c_in, c_out, factor, taps, stride, pad, len_in, steps } = *self;
        assert!(
            [c_in, c_out, factor, taps, stride, len_in, steps].iter().all(|size| *size > 0),
            "a convolution with a size of 0: {self:?}"
        );
        assert!(factor == 1 || stride == 1, "phases with a stride");
        let held = weights == sizes::product([c_out, factor, c_in, taps]) && biases == sizes::product([c_out, factor]);
        assert!(held, "weights of another shape");
        // The last position reads no further than the signal's rows go ([`DoubleConv::run`]).
        let read = sizes::sum([steps, (taps - 1) / stride]).zip(rows(len_in, pad, taps, stride));
        assert!(read.is_some_and(|(read, rows)| read <= rows), "{steps} positions of a signal of {len_in} samples: {self:?}");
        // Registers, tiles and folded rows.
        sizes::product([c_out, factor, steps, LANES]);
        sizes::product([stride, c_in, LANES, steps]);
    }
}
