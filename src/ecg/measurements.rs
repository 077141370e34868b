//! What is measured on one ECG.

use serde::{Deserialize, Serialize};

/// The measurements of one ECG. `None` means not there or not recognised, never a guess.
/// Fiducials are sample indices (500 Hz) into the 600-sample median beat, whose R peak is at sample 240.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// P onset to QRS onset, ms.
    pub pr_ms: Option<f64>,
    /// QRS duration, ms.
    pub qrs_ms: Option<f64>,
    /// QRS onset to T end, ms.
    pub qt_ms: Option<f64>,
    /// Ventricular rate, beats per minute.
    pub rate_bpm: Option<f64>,
    /// R amplitude in V5 relative to its level at QRS onset, µV.
    pub r_v5_uv: Option<f64>,
    /// Amplitude in V5 at QRS offset, µV.
    pub j_v5_uv: Option<f64>,
    /// T amplitude in V5 (signed extremum), µV.
    pub t_v5_uv: Option<f64>,
    /// P onset, sample of the median beat.
    pub p_onset: Option<f64>,
    /// P offset.
    pub p_offset: Option<f64>,
    /// QRS onset.
    pub qrs_onset: Option<f64>,
    /// QRS offset (J point).
    pub qrs_offset: Option<f64>,
    /// T end.
    pub t_offset: Option<f64>,
    /// `None` when measured, otherwise why the ECG could not be measured.
    pub rejected: Option<String>,
}
