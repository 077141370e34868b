//! `cardiograd explain`.

use super::inputs::Ecgs;
use super::method_options::{MethodOptions, Precision};
use super::provenance::{Files, Input, Recorded, program_file, record};
use super::references::{References, Use, explain as explain_against, references, takes_files};
use super::segments::segments;
use super::{Globals, Progress, print};
use crate::attribution::{Completeness, Explanations, Method, Rescale, Settings};
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
    /// What baseline methods and occlusion compare with: zero, mean (each lead's own), a file of (12, L) or (N, 12, L), or a dataset: ECGs of its
    /// training part.
    #[arg(long, default_value = "zero", value_name = "zero|mean|FILE.npy|DATASET")]
    baseline: String,
    /// How several baselines serve: each, maps being averaged over them, or their mean as the one baseline.
    #[arg(long, value_enum, default_value_t = Use::Each)]
    baseline_use: Use,
    /// The most baselines taken from a file or dataset.
    #[arg(long, value_name = "N", default_value_t = 20)]
    baselines: usize,
    #[command(flatten)]
    methods: MethodOptions,
    /// Noise already scaled, (n, 12, L), used as it is by SmoothGrad and Gradient SHAP.
    #[arg(long, value_name = "NOISE.npy")]
    draws: Option<PathBuf>,
    /// Path positions in [0, 1], (n), for Gradient SHAP.
    #[arg(long, value_name = "C.npy")]
    coefficients: Option<PathBuf>,
    /// Occlude P, PR, QRS, ST and T in all leads by the fiducials in this table of `measure`, one row an ECG: array `occlusion_segments` (N, 5).
    #[arg(long, value_name = "MEASUREMENTS.csv")]
    segments: Option<PathBuf>,
    /// The seed of all draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A ceiling for the memory of runs in flight, MB; results do not depend on it.
    #[arg(long, value_name = "MB", default_value_t = 512)]
    memory: usize,
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
        inputs.extend(self.segments.as_mut().map(|path| ("segments", Input::Path(path))));
        if takes_files(&self.baseline) {
            inputs.push(("baseline", Input::Text(&mut self.baseline)));
        }
        inputs.extend(self.draws.as_mut().map(|path| ("draws", Input::Path(path))));
        inputs.extend(self.coefficients.as_mut().map(|path| ("coefficients", Input::Path(path))));
        inputs.extend(self.methods.files());
        Files { inputs, output: Some(&mut self.output) }
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

/// The maps, without a record.
pub(super) fn make(args: &Args, globals: &Globals) -> Result<()> {
    let methods = Method::parse_list(&args.method)?;
    let model = load_model(&args.model, args.arch.as_deref())?;
    match args.precision {
        Precision::F32 => explain::<f32>(&model.network, args, &methods, &model, globals),
        Precision::F64 => explain::<f64>(&model.network.cast(), args, &methods, &model, globals),
    }
}

impl Args {
    /// The settings for inputs of `samples` samples, all but the baseline.
    fn settings(&self, model: &Model, samples: usize) -> Result<Settings> {
        Ok(Settings {
            draws: self.draws.as_deref().map(read_axes::<Array3<f64>, 3>).transpose()?,
            coefficients: self.coefficients.as_deref().map(|path| Ok(read_axes::<Array1<f64>, 1>(path)?.to_vec())).transpose()?,
            memory: self.memory.saturating_mul(1 << 20),
            ..self.methods.settings(model, self.seed, samples)?
        })
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
fn explain<T: Real + Element>(network: &Network<T>, args: &Args, methods: &[Method], model: &Model, globals: &Globals) -> Result<()> {
    let ecgs = Ecgs::open(&args.input, network.program())?;
    let x = Tensor::from(ecgs.batch(0..ecgs.len())?.mapv(T::of).into_dyn());
    let mut settings = args.settings(model, x.shape()[2])?;
    let sample = match references("--baseline", &args.baseline, args.baselines, args.baseline_use, model, args.seed, x.shape()[2])? {
        References::One(baseline) => {
            settings.baseline = baseline;
            None
        }
        References::Sample(sample) => Some(sample),
    };
    if sample.is_some() && args.segments.is_some() && settings.occlusion_value.is_none() {
        return Err(Error::Usage("--segments takes one baseline: --baseline-use mean, or an --occlusion-value".into()));
    }
    let progress = Progress::new(globals.quiet);
    let found = explain_against(network, &settings, sample.as_deref(), &x, methods, &|step| progress.step(step))?;
    progress.finish();
    let by_segment = args.segments.as_deref().map(|table| segments(network, &settings, &x, table)).transpose()?;
    write(&args.output, &found, by_segment)?;
    if globals.quiet { Ok(()) } else { tell(args, network.program(), &found, globals) }
}

fn write<T: Real + Element>(path: &Path, found: &Explanations<T>, by_segment: Option<Array2<T>>) -> Result<()> {
    let mut archive = NpzWriter::create(path)?;
    for (method, map) in &found.maps {
        archive.add(method.name(), map.view())?;
    }
    if let Some(drops) = by_segment {
        archive.add("occlusion_segments", drops.view())?;
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
    if pools > 0 && args.methods.pools_as_captum() && found.map(Method::DeepLift).is_some() {
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
