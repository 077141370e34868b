//! A small study with plausible, made-up content: ECGs of Gaussian lobes, heatmaps that look where a method might look, and curves that rise.
#![allow(dead_code, missing_docs)]

use cardiograd::dataset::{InputKind, Target};
use cardiograd::ecg::Measurements;
use cardiograd::evaluation::scores::Scoring;
use cardiograd::nn::Epoch;
use cardiograd::random::{Stage, Stream};
use cardiograd::report::methods::NINE;
use cardiograd::report::results::*;
use ndarray::{Array2, Array3};
use rand_distr::{Distribution as _, Normal, StandardNormal};

/// (centre in samples, width in samples, amplitude in µV for lead V5)
const LOBES: [(f64, f64, f64); 5] =
    [(170.0, 11.0, 120.0), (231.0, 3.0, -90.0), (240.0, 4.5, 1250.0), (249.0, 4.0, -260.0), (385.0, 28.0, 310.0)];
/// How the lobes are seen in each lead: P, Q, R, S, T.
const GAINS: [[f64; 5]; 12] = [
    [0.8, 0.4, 0.5, 0.3, 0.6],
    [1.0, 0.3, 0.8, 0.5, 0.8],
    [0.3, -0.2, 0.3, 0.4, 0.2],
    [-0.9, -0.3, -0.65, -0.4, -0.7],
    [0.3, 0.3, 0.15, 0.1, 0.2],
    [0.6, 0.1, 0.55, 0.45, 0.5],
    [0.5, 0.0, 0.2, 3.2, -0.3],
    [0.5, 0.0, 0.4, 4.6, 0.9],
    [0.5, 0.0, 0.7, 3.0, 1.3],
    [0.5, 0.5, 1.2, 1.6, 1.2],
    [0.5, 1.0, 1.0, 1.0, 1.0],
    [0.4, 0.9, 0.8, 0.4, 0.8],
];

/// A median beat, (12, L); longer inputs repeat the beat.
pub fn ecg(seed: u64, samples: usize) -> Array2<f32> {
    let mut rng = Stream::new(seed, Stage::Simulator).rng();
    let jitter: Vec<f64> = (0..5).map(|_| 1.0 + 0.12 * normal(&mut rng)).collect();
    let shift: Vec<f64> = (0..5).map(|_| 2.0 * normal(&mut rng)).collect();
    let period = if samples > 600 { 430.0 } else { 1e9 };
    let mut beat = Array2::zeros((12, samples));
    for lead in 0..12 {
        for t in 0..samples {
            let at = t as f64 % period;
            let mut uv: f64 = 3.0 * normal(&mut rng);
            for (k, (centre, width, amplitude)) in LOBES.into_iter().enumerate() {
                let z = (at - centre - shift[k]) / width;
                uv += GAINS[lead][k] * amplitude * jitter[k] * (-0.5 * z * z).exp();
            }
            beat[[lead, t]] = uv as f32;
        }
    }
    beat
}

fn normal(rng: &mut impl rand::Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// A heatmap, (12, L): the target's lobe, with the method's own amount of noise and sign.
pub fn map(ecg: &Array2<f32>, target: Target, method: &str, seed: u64) -> Array2<f32> {
    let number = NINE.iter().position(|name| *name == method).unwrap_or(9);
    let mut rng = Stream::new(seed, Stage::RandomMap).target(target.index()).ecg(number as u64).rng();
    let noise = [0.9, 0.1, 0.15, 0.12, 0.05, 0.02, 0.15, 0.2, 0.08, 3.0][number];
    let (centre, width) = match target {
        Target::Pr => (172.0, 18.0),
        Target::Qrs => (240.0, 16.0),
        Target::Qt => (410.0, 22.0),
        Target::RV5 => (240.0, 5.0),
        Target::JV5 => (258.0, 9.0),
        _ => (385.0, 18.0),
    };
    Array2::from_shape_fn(ecg.dim(), |(lead, t)| {
        let z = (t as f64 % 430.0 - centre) / width;
        let lead_gain = if target.unit() == "µV" { if lead == 10 { 1.0 } else { 0.15 } } else { 0.4 + 0.05 * lead as f64 };
        let core = lead_gain * (-0.5 * z * z).exp() * (1.0 + 0.5 * (0.7 * t as f64 + lead as f64).sin());
        let value = core + noise * 0.3 * normal(&mut rng) * (0.3 + (-0.02 * z * z).exp());
        let value = if method == "smoothgrad" { value.abs() } else { value };
        (1e-2 * if number == 5 { value * f64::from(ecg[[lead, t]]) / 300.0 } else { value }) as f32
    })
}

/// A whole study: `ecgs` kept ECGs of `samples` samples, `perturbed` perturbed ones.
pub fn study(ecgs: usize, samples: usize, perturbed: usize) -> StudyResults {
    let inputs: Vec<Array2<f32>> = (0..ecgs).map(|i| ecg(i as u64, samples)).collect();
    let input = if samples == 600 { InputKind::Median } else { InputKind::Rhythm };
    StudyResults {
        provenance: Provenance {
            version: "cardiograd 0.1.0".into(),
            command: "cardiograd study --preset quick -o out".into(),
            seed: 1,
            settings: [("preset", "quick"), ("epochs", "12"), ("perturbation iterations", "200")]
                .map(|(a, b)| (a.into(), b.into()))
                .to_vec(),
            digests: vec![("models/pr.model".into(), "sha256:0123456789abcdef".into())],
        },
        input,
        scoring: Scoring::default(),
        data: DataDescription {
            source: "simulator".into(),
            ecgs: 2000,
            rejected: vec![("no P wave".into(), 12)],
            targets: Target::STUDY.map(distribution).to_vec(),
        },
        ecgs: Ecgs {
            ids: (0..ecgs).map(|i| format!("{}", 100 + 7 * i)).collect(),
            inputs: stack(&inputs),
            measurements: (0..ecgs).map(measured).collect(),
        },
        worst: Worst {
            index: (0..ecgs as u64).collect(),
            ecgs: Ecgs {
                ids: (0..ecgs).map(|i| format!("{}", 100 + 7 * i)).collect(),
                inputs: stack(&inputs),
                measurements: (0..ecgs).map(measured).collect(),
            },
        },
        targets: Target::STUDY.map(|target| results(target, &inputs, perturbed)).to_vec(),
    }
}

fn distribution(target: Target) -> Distribution {
    let (mean, sd) = level(target);
    Distribution { target, n: 1988, mean, sd, min: mean - 3.0 * sd, median: mean, max: mean + 3.0 * sd }
}

fn level(target: Target) -> (f64, f64) {
    match target {
        Target::Pr => (160.0, 22.0),
        Target::Qrs => (92.0, 11.0),
        Target::Qt => (392.0, 30.0),
        Target::RV5 => (1250.0, 350.0),
        Target::JV5 => (25.0, 40.0),
        _ => (310.0, 140.0),
    }
}

fn stack(arrays: &[Array2<f32>]) -> Array3<f32> {
    let views: Vec<_> = arrays.iter().map(|array| array.view()).collect();
    ndarray::stack(ndarray::Axis(0), &views).expect("equal shapes")
}

pub fn measured(i: usize) -> Measurements {
    let wobble = (i % 7) as f64 - 3.0;
    Measurements {
        pr_ms: Some(160.0 + wobble),
        qrs_ms: Some(92.0),
        qt_ms: Some(392.0 - 2.0 * wobble),
        rate_bpm: Some(70.0),
        r_v5_uv: Some(1250.0 + 30.0 * wobble),
        j_v5_uv: Some(25.0 + wobble),
        t_v5_uv: Some(310.0),
        p_onset: Some(145.0),
        p_offset: Some(197.0),
        qrs_onset: Some(225.0),
        qrs_offset: Some(262.0 + wobble),
        t_offset: Some(445.0),
        rejected: None,
        further: None,
    }
}

fn results(target: Target, inputs: &[Array2<f32>], perturbed: usize) -> TargetResults {
    let (mean, sd) = level(target);
    let mut rng = Stream::new(5, Stage::Bootstrap).target(target.index()).rng();
    let mut truth = || mean + sd * normal(&mut rng);
    let truths: Vec<f64> = (0..400.max(perturbed)).map(|_| truth()).collect();
    let test: Vec<Prediction> = (0..400)
        .map(|i| {
            let truth = truths[i as usize];
            let rate_bpm = (target == Target::Qt).then_some(70.0);
            Prediction { ecg: i, truth, predicted: truth + 0.12 * sd * normal(&mut rng), exact: Some(truth + 0.05 * sd), rate_bpm }
        })
        .collect();
    let metrics = ["train", "validation", "test"].map(|split| SplitMetrics {
        split: split.into(),
        n: 400,
        mae: 0.1 * sd,
        rmse: 0.12 * sd,
        mae_of_mean: 0.8 * sd,
        rmse_of_mean: sd,
        exact: (split == "test").then_some(ExactErrors {
            n: 400,
            mae: 0.11 * sd,
            rmse: 0.13 * sd,
            mae_of_measured: 0.05 * sd,
            rmse_of_measured: 0.05 * sd,
        }),
    });
    let names = NINE.iter().copied().chain(["random"]);
    let maps = names
        .clone()
        .map(|method| {
            let maps: Vec<Array2<f32>> = inputs.iter().enumerate().map(|(i, ecg)| map(ecg, target, method, i as u64)).collect();
            MethodMaps { method: method.into(), maps: stack(&maps) }
        })
        .collect();
    let methods =
        names.enumerate().map(|(k, method)| MethodCurves { method: method.into(), predictions: curve(k, target, &truths[..perturbed]) });
    TargetResults {
        target,
        metrics: metrics.to_vec(),
        epochs: (1..=5)
            .map(|k| Epoch { train_rmse: sd / f64::from(k), validation_rmse: 1.1 * sd / f64::from(k), learning_rate: 0.008 })
            .collect(),
        predicted: vec![mean; inputs.len()],
        test,
        maps,
        perturbation: Some(PerturbationResults {
            ecgs: (0..perturbed as u64).collect(),
            truth: truths[..perturbed].to_vec(),
            target_sd: sd,
            excluded: vec![(3, "no measured value".into())],
            methods: methods.collect(),
        }),
    }
}

/// Predictions that leave the truth faster for some methods than for others; Deconvolution goes with Random.
fn curve(method: usize, target: Target, truths: &[f64]) -> Array2<f32> {
    let (_, sd) = level(target);
    let speed = [0.05, 0.9, 0.6, 0.55, 0.35, 0.5, 0.65, 0.8, 1.0, 0.05][method];
    let mut rng = Stream::new(9, Stage::Perturbation).target(target.index()).repeat(method as u32).rng();
    let noise = Normal::new(0.0, 0.15).expect("a deviation");
    Array2::from_shape_fn((truths.len(), 201), |(i, iteration)| {
        let rise = 1.0 - (-(iteration as f64) / 40.0 * speed).exp();
        let side = if i % 2 == 0 { 1.0 } else { -1.0 };
        (truths[i] + sd * side * (0.1 + 1.5 * rise * (1.0 + noise.sample(&mut rng)))) as f32
    })
}
