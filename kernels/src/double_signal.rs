//! The layout of signals for the convolution in f64: channels last, a group of examples side by side, samples folded by the reader's stride.
//!
//! Sample t of example n, channel c, lies at row ⌊u / s⌋·N + n, column (u mod s)·C + c, with u = t + padding, stride s, N examples and C channels. So the
//! results of a convolution, numbered by (position, example), read rows at equal distances, whatever the stride and the number of examples: a tile of
//! positions is full even where a signal has two samples.

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

/// A group of signals as a convolution reads them.
#[derive(Clone, Debug)]
pub struct Signal {
    pub(crate) values: Vec<f64>,
    pub(crate) layout: Layout,
}

impl Signal {
    /// Zeros for `group` examples of (channels, len), to be read by a convolution of `taps` taps, `stride` and `pad` zeros on the left (and enough on
    /// the right).
    pub fn new(group: usize, channels: usize, len: usize, (taps, stride, pad): (usize, usize, usize)) -> Self {
        assert!(group > 0 && channels > 0 && len > 0 && taps > 0 && stride > 0, "an empty signal");
        let steps = (len + pad + taps).div_ceil(stride) + 1;
        Signal { values: vec![0.0; (steps * group + SLACK) * stride * channels], layout: Layout { group, channels, len, stride, pad } }
    }

    /// Examples side by side.
    pub fn group(&self) -> usize {
        self.layout.group
    }

    /// The channels of a sample.
    #[inline(always)]
    pub fn sample(&self, example: usize, time: usize) -> &[f64] {
        &self.values[self.place(example, time)..][..self.layout.channels]
    }

    /// The channels of a sample, to be written.
    #[inline(always)]
    pub fn sample_mut(&mut self, example: usize, time: usize) -> &mut [f64] {
        let at = self.place(example, time);
        &mut self.values[at..][..self.layout.channels]
    }

    #[inline(always)]
    fn place(&self, example: usize, time: usize) -> usize {
        assert!(example < self.layout.group && time < self.layout.len, "no such sample");
        self.layout.at(example, time)
    }
}
