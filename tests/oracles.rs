//! Every method against PyTorch and Captum on three networks of our own (see `data/make_oracles.py`): with the study's residual blocks, with
//! strides, dilation and every nonlinearity, and with a convolution and ReLUs that are used twice.
//!
//! With `CARDIOGRAD_ORACLES` set to a folder that holds `stevennet_median/` and `standardconv_median/`, the study's networks are compared too.
#![cfg(feature = "files")]

mod common;

use cardiograd::attribution::{Baseline, Explainer, Explanations, Method, Quadrature, Settings};
use cardiograd::nn::load_model;
use cardiograd::progress;
use cardiograd::tape::{Network, Real, Tensor, cast, from_vec};
use common::relative_l2;
use safetensors::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};

/// A reference result and what it was computed from.
struct Oracle {
    name: String,
    bytes: Vec<u8>,
    layer: Option<&'static str>,
}

impl Oracle {
    fn read(folder: &Path, layer: Option<&'static str>) -> Self {
        let path = folder.join("expected.safetensors");
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Oracle { name: folder.file_name().unwrap().to_string_lossy().into_owned(), bytes, layer }
    }

    fn tensor(&self, key: &str) -> Tensor<f64> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(key).unwrap_or_else(|error| panic!("{}: {key}: {error}", self.name));
        let values = match view.dtype() {
            Dtype::F64 => view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            Dtype::F32 => view.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
            other => panic!("{}: {key}: {other:?}", self.name),
        };
        from_vec(view.shape(), values)
    }

    fn settings(&self) -> Settings {
        Settings {
            draws: Some(self.tensor("noise").to_owned().into_dimensionality().unwrap()),
            coefficients: Some(self.tensor("coefficients").iter().copied().collect()),
            layer: self.layer.map(str::to_owned),
            quadrature: Quadrature::Captum,
            ..Settings::default()
        }
    }

    /// Compares every result and returns the relative errors.
    fn compare<T: Real>(&self, network: &Network<T>) -> Vec<(&'static str, f64)> {
        let x: Tensor<T> = cast(&self.tensor("x"));
        let ids: Vec<u64> = (0..x.shape()[0] as u64).collect();
        let explain = |settings: &Settings, methods: &[Method]| {
            Explainer::new(network, settings).unwrap().explain(&x, &ids, methods, &progress::silent).unwrap()
        };
        let plain = explain(&self.settings(), &[Method::STUDY.as_slice(), &[Method::GradCam]].concat());
        let signed = Settings { multiply_by_inputs: true, absolute: Some(false), ..self.settings() };
        let scaled = explain(&signed, &[Method::DeepLift, Method::IntegratedGradients, Method::GradientShap, Method::SmoothGrad]);
        let mean = explain(&Settings { baseline: Baseline::Mean, ..signed }, &[Method::DeepLift]);
        let cases: [(&'static str, &Explanations<T>, Method); 15] = [
            ("saliency", &plain, Method::Saliency),
            ("inputxgradient", &plain, Method::InputXGradient),
            ("deconvolution", &plain, Method::Deconvolution),
            ("guided_backprop", &plain, Method::GuidedBackprop),
            ("deeplift_multipliers", &plain, Method::DeepLift),
            ("integrated_gradients_multipliers", &plain, Method::IntegratedGradients),
            ("gradient_shap_multipliers", &plain, Method::GradientShap),
            ("gradcam", &plain, Method::GradCam),
            ("guided_gradcam", &plain, Method::GuidedGradCam),
            ("smoothgrad", &plain, Method::SmoothGrad),
            ("smoothgrad_signed", &scaled, Method::SmoothGrad),
            ("deeplift", &scaled, Method::DeepLift),
            ("integrated_gradients", &scaled, Method::IntegratedGradients),
            ("gradient_shap", &scaled, Method::GradientShap),
            ("deeplift_mean_baseline", &mean, Method::DeepLift),
        ];
        let mut errors = vec![("prediction", {
            let found: Vec<f64> = plain.prediction.iter().map(|v| v.f64()).collect();
            relative_l2(&found, cardiograd::tape::slice(&self.tensor("f64.prediction")))
        })];
        for (key, found, method) in cases {
            let map: Tensor<f64> = cast(found.map(method).unwrap());
            let expected = self.tensor(&format!("f64.{key}"));
            // Grad-CAM is stored as one row; ours is repeated over the leads.
            let expected = expected.broadcast(map.shape()).unwrap().to_owned();
            errors.push((key, relative_l2(cardiograd::tape::slice(&map), expected.as_slice().unwrap())));
        }
        errors
    }

    /// The agreement wanted: 1e-5 (1e-4 for sampled methods, where a ReLU flips on the last bit) in f32, 1e-10 in f64.
    fn check(&self, network: &Network<f32>) {
        let single = self.compare(network);
        let double = self.compare(&network.cast::<f64>());
        println!("{:36} {:>9} {:>9}", self.name, "f32", "f64");
        for ((key, single), (_, double)) in single.iter().zip(&double) {
            println!("{key:36} {single:9.1e} {double:9.1e}");
        }
        for ((key, single), (_, double)) in single.iter().zip(&double) {
            let sampled = ["smoothgrad", "smoothgrad_signed", "gradient_shap", "gradient_shap_multipliers"].contains(key);
            let wanted = if sampled { 1e-4 } else { 1e-5 };
            assert!(*single <= wanted, "{} {key}: relative error {single:e} in f32", self.name);
            assert!(*double <= 1e-10, "{} {key}: relative error {double:e} in f64", self.name);
        }
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oracles").join(name)
}

fn network(weights: &Path, arch: &str) -> Network<f32> {
    load_model(weights, Some(arch)).unwrap().network
}

/// One of our own networks: its program from JSON, its weights from a state dict.
fn own(name: &str, layer: &'static str) {
    let folder = data(name);
    let program = folder.join("program.json");
    Oracle::read(&folder, Some(layer)).check(&network(&folder.join("model.safetensors"), program.to_str().unwrap()));
}

#[test]
fn residual_blocks_with_kernels_of_fifty() {
    own("residual", "block2.conv2");
}

#[test]
fn strides_dilation_concatenation_and_every_nonlinearity() {
    own("mixed", "last");
}

#[test]
fn a_convolution_and_relus_that_are_used_twice() {
    own("reused", "again.second");
}

/// One of the study's networks, from the folder that the variable names; skipped aloud without it.
fn studys(folder: &str, arch: &str, layer: &'static str) {
    let Some(folder) = std::env::var_os("CARDIOGRAD_ORACLES").map(|root| Path::new(&root).join(folder)) else {
        println!("skipped: CARDIOGRAD_ORACLES is not set to a folder with {folder}/ (its weights are not kept here)");
        return;
    };
    let from_safetensors = network(&folder.join("model.safetensors"), arch);
    Oracle::read(&folder, Some(layer)).check(&from_safetensors);
    // The same state dict in PyTorch's two own formats holds the same values.
    for file in ["model.pt", "model_legacy.pt"] {
        assert_eq!(network(&folder.join(file), arch).parameters(), from_safetensors.parameters(), "{file}");
    }
}

#[test]
fn the_studys_full_network() {
    studys("stevennet_median", "stevennet", "block8.conv2");
}

#[test]
fn the_studys_plain_network() {
    studys("standardconv_median", "standardconv", "model.11");
}
