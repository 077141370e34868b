//! A result against the same result made again, byte for byte; where another version made it, how far the two are apart.

use super::provenance::{Kind, Record, files_of, place};
use crate::Result;
use crate::dataset::folder::MANIFEST;
use crate::files::{npy, npz};
use crate::intake::{self, Most};
use crate::nn::ARCHITECTURES;
use ndarray::{ArrayD, Axis};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Between versions f32 sums may round differently, and where a ReLU flips on the last bit a gradient moves by 1e-3: a row of an array (one ECG's
/// map, or curve) that rounding explains differs by no more than this share of its norm.
pub const BOUND_F32: f64 = 1e-2;
/// The same for f64.
pub const BOUND_F64: f64 = 1e-8;

/// A file, or an array of it, that differs between two results.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Of which kind.
    pub kind: Kind,
    /// The file, and in an archive the array, e.g. `array 'saliency'`.
    pub place: String,
    /// What is different, in words.
    pub problem: String,
    /// The largest difference of a row as a share of its norm; infinite where arrays cannot be compared.
    pub relative: f64,
    /// The largest share that rounding explains; `None` where what differs is no array, and only the same bytes would do.
    pub bound: Option<f64>,
}

impl Difference {
    fn other(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Difference { kind: Kind::Changed, place: place.into(), problem: problem.into(), relative: f64::INFINITY, bound: Some(0.0) }
    }

    fn of(kind: Kind, place: impl Into<String>, problem: &str) -> Self {
        Difference { kind, ..Difference::other(place, problem) }
    }
}

/// Results are compared whole, however large they are.
const WHOLE: Most = Most { bytes: u64::MAX, of: "a result" };

/// Compares a result with the same result made again: every file that making it again gives must be there, with the same bytes, and in the
/// record, and there may be no other. Arrays that differ are named. Changed bytes come first.
///
/// # Errors
/// [`crate::Error::Io`] if the files of either cannot be listed, or a file made again cannot be read.
pub fn compare(record: &Record, result: &Path, again: &Path) -> Result<Vec<Difference>> {
    let (made, there) = (files_of(again)?, files_of(result)?);
    let recorded: BTreeSet<&PathBuf> = record.outputs.iter().map(|output| &output.path).collect();
    let name = |file: &Path| file.display().to_string();
    let mut all = Vec::new();
    for file in &made {
        if !recorded.contains(file) {
            let shown = if file.as_os_str().is_empty() { "the file".to_owned() } else { name(file) };
            all.push(Difference::of(Kind::Record, shown, "the record does not name it"));
        }
        if there.contains(file) {
            all.extend(file_differences(&place(result, file), &place(again, file), &name(file))?);
        } else {
            all.push(Difference::of(Kind::Missing, name(file), "it is missing from the result"));
        }
    }
    let stray = there.iter().chain(recorded).filter(|file| !made.contains(file)).collect::<BTreeSet<_>>();
    all.extend(stray.into_iter().map(|file| Difference::of(Kind::Extra, name(file), "making the result again does not give this file")));
    all.sort_by_key(|difference| difference.kind);
    Ok(all)
}

fn file_differences(old: &Path, new: &Path, name: &str) -> Result<Vec<Difference>> {
    // The files of a dataset are checked against its manifest.
    let (old, new) = if new.is_dir() { (old.join(MANIFEST), new.join(MANIFEST)) } else { (old.to_owned(), new.to_owned()) };
    let b = intake::read(&new, WHOLE)?;
    Ok(match intake::read(&old, WHOLE) {
        Ok(a) if a == b => Vec::new(),
        Ok(a) if name == "study.json" && settings(&a).is_some_and(|a| settings(&b) == Some(a)) => Vec::new(),
        Ok(_) => differences(&old, &new, name),
        Err(error) => vec![Difference::other(name, error.to_string())],
    })
}

/// The settings of a study but for where its inputs lay: they may lie elsewhere now.
fn settings(study: &[u8]) -> Option<Value> {
    let mut settings: Value = serde_json::from_slice(study).ok()?;
    for place in ["/settings/source/pulse2pulse/generator", "/settings/source/dataset", "/settings/arch"] {
        match settings.pointer_mut(place) {
            Some(Value::String(name)) if ARCHITECTURES.contains(&name.as_str()) => (),
            Some(path) => *path = Value::Null,
            None => (),
        }
    }
    Some(settings)
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
    Some(Difference { kind: Kind::Changed, place: place.to_owned(), problem, relative, bound: Some(bound) })
}
