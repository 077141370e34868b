//! Tests whether heatmaps are what they claim to be: [`prove`] measures the mathematics on sampled ECGs and gives a [`Certificate`], which says what
//! it does not cover, and [`provenance`] ties results to the bytes they came from.

mod branches;
mod certificate;
pub mod compare;
mod conservation;
pub mod definitions;
pub mod differences;
pub mod digest;
pub mod figure;
pub mod invariance;
pub mod page;
mod precision;
mod prove;
pub mod provenance;
mod rules;
pub mod samplers;
pub use certificate::{About, Certificate};
pub use conservation::{Passage, passages};
pub use precision::{Precision, precision};
pub use prove::{Options, prove};
pub use rules::relu_rules;

use serde::{Deserialize, Serialize};

/// What passing says nothing of, a line each.
pub const NOT_COVERED: [&str; 6] = [
    "ECGs other than those sampled: what holds on them may fail on another",
    "whether the network is right, and whether a heatmap shows what a person would call its reason: challenge asks such questions",
    "occlusion, VarGrad and the rules of LRP against their formulas: of LRP, conservation alone is tested",
    "how noise and places on a path are drawn: the samplers are tested on given ones",
    "settings other than the defaults: other layers, baselines, multiplied variants",
    "reading of recordings, measuring, training and drawing",
];

/// One line of a certificate: a figure against its bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether the figure is within the bound.
    pub passed: bool,
    /// The worst figure found; not finite where none could be had, which fails, with the reason in `detail`.
    #[serde(with = "figure")]
    pub figure: f64,
    /// The largest figure that passes.
    #[serde(with = "figure")]
    pub bound: f64,
    /// Where the worst was, and what else there is to say.
    pub detail: String,
}

impl Check {
    /// A check that passes when its figure is a finite number not above the bound; what else a figure is, the detail says in words.
    pub fn new(name: impl Into<String>, figure: f64, bound: f64, detail: impl Into<String>) -> Self {
        let detail = match (figure::words(figure), detail.into()) {
            (None, detail) => detail,
            (Some(words), detail) if detail.is_empty() => format!("the figure is {words}"),
            (Some(words), detail) => format!("the figure is {words}: {detail}"),
        };
        Check { name: name.into(), passed: figure.is_finite() && figure <= bound, figure, bound, detail }
    }

    /// A check that fails because there is no figure.
    pub fn without_figure(name: impl Into<String>, bound: f64, why: impl Into<String>) -> Self {
        Check::new(name, f64::NAN, bound, why)
    }
}

/// The worst of several figures and where it was; a figure that is not a number is the worst.
#[derive(Default)]
pub(crate) struct Worst {
    pub figure: f64,
    pub at: String,
}

impl Worst {
    pub fn see(&mut self, figure: f64, at: impl FnOnce() -> String) {
        if figure > self.figure || (figure.is_nan() && !self.figure.is_nan()) || self.at.is_empty() {
            (self.figure, self.at) = (figure, at());
        }
    }
}
