//! The walk back in a graph: the vector–Jacobian product of each op as nodes of ONNX, or the rule that acts there.

use super::{Export, norm_scale, relevance, transposed};
use crate::nn::onnx::builder::{Builder, integer};
use crate::nn::onnx::unfolded::{self, Geometry};
use crate::nn::onnx::write::{Forward, convolution};
use crate::tape::{NodeId, Op, Real, RuleSet};
use crate::{Error, Result};

/// Below this |Δx| the plain derivative stands for the quotient, as in the rescale rule.
const NEAR: f64 = 1e-10;

/// A walk back over a run.
pub(super) struct Back<'e, T: Real> {
    pub export: &'e Export<'e, T>,
    rules: &'e RuleSet<T>,
    pub run: &'e Forward,
    reference: Option<&'e Forward>,
}

impl<'e, T: Real> Back<'e, T> {
    pub fn new(export: &'e Export<'e, T>, rules: &'e RuleSet<T>, run: &'e Forward, reference: Option<&'e Forward>) -> Self {
        Back { export, rules, run, reference }
    }

    /// What arrives at each node when `seed` arrives at the output.
    pub fn walk(&self, seed: String, build: &mut Builder) -> Result<Vec<Option<String>>> {
        let program = self.export.network.program();
        let on_path = program.on_path();
        let mut arrived: Vec<Option<String>> = vec![None; on_path.len()];
        arrived[program.output().0] = Some(seed);
        for id in program.ids().collect::<Vec<_>>().into_iter().rev().filter(|id| on_path[id.0]) {
            let Some(grad) = arrived[id.0].clone() else { continue };
            let node = program.node(id);
            if matches!(node.op, Op::Input { .. }) {
                continue;
            }
            let handed = match self.rules.rule_for(node) {
                Some(rule) => self.ruled(rule.name(), id, &grad, build)?,
                None => self.vjp(id, &grad, build)?,
            };
            for (input, part) in node.inputs.iter().zip(handed) {
                let Some(part) = part.filter(|_| on_path[input.0]) else { continue };
                arrived[input.0] = Some(match arrived[input.0].take() {
                    None => part,
                    Some(sum) => build.node(&format!("{}/arrived", program.node(*input).name), "Add", &[&sum, &part], vec![]),
                });
            }
        }
        Ok(arrived)
    }

    pub fn value(&self, id: NodeId) -> &str {
        &self.run.values[id.0]
    }

    pub fn inputs(&self, id: NodeId) -> &[NodeId] {
        &self.export.network.program().node(id).inputs
    }

    pub fn name(&self, id: NodeId) -> String {
        format!("{}/back", self.export.network.program().node(id).name)
    }

    fn shape(&self, id: NodeId) -> &[usize] {
        &self.export.shapes[id.0]
    }

    /// A rule in a form of ONNX; rules from outside have none.
    fn ruled(&self, rule: &str, id: NodeId, grad: &str, build: &mut Builder) -> Result<Vec<Option<String>>> {
        let name = self.name(id);
        match rule {
            "deconvolution" => Ok(vec![Some(build.node(&name, "Relu", &[grad], vec![]))]),
            "guided_backprop" => {
                let positive = build.node(&name, "Relu", &[grad], vec![]);
                Ok(vec![Some(self.open(id, &positive, build))])
            }
            "rescale" => self.rescale(id, grad, build),
            _ => match relevance::share(self, rule, id, grad, build)? {
                Some(shares) => Ok(shares),
                None => Err(Error::Usage(format!("the rule '{rule}' has no form in ONNX: maps under it cannot be written as a graph"))),
            },
        }
    }

    /// What passes a ReLU that is open.
    fn open(&self, id: NodeId, grad: &str, build: &mut Builder) -> String {
        let name = self.name(id);
        let zero = build.floats("zero", &[], [0.0]);
        let open = build.node(&format!("{name}/open"), "Greater", &[self.value(self.inputs(id)[0]), &zero], vec![]);
        build.node(&name, "Where", &[&open, grad, &zero], vec![])
    }

    /// The vector–Jacobian product of a node, one entry per input; parameters get none.
    pub fn vjp(&self, id: NodeId, grad: &str, build: &mut Builder) -> Result<Vec<Option<String>>> {
        let (program, name) = (self.export.network.program(), self.name(id));
        let inputs = self.inputs(id);
        let y = self.value(id);
        let one = |value: String| Ok(vec![Some(value)]);
        match program.node(id).op {
            Op::Conv1d { .. } => {
                let weight = self.value(inputs[1]).to_owned();
                one(self.conv_back(id, grad, &weight, build))
            }
            Op::Linear => one(build.node(&name, "MatMul", &[grad, self.value(inputs[1])], vec![])),
            Op::BatchNorm { eps, .. } => {
                let scale = norm_scale(self.export.network, id, eps);
                let shape = if self.shape(id).len() == 3 { vec![1, scale.len(), 1] } else { vec![1, scale.len()] };
                let scale = build.floats(&format!("{name}/scale"), &shape, scale);
                one(build.node(&name, "Mul", &[grad, &scale], vec![]))
            }
            Op::Relu => one(self.open(id, grad, build)),
            Op::LeakyRelu { slope } => {
                let zero = build.floats("zero", &[], [0.0]);
                let slope = build.floats(&format!("{name}/slope"), &[], [slope]);
                let open = build.node(&format!("{name}/open"), "Greater", &[self.value(inputs[0]), &zero], vec![]);
                let less = build.node(&format!("{name}/less"), "Mul", &[grad, &slope], vec![]);
                one(build.node(&name, "Where", &[&open, grad, &less], vec![]))
            }
            Op::Tanh => {
                let (unit, squared) = (build.floats("one", &[], [1.0]), build.node(&format!("{name}/squared"), "Mul", &[y, y], vec![]));
                let slope = build.node(&format!("{name}/slope"), "Sub", &[&unit, &squared], vec![]);
                one(build.node(&name, "Mul", &[grad, &slope], vec![]))
            }
            Op::Sigmoid => {
                let unit = build.floats("one", &[], [1.0]);
                let rest = build.node(&format!("{name}/rest"), "Sub", &[&unit, y], vec![]);
                let slope = build.node(&format!("{name}/slope"), "Mul", &[y, &rest], vec![]);
                one(build.node(&name, "Mul", &[grad, &slope], vec![]))
            }
            Op::AvgPool1d { window, stride } => one(self.average_back(id, grad, (window, stride), build)),
            Op::MaxPool1d { .. } | Op::PaddedMaxPool1d { .. } => {
                let x = inputs[0];
                one(self.scattered(&name, x, grad, self.places(self.run, id)?, build))
            }
            Op::GlobalAvgPool => {
                let [_, _, len] = *self.shape(inputs[0]) else { return Err(self.cannot(id)) };
                let axis = build.list("time", &[2]);
                let share = build.floats(&format!("{name}/share"), &[], [1.0 / len as f64]);
                let scaled = build.node(&format!("{name}/scaled"), "Mul", &[grad, &share], vec![]);
                let row = build.node(&format!("{name}/row"), "Unsqueeze", &[&scaled, &axis], vec![]);
                let shape = build.node(&format!("{name}/shape"), "Shape", &[self.value(inputs[0])], vec![]);
                one(build.node(&name, "Expand", &[&row, &shape], vec![]))
            }
            Op::Add => Ok(vec![Some(grad.to_owned()); 2]),
            Op::Multiply => {
                let part = |other: usize, build: &mut Builder| Some(build.node(&name, "Mul", &[grad, self.value(inputs[other])], vec![]));
                Ok(vec![part(1, build), part(0, build)])
            }
            Op::Concat => {
                let sizes: Vec<i64> = inputs.iter().map(|id| self.shape(*id)[1] as i64).collect();
                let sizes = build.list(&format!("{name}/sizes"), &sizes);
                Ok(build.nodes(&name, "Split", &[grad, &sizes], vec![integer("axis", 1)], inputs.len()).into_iter().map(Some).collect())
            }
            Op::Upsample { factor } => {
                let [_, channels, len] = *self.shape(inputs[0]) else { return Err(self.cannot(id)) };
                let apart = build.list(&format!("{name}/apart"), &[-1, channels as i64, len as i64, factor as i64]);
                let apart = build.node(&format!("{name}/repeats"), "Reshape", &[grad, &apart], vec![]);
                let axis = build.list("repeats", &[3]);
                one(build.node(&name, "ReduceSum", &[&apart, &axis], vec![integer("keepdims", 0)]))
            }
            Op::Flatten => {
                let shape = build.node(&format!("{name}/shape"), "Shape", &[self.value(inputs[0])], vec![]);
                one(build.node(&name, "Reshape", &[grad, &shape], vec![]))
            }
            _ => Err(self.cannot(id)),
        }
    }

    fn cannot(&self, id: NodeId) -> Error {
        let node = self.export.network.program().node(id);
        Error::Program(format!("node '{}' ({}): its way back cannot be written as ONNX yet", node.name, node.op.kind()))
    }

    /// Channels out and in of a convolution.
    fn sides(&self, id: NodeId) -> [usize; 2] {
        let weight = self.shape(self.inputs(id)[1]);
        [weight[0], weight[1]]
    }

    /// Of a convolution, or of means of windows.
    fn geometry(&self, id: NodeId) -> Geometry {
        let (len, out) = (self.shape(self.inputs(id)[0])[2], self.shape(id)[2]);
        match self.export.network.program().node(id).op {
            Op::Conv1d { stride, dilation, padding } => {
                Geometry { kernel: self.shape(self.inputs(id)[1])[2], stride, dilation, before: padding.0, len, out }
            }
            Op::AvgPool1d { window, stride } => Geometry { kernel: window, stride, dilation: 1, before: 0, len, out },
            _ => Geometry { kernel: 1, stride: 1, dilation: 1, before: 0, len, out },
        }
    }

    /// A convolution's transpose with some weight (O, I, K).
    pub fn conv_back(&self, id: NodeId, grad: &str, weight: &str, build: &mut Builder) -> String {
        let inputs = self.inputs(id);
        let Op::Conv1d { stride, dilation, padding } = self.export.network.program().node(id).op else { return String::new() };
        let kernel = self.shape(inputs[1])[2];
        if build.is_double() {
            return unfolded::convolve_back(grad, weight, self.sides(id), self.geometry(id), &self.name(id), build);
        }
        let attributes = transposed(stride, dilation, padding, kernel, (self.shape(inputs[0])[2], self.shape(id)[2]));
        build.node(&self.name(id), "ConvTranspose", &[grad, weight], attributes)
    }

    /// Each sample of a window gets its share: a transposed convolution, channel by channel.
    fn average_back(&self, id: NodeId, grad: &str, (window, stride): (usize, usize), build: &mut Builder) -> String {
        let (channels, len) = (self.shape(id)[1], self.shape(self.inputs(id)[0])[2]);
        if build.is_double() {
            return unfolded::average_back(grad, self.geometry(id), &self.name(id), build);
        }
        let share = build.floats(&format!("{}/share", self.name(id)), &[channels, 1, window], vec![1.0 / window as f64; channels * window]);
        let mut attributes = transposed(stride, 1, (0, 0), window, (len, self.shape(id)[2]));
        attributes.push(integer("group", channels as i64));
        build.node(&self.name(id), "ConvTranspose", &[grad, &share], attributes)
    }

    fn places<'r>(&self, run: &'r Forward, id: NodeId) -> Result<&'r str> {
        run.places[id.0].as_deref().ok_or_else(|| self.cannot(id))
    }

    /// Values put where they came from, in an array of the shape of the node `x`; those of one place are added.
    fn scattered(&self, name: &str, x: NodeId, values: &str, places: &str, build: &mut Builder) -> String {
        let flat = build.list("flat", &[-1]);
        let (values, places) = (
            build.node(&format!("{name}/values"), "Reshape", &[values, &flat], vec![]),
            build.node(&format!("{name}/places"), "Reshape", &[places, &flat], vec![]),
        );
        let x = self.value(x);
        let none = build.node(&format!("{name}/none"), "Sub", &[x, x], vec![]);
        let none = build.node(&format!("{name}/none"), "Reshape", &[&none, &flat], vec![]);
        let how = vec![integer("axis", 0), crate::nn::onnx::builder::text("reduction", "add")];
        let all = build.node(&format!("{name}/all"), "ScatterElements", &[&none, &places, &values], how);
        let shape = build.node(&format!("{name}/shape"), "Shape", &[x], vec![]);
        build.node(name, "Reshape", &[&all, &shape], vec![])
    }

    /// Δy / Δx, or the plain derivative where Δx is next to nothing.
    fn rescale(&self, id: NodeId, grad: &str, build: &mut Builder) -> Result<Vec<Option<String>>> {
        let (name, inputs) = (self.name(id), self.inputs(id));
        let reference = self.reference.ok_or_else(|| Error::Rule("the rescale rule needs a reference run".into()))?;
        let of = |id: NodeId| reference.values[id.0].as_str();
        if let Op::Multiply = self.export.network.program().node(id).op {
            let half = build.floats("half", &[], [0.5]);
            let scaled = build.node(&format!("{name}/half"), "Mul", &[grad, &half], vec![]);
            let part = |other: usize, build: &mut Builder| {
                let sum = build.node(&format!("{name}/sum"), "Add", &[self.value(inputs[other]), of(inputs[other])], vec![]);
                Some(build.node(&name, "Mul", &[&scaled, &sum], vec![]))
            };
            return Ok(vec![part(1, build), part(0, build)]);
        }
        let plain = self.vjp(id, grad, build)?.swap_remove(0).unwrap_or_default();
        let x = inputs[0];
        let dx = build.node(&format!("{name}/dx"), "Sub", &[self.value(x), of(x)], vec![]);
        let size = build.node(&format!("{name}/size"), "Abs", &[&dx], vec![]);
        let (near, unit) = (build.floats("near", &[], [NEAR]), build.floats("one", &[], [1.0]));
        let near = build.node(&format!("{name}/near"), "Less", &[&size, &near], vec![]);
        let safe = build.node(&format!("{name}/safe"), "Where", &[&near, &unit, &dx], vec![]);
        let moved = if let Op::MaxPool1d { .. } | Op::PaddedMaxPool1d { .. } = self.export.network.program().node(id).op {
            let most = build.node(&format!("{name}/most"), "Max", &[self.value(id), of(id)], vec![]);
            let above = build.node(&format!("{name}/above"), "Sub", &[&most, of(id)], vec![]);
            let below = build.node(&format!("{name}/below"), "Sub", &[self.value(id), &most], vec![]);
            let (above, below) = (
                build.node(&format!("{name}/to_own"), "Mul", &[grad, &above], vec![]),
                build.node(&format!("{name}/to_reference"), "Mul", &[grad, &below], vec![]),
            );
            let own = self.scattered(&format!("{name}/own"), x, &above, self.places(self.run, id)?, build);
            let other = self.scattered(&format!("{name}/other"), x, &below, self.places(reference, id)?, build);
            let sum = build.node(&format!("{name}/sum"), "Add", &[&own, &other], vec![]);
            build.node(&format!("{name}/quotient"), "Div", &[&sum, &safe], vec![])
        } else {
            let dy = build.node(&format!("{name}/dy"), "Sub", &[self.value(id), of(id)], vec![]);
            let quotient = build.node(&format!("{name}/quotient"), "Div", &[&dy, &safe], vec![]);
            build.node(&format!("{name}/moved"), "Mul", &[grad, &quotient], vec![])
        };
        Ok(vec![Some(build.node(&name, "Where", &[&near, &plain, &moved], vec![]))])
    }

    /// The op of a convolution or linear layer on other inputs and weights.
    pub fn again(&self, id: NodeId, x: &str, weight: &str, bias: Option<&str>, build: &mut Builder) -> Result<String> {
        let name = format!("{}/again", self.name(id));
        let inputs: Vec<&str> = [x, weight].into_iter().chain(bias).collect();
        match self.export.network.program().node(id).op {
            Op::Conv1d { .. } if build.is_double() => {
                Ok(unfolded::convolve(x, weight, bias, self.sides(id), self.geometry(id), &name, build))
            }
            Op::Conv1d { stride, dilation, padding } => {
                let kernel = self.shape(self.inputs(id)[1])[2];
                Ok(build.node(&name, "Conv", &inputs, convolution(kernel, stride, dilation, padding)))
            }
            Op::Linear => Ok(build.node(&name, "Gemm", &inputs, vec![integer("transB", 1)])),
            _ => Err(self.cannot(id)),
        }
    }
}
