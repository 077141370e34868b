//! Tensors of an ONNX file: weights, and the numbers that its shape arithmetic works with.

use super::proto::{TensorProto, element};
use crate::half::half;
use crate::shape;
use std::borrow::Cow;
use std::path::{Component, Path};

/// A tensor whose values are known. Floats of any width widen exactly; integers and truths are i64.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub shape: Vec<usize>,
    pub values: Values,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Floats(Vec<f64>),
    Integers(Vec<i64>),
}

/// The most values of one tensor.
const MOST: usize = 1 << 28;

impl Array {
    /// A tensor from its parts, if they fit.
    pub fn new(shape: Vec<usize>, values: Values) -> Result<Self, String> {
        let array = Array { shape, values };
        if shape::elements(&array.shape, 8) == Some(array.len()) {
            Ok(array)
        } else {
            Err(format!("{} values for shape {:?}", array.len(), array.shape))
        }
    }

    pub fn floats(shape: Vec<usize>, values: Vec<f64>) -> Result<Self, String> {
        Array::new(shape, Values::Floats(values))
    }

    pub fn integers(shape: Vec<usize>, values: Vec<i64>) -> Result<Self, String> {
        Array::new(shape, Values::Integers(values))
    }

    /// How many values.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Floats(values) => values.len(),
            Values::Integers(values) => values.len(),
        }
    }

    /// The values as numbers.
    pub fn as_floats(&self) -> Cow<'_, [f64]> {
        match &self.values {
            Values::Floats(values) => Cow::Borrowed(values),
            Values::Integers(values) => Cow::Owned(values.iter().map(|v| *v as f64).collect()),
        }
    }

    /// The values as whole numbers.
    pub fn as_integers(&self) -> Result<&[i64], String> {
        match &self.values {
            Values::Integers(values) => Ok(values),
            Values::Floats(_) => Err("whole numbers are wanted, these are floats".into()),
        }
    }

    /// The values at some places, in a new shape.
    pub fn pick(&self, shape: Vec<usize>, places: &[usize]) -> Result<Self, String> {
        let missing = || "a place outside of the tensor".to_owned();
        let values = match &self.values {
            Values::Floats(values) => {
                Values::Floats(places.iter().map(|at| values.get(*at).copied()).collect::<Option<_>>().ok_or_else(missing)?)
            }
            Values::Integers(values) => {
                Values::Integers(places.iter().map(|at| values.get(*at).copied()).collect::<Option<_>>().ok_or_else(missing)?)
            }
        };
        Array::new(shape, values)
    }

    /// The same values in another shape.
    pub fn reshaped(&self, shape: Vec<usize>) -> Result<Self, String> {
        Array::new(shape, self.values.clone())
    }
}

/// A tensor of a file. `folder` is that of the file, in which external data lie.
pub(super) fn array(tensor: &TensorProto, folder: &Path) -> Result<Array, String> {
    let within = |problem: String| format!("tensor '{}': {problem}", tensor.name);
    let dims: Option<Vec<usize>> = tensor.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let shape = dims.ok_or_else(|| within(format!("its shape is {:?}", tensor.dims)))?;
    let count = shape::elements(&shape, 8).filter(|count| *count <= MOST).ok_or_else(|| within(format!("its shape is {shape:?}")))?;
    let raw = if tensor.data_location == 1 {
        Some(Cow::Owned(external(tensor, folder).map_err(within)?))
    } else if tensor.raw_data.is_empty() && count > 0 {
        None
    } else {
        Some(Cow::Borrowed(&tensor.raw_data[..]))
    };
    let values = values(tensor, raw.as_deref()).map_err(within)?;
    Array::new(shape, values).map_err(within)
}

fn values(tensor: &TensorProto, raw: Option<&[u8]>) -> Result<Values, String> {
    fn pieces<const N: usize>(raw: &[u8]) -> Result<impl Iterator<Item = [u8; N]> + '_, String> {
        let (pieces, rest) = raw.as_chunks::<N>();
        if rest.is_empty() {
            Ok(pieces.iter().copied())
        } else {
            Err(format!("{} bytes are no whole number of {N}-byte values", raw.len()))
        }
    }
    // Halves lie in the low bits of 32-bit fields where they do not lie in bytes.
    let halves = || tensor.int32_data.iter().map(|v| *v as u16);
    Ok(match (tensor.data_type, raw) {
        (element::FLOAT, Some(raw)) => Values::Floats(pieces(raw)?.map(|b| f64::from(f32::from_le_bytes(b))).collect()),
        (element::FLOAT, None) => Values::Floats(tensor.float_data.iter().map(|v| f64::from(*v)).collect()),
        (element::DOUBLE, Some(raw)) => Values::Floats(pieces(raw)?.map(f64::from_le_bytes).collect()),
        (element::DOUBLE, None) => Values::Floats(tensor.double_data.clone()),
        (element::FLOAT16, Some(raw)) => Values::Floats(pieces(raw)?.map(|b| f64::from(half(u16::from_le_bytes(b)))).collect()),
        (element::FLOAT16, None) => Values::Floats(halves().map(|bits| f64::from(half(bits))).collect()),
        (element::BFLOAT16, Some(raw)) => Values::Floats(pieces(raw)?.map(|b| brain(u16::from_le_bytes(b))).collect()),
        (element::BFLOAT16, None) => Values::Floats(halves().map(brain).collect()),
        (element::INT64, Some(raw)) => Values::Integers(pieces(raw)?.map(i64::from_le_bytes).collect()),
        (element::INT64, None) => Values::Integers(tensor.int64_data.clone()),
        (element::INT32, Some(raw)) => Values::Integers(pieces(raw)?.map(|b| i64::from(i32::from_le_bytes(b))).collect()),
        (element::INT32, None) => Values::Integers(tensor.int32_data.iter().map(|v| i64::from(*v)).collect()),
        (element::BOOL, Some(raw)) => Values::Integers(raw.iter().map(|b| i64::from(*b != 0)).collect()),
        (element::BOOL, None) => Values::Integers(tensor.int32_data.iter().map(|v| i64::from(*v != 0)).collect()),
        (other, _) => {
            return Err(format!("its values are of type {other}; floats of 16, 32 and 64 bits, integers of 32 and 64 and truths are read"));
        }
    })
}

/// A brain float in f64: the upper half of an f32.
fn brain(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

/// The bytes of a tensor that lies in a file beside the model; nowhere else is one read.
fn external(tensor: &TensorProto, folder: &Path) -> Result<Vec<u8>, String> {
    let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let place = Path::new(entry("location").ok_or("its values lie in a file that is not named")?);
    if place.as_os_str().is_empty() || !place.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(format!("its values lie in '{}': only files beside the model, or in folders beside it, are read", place.display()));
    }
    if folder.as_os_str().is_empty() {
        return Err(format!(
            "its values lie in '{}', and beside a model in memory there is no file: save it with its values in it",
            place.display()
        ));
    }
    let number = |key: &str| entry(key).map_or(Ok(None), |text| text.parse().map(Some).map_err(|_| format!("{key} '{text}' is no number")));
    let (offset, length): (Option<u64>, Option<u64>) = (number("offset")?, number("length")?);
    let most = MOST as u64 * 8;
    if length.is_some_and(|length| length > most) {
        return Err(format!("{} bytes: a tensor has at most {most}", length.unwrap_or(0)));
    }
    let path = folder.join(place);
    crate::intake::part(&path, offset.unwrap_or(0), length, most).map_err(|error| error.to_string())
}
