//! What people call the methods, in the order of the study's tables. Names that are not here are shown as they are.

/// Name on the command line, name for people, short name for narrow columns.
const KNOWN: [(&str, &str, &str); 12] = [
    ("deconvolution", "Deconvolution", "Deconv"),
    ("deeplift", "DeepLIFT", "DeepLIFT"),
    ("gradient_shap", "Gradient SHAP", "Grad SHAP"),
    ("guided_backprop", "Guided backpropagation", "Guided BP"),
    ("guided_gradcam", "Guided Grad-CAM", "G Grad-CAM"),
    ("inputxgradient", "Input × gradient", "Input × grad"),
    ("integrated_gradients", "Integrated gradients", "Int grad"),
    ("random", "Random", "Random"),
    ("saliency", "Saliency", "Saliency"),
    ("smoothgrad", "SmoothGrad", "SmoothGrad"),
    ("gradcam", "Grad-CAM", "Grad-CAM"),
    ("lrp", "LRP", "LRP"),
];

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
    KNOWN.iter().find(|known| known.0 == method).map_or(method, |known| known.1)
}

/// A short name, for narrow columns and legends.
pub fn short(method: &str) -> &str {
    KNOWN.iter().find(|known| known.0 == method).map_or(method, |known| known.2)
}

/// Puts methods in the order of the study's tables; unknown ones come last, in their order of appearance.
pub fn sort(methods: &mut [String]) {
    methods.sort_by_key(|method| position(method));
}

fn position(method: &str) -> usize {
    KNOWN.iter().position(|known| known.0 == method).unwrap_or(KNOWN.len())
}

/// Whether a method's heatmaps have signs to show. SmoothGrad averages absolute gradients in the study's setting, so the
/// answer is read from the values, not from the name.
pub fn is_signed<'a>(values: impl IntoIterator<Item = &'a f32>) -> bool {
    values.into_iter().any(|value| *value < 0.0)
}
