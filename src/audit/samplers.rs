//! The methods that take gradients at several inputs, or multiply them, against their formulas: the maps that explanations give are computed
//! again in f64 from gradients of the tape, sample by sample, by loops that share nothing with the explainer but the drawn noise.
//!
//! Noise and places of the path are given, not drawn: they are part of the input here, and that they are drawn as they should be (from the seed,
//! and from a standard normal distribution) is a matter of tests, not of an audit.

use super::precision::distance;
use super::{Check, Worst};
use crate::Result;
use crate::attribution::{Baseline, Explainer, Interpolation, Method, Quadrature, Settings};
use crate::progress::silent;
use crate::random::{Stage, Stream};
use crate::tape::{Network, NodeId, OpKind, RuleSet, Tensor, Want, from_vec, one_hot, slice};
use ndarray::Array3;
use rand::RngExt;

/// The methods looked at here.
pub const METHODS: [Method; 5] =
    [Method::InputXGradient, Method::SmoothGrad, Method::IntegratedGradients, Method::GradientShap, Method::GuidedGradCam];
/// Samples and steps: a formula is as much one of few as of many.
const SAMPLES: usize = 4;
/// The largest difference, as a share of the map's length.
const BOUND: f64 = 1e-9;

/// One line for each of the methods that can act on the network, on an ECG (1, C, L).
///
/// # Errors
/// If the network cannot run on `x`.
pub fn formulas(network: &Network<f64>, settings: &Settings, x: &Tensor<f64>, seed: u64) -> Result<Vec<Check>> {
    let settings = with_few_samples(settings, x, seed);
    let able = |method: &Method| crate::attribution::catalogue::hindrance(*method, network.program(), &settings).is_none();
    let line = |method: Method| {
        let found = Explainer::new(network, &settings)?.explain(x, &[0], &[method], &silent)?;
        against_formula(network, &settings, x, method, &found.maps[0].1)
    };
    METHODS.into_iter().filter(able).map(line).collect()
}

/// The settings under which maps are held against their formulas: few samples, at given noise and places.
pub fn with_few_samples(settings: &Settings, x: &Tensor<f64>, seed: u64) -> Settings {
    let (draws, places) = given(x, seed);
    Settings {
        samples: Some(SAMPLES),
        steps: SAMPLES,
        quadrature: Quadrature::Exact,
        draws: Some(draws),
        coefficients: Some(places),
        baseline: Baseline::Zero,
        multiply_by_inputs: false,
        absolute: None,
        layer: None,
        interpolation: Interpolation::Linear,
        ..settings.clone()
    }
}

/// The map of a method on an ECG (1, C, L) under [`with_few_samples`], against its formula: the figure is the length of the difference over the
/// map's.
///
/// # Errors
/// If the network cannot run on `x`.
pub fn against_formula(network: &Network<f64>, settings: &Settings, x: &Tensor<f64>, method: Method, map: &Tensor<f64>) -> Result<Check> {
    let (Some(draws), Some(places)) = (&settings.draws, &settings.coefficients) else {
        return Err(crate::Error::Usage("the noise and places of the samples must be given".into()));
    };
    let wanted = from_vec(x.shape(), Formula { network, settings, x, draws, places }.map(method)?);
    let mut worst = Worst::default();
    worst.see(distance(map, &wanted), || words(method).to_owned());
    Ok(Check::new(format!("{method} against its formula (f64)"), worst.figure, BOUND, worst.at))
}

/// Noise already scaled, and places on the path.
fn given(x: &Tensor<f64>, seed: u64) -> (Array3<f64>, Vec<f64>) {
    let mut rng = Stream::new(seed, Stage::Audit).target(3).rng();
    let (low, high) = slice(x).iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    let size = 0.02 * (high - low);
    let shape = (SAMPLES, x.shape()[1], x.shape()[2]);
    let draws = Array3::from_shape_simple_fn(shape, || size * (2.0 * rng.random::<f64>() - 1.0));
    (draws, (0..SAMPLES).map(|_| rng.random::<f64>()).collect())
}

struct Formula<'a> {
    network: &'a Network<f64>,
    settings: &'a Settings,
    x: &'a Tensor<f64>,
    draws: &'a Array3<f64>,
    places: &'a [f64],
}

impl Formula<'_> {
    /// The map by the formula of the method's paper.
    fn map(&self, method: Method) -> Result<Vec<f64>> {
        let x = slice(self.x);
        // The baseline is zero: a place on the path is a share of the ECG.
        let noised = |k: usize| x.iter().zip(self.draws.index_axis(ndarray::Axis(0), k)).map(|(x, e)| x + e).collect::<Vec<f64>>();
        let scaled = |values: &[f64], a: f64| values.iter().map(|v| a * v).collect::<Vec<f64>>();
        match method {
            Method::InputXGradient => Ok(self.gradient(x)?.iter().zip(x).map(|(g, x)| g * x).collect()),
            Method::SmoothGrad => {
                let size = |k: usize| Ok(self.gradient(&noised(k))?.into_iter().map(f64::abs).collect());
                mean((0..SAMPLES).map(|k| Ok((1.0 / SAMPLES as f64, size(k)?))))
            }
            Method::GradientShap => {
                mean((0..SAMPLES).map(|k| Ok((1.0 / SAMPLES as f64, self.gradient(&scaled(&noised(k), self.places[k]))?))))
            }
            Method::IntegratedGradients => mean(QUADRATURE.into_iter().map(|(a, weight)| Ok((weight, self.gradient(&scaled(x, a))?)))),
            _ => self.guided_gradcam(),
        }
    }

    /// ∂f/∂x at `x`, by the tape's own walk back.
    fn gradient(&self, x: &[f64]) -> Result<Vec<f64>> {
        let tape = self.network.run(&[from_vec(self.x.shape(), x.to_vec())])?;
        Ok(slice(&self.network.gradient(&tape, &RuleSet::plain(), self.settings.output)?).to_vec())
    }

    /// Selvaraju et al. 2017: ReLU(Σ mean gradient × activation) of the last convolution, stretched, times guided backpropagation.
    fn guided_gradcam(&self) -> Result<Vec<f64>> {
        let program = self.network.program();
        let tape = self.network.run(std::slice::from_ref(self.x))?;
        let sees_time = |id: &NodeId| matches!(tape.value(*id).shape(), [_, _, time] if *time > 1);
        let convolutions = program.acting(OpKind::Conv1d);
        let last = convolutions.iter().rev().copied().find(sees_time).or(convolutions.last().copied());
        let layer: NodeId = last.unwrap_or(program.output());
        let seed = one_hot(tape.output(), self.settings.output)?;
        let want = Want::nodes([layer]);
        let gradient = self.network.backward(&tape, seed, &RuleSet::plain(), None, &want)?.take(layer);
        let activation = tape.value(layer);
        let (channels, time) = (activation.shape()[1], activation.shape()[2]);
        let gradient = gradient.unwrap_or_else(|| crate::tape::zeros(activation.shape()));
        let (a, g) = (slice(activation), slice(&gradient));
        let row = |t: usize| {
            let weighted = |c: usize| g[c * time..(c + 1) * time].iter().sum::<f64>() / time as f64 * a[c * time + t];
            let sum: f64 = (0..channels).map(weighted).sum();
            if sum > 0.0 { sum } else { 0.0 }
        };
        let row: Vec<f64> = (0..time).map(row).collect();
        let (leads, len) = (self.x.shape()[1], self.x.shape()[2]);
        // Half-pixel centres, the ends held.
        let stretched = |t: usize| {
            let place = ((t as f64 + 0.5) * time as f64 / len as f64 - 0.5).clamp(0.0, (time - 1) as f64);
            let (left, right) = (place.floor() as usize, place.ceil() as usize);
            row[left] * (1.0 - place.fract()) + row[right] * place.fract()
        };
        let guided = Explainer::new(self.network, self.settings)?.explain(self.x, &[0], &[Method::GuidedBackprop], &silent)?;
        let guided = slice(&guided.maps[0].1);
        Ok((0..leads * len).map(|at| stretched(at % len) * guided[at]).collect())
    }
}

/// A weighted sum.
fn mean(parts: impl Iterator<Item = Result<(f64, Vec<f64>)>>) -> Result<Vec<f64>> {
    let mut sum: Vec<f64> = Vec::new();
    for part in parts {
        let (weight, values) = part?;
        sum.resize(values.len(), 0.0);
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
    }
    Ok(sum)
}

/// The four nodes and weights of Gauss and Legendre on [0, 1] (Abramowitz and Stegun, table 25.4).
const QUADRATURE: [(f64, f64); 4] = [
    (0.069_431_844_202_973_71, 0.173_927_422_568_726_93),
    (0.330_009_478_207_571_87, 0.326_072_577_431_273_07),
    (0.669_990_521_792_428_1, 0.326_072_577_431_273_07),
    (0.930_568_155_797_026_3, 0.173_927_422_568_726_93),
];

/// The formula in words, for the line.
fn words(method: Method) -> &'static str {
    match method {
        Method::InputXGradient => "x · ∂f/∂x",
        Method::SmoothGrad => "mean of |∂f/∂x| at x + noise, 4 samples",
        Method::IntegratedGradients => "∂f/∂x along the path from 0, 4 Gauss–Legendre steps",
        Method::GradientShap => "mean of ∂f/∂x at random places of the paths from 0 to x + noise, 4 samples",
        _ => "Grad-CAM of the last convolution that sees time, stretched, times guided backpropagation",
    }
}
