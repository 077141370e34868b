//! What the methods promise: completeness, invariance to how a function is written, and closed forms on linear models.

mod common;

use cardiograd::attribution::{Baseline, Completeness, Explainer, Explanations, Interpolation, MaxPoolRule, Method, Settings};
use cardiograd::progress;
use cardiograd::tape::{Builder, ConvLayer, Network, Node, NodeId, Op, OpKind, Parameters, Program, Tensor, from_vec, slice};
use common::{Draw, Kinks, distance, residual_network};
use proptest::prelude::*;

fn explain(network: &Network<f64>, x: &Tensor<f64>, settings: &Settings, methods: &[Method]) -> Explanations<f64> {
    let ids: Vec<u64> = (0..x.shape()[0] as u64).collect();
    Explainer::new(network, settings).unwrap().explain(x, &ids, methods, &progress::silent).unwrap()
}

/// Σ of each ECG's map.
fn sums(map: &Tensor<f64>) -> Vec<f64> {
    let size = map.len() / map.shape()[0];
    slice(map).chunks(size).map(|map| map.iter().sum()).collect()
}

fn output(network: &Network<f64>, x: &Tensor<f64>) -> Vec<f64> {
    slice(network.run(std::slice::from_ref(x)).unwrap().output()).to_vec()
}

/// The baseline of each ECG as an input of its own.
fn baselines(baseline: &Baseline, x: &Tensor<f64>) -> Tensor<f64> {
    let (leads, len) = (x.shape()[1], x.shape()[2]);
    let mut all = x.clone();
    for ((n, lead, t), v) in all.view_mut().into_dimensionality::<ndarray::Ix3>().unwrap().indexed_iter_mut() {
        *v = match baseline {
            Baseline::Zero => 0.0,
            Baseline::Values(values) => values[[lead, t]],
            Baseline::Mean => (0..len).map(|t| x[[n, lead, t]]).sum::<f64>() / len as f64,
        };
    }
    assert_eq!(all.shape()[1], leads);
    all
}

fn any_baseline(draw: &mut Draw, leads: usize, len: usize) -> Baseline {
    match draw.below(3) {
        0 => Baseline::Zero,
        1 => Baseline::Mean,
        _ => Baseline::Values(ndarray::Array2::from_shape_vec((leads, len), draw.vec(leads * len)).unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deeplift_is_complete(seed in any::<u64>(), leads in 1usize..4, len in 6usize..24, blocks in 1usize..4) {
        // Residual nets with ReLU, leaky ReLU, tanh, sigmoid, max-pooling, products, skips, concatenation and shared layers.
        let network = residual_network(seed, leads, len, blocks, Kinks::All, 1);
        let mut draw = Draw::new(!seed);
        let x = draw.tensor(&[3, leads, len]);
        let baseline = any_baseline(&mut draw, leads, len);
        let base = baselines(&baseline, &x);
        let (at_x, at_base) = (output(&network, &x), output(&network, &base));
        for multiply_by_inputs in [true, false] {
            let settings = Settings { baseline: baseline.clone(), multiply_by_inputs, max_pool: MaxPoolRule::Exact, ..Settings::default() };
            let found = explain(&network, &x, &settings, &[Method::DeepLift]);
            let map = found.map(Method::DeepLift).unwrap();
            let total = if multiply_by_inputs { sums(map) } else { sums(&(map * &(&x - &base)).into_shared()) };
            for n in 0..3 {
                let difference = at_x[n] - at_base[n];
                prop_assert!((total[n] - difference).abs() <= 1e-9 * (1.0 + difference.abs()), "{} against {difference}", total[n]);
                let Completeness { sum, difference: reported } = found.completeness[0].1[n];
                prop_assert!((sum - total[n]).abs() < 1e-12 * (1.0 + sum.abs()) && (reported - difference).abs() < 1e-12 * (1.0 + sum.abs()));
            }
        }
    }

    #[test]
    fn integrated_gradients_of_smooth_networks_are_complete(seed in any::<u64>(), len in 6usize..16) {
        let network = residual_network(seed, 2, len, 2, Kinks::Smooth, 1);
        let mut draw = Draw::new(!seed);
        let x = draw.tensor(&[2, 2, len]);
        let settings = Settings { baseline: any_baseline(&mut draw, 2, len), multiply_by_inputs: true, ..Settings::default() };
        let found = explain(&network, &x, &settings, &[Method::IntegratedGradients]);
        for complete in &found.completeness[0].1 {
            prop_assert!((complete.sum - complete.difference).abs() < 1e-6 * (1.0 + complete.difference.abs()), "{complete:?}");
        }
    }

    #[test]
    fn the_same_function_written_otherwise_has_the_same_maps(seed in any::<u64>(), len in 4usize..20) {
        let mut draw = Draw::new(seed);
        let network = residual_network(seed, 2, len, 2, Kinks::Relu, 1);
        let again = rewritten(&network, &mut draw);
        prop_assert!(again.program().nodes().len() > network.program().nodes().len());
        let x = draw.tensor(&[2, 2, len]);
        let methods = [
            Method::Saliency,
            Method::InputXGradient,
            Method::SmoothGrad,
            Method::IntegratedGradients,
            Method::GradientShap,
            Method::DeepLift,
            Method::Deconvolution,
            Method::GuidedBackprop,
        ];
        let settings = Settings { baseline: any_baseline(&mut draw, 2, len), samples: Some(4), steps: 6, ..Settings::default() };
        let (one, two) = (explain(&network, &x, &settings, &methods), explain(&again, &x, &settings, &methods));
        for method in methods {
            prop_assert!(distance(slice(two.map(method).unwrap()), slice(one.map(method).unwrap())) < 1e-8, "{method}");
        }
    }
}

/// Before every ReLU a batch norm and its inverse, each ReLU's output split in two halves that are added again.
fn rewritten(network: &Network<f64>, draw: &mut Draw) -> Network<f64> {
    let program = network.program();
    let mut values = network.parameters();
    let mut nodes: Vec<Node> = Vec::new();
    let mut place = Vec::new();
    let widths = program.shapes(&[input_shape(program)]).unwrap();
    for id in program.ids() {
        let node = program.node(id);
        let mut inputs: Vec<NodeId> = node.inputs.iter().map(|input| place[input.0]).collect();
        if node.op == Op::Relu {
            let channels = widths[id.0][1];
            let scale: Vec<f64> = draw.vec(channels).into_iter().map(|v| 1.5 + v).collect();
            for (part, gamma) in [("there", scale.clone()), ("back", scale.iter().map(|v| 1.0 / v).collect())] {
                let name = format!("{}.{part}", node.name);
                let mut reads = inputs.clone();
                for (what, value) in [
                    ("weight", gamma),
                    ("bias", vec![0.0; channels]),
                    ("running_mean", vec![0.0; channels]),
                    ("running_var", vec![1.0; channels]),
                ] {
                    let full = format!("{name}.{what}");
                    nodes.push(Node { name: full.clone(), op: Op::Parameter { shape: vec![channels], trainable: true }, inputs: vec![] });
                    values.insert(full, from_vec(&[channels], value));
                    reads.push(NodeId(nodes.len() - 1));
                }
                nodes.push(Node { name, op: Op::BatchNorm { eps: 0.0, momentum: 0.1 }, inputs: reads });
                inputs = vec![NodeId(nodes.len() - 1)];
            }
        }
        nodes.push(Node { name: node.name.clone(), op: node.op.clone(), inputs });
        place.push(NodeId(nodes.len() - 1));
    }
    Network::new(Program::new(nodes, place[program.output().0]).unwrap(), values).unwrap()
}

fn input_shape(program: &Program) -> Vec<usize> {
    let Op::Input { shape } = &program.node(program.inputs()[0]).op else { unreachable!() };
    std::iter::once(1).chain(shape.iter().map(|n| n.unwrap())).collect()
}

#[test]
fn integrated_gradients_converge_through_kinks() {
    for seed in 0..4 {
        let network = residual_network(seed, 2, 16, 2, Kinks::All, 1);
        let x = Draw::new(seed).tensor(&[1, 2, 16]);
        let error = |steps: usize| {
            let settings = Settings { steps, multiply_by_inputs: true, ..Settings::default() };
            explain(&network, &x, &settings, &[Method::IntegratedGradients]).completeness[0].1[0].relative_error()
        };
        let (few, many) = (error(3), error(1000));
        assert!(many < 1e-3 && many <= few, "seed {seed}: {few} with 3 steps, {many} with 1000");
    }
}

#[test]
fn relu_as_a_leaky_relu_of_slope_zero() {
    let network = residual_network(8, 2, 12, 2, Kinks::Relu, 1);
    let mut nodes = network.program().nodes().to_vec();
    nodes.iter_mut().filter(|node| node.op == Op::Relu).for_each(|node| node.op = Op::LeakyRelu { slope: 0.0 });
    let leaky = Network::new(Program::new(nodes, network.program().output()).unwrap(), network.parameters()).unwrap();
    let x = Draw::new(8).tensor(&[2, 2, 12]);
    let methods = [Method::Saliency, Method::DeepLift, Method::IntegratedGradients];
    let settings = Settings::default();
    let (one, two) = (explain(&network, &x, &settings, &methods), explain(&leaky, &x, &settings, &methods));
    for method in methods {
        assert!(distance(slice(two.map(method).unwrap()), slice(one.map(method).unwrap())) < 1e-12, "{method}");
    }
}

/// Integrated gradients keep Captum's weights, which are rounded to f32 and so sum to 1 only to 1e-7.
fn tolerance(method: Method) -> f64 {
    if method == Method::IntegratedGradients { 1e-7 } else { 1e-12 }
}

/// A linear network with every linear op, and its coefficients found by asking it for each unit vector.
fn linear_network(draw: &mut Draw, leads: usize, len: usize) -> (Network<f64>, Vec<f64>) {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(leads), Some(len)]);
    let conv = build.conv1d("conv", x, ConvLayer { dilation: 2, padding: (3, 1), ..ConvLayer::same(leads, 3, 3) });
    let norm = build.batch_norm("bn", conv, 3);
    let sum = build.node("add", Op::Add, &[norm, conv]);
    let both = build.node("concat", Op::Concat, &[sum, conv]);
    let up = build.node("up", Op::Upsample { factor: 3 }, &[both]);
    let pool = build.node("pool", Op::AvgPool1d { window: 4, stride: 2 }, &[up]);
    let out = (3 * len - 4) / 2 + 1;
    let flat = build.node("flat", Op::Flatten, &[pool]);
    let y = build.linear("fc", flat, 6 * out, 1, true);
    let program = build.finish(y).unwrap();
    let values = common::parameters(&program, draw);
    let network = Network::new(program, values).unwrap();
    let at_zero = output(&network, &cardiograd::tape::zeros(&[1, leads, len]))[0];
    let coefficient = |at: usize| {
        let mut unit = vec![0.0; leads * len];
        unit[at] = 1.0;
        output(&network, &from_vec(&[1, leads, len], unit))[0] - at_zero
    };
    let coefficients = (0..leads * len).map(coefficient).collect();
    (network, coefficients)
}

#[test]
fn linear_models_have_closed_forms() {
    let mut draw = Draw::new(21);
    let (leads, len) = (2, 7);
    let (network, w) = linear_network(&mut draw, leads, len);
    let x = draw.tensor(&[1, leads, len]);
    let values = ndarray::Array2::from_shape_vec((leads, len), draw.vec(leads * len)).unwrap();
    let (n, noise) = (5, draw.vec(5 * leads * len));
    let noise_mean: Vec<f64> = (0..leads * len).map(|at| noise.iter().skip(at).step_by(leads * len).sum::<f64>() / n as f64).collect();
    let plain = Settings {
        baseline: Baseline::Values(values.clone()),
        samples: Some(n),
        draws: Some(ndarray::Array3::from_shape_vec((n, leads, len), noise).unwrap()),
        ..Settings::default()
    };
    let scaled = Settings { multiply_by_inputs: true, absolute: Some(false), ..plain.clone() };
    let each = |f: &dyn Fn(usize) -> f64| (0..w.len()).map(f).collect::<Vec<f64>>();
    let (xs, bs) = (slice(&x).to_vec(), values.iter().copied().collect::<Vec<f64>>());
    let cases: [(Method, &Settings, Vec<f64>); 10] = [
        (Method::Saliency, &plain, w.clone()),
        (Method::InputXGradient, &plain, each(&|at| w[at] * xs[at])),
        (Method::SmoothGrad, &plain, each(&|at| w[at].abs())),
        (Method::SmoothGrad, &scaled, w.clone()),
        (Method::IntegratedGradients, &plain, w.clone()),
        (Method::IntegratedGradients, &scaled, each(&|at| w[at] * (xs[at] - bs[at]))),
        (Method::GradientShap, &plain, w.clone()),
        (Method::GradientShap, &scaled, each(&|at| w[at] * (xs[at] + noise_mean[at] - bs[at]))),
        (Method::DeepLift, &plain, w.clone()),
        (Method::DeepLift, &scaled, each(&|at| w[at] * (xs[at] - bs[at]))),
    ];
    for (method, settings, expected) in cases {
        let found = explain(&network, &x, settings, &[method]);
        assert!(distance(slice(found.map(method).unwrap()), &expected) < tolerance(method), "{method}");
    }
    // Without a ReLU the two ReLU methods have nothing to act on: an error, not the plain gradient under another name.
    for method in [Method::Deconvolution, Method::GuidedBackprop, Method::GuidedGradCam] {
        let error = Explainer::new(&network, &plain).unwrap().explain(&x, &[0], &[method], &progress::silent).unwrap_err().to_string();
        assert!(error.contains("acts nowhere in this program"), "{method}: {error}");
    }
}

#[test]
fn linear_where_every_relu_is_open() {
    // Large biases keep every ReLU open: guided backprop and deconvolution differ from the gradient only by the signs they drop, and with
    // positive weights behind the ReLUs they drop none.
    let mut draw = Draw::new(3);
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), Some(6)]);
    let conv = build.conv1d("conv", x, ConvLayer::same(2, 4, 3));
    let relu = build.relu("relu", conv);
    let pool = build.node("pool", Op::GlobalAvgPool, &[relu]);
    let y = build.linear("fc", pool, 4, 1, true);
    let program = build.finish(y).unwrap();
    let mut values = common::parameters(&program, &mut draw);
    values.insert("conv.bias".into(), from_vec(&[4], vec![100.0; 4]));
    let positive: Parameters<f64> = [("fc.weight".to_owned(), values["fc.weight"].map(|v| v.abs()).into_shared())].into();
    values.extend(positive);
    let network = Network::new(program, values).unwrap();
    let x = draw.tensor(&[1, 2, 6]);
    let methods = [Method::Saliency, Method::Deconvolution, Method::GuidedBackprop, Method::DeepLift, Method::IntegratedGradients];
    let settings = Settings::default();
    let found = explain(&network, &x, &settings, &methods);
    let gradient = slice(found.map(Method::Saliency).unwrap());
    for method in [Method::Deconvolution, Method::GuidedBackprop] {
        assert!(distance(slice(found.map(method).unwrap()), gradient) < 1e-14, "{method}");
    }
    // Against a zero baseline too, where the ReLUs are open as well.
    for method in [Method::DeepLift, Method::IntegratedGradients] {
        assert!(distance(slice(found.map(method).unwrap()), gradient) < tolerance(method), "{method}");
    }
}

#[test]
fn a_layer_of_gradcam_must_have_time_and_influence() {
    let network = residual_network(2, 2, 16, 1, Kinks::Relu, 1);
    let x = Draw::new(2).tensor(&[1, 2, 16]);
    let attempt = |layer: &str| {
        let settings = Settings { layer: Some(layer.into()), ..Settings::default() };
        let explainer = Explainer::new(&network, &settings).map_err(|error| error.to_string())?;
        explainer.explain(&x, &[0], &[Method::GradCam], &progress::silent).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(attempt("block0.conv1"), Ok(()));
    assert_eq!(attempt("x"), Ok(()));
    assert!(attempt("block7.conv1").unwrap_err().contains("'block7.conv1' is the name of no layer: the convolutions are stem"));
    assert!(attempt("stem.weight").unwrap_err().contains("'stem.weight' is a parameter, not a layer"));
    assert!(attempt("fc").unwrap_err().contains("Grad-CAM needs a layer of shape (N, C, T)"));
    // A program that ends before its last convolutions: the default is the last one before the output, and later ones cannot be asked for.
    let early = network.with_output(network.program().find("block0.act1").unwrap()).unwrap();
    assert!(early.program().of_kind(OpKind::Conv1d).len() > 2);
    let mut build = Builder::new();
    let input = build.input("x", &[Some(2), Some(16)]);
    let used = build.conv1d("used", input, ConvLayer::same(2, 2, 3));
    let pool = build.node("pool", Op::GlobalAvgPool, &[used]);
    let y = build.linear("fc", pool, 2, 1, true);
    build.conv1d("idle", input, ConvLayer::same(2, 2, 3));
    let program = build.finish(y).unwrap();
    let values = common::parameters(&program, &mut Draw::new(1));
    let network = Network::new(program, values).unwrap();
    let with =
        |layer: Option<&str>| Settings { layer: layer.map(str::to_owned), interpolation: Interpolation::Nearest, ..Settings::default() };
    let (default, used, idle) = (with(None), with(Some("used")), with(Some("idle")));
    let maps = [&default, &used].map(|settings| explain(&network, &x, settings, &[Method::GradCam]).maps[0].1.clone());
    assert_eq!(slice(&maps[0]), slice(&maps[1]));
    let error = Explainer::new(&network, &idle).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("Grad-CAM at 'idle': the output does not depend on this node"), "{error}");
}

/// x (1, 2) → conv of `first` (2 channels, one tap) → mean over time → linear of `last`.
fn extreme(first: [f64; 2], last: [f64; 2]) -> Network<f64> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(1), Some(2)]);
    let conv = build.conv1d("conv", x, ConvLayer { bias: false, ..ConvLayer::same(1, 2, 1) });
    let mean = build.node("mean", Op::GlobalAvgPool, &[conv]);
    let y = build.linear("fc", mean, 2, 1, false);
    let parameters =
        [("conv.weight".to_owned(), from_vec(&[2, 1, 1], first.to_vec())), ("fc.weight".to_owned(), from_vec(&[1, 2], last.to_vec()))];
    Network::new(build.finish(y).unwrap(), parameters.into()).unwrap()
}

#[test]
fn what_overflows_is_refused_and_never_laundered() {
    let attempt = |network: &Network<f64>, x: [f64; 2], settings: &Settings, method: Method| {
        let x = from_vec(&[1, 1, 2], x.to_vec());
        let found = Explainer::new(network, settings).unwrap().explain(&x, &[7], &[method], &progress::silent);
        found.map(|_| ()).unwrap_err().to_string()
    };
    let settings = Settings::default();
    // ∞ − ∞ on the way to the output.
    let network = extreme([1e200, 1e200], [1e200, -1e200]);
    for method in Method::ALL {
        let error = attempt(&network, [1e200, 1e200], &settings, method);
        assert!(error.starts_with("ECG 7: the network gives NaN at the ECG itself in f64"), "{method}: {error}");
    }
    // At the baseline and on the way from it alone.
    let far = Settings { baseline: Baseline::Values(ndarray::arr2(&[[1e200, 1e200]])), ..Settings::default() };
    let mild = extreme([1e150, 1e150], [1.0, -1.0]);
    let error = attempt(&mild, [1.0, 1.0], &far, Method::IntegratedGradients);
    assert!(error.starts_with("ECG 7: the network gives NaN at a sampled input"), "{error}");
    let error = attempt(&mild, [1.0, 1.0], &far, Method::DeepLift);
    assert!(error.starts_with("ECG 7: the network gives NaN at the baseline"), "{error}");
    assert!(attempt(&mild, [1.0, 1.0], &far, Method::Occlusion).starts_with("ECG 7, an occluded input: the network gives NaN"));
    // The mean over time is 0, the weighted activation ∞ − ∞: a rectifier would make it 0.
    let error = attempt(&network, [1.0, -1.0], &settings, Method::GradCam);
    assert!(error.starts_with("ECG 7, method gradcam: the map is not finite"), "{error}");
    // Gradients whose squares overflow.
    let error = attempt(&extreme([1e200, 0.0], [1.0, 0.0]), [1.0, 2.0], &settings, Method::VarGrad);
    assert!(error.starts_with("ECG 7, method vargrad: the map is not finite"), "{error}");
}

/// ECG and numbers, joined before the last layers; with `whole` as one input that holds both.
fn with_numbers(whole: bool) -> (Network<f64>, Network<f64>) {
    let program = |whole: bool| {
        let mut build = Builder::new();
        let (numbers, ecg) = if whole {
            let all = build.input("all", &[Some(1), Some(24 + 3)]);
            let ecg = build.node("cut", Op::Crop { axis: 2, before: 0, after: 3, step: 1 }, &[all]);
            let ecg = build.node("ecg", Op::Reshape { shape: vec![Some(2), Some(12)] }, &[ecg]);
            let numbers = build.node("rest", Op::Crop { axis: 2, before: 24, after: 0, step: 1 }, &[all]);
            (build.node("numbers", Op::Flatten, &[numbers]), ecg)
        } else {
            // The numbers stand first: the ECG is found by its shape.
            (build.input("numbers", &[Some(3)]), build.input("ecg", &[Some(2), None]))
        };
        let conv = build.conv1d("conv", ecg, ConvLayer::same(2, 4, 3));
        let relu = build.relu("relu", conv);
        let mean = build.node("mean", Op::GlobalAvgPool, &[relu]);
        let fc = build.linear("fc", numbers, 3, 4, true);
        let bend = build.node("bend", Op::Tanh, &[fc]);
        let gate = build.node("gate", Op::Multiply, &[mean, bend]);
        let joined = build.node("join", Op::Concat, &[gate, bend]);
        let hidden = build.linear("hidden", joined, 8, 5, true);
        let relu = build.relu("relu2", hidden);
        let y = build.linear("y", relu, 5, 2, true);
        build.finish(y).unwrap()
    };
    let apart = program(false);
    let parameters = common::parameters(&apart, &mut Draw::new(11));
    (Network::new(apart, parameters.clone()).unwrap(), Network::new(program(whole), parameters).unwrap())
}

/// A network of two inputs explains each as the same function of one input that holds both.
#[test]
fn inputs_beside_the_ecg_are_explained_as_parts_of_one_input() {
    let (apart, whole) = with_numbers(true);
    let draw = &mut Draw::new(12);
    let (ecg, numbers) = (draw.tensor(&[3, 2, 12]), draw.tensor(&[3, 3]));
    let all: Vec<f64> = (0..3).flat_map(|n| [&slice(&ecg)[n * 24..(n + 1) * 24], &slice(&numbers)[n * 3..(n + 1) * 3]].concat()).collect();
    let all = from_vec(&[3, 1, 27], all);
    let base = [0.3, -0.2, 0.7];
    let mut joined = vec![0.0; 24];
    joined.extend(base);
    for multiply_by_inputs in [true, false] {
        let two = Settings { multiply_by_inputs, output: 1, beside: [("numbers".to_owned(), base.to_vec())].into(), ..Settings::default() };
        let baseline = Baseline::Values(ndarray::Array2::from_shape_vec((1, 27), joined.clone()).unwrap());
        let one = Settings { multiply_by_inputs, output: 1, baseline, ..Settings::default() };
        let methods = [
            Method::Saliency,
            Method::InputXGradient,
            Method::DeepLift,
            Method::IntegratedGradients,
            Method::GuidedBackprop,
            Method::Deconvolution,
            Method::LrpEpsilon,
            Method::Random,
        ];
        let expected = explain(&whole, &all, &one, &methods);
        let ids = [0, 1, 2];
        let explainer = Explainer::new(&apart, &two).unwrap();
        let found = explainer.explain_beside(&ecg, std::slice::from_ref(&numbers), &ids, &methods, &progress::silent).unwrap();
        assert_eq!(found.prediction, expected.prediction);
        let [beside] = &found.beside[..] else { panic!("one input stands beside the ECG") };
        assert_eq!(beside.input, "numbers");
        for ((method, map), (of, part)) in found.maps.iter().zip(&beside.maps) {
            assert_eq!(method, of);
            let wanted = slice(expected.map(*method).unwrap());
            for n in 0..3 {
                let both = [&slice(map)[n * 24..(n + 1) * 24], &slice(part)[n * 3..(n + 1) * 3]].concat();
                assert!(distance(&both, &wanted[n * 27..(n + 1) * 27]) < 1e-13, "{method}, ECG {n}");
            }
        }
        for ((method, entries), (_, wanted)) in found.completeness.iter().zip(&expected.completeness) {
            for (entry, wanted) in entries.iter().zip(wanted) {
                assert!((entry.sum - wanted.sum).abs() + (entry.difference - wanted.difference).abs() < 1e-13, "{method}");
                assert!(*method != Method::DeepLift || entry.relative_error() < 1e-12, "{entry:?}");
            }
        }
    }
}

#[test]
fn methods_that_look_at_the_ecg_alone_leave_the_numbers_out() {
    let (network, _) = with_numbers(true);
    let draw = &mut Draw::new(13);
    let (ecg, numbers) = (draw.tensor(&[2, 2, 12]), draw.tensor(&[2, 3]));
    let settings = Settings { occlusion_window: 3, occlusion_stride: 3, samples: Some(3), ..Settings::default() };
    let methods = [Method::GradCam, Method::GuidedGradCam, Method::Occlusion, Method::SmoothGrad, Method::GradientShap];
    let explainer = Explainer::new(&network, &settings).unwrap();
    let found = explainer.explain_beside(&ecg, std::slice::from_ref(&numbers), &[0, 1], &methods, &progress::silent).unwrap();
    let of: Vec<Method> = found.beside[0].maps.iter().map(|(method, _)| *method).collect();
    assert_eq!(of, methods[2..]);
    assert!(
        found.maps.iter().all(|(_, map)| map.shape() == [2, 2, 12]) && found.beside[0].maps.iter().all(|(_, map)| map.shape() == [2, 3])
    );
    // Occlusion of a number: what the prediction falls by when it is the baseline's.
    let run = |numbers: &Tensor<f64>| network.predict(&[numbers.clone(), ecg.clone()]).unwrap();
    let whole = run(&numbers);
    for at in 0..3 {
        let mut without = numbers.clone();
        without.view_mut().into_dimensionality::<ndarray::Ix2>().unwrap().column_mut(at).fill(0.0);
        let fallen = run(&without);
        for n in 0..2 {
            assert!((found.beside[0].maps[0].1[[n, at]] - (whole[[n, 0]] - fallen[[n, 0]])).abs() < 1e-14);
        }
    }
    // What is missing, too much or of another size is said.
    let refused = |beside: &[Tensor<f64>], settings: &Settings| {
        let explainer = Explainer::new(&network, settings).unwrap();
        explainer.explain_beside(&ecg, beside, &[0, 1], &[Method::Saliency], &progress::silent).unwrap_err().to_string()
    };
    assert!(refused(&[], &settings).contains("beside the ECG the network takes 1 inputs (numbers), 0 were given"));
    assert!(refused(&[draw.tensor(&[2, 4])], &settings).contains("input 'numbers'"));
    assert!(refused(&[draw.tensor(&[1, 3])], &settings).contains("input 'numbers'"));
    let of = |name: &str, values: Vec<f64>| Settings { beside: [(name.to_owned(), values)].into(), ..Settings::default() };
    assert!(refused(std::slice::from_ref(&numbers), &of("age", vec![0.0])).contains("'age'"));
    assert!(refused(std::slice::from_ref(&numbers), &of("numbers", vec![0.0])).contains("the baseline of 'numbers'"));
    let mut holed = numbers.clone();
    holed.as_slice_mut().unwrap()[4] = f64::NAN;
    assert!(refused(&[holed], &settings).contains("ECG 1, 'numbers', element 1"));
}
