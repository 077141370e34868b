//! The state of a training between two epochs, or between two steps of one, and its file.

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

/// Version 1 knows what the study's trainings need; settings beyond them are in version 2, behind the same, and how far an epoch has come in version 3.
const PLAIN: Kind = Kind { letters: *b"CGT", version: 1, name: "cardiograd training checkpoint" };
const FURTHER: Kind = Kind { version: 2, ..PLAIN };
const WITHIN: Kind = Kind { version: 3, ..PLAIN };

/// How far an epoch has come; the default is between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Within {
    /// Steps done.
    pub steps: u64,
    /// The sum of their losses, each times its examples.
    pub sum: f64,
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
    #[serde(skip)]
    pub(super) within: Within,
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
        let (path, further) = (path.as_ref(), self.settings.further);
        if self.within != Within::default() {
            return container::write(&WITHIN, path, &(self, further, self.within));
        }
        if self.target.is_measurement() && further == Further::default() {
            return container::write(&PLAIN, path, self);
        }
        container::write(&FURTHER, path, &(self, further))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Format`] for anything but a whole, undamaged checkpoint of a version that is known; [`Error::Io`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = container::whole(&WITHIN, path)?;
        let (mut checkpoint, further, within): (Self, Further, Within) = match container::version(&WITHIN, &file) {
            Some(1) => (container::decode(&PLAIN, &file, path)?, Further::default(), Within::default()),
            Some(2) => container::decode(&FURTHER, &file, path).map(|(checkpoint, further)| (checkpoint, further, Within::default()))?,
            _ => container::decode(&WITHIN, &file, path)?,
        };
        checkpoint.settings.further = further;
        checkpoint.within = within;
        Ok(checkpoint)
    }
}
