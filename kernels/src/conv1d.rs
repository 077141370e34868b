//! One-dimensional convolution: its geometry, weights made ready for it, and the three products forward, input gradient, weight gradient.

use crate::direct::{self, Direct, MAX_ROWS};
use crate::plan::{Choice, Method};
use crate::simd::MAX_WIDTH;
use crate::spectral::{Side, Spectral};
use crate::spectral_gradient;
use crate::sync::OnceLock;
use crate::{Isa, Real, sizes, unfold};
use alloc::vec::Vec;

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

/// Weights made ready for one geometry: made once, applied to any number of examples. What each direction needs (packed weights, weight spectra)
/// is made at its first use.
#[derive(Clone, Debug)]
pub struct PreparedConv<T> {
    conv: Conv1d,
    weights: Vec<T>,
    isa: Isa,
    forced: Option<Method>,
    forward: OnceLock<Form>,
    adjoint: OnceLock<Option<Form>>,
}

/// What the cell holds, made now if need be. It is made outside the cell's lock: making it uses rayon, and a thread that waits there may take up
/// work that asks for the same cell. Two threads may both make it; one result is kept.
pub(crate) fn once<V>(cell: &OnceLock<V>, make: impl FnOnce() -> V) -> &V {
    match cell.get() {
        Some(value) => value,
        None => {
            let value = make();
            cell.get_or_init(|| value)
        }
    }
}

/// One direction, ready to run in f32.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    Direct(Direct),
    Spectral(Spectral),
}

impl Form {
    pub(crate) fn new(conv: Conv1d, isa: Isa, forced: Option<Method>, side: Side, w: &[f32]) -> Self {
        conv.check();
        match Choice::method(&conv, isa, forced) {
            Method::Direct => Form::Direct(Direct::new(conv, isa, side, w)),
            Method::Spectral(tiling) => Form::Spectral(Spectral::new(conv, tiling, isa, side, w)),
        }
    }

    /// Takes other weights of the same shape.
    pub(crate) fn refresh(&mut self, side: Side, w: &[f32]) {
        match self {
            Form::Direct(form) => form.refresh(side, w),
            Form::Spectral(form) => form.refresh(side, w),
        }
    }

    fn run(&self, batch: usize, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        match self {
            Form::Direct(form) => form.forward(batch, x, bias, y),
            Form::Spectral(form) => form.forward(batch, x, bias, y),
        }
    }
}

impl<T: Real> PreparedConv<T> {
    /// Prepares weights `w` (c_out, c_in, kernel).
    ///
    /// # Panics
    /// If `w` has another size, or the geometry is none: a size of 0 (the signal's apart), or one larger than memory.
    pub fn new(conv: Conv1d, w: &[T]) -> Self {
        Self::with(conv, w, Isa::best(), None)
    }

    /// [`PreparedConv::new`] with the instruction set given, and the form of both directions where it is allowed.
    ///
    /// # Panics
    /// As [`PreparedConv::new`].
    pub fn with(conv: Conv1d, w: &[T], isa: Isa, forced: Option<Method>) -> Self {
        conv.check();
        assert_eq!(w.len(), conv.weight_size(), "weights do not fit the geometry");
        PreparedConv { conv, weights: w.to_vec(), isa: isa.or_portable(), forced, forward: OnceLock::new(), adjoint: OnceLock::new() }
    }

    /// The geometry.
    pub fn conv(&self) -> &Conv1d {
        &self.conv
    }

    /// y\[n,o,t\] = b\[o\] + Σ_{i,j} w\[o,i,j\] · x\[n, i, t·stride + j·dilation − pad_left\]; x (n, c_in, len_in), y (n, c_out, len_out).
    ///
    /// # Panics
    /// If a slice does not fit the geometry.
    pub fn forward(&self, batch: usize, x: &[T], bias: Option<&[T]>, y: &mut [T]) {
        let conv = &self.conv;
        assert_eq!(x.len(), sizes::product([batch, conv.input_size()]), "x does not fit the geometry");
        assert_eq!(y.len(), sizes::product([batch, conv.output_size()]), "y does not fit the geometry");
        assert!(bias.is_none_or(|b| b.len() == conv.c_out), "bias does not fit the geometry");
        if y.is_empty() {
            return;
        }
        match (T::as_f32(&self.weights), T::as_f32(x), bias.map(T::as_f32), T::as_f32_mut(y)) {
            (Some(w), Some(x), bias, Some(y)) => {
                let form = once(&self.forward, || Form::new(*conv, self.isa, self.forced, Side::Forward, w));
                form.run(batch, x, bias.flatten(), y);
            }
            _ => unfold::forward(conv, &self.weights, x, bias, y),
        }
    }

    /// The adjoint of [`PreparedConv::forward`] in x: gy (n, c_out, len_out) → gx (n, c_in, len_in), overwritten.
    ///
    /// # Panics
    /// If a slice does not fit the geometry.
    pub fn grad_input(&self, batch: usize, gy: &[T], gx: &mut [T]) {
        let conv = &self.conv;
        assert_eq!(gy.len(), sizes::product([batch, conv.output_size()]), "gy does not fit the geometry");
        assert_eq!(gx.len(), sizes::product([batch, conv.input_size()]), "gx does not fit the geometry");
        if gx.is_empty() {
            return;
        }
        if let (Some(w), Some(gy), Some(gx)) = (T::as_f32(&self.weights), T::as_f32(gy), T::as_f32_mut(gx)) {
            let make = || {
                let adjoint = conv.adjoint()?;
                Some(Form::new(adjoint, self.isa, self.forced, Side::Adjoint, w))
            };
            if let Some(form) = once(&self.adjoint, make) {
                return form.run(batch, gy, None, gx);
            }
        }
        unfold::grad_input(conv, &self.weights, gy, gx);
    }
}

/// The adjoint of the convolution in its weights: gw\[o,i,j\] = Σ_{n,t} gy\[n,o,t\] · x\[n,i,source(t, j)\], overwritten, summed over n in order.
///
/// # Panics
/// If a slice does not fit the geometry.
pub fn grad_weight<T: Real>(conv: &Conv1d, batch: usize, x: &[T], gy: &[T], gw: &mut [T]) {
    grad_weight_with(conv, Isa::best(), None, batch, x, gy, gw);
}

/// [`grad_weight`] with the instruction set, and optionally the form, given.
///
/// # Panics
/// If a slice does not fit the geometry.
pub fn grad_weight_with<T: Real>(conv: &Conv1d, isa: Isa, forced: Option<Method>, batch: usize, x: &[T], gy: &[T], gw: &mut [T]) {
    conv.check();
    assert_eq!(x.len(), sizes::product([batch, conv.input_size()]), "x does not fit the geometry");
    assert_eq!(gy.len(), sizes::product([batch, conv.output_size()]), "gy does not fit the geometry");
    assert_eq!(gw.len(), conv.weight_size(), "gw does not fit the geometry");
    if gy.is_empty() || x.is_empty() {
        return gw.fill(T::ZERO);
    }
    let isa = isa.or_portable();
    match (T::as_f32(x), T::as_f32(gy), T::as_f32_mut(gw)) {
        (Some(x), Some(gy), Some(gw)) => match Choice::method(conv, isa, forced) {
            Method::Direct => direct::grad_weight(conv, isa, batch, x, gy, gw),
            Method::Spectral(tiling) => spectral_gradient::grad_weight(conv, tiling, isa, batch, x, gy, gw),
        },
        _ => unfold::grad_weight(conv, batch, x, gy, gw),
    }
}
