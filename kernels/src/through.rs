//! What happens to samples on their way into a convolution and out of it: layouts, and the elementwise work fused there.
//!
//! *Planar* is (channel, time). *Blocked* is (group, time, lane): one register holds `WIDTH` channels of one sample, so a frame's rows are copied
//! as they are and elementwise work costs one operation a register. On the way in a [`Gate`] acts (a ReLU's derivative, or the formula that stands
//! for it), then a factor per channel (a batch norm's); on the way out a [`Finish`] (bias is added before; then scaled and shifted, kept, rectified,
//! added to). Each is the arithmetic of the unfused ops, operation by operation, so that fusion does not change a byte.

use crate::rows::{Channels, channels, load_rows, store_rows};
use crate::scratch::Shared;
use crate::simd::{Lanes, MAX_WIDTH};

/// What a gradient meets on its way back through y = ReLU(v). Slices are blocked like the gradient, one or all examples; *signs* are a set of bits for
/// each register, whether v > 0 lane by lane: a thirty-second of the memory, which a batch's values would otherwise leave the caches for.
#[derive(Clone, Copy, Debug)]
pub enum Gate<'a> {
    /// Nothing: there is no ReLU.
    Open,
    /// The derivative: g where v > 0, else 0.
    Derivative(&'a [f32]),
    /// The same by signs.
    DerivativeSigns(&'a [u16]),
    /// max(g, 0), whatever v.
    Positive,
    /// max(g, 0) where v > 0, else 0.
    PositiveDerivative(&'a [f32]),
    /// The same by signs.
    PositiveDerivativeSigns(&'a [u16]),
    /// g · (y − y₀) / (v − v₀), the slope of the chord, and the derivative where |v − v₀| < 1e-10: v, and v₀ of one or all examples.
    Chord(&'a [f32], &'a [f32]),
}

/// What happens to v = conv(x) + bias before it is stored.
#[derive(Debug, Default)]
pub struct Finish<'a> {
    /// Keep v as it comes here, blocked like the output.
    pub raw: Option<&'a mut [f32]>,
    /// v ← scale · v + shift, per channel: a batch norm in evaluation.
    pub affine: Option<(&'a [f32], &'a [f32])>,
    /// Keep v itself here, blocked like the output.
    pub keep: Option<&'a mut [f32]>,
    /// Keep its signs here, a set of bits for each register.
    pub signs: Option<&'a mut [u16]>,
    /// v ← max(v, 0).
    pub relu: bool,
    /// Add this, blocked like the output.
    pub add: Option<&'a [f32]>,
    /// Add what the output holds, instead of overwriting it.
    pub accumulate: bool,
}

impl Finish<'_> {
    /// Whether everything fits an output of so many channels and elements, `width` to a register.
    pub(crate) fn fits(&self, channels: usize, elements: usize, width: usize) -> bool {
        let all = |v: Option<&[f32]>| v.is_none_or(|v| v.len() == elements);
        let affine = self.affine.is_none_or(|(scale, shift)| scale.len() == channels && shift.len() == channels);
        let signs = self.signs.as_deref().is_none_or(|signs| signs.len() == elements / width);
        affine && signs && all(self.add) && all(self.keep.as_deref()) && all(self.raw.as_deref())
    }
}

impl<'a> Gate<'a> {
    /// The part of example `index` at an offset, where an example has `size` elements, `width` to a register.
    pub(crate) fn at(self, index: usize, size: usize, offset: usize, width: usize) -> Self {
        let cut = |v: &'a [f32]| &v[if v.len() == size { 0 } else { index * size } + offset..];
        let bits = |signs: &'a [u16]| &signs[(index * size + offset) / width..];
        match self {
            Gate::Open | Gate::Positive => self,
            Gate::Derivative(v) => Gate::Derivative(cut(v)),
            Gate::DerivativeSigns(signs) => Gate::DerivativeSigns(bits(signs)),
            Gate::PositiveDerivative(v) => Gate::PositiveDerivative(cut(v)),
            Gate::PositiveDerivativeSigns(signs) => Gate::PositiveDerivativeSigns(bits(signs)),
            Gate::Chord(v, v0) => Gate::Chord(cut(v), cut(v0)),
        }
    }

    /// Whether every slice holds one or `batch` examples of `size` elements, `width` to a register.
    pub(crate) fn fits(self, batch: usize, size: usize, width: usize) -> bool {
        let all = |v: &[f32]| v.len() == batch * size;
        match self {
            Gate::Open | Gate::Positive => true,
            Gate::Derivative(v) | Gate::PositiveDerivative(v) => all(v),
            Gate::DerivativeSigns(signs) | Gate::PositiveDerivativeSigns(signs) => signs.len() == batch * size / width,
            Gate::Chord(v, v0) => all(v) && (all(v0) || v0.len() == size),
        }
    }

    /// g through the gate at element `at` of its slices.
    ///
    /// # Safety
    /// V's instruction set is available; every slice holds `at + WIDTH` elements.
    #[inline(always)]
    pub(crate) unsafe fn pass<V: Lanes>(self, g: V, at: usize) -> V {
        // SAFETY: the caller's contract.
        unsafe {
            match self {
                Gate::Open => g,
                Gate::Derivative(v) => g.where_positive(V::load(v.as_ptr().add(at))),
                Gate::DerivativeSigns(signs) => g.where_bits(*signs.as_ptr().add(at / V::WIDTH)),
                Gate::Positive => g.rectified(),
                Gate::PositiveDerivativeSigns(signs) => g.rectified().where_bits(*signs.as_ptr().add(at / V::WIDTH)),
                Gate::PositiveDerivative(v) => g.rectified().where_positive(V::load(v.as_ptr().add(at))),
                Gate::Chord(v, v0) => {
                    let (v, v0) = (V::load(v.as_ptr().add(at)), V::load(v0.as_ptr().add(at)));
                    let difference = v.sub(v0);
                    let quotient = g.mul(v.rectified().sub(v0.rectified()).div(difference));
                    let size = difference.max(V::splat(0.0).sub(difference));
                    size.select_less(V::splat(1e-10), g.where_positive(v), quotient)
                }
            }
        }
    }
}

/// The input of several examples.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// Planar, with the size of an example.
    Planar(&'a [f32], usize),
    /// Blocked, behind a gate and a factor per channel.
    Blocked(&'a [f32], Gate<'a>, Option<&'a [f32]>),
}

/// One register's channels of one example's input.
pub enum SourceAt<'a> {
    Planar(&'a [f32], Channels),
    Blocked(&'a [f32], Gate<'a>, Option<[f32; MAX_WIDTH]>),
}

/// The values of a register's channels, 0 beyond the last.
pub(crate) fn lanes(values: &[f32], group: usize, width: usize) -> [f32; MAX_WIDTH] {
    let mut lanes = [0.0; MAX_WIDTH];
    lanes.iter_mut().zip(values.iter().skip(group * width).take(width)).for_each(|(lane, value)| *lane = *value);
    lanes
}

impl<'a> Source<'a> {
    /// The factors of a group's channels.
    pub fn scale_lanes(self, group: usize, width: usize) -> Option<[f32; MAX_WIDTH]> {
        match self {
            Source::Blocked(_, _, scale) => scale.map(|scale| lanes(scale, group, width)),
            Source::Planar(..) => None,
        }
    }

    /// The channels of a group of an example, with their factors ([`Source::scale_lanes`]).
    pub fn at(self, example: usize, group: usize, width: usize, count: usize, len: usize, scale: Option<[f32; MAX_WIDTH]>) -> SourceAt<'a> {
        match self {
            Source::Planar(x, size) => SourceAt::Planar(&x[example * size..][..size], channels(count, group, width, len)),
            Source::Blocked(x, gate, _) => {
                let size = count.div_ceil(width) * len * width;
                let offset = group * len * width;
                SourceAt::Blocked(&x[example * size + offset..][..len * width], gate.at(example, size, offset, width), scale)
            }
        }
    }
}

impl SourceAt<'_> {
    /// Rows 0..count of `to` ← samples `start`...
    ///
    /// # Safety
    /// V's instruction set is available with the width that made this; the samples are there and the rows writable.
    #[inline(always)]
    pub unsafe fn load<V: Lanes>(&self, start: usize, count: usize, to: *mut f32) {
        let w = V::WIDTH;
        // SAFETY: the caller's contract.
        unsafe {
            match self {
                SourceAt::Planar(x, channels) => load_rows::<V>(x.as_ptr().add(start), *channels, count, to, |t| t),
                SourceAt::Blocked(x, gate, None) => {
                    let x = x.as_ptr();
                    for t in 0..count {
                        let at = (start + t) * w;
                        gate.pass(V::load(x.add(at)), at).store(to.add(t * w));
                    }
                }
                SourceAt::Blocked(x, gate, Some(scale)) => {
                    let (x, scale) = (x.as_ptr(), V::load(scale.as_ptr()));
                    for t in 0..count {
                        let at = (start + t) * w;
                        gate.pass(V::load(x.add(at)), at).mul(scale).store(to.add(t * w));
                    }
                }
            }
        }
    }
}

/// Where the output of several examples goes.
#[derive(Clone, Copy)]
pub enum Sink<'a> {
    /// Planar, with the size of an example.
    Planar(Shared, usize),
    /// Blocked.
    Blocked(Finished<'a>),
}

/// A [`Finish`] whose slices tasks may share.
#[derive(Clone, Copy)]
pub struct Finished<'a> {
    to: Shared,
    raw: Option<Shared>,
    affine: Option<(&'a [f32], &'a [f32])>,
    keep: Option<Shared>,
    signs: Option<Shared<u16>>,
    relu: bool,
    add: Option<&'a [f32]>,
    accumulate: bool,
}

/// Scale and shift of a register's channels.
pub type Affine = Option<([f32; MAX_WIDTH], [f32; MAX_WIDTH])>;

/// One register's channels of one example's output.
// One at a time, on the stack: a box would cost more.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy)]
pub enum SinkAt<'a> {
    Planar(Shared, Channels),
    Blocked(Finished<'a>, Affine),
}

impl<'a> Finished<'a> {
    /// Finish into `to`.
    pub fn new(to: &mut [f32], finish: &mut Finish<'a>) -> Self {
        let add = finish.add;
        Finished::shared(Shared::new(to.as_mut_ptr()), finish, add)
    }

    /// Finish into `to`, which may be null where [`Finished::into_place`] follows, adding `add`.
    pub fn shared(to: Shared, finish: &mut Finish<'a>, add: Option<&'a [f32]>) -> Self {
        let kept = |slice: &mut Option<&'a mut [f32]>| slice.as_mut().map(|slice| Shared::new(slice.as_mut_ptr()));
        let (raw, keep) = (kept(&mut finish.raw), kept(&mut finish.keep));
        let signs = finish.signs.as_mut().map(|signs| Shared::new(signs.as_mut_ptr()));
        let (affine, relu, accumulate) = (finish.affine, finish.relu, finish.accumulate);
        Finished { to, raw, affine, keep, signs, relu, add, accumulate }
    }

    /// The same into another place.
    pub fn into_place(self, to: Shared) -> Self {
        Finished { to, ..self }
    }

    /// Where it goes.
    pub fn place(&self) -> Shared {
        self.to
    }

    /// The scale and shift of a group's channels.
    pub fn affine_lanes(&self, group: usize, width: usize) -> Affine {
        self.affine.map(|(scale, shift)| (lanes(scale, group, width), lanes(shift, group, width)))
    }

    /// The same `offset` elements further, `width` to a register.
    pub fn at(self, offset: usize, width: usize) -> Self {
        let shift = |p: Shared| Shared::new(p.get().wrapping_add(offset));
        Finished {
            to: shift(self.to),
            raw: self.raw.map(shift),
            keep: self.keep.map(shift),
            signs: self.signs.map(|signs| Shared::new(signs.get().wrapping_add(offset / width))),
            add: self.add.map(|add| &add[offset..]),
            ..self
        }
    }

    /// Whether anything of v itself is kept.
    fn keeps(&self) -> bool {
        self.raw.is_some() || self.keep.is_some() || self.signs.is_some()
    }

    /// Finishes `count` rows of `from` plus `bias`, `row_step` elements apart, at element `at` and on; `KEEPS` as [`Finished::keeps`] says.
    ///
    /// # Safety
    /// V's instruction set is available, the rows are readable, and every slice holds the elements, written by this task alone.
    #[inline(always)]
    unsafe fn put<V: Lanes, const AFFINE: bool, const KEEPS: bool>(
        &self,
        affine: &([f32; MAX_WIDTH], [f32; MAX_WIDTH]),
        bias: &[f32; MAX_WIDTH],
        from: *const f32,
        row_step: usize,
        at: usize,
        count: usize,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            let (scale, shift) = (V::load(affine.0.as_ptr()), V::load(affine.1.as_ptr()));
            let bias = V::load(bias.as_ptr());
            for t in 0..count {
                let at = at + t * V::WIDTH;
                let mut v = V::load(from.add(t * row_step)).add(bias);
                if let Some(raw) = self.raw.filter(|_| KEEPS) {
                    v.store(raw.get().add(at));
                }
                if AFFINE {
                    v = scale.mul(v).add(shift);
                }
                if let Some(keep) = self.keep.filter(|_| KEEPS) {
                    v.store(keep.get().add(at));
                }
                if let Some(signs) = self.signs.filter(|_| KEEPS) {
                    *signs.get().add(at / V::WIDTH) = v.positive_bits();
                }
                if self.relu {
                    v = v.rectified();
                }
                if let Some(add) = self.add {
                    v = v.add(V::load(add.as_ptr().add(at)));
                }
                let to = self.to.get().add(at);
                if self.accumulate {
                    v = v.add(V::load(to));
                }
                v.store(to);
            }
        }
    }
}

impl<'a> Sink<'a> {
    /// The scale and shift of a group's channels.
    pub fn affine_lanes(&self, group: usize, width: usize) -> Affine {
        match self {
            Sink::Blocked(finished) => finished.affine_lanes(group, width),
            Sink::Planar(..) => None,
        }
    }

    /// The channels of a group of an example, with their scale and shift ([`Sink::affine_lanes`]).
    pub fn at(self, example: usize, group: usize, width: usize, count: usize, len: usize, affine: Affine) -> SinkAt<'a> {
        match self {
            Sink::Planar(y, size) => SinkAt::Planar(Shared::new(y.get().wrapping_add(example * size)), channels(count, group, width, len)),
            Sink::Blocked(finished) => SinkAt::Blocked(finished.at((example * count.div_ceil(width) + group) * len * width, width), affine),
        }
    }
}

impl SinkAt<'_> {
    /// Samples `start`.. ← `count` rows of `from`, `row_step` registers apart, plus `bias`; the rows are destroyed.
    ///
    /// # Safety
    /// As [`SourceAt::load`], with the samples this task's own.
    #[inline(always)]
    pub unsafe fn store<V: Lanes>(&self, from: *mut f32, row_step: usize, bias: &[f32; MAX_WIDTH], start: usize, count: usize) {
        let w = V::WIDTH;
        let zeros = ([0.0; MAX_WIDTH], [0.0; MAX_WIDTH]);
        // SAFETY: the caller's contract.
        unsafe {
            match self {
                SinkAt::Planar(y, channels) => {
                    let bias = V::load(bias.as_ptr());
                    for t in 0..count {
                        let at = from.add(t * row_step * w);
                        V::load(at).add(bias).store(at);
                    }
                    store_rows::<V>(from, y.get().add(start), *channels, count, |t| t * row_step);
                }
                SinkAt::Blocked(to, affine) => {
                    let (step, at, none) = (row_step * w, start * w, &zeros);
                    match (affine, to.keeps()) {
                        (None, false) => to.put::<V, false, false>(none, bias, from, step, at, count),
                        (None, true) => to.put::<V, false, true>(none, bias, from, step, at, count),
                        (Some(affine), false) => to.put::<V, true, false>(affine, bias, from, step, at, count),
                        (Some(affine), true) => to.put::<V, true, true>(affine, bias, from, step, at, count),
                    }
                }
            }
        }
    }
}
