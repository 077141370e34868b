//! What the tests of the tape and of attribution share: numbers from a seed, programs of one op, random residual networks, and
//! derivatives by finite differences, which know nothing of the tape's own.
#![allow(dead_code, missing_docs)]

pub mod more_ops;
pub mod own_ops;

use cardiograd::tape::{
    Builder, ConvLayer, Mode, Network, NodeId, Op, OpKind, Parameters, Program, Real, RuleSet, Tape, Tensor, Want, from_vec, slice,
};

/// Numbers from a seed (SplitMix64), apart from the crate's own streams.
#[derive(Clone)]
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Draw(seed ^ 0x9E37_79B9_7F4A_7C15)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [−1, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// 0 to n − 1.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    pub fn vec(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.unit()).collect()
    }

    pub fn tensor(&mut self, shape: &[usize]) -> Tensor<f64> {
        from_vec(shape, self.vec(shape.iter().product()))
    }

    /// Values at least 1/(2n) from 0 and from one another, in random order: no kink of a ReLU or a maximum is near.
    pub fn spread(&mut self, shape: &[usize]) -> Tensor<f64> {
        let n: usize = shape.iter().product();
        let mut values: Vec<f64> = (0..n).map(|at| (2 * at + 1) as f64 / n as f64 - 1.0 + 0.5 / n as f64).collect();
        for at in (1..n).rev() {
            values.swap(at, self.below(at + 1));
        }
        from_vec(shape, values)
    }
}

/// Σ a·b.
pub fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    slice(a).iter().zip(slice(b)).map(|(a, b)| a * b).sum()
}

/// The largest |a − b| over the largest |b|, or over 1 where b is all small.
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1.0f64, |most, v| most.max(v.abs()));
    a.iter().zip(b).fold(0.0f64, |most, (a, b)| if a.is_finite() { most.max((a - b).abs()) } else { f64::INFINITY }) / scale
}

/// ‖a − b‖ / ‖b‖.
pub fn relative_l2(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let (error, size) = (norm(&mut a.iter().zip(b).map(|(a, b)| a - b)), norm(&mut b.iter().copied()));
    // A map of zeros (every gradient negative under deconvolution) has no relative error.
    if size == 0.0 { error } else { error / size }
}

/// A network of one op. `signals` are its inputs, `parameters` what follows them; their ids are those of the program's inputs and parameters.
pub fn single(op: Op, signals: &[Tensor<f64>], parameters: &[Tensor<f64>]) -> Network<f64> {
    let mut build = Builder::new();
    let mut ids = Vec::new();
    for (at, signal) in signals.iter().enumerate() {
        let shape: Vec<Option<usize>> = signal.shape()[1..].iter().map(|n| Some(*n)).collect();
        ids.push(build.input(&format!("x{at}"), &shape));
    }
    let mut values = Parameters::new();
    for (at, value) in parameters.iter().enumerate() {
        ids.push(build.parameter(format!("p{at}"), value.shape(), true));
        values.insert(format!("p{at}"), value.clone());
    }
    let y = build.node("op", op, &ids);
    Network::new(build.finish(y).unwrap(), values).unwrap()
}

/// Every node a program can be differentiated in: its inputs, then its parameters.
pub fn leaves(program: &Program) -> Vec<NodeId> {
    program.inputs().into_iter().chain(program.parameters()).collect()
}

/// The plain gradients of ⟨seed, output⟩ in all leaves; zeros where the output does not depend on one.
pub fn plain_gradients(network: &Network<f64>, inputs: &[Tensor<f64>], seed: &Tensor<f64>, mode: Mode) -> Vec<Tensor<f64>> {
    let tape = network.run_in(inputs, mode).unwrap();
    let leaves = leaves(network.program());
    let gradients = network.backward(&tape, seed.clone(), &RuleSet::plain(), None, &Want::nodes(leaves.clone())).unwrap();
    let zeros = |id: NodeId| cardiograd::tape::zeros(tape.value(id).shape());
    leaves.into_iter().map(|id| gradients.get(id).cloned().unwrap_or_else(|| zeros(id))).collect()
}

/// The network and inputs with the leaves moved by `step` × `direction`.
pub fn moved(network: &Network<f64>, inputs: &[Tensor<f64>], direction: &[Tensor<f64>], step: f64) -> (Network<f64>, Vec<Tensor<f64>>) {
    let mut network = network.clone();
    let leaves = leaves(network.program());
    let mut inputs = inputs.to_vec();
    for (at, (id, along)) in leaves.into_iter().zip(direction).enumerate() {
        let mut value = if at < inputs.len() { inputs[at].view_mut() } else { network.parameter_mut(id) };
        value += &(along * step);
    }
    (network, inputs)
}

/// Along a direction in all leaves, the central difference of ⟨seed, output⟩; `None` where a kink of a ReLU, leaky ReLU or maximum lies between.
pub fn directional(
    network: &Network<f64>,
    inputs: &[Tensor<f64>],
    direction: &[Tensor<f64>],
    seed: &Tensor<f64>,
    mode: Mode,
    step: f64,
) -> Option<f64> {
    let at = |step: f64| {
        let (network, inputs) = moved(network, inputs, direction, step);
        let tape = network.run_in(&inputs, mode).unwrap();
        (dot(tape.output(), seed), pieces(network.program(), &tape))
    };
    let ((up, pieces_up), (down, pieces_down)) = (at(step), at(-step));
    (pieces_up == pieces_down).then(|| (up - down) / (2.0 * step))
}

/// Which linear piece each ReLU, leaky ReLU and maximum of a run is on, a list per example.
pub fn pieces<T: Real>(program: &Program, tape: &Tape<T>) -> Vec<Vec<usize>> {
    let batch = tape.output().shape()[0];
    let mut all = vec![Vec::new(); batch];
    for id in program.ids() {
        let node = program.node(id);
        if !matches!(node.op, Op::Relu | Op::LeakyRelu { .. } | Op::MaxPool1d { .. }) {
            continue;
        }
        let x = tape.value(node.inputs[0]);
        for (all, x) in all.iter_mut().zip(slice(x).chunks(x.len() / batch)) {
            match &node.op {
                Op::MaxPool1d { window, stride } => all.extend(x.chunks(tape.value(node.inputs[0]).shape()[2]).flat_map(|row| {
                    let starts = (0..=row.len() - window).step_by(*stride);
                    starts.map(|from| (from..from + window).fold(from, |best, s| if row[s] > row[best] { s } else { best }))
                })),
                _ => all.extend(x.iter().map(|x| usize::from(*x > T::ZERO))),
            }
        }
    }
    all
}

/// How near the run is to another linear piece: the least of ReLUs' inputs in size, and of the differences of a pooling's samples from the
/// largest. Equal samples count only through the ReLUs that made them so.
pub fn to_nearest_kink(program: &Program, tape: &Tape<f64>) -> f64 {
    let mut least = f64::INFINITY;
    for id in program.ids() {
        let node = program.node(id);
        match &node.op {
            Op::Relu => least = slice(tape.value(node.inputs[0])).iter().fold(least, |least, x| least.min(x.abs())),
            Op::MaxPool1d { window, stride } => {
                let x = tape.value(node.inputs[0]);
                for windows in slice(x).chunks(x.shape()[2]).flat_map(|row| row.windows(*window).step_by(*stride)) {
                    let most = windows.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    least = windows.iter().map(|x| most - x).filter(|d| *d > 0.0).fold(least, f64::min);
                }
            }
            _ => {}
        }
    }
    least
}

/// Values for the parameters of a program that keep signals of order 1: weights ±1/√fan_in, batch norms near the identity.
pub fn parameters(program: &Program, draw: &mut Draw) -> Parameters<f64> {
    let mut all = Parameters::new();
    for id in program.parameters() {
        let node = program.node(id);
        let Op::Parameter { shape, .. } = &node.op else { unreachable!() };
        let fan_in: usize = shape[1..].iter().product();
        let scale = 1.7 / (fan_in as f64).sqrt();
        let value = draw.tensor(shape).map(|v| match node.name.rsplit('.').next() {
            Some("running_var") => 1.0 + 0.5 * v,
            Some("running_mean") => 0.3 * v,
            Some("bias") => 0.3 * v,
            Some("weight") if shape.len() == 1 => 1.0 + 0.5 * v,
            _ => scale * v,
        });
        all.insert(node.name.clone(), value.into_shared());
    }
    all
}

/// Which nonlinearities a random network may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kinks {
    /// Only smooth ones.
    Smooth,
    /// ReLU alone, as guided backprop wants.
    Relu,
    /// All of them, maxima and products included.
    All,
}

/// A random residual network, (N, leads, len) → (N, outputs): convolutions of random stride, dilation and padding, batch norms,
/// skips by addition, concatenation, product, pooling and upsampling, a node that feeds many, a layer used twice.
pub fn residual_program(draw: &mut Draw, leads: usize, len: usize, blocks: usize, kinks: Kinks, outputs: usize) -> Program {
    let mut build = Builder::new();
    let mut x = build.input("x", &[Some(leads), Some(len)]);
    let width = 2 + draw.below(3);
    let stem = ConvLayer { stride: 1 + draw.below(2), bias: draw.below(2) == 0, ..ConvLayer::same(leads, width, 1 + draw.below(5)) };
    x = build.conv1d("stem", x, stem);
    let mut length = (len + stem.padding.0 + stem.padding.1 - stem.kernel) / stem.stride + 1;
    for block in 0..blocks {
        let name = |part: &str| format!("block{block}.{part}");
        let entry = x;
        let (kernel, dilation) = (1 + draw.below(6), 1 + draw.below(3));
        let all = (kernel - 1) * dilation;
        let left = draw.below(all + 1);
        let conv = ConvLayer { dilation, padding: (left, all - left), ..ConvLayer::same(width, width, kernel) };
        let mut y = build.conv1d(&name("conv1"), x, conv);
        y = build.batch_norm(&name("bn1"), y, width);
        y = nonlinearity(&mut build, draw, &name("act1"), y, kinks);
        // The same layer again: its weights are read twice.
        let weights = build.parameter(name("shared.weight"), &[width, width, 3], true);
        for (at, dilation) in [(0, 1), (1, 2)] {
            y = build.node(name(&format!("shared{at}")), Op::Conv1d { stride: 1, dilation, padding: (dilation, dilation) }, &[y, weights]);
            y = nonlinearity(&mut build, draw, &name(&format!("shared_act{at}")), y, kinks);
        }
        x = build.node(name("add"), Op::Add, &[y, entry]);
        match draw.below(if kinks == Kinks::All { 4 } else { 3 }) {
            0 if length >= 4 => {
                let pool =
                    if kinks == Kinks::All { Op::MaxPool1d { window: 3, stride: 2 } } else { Op::AvgPool1d { window: 3, stride: 2 } };
                x = build.node(name("pool"), pool, &[x]);
                length = (length - 3) / 2 + 1;
            }
            1 => {
                let both = build.node(name("concat"), Op::Concat, &[x, y, entry]);
                x = build.conv1d(&name("mix"), both, ConvLayer::same(3 * width, width, 1));
            }
            2 if length < 12 => {
                x = build.node(name("up"), Op::Upsample { factor: 2 }, &[x]);
                length *= 2;
            }
            3 => {
                let gate = build.node(name("gate"), Op::Sigmoid, &[y]);
                x = build.node(name("product"), Op::Multiply, &[gate, x]);
            }
            _ => {}
        }
    }
    let (flat, features) = if draw.below(2) == 0 {
        (build.node("global_pool", Op::GlobalAvgPool, &[x]), width)
    } else {
        (build.node("flatten", Op::Flatten, &[x]), width * length)
    };
    let y = build.linear("fc", flat, features, outputs, true);
    build.finish(y).unwrap()
}

fn nonlinearity(build: &mut Builder, draw: &mut Draw, name: &str, x: NodeId, kinks: Kinks) -> NodeId {
    let op = match (kinks, draw.below(4)) {
        (Kinks::Relu, _) | (Kinks::All, 0) => Op::Relu,
        (Kinks::All, 1) => Op::LeakyRelu { slope: 0.1 },
        (_, 2) => Op::Sigmoid,
        _ => Op::Tanh,
    };
    build.node(name, op, &[x])
}

/// [`residual_program`] with values.
pub fn residual_network(seed: u64, leads: usize, len: usize, blocks: usize, kinks: Kinks, outputs: usize) -> Network<f64> {
    let mut draw = Draw::new(seed);
    let program = residual_program(&mut draw, leads, len, blocks, kinks, outputs);
    let parameters = parameters(&program, &mut draw);
    Network::new(program, parameters).unwrap()
}

/// Whether a program has a node of a kind.
pub fn has(program: &Program, kind: OpKind) -> bool {
    !program.of_kind(kind).is_empty()
}
