//! Execution plans against the unfused tape: the same bits, for the output and for the gradient under every rule that plans fuse.

use crate::{Draw, one_line};
use cardiograd::Result;
use cardiograd::attribution::{Deconvolution, GuidedBackprop, Rescale};
use cardiograd::tape::{
    Keep, Match, Network, NodeId, Op, OpKind, Parameters, Program, Rule, RuleSet, Tensor, TrainingPlan, Want, from_vec, slice,
};
use std::sync::Arc;

/// The most multiplications, and the most values, of a program that is run: more would be slow and find no more.
const WORK: usize = 1 << 21;
const VALUES: usize = 1 << 17;

/// A program with drawn parameters and the shape of its input, (1, C, L), where it has one input and is small enough to run. Sizes that the
/// program leaves open are `open`.
pub fn prepare(program: Program, open: usize, draw: &mut Draw) -> Option<(Network<f32>, Vec<usize>)> {
    let [input] = program.inputs()[..] else { return None };
    let Op::Input { shape } = &program.node(input).op else { return None };
    let shape: Vec<usize> = std::iter::once(1).chain(shape.iter().map(|size| size.unwrap_or(open))).collect();
    let shapes = program.shapes(std::slice::from_ref(&shape)).ok()?;
    if work(&program, &shapes)? > WORK || shapes.iter().try_fold(0usize, |sum, shape| sum.checked_add(product(shape)?))? > VALUES {
        return None;
    }
    let parameters = parameters(&program, draw);
    Some((Network::new(program, parameters).ok()?, shape))
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
}

/// Multiplications of the convolutions, linear layers and pools.
fn work(program: &Program, shapes: &[Vec<usize>]) -> Option<usize> {
    let each = |id: NodeId| {
        let node = program.node(id);
        let per_value = match node.op {
            Op::Conv1d { .. } | Op::Linear => product(&shapes[node.inputs[1].0][1..])?,
            Op::AvgPool1d { window, .. } | Op::MaxPool1d { window, .. } => window,
            _ => 1,
        };
        product(&shapes[id.0])?.checked_mul(per_value)
    };
    program.ids().try_fold(0usize, |sum, id| sum.checked_add(each(id)?))
}

/// Finite parameters; what a batch norm reads as a variance is positive.
fn parameters(program: &Program, draw: &mut Draw) -> Parameters<f32> {
    let variances: Vec<NodeId> = program.of_kind(OpKind::BatchNorm).into_iter().map(|norm| program.node(norm).inputs[4]).collect();
    let mut all = Parameters::new();
    for id in program.parameters() {
        let Op::Parameter { shape, .. } = &program.node(id).op else { continue };
        let count = shape.iter().product();
        let values = if variances.contains(&id) { draw.positive(count) } else { draw.numbers(count) };
        all.insert(program.node(id).name.clone(), from_vec(shape, values));
    }
    all
}

/// A batch of inputs of one example's shape (1, C, L).
pub fn inputs(example: &[usize], batch: usize, draw: &mut Draw) -> Tensor<f32> {
    let mut shape = example.to_vec();
    shape[0] = batch;
    let count = shape.iter().product();
    from_vec(&shape, draw.numbers(count))
}

/// Asserts that the network gives the same with and without plans: for `x` (N, C, L), with `base` (1 or N, C, L) as the reference run of the
/// rescale rule; and that an example alone is what it is in a batch.
pub fn compare(network: &Network<f32>, x: &Tensor<f32>, base: &Tensor<f32>) {
    let program = network.program();
    let outputs =
        agree(network.predict(std::slice::from_ref(x)), network.run(std::slice::from_ref(x)).map(|tape| tape.output().clone()), program);
    let Some(output) = outputs else { return };
    alone(network, x, &output);
    if output.ndim() == 2 {
        for which in 0..4 {
            let keep = if which % 2 == 0 { Keep::Values } else { Keep::Signs };
            agree(planned(network, x, base, which, keep), unplanned(network, x, base, which), program);
        }
        training(network, x, &output);
    }
}

/// The value that both ways give; both may refuse. A way that refuses what is not finite is right too.
fn agree(planned: Result<Tensor<f32>>, unplanned: Result<Tensor<f32>>, program: &Program) -> Option<Tensor<f32>> {
    match (planned, unplanned) {
        (Ok(planned), Ok(unplanned)) => {
            assert_eq!(planned.shape(), unplanned.shape(), "\n{program}");
            for (at, (a, b)) in slice(&planned).iter().zip(slice(&unplanned)).enumerate() {
                assert!(same(*a, *b), "value {at} is {a:e} by the plan, {b:e} on the tape\n{program}");
            }
            Some(planned)
        }
        (Err(a), Err(b)) => {
            one_line(&a);
            one_line(&b);
            None
        }
        (Ok(value), Err(error)) | (Err(error), Ok(value)) => {
            one_line(&error);
            assert!(slice(&value).iter().any(|value| !value.is_finite()), "one way refuses what the other gives: {error}\n{program}");
            None
        }
    }
}

/// The same bits; one NaN is as good as another.
pub fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// The first example by itself.
fn alone(network: &Network<f32>, x: &Tensor<f32>, output: &Tensor<f32>) {
    let batch = x.shape()[0];
    let mut shape = x.shape().to_vec();
    shape[0] = 1;
    let first = from_vec(&shape, slice(x)[..x.len() / batch].to_vec());
    let Ok(single) = network.predict(&[first]) else { panic!("a batch is predicted and its first example is refused") };
    for (a, b) in slice(&single).iter().zip(slice(output)) {
        assert!(same(*a, *b), "{a:e} alone, {b:e} in a batch\n{}", network.program());
    }
}

/// Rule sets by number: plain, deconvolution, guided, rescale.
fn rules(which: usize, program: &Program) -> RuleSet<f32> {
    let at = |kind: OpKind, rule: Arc<dyn Rule<f32>>| RuleSet::plain().with(Match::Kind(kind), rule);
    match which {
        0 => RuleSet::plain(),
        1 => at(OpKind::Relu, Arc::new(Deconvolution)),
        2 => at(OpKind::Relu, Arc::new(GuidedBackprop)),
        _ => {
            let bent = |id: &NodeId| !program.node(*id).op.class().is_linear();
            let there = OpKind::ALL.iter().copied().filter(|kind| program.of_kind(*kind).first().is_some_and(bent));
            there.fold(RuleSet::plain(), |set, kind| set.with(Match::Kind(kind), Arc::new(Rescale)))
        }
    }
}

fn planned(network: &Network<f32>, x: &Tensor<f32>, base: &Tensor<f32>, which: usize, keep: Keep) -> Result<Tensor<f32>> {
    let look = network.look_at(x.clone(), keep, None)?;
    let reference = network.look_at(base.clone(), Keep::Values, None)?;
    network.look_back(&look, &rules(which, network.program()), Some(&reference), 0)
}

fn unplanned(network: &Network<f32>, x: &Tensor<f32>, base: &Tensor<f32>, which: usize) -> Result<Tensor<f32>> {
    let program = network.program();
    let (tape, reference) = (network.run(std::slice::from_ref(x))?, network.run(std::slice::from_ref(base))?);
    let (batch, columns) = (tape.output().shape()[0], tape.output().shape()[1]);
    let seed = (0..batch * columns).map(|at| if at % columns == 0 { 1.0 } else { 0.0 }).collect();
    let want = Want::inputs(program);
    let seed = from_vec(&[batch, columns], seed);
    let mut gradients = network.backward(&tape, seed, &rules(which, program), Some(&reference), &want)?;
    Ok(gradients.take(program.inputs()[0]).unwrap_or_else(|| cardiograd::tape::zeros(x.shape())))
}

/// A step of training does not break, whatever the geometry.
fn training(network: &Network<f32>, x: &Tensor<f32>, output: &Tensor<f32>) {
    if let Some(mut plan) = TrainingPlan::new(network, &x.shape()[1..]) {
        let trained = plan.forward(network, x).and_then(|trained| {
            assert_eq!(trained.shape(), output.shape());
            plan.backward(network, output)
        });
        if let Err(error) = trained {
            one_line(&error);
        }
    }
}
