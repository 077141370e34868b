//! `cardiograd export`: a heatmap as an ONNX graph that needs no program of ours.

use super::method_options::{MethodOptions, Precision};
use super::outputs::{Column, of_column, one_column};
use super::places::{Output, Places};
use super::provenance::forget;
use super::{Globals, print};
use crate::atomic::{self, OutputLock};
use crate::attribution::Method;
use crate::attribution::catalogue::able;
use crate::export::{about, heatmap};
use crate::files::digest::sha256_file;
use crate::nn::{double, load_model};
use crate::tape::Op;
use crate::{Error, Result};
use std::path::PathBuf;

/// Arguments of `cardiograd export`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The model: the project's own file, an ONNX file, or a PyTorch state dict with --arch.
    #[arg(value_parser = super::models::model_path)]
    model: PathBuf,
    /// The method: saliency, inputxgradient, deeplift, integrated_gradients, deconvolution, guided_backprop, gradcam, guided_gradcam or an lrp_….
    #[arg(long, short)]
    method: Method,
    /// What to write.
    #[arg(long, short, value_name = "MAP.onnx")]
    output: PathBuf,
    /// The network of a state dict: stevennet, standardconv or a program file (.json).
    #[arg(long)]
    arch: Option<String>,
    /// Samples of the ECGs that the graph explains [default: those that the model looks at].
    #[arg(long, value_name = "SAMPLES")]
    length: Option<usize>,
    /// Which output, from 0 or by its name, of a network with several.
    #[arg(long, value_name = "K|NAME")]
    column: Option<Column>,
    /// The numbers of the graph. In f64, where two engines agree to 1e-9 under every method, convolutions are written as look-ups and products, which
    /// engines have in f64, and take more memory and time.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
    #[command(flatten)]
    methods: MethodOptions,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let reads = std::iter::once(self.model.clone()).chain(self.arch.iter().map(PathBuf::from)).collect();
        Places { reads, writes: vec![Output::File(self.output.clone(), &[])] }
    }
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    if !crate::nn::onnx::is_onnx(&args.output) {
        return Err(Error::Usage(format!("{}: a graph is written as .onnx", args.output.display())));
    }
    let _lock = OutputLock::beside(&args.output)?;
    let model = load_model(&args.model, args.arch.as_deref())?;
    let program = model.network.program();
    let main = program.ecg_input()?;
    let sizes = |at: usize| match &program.node(program.inputs()[at]).op {
        Op::Input { shape } => shape.clone(),
        _ => Vec::new(),
    };
    let [Some(channels), own] = sizes(main)[..] else {
        return Err(Error::Program(format!("the network's input is {:?}, (C, L) of a fixed number of leads is wanted", sizes(main))));
    };
    let samples = args
        .length
        .or(own)
        .or(model.input.map(crate::dataset::InputKind::samples))
        .ok_or_else(|| Error::Usage(format!("{} does not say how long its ECGs are: --length SAMPLES", args.model.display())))?;
    let column = one_column(&model, &[channels, samples], args.column.as_ref())?;
    let settings = of_column(&args.methods.settings(&model, 0, samples)?, column);
    able(&[args.method], true, [program], &settings)?;
    let mut known = about(args.method, &settings, model.unit());
    known.push(("model", format!("sha256:{}", sha256_file(&args.model)?)));
    known.extend(model.target.map(|target| ("target", target.to_string())));
    let bytes = match args.precision {
        Precision::F32 => heatmap(&model.network, args.method, &settings, (channels, samples), &known)?,
        Precision::F64 => heatmap(&double(&args.model, &model)?, args.method, &settings, (channels, samples), &known)?,
    };
    forget(&args.output)?;
    atomic::write(&args.output, &bytes)?;
    if globals.quiet {
        return Ok(());
    }
    let recipe = args.method.row().recipe::<f32>(program, &settings);
    let beside: Vec<&str> =
        program.inputs().into_iter().enumerate().filter(|(at, _)| *at != main).map(|(_, id)| program.node(id).name.as_str()).collect();
    let own = |what: &str| -> Vec<String> {
        std::iter::once(what.to_owned()).chain(beside.iter().map(|name| format!("{what}.{name}"))).collect()
    };
    let mut inputs: Vec<String> = std::iter::once("ecg").chain(beside.iter().copied()).map(str::to_owned).collect();
    if recipe.compares(program, &settings) {
        inputs.extend(own("baseline"));
    }
    let maps = if recipe.covers_beside(program, &settings) { own("map") } else { vec!["map".into()] };
    if globals.json {
        let outputs: Vec<&str> = std::iter::once("prediction").chain(maps.iter().map(String::as_str)).collect();
        return print(serde_json::json!({ "output": args.output, "method": args.method, "inputs": inputs, "outputs": outputs,
            "channels": channels, "samples": samples }));
    }
    let (inputs, maps) = (inputs.join(" and "), maps.join(" and "));
    print(format!("{}: {inputs} ({channels} × {samples}) → prediction and {maps} by {}", args.output.display(), args.method))
}
