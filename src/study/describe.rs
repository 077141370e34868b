//! What a report says of a study's data, settings and files.

use super::StudySettings;
use crate::dataset::Dataset;
use crate::files::digest::sha256_file;
use crate::report::results::{DataDescription, Distribution, Provenance};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Where the ECGs came from and how their targets are distributed.
pub(super) fn data(settings: &StudySettings, data: &Dataset) -> DataDescription {
    let mut rejected: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in data.records().iter().filter_map(|record| record.measurements.rejected.as_deref()) {
        *rejected.entry(reason).or_default() += 1;
    }
    let targets = settings.targets.iter().filter_map(|target| {
        let mut values: Vec<f64> = (0..data.len()).filter_map(|ecg| data.target(ecg, *target)).collect();
        values.sort_by(f64::total_cmp);
        let (n, sum) = (values.len(), values.iter().sum::<f64>());
        let (min, max) = (*values.first()?, *values.last()?);
        let mean = sum / n as f64;
        let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n as f64 - 1.0).max(1.0)).sqrt();
        let median = (values[(n - 1) / 2] + values[n / 2]) / 2.0;
        Some(Distribution { target: *target, n, mean, sd, min, median, max })
    });
    DataDescription {
        source: settings.source(),
        ecgs: data.len(),
        rejected: rejected.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
        targets: targets.collect(),
    }
}

/// Everything needed to run the study again. Nothing here depends on when, where or with how many threads it ran.
pub(super) fn provenance(settings: &StudySettings, folder: &Path, dataset: &str) -> Result<Provenance> {
    let value = serde_json::to_value(settings).map_err(|error| Error::Data(error.to_string()))?;
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let listed = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let mut digests = vec![("dataset".to_owned(), dataset.to_owned())];
    for target in &settings.targets {
        let name = format!("models/{target}.cgm");
        digests.push((name.clone(), format!("sha256:{}", sha256_file(folder.join(&name))?)));
    }
    let targets: Vec<&str> = settings.targets.iter().map(|target| target.name()).collect();
    let source = match (&settings.data, &settings.generator) {
        (Some(data), _) => format!(" --data {}", data.display()),
        (None, Some(file)) => format!(" --source pulse2pulse --generator {} --ecgs {}", file.display(), settings.ecgs),
        (None, None) => format!(" --source simulator --ecgs {}", settings.ecgs),
    };
    let preset = if settings.preset == super::Preset::Quick { "quick" } else { "paper" };
    let command = format!(
        "cardiograd study --preset {preset}{source} --targets {} --input {} --seed {} --epochs {} --heatmap-ecgs {} --perturb-ecgs {} --iterations {}",
        targets.join(","),
        settings.input,
        settings.seed,
        settings.training.epochs,
        settings.heatmap_ecgs,
        settings.perturb_ecgs,
        settings.iterations
    );
    Ok(Provenance {
        version: concat!("cardiograd ", env!("CARGO_PKG_VERSION")).into(),
        command,
        seed: settings.seed,
        settings: listed.map(|(name, value)| (name.clone(), text(value))).collect(),
        digests,
    })
}
