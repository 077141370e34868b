//! Each op as a formula with the node's own numbers, and why an op under a rule may lose relevance.

use super::account::Measure;
use crate::tape::{Network, Node, NodeId, OpClass, OpKind, Program, Real, slice};
use cardiograd_kernels::elementary;

/// The formula of a node, its sizes and settings filled in.
pub fn formula(program: &Program, id: NodeId, shapes: &[Vec<usize>]) -> String {
    let node = program.node(id);
    let inputs: Vec<&[usize]> = node.inputs.iter().map(|input| shapes[input.0].as_slice()).collect();
    node.op.definition().formula(&inputs)
}

/// A node's parameters: all values of small ones, range and norm of large ones.
pub fn parameters<T: Real>(network: &Network<T>, id: NodeId) -> Vec<String> {
    let program = network.program();
    let node = program.node(id);
    let letters = node.op.definition().letters();
    let ids = node.inputs.iter().skip(node.op.signals(node.inputs.len()));
    let known = ids.zip(letters).filter(|(id, _)| program.node(**id).op.kind() == OpKind::Parameter);
    known
        .map(|(id, letter)| {
            let value = network.parameter(*id);
            let values: Vec<f64> = slice(value).iter().map(|v| v.f64()).collect();
            if values.len() <= 8 {
                let all: Vec<String> = values.iter().map(|v| number(*v)).collect();
                return format!("{letter} = ({})", all.join(", "));
            }
            let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
            let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
            format!("{letter} {} from {} to {}, ‖{letter}‖ = {}", sizes(value.shape()), number(low), number(high), number(norm))
        })
        .collect()
}

/// Why relevance may be lost or made at a node under a rule.
pub fn cause(node: &Node, rule: &str, measure: Measure) -> &'static str {
    use OpClass::{Activation, Convolution, Dense, Mean, Normalisation, Other, Product, Selection, Sum};
    match (measure, rule, node.op.class()) {
        (Measure::Relevance, _, Convolution | Dense | Normalisation) => {
            "the bias and the stabiliser keep their share; where z is near 0, that is much"
        }
        (Measure::Relevance, _, Sum | Mean) => "the stabiliser keeps its share",
        (_, "rescale", Selection | Activation | Product | Other) => "rounding, and units whose input hardly differs from the baseline's",
        (_, "deconvolution", Activation) => "deconvolution passes positive gradients whatever the input was, and drops negative ones",
        (_, "guided_backprop", Activation) => "guided backprop drops negative gradients",
        (_, "derivative", Activation) => "the slope here is not the mean slope between baseline and input",
        (_, "derivative", Selection) => "the winner here is not the winner on the baseline",
        (_, "derivative", Product) => "a product is not linear in its two signals",
        (_, "derivative", class) if !class.is_linear() => "the derivative here is not the mean one between baseline and input",
        _ => "rounding",
    }
}

/// A number with four significant digits, and a true minus.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let text = if value == 0.0 || !value.is_finite() {
        format!("{value}")
    } else if (0.01..100_000.0).contains(&size) {
        let decimals = (3 - elementary::log10(size).floor() as i32).clamp(0, 6) as usize;
        let text = format!("{value:.decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{value:.2e}")
    };
    text.replace('-', "−")
}

/// A shape as people write it, e.g. 12 × 600.
pub fn sizes(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
}
