//! What is measured beyond the twelve numbers of [`Measurements`](super::Measurements): how sure they are, and what else a cart prints.

use serde::{Deserialize, Serialize};

/// The measurements that have a standard error, in order.
pub const WITH_ERROR: [&str; 7] = ["pr_ms", "qrs_ms", "qt_ms", "rate_bpm", "r_v5_uv", "j_v5_uv", "t_v5_uv"];
/// The waves whose amplitudes are given in every lead, in the order of [`Further::leads`].
pub const WAVES: [&str; 11] = ["p", "q", "r", "s", "r2", "s2", "t", "t2", "j", "j60", "j80"];

/// Standard errors, quality, and the further numbers of one ECG. `None` means not there or not trusted, never a guess.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Further {
    /// Standard errors in the order of [`WITH_ERROR`], in the unit of each.
    pub errors: [Option<f64>; 7],
    /// From 0 to 1: the signal quality of the middle lead times the share of the beats that was used.
    pub quality: Option<f64>,
    /// Why measurements are empty, one sentence each, parted by `; `.
    pub notes: String,
    /// QRS complexes found.
    pub beats_found: Option<f64>,
    /// Beats of the dominant shape, of which the median beat is made.
    pub beats_used: Option<f64>,
    /// The rhythm where it is certain: `sinus`, `atrial fibrillation`, `paced`, `irregular`; else empty.
    pub rhythm: String,
    /// P duration, ms.
    pub p_ms: Option<f64>,
    /// T duration, ms.
    pub t_ms: Option<f64>,
    /// QT corrected for rate by Bazett, Fridericia, Framingham and Hodges, ms.
    pub qtc_ms: [Option<f64>; 4],
    /// Frontal axes of P, QRS and T, degrees from −180 to 180, of the areas in I and aVF.
    pub axes: [Option<f64>; 3],
    /// Signal quality of the eight independent leads, 0 to 1: how alike their single beats are to the median beat.
    pub lead_quality: [Option<f64>; 8],
    /// Amplitudes in µV relative to QRS onset (P: to its own onset), a row a lead of the twelve, columns as in [`WAVES`]. Not kept in datasets.
    pub leads: Option<[[Option<f64>; 11]; 12]>,
}

/// A column of a table: its name and how its number is reached.
type Column = (String, fn(&mut Further, usize) -> &mut Option<f64>, usize);

impl Further {
    /// The columns of numbers and how each is reached, in their order behind `notes`.
    fn numbers() -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        let mut one = |name: &str, of: fn(&mut Further, usize) -> &mut Option<f64>, at: usize| columns.push((name.to_owned(), of, at));
        one("beats_found", |f, _| &mut f.beats_found, 0);
        one("beats_used", |f, _| &mut f.beats_used, 0);
        one("p_ms", |f, _| &mut f.p_ms, 0);
        one("t_ms", |f, _| &mut f.t_ms, 0);
        for (at, name) in ["qtcb_ms", "qtcf_ms", "qtcfr_ms", "qtch_ms"].into_iter().enumerate() {
            one(name, |f, at| &mut f.qtc_ms[at], at);
        }
        for (at, name) in ["p_axis_deg", "qrs_axis_deg", "t_axis_deg"].into_iter().enumerate() {
            one(name, |f, at| &mut f.axes[at], at);
        }
        for (at, lead) in super::leads::INDEPENDENT.into_iter().enumerate() {
            one(&format!("quality_{lead}"), |f, at| &mut f.lead_quality[at], at);
        }
        columns
    }

    /// The names of the columns behind `status`: standard errors, `quality`, `notes`, `rhythm`, further numbers.
    pub fn columns() -> Vec<String> {
        let errors = WITH_ERROR.iter().map(|name| format!("{name}_se"));
        let texts = ["quality", "notes", "rhythm"].map(str::to_owned);
        errors.chain(texts).chain(Further::numbers().into_iter().map(|(name, ..)| name)).collect()
    }

    /// The names of the columns of amplitudes: `LEAD_WAVE_uv`, lead by lead (`r_v5_uv` and its like are the measurements before `status`).
    pub fn lead_columns() -> Vec<String> {
        super::leads::LEADS.iter().flat_map(|lead| WAVES.map(|wave| format!("{}_{wave}_uv", lead.to_lowercase()))).collect()
    }

    /// The fields of a row, in the order of [`Further::columns`].
    pub fn fields(&self) -> Vec<String> {
        let text = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let mut own = self.clone();
        let numbers: Vec<String> = Further::numbers().into_iter().map(|(_, of, at)| text(*of(&mut own, at))).collect();
        let errors = self.errors.iter().map(|error| text(*error));
        errors.chain([text(self.quality), self.notes.clone(), self.rhythm.clone()]).chain(numbers).collect()
    }

    /// The fields of a row, in the order of [`Further::lead_columns`]; empty where there are none.
    pub fn lead_fields(&self) -> Vec<String> {
        match &self.leads {
            Some(leads) => leads.iter().flatten().map(|value| value.map(|value| value.to_string()).unwrap_or_default()).collect(),
            None => vec![String::new(); WAVES.len() * 12],
        }
    }

    /// What a row holds under the names of [`Further::columns`]; a column that is not there is empty.
    ///
    /// # Errors
    /// A field that is no number, or none that an ECG has, by its column's name.
    pub fn parse<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<Further, String> {
        let number = |name: &str| match field(name).map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => match text.parse::<f64>() {
                Ok(value) if (-1e6..=1e6).contains(&value) => Ok(Some(value)),
                _ => Err(format!("{name} is '{text}' and not a number that an ECG has")),
            },
        };
        let mut further = Further::default();
        for (at, name) in WITH_ERROR.iter().enumerate() {
            further.errors[at] = number(&format!("{name}_se"))?;
        }
        further.quality = number("quality")?;
        further.notes = field("notes").unwrap_or_default().to_owned();
        further.rhythm = field("rhythm").unwrap_or_default().to_owned();
        for (name, of, at) in Further::numbers() {
            *of(&mut further, at) = number(&name)?;
        }
        Ok(further)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_row_comes_back_and_damage_is_named() {
        let further = Further {
            errors: [Some(3.5), None, Some(0.1), None, None, None, Some(12.0)],
            quality: Some(0.93),
            notes: "no PR: the ventricles are paced".into(),
            rhythm: "paced".into(),
            qtc_ms: [Some(410.0), None, Some(400.5), None],
            axes: [None, Some(-30.0), None],
            ..Further::default()
        };
        let columns = Further::columns();
        let fields = further.fields();
        assert_eq!(columns.len(), fields.len());
        let mut row: HashMap<&str, &str> = columns.iter().map(String::as_str).zip(fields.iter().map(String::as_str)).collect();
        assert_eq!(Further::parse(|name| row.get(name).copied()).unwrap(), further);
        row.insert("quality", "good");
        assert!(Further::parse(|name| row.get(name).copied()).unwrap_err().contains("quality is 'good'"));
        assert_eq!(Further::parse(|_| None).unwrap(), Further::default(), "a dataset of an earlier version");
        assert_eq!(Further::lead_columns().len(), further.lead_fields().len());
        assert_eq!(Further::lead_columns()[6 * 11], "v1_p_uv");
    }
}
