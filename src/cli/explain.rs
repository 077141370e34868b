//! `cardiograd explain`.

mod one;
mod page;
mod picture;

use super::beside::{Beside, BesideBaselines, BesideOptions};
use super::growing::{Growing, Told};
use super::inputs::{Ecgs, InputOptions, InputPlace};
use super::method_options::{MethodOptions, Precision, left_out_json, tell_idle, tell_left_out};
use super::numbers::{ECGS, MEGABYTES, up_to};
use super::outputs::{Column, columns, of_column};
use super::pictures::ending;
use super::provenance::{Files, Input, Meanwhile, Recorded, digested_meanwhile, program_file, publish_of};
use super::references::{References, Use, references, takes_files};
use super::segments::{bounds, segments};
use super::{Globals, Progress, print};
use crate::ahead::{in_turn, written_behind};
use crate::atomic::WorkFolder;
use crate::attribution::catalogue::{LeftOut, able};
use crate::attribution::occlusion::Segment;
use crate::attribution::{Completeness, Explainer, Explanations, Method, Rescale, Settings};
use crate::audit::digest::kernel;
use crate::audit::provenance::Digested;
use crate::dataset::Record;
use crate::ecg::axes::{Axes, MEMBER};
use crate::files::digest::sha256;
use crate::files::npy::{self, Element};
use crate::files::npz_rows::Planned;
use crate::inputs::explain as explain_against;
use crate::nn::{Model, double, load_model};
use crate::progress::{Report, Step};
use crate::tape::{Network, Real, Tensor, from_vec};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd explain`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The model: the project's own file, or a PyTorch state dict with --arch.
    #[arg(value_parser = super::models::model_path)]
    model: PathBuf,
    #[command(flatten)]
    place: InputPlace,
    #[command(flatten)]
    beside: BesideOptions,
    /// Methods separated by commas, or `all`: the nine and `random`.
    #[arg(long, short, value_name = "LIST")]
    method: String,
    /// Where the maps go: one array (N, 12, L) per method, and `prediction`; or, with a name in .html, one ECG with its maps on one page to read and
    /// print; or, in .png, .svg or .pdf, as a picture.
    #[arg(long, short, value_name = "OUT.npz|PAGE.html|PICTURE.png")]
    output: PathBuf,
    #[command(flatten)]
    page: one::PageOptions,
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
    #[command(flatten)]
    beside_baselines: BesideBaselines,
    /// Which output, from 0 or by its name, of a network with several; `all` adds an axis: maps (N, K, 12, L), predictions (N, K).
    #[arg(long, value_name = "K|NAME|all")]
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
    /// A ceiling for the memory of everything but the program itself (some 40 MB), MB: weights, weights made ready, ECGs, maps and runs in work. Where
    /// one ECG takes more, it says how much; results do not depend on it [default: 512 beside the weights].
    #[arg(long, value_name = "MB", value_parser = up_to::<MEGABYTES>)]
    memory: Option<usize>,
}

/// Runs the command, and records where the maps come from.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    // The linker leaves out what draws where no branch can come to it.
    const DRAWS: bool = cfg!(feature = "cli");
    let (page, picture) = (page::wanted(&args.output), ending(&args.output));
    if !DRAWS && (page || picture.is_some()) {
        return Err(Error::Usage(format!(
            "{}: this program is built without pages and pictures: write maps as .npz",
            args.output.display()
        )));
    }
    if page && !args.beside.is_empty() {
        return Err(Error::Usage("a page shows networks of one input: write maps as .npz".into()));
    }
    if DRAWS && page {
        return page::run(args, globals);
    }
    if let Some(ending) = picture.filter(|_| DRAWS) {
        return picture::run(args, ending, globals);
    }
    args.page.check_unused()?;
    let Explained { work, found, inputs } = explained(args, globals)?;
    publish_of("explain", args, inputs, work, &[])?;
    if globals.quiet { Ok(()) } else { tell(args, &found, globals) }
}

impl Recorded for Args {
    fn files(&mut self) -> Files<'_> {
        let mut inputs = vec![("model", Input::Path(&mut self.model)), ("input", self.place.as_input())];
        inputs.extend(program_file(&mut self.arch));
        inputs.extend(self.segments.as_mut().map(|path| ("segments", Input::Path(path))));
        if takes_files(&self.baseline) {
            inputs.push(("baseline", Input::Text(&mut self.baseline)));
        }
        inputs.extend(self.draws.as_mut().map(|path| ("draws", Input::Path(path))));
        inputs.extend(self.coefficients.as_mut().map(|path| ("coefficients", Input::Path(path))));
        inputs.extend(self.page.measurements().map(|path| ("measurements", Input::Path(path))));
        inputs.extend(self.methods.files());
        inputs.extend(self.beside.files().chain(self.beside_baselines.files()));
        Files { inputs, output: Some(&mut self.output) }
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

/// The maps, without a record.
pub(super) fn make(args: &Args, globals: &Globals) -> Result<()> {
    explained(args, globals)?.work.commit()
}

/// Maps that wait for their name, and what there is to tell of them.
struct Explained {
    work: WorkFolder,
    found: Found,
    /// The digests of what they were made from.
    inputs: Vec<Digested>,
}

/// What there is to tell.
struct Found {
    methods: Vec<Method>,
    left_out: Vec<LeftOut>,
    /// By output of the network.
    told: Vec<Told>,
    /// Max-pools behind a ReLU.
    pools: usize,
    /// What was done to recordings, and which were passed over.
    notes: Vec<String>,
}

fn explained(args: &Args, globals: &Globals) -> Result<Explained> {
    let methods = Method::parse_list(&args.method)?;
    let inputs = digested_meanwhile(args)?;
    let model = load_model(&args.model, args.arch.as_deref())?;
    let done = match args.precision {
        Precision::F32 => explain::<f32>(&model.network, args, &methods, &model, inputs, globals)?,
        Precision::F64 => explain::<f64>(&double(&args.model, &model)?, args, &methods, &model, inputs, globals)?,
    };
    super::models::warn_if_worse_than_mean(&model, globals);
    if args.method != "all" {
        tell_idle(&methods, globals)?;
    }
    Ok(done)
}

impl Args {
    /// The settings for inputs of `samples` samples, all but the baseline.
    fn settings(&self, model: &Model, samples: usize) -> Result<Settings> {
        Ok(Settings {
            draws: self.draws.as_deref().map(read_axes::<Array3<f64>, 3>).transpose()?,
            coefficients: self.coefficients.as_deref().map(|path| Ok(read_axes::<Array1<f64>, 1>(path)?.to_vec())).transpose()?,
            memory: self.memory.unwrap_or(USUAL).saturating_mul(1 << 20),
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

/// Explains a few ECGs at a time and writes their maps as they are made.
fn explain<T: Real + Element>(
    network: &Network<T>,
    args: &Args,
    methods: &[Method],
    model: &Model,
    inputs: Meanwhile,
    globals: &Globals,
) -> Result<Explained> {
    let ecgs = Ecgs::open(args.place.path(), model, &args.inputs)?;
    let columns = columns(model, &ecgs.example(), args.column.as_ref())?;
    let [_, samples] = ecgs.example();
    let mut settings = args.settings(model, samples)?;
    let sample = match references("--baseline", &args.baseline, args.baselines, args.baseline_use, model, args.seed, samples)? {
        References::One(baseline) => {
            settings.baseline = baseline;
            None
        }
        References::Sample(sample) => Some(sample),
    };
    if sample.is_some() && args.segments.is_some() && settings.occlusion_value.is_none() {
        return Err(Error::Usage("--segments takes one baseline: --baseline-use mean, or an --occlusion-value".into()));
    }
    let beside = args.beside.open(network.program(), ecgs.total())?;
    settings.beside = args.beside_baselines.read(network.program())?;
    if !beside.is_empty() && (sample.is_some() || args.segments.is_some()) {
        return Err(Error::Usage("a network with several inputs takes one baseline (--baseline-use mean) and no --segments".into()));
    }
    let (methods, left_out) = able(methods, args.method != "all", [network.program()], &settings)?;
    tell_left_out(&left_out, globals);
    let (rows, ahead) = portion(args, network, &mut settings, &methods, columns.len() * sample.as_ref().map_or(1, |_| 2), &ecgs, &beside)?;
    let run = Run {
        network,
        ecgs: &ecgs,
        beside: &beside,
        outputs: columns.into_iter().map(|column| of_column(&settings, column)).collect(),
        all: args.column == Some(Column::All),
        sample,
        methods,
        bounds: args.segments.as_deref().map(|table| bounds(table, ecgs.total())).transpose()?,
    };
    let axes = ecgs.axes().map(Axes::text).transpose()?;
    let text = axes.as_deref().map(|axes| (MEMBER, axes));
    let inputs = inputs.wait()?;
    let mut growing = Growing::open(&args.output, &key(args, &inputs), &run.arrays(), text, run.outputs.len())?;
    let progress = Progress::new(globals.quiet);
    if let Err(error) = run.all(rows, ahead, &mut growing, &|step| progress.step(step)) {
        // What a kill or a full disk leaves is gone on with; what was asked wrongly leaves nothing.
        if !matches!(error, Error::Io { .. }) {
            growing.discard();
        }
        return Err(error);
    }
    progress.finish();
    ecgs.tell(globals);
    let (work, told) = growing.finish()?;
    let pools = Rescale::pools_after_activations(network.program()).len();
    Ok(Explained { work, found: Found { methods: run.methods, left_out, told, pools, notes: ecgs.told() }, inputs })
}

/// How many ECGs are read, explained and written at a time, so that what they take stays below `--memory`, and whether there is room to read ahead and
/// write behind; what is left of that is for runs. Each map is there `times`: for outputs of the network, and sums over baselines.
fn portion<T: Real>(
    args: &Args,
    network: &Network<T>,
    settings: &mut Settings,
    methods: &[Method],
    times: usize,
    ecgs: &Ecgs,
    beside: &Beside,
) -> Result<(usize, bool)> {
    const MB: usize = 1 << 20;
    let [channels, samples] = ecgs.example();
    // The ECG as it is read and as it runs; each map twice, while maps of ECGs become arrays.
    let map = methods.len() * times * if times > 1 { size_of::<f64>() } else { size_of::<T>() };
    let in_hand = channels * samples * (size_of::<f64>() + size_of::<T>() + 2 * map);
    // The next ECG; maps that are written and those that wait to be.
    let meanwhile = channels * samples * (size_of::<f64>() + size_of::<T>() + 2 * map);
    let shapes: Vec<Vec<usize>> = beside.inputs().map(|(_, shape)| [&[1], shape].concat()).collect();
    let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    let needed = Explainer::new(network, settings)?.needed_beside(methods, channels, samples, &shapes)?;
    // Weights as the network has them and as they are made ready; where no ceiling is asked for, that for the work is beside them.
    let weights: usize = network.parameters().values().map(|value| value.len() * size_of::<T>()).sum::<usize>() + needed.weights;
    let ceiling = args.memory.map_or(USUAL * MB, |memory| memory.saturating_mul(MB).saturating_sub(weights));
    let running = needed.least() - needed.weights;
    let work = in_hand.saturating_add(running);
    if work > ceiling {
        let (whole, ready) = (work.saturating_add(weights).div_ceil(MB), weights.div_ceil(MB));
        let asked = args.memory.map_or(format!("--memory {USUAL} beside the weights"), |memory| format!("--memory {memory}"));
        let takes =
            format!("one ECG of {channels} × {samples} takes {} MB with these methods, the weights made ready {ready}", work.div_ceil(MB));
        return Err(Error::Usage(format!("{asked}: {takes}: give --memory {whole}, or fewer methods at a time")));
    }
    let ahead = work.saturating_add(meanwhile) <= ceiling;
    let in_hand = in_hand + if ahead { meanwhile } else { 0 };
    let rows = (ceiling.saturating_sub(running.max(ceiling / 4 * 3)) / in_hand.max(1)).clamp(1, MOST_ROWS);
    settings.memory = ceiling - rows * in_hand;
    Ok((rows, ahead))
}

/// The ceiling for ECGs, maps and runs in work where none is asked for, MB.
const USUAL: usize = 512;

/// The most ECGs that are in hand at a time, and that a kill may lose.
const MOST_ROWS: usize = 256;

/// Everything that the maps depend on, as a digest: the options, whatever the output, the memory and the places of files are called, the bytes of the
/// files, the program and its kernel.
fn key(args: &Args, digests: &[Digested]) -> String {
    let mut bare = Args { output: PathBuf::new(), memory: None, ..args.clone() };
    bare.files().inputs.iter_mut().for_each(|(_, input)| input.set(Path::new("file")));
    let inputs: String = digests.iter().map(|input| format!("{} {}\n", input.role, input.sha256)).collect();
    let plans = std::env::var("CARDIOGRAD_PLANS").unwrap_or_default();
    sha256(format!("{} {} {plans}\n{bare:?}\n{inputs}", env!("CARGO_PKG_VERSION"), kernel()).as_bytes())
}

/// What is explained, and how.
struct Run<'a, T: Real> {
    network: &'a Network<T>,
    ecgs: &'a Ecgs,
    /// What networks with several inputs get beside the ECG.
    beside: &'a Beside,
    /// The settings for each output of the network that is explained.
    outputs: Vec<Settings>,
    /// Whether arrays have an axis for those outputs.
    all: bool,
    sample: Option<Vec<Array2<f64>>>,
    methods: Vec<Method>,
    bounds: Option<Vec<Record>>,
}

impl<T: Real + Element> Run<'_, T> {
    /// The methods that say something of inputs beside the ECG.
    fn covering(&self) -> impl Iterator<Item = &Method> {
        let program = self.network.program();
        let covers = |method: &&Method| method.row().recipe::<T>(program, &self.outputs[0]).covers_beside(program, &self.outputs[0]);
        self.methods.iter().filter(covers)
    }

    /// The arrays of the archive: the maps, in the methods' order, those of inputs beside the ECG under METHOD.INPUT, segments, predictions.
    fn arrays(&self) -> Vec<Planned> {
        let outputs = self.all.then_some(self.outputs.len());
        let array = |name: &str, rest: &[usize]| {
            let shape = std::iter::once(self.ecgs.len()).chain(outputs).chain(rest.iter().copied()).collect();
            Planned { name: name.into(), dtype: T::DTYPE, shape }
        };
        let maps = self.methods.iter().map(|method| array(method.name(), &self.ecgs.example()));
        let segments = self.bounds.as_ref().map(|_| array("occlusion_segments", &[Segment::ALL.len()]));
        let beside = self
            .beside
            .inputs()
            .flat_map(|(name, shape)| self.covering().map(move |method| (format!("{method}.{name}"), shape)).collect::<Vec<_>>());
        let beside: Vec<Planned> = beside.map(|(name, shape)| array(&name, shape)).collect();
        maps.chain(beside).chain(segments).chain([array("prediction", &[])]).collect()
    }

    /// Explains the ECGs that the archive lacks, so many at a time. Where there is room, those that follow are read and those before written meanwhile.
    fn all(&self, rows: usize, ahead: bool, growing: &mut Growing, report: Report<'_>) -> Result<()> {
        let count = self.ecgs.len();
        let portions = (growing.done()..count).step_by(rows).map(|first| first..count.min(first + rows));
        let read = |some: Range<usize>| Ok((some.clone(), Tensor::from(self.ecgs.inputs::<T>(some)?.into_dyn())));
        let write = |made: Made<T>| {
            made.rows.iter().enumerate().try_for_each(|(array, outputs)| append(growing, array, outputs))?;
            growing.take(made.told)
        };
        if ahead {
            written_behind(write, |give| in_turn(portions, true, read, |(some, x)| give(self.explain(some, x, report)?)))
        } else {
            let mut write = write;
            in_turn(portions, false, read, |(some, x)| write(self.explain(some, x, report)?))
        }
    }

    /// Explains some of the ECGs.
    fn explain(&self, some: Range<usize>, x: Tensor<T>, report: Report<'_>) -> Result<Made<T>> {
        let numbers = self.ecgs.numbers(some.clone());
        let ids: Vec<u64> = numbers.iter().map(|ecg| *ecg as u64).collect();
        let report = |step: Step<'_>| report(Step { done: some.start as u64 + step.done, total: self.ecgs.len() as u64, ..step });
        let (mut found, mut by_segment) = (Vec::new(), Vec::new());
        for settings in &self.outputs {
            found.push(if self.beside.is_empty() {
                explain_against(self.network, settings, self.sample.as_deref(), &x, &ids, &self.methods, &report)?
            } else {
                Explainer::new(self.network, settings)?.explain_beside(&x, &self.beside.some(&numbers), &ids, &self.methods, &report)?
            });
            let records: Option<Vec<Record>> = self.bounds.as_ref().map(|all| numbers.iter().map(|ecg| all[*ecg].clone()).collect());
            by_segment.extend(records.map(|records| segments(self.network, settings, &x, &ids, &records)).transpose()?);
        }
        let mut rows: Vec<Vec<Tensor<T>>> = Vec::new();
        for at in 0..self.methods.len() {
            rows.push(found.iter().map(|one| one.maps[at].1.clone()).collect());
        }
        for (input, first) in found[0].beside.iter().enumerate() {
            for at in 0..first.maps.len() {
                rows.push(found.iter().map(|one| one.beside[input].maps[at].1.clone()).collect());
            }
        }
        if !by_segment.is_empty() {
            rows.push(by_segment.into_iter().map(|drops| drops.into_dyn().into_shared()).collect());
        }
        rows.push(found.iter().map(|one| from_vec(&[one.prediction.len()], one.prediction.clone())).collect());
        let told =
            |one: Explanations<T>| Told { prediction: one.prediction.iter().map(|v| v.f64()).collect(), completeness: one.completeness };
        Ok(Made { rows, told: found.into_iter().map(told).collect() })
    }
}

/// What was found of some ECGs, to be written.
struct Made<T: Real> {
    /// By array of the archive, then by output of the network.
    rows: Vec<Vec<Tensor<T>>>,
    told: Vec<Told>,
}

/// Appends rows of all outputs: those of an ECG stand together.
fn append<T: Real + Element>(growing: &mut Growing, array: usize, outputs: &[Tensor<T>]) -> Result<()> {
    if let [only] = outputs
        && let Some(values) = only.as_slice()
    {
        return growing.append(array, values);
    }
    let rows = outputs.first().map_or(0, |first| first.shape()[0]);
    for row in 0..rows {
        let of_row: Vec<T> =
            outputs.iter().flat_map(|output| output.index_axis(Axis(0), row).iter().copied().collect::<Vec<T>>()).collect();
        growing.append(array, &of_row)?;
    }
    Ok(())
}

/// What a person sees: where the maps are, and how far from complete those are that promise it.
fn tell(args: &Args, found: &Found, globals: &Globals) -> Result<()> {
    if globals.json {
        return print(as_json(args, found));
    }
    // The largest, and one that is not a number is above all others.
    let worst = |all: &[Completeness]| all.iter().map(|one| one.relative_error().abs()).max_by(f64::total_cmp).unwrap_or(0.0);
    let Found { methods, told: by_output, pools, .. } = found;
    let [told, ..] = &by_output[..] else { return Ok(()) };
    let (ecgs, maps) = (told.prediction.len(), methods.len() * by_output.len());
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    print(format!("{maps} map{} of {ecgs} ECG{} in {}", plural(maps), plural(ecgs), args.output.display()))?;
    if *pools > 0 && args.methods.pools_as_captum() && methods.contains(&Method::DeepLift) {
        print(format!(
            "deeplift: {pools} max-pool{} behind a ReLU as Captum treats them, not complete; --max-pool exact is",
            plural(*pools)
        ))?;
    }
    for (method, all) in told.completeness.iter().filter(|_| by_output.len() == 1) {
        print(format!("{method}: completeness error {:.2e} of the difference to the baseline (worst of {ecgs})", worst(all)))?;
    }
    Ok(())
}

/// What was found, for programs: lists by ECG; with `--column all` lists of those by output.
fn as_json(args: &Args, found: &Found) -> serde_json::Value {
    use serde_json::{Map, Value, json};
    let Found { methods, left_out, told, notes, .. } = found;
    let entry = |c: &Completeness| json!({"sum": c.sum, "difference": c.difference, "relative_error": c.relative_error()});
    let by_output = |of: &dyn Fn(&Told) -> Value| match (&told[..], &args.column) {
        (_, Some(Column::All)) => told.iter().map(of).collect(),
        ([only, ..], _) => of(only),
        _ => Value::Null,
    };
    let of_method = |at: usize| by_output(&|one| one.completeness[at].1.iter().map(entry).collect());
    let promised = told.first().map_or(&[][..], |one| &one.completeness);
    let completeness: Map<String, Value> =
        promised.iter().enumerate().map(|(at, (method, _))| (method.name().to_owned(), of_method(at))).collect();
    let names: Vec<&str> = methods.iter().map(|method| method.name()).collect();
    let prediction = by_output(&|one| one.prediction.clone().into());
    let mut value = json!({"output": args.output, "methods": names, "prediction": prediction, "completeness": completeness});
    if !left_out.is_empty() {
        value["left_out"] = left_out_json(left_out);
    }
    if !notes.is_empty() {
        value["notes"] = json!(notes);
    }
    value
}
