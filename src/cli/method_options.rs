//! The options of the methods, as `explain` and `trace` take them.

use super::Globals;
use super::console::complain;
use super::numbers::{ROUNDS, RUNS, up_to};
use super::provenance::{Input, options};
use super::references::{one, takes_files};
use crate::Result;
use crate::attribution::catalogue::LeftOut;
use crate::attribution::{Interpolation, MaxPoolRule, Method, Quadrature, Settings};
use crate::nn::Model;
use std::collections::BTreeSet;

/// Options of the methods.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct MethodOptions {
    /// Whether baseline methods multiply by (input − baseline).
    #[arg(long, value_enum, default_value_t = YesNo::No)]
    multiply_by_inputs: YesNo,
    /// Whether SmoothGrad averages absolute gradients and the other methods end with the absolute value [default: SmoothGrad yes, others no].
    #[arg(long, value_enum)]
    absolute: Option<YesNo>,
    /// Samples of SmoothGrad, VarGrad and Gradient SHAP [default: 25, Gradient SHAP 50].
    #[arg(long, value_name = "N", value_parser = up_to::<RUNS>)]
    samples: Option<usize>,
    /// Steps of integrated gradients.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = up_to::<RUNS>)]
    steps: usize,
    /// The weights of those steps: in f64, or rounded to f32 as Captum rounds them.
    #[arg(long, value_enum, default_value_t = Weights::Exact)]
    quadrature: Weights,
    /// The node that Grad-CAM looks at [default: the last convolution whose time axis is longer than 1].
    #[arg(long, value_name = "NODE")]
    layer: Option<String>,
    /// How Grad-CAM's row is stretched to the input's length.
    #[arg(long, value_enum, default_value_t = Stretch::Linear)]
    interpolation: Stretch,
    /// DeepLIFT at a max-pool directly behind a ReLU: the plain derivative as Captum, or the exact rescale rule, which is complete.
    #[arg(long, value_enum, default_value_t = MaxPool::Captum)]
    max_pool: MaxPool,
    /// LRP's stabiliser, in the units of a node's value [default: 1e-6].
    #[arg(long, value_name = "EPSILON")]
    lrp_epsilon: Option<f64>,
    /// How much LRP-gamma favours contributions of the output's sign [default: 0.25].
    #[arg(long, value_name = "GAMMA")]
    lrp_gamma: Option<f64>,
    /// Samples of an occluded window [default: 20].
    #[arg(long, value_name = "SAMPLES", value_parser = up_to::<ROUNDS>)]
    occlusion_window: Option<usize>,
    /// Samples between occluded windows [default: 10].
    #[arg(long, value_name = "SAMPLES", value_parser = up_to::<ROUNDS>)]
    occlusion_stride: Option<usize>,
    /// What occlusion puts in: zero, mean (each lead's own), a file of (12, L) or (N, 12, L), or a dataset; of several ECGs, their mean
    /// [default: the baseline].
    #[arg(long, value_name = "zero|mean|FILE.npy|DATASET")]
    occlusion_value: Option<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
pub(super) enum Precision {
    F32,
    F64,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum YesNo {
    Yes,
    No,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum Stretch {
    Linear,
    Nearest,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum Weights {
    Exact,
    Captum,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum MaxPool {
    Captum,
    Exact,
}

/// Says on standard error which methods of `all` were left out, and why.
pub(super) fn tell_left_out(left_out: &[LeftOut], globals: &Globals) {
    if globals.quiet {
        return;
    }
    for (method, why) in left_out {
        complain(format_args!("{method} is left out: {why}\n"));
    }
}

/// The same for programs: reasons by method.
pub(super) fn left_out_json(left_out: &[LeftOut]) -> serde_json::Value {
    left_out.iter().map(|(method, why)| (method.name().to_owned(), why.clone().into())).collect::<serde_json::Map<_, _>>().into()
}

/// Says on standard error which of this process' options none of the methods asked for by name heeds: they may be meant for others, but not
/// silently.
pub(super) fn tell_idle(methods: &[Method], globals: &Globals) -> Result<()> {
    let (given, _) = options(super::words())?;
    let is_given = |option: &str| given.iter().any(|given| given.split('=').next() == Some(option));
    let heeded: BTreeSet<&str> = Method::ALL.iter().flat_map(|method| method.row().heeds).copied().collect();
    for option in heeded {
        if !globals.quiet && is_given(&format!("--{option}")) && !methods.iter().any(|method| method.row().heeds(option)) {
            let by: Vec<&str> = Method::ALL.iter().filter(|method| method.row().heeds(option)).map(|method| method.name()).collect();
            complain(format_args!("--{option} has no effect here: it belongs to {}\n", by.join(" ")));
        }
    }
    Ok(())
}

impl MethodOptions {
    /// The settings for inputs of `samples` samples of a model; what is not asked for here is the study's.
    pub fn settings(&self, model: &Model, seed: u64, samples: usize) -> Result<Settings> {
        let study = Settings::default();
        let value = self.occlusion_value.as_deref().map(|text| one("--occlusion-value", text, model, seed, samples)).transpose()?;
        Ok(Settings {
            seed,
            target: model.target.map_or(0, crate::dataset::Target::index),
            multiply_by_inputs: self.multiply_by_inputs == YesNo::Yes,
            absolute: self.absolute.map(|absolute| absolute == YesNo::Yes),
            samples: self.samples,
            steps: self.steps,
            quadrature: if self.quadrature == Weights::Captum { Quadrature::Captum } else { Quadrature::Exact },
            layer: self.layer.clone(),
            interpolation: if self.interpolation == Stretch::Linear { Interpolation::Linear } else { Interpolation::Nearest },
            max_pool: if self.max_pool == MaxPool::Captum { MaxPoolRule::Captum } else { MaxPoolRule::Exact },
            lrp_epsilon: self.lrp_epsilon.unwrap_or(study.lrp_epsilon),
            lrp_gamma: self.lrp_gamma.unwrap_or(study.lrp_gamma),
            occlusion_window: self.occlusion_window.unwrap_or(study.occlusion_window),
            occlusion_stride: self.occlusion_stride.unwrap_or(study.occlusion_stride),
            occlusion_value: value,
            ..study
        })
    }

    /// The files among the options.
    pub fn files(&mut self) -> impl Iterator<Item = (&'static str, Input<'_>)> {
        self.occlusion_value.as_mut().filter(|text| takes_files(text)).map(|text| ("occlusion-value", Input::Text(text))).into_iter()
    }

    /// Whether a max-pool behind a ReLU is treated as Captum treats it, which is not complete.
    pub fn pools_as_captum(&self) -> bool {
        self.max_pool == MaxPool::Captum
    }
}
