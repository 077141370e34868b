//! The state of a training between two epochs, and its file.

use super::adam::{Adam, StoredAdam};
use super::container::{self, Kind};
use super::model_file::{StoredTensor, restore, store};
use super::provenance::Epoch;
use super::schedule::ScheduleState;
use super::settings::{Further, TrainSettings};
use super::trainer::Trainer;
use crate::dataset::{InputKind, Target};
use crate::tape::{Network, Program};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Version 1 knows what the study's trainings need; settings beyond them are in version 2, behind the same.
const PLAIN: Kind = Kind { letters: *b"CGT", version: 1, name: "cardiograd training checkpoint" };
const KIND: Kind = Kind { version: 2, ..PLAIN };

/// A checkpoint of version 2.
#[derive(Serialize, Deserialize)]
struct Further2<C> {
    checkpoint: C,
    further: Further,
}

/// Everything that the next epochs depend on, and what tells one training from another.
#[derive(Serialize, Deserialize)]
pub struct Checkpoint {
    settings: TrainSettings,
    target: Target,
    input: InputKind,
    program: Program,
    fingerprint: u32,
    network: Vec<StoredTensor>,
    best: Vec<StoredTensor>,
    best_epoch: usize,
    adam: StoredAdam,
    schedule: ScheduleState,
    epochs: Vec<Epoch>,
}

impl Checkpoint {
    pub(super) fn of(trainer: &Trainer<'_>) -> Self {
        Checkpoint {
            settings: trainer.settings,
            target: trainer.data.target,
            input: trainer.data.input,
            program: trainer.network.program().clone(),
            fingerprint: trainer.data.fingerprint(),
            network: store(&trainer.network.parameters()),
            best: store(&trainer.best.parameters()),
            best_epoch: trainer.best_epoch,
            adam: trainer.adam.store(&trainer.network),
            schedule: trainer.schedule.clone(),
            epochs: trainer.epochs.clone(),
        }
    }

    pub(super) fn restore(self, trainer: &mut Trainer<'_>) -> Result<()> {
        let differs = [
            ("settings", self.settings != trainer.settings),
            ("target", self.target != trainer.data.target),
            ("input", self.input != trainer.data.input),
            ("network", self.program != *trainer.network.program()),
            ("examples", self.fingerprint != trainer.data.fingerprint()),
        ];
        if let Some((what, _)) = differs.iter().find(|(_, differs)| *differs) {
            return Err(Error::Usage(format!("the checkpoint is of a training with other {what}: resume that one, or start afresh")));
        }
        let bind = |stored| restore(stored).and_then(|parameters| Network::new(self.program.clone(), parameters));
        let network = bind(self.network)?;
        if self.best_epoch >= self.epochs.len() {
            return Err(Error::Data(format!("the checkpoint's best epoch is {} of {}", self.best_epoch, self.epochs.len())));
        }
        trainer.best = bind(self.best)?;
        trainer.adam = Adam::restore(&network, self.adam)?;
        trainer.network = network;
        trainer.best_epoch = self.best_epoch;
        trainer.schedule = self.schedule;
        trainer.epochs = self.epochs;
        Ok(())
    }

    /// Epochs done.
    pub fn epochs(&self) -> usize {
        self.epochs.len()
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for more than half a gigabyte.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let further = self.settings.further;
        if self.target.is_measurement() && further == Further::default() {
            return container::write(&PLAIN, path.as_ref(), self);
        }
        container::write(&KIND, path.as_ref(), &Further2 { checkpoint: self, further })
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Format`] for anything but a whole, undamaged checkpoint of this version or the one before; [`Error::Io`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let plain = |checkpoint| Further2 { checkpoint, further: Further::default() };
        let Further2::<Self> { mut checkpoint, further } = container::read_either(&KIND, path.as_ref(), plain)?;
        checkpoint.settings.further = further;
        Ok(checkpoint)
    }
}
