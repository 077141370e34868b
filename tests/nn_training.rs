//! Training: against PyTorch, interrupted and resumed, on other numbers of threads, standardised and folded, and when it fails.

use cardiograd::dataset::{InputKind, Part, Target};
use cardiograd::nn::{
    Checkpoint, Examples, Further, Schedule, TrainSettings, Trained, Trainer, TrainingData, initialise, predict_ecgs, train, with_outputs,
};
use cardiograd::progress::silent;
use cardiograd::tape::{Builder, ConvLayer, Network, Op, Parameters, Program, from_vec};
use ndarray::Array3;

/// Values in shift ± scale by an integer hash of the name and the index (the same formula made the expected values).
fn values(name: &str, count: usize, scale: f64, shift: f64) -> Vec<f64> {
    let seed: u64 = name.bytes().zip(1..).map(|(byte, at)| u64::from(byte) * at).sum();
    let hash = |i: u64| {
        let h = (i + seed * 1_000_003).wrapping_mul(2_654_435_761) % (1 << 32);
        let h = ((h ^ (h >> 15)) * 2_246_822_519) % (1 << 32);
        (h ^ (h >> 13)) as f64
    };
    (0..count as u64).map(|i| shift + scale * (hash(i) / f64::from(1u32 << 31) - 1.0)).collect()
}

fn program() -> Program {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), None]);
    let y = build.conv1d("conv", x, ConvLayer { bias: false, ..ConvLayer::same(2, 6, 4) });
    let y = build.batch_norm("bn", y, 6);
    let y = build.relu("relu", y);
    let y = build.conv1d("conv2", y, ConvLayer::same(6, 4, 3));
    let y = build.relu("relu2", y);
    let y = build.node("mean", Op::GlobalAvgPool, &[y]);
    let y = build.linear("fc", y, 4, 1, true);
    build.finish(y).unwrap()
}

fn inputs(x: &Array3<f32>) -> impl Fn(&[usize]) -> cardiograd::Result<Array3<f32>> + Sync + '_ {
    |ecgs| Ok(x.select(ndarray::Axis(0), ecgs))
}

fn examples(ecgs: std::ops::Range<usize>, values: &[f64]) -> Examples {
    Examples { values: values[ecgs.clone()].to_vec(), ecgs: ecgs.collect() }
}

struct Data {
    x: Array3<f32>,
    parts: [Examples; 3],
}

impl Data {
    /// Signals (n, 2, 24) of unequal channels, and a target that a small network can learn, in the range of a QT interval.
    fn learnable(n: usize) -> Self {
        let x = Array3::from_shape_vec((n, 2, 24), values("signal", n * 48, 1.0, 0.0).iter().map(|v| *v as f32).collect()).unwrap();
        let target = |ecg: ndarray::ArrayView2<'_, f32>| {
            let positive: f32 = ecg.row(0).iter().map(|v| v.max(0.0)).sum();
            f64::from(400.0 + 10.0 * positive - 8.0 * ecg.row(1).sum())
        };
        let y: Vec<f64> = x.outer_iter().map(target).collect();
        let mut x = x;
        x.index_axis_mut(ndarray::Axis(1), 1).mapv_inplace(|v| 300.0 * v);
        let (first, second) = (n * 3 / 5, n * 4 / 5);
        Data { x, parts: [examples(0..first, &y), examples(first..second, &y), examples(second..n, &y)] }
    }

    fn with<R>(&self, f: impl FnOnce(TrainingData<'_>) -> R) -> R {
        let inputs = inputs(&self.x);
        let [train, validation, test] = &self.parts;
        f(TrainingData { target: Target::Qt, input: InputKind::Median, inputs: &inputs, train, validation, test })
    }
}

fn settings() -> TrainSettings {
    TrainSettings { epochs: 4, batch: 16, learning_rate: 0.02, ..TrainSettings::quick() }
}

fn bytes(trained: &Trained) -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir().unwrap();
    [&trained.best, &trained.last].map(|model| {
        let path = folder.path().join("model.cgm");
        model.save(&path).unwrap();
        std::fs::read(path).unwrap()
    })
}

#[test]
fn losses_follow_pytorch() {
    let text = include_str!("data/training_trajectory.json");
    let expected: serde_json::Value = serde_json::from_str(text).unwrap();
    let (train_n, validation_n, length) = (12, 5, 20);
    let count = train_n + validation_n;
    let x = values("x", count * 2 * length, 1.0, 0.0).iter().map(|v| *v as f32).collect();
    let x = Array3::from_shape_vec((count, 2, length), x).unwrap();
    let y = values("y", count, 2.0, 3.0);
    let (inputs, test) = (inputs(&x), Examples::default());
    let (train, validation) = (examples(0..train_n, &y), examples(train_n..count, &y));
    let data =
        TrainingData { target: Target::Pr, input: InputKind::Median, inputs: &inputs, train: &train, validation: &validation, test: &test };
    let mut parameters = initialise(&program(), 0, 0).unwrap();
    for (name, value) in &mut parameters {
        let (scale, shift) = match value.ndim() {
            1 if name.contains("running") => continue,
            1 if name.ends_with("weight") => (0.5, 1.0),
            1 => (0.3, 0.0),
            _ => (2.0 / ((value.len() / value.shape()[0]) as f64).sqrt(), 0.0),
        };
        let new = values(name, value.len(), scale, shift).iter().map(|v| *v as f32).collect();
        *value = from_vec(value.shape(), new);
    }
    let plateau = Schedule::Plateau { factor: 0.5, patience: 1, threshold: 0.3 };
    for (name, schedule) in [("constant", Schedule::Constant), ("plateau", plateau), ("one_cycle", Schedule::OneCycle)] {
        let settings = TrainSettings { epochs: 14, batch: 99, learning_rate: 0.02, schedule, ..TrainSettings::paper() };
        let network = Network::new(program(), Parameters::clone(&parameters)).unwrap();
        let mut trainer = Trainer::from_network(network, data, &settings).unwrap();
        while !trainer.is_done() {
            trainer.epoch(&silent).unwrap();
        }
        for (at, epoch) in trainer.epochs().iter().enumerate() {
            let found = [epoch.train_rmse, epoch.validation_rmse, epoch.learning_rate];
            for (key, found) in ["train_rmse", "validation_rmse", "learning_rate"].into_iter().zip(found) {
                let wanted = expected[name][key][at].as_f64().unwrap();
                assert!((found / wanted - 1.0).abs() < 1e-4, "{name}, epoch {at}: {key} {found}, PyTorch {wanted}");
            }
        }
    }
}

#[test]
fn a_killed_training_continues_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    Data::learnable(83).with(|data| {
        for schedule in [Schedule::OneCycle, Schedule::Plateau { factor: 0.5, patience: 0, threshold: 0.3 }] {
            let settings = TrainSettings { schedule, ..settings() };
            let whole = train(&program(), data, &settings, &silent).unwrap();
            for stop in 1..=4 {
                let mut first = Trainer::new(&program(), data, &settings).unwrap();
                (0..stop).for_each(|_| first.epoch(&silent).unwrap());
                first.checkpoint().save(&path).unwrap();
                let mut second = Trainer::new(&program(), data, &settings).unwrap();
                second.resume(Checkpoint::load(&path).unwrap()).unwrap();
                assert_eq!(second.epochs().len(), stop);
                while !second.is_done() {
                    second.epoch(&silent).unwrap();
                }
                assert!(bytes(&second.finish("", &silent).unwrap()) == bytes(&whole), "stopped after {stop}");
            }
        }
    });
}

/// A kill may come at any step: what was kept within an epoch, the first one too, is gone on from to the same bytes.
#[test]
fn a_training_killed_within_an_epoch_continues_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let stopped = || cardiograd::Error::Data("stopped".into());
    Data::learnable(83).with(|data| {
        let whole = bytes(&train(&program(), data, &settings(), &silent).unwrap());
        for (epochs, steps) in [(0, 1), (1, 2), (2, 1)] {
            let mut first = Trainer::new(&program(), data, &settings()).unwrap();
            (0..epochs).for_each(|_| first.epoch(&silent).unwrap());
            let mut asked = 0;
            let outcome = first.epoch_keeping(&silent, &mut |trainer| {
                asked += 1;
                if asked < steps {
                    return Ok(());
                }
                trainer.checkpoint().save(&path)?;
                Err(stopped())
            });
            assert!(outcome.unwrap_err().to_string().contains("stopped"));
            let mut second = Trainer::new(&program(), data, &settings()).unwrap();
            second.resume(Checkpoint::load(&path).unwrap()).unwrap();
            assert_eq!(second.epochs().len(), epochs);
            while !second.is_done() {
                second.epoch(&silent).unwrap();
            }
            assert!(bytes(&second.finish("", &silent).unwrap()) == whole, "{epochs} epochs and {steps} steps");
        }
    });
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let data = Data::learnable(40);
    data.with(|data| {
        let checkpoint =
            || Trainer::new(&program(), data, &settings()).map(|mut t| t.epoch(&silent).map(|()| t.checkpoint())).unwrap().unwrap();
        let mut other = Trainer::new(&program(), data, &TrainSettings { seed: 1, ..settings() }).unwrap();
        assert!(other.resume(checkpoint()).unwrap_err().to_string().contains("other settings"));
        let mut fewer = data.train.clone();
        fewer.ecgs.pop();
        fewer.values.pop();
        let mut other = Trainer::new(&program(), TrainingData { train: &fewer, ..data }, &settings()).unwrap();
        assert!(other.resume(checkpoint()).unwrap_err().to_string().contains("other examples"));
    });
}

#[test]
fn threads_do_not_change_a_byte() {
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Data::learnable(60).with(|data| bytes(&train(&program(), data, &settings(), &silent).unwrap())))
    };
    assert!(with_threads(1) == with_threads(3));
}

#[test]
fn a_standardised_network_maps_microvolts_to_milliseconds() {
    Data::learnable(400).with(|data| {
        let settings = TrainSettings { epochs: 30, ..settings() };
        let trained = train(&program(), data, &settings, &silent).unwrap();
        let about = trained.best.provenance.as_ref().unwrap();
        let test = about.metrics(Part::Test).unwrap();
        assert!(test.gain() > 3.0, "{test:?}");
        let validation = about.metrics(Part::Validation).unwrap();
        let scaled = about.epochs[about.best_epoch].validation_rmse;
        assert!((validation.rmse / scaled - 1.0).abs() < 1e-3, "folded {} scaled {scaled}", validation.rmse);
    });
}

/// What is folded into a model is taken out again where a training begins from it; patience ends one that gets no better.
#[test]
fn a_training_begins_where_a_model_is_and_ends_when_it_gets_no_better() {
    Data::learnable(120).with(|data| {
        let settings = TrainSettings { epochs: 12, ..settings() };
        let trained = train(&program(), data, &settings, &silent).unwrap().best;
        let own = trained.provenance.as_ref().unwrap().metrics(Part::Validation).unwrap().rmse;
        let further = Further { patience: Some(2), ..Further::default() };
        let still = TrainSettings { learning_rate: 1e-9, schedule: Schedule::Constant, epochs: 30, further, ..settings };
        let mut trainer = Trainer::continuing(&program(), &trained.network, data, &still).unwrap();
        while !trainer.is_done() {
            trainer.epoch(&silent).unwrap();
        }
        let first = trainer.epochs()[0].validation_rmse;
        assert!((first / own - 1.0).abs() < 0.05, "{first} after a step of nothing, {own} before");
        let best = trainer.epochs().iter().enumerate().min_by(|a, b| a.1.validation_rmse.total_cmp(&b.1.validation_rmse)).unwrap().0;
        assert!(trainer.epochs().len() == 30 || trainer.epochs().len() == best + 3, "{} epochs, the best {best}", trainer.epochs().len());
        let wide = with_outputs(&program(), 2).unwrap();
        let both = Network::new(wide.clone(), initialise(&wide, 0, 0).unwrap()).unwrap();
        assert!(Trainer::continuing(&program(), &both, data, &settings).is_ok(), "a last layer of other outputs begins anew");
        let other = cardiograd::nn::architecture("standardconv").unwrap();
        let other = Network::new(other.clone(), initialise(&other, 0, 0).unwrap()).unwrap();
        assert!(Trainer::continuing(&program(), &other, data, &settings).err().unwrap().to_string().contains("another network"));
    });
}

/// Calibration moves the bias of the last layer and nothing else, so that the training part's mean error is 0; a state of the training may end either way.
#[test]
fn calibration_takes_the_mean_error_out_of_the_last_bias() {
    Data::learnable(200).with(|data| {
        for standardise in [false, true] {
            let plain = TrainSettings { epochs: 3, standardise, ..settings() };
            let settings = TrainSettings { further: Further { calibrate: true, ..Further::default() }, ..plain };
            let [without, with] = [plain, settings].map(|settings| train(&program(), data, &settings, &silent).unwrap());
            for (without, with) in [(&without.best, &with.best), (&without.last, &with.last)] {
                let ecgs = &data.train.ecgs;
                let error = |network| {
                    let predicted = predict_ecgs(network, data.inputs, ecgs, "", &silent).unwrap();
                    predicted.iter().zip(&data.train.values).map(|(found, value)| value - found).sum::<f64>() / ecgs.len() as f64
                };
                let (before, after) = (error(&without.network), error(&with.network));
                let added = with.provenance.as_ref().unwrap().calibration.clone();
                assert!((added[0] - before).abs() < 1e-6 && before.abs() > 1e-3, "{added:?} for {before}");
                assert!(after.abs() < 1e-4, "{after} is left of {before}");
                assert!(without.provenance.as_ref().unwrap().calibration.is_empty());
                for (name, value) in without.network.parameters() {
                    assert!((value == with.network.parameters()[&name]) == (name != "fc.bias"), "{name}");
                }
            }
            let mut trainer = Trainer::new(&program(), data, &plain).unwrap();
            (0..2).for_each(|_| trainer.epoch(&silent).unwrap());
            let mut continued = Trainer::new(&program(), data, &settings).unwrap();
            continued.resume(trainer.checkpoint()).unwrap();
            continued.epoch(&silent).unwrap();
            assert!(bytes(&continued.finish("", &silent).unwrap()) == bytes(&with));
        }
    });
}

#[test]
fn raw_training_learns_too_and_the_best_epoch_is_kept() {
    Data::learnable(200).with(|data| {
        let settings = TrainSettings { epochs: 30, batch: 16, learning_rate: 0.5, ..TrainSettings::paper() };
        let trained = train(&program(), data, &settings, &silent).unwrap();
        let [best, last] = [&trained.best, &trained.last].map(|model| model.provenance.clone().unwrap());
        assert_eq!(best.epochs.len(), 30);
        let lowest = best.epochs.iter().map(|epoch| epoch.validation_rmse).fold(f64::INFINITY, f64::min);
        assert_eq!(best.epochs[best.best_epoch].validation_rmse, lowest);
        assert!((best.metrics(Part::Validation).unwrap().rmse / lowest - 1.0).abs() < 1e-5);
        let end = last.epochs[29].validation_rmse;
        assert!((last.metrics(Part::Validation).unwrap().rmse / end - 1.0).abs() < 1e-5);
    });
}

#[test]
fn what_cannot_be_trained_is_said_in_one_line() {
    let data = Data::learnable(40);
    let fails = |settings: TrainSettings| data.with(|data| train(&program(), data, &settings, &silent).unwrap_err());
    let wild = TrainSettings { learning_rate: 1e30, schedule: Schedule::Constant, ..settings() };
    let error = fails(wild).to_string();
    assert!(error.contains("training qt, epoch 1, step") && error.contains("lower the learning rate"), "{error}");
    assert_eq!(fails(TrainSettings { batch: 0, ..settings() }).exit_code(), 2);
    assert_eq!(fails(TrainSettings { learning_rate: f64::NAN, ..settings() }).exit_code(), 2);

    let none = Examples::default();
    let error = data.with(|data| train(&program(), TrainingData { validation: &none, ..data }, &settings(), &silent).unwrap_err());
    assert!(error.to_string().contains("no ECG of the validation part has a value for qt"), "{error}");

    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), None]);
    let y = build.relu("relu", x);
    let y = build.node("mean", Op::GlobalAvgPool, &[y]);
    let y = build.linear("fc", y, 2, 1, true);
    let no_fold = build.finish(y).unwrap();
    let error = data.with(|data| train(&no_fold, data, &settings(), &silent).unwrap_err()).to_string();
    assert!(error.contains("'relu' reads the input"), "{error}");
    assert!(data.with(|data| train(&no_fold, data, &TrainSettings { standardise: false, ..settings() }, &silent)).is_ok());
}

/// What is folded into a last layer, or added to it, goes into a bias of its own: one that another node computes is refused.
#[test]
fn a_computed_last_bias_takes_no_scale_and_no_calibration() {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), None]);
    let y = build.conv1d("conv", x, ConvLayer::same(2, 2, 3));
    let y = build.node("mean", Op::GlobalAvgPool, &[y]);
    let (weight, bias) = (build.parameter("weight", &[1, 2], true), build.parameter("bias", &[1], true));
    let computed = build.node("computed", Op::Tanh, &[bias]);
    let y = build.node("last", Op::Linear, &[y, weight, computed]);
    let program = build.finish(y).unwrap();
    let value = |id| {
        let Op::Parameter { shape, .. } = &program.node(id).op else { unreachable!() };
        (program.node(id).name.clone(), from_vec(shape, vec![0.5; shape.iter().product()]))
    };
    let network = Network::new(program.clone(), program.parameters().into_iter().map(value).collect::<Parameters<f32>>()).unwrap();
    let refused = |settings: TrainSettings| {
        let refused = Data::learnable(20).with(|data| Trainer::from_network(network.clone(), data, &settings).err().unwrap().to_string());
        assert!(refused.contains("output 'last' is not a linear layer with"), "{refused}");
    };
    refused(settings());
    refused(TrainSettings { standardise: false, further: Further { calibrate: true, ..Further::default() }, ..settings() });
}

/// Training moves running averages: where another node computes one, there is nothing to move.
#[test]
fn a_computed_running_mean_is_refused() {
    let mut build = Builder::new();
    let x = build.input("x", &[Some(2), None]);
    let own = ["gamma", "beta", "drift", "variance"].map(|name| build.parameter(name, &[2], name != "variance"));
    let mean = build.node("computed", Op::Tanh, &[own[2]]);
    let y = build.node("norm", Op::BatchNorm { eps: 1e-5, momentum: 0.1 }, &[x, own[0], own[1], mean, own[3]]);
    let y = build.node("mean", Op::GlobalAvgPool, &[y]);
    let y = build.linear("fc", y, 2, 1, true);
    let program = build.finish(y).unwrap();
    let parameters: Parameters<f32> = program
        .parameters()
        .into_iter()
        .map(|id| {
            let Op::Parameter { shape, .. } = &program.node(id).op else { unreachable!() };
            (program.node(id).name.clone(), from_vec(shape, vec![1.0; shape.iter().product()]))
        })
        .collect();
    let mut network = Network::new(program, parameters).unwrap();
    let data = Data::learnable(20);
    let refused = data.with(|data| Trainer::from_network(network.clone(), data, &settings()).err().unwrap().to_string());
    assert!(refused.contains("'norm'") && refused.contains("running mean") && refused.contains("'computed' (tanh)"), "{refused}");
    assert_eq!(network.update_running_averages(|_| None).unwrap_err().to_string(), refused);
}
