//! `cardiograd inspect`: what a file or folder holds, told by its contents and not by its name.

use super::{Globals, generate, print};
use crate::attribution::{Meaning, Method};
use crate::audit::provenance::Record;
use crate::dataset::folder::MANIFEST;
use crate::dataset::{Dataset, Target};
use crate::ecg::axes::Axes;
use crate::files::digest::sha256_file;
use crate::files::npy::{self, Header, NpyArray};
use crate::files::state_dict::{self, Kind, StateDict};
use crate::files::{npz, state_dict::Tensor};
use crate::intake::{self, Most};
use crate::nn::{Checkpoint, Model, TrainSettings, Weights, parse_program};
use crate::report::StudyResults;
use crate::report::findings::{warnings, words_for_the_mean};
use crate::report::study_tables::named;
#[cfg(feature = "onnx")]
use crate::tape::Network;
use crate::trace::formula::{number, sizes};
use crate::{Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arrays up to this many bytes are read for their range; of larger ones the header is shown.
const READ_WHOLE: u64 = 1 << 28;
/// JSON files beyond this are refused.
const JSON: Most = Most { bytes: 1 << 28, of: "a program or results in JSON" };
/// Cards of models beyond this are refused.
const CARD: Most = Most { bytes: 1 << 20, of: "the card of a model" };
/// The results in a study's folder.
const RESULTS: &str = "results.json";

/// Arguments of `cardiograd inspect`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A model, an ONNX file, a state dict, a wheel, an array (.npy, .npz), a program (.json), or the folder of a dataset or a study.
    #[arg(value_parser = super::models::model_path)]
    file: PathBuf,
    /// Recompute a dataset's digests and compare.
    #[arg(long)]
    verify: bool,
}

/// What there is to say: lines for people, a value for programs.
struct Findings {
    lines: Vec<String>,
    value: Value,
    /// Why the command fails after all was said, if it does.
    failed: Option<String>,
}

impl Findings {
    fn new(lines: Vec<String>, value: Value) -> Self {
        Findings { lines, value, failed: None }
    }
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let path = &args.file;
    let results = path.join(RESULTS);
    let path = if results.is_file() { &results } else { path };
    let record = Record::find(path)?;
    if path.is_dir()
        && !path.join(MANIFEST).exists()
        && let Some(record) = &record
    {
        return if globals.quiet { Ok(()) } else { tell_record(path, record, globals) };
    }
    if path.is_dir() {
        return inspect_dataset(path, args.verify, globals);
    }
    if args.verify {
        return Err(Error::Usage(format!("--verify is for dataset folders, {} is a file", path.display())));
    }
    let mut found = inspect_file(path, record.as_ref())?;
    let digest = sha256_file(path)?;
    found.lines.push(format!("SHA-256 {digest}"));
    if let Some(record) = &record {
        found.lines.extend(origin(record));
        found.value["record"] = json!(record);
    }
    match globals {
        Globals { quiet: true, .. } => (),
        Globals { json: true, .. } => {
            found.value["path"] = json!(path);
            found.value["sha256"] = json!(digest);
            print(format_args!("{:#}", found.value))?;
        }
        _ => found.lines.iter().try_for_each(print)?,
    }
    found.failed.map_or(Ok(()), |why| Err(Error::format(path, why)))
}

/// A folder of results of which the record alone says what it is.
fn tell_record(path: &Path, record: &Record, globals: &Globals) -> Result<()> {
    if globals.json {
        return print(format_args!("{:#}", json!({ "kind": "results", "path": path, "record": record })));
    }
    print(format_args!("{}: {} files of results", path.display(), record.outputs.len()))?;
    origin(record).iter().try_for_each(print)
}

/// Where a result came from, by its record.
fn origin(record: &Record) -> Vec<String> {
    let Record { version, command, arguments, kernel, inputs, .. } = record;
    let changed = if record.is_whole() { "" } else { " (this record was changed)" };
    let mut lines = vec![format!("made by {version} on {kernel}{changed}: {command} {}", arguments.join(" "))];
    lines.extend(inputs.iter().map(|input| format!("  {} {} SHA-256 {}", input.role, input.path.display(), input.sha256)));
    lines
}

fn inspect_dataset(path: &Path, verify: bool, globals: &Globals) -> Result<()> {
    let data = Dataset::open(path)?;
    if verify && let Some(manifest) = data.manifest() {
        let differing = manifest.differing(path)?;
        if !differing.is_empty() {
            return Err(Error::format(path, format!("changed since it was written: {}", differing.join(", "))));
        }
    }
    if globals.quiet {
        return Ok(());
    }
    generate::report(path, &data, globals.json)?;
    match data.manifest() {
        Some(manifest) if !globals.json => {
            manifest.origin.details.iter().try_for_each(|(name, detail)| print(format_args!("  {name}: {detail}")))?;
            let state = if verify { " (as written)" } else { "" };
            manifest.digests.iter().try_for_each(|(name, digest)| print(format_args!("  {name} SHA-256 {digest}{state}")))
        }
        _ => Ok(()),
    }
}

fn inspect_file(path: &Path, record: Option<&Record>) -> Result<Findings> {
    let start = intake::start(path, 8)?;
    if Model::is_model_file(path)? {
        let mut found = model(path, &Model::load(path)?);
        // The card of a shipped model.
        let card = path.with_extension("md");
        if card.is_file() {
            let text = intake::text(&card, CARD)?;
            found.lines.extend(text.lines().map(|line| format!("  | {line}").trim_end().to_owned()));
            found.value["card"] = json!(text);
        }
        return Ok(found);
    }
    #[cfg(feature = "onnx")]
    if crate::nn::onnx::is_onnx(path) {
        return onnx(path);
    }
    if start.starts_with(b"\x93NUMPY") {
        return array(path);
    }
    if start.starts_with(b"PK") && npz::is_npz(path)? {
        return arrays(path, record);
    }
    if start.first() == Some(&b'{') {
        return program_or_results(path);
    }
    if start.starts_with(b"\x89CGT") {
        let epochs = Checkpoint::load(path)?.epochs();
        let lines = vec![format!("{}: an unfinished training after {epochs} epochs, to be continued by train --resume", path.display())];
        return Ok(Findings::new(lines, json!({ "kind": "checkpoint", "epochs": epochs })));
    }
    let (kind, dict) = state_dict::read_kind(path)?;
    Ok(weights(path, kind, &dict))
}

fn array(path: &Path) -> Result<Findings> {
    let (mut file, length) = intake::open(path)?;
    let header = Header::read(path, &mut file, length)?;
    let order = match (header.fortran, header.big_endian) {
        (false, false) => "",
        (true, false) => ", Fortran order",
        (false, true) => ", big-endian",
        (true, true) => ", Fortran order, big-endian",
    };
    let mut lines = vec![format!("{}: NumPy array of {} {}{order}", path.display(), shape_of(&header.shape), header.dtype.name())];
    let mut value = json!({ "kind": "npy", "shape": header.shape, "dtype": header.dtype.name(), "fortran_order": header.fortran });
    if length <= READ_WHOLE {
        let range = Range::of(npy::read(path)?);
        lines.push(range.line());
        value["values"] = range.value();
    }
    Ok(Findings::new(lines, value))
}

fn arrays(path: &Path, record: Option<&Record>) -> Result<Findings> {
    let (mut lines, mut values) = (vec![format!("{}: NumPy archive", path.display())], Vec::new());
    npz::each(path, &mut |name, array| {
        let (shape, dtype) = (array.shape().to_vec(), array.dtype().name());
        let range = Range::of(array);
        lines.push(format!("  {name}: {} {dtype}, {}", shape_of(&shape), range.line()));
        let mut value = json!({ "name": name, "shape": shape, "dtype": dtype, "values": range.value() });
        if let Some(meaning) = meaning_of(name, record) {
            let (family, unit) = (meaning.family.name(), meaning.unit.text("the prediction's unit"));
            lines.push(format!("    {family}, {unit}. {}", meaning.sentence()));
            value["family"] = json!(family);
        }
        values.push(value);
        Ok(())
    })?;
    let mut value = json!({ "kind": "npz", "arrays": values });
    if let Some(axes) = Axes::of_archive(path)? {
        let kind = axes.input.as_deref().unwrap_or("ECG");
        let few = |all: &[String]| match all.len() {
            0..=12 => all.join(" "),
            many => format!("{} … {} ({many})", all[..6].join(" "), all[many - 1]),
        };
        lines.push(format!("  axes: {kind} at {} Hz, leads {}; ECGs {}", axes.rate_hz, few(&axes.leads), few(&axes.ids)));
        value["axes"] = json!(axes);
    }
    Ok(Findings::new(lines, value))
}

/// What the values of a method's heatmaps say, by the options that its record has; `None` for arrays that are not named after a method.
fn meaning_of(name: &str, record: Option<&Record>) -> Option<Meaning> {
    let given = |option: &str| {
        let wanted = format!("--{option}=");
        record?.arguments.iter().find_map(|argument| argument.strip_prefix(wanted.as_str()).map(|value| value == "yes"))
    };
    Some(Method::named(name)?.row().meaning(given("multiply-by-inputs").unwrap_or(false), given("absolute")))
}

/// The range of an array's finite values.
struct Range {
    count: usize,
    min: f64,
    max: f64,
    mean: f64,
    not_finite: usize,
}

impl Range {
    fn of(array: NpyArray) -> Self {
        let array = array.into_f64();
        let finite = || array.iter().filter(|value| value.is_finite());
        let count = finite().count();
        Range {
            count,
            min: finite().copied().fold(f64::INFINITY, f64::min),
            max: finite().copied().fold(f64::NEG_INFINITY, f64::max),
            mean: finite().sum::<f64>() / count as f64,
            not_finite: array.len() - count,
        }
    }

    fn line(&self) -> String {
        let strange = if self.not_finite == 0 { String::new() } else { format!(", {} NaN or infinite", self.not_finite) };
        if self.count == 0 {
            format!("no finite value{strange}")
        } else {
            format!("from {} to {}, mean {}{strange}", number(self.min), number(self.max), number(self.mean))
        }
    }

    fn value(&self) -> Value {
        if self.count == 0 {
            return json!({ "finite": 0, "not_finite": self.not_finite });
        }
        json!({ "finite": self.count, "not_finite": self.not_finite, "min": self.min, "max": self.max, "mean": self.mean })
    }
}

fn weights(path: &Path, kind: Kind, dict: &StateDict) -> Findings {
    let values: usize = dict.iter().map(|(_, tensor)| tensor.elements()).sum();
    let mut lines = vec![format!("{}: {}, {} tensors, {values} values", path.display(), kind.title(), dict.len())];
    lines.extend(dict.iter().map(|(name, tensor)| format!("  {name}: {} {}", shape_of(tensor.shape()), tensor.dtype())));
    let describe = |(name, tensor): (&str, &Tensor)| json!({ "name": name, "shape": tensor.shape(), "dtype": tensor.dtype() });
    let tensors: Vec<Value> = dict.iter().map(describe).collect();
    Findings::new(lines, json!({ "kind": "state_dict", "format": kind.title(), "values": values, "tensors": tensors }))
}

fn program_or_results(path: &Path) -> Result<Findings> {
    let text = intake::text(path, JSON)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| Error::format(path, format!("not JSON: {error}")))?;
    if value.get("nodes").is_some() {
        return Ok(program(path, &text));
    }
    let provenance = value.get("provenance").cloned().unwrap_or(Value::Null);
    let parts: Vec<&String> = value.as_object().into_iter().flat_map(|parts| parts.keys()).collect();
    let told = json!({ "kind": "results", "parts": parts, "provenance": provenance });
    if let Ok(study) = serde_json::from_str::<StudyResults>(&text) {
        return Ok(Findings::new(study_lines(path, &study), json!({ "kind": "study", "parts": parts, "provenance": provenance })));
    }
    let mut lines = vec![format!("{}: results in JSON, neither a program nor a study of this version", path.display())];
    for (name, part) in value.as_object().into_iter().flatten() {
        lines.push(format!("  {name}{}", briefly(part)));
        // Where results come from is shown one step deeper: that is what one inspects them for.
        let within = part.as_object().into_iter().flatten().filter(|_| name == "provenance");
        lines.extend(within.map(|(name, part)| format!("    {name}{}", briefly(part))));
    }
    Ok(Findings::new(lines, told))
}

/// What a part of a JSON file holds, for people.
fn briefly(part: &Value) -> String {
    match part {
        Value::Array(items) => format!(": {} entries", items.len()),
        Value::Object(items) => format!(": {}", items.keys().cloned().collect::<Vec<_>>().join(", ")),
        Value::String(text) => format!(": {text}"),
        Value::Number(value) => format!(": {}", value.as_f64().map_or_else(|| value.to_string(), number)),
        plain => format!(": {plain}"),
    }
}

/// A study for people: what it was made from, what its networks err by, and what is to be minded.
fn study_lines(path: &Path, study: &StudyResults) -> Vec<String> {
    let made = &study.provenance;
    let mut lines = vec![format!(
        "{}: a study of {} ECGs (source: {}), {} networks that look at {} ECGs, {} ECGs with heatmaps",
        path.display(),
        study.data.ecgs,
        study.data.source,
        study.targets.len(),
        study.input,
        study.ecgs.ids.len()
    )];
    lines.push(format!("  made by {}, seed {}: {}", made.version, made.seed, made.command));
    lines.push(format!("  methods are ranked {}", named(study.scoring)));
    for target in &study.targets {
        let (name, unit) = (target.target.title(), target.target.error_unit());
        let Some(test) = target.split("test") else { continue };
        let exact = test.exact.map_or_else(String::new, |e| format!(", MAE against exact values {} {unit}", number(e.mae)));
        let beside = words_for_the_mean(test.mae, test.mae_of_mean, unit);
        lines.push(format!(
            "  {name}: test MAE {} {unit}, RMSE {} {unit} on {} ECGs{exact}; {beside}",
            number(test.mae),
            number(test.rmse),
            test.n
        ));
    }
    lines.extend(made.settings.iter().map(|(name, value)| format!("  {name}: {value}")));
    lines.extend(made.digests.iter().map(|(name, digest)| format!("  {name} {digest}")));
    lines.extend(warnings(study).into_iter().map(|warning| format!("  Note: {warning}")));
    lines
}

/// Settings of a training for people.
fn in_words(settings: &TrainSettings) -> String {
    let TrainSettings { epochs, batch, learning_rate, schedule, standardise, seed, further } = settings;
    let further = Some(further.to_string()).filter(|words| !words.is_empty()).map_or_else(String::new, |words| format!(", {words}"));
    let standardised = if *standardise { "standardised while training" } else { "raw values" };
    format!(
        "settings: {epochs} epochs of batches of {batch}, learning rate {learning_rate} ({schedule}), {standardised}, seed {seed}{further}"
    )
}

/// A shape as people write it.
fn shape_of(shape: &[usize]) -> String {
    if shape.is_empty() { "one value".into() } else { sizes(shape) }
}

/// A program, or everything that is wrong with it.
fn program(path: &Path, text: &str) -> Findings {
    match parse_program(text) {
        Ok(program) => {
            let mut lines = vec![format!("{}: a program of {} nodes", path.display(), program.nodes().len())];
            lines.extend(program.to_string().lines().map(|line| format!("  {line}")));
            Findings { lines, value: json!({ "kind": "program", "program": program }), failed: None }
        }
        Err(faults) => {
            let count = format!("{} fault{}", faults.len(), if faults.len() == 1 { "" } else { "s" });
            let mut lines = vec![format!("{}: a program with {count}", path.display())];
            lines.extend(faults.iter().map(|fault| format!("  {fault}")));
            let all: Vec<Value> =
                faults.iter().map(|fault| json!({ "line": fault.line, "column": fault.column, "fault": fault.what })).collect();
            Findings { lines, value: json!({ "kind": "program", "faults": all }), failed: Some(format!("not a valid program: {count}")) }
        }
    }
}

/// The program that an ONNX file is taken as.
#[cfg(feature = "onnx")]
fn onnx(path: &Path) -> Result<Findings> {
    let network: Network<f32> = crate::nn::onnx::read(path)?;
    let program = network.program();
    let (nodes, values) = (program.nodes().len(), program.trainable_size());
    let mut lines = vec![format!("{}: an ONNX network, taken as {nodes} nodes with {values} trainable values", path.display())];
    lines.extend(program.to_string().lines().map(|line| format!("  {line}")));
    Ok(Findings::new(lines, json!({ "kind": "onnx", "trainable_values": values, "program": program })))
}

fn model(path: &Path, model: &Model) -> Findings {
    let program = model.network.program();
    let predicts = model.target.map_or("a target it does not name".into(), |target| format!("{} in {}", target.title(), target.unit()));
    let input = model.input.map_or("an input it does not name", |input| input.name());
    let mut lines = vec![format!("{}: a cardiograd model that predicts {predicts} from {input}", path.display())];
    if let Some(made) = &model.provenance {
        let settings = &made.settings;
        let weights = match made.weights {
            Weights::Best => "the best",
            Weights::Last => "the last",
        };
        lines.push(format!(
            "  trained by {}, {} epochs of which {} was the best on the validation part; weights of {weights}",
            made.version,
            made.epochs.len(),
            made.best_epoch + 1
        ));
        lines.push(format!("  {}", in_words(settings)));
        lines.extend(model.target.and_then(|target| made.calibration_in_words(target)).map(|added| format!("  calibrated: {added}")));
        if !made.dataset.is_empty() {
            lines.push(format!("  on the dataset {}", made.dataset));
        }
        let several = made.outputs.iter().map(|output| (Some(output.target), &output.metrics));
        let all = several.chain([(model.target, &made.metrics)]);
        for (target, m) in all.flat_map(|(target, metrics)| metrics.iter().map(move |m| (target, m))) {
            let unit = target.map_or("", Target::error_unit);
            let what = if made.outputs.is_empty() { String::new() } else { target.map_or_else(String::new, |t| format!("{t}, ")) };
            let [mae, rmse] = [m.mae, m.rmse].map(number);
            let beside = words_for_the_mean(m.mae, m.mae_of_mean, unit);
            lines.push(format!("  {what}{}: MAE {mae} {unit}, RMSE {rmse} {unit} on {} ECGs; {beside}", m.part, m.n));
        }
    }
    lines.extend(program.to_string().lines().map(|line| format!("  {line}")));
    let plan = model.input.map(|input| model.network.plan_text(&[12, input.samples()]));
    lines.extend(plan.iter().flat_map(|plan| plan.lines().next()).map(|summary| format!("  {summary}")));
    let value = json!({
        "plan": plan,
        "kind": "model", "target": model.target, "unit": model.unit(), "input": model.input, "provenance": model.provenance,
        "trainable_values": program.trainable_size(), "program": program,
    });
    Findings::new(lines, value)
}
