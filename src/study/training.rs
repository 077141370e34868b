//! The second stage: one network per target, saved after every epoch.

use super::StudySettings;
use super::data::Data;
use super::outputs::program_for;
use crate::dataset::{Part, Split, Target};
use crate::ecg::leads::LEADS;
use crate::nn::{Examples, Model, Start, TrainingData, TrainingFiles, initialise, predict_ecgs, predict_outputs};
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
    let one = &split.part(Part::Test)[..1];
    let example = [LEADS.len(), settings.input.samples()];
    let mut widths: Vec<(usize, Target)> = settings.targets.iter().map(|target| (target.width(), *target)).collect();
    widths.sort_by_key(|(width, _)| *width);
    widths.dedup_by_key(|(width, _)| *width);
    for (width, target) in widths {
        let program = program_for(program, target, &example)?;
        let network = Network::<f32>::new(program.clone(), initialise(&program, settings.seed(), 0)?)?;
        match width {
            1 => predict_ecgs(&network, &inputs, one, "trying the network", &crate::progress::silent)?,
            _ => predict_outputs(&network, &(0..width).collect::<Vec<_>>(), &inputs, one, "trying the network", &crate::progress::silent)?,
        };
    }
    Ok(())
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
    let program = program_for(program, target, &[LEADS.len(), settings.input.samples()])?;
    let model = files.train(&program, examples, &settings.training(), &data.digest, Start::Reuse, report)?;
    Ok(TrainedNetwork { model, path: files.model })
}
