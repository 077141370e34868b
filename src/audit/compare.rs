//! A result against the same result made again: byte for byte, or within a bound where another kernel made it.

use super::provenance::{Record, place};
use crate::Result;
use crate::files::{npy, npz};
use crate::intake::{self, Most};
use ndarray::{ArrayD, Axis};
use std::path::Path;

/// Between kernels f32 sums round differently, and where a ReLU flips on the last bit a gradient moves by 1e-3. A row of an array (one ECG's
/// map, or curve) may differ by this share of its norm.
pub const BOUND_F32: f64 = 1e-2;
/// The same for f64.
pub const BOUND_F64: f64 = 1e-8;

/// An array that differs between two results.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The file, and in an archive the array, e.g. `array 'saliency'`.
    pub place: String,
    /// What is different, in words.
    pub problem: String,
    /// The largest difference of a row as a share of its norm; infinite where arrays cannot be compared.
    pub relative: f64,
    /// The largest share that another kernel explains; `None` where what differs is no array, and only the same bytes would do.
    pub bound: Option<f64>,
}

impl Difference {
    fn other(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Difference { place: place.into(), problem: problem.into(), relative: f64::INFINITY, bound: Some(0.0) }
    }
}

/// Results are compared whole, however large they are.
const WHOLE: Most = Most { bytes: u64::MAX, of: "a result" };

/// Compares every file of a result with the same file made again, by bytes, and names the arrays that differ.
///
/// # Errors
/// [`crate::Error::Io`] if a file made again cannot be read.
pub fn compare(record: &Record, result: &Path, again: &Path) -> Result<Vec<Difference>> {
    let mut all = Vec::new();
    for output in &record.outputs {
        let (old, new) = (place(result, &output.path), place(again, &output.path));
        let name = output.path.display().to_string();
        if old.is_dir() || name == "study.json" {
            continue; // a dataset is checked against its manifest; the settings name paths
        }
        match (intake::read(&old, WHOLE), intake::read(&new, WHOLE)) {
            (Ok(a), Ok(b)) if a == b => (),
            (Ok(_), Ok(_)) => all.extend(differences(&old, &new, &name)),
            (Err(error), _) => all.push(Difference::other(name, error.to_string())),
            (_, Err(_)) => all.push(Difference::other(name, "making the result again does not give this file")),
        }
    }
    Ok(all)
}

fn differences(old: &Path, new: &Path, name: &str) -> Vec<Difference> {
    let named = |array: &str| match (name, array) {
        ("", "") => "the array".to_owned(),
        ("", array) => format!("array '{array}'"),
        (name, "") => name.to_owned(),
        (name, array) => format!("{name}, array '{array}'"),
    };
    let arrays = |path: &Path| match path.extension().and_then(|extension| extension.to_str()) {
        Some("npz") => Some(npz::read(path)),
        Some("npy") => Some(npy::read(path).map(|array| vec![(String::new(), array)])),
        _ => None,
    };
    let (old, new) = match (arrays(old), arrays(new)) {
        (Some(Ok(old)), Some(Ok(new))) => (old, new),
        (Some(Err(error)), _) | (_, Some(Err(error))) => return vec![Difference::other(named(""), error.to_string())],
        _ => {
            return vec![Difference {
                bound: None,
                ..Difference::other(if name.is_empty() { "the file" } else { name }, "its bytes differ")
            }];
        }
    };
    let mut all = Vec::new();
    for (array, a) in &old {
        let Some((_, b)) = new.iter().find(|(other, _)| other == array) else {
            all.push(Difference::other(named(array), "making the result again does not give it"));
            continue;
        };
        if a.dtype() != b.dtype() || a.shape() != b.shape() {
            all.push(Difference::other(named(array), format!("its shape is {:?}, made again {:?}", a.shape(), b.shape())));
            continue;
        }
        let bound = if a.dtype() == npy::Dtype::F64 { BOUND_F64 } else { BOUND_F32 };
        all.extend(values(&named(array), &a.clone().into_f64(), &b.clone().into_f64(), bound));
    }
    let more = new.iter().filter(|(name, _)| old.iter().all(|(other, _)| other != name));
    all.extend(more.map(|(array, _)| Difference::other(named(array), "it is missing from the result")));
    if all.is_empty() {
        all.push(Difference { relative: 0.0, ..Difference::other(named(""), "the arrays are the same, bytes around them differ") });
    }
    all
}

/// How two arrays of one shape differ, if they do.
fn values(place: &str, a: &ArrayD<f64>, b: &ArrayD<f64>, bound: f64) -> Option<Difference> {
    let differing = || a.iter().zip(b).enumerate().filter(|(_, (a, b))| a.to_bits() != b.to_bits());
    let (first, _) = differing().next()?;
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let share = |a: &ArrayD<f64>, b: &ArrayD<f64>| {
        let difference = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
        if difference == 0.0 { 0.0 } else { difference / norm(&mut b.iter().copied()) }
    };
    let worse = |worst: f64, share: f64| if share.is_nan() { f64::INFINITY } else { worst.max(share) };
    let rows = |array: &ArrayD<f64>| -> Vec<ArrayD<f64>> {
        if array.ndim() < 2 { vec![array.clone()] } else { array.axis_iter(Axis(0)).map(|row| row.to_owned()).collect() }
    };
    let relative = rows(a).iter().zip(rows(b)).map(|(a, b)| share(a, &b)).fold(0.0, worse);
    let problem = format!("{} of {} elements differ, from element {first} on, by {relative:.1e} of the norm", differing().count(), a.len());
    Some(Difference { place: place.to_owned(), problem, relative, bound: Some(bound) })
}
