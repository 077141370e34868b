//! The criteria of `challenge` against closed forms on linear networks, against Captum and Quantus (`tests/data/challenge/peers.py`), scikit-image, SciPy
//! and NumPy (`reference.py` beside it), and the command as a script calls it.

#[path = "common/trees.rs"]
mod trees;

use cardiograd::atomic::AtomicFolder;
use cardiograd::attribution::{self as explained, Baseline, Explainer, Method};
use cardiograd::challenge::infidelity::{Infidelity, Perturbed, max_sensitivity, per_microvolt};
use cardiograd::challenge::localisation::{Region, segment};
use cardiograd::challenge::randomise::{layers, randomised};
use cardiograd::challenge::removal::Removal;
use cardiograd::challenge::replace::{Patches, Replacement, Replacer, impute};
use cardiograd::challenge::similarity::{Similarity, ssim};
use cardiograd::challenge::summary::Resamples;
use cardiograd::challenge::{Findings, Settings};
use cardiograd::dataset::Target;
use cardiograd::ecg::Measurements;
use cardiograd::evaluation::perturbation::Predictor;
use cardiograd::evaluation::ranks::spearman;
use cardiograd::nn::{architecture, initialise};
use cardiograd::progress::silent;
use cardiograd::tape::{Builder, ConvLayer, Network, Op, Parameters, RuleSet, Tensor, from_vec, slice};
use ndarray::Array2;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use trees::tree;

fn reference() -> serde_json::Value {
    serde_json::from_str(include_str!("data/challenge/reference.json")).unwrap()
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn singles(value: &serde_json::Value) -> Vec<f32> {
    numbers(value).into_iter().map(|v| v as f32).collect()
}

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} and {b}");
}

/// f(x) = Σ w x + b of (1, leads, len) inputs.
fn linear(weights: &[f32], leads: usize, len: usize) -> Network<f32> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(leads), Some(len)]);
    let flat = build.node("flat", Op::Flatten, &[x]);
    let y = build.linear("fc", flat, leads * len, 1, true);
    let values =
        [("fc.weight".to_owned(), from_vec(&[1, weights.len()], weights.to_vec())), ("fc.bias".to_owned(), from_vec(&[1], vec![7.0]))];
    Network::new(build.finish(y).unwrap(), Parameters::from(values)).unwrap()
}

fn peers() -> serde_json::Value {
    serde_json::from_str(include_str!("data/challenge/peers.json")).unwrap()
}

/// The network of the references, with these parameters.
fn small(parameters: &serde_json::Value) -> Network<f32> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), Some(12)]);
    let layer = ConvLayer { padding: (1, 1), ..ConvLayer::same(2, 3, 3) };
    let hidden = build.conv1d("conv", x, layer);
    let hidden = build.relu("relu", hidden);
    let pooled = build.node("pool", Op::GlobalAvgPool, &[hidden]);
    let y = build.linear("fc", pooled, 3, 1, true);
    let shape = |name: &str| -> Vec<usize> {
        match name {
            "conv.weight" => vec![3, 2, 3],
            "conv.bias" => vec![3],
            "fc.weight" => vec![1, 3],
            _ => vec![1],
        }
    };
    let parameters: Parameters<f32> =
        parameters.as_object().unwrap().iter().map(|(name, v)| (name.clone(), from_vec(&shape(name), singles(v)))).collect();
    Network::new(build.finish(y).unwrap(), parameters).unwrap()
}

fn predict(network: &Network<f32>, x: &[f32], leads: usize) -> f64 {
    f64::from(network.predict_batch(from_vec(&[1, leads, x.len() / leads], x.to_vec())).unwrap()[0])
}

fn gradient(network: &Network<f32>, x: &[f32], leads: usize) -> Vec<f32> {
    let x: Tensor<f32> = from_vec(&[1, leads, x.len() / leads], x.to_vec());
    slice(&network.gradient(&network.run(&[x]).unwrap(), &RuleSet::plain(), 0).unwrap()).to_vec()
}

#[test]
fn infidelity_and_max_sensitivity_are_captums() {
    let reference = reference();
    let network = small(&reference["parameters"]);
    let x = singles(&reference["x"]);
    let noise: Vec<Vec<f32>> = reference["noise"].as_array().unwrap().iter().map(singles).collect();
    let first = predict(&network, &x, 2);
    let less = |i: &Vec<f32>| x.iter().zip(i).map(|(x, i)| x - i).collect::<Vec<f32>>();
    let changes: Vec<f64> = noise.iter().map(|i| first - predict(&network, &less(i), 2)).collect();
    let perturbed = Perturbed { perturbations: &noise, changes: &changes };
    let own = gradient(&network, &x, 2);
    own.iter().zip(numbers(&reference["gradient"])).for_each(|(a, b)| near(f64::from(*a), b, 1e-5));
    for (name, map) in [("gradient", own.clone()), ("other", singles(&reference["other"]))] {
        let Infidelity { raw, scaled, .. } = perturbed.infidelity(&map);
        near(raw, reference["infidelity"][name].as_f64().unwrap(), 1e-5);
        near(scaled, reference["infidelity_scaled"][name].as_f64().unwrap(), 1e-5);
    }
    let near_by: Vec<Vec<f32>> = reference["near"].as_array().unwrap().iter().map(singles).collect();
    let others: Vec<Vec<f32>> =
        near_by.iter().map(|e| gradient(&network, &x.iter().zip(e).map(|(x, e)| x + e).collect::<Vec<f32>>(), 2)).collect();
    let found = max_sensitivity(&own, others.iter().map(Vec::as_slice)).unwrap();
    near(found, reference["sensitivity_max"].as_f64().unwrap(), 1e-6);
    near(found, peers()["sensitivity_max"].as_f64().unwrap(), 1e-6);
}

/// Input × gradient of the references' network.
fn product(network: &Network<f32>, x: &[f32]) -> Vec<f32> {
    gradient(network, x, 2).iter().zip(x).map(|(g, x)| g * x).collect()
}

#[test]
fn localisation_is_quantus_relevance_mass() {
    let (reference, peers) = (reference(), peers());
    let map = product(&small(&reference["parameters"]), &singles(&reference["x"]));
    map.iter().zip(numbers(&peers["product"])).for_each(|(a, b)| near(f64::from(*a), b, 1e-6));
    let at = |name: &str| peers["mass"][name].as_u64().unwrap() as usize;
    let inside = Region { leads: at("lead")..at("lead") + 1, samples: at("from")..at("to") };
    let map = Array2::from_shape_vec((2, 12), map).unwrap();
    near(inside.share(map.view()).unwrap(), peers["mass"]["share"].as_f64().unwrap(), 1e-6);
}

/// Points, one a step, replaced by zero or by the values of another array, most relevant first.
#[test]
fn curves_of_replacement_are_quantus_pixel_flipping() {
    let (reference, peers) = (reference(), peers());
    let (network, x) = (small(&reference["parameters"]), singles(&reference["x"]));
    let settings = Settings { patch: 1, steps: 24, ..Settings::default() };
    let patches = Patches { leads: 2, len: 12, window: 1 };
    let order = patches.ranked(&product(&network, &x)).unwrap();
    for (name, donor) in [("zero", vec![0.0; 24]), ("value", singles(&peers["value"]))] {
        let replacer = Replacer::new(Replacement::Resampling, patches, &x, &donor, 0, &settings);
        let curve = Removal::new(&network, patches, replacer, &settings).unwrap().curve(&order).unwrap();
        let first = peers["prediction"].as_f64().unwrap();
        let wanted: Vec<f64> = numbers(&peers["flipping"][name]).into_iter().map(|now| (now - first).abs()).collect();
        assert_eq!(curve.len(), wanted.len() + 1);
        curve[1..].iter().zip(wanted).for_each(|(a, b)| near(*a, b, 1e-6));
    }
}

/// The layers as Quantus has drawn them anew, from the output on; its similarity of the maps before and after.
#[test]
fn randomised_layers_are_compared_as_quantus_compares_them() {
    let (reference, peers) = (reference(), peers());
    let x = singles(&reference["x"]);
    let own = Array2::from_shape_vec((2, 12), product(&small(&reference["parameters"]), &x)).unwrap();
    let stages = peers["mprt"].as_array().unwrap();
    let order: Vec<&str> = stages.iter().map(|stage| stage["layer"].as_str().unwrap()).collect();
    let names: Vec<String> = layers(small(&reference["parameters"]).program()).unwrap().into_iter().map(|layer| layer.name).collect();
    assert_eq!(order, names, "the cascade goes through the layers in the same order");
    for stage in stages {
        let other = Array2::from_shape_vec((2, 12), product(&small(&stage["parameters"]), &x)).unwrap();
        let found = Similarity::of(own.view(), other.view()).spearman_signed.unwrap();
        near(found, stage["spearman"].as_f64().unwrap(), 1e-9);
    }
}

#[test]
fn occlusion_puts_in_the_values_that_captum_puts_in() {
    let (reference, peers) = (reference(), peers());
    let network = small(&reference["parameters"]).cast::<f64>();
    let x: Tensor<f64> = from_vec(&[1, 2, 12], numbers(&reference["x"]));
    let value = Array2::from_shape_vec((2, 12), numbers(&peers["value"])).unwrap();
    for (name, value) in [("zero", Baseline::Zero), ("mean", Baseline::Mean), ("value", Baseline::Values(value))] {
        // Its own value, whatever the baseline; and the baseline, where it has none.
        let own = (Baseline::Values(Array2::from_elem((2, 12), 9.0)), Some(value.clone()));
        for (baseline, occlusion_value) in [own, (value, None)] {
            let settings =
                explained::Settings { baseline, occlusion_value, occlusion_window: 4, occlusion_stride: 2, ..Default::default() };
            let found = Explainer::new(&network, &settings).unwrap().explain(&x, &[0], &[Method::Occlusion], &silent).unwrap();
            for (a, b) in slice(&found.maps[0].1).iter().zip(numbers(&peers["occlusion"][name])) {
                near(*a, b, 1e-6);
            }
        }
    }
    let settings = explained::Settings { occlusion_value: Some(Baseline::Values(Array2::zeros((2, 11)))), ..Default::default() };
    let error = Explainer::new(&network, &settings).unwrap().explain(&x, &[0], &[Method::Occlusion], &silent).unwrap_err();
    assert!(error.to_string().contains("occlusion's value"), "{error}");
}

#[test]
fn similarities_and_imputation_are_those_of_python() {
    let reference = reference();
    let series: Vec<Vec<f64>> = reference["series"].as_array().unwrap().iter().map(numbers).collect();
    near(ssim(&series[0], &series[1], 2.0).unwrap(), reference["ssim"].as_f64().unwrap(), 1e-12);
    near(spearman(&series[0], &series[1]).unwrap(), reference["spearman"].as_f64().unwrap(), 1e-12);
    let tied: Vec<Vec<f64>> = series.iter().map(|s| s.iter().map(|v| v.round_ties_even()).collect()).collect();
    near(spearman(&tied[0], &tied[1]).unwrap(), reference["spearman_tied"].as_f64().unwrap(), 1e-12);
    let signal = singles(&reference["signal"]);
    let gaps = numbers(&reference["missing"]);
    let missing: Vec<bool> = (0..signal.len()).map(|t| gaps.contains(&(t as f64))).collect();
    for (found, wanted) in impute(&signal, &missing).into_iter().zip(numbers(&reference["imputed"])) {
        near(f64::from(found), wanted, 1e-6);
    }
    // Quantus's ROAD, a lead being an image of one row, solves the same equations.
    for (found, wanted) in impute(&signal, &missing).into_iter().zip(numbers(&peers()["imputed"])) {
        near(f64::from(found), wanted, 1e-6);
    }
    assert_eq!(impute(&[1.0, 2.0, 6.0], &[true; 3]), [3.0; 3]);
}

#[test]
fn a_linear_networks_gradient_explains_everything() {
    let weights: Vec<f32> = (0..24).map(|k| (k as f32 - 11.0) / 5.0).collect();
    let network = linear(&weights, 2, 12);
    let x: Vec<f32> = (0..24).map(|k| (k * k % 17) as f32 - 8.0).collect();
    let noise: Vec<Vec<f32>> = (0..9).map(|j| (0..24).map(|k| ((j * 31 + k * 7) % 13) as f32 - 6.0).collect()).collect();
    let less = |i: &Vec<f32>| x.iter().zip(i).map(|(x, i)| x - i).collect::<Vec<f32>>();
    let changes: Vec<f64> = noise.iter().map(|i| predict(&network, &x, 2) - predict(&network, &less(i), 2)).collect();
    let perturbed = Perturbed { perturbations: &noise, changes: &changes };
    let map = gradient(&network, &x, 2);
    assert!(perturbed.infidelity(&map).raw < 1e-8);
    // A factor does not matter; the opposite sign neither, by the best factor; raw infidelity sees both.
    let tripled: Vec<f32> = map.iter().map(|v| -3.0 * v).collect();
    let found = perturbed.infidelity(&tripled);
    let power = changes.iter().map(|d| d * d).sum::<f64>() / 9.0;
    assert!(found.unexplained.unwrap() < 1e-10);
    near(found.raw, 16.0 * power, 1e-5);
    // Nothing foretold: everything is left.
    assert_eq!(perturbed.infidelity(&[0.0; 24]).unexplained, Some(1.0));
    // Input × gradient, divided by the input, is the gradient where the input is not 0.
    let contributions: Vec<f32> = map.iter().zip(&x).map(|(g, x)| g * x).collect();
    for ((a, g), x) in per_microvolt(&contributions, &x).iter().zip(&map).zip(&x) {
        near(f64::from(*a), if *x == 0.0 { 0.0 } else { f64::from(*g) }, 1e-6);
    }
    assert_eq!(max_sensitivity(&map, [map.as_slice()]), Some(0.0));
    assert_eq!(max_sensitivity(&[0.0; 24], [map.as_slice()]), None);
}

/// With f linear and patches replaced by those of another ECG, a patch changes the prediction by Σ w (donor − x) however many others are replaced.
#[test]
fn the_curve_and_the_oracle_of_a_linear_network_are_sums() {
    let (leads, len) = (2, 20);
    let weights: Vec<f32> = (0..40).map(|k| ((k * 7 % 11) as f32 + 1.0) / 4.0).collect();
    let network = linear(&weights, leads, len);
    let x = vec![1.0f32; 40];
    let donor: Vec<f32> = (0..40).map(|k| 2.0 + (k % 3) as f32).collect();
    let settings = Settings { patch: 5, steps: 3, screened: 8, candidates: 8, ..Settings::default() };
    let patches = Patches { leads, len, window: 5 };
    assert_eq!((patches.count(), patches.places(5)), (8, 25..30));
    let effect = |patch: usize| patches.places(patch).map(|at| f64::from(weights[at] * (donor[at] - x[at]))).sum::<f64>();
    let replacer = Replacer::new(Replacement::Resampling, patches, &x, &donor, 3, &settings);
    let removal = Removal::new(&network, patches, replacer, &settings).unwrap();
    let curve = removal.curve(&[4, 1, 7]).unwrap();
    let wanted = [0.0, effect(4), effect(4) + effect(1), effect(4) + effect(1) + effect(7)];
    curve.iter().zip(wanted).for_each(|(a, b)| near(*a, b, 1e-5));
    let mut effects: Vec<f64> = (0..8).map(effect).collect();
    effects.sort_by(|a, b| b.total_cmp(a));
    let best = (effects[0] / 2.0 + effects[0] + effects[1] / 2.0 + effects[0] + effects[1] + effects[2] / 2.0) / 3.0;
    let best_curve = (effects[0] * 2.5 + effects[1] * 1.5 + effects[2] * 0.5) / 3.0;
    near(best, best_curve, 1e-12);
    near(removal.oracle(&weights).unwrap(), best_curve, 1e-5);
    // The contribution map of a linear network ranks patches as the oracle does.
    let contributions: Vec<f32> = (0..40).map(|at| weights[at] * (donor[at] - x[at])).collect();
    let (most, least) = removal.map(&contributions).unwrap();
    near(most, best_curve, 1e-5);
    let random = removal.random(3).unwrap();
    assert!(least < random && random < most, "{least} {random} {most}");
    effects.reverse();
    near(least, (effects[0] * 2.5 + effects[1] * 1.5 + effects[2] * 0.5) / 3.0, 1e-5);
}

#[test]
fn replacements_change_what_they_are_told_to() {
    let (leads, len) = (2, 40);
    let x: Vec<f32> = (0..80).map(|k| ((k * k) % 23) as f32).collect();
    let donor = vec![-5.0f32; 80];
    let settings = Settings { patch: 10, ..Settings::default() };
    for kind in Replacement::ALL {
        let patches = Patches { leads, len, window: kind.window(&settings) };
        let replacer = Replacer::new(kind, patches, &x, &donor, 11, &settings);
        let (first, second) = (patches.count() - 1, 0);
        let mut state = replacer.start();
        assert_eq!(state.samples, x);
        for patch in [first, second] {
            replacer.replace(&mut state, patch);
        }
        let touched: Vec<usize> = (0..80).filter(|at| state.samples[*at] != x[*at]).collect();
        let allowed: Vec<usize> = patches.places(second).chain(patches.places(first)).collect();
        assert!(!touched.is_empty() && touched.iter().all(|at| allowed.contains(at)), "{kind:?} touched {touched:?}");
        if kind == Replacement::Resampling {
            assert_eq!(touched, allowed);
        }
        // The same once more, and for another ECG something else where there are draws.
        let mut again = replacer.start();
        [first, second].into_iter().for_each(|patch| replacer.replace(&mut again, patch));
        assert_eq!(again.samples, state.samples);
        let elsewhere = Replacer::new(kind, patches, &x, &donor, 12, &settings);
        let mut other = elsewhere.start();
        [first, second].into_iter().for_each(|patch| elsewhere.replace(&mut other, patch));
        assert_eq!(other.samples == state.samples, kind == Replacement::Resampling);
    }
}

fn measured() -> Measurements {
    Measurements { p_onset: Some(140.0), qrs_onset: Some(215.0), qrs_offset: Some(262.0), t_offset: Some(420.0), ..Measurements::default() }
}

#[test]
fn segments_are_where_targets_are_measured() {
    let mut beat = Array2::<f32>::zeros((12, 600));
    beat[[10, 238]] = 900.0;
    beat[[10, 350]] = -300.0;
    let found = measured();
    let of = |target| segment(target, beat.view(), &found);
    let rectangle = |leads, samples| Some(Region { leads, samples });
    assert_eq!(of(Target::Pr), rectangle(0..12, 140..216));
    assert_eq!(of(Target::Qrs), rectangle(0..12, 215..263));
    assert_eq!(of(Target::Qt), rectangle(0..12, 215..421));
    assert_eq!(of(Target::RV5), rectangle(10..11, 228..249));
    assert_eq!(of(Target::JV5), rectangle(10..11, 252..273));
    assert_eq!(of(Target::TV5), rectangle(10..11, 330..371));
    assert_eq!(of(Target::Rate), None);
    assert_eq!(segment(Target::Pr, beat.view(), &Measurements { p_onset: None, ..measured() }), None);
    assert_eq!(segment(Target::Qt, beat.view(), &Measurements { t_offset: Some(1e9), ..measured() }), None);
    // Even maps have a share of |attribution| equal to that of points; all of it inside gives 1.
    let pr = of(Target::Pr).unwrap();
    let even = Array2::from_elem((12, 600), -2.0f32);
    near(pr.share(even.view()).unwrap(), pr.points(even.view()), 1e-12);
    near(pr.points(even.view()), 76.0 / 600.0, 1e-12);
    let mut inside = Array2::<f32>::zeros((12, 600));
    inside[[3, 180]] = -4.0;
    assert_eq!((pr.share(inside.view()), of(Target::Qrs).unwrap().share(inside.view())), (Some(1.0), Some(0.0)));
    assert_eq!(pr.share(Array2::zeros((12, 600)).view()), None);
}

#[test]
fn layers_are_randomised_from_the_output() {
    let program = architecture("stevennet").unwrap();
    let names: Vec<String> = layers(&program).unwrap().into_iter().map(|layer| layer.name).collect();
    assert_eq!(names.join(" "), "fc1 block8 block7 block6 block5 block4 block3 block2 block1 init_block");
    let plain = architecture("standardconv").unwrap();
    let modules = layers(&plain).unwrap();
    assert!(modules.len() > 2);
    let network = Network::new(plain.clone(), initialise(&plain, 1, 0).unwrap()).unwrap();
    let changed = randomised(&network, &modules[..2], 9, 0).unwrap();
    let (before, after) = (network.parameters(), changed.parameters());
    let fresh = initialise(&plain, 9, 0).unwrap();
    for (name, value) in &after {
        let random = modules[..2].iter().any(|layer| name.starts_with(&format!("{}.", layer.name)));
        assert_eq!(value, if random { &fresh[name] } else { &before[name] }, "{name}");
    }
    // All layers: nothing of the network is left, so its maps say nothing of what it has learned.
    assert_eq!(randomised(&network, &modules, 9, 0).unwrap().parameters(), fresh);
}

#[test]
fn normalised_scores_lie_between_the_bounds() {
    let mut resamples = Resamples::new(5);
    let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<Option<f64>>>();
    let (lower, upper) = (some(&[1.0, 2.0, 3.0, 1.0]), some(&[5.0, 6.0, 9.0, 3.0]));
    let middle = some(&[3.0, 4.0, 6.0, 2.0]);
    let half = resamples.normalised(&middle, &lower, &upper).unwrap();
    assert_eq!((half.value, half.low, half.high, half.ecgs), (0.5, 0.5, 0.5, 4));
    assert_eq!(resamples.normalised(&lower, &lower, &upper).unwrap().value, 0.0);
    assert_eq!(resamples.normalised(&upper, &lower, &upper).unwrap().high, 1.0);
    assert_eq!(resamples.normalised(&middle, &lower, &lower), None);
    let gaps = vec![Some(1.0), None, Some(3.0), None];
    let mean = resamples.mean(&gaps).unwrap();
    assert_eq!((mean.value, mean.low, mean.high, mean.ecgs), (2.0, 1.0, 3.0, 2));
    assert_eq!(resamples.mean(&[None, None]), None);
}

proptest! {
    #[test]
    fn similarity_knows_neither_scale_nor_order(values in proptest::collection::vec(-50i32..50, 48), other in proptest::collection::vec(-50i32..50, 48), factor in 1u8..20) {
        let map = |values: &[i32], factor: f32| Array2::from_shape_vec((2, 24), values.iter().map(|v| *v as f32 * factor).collect()).unwrap();
        let (a, b) = (map(&values, 1.0), map(&other, 1.0));
        let found = Similarity::of(a.view(), b.view()).values();
        let back = Similarity::of(b.view(), a.view()).values();
        let scaled = Similarity::of(map(&values, f32::from(factor) * 0.5).view(), b.view()).values();
        for ((f, g), h) in found.into_iter().zip(back).zip(scaled) {
            prop_assert_eq!(f.is_some(), g.is_some());
            if let (Some(f), Some(g), Some(h)) = (f, g, h) {
                prop_assert!((-1.0 - 1e-12..=1.0 + 1e-12).contains(&f));
                prop_assert!((f - g).abs() < 1e-9 && (f - h).abs() < 1e-6, "{} {} {}", f, g, h);
            }
        }
        let own = Similarity::of(a.view(), a.view()).values();
        prop_assert!(own.into_iter().flatten().all(|v| (v - 1.0).abs() < 1e-9));
    }

    #[test]
    fn patches_part_the_ecg(leads in 1usize..13, len in 1usize..60, window in 1usize..70) {
        let patches = Patches { leads, len, window: window.min(len) };
        let all: Vec<usize> = (0..patches.count()).flat_map(|patch| patches.places(patch)).collect();
        prop_assert_eq!(all, (0..leads * len).collect::<Vec<usize>>());
        let mut ranked = patches.ranked(&vec![1.0; leads * len]).unwrap();
        prop_assert!(ranked.is_sorted(), "ties keep their places");
        ranked.dedup();
        prop_assert_eq!(ranked.len(), patches.count());
    }

    #[test]
    fn imputed_samples_are_the_mean_of_their_neighbours(x in proptest::collection::vec(-100.0f32..100.0, 3..40), seed in any::<u64>()) {
        let missing: Vec<bool> = (0..x.len()).map(|t| seed >> (t % 64) & 1 == 1).collect();
        let filled = impute(&x, &missing);
        for t in 0..x.len() {
            if !missing[t] {
                prop_assert_eq!(filled[t], x[t]);
            } else if t > 0 && t + 1 < x.len() && missing.contains(&false) {
                prop_assert!((filled[t] - (filled[t - 1] + filled[t + 1]) / 2.0).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn a_map_unrelated_to_the_network_explains_nothing_more_than_chance(map in proptest::collection::vec(-1.0f32..1.0, 10)) {
        // Two perturbations that the network does not see.
        let perturbations = vec![vec![1.0f32; 10], vec![-2.0; 10]];
        let found = Perturbed { perturbations: &perturbations, changes: &[0.0, 0.0] }.infidelity(&map);
        prop_assert_eq!(found.unexplained, None);
        prop_assert!(found.scaled.abs() < 1e-20 && found.raw >= 0.0);
    }
}

const STUDY: &str = "study --ecgs 60 --epochs 1 --arch standardconv --targets pr,t_v5 --method saliency,random,inputxgradient \
                     --heatmap-ecgs 3 --perturb-ecgs 3 --iterations 26 --seed 3 -q -o study";
const SMALL: &str = "challenge study -n 4 --few 2 --steps 3 --permuted-epochs 1";

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    command.current_dir(folder).args(arguments.split_whitespace());
    command
}

fn succeed(folder: &Path, arguments: &str) -> String {
    let output = command(folder, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refuse(folder: &Path, arguments: &str, code: i32, about: &str) {
    let output = command(folder, arguments).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
    assert!(text.contains(about) && text.trim_end().lines().count() == 1, "{text}");
}

/// One study for all that is asked of the command: threads and an interruption change nothing, wrong requests leave nothing.
#[test]
fn the_command_gives_the_same_bytes_and_continues() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    succeed(folder, STUDY);
    let text = succeed(folder, &format!("{SMALL} --threads 1 -o one"));
    assert!(text.contains("PR interval (pr)") && text.contains("one/challenge.html"), "{text}");
    let one = tree(&folder.join("one"));
    for name in ["challenge.html", "challenge.md", "challenge.csv", "challenge.json", "tables/pr.csv", "values/t_v5/seeds.json"] {
        assert!(one.contains_key(name), "{name} is missing: {:?}", one.keys());
    }
    // What a kill leaves: some criteria are done, one is of other settings, one is damaged.
    let unfinished = AtomicFolder::resume(folder.join("two")).unwrap();
    let partial = unfinished.beside("done");
    std::fs::create_dir_all(partial.join("values/pr")).unwrap();
    std::fs::write(partial.join("values/pr/cascading.json"), &one["values/pr/cascading.json"]).unwrap();
    let other = String::from_utf8(one["values/pr/likeness.json"].clone()).unwrap().replacen("sha256:", "sha256:0", 1);
    std::fs::write(partial.join("values/pr/likeness.json"), other).unwrap();
    std::fs::write(partial.join("values/pr/infidelity.json"), "{").unwrap();
    // Nothing of another challenge gets among the results.
    std::fs::write(partial.join("values/pr/other.json"), "{}").unwrap();
    std::fs::write(unfinished.partial().join("other.csv"), "").unwrap();
    drop(unfinished);
    succeed(folder, &format!("{SMALL} --threads 3 --quiet -o two"));
    let two = tree(&folder.join("two"));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    let differ: Vec<&String> = one.iter().filter(|(name, bytes)| two[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(differ.is_empty(), "these differ: {differ:?}");
    figures(&one);

    refuse(folder, &format!("{SMALL} -o one"), 2, "exists already");
    refuse(folder, &format!("{SMALL} --targets qt -o three"), 2, "no network for qt");
    refuse(folder, "challenge study -n 4 --few 0 -o three", 2, "at least 1");
    refuse(folder, &format!("{SMALL} --criteria beauty -o three"), 2, "unknown criterion 'beauty'");
    refuse(folder, "challenge . -o three", 2, "not the folder of a study");
    assert!(!folder.join("three").exists() && !folder.join(".three.cardiograd-partial").exists());
    // The same network as a model of its own has the same figures.
    let own = "challenge study/models/pr.cgm --data study/dataset -m saliency --criteria localisation -n 4 --json -o four";
    let json: serde_json::Value = serde_json::from_str(&succeed(folder, own)).unwrap();
    assert_eq!(json["networks"][0]["criteria"][0]["name"], "localisation.ratio");
    let four: Findings = serde_json::from_slice(&tree(&folder.join("four"))["values/pr/localisation.json"]).unwrap();
    let whole: Findings = serde_json::from_slice(&one["values/pr/localisation.json"]).unwrap();
    assert_eq!(four.values("ratio", "saliency"), whole.values("ratio", "saliency"));
}

/// What must hold of any network's figures.
fn figures(files: &BTreeMap<String, Vec<u8>>) {
    let of = |name: &str| -> Findings { serde_json::from_slice(&files[&format!("values/pr/{name}.json")]).unwrap() };
    let likeness = of("likeness");
    assert!(likeness.values("saliency", "saliency").unwrap().iter().all(|v| (v.unwrap() - 1.0).abs() < 1e-12));
    assert_eq!(likeness.values("saliency", "random"), likeness.values("random", "saliency"));
    // Input × gradient, per µV, is the gradient but where a sample is 0: its infidelity is close to Saliency's.
    let infidelity = of("infidelity");
    let pair = ["saliency", "inputxgradient"].map(|method| infidelity.values("noise.unexplained", method).unwrap().to_vec());
    pair[0].iter().zip(&pair[1]).for_each(|(a, b)| near(a.unwrap(), b.unwrap(), 1e-2));
    // The control is drawn anew: unrelated to itself.
    let random = of("cascading");
    let stage = random.measures.iter().find(|measure| measure.name == "spearman_absolute").unwrap();
    let last = random.values_at(stage.layer.as_deref(), "spearman_absolute", "random").unwrap();
    assert!(last.iter().all(|v| v.unwrap().abs() < 0.1), "{last:?}");
    let replacement = of("replacement");
    let bounds = ["oracle", "random_orders"].map(|of| replacement.values("local_noise.bounds", of).unwrap().to_vec());
    assert!(bounds[0].iter().zip(&bounds[1]).all(|(upper, lower)| upper > lower), "{bounds:?}");
}
