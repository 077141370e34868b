//! Files of `torch.save`: pickled dictionaries whose tensors point into raw storages, in a zip archive or one after another (legacy).
//!
//! Layout: torch/serialization.py (`_save`, `_legacy_save`); the record `('storage', type, key, location, numel)` names a storage.

use super::StateDict;
use super::pickle::{self, Global, Id, Pickle, Value};
use super::storage::{self, Scalar, View};
use crate::files::archive::Archive;
use crate::{Error, Result};
use std::collections::HashMap;
use std::io::{Read, Seek};
use std::path::Path;

/// Legacy files begin with a pickle of this number.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// The number as it lies in that pickle: LONG1 of ten bytes.
const MAGIC_BYTES: &[u8] = &[0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The number stands within so many bytes, whatever the pickle protocol puts before it.
const MAGIC_WITHIN: usize = 32;
/// The keys under which checkpoints nest their state dict.
const NESTED: [&str; 7] = ["state_dict", "model_state_dict", "stat_dict", "model", "network", "net", "weights"];
/// How many times over all tensors together may cover the file: weights are shared by a few layers at most, halves widen twice and
/// booleans eight times.
const COVER: usize = 16;
/// Longer keys of storages are refused: PyTorch writes numbers, and every tensor is looked up by one.
const KEY: usize = 100;

pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(MAGIC_WITHIN)];
    start.first() == Some(&0x80) && start.windows(MAGIC_BYTES.len()).any(|window| window == MAGIC_BYTES)
}

/// One storage: its type and its raw bytes.
struct Storage {
    scalar: Scalar,
    raw: Vec<u8>,
}

pub(super) fn read_zip<R: Read + Seek>(path: &Path, zip: &mut Archive<R>, prefix: &str) -> Result<StateDict> {
    let bad = |problem: String| Error::format(path, problem);
    if zip.names().iter().any(|name| name.strip_prefix(prefix) == Some("constants.pkl")) {
        return Err(bad("a TorchScript program: save model.state_dict() with torch.save instead".into()));
    }
    let order = format!("{prefix}byteorder");
    let big_endian = zip.names().contains(&order) && zip.read(&order, 16)?.trim_ascii() == b"big";
    let text = zip.read(&format!("{prefix}data.pkl"), 64 << 20)?;
    let pickle = whole(&text).map_err(bad)?;
    let entries = tensors(&pickle).map_err(bad)?;
    let mut storages: HashMap<&str, Storage> = HashMap::new();
    for (_, tensor) in &entries {
        if storages.contains_key(tensor.key) {
            continue;
        }
        let raw = zip.read(&format!("{prefix}data/{}", tensor.key), tensor.bytes().map_err(bad)?)?;
        storages.insert(tensor.key, Storage { scalar: tensor.scalar, raw });
    }
    build(path, entries, &storages, big_endian)
}

pub(super) fn read_legacy(path: &Path, bytes: &[u8]) -> Result<StateDict> {
    let bad = |problem: String| Error::format(path, problem);
    let mut rest = bytes;
    let magic = pickle::read(&mut rest).map_err(bad)?;
    if *magic.get(magic.root) != Value::Int(MAGIC) {
        return Err(bad("damaged: its first pickle is not PyTorch's number".into()));
    }
    let version = pickle::read(&mut rest).map_err(bad)?;
    if *version.get(version.root) != Value::Int(1001) {
        return Err(bad("a legacy PyTorch file of an unknown version (1001 is known)".into()));
    }
    let system = pickle::read(&mut rest).map_err(bad)?;
    let big_endian = is_big_endian(&system);
    let pickle = pickle::read(&mut rest).map_err(bad)?;
    let entries = tensors(&pickle).map_err(bad)?;
    let keys = pickle::read(&mut rest).map_err(bad)?;
    let scalars: HashMap<&str, Scalar> = entries.iter().map(|(_, tensor)| (tensor.key, tensor.scalar)).collect();
    let Value::List(order) = keys.get(keys.root) else { return Err(bad("damaged: no list of storages".into())) };
    let mut storages = HashMap::new();
    for &key in order {
        let key = keys.text(key).filter(|key| key.len() <= KEY).ok_or_else(|| bad("damaged: a storage without a key".into()))?;
        let scalar = *scalars.get(key).ok_or_else(|| bad(format!("damaged: no tensor uses storage '{key}'")))?;
        let raw = take_storage(&mut rest, scalar).ok_or_else(|| bad(format!("truncated within storage '{key}'")))?;
        if storages.insert(key, Storage { scalar, raw: raw.to_vec() }).is_some() {
            return Err(bad(format!("damaged: storage '{key}' is there twice")));
        }
    }
    if !rest.is_empty() {
        return Err(bad(format!("{} bytes after the last storage", rest.len())));
    }
    build(path, entries, &storages, big_endian)
}

/// A storage of a legacy file: its number of elements (8 bytes, little-endian), then the elements.
fn take_storage<'a>(rest: &mut &'a [u8], scalar: Scalar) -> Option<&'a [u8]> {
    let (count, data) = rest.split_first_chunk::<8>()?;
    let bytes = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(scalar.size())?;
    let (raw, after) = data.split_at_checked(bytes)?;
    *rest = after;
    Some(raw)
}

fn is_big_endian(system: &Pickle<'_>) -> bool {
    let Value::Dict(items) = system.get(system.root) else { return false };
    items.iter().any(|&(key, value)| system.text(key) == Some("little_endian") && *system.get(value) == Value::Bool(false))
}

/// A pickle that fills `bytes`.
fn whole(bytes: &[u8]) -> std::result::Result<Pickle<'_>, String> {
    let mut rest = bytes;
    let pickle = pickle::read(&mut rest)?;
    if rest.is_empty() { Ok(pickle) } else { Err(format!("{} bytes after the pickle", rest.len())) }
}

/// A tensor under its name.
type Named<'a> = (&'a str, Described<'a>);

/// A tensor as the pickle describes it.
struct Described<'a> {
    key: &'a str,
    scalar: Scalar,
    /// Elements of the storage.
    count: usize,
    /// The part of the storage that a legacy view means: its first element.
    base: usize,
    view: View,
}

impl Described<'_> {
    /// Bytes of the storage.
    fn bytes(&self) -> std::result::Result<u64, String> {
        let bytes = self.count.checked_mul(self.scalar.size()).ok_or_else(|| format!("storage '{}' is impossibly large", self.key))?;
        Ok(bytes as u64)
    }
}

/// The names and tensors of the state dict, wherever in the checkpoint it is.
fn tensors<'a>(pickle: &Pickle<'a>) -> std::result::Result<Vec<Named<'a>>, String> {
    let mut dict = pickle.root;
    // A checkpoint nests once; a cycle of dictionaries must end somewhere.
    for _ in 0..4 {
        let Value::Dict(items) = pickle.get(dict) else {
            return Err(format!("holds {} and not a dictionary of tensors: save model.state_dict()", kind(pickle.get(dict))));
        };
        let nested = NESTED.iter().find_map(|&name| {
            let item = items.iter().find(|(key, _)| pickle.text(*key) == Some(name));
            item.map(|item| item.1).filter(|&value| matches!(pickle.get(value), Value::Dict(_)))
        });
        match nested {
            Some(inner) => dict = inner,
            None => return items.iter().map(|&(key, value)| entry(pickle, key, value)).collect(),
        }
    }
    Err("dictionaries nested too deep".into())
}

fn entry<'a>(pickle: &Pickle<'a>, key: Id, value: Id) -> std::result::Result<Named<'a>, String> {
    let Some(name) = pickle.text(key) else { return Err(format!("a key is {} and not a name", kind(pickle.get(key)))) };
    match pickle.get(value) {
        Value::Tensor(arguments) => {
            let tensor = describe(pickle, arguments).ok_or_else(|| format!("tensor '{name}': its description is damaged"))?;
            Ok((name, tensor.map_err(|problem| format!("tensor '{name}': {problem}"))?))
        }
        other => {
            let known = "a state dict under state_dict, model_state_dict, stat_dict, model, network, net or weights is found";
            Err(format!("'{name}' is {} and not a tensor: save model.state_dict() ({known})", kind(other)))
        }
    }
}

/// `None` for what PyTorch never writes, an error for what is not supported.
fn describe<'a>(pickle: &Pickle<'a>, arguments: &[Id]) -> Option<std::result::Result<Described<'a>, String>> {
    // (storage, storage_offset, size, stride, requires_grad, backward_hooks[, metadata])
    let Value::Persistent(record) = pickle.get(arguments[0]) else { return None };
    let Value::Tuple(record) = pickle.get(*record) else { return None };
    // ('storage', type, key, location, numel[, view])
    let (5 | 6, Some("storage")) = (record.len(), pickle.text(*record.first()?)) else { return None };
    let Value::Global(Global::Storage(storage)) = pickle.get(record[1]) else { return None };
    let Some(scalar) = Scalar::of_storage(storage) else { return Some(Err(format!("elements of torch.{storage} are not read"))) };
    let key = pickle.text(record[2]).filter(|key| key.len() <= KEY)?;
    let count = pickle.size(record[4])?;
    let base = match record.get(5).map(|&id| pickle.get(id)) {
        None | Some(Value::None) => 0,
        // (view_key, offset, view_size)
        Some(Value::Tuple(view)) => pickle.size(*view.get(1)?)?,
        Some(_) => return None,
    };
    let view = View { offset: pickle.size(arguments[1])?, shape: pickle.sizes(arguments[2])?, stride: pickle.sizes(arguments[3])? };
    Some(Ok(Described { key, scalar, count, base, view }))
}

fn build(path: &Path, entries: Vec<Named<'_>>, storages: &HashMap<&str, Storage>, big_endian: bool) -> Result<StateDict> {
    let bad = |problem: String| Error::format(path, problem);
    let held: usize = storages.values().map(|storage| storage.raw.len()).sum();
    let mut room = held.saturating_mul(COVER).saturating_add(1 << 16);
    let mut dict = StateDict::new();
    for (name, tensor) in entries {
        let at = |problem: String| bad(format!("tensor '{name}': {problem}"));
        let storage = storages.get(tensor.key).ok_or_else(|| at("its storage is missing".into()))?;
        if storage.scalar != tensor.scalar || (storage.raw.len() as u64) != tensor.bytes().map_err(at)? {
            return Err(at(format!("storage '{}' is not of the type and size that the tensor says", tensor.key)));
        }
        let mut view = tensor.view;
        view.offset = view.offset.checked_add(tensor.base).ok_or_else(|| at("an impossible offset".into()))?;
        let built = storage::tensor(tensor.scalar, big_endian, &storage.raw, view).map_err(at)?;
        let wide = built.elements().saturating_mul(8);
        room = room.checked_sub(wide).ok_or_else(|| at("the tensors overlap too often to be weights".into()))?;
        dict.insert(name, built).map_err(|error| bad(error.to_string()))?;
    }
    Ok(dict)
}

/// A value's kind, for people.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::None => "None",
        Value::Bool(_) => "a truth value",
        Value::Int(_) | Value::Float => "a number",
        Value::Text(_) | Value::Bytes => "a text",
        Value::Tuple(_) => "a tuple",
        Value::List(_) => "a list",
        Value::Dict(_) => "a dictionary",
        Value::Global(_) | Value::Persistent(_) => "a storage or class",
        Value::Tensor(_) => "a tensor",
    }
}
