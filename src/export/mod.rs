//! A heatmap as a program of its own: the prediction, the walk back under a method's rules, and its reduction, written out as a plain ONNX graph. Whoever
//! has an ONNX runtime can make our heatmaps without us: an auditor in another vendor's engine, a device that has nothing else.
//!
//! Inputs: `ecg` (N, C, L), µV, and for methods that compare, `baseline` (N, C, L) or (1, C, L). Outputs: `prediction` (N, 1) and `map` (N, C, L). What a network
//! takes beside the ECG has the network's name for it, its baseline is `baseline.NAME`, its map `map.NAME`.

mod back;
mod relevance;

use crate::attribution::{Family, MaxPoolRule, Method, Quadrature, Recipe, Reduction, Sampler, Settings, gauss_legendre, gradcam};
use crate::nn::onnx::builder::{Axis, Builder, integer, integers, text};
use crate::nn::onnx::write::{Forward, convolution, forward, numbers, weights};
use crate::tape::{Network, NodeId, Real, RuleSet, fold_batch_norm};
use crate::{Error, Result};
use back::Back;

/// A network that is explained in a graph, and what the walk back needs.
struct Export<'a, T: Real> {
    network: &'a Network<T>,
    settings: &'a Settings,
    /// The names of its parameters.
    weights: Vec<String>,
    /// The shape of each node's value for one example, the batch as 1.
    shapes: Vec<Vec<usize>>,
    /// The ECG's place among the inputs.
    ecg: usize,
    channels: usize,
    len: usize,
}

/// A value for each input, in the program's order; `None` where a method says nothing of it.
type Maps = Vec<Option<String>>;

/// The bytes of an ONNX model (opset 17) that explains ECGs of `channels` leads and `len` samples by a method as [`crate::attribution::Explainer`] does, in
/// the network's precision. `about` is kept in it as names and values.
///
/// # Errors
/// [`Error::Usage`] for methods that draw numbers or look by occlusion, and for rules that ONNX has no form of; as [`RuleSet::check`];
/// [`Error::Program`] for a network with an op that cannot be written.
pub fn heatmap<T: Real>(
    network: &Network<T>,
    method: Method,
    settings: &Settings,
    (channels, len): (usize, usize),
    about: &[(&str, String)],
) -> Result<Vec<u8>> {
    let ecg = network.program().ecg_input()?;
    settings.check(channels, len)?;
    let recipe: Recipe<T> = method.row().recipe(network.program(), settings);
    let folded = matches!(recipe, Recipe::Relevance(_)).then(|| fold_batch_norm(network)).transpose()?;
    let network = folded.as_ref().unwrap_or(network);
    let program = network.program();
    let examples = program.input_shapes(1, &[channels, len])?;
    let shapes = program.shapes(&examples)?;
    let mut build = Builder::of::<T>();
    let names: Vec<String> =
        program.inputs().iter().enumerate().map(|(at, id)| if at == ecg { "ecg".into() } else { program.node(*id).name.clone() }).collect();
    // The name of what belongs to an input: the ECG's goes without.
    let own = |what: &str, at: usize| if at == ecg { what.to_owned() } else { format!("{what}.{}", names[at]) };
    let axes = |first: &'static str, at: usize| -> Vec<Axis<'_>> {
        std::iter::once(Axis::Open(first)).chain(examples[at][1..].iter().map(|size| Axis::Fixed(*size))).collect()
    };
    let inputs: Vec<String> = names.iter().enumerate().map(|(at, name)| build.input(name, &axes("N", at))).collect();
    let base = recipe.compares(program, settings).then(|| {
        let mut one = |(at, input): (usize, &String)| {
            let given = build.input(&own("baseline", at), &axes("M", at));
            let shape = build.node(&own("shape", at), "Shape", &[input], vec![]);
            build.node(&own("baseline/each", at), "Expand", &[&given, &shape], vec![])
        };
        inputs.iter().enumerate().map(&mut one).collect::<Vec<String>>()
    });
    let export = Export { network, settings, weights: weights(network, &mut build), shapes, ecg, channels, len };
    let run = export.run(&inputs, "", &mut build)?;
    let maps = export.maps(method, &inputs, base.as_deref(), &run, &mut build)?;
    let output = &run.values[program.output().0];
    let column = build.list("column", &[settings.output as i64]);
    let prediction = build.node("prediction", "Gather", &[output, &column], vec![integer("axis", 1)]);
    build.output(&prediction, &[Axis::Open("N"), Axis::Fixed(1)]);
    // The ECG's first.
    let order = std::iter::once(ecg).chain((0..maps.len()).filter(|at| *at != ecg));
    for (at, map) in order.filter_map(|at| Some((at, maps[at].as_ref()?))) {
        let sized = if settings.absolute == Some(true) { "Abs" } else { "Identity" };
        let map = build.node(&own("map", at), sized, &[map], vec![]);
        build.output(&map, &axes("N", at));
    }
    Ok(build.finish(about))
}

impl<T: Real> Export<'_, T> {
    /// A run of the network.
    fn run(&self, inputs: &[String], suffix: &str, build: &mut Builder) -> Result<Forward> {
        forward(self.network, &inputs.iter().map(String::as_str).collect::<Vec<_>>(), &self.weights, suffix, Some(&self.shapes), build)
    }

    /// The values of a method's maps.
    fn maps(&self, method: Method, inputs: &[String], base: Option<&[String]>, run: &Forward, build: &mut Builder) -> Result<Maps> {
        let (network, settings) = (self.network, self.settings);
        let refused = |why: &str| Err(Error::Usage(format!("{method} cannot be written as a graph: {why}")));
        match method.row().recipe::<T>(network.program(), settings) {
            Recipe::Gradients { rules, sampler, reduction, reference } => {
                rules.check(network.program())?;
                match sampler {
                    Sampler::Once => {
                        let compared = match (reference, base) {
                            (true, Some(base)) => Some(self.run(base, "/baseline", build)?),
                            _ => None,
                        };
                        let gradients = self.gradients(&rules, run, compared.as_ref(), inputs, build)?;
                        self.reduced(gradients, reduction, inputs, base, build)
                    }
                    Sampler::Path if !reference => self.path(&rules, reduction, inputs, base.unwrap_or(inputs), build),
                    _ => refused("it draws numbers, of which a graph would draw others"),
                }
            }
            Recipe::Relevance(rules) => {
                rules.check(network.program())?;
                let seed = self.seed(run, true, build)?;
                let arrived = Back::new(self, &rules, run, None).walk(seed, build)?;
                Ok(self.at_inputs(&arrived, inputs, build).into_iter().map(Some).collect())
            }
            Recipe::Layer => {
                let row = self.layer(run, build)?;
                let sizes = build.list("gradcam/sizes", &[1, self.channels as i64, 1]);
                let mut maps: Maps = vec![None; inputs.len()];
                maps[self.ecg] = Some(build.node("gradcam", "Expand", &[&row, &sizes], vec![]));
                Ok(maps)
            }
            Recipe::Product(a, b) => {
                let (a, b) = (self.maps(a, inputs, base, run, build)?, self.maps(b, inputs, base, run, build)?);
                Ok(a.into_iter().zip(b).map(|(a, b)| Some(build.node("product", "Mul", &[&a?, &b?], vec![]))).collect())
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
        let one = build.floats("seed/column", &[1, columns], (0..columns).map(|k| f64::from(u8::from(k == self.settings.output))));
        let name = &run.values[output.0];
        if value {
            return Ok(build.node("seed", "Mul", &[name, &one], vec![]));
        }
        let shape = build.node("seed/shape", "Shape", &[name], vec![]);
        Ok(build.node("seed", "Expand", &[&one, &shape], vec![]))
    }

    /// The gradients of the explained output in the inputs under rules.
    fn gradients(
        &self,
        rules: &RuleSet<T>,
        run: &Forward,
        reference: Option<&Forward>,
        inputs: &[String],
        build: &mut Builder,
    ) -> Result<Vec<String>> {
        let seed = self.seed(run, false, build)?;
        let arrived = Back::new(self, rules, run, reference).walk(seed, build)?;
        Ok(self.at_inputs(&arrived, inputs, build))
    }

    /// What reached the inputs; zeros where the output does not depend on one.
    fn at_inputs(&self, arrived: &[Option<String>], inputs: &[String], build: &mut Builder) -> Vec<String> {
        let ids = self.network.program().inputs();
        let one = |(id, input): (&NodeId, &String)| match &arrived[id.0] {
            Some(found) => found.clone(),
            None => build.node("zeros", "Sub", &[input, input], vec![]),
        };
        ids.iter().zip(inputs).map(one).collect()
    }

    fn reduced(
        &self,
        gradients: Vec<String>,
        reduction: Reduction,
        inputs: &[String],
        base: Option<&[String]>,
        build: &mut Builder,
    ) -> Result<Maps> {
        let one = |(at, gradient): (usize, String)| {
            Ok(Some(match (reduction, base) {
                (Reduction::Mean, _) => gradient,
                (Reduction::MeanAbsolute, _) => build.node("size", "Abs", &[&gradient], vec![]),
                (Reduction::TimesInput, _) => build.node("times_input", "Mul", &[&gradient, &inputs[at]], vec![]),
                (Reduction::TimesDifference, Some(base)) => {
                    let difference = build.node("difference", "Sub", &[&inputs[at], &base[at]], vec![]);
                    build.node("times_difference", "Mul", &[&gradient, &difference], vec![])
                }
                _ => return Err(Error::Usage("a variance of one gradient is 0: it is not written".into())),
            }))
        };
        gradients.into_iter().enumerate().map(one).collect()
    }

    /// Gradients on the path from the baseline, all points of an example in one batch (N·S, …).
    fn path(&self, rules: &RuleSet<T>, reduction: Reduction, inputs: &[String], base: &[String], build: &mut Builder) -> Result<Maps> {
        let (nodes, weights) = gauss_legendre::rule(self.settings.steps);
        let steps = nodes.len();
        let weights: Vec<f64> = weights
            .into_iter()
            .map(|w| match self.settings.quadrature {
                Quadrature::Exact => w,
                Quadrature::Captum => f64::from(w as f32),
            })
            .collect();
        let axis = build.list("path/axis", &[1]);
        let shape = |at: usize| &self.shapes[self.network.program().inputs()[at].0][1..];
        // Numbers of the points, to be multiplied with what has them in its second axis.
        let column = |name: &str, at: usize, values: &[f64], build: &mut Builder| {
            build.floats(name, &[&[1, steps][..], &vec![1; shape(at).len()]].concat(), values.iter().copied())
        };
        let sizes =
            |first: &[i64], at: usize| -> Vec<i64> { first.iter().copied().chain(shape(at).iter().map(|size| *size as i64)).collect() };
        let mut points = Vec::new();
        for (at, (input, base)) in inputs.iter().zip(base).enumerate() {
            let places = column("path/places", at, &nodes, build);
            let difference = build.node("path/difference", "Sub", &[input, base], vec![]);
            let (from, way) = (
                build.node("path/from", "Unsqueeze", &[base, &axis], vec![]),
                build.node("path/way", "Unsqueeze", &[&difference, &axis], vec![]),
            );
            let moved = build.node("path/moved", "Mul", &[&places, &way], vec![]);
            let all = build.node("path/points", "Add", &[&from, &moved], vec![]);
            let flat = build.list("path/flat", &sizes(&[-1], at));
            points.push(build.node("path/batch", "Reshape", &[&all, &flat], vec![]));
        }
        let run = self.run(&points, "/path", build)?;
        let mut sums = Vec::new();
        for (at, gradient) in self.gradients(rules, &run, None, &points, build)?.into_iter().enumerate() {
            let apart = build.list("path/apart", &sizes(&[-1, steps as i64], at));
            let gradient = build.node("path/gradients", "Reshape", &[&gradient, &apart], vec![]);
            let weights = column("path/weights", at, &weights, build);
            let weighted = build.node("path/weighted", "Mul", &[&gradient, &weights], vec![]);
            sums.push(build.node("path/sum", "ReduceSum", &[&weighted, &axis], vec![integer("keepdims", 0)]));
        }
        self.reduced(sums, reduction, inputs, Some(base), build)
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
        if build.is_double() {
            // What each sample of the layer adds to each of the input's.
            let unit = |of: usize| (0..time).map(|t| f64::from(u8::from(t == of))).collect::<Vec<f64>>();
            let shares = (0..time).flat_map(|of| gradcam::stretch(&unit(of), self.len, self.settings.interpolation));
            let shares = build.floats("gradcam/shares", &[time, self.len], shares);
            return Ok(build.node("gradcam/stretched", "MatMul", &[&row, &shares], vec![]));
        }
        let scales = build.singles("gradcam/scales", &[1.0, 1.0, self.len as f32 / time as f32]);
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
fn norm_scale<T: Real>(network: &Network<T>, id: NodeId, eps: f64) -> Vec<f64> {
    let inputs = &network.program().node(id).inputs;
    let (gamma, var) = (network.parameter(inputs[1]), network.parameter(inputs[4]));
    numbers(gamma).zip(numbers(var)).map(|(g, v)| g / (v + eps).sqrt()).collect()
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
