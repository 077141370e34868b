//! The geometry of a convolution: what every form of it stands on, and itself stands on none.

use crate::simd::MAX_WIDTH;
use crate::sizes;

/// The most rows and registers of a block of a direct product on any instruction set.
pub(crate) const MAX_ROWS: usize = 12;

/// Which side of the weights runs over lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Forward: output channels in lanes.
    Forward,
    /// The data gradient: input channels in lanes, taps mirrored.
    Adjoint,
}

/// The geometry of a convolution of one example: (c_in, len_in) → (c_out, len_out).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv1d {
    /// Input channels.
    pub c_in: usize,
    /// Output channels.
    pub c_out: usize,
    /// Input length in samples.
    pub len_in: usize,
    /// Taps of the kernel.
    pub kernel: usize,
    /// Step between outputs, ≥ 1.
    pub stride: usize,
    /// Step between taps, ≥ 1.
    pub dilation: usize,
    /// Zeros before the signal.
    pub pad_left: usize,
    /// Zeros after the signal.
    pub pad_right: usize,
}

impl Conv1d {
    /// The reach of the dilated kernel, in samples.
    ///
    /// # Panics
    /// If the kernel has no tap, or the reach is larger than memory.
    pub fn span(&self) -> usize {
        self.checked_span().expect("a kernel with a tap at least, of a reach that memory can hold")
    }

    fn checked_span(&self) -> Option<usize> {
        match self.kernel {
            0 => None,
            // A lone tap has no distance to another.
            1 => Some(1),
            taps => sizes::sum([sizes::checked([taps - 1, self.dilation])?, 1]),
        }
    }

    /// The output length; 0 when the padded signal is shorter than the kernel.
    ///
    /// # Panics
    /// As [`Conv1d::span`]; for stride 0; if the padded signal is larger than memory.
    pub fn len_out(&self) -> usize {
        let padded = sizes::sum([self.len_in, self.pad_left, self.pad_right]).expect("a padded signal that memory can hold");
        let span = self.span();
        if padded < span { 0 } else { (padded - span) / self.stride + 1 }
    }

    /// The input sample that output `t` reads with tap `j`, or `None` in the padding.
    pub fn source(&self, t: usize, j: usize) -> Option<usize> {
        let at = t.checked_mul(self.stride)?.checked_add(j.checked_mul(self.dilation)?)?;
        at.checked_sub(self.pad_left).filter(|s| *s < self.len_in)
    }

    /// Elements of one example's input.
    ///
    /// # Panics
    /// If they are more than memory holds.
    pub fn input_size(&self) -> usize {
        sizes::product([self.c_in, self.len_in])
    }

    /// Elements of one example's output.
    ///
    /// # Panics
    /// As [`Conv1d::len_out`]; if they are more than memory holds.
    pub fn output_size(&self) -> usize {
        sizes::product([self.c_out, self.len_out()])
    }

    /// Elements of the weights.
    ///
    /// # Panics
    /// If they are more than memory holds.
    pub fn weight_size(&self) -> usize {
        sizes::product([self.c_out, self.c_in, self.kernel])
    }

    /// What every function that takes a geometry asserts, once a call, and all forms rely on: that it is a convolution, and that every size that follows
    /// from it, registers, padding and rows read in vain included, is one that memory can hold.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub(crate) fn check(&self) {
        let Conv1d { c_in, c_out, kernel, stride, dilation, .. } = *self;
        assert!(c_in > 0 && c_out > 0 && kernel > 0 && stride > 0 && dilation > 0, "a convolution with a size of 0: {self:?}");
        assert!(self.fits(), "a convolution whose sizes are larger than memory: {self:?}");
    }

    fn fits(&self) -> bool {
        let whole = |channels: usize| channels.checked_next_multiple_of(MAX_WIDTH);
        let all = || {
            let (span, padded) = (self.checked_span()?, sizes::sum([self.len_in, self.pad_left, self.pad_right])?);
            let rows = sizes::sum([padded, span, sizes::checked([MAX_ROWS, self.reduced().stride])?])?;
            let (inputs, outputs) = (whole(self.c_in)?, whole(self.c_out)?);
            sizes::checked([inputs.max(outputs), rows])?;
            sizes::checked([inputs, outputs, sizes::sum([self.kernel, MAX_ROWS])?])
        };
        all().is_some()
    }

    /// The same with no more stride than makes its output a lone one, and no dilation for a lone tap: what lies beyond acts on nothing. Then both are no
    /// longer than the padded signal, and neither is what a form allocates for them.
    pub(crate) fn reduced(&self) -> Conv1d {
        let reach = (self.len_in + self.pad_left + self.pad_right).saturating_sub(self.span() - 1);
        let dilation = if self.kernel == 1 { 1 } else { self.dilation };
        Conv1d { stride: self.stride.min(reach.max(1)), dilation, ..*self }
    }

    /// The convolution whose forward product, with channels swapped and taps mirrored, is this one's data gradient; `None` for strides and for
    /// padding wider than the kernel.
    pub fn adjoint(&self) -> Option<Conv1d> {
        let reach = self.span() - 1;
        (self.stride == 1 && self.pad_left <= reach && self.pad_right <= reach && self.len_out() > 0).then(|| Conv1d {
            c_in: self.c_out,
            c_out: self.c_in,
            len_in: self.len_out(),
            pad_left: reach - self.pad_left,
            pad_right: reach - self.pad_right,
            ..*self
        })
    }
}
