//! The rules of layer-wise relevance propagation in a graph: as in [`crate::attribution`], modify inputs and weights, run the op to z, divide the relevance
//! by z, go back, multiply by the inputs.

use super::back::Back;
use crate::nn::onnx::builder::Builder;
use crate::tape::{NodeId, Op, Real, slice};
use crate::{Error, Result};

/// How a weight or bias is changed.
type Change<T> = fn(T, T) -> T;

/// What a node hands to its inputs under a rule, `None` for a rule that is not known here.
pub(super) fn share<T: Real>(
    back: &Back<'_, T>,
    rule: &str,
    id: NodeId,
    relevance: &str,
    build: &mut Builder,
) -> Result<Option<Vec<Option<String>>>> {
    let settings = back.export.settings;
    let above: Change<T> = |w, _| if w > T::ZERO { w } else { T::ZERO };
    let below: Change<T> = |w, _| if w < T::ZERO { w } else { T::ZERO };
    let up: Change<T> = |w, gamma| if w > T::ZERO { w + gamma * w } else { w };
    let down: Change<T> = |w, gamma| if w < T::ZERO { w + gamma * w } else { w };
    let all: Change<T> = |_, _| T::ONE;
    let inputs = back.inputs(id);
    let x = back.value(inputs[0]).to_owned();
    let name = back.name(id);
    Ok(Some(match rule {
        "lrp_pass" => vec![Some(relevance.to_owned())],
        "lrp_halve" => {
            let program = back.export.network.program();
            let takers = inputs.iter().filter(|id| program.on_path()[id.0]).count().max(1);
            let part = build.floats(&format!("{name}/part"), &[], [1.0 / takers as f64]);
            let part = build.node(&name, "Mul", &[relevance, &part], vec![]);
            vec![Some(part); inputs.len()]
        }
        "lrp_epsilon" => {
            let quotient = divide(relevance, back.value(id), settings.lrp_epsilon, &name, build);
            let signals = back.export.network.program().node(id).op.signals(inputs.len());
            let shares = back.vjp(id, &quotient, build)?;
            let mut handed = Vec::new();
            for (at, share) in shares.into_iter().enumerate().take(signals) {
                handed.push(share.map(|share| build.node(&name, "Mul", &[&share, back.value(inputs[at])], vec![])));
            }
            handed
        }
        "lrp_zplus" => {
            let (positive, negative) = signs(&x, &name, build);
            vec![Some(shared(back, id, relevance, &[(&positive, above), (&negative, below)], Some(above), build)?)]
        }
        "lrp_flat" => {
            let nothing = build.node(&format!("{name}/nothing"), "Sub", &[&x, &x], vec![]);
            let one = build.floats("one", &[], [1.0]);
            let ones = build.node(&format!("{name}/ones"), "Add", &[&nothing, &one], vec![]);
            vec![Some(shared(back, id, relevance, &[(&ones, all)], None, build)?)]
        }
        "lrp_gamma" => {
            let (positive, negative) = signs(&x, &name, build);
            let zero = build.floats("zero", &[], [0.0]);
            let mut half = |test: &str, first: Change<T>, second: Change<T>| -> Result<String> {
                let keep = build.node(&format!("{name}/side"), test, &[back.value(id), &zero], vec![]);
                let part = build.node(&format!("{name}/relevance"), "Where", &[&keep, relevance, &zero], vec![]);
                shared(back, id, &part, &[(&positive, first), (&negative, second)], Some(first), build)
            };
            let (first, second) = (half("Greater", up, down)?, half("Less", down, up)?);
            vec![Some(build.node(&name, "Add", &[&first, &second], vec![]))]
        }
        _ => return Ok(None),
    }))
}

/// x⁺ and x⁻.
fn signs(x: &str, name: &str, build: &mut Builder) -> (String, String) {
    let positive = build.node(&format!("{name}/positive"), "Relu", &[x], vec![]);
    let negative = build.node(&format!("{name}/negative"), "Sub", &[x, &positive], vec![]);
    (positive, negative)
}

/// R / (z + ε sign z), with sign 0 = +1, and 0 where R is.
fn divide(relevance: &str, z: &str, epsilon: f64, name: &str, build: &mut Builder) -> String {
    let (zero, epsilon) = (build.floats("zero", &[], [0.0]), build.floats("epsilon", &[], [epsilon]));
    let below = build.node(&format!("{name}/below"), "Less", &[z, &zero], vec![]);
    let (less, more) = (
        build.node(&format!("{name}/less"), "Sub", &[z, &epsilon], vec![]),
        build.node(&format!("{name}/more"), "Add", &[z, &epsilon], vec![]),
    );
    let stable = build.node(&format!("{name}/stable"), "Where", &[&below, &less, &more], vec![]);
    let quotient = build.node(&format!("{name}/quotient"), "Div", &[relevance, &stable], vec![]);
    let none = build.node(&format!("{name}/none"), "Equal", &[relevance, &zero], vec![]);
    build.node(&format!("{name}/share"), "Where", &[&none, &zero, &quotient], vec![])
}

/// With z = Σ_parts op(x_p, w_p) + b and s = R / (z + ε sign z): Σ_parts x_p ⊙ opᵀ(w_p, s).
fn shared<T: Real>(
    back: &Back<'_, T>,
    id: NodeId,
    relevance: &str,
    parts: &[(&String, Change<T>)],
    bias: Option<Change<T>>,
    build: &mut Builder,
) -> Result<String> {
    let (network, inputs, name) = (back.export.network, back.inputs(id), back.name(id));
    let node = network.program().node(id);
    if !matches!(node.op, Op::Conv1d { .. } | Op::Linear) {
        return Err(Error::Rule(format!("node '{}': this LRP rule is defined for convolutions and linear layers", node.name)));
    }
    let gamma = T::of(back.export.settings.lrp_gamma);
    let changed = |of: NodeId, change: Change<T>, build: &mut Builder| {
        let value = network.parameter(of);
        build.floats(&format!("{name}/changed"), value.shape(), slice(value).iter().map(|w| change(*w, gamma).f64()))
    };
    let weights: Vec<String> = parts.iter().map(|(_, change)| changed(inputs[1], *change, build)).collect();
    let bias = bias.zip(inputs.get(2)).map(|(change, of)| changed(*of, change, build));
    let mut z: Option<String> = None;
    for ((x, _), weight) in parts.iter().zip(&weights) {
        let part = back.again(id, x, weight, bias.as_deref().filter(|_| z.is_none()), build)?;
        z = Some(match z {
            None => part,
            Some(sum) => build.node(&format!("{name}/z"), "Add", &[&sum, &part], vec![]),
        });
    }
    let quotient = divide(relevance, &z.unwrap_or_default(), back.export.settings.lrp_epsilon, &name, build);
    let mut sum: Option<String> = None;
    for ((x, _), weight) in parts.iter().zip(&weights) {
        let share = match node.op {
            Op::Linear => build.node(&name, "MatMul", &[&quotient, weight], vec![]),
            _ => back.conv_back(id, &quotient, weight, build),
        };
        let part = build.node(&name, "Mul", &[&share, x], vec![]);
        sum = Some(match sum {
            None => part,
            Some(sum) => build.node(&format!("{name}/sum"), "Add", &[&sum, &part], vec![]),
        });
    }
    Ok(sum.unwrap_or_default())
}
