//! `cardiograd trace`.

use super::inputs::{Ecgs, InputOptions, InputPlace};
use super::method_options::{MethodOptions, Precision, tell_idle};
use super::numbers::{ECGS, up_to};
use super::outputs::{Column, columns, of_column};
use super::provenance::{Files, Input, Recorded, program_file, record_at};
use super::recordings::{Ready, look_up};
use super::references::{one, takes_files};
use super::{Globals, console::complain, print};
use crate::atomic::AtomicFolder;
use crate::attribution::catalogue::able;
use crate::attribution::{Method, Settings};
use crate::audit::provenance::Digested;
use crate::dataset::InputKind;
use crate::ecg::leads::LEADS;
use crate::files::digest::sha256_file;
use crate::files::npy;
use crate::nn::{Model, double, load_model};
use crate::report::colour::Style;
use crate::report::heatmap::{self, Heatmap};
use crate::tape::{Network, Real, Tensor};
use crate::trace::formula::number;
use crate::trace::page::{self, About};
use crate::trace::{Arrays, Trace, graph, trace};
use crate::{Error, Result};
use ndarray::{Array2, Ix2};
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd trace`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The model: the project's own file, or a PyTorch state dict with --arch.
    #[arg(value_parser = super::models::model_path)]
    model: PathBuf,
    #[command(flatten)]
    place: InputPlace,
    /// The method.
    #[arg(long, short, value_name = "METHOD")]
    method: Method,
    /// Which of the ECGs, from 0.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = up_to::<ECGS>)]
    ecg: usize,
    /// The folder to make: trace.html, trace.md, trace.json, graph.svg, graph.dot, map.npy.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// The network of a state dict: stevennet, standardconv or a program file (.json).
    #[arg(long)]
    arch: Option<String>,
    /// The arithmetic.
    #[arg(long, value_enum, default_value_t = Precision::F64)]
    precision: Precision,
    /// What the account compares with: zero, mean (each lead's own), a file of (12, L) or (N, 12, L), or a dataset; of several ECGs, their mean.
    #[arg(long, default_value = "zero", value_name = "zero|mean|FILE.npy|DATASET")]
    baseline: String,
    /// Which output, from 0 or by its name, of a network with several; `all` makes an account of each, in a folder output-K of its own.
    #[arg(long, value_name = "K|NAME|all")]
    column: Option<Column>,
    #[command(flatten)]
    inputs: InputOptions,
    #[command(flatten)]
    methods: MethodOptions,
    /// The seed of all draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also write this node's value and what arrived at it, as .npy; may be repeated; `all` for every node.
    #[arg(long, value_name = "NAME|all")]
    node: Vec<String>,
    #[arg(skip)]
    names: Option<Names>,
}

/// What the account calls the files that it was made from.
#[derive(Clone, Debug)]
struct Names {
    model: PathBuf,
    input: PathBuf,
    baseline: String,
}

/// Runs the command, and records where the account comes from.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let Made { folder, accounts, notes } = accounts_of(args)?;
    record_at("trace", args, folder.partial())?;
    folder.commit()?;
    tell_idle(&[args.method], globals)?;
    if globals.quiet {
        return Ok(());
    }
    notes.iter().for_each(|note| complain(format_args!("note: {note}\n")));
    if globals.json {
        return match &accounts[..] {
            [(_, only)] => print(json(only)?),
            all => print(format!("[{}]", all.iter().map(|(_, trace)| json(trace)).collect::<Result<Vec<_>>>()?.join(",\n"))),
        };
    }
    accounts.iter().try_for_each(|(place, trace)| tell(&args.output.join(place), trace))
}

/// Accounts in a folder that has not got its name yet, and what was done to the recording.
struct Made {
    folder: AtomicFolder,
    /// Where in the folder each stands.
    accounts: Vec<(PathBuf, Trace)>,
    notes: Vec<String>,
}

impl Recorded for Args {
    fn files(&mut self) -> Files<'_> {
        let mut inputs = vec![("model", Input::Path(&mut self.model)), ("input", self.place.as_input())];
        inputs.extend(program_file(&mut self.arch));
        if takes_files(&self.baseline) {
            inputs.push(("baseline", Input::Text(&mut self.baseline)));
        }
        inputs.extend(self.methods.files());
        Files { inputs, output: Some(&mut self.output) }
    }

    fn seed(&self) -> Option<u64> {
        Some(self.seed)
    }
}

/// The accounts, without a record.
pub(super) fn make(args: &Args) -> Result<()> {
    accounts_of(args)?.folder.commit()
}

/// An account of each output asked for.
fn accounts_of(args: &Args) -> Result<Made> {
    let folder = AtomicFolder::create(&args.output)?;
    let model = load_model(&args.model, args.arch.as_deref())?;
    let ecgs = Ecgs::open(args.place.path(), &model, &args.inputs)?;
    let columns = columns(&model, &ecgs.example(), args.column.as_ref())?;
    if args.ecg >= ecgs.len() {
        let last = ecgs.len() - 1;
        return Err(Error::Usage(format!("--ecg {}: {} holds ECGs 0 to {last}", args.ecg, args.place.path().display())));
    }
    let x = ecgs.batch(args.ecg..args.ecg + 1)?;
    let number = ecgs.numbers(args.ecg..args.ecg + 1)[0];
    let mut ready = ecgs.ready(args.ecg)?;
    if !ecgs.are_recordings() {
        look_up(args.place.path(), None, (number, ecgs.total()), &mut ready)?;
    }
    let id = ecgs.axes().and_then(|axes| axes.ids.get(args.ecg).cloned());
    let subject = Subject { number, id, ready, x };
    let samples = subject.x.shape()[2];
    let baseline = one("--baseline", &args.baseline, &model, args.seed, samples)?;
    let several = columns.len() > 1;
    let mut accounts = Vec::new();
    for column in columns {
        let settings = Settings { baseline: baseline.clone(), ..of_column(&args.methods.settings(&model, args.seed, samples)?, column) };
        able(&[args.method], true, [model.network.program()], &settings)?;
        let done = match args.precision {
            Precision::F32 => account::<f32>(&model.network, args, &settings, &subject)?,
            Precision::F64 => account::<f64>(&double(&args.model, &model)?, args, &settings, &subject)?,
        };
        let about = about(args, &model, &settings, &done, &subject)?;
        let place = if several { PathBuf::from(format!("output-{column}")) } else { PathBuf::new() };
        let to = folder.partial().join(&place);
        std::fs::create_dir_all(&to).map_err(|source| Error::io(&to, source))?;
        write(args, &done, &about, &to)?;
        accounts.push((place, done));
    }
    Ok(Made { folder, accounts, notes: ecgs.told() })
}

/// The ECG of the account.
struct Subject {
    /// Its number in the file.
    number: usize,
    id: Option<String>,
    ready: Ready,
    /// (1, C, L).
    x: ndarray::Array3<f64>,
}

impl Args {
    /// The same account by the names that its files have now, wherever they are found later.
    pub fn named(self) -> Self {
        Args { names: Some(self.names()), ..self }
    }

    fn names(&self) -> Names {
        let now = || Names { model: self.model.clone(), input: self.place.path().to_owned(), baseline: self.baseline.clone() };
        self.names.clone().unwrap_or_else(now)
    }
}

fn account<T: Real>(network: &Network<T>, args: &Args, settings: &Settings, subject: &Subject) -> Result<Trace> {
    let x: Tensor<T> = Tensor::from(subject.x.mapv(T::of).into_dyn());
    trace(network, settings, &x, subject.number as u64, args.method)
}

/// The facts at the top of the page, and the heatmap if the input has the twelve leads.
fn about(args: &Args, model: &Model, settings: &Settings, trace: &Trace, subject: &Subject) -> Result<About> {
    let name = |path: &Path| path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let names = args.names();
    let target = model.target.map_or_else(|| "not said by the model".to_owned(), |target| format!("{} ({})", target.title(), model.unit()));
    let precision = if args.precision == Precision::F32 { "f32" } else { "f64" };
    let column = args.column.as_ref().map(|_| ("Output", settings.output.to_string()));
    let ready = (!subject.ready.notes.is_empty()).then(|| ("Made ready", subject.ready.notes.join("; ")));
    let id = subject.id.as_ref().map(|id| ("Id", id.clone()));
    let facts = [
        ("Model", name(&names.model)),
        ("Model's SHA-256", sha256_file(&args.model)?),
        ("Target", target),
        ("Input", format!("{}, ECG {}", name(&names.input), subject.number)),
        ("Input's SHA-256", Digested::of("input", args.place.path())?.sha256),
        ("ECG in", "µV, 500 Hz".to_owned()),
        ("Method", args.method.name().to_owned()),
        ("Baseline", names.baseline),
        ("Precision", precision.to_owned()),
        ("Seed", args.seed.to_string()),
        ("Program", format!("cardiograd {}", env!("CARGO_PKG_VERSION"))),
    ];
    let facts = facts.into_iter().chain(id).chain(ready).chain(column).map(|(name, value)| (name.to_owned(), value)).collect();
    let flat = |array: ndarray::ArrayD<f64>| -> Result<Array2<f32>> {
        let array = array.into_dimensionality::<Ix2>().map_err(|error| Error::Data(format!("the map: {error}")))?;
        Ok(array.mapv(|v| v as f32))
    };
    let ecg = flat(subject.x.index_axis(ndarray::Axis(0), 0).to_owned().into_dyn())?;
    let map = flat(trace.map.index_axis(ndarray::Axis(0), 0).to_owned().into_dyn())?;
    let meaning = Some(args.method.row().meaning(settings.multiply_by_inputs, settings.absolute));
    // Fiducials are those of the median beat.
    let fiducials = subject.ready.measured.as_ref().filter(|_| ecg.ncols() == InputKind::Median.samples());
    let drawn =
        Heatmap { ecg: ecg.view(), map: map.view(), title: args.method.title(), unit: model.unit(), meaning, fiducials, axes: None };
    let picture = (ecg.nrows() == LEADS.len()).then(|| heatmap::full(&drawn, Style::default()).inline());
    Ok(About { facts, picture, unit: model.unit().to_owned() })
}

fn write(args: &Args, trace: &Trace, about: &About, folder: &Path) -> Result<()> {
    let chosen = chosen(args, trace)?;
    let put = |name: &str, text: String| crate::atomic::write(folder.join(name), text.as_bytes());
    put("trace.html", page::html(trace, about))?;
    put("trace.md", page::markdown(trace, about))?;
    put("trace.json", json(trace)? + "\n")?;
    for (at, program) in trace.programs.iter().enumerate() {
        let number = if at == 0 { String::new() } else { format!("-{}", at + 1) };
        put(&format!("graph{number}.svg"), graph::svg(program, trace.walks.get(at)).finish())?;
        put(&format!("graph{number}.dot"), graph::dot(program))?;
    }
    npy::write(folder.join("map.npy"), trace.map.view())?;
    if !chosen.is_empty() {
        let nodes = folder.join("nodes");
        std::fs::create_dir(&nodes).map_err(|source| Error::io(&nodes, source))?;
        for (stem, arrays) in chosen {
            npy::write(nodes.join(format!("{stem}.value.npy")), arrays.value.view())?;
            if let Some(gradient) = &arrays.gradient {
                npy::write(nodes.join(format!("{stem}.gradient.npy")), gradient.view())?;
            }
        }
    }
    Ok(())
}

/// The nodes asked for, with a file stem each; the stem holds the node's place, since names may hold any character.
fn chosen<'a>(args: &Args, trace: &'a Trace) -> Result<Vec<(String, &'a Arrays)>> {
    if !args.node.is_empty() && trace.arrays.is_empty() {
        return Err(Error::Usage(format!("--node: {} has no walk back, there is nothing to write", args.method)));
    }
    let all = args.node.iter().any(|name| name == "all");
    for name in args.node.iter().filter(|name| *name != "all") {
        if !trace.arrays.iter().flatten().any(|arrays| arrays.name == *name) {
            let names: Vec<&str> = trace.arrays.iter().flatten().map(|arrays| arrays.name.as_str()).collect();
            return Err(Error::Usage(format!("--node {name}: no node is called so; the nodes are {}", names.join(" "))));
        }
    }
    let safe = |name: &str| name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect::<String>();
    let mut found = Vec::new();
    for (walk, nodes) in trace.arrays.iter().enumerate() {
        let number = if walk == 0 { String::new() } else { format!("-{}", walk + 1) };
        for (at, arrays) in nodes.iter().enumerate().filter(|(_, arrays)| all || args.node.contains(&arrays.name)) {
            found.push((format!("{at:03}{number}.{}", safe(&arrays.name)), arrays));
        }
    }
    Ok(found)
}

fn json(trace: &Trace) -> Result<String> {
    serde_json::to_string_pretty(trace).map_err(|error| Error::Data(format!("writing the trace: {error}")))
}

fn tell(folder: &Path, trace: &Trace) -> Result<()> {
    print(format!("prediction {}, on the baseline {}", number(trace.prediction), number(trace.at_baseline)))?;
    if trace.walks.is_empty() {
        print(&trace.reduction)?;
    }
    for walk in &trace.walks {
        print(format!(
            "{}: {} {} at the output, {} at the input",
            walk.title,
            walk.measure,
            number(walk.at_output),
            number(walk.at_input)
        ))?;
        let mut worst: Vec<_> = walk.entries.iter().filter_map(|entry| Some((&entry.name, entry.flow.as_ref()?))).collect();
        worst.sort_by(|a, b| b.1.lost.abs().total_cmp(&a.1.lost.abs()));
        for (name, flow) in worst.into_iter().take(3).filter(|(_, flow)| flow.lost.abs() > 1e-3 * walk.at_output.abs()) {
            let word = if page::made(flow.lost, walk) { "made" } else { "lost" };
            print(format!("  {word} {} at {name} ({}): {}", number(flow.lost.abs()), flow.rule, flow.cause))?;
        }
    }
    print(format!("account in {}", folder.join("trace.html").display()))
}
