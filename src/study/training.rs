//! The second stage: one network per target, saved after every epoch.

use super::StudySettings;
use super::data::Data;
use crate::dataset::{Part, Split, Target};
use crate::nn::{Examples, Model, Start, TrainingData, TrainingFiles, initialise, predict_ecgs};
use crate::progress::Report;
use crate::tape::{Network, Program};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Refuses what could not be trained: a network that does not fit the ECGs, a target that no ECG of a part has.
pub(super) fn check(settings: &StudySettings, program: &Program, data: &Data, split: &Split) -> Result<()> {
    let inputs = |ecgs: &[usize]| data.dataset.inputs(ecgs, settings.input);
    for target in &settings.targets {
        data.dataset.check_target(*target)?;
        let parts = Part::ALL.map(|part| Examples::of(&data.dataset, split, part, *target));
        if let Some((part, _)) = Part::ALL.iter().zip(&parts).find(|(_, examples)| examples.is_empty()) {
            return Err(Error::Data(format!("no ECG of the {part} part has a value for {target}: the study cannot be made on this data")));
        }
    }
    let network = Network::<f32>::new(program.clone(), initialise(program, settings.seed(), 0)?)?;
    predict_ecgs(&network, &inputs, &split.part(Part::Test)[..1], "trying the network", &crate::progress::silent).map(drop)
}

/// A trained network and the file that holds it.
pub(super) struct TrainedNetwork {
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
) -> Result<TrainedNetwork> {
    let models = folder.join("models");
    std::fs::create_dir_all(&models).map_err(|source| Error::io(&models, source))?;
    let files = TrainingFiles::beside(&models.join(format!("{target}.cgm")));
    let [train, validation, test] = Part::ALL.map(|part| Examples::of(&data.dataset, split, part, target));
    let inputs = |ecgs: &[usize]| data.dataset.inputs(ecgs, settings.input);
    let examples = TrainingData { target, input: settings.input, inputs: &inputs, train: &train, validation: &validation, test: &test };
    let model = files.train(program, examples, &settings.training(), &data.digest, Start::Reuse, report)?;
    Ok(TrainedNetwork { model, path: files.model })
}
