//! The catalogue: every method as rule set × sampler × reduction.

use super::sampler::Sampler;
use super::{Deconvolution, GuidedBackprop, MaxPoolRule, Method, Rescale, Settings};
use crate::tape::{Match, OpKind, Program, Real, Rule, RuleSet};
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
