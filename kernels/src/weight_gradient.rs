//! The weight gradient on blocked activations, in parts: each part of a batch gives sums of its own (spectra, or tap sums), which are added in the
//! order of the parts at the end. Parts can be worked on at the same time, each by one core that has its examples near.

use crate::Conv1d;
use crate::blocked::{Finish, FusedConv, Gate};
use crate::conv1d::Form;
use crate::direct_blocked::DirectGradient;
use crate::plan::{Choice, Method};
use crate::simd::Isa;
use crate::sizes;
use crate::spectral_gradient::SpectralGradient;
use crate::through::{Finished, Sink};

/// The weight gradient of one geometry.
#[derive(Clone, Debug)]
pub struct WeightGradient {
    conv: Conv1d,
    isa: Isa,
    form: GradientForm,
}

#[derive(Clone, Debug)]
enum GradientForm {
    Direct(DirectGradient),
    Spectral(SpectralGradient),
}

impl WeightGradient {
    /// Of this geometry, in the cheapest form or the one that is asked for.
    ///
    /// # Panics
    /// If the geometry is none ([`crate::PreparedConv::new`]).
    pub fn new(conv: Conv1d, isa: Isa, forced: Option<Method>) -> Self {
        conv.check();
        let isa = isa.or_portable();
        let form = match Choice::method(&conv, isa, forced) {
            Method::Direct => GradientForm::Direct(DirectGradient::new(conv, isa)),
            Method::Spectral(tiling) => GradientForm::Spectral(SpectralGradient::new(conv, tiling, isa)),
        };
        WeightGradient { conv, isa, form }
    }

    /// Elements of the sums of a part.
    pub fn size(&self) -> usize {
        match &self.form {
            GradientForm::Direct(form) => form.size(),
            GradientForm::Spectral(form) => form.size(),
        }
    }

    /// The sums of some examples, overwritten: inputs `x` and output gradients `gy`, blocked, one after another.
    ///
    /// # Panics
    /// If a slice does not hold `examples`.
    pub fn part(&self, examples: usize, x: &[f32], gy: &[f32], sums: &mut [f32]) {
        let size = |channels: usize, len: usize| sizes::product([examples, crate::blocked::size(self.isa, channels, len)]);
        assert_eq!(x.len(), size(self.conv.c_in, self.conv.len_in), "x does not fit the geometry");
        assert_eq!(gy.len(), size(self.conv.c_out, self.conv.len_out()), "gy does not fit the geometry");
        assert!(sums.len() >= self.size() && examples > 0, "the sums do not fit the geometry");
        match &self.form {
            GradientForm::Direct(form) => form.part(examples, x, gy, sums),
            GradientForm::Spectral(form) => form.part(examples, x, gy, sums),
        }
    }

    /// [`WeightGradient::part`] and the data gradient of the same examples, gx ← finish(adjoint(gy)), sharing what they can.
    ///
    /// # Panics
    /// If a slice does not hold `examples`.
    #[allow(clippy::too_many_arguments)]
    pub fn part_with(
        &self,
        adjoint: &FusedConv,
        examples: usize,
        x: &[f32],
        gy: &[f32],
        mut finish: Finish<'_>,
        gx: &mut [f32],
        sums: &mut [f32],
    ) {
        let size = |channels: usize, len: usize| sizes::product([examples, crate::blocked::size(self.isa, channels, len)]);
        match (&self.form, adjoint.form()) {
            (GradientForm::Spectral(form), Form::Spectral(back)) if form.shares_with(back) => {
                let (size_x, size_y) = (size(self.conv.c_in, self.conv.len_in), size(self.conv.c_out, self.conv.len_out()));
                assert!(x.len() == size_x && gx.len() == size_x, "x or gx does not fit the geometry");
                assert_eq!(gy.len(), size_y, "gy does not fit the geometry");
                assert!(sums.len() >= self.size() && examples > 0, "the sums do not fit the geometry");
                assert!(finish.fits(self.conv.c_in, size_x, adjoint.isa().width()), "what the data gradient finishes with does not fit");
                form.part_with(back, examples, x, gy, Sink::Blocked(Finished::new(gx, &mut finish)), sums);
            }
            _ => {
                adjoint.run(examples, gy, (Gate::Open, None), None, finish, gx, false);
                self.part(examples, x, gy, sums);
            }
        }
    }

    /// The gradient (c_out, c_in, kernel), from the sums of all parts, [`WeightGradient::size`] each; they are used up.
    ///
    /// # Panics
    /// If a slice does not fit.
    pub fn finish(&self, sums: &mut [f32], gw: &mut [f32]) {
        assert!(sums.len().is_multiple_of(self.size()) && !sums.is_empty(), "the sums are not those of parts");
        assert_eq!(gw.len(), self.conv.weight_size(), "gw does not fit the geometry");
        match &self.form {
            GradientForm::Direct(form) => form.finish(sums, gw),
            GradientForm::Spectral(form) => form.finish(sums, gw),
        }
    }
}
