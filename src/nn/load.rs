//! Models from any file that holds one: our own, ONNX, or a PyTorch state dict with the network it belongs to.

use super::architectures::{ARCHITECTURES, architecture};
use super::model_file::Model;
use super::program_file::{in_one_line, parse_program, program_text};
use crate::files::state_dict::{self, StateDict, Tensor as StoredTensor, Values};
use crate::tape::{Network, OpKind, Parameters, Program, from_vec, slice};
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The model in a file: the project's own, an ONNX file (`.onnx`), or a PyTorch state dict (`.pt` in either format, `.safetensors`) of the network
/// `arch`, a name of [`ARCHITECTURES`] or a program file (`.json`).
///
/// # Errors
/// [`Error::Usage`] if `arch` is needed and missing, unknown, or contradicts the file; [`Error::Format`] if the file is no model, or its
/// tensors are not those of the network; [`Error::Io`].
pub fn load_model(path: impl AsRef<Path>, arch: Option<&str>) -> Result<Model> {
    let path = path.as_ref();
    if Model::is_model_file(path)? {
        let model = Model::load(path)?;
        return match arch {
            Some(arch) if load_program(arch)? != *model.network.program() => {
                Err(Error::Usage(format!("{} holds its own network, which is not '{arch}': leave --arch out", path.display())))
            }
            _ => Ok(model),
        };
    }
    #[cfg(feature = "onnx")]
    if super::onnx::is_onnx(path) {
        return match arch {
            Some(_) => Err(Error::Usage(format!("{} holds its own network: leave --arch out", path.display()))),
            None => super::onnx::read(path).map(Model::new),
        };
    }
    let (kind, dict) = state_dict::read_kind(path)?;
    let Some(arch) = arch else {
        let names = ARCHITECTURES.join("|");
        return Err(Error::Usage(format!("{}: a {} needs its network: --arch {names}|PROGRAM.json", path.display(), kind.title())));
    };
    from_state_dict(&dict, arch, path)
}

/// The model of a state dict and the network `arch` that it belongs to, as for [`load_model`]; `path` is for messages.
///
/// # Errors
/// As [`load_model`].
pub fn from_state_dict(dict: &StateDict, arch: &str, path: impl AsRef<Path>) -> Result<Model> {
    let path = path.as_ref();
    let program = load_program(arch)?;
    let parameters = bind(&program, dict).map_err(|problem| Error::format(path, format!("not the network '{arch}': {problem}")))?;
    let network = Network::new(program, parameters).map_err(|error| Error::format(path, format!("not the network '{arch}': {error}")))?;
    Ok(Model::new(network))
}

/// A loaded model's network in f64: weights that its file has in f64 whole, others widened.
///
/// # Errors
/// As [`load_model`].
pub fn double(path: impl AsRef<Path>, model: &Model) -> Result<Network<f64>> {
    #[cfg(feature = "onnx")]
    if super::onnx::is_onnx(path.as_ref()) {
        return super::onnx::read_in(path);
    }
    let _ = path;
    Ok(model.network.cast())
}

/// The program of a name of [`ARCHITECTURES`], or of a JSON file.
///
/// # Errors
/// [`Error::Usage`] for what is neither; [`Error::Format`] for a file that holds no program; [`Error::Io`].
pub fn load_program(arch: &str) -> Result<Program> {
    let path = Path::new(arch);
    if ARCHITECTURES.contains(&arch) || !(path.exists() || path.extension().is_some_and(|extension| extension == "json")) {
        return architecture(arch)
            .map_err(|_| Error::Usage(format!("unknown network '{arch}': a program file (.json), or one of {}", ARCHITECTURES.join(" "))));
    }
    let faulty = |faults: Vec<_>| Error::format(path, format!("not a program: {}", in_one_line(&faults)));
    parse_program(&program_text(path)?).map_err(faulty)
}

/// The state dict's tensors as parameters of a program, whatever stands before all of their names (`module.` of DataParallel, `model.` of Lightning and of
/// modules within modules); the counters that PyTorch keeps beside running averages are left out.
fn bind(program: &Program, dict: &StateDict) -> std::result::Result<Parameters<f32>, String> {
    let prefix = Prefix::of(program, dict)?;
    let is_norm = |name: &str| program.find(name).is_some_and(|id| program.node(id).op.kind() == OpKind::BatchNorm);
    let counter = |name: &str| name.strip_suffix(".num_batches_tracked").is_some_and(is_norm);
    let mut parameters = Parameters::new();
    let (mut matched, mut left_over) = (Vec::new(), Vec::new());
    for (name, tensor) in dict.iter() {
        let own = current_name(program, &prefix.without(name));
        if counter(&own) {
            continue;
        }
        match program.find(&own) {
            Some(id) if program.node(id).op.kind() == OpKind::Parameter => matched.push((name, own.clone())),
            _ => left_over.push(name),
        }
        parameters.insert(own, from_vec(tensor.shape(), tensor.to_f32()));
    }
    let missing: Vec<&str> =
        program.parameters().into_iter().map(|id| program.node(id).name.as_str()).filter(|name| !parameters.contains_key(*name)).collect();
    if missing.is_empty() && left_over.is_empty() {
        return Ok(parameters);
    }
    Err(mismatch(&prefix, &matched, &missing, &left_over))
}

/// What a state dict has before the names of a program's parameters.
enum Prefix {
    /// This, before all of them.
    More(String),
    /// Nothing; instead it lacks this, which all of the program's have.
    Less(String),
}

impl Prefix {
    /// The prefix under which most parameters of the program are found, and none at all before any other.
    ///
    /// # Errors
    /// Where two prefixes do equally well: a file of two networks, of which none is meant more than the other.
    fn of(program: &Program, dict: &StateDict) -> std::result::Result<Self, String> {
        let expected: BTreeSet<&str> = program.parameters().into_iter().map(|id| program.node(id).name.as_str()).collect();
        let mut found: BTreeMap<&str, usize> = BTreeMap::from([("", 0)]);
        for (name, _) in dict.iter() {
            let starts = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1));
            for start in starts.filter(|start| expected.contains(current_name(program, &name[*start..]).as_str())) {
                *found.entry(&name[..start]).or_default() += 1;
            }
        }
        let most = found.values().copied().max().unwrap_or(0);
        let best: Vec<&str> = found.iter().filter(|(_, count)| **count == most).map(|(prefix, _)| *prefix).collect();
        if most > 0 {
            return match best[..] {
                [one] => Ok(Prefix::More(one.to_owned())),
                _ if found[""] == most => Ok(Prefix::More(String::new())),
                _ => {
                    let quoted: Vec<String> = best.iter().map(|prefix| format!("'{prefix}'")).collect();
                    Err(format!("it holds the network {} times, under {}: save one of them alone", best.len(), quoted.join(" and ")))
                }
            };
        }
        let first = expected.first().and_then(|name| name.split_once('.')).map(|(first, _)| format!("{first}."));
        let common = first.filter(|first| expected.iter().all(|name| name.starts_with(first)));
        let lacks = common.filter(|common| dict.iter().any(|(name, _)| expected.contains(format!("{common}{name}").as_str())));
        Ok(lacks.map_or_else(|| Prefix::More(String::new()), Prefix::Less))
    }

    /// A name of the state dict as the program has it.
    fn without(&self, name: &str) -> String {
        match self {
            Prefix::More(prefix) => name.strip_prefix(prefix).unwrap_or(name).to_owned(),
            Prefix::Less(prefix) => format!("{prefix}{name}"),
        }
    }

    /// How it is spoken of, if there is one.
    fn words(&self) -> String {
        match self {
            Prefix::More(prefix) if prefix.is_empty() => String::new(),
            Prefix::More(prefix) => format!(" under '{prefix}'"),
            Prefix::Less(prefix) => format!(" without '{prefix}'"),
        }
    }
}

/// What matched what, and what was left over on either side.
fn mismatch(prefix: &Prefix, matched: &[(&str, String)], missing: &[&str], left_over: &[&str]) -> String {
    const FEW: usize = 5;
    let some = |all: Vec<String>| {
        let more = all.len().saturating_sub(FEW);
        let few = all.into_iter().take(FEW).collect::<Vec<_>>().join(", ");
        if more == 0 { few } else { format!("{few} and {more} more") }
    };
    let quoted = |names: &[&str]| some(names.iter().map(|name| format!("'{name}'")).collect());
    let mut parts = Vec::new();
    if !missing.is_empty() {
        let word = if missing.len() == 1 { "parameter" } else { "parameters" };
        parts.push(format!("{word} {} of the network missing from it", quoted(missing)));
    }
    if !left_over.is_empty() {
        parts.push(format!(
            "left over: {}, which {} no place in the network",
            quoted(left_over),
            if left_over.len() == 1 { "has" } else { "have" }
        ));
    }
    let pairs = some(matched.iter().map(|(name, own)| if *name == own { own.clone() } else { format!("{name} → {own}") }).collect());
    let pairs = if pairs.is_empty() { String::new() } else { format!(" ({pairs})") };
    parts.push(format!("{} of its tensors match{}{pairs}", matched.len(), prefix.words()));
    parts.join("; ")
}

/// The name of a tensor in our program. The published StandardConvNet counts one module more before its linear layer, 17 instead of 16.
fn current_name(program: &Program, name: &str) -> String {
    match name.strip_prefix("model.17.") {
        Some(part) if program.find(name).is_none() && program.find("model.16.weight").is_some() => format!("model.16.{part}"),
        _ => name.to_owned(),
    }
}

/// A network's parameters as the state dict of the PyTorch module with these names, which loads it with `strict=True`: batch norms have
/// their counter `num_batches_tracked` (0: with a fixed momentum PyTorch does not use it).
///
/// # Errors
/// None for a network whose names are distinct, as a program's are.
pub fn to_state_dict(network: &Network<f32>) -> Result<StateDict> {
    let program = network.program();
    let mut dict = StateDict::new();
    for id in program.parameters() {
        let value = network.parameter(id);
        dict.insert(program.node(id).name.clone(), StoredTensor::new(value.shape().to_vec(), Values::F32(slice(value).to_vec()))?)?;
        let norm = program.of_kind(OpKind::BatchNorm).into_iter().map(|norm| program.node(norm)).find(|norm| norm.inputs[4] == id);
        if let Some(norm) = norm {
            dict.insert(format!("{}.num_batches_tracked", norm.name), StoredTensor::new(Vec::new(), Values::I64(vec![0]))?)?;
        }
    }
    Ok(dict)
}
