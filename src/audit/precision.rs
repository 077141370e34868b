//! f32 against f64: how far the working precision's gradient is from the reference, and how much of that is units that flip at a kink
//! rather than rounding.

use super::branches::{branches, flips, hold};
use crate::Result;
use crate::evaluation::ranks::larger;
use crate::tape::{Network, RuleSet, Tensor, cast, slice};

/// What one ECG shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Precision {
    /// |f32 − f64| of the prediction, as a share of the f64 prediction (or absolute, in its unit, below 1).
    pub prediction: f64,
    /// ‖g₃₂ − g₆₄‖ / ‖g₆₄‖.
    pub gradient: f64,
    /// The same with the f64 walk held on the branches of the f32 run: rounding alone.
    pub rounding: f64,
    /// Units and winners that differ.
    pub flips: usize,
    /// The first node with a flip.
    pub first: Option<String>,
}

/// Compares the two precisions on one ECG (1, C, L).
///
/// # Errors
/// If the network cannot run on `x`.
pub fn precision(network: &Network<f32>, reference: &Network<f64>, output: usize, x: &Tensor<f32>) -> Result<Precision> {
    let tape = network.run(std::slice::from_ref(x))?;
    let reference_tape = reference.run(&[cast(x)])?;
    let own = branches(network, &tape);
    let flipped = flips(&own, &branches(reference, &reference_tape));
    let g32 = cast::<f32, f64>(&network.gradient(&tape, &RuleSet::plain(), output)?);
    let g64 = reference.gradient(&reference_tape, &RuleSet::plain(), output)?;
    let held = reference.gradient(&reference_tape, &hold(reference, &own), output)?;
    let (a, b) = (f64::from(slice(tape.output())[output]), slice(reference_tape.output())[output]);
    Ok(Precision {
        prediction: (a - b).abs() / larger(1.0, b.abs()),
        gradient: distance(&g32, &g64),
        rounding: distance(&g32, &held),
        flips: flipped.iter().map(|(_, count)| count).sum(),
        first: flipped.first().map(|(id, _)| network.program().nodes()[*id].name.clone()),
    })
}

/// ‖a − b‖ / ‖b‖.
pub(super) fn distance(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut slice(a).iter().zip(slice(b)).map(|(a, b)| a - b));
    if difference == 0.0 { 0.0 } else { difference / norm(&mut slice(b).iter().copied()) }
}
