//! The catalogue: every method as rule set × sampler × reduction.

use super::sampler::Sampler;
use super::{Deconvolution, GuidedBackprop, MaxPoolRule, Method, Rescale, Settings, gradcam};
use crate::tape::{Match, OpKind, Program, Real, Rule, RuleSet};
use crate::{Error, Result};
use std::sync::Arc;

pub use super::sampler::Sampler as At;

/// What is done with the gradients that the sampler yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their weighted sum.
    Mean,
    /// The weighted sum of their absolute values.
    MeanAbsolute,
    /// Their weighted variance.
    Variance,
    /// The weighted sum of gradient × input.
    TimesInput,
    /// The weighted sum of gradient × (input − baseline).
    TimesDifference,
}

/// How a method is carried out.
pub enum Recipe<T: Real> {
    /// Gradients under rules, at sampled inputs, reduced.
    Gradients {
        /// What each op does on the way back.
        rules: RuleSet<T>,
        /// At which inputs.
        sampler: Sampler,
        /// What is done with the gradients.
        reduction: Reduction,
        /// Whether the rules look at a reference run, on the baseline.
        reference: bool,
    },
    /// The output's value passed back under rules that share it out, on the program with batch norms folded.
    Relevance(RuleSet<T>),
    /// Forward runs with parts replaced by the baseline.
    Occlusion,
    /// The weighted activation of a layer.
    Layer,
    /// The product of two methods' maps.
    Product(Method, Method),
    /// Standard normal values.
    Random,
}

/// The recipe of a method for a program.
pub fn recipe<T: Real>(method: Method, program: &Program, settings: &Settings) -> Recipe<T> {
    use Reduction::{Mean, MeanAbsolute, TimesDifference, TimesInput};
    let scaled = if settings.multiply_by_inputs { TimesDifference } else { Mean };
    let smooth = if settings.absolute.unwrap_or(true) { MeanAbsolute } else { Mean };
    let of = |rules, sampler, reduction| Recipe::Gradients { rules, sampler, reduction, reference: false };
    match method {
        Method::Saliency => of(RuleSet::plain(), Sampler::Once, Mean),
        Method::InputXGradient => of(RuleSet::plain(), Sampler::Once, TimesInput),
        Method::SmoothGrad => of(RuleSet::plain(), Sampler::Noise, smooth),
        Method::IntegratedGradients => of(RuleSet::plain(), Sampler::Path, scaled),
        Method::GradientShap => of(RuleSet::plain(), Sampler::RandomPath, scaled),
        Method::DeepLift => {
            Recipe::Gradients { rules: rescale(program, settings.max_pool), sampler: Sampler::Once, reduction: scaled, reference: true }
        }
        Method::Deconvolution => of(on_relu(Deconvolution), Sampler::Once, Mean),
        Method::GuidedBackprop => of(on_relu(GuidedBackprop), Sampler::Once, Mean),
        Method::GradCam => Recipe::Layer,
        Method::GuidedGradCam => Recipe::Product(Method::GradCam, Method::GuidedBackprop),
        Method::Random => Recipe::Random,
        Method::VarGrad => of(RuleSet::plain(), Sampler::Noise, Reduction::Variance),
        Method::Occlusion => Recipe::Occlusion,
        Method::LrpEpsilon | Method::LrpGamma | Method::LrpZPlus | Method::LrpComposite => {
            Recipe::Relevance(super::lrp::rules(method, program, settings))
        }
    }
}

/// Why a method cannot act on a program, if it cannot: a rule that would act nowhere, no layer to look at.
pub fn hindrance(method: Method, program: &Program, settings: &Settings) -> Option<Error> {
    match recipe::<f64>(method, program, settings) {
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
fn on_relu<T: Real>(rule: impl Rule<T> + 'static) -> RuleSet<T> {
    RuleSet::plain().with(Match::Kind(OpKind::Relu), Arc::new(rule))
}

/// The rescale rule at every nonlinearity on the way from input to output. A linear program needs none: its multipliers are its gradient.
/// A product is only a nonlinearity when both factors depend on the input, and the rule then splits it; with a parameter as one factor
/// it gives the plain derivative, since the parameter is the same in both runs.
fn rescale<T: Real>(program: &Program, max_pool: MaxPoolRule) -> RuleSet<T> {
    let plain: Vec<&str> = match max_pool {
        MaxPoolRule::Captum => Rescale::pools_after_activations(program).into_iter().map(|node| node.name.as_str()).collect(),
        MaxPoolRule::Exact => Vec::new(),
    };
    let on_path = program.nodes().iter().zip(program.on_path()).filter(|(_, on_path)| *on_path).map(|(node, _)| node);
    let nodes = on_path.filter(|node| Rescale::KINDS.contains(&node.op.kind()) && !plain.contains(&node.name.as_str()));
    let rule: Arc<dyn Rule<T>> = Arc::new(Rescale);
    nodes.fold(RuleSet::plain(), |rules, node| rules.with(Match::Name(node.name.clone()), Arc::clone(&rule)))
}
