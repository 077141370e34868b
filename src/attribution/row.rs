//! A method as a row of the catalogue: what it is called, what its values mean and are measured in, and how it is made. Everything that has
//! to know something of a method reads its row.

use super::recipe::{Design, Recipe};
use super::{Meaning, Settings};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Program, Real};
use core::any::Any;

/// What kind of statement a method's values make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// How steeply the prediction depends on a sample: a slope, or a multiplier that stands for one over the way from the baseline.
    Slope,
    /// How the slope varies under noise.
    Spread,
    /// What a sample contributes to the prediction, or to its difference from that of the baseline.
    Contribution,
    /// A sample's share of the prediction, by rules that share out.
    Relevance,
    /// A gradient that rules have changed on the way back: neither slope nor contribution.
    PseudoGradient,
    /// Where the channels of a layer are active that speak for the prediction.
    Activation,
    /// Random numbers.
    Control,
}

impl Family {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Family::Slope => "slope",
            Family::Spread => "spread of the slope",
            Family::Contribution => "contribution",
            Family::Relevance => "relevance",
            Family::PseudoGradient => "pseudo-gradient",
            Family::Activation => "activation",
            Family::Control => "control",
        }
    }
}

/// What values are measured in, for a prediction in some unit from an input in µV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// The prediction's per µV.
    PerMicrovolt,
    /// The square of that.
    PerMicrovoltSquared,
    /// The prediction's.
    Prediction,
    /// The prediction's squared, per µV: a product of values of the two.
    PredictionSquaredPerMicrovolt,
    /// None that means anything.
    Arbitrary,
    /// None.
    None,
}

impl Unit {
    /// The unit for a prediction in `of` (ms, µV, 1/min).
    pub fn text(self, of: &str) -> String {
        let squared = if of.contains('/') { format!("({of})²") } else { format!("{of}²") };
        match self {
            Unit::PerMicrovolt => format!("{of} per µV"),
            Unit::PerMicrovoltSquared => format!("({of} per µV)²"),
            Unit::Prediction => of.to_owned(),
            Unit::PredictionSquaredPerMicrovolt => format!("{squared} per µV"),
            Unit::Arbitrary => "a.u., not a slope".to_owned(),
            Unit::None => "no unit".to_owned(),
        }
    }
}

/// What a map's sum promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sum {
    /// Nothing.
    Free,
    /// Σ multiplier · (x − baseline) is f(x) − f(baseline) (completeness; Sundararajan et al. 2017), and is checked for every ECG.
    Difference,
    /// The same in expectation over the draws alone.
    DifferenceInExpectation,
    /// Σ relevance is f(x), less what biases and stabilisers keep.
    Prediction,
}

/// Makes a method's recipe in either precision. Implemented for every [`Design`].
pub trait Made: Send + Sync {
    /// Puts the recipe into a slot, an `Option<Recipe<f32>>` or `Option<Recipe<f64>>`.
    fn make(&self, program: &Program, settings: &Settings, slot: &mut dyn Any);
}

impl<D: Design> Made for D {
    fn make(&self, program: &Program, settings: &Settings, slot: &mut dyn Any) {
        if let Some(slot) = slot.downcast_mut::<Option<Recipe<f32>>>() {
            *slot = Some(self.recipe(program, settings));
        } else if let Some(slot) = slot.downcast_mut::<Option<Recipe<f64>>>() {
            *slot = Some(self.recipe(program, settings));
        }
    }
}

/// A method.
pub struct Row {
    /// The name on the command line and in files: letters, digits and `_`.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// A short name, for narrow columns and legends.
    pub short: &'static str,
    /// Where it is from.
    pub paper: &'static str,
    /// What kind of statement its values make when they are not multiplied by the input.
    pub family: Family,
    /// What they are measured in then.
    pub unit: Unit,
    /// What their sum promises.
    pub sum: Sum,
    /// The settings, by the names of their options, that it heeds.
    pub heeds: &'static [&'static str],
    /// How it is made.
    pub design: &'static dyn Made,
}

impl Row {
    /// The recipe for a program.
    pub fn recipe<T: Real>(&self, program: &Program, settings: &Settings) -> Recipe<T> {
        let mut slot: Option<Recipe<T>> = None;
        self.design.make(program, settings, &mut slot);
        slot.expect("a recipe is made in either precision")
    }

    /// Whether a setting acts on it.
    pub fn heeds(&self, option: &str) -> bool {
        self.heeds.contains(&option)
    }

    /// What its values mean under some settings: `multiplied` by (input − baseline), `absolute` at the end (`None`: as the study has it).
    pub fn meaning(&self, multiplied: bool, absolute: Option<bool>) -> Meaning {
        Meaning::new(self, multiplied, absolute)
    }
}

impl core::fmt::Debug for Row {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Row").field("name", &self.name).finish_non_exhaustive()
    }
}
