//! The layout of signals for the convolution in f64: channels last, a group of examples side by side, samples folded by the reader's stride.
//!
//! Sample t of example n, channel c, lies at row ⌊u / s⌋·N + n, column (u mod s)·C + c, with u = t + padding, stride s, N examples and C channels. So the
//! results of a convolution, numbered by (position, example), read rows at equal distances, whatever the stride and the number of examples: a tile of
//! positions is full even where a signal has two samples.

use crate::sizes;
use alloc::{vec, vec::Vec};

/// Rows after the last, so that a tile may read past the end.
pub(crate) const SLACK: usize = 12;

/// Where the samples of a group of signals lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) group: usize,
    pub(crate) channels: usize,
    pub(crate) len: usize,
    pub(crate) stride: usize,
    pub(crate) pad: usize,
}

impl Layout {
    /// Where sample `time` of an example begins: its channels follow one another.
    #[inline(always)]
    pub(crate) fn at(&self, example: usize, time: usize) -> usize {
        let u = time + self.pad;
        ((u / self.stride * self.group + example) * self.stride + u % self.stride) * self.channels
    }
}

impl Layout {
    /// Where the samples of an example begin, in order of time.
    fn places(self, example: usize) -> impl Iterator<Item = usize> {
        let (mut at, mut column) = (self.at(example, 0), self.pad % self.stride);
        (0..self.len).map(move |_| {
            let place = at;
            (at, column) = (at + self.channels, column + 1);
            if column == self.stride {
                (at, column) = (at + (self.group - 1) * self.stride * self.channels, 0);
            }
            place
        })
    }
}

/// Rows of a signal with its padding, for each example of a group.
pub(crate) fn rows(len: usize, pad: usize, taps: usize, stride: usize) -> Option<usize> {
    sizes::sum([sizes::sum([len, pad, taps])?.div_ceil(stride), 1])
}

/// A group of signals as a convolution reads them.
#[derive(Clone, Debug)]
pub struct Signal {
    pub(crate) values: Vec<f64>,
    pub(crate) layout: Layout,
}

impl Signal {
    /// Zeros for `group` examples of (channels, len), to be read by a convolution of `taps` taps, `stride` and `pad` zeros on the left (and enough on
    /// the right).
    ///
    /// # Panics
    /// If one of the sizes is 0, or they are larger than memory.
    pub fn new(group: usize, channels: usize, len: usize, (taps, stride, pad): (usize, usize, usize)) -> Self {
        assert!(group > 0 && channels > 0 && len > 0 && taps > 0 && stride > 0, "an empty signal");
        let rows = rows(len, pad, taps, stride).and_then(|steps| sizes::sum([sizes::checked([steps, group])?, SLACK]));
        let values = rows.and_then(|rows| sizes::checked([rows, stride, channels])).expect("a signal that memory can hold");
        Signal { values: vec![0.0; values], layout: Layout { group, channels, len, stride, pad } }
    }

    /// Examples side by side.
    pub fn group(&self) -> usize {
        self.layout.group
    }

    /// Takes over channels from `first` on of an example, (channels, len) with time last.
    ///
    /// # Panics
    /// If there are more channels than the signal has, a part of one, or no such example.
    pub fn fill(&mut self, example: usize, first: usize, x: &[f32]) {
        let (layout, channels) = (self.layout, x.len() / self.layout.len);
        assert!(
            example < layout.group
                && channels * layout.len == x.len()
                && first.checked_add(channels).is_some_and(|end| end <= layout.channels),
            "channels of another signal"
        );
        for (time, at) in layout.places(example).enumerate() {
            let to = &mut self.values[at + first..][..channels];
            to.iter_mut().enumerate().for_each(|(c, to)| *to = f64::from(x[c * layout.len + time]));
        }
    }

    /// Gives an example, (channels, len) with time last, every value through `by`.
    ///
    /// # Panics
    /// If there is no such example, or `y` has another size.
    pub fn give<T>(&self, example: usize, y: &mut [T], by: impl Fn(f64) -> T) {
        let layout = self.layout;
        assert!(example < layout.group && y.len() == layout.channels * layout.len, "a signal of another shape");
        for (time, at) in layout.places(example).enumerate() {
            let from = &self.values[at..][..layout.channels];
            from.iter().enumerate().for_each(|(c, value)| y[c * layout.len + time] = by(*value));
        }
    }
}
