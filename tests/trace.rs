//! The account of a heatmap: sums that hold at every node where the method conserves, pages and graphs that can be read, the command.

mod common;

use cardiograd::attribution::{Method, Settings};
use cardiograd::files::npy;
use cardiograd::nn::Model;
use cardiograd::tape::{Builder, ConvLayer, Network, Op, Tensor};
use cardiograd::trace::page::{About, html, markdown};
use cardiograd::trace::{Trace, graph, trace};
use common::{Draw, Kinks, parameters, residual_program};
use std::path::Path;
use std::process::{Command, Output};

fn subject(seed: u64, kinks: Kinks) -> (Network<f64>, Tensor<f64>) {
    let mut draw = Draw::new(seed);
    let program = residual_program(&mut draw, 3, 24, 2, kinks, 1);
    let network = Network::new(program.clone(), parameters(&program, &mut draw)).unwrap();
    (network, draw.tensor(&[1, 3, 24]))
}

fn settings() -> Settings {
    Settings { steps: 8, samples: Some(4), occlusion_window: 6, occlusion_stride: 3, ..Settings::default() }
}

#[test]
fn deeplift_loses_nothing_at_any_node() {
    for seed in 0..12 {
        let (network, x) = subject(seed, Kinks::Relu);
        let found = trace(&network, &settings(), &x, 0, Method::DeepLift).unwrap();
        let walk = &found.walks[0];
        assert!((walk.at_output - (found.prediction - found.at_baseline)).abs() < 1e-9);
        for entry in &walk.entries {
            let Some(flow) = &entry.flow else { continue };
            assert!(flow.lost.abs() < 1e-9 * (1.0 + flow.arrived.abs()), "seed {seed}: {} lost {}", entry.name, flow.lost);
        }
        assert!((walk.at_output - walk.at_input).abs() < 1e-9 * (1.0 + walk.at_output.abs()));
    }
}

/// An op from outside of the crate has its own formula in the account, the rule of its class, and loses what the class loses.
#[test]
fn an_op_of_ones_own_is_traced() {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(3), Some(20)]);
    let conv = build.conv1d("conv", x, ConvLayer::same(3, 4, 5));
    let own = build.node("own", common::own_ops::softsign(), &[conv]);
    let mean = build.node("mean", Op::GlobalAvgPool, &[own]);
    let y = build.linear("fc", mean, 4, 1, true);
    let program = build.finish(y).unwrap();
    let mut draw = Draw::new(3);
    let network = Network::new(program.clone(), parameters(&program, &mut draw)).unwrap();
    let x = draw.tensor(&[1, 3, 20]);
    for (method, rule) in [(Method::DeepLift, "rescale"), (Method::LrpEpsilon, "lrp_pass"), (Method::Saliency, "derivative")] {
        let found = trace(&network, &settings(), &x, 0, method).unwrap();
        let entry = found.walks[0].entries.iter().find(|entry| entry.name == "own").unwrap();
        assert_eq!((entry.op.as_str(), entry.formula.as_str()), ("softsign", "y = x / (1 + |x|)"));
        let flow = entry.flow.as_ref().unwrap();
        assert_eq!(flow.rule, rule);
        assert!((flow.lost.abs() < 1e-12) == (method != Method::Saliency), "{method}: {}", flow.lost);
    }
}

#[test]
fn what_saliency_loses_it_loses_at_relus() {
    let mut lost = 0.0;
    for seed in 0..12 {
        let (network, x) = subject(seed, Kinks::Relu);
        let walk = trace(&network, &settings(), &x, 0, Method::Saliency).unwrap().walks.remove(0);
        for entry in &walk.entries {
            let Some(flow) = &entry.flow else { continue };
            if entry.units.is_some() {
                lost += flow.lost.abs();
            } else if !entry.op.starts_with("max_pool") && !entry.op.starts_with("multiply") {
                assert!(flow.lost.abs() < 1e-9 * (1.0 + flow.arrived.abs()), "seed {seed}: {} lost {}", entry.name, flow.lost);
            }
        }
        let all: f64 = walk.entries.iter().filter_map(|entry| Some(entry.flow.as_ref()?.lost)).sum();
        assert!((walk.at_output - walk.at_input - all).abs() < 1e-9 * (1.0 + walk.at_output.abs()), "the losses are the difference");
    }
    assert!(lost > 1e-3, "ReLUs that disagree lose something");
}

#[test]
fn every_method_has_an_account_that_leads_to_its_map() {
    let (network, x) = subject(3, Kinks::Relu);
    for method in Method::ALL {
        let found = trace(&network, &settings(), &x, 0, method).unwrap();
        let walks = match method {
            Method::Random | Method::Occlusion => 0,
            Method::GuidedGradCam => 2,
            _ => 1,
        };
        assert_eq!(found.walks.len(), walks, "{method}");
        let followed = !matches!(
            method,
            Method::SmoothGrad | Method::VarGrad | Method::GradCam | Method::GuidedGradCam | Method::Random | Method::Occlusion
        );
        assert_eq!(found.walks.iter().any(|walk| walk.distance_to_map.is_some()), followed, "{method}");
        for distance in found.walks.iter().filter_map(|walk| walk.distance_to_map) {
            assert!(distance < 1e-9, "{method}: {distance}");
        }
        readable(&found);
    }
}

/// Both texts name every node and hold no number gone wrong; the graphs are well-formed and draw every node.
fn readable(found: &Trace) {
    let about = About { facts: vec![("Model".into(), "<script>&\"".into())], picture: None, ..About::default() };
    let (page, text) = (html(found, &about), markdown(found, &about));
    assert!(!page.contains("<script"), "names are escaped");
    for walk in &found.walks {
        for entry in &walk.entries {
            assert!(page.contains(&entry.name) && text.contains(&entry.name) && text.contains(&entry.formula), "{}", entry.name);
            assert!(!entry.formula.contains("NaN") && !entry.formula.is_empty());
        }
    }
    for (at, program) in found.programs.iter().enumerate() {
        let drawn = graph::svg(program, found.walks.get(at)).finish();
        roxmltree::Document::parse(&drawn).unwrap();
        let dot = graph::dot(program);
        for node in program.nodes().iter().filter(|node| !node.inputs.is_empty()) {
            assert!(dot.contains(&format!("\"{}\" [", node.name)), "{dot}");
            assert!(drawn.contains(&node.name));
        }
    }
}

#[test]
fn nonlinearities_of_all_kinds_are_followed() {
    for seed in 20..26 {
        let (network, x) = subject(seed, Kinks::All);
        for method in [Method::Saliency, Method::IntegratedGradients] {
            let found = trace(&network, &settings(), &x, 0, method).unwrap();
            assert!(found.walks[0].distance_to_map.unwrap() < 1e-9, "seed {seed} {method}");
            readable(&found);
        }
    }
}

fn cardiograd(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cardiograd")).current_dir(folder).args(arguments).output().unwrap()
}

#[test]
fn the_command_writes_an_account_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (network, x) = subject(5, Kinks::Relu);
    Model::new(network.cast()).save(folder.path().join("model")).unwrap();
    npy::write(folder.path().join("x.npy"), x.view()).unwrap();
    let base = ["trace", "model", "--input", "x.npy", "--method", "deeplift", "-o", "out"];
    let refused = |more: &[&str], says: &str| {
        let found = cardiograd(folder.path(), &[&base[..], more].concat());
        let text = String::from_utf8_lossy(&found.stderr).into_owned();
        assert_eq!(found.status.code(), Some(2), "{text}");
        assert!(text.contains(says), "{text}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left");
    };
    refused(&["--ecg", "1"], "holds ECGs 0 to 0");
    refused(&["--node", "nowhere"], "no node is called so");
    refused(&["--baseline", "nine"], "--baseline takes");
    let done = cardiograd(folder.path(), &[&base[..], &["--node", "all", "--json"]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let printed: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let out = folder.path().join("out");
    for name in ["trace.html", "trace.md", "trace.json", "graph.svg", "graph.dot", "map.npy"] {
        assert!(out.join(name).metadata().unwrap().len() > 50, "{name}");
    }
    let entries = printed["walks"][0]["entries"].as_array().unwrap();
    let values = std::fs::read_dir(out.join("nodes"))
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().ends_with(".value.npy"));
    assert_eq!(values.count(), entries.len());
    let explained =
        cardiograd(folder.path(), &["explain", "model", "--input", "x.npy", "--method", "deeplift", "--precision", "f64", "-o", "m.npz"]);
    assert!(explained.status.success());
    assert!(npy::read_f64(out.join("map.npy")).unwrap().shape() == [1, 3, 24]);
    assert_eq!(npy::read_f64(out.join("nodes/000.x.gradient.npy")).unwrap().shape(), [1, 3, 24]);
    let again = cardiograd(folder.path(), &base);
    assert_eq!(again.status.code(), Some(2), "a folder that exists is not overwritten");
}
