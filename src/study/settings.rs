//! What a study is made of, and its two presets.

use crate::dataset::{InputKind, Target};
use crate::nn::TrainSettings;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A named set of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Minutes on two cores.
    Quick,
    /// The study's sizes: days on two cores.
    Paper,
}

/// Everything that a study's results follow from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudySettings {
    /// Where the sizes came from.
    pub preset: Preset,
    /// The Pulse2pulse generator's file; `None`: the simulator.
    pub generator: Option<PathBuf>,
    /// A dataset to use instead of generating one.
    pub data: Option<PathBuf>,
    /// ECGs to generate.
    pub ecgs: usize,
    /// The targets, in the order of the tables.
    pub targets: Vec<Target>,
    /// What the networks look at.
    pub input: InputKind,
    /// The master seed.
    pub seed: u64,
    /// How the networks are trained; its seed is the master seed.
    pub training: TrainSettings,
    /// Test ECGs whose heatmaps are kept.
    pub heatmap_ecgs: usize,
    /// Test ECGs that are perturbed.
    pub perturb_ecgs: usize,
    /// Points perturbed.
    pub iterations: usize,
}

impl StudySettings {
    /// The settings of a preset.
    pub fn new(preset: Preset) -> Self {
        let (ecgs, training, heatmap_ecgs, perturb_ecgs) = match preset {
            Preset::Quick => (2000, TrainSettings::quick(), 12, 16),
            Preset::Paper => (150_000, TrainSettings::paper(), 51, 5000),
        };
        StudySettings {
            preset,
            generator: None,
            data: None,
            ecgs,
            targets: Target::STUDY.to_vec(),
            input: InputKind::Median,
            seed: 1,
            training: TrainSettings { seed: 1, ..training },
            heatmap_ecgs,
            perturb_ecgs,
            iterations: 200,
        }
    }

    /// Refuses settings that cannot give a study.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the setting.
    pub fn check(&self) -> Result<()> {
        let zero = [
            ("ECGs", self.ecgs),
            ("heatmap ECGs", self.heatmap_ecgs),
            ("perturbed ECGs", self.perturb_ecgs),
            ("targets", self.targets.len()),
        ];
        if let Some((what, _)) = zero.into_iter().find(|(_, size)| *size == 0) {
            return Err(Error::Usage(format!("a study needs at least 1 of: {what}")));
        }
        if self.iterations < 25 {
            return Err(Error::Usage(format!("{} iterations: ranks are taken at 10 to 25, so there must be at least 25", self.iterations)));
        }
        if self.data.is_some() && self.generator.is_some() {
            return Err(Error::Usage("a dataset and a generator were given: leave one out".into()));
        }
        Ok(())
    }

    /// The source's name.
    pub fn source(&self) -> String {
        match (&self.data, &self.generator) {
            (Some(data), _) => data.display().to_string(),
            (None, Some(_)) => "pulse2pulse".into(),
            (None, None) => "simulator".into(),
        }
    }
}
