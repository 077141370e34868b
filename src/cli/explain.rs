//! `cardiograd explain`.

use super::inputs::{Ecgs, InputOptions};
use super::method_options::{MethodOptions, Precision, left_out_json, tell_left_out};
use super::numbers::{ECGS, MEGABYTES, up_to};
use super::outputs::{Column, columns, of_column};
use super::provenance::{Files, Input, Recorded, program_file, record};
use super::references::{References, Use, explain as explain_against, references, takes_files};
use super::segments::segments;
use super::{Globals, Progress, print};
use crate::attribution::catalogue::able;
use crate::attribution::{Completeness, Explanations, Method, Rescale, Settings};
use crate::files::npy::{self, Element};
use crate::files::npz::NpzWriter;
use crate::nn::{Model, load_model};
use crate::tape::{Network, Program, Real, Tensor};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView1, ArrayViewD, Axis};
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
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = up_to::<ECGS>)]
    baselines: usize,
    /// Which output, from 0, of a network with several; `all` adds an axis: maps (N, K, 12, L), predictions (N, K).
    #[arg(long, value_name = "K|all")]
    column: Option<Column>,
    #[command(flatten)]
    inputs: InputOptions,
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
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = up_to::<MEGABYTES>)]
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
        Precision::F32 => explain::<f32>(&model.network, args, &methods, &model, globals)?,
        Precision::F64 => explain::<f64>(&model.network.cast(), args, &methods, &model, globals)?,
    }
    if args.method != "all" {
        args.methods.tell_idle(&methods, globals);
    }
    Ok(())
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
    let ecgs = Ecgs::open(&args.input, model, args.inputs)?;
    let columns = columns(model, &ecgs.example(), args.column)?;
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
    let (methods, left_out) = able(methods, args.method != "all", [network.program()], &settings)?;
    tell_left_out(&left_out, globals);
    let progress = Progress::new(globals.quiet);
    let (mut found, mut by_segment) = (Vec::new(), Vec::new());
    for column in columns {
        let settings = of_column(&settings, column);
        found.push(explain_against(network, &settings, sample.as_deref(), &x, &methods, &|step| progress.step(step))?);
        by_segment.extend(args.segments.as_deref().map(|table| segments(network, &settings, &x, table)).transpose()?);
    }
    progress.finish();
    let all = args.column == Some(Column::All);
    write(&args.output, &found, &by_segment, all)?;
    if globals.quiet { Ok(()) } else { tell(args, network.program(), &found, &left_out, globals) }
}

/// Writes what was found for each output; of one output as it is, of `all` with an axis for them behind the ECGs'.
fn write<T: Real + Element>(path: &Path, found: &[Explanations<T>], by_segment: &[Array2<T>], all: bool) -> Result<()> {
    let mut archive = NpzWriter::create(path)?;
    let mut add = |name: &str, parts: Vec<ArrayViewD<'_, T>>| match (&parts[..], all) {
        ([only], false) => archive.add(name, only.view()),
        _ => {
            let joined = ndarray::stack(Axis(1), &parts).map_err(|error| Error::Data(format!("joining outputs: {error}")))?;
            archive.add(name, joined.as_standard_layout().view())
        }
    };
    for (at, (method, _)) in found.iter().take(1).flat_map(|one| one.maps.iter().enumerate()) {
        add(method.name(), found.iter().map(|one| one.maps[at].1.view()).collect())?;
    }
    if !by_segment.is_empty() {
        add("occlusion_segments", by_segment.iter().map(|drops| drops.view().into_dyn()).collect())?;
    }
    add("prediction", found.iter().map(|one| ArrayView1::from(&one.prediction).into_dyn()).collect())?;
    archive.finish()
}

/// What a person sees: where the maps are, and how far from complete those are that promise it.
fn tell<T: Real>(
    args: &Args,
    program: &Program,
    found: &[Explanations<T>],
    left_out: &[(Method, String)],
    globals: &Globals,
) -> Result<()> {
    if globals.json {
        return print(as_json(args, found, left_out));
    }
    // The largest, and one that is not a number is above all others.
    let worst = |all: &[Completeness]| all.iter().map(|one| one.relative_error().abs()).max_by(f64::total_cmp).unwrap_or(0.0);
    let outputs = found.len();
    let [found, ..] = found else { return Ok(()) };
    let (ecgs, methods) = (found.prediction.len(), found.maps.len() * outputs);
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    print(format!("{methods} map{} of {ecgs} ECG{} in {}", plural(methods), plural(ecgs), args.output.display()))?;
    let pools = Rescale::pools_after_activations(program).len();
    if pools > 0 && args.methods.pools_as_captum() && found.map(Method::DeepLift).is_some() {
        print(format!(
            "deeplift: {pools} max-pool{} behind a ReLU as Captum treats them, not complete; --max-pool exact is",
            plural(pools)
        ))?;
    }
    for (method, all) in found.completeness.iter().filter(|_| outputs == 1) {
        print(format!("{method}: completeness error {:.2e} of the difference to the baseline (worst of {ecgs})", worst(all)))?;
    }
    Ok(())
}

/// What was found, for programs: lists by ECG; with `--column all` lists of those by output.
fn as_json<T: Real>(args: &Args, found: &[Explanations<T>], left_out: &[(Method, String)]) -> serde_json::Value {
    use serde_json::{Map, Value, json};
    let entry = |c: &Completeness| json!({"sum": c.sum, "difference": c.difference, "relative_error": c.relative_error()});
    let by_output = |of: &dyn Fn(&Explanations<T>) -> Value| match (found, args.column) {
        (_, Some(Column::All)) => found.iter().map(of).collect(),
        ([only, ..], _) => of(only),
        _ => Value::Null,
    };
    let of_method = |at: usize| by_output(&|one| one.completeness[at].1.iter().map(entry).collect());
    let promised = found.first().map_or(&[][..], |one| &one.completeness);
    let completeness: Map<String, Value> =
        promised.iter().enumerate().map(|(at, (method, _))| (method.name().to_owned(), of_method(at))).collect();
    let methods: Vec<&str> = found.iter().take(1).flat_map(|one| one.maps.iter().map(|(method, _)| method.name())).collect();
    let prediction = by_output(&|one| one.prediction.iter().map(|v| v.f64()).collect());
    let mut told = json!({"output": args.output, "methods": methods, "prediction": prediction, "completeness": completeness});
    if !left_out.is_empty() {
        told["left_out"] = left_out_json(left_out);
    }
    told
}
