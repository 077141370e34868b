//! The state of a training between two epochs, and its file.

use super::adam::StoredAdam;
use super::container::{self, Kind};
use super::provenance::Epoch;
use super::schedule::ScheduleState;
use super::settings::{Further, TrainSettings};
use super::stored::StoredTensor;
use crate::Result;
use crate::dataset::{InputKind, Target};
use crate::tape::Program;
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
    pub(super) settings: TrainSettings,
    pub(super) target: Target,
    pub(super) input: InputKind,
    pub(super) program: Program,
    pub(super) fingerprint: u32,
    pub(super) network: Vec<StoredTensor>,
    pub(super) best: Vec<StoredTensor>,
    pub(super) best_epoch: usize,
    pub(super) adam: StoredAdam,
    pub(super) schedule: ScheduleState,
    pub(super) epochs: Vec<Epoch>,
}

impl Checkpoint {
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
