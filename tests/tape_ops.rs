//! Every op of the tape: its value against the definition written out, its vector–Jacobian product against central differences in f64
//! and the adjoint identity ⟨J u, v⟩ = ⟨u, Jᵀ v⟩, over random shapes, strides, dilations and paddings, in signals and weights.

mod common;

use cardiograd::tape::{Builder, ConvLayer, Mode, Network, Op, Tensor, cast, from_vec, slice};
use common::more_ops::more_ops;
use common::own_ops::{UnitRows, softsign, unit_rows};
use common::{Draw, directional, distance, dot, leaves, plain_gradients, single};
use proptest::prelude::*;

const STEP: f64 = 1e-5;

/// The gradients of ⟨v, output⟩ in every element of every leaf against central differences.
fn elementwise_differences(network: &Network<f64>, inputs: &[Tensor<f64>], seed: &Tensor<f64>, mode: Mode) -> Result<(), TestCaseError> {
    let gradients = plain_gradients(network, inputs, seed, mode);
    let ids = leaves(network.program());
    for (leaf, gradient) in gradients.iter().enumerate() {
        for at in 0..gradient.len() {
            let mut direction: Vec<Tensor<f64>> = gradients.iter().map(|g| cardiograd::tape::zeros(g.shape())).collect();
            direction[leaf].as_slice_mut().unwrap()[at] = 1.0;
            let Some(numeric) = directional(network, inputs, &direction, seed, mode, STEP) else { continue };
            let exact = slice(gradient)[at];
            let name = &network.program().node(ids[leaf]).name;
            prop_assert!((exact - numeric).abs() <= 1e-7 * (1.0 + exact.abs()), "{name}[{at}]: {exact} against {numeric}");
        }
    }
    Ok(())
}

/// ⟨J u, v⟩ = ⟨u, Jᵀ v⟩ in all leaves together, J u by a central difference along u.
fn adjoint(network: &Network<f64>, inputs: &[Tensor<f64>], draw: &mut Draw, mode: Mode) -> Result<(), TestCaseError> {
    let output = network.run_in(inputs, mode).unwrap().output().clone();
    let v = draw.tensor(output.shape());
    let gradients = plain_gradients(network, inputs, &v, mode);
    let u: Vec<Tensor<f64>> = gradients.iter().map(|g| draw.tensor(g.shape())).collect();
    let right: f64 = gradients.iter().zip(&u).map(|(g, u)| dot(g, u)).sum();
    let Some(left) = directional(network, inputs, &u, &v, mode, 1e-6) else { return Ok(()) };
    prop_assert!((left - right).abs() <= 1e-7 * (1.0 + right.abs()), "<Ju, v> = {left}, <u, Jᵀv> = {right}");
    Ok(())
}

/// For an op linear in its first input: J u exactly, as op(x + u) − op(x), at steps of order 1.
fn linear_adjoint(network: &Network<f64>, inputs: &[Tensor<f64>], draw: &mut Draw) -> Result<(), TestCaseError> {
    let run = |x: Tensor<f64>| network.run(&[&[x], &inputs[1..]].concat()).unwrap().output().clone();
    let u = draw.tensor(inputs[0].shape());
    let ju = (&run((&inputs[0] + &u).into_shared()) - &run(inputs[0].clone())).into_shared();
    let v = draw.tensor(ju.shape());
    let jtv = &plain_gradients(network, inputs, &v, Mode::Evaluation)[0];
    let (left, right) = (dot(&ju, &v), dot(&u, jtv));
    prop_assert!((left - right).abs() <= 1e-12 * (1.0 + dot(&ju, &ju).sqrt() * dot(&v, &v).sqrt()), "{left} against {right}");
    Ok(())
}

/// All three properties of an op.
fn all(network: &Network<f64>, inputs: &[Tensor<f64>], draw: &mut Draw, linear: bool) -> Result<(), TestCaseError> {
    let shape = network.run(inputs).unwrap().output().shape().to_vec();
    elementwise_differences(network, inputs, &draw.tensor(&shape), Mode::Evaluation)?;
    adjoint(network, inputs, draw, Mode::Evaluation)?;
    if linear { linear_adjoint(network, inputs, draw) } else { Ok(()) }
}

/// The value of an op against what a definition says of each index of its output.
fn value(network: &Network<f64>, inputs: &[Tensor<f64>], definition: impl Fn(&[usize]) -> f64) -> Result<(), TestCaseError> {
    let run = network.run(inputs).unwrap();
    let output = run.output();
    for (index, found) in output.indexed_iter() {
        let expected = definition(ndarray::Dimension::slice(&index));
        prop_assert!((found - expected).abs() <= 1e-12 * (1.0 + expected.abs()), "at {index:?}: {found}, expected {expected}");
    }
    // What `predict` keeps fewer values for is the same number.
    let predicted = network.predict(inputs).unwrap();
    prop_assert_eq!(slice(&predicted), slice(output));
    Ok(())
}

/// A convolution to try.
#[derive(Debug, Clone)]
struct ConvCase {
    batch: usize,
    channels: (usize, usize),
    len: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: (usize, usize),
    bias: bool,
    seed: u64,
}

fn conv_case() -> impl Strategy<Value = ConvCase> {
    let sizes = (1usize..4, 1usize..4, 1usize..4, 1usize..20);
    let steps = (1usize..8, 1usize..5, 1usize..4, (0usize..7, 0usize..7));
    (sizes, steps, any::<bool>(), any::<u64>())
        .prop_map(|((batch, c_in, c_out, len), (kernel, stride, dilation, padding), bias, seed)| ConvCase {
            batch,
            channels: (c_in, c_out),
            len,
            kernel,
            stride,
            dilation,
            padding,
            bias,
            seed,
        })
        .prop_filter("the kernel fits", |case| (case.kernel - 1) * case.dilation < case.len + case.padding.0 + case.padding.1)
}

fn signal_shape() -> impl Strategy<Value = [usize; 3]> {
    (1usize..4, 1usize..4, 1usize..13).prop_map(|(n, c, l)| [n, c, l])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn conv1d(case in conv_case()) {
        let mut draw = Draw::new(case.seed);
        let (c_in, c_out) = case.channels;
        let x = draw.tensor(&[case.batch, c_in, case.len]);
        let mut weights = vec![draw.tensor(&[c_out, c_in, case.kernel])];
        if case.bias {
            weights.push(draw.tensor(&[c_out]));
        }
        let op = Op::Conv1d { stride: case.stride, dilation: case.dilation, padding: case.padding };
        let network = single(op, std::slice::from_ref(&x), &weights);
        value(&network, std::slice::from_ref(&x), |at| {
            let (n, o, t) = (at[0], at[1], at[2]);
            let mut sum = weights.get(1).map_or(0.0, |b| b[[o]]);
            for i in 0..c_in {
                for j in 0..case.kernel {
                    let s = (t * case.stride + j * case.dilation) as isize - case.padding.0 as isize;
                    if (0..case.len as isize).contains(&s) {
                        sum += weights[0][[o, i, j]] * x[[n, i, s as usize]];
                    }
                }
            }
            sum
        })?;
        all(&network, &[x], &mut draw, true)?;
    }

    #[test]
    fn linear((batch, features, outputs, bias, seed) in (1usize..5, 1usize..9, 1usize..5, any::<bool>(), any::<u64>())) {
        let mut draw = Draw::new(seed);
        let x = draw.tensor(&[batch, features]);
        let mut weights = vec![draw.tensor(&[outputs, features])];
        if bias {
            weights.push(draw.tensor(&[outputs]));
        }
        let network = single(Op::Linear, std::slice::from_ref(&x), &weights);
        value(&network, std::slice::from_ref(&x), |at| {
            weights.get(1).map_or(0.0, |b| b[[at[1]]]) + (0..features).map(|f| weights[0][[at[1], f]] * x[[at[0], f]]).sum::<f64>()
        })?;
        all(&network, &[x], &mut draw, true)?;
    }

    #[test]
    fn elementwise(shape in signal_shape(), slope in -0.5f64..1.5, seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let x = draw.spread(&shape).map(|v| 3.0 * v).into_shared();
        type Case = (Op, Box<dyn Fn(f64) -> f64>);
        let cases: [Case; 4] = [
            (Op::Relu, Box::new(|v: f64| v.max(0.0))),
            (Op::LeakyRelu { slope }, Box::new(move |v: f64| if v > 0.0 { v } else { slope * v })),
            (Op::Tanh, Box::new(f64::tanh)),
            (Op::Sigmoid, Box::new(|v: f64| 1.0 / (1.0 + (-v).exp()))),
        ];
        for (op, definition) in cases {
            let network = single(op, std::slice::from_ref(&x), &[]);
            value(&network, std::slice::from_ref(&x), |at| definition(x[at]))?;
            all(&network, std::slice::from_ref(&x), &mut draw, false)?;
        }
    }

    #[test]
    fn add_and_multiply(shape in signal_shape(), seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let pair = [draw.tensor(&shape), draw.tensor(&shape)];
        for (op, linear) in [(Op::Add, true), (Op::Multiply, true)] {
            let network = single(op.clone(), &pair, &[]);
            value(&network, &pair, |at| match op {
                Op::Add => pair[0][at] + pair[1][at],
                _ => pair[0][at] * pair[1][at],
            })?;
            all(&network, &pair, &mut draw, linear)?;
        }
    }

    #[test]
    fn pools([n, c, len] in signal_shape(), window in 1usize..6, stride in 1usize..5, seed in any::<u64>()) {
        prop_assume!(window <= len);
        let mut draw = Draw::new(seed);
        let x = draw.spread(&[n, c, len]);
        let part = |at: &[usize]| (0..window).map(|s| x[[at[0], at[1], at[2] * stride + s]]).collect::<Vec<f64>>();
        let average = single(Op::AvgPool1d { window, stride }, std::slice::from_ref(&x), &[]);
        value(&average, std::slice::from_ref(&x), |at| part(at).iter().sum::<f64>() / window as f64)?;
        all(&average, std::slice::from_ref(&x), &mut draw, true)?;
        let max = single(Op::MaxPool1d { window, stride }, std::slice::from_ref(&x), &[]);
        value(&max, std::slice::from_ref(&x), |at| part(at).into_iter().fold(f64::NEG_INFINITY, f64::max))?;
        all(&max, std::slice::from_ref(&x), &mut draw, false)?;
        let global = single(Op::GlobalAvgPool, std::slice::from_ref(&x), &[]);
        value(&global, std::slice::from_ref(&x), |at| (0..len).map(|t| x[[at[0], at[1], t]]).sum::<f64>() / len as f64)?;
        all(&global, std::slice::from_ref(&x), &mut draw, true)?;
    }

    #[test]
    fn shapes([n, c, len] in signal_shape(), more in prop::collection::vec(1usize..4, 0..4), factor in 1usize..5, seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let x = draw.tensor(&[n, c, len]);
        let up = single(Op::Upsample { factor }, std::slice::from_ref(&x), &[]);
        value(&up, std::slice::from_ref(&x), |at| x[[at[0], at[1], at[2] / factor]])?;
        all(&up, std::slice::from_ref(&x), &mut draw, true)?;
        let flat = single(Op::Flatten, std::slice::from_ref(&x), &[]);
        value(&flat, std::slice::from_ref(&x), |at| x[[at[0], at[1] / len, at[1] % len]])?;
        all(&flat, std::slice::from_ref(&x), &mut draw, true)?;
        let mut parts = vec![x];
        parts.extend(more.iter().map(|c| draw.tensor(&[n, *c, len])));
        let concat = single(Op::Concat, &parts, &[]);
        value(&concat, &parts, |at| {
            let mut channel = at[1];
            let part = parts.iter().find(|part| {
                let here = channel < part.shape()[1];
                channel -= if here { 0 } else { part.shape()[1] };
                here
            });
            part.unwrap()[[at[0], channel, at[2]]]
        })?;
        all(&concat, &parts, &mut draw, true)?;
    }

    #[test]
    fn batch_norm([n, c, len] in signal_shape(), flat in any::<bool>(), eps in 1e-6f64..0.1, seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let shape: &[usize] = if flat { &[n, c] } else { &[n, c, len] };
        let x = draw.tensor(shape);
        let variance = draw.tensor(&[c]).map(|v| 1.0 + 0.5 * v).into_shared();
        let weights = [draw.tensor(&[c]), draw.tensor(&[c]), draw.tensor(&[c]), variance];
        let network = single(Op::BatchNorm { eps, momentum: 0.1 }, std::slice::from_ref(&x), &weights);
        let of = |which: usize, at: &[usize]| weights[which][[at[1]]];
        value(&network, std::slice::from_ref(&x), |at| of(0, at) * (x[at] - of(2, at)) / (of(3, at) + eps).sqrt() + of(1, at))?;
        all(&network, std::slice::from_ref(&x), &mut draw, true)?;
        // Through the batch's own statistics, where there are at least two values a channel to have any.
        if x.len() / c > 1 {
            let seed = draw.tensor(shape);
            let spread = draw.spread(shape).map(|v| 2.0 * v).into_shared();
            elementwise_differences(&network, std::slice::from_ref(&spread), &seed, Mode::Training)?;
            adjoint(&network, &[spread], &mut draw, Mode::Training)?;
        }
    }
}

#[test]
fn batch_norm_in_training_is_pytorchs() {
    // torch 2.15, torch.nn.BatchNorm1d(2) in float64.
    let x = from_vec(&[2, 2, 3], vec![1.0, 2.0, 4.0, 0.5, -1.0, 3.0, -2.0, 0.25, 1.5, 2.0, -0.5, -3.0]);
    let two = |a: f64, b: f64| from_vec(&[2], vec![a, b]);
    let weights = [two(1.5, -0.5), two(0.25, -1.0), two(0.25, -0.5), two(2.0, 0.5)];
    let mut network = single(Op::BatchNorm { eps: 1e-5, momentum: 0.1 }, std::slice::from_ref(&x), &weights);
    let tape = network.run_in(std::slice::from_ref(&x), Mode::Training).unwrap();
    let y = [
        0.14657237644535948,
        0.9739933648824839,
        2.6288353417567327,
        -1.0845153168103714,
        -0.7041963911637004,
        -1.7183801928881561,
        -2.3356905888660138,
        -0.47399336488248384,
        0.5602828706639217,
        -1.4648342424570422,
        -0.8309693663792573,
        -0.19710449030147248,
    ];
    assert!(distance(slice(tape.output()), &y) < 1e-14);
    let v = from_vec(&[2, 2, 3], vec![1.0, -1.0, 0.5, 2.0, 0.0, -0.5, 0.0, 3.0, -2.0, 1.0, -1.5, 0.25]);
    let gradients = plain_gradients(&network, &[x], &v, Mode::Training);
    let gx = [
        0.6051581866025958,
        -0.9264233524696734,
        0.5612290057899724,
        -0.4495913134199231,
        0.036447272481102556,
        0.21936242092653216,
        -0.5920441152404672,
        2.16755483512536,
        -1.8154745598077877,
        -0.17499204802760693,
        0.4237839697815075,
        -0.055010301741612234,
    ];
    assert!(distance(slice(&gradients[0]), &gx) < 1e-14);
    assert!(distance(slice(&gradients[1]), &[-1.6203661023560354, 0.6549937052803776]) < 1e-14);
    assert!(distance(slice(&gradients[2]), &[1.5, 1.25]) < 1e-14);

    // Running averages: momentum 0.1, unbiased variance; twice, the second batch of one sample per example.
    network.update_running_averages(|id| tape.statistics(id)).unwrap();
    let running = |network: &Network<f64>| [&network.parameters()["p2"], &network.parameters()["p3"]].map(|p| slice(p).to_vec()).concat();
    assert!(distance(&running(&network), &[0.3375, -0.43333333333333335, 2.194375, 0.9166666666666667]) < 1e-15);
    let second = from_vec(&[2, 2], vec![3.0, 1.0, -1.0, 0.5]);
    let parameters: Vec<_> = network.parameters().into_values().collect();
    let mut network = single(Op::BatchNorm { eps: 1e-5, momentum: 0.1 }, std::slice::from_ref(&second), &parameters);
    let tape = network.run_in(&[second], Mode::Training).unwrap();
    network.update_running_averages(|id| tape.statistics(id)).unwrap();
    assert!(distance(&running(&network), &[0.40375000000000005, -0.315, 2.7749375, 0.8375]) < 1e-15);
}

#[test]
fn derivatives_at_the_kinks() {
    let x = from_vec(&[1, 1, 3], vec![0.0, -0.0, 1.0]);
    let ones = from_vec(&[1, 1, 3], vec![1.0; 3]);
    let at = |op: Op| {
        slice(&plain_gradients(&single(op, std::slice::from_ref(&x), &[]), std::slice::from_ref(&x), &ones, Mode::Evaluation)[0]).to_vec()
    };
    assert_eq!(at(Op::Relu), [0.0, 0.0, 1.0]);
    assert_eq!(at(Op::LeakyRelu { slope: 0.25 }), [0.25, 0.25, 1.0]);
    // Of equal maxima the first one takes it all, as in PyTorch.
    let ties = from_vec(&[1, 1, 4], vec![2.0, 2.0, 1.0, 1.0]);
    let pool = single(Op::MaxPool1d { window: 2, stride: 2 }, std::slice::from_ref(&ties), &[]);
    let g = plain_gradients(&pool, &[ties], &from_vec(&[1, 1, 2], vec![3.0, 5.0]), Mode::Evaluation);
    assert_eq!(slice(&g[0]), [3.0, 0.0, 5.0, 0.0]);
}

#[test]
fn sigmoid_and_tanh_do_not_overflow() {
    let x = from_vec(&[1, 4], vec![-1e4, -800.0, 800.0, 1e4]);
    for (op, low) in [(Op::Sigmoid, 0.0), (Op::Tanh, -1.0)] {
        let network = single(op, std::slice::from_ref(&x), &[]);
        assert_eq!(slice(network.run(std::slice::from_ref(&x)).unwrap().output()), [low, low, 1.0, 1.0]);
        let g = plain_gradients(&network, std::slice::from_ref(&x), &from_vec(&[1, 4], vec![1.0; 4]), Mode::Evaluation);
        assert_eq!(slice(&g[0]), [0.0; 4]);
        assert_eq!(slice(network.cast::<f32>().run(&[cardiograd::tape::cast(&x)]).unwrap().output()), [low as f32, low as f32, 1.0, 1.0]);
    }
}

/// conv → the op → mean over time → linear.
fn around(op: Op) -> Network<f64> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(3), Some(20)]);
    let conv = build.conv1d("conv", x, ConvLayer::same(3, 4, 5));
    let own = build.node("own", op, &[conv]);
    let mean = build.node("mean", Op::GlobalAvgPool, &[own]);
    let y = build.linear("fc", mean, 4, 2, true);
    let program = build.finish(y).unwrap();
    let parameters = common::parameters(&program, &mut Draw::new(3));
    Network::new(program, parameters).unwrap()
}

/// An op that is made in the tests, outside of the crate, runs in both precisions, has its derivative, and is right under every method by its class
/// (its trace: `trace.rs`).
#[test]
fn an_op_of_ones_own_runs_explains_and_audits() {
    use cardiograd::attribution::{Explainer, Method, Settings};
    let network = around(softsign());
    let mut draw = Draw::new(4);
    let x = draw.tensor(&[2, 3, 20]);
    let found = network.predict(std::slice::from_ref(&x)).unwrap();
    let single = network.cast::<f32>().predict(&[cast(&x)]).unwrap();
    assert!(distance(slice(&cast::<f32, f64>(&single)), slice(&found)) < 1e-5);
    let alone = common::single(softsign(), std::slice::from_ref(&x), &[]);
    all(&alone, std::slice::from_ref(&x), &mut draw, false).unwrap();

    let settings = Settings { steps: 200, samples: Some(3), multiply_by_inputs: true, ..Settings::default() };
    let methods: Vec<Method> = Method::ALL
        .iter()
        .copied()
        .filter(|method| !matches!(method, Method::Deconvolution | Method::GuidedBackprop | Method::GuidedGradCam))
        .collect();
    let maps = Explainer::new(&network, &settings).unwrap().explain(&x, &[0, 1], &methods, &cardiograd::progress::silent).unwrap();
    let base = network.predict(&[cardiograd::tape::zeros(&[1, 3, 20])]).unwrap()[[0, 0]];
    for (method, map) in &maps.maps {
        assert!(slice(map).iter().all(|v| v.is_finite()), "{method}");
        let bound = match method {
            Method::DeepLift => 1e-9,
            Method::IntegratedGradients => 1e-4,
            _ => continue,
        };
        for (n, map) in map.outer_iter().enumerate() {
            assert!((map.sum() - (found[[n, 0]] - base)).abs() < bound, "{method} is complete");
        }
    }

    let check = cardiograd::audit::definitions::definitions(network.program(), &network.run(&[x]).unwrap(), 1);
    assert!(check.passed, "{check:?}");
}

/// An op of which no rule knows more than its derivative is refused by name where a method needs to know more, and nowhere else.
#[test]
fn an_op_of_no_known_class_is_refused_by_name_where_a_rule_is_needed() {
    use cardiograd::attribution::{Explainer, Method, Settings};
    let network = around(unit_rows());
    let mut draw = Draw::new(5);
    let x = draw.tensor(&[1, 3, 20]);
    all(&common::single(unit_rows(), std::slice::from_ref(&x), &[]), std::slice::from_ref(&x), &mut draw, false).unwrap();
    let settings = Settings { steps: 100, samples: Some(2), ..Settings::default() };
    let explain = |method: Method| Explainer::new(&network, &settings).unwrap().explain(&x, &[0], &[method], &cardiograd::progress::silent);
    for method in [
        Method::Saliency,
        Method::DeepLift,
        Method::InputXGradient,
        Method::IntegratedGradients,
        Method::SmoothGrad,
        Method::GradCam,
        Method::Occlusion,
    ] {
        explain(method).unwrap_or_else(|error| panic!("{method}: {error}"));
    }
    for method in [Method::LrpEpsilon, Method::LrpGamma, Method::LrpZPlus, Method::LrpComposite] {
        let error = explain(method).err().unwrap_or_else(|| panic!("{method} acts")).to_string();
        assert!(error.contains("node 'own' (unit_rows)"), "{method}: {error}");
    }
    // On a branch that the output does not depend on it hinders nobody.
    let mut build = Builder::new();
    let x_node = build.input("x", &[Some(3), Some(20)]);
    build.node("aside", unit_rows(), &[x_node]);
    let mean = build.node("mean", Op::GlobalAvgPool, &[x_node]);
    let y = build.linear("fc", mean, 3, 1, true);
    let program = build.finish(y).unwrap();
    let aside = Network::new(program.clone(), common::parameters(&program, &mut draw)).unwrap();
    Explainer::new(&aside, &settings).unwrap().explain(&x, &[0], &[Method::LrpEpsilon], &cardiograd::progress::silent).unwrap();
}

/// Its definition is another account of it than its arithmetic, so that audits catch one that does not do what it says.
#[test]
fn an_op_that_does_otherwise_than_its_definition_fails_the_audit() {
    let network = around(Op::custom("unit_rows", UnitRows { off: 1e-3 }));
    let x = Draw::new(6).tensor(&[1, 3, 20]);
    let check = cardiograd::audit::definitions::definitions(network.program(), &network.run(&[x]).unwrap(), 1);
    assert!(!check.passed && check.detail.contains("node 'own' (unit_rows)"), "{check:?}");
}

/// Who reads a program file has only the crate's ops.
#[test]
fn an_op_of_ones_own_has_no_place_in_files_and_none_in_plans() {
    let network = around(softsign());
    let error = serde_json::to_string(network.program()).unwrap_err().to_string();
    assert!(error.contains("'softsign' is defined outside of cardiograd"), "{error}");
    assert!(serde_json::from_str::<Op>("\"custom\"").is_err() && serde_json::from_str::<Op>("\"softsign\"").is_err());
    let text = network.cast::<f32>().plan_text(&[3, 20]);
    assert!(text.contains("node 'own' (softsign): plans have no step for it; 1 of 4 nodes stand before it"), "{text}");
}

/// Values of a shape, none near another or near a kink.
fn apart(draw: &mut Draw, shape: &[usize]) -> Tensor<f64> {
    draw.spread(shape).map(|v| 3.7 * v).into_shared()
}

/// Each against its definition, its derivative against differences and the adjoint identity, both precisions against one another.
#[test]
fn more_ops_are_their_definitions_and_have_their_derivatives() {
    for (at, (op, signals, parameters)) in more_ops().into_iter().enumerate() {
        let draw = &mut Draw::new(at as u64);
        let x: Vec<Tensor<f64>> = signals.iter().map(|shape| apart(draw, &[&[2], &shape[..]].concat())).collect();
        let weights: Vec<Tensor<f64>> = parameters.iter().map(|shape| apart(draw, shape)).collect();
        let network = single(op.clone(), &x, &weights);
        let run = network.run(&x).unwrap_or_else(|error| panic!("{op}: {error}"));
        let check = cardiograd::audit::definitions::definitions(network.program(), &run, 1);
        assert!(check.passed, "{op}: {check:?}");
        all(&network, &x, draw, op.class().is_linear() && signals.len() == 1).unwrap_or_else(|error| panic!("{op}: {error}"));
        let single = network.cast::<f32>().predict(&x.iter().map(cast).collect::<Vec<_>>()).unwrap();
        assert!(distance(slice(&cast::<f32, f64>(&single)), slice(run.output())) < 1e-5, "{op}");
        // An example does not know its batch.
        for n in 0..2 {
            let alone: Vec<Tensor<f64>> =
                x.iter().map(|x| x.slice_axis(ndarray::Axis(0), (n..=n).into()).to_owned().into_shared()).collect();
            let found = network.predict(&alone).unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), run.output().index_axis(ndarray::Axis(0), n).iter().collect::<Vec<_>>(), "{op}");
        }
    }
}

/// Networks with each op in the middle, both its signals computed from the input: DeepLIFT is complete, LRP acts or refuses by name, files keep the program.
#[test]
fn more_ops_are_complete_under_deeplift_and_known_or_refused_by_lrp() {
    use cardiograd::attribution::{Explainer, MaxPoolRule, Method, Settings};
    let settings = Settings { max_pool: MaxPoolRule::Exact, multiply_by_inputs: true, ..Settings::default() };
    let divide = (Op::Divide, vec![vec![3, 7], vec![3, 1]], vec![]);
    for (at, (op, signals, parameters)) in more_ops().into_iter().chain([divide]).enumerate() {
        let draw = &mut Draw::new(100 + at as u64);
        let mut build = Builder::new();
        let x = build.input("x", &[Some(2), Some(9)]);
        let mut inputs = Vec::new();
        for (n, shape) in signals.iter().enumerate() {
            let flat = build.node(format!("flat{n}"), Op::Flatten, &[x]);
            let size = shape.iter().product();
            let drawn = build.linear(&format!("fc{n}"), flat, 18, size, true);
            // A divisor stays away from 0.
            let drawn = if op == Op::Divide && n == 1 { build.node("positive", Op::Softplus { beta: 1.0 }, &[drawn]) } else { drawn };
            inputs.push(build.node(format!("shape{n}"), Op::Reshape { shape: shape.iter().map(|n| Some(*n)).collect() }, &[drawn]));
        }
        for (n, shape) in parameters.iter().enumerate() {
            inputs.push(build.parameter(format!("p{n}"), shape, true));
        }
        let own = build.node("own", op.clone(), &inputs);
        let flat = build.node("flat", Op::Reshape { shape: vec![None] }, &[own]);
        let shapes: Vec<Vec<usize>> = signals.iter().map(|shape| [&[1], &shape[..]].concat()).chain(parameters.clone()).collect();
        let features = op.output_shape(&shapes.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap()[1..].iter().product();
        let y = build.linear("head", flat, features, 1, true);
        let program = build.finish(y).unwrap();
        let text = serde_json::to_string(&program).unwrap();
        assert_eq!(cardiograd::nn::parse_program(&text).unwrap_or_else(|faults| panic!("{op}: {faults:?}")), program);
        let bytes = bincode::serde::encode_to_vec(&program, bincode::config::standard()).unwrap();
        let back = bincode::serde::decode_from_slice::<cardiograd::tape::Program, _>(&bytes, bincode::config::standard()).unwrap().0;
        assert_eq!(back, program);
        let network = Network::new(program.clone(), common::parameters(&program, draw)).unwrap();
        let x = draw.tensor(&[2, 2, 9]).map(|v| 2.0 * v).into_shared();
        let f = network.predict(std::slice::from_ref(&x)).unwrap();
        let base = network.predict(&[cardiograd::tape::zeros(&[1, 2, 9])]).unwrap();
        let explain = |method| Explainer::new(&network, &settings).unwrap().explain(&x, &[0, 1], &[method], &cardiograd::progress::silent);
        let map = explain(Method::DeepLift).unwrap_or_else(|error| panic!("{op}: {error}")).maps.remove(0).1;
        for (n, map) in map.outer_iter().enumerate() {
            let wanted = f[[n, 0]] - base[[0, 0]];
            assert!((map.sum() - wanted).abs() < 1e-9 * (1.0 + wanted.abs()), "{op}: {} for {wanted}", map.sum());
        }
        for method in [Method::LrpEpsilon, Method::LrpZPlus, Method::LrpGamma] {
            match explain(method) {
                Ok(found) => assert!(slice(&found.maps[0].1).iter().all(|v| v.is_finite()), "{op} under {method}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(op.class() == cardiograd::tape::OpClass::Other && error.contains("node 'own'"), "{op} under {method}: {error}");
                }
            }
        }
    }
}
