//! The first stage: the dataset, generated or given.

use super::{DataSource, StudySettings};
use crate::dataset::{Dataset, Manifest, Origin, Source, Target, generate_folder};
use crate::ecg::generator::Generator;
use crate::ecg::measure::Thresholds;
use crate::ecg::simulator::{Settings, Simulator};
use crate::files::digest::sha256_file;
use crate::progress::Report;
use crate::report::results::{DataDescription, Distribution};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of a dataset that the study has made.
pub(super) const DATASET: &str = "dataset";

/// A dataset and the digest of its manifest, which holds the digests of its files.
pub(super) struct Data {
    pub dataset: Dataset,
    pub digest: String,
}

/// Refuses a source that is not there, before anything is written.
pub(super) fn check(settings: &StudySettings) -> Result<()> {
    match &settings.source {
        DataSource::Simulator { .. } => Ok(()),
        DataSource::Pulse2pulse { generator, .. } => Generator::load(generator).map(|_| ()),
        DataSource::Dataset(path) => Manifest::read(path).map(|_| ()),
    }
}

/// Opens the study's dataset, after generating it under `folder` where that is asked for and has not been done.
pub(super) fn open(folder: &Path, settings: &StudySettings, report: Report<'_>) -> Result<Data> {
    let path = match &settings.source {
        DataSource::Dataset(path) => path.clone(),
        DataSource::Simulator { .. } | DataSource::Pulse2pulse { .. } => generated(folder.join(DATASET), settings, report)?,
    };
    let mut dataset = Dataset::open_checked(&path, &[settings.input])?;
    if let Some(labels) = &settings.labels {
        dataset = dataset.read_labels(&labels.path, labels.pass_unknown)?;
    }
    Ok(Data { digest: format!("sha256:{}", dataset.digest()), dataset })
}

/// Refuses settings that a dataset in the study's folder is not of, before anything is written.
pub(super) fn fits(folder: &Path, settings: &StudySettings) -> Result<()> {
    let path = folder.join(DATASET);
    let (name, ecgs) = match &settings.source {
        DataSource::Pulse2pulse { ecgs, .. } => ("pulse2pulse", *ecgs),
        DataSource::Simulator { ecgs } => ("simulator", *ecgs),
        DataSource::Dataset(_) => return Ok(()),
    };
    if !path.exists() {
        return Ok(());
    }
    let found = Manifest::read(&path)?;
    let mut wanted = origin(settings)?;
    wanted.source = name.into();
    wanted.details.insert("thresholds".into(), Thresholds::default().name.into());
    if found.origin == wanted && found.ecgs == ecgs {
        return Ok(());
    }
    Err(Error::Usage(format!("{} is a dataset of other settings: choose another folder for this study", path.display())))
}

fn origin(settings: &StudySettings) -> Result<Origin> {
    let mut origin = Origin { seed: Some(settings.seed()), ..Origin::default() };
    if let DataSource::Pulse2pulse { generator, .. } = &settings.source {
        origin.details.insert("generator_sha256".into(), sha256_file(generator)?);
    }
    Ok(origin)
}

/// Where the ECGs of a study come from, and what a dataset of them says of that. Of a study on a given dataset: the simulator's.
pub(super) fn source(settings: &StudySettings) -> Result<(Source, Origin)> {
    let source = match &settings.source {
        DataSource::Pulse2pulse { generator, .. } => Source::pulse2pulse(Generator::load(generator)?, settings.seed()),
        _ => Source::Simulator(Simulator::new(Settings::default(), settings.seed())),
    };
    Ok((source, origin(settings)?))
}

fn generated(path: PathBuf, settings: &StudySettings, report: Report<'_>) -> Result<PathBuf> {
    let thresholds = Thresholds::default();
    let ecgs = match &settings.source {
        DataSource::Pulse2pulse { ecgs, .. } | DataSource::Simulator { ecgs } => *ecgs,
        DataSource::Dataset(_) => return Ok(path),
    };
    if path.exists() {
        return Ok(path);
    }
    let (source, origin) = source(settings)?;
    generate_folder(&path, &source, origin, ecgs, &thresholds, report)?;
    Ok(path)
}

/// What the report says of the data.
pub(super) fn describe(dataset: &Dataset, settings: &StudySettings) -> Result<DataDescription> {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for reason in dataset.records().iter().filter_map(|record| record.measurements.rejected.as_ref()) {
        *reasons.entry(reason.clone()).or_default() += 1;
    }
    let given = dataset.manifest().map_or("dataset", |manifest| manifest.origin.source.as_str());
    Ok(DataDescription {
        source: given.to_owned(),
        ecgs: dataset.len(),
        rejected: reasons.into_iter().collect(),
        targets: settings.outputs()?.iter().filter_map(|output| distribution(dataset, output.target)).collect(),
    })
}

fn distribution(dataset: &Dataset, target: Target) -> Option<Distribution> {
    let mut values: Vec<f64> = (0..dataset.len()).filter_map(|ecg| dataset.target(ecg, target)).filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let (n, mean) = (values.len(), mean(&values));
    let median = crate::evaluation::bootstrap::quantile(&values, 0.5)?;
    Some(Distribution { target, n, mean, sd: deviation(&values), min: values[0], median, max: values[n - 1] })
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation (n − 1) of a target's values, by which errors are divided in one of the scorings.
pub fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}
