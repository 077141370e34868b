//! The measurements that a file carries: how its reader hands them on, and the columns in which they stand beside ours.

use crate::ecg::{Further, Measurements};

/// What a cart printed, in the usual units; numbers that no ECG has are taken for absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Printed {
    pub rate_bpm: Option<f64>,
    pub p_ms: Option<f64>,
    pub pr_ms: Option<f64>,
    pub qrs_ms: Option<f64>,
    pub qt_ms: Option<f64>,
    /// QT corrected by Bazett.
    pub qtcb_ms: Option<f64>,
    /// Frontal axes of P, QRS and T, degrees.
    pub axes: [Option<f64>; 3],
}

impl Printed {
    /// The measurements, if there is any.
    pub fn labels(self) -> Option<Measurements> {
        let amount = |value: Option<f64>| value.filter(|value| *value > 0.0 && *value < 10_000.0);
        let further = Further {
            p_ms: amount(self.p_ms),
            qtc_ms: [amount(self.qtcb_ms), None, None, None],
            axes: self.axes.map(|axis| axis.filter(|axis| axis.abs() <= 360.0).map(|axis| (axis + 180.0).rem_euclid(360.0) - 180.0)),
            ..Further::default()
        };
        let labels = Measurements {
            pr_ms: amount(self.pr_ms),
            qrs_ms: amount(self.qrs_ms),
            qt_ms: amount(self.qt_ms),
            rate_bpm: amount(self.rate_bpm),
            further: (further != Further::default()).then(|| Box::new(further)),
            ..Measurements::default()
        };
        (labels != Measurements::default()).then_some(labels)
    }
}

/// The columns of what files carry, behind those of ours.
pub const FILE_COLUMNS: [&str; 13] = [
    "file_pr_ms",
    "file_qrs_ms",
    "file_qt_ms",
    "file_rate_bpm",
    "file_p_ms",
    "file_qtcb_ms",
    "file_p_axis_deg",
    "file_qrs_axis_deg",
    "file_t_axis_deg",
    "file_age_years",
    "file_sex",
    "file_statements",
    "file_annotations",
];

/// The columns of who an ECG is of, written only where the user asks for them.
pub const IDENTITY_COLUMNS: [&str; 2] = ["file_patient_id", "file_patient_name"];

impl super::Recording {
    /// The fields of [`FILE_COLUMNS`]; empty where the file says nothing. Of annotations it is how many there are.
    pub fn file_fields(&self) -> [String; 13] {
        let text = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let m = self.labels.clone().unwrap_or_default();
        let further = m.further.as_deref().cloned().unwrap_or_default();
        let [p, qrs, t] = further.axes;
        let numbers = [m.pr_ms, m.qrs_ms, m.qt_ms, m.rate_bpm, further.p_ms, further.qtc_ms[0], p, qrs, t].map(text);
        let mut fields: [String; 13] = Default::default();
        fields[..9].clone_from_slice(&numbers);
        fields[9] = text(self.patient.age_years.map(|age| (age * 100.0).round() / 100.0));
        fields[10] = self.patient.sex.clone().unwrap_or_default();
        fields[11] = self.statements.join(" ");
        fields[12] = Some(self.annotations.len()).filter(|count| *count > 0).map(|count| count.to_string()).unwrap_or_default();
        fields
    }

    /// The fields of [`IDENTITY_COLUMNS`].
    pub fn identity_fields(&self) -> [String; 2] {
        [self.patient.id.clone().unwrap_or_default(), self.patient.name.clone().unwrap_or_default()]
    }
}
