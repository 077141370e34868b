//! LRP, occlusion, VarGrad and the transforms of programs: against Zennit and Captum, matrix formulas, closed forms and conservation.
#![allow(missing_docs)]

use cardiograd::attribution::{Explainer, Method, Settings, over_baselines};
use cardiograd::nn::{architecture, initialise};
use cardiograd::progress::silent;
use cardiograd::random::{Stage, Stream};
use cardiograd::tape::*;
use ndarray::Array2;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;

const LRP: [Method; 4] = [Method::LrpEpsilon, Method::LrpGamma, Method::LrpZPlus, Method::LrpComposite];

fn noise(shape: &[usize], scale: f64, seed: u64) -> Tensor<f64> {
    let mut rng = Stream::new(seed, Stage::Audit).rng();
    from_vec(
        shape,
        (0..shape.iter().product()).map(|_| scale * <StandardNormal as Distribution<f64>>::sample(&StandardNormal, &mut rng)).collect(),
    )
}

/// A network of the study with batch norms that do something.
fn network(name: &str) -> Network<f64> {
    let program = architecture(name).unwrap();
    let parameters = initialise(&program, 5, 0).unwrap();
    let mut network = Network::new(program.clone(), parameters).unwrap().cast::<f64>();
    for id in program.parameters() {
        let name = &program.node(id).name;
        let shape = network.parameter(id).shape().to_vec();
        if name.ends_with("running_mean") {
            network.set_parameter(id, noise(&shape, 0.2, id.0 as u64)).unwrap();
        } else if name.ends_with("running_var") {
            network.set_parameter(id, noise(&shape, 0.3, id.0 as u64).map(|v| v.abs() + 0.5).into_shared()).unwrap();
        }
    }
    network
}

fn explain(network: &Network<f64>, settings: &Settings, x: &Tensor<f64>, methods: &[Method]) -> Vec<Tensor<f64>> {
    let ids: Vec<u64> = (0..x.shape()[0] as u64).collect();
    let found = Explainer::new(network, settings).unwrap().explain(x, &ids, methods, &silent).unwrap();
    found.maps.into_iter().map(|(_, map)| map).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The network of tests/data/lrp/relevance.py.
fn residual(data: &Value) -> Network<f64> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(3), None]);
    let conv = build.conv1d("conv1", x, ConvLayer::same(3, 4, 5));
    let norm = build.batch_norm("bn1", conv, 4);
    let relu = build.relu("relu1", norm);
    let pool = build.node("pool", Op::AvgPool1d { window: 2, stride: 2 }, &[relu]);
    let conv = build.conv1d("conv2", pool, ConvLayer::same(4, 4, 4));
    let norm = build.batch_norm("bn2", conv, 4);
    let relu = build.relu("relu2", norm);
    let sum = build.node("sum", Op::Add, &[relu, pool]);
    let mean = build.node("mean", Op::GlobalAvgPool, &[sum]);
    let y = build.linear("fc", mean, 4, 1, true);
    let program = build.finish(y).unwrap();
    let value = |id: NodeId| {
        let node = program.node(id);
        let Op::Parameter { shape, .. } = &node.op else { unreachable!() };
        (node.name.clone(), from_vec(shape, numbers(&data["state"][&node.name])))
    };
    let parameters = program.parameters().into_iter().map(value).collect();
    Network::new(program, parameters).unwrap()
}

fn close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "{name}[{at}]: {a}, expected {b}");
    }
}

#[test]
fn relevance_is_zennits_and_occlusion_is_captums() {
    let data: Value = serde_json::from_str(include_str!("data/lrp/relevance.json")).unwrap();
    let network = residual(&data);
    let x = from_vec(&[2, 3, 20], numbers(&data["x"]));
    let settings = Settings { occlusion_window: 6, occlusion_stride: 4, lrp_epsilon: 1e-12, ..Settings::default() };
    close("prediction", slice(&network.predict(std::slice::from_ref(&x)).unwrap()), &numbers(&data["prediction"]), 1e-12);
    let methods: Vec<Method> = LRP.into_iter().chain([Method::Occlusion]).collect();
    for (method, map) in methods.iter().zip(explain(&network, &settings, &x, &methods)) {
        // Captum accumulates occlusion in f32.
        let tolerance = if *method == Method::Occlusion { 1e-6 } else { 1e-9 };
        close(method.name(), slice(&map), &numbers(&data[method.name()]), tolerance);
    }
}

#[test]
fn rules_are_their_matrix_formulas() {
    let (inputs, outputs) = (5, 3);
    let (w, b, x) = (noise(&[outputs, inputs], 1.0, 1), noise(&[outputs], 0.3, 2), noise(&[1, inputs, 1], 1.0, 3));
    let mut build = Builder::new();
    let input = build.input("x", &[Some(inputs), Some(1)]);
    let flat = build.node("flat", Op::Flatten, &[input]);
    let hidden = build.linear("fc", flat, inputs, outputs, true);
    let program = build.finish(hidden).unwrap();
    let network = Network::new(program, [("fc.weight".into(), w.clone()), ("fc.bias".into(), b.clone())].into()).unwrap();
    let output = 1;
    let settings = Settings { output, lrp_epsilon: 0.01, lrp_gamma: 0.5, ..Settings::default() };
    let maps = explain(&network, &settings, &x, &[Method::LrpEpsilon, Method::LrpGamma, Method::LrpZPlus]);
    let x = slice(&x);
    let terms: Vec<f64> = (0..inputs).map(|i| x[i] * w[[output, i]]).collect();
    let z = terms.iter().sum::<f64>() + b[[output]];
    let stabilised = |z: f64| z + if z < 0.0 { -0.01 } else { 0.01 };
    let epsilon: Vec<f64> = terms.iter().map(|t| t / stabilised(z) * z).collect();
    close("ε", slice(&maps[0]), &epsilon, 1e-12);
    let favoured = |t: f64| if t * z > 0.0 { 1.5 * t } else { t };
    let total = terms.iter().map(|t| favoured(*t)).sum::<f64>() + favoured(b[[output]]);
    let gamma: Vec<f64> = terms.iter().map(|t| favoured(*t) / stabilised(total) * z).collect();
    close("γ", slice(&maps[1]), &gamma, 1e-12);
    let total = terms.iter().map(|t| t.max(0.0)).sum::<f64>() + b[[output]].max(0.0);
    let plus: Vec<f64> = terms.iter().map(|t| t.max(0.0) / stabilised(total) * z).collect();
    close("z⁺", slice(&maps[2]), &plus, 1e-12);
}

/// Without biases and with a vanishing stabiliser, relevance is conserved, and LRP-ε on ReLU networks is gradient × input
/// (Ancona et al. 2018, proposition 1).
#[test]
fn relevance_is_conserved_without_biases() {
    for name in ["stevennet", "standardconv"] {
        let mut network = fold_batch_norm(&network(name)).unwrap();
        for id in network.program().parameters() {
            if network.program().node(id).name.ends_with("bias") {
                network.parameter_mut(id).fill(0.0);
            }
        }
        let x = noise(&[2, 12, 40], 100.0, 4);
        let settings = Settings { lrp_epsilon: 1e-13, ..Settings::default() };
        let y = network.predict(std::slice::from_ref(&x)).unwrap();
        let maps = explain(&network, &settings, &x, &[Method::LrpEpsilon, Method::LrpGamma, Method::InputXGradient]);
        for (ecg, y) in slice(&y).iter().enumerate() {
            for map in &maps[..2] {
                let sum: f64 = slice(map)[ecg * 480..(ecg + 1) * 480].iter().sum();
                assert!((sum - y).abs() < 1e-6 * y.abs(), "{name}: {sum} {y}");
            }
        }
        close(name, slice(&maps[0]), slice(&maps[2]), 1e-6);
    }
}

#[test]
fn transforms_leave_the_function_and_its_maps() {
    for name in ["stevennet", "standardconv"] {
        let network = network(name);
        let variants = [fold_batch_norm(&network), unfuse_biases(&network), reorder(&network, 9)].map(|variant| variant.unwrap());
        assert!(variants[0].program().nodes().len() < network.program().nodes().len());
        assert!(variants[0].program().of_kind(OpKind::BatchNorm).is_empty() || name == "standardconv");
        assert!(variants[1].program().of_kind(OpKind::BatchNorm).len() > network.program().of_kind(OpKind::BatchNorm).len());
        let names = |network: &Network<f64>| network.program().nodes().iter().map(|node| node.name.clone()).collect::<Vec<_>>();
        assert_ne!(names(&variants[2]), names(&network));
        let x = noise(&[1, 12, 40], 100.0, 6);
        let settings = Settings { steps: 5, ..Settings::default() };
        let methods = [Method::Saliency, Method::DeepLift, Method::IntegratedGradients];
        let (y, maps) = (network.predict(std::slice::from_ref(&x)).unwrap(), explain(&network, &settings, &x, &methods));
        for variant in &variants {
            close(name, slice(&variant.predict(std::slice::from_ref(&x)).unwrap()), slice(&y), 1e-11);
            for (map, expected) in explain(variant, &settings, &x, &methods).iter().zip(&maps) {
                close(name, slice(map), slice(expected), 1e-8);
            }
        }
    }
}

#[test]
fn a_layer_read_twice_is_not_folded() {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), None]);
    let conv = build.conv1d("conv", x, ConvLayer::same(2, 2, 3));
    let norm = build.batch_norm("bn", conv, 2);
    let sum = build.node("sum", Op::Add, &[norm, conv]);
    let mean = build.node("mean", Op::GlobalAvgPool, &[sum]);
    let program = build.finish(mean).unwrap();
    let parameters = initialise(&program, 1, 0).unwrap();
    let network = Network::new(program, parameters).unwrap();
    assert_eq!(fold_batch_norm(&network).unwrap().program(), network.program());
}

#[test]
fn occlusion_and_vargrad_of_a_linear_network() {
    let w = noise(&[1, 24], 1.0, 7);
    let mut build = Builder::new();
    let input = build.input("x", &[Some(2), Some(12)]);
    let flat = build.node("flat", Op::Flatten, &[input]);
    let y = build.linear("fc", flat, 24, 1, false);
    let network = Network::new(build.finish(y).unwrap(), [("fc.weight".into(), w.clone())].into()).unwrap();
    let x = noise(&[1, 2, 12], 1.0, 8);
    let settings = Settings { occlusion_window: 1, occlusion_stride: 1, samples: Some(4), ..Settings::default() };
    let maps = explain(&network, &settings, &x, &[Method::Occlusion, Method::VarGrad]);
    let product: Vec<f64> = slice(&x).iter().zip(slice(&w)).map(|(x, w)| x * w).collect();
    close("occlusion", slice(&maps[0]), &product, 1e-12);
    assert!(slice(&maps[1]).iter().all(|v| v.abs() < 1e-12), "the gradient of a linear network does not vary");
}

#[test]
fn vargrad_is_the_variance_over_the_draws() {
    let network = network("standardconv");
    let x = noise(&[1, 12, 16], 100.0, 9);
    let draws = noise(&[5, 12, 16], 20.0, 10);
    let settings =
        Settings { samples: Some(5), draws: Some(draws.clone().into_dimensionality().unwrap().into_owned()), ..Settings::default() };
    let found = &explain(&network, &settings, &x, &[Method::VarGrad])[0];
    let noised: Vec<Tensor<f64>> = (0..5).map(|k| (&x + &draws.index_axis(ndarray::Axis(0), k)).into_shared()).collect();
    let gradients: Vec<Tensor<f64>> = noised.iter().map(|x| explain(&network, &settings, x, &[Method::Saliency]).remove(0)).collect();
    let expected: Vec<f64> = (0..x.len())
        .map(|at| {
            let values: Vec<f64> = gradients.iter().map(|g| slice(g)[at]).collect();
            let mean = values.iter().sum::<f64>() / 5.0;
            values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 5.0
        })
        .collect();
    close("vargrad", slice(found), &expected, 1e-9);
}

#[test]
fn over_baselines_is_complete_against_their_mean_prediction() {
    let network = network("stevennet");
    let x = noise(&[2, 12, 30], 100.0, 11);
    let baselines: Vec<Array2<f64>> = (0..3).map(|k| noise(&[12, 30], 50.0, 20 + k).into_dimensionality().unwrap().into_owned()).collect();
    let settings = Settings { multiply_by_inputs: true, ..Settings::default() };
    let found = over_baselines(&network, &settings, &baselines, &x, &[0, 1], &[Method::DeepLift], &silent).unwrap();
    let predict = |x: Tensor<f64>| slice(&network.predict(&[x]).unwrap()).to_vec();
    let mean = baselines.iter().map(|b| predict(b.clone().into_dyn().insert_axis(ndarray::Axis(0)).into_shared())[0]).sum::<f64>() / 3.0;
    for (ecg, y) in predict(x).into_iter().enumerate() {
        let sum: f64 = slice(&found.maps[0].1)[ecg * 360..(ecg + 1) * 360].iter().sum();
        assert!((sum - (y - mean)).abs() < 1e-6 * y.abs().max(1.0), "{sum} {}", y - mean);
        let entry = found.completeness[0].1[ecg];
        assert!((entry.sum - sum).abs() < 1e-9 && entry.relative_error() < 1e-6);
    }
    assert!(over_baselines(&network, &settings, &[], &from_vec(&[1, 12, 30], vec![0.0; 360]), &[0], &[Method::DeepLift], &silent).is_err());
}
