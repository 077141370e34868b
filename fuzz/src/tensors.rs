//! State dicts: what every one that was read must be, and the way through each format and back.

use crate::{path, refused};
use cardiograd::files::state_dict::{self, StateDict, Tensor, Values};
use std::collections::BTreeMap;

/// A state dict beyond this many values is not written again.
const WRITTEN: usize = 1 << 16;
/// The key under which a .safetensors file has what is no tensor.
const RESERVED: &str = "__metadata__";

/// Reads weights from memory, whatever the format; what is read must be sound, and come back from every format.
pub fn check(name: &str, bytes: &[u8]) {
    let path = path(name);
    let Some((_, dict)) = refused(state_dict::read_bytes(&path, bytes), &path) else { return };
    for (name, tensor) in dict.iter() {
        let count = tensor.shape().iter().try_fold(1usize, |product, size| product.checked_mul(*size));
        assert_eq!(count, Some(tensor.elements()), "tensor {name:?}");
        assert_eq!(bits(tensor).len(), tensor.elements(), "tensor {name:?}");
        assert!(dict.get(name).is_some_and(|found| bits(found) == bits(tensor)), "tensor {name:?} is not the one of its name");
    }
    if dict.iter().map(|(_, tensor)| tensor.elements()).sum::<usize>() <= WRITTEN {
        round_trip(&dict);
    }
}

/// Asserts that a state dict comes back from each format: names, shapes, types, and every value by its bits.
pub fn round_trip(dict: &StateDict) {
    for name in ["back.pt", "back.safetensors"] {
        let path = path(name);
        let written = state_dict::write(&path, dict);
        if name.ends_with(".safetensors") && dict.get(RESERVED).is_some() {
            assert!(refused(written, &path).is_none(), "a tensor called {RESERVED} cannot be kept in .safetensors");
            continue;
        }
        written.expect("a state dict can be written");
        let back = state_dict::read(&path).unwrap_or_else(|error| panic!("what was written is refused: {error}"));
        assert_eq!(sorted(&back), sorted(dict), "{name}");
    }
}

/// Shapes, types and the bits of all values, by name.
pub fn sorted(dict: &StateDict) -> BTreeMap<&str, (&[usize], &str, Vec<u64>)> {
    dict.iter().map(|(name, tensor)| (name, (tensor.shape(), tensor.dtype(), bits(tensor)))).collect()
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    match tensor.values() {
        Values::F32(values) => values.iter().map(|value| u64::from(value.to_bits())).collect(),
        Values::F64(values) => values.iter().map(|value| value.to_bits()).collect(),
        Values::I64(values) => values.iter().map(|value| *value as u64).collect(),
    }
}
