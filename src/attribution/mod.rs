//! Explanation methods: method = rule set (what each op does on the way back) × sampler (at which inputs) × reduction (what is done with
//! the gradients). [`catalogue`] reads like that table; [`Explainer`] carries it out.
//!
//! The one open trait is [`crate::tape::Rule`]: a new method is a rule set, and no op has to know it.

mod baselines;
pub mod catalogue;
pub(crate) mod execute;
mod explain;
mod extent;
pub mod gauss_legendre;
pub(crate) mod gradcam;
mod lrp;
mod meaning;
mod memory;
mod method;
pub mod occlusion;
mod recipe;
mod relu;
mod rescale;
mod row;
pub(crate) mod sampler;
mod settings;

pub use baselines::{mean_ecg, over_baselines};
pub use execute::Walk;
#[cfg(feature = "cli-core")]
pub(crate) use explain::of_ecg;
pub use explain::{BesideMaps, Completeness, Explainer, Explanations};
pub use gradcam::Interpolation;
pub use lrp::{Epsilon, Flat, Gamma, Halve, Pass, ZPlus};
pub use meaning::Meaning;
pub use memory::Needed;
pub use method::{Method, Own};
pub use recipe::{Design, Recipe, Reduction, Sampler};
pub use relu::{Deconvolution, GuidedBackprop};
pub use rescale::{MaxPoolRule, Rescale};
pub use row::{Family, Made, Row, Sum, Unit};
pub use settings::{Baseline, Quadrature, Settings};
