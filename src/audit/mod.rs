//! Checks that a heatmap is what it claims to be: [`prove`] measures the mathematics on sampled ECGs and gives a [`Certificate`], and
//! [`provenance`] ties results to the bytes they came from.

mod branches;
mod certificate;
pub mod compare;
mod conservation;
pub mod definitions;
pub mod differences;
pub mod digest;
pub mod invariance;
mod precision;
mod prove;
pub mod provenance;
mod rules;
pub use certificate::Certificate;
pub use conservation::{Passage, passages};
pub use precision::{Precision, precision};
pub use prove::{Options, prove};
pub use rules::relu_rules;

use serde::{Deserialize, Serialize};

/// One line of a certificate: a figure against its bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether the figure is within the bound.
    pub passed: bool,
    /// The worst figure found.
    pub figure: f64,
    /// The largest figure that passes.
    pub bound: f64,
    /// Where the worst was, and what else there is to say.
    pub detail: String,
}

impl Check {
    /// A check that passes when its figure is a number not above the bound.
    pub fn new(name: impl Into<String>, figure: f64, bound: f64, detail: impl Into<String>) -> Self {
        Check { name: name.into(), passed: figure <= bound, figure, bound, detail: detail.into() }
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
