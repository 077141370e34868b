//! What the values of a heatmap say, as pictures and pages word it: the ends of a colour bar, the sentence about its colours, and the size of a map.

use super::colour::{Palette, Style};
use super::lane::short;
use crate::attribution::{Family, Meaning};
use ndarray::ArrayView2;

/// The words at the two ends of a colour bar, negative and positive; empty where a sign says nothing that has a short word.
pub fn ends(meaning: Option<Meaning>) -> [&'static str; 2] {
    match meaning.map(|meaning| meaning.family) {
        Some(Family::Slope) => ["would lower", "would raise"],
        Some(Family::Contribution) => ["lowered", "raised"],
        Some(Family::Relevance) => ["against", "for"],
        _ => ["", ""],
    }
}

/// What the numbers of a colour bar are: the kind of value and its unit.
pub fn quantity(meaning: Option<Meaning>, signed: bool, unit: &str) -> String {
    let kind = match meaning.map(|meaning| meaning.family) {
        Some(Family::Control) => "random numbers",
        Some(family) => family.name(),
        None => "attribution",
    };
    let kind = if signed { kind.to_owned() } else { format!("|{kind}|") };
    if unit.is_empty() { kind } else { format!("{kind}, {unit}") }
}

/// The unit of a heatmap's values in a prediction's unit, `prediction` where that is not known.
pub fn unit(meaning: Meaning, of_prediction: &str) -> String {
    meaning.unit.text(if of_prediction.is_empty() { "prediction" } else { of_prediction })
}

/// What the colours of a heatmap say: one or two sentences.
pub fn colours(meaning: Meaning, style: Style) -> String {
    if !meaning.signed {
        return "Darker blue: more.".into();
    }
    let low = match style.palette {
        Palette::RdBu => "Red",
        Palette::Safe => "Orange, hatched",
    };
    format!("Blue: {}. {low}: {}.", meaning.positive(), meaning.negative())
}

/// The size of a map: Σ|map|, and the sum with its sign for values that add up.
pub fn size(map: ArrayView2<'_, f32>, meaning: Option<Meaning>, unit: &str) -> String {
    let whole: f64 = map.iter().map(|value| f64::from(value.abs())).sum();
    let sum: f64 = map.iter().map(|value| f64::from(*value)).sum();
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    let adds = meaning.is_some_and(|meaning| meaning.signed && adds_up(meaning.family));
    let sum = if adds { format!("Σ {}, ", short(sum)) } else { String::new() };
    format!("{sum}Σ|map| {}{unit}", short(whole))
}

/// Whether values of a family are amounts of the prediction, so that their sum is one.
pub fn adds_up(family: Family) -> bool {
    matches!(family, Family::Contribution | Family::Relevance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::Method;
    use crate::report::methods::meaning;

    #[test]
    fn every_method_says_what_its_colours_are() {
        let style = Style::default();
        for method in Method::ALL {
            let plain = meaning(method.name(), false, None).expect("a method");
            let text = colours(plain, style);
            let slope = ["saliency", "deeplift", "integrated_gradients", "gradient_shap"].contains(&method.name());
            assert_eq!(text.contains("more positive voltage here would raise the prediction"), slope, "{method}: {text}");
            let moved = ["inputxgradient", "occlusion"].contains(&method.name());
            assert_eq!(text.contains("this sample raised the prediction"), moved, "{method}: {text}");
            assert_eq!(ends(Some(plain)) == ["lowered", "raised"], moved, "{method}");
        }
        let smooth = meaning("smoothgrad", false, None).expect("a method");
        assert_eq!(colours(smooth, style), "Darker blue: more.");
        let multiplied = meaning("deeplift", true, None).expect("a method");
        assert!(colours(multiplied, style).starts_with("Blue: this sample raised the prediction"));
        assert!(colours(multiplied, Style { palette: Palette::Safe, dark: false }).contains("Orange, hatched: this sample lowered"));
    }

    #[test]
    fn units_follow_the_family() {
        let of = |method: &str| quantity(meaning(method, false, None), true, &unit(meaning(method, false, None).expect("a method"), "ms"));
        assert_eq!(of("saliency"), "slope, ms per µV");
        assert_eq!(of("guided_gradcam"), "pseudo-gradient, ms² per µV");
        assert_eq!(of("guided_backprop"), "pseudo-gradient, a.u., not a slope");
        assert_eq!(of("deconvolution"), "pseudo-gradient, a.u., not a slope");
        assert_eq!(of("inputxgradient"), "contribution, ms");
        assert_eq!(of("random"), "random numbers, no unit");
    }

    #[test]
    fn contributions_have_a_sum_and_slopes_a_size() {
        let map = ndarray::array![[1.0_f32, -3.0], [0.5, 0.0]];
        assert_eq!(size(map.view(), meaning("inputxgradient", false, None), "ms"), "Σ −1.50, Σ|map| 4.50 ms");
        assert_eq!(size(map.view(), meaning("saliency", false, None), "ms per µV"), "Σ|map| 4.50 ms per µV");
    }
}
