//! What ops with windows over time share: where the windows lie.

use super::Problem;
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::limits::step_fault;
use crate::tape::{Real, Site, Tensor, from_vec, slice};
use cardiograd_kernels::pool;
use core::ops::Range;

/// Windows of `size` samples, `stride` apart, over a signal with places before and after it.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    pub size: usize,
    pub stride: usize,
    pub padding: (usize, usize),
    /// Whether a last window that only begins in the signal, or in the padding before it, counts.
    pub ceil: bool,
}

impl Windows {
    /// Those within the signal.
    pub fn plain(size: usize, stride: usize) -> Self {
        Windows { size, stride, padding: (0, 0), ceil: false }
    }

    /// (N, C, L) → (N, C, windows).
    pub fn shape(&self, x: &[usize]) -> Problem<Vec<usize>> {
        let &[batch, channels, len] = x else { return Err(format!("its input has shape {x:?}, expected (N, C, L)")) };
        let padded = len.checked_add(self.padding.0).and_then(|len| len.checked_add(self.padding.1));
        let padded = padded.ok_or_else(|| format!("{len} samples with padding {}+{} are too many", self.padding.0, self.padding.1))?;
        let mut count = pool::pooled_len(padded, self.size, self.stride);
        if count > 0 && self.ceil && !(padded - self.size).is_multiple_of(self.stride) && count * self.stride < len + self.padding.0 {
            count += 1;
        }
        match count {
            0 => Err(format!("{padded} samples are shorter than its window of {}", self.size)),
            count => Ok(vec![batch, channels, count]),
        }
    }

    /// The samples of a signal of `len` that window `t` sees, and how many places it covers, those of the padding among them.
    pub fn at(&self, t: usize, len: usize) -> (Range<usize>, usize) {
        let from = t * self.stride;
        let end = (from + self.size).min(len + self.padding.0 + self.padding.1);
        let within = |place: usize| place.saturating_sub(self.padding.0).min(len);
        (within(from)..within(end), end - from)
    }

    /// The settings in words.
    pub fn settings(&self) -> String {
        let padding = if self.padding == (0, 0) { String::new() } else { format!(", padding {}+{}", self.padding.0, self.padding.1) };
        format!("({}, stride {}{padding}{})", self.size, self.stride, if self.ceil { ", the last cut" } else { "" })
    }

    /// The place of a window's sample j in a formula.
    pub fn place(&self) -> String {
        if self.padding.0 == 0 { format!("{}t + j", self.stride) } else { format!("{}t + j − {}", self.stride, self.padding.0) }
    }

    /// What is wrong with them. With less padding than a window every window sees a sample.
    pub fn faults(&self) -> Vec<String> {
        let steps = [("window", self.size, 1), ("stride", self.stride, 1), ("padding", self.padding.0, 0), ("padding", self.padding.1, 0)];
        let wide = self.size > 0 && (self.padding.0 >= self.size || self.padding.1 >= self.size);
        let wide = wide.then(|| format!("padding {}+{} is not less than the window of {}", self.padding.0, self.padding.1, self.size));
        steps.into_iter().filter_map(|(what, value, least)| step_fault(what, value, least)).chain(wide).collect()
    }
}

/// The gradient of the maxima goes to where they were.
pub(super) fn max_vjp<T: Real>(site: &Site<'_, T>, grad: &Tensor<T>) -> Result<Vec<Option<Tensor<T>>>> {
    let (at, _) = site.argmax().ok_or_else(|| site.error("no record of its maxima"))?;
    let x = site.inputs[0].shape();
    let mut gx = vec![T::ZERO; x.iter().product()];
    pool::max_grad(x[2], grad.shape()[2], at, slice(grad), &mut gx);
    Ok(vec![Some(from_vec(x, gx))])
}
