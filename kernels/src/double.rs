//! Convolution in f64: weights packed once in the form of fewer operations, direct or Toom–Cook, what follows fused at the store.
//!
//! y(n, o, t) = φ(b(o) + Σ_c Σ_j w(o·f + p, c, j) · x(n, c, s·q + j − pad)), with t = f·q + p: an ordinary convolution of stride s for f = 1, the
//! convolution behind an f-fold upsampling by phases for s = 1. Either form gives the same bytes on every instruction set,
//! whatever is in the group and on any threads; the two differ by rounding (some 1e-14 of the largest result).

use crate::double_direct::Packed;
use crate::double_lanes::LANES;
pub use crate::double_shape::{Activation, Shape};
use crate::double_signal::SLACK;
pub use crate::double_signal::Signal;
use crate::double_tile::{Call, Place};
use crate::double_toom::Toom;
use crate::scratch::Shared;
use crate::{Isa, sizes};
use alloc::vec::Vec;
use core::ops::Range;

/// A convolution with its weights packed.
#[derive(Clone, Debug)]
pub struct DoubleConv {
    shape: Shape,
    activation: Activation,
    bias: Vec<f64>,
    forms: Forms,
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Product by product.
    Direct,
    /// Tiles of results from ten products per channel.
    Toom,
}

#[derive(Clone, Debug)]
enum Forms {
    Direct(Packed),
    /// Phases of the same taps together.
    Toom(Vec<Toom>),
}

impl DoubleConv {
    /// Packs weights (c_out·factor, c_in, taps) and a bias (c_out·factor) in the form of fewer operations.
    ///
    /// # Panics
    /// If the slices have other sizes, one of the shape's is 0, it has phases and a stride, or positions beyond its padded signal.
    pub fn new(shape: Shape, weight: &[f64], bias: &[f64], activation: Activation) -> Self {
        shape.check(weight.len(), bias.len());
        let direct = direct_cost(&shape, weight);
        let toom: f64 = families(&shape, weight).into_iter().map(|(rows, taps)| Toom::cost(&shape, rows.len(), taps)).sum();
        let form = if toom < PAYS * direct { Scheme::Toom } else { Scheme::Direct };
        DoubleConv::with_form(shape, weight, bias, activation, form)
    }

    /// As [`new`](DoubleConv::new), in one form.
    ///
    /// # Panics
    /// As [`new`](DoubleConv::new).
    pub fn with_form(shape: Shape, weight: &[f64], bias: &[f64], activation: Activation, form: Scheme) -> Self {
        shape.check(weight.len(), bias.len());
        let Shape { c_in, c_out, factor, taps, .. } = shape;
        let rows = c_out * factor;
        let place = |row: usize| row % c_out * factor + row / c_out;
        let of = |row: usize, c: usize, j: usize| weight[(place(row) * c_in + c) * taps + j];
        let forms = match form {
            Scheme::Direct => Forms::Direct(Packed::new(&shape, of)),
            Scheme::Toom => {
                Forms::Toom(families(&shape, weight).into_iter().map(|(rows, taps)| Toom::new(&shape, rows, taps, of)).collect())
            }
        };
        let mut ordered: Vec<f64> = (0..rows).map(|row| bias[place(row)]).collect();
        ordered.resize(rows + LANES, 0.0);
        DoubleConv { shape, activation, bias: ordered, forms }
    }

    /// The form it is in.
    pub fn form(&self) -> Scheme {
        match self.forms {
            Forms::Direct(_) => Scheme::Direct,
            Forms::Toom(_) => Scheme::Toom,
        }
    }

    /// Zeros for a group of inputs.
    pub fn input(&self, group: usize) -> Signal {
        let Shape { c_in, len_in, taps, stride, pad, .. } = self.shape;
        Signal::new(group, c_in, len_in, (taps, stride, pad))
    }

    /// Convolves and stores in every target, from its channel on; `parallel` splits the work over threads.
    ///
    /// # Panics
    /// If the input was made for another convolution, or a target has another length or group, or too few channels.
    pub fn run(&self, isa: Isa, input: &Signal, targets: &mut [(&mut Signal, usize)], parallel: bool) {
        let (s, from) = (&self.shape, &input.layout);
        assert!(
            (from.channels, from.len, from.stride, from.pad) == (s.c_in, s.len_in, s.stride, s.pad),
            "an input for another convolution"
        );
        let rows = sizes::product([s.steps + (s.taps - 1) / s.stride, from.group]) + SLACK;
        assert!(sizes::product([rows, s.stride, s.c_in]) <= input.values.len(), "an input too short");
        for (target, channel) in targets.iter() {
            let to = &target.layout;
            assert!(
                to.group == from.group
                    && to.len == s.steps * s.factor
                    && channel.checked_add(s.c_out).is_some_and(|end| end <= to.channels),
                "a target of another shape"
            );
        }
        let place = |(target, channel): &mut (&mut Signal, usize)| Place {
            values: Shared::new(target.values.as_mut_ptr()),
            layout: target.layout,
            channel: *channel,
        };
        let targets: Vec<Place> = targets.iter_mut().map(place).collect();
        let call = Call { shape: &self.shape, activation: self.activation, bias: &self.bias, input, targets: &targets };
        // SAFETY: the sizes are as asserted above, and the targets are exclusively borrowed.
        unsafe {
            match &self.forms {
                Forms::Direct(direct) => direct.run(isa, call, parallel),
                Forms::Toom(all) => all.iter().for_each(|toom| toom.run(isa, call, parallel)),
            }
        }
    }
}

/// What a form may cost, as a share of the direct one, to be taken.
const PAYS: f64 = 0.8;

/// Phases in order, as rows phase·c_out + channel, joined while they need no more taps than one of them does, with their taps.
fn families(shape: &Shape, weight: &[f64]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut families: Vec<(Range<usize>, Range<usize>, usize)> = Vec::new();
    for (phase, taps) in (0..shape.factor).map(|phase| (phase, used(shape, weight, phase))) {
        let rows = phase * shape.c_out..(phase + 1) * shape.c_out;
        if let Some((all, together, most)) = families.last_mut() {
            let both = together.start.min(taps.start)..together.end.max(taps.end);
            let longest = taps.len().max(*most);
            if both.len() <= longest {
                (*all, *together, *most) = (all.start..rows.end, both, longest);
                continue;
            }
        }
        families.push((rows, taps.clone(), taps.len()));
    }
    families.into_iter().map(|(rows, taps, _)| (rows, taps)).collect()
}

/// The taps of a phase from the first that is not zero to the last; one at least.
fn used(shape: &Shape, weight: &[f64], phase: usize) -> Range<usize> {
    let mut used = shape.taps..0;
    for (row, w) in weight.chunks(shape.taps).enumerate() {
        if row / shape.c_in % shape.factor == phase {
            let nonzero = |j: &usize| w[*j] != 0.0;
            used.start = (0..shape.taps).find(nonzero).unwrap_or(shape.taps).min(used.start);
            used.end = (0..shape.taps).rfind(nonzero).map_or(0, |j| j + 1).max(used.end);
        }
    }
    if used.is_empty() { 0..1 } else { used }
}

/// Products of registers of the direct form, for one example.
fn direct_cost(shape: &Shape, weight: &[f64]) -> f64 {
    let met = |q: usize, j: usize| (shape.pad..shape.len_in + shape.pad).contains(&(q * shape.stride + j));
    let of = |taps: Range<usize>| (0..shape.steps).map(|q| taps.clone().filter(|j| met(q, *j)).count()).sum::<usize>();
    let positions: usize = (0..shape.factor).map(|phase| of(used(shape, weight, phase))).sum();
    let blocks = (shape.c_out * shape.factor).div_ceil(LANES) as f64 / shape.factor as f64;
    (positions * shape.c_in) as f64 * blocks
}
