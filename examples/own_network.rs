//! A network of one's own: written with the builder, trained on simulated ECGs, explained and saved.
//!
//! ```text
//! cargo run --release --example own_network
//! ```
//!
//! The network: a strided convolution, then one dilated residual layer with a single set of weights that is
//! applied three times. Nothing about it is known to the crate: every method, the trainer and the command line take it as it is.

use cardiograd::attribution::{Explainer, Method, Settings};
use cardiograd::dataset::{InputKind, Part, Split, Target};
use cardiograd::ecg::simulator::{self, Simulator};
use cardiograd::nn::{Examples, TrainSettings, TrainingData, train};
use cardiograd::progress::silent;
use cardiograd::tape::{Builder, ConvLayer, Op, Program};
use cardiograd::{Error, Result};
use ndarray::{Array3, Axis};

/// (N, 12, L) → (N, 1).
fn network() -> Result<Program> {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(12), None]);
    let x = build.conv1d("stem", x, ConvLayer { stride: 4, ..ConvLayer::same(12, 24, 15) });
    let x = build.batch_norm("norm", x, 24);
    let mut x = build.relu("stem_relu", x);
    // One layer, three places: its parameters are declared once and named by every node that applies it.
    let weight = build.parameter("shared.weight", &[24, 24, 5], true);
    let bias = build.parameter("shared.bias", &[24], true);
    for turn in 1..=3 {
        let dilation = 2;
        let y = build.node(format!("shared{turn}"), Op::Conv1d { stride: 1, dilation, padding: (4, 4) }, &[x, weight, bias]);
        let y = build.relu(&format!("relu{turn}"), y);
        x = build.node(format!("add{turn}"), Op::Add, &[y, x]);
    }
    let x = build.node("mean", Op::GlobalAvgPool, &[x]);
    let y = build.linear("fc", x, 24, 1, true);
    build.finish(y)
}

fn main() -> Result<()> {
    cardiograd::start_threads(None)?;
    let simulator = Simulator::new(simulator::Settings::default(), 1);
    let ecgs: Vec<_> = (0..500).map(|index| simulator.simulate(index)).collect();
    // Any source of inputs will do: the trainer asks for batches by index.
    let inputs = |indices: &[usize]| -> Result<Array3<f32>> {
        let beats: Vec<_> = indices.iter().map(|&index| ecgs[index].beat.view()).collect();
        ndarray::stack(Axis(0), &beats).map_err(|error| Error::Data(error.to_string()))
    };
    let split = Split::new(ecgs.len(), 1);
    let [train_part, validation, test] = Part::ALL.map(|part| {
        let ecgs_with = split.part(part).iter().filter_map(|&index| Some((index, ecgs[index].truth.r_v5_uv?)));
        let (ecgs, values) = ecgs_with.unzip();
        Examples { ecgs, values }
    });
    let data = TrainingData {
        target: Target::RV5,
        input: InputKind::Median,
        inputs: &inputs,
        train: &train_part,
        validation: &validation,
        test: &test,
    };
    let settings = TrainSettings { epochs: 30, learning_rate: 0.01, ..TrainSettings::quick() };
    let model = train(&network()?, data, &settings, &silent)?.best;
    for metrics in model.provenance.iter().flat_map(|about| &about.metrics) {
        println!("{:<10} MAE {:6.1} µV, predicting the mean {:6.1} µV", metrics.part.name(), metrics.mae, metrics.mae_of_mean);
    }

    let x = inputs(&test.ecgs[..1])?.into_dyn().into_shared();
    let explained =
        Explainer::new(&model.network, &Settings::default())?.explain(&x, &[test.ecgs[0] as u64], &[Method::DeepLift], &silent)?;
    let map = explained.map(Method::DeepLift).expect("it was asked for");
    let (at, _) = map.indexed_iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).expect("a map is not empty");
    println!("DeepLIFT looks hardest at lead {}, sample {}", cardiograd::ecg::leads::LEADS[at[1]], at[2]);

    let folder = std::env::temp_dir();
    model.save(folder.join("own_network.cgm"))?;
    println!("saved as {}: try `cardiograd explain` on it", folder.join("own_network.cgm").display());
    Ok(())
}
