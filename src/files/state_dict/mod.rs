//! Weights under names, as PyTorch keeps them: `.pt` (zip and legacy), `.safetensors`, and the wheel of the Pulse2pulse generator.
//!
//! What a file is, is decided by its first bytes, never by its extension. Nothing in a file is executed: pickles go through an
//! allow-list reader (`pickle.rs`) that knows tensors in dictionaries and refuses all else.

mod pickle;
mod safetensors;
mod storage;
mod torch;
mod torch_writer;

use super::{archive, atomic};
use crate::intake::{self, Most};
use crate::{Error, Result, shape};
use std::collections::BTreeMap;
use std::path::Path;

/// Files beyond this are refused unread: they are kept in memory, and the weights of the networks that run here take some megabytes.
const LARGEST: Most = Most { bytes: 1 << 32, of: "a file of weights" };

/// The numbers of a tensor in C order. Half-precision files are widened to f32, integers and booleans to i64.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// float32 (also from float16 and bfloat16).
    F32(Vec<f32>),
    /// float64.
    F64(Vec<f64>),
    /// Any integer type, e.g. `num_batches_tracked`.
    I64(Vec<i64>),
}

/// A tensor: its shape (empty for a single number) and as many values as that asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    values: Values,
}

impl Tensor {
    /// A tensor from its parts.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of values is not that of the shape, or the shape is too large for any memory ([`shape::elements`]).
    pub fn new(shape: Vec<usize>, values: Values) -> Result<Self> {
        let (count, size) = match &values {
            Values::F32(values) => (values.len(), 4),
            Values::F64(values) => (values.len(), 8),
            Values::I64(values) => (values.len(), 8),
        };
        match shape::elements(&shape, size) {
            Some(elements) if elements == count => Ok(Tensor { shape, values }),
            Some(_) => Err(Error::shape("tensor", &shape, count)),
            None => Err(Error::Shape { at: "tensor".into(), expected: "that fits in memory".into(), found: format!("{shape:?}") }),
        }
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values in the type of the file.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The name of the element type, as PyTorch spells it.
    pub fn dtype(&self) -> &'static str {
        match self.values {
            Values::F32(_) => "float32",
            Values::F64(_) => "float64",
            Values::I64(_) => "int64",
        }
    }

    /// The values as f32, rounded to nearest.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.values {
            Values::F32(values) => values.clone(),
            Values::F64(values) => values.iter().map(|&v| v as f32).collect(),
            Values::I64(values) => values.iter().map(|&v| v as f32).collect(),
        }
    }

    /// The values as f64, exact up to integers beyond 2⁵³.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.values {
            Values::F32(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Values::F64(values) => values.clone(),
            Values::I64(values) => values.iter().map(|&v| v as f64).collect(),
        }
    }

    /// The bytes in little-endian order.
    fn to_bytes(&self) -> Vec<u8> {
        match &self.values {
            Values::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::F64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::I64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}

/// Tensors under names, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateDict {
    entries: Vec<(String, Tensor)>,
    index: BTreeMap<String, usize>,
}

impl StateDict {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor at the end.
    ///
    /// # Errors
    /// [`Error::Parameters`] if the name is taken.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Result<()> {
        let name = name.into();
        if self.index.contains_key(&name) {
            return Err(Error::Parameters(format!("two tensors called '{name}'")));
        }
        self.index.insert(name.clone(), self.entries.len());
        self.entries.push((name, tensor));
        Ok(())
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.index.get(name).map(|&i| &self.entries[i].1)
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The kinds of file that hold a state dict, by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `torch.save` since PyTorch 1.6: a zip archive.
    TorchZip,
    /// `torch.save` before that: several pickles and the raw storages.
    TorchLegacy,
    /// safetensors.
    Safetensors,
    /// A Python wheel that carries `g_stat.pt`.
    Wheel,
}

impl Kind {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Kind::TorchZip => "PyTorch state dict (zip)",
            Kind::TorchLegacy => "PyTorch state dict (legacy pickle)",
            Kind::Safetensors => "safetensors",
            Kind::Wheel => "PyTorch state dict in a Python wheel",
        }
    }
}

/// Reads a state dict from any file that holds one.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] for a file that is not one, is damaged, or holds anything but tensors in dictionaries
/// (with a hint how to save it instead).
pub fn read(path: impl AsRef<Path>) -> Result<StateDict> {
    Ok(read_kind(path)?.1)
}

/// Reads a state dict and says what kind of file it was.
///
/// # Errors
/// As [`read`].
pub fn read_kind(path: impl AsRef<Path>) -> Result<(Kind, StateDict)> {
    let path = path.as_ref();
    read_bytes(path, &intake::read(path, LARGEST)?)
}

/// Reads a state dict from memory; `path` names it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(path: &Path, bytes: &[u8]) -> Result<(Kind, StateDict)> {
    read_any(path, bytes).map_err(|error| error.of_file(path))
}

fn read_any(path: &Path, bytes: &[u8]) -> Result<(Kind, StateDict)> {
    if !bytes.starts_with(archive::MAGIC) {
        return read_flat(path, bytes);
    }
    let mut zip = archive::in_memory(path, bytes)?;
    let entry = |wanted: &dyn Fn(&str) -> bool| zip.names().iter().find(|name| wanted(name)).cloned();
    if let Some(pickle) = entry(&|name| name == "data.pkl" || name.ends_with("/data.pkl")) {
        let prefix = pickle.trim_end_matches("data.pkl").to_owned();
        return Ok((Kind::TorchZip, torch::read_zip(path, &mut zip, &prefix)?));
    }
    if let Some(weights) = entry(&|name| name.rsplit('/').next() == Some("g_stat.pt")) {
        let inside = path.join(&weights);
        let bytes = zip.read(&weights, u64::MAX)?;
        // Not back through this function: a wheel within a wheel would recurse.
        let dict = if bytes.starts_with(archive::MAGIC) {
            let mut zip = zip.nested(&inside, &bytes)?;
            let prefix = zip.names().iter().find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
            torch::read_zip(&inside, &mut zip, &prefix.ok_or_else(|| Error::format(&inside, "not written by torch.save"))?)?
        } else {
            read_flat(&inside, &bytes)?.1
        };
        return Ok((Kind::Wheel, dict));
    }
    let text = "a zip archive without data.pkl (a PyTorch file) or g_stat.pt (the Pulse2pulse wheel): no weights in it";
    Err(Error::format(path, text))
}

/// What is not a zip archive.
fn read_flat(path: &Path, bytes: &[u8]) -> Result<(Kind, StateDict)> {
    if torch::is_legacy(bytes) {
        return Ok((Kind::TorchLegacy, torch::read_legacy(path, bytes)?));
    }
    if safetensors::is_safetensors(bytes) {
        return Ok((Kind::Safetensors, safetensors::read(path, bytes)?));
    }
    let text = match bytes {
        [] => "is empty",
        [0x80, ..] => "a pickle that torch.save did not write: save with torch.save(model.state_dict(), FILE)",
        _ => "neither a PyTorch state dict (.pt) nor .safetensors: save with torch.save(model.state_dict(), FILE)",
    };
    Err(Error::format(path, text))
}

/// Writes `.safetensors`, or for the extensions `.pt` and `.pth` a zip that `torch.load(weights_only=True)` reads.
///
/// # Errors
/// [`Error::Usage`] for any other extension, [`Error::Io`].
pub fn write(path: impl AsRef<Path>, dict: &StateDict) -> Result<()> {
    let path = path.as_ref();
    match path.extension().and_then(|e| e.to_str()) {
        Some("safetensors") => atomic::write(path, &safetensors::bytes(path, dict)?),
        Some("pt" | "pth") => torch_writer::write(path, dict),
        _ => Err(Error::Usage(format!("{}: weights are written to .safetensors or .pt", path.display()))),
    }
}
