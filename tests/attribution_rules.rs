//! Each backward rule against its formula written out, on single ops and on small perceptrons whose maps are products of matrices.

mod common;

use cardiograd::attribution::catalogue;
use cardiograd::attribution::{Baseline, Deconvolution, Explainer, GuidedBackprop, Interpolation, Method, Rescale, Settings};
use cardiograd::attribution::{Design, Family, Made, Recipe, Reduction, Row, Sampler, Sum, Unit};
use cardiograd::progress;
use cardiograd::tape::{
    Builder, ConvLayer, Match, Network, Op, OpKind, Parameters, Program, Real, ReluFormula, Rule, RuleSet, Tensor, Want, from_vec, slice,
};
use common::{Draw, distance, relative_l2, single};
use proptest::prelude::*;
use std::sync::Arc;

/// What a rule sends to the inputs of a single op that receives `g`.
fn through(
    op: Op,
    rule: impl Rule<f64> + 'static,
    inputs: &[Tensor<f64>],
    reference: Option<&[Tensor<f64>]>,
    g: &Tensor<f64>,
) -> Vec<Vec<f64>> {
    let rules = RuleSet::plain().with(Match::Kind(op.kind()), Arc::new(rule));
    let network = single(op, inputs, &[]);
    let tape = network.run(inputs).unwrap();
    let reference = reference.map(|inputs| network.run(inputs).unwrap());
    let want = Want::inputs(network.program());
    let gradients = network.backward(&tape, g.clone(), &rules, reference.as_ref(), &want).unwrap();
    network.program().inputs().into_iter().map(|id| slice(gradients.get(id).unwrap()).to_vec()).collect()
}

/// Values with exact zeros and repeats among them.
fn rough(draw: &mut Draw, shape: &[usize]) -> Tensor<f64> {
    draw.tensor(shape).map(|v| (v * 4.0).round() / 2.0).into_shared()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deconvolution_and_guided_backprop((n, c, len) in (1usize..3, 1usize..4, 1usize..9), seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let (x, g) = (rough(&mut draw, &[n, c, len]), rough(&mut draw, &[n, c, len]));
        let pairs = || slice(&x).iter().zip(slice(&g));
        let deconvolved: Vec<f64> = pairs().map(|(_, g)| g.max(0.0)).collect();
        let guided: Vec<f64> = pairs().map(|(x, g)| f64::from(u8::from(*x > 0.0)) * g.max(0.0)).collect();
        prop_assert_eq!(&through(Op::Relu, Deconvolution, std::slice::from_ref(&x), None, &g)[0], &deconvolved);
        prop_assert_eq!(&through(Op::Relu, GuidedBackprop, std::slice::from_ref(&x), None, &g)[0], &guided);
    }

    #[test]
    fn rescale_is_the_quotient_of_differences((n, c, len) in (1usize..3, 1usize..4, 1usize..9), shared in any::<bool>(), seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let reference_batch = if shared { 1 } else { n };
        // Some elements agree with the reference exactly: there the plain derivative acts.
        let (x, x0, g) = (rough(&mut draw, &[n, c, len]), rough(&mut draw, &[reference_batch, c, len]), draw.tensor(&[n, c, len]));
        type Case = (Op, fn(f64) -> f64, fn(f64) -> f64);
        let cases: [Case; 4] = [
            (Op::Relu, |v| v.max(0.0), |v| if v > 0.0 { 1.0 } else { 0.0 }),
            (Op::LeakyRelu { slope: 0.2 }, |v| if v > 0.0 { v } else { 0.2 * v }, |v| if v > 0.0 { 1.0 } else { 0.2 }),
            (Op::Tanh, f64::tanh, |v| 1.0 - v.tanh().powi(2)),
            (Op::Sigmoid, |v| 1.0 / (1.0 + (-v).exp()), |v| (-v).exp() / (1.0 + (-v).exp()).powi(2)),
        ];
        for (op, f, derivative) in cases {
            let expected: Vec<f64> = (0..x.len())
                .map(|at| {
                    let (x, x0, g) = (slice(&x)[at], slice(&x0)[at % x0.len()], slice(&g)[at]);
                    if x == x0 { g * derivative(x) } else { g * (f(x) - f(x0)) / (x - x0) }
                })
                .collect();
            let found = through(op, Rescale, std::slice::from_ref(&x), Some(std::slice::from_ref(&x0)), &g);
            prop_assert!(distance(&found[0], &expected) < 1e-14);
        }
    }

    #[test]
    fn rescale_of_maxima(len in 2usize..14, window in 1usize..5, stride in 1usize..4, seed in any::<u64>()) {
        prop_assume!(window <= len);
        let mut draw = Draw::new(seed);
        let (x, x0) = (draw.spread(&[2, 1, len]), draw.tensor(&[1, 1, len]));
        let out = (len - window) / stride + 1;
        let g = draw.tensor(&[2, 1, out]);
        // The convention of the reference results, window by window and position by position.
        let mut expected = Vec::new();
        for n in 0..2 {
            let value = |s: usize| (x[[n, 0, s]], x0[[0, 0, s]]);
            let peak = |of: &dyn Fn(usize) -> f64, t: usize| {
                (t * stride..t * stride + window).reduce(|best, s| if of(s) > of(best) { s } else { best }).unwrap()
            };
            for s in 0..len {
                let mut sum = 0.0;
                for t in 0..out {
                    let (own, other) = (peak(&|s| value(s).0, t), peak(&|s| value(s).1, t));
                    let (o, r) = (value(own).0, value(other).1);
                    sum += g[[n, 0, t]] * (if s == own { o.max(r) - r } else { 0.0 } + if s == other { o - o.max(r) } else { 0.0 });
                }
                expected.push(sum / (value(s).0 - value(s).1));
            }
        }
        let found = through(Op::MaxPool1d { window, stride }, Rescale, &[x], Some(&[x0]), &g);
        prop_assert!(relative_l2(&found[0], &expected) < 1e-12 || expected.iter().all(|v| *v == 0.0) && found[0] == expected);
    }

    #[test]
    fn rescale_of_products(seed in any::<u64>(), len in 1usize..9) {
        let mut draw = Draw::new(seed);
        let (a, b, a0, b0) = (draw.tensor(&[2, len]), draw.tensor(&[2, len]), draw.tensor(&[1, len]), draw.tensor(&[1, len]));
        let g = draw.tensor(&[2, len]);
        let found = through(Op::Multiply, Rescale, &[a.clone(), b.clone()], Some(&[a0.clone(), b0.clone()]), &g);
        for n in 0..2 {
            for t in 0..len {
                let (ga, gb) = (found[0][n * len + t], found[1][n * len + t]);
                let (da, db) = (a[[n, t]] - a0[[0, t]], b[[n, t]] - b0[[0, t]]);
                // Complete, and symmetric: the Shapley value of a game of two players.
                prop_assert!((ga * da + gb * db - g[[n, t]] * (a[[n, t]] * b[[n, t]] - a0[[0, t]] * b0[[0, t]])).abs() < 1e-14);
                let shapley = 0.5 * (da * b0[[0, t]] + da * b[[n, t]]);
                prop_assert!((ga * da - g[[n, t]] * shapley).abs() < 1e-14);
            }
        }
    }
}

/// A perceptron on (1, F) signals: flatten, then layers with ReLUs between. Weights (out, in) and biases as given.
struct Perceptron {
    weights: Vec<Vec<Vec<f64>>>,
    biases: Vec<Vec<f64>>,
}

impl Perceptron {
    fn random(draw: &mut Draw, sizes: &[usize]) -> Self {
        let weights = sizes.windows(2).map(|pair| (0..pair[1]).map(|_| draw.vec(pair[0])).collect()).collect();
        let biases = sizes[1..].iter().map(|n| draw.vec(*n).into_iter().map(|v| 0.5 * v).collect()).collect();
        Perceptron { weights, biases }
    }

    fn network(&self, split: bool) -> Network<f64> {
        let mut build = Builder::new();
        let mut values = Parameters::new();
        let input = self.weights[0][0].len();
        let x = build.input("x", &[Some(1), Some(input)]);
        let mut x = build.node("flat", Op::Flatten, &[x]);
        for (layer, (weight, bias)) in self.weights.iter().zip(&self.biases).enumerate() {
            if layer > 0 {
                x = build.relu(&format!("relu{layer}"), x);
            }
            let name = format!("fc{layer}");
            x = build.linear(&name, x, weight[0].len(), weight.len(), true);
            values.insert(format!("{name}.weight"), from_vec(&[weight.len(), weight[0].len()], weight.concat()));
            values.insert(format!("{name}.bias"), from_vec(&[bias.len()], bias.clone()));
            if split {
                // The identity as one more linear layer: the same function, written otherwise.
                let (name, n) = (format!("same{layer}"), weight.len());
                x = build.linear(&name, x, n, n, false);
                let identity = (0..n * n).map(|at| if at / n == at % n { 1.0 } else { 0.0 }).collect();
                values.insert(format!("{name}.weight"), from_vec(&[n, n], identity));
            }
        }
        Network::new(build.finish(x).unwrap(), values).unwrap()
    }

    /// What enters each ReLU.
    fn hidden(&self, x: &[f64]) -> Vec<Vec<f64>> {
        let mut all = Vec::new();
        let mut a = x.to_vec();
        for (weight, bias) in self.weights.iter().zip(&self.biases) {
            let z: Vec<f64> = weight.iter().zip(bias).map(|(row, b)| b + row.iter().zip(&a).map(|(w, a)| w * a).sum::<f64>()).collect();
            a = z.iter().map(|v| v.max(0.0)).collect();
            all.push(z);
        }
        all.pop();
        all
    }

    /// The product of matrices back from output `column`, with `pass(layer, unit, what arrives)` at each ReLU.
    fn back(&self, column: usize, pass: impl Fn(usize, usize, f64) -> f64) -> Vec<f64> {
        let last = self.weights.len() - 1;
        let mut g = self.weights[last][column].clone();
        for layer in (0..last).rev() {
            let passed: Vec<f64> = g.iter().enumerate().map(|(unit, g)| pass(layer, unit, *g)).collect();
            let weight = &self.weights[layer];
            g = (0..weight[0].len()).map(|i| passed.iter().zip(weight).map(|(g, row)| g * row[i]).sum()).collect();
        }
        g
    }
}

fn map(network: &Network<f64>, x: &[f64], settings: &Settings, method: Method) -> Vec<f64> {
    let input = from_vec(&[1, 1, x.len()], x.to_vec());
    let found = Explainer::new(network, settings).unwrap().explain(&input, &[0], &[method], &progress::silent).unwrap();
    slice(found.map(method).unwrap()).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn perceptrons_have_the_maps_of_matrix_products(
        inputs in 2usize..8, hidden in prop::collection::vec(1usize..7, 1..4), seed in any::<u64>(), split in any::<bool>(),
    ) {
        let mut draw = Draw::new(seed);
        let sizes: Vec<usize> = std::iter::once(inputs).chain(hidden).chain([2]).collect();
        let net = Perceptron::random(&mut draw, &sizes);
        let network = net.network(split);
        let (x, base) = (draw.vec(inputs), draw.vec(inputs));
        let column = draw.below(2);
        let values = ndarray::Array2::from_shape_vec((1, inputs), base.clone()).unwrap();
        let settings = Settings { output: column, baseline: Baseline::Values(values), ..Settings::default() };
        let (z, z0) = (net.hidden(&x), net.hidden(&base));
        let open = |layer: usize, unit: usize| f64::from(u8::from(z[layer][unit] > 0.0));
        let gradient = net.back(column, |layer, unit, g| g * open(layer, unit));
        let expected = [
            (Method::Saliency, gradient.clone()),
            (Method::InputXGradient, gradient.iter().zip(&x).map(|(g, x)| g * x).collect()),
            (Method::Deconvolution, net.back(column, |_, _, g| g.max(0.0))),
            (Method::GuidedBackprop, net.back(column, |layer, unit, g| g.max(0.0) * open(layer, unit))),
            (Method::DeepLift, net.back(column, |layer, unit, g| {
                let (z, z0) = (z[layer][unit], z0[layer][unit]);
                g * (z.max(0.0) - z0.max(0.0)) / (z - z0)
            })),
        ];
        for (method, expected) in expected {
            let found = map(&network, &x, &settings, method);
            prop_assert!(distance(&found, &expected) < 1e-9, "{method}: {found:?}, expected {expected:?}");
        }
        let scaled = Settings { multiply_by_inputs: true, ..settings.clone() };
        let plain = map(&network, &x, &settings, Method::DeepLift);
        let product: Vec<f64> = plain.iter().zip(x.iter().zip(&base)).map(|(m, (x, b))| m * (x - b)).collect();
        prop_assert!(distance(&map(&network, &x, &scaled, Method::DeepLift), &product) < 1e-14);
    }

    #[test]
    fn gradcam_is_its_formula(
        (leads, channels, len) in (1usize..4, 1usize..5, 4usize..30), (kernel, stride) in (1usize..5, 1usize..4), seed in any::<u64>(),
    ) {
        prop_assume!(kernel <= len);
        let mut draw = Draw::new(seed);
        let mut build = Builder::new();
        let x = build.input("x", &[Some(leads), Some(len)]);
        let layer = ConvLayer { c_in: leads, c_out: channels, kernel, stride, dilation: 1, padding: (0, 0), bias: true };
        let time = (len - kernel) / stride + 1;
        let conv = build.conv1d("conv", x, layer);
        let relu = build.relu("relu", conv);
        let flat = build.node("flat", Op::Flatten, &[relu]);
        let y = build.linear("fc", flat, channels * time, 1, true);
        let program = build.finish(y).unwrap();
        let values = common::parameters(&program, &mut draw);
        let network = Network::new(program, values.clone()).unwrap();
        let x = draw.tensor(&[2, leads, len]);
        let tape = network.run(std::slice::from_ref(&x)).unwrap();
        let activation = tape.value(network.program().find("conv").unwrap());
        for (interpolation, stretch) in [(Interpolation::Linear, linear as Stretch), (Interpolation::Nearest, nearest as Stretch)] {
            let settings = Settings { interpolation, ..Settings::default() };
            let methods = [Method::GradCam, Method::GuidedBackprop, Method::GuidedGradCam];
            let found = Explainer::new(&network, &settings).unwrap().explain(&x, &[0, 1], &methods, &progress::silent).unwrap();
            let maps: Vec<&Tensor<f64>> = methods.iter().map(|method| found.map(*method).unwrap()).collect();
            for n in 0..2 {
                let row: Vec<f64> = (0..time)
                    .map(|t| {
                        let weighted = (0..channels).map(|c| {
                            let gradient = |s: usize| if activation[[n, c, s]] > 0.0 { values["fc.weight"][[0, c * time + s]] } else { 0.0 };
                            (0..time).map(gradient).sum::<f64>() / time as f64 * activation[[n, c, t]]
                        });
                        weighted.sum::<f64>().max(0.0)
                    })
                    .collect();
                for t in 0..len {
                    let expected = stretch(&row, len, t);
                    for lead in 0..leads {
                        let at = [n, lead, t];
                        prop_assert!((maps[0][at] - expected).abs() < 1e-12, "{at:?}: {} against {expected}", maps[0][at]);
                        prop_assert!((maps[2][at] - maps[0][at] * maps[1][at]).abs() < 1e-15);
                    }
                }
            }
        }
    }
}

type Stretch = fn(&[f64], usize, usize) -> f64;

/// Half-pixel linear interpolation as a sum of hat functions around the sample centres, edges held.
fn linear(row: &[f64], len: usize, t: usize) -> f64 {
    let place = ((t as f64 + 0.5) * row.len() as f64 / len as f64 - 0.5).clamp(0.0, (row.len() - 1) as f64);
    row.iter().enumerate().map(|(s, v)| v * (1.0 - (place - s as f64).abs()).max(0.0)).sum()
}

fn nearest(row: &[f64], len: usize, t: usize) -> f64 {
    row[t * row.len() / len]
}

#[test]
fn the_derivative_of_a_relu_at_zero_is_zero() {
    // No bias and a zero ECG: every ReLU stands at exactly 0, in the run and in the reference run.
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), Some(8)]);
    let conv = build.conv1d("conv", x, ConvLayer { bias: false, ..ConvLayer::same(2, 3, 5) });
    let relu = build.relu("relu", conv);
    let pool = build.node("pool", Op::GlobalAvgPool, &[relu]);
    let y = build.linear("fc", pool, 3, 1, true);
    let program = build.finish(y).unwrap();
    let values = common::parameters(&program, &mut Draw::new(4));
    let network = Network::new(program, values).unwrap();
    let zero = cardiograd::tape::zeros::<f64>(&[1, 2, 8]);
    let methods = [Method::Saliency, Method::InputXGradient, Method::GuidedBackprop, Method::DeepLift, Method::IntegratedGradients];
    let settings = Settings::default();
    let found = Explainer::new(&network, &settings).unwrap().explain(&zero, &[0], &methods, &progress::silent).unwrap();
    for method in methods {
        assert!(slice(found.map(method).unwrap()).iter().all(|v| *v == 0.0), "{method}");
    }
}

#[test]
fn rules_say_where_they_cannot_act() {
    let x = Draw::new(1).tensor(&[2, 1, 4]);
    let network = single(Op::Relu, std::slice::from_ref(&x), &[]);
    let tape = network.run(std::slice::from_ref(&x)).unwrap();
    let rules = || RuleSet::plain().with(Match::Kind(OpKind::Relu), Arc::new(Rescale));
    let want = Want::inputs(network.program());
    let error = network.backward(&tape, x.clone(), &rules(), None, &want).unwrap_err().to_string();
    assert!(error.contains("node 'op' (relu): the rescale rule needs a reference run"), "{error}");
    let three = network.run(&[Draw::new(1).tensor(&[3, 1, 4])]).unwrap();
    let error = network.backward(&tape, x.clone(), &rules(), Some(&three), &want).unwrap_err().to_string();
    assert!(error.contains("a batch of 3, expected 1 or 2"), "{error}");
    let network = single(Op::Upsample { factor: 2 }, std::slice::from_ref(&x), &[]);
    let tape = network.run(std::slice::from_ref(&x)).unwrap();
    let rules = RuleSet::plain().with(Match::Kind(OpKind::Upsample), Arc::new(Rescale));
    let seed = tape.output().clone();
    let error = network.backward(&tape, seed, &rules, Some(&tape), &Want::inputs(network.program())).unwrap_err().to_string();
    assert!(error.contains("the rescale rule is not defined for upsample"), "{error}");
}

/// conv → mean → linear on the way, and a ReLU, a max-pool and a convolution off it.
fn with_a_dead_branch() -> Network<f64> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), Some(8)]);
    let conv = build.conv1d("conv", x, ConvLayer::same(2, 3, 3));
    let dead = build.relu("dead", conv);
    build.node("dead_pool", Op::MaxPool1d { window: 2, stride: 2 }, &[dead]);
    build.conv1d("dead_conv", dead, ConvLayer::same(3, 3, 3));
    let mean = build.node("mean", Op::GlobalAvgPool, &[conv]);
    let y = build.linear("fc", mean, 3, 1, true);
    let program = build.finish(y).unwrap();
    let parameters = common::parameters(&program, &mut Draw::new(3));
    Network::new(program, parameters).unwrap()
}

#[test]
fn what_lies_off_the_way_to_the_output_does_not_act() {
    let network = with_a_dead_branch();
    let x = Draw::new(4).tensor(&[1, 2, 8]);
    let settings = Settings::default();
    let explain = |method| Explainer::new(&network, &settings).unwrap().explain(&x, &[0], &[method], &progress::silent);
    for method in [Method::GuidedBackprop, Method::Deconvolution, Method::GuidedGradCam] {
        let error = explain(method).unwrap_err().to_string();
        assert!(error.contains("acts nowhere"), "{method}: {error}");
    }
    assert!(Rescale::pools_after_activations(network.program()).is_empty());
    assert_eq!(
        slice(explain(Method::DeepLift).unwrap().map(Method::DeepLift).unwrap()),
        slice(explain(Method::Saliency).unwrap().map(Method::Saliency).unwrap())
    );
    for method in [Method::LrpEpsilon, Method::LrpComposite, Method::GradCam] {
        explain(method).unwrap();
    }
    // Accounts watch every node by name: only those on the way can be watched.
    for method in [Method::Saliency, Method::DeepLift, Method::LrpEpsilon, Method::GradCam] {
        let account = cardiograd::trace::trace(&network, &settings, &x, 0, method).unwrap();
        let of_dead = account.walks[0].entries.iter().find(|entry| entry.name == "dead").unwrap();
        assert!(of_dead.flow.is_none() && account.walks[0].at_input.is_finite(), "{method}");
    }
    let on = |layer: &str| {
        let settings = Settings { layer: Some(layer.into()), ..Settings::default() };
        Explainer::new(&network, &settings).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(on("conv"), Ok(()));
    assert!(on("dead_conv").unwrap_err().contains("the output does not depend on this node"));

    let program = network.program();
    let (able, left_out) = catalogue::able(&Method::STUDY, false, [program], &settings).unwrap();
    assert_eq!(able.len(), 7);
    assert_eq!(
        left_out.iter().map(|(method, _)| *method).collect::<Vec<_>>(),
        [Method::Deconvolution, Method::GuidedBackprop, Method::GuidedGradCam]
    );
    assert!(left_out.iter().all(|(_, why)| why.contains("acts nowhere in this program; its ops from input to output are: conv1d")));
    assert!(
        catalogue::able(&[Method::Saliency, Method::GuidedBackprop], true, [program], &settings)
            .unwrap_err()
            .to_string()
            .contains("guided_backprop")
    );
    assert!(catalogue::able(&[Method::GuidedBackprop], false, [program], &settings).is_err());
}

/// Offers max(g, 0) and hands on something else where `wrong` says so.
struct Liar(fn(f64, f64) -> bool);

impl<T: cardiograd::tape::Real> Rule<T> for Liar {
    fn propagate(&self, site: &cardiograd::tape::Site<'_, T>, g: &Tensor<T>) -> cardiograd::Result<Vec<Option<Tensor<T>>>> {
        let pairs = slice(g).iter().zip(slice(site.inputs[0]));
        let out = pairs.map(|(g, x)| match *g > T::ZERO {
            _ if (self.0)(g.f64(), x.f64()) => *g + *g,
            true => *g,
            false => T::ZERO,
        });
        Ok(vec![Some(from_vec(g.shape(), out.collect()))])
    }

    fn name(&self) -> &str {
        "liar"
    }

    fn at_relu(&self) -> Option<ReluFormula> {
        Some(ReluFormula::Positive)
    }
}

#[test]
fn a_rule_keeps_the_formula_that_it_offers() {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2)]);
    let act = build.relu("act", x);
    let program = build.finish(act).unwrap();
    fn set<T: cardiograd::tape::Real>(wrong: fn(f64, f64) -> bool) -> RuleSet<T> {
        RuleSet::plain().with(Match::Kind(OpKind::Relu), Arc::new(Liar(wrong)))
    }
    set::<f64>(|_, _| false).check(&program).unwrap();
    set::<f32>(|_, _| false).check(&program).unwrap();
    // Wrong for negative gradients, for inputs at 0, and for large ones alone.
    let lies: [fn(f64, f64) -> bool; 3] = [|g, _| g < 0.0, |g, x| x == 0.0 && g > 0.0, |_, x| x > 1e5];
    for wrong in lies {
        for error in [set::<f64>(wrong).check(&program), set::<f32>(wrong).check(&program)] {
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with("the rule 'liar' offers the formula Positive at ReLUs and does otherwise: gradient"), "{error}");
        }
    }
    let network = Network::<f32>::new(program, Parameters::new()).unwrap();
    let look = network.look(from_vec(&[1, 2], vec![1.0, -1.0])).unwrap();
    let error = network.look_back(&look, &set(|g, _| g < 0.0), None, 0).unwrap_err().to_string();
    assert!(error.contains("does otherwise"), "{error}");
    // The rules of the catalogue keep theirs.
    for rule in [Arc::new(Deconvolution) as Arc<dyn Rule<f32>>, Arc::new(GuidedBackprop), Arc::new(Rescale)] {
        RuleSet::plain().with(Match::Kind(OpKind::Relu), rule).check(network.program()).unwrap();
    }
}

/// A method from outside, and what it should give.
struct Copied<D>(D);

impl<D: Fn(&Program) -> (Vec<OpKind>, Sampler, Reduction, bool) + Send + Sync + 'static> Design for Copied<D> {
    fn recipe<T: Real>(&self, program: &Program, _: &Settings) -> Recipe<T> {
        let (kinds, sampler, reduction, reference) = (self.0)(program);
        let rule: Arc<dyn Rule<T>> = if reference { Arc::new(Rescale) } else { Arc::new(GuidedBackprop) };
        let rules = kinds.into_iter().fold(RuleSet::plain(), |rules, kind| rules.with(Match::Kind(kind), Arc::clone(&rule)));
        Recipe::Gradients { rules, sampler, reduction, reference }
    }
}

struct Multiplied(Method, Method);

impl Design for Multiplied {
    fn recipe<T: Real>(&self, _: &Program, _: &Settings) -> Recipe<T> {
        Recipe::Product(self.0, self.1)
    }
}

fn row(name: &'static str, sum: Sum, design: &'static dyn Made) -> Row {
    Row {
        name,
        title: "From outside",
        short: "Outside",
        paper: "a test",
        family: Family::Contribution,
        unit: Unit::Prediction,
        sum,
        heeds: &[],
        design,
    }
}

#[test]
fn methods_from_outside_are_methods() {
    let guided = Copied(|_: &Program| (vec![OpKind::Relu], Sampler::Once, Reduction::Mean, false));
    let path = Copied(|_: &Program| (vec![OpKind::Relu], Sampler::Path, Reduction::TimesDifference, true));
    let deeplift = Copied(|_: &Program| (vec![OpKind::Relu], Sampler::Once, Reduction::TimesDifference, true));
    let leak = |name, sum, design: Box<dyn Made>| Method::register(row(name, sum, Box::leak(design))).unwrap();
    let guided = leak("outside_guided", Sum::Free, Box::new(guided));
    let path = leak("outside_path", Sum::Free, Box::new(path));
    let deeplift = leak("outside_deeplift", Sum::Difference, Box::new(deeplift));
    let product = leak("outside_product", Sum::Free, Box::new(Multiplied(path, Method::GradCam)));

    // In both precisions, beside built-in methods and alone.
    let network = common::residual_network(5, 3, 24, 2, common::Kinks::Relu, 2);
    let x = Draw::new(6).tensor(&[2, 3, 24]);
    let settings = Settings { multiply_by_inputs: true, output: 1, ..Settings::default() };
    let methods = [guided, Method::GuidedBackprop, deeplift, Method::DeepLift, path, Method::GradCam, product];
    let found = Explainer::new(&network, &settings).unwrap().explain(&x, &[4, 9], &methods, &progress::silent).unwrap();
    let map = |method| slice(found.map(method).unwrap());
    assert_eq!(map(guided), map(Method::GuidedBackprop));
    assert_eq!(map(deeplift), map(Method::DeepLift));
    assert_eq!(map(product), map(path).iter().zip(map(Method::GradCam)).map(|(a, b)| a * b).collect::<Vec<_>>());
    let entries = |method: Method| &found.completeness.iter().find(|(of, _)| *of == method).unwrap().1;
    assert_eq!(entries(deeplift), entries(Method::DeepLift));
    assert_eq!(found.completeness.len(), 2);
    let narrow = network.cast::<f32>();
    let narrow =
        Explainer::new(&narrow, &settings).unwrap().explain(&cardiograd::tape::cast(&x), &[4, 9], &[guided], &progress::silent).unwrap();
    assert!(relative_l2(&narrow.maps[0].1.iter().map(|v| f64::from(*v)).collect::<Vec<_>>(), map(guided)) < 1e-5);

    // At a sampled input, against a reference, by hand: the multipliers of every point of the path.
    let (nodes, weights) = cardiograd::attribution::gauss_legendre::rule(settings.steps);
    let mut by_hand = vec![0.0; 3 * 24];
    for (a, weight) in nodes.iter().zip(weights) {
        let first = x.index_axis(ndarray::Axis(0), 0).to_owned().insert_axis(ndarray::Axis(0));
        let point = first.map(|v| v * a).into_shared();
        let plain = Settings { output: 1, ..Settings::default() };
        let there = Explainer::new(&network, &plain).unwrap().explain(&point, &[4], &[Method::DeepLift], &progress::silent).unwrap();
        by_hand.iter_mut().zip(slice(&there.maps[0].1)).zip(first.iter()).for_each(|((sum, m), x)| *sum += weight * m * x);
    }
    assert!(relative_l2(&map(path)[..72], &by_hand) < 1e-6);

    // Traces follow the walks that were made.
    let one = x.slice_axis(ndarray::Axis(0), ndarray::Slice::from(..1)).to_owned().into_shared();
    let account = cardiograd::trace::trace(&network, &settings, &one, 4, product).unwrap();
    assert_eq!(account.walks.iter().map(|walk| walk.runs).collect::<Vec<_>>(), [settings.steps, 1]);
    let account = cardiograd::trace::trace(&network, &settings, &one, 4, path).unwrap();
    assert!(account.walks[0].distance_to_map.unwrap() < 1e-12, "{:?}", account.walks[0].distance_to_map);
    assert!(account.walks[0].entries.iter().any(|entry| entry.flow.as_ref().is_some_and(|flow| flow.rule == "rescale")));

    // By name, in lists and files, in the report's words; a name is given once.
    assert_eq!(Method::parse_list("saliency,outside_path").unwrap(), [Method::Saliency, path]);
    assert_eq!(serde_json::from_str::<Method>(&serde_json::to_string(&path).unwrap()).unwrap(), path);
    assert_eq!(cardiograd::report::methods::short("outside_path"), "Outside");
    let again =
        |name| Method::register(row(name, Sum::Free, &Multiplied(Method::Saliency, Method::Saliency))).map(|_| ()).unwrap_err().to_string();
    assert!(again("outside_path").contains("already") && again("saliency").contains("already"));
    assert!(again("all").contains("taken") && again("a b").contains("cannot be the name") && again("").contains("cannot be"));
}

#[test]
fn rows_say_what_values_mean() {
    let says = |method: Method, multiplied| {
        let meaning = method.row().meaning(multiplied, None);
        (meaning.unit.text("ms"), meaning.signed, meaning.sentence().split(':').next().unwrap())
    };
    assert_eq!(says(Method::Saliency, false), ("ms per µV".into(), true, "Slopes"));
    assert_eq!(says(Method::SmoothGrad, true), ("ms per µV".into(), false, "Sizes of slopes"));
    assert_eq!(says(Method::DeepLift, false), ("ms per µV".into(), true, "Slopes"));
    assert_eq!(says(Method::DeepLift, true), ("ms".into(), true, "Contributions"));
    assert_eq!(says(Method::InputXGradient, false), ("ms".into(), true, "Contributions"));
    assert_eq!(says(Method::GuidedGradCam, false).0, "ms² per µV");
    assert_eq!(says(Method::GuidedBackprop, false).0, "a.u., not a slope");
    assert_eq!(Method::Saliency.row().unit.text("1/min"), "1/min per µV");
    assert_eq!(Method::GuidedGradCam.row().unit.text("1/min"), "(1/min)² per µV");
    for method in Method::ALL {
        assert!(!method.row().meaning(false, Some(true)).signed, "{method}");
    }
}
