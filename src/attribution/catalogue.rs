//! The catalogue: every method as rule set × sampler × reduction, with its names and what its values mean.

use super::lrp;
use super::recipe::{Design, Recipe, Reduction, Sampler};
use super::row::{Family, Row, Sum, Unit};
use super::{Deconvolution, GuidedBackprop, Method, Rescale, Settings, gradcam};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Match, OpKind, Program, Real, Rule, RuleSet};
use crate::{Error, Result};
use Family::{Activation, Contribution, Control, PseudoGradient, Relevance, Slope, Spread};
use Sampler::{Noise, Once, Path, RandomPath};
use alloc::sync::Arc;

/// The setting of methods that compare with a baseline.
const MULTIPLIED: &str = "multiply-by-inputs";
/// The settings of methods that look at a layer.
const LAYER: &[&str] = &["layer", "interpolation"];

/// The built-in methods, in the order of [`Method::ALL`].
#[rustfmt::skip]
pub(super) static ROWS: [Row; 17] = [
    Row { name: "deconvolution", title: "Deconvolution", short: "Deconv", paper: "Zeiler & Fergus 2014, section 2.1",
        family: PseudoGradient, unit: Unit::Arbitrary, sum: Sum::Free, heeds: &[], design: &Deconvolved },
    Row { name: "deeplift", title: "DeepLIFT", short: "DeepLIFT", paper: "Shrikumar et al. 2017, section 3.5.1",
        family: Slope, unit: Unit::PerMicrovolt, sum: Sum::Difference, heeds: &[MULTIPLIED, "max-pool"], design: &Rescaled },
    Row { name: "gradient_shap", title: "Gradient SHAP", short: "Grad SHAP", paper: "Lundberg & Lee 2017; Erion et al. 2021",
        family: Slope, unit: Unit::PerMicrovolt, sum: Sum::DifferenceInExpectation, heeds: &[MULTIPLIED, "samples"], design: &Plain(RandomPath, scaled) },
    Row { name: "guided_backprop", title: "Guided backpropagation", short: "Guided BP", paper: "Springenberg et al. 2015, section 3.4",
        family: PseudoGradient, unit: Unit::Arbitrary, sum: Sum::Free, heeds: &[], design: &Guided },
    Row { name: "guided_gradcam", title: "Guided Grad-CAM", short: "G Grad-CAM", paper: "Selvaraju et al. 2017, section 3.2",
        family: PseudoGradient, unit: Unit::PredictionSquaredPerMicrovolt, sum: Sum::Free, heeds: LAYER, design: &Times(Method::GradCam, Method::GuidedBackprop) },
    Row { name: "inputxgradient", title: "Input × gradient", short: "Input × grad", paper: "Shrikumar et al. 2017, section 2.2",
        family: Contribution, unit: Unit::Prediction, sum: Sum::Free, heeds: &[], design: &Plain(Once, times_input) },
    Row { name: "integrated_gradients", title: "Integrated gradients", short: "Int grad", paper: "Sundararajan et al. 2017",
        family: Slope, unit: Unit::PerMicrovolt, sum: Sum::Difference, heeds: &[MULTIPLIED, "steps", "quadrature"], design: &Plain(Path, scaled) },
    Row { name: "random", title: "Random", short: "Random", paper: "a control",
        family: Control, unit: Unit::None, sum: Sum::Free, heeds: &[], design: &Drawn },
    Row { name: "saliency", title: "Saliency", short: "Saliency", paper: "Simonyan et al. 2014",
        family: Slope, unit: Unit::PerMicrovolt, sum: Sum::Free, heeds: &[], design: &Plain(Once, mean) },
    Row { name: "smoothgrad", title: "SmoothGrad", short: "SmoothGrad", paper: "Smilkov et al. 2017",
        family: Slope, unit: Unit::PerMicrovolt, sum: Sum::Free, heeds: &["samples"], design: &Plain(Noise, smooth) },
    Row { name: "gradcam", title: "Grad-CAM", short: "Grad-CAM", paper: "Selvaraju et al. 2017, section 3.1",
        family: Activation, unit: Unit::Prediction, sum: Sum::Free, heeds: LAYER, design: &OfLayer },
    Row { name: "vargrad", title: "VarGrad", short: "VarGrad", paper: "Adebayo et al. 2018",
        family: Spread, unit: Unit::PerMicrovoltSquared, sum: Sum::Free, heeds: &["samples"], design: &Plain(Noise, variance) },
    Row { name: "occlusion", title: "Occlusion", short: "Occlusion", paper: "Zeiler & Fergus 2014, section 4.2",
        family: Contribution, unit: Unit::Prediction, sum: Sum::Free, heeds: &["occlusion-window", "occlusion-stride"], design: &Replaced },
    Row { name: "lrp_epsilon", title: "LRP-ε", short: "LRP-ε", paper: "Bach et al. 2015, equation 58",
        family: Relevance, unit: Unit::Prediction, sum: Sum::Prediction, heeds: &["lrp-epsilon"], design: &Shared(Method::LrpEpsilon) },
    Row { name: "lrp_gamma", title: "LRP-γ", short: "LRP-γ", paper: "Montavon et al. 2019, section 10.2.3; Andéol et al. 2021",
        family: Relevance, unit: Unit::Prediction, sum: Sum::Prediction, heeds: &["lrp-epsilon", "lrp-gamma"], design: &Shared(Method::LrpGamma) },
    Row { name: "lrp_zplus", title: "LRP-z⁺", short: "LRP-z⁺", paper: "Montavon et al. 2017",
        family: Relevance, unit: Unit::Prediction, sum: Sum::Prediction, heeds: &["lrp-epsilon"], design: &Shared(Method::LrpZPlus) },
    Row { name: "lrp_composite", title: "LRP composite", short: "LRP comp.", paper: "Kohlbrenner et al. 2020 (EpsilonPlusFlat)",
        family: Relevance, unit: Unit::Prediction, sum: Sum::Prediction, heeds: &["lrp-epsilon"], design: &Shared(Method::LrpComposite) },
];

/// The plain gradient at sampled inputs.
struct Plain(Sampler, fn(&Settings) -> Reduction);
/// A rule at every ReLU, at the ECG itself.
struct Deconvolved;
struct Guided;
/// The rescale rule at every nonlinearity, at the ECG itself, against a reference run.
struct Rescaled;
/// Relevance, by the rules of an LRP method.
struct Shared(Method);
struct OfLayer;
struct Times(Method, Method);
struct Replaced;
struct Drawn;

fn mean(_: &Settings) -> Reduction {
    Reduction::Mean
}

fn variance(_: &Settings) -> Reduction {
    Reduction::Variance
}

fn times_input(_: &Settings) -> Reduction {
    Reduction::TimesInput
}

fn scaled(settings: &Settings) -> Reduction {
    if settings.multiply_by_inputs { Reduction::TimesDifference } else { Reduction::Mean }
}

fn smooth(settings: &Settings) -> Reduction {
    if settings.absolute.unwrap_or(true) { Reduction::MeanAbsolute } else { Reduction::Mean }
}

impl Design for Plain {
    fn recipe<T: Real>(&self, _: &Program, settings: &Settings) -> Recipe<T> {
        Recipe::gradients(RuleSet::plain(), self.0, self.1(settings))
    }
}

impl Design for Deconvolved {
    fn recipe<T: Real>(&self, _: &Program, _: &Settings) -> Recipe<T> {
        Recipe::gradients(at_relu(Deconvolution), Once, Reduction::Mean)
    }
}

impl Design for Guided {
    fn recipe<T: Real>(&self, _: &Program, _: &Settings) -> Recipe<T> {
        Recipe::gradients(at_relu(GuidedBackprop), Once, Reduction::Mean)
    }
}

impl Design for Rescaled {
    fn recipe<T: Real>(&self, program: &Program, settings: &Settings) -> Recipe<T> {
        Recipe::Gradients { rules: Rescale::rules(program, settings.max_pool), sampler: Once, reduction: scaled(settings), reference: true }
    }
}

impl Design for Shared {
    fn recipe<T: Real>(&self, program: &Program, settings: &Settings) -> Recipe<T> {
        Recipe::Relevance(lrp::rules(self.0, program, settings))
    }
}

impl Design for OfLayer {
    fn recipe<T: Real>(&self, _: &Program, _: &Settings) -> Recipe<T> {
        Recipe::Layer
    }
}

impl Design for Times {
    fn recipe<T: Real>(&self, _: &Program, _: &Settings) -> Recipe<T> {
        Recipe::Product(self.0, self.1)
    }
}

impl Design for Replaced {
    fn recipe<T: Real>(&self, _: &Program, _: &Settings) -> Recipe<T> {
        Recipe::Occlusion
    }
}

impl Design for Drawn {
    fn recipe<T: Real>(&self, _: &Program, _: &Settings) -> Recipe<T> {
        Recipe::Random
    }
}

/// Why a method cannot act on a program, if it cannot: a rule that would act nowhere, no layer to look at.
pub fn hindrance(method: Method, program: &Program, settings: &Settings) -> Option<Error> {
    match method.row().recipe::<f64>(program, settings) {
        Recipe::Gradients { rules, .. } | Recipe::Relevance(rules) => rules.check(program).err(),
        Recipe::Layer => gradcam::layer_of(program, settings.layer.as_deref()).err(),
        Recipe::Product(a, b) => hindrance(a, program, settings).or_else(|| hindrance(b, program, settings)),
        Recipe::Occlusion | Recipe::Random => None,
    }
}

/// A method that cannot act on a network, and why.
pub type LeftOut = (Method, String);

/// Those of `methods` that can act on all of the programs, and for the others why they cannot. Methods that were asked for by name
/// (`named`) must all be able to.
///
/// # Errors
/// As [`hindrance`], of the first method by name that cannot act; [`Error::Usage`] if none is left.
pub fn able<'p>(
    methods: &[Method],
    named: bool,
    programs: impl IntoIterator<Item = &'p Program> + Clone,
    settings: &Settings,
) -> Result<(Vec<Method>, Vec<LeftOut>)> {
    let (mut able, mut left_out) = (Vec::new(), Vec::new());
    for method in methods {
        match programs.clone().into_iter().find_map(|program| hindrance(*method, program, settings)) {
            Some(error) if named => return Err(error),
            Some(error) => left_out.push((*method, error.to_string())),
            None => able.push(*method),
        }
    }
    if able.is_empty() {
        return Err(Error::Usage("none of the methods can act on this network".into()));
    }
    Ok((able, left_out))
}

/// A rule at every ReLU. In a program without one this is an error by [`RuleSet::check`], not a plain gradient under another name.
fn at_relu<T: Real>(rule: impl Rule<T> + 'static) -> RuleSet<T> {
    RuleSet::plain().with(Match::Kind(OpKind::Relu), Arc::new(rule))
}
