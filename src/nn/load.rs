//! Models from any file that holds one: our own, ONNX, or a PyTorch state dict with the network it belongs to.

use super::architectures::{ARCHITECTURES, architecture};
use super::model_file::Model;
use super::program_file::{in_one_line, parse_program, program_text};
use crate::files::state_dict::{self, StateDict, Tensor as StoredTensor, Values};
use crate::tape::{Network, OpKind, Parameters, Program, from_vec, slice};
use crate::{Error, Result};
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
    let program = load_program(arch)?;
    let parameters = bind(&program, &dict).map_err(|problem| Error::format(path, problem))?;
    let network = Network::new(program, parameters).map_err(|error| Error::format(path, format!("not the network '{arch}': {error}")))?;
    Ok(Model::new(network))
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

/// The state dict's tensors as parameters of a program; the counters that PyTorch keeps beside running averages are left out.
fn bind(program: &Program, dict: &StateDict) -> std::result::Result<Parameters<f32>, String> {
    if !dict.is_empty() && dict.iter().all(|(name, _)| name.starts_with("module.")) && program.find("module").is_none() {
        return Err("its names begin with 'module.' (torch.nn.DataParallel): save model.module.state_dict()".into());
    }
    let is_norm = |name: &str| program.find(name).is_some_and(|id| program.node(id).op.kind() == OpKind::BatchNorm);
    let counter = |name: &str| name.strip_suffix(".num_batches_tracked").is_some_and(is_norm);
    let mut parameters = Parameters::new();
    for (name, tensor) in dict.iter().filter(|(name, _)| !counter(name)) {
        parameters.insert(current_name(program, name), from_vec(tensor.shape(), tensor.to_f32()));
    }
    Ok(parameters)
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
