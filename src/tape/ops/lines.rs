//! An array seen along one of its axes: (outer, size, inner), row-major.

use super::Problem;
#[cfg(not(feature = "std"))]
use crate::plain::*;

/// The most axes that an op may name.
const MOST_AXES: usize = 8;

#[derive(Clone, Copy)]
pub(super) struct Lines {
    /// Elements of all axes before.
    pub outer: usize,
    /// Elements of the axis.
    pub size: usize,
    /// Elements of all axes behind.
    pub inner: usize,
}

/// A shape along an axis that it has.
pub(super) fn of(shape: &[usize], axis: usize) -> Lines {
    Lines { outer: shape[..axis].iter().product(), size: shape[axis], inner: shape[axis + 1..].iter().product() }
}

impl Lines {
    /// Elements from one outer index to the next.
    pub fn block(&self) -> usize {
        self.size * self.inner
    }

    /// Where an element lies.
    pub fn at(&self, outer: usize, along: usize, inner: usize) -> usize {
        (outer * self.size + along) * self.inner + inner
    }

    /// The indices of an element: outer, along the axis, inner.
    pub fn index(&self, at: usize) -> (usize, usize, usize) {
        (at / self.block(), at / self.inner % self.size, at % self.inner)
    }
}

/// What is wrong with an axis by itself: 0 is the batch, whose examples know nothing of one another.
pub(super) fn fault(axis: usize) -> Option<String> {
    (axis == 0 || axis >= MOST_AXES).then(|| format!("axis {axis}: 1 is the first behind the batch"))
}

/// The size of an axis.
pub(super) fn size(shape: &mut [usize], axis: usize) -> Problem<&mut usize> {
    let written = format!("{shape:?}");
    shape.get_mut(axis).filter(|_| axis > 0).ok_or_else(|| format!("its input has shape {written}, which has no axis {axis}"))
}
