//! A network as ONNX (opset 17): plain ops of ONNX, the batch open.

use super::builder::{Axis, Builder, float, integer, integers, text};
use super::unfolded;
use crate::tape::{Network, NodeId, Op, Real, Tensor, slice};
use crate::{Error, Result};

/// The values of one run of a network in a graph.
pub(crate) struct Forward {
    /// The name of each node's value.
    pub values: Vec<String>,
    /// For max-pools, that of the places that its values came from, counted through the whole input.
    pub places: Vec<Option<String>>,
}

/// The bytes of an ONNX model that predicts what a network predicts; `about` is kept in it as names and values.
///
/// # Errors
/// [`Error::Program`] for an op that ONNX has not.
pub fn to_bytes(network: &Network<f32>, about: &[(&str, String)]) -> Result<Vec<u8>> {
    let program = network.program();
    let mut build = Builder::default();
    let (mut inputs, mut examples) = (Vec::new(), Vec::new());
    for id in program.inputs() {
        let Op::Input { shape } = &program.node(id).op else { continue };
        let axes = shape.iter().map(|size| size.map_or(Axis::Open("L"), Axis::Fixed));
        inputs.push(build.input(&program.node(id).name, &std::iter::once(Axis::Open("N")).chain(axes).collect::<Vec<_>>()));
        // The output's sizes do not depend on the length: it is (N, K).
        examples.push(std::iter::once(1).chain(shape.iter().map(|size| size.unwrap_or(600))).collect());
    }
    let weights = weights(network, &mut build);
    let run = forward(network, &inputs.iter().map(String::as_str).collect::<Vec<_>>(), &weights, "", None, &mut build)?;
    let sizes = program.shapes(&examples)?[program.output().0].clone();
    let axes: Vec<Axis<'_>> = std::iter::once(Axis::Open("N")).chain(sizes[1..].iter().map(|size| Axis::Fixed(*size))).collect();
    build.output(&run.values[program.output().0], &axes);
    Ok(build.finish(about))
}

/// The network's parameters under their names; empty names for other nodes, and for what recurrent layers alone read, which ONNX has in another order.
pub(crate) fn weights<T: Real>(network: &Network<T>, build: &mut Builder) -> Vec<String> {
    let program = network.program();
    let readers = program.readers();
    let recurrent = |id: NodeId| matches!(program.node(id).op, Op::Lstm { .. } | Op::Gru { .. });
    let one = |id: NodeId| match &program.node(id).op {
        Op::Parameter { shape, .. } if readers[id.0].is_empty() || !readers[id.0].iter().all(|reader| recurrent(*reader)) => {
            build.floats(&program.node(id).name, shape, numbers(network.parameter(id)))
        }
        _ => String::new(),
    };
    program.ids().map(one).collect()
}

/// The values of a tensor.
pub(crate) fn numbers<T: Real>(tensor: &Tensor<T>) -> impl Iterator<Item = f64> {
    slice(tensor).iter().map(|v| v.f64())
}

/// A run of the network on the values `inputs`, in the program's order; names of values get `suffix`. With the shapes of one
/// example, max-pools give the places of their values too, and graphs in f64 have operators alone that engines have in f64.
pub(crate) fn forward<T: Real>(
    network: &Network<T>,
    inputs: &[&str],
    weights: &[String],
    suffix: &str,
    shapes: Option<&[Vec<usize>]>,
    build: &mut Builder,
) -> Result<Forward> {
    let program = network.program();
    let mut given = inputs.iter();
    let mut run = Forward { values: weights.to_vec(), places: vec![None; weights.len()] };
    for id in program.ids() {
        match program.node(id).op {
            Op::Parameter { .. } => (),
            Op::Input { .. } => {
                let name = given.next().ok_or_else(|| Error::Program("the graph has fewer inputs than the network".into()))?;
                run.values[id.0] = (*name).to_owned();
            }
            _ => {
                let (value, from) = node(network, id, &run.values, suffix, shapes, build)?;
                (run.values[id.0], run.places[id.0]) = (value, from);
            }
        }
    }
    Ok(run)
}

/// The attributes of a convolution, or of its transpose.
pub(crate) fn convolution(kernel: usize, stride: usize, dilation: usize, padding: (usize, usize)) -> Vec<super::Attribute> {
    vec![
        integers("kernel_shape", &[kernel]),
        integers("strides", &[stride]),
        integers("dilations", &[dilation]),
        integers("pads", &[padding.0, padding.1]),
    ]
}

/// One node as one of ONNX, or a few: the name of its value, and of a max-pool's places.
fn node<T: Real>(
    network: &Network<T>,
    id: NodeId,
    values: &[String],
    suffix: &str,
    shapes: Option<&[Vec<usize>]>,
    build: &mut Builder,
) -> Result<(String, Option<String>)> {
    let program = network.program();
    let node = program.node(id);
    let inputs: Vec<&str> = node.inputs.iter().map(|id| values[id.0].as_str()).collect();
    let name = format!("{}{suffix}", node.name);
    let windows = |window, stride, padding: (usize, usize), ceil_mode: bool| {
        let pads = integers("pads", &[padding.0, padding.1]);
        vec![integers("kernel_shape", &[window]), integers("strides", &[stride]), pads, integer("ceil_mode", i64::from(ceil_mode))]
    };
    if let Some(shapes) = shapes.filter(|_| build.is_double())
        && let Some(value) = unfolded::node(network, id, &inputs, shapes, &name, build)
    {
        return Ok((value, None));
    }
    let value = match node.op {
        Op::Conv1d { stride, dilation, padding } => {
            let kernel = network.parameter(node.inputs[1]).shape()[2];
            build.node(&name, "Conv", &inputs, convolution(kernel, stride, dilation, padding))
        }
        Op::BatchNorm { eps, momentum } => {
            build.node(&name, "BatchNormalization", &inputs, vec![float("epsilon", eps), float("momentum", 1.0 - momentum)])
        }
        Op::Relu => build.node(&name, "Relu", &inputs, vec![]),
        Op::LeakyRelu { slope } => build.node(&name, "LeakyRelu", &inputs, vec![float("alpha", slope)]),
        Op::Tanh => build.node(&name, "Tanh", &inputs, vec![]),
        Op::Sigmoid => build.node(&name, "Sigmoid", &inputs, vec![]),
        Op::AvgPool1d { window, stride } => {
            let mut how = windows(window, stride, (0, 0), false);
            how.push(integer("count_include_pad", 0));
            build.node(&name, "AveragePool", &inputs, how)
        }
        Op::PaddedAvgPool1d { window, stride, padding, ceil_mode, count_include_pad } => {
            let mut how = windows(window, stride, padding, ceil_mode);
            how.push(integer("count_include_pad", i64::from(count_include_pad)));
            build.node(&name, "AveragePool", &inputs, how)
        }
        Op::MaxPool1d { .. } | Op::PaddedMaxPool1d { .. } => {
            let how = match node.op {
                Op::PaddedMaxPool1d { window, stride, padding, ceil_mode } => windows(window, stride, padding, ceil_mode),
                Op::MaxPool1d { window, stride } => windows(window, stride, (0, 0), false),
                _ => Vec::new(),
            };
            let mut found = build.nodes(&name, "MaxPool", &inputs, how, if shapes.is_some() { 2 } else { 1 });
            let from = shapes.map(|_| found.swap_remove(1));
            return Ok((found.swap_remove(0), from));
        }
        Op::GlobalMaxPool => {
            let most = build.node(&format!("{name}/most"), "GlobalMaxPool", &inputs, vec![]);
            build.node(&name, "Flatten", &[&most], vec![integer("axis", 1)])
        }
        Op::GroupedConv1d { groups, stride, dilation, padding } => {
            let kernel = network.parameter(node.inputs[1]).shape()[2];
            let mut how = convolution(kernel, stride, dilation, padding);
            how.push(integer("group", groups as i64));
            build.node(&name, "Conv", &inputs, how)
        }
        Op::ConvTranspose1d { stride, dilation, padding, extra } => {
            let kernel = network.parameter(node.inputs[1]).shape()[2];
            let mut how = convolution(kernel, stride, dilation, padding);
            how.push(integers("output_padding", &[extra]));
            build.node(&name, "ConvTranspose", &inputs, how)
        }
        Op::Subtract => build.node(&name, "Sub", &inputs, vec![]),
        Op::Divide => build.node(&name, "Div", &inputs, vec![]),
        Op::Elu { alpha } => build.node(&name, "Elu", &inputs, vec![float("alpha", alpha)]),
        Op::Selu => build.node(&name, "Selu", &inputs, vec![]),
        Op::Softplus { beta: 1.0 } => build.node(&name, "Softplus", &inputs, vec![]),
        Op::HardSwish => build.node(&name, "HardSwish", &inputs, vec![]),
        Op::Silu => {
            let gate = build.node(&format!("{name}/gate"), "Sigmoid", &inputs, vec![]);
            build.node(&name, "Mul", &[inputs[0], &gate], vec![])
        }
        Op::Gelu { approximate: false } => {
            let [root, one, half] = [std::f64::consts::SQRT_2, 1.0, 0.5].map(|v| build.floats(&format!("{name}/number"), &[], [v]));
            let scaled = build.node(&format!("{name}/scaled"), "Div", &[inputs[0], &root], vec![]);
            let erf = build.node(&format!("{name}/erf"), "Erf", &[&scaled], vec![]);
            let sum = build.node(&format!("{name}/sum"), "Add", &[&erf, &one], vec![]);
            let twice = build.node(&format!("{name}/twice"), "Mul", &[inputs[0], &sum], vec![]);
            build.node(&name, "Mul", &[&twice, &half], vec![])
        }
        Op::Clip { low, high } => {
            let [low, high] = [low, high].map(|v| build.floats(&format!("{name}/bound"), &[], [v]));
            build.node(&name, "Clip", &[inputs[0], &low, &high], vec![])
        }
        Op::LayerNorm { axes, eps } if inputs.len() > 1 => {
            build.node(&name, "LayerNormalization", &inputs, vec![integer("axis", -(axes as i64)), float("epsilon", eps)])
        }
        Op::InstanceNorm { eps } if inputs.len() == 3 => build.node(&name, "InstanceNormalization", &inputs, vec![float("epsilon", eps)]),
        Op::Softmax { axis } => build.node(&name, "Softmax", &inputs, vec![integer("axis", axis as i64)]),
        Op::Matmul => build.node(&name, "MatMul", &inputs, vec![]),
        Op::Transpose { ref axes } => {
            let order: Vec<usize> = std::iter::once(0).chain(axes.iter().copied()).collect();
            build.node(&name, "Transpose", &inputs, vec![integers("perm", &order)])
        }
        Op::Reshape { ref shape } if shape.iter().all(Option::is_some) => {
            // The batch is what is left, so that it may be of any size.
            let sizes: Vec<i64> = std::iter::once(-1).chain(shape.iter().flatten().map(|size| *size as i64)).collect();
            let sizes = build.list(&format!("{name}/sizes"), &sizes);
            build.node(&name, "Reshape", &[inputs[0], &sizes], vec![])
        }
        Op::Mean { axis } => build.node(&name, "ReduceMean", &inputs, vec![integers("axes", &[axis]), integer("keepdims", 0)]),
        Op::GlobalAvgPool => {
            let mean = build.node(&format!("{name}/mean"), "GlobalAveragePool", &inputs, vec![]);
            build.node(&name, "Flatten", &[&mean], vec![integer("axis", 1)])
        }
        Op::Linear => build.node(&name, "Gemm", &inputs, vec![integer("transB", 1)]),
        Op::Add => build.node(&name, "Add", &inputs, vec![]),
        Op::Multiply => build.node(&name, "Mul", &inputs, vec![]),
        Op::Concat => build.node(&name, "Concat", &inputs, vec![integer("axis", 1)]),
        Op::Flatten => build.node(&name, "Flatten", &inputs, vec![integer("axis", 1)]),
        Op::Upsample { factor } => {
            let scales = build.singles(&format!("{name}/scales"), &[1.0, 1.0, factor as f32]);
            let how = vec![text("mode", "nearest"), text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "floor")];
            build.node(&name, "Resize", &[inputs[0], "", &scales], how)
        }
        Op::Lstm { .. } | Op::Gru { .. } => recurrent(network, id, inputs[0], &name, build)?,
        ref other => return Err(Error::Program(format!("node '{}': {other} cannot be written as ONNX yet", node.name))),
    };
    Ok((value, None))
}

/// A recurrent layer: ONNX wants time first, and the gates of its weights in an order of its own.
fn recurrent<T: Real>(network: &Network<T>, id: NodeId, x: &str, name: &str, build: &mut Builder) -> Result<String> {
    let node = network.program().node(id);
    let (kind, order, reverse, mut how): (_, &[usize], _, _) = match node.op {
        Op::Gru { reverse, linear_before_reset } => {
            ("GRU", &[1, 0, 2], reverse, vec![integer("linear_before_reset", i64::from(linear_before_reset))])
        }
        Op::Lstm { reverse } => ("LSTM", &[0, 3, 1, 2], reverse, Vec::new()),
        ref other => return Err(Error::Program(format!("node '{}': {other} is no recurrent layer", node.name))),
    };
    if let Some(other) = node.inputs[1..].iter().find(|id| !matches!(network.program().node(**id).op, Op::Parameter { .. })) {
        let other = &network.program().node(*other).name;
        return Err(Error::Program(format!("node '{}': its weight '{other}' is computed, which cannot be written as ONNX", node.name)));
    }
    let values = |at: usize| numbers(network.parameter(node.inputs[at])).collect::<Vec<f64>>();
    let shape = |at: usize| network.parameter(node.inputs[at]).shape().to_vec();
    let in_order = |values: Vec<f64>| -> Vec<f64> {
        let gate = values.len() / order.len();
        order.iter().flat_map(|of| values[of * gate..(of + 1) * gate].iter().copied()).collect()
    };
    let hidden = shape(2)[1];
    let w = build.floats(&format!("{name}/W"), &[&[1], &shape(1)[..]].concat(), in_order(values(1)));
    let r = build.floats(&format!("{name}/R"), &[&[1], &shape(2)[..]].concat(), in_order(values(2)));
    let turned = build.node(&format!("{name}/turned"), "Transpose", &[x], vec![integers("perm", &[2, 0, 1])]);
    let mut read = vec![turned.as_str(), w.as_str(), r.as_str()];
    let bias = (node.inputs.len() >= 5).then(|| {
        let both = [in_order(values(3)), in_order(values(4))].concat();
        build.floats(&format!("{name}/B"), &[1, both.len()], both)
    });
    read.extend(bias.as_deref());
    let states: Vec<String> = (5..node.inputs.len()).map(|at| begun(name, &values(at), &turned, build)).collect();
    if !states.is_empty() {
        // No lengths of sequences.
        read.push("");
        read.extend(states.iter().map(String::as_str));
    }
    how.extend([integer("hidden_size", hidden as i64), text("direction", if reverse { "reverse" } else { "forward" })]);
    let all = build.node(&format!("{name}/all"), kind, &read, how);
    let axis = build.list(&format!("{name}/axis"), &[1]);
    let one = build.node(&format!("{name}/states"), "Squeeze", &[&all, &axis], vec![]);
    Ok(build.node(name, "Transpose", &[&one], vec![integers("perm", &[1, 2, 0])]))
}

/// What a state begins with, (1, N, H), for as many examples as `turned` (L, N, F) has.
fn begun(name: &str, values: &[f64], turned: &str, build: &mut Builder) -> String {
    let hidden = values.len();
    let one = build.floats(&format!("{name}/begin"), &[1, 1, hidden], values.iter().copied());
    let sizes = build.node(&format!("{name}/sizes"), "Shape", &[turned], vec![]);
    let (place, first, last) = (
        build.list(&format!("{name}/batch"), &[1]),
        build.list(&format!("{name}/one"), &[1]),
        build.list(&format!("{name}/hidden"), &[hidden as i64]),
    );
    let batch = build.node(&format!("{name}/examples"), "Gather", &[&sizes, &place], vec![integer("axis", 0)]);
    let shape = build.node(&format!("{name}/shape"), "Concat", &[&first, &batch, &last], vec![integer("axis", 0)]);
    build.node(&format!("{name}/begins"), "Expand", &[&one, &shape], vec![])
}
