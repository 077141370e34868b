//! What the axes of an array of ECGs stand for: ids, leads, rate and unit. It travels with the arrays of a `.npz`, in the member `axes.json`, which NumPy
//! gives as bytes (`json.loads(archive["axes.json"])`) and readers of arrays pass over.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The member of a `.npz` that says it.
pub const MEMBER: &str = "axes.json";
/// The most leads that have names.
const MOST_LEADS: usize = 1024;

/// What is known of the ECGs (N, C, L) of an archive beside their samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axes {
    /// The name of each ECG, in the arrays' order.
    pub ids: Vec<String>,
    /// The name of each lead.
    pub leads: Vec<String>,
    /// Samples a second.
    pub rate_hz: f64,
    /// The unit of the ECGs.
    pub unit: String,
    /// Whether an ECG is a `median` beat or a `rhythm` strip, where that is known.
    #[serde(default)]
    pub input: Option<String>,
}

impl Axes {
    /// What an archive says.
    ///
    /// # Errors
    /// [`Error::Format`] for what is no such text, names too many leads, or a rate that no recording has.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let bad = |problem: String| Error::format(path, format!("{MEMBER}: {problem}"));
        let axes: Axes = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if !(axes.rate_hz > 0.0 && axes.rate_hz <= 1e6) {
            return Err(bad(format!("a rate of {} Hz", axes.rate_hz)));
        }
        if axes.leads.len() > MOST_LEADS {
            return Err(bad(format!("{} leads, at most {MOST_LEADS} have names", axes.leads.len())));
        }
        Ok(axes)
    }

    /// What an archive says of its arrays; `None` where it says nothing, as archives of NumPy do not.
    ///
    /// # Errors
    /// As [`Axes::parse`] and [`crate::files::npz::text`].
    pub fn of_archive(path: &Path) -> Result<Option<Self>> {
        crate::files::npz::text(path, MEMBER)?.map(|text| Axes::parse(path, &text)).transpose()
    }

    /// The text of the member.
    ///
    /// # Errors
    /// [`Error::Data`] for a rate that is no number.
    pub fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Data(format!("{MEMBER}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_come_back_and_impossible_ones_are_refused() {
        let axes = Axes { ids: vec!["a".into()], leads: vec!["II".into()], rate_hz: 100.0, unit: "uV".into(), input: None };
        let path = Path::new("x.npz");
        assert_eq!(Axes::parse(path, &axes.text().unwrap()).unwrap(), axes);
        for bad in ["", "{}", "[1]", &Axes { rate_hz: 0.0, ..axes.clone() }.text().unwrap(), &axes.text().unwrap().replace("100.0", "1e9")]
        {
            assert!(Axes::parse(path, bad).unwrap_err().to_string().contains("axes.json"), "{bad}");
        }
    }
}
