//! A study's results in a folder: `results.json`, the ECGs and heatmaps as `.npy` under `heatmaps/`, the perturbed predictions under `curves/`.
//!
//! `heatmaps/ecgs.npy` (E, 12, L), `heatmaps/worst.npy` (W, 12, L), `heatmaps/TARGET/METHOD.npy` (E, 12, L), `curves/TARGET/METHOD.npy` (n, iterations + 1).

use super::results::{MethodCurves, MethodMaps, StudyResults};
use crate::files::{atomic, npy};
use crate::intake::{self, Most};
use crate::{Error, Result};
use ndarray::{ArrayD, Dimension, Ix2, Ix3};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The file that describes a study.
pub const RESULTS: &str = "results.json";
/// The inputs of the ECGs with the largest errors.
const WORST: &str = "heatmaps/worst.npy";
/// That of the study takes 10 MB: what was predicted for each ECG of the test part.
const LARGEST: Most = Most { bytes: 1 << 30, of: "the results of a study" };

/// Writes results into a folder, which may hold other things.
///
/// # Errors
/// [`Error::Io`]; whatever [`StudyResults::check`] finds.
pub fn save(folder: &Path, results: &StudyResults) -> Result<()> {
    results.check()?;
    make(folder)?;
    make(&folder.join("heatmaps"))?;
    npy::write(folder.join("heatmaps/ecgs.npy"), results.ecgs.inputs.view())?;
    if !results.worst.index.is_empty() {
        npy::write(folder.join(WORST), results.worst.ecgs.inputs.view())?;
    } else {
        atomic::remove_if_there(&folder.join(WORST))?;
    }
    for target in &results.targets {
        let maps = folder.join("heatmaps").join(target.target.name());
        make(&maps)?;
        for method in &target.maps {
            npy::write(maps.join(format!("{}.npy", method.method)), method.maps.view())?;
        }
        let Some(perturbation) = &target.perturbation else { continue };
        let curves = folder.join("curves").join(target.target.name());
        make(&curves)?;
        for method in &perturbation.methods {
            npy::write(curves.join(format!("{}.npy", method.method)), method.predictions.view())?;
        }
    }
    let text = serde_json::to_string_pretty(results).map_err(|error| Error::format(folder.join(RESULTS), error.to_string()))?;
    atomic::write(folder.join(RESULTS), text.as_bytes())
}

/// Reads results from a folder.
///
/// # Errors
/// [`Error::Io`] or [`Error::Format`] naming the file; whatever [`StudyResults::check`] finds.
pub fn load(folder: &Path) -> Result<StudyResults> {
    let path = folder.join(RESULTS);
    let mut results: StudyResults = intake::json(&path, LARGEST)?;
    for (at, measured) in results.ecgs.measurements.iter().chain(&results.worst.ecgs.measurements).enumerate() {
        measured.check().map_err(|problem| Error::format(&path, format!("kept ECG {at}: {problem}")))?;
    }
    results.ecgs.inputs = array::<Ix3>(&folder.join("heatmaps/ecgs.npy"))?;
    if !results.worst.index.is_empty() {
        results.worst.ecgs.inputs = array::<Ix3>(&folder.join(WORST))?;
    }
    for target in &mut results.targets {
        for (method, path) in methods_in(&folder.join("heatmaps").join(target.target.name()))? {
            target.maps.push(MethodMaps { method, maps: array::<Ix3>(&path)? });
        }
        let Some(perturbation) = &mut target.perturbation else { continue };
        for (method, path) in methods_in(&folder.join("curves").join(target.target.name()))? {
            perturbation.methods.push(MethodCurves { method, predictions: array::<Ix2>(&path)? });
        }
    }
    results.check().map_err(|error| error.of_file(&path))?;
    check_methods(&results).map_err(|problem| Error::format(&path, problem))?;
    Ok(results)
}

/// That every target has the files of the same methods, heatmaps and curves: a method whose file was taken away would be missing from the tables with
/// no word. A kind of files that was left out whole, to save space, is none of this.
fn check_methods(results: &StudyResults) -> std::result::Result<(), String> {
    let mut all: Vec<(String, BTreeSet<&str>)> = Vec::new();
    for target in &results.targets {
        all.push((format!("heatmaps of {}", target.target), target.maps.iter().map(|maps| maps.method.as_str()).collect()));
        let curves = target.perturbation.iter().flat_map(|found| &found.methods);
        all.push((format!("perturbation curves of {}", target.target), curves.map(|curves| curves.method.as_str()).collect()));
    }
    all.retain(|(_, methods)| !methods.is_empty());
    let Some(((first, wanted), others)) = all.split_first() else { return Ok(()) };
    for (what, found) in others {
        if let Some(name) = wanted.symmetric_difference(found).next() {
            let (has, lacks) = if wanted.contains(name) { (first, what) } else { (what, first) };
            return Err(format!("'{name}' is among the {has} and not among the {lacks}: a file was taken away or added"));
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))
}

/// The `.npy` files of a folder in the order of the study's tables; none when there is no folder.
fn methods_in(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))? {
        let path = entry.map_err(|source| Error::io(folder, source))?.path();
        if path.extension().is_some_and(|extension| extension == "npy") {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    super::methods::sort(&mut names);
    Ok(names.into_iter().map(|name| (name.clone(), folder.join(format!("{name}.npy")))).collect())
}

fn array<D: Dimension>(path: &Path) -> Result<ndarray::Array<f32, D>> {
    let array: ArrayD<f32> = npy::read_f32(path)?;
    let found = array.shape().to_vec();
    array
        .into_dimensionality()
        .map_err(|_| Error::format(path, format!("an array of {} axes, found shape {found:?}", D::NDIM.unwrap_or(0))))
}
