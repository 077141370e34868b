//! Each op as a formula with the node's own numbers, and why an op under a rule may lose relevance.

use super::account::Measure;
use crate::tape::{Network, Node, NodeId, Op, OpKind, Real, slice};

/// The formula of a node, its sizes and settings filled in.
pub fn formula<T: Real>(network: &Network<T>, id: NodeId, shapes: &[Vec<usize>]) -> String {
    let node = network.program().node(id);
    let shape = |at: usize| shapes[node.inputs[at].0].as_slice();
    let bias = |at: usize, index: &str| if node.inputs.len() > at { format!(" + b[{index}]") } else { String::new() };
    match &node.op {
        Op::Input { .. } => "x, given".into(),
        Op::Parameter { trainable, .. } => if *trainable { "trained" } else { "fixed" }.into(),
        Op::Conv1d { stride, dilation, padding } => {
            let (c_in, taps) = (shape(1)[1], shape(1)[2]);
            let at = match (*stride, *dilation) {
                (1, 1) => "t + j".to_owned(),
                (stride, 1) => format!("{stride}t + j"),
                (1, dilation) => format!("t + {dilation}j"),
                (stride, dilation) => format!("{stride}t + {dilation}j"),
            };
            let at = if padding.0 == 0 { at } else { format!("{at} − {}", padding.0) };
            let zeros = if *padding == (0, 0) { String::new() } else { format!("; {} zeros before x, {} behind", padding.0, padding.1) };
            format!("y[o,t] = Σ(i < {c_in}) Σ(j < {taps}) w[o,i,j] · x[i, {at}]{}{zeros}", bias(2, "o"))
        }
        Op::BatchNorm { eps, .. } => format!("y[c,t] = γ[c] · (x[c,t] − μ[c]) / √(σ²[c] + {eps}) + β[c]"),
        Op::Relu => "y = max(x, 0)".into(),
        Op::LeakyRelu { slope } => format!("y = x where x > 0, else {slope} · x"),
        Op::Tanh => "y = tanh x".into(),
        Op::Sigmoid => "y = 1 / (1 + e⁻ˣ)".into(),
        Op::AvgPool1d { window, stride } => format!("y[c,t] = (1/{window}) Σ(j < {window}) x[c, {stride}t + j]"),
        Op::MaxPool1d { window, stride } => format!("y[c,t] = max(j < {window}) x[c, {stride}t + j]"),
        Op::GlobalAvgPool => format!("y[c] = (1/{0}) Σ(t < {0}) x[c,t]", shape(0).get(2).copied().unwrap_or(1)),
        Op::Linear => format!("y[o] = Σ(i < {}) w[o,i] · x[i]{}", shape(1)[1], bias(2, "o")),
        Op::Add => "y = a + b".into(),
        Op::Multiply => "y = a · b".into(),
        Op::Concat => format!("y = {} signals joined along the channels", node.inputs.len()),
        Op::Upsample { factor } => format!("y[c,t] = x[c, ⌊t / {factor}⌋]"),
        Op::Interleave { factor } => format!("y[c, {factor}t + p] = x[{factor}c + p, t]"),
        Op::Flatten => "y = x, channels one after another".into(),
    }
}

/// The letters of a node's parameters in its formula.
fn letters(kind: OpKind) -> &'static [&'static str] {
    match kind {
        OpKind::BatchNorm => &["γ", "β", "μ", "σ²"],
        OpKind::Conv1d | OpKind::Linear => &["w", "b"],
        _ => &[],
    }
}

/// A node's parameters: all values of small ones, range and norm of large ones.
pub fn parameters<T: Real>(network: &Network<T>, id: NodeId) -> Vec<String> {
    let program = network.program();
    let node = program.node(id);
    let ids = node.inputs.iter().skip(node.op.signals(node.inputs.len()));
    let known = ids.zip(letters(node.op.kind())).filter(|(id, _)| program.node(**id).op.kind() == OpKind::Parameter);
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
    use OpKind::{Add, BatchNorm, Conv1d, GlobalAvgPool, LeakyRelu, Linear, MaxPool1d, Multiply, Relu, Sigmoid, Tanh};
    match (measure, rule, node.op.kind()) {
        (Measure::Relevance, _, Conv1d | Linear | BatchNorm) => {
            "the bias and the stabiliser keep their share; where z is near 0, that is much"
        }
        (Measure::Relevance, _, Add | GlobalAvgPool) => "the stabiliser keeps its share",
        (_, "rescale", MaxPool1d | Relu | LeakyRelu | Tanh | Sigmoid | Multiply) => {
            "rounding, and units whose input hardly differs from the baseline's"
        }
        (_, "deconvolution", Relu) => "deconvolution passes positive gradients whatever the input was, and drops negative ones",
        (_, "guided_backprop", Relu) => "guided backprop drops negative gradients",
        (_, "derivative", Relu | LeakyRelu | Tanh | Sigmoid) => "the slope here is not the mean slope between baseline and input",
        (_, "derivative", MaxPool1d) => "the winner here is not the winner on the baseline",
        (_, "derivative", Multiply) => "a product is not linear in its two signals",
        _ => "rounding",
    }
}

/// A number with four significant digits, and a true minus.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let text = if value == 0.0 || !value.is_finite() {
        format!("{value}")
    } else if (0.01..100_000.0).contains(&size) {
        let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
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
