//! Implementation invariance (Sundararajan et al. 2017): another program of the same function must give the same values and maps.

use super::definitions::first_difference;
use super::precision::distance;
use super::{Check, Worst};
use crate::Result;
use crate::attribution::{Explainer, Method, Recipe, Settings};
use crate::progress::silent;
use crate::tape::{Keep, Network, OpKind, Tensor, Want, fold_batch_norm, reorder, slice, unfuse_biases};

/// Compares a network with another way of writing it, on ECGs (N, C, L): node values by name, then maps. A difference in values
/// is named by the first node that has it.
///
/// # Errors
/// If either cannot run on `x`.
pub fn invariance(
    network: &Network<f64>,
    variant: &Network<f64>,
    name: &str,
    settings: &Settings,
    x: &Tensor<f64>,
    methods: &[Method],
) -> Result<Check> {
    const BOUND: f64 = 1e-8;
    let title = format!("implementation invariance: {name}");
    let (ours, theirs) = (network.run(std::slice::from_ref(x))?, variant.run(std::slice::from_ref(x))?);
    if let Some((id, error)) = first_difference((network.program(), &ours), (variant.program(), &theirs), BOUND) {
        return Ok(Check::new(title, error, BOUND, format!("values differ from node '{}' on", network.program().node(id).name)));
    }
    let ids: Vec<u64> = (0..x.shape()[0] as u64).collect();
    let maps = |network: &Network<f64>| Explainer::new(network, settings)?.explain(x, &ids, methods, &silent);
    let (ours, theirs) = (maps(network)?, maps(variant)?);
    let mut worst = Worst::default();
    for ((method, ours), (_, theirs)) in ours.maps.iter().zip(&theirs.maps) {
        worst.see(distance(theirs, ours), || format!("values agree; maps differ most for {method}"));
    }
    Ok(Check::new(title, worst.figure, BOUND, worst.at))
}

/// The network written in other ways: folded, unfused, reordered.
///
/// # Errors
/// As the transforms.
pub fn variants(network: &Network<f64>, seed: u64) -> Result<Vec<(&'static str, Network<f64>)>> {
    Ok(vec![
        ("batch norms folded", fold_batch_norm(network)?),
        ("biases unfused", unfuse_biases(network)?),
        ("nodes reordered", reorder(network, seed)?),
    ])
}

/// The execution plans against the tape, which runs node by node, in f32: predictions and the maps of methods that look once must be the same
/// bytes. The figure is the number of elements that differ.
///
/// # Errors
/// If the network cannot run on `x` (N, C, L).
pub fn planned(network: &Network<f32>, settings: &Settings, x: &Tensor<f32>) -> Result<Check> {
    let program = network.program();
    let mut methods = vec![Method::Saliency, Method::DeepLift];
    if !program.acting(OpKind::Relu).is_empty() {
        methods.extend([Method::GuidedBackprop, Method::Deconvolution]);
    }
    let zero = crate::tape::zeros(&[&[1], &x.shape()[1..]].concat());
    let looks = [network.look(x.clone())?, network.look_at(x.clone(), Keep::Values, None)?];
    let [look, values] = &looks;
    let base = network.look_at(zero.clone(), Keep::Values, None)?;
    let (tape, base_tape) = (network.run(std::slice::from_ref(x))?, network.run(&[zero])?);
    let differing = |a: &Tensor<f32>, b: &Tensor<f32>| slice(a).iter().zip(slice(b)).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    let mut worst = Worst::default();
    worst.see(differing(look.output(), tape.output()) as f64, || "predictions and maps are the same bytes".into());
    for method in methods {
        let Recipe::Gradients { rules, reference, .. } = method.row().recipe::<f32>(program, settings) else { continue };
        let planned = network.look_back(if reference { values } else { look }, &rules, reference.then_some(&base), settings.output)?;
        let seed = crate::tape::one_hot(tape.output(), settings.output)?;
        let want = Want::inputs(program);
        let input = program.inputs()[0];
        let by_tape = network.backward(&tape, seed, &rules, reference.then_some(&base_tape), &want)?.take(input);
        let by_tape = by_tape.unwrap_or_else(|| crate::tape::zeros(x.shape()));
        let count = differing(&planned, &by_tape);
        worst.see(count as f64, || format!("elements of {method} differ"));
    }
    Ok(Check::new("implementation invariance: execution plans (f32, bytes)", worst.figure, 0.0, worst.at))
}
