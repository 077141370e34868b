//! Networks as ONNX files (opsets 9 to 24; PyTorch's exporters of both kinds): read into programs, and written from them.
//!
//! A file is taken whole or not at all. What cannot be taken is named with its node and its op, every one of them at once; nothing of a file is executed,
//! and no other file is read than tensors in the model's own folder.

mod attributes;
pub(crate) mod builder;
mod constant;
mod einsum;
mod general;
mod graph;
mod limits;
mod lower;
mod padding;
mod proto;
mod recurrent;
mod sliding;
mod tensor;
mod turned;
pub(crate) mod unfolded;
pub(crate) mod write;

pub(crate) use proto::AttributeProto as Attribute;
pub use write::to_bytes;

use crate::intake::{self, Most};
use crate::tape::{Network, Node, Op, Program, Real};
use crate::{Error, Result};
use prost::Message;
use std::path::Path;

/// Files beyond this are refused unread.
const LARGEST: Most = Most { bytes: 1 << 31, of: "an ONNX model" };
/// The versions of ONNX's operators whose meaning is known here.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=24;
/// Lengths that are tried for a network that leaves its own open, in samples: those of median beats and of 10 s at the usual rates.
const LENGTHS: [usize; 6] = [600, 5000, 1000, 2500, 4096, 10_000];
/// Faults that a message lists.
const LISTED: usize = 4;

/// Whether a path is one of an ONNX file, by its extension: the format has no mark of its own.
pub fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

/// The network of an ONNX file: one input (N, C, L) and perhaps others beside it, one output (N, K). Weights of any precision become f32.
///
/// # Errors
/// [`Error::Format`] naming what cannot be taken; [`Error::Io`].
pub fn read(path: impl AsRef<Path>) -> Result<Network<f32>> {
    read_in(path)
}

/// The same in either precision: what a file has in f64 is whole in f64.
///
/// # Errors
/// As [`read`].
pub fn read_in<T: Real>(path: impl AsRef<Path>) -> Result<Network<T>> {
    let path = path.as_ref();
    let bytes = intake::read(path, LARGEST)?;
    // A bare name lies in the current folder; no name at all is that of none.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    network(&bytes, folder).map_err(|problem| Error::format(path, problem))
}

/// The network of an ONNX model in memory, all of whose tensors lie in it; `name` is for messages.
///
/// # Errors
/// [`Error::Format`] naming what cannot be taken.
pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Network<f32>> {
    if bytes.len() as u64 > LARGEST.bytes {
        return Err(Error::format(name, format!("{} bytes: {} has at most {}", bytes.len(), LARGEST.of, LARGEST.bytes)));
    }
    network(bytes, Path::new("")).map_err(|problem| Error::format(name, problem))
}

/// The network of an ONNX model; `folder` is where its external data lie, empty where there can be none.
fn network<T: Real>(bytes: &[u8], folder: &Path) -> std::result::Result<Network<T>, String> {
    limits::check(bytes)?;
    let model = proto::ModelProto::decode(bytes).map_err(|error| format!("not an ONNX model: {error}"))?;
    let graph = model.graph.as_ref().ok_or("not an ONNX model: it has no graph")?;
    let opset = model.opset_import.iter().find(|set| ["", "ai.onnx"].contains(&set.domain.as_str())).map_or(1, |set| set.version);
    if !OPSETS.contains(&opset) {
        return Err(format!("its opset is {opset}, {} to {} are read: export with opset_version=17", OPSETS.start(), OPSETS.end()));
    }
    if let Some(function) = model.functions.first() {
        return Err(format!("it defines functions of its own ('{}'): export with them put in line (onnx.inliner)", function.name));
    }
    let mut first = None;
    for samples in LENGTHS {
        match graph::network(graph, folder, samples) {
            Ok(network) => return of_any_length(network, samples, || graph::network(graph, folder, 2 * samples)),
            Err(faults) => {
                first.get_or_insert(faults);
            }
        }
    }
    let faults = first.unwrap_or_default();
    let more = faults.len().saturating_sub(LISTED);
    let listed = faults.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join("; ");
    Err(if more == 0 { listed } else { format!("{} nodes cannot be taken: {listed}; and {more} more", faults.len()) })
}

/// A network that leaves its ECG's length open, if it means the same at another length; else of the length that it was read for. A graph may count from one
/// end of a signal what stands at the other ("all from sample 599 on"), which is another sample in a longer one.
fn of_any_length<T: Real>(
    network: Network<T>,
    samples: usize,
    at_another: impl FnOnce() -> std::result::Result<Network<T>, Vec<String>>,
) -> std::result::Result<Network<T>, String> {
    let open = |node: &Node| matches!(&node.op, Op::Input { shape } if shape.contains(&None));
    if !network.program().nodes().iter().any(open) || at_another().is_ok_and(|other| other.program() == network.program()) {
        return Ok(network);
    }
    let fixed = |node: &Node| match &node.op {
        Op::Input { shape } => Node { op: Op::Input { shape: shape.iter().map(|size| size.or(Some(samples))).collect() }, ..node.clone() },
        _ => node.clone(),
    };
    let nodes = network.program().nodes().iter().map(fixed).collect();
    let program = Program::new(nodes, network.program().output()).map_err(|error| error.to_string())?;
    Network::new(program, network.parameters()).map_err(|error| error.to_string())
}
