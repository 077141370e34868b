//! `cardiograd convert`: models between PyTorch's formats, ONNX and the project's own; recordings to WFDB, CSV and NumPy.

use super::convert_recording;
use super::measure::Said;
use super::places::{Output, Places};
use super::provenance::forget;
use super::{Globals, print};
use crate::dataset::{InputKind, Target};
use crate::files::atomic::{self, OutputLock};
use crate::files::state_dict;
use crate::nn::{Model, Storage, load_model, onnx, to_state_dict};
use crate::{Error, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd convert`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A model of ours, an ONNX file (.onnx), a PyTorch state dict (.pt, .safetensors) or the generator's wheel; or a recording.
    #[arg(value_parser = super::models::model_path)]
    input: PathBuf,
    /// What to write, by its extension: .pt, .safetensors, .onnx, .cgm (our own), or .json (the program alone); of a recording .hea (WFDB), .csv or .npy.
    output: PathBuf,
    /// The network that a state dict belongs to.
    #[arg(long, value_name = "stevennet|standardconv|PROGRAM.json")]
    arch: Option<String>,
    /// What the network predicts, to be noted in a .cgm.
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// How a .cgm stores weights: f32, or f16 for half the size (parameters of more than 4096 values rounded to 11 bits).
    #[arg(long, value_name = "f32|f16")]
    weights: Option<Storage>,
    /// What the network looks at, to be noted in a .cgm.
    #[arg(long = "input", value_name = "median|rhythm")]
    kind: Option<String>,
    #[command(flatten)]
    said: Said,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let reads = std::iter::once(self.input.clone()).chain(self.arch.iter().map(PathBuf::from)).collect();
        let writes = convert_recording::files(&self.output).into_iter().map(|path| Output::File(path, &[])).collect();
        Places { reads, writes }
    }
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let target = args.target.as_deref().map(str::parse::<Target>).transpose()?;
    let kind = args.kind.as_deref().map(str::parse::<InputKind>).transpose()?;
    let extension = args.output.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if extension != "cgm" && (target.is_some() || kind.is_some()) {
        return Err(Error::Usage("--target and --input are noted in our own model file only: name it OUT.cgm".into()));
    }
    if extension != "cgm" && args.weights.is_some() {
        return Err(Error::Usage("--weights is for our own model file only: name it OUT.cgm".into()));
    }
    if convert_recording::is_recording(&args.output) {
        // The header and the samples are one recording: nobody else may write either.
        let _locks = convert_recording::files(&args.output).iter().map(OutputLock::beside).collect::<Result<Vec<_>>>()?;
        return convert_recording::run(&args.input, &args.output, &args.said, globals);
    }
    let _lock = OutputLock::beside(&args.output)?;
    let tensors = match extension {
        "pt" | "pth" | "safetensors" => convert_weights(args)?,
        "cgm" => {
            let mut model = load_model(&args.input, args.arch.as_deref())?;
            model.target = agreed("target", model.target, target)?;
            model.input = agreed("input", model.input, kind)?;
            forget(&args.output)?;
            model.save_as(&args.output, args.weights.unwrap_or_default())?;
            model.network.program().parameters().len()
        }
        "onnx" => write_onnx(&args.output, &load_model(&args.input, args.arch.as_deref())?)?,
        "json" => write_program(&args.output, &load_model(&args.input, args.arch.as_deref())?)?,
        _ => {
            let text = format!(
                "{}: the extension of what to write is .pt, .safetensors, .onnx, .cgm or .json, of a recording .hea, .csv or .npy",
                args.output.display()
            );
            return Err(Error::Usage(text));
        }
    };
    match (globals.quiet, globals.json) {
        (true, _) => Ok(()),
        (_, true) => print(format_args!("{:#}", json!({ "path": args.output, "tensors": tensors }))),
        _ => print(format_args!("{}: {tensors} tensors", args.output.display())),
    }
}

/// Weights to weights. A state dict passes as it is, types and all; with `--arch` it is first checked against the network.
fn convert_weights(args: &Args) -> Result<usize> {
    let dict = if Model::is_model_file(&args.input)? || onnx::is_onnx(&args.input) {
        to_state_dict(&load_model(&args.input, args.arch.as_deref())?.network)?
    } else {
        if args.arch.is_some() {
            load_model(&args.input, args.arch.as_deref())?;
        }
        state_dict::read(&args.input)?
    };
    forget(&args.output)?;
    state_dict::write(&args.output, &dict)?;
    Ok(dict.len())
}

fn write_program(path: &Path, model: &Model) -> Result<usize> {
    let program = model.network.program();
    let mut text = serde_json::to_vec_pretty(program).map_err(|error| Error::format(path, error.to_string()))?;
    text.push(b'\n');
    forget(path)?;
    atomic::write(path, &text)?;
    Ok(program.parameters().len())
}

/// A network as ONNX; what is known of the model stands in it as properties.
fn write_onnx(path: &Path, model: &Model) -> Result<usize> {
    let mut about = Vec::new();
    about.extend(model.target.map(|target| ("cardiograd.target", target.to_string())));
    about.extend(model.target.map(|target| ("cardiograd.unit", target.unit().to_owned())));
    about.extend(model.input.map(|input| ("cardiograd.input", input.to_string())));
    let bytes = onnx::to_bytes(&model.network, &about)?;
    forget(path)?;
    atomic::write(path, &bytes)?;
    Ok(model.network.program().parameters().len())
}

/// What the file says and what the user says must not differ.
fn agreed<T: PartialEq + std::fmt::Display + Copy>(what: &str, file: Option<T>, asked: Option<T>) -> Result<Option<T>> {
    match (file, asked) {
        (Some(file), Some(asked)) if file != asked => {
            Err(Error::Usage(format!("the model's {what} is {file}: it cannot be noted as {asked}")))
        }
        _ => Ok(asked.or(file)),
    }
}
