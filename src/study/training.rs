//! The second stage: one network per target, saved after every epoch.

use super::StudySettings;
use super::data::Data;
use crate::dataset::{Part, Split, Target};
use crate::nn::{Checkpoint, Examples, Model, Trained, Trainer, TrainingData};
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
    let path = models.join(format!("{target}.cgm"));
    let checkpoint = models.join(format!("{target}.cgm.checkpoint"));
    let model = match finished(&path, settings, program, &data.digest, target)? {
        Some(model) => model,
        None => {
            let Trained { best, last } = train(&checkpoint, settings, program, data, split, target, report)?;
            last.save(models.join(format!("{target}.last.cgm")))?;
            best.save(&path)?;
            best
        }
    };
    // A kill may have come between the model and this.
    match std::fs::remove_file(&checkpoint) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::io(checkpoint, source)),
        _ => Ok(Network { model, path }),
    }
}

/// The model in `path`, if it is the one that this study would train.
fn finished(path: &Path, settings: &StudySettings, program: &Program, digest: &str, target: Target) -> Result<Option<Model>> {
    if !path.exists() {
        return Ok(None);
    }
    let model = Model::load(path)?;
    let same = model.network.program() == program && (model.target, model.input) == (Some(target), Some(settings.input));
    let about = model.provenance.as_ref().filter(|about| same && about.settings == settings.training && about.dataset == digest);
    Ok(about.is_some().then_some(model))
}

fn train(
    checkpoint: &Path,
    settings: &StudySettings,
    program: &Program,
    data: &Data,
    split: &Split,
    target: Target,
    report: Report<'_>,
) -> Result<Trained> {
    let [train, validation, test] = Part::ALL.map(|part| Examples::of(&data.dataset, split, part, target));
    let inputs = |ecgs: &[usize]| data.dataset.inputs(ecgs, settings.input);
    let examples = TrainingData { target, input: settings.input, inputs: &inputs, train: &train, validation: &validation, test: &test };
    let mut trainer = Trainer::new(program, examples, &settings.training)?;
    if checkpoint.exists() {
        match trainer.resume(Checkpoint::load(checkpoint)?) {
            // A checkpoint of other settings is of no use to this study.
            Err(Error::Usage(_)) => {}
            outcome => outcome?,
        }
    }
    while !trainer.is_done() {
        trainer.epoch(report)?;
        trainer.checkpoint().save(checkpoint)?;
    }
    trainer.finish(&data.digest, report)
}
