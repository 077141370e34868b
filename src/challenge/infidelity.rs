//! Infidelity (Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", definition 2.1): does the heatmap, taken as a linear
//! model, foretell what a perturbation does to the prediction?
//!
//! INFD(Φ, f, x) = E_I [ (IᵀΦ − (f(x) − f(x − I)))² ].
//!
//! The paper and Captum allow a factor on Φ, which heatmaps without a unit need: β = E[IᵀΦ · Δ] / E[(IᵀΦ)²] minimises the expectation
//! (Captum's `normalize=True`). With it, INFD / E[Δ²] is the share of the change that the heatmap does not explain: 0 for the gradient of
//! a linear model, about 1 for a map that has nothing to do with the network.

use crate::evaluation::ranks::larger;

/// The infidelity of one heatmap over some perturbations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Infidelity {
    /// E[(IᵀΦ − Δ)²] of the map as it is, in the square of the target's unit.
    pub raw: f64,
    /// The same of β·Φ.
    pub scaled: f64,
    /// `scaled` / E[Δ²], from 0 to 1; `None` where no perturbation changed the prediction.
    pub unexplained: Option<f64>,
}

/// The perturbations of one ECG with what they did: I (each C·L values, µV) and Δ = f(x) − f(x − I).
pub struct Perturbed<'a> {
    /// The perturbations.
    pub perturbations: &'a [Vec<f32>],
    /// What each did to the prediction.
    pub changes: &'a [f64],
}

impl Perturbed<'_> {
    /// The infidelity of a map (C·L values) whose values are changes of the prediction per µV.
    pub fn infidelity(&self, map: &[f32]) -> Infidelity {
        let dot = |i: &Vec<f32>| i.iter().zip(map).map(|(i, a)| f64::from(*i) * f64::from(*a)).sum::<f64>();
        let foretold: Vec<f64> = self.perturbations.iter().map(dot).collect();
        let n = foretold.len().max(1) as f64;
        let mean = |of: &dyn Fn(f64, f64) -> f64| foretold.iter().zip(self.changes).map(|(a, d)| of(*a, *d)).sum::<f64>() / n;
        let (aa, ad, dd) = (mean(&|a, _| a * a), mean(&|a, d| a * d), mean(&|_, d| d * d));
        // Captum takes a factor of 1 for a map that foretells nothing at all.
        let beta = if aa > 0.0 { ad / aa } else { 1.0 };
        let scaled = mean(&|a, d| (beta * a - d).powi(2));
        let raw = mean(&|a, d| (a - d).powi(2));
        Infidelity { raw, scaled, unexplained: (dd != 0.0).then(|| (scaled / dd).clamp(0.0, 1.0)) }
    }
}

/// From a map of contributions (input × gradient, LRP, occlusion: they add up to the prediction) to one per µV: divided by the input, as
/// Captum does for methods that multiply by the input; by 1 where the input is 0.
pub fn per_microvolt(map: &[f32], x: &[f32]) -> Vec<f32> {
    map.iter().zip(x).map(|(a, x)| if *x == 0.0 { *a } else { a / x }).collect()
}

/// Max-sensitivity (Yeh et al. 2019, definition 3.1, as Captum's `sensitivity_max`): the largest ‖Φ(x′) − Φ(x)‖₂ / ‖Φ(x)‖₂ over perturbed
/// inputs x′. `None` where Φ(x) is 0.
pub fn max_sensitivity<'a>(map: &[f32], perturbed: impl IntoIterator<Item = &'a [f32]>) -> Option<f64> {
    let size = map.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let distance = |other: &[f32]| other.iter().zip(map).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt();
    (size != 0.0).then(|| perturbed.into_iter().map(|other| distance(other) / size).fold(0.0, larger))
}
