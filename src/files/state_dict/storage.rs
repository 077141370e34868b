//! Raw bytes → numbers: element types, and tensors as strided views of a storage.

use super::{Tensor, Values};
use crate::half::half;
use crate::shape;

/// Element types of PyTorch and safetensors files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    Bool,
}

impl Scalar {
    pub(super) fn size(self) -> usize {
        match self {
            Scalar::I8 | Scalar::U8 | Scalar::Bool => 1,
            Scalar::F16 | Scalar::Bf16 | Scalar::I16 => 2,
            Scalar::F32 | Scalar::I32 => 4,
            Scalar::F64 | Scalar::I64 => 8,
        }
    }

    /// The type behind `torch.FloatStorage` and its kin.
    pub(super) fn of_storage(name: &str) -> Option<Self> {
        Some(match name {
            "HalfStorage" => Scalar::F16,
            "BFloat16Storage" => Scalar::Bf16,
            "FloatStorage" => Scalar::F32,
            "DoubleStorage" => Scalar::F64,
            "CharStorage" => Scalar::I8,
            "ShortStorage" => Scalar::I16,
            "IntStorage" => Scalar::I32,
            "LongStorage" => Scalar::I64,
            "ByteStorage" => Scalar::U8,
            "BoolStorage" => Scalar::Bool,
            _ => return None,
        })
    }
}

/// No tensor of a network has more axes; PyTorch allows 64.
pub(super) const AXES: usize = 64;

/// Where a tensor lies in its storage, in elements.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) stride: Vec<usize>,
}

impl View {
    /// A contiguous tensor that fills its storage.
    pub(super) fn contiguous(shape: Vec<usize>) -> Self {
        let mut stride = vec![1usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            stride[axis - 1] = stride[axis].saturating_mul(shape[axis]);
        }
        View { offset: 0, shape, stride }
    }

    /// The number of elements, after checking that each of them lies in a storage of `length` elements and that there are
    /// not more of them than that (no expanded tensors, whose size nothing in the file bounds).
    fn elements(&self, length: usize) -> Result<usize, String> {
        let bad = |what: &str| format!("shape {:?}, stride {:?}, offset {}: {what}", self.shape, self.stride, self.offset);
        if self.shape.len() != self.stride.len() {
            return Err(bad("shape and stride differ in length"));
        }
        if self.shape.len() > AXES {
            return Err(format!("{} axes: at most {AXES} are read", self.shape.len()));
        }
        // Eight bytes: what an element takes at most, here or once it is widened.
        let count = shape::elements(&self.shape, 8).filter(|&count| count <= length);
        let count = count.ok_or_else(|| bad(&format!("more elements than its storage's {length}")))?;
        if count == 0 {
            return Ok(0);
        }
        let steps = self.shape.iter().zip(&self.stride);
        let last = steps.map(|(&n, &step)| (n - 1).checked_mul(step)).try_fold(self.offset, |sum, step| sum.checked_add(step?));
        match last {
            Some(last) if last < length => Ok(count),
            _ => Err(bad(&format!("reaches beyond its storage of {length} elements"))),
        }
    }

    /// The storage positions of the elements in C order.
    fn positions(&self, count: usize) -> impl Iterator<Item = usize> + '_ {
        let mut index = vec![0usize; self.shape.len()];
        let mut at = self.offset;
        (0..count).map(move |_| {
            let here = at;
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.stride[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.stride[axis] * self.shape[axis];
                index[axis] = 0;
            }
            here
        })
    }
}

/// The tensor that `view` picks from a storage of raw bytes.
pub(super) fn tensor(scalar: Scalar, big_endian: bool, raw: &[u8], view: View) -> Result<Tensor, String> {
    let size = scalar.size();
    let count = view.elements(raw.len() / size)?;
    let each = |position: usize| -> [u8; 8] {
        let mut bytes = [0u8; 8];
        bytes[..size].copy_from_slice(&raw[position * size..][..size]);
        if big_endian {
            bytes[..size].reverse();
        }
        bytes
    };
    let low = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
    // Weights as they are saved: one behind the other, which is a copy.
    if scalar == Scalar::F32 && !big_endian && count > 0 && view.stride == View::contiguous(view.shape.clone()).stride {
        let own = &raw[view.offset * size..][..count * size];
        let values = own.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        return Ok(Tensor { shape: view.shape, values: Values::F32(values) });
    }
    let positions = view.positions(count);
    let values = match scalar {
        Scalar::F32 => Values::F32(positions.map(|p| f32::from_bits(low(each(p)) as u32)).collect()),
        Scalar::F16 => Values::F32(positions.map(|p| half(low(each(p)) as u16)).collect()),
        Scalar::Bf16 => Values::F32(positions.map(|p| f32::from_bits((low(each(p)) as u32) << 16)).collect()),
        Scalar::F64 => Values::F64(positions.map(|p| f64::from_bits(low(each(p)))).collect()),
        Scalar::I8 => Values::I64(positions.map(|p| i64::from(low(each(p)) as i8)).collect()),
        Scalar::I16 => Values::I64(positions.map(|p| i64::from(low(each(p)) as i16)).collect()),
        Scalar::I32 => Values::I64(positions.map(|p| i64::from(low(each(p)) as i32)).collect()),
        Scalar::I64 | Scalar::U8 => Values::I64(positions.map(|p| low(each(p)) as i64).collect()),
        Scalar::Bool => Values::I64(positions.map(|p| i64::from(low(each(p)) != 0)).collect()),
    };
    Ok(Tensor { shape: view.shape, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_strided_view_picks_what_the_definition_says(
            axes in prop::collection::vec((0usize..4, 0usize..6), 0..4), offset in 0usize..8, length in 0usize..80,
        ) {
            let (shape, stride): (Vec<_>, Vec<_>) = axes.into_iter().unzip();
            let raw: Vec<u8> = (0..length as i32).flat_map(|v| v.to_le_bytes()).collect();
            let mut wanted = vec![offset];
            for (&n, &step) in shape.iter().zip(&stride) {
                wanted = wanted.iter().flat_map(|&at| (0..n).map(move |i| at + i * step)).collect();
            }
            let fits = wanted.len() <= length && wanted.iter().all(|&at| at < length);
            match tensor(Scalar::I32, false, &raw, View { offset, shape: shape.clone(), stride }) {
                Ok(found) => {
                    prop_assert!(fits);
                    prop_assert_eq!(found.values, Values::I64(wanted.iter().map(|&v| v as i64).collect()));
                }
                Err(_) => prop_assert!(!fits),
            }
        }
    }

    #[test]
    fn no_view_leaves_its_storage() {
        let raw = [0u8; 16];
        let view = |offset, shape: &[usize], stride: &[usize]| View { offset, shape: shape.into(), stride: stride.into() };
        assert!(tensor(Scalar::F32, false, &raw, view(0, &[1 << 60], &[0])).unwrap_err().contains("more elements"));
        assert!(tensor(Scalar::F32, false, &raw, view(0, &[usize::MAX, 3], &[1, 1])).is_err());
        assert!(tensor(Scalar::F32, false, &raw, view(usize::MAX, &[2], &[1])).is_err());
        assert!(tensor(Scalar::F32, false, &raw, view(1, &[2, 2], &[2, 1])).unwrap_err().contains("beyond"));
        assert!(tensor(Scalar::F32, false, &raw, view(0, &[2], &[])).is_err());
        let raw: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let picked = |offset, shape: &[usize], stride: &[usize]| {
            tensor(Scalar::F32, false, &raw, view(offset, shape, stride)).map(|found| found.values)
        };
        assert_eq!(picked(1, &[1, 3], &[3, 1]), Ok(Values::F32(vec![2.0, 3.0, 4.0])));
        assert_eq!(picked(0, &[2, 2], &[1, 2]), Ok(Values::F32(vec![1.0, 3.0, 2.0, 4.0])));
        assert_eq!(picked(9, &[0], &[1]), Ok(Values::F32(vec![])));
        let big = tensor(Scalar::F32, true, &1.5f32.to_be_bytes(), View::contiguous(vec![])).unwrap();
        assert_eq!(big.values, Values::F32(vec![1.5]));
    }
}
