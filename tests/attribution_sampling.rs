//! The sampled methods: given draws against plain gradients, drawn ones against their distribution, the same bytes for the same seed
//! whatever the batch, the order, the memory or the threads; and the errors of settings and inputs that do not fit.

mod common;

use cardiograd::attribution::{Baseline, Explainer, Explanations, Method, Settings};
use cardiograd::tape::{Builder, Network, Op, Parameters, RuleSet, Tensor, cast, from_vec, slice};
use cardiograd::{Result, progress};
use common::{Draw, Kinks, distance, residual_network};
use ndarray::{Array2, Array3, Axis};
use std::sync::Mutex;

const LEADS: usize = 3;
const LEN: usize = 20;

fn explain<T: cardiograd::tape::Real>(
    network: &Network<T>,
    x: &Tensor<T>,
    ids: &[u64],
    settings: &Settings,
    methods: &[Method],
) -> Result<Explanations<T>> {
    Explainer::new(network, settings)?.explain(x, ids, methods, &progress::silent)
}

fn one(network: &Network<f64>, x: &Tensor<f64>, settings: &Settings, method: Method) -> Vec<f64> {
    slice(explain(network, x, &[0], settings, &[method]).unwrap().map(method).unwrap()).to_vec()
}

fn gradient(network: &Network<f64>, x: Vec<f64>) -> Vec<f64> {
    let tape = network.run(&[from_vec(&[1, LEADS, LEN], x)]).unwrap();
    slice(&network.gradient(&tape, &RuleSet::plain(), 0).unwrap()).to_vec()
}

#[test]
fn given_draws_and_coefficients_are_used_as_they_are() {
    let network = residual_network(4, LEADS, LEN, 2, Kinks::All, 1);
    let mut draw = Draw::new(4);
    let size = LEADS * LEN;
    let (x, base, noise) = (draw.vec(size), draw.vec(size), draw.vec(60 * size));
    let places: Vec<f64> = draw.vec(50).iter().map(|v| v.abs()).collect();
    let input = from_vec(&[1, LEADS, LEN], x.clone());
    let settings = Settings {
        baseline: Baseline::Values(Array2::from_shape_vec((LEADS, LEN), base.clone()).unwrap()),
        draws: Some(Array3::from_shape_vec((60, LEADS, LEN), noise.clone()).unwrap()),
        coefficients: Some(places.clone()),
        ..Settings::default()
    };
    let noised = |s: usize| (0..size).map(|at| x[at] + noise[s * size + at]).collect::<Vec<f64>>();
    let mean = |n: usize, term: &dyn Fn(usize) -> Vec<f64>| {
        let terms: Vec<Vec<f64>> = (0..n).map(term).collect();
        (0..size).map(|at| terms.iter().map(|term| term[at]).sum::<f64>() / n as f64).collect::<Vec<f64>>()
    };
    let smooth = |n: usize, absolute: bool| {
        mean(n, &|s| gradient(&network, noised(s)).into_iter().map(|g| if absolute { g.abs() } else { g }).collect())
    };
    let shap = |n: usize, scaled: bool| {
        mean(n, &|s| {
            let end = noised(s);
            let point = (0..size).map(|at| base[at] + places[s] * (end[at] - base[at])).collect();
            let g = gradient(&network, point);
            (0..size).map(|at| g[at] * if scaled { end[at] - base[at] } else { 1.0 }).collect()
        })
    };
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings.clone();
        change(&mut settings);
        settings
    };
    let check = |settings: &Settings, method, expected: Vec<f64>| {
        assert!(distance(&one(&network, &input, settings, method), &expected) < 1e-12, "{method}");
    };
    check(&settings, Method::SmoothGrad, smooth(25, true));
    check(&with(&|s| s.samples = Some(60)), Method::SmoothGrad, smooth(60, true));
    check(&with(&|s| s.absolute = Some(false)), Method::SmoothGrad, smooth(25, false));
    check(&with(&|s| s.absolute = Some(true)), Method::SmoothGrad, smooth(25, true));
    check(&settings, Method::GradientShap, shap(50, false));
    check(&with(&|s| s.multiply_by_inputs = true), Method::GradientShap, shap(50, true));
    check(&with(&|s| s.samples = Some(7)), Method::GradientShap, shap(7, false));
    check(&with(&|s| s.absolute = Some(true)), Method::GradientShap, shap(50, false).into_iter().map(f64::abs).collect());
}

#[test]
fn a_map_is_the_same_bytes_in_any_company() {
    let network = residual_network(6, LEADS, LEN, 2, Kinks::Relu, 1).cast::<f32>();
    let x: Tensor<f32> = cast(&Draw::new(6).tensor(&[7, LEADS, LEN]));
    let ids: Vec<u64> = vec![40, 2, 17, 3, 99, 5, 6];
    let methods = [Method::STUDY.as_slice(), &[Method::GradCam]].concat();
    let settings = Settings { seed: 3, samples: Some(21), steps: 19, baseline: Baseline::Mean, ..Settings::default() };
    let all = explain(&network, &x, &ids, &settings, &methods).unwrap();
    let bits = |found: &Explanations<f32>, n: usize| {
        let maps = found.maps.iter().flat_map(|(_, map)| map.index_axis(Axis(0), n).iter().map(|v| v.to_bits()).collect::<Vec<u32>>());
        maps.chain([found.prediction[n].to_bits()]).collect::<Vec<u32>>()
    };
    let row = |n: usize| x.slice_axis(Axis(0), (n..n + 1).into()).to_owned().into_shared();
    for n in 0..7 {
        let alone = explain(&network, &row(n), &ids[n..n + 1], &settings, &methods).unwrap();
        assert_eq!(bits(&alone, 0), bits(&all, n), "ECG {n} alone");
    }
    let mut turned = x.clone();
    turned.invert_axis(Axis(0));
    let turned_ids: Vec<u64> = ids.iter().rev().copied().collect();
    let reversed = explain(&network, &turned, &turned_ids, &settings, &methods).unwrap();
    for n in 0..7 {
        assert_eq!(bits(&reversed, 6 - n), bits(&all, n), "ECG {n} in reverse order");
    }
    for (threads, memory) in [(1, 0), (1, usize::MAX), (2, 1 << 16), (5, 1 << 20)] {
        let settings = Settings { memory, ..settings.clone() };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let again = pool.install(|| explain(&network, &x, &ids, &settings, &methods)).unwrap();
        for n in 0..7 {
            assert_eq!(bits(&again, n), bits(&all, n), "{threads} threads, {memory} bytes, ECG {n}");
        }
    }
    // The order and number of methods do not matter either.
    let few = [Method::SmoothGrad, Method::Random, Method::GradientShap];
    let found = explain(&network, &x, &ids, &settings, &few).unwrap();
    for method in few {
        assert_eq!(found.map(method).map(slice), all.map(method).map(slice), "{method}");
    }
}

#[test]
fn draws_belong_to_the_seed_and_the_ecg() {
    let network = residual_network(6, LEADS, LEN, 2, Kinks::All, 1);
    let x = Draw::new(6).tensor(&[1, LEADS, LEN]);
    let map = |seed: u64, id: u64, target: u32, method: Method| {
        let settings = Settings { seed, target, samples: Some(2), ..Settings::default() };
        slice(explain(&network, &x, &[id], &settings, &[method]).unwrap().map(method).unwrap()).to_vec()
    };
    for method in [Method::SmoothGrad, Method::GradientShap, Method::Random] {
        assert_eq!(map(1, 0, 0, method), map(1, 0, 0, method));
        assert_ne!(map(1, 0, 0, method), map(2, 0, 0, method), "{method}");
        assert_ne!(map(1, 0, 0, method), map(1, 1, 0, method), "{method}");
    }
    assert_ne!(map(1, 0, 0, Method::Random), map(1, 0, 1, Method::Random));
    for method in [Method::Saliency, Method::IntegratedGradients, Method::DeepLift] {
        assert_eq!(map(1, 0, 0, method), map(2, 1, 1, method), "{method}");
    }
}

/// y = Σ x or Σ x², so that the maps show the points themselves.
fn power(square: bool, size: usize) -> Network<f64> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(1), Some(size)]);
    let powered = if square { build.node("square", Op::Multiply, &[x, x]) } else { x };
    let flat = build.node("flat", Op::Flatten, &[powered]);
    let y = build.linear("fc", flat, size, 1, false);
    let values = Parameters::from([("fc.weight".to_owned(), from_vec(&[1, size], vec![1.0; size]))]);
    Network::new(build.finish(y).unwrap(), values).unwrap()
}

#[test]
fn drawn_noise_and_places_have_their_distributions() {
    let size = 5000;
    let x = from_vec(&[1, 1, size], (0..size).map(|t| 100.0 * (t as f64 / 50.0).sin()).collect());
    let range = 200.0;
    // Gradient SHAP of Σ x, multiplied: x + noise. SmoothGrad of Σ x²: 2 (x + noise).
    let settings = Settings { multiply_by_inputs: true, samples: Some(1), noise: 0.1, absolute: Some(false), ..Settings::default() };
    let shap = one(&power(false, size), &x, &settings, Method::GradientShap);
    let smooth = one(&power(true, size), &x, &settings, Method::SmoothGrad);
    for (name, noised) in [("gradient_shap", shap), ("smoothgrad", smooth.iter().map(|v| v / 2.0).collect())] {
        let noise: Vec<f64> = noised.iter().zip(slice(&x)).map(|(a, b)| a - b).collect();
        let mean = noise.iter().sum::<f64>() / size as f64;
        let sd = (noise.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / size as f64).sqrt();
        let sigma = 0.1 * range;
        assert!(mean.abs() < 0.08 * sigma && (sd / sigma - 1.0).abs() < 0.05, "{name}: mean {mean}, sd {sd}, wanted {sigma}");
        let within = noise.iter().filter(|v| v.abs() < sigma).count() as f64 / size as f64;
        assert!((within - 0.6827).abs() < 0.03, "{name}: {within} within one σ");
    }
    // Without noise, Gradient SHAP of Σ x² is 2 a x: one place a for the whole ECG, uniform over ECGs.
    let settings = Settings { samples: Some(1), noise: 0.0, ..Settings::default() };
    let ids: Vec<u64> = (0..400).collect();
    let rows = from_vec(&[400, 1, 2], [3.0, -1.0].repeat(400));
    let found = explain(&power(true, 2), &rows, &ids, &settings, &[Method::GradientShap]).unwrap();
    let places: Vec<f64> = slice(found.map(Method::GradientShap).unwrap())
        .chunks(2)
        .map(|g| {
            assert!((g[0] / 6.0 - g[1] / -2.0).abs() < 1e-12);
            g[0] / 6.0
        })
        .collect();
    assert!(places.iter().all(|a| (0.0..1.0).contains(a)));
    let mean = places.iter().sum::<f64>() / 400.0;
    let variance = places.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / 400.0;
    assert!((mean - 0.5).abs() < 0.06 && (variance - 1.0 / 12.0).abs() < 0.015, "mean {mean}, variance {variance}");
}

#[test]
fn giving_the_one_leaves_the_draws_of_the_other() {
    let size = 40;
    let x = Draw::new(1).tensor(&[1, 1, size]);
    let base = Settings { multiply_by_inputs: true, samples: Some(6), ..Settings::default() };
    // Given places: Σ x multiplied shows the mean noised input, whatever the places are.
    let places = Settings { coefficients: Some(vec![0.3; 6]), ..base.clone() };
    let linear = power(false, size);
    assert_eq!(one(&linear, &x, &base, Method::GradientShap), one(&linear, &x, &places, Method::GradientShap));
    // Given noise of 0: Σ x² shows the mean place, the same as where noise of strength 0 was drawn.
    let quiet = Settings { noise: 0.0, multiply_by_inputs: false, ..base.clone() };
    let given = Settings { draws: Some(Array3::zeros((6, 1, size))), ..quiet.clone() };
    let square = power(true, size);
    assert_eq!(one(&square, &x, &quiet, Method::GradientShap), one(&square, &x, &given, Method::GradientShap));
}

#[test]
fn the_control_is_standard_normal_and_knows_no_network() {
    let (a, b) = (power(false, 5000), power(true, 5000));
    let x = Draw::new(1).tensor(&[1, 1, 5000]);
    let settings = Settings { seed: 9, ..Settings::default() };
    let map = one(&a, &x, &settings, Method::Random);
    assert_eq!(map, one(&b, &x, &settings, Method::Random));
    let mean = map.iter().sum::<f64>() / 5000.0;
    let variance = map.iter().map(|v| v * v).sum::<f64>() / 5000.0;
    assert!(mean.abs() < 0.06 && (variance - 1.0).abs() < 0.08, "mean {mean}, variance {variance}");
}

#[test]
fn settings_that_do_not_fit_are_refused_by_name() {
    let network = residual_network(1, LEADS, LEN, 1, Kinks::Relu, 1);
    let x = Draw::new(1).tensor(&[1, LEADS, LEN]);
    let error = |method: Method, change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        let error = explain(&network, &x, &[0], &settings, &[method]).expect_err("an error").to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let draws = |n: usize, value: f64| Some(Array3::from_elem((n, LEADS, LEN), value));
    #[allow(clippy::type_complexity)] // A table reads better than a type of its own.
    let cases: [(Method, &dyn Fn(&mut Settings), &str); 13] = [
        (
            Method::DeepLift,
            &|s| s.baseline = Baseline::Values(Array2::zeros((LEADS, LEN + 1))),
            "the baseline: expected shape [3, 20], found [3, 21]",
        ),
        (
            Method::DeepLift,
            &|s| s.baseline = Baseline::Values(Array2::from_elem((LEADS, LEN), f64::NAN)),
            "the baseline: element 0 is not finite",
        ),
        (Method::SmoothGrad, &|s| s.draws = Some(Array3::zeros((25, LEADS, 7))), "the draws: expected shape [3, 20], found [3, 7]"),
        (Method::SmoothGrad, &|s| s.draws = draws(24, 0.0), "24 draws were given, 25 samples need as many"),
        (Method::SmoothGrad, &|s| s.draws = draws(25, f64::INFINITY), "the draws: element 0 is not finite"),
        (Method::GradientShap, &|s| s.draws = draws(49, 0.0), "49 draws were given, 50 samples need as many"),
        (Method::GradientShap, &|s| s.coefficients = Some(vec![0.5; 3]), "3 coefficients were given, 50 samples need as many"),
        (Method::GradientShap, &|s| s.coefficients = Some(vec![0.5, 1.5]), "coefficient 1: 1.5 is not in [0, 1]"),
        (Method::GradientShap, &|s| s.coefficients = Some(vec![f64::NAN]), "coefficient 0: NaN is not in [0, 1]"),
        (Method::SmoothGrad, &|s| s.samples = Some(0), "samples and steps start at 1"),
        (Method::IntegratedGradients, &|s| s.steps = 0, "samples and steps start at 1"),
        (Method::SmoothGrad, &|s| s.noise = -0.1, "noise -0.1 is not a share"),
        (Method::Saliency, &|s| s.output = 1, "output 1 was asked for, the network has 1"),
    ];
    for (method, change, expected) in cases {
        let error = error(method, change);
        assert!(error.contains(expected), "{method}: {error}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused_with_the_place() {
    let network = residual_network(1, LEADS, LEN, 1, Kinks::Relu, 1);
    let settings = Settings::default();
    let error = |x: &Tensor<f64>, ids: &[u64]| explain(&network, x, ids, &settings, &[Method::Saliency]).expect_err("an error").to_string();
    let mut x = Draw::new(1).tensor(&[2, LEADS, LEN]);
    assert!(error(&x, &[0]).contains("1 ids were given for 2 ECGs"));
    assert!(error(&cardiograd::tape::zeros(&[LEADS, LEN]), &[0]).contains("the input: expected shape \"(N, C, L)\""));
    assert!(error(&cardiograd::tape::zeros(&[1, LEADS + 1, LEN]), &[0]).contains("input 'x': expected shape (N, 3, 20), found [1, 4, 20]"));
    x[[1, 2, 5]] = f64::NAN;
    assert!(error(&x, &[0, 1]).contains("ECG 1, lead 2, sample 5: NaN is not finite"));
    // What overflows on the way is an error too, not a map with NaN in it.
    let large = from_vec(&[1, LEADS, LEN], vec![1e300; LEADS * LEN]);
    let product = residual_network(1, LEADS, LEN, 1, Kinks::Relu, 1);
    let settings = Settings { multiply_by_inputs: true, ..Settings::default() };
    let overflow = explain(&product.cast::<f32>(), &cast(&large), &[0], &settings, &[Method::InputXGradient]).expect_err("an error");
    assert!(overflow.to_string().contains("is not finite"), "{overflow}");
    let square = power(true, 4);
    let overflow = explain(&square, &from_vec(&[1, 1, 4], vec![1e200; 4]), &[7], &settings, &[Method::InputXGradient]).err().unwrap();
    assert!(overflow.to_string().contains("ECG 7: the network gives inf at the ECG itself in f64"), "{overflow}");
    // No ECGs: no maps, and no error.
    let none = explain(&network, &cardiograd::tape::zeros(&[0, LEADS, LEN]), &[], &settings, &Method::STUDY).unwrap();
    assert!(none.prediction.is_empty() && none.maps.iter().all(|(_, map)| map.shape() == [0, LEADS, LEN]));
}

#[test]
fn progress_counts_every_ecg() {
    let network = residual_network(1, LEADS, LEN, 1, Kinks::Relu, 1);
    let x = Draw::new(1).tensor(&[30, LEADS, LEN]);
    let ids: Vec<u64> = (0..30).collect();
    let seen = Mutex::new(Vec::new());
    let report = |step: progress::Step<'_>| seen.lock().unwrap().push((step.done, step.total));
    let settings = Settings::default();
    Explainer::new(&network, &settings).unwrap().explain(&x, &ids, &[Method::Saliency], &report).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.iter().all(|(_, total)| *total == 30) && seen.iter().any(|(done, _)| *done == 30));
}
