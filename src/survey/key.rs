//! The key: which method stands behind each choice. It never travels with the pages.

use crate::dataset::Target;
use crate::error::one_line;
use crate::intake::{self, Most};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::hash::Hash;
use std::ops::RangeInclusive;
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
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
pub struct RaterKey {
    /// The rater's name in votes.
    pub rater: String,
    /// The screens.
    pub screens: Vec<ScreenKey>,
}

/// What is behind one screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// That of 100 raters, 51 ECGs, 6 targets and 20 presentations takes 600 MB; that of the study 1 MB.
const LARGEST: Most = Most { bytes: 1 << 30, of: "the key of a survey" };

/// How often an ECG may be presented, and to how many raters.
pub(super) const PRESENTATIONS: RangeInclusive<usize> = 1..=20;
pub(super) const RATERS: RangeInclusive<usize> = 1..=100;

/// What is in a list for the second time.
fn twice<T: Eq + Hash>(list: impl IntoIterator<Item = T>) -> Option<T> {
    let mut seen = HashSet::new();
    for item in list {
        if seen.contains(&item) {
            return Some(item);
        }
        seen.insert(item);
    }
    None
}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] when it is no key, has an unknown field, refers to what it does not have, or lacks a screen.
    pub fn read(path: &Path) -> Result<Self> {
        let key: Key = intake::json(path, LARGEST)?;
        key.check().map_err(|problem| Error::format(path, problem))?;
        Ok(key)
    }

    /// Whether it is the key of a survey as they are made: every rater sees every ECG, target and view as often as it is presented, and chooses
    /// among all methods each time. So no number in it is larger than what is listed.
    fn check(&self) -> std::result::Result<(), String> {
        if !PRESENTATIONS.contains(&self.presentations) || !RATERS.contains(&self.raters.len()) {
            let (presentations, raters) = (self.presentations, self.raters.len());
            return Err(format!(
                "{presentations} presentations to {raters} raters: a survey has {} to {} and {} to {}",
                PRESENTATIONS.start(),
                PRESENTATIONS.end(),
                RATERS.start(),
                RATERS.end()
            ));
        }
        if let Some(name) = twice(&self.methods).or_else(|| twice(self.raters.iter().map(|rater| &rater.rater))) {
            return Err(format!("'{name}' is there twice"));
        }
        if let Some(target) = twice(&self.targets) {
            return Err(format!("the target {target} is there twice"));
        }
        let wanted = (self.targets.len() * View::BOTH.len()).checked_mul(self.ecgs.len()).and_then(|n| n.checked_mul(self.presentations));
        for rater in &self.raters {
            if Some(rater.screens.len()) != wanted {
                let all = "every ECG, target and view for each presentation";
                return Err(format!("{} has {} screens, not one of {all}", rater.rater, rater.screens.len()));
            }
            self.check_screens(rater)?;
        }
        Ok(())
    }

    fn check_screens(&self, rater: &RaterKey) -> std::result::Result<(), String> {
        let (mut ids, mut places) = (HashSet::new(), HashSet::new());
        for screen in &rater.screens {
            let of = format!("screen {} of {}", one_line(&screen.id, 60), one_line(&rater.rater, 60));
            let bad_method = screen.choices.iter().any(|choice| choice.1 >= self.methods.len());
            if bad_method
                || screen.ecg >= self.ecgs.len()
                || screen.presentation >= self.presentations
                || !self.targets.contains(&screen.target)
            {
                return Err(format!("{of} refers to what the key does not have"));
            }
            if !ids.insert(&screen.id) || !places.insert((screen.ecg, screen.target, screen.view, screen.presentation)) {
                return Err(format!("{of} is there twice"));
            }
            let methods = twice(screen.choices.iter().map(|choice| choice.1)).is_some();
            if screen.choices.len() != self.methods.len() || methods || twice(screen.choices.iter().map(|choice| &choice.0)).is_some() {
                return Err(format!("{of} does not offer each method once"));
            }
        }
        Ok(())
    }
}
