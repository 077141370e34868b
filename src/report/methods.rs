//! What people call the methods, and what their values mean, by the names that stand in files: what their rows say, in the order of the study's
//! tables. Names of no method are shown as they are.

use crate::attribution::{Meaning, Method};

/// The nine methods that the study's experts voted on, in the order of its tables.
pub const NINE: [&str; 9] = [
    "deconvolution",
    "deeplift",
    "gradient_shap",
    "guided_backprop",
    "guided_gradcam",
    "inputxgradient",
    "integrated_gradients",
    "saliency",
    "smoothgrad",
];

/// The name for people.
pub fn title(method: &str) -> &str {
    Method::named(method).map_or(method, |method| method.title())
}

/// A short name, for narrow columns and legends.
pub fn short(method: &str) -> &str {
    Method::named(method).map_or(method, |method| method.row().short)
}

/// Puts methods in the order of the study's tables; unknown ones come last, in their order of appearance.
pub fn sort(methods: &mut [String]) {
    methods.sort_by_key(|method| position(method));
}

fn position(method: &str) -> usize {
    Method::ALL.iter().position(|known| known.name() == method).unwrap_or(Method::ALL.len())
}

/// What a method's values mean: `multiplied` by (input − baseline) or not, `absolute` at the end or not (`None`: as the study has it). `None` for
/// names of no method.
pub fn meaning(method: &str, multiplied: bool, absolute: Option<bool>) -> Option<Meaning> {
    Some(Method::named(method)?.row().meaning(multiplied, absolute))
}

/// Whether a method's heatmaps have signs to show. SmoothGrad averages absolute gradients in the study's setting, so the
/// answer is read from the values, not from the name.
pub fn is_signed<'a>(values: impl IntoIterator<Item = &'a f32>) -> bool {
    values.into_iter().any(|value| *value < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nine_are_the_rows_without_the_control() {
        assert_eq!(NINE.to_vec(), Method::nine().map(Method::name).collect::<Vec<_>>());
        assert_eq!((title("guided_backprop"), short("lrp_zplus"), title("nobody")), ("Guided backpropagation", "LRP-z⁺", "nobody"));
    }
}
