//! The same bytes on every machine: digests of outputs, gradients, every method's heatmaps and a training, from ops and programs of all kinds, against
//! a table that another processor made, and of random programs against those of the portable kernel. `tests/soundness/qemu.sh` runs this on AArch64.
//!
//! A process has one kernel, so each is a process of its own. Where a change of version is meant to change bytes, `CARDIOGRAD_WRITE_DIGESTS=1` makes the
//! table anew.

mod common;

use cardiograd::attribution::{Explainer, Method, Settings};
use cardiograd::dataset::{InputKind, Target};
use cardiograd::nn::{Examples, TrainSettings, TrainingData, initialise, stevennet, train};
use cardiograd::progress::silent;
use cardiograd::tape::{Builder, ConvLayer, Mode, Network, Op, OpKind, Program, Real, RuleSet, Tensor, Want, cast, from_vec, slice};
use common::more_ops::{Shapes, more_ops};
use common::{Draw, Kinks, leaves, parameters, residual_network, single};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names and digests, a line each.
#[derive(Default)]
struct Digests(String);

impl Digests {
    /// Of values as f64, FNV-1a over 64 bits; NaN is one NaN.
    fn add<T: Real>(&mut self, name: &str, values: &[T]) {
        let bits = |v: &T| if v.f64().is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { v.f64().to_bits() };
        let digest = values
            .iter()
            .flat_map(|v| bits(v).to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325u64, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        writeln!(self.0, "{digest:016x} {name}").unwrap();
    }

    /// Output and gradients of a network, on the tape, in evaluation and training.
    fn run<T: Real>(&mut self, name: &str, network: &Network<T>, inputs: &[Tensor<T>]) {
        for (mode, word) in [(Mode::Evaluation, "evaluation"), (Mode::Training, "training")] {
            let Ok(tape) = network.run_in(inputs, mode) else { continue };
            self.add(&format!("{name}, {} {word}", T::NAME), slice(tape.output()));
            let seed: Vec<T> = Draw::new(9).vec(tape.output().len()).into_iter().map(T::of).collect();
            let (seed, want) = (from_vec(tape.output().shape(), seed), Want::nodes(leaves(network.program())));
            let gradients = network.backward(&tape, seed, &RuleSet::plain(), None, &want).unwrap();
            let all: Vec<T> =
                leaves(network.program()).into_iter().filter_map(|id| gradients.get(id)).flat_map(|g| slice(g).to_vec()).collect();
            self.add(&format!("{name}, {} {word}, gradients", T::NAME), &all);
        }
    }

    /// Predictions and every method's heatmap.
    fn explained<T: Real>(&mut self, name: &str, network: &Network<T>, x: &Tensor<T>) {
        self.add(&format!("{name}, {} predictions", T::NAME), slice(&network.predict(std::slice::from_ref(x)).unwrap()));
        let window = x.shape()[2] / 3;
        let (occlusion_window, occlusion_stride) = (window, window);
        let settings = Settings { samples: Some(2), steps: 3, seed: 5, occlusion_window, occlusion_stride, ..Settings::default() };
        let ids: Vec<u64> = (0..x.shape()[0] as u64).collect();
        let explainer = Explainer::new(network, &settings).unwrap();
        for method in Method::ALL {
            let name = format!("{name}, {} {}", T::NAME, method.name());
            match explainer.explain(x, &ids, &[method], &silent) {
                Ok(found) => self.add(&name, slice(found.map(method).unwrap())),
                Err(_) => writeln!(self.0, "{:16} {name}", "cannot act").unwrap(),
            }
        }
    }

    /// One epoch of a few steps: all parameters.
    fn trained(&mut self, name: &str, program: &Program, shape: [usize; 2], draw: &mut Draw) {
        let x = ndarray::Array3::from_shape_vec((9, shape[0], shape[1]), draw.vec(9 * shape[0] * shape[1])).unwrap().mapv(|v| v as f32);
        let inputs = |ecgs: &[usize]| Ok(x.select(ndarray::Axis(0), ecgs));
        let mut part =
            |ecgs: std::ops::Range<usize>| Examples { values: ecgs.clone().map(|_| 400.0 + draw.unit()).collect(), ecgs: ecgs.collect() };
        let [first, validation, test] = [part(0..6), part(6..8), part(8..9)];
        let data = TrainingData {
            target: Target::Qt,
            input: InputKind::Median,
            inputs: &inputs,
            train: &first,
            validation: &validation,
            test: &test,
        };
        let settings = TrainSettings { epochs: 1, batch: 3, learning_rate: 0.02, ..TrainSettings::quick() };
        let trained = train(program, data, &settings, &silent).unwrap();
        let network = trained.last.network;
        let all: Vec<f32> = network.parameters().values().flat_map(|value| slice(value).to_vec()).collect();
        self.add(&format!("{name}, trained"), &all);
    }
}

/// Convolutions short and long, at odd sizes, so that each form of them is met, between the other ops that plans have steps for.
fn convolutions(draw: &mut Draw) -> (Program, [usize; 2]) {
    let (leads, len) = (1 + draw.below(13), 110 + draw.below(60));
    let (wide, narrow) = (9 + draw.below(20), 5 + draw.below(9));
    let mut build = Builder::new();
    let mut x = build.input("x", &[Some(leads), Some(len)]);
    x = build.conv1d("stem", x, ConvLayer { bias: false, ..ConvLayer::same(leads, wide, 3 + draw.below(6)) });
    x = build.batch_norm("stem_bn", x, wide);
    x = build.relu("stem_relu", x);
    let pool = [Op::AvgPool1d { window: 2, stride: 2 }, Op::MaxPool1d { window: 3, stride: 2 }];
    x = build.node("pool", pool[draw.below(2)].clone(), &[x]);
    for block in 0..2 {
        let (name, entry) = (|part: &str| format!("block{block}.{part}"), x);
        x = build.conv1d(&name("conv1"), x, ConvLayer { bias: false, ..ConvLayer::same(wide, narrow, 30 + draw.below(21)) });
        x = build.batch_norm(&name("bn1"), x, narrow);
        x = build.relu(&name("relu1"), x);
        x = build.conv1d(&name("conv2"), x, ConvLayer::same(narrow, wide, 1 + draw.below(50)));
        x = build.node(name("add"), Op::Add, &[x, entry]);
        x = build.relu(&name("relu2"), x);
    }
    let strided = ConvLayer { stride: 2, ..ConvLayer::same(wide, 17, 5) };
    x = build.conv1d("strided", x, strided);
    x = build.relu("strided_relu", x);
    x = build.node("mean", Op::GlobalAvgPool, &[x]);
    let y = build.linear("fc", x, 17, 1, true);
    (build.finish(y).unwrap(), [leads, len])
}

/// Every op that random programs have not.
fn further_ops() -> Vec<(Op, Shapes, Shapes)> {
    let mut all = more_ops();
    all.push((Op::Divide, vec![vec![3, 7], vec![3, 1]], vec![]));
    all.push((Op::Interleave { factor: 3 }, vec![vec![6, 5]], vec![]));
    all.push((Op::AvgPool1d { window: 3, stride: 2 }, vec![vec![3, 8]], vec![]));
    all
}

/// Of random programs.
fn drawn(seed: u64) -> String {
    let (mut all, mut draw) = (Digests::default(), Draw::new(seed));
    for round in 0..3 {
        let (leads, len) = (1 + draw.below(4), 9 + draw.below(20));
        let network = residual_network(draw.bits(), leads, len, 2, Kinks::All, 2);
        let x = draw.tensor(&[3, leads, len]);
        let name = format!("residual network {round}");
        all.run(&name, &network, std::slice::from_ref(&x));
        all.run(&name, &network.cast::<f32>(), &[cast(&x)]);
        all.explained(&name, &network.cast::<f32>(), &cast(&x));
    }
    let (program, [leads, len]) = convolutions(&mut draw);
    let network = Network::new(program.clone(), parameters(&program, &mut draw)).unwrap();
    let x = draw.tensor(&[2, leads, len]);
    all.explained("convolutions", &network.cast::<f32>(), &cast(&x));
    all.run("convolutions", &network.cast::<f32>(), &[cast(&x)]);
    all.run("convolutions", &network, &[x]);
    all.trained("convolutions", &program, [leads, len], &mut draw);
    all.0
}

/// Of every op, and of the study's network; and what random programs of one seed give.
fn fixed() -> String {
    let mut all = Digests::default();
    for (at, (op, signals, weights)) in further_ops().into_iter().enumerate() {
        let draw = &mut Draw::new(at as u64);
        let mut tensors = |shapes: &[Vec<usize>], batch: &[usize]| -> Vec<Tensor<f64>> {
            shapes.iter().map(|shape| draw.tensor(&[batch, &shape[..]].concat()).map(|v| 3.7 * v).into_shared()).collect()
        };
        let (x, weights) = (tensors(&signals, &[2]), tensors(&weights, &[]));
        let (network, name) = (single(op.clone(), &x, &weights), format!("{at}: {op}"));
        all.run(&name, &network, &x);
        all.run(&name, &network.cast::<f32>(), &x.iter().map(cast).collect::<Vec<_>>());
    }
    let program = stevennet(12, Some(600)).unwrap();
    let network = Network::new(program.clone(), initialise(&program, 1, 2).unwrap()).unwrap();
    let x = cast(&Draw::new(7).tensor(&[1, 12, 600]));
    all.add("stevennet, predictions", slice(&network.predict(std::slice::from_ref(&x)).unwrap()));
    let settings = Settings { samples: Some(2), steps: 2, ..Settings::default() };
    let methods = [Method::Saliency, Method::IntegratedGradients, Method::DeepLift];
    let found = Explainer::new(&network, &settings).unwrap().explain(&x, &[0], &methods, &silent).unwrap();
    methods.into_iter().for_each(|method| all.add(&format!("stevennet, {}", method.name()), slice(found.map(method).unwrap())));
    all.0 + &drawn(1)
}

/// The first lines that differ.
fn apart(found: &str, wanted: &str) -> Vec<String> {
    let pairs = found.lines().zip(wanted.lines()).filter(|(a, b)| a != b);
    let lines = (found.lines().count() != wanted.lines().count()).then(|| "they have other lines".to_owned());
    pairs.map(|(a, b)| format!("{a} for {b}")).chain(lines).take(9).collect()
}

/// Asks a process of its own for digests, by a kernel.
fn digests_by(kernel: &str, seed: Option<u64>, folder: &Path) -> String {
    let to = folder.join(kernel);
    // An emulator, where the system does not start this program by itself.
    let runner = std::env::var("DIGESTS_RUNNER").unwrap_or_default();
    let program = std::env::current_exe().unwrap();
    let mut words = runner.split_whitespace().map(std::ffi::OsStr::new).chain([program.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", "digests_of_this_process", "--ignored"]).env("CARDIOGRAD_KERNEL", kernel).env("DIGESTS_TO", &to);
    if let Some(seed) = seed {
        command.env("DIGESTS_SEED", seed.to_string());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{kernel}: {}", String::from_utf8_lossy(&output.stdout));
    std::fs::read_to_string(to).unwrap()
}

#[test]
#[ignore = "asked for by the other tests, with a kernel"]
fn digests_of_this_process() {
    let seed = std::env::var("DIGESTS_SEED").ok().map(|seed| seed.parse().unwrap());
    let to = PathBuf::from(std::env::var_os("DIGESTS_TO").expect("a file to write to"));
    std::fs::write(to, seed.map_or_else(fixed, drawn)).unwrap();
}

fn kernels() -> impl Iterator<Item = String> {
    cardiograd_kernels::Isa::ALL.into_iter().filter(|isa| isa.available()).map(|isa| isa.to_string())
}

#[test]
fn every_kernel_gives_the_digests_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/portable_bytes.txt");
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os("CARDIOGRAD_WRITE_DIGESTS").is_some() {
        std::fs::write(path, digests_by("portable", None, folder.path())).unwrap();
    }
    let table = std::fs::read_to_string(path).unwrap();
    for kernel in kernels() {
        let apart = apart(&digests_by(&kernel, None, folder.path()), &table);
        assert!(apart.is_empty(), "{kernel} does not give the table's bytes:\n{}", apart.join("\n"));
    }
}

#[test]
fn random_programs_give_the_same_bytes_on_every_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let seed = u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    let wanted = digests_by("portable", Some(seed), folder.path());
    assert!(wanted.lines().count() > 60);
    for kernel in kernels().filter(|kernel| kernel != "portable") {
        let apart = apart(&digests_by(&kernel, Some(seed), folder.path()), &wanted);
        assert!(apart.is_empty(), "DIGESTS_SEED={seed}: {kernel} and portable differ:\n{}", apart.join("\n"));
    }
}

/// No op is left out: it is in a random network, among the others, or here by name.
#[test]
fn every_op_is_there() {
    let mut found: BTreeSet<OpKind> = further_ops().into_iter().map(|(op, ..)| op.kind()).collect();
    for seed in 0..40 {
        found.extend(residual_network(seed, 2, 12, 2, Kinks::All, 1).program().nodes().iter().map(|node| node.op.kind()));
    }
    found.extend(convolutions(&mut Draw::new(0)).0.nodes().iter().map(|node| node.op.kind()));
    let missing: Vec<&str> = OpKind::ALL.iter().filter(|kind| !found.contains(kind)).map(|kind| kind.name()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
