//! `cardiograd explain`.

use super::inputs::Ecgs;
use super::provenance::{Files, Input, Recorded, program_file, record};
use super::{Globals, Progress, print};
use crate::attribution::{Baseline, Completeness, Explainer, Explanations, Interpolation, MaxPoolRule, Method, Rescale, Settings};
use crate::files::npy::{self, Element};
use crate::files::npz::NpzWriter;
use crate::nn::{Model, load_model};
use crate::tape::{Network, Program, Real, Tensor};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayD};
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd explain`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The model: the project's own file, or a PyTorch state dict with --arch.
    model: PathBuf,
    /// ECGs, (N, 12, L) or (12, L), µV.
    #[arg(long, short, value_name = "X.npy")]
    input: PathBuf,
    /// Methods separated by commas, or `all`: the nine and `random`.
    #[arg(long, short, value_name = "LIST")]
    method: String,
    /// Where the maps go: one array (N, 12, L) per method, and `prediction`.
    #[arg(long, short, value_name = "OUT.npz")]
    output: PathBuf,
    /// The network of a state dict: stevennet, standardconv or a program file (.json).
    #[arg(long)]
    arch: Option<String>,
    /// The arithmetic.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
    /// What baseline methods compare with: zero, mean (each lead's own), or a file of (12, L).
    #[arg(long, default_value = "zero", value_name = "zero|mean|FILE.npy")]
    baseline: String,
    /// Whether baseline methods multiply by (input − baseline).
    #[arg(long, value_enum, default_value_t = YesNo::No)]
    multiply_by_inputs: YesNo,
    /// Whether SmoothGrad averages absolute gradients and the other methods end with the absolute value [default: SmoothGrad yes, others no].
    #[arg(long, value_enum)]
    absolute: Option<YesNo>,
    /// Samples of SmoothGrad and Gradient SHAP [default: 25 and 50].
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Steps of integrated gradients.
    #[arg(long, value_name = "N", default_value_t = 50)]
    steps: usize,
    /// Noise already scaled, (n, 12, L), used as it is by SmoothGrad and Gradient SHAP.
    #[arg(long, value_name = "NOISE.npy")]
    draws: Option<PathBuf>,
    /// Path positions in [0, 1], (n), for Gradient SHAP.
    #[arg(long, value_name = "C.npy")]
    coefficients: Option<PathBuf>,
    /// The node that Grad-CAM looks at [default: the last convolution].
    #[arg(long, value_name = "NODE")]
    layer: Option<String>,
    /// How Grad-CAM's row is stretched to the input's length.
    #[arg(long, value_enum, default_value_t = Stretch::Linear)]
    interpolation: Stretch,
    /// DeepLIFT at a max-pool directly behind a ReLU: the plain derivative as Captum, or the exact rescale rule, which is complete.
    #[arg(long, value_enum, default_value_t = MaxPool::Captum)]
    max_pool: MaxPool,
    /// The seed of all draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A ceiling for the memory of runs in flight, MB; results do not depend on it.
    #[arg(long, value_name = "MB", default_value_t = 512)]
    memory: usize,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum Precision {
    F32,
    F64,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum YesNo {
    Yes,
    No,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum Stretch {
    Linear,
    Nearest,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
enum MaxPool {
    Captum,
    Exact,
}

/// Runs the command, and records where the maps come from.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    make(args, globals)?;
    record("explain", args)
}

impl Recorded for Args {
    fn files(&mut self) -> Files<'_> {
        let mut inputs = vec![("model", Input::Path(&mut self.model)), ("input", Input::Path(&mut self.input))];
        inputs.extend(program_file(&mut self.arch));
        if !["zero", "mean"].contains(&self.baseline.as_str()) {
            inputs.push(("baseline", Input::Text(&mut self.baseline)));
        }
        inputs.extend(self.draws.as_mut().map(|path| ("draws", Input::Path(path))));
        inputs.extend(self.coefficients.as_mut().map(|path| ("coefficients", Input::Path(path))));
        Files { inputs, output: Some(&mut self.output) }
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

/// The maps, without a record.
pub(super) fn make(args: &Args, globals: &Globals) -> Result<()> {
    let methods = Method::parse_list(&args.method)?;
    let settings = args.settings()?;
    let model = load_model(&args.model, args.arch.as_deref())?;
    match args.precision {
        Precision::F32 => explain::<f32>(&model.network, args, &methods, settings, &model, globals),
        Precision::F64 => explain::<f64>(&model.network.cast(), args, &methods, settings, &model, globals),
    }
}

impl Args {
    fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            seed: self.seed,
            baseline: self.baseline()?,
            multiply_by_inputs: self.multiply_by_inputs == YesNo::Yes,
            absolute: self.absolute.map(|absolute| absolute == YesNo::Yes),
            samples: self.samples,
            steps: self.steps,
            draws: self.draws.as_deref().map(read_axes::<Array3<f64>, 3>).transpose()?,
            coefficients: self.coefficients.as_deref().map(|path| Ok(read_axes::<Array1<f64>, 1>(path)?.to_vec())).transpose()?,
            layer: self.layer.clone(),
            interpolation: if self.interpolation == Stretch::Linear { Interpolation::Linear } else { Interpolation::Nearest },
            max_pool: if self.max_pool == MaxPool::Captum { MaxPoolRule::Captum } else { MaxPoolRule::Exact },
            memory: self.memory.saturating_mul(1 << 20),
            ..Settings::default()
        })
    }

    fn baseline(&self) -> Result<Baseline> {
        match self.baseline.as_str() {
            "zero" => Ok(Baseline::Zero),
            "mean" => Ok(Baseline::Mean),
            file => {
                let path = Path::new(file);
                if !path.exists() {
                    return Err(Error::Usage(format!(
                        "--baseline takes zero, mean or the name of an .npy file; there is no file '{file}'"
                    )));
                }
                Ok(Baseline::Values(read_axes::<Array2<f64>, 2>(path)?))
            }
        }
    }
}

/// An array of exactly D axes; leading axes of size 1 may be left over, as in a baseline saved as a batch of one.
fn read_axes<A, const D: usize>(path: &Path) -> Result<A>
where
    A: TryFromDyn,
{
    let mut array = npy::read_f64(path)?;
    while array.ndim() > D && array.shape()[0] == 1 {
        array = array.index_axis_move(ndarray::Axis(0), 0);
    }
    let shape = array.shape().to_vec();
    A::try_from_dyn(array).ok_or_else(|| Error::format(path, format!("it has shape {shape:?}, {D} axes are expected")))
}

/// Arrays of a fixed number of axes.
trait TryFromDyn: Sized {
    fn try_from_dyn(array: ArrayD<f64>) -> Option<Self>;
}

impl<D: ndarray::Dimension> TryFromDyn for ndarray::Array<f64, D> {
    fn try_from_dyn(array: ArrayD<f64>) -> Option<Self> {
        array.into_dimensionality().ok()
    }
}

/// Explains batch by batch and writes the archive when all is there.
fn explain<T: Real + Element>(
    network: &Network<T>,
    args: &Args,
    methods: &[Method],
    settings: Settings,
    model: &Model,
    globals: &Globals,
) -> Result<()> {
    let settings = Settings { target: model.target.map_or(0, crate::dataset::Target::index), ..settings };
    let ecgs = Ecgs::open(&args.input, network.program())?;
    let explainer = Explainer::new(network, &settings)?;
    let x = ecgs.batch(0..ecgs.len())?.mapv(T::of);
    let ids: Vec<u64> = (0..ecgs.len() as u64).collect();
    let progress = Progress::new(globals.quiet);
    let found = explainer.explain(&Tensor::from(x.into_dyn()), &ids, methods, &|step| progress.step(step))?;
    progress.finish();
    write(&args.output, &found)?;
    if globals.quiet { Ok(()) } else { tell(args, network.program(), &found, globals) }
}

fn write<T: Real + Element>(path: &Path, found: &Explanations<T>) -> Result<()> {
    let mut archive = NpzWriter::create(path)?;
    for (method, map) in &found.maps {
        archive.add(method.name(), map.view())?;
    }
    archive.add("prediction", Array1::from(found.prediction.clone()).view())?;
    archive.finish()
}

/// What a person sees: where the maps are, and how far from complete those are that promise it.
fn tell<T: Real>(args: &Args, program: &Program, found: &Explanations<T>, globals: &Globals) -> Result<()> {
    let worst = |all: &[Completeness]| all.iter().map(Completeness::relative_error).fold(0.0, f64::max);
    if globals.json {
        let completeness: serde_json::Map<String, serde_json::Value> = found
            .completeness
            .iter()
            .map(|(method, all)| {
                let entries =
                    all.iter().map(|c| serde_json::json!({"sum": c.sum, "difference": c.difference, "relative_error": c.relative_error()}));
                (method.name().to_owned(), entries.collect())
            })
            .collect();
        let methods: Vec<&str> = found.maps.iter().map(|(method, _)| method.name()).collect();
        let prediction: Vec<f64> = found.prediction.iter().map(|v| v.f64()).collect();
        return print(
            serde_json::json!({"output": args.output, "methods": methods, "prediction": prediction, "completeness": completeness}),
        );
    }
    let (ecgs, methods) = (found.prediction.len(), found.maps.len());
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    print(format!("{methods} map{} of {ecgs} ECG{} in {}", plural(methods), plural(ecgs), args.output.display()))?;
    let pools = Rescale::pools_after_activations(program).len();
    if pools > 0 && args.max_pool == MaxPool::Captum && found.map(Method::DeepLift).is_some() {
        print(format!(
            "deeplift: {pools} max-pool{} behind a ReLU as Captum treats them, not complete; --max-pool exact is",
            plural(pools)
        ))?;
    }
    for (method, all) in &found.completeness {
        print(format!("{method}: completeness error {:.2e} of the difference to the baseline (worst of {ecgs})", worst(all)))?;
    }
    Ok(())
}
