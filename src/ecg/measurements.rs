//! What is measured on one ECG.

use super::further::Further;
#[cfg(feature = "files")]
use super::measure::BEAT;
use serde::{Deserialize, Serialize};

/// The measurements of one ECG. `None` means not there or not recognised, never a guess.
/// Fiducials are sample indices (500 Hz) into the 600-sample median beat, whose R peak is at sample 240.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// How sure all that is, and what else a cart prints; `None` where nothing of it is known (labels, truth, a rejected ECG).
    #[serde(default)]
    pub further: Option<Box<Further>>,
}

#[cfg(feature = "files")]
/// No interval in ms, rate per minute or amplitude in µV is larger.
const LARGEST: f64 = 1e6;

#[cfg(feature = "files")]
impl Measurements {
    /// Refuses numbers that no ECG has, naming the column: not finite, beyond all bounds, fiducials outside of the median beat.
    pub(crate) fn check(&self) -> Result<(), String> {
        let amounts = [
            ("pr_ms", self.pr_ms),
            ("qrs_ms", self.qrs_ms),
            ("qt_ms", self.qt_ms),
            ("rate_bpm", self.rate_bpm),
            ("r_v5_uv", self.r_v5_uv),
            ("j_v5_uv", self.j_v5_uv),
            ("t_v5_uv", self.t_v5_uv),
        ];
        let fiducials = [
            ("p_onset", self.p_onset),
            ("p_offset", self.p_offset),
            ("qrs_onset", self.qrs_onset),
            ("qrs_offset", self.qrs_offset),
            ("t_offset", self.t_offset),
        ];
        for (name, value) in amounts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            // No range contains NaN.
            if !(-LARGEST..=LARGEST).contains(&value) {
                return Err(format!("{name} is {value:e}: no ECG has that"));
            }
        }
        for (name, at) in fiducials.into_iter().filter_map(|(name, at)| Some((name, at?))) {
            if !(0.0..=BEAT as f64).contains(&at) {
                return Err(format!("{name} is {at:e}, outside of the median beat of {BEAT} samples"));
            }
        }
        Ok(())
    }
}
