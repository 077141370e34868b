//! A heatmap as a program of its own: the prediction, the walk back under a method's rules, and its reduction, written out as a plain ONNX graph. Whoever
//! has an ONNX runtime can make our heatmaps without us: an auditor in another vendor's engine, a device that has nothing else.
//!
//! Inputs: `ecg` (N, C, L), µV, and for methods that compare, `baseline` (N, C, L) or (1, C, L). Outputs: `prediction` (N, 1) and `map` (N, C, L).

mod back;
mod relevance;

use crate::attribution::{Family, MaxPoolRule, Method, Quadrature, Recipe, Reduction, Sampler, Settings, gauss_legendre, gradcam};
use crate::nn::onnx::builder::{Axis, Builder, integer, integers, text};
use crate::nn::onnx::write::{Forward, convolution, forward, weights};
use crate::tape::{Network, NodeId, RuleSet, fold_batch_norm};
use crate::{Error, Result};
use back::Back;

/// A network that is explained in a graph, and what the walk back needs.
struct Export<'a> {
    network: &'a Network<f32>,
    settings: &'a Settings,
    /// The names of its parameters.
    weights: Vec<String>,
    /// The shape of each node's value for one example, the batch as 1.
    shapes: Vec<Vec<usize>>,
    channels: usize,
    len: usize,
}

/// The bytes of an ONNX model (opset 17) that explains ECGs of `channels` leads and `len` samples by a method as [`crate::attribution::Explainer`] does.
/// `about` is kept in it as names and values.
///
/// # Errors
/// [`Error::Usage`] for methods that draw numbers or look by occlusion, and for rules that ONNX has no form of; as [`RuleSet::check`];
/// [`Error::Program`] for a network with an op that cannot be written.
pub fn heatmap(
    network: &Network<f32>,
    method: Method,
    settings: &Settings,
    (channels, len): (usize, usize),
    about: &[(&str, String)],
) -> Result<Vec<u8>> {
    settings.check(channels, len)?;
    if network.program().inputs().len() != 1 {
        return Err(Error::Usage("a heatmap of a network with several inputs cannot be written as a graph yet".into()));
    }
    let recipe: Recipe<f32> = method.row().recipe(network.program(), settings);
    let folded = matches!(recipe, Recipe::Relevance(_)).then(|| fold_batch_norm(network)).transpose()?;
    let network = folded.as_ref().unwrap_or(network);
    let shapes = network.program().shapes(&[vec![1, channels, len]])?;
    let mut build = Builder::default();
    let example = [Axis::Open("N"), Axis::Fixed(channels), Axis::Fixed(len)];
    let ecg = build.input("ecg", &example);
    let base = recipe.compares(network.program(), settings).then(|| {
        let given = build.input("baseline", &[Axis::Open("M"), Axis::Fixed(channels), Axis::Fixed(len)]);
        let shape = build.node("ecg/shape", "Shape", &[&ecg], vec![]);
        build.node("baseline/each", "Expand", &[&given, &shape], vec![])
    });
    let export = Export { network, settings, weights: weights(network, &mut build), shapes, channels, len };
    let run = forward(network, &[&ecg], &export.weights, "", true, &mut build)?;
    let map = export.map(method, &ecg, base.as_deref(), &run, &mut build)?;
    let map = if settings.absolute == Some(true) { build.node("map/absolute", "Abs", &[&map], vec![]) } else { map };
    let output = &run.values[network.program().output().0];
    let column = build.list("column", &[settings.output as i64]);
    let prediction = build.node("prediction", "Gather", &[output, &column], vec![integer("axis", 1)]);
    let map = build.node("map", "Identity", &[&map], vec![]);
    build.output(&prediction, &[Axis::Open("N"), Axis::Fixed(1)]);
    build.output(&map, &example);
    Ok(build.finish(about))
}

impl Export<'_> {
    /// The value of a method's map.
    fn map(&self, method: Method, ecg: &str, base: Option<&str>, run: &Forward, build: &mut Builder) -> Result<String> {
        let (network, settings) = (self.network, self.settings);
        let refused = |why: &str| Err(Error::Usage(format!("{method} cannot be written as a graph: {why}")));
        match method.row().recipe::<f32>(network.program(), settings) {
            Recipe::Gradients { rules, sampler, reduction, reference } => {
                rules.check(network.program())?;
                match sampler {
                    Sampler::Once => {
                        let compared = match (reference, base) {
                            (true, Some(base)) => Some(forward(network, &[base], &self.weights, "/baseline", true, build)?),
                            _ => None,
                        };
                        let gradient = self.gradient(&rules, run, compared.as_ref(), build)?;
                        self.reduced(&gradient, reduction, ecg, base, build)
                    }
                    Sampler::Path if !reference => self.path(&rules, reduction, ecg, base.unwrap_or(ecg), build),
                    _ => refused("it draws numbers, of which a graph would draw others"),
                }
            }
            Recipe::Relevance(rules) => {
                rules.check(network.program())?;
                let seed = self.seed(run, true, build)?;
                self.input(Back::new(self, &rules, run, None).walk(seed, build)?, ecg, build)
            }
            Recipe::Layer => {
                let row = self.layer(run, build)?;
                let sizes = build.list("gradcam/sizes", &[1, self.channels as i64, 1]);
                Ok(build.node("gradcam", "Expand", &[&row, &sizes], vec![]))
            }
            Recipe::Product(a, b) => {
                let (a, b) = (self.map(a, ecg, base, run, build)?, self.map(b, ecg, base, run, build)?);
                Ok(build.node("product", "Mul", &[&a, &b], vec![]))
            }
            Recipe::Occlusion => refused("it is forward runs alone: run the network's own graph on occluded ECGs"),
            _ => refused("it draws numbers, of which a graph would draw others"),
        }
    }

    /// What the walk back begins with: 1 at the explained output, or its value.
    fn seed(&self, run: &Forward, value: bool, build: &mut Builder) -> Result<String> {
        let output = self.network.program().output();
        let columns = match self.shapes[output.0][..] {
            [_, columns] if self.settings.output < columns => columns,
            [_, columns] => return Err(Error::Usage(format!("output {} was asked for, the network has {columns}", self.settings.output))),
            _ => return Err(Error::Program("its output is not (N, K)".into())),
        };
        let one = build.floats("seed/column", &[1, columns], (0..columns).map(|k| f32::from(u8::from(k == self.settings.output))));
        let name = &run.values[output.0];
        if value {
            return Ok(build.node("seed", "Mul", &[name, &one], vec![]));
        }
        let shape = build.node("seed/shape", "Shape", &[name], vec![]);
        Ok(build.node("seed", "Expand", &[&one, &shape], vec![]))
    }

    /// The gradient of the explained output in the input under rules.
    fn gradient(&self, rules: &RuleSet<f32>, run: &Forward, reference: Option<&Forward>, build: &mut Builder) -> Result<String> {
        let seed = self.seed(run, false, build)?;
        let input = run.values[self.network.program().inputs()[0].0].clone();
        self.input(Back::new(self, rules, run, reference).walk(seed, build)?, &input, build)
    }

    /// What reached the input; zeros where the output does not depend on it.
    fn input(&self, gradients: Vec<Option<String>>, ecg: &str, build: &mut Builder) -> Result<String> {
        match &gradients[self.network.program().inputs()[0].0] {
            Some(found) => Ok(found.clone()),
            None => Ok(build.node("zeros", "Sub", &[ecg, ecg], vec![])),
        }
    }

    fn reduced(&self, gradient: &str, reduction: Reduction, ecg: &str, base: Option<&str>, build: &mut Builder) -> Result<String> {
        Ok(match (reduction, base) {
            (Reduction::Mean, _) => gradient.to_owned(),
            (Reduction::MeanAbsolute, _) => build.node("size", "Abs", &[gradient], vec![]),
            (Reduction::TimesInput, _) => build.node("times_input", "Mul", &[gradient, ecg], vec![]),
            (Reduction::TimesDifference, Some(base)) => {
                let difference = build.node("difference", "Sub", &[ecg, base], vec![]);
                build.node("times_difference", "Mul", &[gradient, &difference], vec![])
            }
            _ => return Err(Error::Usage("a variance of one gradient is 0: it is not written".into())),
        })
    }

    /// Gradients on the path from the baseline, all points of an ECG in one batch (N·S, C, L).
    fn path(&self, rules: &RuleSet<f32>, reduction: Reduction, ecg: &str, base: &str, build: &mut Builder) -> Result<String> {
        let (nodes, weights) = gauss_legendre::rule(self.settings.steps);
        let steps = nodes.len();
        let weights = weights.into_iter().map(|w| match self.settings.quadrature {
            Quadrature::Exact => w,
            Quadrature::Captum => f64::from(w as f32),
        });
        let places = build.floats("path/places", &[1, steps, 1, 1], nodes.iter().map(|a| *a as f32));
        let weights = build.floats("path/weights", &[1, steps, 1, 1], weights.map(|w| w as f32));
        let axis = build.list("path/axis", &[1]);
        let difference = build.node("path/difference", "Sub", &[ecg, base], vec![]);
        let (from, way) = (
            build.node("path/from", "Unsqueeze", &[base, &axis], vec![]),
            build.node("path/way", "Unsqueeze", &[&difference, &axis], vec![]),
        );
        let moved = build.node("path/moved", "Mul", &[&places, &way], vec![]);
        let points = build.node("path/points", "Add", &[&from, &moved], vec![]);
        let sizes = |first: &[i64]| [first, &[self.channels as i64, self.len as i64]].concat();
        let (flat, apart) = (build.list("path/flat", &sizes(&[-1])), build.list("path/apart", &sizes(&[-1, steps as i64])));
        let batch = build.node("path/batch", "Reshape", &[&points, &flat], vec![]);
        let run = forward(self.network, &[&batch], &self.weights, "/path", true, build)?;
        let gradient = self.gradient(rules, &run, None, build)?;
        let gradient = build.node("path/gradients", "Reshape", &[&gradient, &apart], vec![]);
        let weighted = build.node("path/weighted", "Mul", &[&gradient, &weights], vec![]);
        let sum = build.node("path/sum", "ReduceSum", &[&weighted, &axis], vec![integer("keepdims", 0)]);
        self.reduced(&sum, reduction, ecg, Some(base), build)
    }

    /// Grad-CAM's row, (N, 1, L).
    fn layer(&self, run: &Forward, build: &mut Builder) -> Result<String> {
        let layer: NodeId = gradcam::layer(self.network, self.settings.layer.as_deref(), [self.channels, self.len])?;
        let plain = RuleSet::plain();
        let seed = self.seed(run, false, build)?;
        let gradients = Back::new(self, &plain, run, None).walk(seed, build)?;
        let name = &self.network.program().node(layer).name;
        let gradient =
            gradients[layer.0].as_ref().ok_or_else(|| Error::Usage(format!("Grad-CAM at '{name}': the output does not depend on it")))?;
        let [_, _, time] = self.shapes[layer.0][..] else {
            return Err(Error::Usage(format!("Grad-CAM at '{name}' needs a layer of (N, C, T)")));
        };
        let mean = build.node("gradcam/weights", "ReduceMean", &[gradient], vec![integers("axes", &[2]), integer("keepdims", 1)]);
        let weighted = build.node("gradcam/weighted", "Mul", &[&mean, &run.values[layer.0]], vec![]);
        let axis = build.list("gradcam/channels", &[1]);
        let sum = build.node("gradcam/sum", "ReduceSum", &[&weighted, &axis], vec![integer("keepdims", 1)]);
        let row = build.node("gradcam/row", "Relu", &[&sum], vec![]);
        let scales = build.floats("gradcam/scales", &[3], [1.0, 1.0, self.len as f32 / time as f32]);
        let how = match self.settings.interpolation {
            crate::attribution::Interpolation::Linear => vec![text("mode", "linear"), text("coordinate_transformation_mode", "half_pixel")],
            crate::attribution::Interpolation::Nearest => {
                vec![text("mode", "nearest"), text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "floor")]
            }
        };
        Ok(build.node("gradcam/stretched", "Resize", &[&row, "", &scales], how))
    }
}

/// What a graph says of itself: the method and the settings that it was written with.
pub fn about(method: Method, settings: &Settings, unit: &str) -> Vec<(&'static str, String)> {
    let meaning = method.row().meaning(settings.multiply_by_inputs, settings.absolute);
    let mut about = vec![("method", method.name().to_owned()), ("meaning", meaning.sentence().to_owned())];
    if !unit.is_empty() {
        about.push(("unit", meaning.unit.text(unit)));
    }
    if method.row().heeds("multiply-by-inputs") {
        about.push(("multiplied by (input - baseline)", (meaning.family == Family::Contribution).to_string()));
    }
    if method.row().heeds("steps") {
        about.push(("steps", settings.steps.to_string()));
    }
    if method.row().heeds("max-pool") {
        about.push(("max-pool behind an activation", if settings.max_pool == MaxPoolRule::Captum { "captum" } else { "exact" }.to_owned()));
    }
    about
}

/// 1 / √(σ² + ε) times γ: what a batch norm multiplies with.
fn norm_scale(network: &Network<f32>, id: NodeId, eps: f64) -> Vec<f32> {
    let inputs = &network.program().node(id).inputs;
    let (gamma, var) = (network.parameter(inputs[1]), network.parameter(inputs[4]));
    gamma.iter().zip(var.iter()).map(|(g, v)| (f64::from(*g) / (f64::from(*v) + eps).sqrt()) as f32).collect()
}

/// An attribute list for a convolution's transpose that gives `len` samples.
fn transposed(
    stride: usize,
    dilation: usize,
    padding: (usize, usize),
    kernel: usize,
    (len, out): (usize, usize),
) -> Vec<crate::nn::onnx::Attribute> {
    let reach = (out - 1) * stride + dilation * (kernel - 1) + 1;
    let rest = len + padding.0 + padding.1 - reach;
    let mut how = convolution(kernel, stride, dilation, padding);
    how.push(integers("output_padding", &[rest]));
    how
}
