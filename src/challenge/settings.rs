//! The settings of a challenge, and the addresses of its draws.

use crate::random::Stage;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How much is done. Everything that results depend on besides the networks, the ECGs and the methods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The master seed.
    pub seed: u64,
    /// ECGs whose heatmaps are looked at.
    pub ecgs: usize,
    /// ECGs, the first of these, for the criteria that need many heatmaps or predictions of each: weight randomisation, max-sensitivity and
    /// replacement.
    pub few: usize,
    /// Networks trained with other seeds.
    pub seeds: usize,
    /// Epochs of the network trained on permuted labels; `None`: as the network itself.
    pub permuted_epochs: Option<usize>,
    /// Perturbations for infidelity.
    pub infidelity_draws: usize,
    /// Perturbed inputs for max-sensitivity.
    pub sensitivity_draws: usize,
    /// The size of the perturbations of both, as a share of (max − min) of the ECG.
    pub radius: f64,
    /// Samples that infidelity's second kind of perturbation sets to 0.
    pub removed: usize,
    /// Samples of a patch that is replaced.
    pub patch: usize,
    /// Patches (or points) replaced, one a step.
    pub steps: usize,
    /// Random orders that make the lower bound.
    pub random_orders: usize,
    /// Patches (or points) that the oracle tries once at the beginning.
    pub screened: usize,
    /// Those of them that it tries at each step.
    pub candidates: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            ecgs: 51,
            few: 12,
            seeds: 1,
            permuted_epochs: None,
            infidelity_draws: 100,
            sensitivity_draws: 10,
            radius: 0.02,
            removed: 50,
            patch: 20,
            steps: 15,
            random_orders: 5,
            screened: 720,
            candidates: 32,
        }
    }
}

impl Settings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the setting.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("ECGs", self.ecgs),
            ("ECGs of the costly criteria", self.few),
            ("perturbations for infidelity", self.infidelity_draws),
            ("perturbed inputs for max-sensitivity", self.sensitivity_draws),
            ("samples removed", self.removed),
            ("samples of a patch", self.patch),
            ("steps", self.steps),
            ("random orders", self.random_orders),
            ("patches screened", self.screened),
            ("candidates", self.candidates),
        ];
        if let Some((what, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(Error::Usage(format!("{what}: the number must be at least 1")));
        }
        if self.permuted_epochs == Some(0) {
            return Err(Error::Usage("epochs on permuted labels: the number must be at least 1".into()));
        }
        if !(self.radius.is_finite() && self.radius > 0.0) {
            return Err(Error::Usage(format!("a radius of {}: it must be above 0", self.radius)));
        }
        Ok(())
    }
}

/// What a stream of [`Draw::STAGE`] is for; its ECG is the ECG's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    /// Noise of a replacement (number: which).
    Replacement = 1,
    /// Random orders (number: which).
    Order = 2,
    /// The other ECG whose patches are taken.
    Donor = 3,
    /// Infidelity's noise (number: which).
    Noise = 4,
    /// Infidelity's removed windows.
    Window = 5,
    /// Max-sensitivity's inputs (number: which).
    Neighbour = 6,
    /// Permuted labels (ECG 0; number: the part of the data).
    Labels = 7,
}

impl Draw {
    /// The stage of all these streams.
    pub const STAGE: Stage = Stage::Challenge;

    /// The repeat that addresses draw `number` of this kind.
    pub fn repeat(self, number: u32) -> u32 {
        (self as u32) << 24 | number
    }
}
