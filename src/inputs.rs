//! ECGs that come as arrays from another language, held against what a model can take, as the command line holds those in files.

use crate::attribution::{Explainer, Explanations, Method, Settings, over_baselines};
use crate::ecg::amplitude;
use crate::nn::Model;
use crate::progress::Report;
use crate::tape::{Network, Real, Tensor};
use crate::unfit::first_unfit;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView3};

/// What insists on ECGs that a model of a known input would refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insisting {
    /// On another length than the model was trained on.
    pub any_length: bool,
    /// On amplitudes that cannot be µV.
    pub any_amplitude: bool,
}

/// Refuses ECGs (N, C, L), µV, that a model cannot take. One that says what it looks at takes ECGs of that length and in µV only, unless the caller
/// insists; of others nothing is known but their program.
///
/// # Errors
/// [`Error::Shape`] where there is no sample or the program takes none of this shape; [`Error::Usage`] for another length;
/// [`Error::Value`] for a sample that is not finite, and for an ECG that cannot be in µV.
pub fn check<T: Real>(model: &Model, x: ArrayView3<'_, T>, insisting: Insisting) -> Result<()> {
    let (count, channels, samples) = x.dim();
    if x.is_empty() {
        let found = format!("({count}, {channels}, {samples}), which holds no sample");
        return Err(Error::Shape { at: "the ECGs".into(), expected: "(N, C, L)".into(), found });
    }
    if let Some(kind) = model.input.filter(|kind| kind.samples() != samples && !insisting.any_length) {
        let what =
            format!("the ECGs have {samples} samples; the model looks at {} ECGs of {} samples at 500 Hz", kind.name(), kind.samples());
        return Err(Error::Usage(format!("{what}: give those, or insist with --any-length")));
    }
    model.network.program().shapes(&[vec![1, channels, samples]])?;
    if let Some(((ecg, channel, at), value)) = first_unfit(&x, |value: T| !value.is_finite()) {
        let at = format!("ECG {ecg}, channel {channel}, sample {at}");
        return Err(Error::Value { at, problem: format!("{value} is not a voltage") });
    }
    if model.input.is_some() && !insisting.any_amplitude {
        let one = |(ecg, samples): (usize, ndarray::ArrayView2<'_, T>)| {
            amplitude::check(|| format!("ECG {ecg}"), samples.mapv(|v| v.f64()).view())
        };
        x.outer_iter().enumerate().try_for_each(one)?;
    }
    Ok(())
}

/// Explains with the baseline of the settings, or, over several baselines, the methods that compare with one averaged and the others as ever.
///
/// # Errors
/// As [`Explainer::explain`].
pub fn explain<T: Real>(
    network: &Network<T>,
    settings: &Settings,
    baselines: Option<&[Array2<f64>]>,
    x: &Tensor<T>,
    ids: &[u64],
    methods: &[Method],
    report: Report<'_>,
) -> Result<Explanations<T>> {
    let plain = |methods: &[Method]| Explainer::new(network, settings)?.explain(x, ids, methods, report);
    let Some(baselines) = baselines else { return plain(methods) };
    let program = network.program();
    let compares = |method: &&Method| method.row().recipe::<T>(program, settings).compares(program, settings);
    let (averaged, others): (Vec<Method>, Vec<Method>) = methods.iter().partition(compares);
    let mut found = plain(&others)?;
    if !averaged.is_empty() {
        let more = over_baselines(network, settings, baselines, x, ids, &averaged, report)?;
        found.maps.extend(more.maps);
        found.completeness.extend(more.completeness);
        found.maps.sort_by_key(|(method, _)| methods.iter().position(|other| other == method));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::InputKind;
    use crate::nn::{architecture, initialise};
    use ndarray::Array3;

    #[test]
    fn what_a_model_cannot_take_is_said() {
        let program = architecture("standardconv").unwrap();
        let mut model = Model::new(Network::new(program.clone(), initialise(&program, 1, 0).unwrap()).unwrap());
        let good = Array3::from_shape_fn((2, 12, 600), |(n, c, t)| 100.0 * ((n + c + t) as f32 * 0.1).sin());
        let said = |model: &Model, x: &Array3<f32>, insisting| {
            check(model, x.view(), insisting).err().map_or(String::new(), |error| error.to_string())
        };
        let none = Insisting::default();
        assert_eq!(said(&model, &good, none), "");
        assert!(said(&model, &Array3::zeros((0, 12, 600)), none).contains("(N, C, L)"));
        assert!(!said(&model, &Array3::zeros((1, 8, 600)), none).is_empty());
        let mut nan = good.clone();
        nan[[1, 3, 7]] = f32::NAN;
        assert!(said(&model, &nan, none).contains("ECG 1, channel 3, sample 7"));
        assert_eq!(said(&model, &good.mapv(|v| v * 1e-3), none), "", "nothing is known of this model's unit");
        model.input = Some(InputKind::Median);
        assert_eq!(said(&model, &good, none), "");
        assert!(said(&model, &good.mapv(|v| v * 1e-3), none).contains("cannot be µV"));
        assert_eq!(said(&model, &good.mapv(|v| v * 1e-3), Insisting { any_amplitude: true, ..none }), "");
        let long = Array3::from_shape_fn((1, 12, 700), |(_, c, t)| 100.0 * ((c + t) as f32 * 0.1).sin());
        assert!(said(&model, &long, none).contains("700 samples"));
        assert_eq!(said(&model, &long, Insisting { any_length: true, ..none }), "");
    }
}
