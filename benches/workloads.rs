//! The tasks of `versus_pytorch.py` and `versus.py`, one process for a whole run: a task a line in, mean seconds of its repeats (or what was asked) out.
//! Run without `--serve` it times every task once and prints a line each.

use cardiograd::Error;
use cardiograd::attribution::{Explainer, Method, Settings};
use cardiograd::dataset::{InputKind, Target};
use cardiograd::ecg::Rhythm;
use cardiograd::ecg::generator::Generator;
use cardiograd::ecg::measure::{Thresholds, measure};
use cardiograd::evaluation::perturbation::{PerturbationSettings, perturb};
use cardiograd::files::npy::{self, NpyRows};
use cardiograd::nn::{self, Examples, TrainSettings, Trainer, TrainingData};
use cardiograd::progress::silent;
use cardiograd::tape::{Network, RuleSet, Tensor, from_vec};
use rayon::prelude::*;
use std::io::{BufRead, Write};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What the tasks work on.
struct Bench {
    network: Network<f32>,
    generator: Option<Generator>,
}

/// Noise of the size of an ECG, (batch, channels, len), µV.
fn inputs(batch: usize, channels: usize, len: usize) -> Tensor<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    from_vec(&[batch, channels, len], (0..batch * channels * len).map(|_| 500.0 * next()).collect())
}

/// Mean seconds of `repeats` calls.
fn clock(repeats: usize, mut work: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let start = Instant::now();
    for _ in 0..repeats {
        work()?;
    }
    Ok(start.elapsed().as_secs_f64() / repeats as f64)
}

impl Bench {
    fn new(generator: Option<&str>) -> Outcome<Self> {
        let program = nn::stevennet(12, None)?;
        let parameters = nn::initialise(&program, 1, 0)?;
        Ok(Bench { network: Network::new(program, parameters)?, generator: generator.map(Generator::load).transpose()? })
    }

    /// Another network than StevenNet: what its file (.onnx) gives for the inputs in another (.npy), the mean over all of it.
    fn network(&mut self, network: &str, inputs: &str) -> Outcome<f64> {
        self.network = nn::load_model(network, None)?.network;
        let answer = self.network.predict(&[npy::read_f32(inputs)?.into_shared()])?;
        Ok(answer.iter().map(|value| f64::from(*value)).sum::<f64>() / answer.len() as f64)
    }

    /// One task: `forward N L [C]`, `gradient N L`, `training N`, `method NAME N`, `perturbation STEPS`, `generation N`, `measure FILE N`.
    fn task(&self, words: &[&str], repeats: usize) -> Outcome<f64> {
        let number = |at: usize| -> Outcome<usize> { Ok(words.get(at).ok_or("a number is missing")?.parse()?) };
        match words[0] {
            "forward" => {
                let x = inputs(number(1)?, words.get(3).map_or(Ok(12), |word| word.parse())?, number(2)?);
                clock(repeats, || self.network.predict(std::slice::from_ref(&x)).map(drop).map_err(Into::into))
            }
            "gradient" => {
                let x = inputs(number(1)?, 12, number(2)?);
                clock(repeats, || {
                    let look = self.network.look(x.clone())?;
                    self.network.look_back(&look, &RuleSet::plain(), None, 0)?;
                    Ok(())
                })
            }
            "training" => training(number(1)?, repeats),
            "perturbation" => self.perturbation(number(1)?, repeats),
            "method" => self.method(words.get(1).ok_or("a method is missing")?.parse()?, number(2)?, repeats),
            "generation" => {
                let generator = self.generator.as_ref().ok_or("no generator was given")?;
                let noise =
                    ndarray::Array3::from_shape_fn((number(1)?, 8, 5000), |(n, c, t)| ((n * 8 + c) * 5000 + t) as f32 * 0.618 % 2.0 - 1.0);
                clock(repeats, || generator.generate(noise.view(), &silent).map(drop).map_err(Into::into))
            }
            "measure" => {
                let (rows, thresholds) = (NpyRows::open(words.get(1).ok_or("a file is missing")?)?, Thresholds::default());
                let rhythm =
                    |row: usize| Rhythm::new(rows.row_f32(row)?.into_dimensionality().map_err(|error| Error::Data(error.to_string()))?);
                let made = (0..number(2)?).map(rhythm).collect::<cardiograd::Result<Vec<_>>>()?;
                clock(repeats, || {
                    made.par_iter().for_each(|rhythm| drop(measure(rhythm, &thresholds)));
                    Ok(())
                })
            }
            other => Err(format!("unknown task {other}").into()),
        }
    }

    /// One ECG by one method's map, one prediction a perturbed point.
    fn perturbation(&self, iterations: usize, repeats: usize) -> Outcome<f64> {
        let x = inputs(1, 12, 600).into_dimensionality()?;
        let settings = PerturbationSettings { iterations, ..PerturbationSettings::default() };
        clock(repeats, || perturb(&self.network, x.view(), &[0], &[x.view()], &settings, &silent).map(drop).map_err(Into::into))
    }

    fn method(&self, method: Method, count: usize, repeats: usize) -> Outcome<f64> {
        let x = inputs(count, 12, 600);
        let ids: Vec<u64> = (0..count as u64).collect();
        let settings = Settings::default();
        let explainer = Explainer::new(&self.network, &settings)?;
        clock(repeats, || explainer.explain(&x, &ids, &[method], &silent).map(drop).map_err(Into::into))
    }
}

/// Mean seconds of a step within an epoch of `STEPS` steps, as training runs them; the epoch's validation of one ECG counts too.
fn training(batch: usize, repeats: usize) -> Outcome<f64> {
    const STEPS: usize = 40;
    let part = |range: std::ops::Range<usize>| Examples { values: range.clone().map(|ecg| ecg as f64).collect(), ecgs: range.collect() };
    let count = STEPS * batch;
    let (train, validation, test) = (part(0..count), part(count..count + 1), part(0..0));
    let all = inputs(count + 1, 12, 600).into_dimensionality::<ndarray::Ix3>()?;
    let read = |ecgs: &[usize]| Ok(all.select(ndarray::Axis(0), ecgs));
    let (target, input) = (Target::Pr, InputKind::Median);
    let data = TrainingData { target, input, inputs: &read, train: &train, validation: &validation, test: &test };
    let settings = TrainSettings { epochs: repeats, batch, learning_rate: 1e-5, ..TrainSettings::paper() };
    let mut trainer = Trainer::new(&nn::stevennet(12, None)?, data, &settings)?;
    Ok(clock(repeats, || trainer.epoch(&silent).map_err(Into::into))? / STEPS as f64)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1)).map(String::as_str);
    cardiograd::start_threads(option("--threads").map(str::parse).transpose()?)?;
    let mut bench = Bench::new(option("--generator"))?;
    if !arguments.iter().any(|word| word == "--serve") {
        for task in [
            "forward 1 600",
            "forward 32 600",
            "forward 1 5000",
            "gradient 1 600",
            "gradient 32 600",
            "method saliency 32",
            "method deeplift 32",
        ] {
            println!("{task}: {:.2} ms", 1e3 * bench.task(&task.split(' ').collect::<Vec<_>>(), 1)?);
        }
        return Ok(());
    }
    let stdout = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((repeats, words)) = words.split_last() else { continue };
        let answer = match words {
            ["network", file, inputs] => bench.network(file, inputs),
            words => bench.task(words, repeats.parse()?),
        };
        let mut out = stdout.lock();
        match answer {
            Ok(seconds) => writeln!(out, "{seconds}")?,
            Err(error) => writeln!(out, "error {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}
