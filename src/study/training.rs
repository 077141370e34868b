//! The second stage: one network per target, saved after every epoch.

use super::StudySettings;
use super::data::Data;
use crate::dataset::{Part, Split, Target};
use crate::nn::{Examples, Model, Start, TrainingData, TrainingFiles};
use crate::progress::Report;
use crate::tape::Program;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A trained network and the file that holds it.
pub(super) struct Network {
    pub model: Model,
    pub path: PathBuf,
}

/// The network of a target: from its file if that is of this study, else trained, from the last checkpoint if that is of this study.
pub(super) fn network(
    folder: &Path,
    settings: &StudySettings,
    program: &Program,
    data: &Data,
    split: &Split,
    target: Target,
    report: Report<'_>,
) -> Result<Network> {
    let models = folder.join("models");
    std::fs::create_dir_all(&models).map_err(|source| Error::io(&models, source))?;
    let files = TrainingFiles::beside(&models.join(format!("{target}.cgm")));
    let [train, validation, test] = Part::ALL.map(|part| Examples::of(&data.dataset, split, part, target));
    let inputs = |ecgs: &[usize]| data.dataset.inputs(ecgs, settings.input);
    let examples = TrainingData { target, input: settings.input, inputs: &inputs, train: &train, validation: &validation, test: &test };
    let model = files.train(program, examples, &settings.training, &data.digest, Start::Reuse, report)?;
    Ok(Network { model, path: files.model })
}
