//! Derivatives against what they are defined by: finite differences of the whole network away from kinks, and the adjoint identity
//! ⟨g, A v⟩ = ⟨Aᵀ g, v⟩ of each linear op.

use super::branches::branches;
use super::{Check, Worst};
use crate::Result;
use crate::evaluation::ranks::larger;
use crate::random::{Stage, Stream, standard_normal};
use crate::tape::{Builder, Network, NodeId, Op, RuleSet, Tape, Tensor, Want, from_vec, slice};

/// Directions per ECG.
pub(super) const DIRECTIONS: u32 = 4;

fn normal(shape: &[usize], stream: Stream) -> Tensor<f64> {
    let mut rng = stream.rng();
    from_vec(shape, (0..shape.iter().product()).map(|_| standard_normal(&mut rng)).collect())
}

fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    slice(a).iter().zip(slice(b)).map(|(a, b)| a * b).sum()
}

/// The gradient that the walk back gives under `rules` (plain, unless a broken rule is to be caught) against central differences in random
/// directions: |Δf / 2h − ⟨g, v⟩| as a share of ‖g‖ (a typical ⟨g, v⟩). The step shrinks until both ends are on the linear piece of the
/// ECG itself; directions in which none is found are counted as at a kink and left out. Where all are, or a number on the way is none, the figure is
/// not a number.
///
/// # Errors
/// If the network cannot run on `x` (1, C, L), or a rule cannot act.
pub fn finite_differences(
    network: &Network<f64>,
    rules: &RuleSet<f64>,
    output: usize,
    x: &Tensor<f64>,
    stream: Stream,
) -> Result<(f64, u32)> {
    let tape = network.run(std::slice::from_ref(x))?;
    let gradient = network.gradient(&tape, rules, output)?;
    let norm = larger(f64::MIN_POSITIVE, dot(&gradient, &gradient).sqrt());
    let own = branches(network, &tape);
    let scale = larger(1e-3, (dot(x, x) / x.len() as f64).sqrt());
    if !(norm.is_finite() && scale.is_finite()) {
        return Ok((f64::NAN, 0));
    }
    let (mut worst, mut kinks) = (0.0f64, 0);
    for direction in 0..DIRECTIONS {
        let v = normal(x.shape(), stream.repeat(direction));
        let mut step = 1e-3 * scale;
        let difference = loop {
            let end = |sign: f64| network.run(&[(x + &v.map(|v| sign * step * v)).into_shared()]);
            let (above, below) = (end(1.0)?, end(-1.0)?);
            if branches(network, &above) == own && branches(network, &below) == own {
                break Some((slice(above.output())[output] - slice(below.output())[output]) / (2.0 * step));
            }
            step *= 0.1;
            if step < 1e-8 * scale {
                break None;
            }
        };
        match difference {
            Some(difference) => worst = larger(worst, (difference - dot(&gradient, &v)).abs() / norm),
            None => kinks += 1,
        }
    }
    Ok((if kinks == DIRECTIONS { f64::NAN } else { worst }, kinks))
}

/// The adjoint identity at every linear op of a run: |⟨g, A v⟩ − ⟨Aᵀ g, v⟩| / (‖g‖ ‖A v‖) with random v and g, A v being op(v) − op(0).
/// The detail names the worst node.
///
/// # Errors
/// If an op cannot run alone.
pub fn adjoint(network: &Network<f64>, tape: &Tape<f64>, seed: u64) -> Result<Check> {
    let program = network.program();
    let mut worst = Worst::default();
    let mut nodes = 0;
    let linear = |id: &NodeId| {
        let node = program.node(*id);
        node.op.class().is_linear() && node.op.signals(node.inputs.len()) == 1 && !node.inputs.is_empty()
    };
    for id in program.ids().filter(linear) {
        let alone = single(network, tape, id)?;
        let stream = Stream::new(seed, Stage::Audit).target(1).ecg(id.0 as u64);
        let v = normal(tape.value(program.node(id).inputs[0]).shape(), stream);
        let g = normal(tape.value(id).shape(), stream.repeat(1));
        let run = alone.run(std::slice::from_ref(&v))?;
        let zero = alone.predict(&[crate::tape::zeros(v.shape())])?;
        let forward = (run.output() - &zero).into_shared();
        let input = alone.program().inputs()[0];
        let mut back = alone.backward(&run, g.clone(), &RuleSet::plain(), None, &Want::nodes([input]))?;
        let back = back.take(input).unwrap_or_else(|| crate::tape::zeros(v.shape()));
        let size = (dot(&g, &g) * dot(&forward, &forward)).sqrt();
        let size = larger(f64::MIN_POSITIVE, size);
        nodes += 1;
        worst.see((dot(&g, &forward) - dot(&back, &v)).abs() / size, || format!("node '{}'", program.node(id).name));
    }
    Ok(Check::new("adjoint identity of every linear op (f64)", worst.figure, 1e-11, format!("{nodes} ops, worst at {}", worst.at)))
}

/// One op alone, as a network of its own with the same parameters.
fn single(network: &Network<f64>, tape: &Tape<f64>, id: NodeId) -> Result<Network<f64>> {
    let program = network.program();
    let node = program.node(id);
    let mut build = Builder::new();
    let shape: Vec<Option<usize>> = tape.value(node.inputs[0]).shape()[1..].iter().map(|n| Some(*n)).collect();
    let mut inputs = vec![build.input("x", &shape)];
    let mut parameters = crate::tape::Parameters::new();
    for (at, input) in node.inputs[1..].iter().enumerate() {
        let (name, value) = (format!("p{at}"), tape.value(*input).clone());
        inputs.push(build.node(name.clone(), Op::Parameter { shape: value.shape().to_vec(), trainable: false }, &[]));
        parameters.insert(name, value);
    }
    let y = build.node("y", node.op.clone(), &inputs);
    Network::new(build.finish(y)?, parameters)
}
