//! What a method is made of: which rules act on the way back, at which inputs, and what is done with the gradients.

pub use super::sampler::Sampler;
use super::{Method, Settings};
use crate::tape::{Program, Real, RuleSet};

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
#[derive(Clone)]
#[non_exhaustive]
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
    /// The output's value passed back under rules that share it out. The program is one with batch norms folded
    /// ([`crate::tape::fold_batch_norm`]).
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

impl<T: Real> Recipe<T> {
    /// Gradients under rules that look at no reference run.
    pub fn gradients(rules: RuleSet<T>, sampler: Sampler, reduction: Reduction) -> Self {
        Recipe::Gradients { rules, sampler, reduction, reference: false }
    }

    /// Whether the method says something of inputs beside the ECG: a layer's activation, and what is multiplied with it, does not.
    pub fn covers_beside(&self, program: &Program, settings: &Settings) -> bool {
        match self {
            Recipe::Layer => false,
            Recipe::Product(a, b) => {
                let covers = |method: &Method| method.row().recipe::<T>(program, settings).covers_beside(program, settings);
                covers(a) && covers(b)
            }
            _ => true,
        }
    }

    /// Whether the map depends on the baseline.
    pub fn compares(&self, program: &Program, settings: &Settings) -> bool {
        match self {
            Recipe::Gradients { sampler, reduction, reference, .. } => {
                *reference || matches!(sampler, Sampler::Path | Sampler::RandomPath) || *reduction == Reduction::TimesDifference
            }
            Recipe::Occlusion => settings.occlusion_value.is_none(),
            Recipe::Product(a, b) => {
                let compares = |method: &Method| method.row().recipe::<T>(program, settings).compares(program, settings);
                compares(a) || compares(b)
            }
            Recipe::Relevance(_) | Recipe::Layer | Recipe::Random => false,
        }
    }
}

/// Makes recipes. Implement it outside the crate to add a method: see [`Method::register`].
pub trait Design: Send + Sync + 'static {
    /// The recipe for a program under some settings; for [`Recipe::Relevance`] the program has its batch norms folded.
    fn recipe<T: Real>(&self, program: &Program, settings: &Settings) -> Recipe<T>;
}
