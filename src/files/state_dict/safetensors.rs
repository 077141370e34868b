//! `.safetensors` in and out, through the crate of that name.

use super::storage::{self, Scalar, View};
use super::{StateDict, Tensor, Values};
use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;

/// Whether the bytes begin as such a file does: a header length that fits, then a JSON object.
pub(super) fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    u64::from_le_bytes(*length) <= 100_000_000 && rest.first() == Some(&b'{')
}

pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<StateDict> {
    let bad = |problem: String| Error::format(path, problem);
    let file = SafeTensors::deserialize(bytes).map_err(|error| bad(format!("damaged .safetensors: {error}")))?;
    // The header is JSON without an order; the data have one.
    let mut tensors = file.tensors();
    tensors.sort_by_key(|(name, view)| (view.data().as_ptr() as usize, name.clone()));
    let mut dict = StateDict::new();
    for (name, view) in tensors {
        let at = |problem: String| bad(format!("tensor '{name}': {problem}"));
        let scalar = scalar(view.dtype()).ok_or_else(|| at(format!("elements of type {:?} are not read", view.dtype())))?;
        let tensor = storage::tensor(scalar, false, view.data(), View::contiguous(view.shape().to_vec())).map_err(at)?;
        dict.insert(name, tensor).map_err(|error| bad(error.to_string()))?;
    }
    Ok(dict)
}

fn scalar(dtype: Dtype) -> Option<Scalar> {
    Some(match dtype {
        Dtype::F16 => Scalar::F16,
        Dtype::BF16 => Scalar::Bf16,
        Dtype::F32 => Scalar::F32,
        Dtype::F64 => Scalar::F64,
        Dtype::I8 => Scalar::I8,
        Dtype::I16 => Scalar::I16,
        Dtype::I32 => Scalar::I32,
        Dtype::I64 => Scalar::I64,
        Dtype::U8 => Scalar::U8,
        Dtype::BOOL => Scalar::Bool,
        _ => return None,
    })
}

/// The name under which the format keeps what is no tensor.
const METADATA: &str = "__metadata__";

pub(super) fn bytes(path: &Path, dict: &StateDict) -> Result<Vec<u8>> {
    if dict.get(METADATA).is_some() {
        // It would be written, and never read again.
        return Err(Error::format(path, format!("a tensor called {METADATA} cannot be kept in .safetensors: write a .pt instead")));
    }
    let bad = |error: safetensors::SafeTensorError| Error::format(path, error.to_string());
    let raw: Vec<(&str, &Tensor, Vec<u8>)> = dict.iter().map(|(name, tensor)| (name, tensor, tensor.to_bytes())).collect();
    let mut views = Vec::new();
    for (name, tensor, bytes) in &raw {
        let dtype = match tensor.values() {
            Values::F32(_) => Dtype::F32,
            Values::F64(_) => Dtype::F64,
            Values::I64(_) => Dtype::I64,
        };
        views.push((*name, TensorView::new(dtype, tensor.shape().to_vec(), bytes).map_err(bad)?));
    }
    // No metadata: the crate keeps it in a map without an order, and the bytes must not vary.
    safetensors::serialize(views, None).map_err(bad)
}
