//! One-dimensional convolution: weights made ready for a geometry, and the three products forward, input gradient, weight gradient.

use crate::direct::{self, Direct};
pub use crate::geometry::Conv1d;
use crate::geometry::Side;
use crate::plan::{Choice, Method};
use crate::spectral::Spectral;
use crate::spectral_gradient;
use crate::sync::OnceLock;
use crate::{Isa, Real, sizes, unfold};
use alloc::vec::Vec;

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
