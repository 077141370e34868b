//! Nodes of a graph in f64 that engines lack an operator for (ONNX Runtime has convolutions, averages of windows and resizing in f32 only): each as a look-up
//! of the samples that it reads, by a table that is made when the graph is, and a product or mean of what was found.

use super::builder::{Builder, integer, integers};
use super::write::numbers;
use crate::tape::{Network, NodeId, Op, Real};

/// What reads which sample: a row a tap, a column an output; `None` reads a zero.
type Table = Vec<Vec<Option<usize>>>;

/// The geometry of a convolution over `len` samples that gives `out`.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Zeros before the signal.
    pub before: usize,
    pub len: usize,
    pub out: usize,
}

impl Geometry {
    fn forward(&self) -> Table {
        let at = |tap: usize, t: usize| (t * self.stride + tap * self.dilation).checked_sub(self.before).filter(|at| *at < self.len);
        (0..self.kernel).map(|tap| (0..self.out).map(|t| at(tap, t)).collect()).collect()
    }

    fn back(&self) -> Table {
        let at = |tap: usize, t: usize| {
            let moved = (t + self.before).checked_sub(tap * self.dilation).filter(|moved| moved.is_multiple_of(self.stride))?;
            Some(moved / self.stride).filter(|at| *at < self.out)
        };
        (0..self.kernel).map(|tap| (0..self.len).map(|t| at(tap, t)).collect()).collect()
    }
}

/// The samples of x (N, C, `len`) by a table, (N, C, rows, columns).
fn looked_up(x: &str, len: usize, table: &Table, name: &str, build: &mut Builder) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let places: Vec<i64> = table.iter().flatten().map(|at| at.unwrap_or(len) as i64).collect();
    let mut from = x.to_owned();
    if table.iter().flatten().any(Option::is_none) {
        let ends = build.list(&format!("{name}/ends"), &[0, 0, 0, 0, 0, 1]);
        from = build.node(&format!("{name}/ended"), "Pad", &[x, &ends], vec![]);
    }
    let places = build.table(&format!("{name}/samples"), &[table.len(), columns], &places);
    build.node(&format!("{name}/read"), "Gather", &[&from, &places], vec![integer("axis", 2)])
}

/// Weights (rows, channels · taps) times what a table finds in x, (N, rows, columns).
fn product(x: &str, table: &Table, weight: &str, [channels, len]: [usize; 2], name: &str, build: &mut Builder) -> String {
    let read = looked_up(x, len, table, name, build);
    let columns = table.first().map_or(0, Vec::len);
    let sizes = build.list(&format!("{name}/flat"), &[-1, (channels * table.len()) as i64, columns as i64]);
    let read = build.node(&format!("{name}/columns"), "Reshape", &[&read, &sizes], vec![]);
    build.node(name, "MatMul", &[weight, &read], vec![])
}

/// A convolution of x (N, I, L) with a weight (O, I, K), and a bias (O).
pub(crate) fn convolve(
    x: &str,
    weight: &str,
    bias: Option<&str>,
    [outputs, inputs]: [usize; 2],
    geometry: Geometry,
    name: &str,
    build: &mut Builder,
) -> String {
    let sizes = build.list(&format!("{name}/rows"), &[outputs as i64, (inputs * geometry.kernel) as i64]);
    let rows = build.node(&format!("{name}/weight"), "Reshape", &[weight, &sizes], vec![]);
    let y = product(x, &geometry.forward(), &rows, [inputs, geometry.len], name, build);
    let Some(bias) = bias else { return y };
    let sizes = build.list(&format!("{name}/column"), &[outputs as i64, 1]);
    let bias = build.node(&format!("{name}/bias"), "Reshape", &[bias, &sizes], vec![]);
    build.node(name, "Add", &[&y, &bias], vec![])
}

/// The transpose of that, of a gradient (N, O, out).
pub(crate) fn convolve_back(
    grad: &str,
    weight: &str,
    [outputs, inputs]: [usize; 2],
    geometry: Geometry,
    name: &str,
    build: &mut Builder,
) -> String {
    let turned = build.node(&format!("{name}/turned"), "Transpose", &[weight], vec![integers("perm", &[1, 0, 2])]);
    let sizes = build.list(&format!("{name}/rows"), &[inputs as i64, (outputs * geometry.kernel) as i64]);
    let rows = build.node(&format!("{name}/weight"), "Reshape", &[&turned, &sizes], vec![]);
    product(grad, &geometry.back(), &rows, [outputs, geometry.out], name, build)
}

/// The gradient of means of windows.
pub(crate) fn average_back(grad: &str, geometry: Geometry, name: &str, build: &mut Builder) -> String {
    let read = looked_up(grad, geometry.out, &geometry.back(), name, build);
    let axis = build.list(&format!("{name}/window"), &[2]);
    let sum = build.node(&format!("{name}/windows"), "ReduceSum", &[&read, &axis], vec![integer("keepdims", 0)]);
    let share = build.floats(&format!("{name}/share"), &[], [1.0 / geometry.kernel as f64]);
    build.node(name, "Mul", &[&sum, &share], vec![])
}

/// A node whose operator engines have not in f64, or whose numbers ONNX keeps in f32; `None` for the others. `shapes` are those of one example.
pub(super) fn node<T: Real>(
    network: &Network<T>,
    id: NodeId,
    inputs: &[&str],
    shapes: &[Vec<usize>],
    name: &str,
    build: &mut Builder,
) -> Option<String> {
    let node = network.program().node(id);
    let from = &shapes[node.inputs.first()?.0];
    let (x, len, out) = (inputs[0], from.get(2).copied().unwrap_or(1), shapes[id.0].get(2).copied().unwrap_or(1));
    let parameter = |at: usize| network.parameter(node.inputs[at]);
    Some(match node.op {
        Op::Conv1d { stride, dilation, padding } => {
            let &[outputs, channels, kernel] = parameter(1).shape() else { return None };
            let geometry = Geometry { kernel, stride, dilation, before: padding.0, len, out };
            convolve(x, inputs[1], inputs.get(2).copied(), [outputs, channels], geometry, name, build)
        }
        Op::BatchNorm { eps, .. } => {
            let shape: Vec<usize> =
                std::iter::once(1).chain(from[1..].iter().enumerate().map(|(at, size)| if at == 0 { *size } else { 1 })).collect();
            let scale = numbers(parameter(1)).zip(numbers(parameter(4))).map(|(gamma, variance)| gamma / (variance + eps).sqrt());
            let scale = build.floats(&format!("{name}/scale"), &shape, scale);
            let (mean, shift) = (
                build.floats(&format!("{name}/mean"), &shape, numbers(parameter(3))),
                build.floats(&format!("{name}/shift"), &shape, numbers(parameter(2))),
            );
            let centred = build.node(&format!("{name}/centred"), "Sub", &[x, &mean], vec![]);
            let scaled = build.node(&format!("{name}/scaled"), "Mul", &[&centred, &scale], vec![]);
            build.node(name, "Add", &[&scaled, &shift], vec![])
        }
        Op::LeakyRelu { slope } => {
            let (zero, slope) = (build.floats("zero", &[], [0.0]), build.floats(&format!("{name}/slope"), &[], [slope]));
            let open = build.node(&format!("{name}/open"), "Greater", &[x, &zero], vec![]);
            let less = build.node(&format!("{name}/less"), "Mul", &[x, &slope], vec![]);
            build.node(name, "Where", &[&open, x, &less], vec![])
        }
        Op::AvgPool1d { window, stride } => {
            let geometry = Geometry { kernel: window, stride, dilation: 1, before: 0, len, out };
            let read = looked_up(x, len, &geometry.forward(), name, build);
            build.node(name, "ReduceMean", &[&read], vec![integers("axes", &[2]), integer("keepdims", 0)])
        }
        Op::GlobalAvgPool => build.node(name, "ReduceMean", &[x], vec![integers("axes", &[2]), integer("keepdims", 0)]),
        Op::Upsample { factor } => {
            let samples: Vec<i64> = (0..len * factor).map(|t| (t / factor) as i64).collect();
            let samples = build.list(&format!("{name}/samples"), &samples);
            build.node(name, "Gather", &[x, &samples], vec![integer("axis", 2)])
        }
        _ => return None,
    })
}
