//! Whole programs: derivatives of random residual networks, reuse, what is wanted and what is skipped, batches and threads, files,
//! and the errors of programs, parameters, inputs and rule sets that do not fit.

mod common;

use cardiograd::Error;
use cardiograd::attribution::{Deconvolution, GuidedBackprop};
use cardiograd::nn::stevennet;
use cardiograd::tape::{
    Builder, ConvLayer, Match, Mode, Network, Node, NodeId, Op, OpKind, Parameters, Program, RuleSet, Tensor, Want, cast, from_vec, slice,
};
use common::{Draw, Kinks, directional, distance, dot, leaves, plain_gradients, residual_network, residual_program};
use proptest::prelude::*;
use std::sync::Arc;

/// One example after another of a batch (N, C, L).
fn rows(x: &Tensor<f64>) -> Vec<Tensor<f64>> {
    (0..x.shape()[0]).map(|n| x.slice_axis(ndarray::Axis(0), (n..n + 1).into()).to_owned().into_shared()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn residual_networks_have_the_derivatives_of_finite_differences(
        seed in any::<u64>(), leads in 1usize..4, len in 6usize..20, blocks in 1usize..4, smooth in any::<bool>(), training in any::<bool>(),
    ) {
        let network = residual_network(seed, leads, len, blocks, if smooth { Kinks::Smooth } else { Kinks::All }, 2);
        let mut draw = Draw::new(seed ^ 1);
        let inputs = [draw.tensor(&[3, leads, len])];
        let mode = if training { Mode::Training } else { Mode::Evaluation };
        let v = draw.tensor(&[3, 2]);
        let gradients = plain_gradients(&network, &inputs, &v, mode);
        for (leaf, id) in leaves(network.program()).into_iter().enumerate() {
            // One leaf at a time, so that a wrong gradient in a small one is not drowned by the others.
            let u: Vec<Tensor<f64>> = gradients
                .iter()
                .enumerate()
                .map(|(at, g)| if at == leaf { draw.tensor(g.shape()) } else { cardiograd::tape::zeros(g.shape()) })
                .collect();
            // Running statistics do not act in training: no derivative, and a difference of 0.
            let Some(numeric) = directional(&network, &inputs, &u, &v, mode, 1e-6) else { continue };
            let exact = dot(&gradients[leaf], &u[leaf]);
            let name = &network.program().node(id).name;
            prop_assert!((exact - numeric).abs() <= 1e-6 * (1.0 + exact.abs()), "{name}: {exact} against {numeric}");
        }
    }

    #[test]
    fn an_example_is_the_same_in_any_batch(seed in any::<u64>(), len in 6usize..20, blocks in 1usize..4) {
        let network = residual_network(seed, 3, len, blocks, Kinks::All, 1).cast::<f32>();
        let x = Draw::new(seed).tensor(&[5, 3, len]);
        let together = network.run(&[cast(&x)]).unwrap();
        let gradient = network.gradient(&together, &RuleSet::plain(), 0).unwrap();
        for (n, row) in rows(&x).iter().enumerate() {
            let alone = network.run(&[cast(row)]).unwrap();
            prop_assert_eq!(slice(alone.output())[0].to_bits(), slice(together.output())[n].to_bits());
            let g = network.gradient(&alone, &RuleSet::plain(), 0).unwrap();
            let part = gradient.slice_axis(ndarray::Axis(0), (n..n + 1).into()).to_owned().into_shared();
            prop_assert_eq!(slice(&g), slice(&part));
        }
    }

    #[test]
    fn programs_survive_json_and_bincode(seed in any::<u64>(), slope in any::<f64>(), eps in 0f64..1.0) {
        let program = residual_program(&mut Draw::new(seed), 3, 16, 3, Kinks::All, 2);
        let slope = if slope.is_finite() { slope } else { 0.3 };
        let mut nodes = program.nodes().to_vec();
        for node in &mut nodes {
            match &mut node.op {
                Op::LeakyRelu { slope: it } => *it = slope,
                Op::BatchNorm { eps: it, .. } => *it = eps,
                _ => {}
            }
        }
        let program = Program::new(nodes, program.output()).unwrap();
        let json = serde_json::to_string(&program).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Program>(&json).unwrap(), &program);
        let bytes = bincode::serde::encode_to_vec(&program, bincode::config::standard()).unwrap();
        let (back, used): (Program, usize) = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
        prop_assert_eq!(used, bytes.len());
        prop_assert_eq!(back, program);
    }

    #[test]
    fn hostile_json_never_panics(seed in any::<u64>(), cut in any::<prop::sample::Index>(), with in "[0-9\"a-z{}\\[\\],:]{0,6}") {
        let program = residual_program(&mut Draw::new(seed), 2, 8, 1, Kinks::All, 1);
        let mut json = serde_json::to_string(&program).unwrap();
        let at = cut.index(json.len());
        json.replace_range(at..(at + 3).min(json.len()), &with);
        if let Ok(program) = serde_json::from_str::<Program>(&json) {
            let _ = program.to_string();
            let _ = program.shapes(&[vec![1, 2, 8]]);
        }
    }
}

#[test]
fn threads_change_nothing() {
    let network = residual_network(5, 3, 40, 3, Kinks::All, 1).cast::<f32>();
    let x: Tensor<f32> = cast(&Draw::new(5).tensor(&[9, 3, 40]));
    let bytes = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let tape = network.run_in(std::slice::from_ref(&x), Mode::Training).unwrap();
            let ids = leaves(network.program());
            let seed = from_vec(&[9, 1], vec![1.0; 9]);
            let gradients = network.backward(&tape, seed, &RuleSet::plain(), None, &Want::nodes(ids.clone())).unwrap();
            let all = ids.iter().filter_map(|id| gradients.get(*id)).flat_map(|g| slice(g).iter().map(|v| v.to_bits()));
            all.collect::<Vec<u32>>()
        })
    };
    let one = bytes(1);
    assert!(one.len() > 100);
    for threads in [2, 3, 8] {
        assert_eq!(bytes(threads), one);
    }
}

#[test]
fn a_node_may_feed_many_and_a_parameter_may_be_read_twice() {
    // y = (x·w) ∘ (x·w) + x·w, by hand: dy/dx = (2 x w + 1) w, dy/dw = Σ (2 x w + 1) x.
    let mut build = Builder::new();
    let x = build.input("x", &[Some(1)]);
    let w = build.parameter("w", &[1, 1], true);
    let first = build.node("first", Op::Linear, &[x, w]);
    let second = build.node("second", Op::Linear, &[x, w]);
    let square = build.node("square", Op::Multiply, &[first, first]);
    let y = build.node("y", Op::Add, &[square, second]);
    let values = Parameters::from([("w".to_owned(), from_vec(&[1, 1], vec![3.0]))]);
    let network = Network::new(build.finish(y).unwrap(), values).unwrap();
    let x = from_vec(&[2, 1], vec![0.5, -2.0]);
    let g = plain_gradients(&network, &[x], &from_vec(&[2, 1], vec![1.0, 1.0]), Mode::Evaluation);
    assert_eq!(slice(&g[0]), [4.0 * 3.0, -11.0 * 3.0]);
    assert_eq!(slice(&g[1]), [4.0 * 0.5 + -11.0 * -2.0]);
}

#[test]
fn changed_parameters_are_seen_by_the_next_run() {
    let mut network = residual_network(11, 2, 12, 2, Kinks::Smooth, 1);
    let x = Draw::new(3).tensor(&[1, 2, 12]);
    let before = network.run(std::slice::from_ref(&x)).unwrap().output().clone();
    let id = network.program().find("stem.weight").unwrap();
    network.parameter_mut(id).map_inplace(|v| *v *= 2.0);
    let after = network.run(std::slice::from_ref(&x)).unwrap().output().clone();
    assert_ne!(slice(&before), slice(&after));
    let fresh = Network::new(network.program().clone(), network.parameters()).unwrap();
    assert_eq!(slice(fresh.run(&[x]).unwrap().output()), slice(&after));
}

#[test]
fn the_walk_is_pruned_to_what_is_wanted() {
    let network = residual_network(7, 2, 16, 2, Kinks::All, 1);
    let program = network.program();
    let tape = network.run(&[Draw::new(1).tensor(&[1, 2, 16])]).unwrap();
    let seed = from_vec(&[1, 1], vec![1.0]);
    let fc = program.find("fc.weight").unwrap();
    let mut visited = Vec::new();
    let mut observe = |id: NodeId, _: &Tensor<f64>| visited.push(id);
    let got = network.backward_observed(&tape, seed.clone(), &RuleSet::plain(), None, &Want::nodes([fc]), &mut observe).unwrap();
    assert_eq!(visited, [program.output(), fc]);
    assert!(got.get(fc).is_some() && program.inputs().iter().all(|id| got.get(*id).is_none()));
    // What is not wanted costs no weight gradients, and what is wanted does not depend on what else is.
    let mut visited = Vec::new();
    let mut observe = |id: NodeId, _: &Tensor<f64>| visited.push(id);
    let want = Want::inputs(program);
    let alone = network.backward_observed(&tape, seed.clone(), &RuleSet::plain(), None, &want, &mut observe).unwrap();
    assert!(visited.iter().all(|id| program.node(*id).op.kind() != OpKind::Parameter));
    let all = network.backward(&tape, seed, &RuleSet::plain(), None, &Want::nodes(leaves(program))).unwrap();
    let x = program.inputs()[0];
    assert_eq!(alone.get(x).map(slice), all.get(x).map(slice));
}

#[test]
fn a_gradient_at_an_inner_node_is_that_of_the_rest_of_the_program() {
    // d output / d stem by the tape, against moving the stem's bias (one value for all time, so the gradient summed over time).
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), Some(9)]);
    let stem = build.conv1d("stem", x, ConvLayer::same(2, 3, 3));
    let y = build.node("tanh", Op::Tanh, &[stem]);
    let y = build.node("flat", Op::Flatten, &[y]);
    let y = build.linear("fc", y, 27, 1, false);
    let program = build.finish(y).unwrap();
    let mut draw = Draw::new(2);
    let values = common::parameters(&program, &mut draw);
    let network = Network::new(program, values).unwrap();
    let tape = network.run(&[draw.tensor(&[1, 2, 9])]).unwrap();
    let (stem, bias) = (network.program().find("stem").unwrap(), network.program().find("stem.bias").unwrap());
    let got = network.backward(&tape, from_vec(&[1, 1], vec![1.0]), &RuleSet::plain(), None, &Want::nodes([stem]).and(bias)).unwrap();
    let summed: Vec<f64> = slice(got.get(stem).unwrap()).chunks(9).map(|row| row.iter().sum()).collect();
    assert!(distance(&summed, slice(got.get(bias).unwrap())) < 1e-14);
}

fn node(name: &str, op: Op, inputs: &[usize]) -> Node {
    Node { name: name.into(), op, inputs: inputs.iter().map(|id| NodeId(*id)).collect() }
}

fn input() -> Node {
    node("x", Op::Input { shape: vec![Some(2), None] }, &[])
}

#[test]
fn bad_programs_are_refused_with_the_place() {
    let huge = Op::Parameter { shape: vec![1 << 40, 1 << 20], trainable: true };
    let cases = [
        (vec![input(), node("x", Op::Relu, &[0])], 1, "'x' (relu): its name is used twice"),
        (vec![input(), node("a", Op::Relu, &[1])], 1, "reads node 1, which does not come before it"),
        (vec![input(), node("a", Op::Relu, &[7])], 1, "reads node 7, which does not come before it"),
        (vec![input(), node("a", Op::Add, &[0])], 1, "has 1 inputs, it takes 2"),
        (vec![input(), node("a", Op::Conv1d { stride: 1, dilation: 1, padding: (0, 0) }, &[0])], 1, "has 1 inputs, it takes 2 or 3"),
        (vec![input(), node("a", Op::Concat, &[])], 1, "has 0 inputs, it takes 1 or more"),
        (vec![input(), node("a", Op::AvgPool1d { window: 0, stride: 1 }, &[0])], 1, "'a' (avg_pool1d): window 0"),
        (vec![input(), node("a", Op::Upsample { factor: 0 }, &[0])], 1, "factor 0"),
        (vec![input(), node("a", Op::LeakyRelu { slope: f64::NAN }, &[0])], 1, "slope NaN"),
        (vec![input(), node("w", huge, &[])], 0, "is too large"),
        (vec![input(), node("w", Op::Parameter { shape: vec![3, 0], trainable: true }, &[])], 0, "is empty"),
        (vec![input()], 3, "the output is node 3, there are 1"),
        (vec![node("w", Op::Parameter { shape: vec![1], trainable: true }, &[])], 0, "there is no input node"),
    ];
    for (nodes, output, expected) in cases {
        let error = Program::new(nodes, NodeId(output)).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    let json = [
        (r#"{"nodes": [{"name": "x", "op": "relu", "inputs": ["y"]}], "output": "x"}"#, "reads 'y', which no earlier node is called"),
        (r#"{"nodes": [{"name": "x", "op": {"input": {"shape": [1]}}}], "output": "y"}"#, "the output 'y' is not the name of a node"),
        (r#"{"nodes": [{"name": "x", "op": "softminus"}], "output": "x"}"#, "unknown variant `softminus`"),
        (r#"{"nodes": [], "output": "x", "more": 1}"#, "unknown field `more`"),
    ];
    for (text, expected) in json {
        let error = serde_json::from_str::<Program>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The error of running a program of an input (2, any) and what follows.
fn run_error(nodes: &[Node], shape: &[usize]) -> String {
    let program = Program::new([&[input()], nodes].concat(), NodeId(nodes.len())).unwrap();
    let values: Parameters<f64> = program
        .parameters()
        .into_iter()
        .map(|id| {
            let Op::Parameter { shape, .. } = &program.node(id).op else { unreachable!() };
            (program.node(id).name.clone(), cardiograd::tape::zeros(shape))
        })
        .collect();
    let network = Network::new(program, values).unwrap();
    network.run(&[cardiograd::tape::zeros(shape)]).unwrap_err().to_string()
}

#[test]
fn inputs_that_do_not_fit_are_refused_with_the_place() {
    let parameter = |name: &str, shape: &[usize]| node(name, Op::Parameter { shape: shape.to_vec(), trainable: true }, &[]);
    let conv = |stride, padding| Op::Conv1d { stride, dilation: 1, padding };
    let cases: [(Vec<Node>, &[usize], &str); 9] = [
        (vec![node("a", Op::Relu, &[0])], &[1, 3, 4], "input 'x': expected shape (N, 2, any), found [1, 3, 4]"),
        (vec![node("a", Op::Relu, &[0])], &[2, 4], "input 'x': expected shape (N, 2, any), found [2, 4]"),
        (vec![node("a", Op::Relu, &[0])], &[1, 2, 0], "input 'x': expected shape (N, 2, any), found [1, 2, 0]"),
        (vec![parameter("w", &[1, 3, 5]), node("a", conv(1, (0, 0)), &[0, 1])], &[1, 2, 9], "'a' (conv1d): the weight takes 3 channels"),
        (vec![parameter("w", &[1, 2, 5]), node("a", conv(1, (1, 0)), &[0, 1])], &[1, 2, 3], "'a' (conv1d): 3 samples with padding 1+0"),
        (vec![node("a", Op::Upsample { factor: 1 << 20 }, &[0])], &[1, 2, 3000], "is too large"),
        (vec![node("a", Op::MaxPool1d { window: 4, stride: 1 }, &[0])], &[1, 2, 3], "3 samples are shorter than its window of 4"),
        (
            vec![node("a", Op::MaxPool1d { window: 2, stride: 1 }, &[0]), node("b", Op::Add, &[0, 1])],
            &[1, 2, 3],
            "'b' (add): its inputs have shapes [1, 2, 3] and [1, 2, 2]",
        ),
        (vec![parameter("w", &[1, 4]), node("a", Op::Linear, &[0, 1])], &[1, 2, 3], "'a' (linear): input [1, 2, 3] or weight"),
    ];
    for (nodes, shape, expected) in cases {
        let error = run_error(&nodes, shape);
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    let network = residual_network(1, 2, 8, 1, Kinks::All, 1);
    let x = Draw::new(0).tensor(&[1, 2, 8]);
    assert!(network.run(&[]).unwrap_err().to_string().contains("input 'x' was not given"));
    assert!(network.run(&[x.clone(), x.clone()]).unwrap_err().to_string().contains("2 inputs were given, the program has 1"));
    assert_eq!(network.run(&[cardiograd::tape::zeros(&[0, 2, 8])]).unwrap().output().shape(), [0, 1]);
    let error = network.run_in(&[cardiograd::tape::zeros(&[0, 2, 8])], Mode::Training).unwrap_err().to_string();
    assert!(error.contains("at least one example"), "{error}");
    let tape = network.run(&[x]).unwrap();
    let want = Want::inputs(network.program());
    let error = network.backward(&tape, from_vec(&[1, 2], vec![1.0; 2]), &RuleSet::plain(), None, &want).unwrap_err().to_string();
    assert!(error.contains("the seed of the backward walk"), "{error}");
    let error = network.gradient(&tape, &RuleSet::plain(), 1).unwrap_err().to_string();
    assert!(error.contains("output 1 was asked for, the network has 1"), "{error}");
}

#[test]
fn parameters_that_do_not_fit_are_refused_by_name() {
    let network = residual_network(1, 2, 8, 1, Kinks::All, 1);
    let program = network.program().clone();
    let attempt = |change: &dyn Fn(&mut Parameters<f64>)| {
        let mut values = network.parameters();
        change(&mut values);
        let error = Network::new(program.clone(), values).unwrap_err();
        assert!(matches!(error, Error::Parameters(_)));
        error.to_string()
    };
    let missing = attempt(&|values| drop(values.remove("fc.weight")));
    assert!(missing.contains("parameter 'fc.weight' of shape") && missing.contains("is missing"), "{missing}");
    let extra = attempt(&|values| drop(values.insert("head.weight".into(), cardiograd::tape::zeros(&[1]))));
    assert!(extra.contains("parameter 'head.weight' has no place"), "{extra}");
    let shape = attempt(&|values| drop(values.insert("fc.bias".into(), cardiograd::tape::zeros(&[2]))));
    assert!(shape.contains("parameter 'fc.bias': expected shape [1], found [2]"), "{shape}");
    let value = attempt(&|values| drop(values.insert("fc.bias".into(), from_vec(&[1], vec![f64::NAN]))));
    assert!(value.contains("parameter 'fc.bias': element 0 is not finite"), "{value}");
    let name = "block0.bn1.running_var";
    let variance = attempt(&|values| {
        let shape = values[name].shape().to_vec();
        let count = shape[0];
        values.insert(name.into(), from_vec(&shape, vec![-1.0; count]));
    });
    assert!(variance.contains(name) && variance.contains("a variance must be positive"), "{variance}");
}

#[test]
fn a_rule_that_acts_nowhere_is_an_error() {
    let network = residual_network(1, 2, 8, 2, Kinks::Smooth, 1);
    let tape = network.run(&[Draw::new(0).tensor(&[1, 2, 8])]).unwrap();
    let guided = || Arc::new(GuidedBackprop);
    let error = network.gradient(&tape, &RuleSet::plain().with(Match::Kind(OpKind::Relu), guided()), 0).unwrap_err();
    assert!(matches!(error, Error::Rule(_)));
    assert!(error.to_string().contains("the rule 'guided_backprop' for every relu acts nowhere"), "{error}");
    let relu = residual_network(1, 2, 8, 2, Kinks::Relu, 1);
    let tape = relu.run(&[Draw::new(0).tensor(&[1, 2, 8])]).unwrap();
    let on = |on: Match| RuleSet::plain().with(on, guided());
    assert!(relu.gradient(&tape, &on(Match::Name("block0.act1".into())), 0).is_ok());
    assert!(relu.gradient(&tape, &on(Match::Name("block9.act1".into())), 0).unwrap_err().to_string().contains("node 'block9.act1'"));
    // An entry that earlier ones leave nothing to is idle too.
    let shadowed = on(Match::Kind(OpKind::Relu)).with(Match::Name("block0.act1".into()), Arc::new(Deconvolution));
    assert!(relu.gradient(&tape, &shadowed, 0).unwrap_err().to_string().contains("the rule 'deconvolution' for node 'block0.act1'"));
    let ordered =
        RuleSet::plain().with(Match::Name("block0.act1".into()), Arc::new(Deconvolution)).with(Match::Kind(OpKind::Relu), guided());
    assert!(relu.gradient(&tape, &ordered, 0).is_ok());
}

#[test]
fn programs_print_as_people_read_them() {
    let text = stevennet(12, Some(600)).unwrap().to_string();
    assert!(text.lines().next().unwrap().contains("x") && text.contains("conv1d(stride 1, dilation 1, padding 24+25)"), "{text}");
    assert!(text.ends_with("output fc1, 1653313 trainable values\n"), "{text}");
}

/// x (12, any) → op → mean over time.
fn around(op: Op, weight: Option<&[usize]>) -> cardiograd::Result<Program> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(12), None]);
    let mut inputs = vec![x];
    inputs.extend(weight.map(|shape| build.parameter("w", shape, true)));
    let node = build.node("node", op, &inputs);
    let mean = build.node("mean", Op::GlobalAvgPool, &[node]);
    build.finish(mean)
}

#[test]
fn geometry_is_bounded() {
    let refused = |op: Op, weight: Option<&[usize]>, words: &str| {
        let error = around(op.clone(), weight).unwrap_err().to_string();
        assert!(error.contains("node 'node'") && error.contains(words) && error.lines().count() == 1, "{op}: {error}");
    };
    for size in [usize::MAX, 1 << 58, 1 << 56, 1 << 48, 1 << 31, (1 << 20) + 1] {
        let weight: Option<&[usize]> = Some(&[1, 12, 1]);
        refused(Op::Conv1d { stride: size, dilation: 1, padding: (0, 0) }, weight, &format!("stride {size}, at most 1048576"));
        refused(Op::Conv1d { stride: 1, dilation: size, padding: (0, 0) }, weight, &format!("dilation {size}"));
        refused(Op::Conv1d { stride: 1, dilation: 1, padding: (size, 0) }, weight, &format!("padding {size}"));
        refused(Op::Conv1d { stride: 1, dilation: 1, padding: (0, size) }, weight, &format!("padding {size}"));
        for window_and_stride in [(size, 1), (1, size)] {
            let (window, stride) = window_and_stride;
            refused(Op::MaxPool1d { window, stride }, None, &size.to_string());
            refused(Op::AvgPool1d { window, stride }, None, &size.to_string());
        }
        refused(Op::Upsample { factor: size }, None, &format!("factor {size}"));
        refused(Op::Interleave { factor: size }, None, &format!("factor {size}"));
    }
    let both = around(Op::Conv1d { stride: 0, dilation: 0, padding: (0, 0) }, Some(&[1, 12, 1])).unwrap_err().to_string();
    assert!(both.contains("stride 0 (the first of 2 faults)"), "{both}");
}

#[test]
fn memory_is_bounded_before_anything_is_allocated() {
    let conv = || Op::Conv1d { stride: 1, dilation: 1, padding: (0, 0) };
    for shape in [&[4_294_967_295, 12, 1][..], &[1 << 40, 1 << 40, 1 << 40], &[1, 12, usize::MAX]] {
        let error = around(conv(), Some(shape)).unwrap_err().to_string();
        assert!(error.contains("node 'w' (parameter): shape") && error.contains("too large"), "{error}");
    }
    assert!(around(conv(), Some(&[0, 1 << 40, 1 << 40])).unwrap_err().to_string().contains("is empty"));
    let mut build = Builder::new();
    let x = build.input("x", &[None, None]);
    for name in ["first", "second"] {
        build.parameter(name, &[1 << 14, 1 << 13, 1], true);
    }
    assert!(build.finish(x).is_ok());
    let mut build = Builder::new();
    let x = build.input("x", &[None, None]);
    for name in ["first", "second"] {
        build.parameter(name, &[(1 << 14) + 1, 1 << 13, 1], true);
    }
    let error = build.finish(x).unwrap_err().to_string();
    assert!(
        error.contains("node 'second' (parameter): with shape [16385, 8192, 1] the parameters have more than 268435456 values"),
        "{error}"
    );

    let shapes = |program: Program| program.shapes(&[vec![1, 12, 5000]]).unwrap_err().to_string();
    let error = shapes(around(Op::Upsample { factor: 1 << 20 }, None).unwrap());
    assert!(error.contains("node 'node' (upsample)") && error.contains("[1, 12, 5242880000]"), "{error}");
    let error = shapes(around(Op::Upsample { factor: 20_000 }, None).unwrap());
    assert!(error.contains("node 'node' (upsample): with its value of shape [12, 100000000] the run of one example takes"), "{error}");
    let mut build = Builder::new();
    let mut x = build.input("x", &[Some(12), None]);
    for level in 0..22 {
        x = build.node(format!("double{level}"), Op::Concat, &[x, x]);
    }
    let mean = build.node("mean", Op::GlobalAvgPool, &[x]);
    let program = build.finish(mean).unwrap();
    let error = program.shapes(&[vec![1, 12, 600]]).unwrap_err().to_string();
    assert!(error.contains("node 'double16' (concat): with its value of shape [1572864, 600]"), "{error}");
    // A run, a prediction and a look say the same, and take no memory for it.
    let network = Network::<f32>::new(program, Parameters::new()).unwrap();
    let x = Tensor::from_elem(ndarray::IxDyn(&[1, 12, 600]), 1.0);
    for error in [
        network.run(std::slice::from_ref(&x)).unwrap_err(),
        network.predict(std::slice::from_ref(&x)).unwrap_err(),
        network.look(x).map(|_| ()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("'double16'"), "{error}");
    }
    // Shapes whose products wrap are refused wherever they arise.
    let mut build = Builder::new();
    let x = build.input("x", &[None, None]);
    let flat = build.node("flat", Op::Flatten, &[x]);
    let program = build.finish(flat).unwrap();
    for shape in [vec![1, 1 << 40, 1 << 40], vec![0, 1 << 40, 1 << 40], vec![1 << 62, 1, 1]] {
        assert!(program.shapes(std::slice::from_ref(&shape)).unwrap_err().to_string().contains("too large"), "{shape:?}");
    }
    // Many examples of little size are no fault: runs go in parts.
    assert!(around(Op::Relu, None).unwrap().values(&[vec![9, 12, 100]]).unwrap() == 2 * 1200 + 12);
    assert_eq!(around(Op::Relu, None).unwrap().batch_within(&[12, 100], 4 * 2412 * 5, 16).unwrap(), 5);
}

#[test]
fn names_are_fit_for_messages_and_files() {
    for (name, words) in [("", "empty"), ("a\nb", "control character"), (&"n".repeat(501)[..], "501 bytes")] {
        let mut build = Builder::new();
        let x = build.input(name, &[None]);
        let error = build.finish(x).unwrap_err().to_string();
        assert!(error.contains(words) && error.lines().count() == 1, "{error}");
    }
}

/// Attributes and shapes that cannot be are refused in words.
#[test]
fn ops_refuse_attributes_and_shapes_that_cannot_be() {
    let x = from_vec(&[1, 3, 7], vec![0.5; 21]);
    let refused = |op: Op, inputs: usize, words: &str| {
        let mut build = Builder::new();
        let ids: Vec<_> = (0..inputs).map(|at| build.input(&format!("x{at}"), &[Some(3), Some(7)])).collect();
        let y = build.node("own", op.clone(), &ids);
        let run = || {
            let network = Network::<f64>::new(build.finish(y)?, Parameters::new())?;
            network.predict(&vec![x.clone(); inputs])
        };
        let error = run().expect_err(&op.to_string()).to_string();
        assert!(error.contains("node 'own'") && error.contains(words), "{op}: {error}");
    };
    refused(Op::Softplus { beta: 0.0 }, 1, "beta 0, a number above 0 is needed");
    refused(Op::Clip { low: 1.0, high: 0.0 }, 1, "low 1, high 0");
    refused(Op::Elu { alpha: f64::NAN }, 1, "alpha NaN");
    refused(Op::Pad { axis: 0, before: 1, after: 0, value: 0.0 }, 1, "axis 0: 1 is the first behind the batch");
    refused(Op::Pad { axis: 3, before: 1, after: 0, value: 0.0 }, 1, "which has no axis 3");
    refused(Op::Pad { axis: 2, before: 1, after: 0, value: f64::INFINITY }, 1, "value inf");
    refused(Op::Crop { axis: 2, before: 4, after: 3, step: 1 }, 1, "7 elements less 4+3 leave none");
    refused(Op::Crop { axis: 2, before: 0, after: 0, step: 0 }, 1, "step 0");
    refused(
        Op::PaddedMaxPool1d { window: 2, stride: 1, padding: (2, 0), ceil_mode: false },
        1,
        "padding 2+0 is not less than the window of 2",
    );
    refused(Op::LayerNorm { axes: 3, eps: 1e-5 }, 1, "the last 3 axes behind the batch");
    refused(Op::GroupNorm { groups: 2, eps: 1e-5 }, 1, "C a multiple of 2 groups");
    refused(Op::InstanceNorm { eps: 0.0 }, 1, "eps 0, a number above 0 is needed");
    refused(Op::Transpose { axes: vec![1, 1] }, 1, "each behind the batch is needed once");
    refused(Op::Transpose { axes: vec![1] }, 1, "it puts 1 axes behind the batch in order");
    refused(Op::Reshape { shape: vec![None, None] }, 1, "one size may be left open");
    refused(Op::Reshape { shape: vec![Some(4), None] }, 1, "does not fill (4, rest)");
    refused(Op::Mean { axis: 4 }, 1, "which has no axis 4");
    refused(Op::Matmul, 2, "expected (N, …, A, B) and (N, …, B, C)");
    refused(Op::Softmax { axis: 0 }, 1, "axis 0");
}

/// Model files number ops by their place in the table and hold attributes without names: neither may change for an op that a file may have.
#[test]
fn ops_keep_their_places_in_model_files() {
    let conv = Op::Conv1d { stride: 1, dilation: 1, padding: (0, 0) };
    let pools = [Op::AvgPool1d { window: 2, stride: 2 }, Op::MaxPool1d { window: 2, stride: 2 }];
    let [average, max] = pools;
    let norm = Op::BatchNorm { eps: 1e-5, momentum: 0.1 };
    for (op, place, attributes) in [
        (conv, 2u32, 4),
        (norm, 3, 2),
        (Op::Relu, 4, 0),
        (Op::LeakyRelu { slope: 0.1 }, 5, 1),
        (average, 8, 2),
        (max, 9, 2),
        (Op::GlobalAvgPool, 10, 0),
        (Op::Linear, 11, 0),
        (Op::Add, 12, 0),
        (Op::Interleave { factor: 2 }, 16, 1),
        (Op::Flatten, 17, 0),
    ] {
        let bytes = bincode::serde::encode_to_vec(&op, bincode::config::standard().with_fixed_int_encoding()).unwrap();
        assert_eq!((&bytes[..4], bytes.len()), (&place.to_le_bytes()[..], 4 + 8 * attributes), "{op}");
    }
}
