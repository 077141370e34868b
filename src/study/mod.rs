//! The whole study as one resumable pipeline: ECGs → dataset → one network per target → heatmaps → perturbation → report.
//!
//! Each stage leaves its result under the study's folder with the settings it was made under, and is passed over when it is found again;
//! a training continues from its last epoch.

mod describe;
mod settings;
mod target;

pub use settings::{Preset, StudySettings};

use crate::dataset::{Dataset, Origin, Part, Source, Split, generate_folder};
use crate::ecg::generator::Generator;
use crate::ecg::measure::Thresholds;
use crate::ecg::simulator::{self, Simulator};
use crate::files::{atomic, digest::sha256_file};
use crate::progress::Report;
use crate::report::results::{Ecgs, StudyResults};
use crate::report::{store, write};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Runs a study, or what is left of it, into a folder.
///
/// # Errors
/// [`Error::Usage`] for settings that do not fit each other or the folder; whatever a stage brings.
pub fn run(settings: &StudySettings, folder: &Path, report: Report<'_>) -> Result<StudyResults> {
    settings.check()?;
    make(folder)?;
    claim(settings, folder)?;
    let path = dataset(settings, folder, report)?;
    let data = Dataset::open(&path)?;
    let digest = sha256_file(path.join(crate::dataset::folder::MANIFEST))?;
    let split = data.split(settings.seed);
    let kept = kept_ecgs(settings, &data, &split)?;
    let mut targets = Vec::with_capacity(settings.targets.len());
    for target in &settings.targets {
        let stage = target::Stage { settings, folder, data: &data, digest: &digest, split: &split, kept: &kept, target: *target };
        targets.push(stage.run(report)?);
    }
    let ecgs = Ecgs {
        ids: kept.iter().map(|ecg| data.records()[*ecg].id.clone()).collect(),
        inputs: data.inputs(&kept, settings.input)?,
        measurements: kept.iter().map(|ecg| data.measurements(*ecg).clone()).collect(),
    };
    let provenance = describe::provenance(settings, folder, &digest)?;
    let results = StudyResults { provenance, input: settings.input, data: describe::data(settings, &data), ecgs, targets };
    store::save(folder, &results)?;
    write::write(folder, &results)?;
    for (from, to) in [("tables/metrics.csv", "metrics.csv"), ("tables/table4_paper.csv", "table4.csv")] {
        let bytes = std::fs::read(folder.join(from)).map_err(|source| Error::io(folder.join(from), source))?;
        atomic::write(folder.join(to), &bytes)?;
    }
    Ok(results)
}

/// Notes the settings in the folder, and refuses a folder that holds another study.
fn claim(settings: &StudySettings, folder: &Path) -> Result<()> {
    let path = folder.join("study.json");
    let text = serde_json::to_string_pretty(settings).map_err(|error| Error::format(&path, error.to_string()))?;
    match std::fs::read_to_string(&path) {
        Ok(found) if found == text => Ok(()),
        Ok(_) => Err(Error::Usage(format!(
            "{} holds a study with other settings (study.json): choose another folder, or remove it",
            folder.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => atomic::write(&path, text.as_bytes()),
        Err(source) => Err(Error::io(path, source)),
    }
}

/// The dataset's folder: the one given, or one generated under the study's.
fn dataset(settings: &StudySettings, folder: &Path, report: Report<'_>) -> Result<PathBuf> {
    if let Some(given) = &settings.data {
        return Ok(given.clone());
    }
    let path = folder.join("dataset");
    if path.exists() {
        return Ok(path);
    }
    let mut origin = Origin { seed: Some(settings.seed), ..Origin::default() };
    let source = match &settings.generator {
        None => Source::Simulator(Simulator::new(simulator::Settings::default(), settings.seed)),
        Some(file) => {
            origin.details.insert("generator_sha256".into(), sha256_file(file)?);
            Source::pulse2pulse(Generator::load(file)?, settings.seed)
        }
    };
    generate_folder(&path, &source, origin, settings.ecgs, &Thresholds::default(), report)?;
    Ok(path)
}

/// The test ECGs whose heatmaps are kept: the first in the split's random order that have every target.
fn kept_ecgs(settings: &StudySettings, data: &Dataset, split: &Split) -> Result<Vec<usize>> {
    let whole = |ecg: &usize| settings.targets.iter().all(|target| data.target(*ecg, *target).is_some());
    let kept: Vec<usize> = split.part(Part::Test).iter().copied().filter(whole).take(settings.heatmap_ecgs).collect();
    if kept.is_empty() {
        return Err(Error::Data(format!("no test ECG of {} has all of the targets: use a larger dataset", data.len())));
    }
    Ok(kept)
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))
}
