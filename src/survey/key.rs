//! The key: which method stands behind each choice. It never travels with the pages.

use crate::dataset::Target;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is shown of a heatmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// 12 leads.
    Full,
    /// The mean over leads, over V5.
    Averaged,
}

impl View {
    /// Both, in the order of the study's tables.
    pub const BOTH: [View; 2] = [View::Full, View::Averaged];

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            View::Full => "full heatmaps (12 leads)",
            View::Averaged => "averaged heatmaps (one lead)",
        }
    }
}

/// The key of a survey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The survey's number; votes carry it.
    pub survey: String,
    /// The seed of every order and id.
    pub seed: u64,
    /// The methods that are voted on.
    pub methods: Vec<String>,
    /// Names of the ECGs.
    pub ecgs: Vec<String>,
    /// The targets.
    pub targets: Vec<Target>,
    /// How often each ECG is presented.
    pub presentations: usize,
    /// One entry per rater.
    pub raters: Vec<RaterKey>,
}

/// One rater's screens, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RaterKey {
    /// The rater's name in votes.
    pub rater: String,
    /// The screens.
    pub screens: Vec<ScreenKey>,
}

/// What is behind one screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScreenKey {
    /// The screen's id in the page and in votes.
    pub id: String,
    /// The ECG's index.
    pub ecg: usize,
    /// The target.
    pub target: Target,
    /// Full or averaged.
    pub view: View,
    /// 0 for the first presentation.
    pub presentation: usize,
    /// Ids of the choices in their order on the screen, and the method (index) behind each.
    pub choices: Vec<(String, usize)>,
}

/// No key is larger.
const LARGEST: u64 = 1 << 28;

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] when it is no key, or one that refers to what it does not have.
    pub fn read(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(|source| Error::io(path, source))?.len();
        if length > LARGEST {
            return Err(Error::format(path, format!("{length} bytes: a survey's key has less than {LARGEST}")));
        }
        let text = std::fs::read(path).map_err(|source| Error::io(path, source))?;
        let key: Key = serde_json::from_slice(&text).map_err(|error| Error::format(path, format!("not the key of a survey: {error}")))?;
        key.check().map_err(|problem| Error::format(path, problem))?;
        Ok(key)
    }

    fn check(&self) -> std::result::Result<(), String> {
        for rater in &self.raters {
            for screen in &rater.screens {
                let bad_method = screen.choices.iter().any(|choice| choice.1 >= self.methods.len());
                if bad_method
                    || screen.ecg >= self.ecgs.len()
                    || screen.presentation >= self.presentations
                    || !self.targets.contains(&screen.target)
                {
                    return Err(format!("screen {} of {} refers to what the key does not have", screen.id, rater.rater));
                }
            }
        }
        Ok(())
    }
}
