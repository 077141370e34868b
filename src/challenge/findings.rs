//! What a criterion found, ECG by ECG, as it is kept in a file: the unit in which a challenge is interrupted and continued.

use crate::files::atomic;
use crate::intake::{self, Most};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// A question that is asked of heatmaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Do they look where the measurement is made?
    Localisation,
    /// How alike are those of different methods?
    Likeness,
    /// Do they foretell what a perturbation does?
    Infidelity,
    /// Do they stay when the ECG changes a little?
    Sensitivity,
    /// Do they change when layers are randomised, from the output on?
    Cascading,
    /// Do they change when one layer is randomised?
    Independent,
    /// Do they differ from those of a network trained on permuted labels?
    PermutedLabels,
    /// Are they those of a network trained from another seed?
    Seeds,
    /// Does the prediction change when what they highlight is replaced?
    Replacement,
}

impl Criterion {
    /// Every criterion, the quick ones first.
    pub const ALL: [Criterion; 9] = [
        Criterion::Localisation,
        Criterion::Likeness,
        Criterion::Infidelity,
        Criterion::Replacement,
        Criterion::Sensitivity,
        Criterion::Cascading,
        Criterion::Independent,
        Criterion::PermutedLabels,
        Criterion::Seeds,
    ];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Criterion::Localisation => "localisation",
            Criterion::Likeness => "likeness",
            Criterion::Infidelity => "infidelity",
            Criterion::Sensitivity => "sensitivity",
            Criterion::Cascading => "cascading",
            Criterion::Independent => "independent",
            Criterion::PermutedLabels => "permuted_labels",
            Criterion::Seeds => "seeds",
            Criterion::Replacement => "replacement",
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Criterion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Criterion::ALL.into_iter().find(|criterion| criterion.name() == text).ok_or_else(|| {
            Error::Usage(format!("unknown criterion '{text}': the criteria are {}", Criterion::ALL.map(Criterion::name).join(" ")))
        })
    }
}

/// One figure of every ECG and method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// What it is, e.g. `spearman_absolute`.
    pub name: String,
    /// The layer that it was taken at, which may have any name; `None` for what is of no single layer.
    pub layer: Option<String>,
    /// One row per method (or bound).
    pub rows: Vec<Row>,
}

/// One figure of every ECG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The method's name, or the bound's.
    pub of: String,
    /// One value per ECG; `None` where it cannot be had.
    pub values: Vec<Option<f64>>,
}

/// All that one criterion found for one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// The criterion.
    pub criterion: Criterion,
    /// What it depended on.
    pub digest: String,
    /// The ECGs, as indices in their dataset.
    pub ecgs: Vec<usize>,
    /// The figures.
    pub measures: Vec<Measure>,
    /// What a reader must know to understand them, in sentences.
    pub remarks: Vec<String>,
}

/// Those of a network take some megabytes.
const LARGEST: Most = Most { bytes: 1 << 30, of: "the findings of a criterion" };

/// A layer's name in a sentence: quoted, with control characters escaped, where it is more than letters, digits, `.`, `_` and `-`.
pub(super) fn plainly(layer: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !layer.is_empty() && layer.chars().all(plain) { layer.to_owned() } else { format!("{layer:?}") }
}

impl Findings {
    /// The values, for a method or bound, of a measure that is of no single layer.
    pub fn values(&self, measure: &str, of: &str) -> Option<&[Option<f64>]> {
        self.values_at(None, measure, of)
    }

    /// The values, for a method or bound, of a measure at a layer.
    pub fn values_at(&self, layer: Option<&str>, measure: &str, of: &str) -> Option<&[Option<f64>]> {
        let measure = self.measures.iter().find(|found| found.name == measure && found.layer.as_deref() == layer)?;
        measure.rows.iter().find(|row| row.of == of).map(|row| row.values.as_slice())
    }

    /// What lies in a file, if it depended on the same things.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that is there and cannot be read.
    pub fn load(path: &Path, digest: &str) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = intake::read(path, LARGEST)?;
        Ok(serde_json::from_slice(&text).ok().filter(|found: &Findings| found.digest == digest))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Value`] for a figure that is not finite.
    pub fn save(&self, path: &Path) -> Result<()> {
        for measure in &self.measures {
            for row in &measure.rows {
                if let Some(at) = row.values.iter().position(|value| value.is_some_and(|value| !value.is_finite())) {
                    let layer = measure.layer.as_deref().map_or_else(String::new, |layer| format!(" at {}", plainly(layer)));
                    let at = format!("{} {}{layer} of {}, ECG {}", self.criterion, measure.name, row.of, self.ecgs[at]);
                    return Err(Error::Value { at, problem: "the figure is not finite".into() });
                }
            }
        }
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::format(path, error.to_string()))?;
        atomic::write(path, (text + "\n").as_bytes())
    }
}
