//! Operations on blocked activations, (group, time, lane): what execution plans are made of.
//!
//! A blocked example of C channels and L samples holds ⌈C / width⌉ · L · width elements; lanes beyond the channels are 0 and stay 0. The width is
//! that of the instruction set ([`Isa::width`]). Every operation treats examples independently.

use crate::conv1d::Form;
use crate::geometry::Side;
use crate::mirror::{mirror, mirrors};
use crate::rows::{channels, load_rows, store_rows};
use crate::scratch::Shared;
use crate::simd::{Job, Lanes};
use crate::through::{Finished, Sink, Source};
use crate::{Conv1d, Isa, Method, sizes};
use core::ops::Range;

pub use crate::blocked_pool::{affine, average, average_grad, max, max_grad, mean, mean_grad};
pub use crate::through::{Finish, Gate};

/// Elements of one blocked example.
///
/// # Panics
/// If they are more than memory holds.
pub fn size(isa: Isa, count: usize, len: usize) -> usize {
    sizes::product([count.div_ceil(isa.width()), len, isa.width()])
}

/// (C, L) → blocked, example by example.
///
/// # Panics
/// If a slice has another size.
pub fn pack(isa: Isa, count: usize, len: usize, x: &[f32], to: &mut [f32]) {
    let isa = isa.or_portable();
    each_example(x, sizes::product([count, len]), to, size(isa, count, len), |x, to| {
        for (group, to) in to.chunks_exact_mut((len * isa.width()).max(1)).enumerate() {
            isa.dispatch(Relayout::<true> {
                planar: Shared::new(x.as_ptr().cast_mut()),
                count,
                group,
                len,
                blocked: Shared::new(to.as_mut_ptr()),
            });
        }
    });
}

/// Blocked → (C, L), example by example.
///
/// # Panics
/// If a slice has another size.
pub fn unpack(isa: Isa, count: usize, len: usize, x: &[f32], to: &mut [f32]) {
    let isa = isa.or_portable();
    each_example(x, size(isa, count, len), to, sizes::product([count, len]), |x, to| {
        for (group, x) in x.chunks_exact((len * isa.width()).max(1)).enumerate() {
            isa.dispatch(Relayout::<false> {
                planar: Shared::new(to.as_mut_ptr()),
                count,
                group,
                len,
                blocked: Shared::new(x.as_ptr().cast_mut()),
            });
        }
    });
}

/// Pairs of examples of two slices that hold equally many.
fn each_example(x: &[f32], size_x: usize, y: &mut [f32], size_y: usize, f: impl Fn(&[f32], &mut [f32])) {
    if size_x == 0 || size_y == 0 {
        return assert!(x.is_empty() && y.is_empty(), "the slices do not hold examples of this size");
    }
    assert!(
        x.len().is_multiple_of(size_x) && y.len().is_multiple_of(size_y) && x.len() / size_x == y.len() / size_y,
        "the slices do not hold examples of this size"
    );
    x.chunks_exact(size_x).zip(y.chunks_exact_mut(size_y)).for_each(|(x, y)| f(x, y));
}

/// One group of one example between the layouts; `PACK` reads the planar side, else it is written.
struct Relayout<const PACK: bool> {
    planar: Shared,
    count: usize,
    group: usize,
    len: usize,
    blocked: Shared,
}

impl<const PACK: bool> Job for Relayout<PACK> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let channels = channels(self.count, self.group, V::WIDTH, self.len);
        // SAFETY: the planar side holds (count, len), the blocked side len registers; the one that is written is exclusively borrowed.
        unsafe {
            if PACK {
                load_rows::<V>(self.planar.get(), channels, self.len, self.blocked.get(), |t| t);
            } else {
                store_rows::<V>(self.blocked.get(), self.planar.get(), channels, self.len, |t| t);
            }
        }
    }
}

/// A convolution on blocked activations with elementwise work fused at both ends.
#[derive(Clone, Debug)]
pub struct FusedConv {
    conv: Conv1d,
    isa: Isa,
    side: Side,
    form: Form,
}

impl FusedConv {
    /// The convolution of weights `w` (c_out, c_in, kernel).
    ///
    /// # Panics
    /// As [`crate::PreparedConv::new`].
    pub fn forward(conv: Conv1d, w: &[f32], isa: Isa, forced: Option<Method>) -> Self {
        conv.check();
        assert_eq!(w.len(), conv.weight_size(), "weights do not fit the geometry");
        let isa = isa.or_portable();
        FusedConv { conv, isa, side: Side::Forward, form: Form::new(conv, isa, forced, Side::Forward, w) }
    }

    /// Its data gradient, from (c_out, len_out) to (c_in, len_in); `None` for strides and for padding wider than the kernel.
    ///
    /// # Panics
    /// As [`crate::PreparedConv::new`].
    pub fn adjoint(conv: Conv1d, w: &[f32], isa: Isa, forced: Option<Method>) -> Option<Self> {
        conv.check();
        assert_eq!(w.len(), conv.weight_size(), "weights do not fit the geometry");
        let (isa, conv) = (isa.or_portable(), conv.adjoint()?);
        Some(FusedConv { conv, isa, side: Side::Adjoint, form: Form::new(conv, isa, forced, Side::Adjoint, w) })
    }

    /// The geometry; of an adjoint, the adjoint's.
    pub fn conv(&self) -> &Conv1d {
        &self.conv
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    /// Takes other weights of the shape that this was made of.
    ///
    /// # Panics
    /// If `w` has another size.
    pub fn refresh(&mut self, w: &[f32]) {
        assert_eq!(w.len(), self.conv.weight_size(), "weights do not fit the geometry");
        self.form.refresh(self.side, w);
    }

    /// [`FusedConv::refresh`] of the adjoint of `forward`, which has taken the weights `w` already: from its spectra where both cut their signals alike.
    ///
    /// # Panics
    /// If `w` has another size.
    pub fn refresh_adjoint(&mut self, forward: &FusedConv, w: &[f32]) {
        assert_eq!(w.len(), self.conv.weight_size(), "weights do not fit the geometry");
        match (&forward.form, &mut self.form) {
            (Form::Spectral(forward), Form::Spectral(adjoint)) if self.side == Side::Adjoint && mirrors(forward, adjoint) => {
                mirror(forward, adjoint)
            }
            _ => self.refresh(w),
        }
    }

    /// y ← finish(conv(scale · gate(x)) + bias), `scale` per input channel, for examples one after another; `parallel` splits the work of all examples over threads.
    ///
    /// # Panics
    /// If a slice does not hold `batch` examples.
    #[allow(clippy::too_many_arguments)]
    pub fn run(
        &self,
        batch: usize,
        x: &[f32],
        (gate, scale): (Gate<'_>, Option<&[f32]>),
        bias: Option<&[f32]>,
        mut finish: Finish<'_>,
        y: &mut [f32],
        parallel: bool,
    ) {
        let conv = &self.conv;
        let (size_in, size_out) = (size(self.isa, conv.c_in, conv.len_in), size(self.isa, conv.c_out, conv.len_out()));
        let (all_in, all_out) = (sizes::product([batch, size_in]), sizes::product([batch, size_out]));
        assert!(x.len() == all_in && gate.fits(batch, size_in, self.isa.width()), "the input does not hold {batch} examples");
        assert!(
            y.len() == all_out && finish.fits(conv.c_out, y.len(), self.isa.width()),
            "the output does not hold {batch} examples of its channels"
        );
        assert!(bias.is_none_or(|b| b.len() == conv.c_out), "bias does not fit the geometry");
        assert!(scale.is_none_or(|scale| scale.len() == conv.c_in), "a factor per channel does not fit the geometry");
        if y.is_empty() {
            return;
        }
        let (from, to) = (Source::Blocked(x, gate, scale), Sink::Blocked(Finished::new(y, &mut finish)));
        match &self.form {
            Form::Direct(form) => form.run(batch, from, bias, to, parallel),
            Form::Spectral(form) => form.run(batch, from, bias, to, parallel),
        }
    }
}

/// Where a convolution runs directly: the samples `time` of one example's y ← finish(conv(x) + bias), the bytes that [`FusedConv::run`] gives them; the
/// others are left. False, and nothing is done, for one that runs by FFT, which computes a frame as a whole.
///
/// # Panics
/// If a slice does not hold one example, or `time` is not within the output.
pub fn run_within(conv: &FusedConv, x: &[f32], bias: Option<&[f32]>, mut finish: Finish<'_>, y: &mut [f32], time: Range<usize>) -> bool {
    let (form, geometry) = (&conv.form, &conv.conv);
    let Form::Direct(form) = form else { return false };
    assert!(x.len() == size(conv.isa, geometry.c_in, geometry.len_in), "the input does not hold one example");
    assert!(
        y.len() == size(conv.isa, geometry.c_out, geometry.len_out()) && finish.fits(geometry.c_out, y.len(), conv.isa.width()),
        "the output does not hold one example of its channels"
    );
    assert!(bias.is_none_or(|b| b.len() == geometry.c_out), "bias does not fit the geometry");
    assert!(time.start <= time.end && time.end <= geometry.len_out(), "the samples are not within the output");
    if !time.is_empty() {
        let (from, to) = (Source::Blocked(x, Gate::Open, None), Sink::Blocked(Finished::new(y, &mut finish)));
        form.run_within(1, from, bias, to, time, false);
    }
    true
}

/// g ← gate(g), blocked.
///
/// # Panics
/// If the gate's slices do not fit.
pub fn gate(isa: Isa, size: usize, through: Gate<'_>, g: &mut [f32]) {
    assert!(
        size > 0 && g.len().is_multiple_of(size) && through.fits(g.len() / size, size, isa.or_portable().width()),
        "the gate does not fit the gradient"
    );
    let isa = isa.or_portable();
    assert!(size.is_multiple_of(isa.width()), "the size of an example is not blocked");
    for (index, g) in g.chunks_exact_mut(size).enumerate() {
        isa.dispatch(Pass { g, gate: through.at(index, size, 0, isa.width()) });
    }
}

/// Whether the elements of `v`, blocked, are > 0: a set of bits for each register.
///
/// # Panics
/// If `bits` are not as many as the registers.
pub fn signs(isa: Isa, v: &[f32], bits: &mut [u16]) {
    let isa = isa.or_portable();
    assert!(bits.len() * isa.width() == v.len(), "the bits do not fit the values");
    isa.dispatch(Signs { v, bits });
}

struct Signs<'a> {
    v: &'a [f32],
    bits: &'a mut [u16],
}

impl Job for Signs<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for (index, bits) in self.bits.iter_mut().enumerate() {
            // SAFETY: the slice holds a register for each set of bits.
            *bits = unsafe { V::load(self.v.as_ptr().add(index * V::WIDTH)).positive_bits() };
        }
    }
}

struct Pass<'a> {
    g: &'a mut [f32],
    gate: Gate<'a>,
}

impl Job for Pass<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let g = self.g.as_mut_ptr();
        for at in (0..self.g.len()).step_by(V::WIDTH) {
            // SAFETY: the slices hold as many elements as g, a multiple of the width.
            unsafe { self.gate.pass(V::load(g.add(at)), at).store(g.add(at)) };
        }
    }
}
