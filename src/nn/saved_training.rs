//! A training whose progress is kept in files: it goes on where it was stopped, and is not done again once it has ended.

use super::checkpoint::Checkpoint;
use super::data::TrainingData;
use super::model_file::{Model, Storage};
use super::provenance::Weights;
use super::settings::TrainSettings;
use super::trainer::{Trained, Trainer};
use crate::progress::Report;
use crate::tape::{Network, Program};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the state is saved within an epoch: what a kill can lose of a training, whatever the signal.
const OFTEN: Duration = Duration::from_secs(20);

/// What to do with files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing: train from the initial weights and write over them.
    Afresh,
    /// Take them up; a checkpoint of another training is an error.
    Resume,
    /// Take up what is of this training, write over the rest.
    Reuse,
}

/// The files of a training.
#[derive(Clone, Debug)]
pub struct TrainingFiles {
    /// The model that is wanted.
    pub model: PathBuf,
    /// Which weights it holds.
    pub weights: Weights,
    /// Where the model with the other weights goes, if anywhere.
    pub other: Option<PathBuf>,
    /// The state after each epoch, and every 20 s within one; gone when the model is there.
    pub checkpoint: PathBuf,
    /// How the models store their weights.
    pub storage: Storage,
    /// What training begins from, if not from initial weights.
    pub from: Option<Network<f32>>,
}

impl TrainingFiles {
    /// The best epoch's weights in `model` (`NAME.extension`), the last epoch's in `NAME.last.extension`, the state in `NAME.extension.checkpoint`.
    pub fn beside(model: &Path) -> Self {
        let extension = model.extension().map_or(String::new(), |extension| format!(".{}", extension.to_string_lossy()));
        let stem = model.file_stem().unwrap_or_default().to_string_lossy();
        let last = model.with_file_name(format!("{stem}.last{extension}"));
        TrainingFiles {
            model: model.to_owned(),
            weights: Weights::Best,
            other: Some(last),
            checkpoint: checkpoint_of(model),
            storage: Storage::F32,
            from: None,
        }
    }

    /// The last epoch's weights in `model`, the state in `NAME.extension.checkpoint`.
    pub fn last_only(model: &Path) -> Self {
        TrainingFiles {
            model: model.to_owned(),
            weights: Weights::Last,
            other: None,
            checkpoint: checkpoint_of(model),
            storage: Storage::F32,
            from: None,
        }
    }

    /// Trains as [`train`](super::train), saving the state after every epoch and every 20 s within one, and writes the models. `origin` says which data it is
    /// ([`Provenance::dataset`](super::Provenance)). A model of this very training that is there already is given back.
    ///
    /// # Errors
    /// As [`Trainer::new`] and [`Trainer::epoch`]; [`Error::Io`]; [`Error::Usage`] for a checkpoint of another training under [`Start::Resume`].
    pub fn train(
        &self,
        program: &Program,
        data: TrainingData<'_>,
        settings: &TrainSettings,
        origin: &str,
        start: Start,
        report: Report<'_>,
    ) -> Result<Model> {
        let found = if start == Start::Afresh { None } else { self.finished(program, &data, settings, origin)? };
        let model = match found {
            Some(model) => model,
            None => {
                let trainer = match &self.from {
                    Some(from) => Trainer::continuing(program, from, data, settings)?,
                    None => Trainer::new(program, data, settings)?,
                };
                let Trained { best, last } = self.run(trainer, origin, start, report)?;
                let (model, other) = if self.weights == Weights::Best { (best, last) } else { (last, best) };
                self.other.as_ref().map(|path| other.save_as(path, self.storage)).transpose()?;
                model.save_as(&self.model, self.storage)?;
                model
            }
        };
        // A kill may have come between the model and this.
        crate::atomic::remove_if_there(&self.checkpoint)?;
        Ok(model)
    }

    /// The model that is there, if it is the one that this training would give.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn finished(&self, program: &Program, data: &TrainingData<'_>, settings: &TrainSettings, origin: &str) -> Result<Option<Model>> {
        if !self.model.exists() || Model::storage_of(&self.model)? != Some(self.storage) {
            return Ok(None);
        }
        let model = Model::load(&self.model)?;
        let same = model.network.program() == program && (model.target, model.input) == (Some(data.target), Some(data.input));
        let of_this = |about: &super::Provenance| about.settings == *settings && about.dataset == origin && about.weights == self.weights;
        Ok(model.provenance.as_ref().is_some_and(|about| same && of_this(about)).then_some(model))
    }

    /// Trains to the end, from the checkpoint if there is one to take up.
    fn run(&self, mut trainer: Trainer<'_>, origin: &str, start: Start, report: Report<'_>) -> Result<Trained> {
        if start != Start::Afresh && self.checkpoint.exists() {
            match trainer.resume(Checkpoint::load(&self.checkpoint)?) {
                Err(Error::Usage(_)) if start == Start::Reuse => {}
                outcome => outcome.map_err(|error| error.of_file(&self.checkpoint))?,
            }
        }
        while !trainer.is_done() {
            let mut saved = Instant::now();
            trainer.epoch_keeping(report, &mut |trainer| {
                if saved.elapsed() >= OFTEN {
                    trainer.checkpoint().save(&self.checkpoint)?;
                    saved = Instant::now();
                }
                Ok(())
            })?;
            trainer.checkpoint().save(&self.checkpoint)?;
        }
        trainer.finish(origin, report)
    }
}

fn checkpoint_of(model: &Path) -> PathBuf {
    let mut name = model.file_name().unwrap_or_default().to_os_string();
    name.push(".checkpoint");
    model.with_file_name(name)
}
