//! What the values of a heatmap say, in words that pages, pictures and the terminal share.

use super::row::{Family, Row, Unit};

/// What the values of a method's heatmap say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What kind of statement they make.
    pub family: Family,
    /// What they are measured in.
    pub unit: Unit,
    /// Whether they have signs.
    pub signed: bool,
}

impl Meaning {
    pub(super) fn new(row: &Row, multiplied: bool, absolute: Option<bool>) -> Self {
        let multiplied = multiplied && row.heeds("multiply-by-inputs");
        let (family, unit) = if multiplied { (Family::Contribution, Unit::Prediction) } else { (row.family, row.unit) };
        // SmoothGrad alone averages absolute values when nothing is asked for; spreads and rectified activations have no sign anyway.
        let absolute = absolute.unwrap_or(row.name == "smoothgrad");
        let signed = !absolute && !matches!(family, Family::Spread | Family::Activation);
        Meaning { family, unit, signed }
    }

    /// What a positive value says, as the end of a sentence that begins with its colour.
    pub fn positive(self) -> &'static str {
        match self.family {
            Family::Slope => "more positive voltage here would raise the prediction",
            Family::Contribution => "this sample raised the prediction, compared with the baseline",
            Family::Relevance => "this sample's share of the prediction is positive",
            Family::PseudoGradient => "the changed gradient is positive",
            Family::Spread | Family::Activation | Family::Control => "the value is positive",
        }
    }

    /// What a negative value says.
    pub fn negative(self) -> &'static str {
        match self.family {
            Family::Slope => "more positive voltage here would lower the prediction",
            Family::Contribution => "this sample lowered the prediction, compared with the baseline",
            Family::Relevance => "this sample's share of the prediction is negative",
            Family::PseudoGradient => "the changed gradient is negative",
            Family::Spread | Family::Activation | Family::Control => "the value is negative",
        }
    }

    /// What the values are, whichever their sign: one sentence.
    pub fn sentence(self) -> &'static str {
        match (self.family, self.signed) {
            (Family::Slope, true) => {
                "Slopes: how much the prediction would change per µV of change at a sample, not how much that sample contributed."
            }
            (Family::Slope, false) => {
                "Sizes of slopes: how steeply the prediction depends on a sample, whichever way; not how much that sample contributed."
            }
            (Family::Spread, _) => "How much the slope varies when noise is added to the ECG; neither direction nor contribution.",
            (Family::Contribution, true) => "Contributions: how much each sample moved the prediction away from that of the baseline.",
            (Family::Contribution, false) => "Sizes of contributions: how much each sample moved the prediction, whichever way.",
            (Family::Relevance, true) => "Relevance: the share of the prediction that the rules hand to each sample.",
            (Family::Relevance, false) => {
                "Sizes of relevance: the share of the prediction that the rules hand to each sample, without its sign."
            }
            (Family::PseudoGradient, _) => {
                "Gradients changed at every ReLU on the way back: neither slopes nor contributions. Compare places within one map; sizes mean nothing."
            }
            (Family::Activation, _) => {
                "Where the channels of one layer are active that speak for a higher prediction: the same for all leads, as coarse as the layer."
            }
            (Family::Control, _) => "Random numbers: a control that knows neither network nor ECG.",
        }
    }
}
