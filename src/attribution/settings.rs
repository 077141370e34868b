//! The settings of the methods. The defaults are those of the study's scripts.

use super::{Interpolation, MaxPoolRule};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::Real;
use crate::{Error, Result};
use alloc::collections::BTreeMap;
use ndarray::{Array2, Array3};

/// What baseline methods compare with.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Baseline {
    /// Zeros.
    #[default]
    Zero,
    /// Each ECG's own mean per lead, over all time.
    Mean,
    /// Given values, (C, L), for every ECG.
    Values(Array2<f64>),
}

impl Baseline {
    /// The baseline's values for an ECG of `channels` leads, C·L values in all.
    pub fn of<T: Real>(&self, ecg: &[T], channels: usize) -> Vec<T> {
        super::sampler::baseline(self, ecg, channels)
    }
}

/// The Gauss–Legendre weights of integrated gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quadrature {
    /// In f64.
    #[default]
    Exact,
    /// Rounded to f32, as Captum 0.9 has them even in f64: maps then agree with Captum's to 1e-15 rather than 1e-9. The quadrature's own error is
    /// larger than either.
    Captum,
}

/// The settings of the methods.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The master seed of all draws.
    pub seed: u64,
    /// The target's index, a part of the address of random control maps.
    pub target: u32,
    /// The column of the network's output that is explained.
    pub output: usize,
    /// The baseline of DeepLIFT, integrated gradients and Gradient SHAP.
    pub baseline: Baseline,
    /// What inputs beside the ECG are compared with, by the input's name, one example's values; zeros for those that are not named.
    pub beside: BTreeMap<String, Vec<f64>>,
    /// Whether baseline methods multiply by (input − baseline). The study's scripts do not.
    pub multiply_by_inputs: bool,
    /// Whether SmoothGrad averages absolute gradients and other methods end with the absolute value;
    /// `None`: SmoothGrad yes, the others no.
    pub absolute: Option<bool>,
    /// Samples of SmoothGrad and Gradient SHAP; `None`: 25 and 50.
    pub samples: Option<usize>,
    /// Gauss–Legendre steps of integrated gradients.
    pub steps: usize,
    /// Their weights.
    pub quadrature: Quadrature,
    /// The noise's standard deviation as a share of (max − min) of the whole ECG. Inputs beside the ECG get none: their scale is not known.
    pub noise: f64,
    /// Noise already scaled, (n, C, L), used as it is for every ECG instead of drawing.
    pub draws: Option<Array3<f64>>,
    /// Path positions in [0, 1] for Gradient SHAP, used as they are instead of drawing.
    pub coefficients: Option<Vec<f64>>,
    /// The node that Grad-CAM looks at; `None`: the last convolution whose time axis is longer than 1.
    pub layer: Option<String>,
    /// How Grad-CAM's row is stretched.
    pub interpolation: Interpolation,
    /// The stabiliser ε of the LRP rules, in the units of a node's value.
    pub lrp_epsilon: f64,
    /// How much LRP-γ favours contributions of the output's sign.
    pub lrp_gamma: f64,
    /// Samples of an occluded window.
    pub occlusion_window: usize,
    /// Samples between occluded windows.
    pub occlusion_stride: usize,
    /// What stands in the place of what is occluded; `None`: the baseline.
    pub occlusion_value: Option<Baseline>,
    /// What DeepLIFT does at a max-pool behind an activation function.
    pub max_pool: MaxPoolRule,
    /// A ceiling for the memory of runs in flight, bytes. Results do not depend on it.
    pub memory: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 0,
            target: 0,
            output: 0,
            baseline: Baseline::Zero,
            beside: BTreeMap::new(),
            multiply_by_inputs: false,
            absolute: None,
            samples: None,
            steps: 50,
            quadrature: Quadrature::Exact,
            noise: 0.02,
            draws: None,
            coefficients: None,
            layer: None,
            interpolation: Interpolation::Linear,
            lrp_epsilon: 1e-6,
            lrp_gamma: 0.25,
            occlusion_window: 20,
            occlusion_stride: 10,
            occlusion_value: None,
            max_pool: MaxPoolRule::Captum,
            memory: 512 << 20,
        }
    }
}

impl Settings {
    /// What occlusion puts in: its own value, or the baseline.
    pub fn occluder(&self) -> &Baseline {
        self.occlusion_value.as_ref().unwrap_or(&self.baseline)
    }

    /// Checks the settings against inputs of `channels` × `len`.
    ///
    /// # Errors
    /// [`Error::Usage`], [`Error::Shape`] or [`Error::Value`] naming the option.
    pub fn check(&self, channels: usize, len: usize) -> Result<()> {
        if self.samples == Some(0) || self.steps == 0 {
            return Err(Error::Usage("samples and steps start at 1".into()));
        }
        if self.occlusion_window == 0 || self.occlusion_stride == 0 {
            return Err(Error::Usage("an occlusion's window and stride start at 1 sample".into()));
        }
        for (what, value) in [("LRP's epsilon", self.lrp_epsilon), ("LRP's gamma", self.lrp_gamma)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::Usage(format!("{what} {value} is not a number from 0")));
            }
        }
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(Error::Usage(format!("noise {} is not a share of the ECG's range", self.noise)));
        }
        for (what, baseline) in [("the baseline", Some(&self.baseline)), ("occlusion's value", self.occlusion_value.as_ref())] {
            if let Some(Baseline::Values(values)) = baseline {
                check_shape(what, &[channels, len], values.shape())?;
                check_finite(what, values.iter())?;
            }
        }
        if let Some(draws) = &self.draws {
            check_shape("the draws", &[channels, len], &draws.shape()[1..])?;
            check_finite("the draws", draws.iter())?;
        }
        let outside =
            |coefficients: &Vec<f64>| coefficients.iter().enumerate().find(|(_, a)| !(0.0..=1.0).contains(*a)).map(|(at, a)| (at, *a));
        if let Some((at, a)) = self.coefficients.as_ref().and_then(outside) {
            return Err(Error::Value { at: format!("coefficient {at}"), problem: format!("{a} is not in [0, 1]") });
        }
        Ok(())
    }
}

fn check_shape(what: &str, expected: &[usize], found: &[usize]) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::shape(what, expected, found)) }
}

fn check_finite<'a>(what: &str, mut values: impl Iterator<Item = &'a f64>) -> Result<()> {
    match values.position(|v| !v.is_finite()) {
        Some(at) => Err(Error::Value { at: what.into(), problem: format!("element {at} is not finite") }),
        None => Ok(()),
    }
}
