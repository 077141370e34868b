//! The worked example of docs/AUDIT.md: every figure in its table is computed, and every file and function it links to exists.

use cardiograd::attribution::{Explainer, Method, Settings};
use cardiograd::progress::silent;
use cardiograd::tape::{Builder, ConvLayer, Network, Op, Parameters, from_vec, slice};
use std::path::Path;

const CHAPTER: &str = include_str!("../docs/AUDIT.md");

fn network() -> Network<f64> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(1), Some(4)]);
    let layer = ConvLayer { padding: (0, 0), ..ConvLayer::same(1, 2, 2) };
    let conv = build.conv1d("conv", x, layer);
    let mut inputs = vec![conv];
    for part in ["weight", "bias", "running_mean", "running_var"] {
        inputs.push(build.parameter(format!("bn.{part}"), &[2], true));
    }
    let bn = build.node("bn", Op::BatchNorm { eps: 0.0, momentum: 0.1 }, &inputs);
    let relu = build.relu("relu", bn);
    let flat = build.node("flatten", Op::Flatten, &[relu]);
    let fc = build.linear("fc", flat, 6, 1, true);
    let values: [(&str, &[usize], &[f64]); 8] = [
        ("conv.weight", &[2, 1, 2], &[1.0, -1.0, 1.0, 1.0]),
        ("conv.bias", &[2], &[1.0, -4.0]),
        ("bn.weight", &[2], &[2.0, 1.0]),
        ("bn.bias", &[2], &[0.0, 1.0]),
        ("bn.running_mean", &[2], &[1.0, 0.0]),
        ("bn.running_var", &[2], &[4.0, 4.0]),
        ("fc.weight", &[1, 6], &[1.0, -1.0, 1.0, 2.0, 1.0, 3.0]),
        ("fc.bias", &[1], &[0.5]),
    ];
    let parameters: Parameters<f64> =
        values.into_iter().map(|(name, shape, values)| (name.to_owned(), from_vec(shape, values.to_vec()))).collect();
    Network::new(build.finish(fc).unwrap(), parameters).unwrap()
}

fn settings() -> Settings {
    let draws = ndarray::Array3::from_shape_vec((2, 1, 4), vec![0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]).unwrap();
    Settings {
        draws: Some(draws),
        coefficients: Some(vec![0.45, 1.0]),
        samples: Some(2),
        steps: 2,
        lrp_epsilon: 0.0,
        lrp_gamma: 2.0,
        occlusion_window: 1,
        occlusion_stride: 1,
        ..Settings::default()
    }
}

/// The rows of the table: a method's name in code and four numbers.
fn figures() -> Vec<(Method, Vec<f64>)> {
    let row = |line: &str| {
        let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
        let method: Method = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.parse().ok()?;
        let numbers: Option<Vec<f64>> = cells.map(|cell| cell.replace('−', "-").parse().ok()).collect();
        Some((method, numbers.filter(|numbers| numbers.len() == 4)?))
    };
    CHAPTER.lines().filter_map(row).collect()
}

#[test]
fn the_figures_are_what_the_program_computes() {
    let (network, settings) = (network(), settings());
    let x = from_vec(&[1, 1, 4], vec![1.0, 3.0, 2.0, -1.0]);
    let figures = figures();
    let missing: Vec<Method> =
        Method::ALL.into_iter().filter(|method| *method != Method::Random && !figures.iter().any(|(of, _)| of == method)).collect();
    assert!(missing.is_empty(), "the table lacks {missing:?}");
    let explainer = Explainer::new(&network, &settings).unwrap();
    for (method, by_hand) in figures {
        let found = explainer.explain(&x, &[0], &[method], &silent).unwrap();
        assert_eq!(found.prediction, [6.0]);
        for (found, by_hand) in slice(found.map(method).unwrap()).iter().zip(&by_hand) {
            assert!((found - by_hand).abs() < 6e-7, "{method}: {found}, by hand {by_hand}");
        }
    }
}

#[test]
fn exact_integrated_gradients_are_deeplifts_map_here() {
    let (network, settings) = (network(), Settings { steps: 2000, ..settings() });
    let x = from_vec(&[1, 1, 4], vec![1.0, 3.0, 2.0, -1.0]);
    let methods = [Method::IntegratedGradients, Method::DeepLift];
    let found = Explainer::new(&network, &settings).unwrap().explain(&x, &[0], &methods, &silent).unwrap();
    for (a, b) in slice(&found.maps[0].1).iter().zip(slice(&found.maps[1].1)) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
    assert!(found.completeness[1].1[0].relative_error() < 1e-12);
}

/// What a link's text in code must be in the file: a function, type, variant or file name.
#[test]
fn every_link_leads_somewhere() {
    for (name, chapter) in [("AUDIT.md", CHAPTER), ("METHODS.md", include_str!("../docs/METHODS.md"))] {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        let mut links = 0;
        for (at, _) in chapter.match_indices("](") {
            let target = chapter[at + 2..].split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            links += 1;
            let file = docs.join(target);
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {target}: {error}"));
            let label = chapter[..at].rsplit('[').next().unwrap();
            if let Some(item) = label.strip_prefix('`').and_then(|label| label.strip_suffix('`')) {
                let whole = |text: &str| text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == item);
                assert!(file.ends_with(item) || whole(&text), "{name}: {target} has no '{item}'");
            }
        }
        assert!(links >= if name == "AUDIT.md" { 20 } else { 0 }, "{name}: {links} links");
    }
}
