//! The two named threshold sets. They answer different questions and are kept apart.

use crate::{Error, Result};
use std::str::FromStr;

/// Where waves are taken to begin and end, as fractions of the steepest slope nearby.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// The name on the command line.
    pub name: &'static str,
    /// QRS begins where the velocity falls below this fraction of its peak.
    pub qrs_onset: f64,
    /// QRS ends where the velocity falls below this fraction of its peak.
    pub qrs_offset: f64,
    /// The fractions of its steepest slope at which QRS begins and ends in a single lead.
    pub qrs_lead: (f64, f64),
    /// The weight of the single leads against all together, where the two are near.
    pub qrs_of_leads: f64,
    /// T ends where the projected slope falls below this fraction of the steepest.
    pub t_end: f64,
    /// The same, in single leads.
    pub t_end_lead: f64,
    /// P begins where the velocity falls below this fraction of its flank's maximum.
    pub p_onset: f64,
    /// P ends where the projected slope falls below this fraction of the steepest.
    pub p_offset: f64,
}

impl Thresholds {
    /// Fits GE's Marquette 12SL, the labels of the study: the default.
    pub const MARQUETTE: Thresholds = Thresholds {
        name: "12sl",
        qrs_onset: 0.045,
        qrs_offset: 0.042,
        qrs_lead: (0.036, 0.042),
        qrs_of_leads: 0.5,
        t_end: 0.055,
        t_end_lead: 0.08,
        p_onset: 0.40,
        p_offset: 0.20,
    };
    /// Fits cardiologists' marks (LUDB).
    pub const EXPERT: Thresholds = Thresholds {
        name: "expert",
        qrs_onset: 0.030,
        qrs_offset: 0.060,
        qrs_lead: (0.03, 0.03),
        qrs_of_leads: 0.65,
        t_end: 0.13,
        t_end_lead: 0.15,
        p_onset: 0.35,
        p_offset: 0.20,
    };
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds::MARQUETTE
    }
}

impl FromStr for Thresholds {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Thresholds::MARQUETTE, Thresholds::EXPERT]
            .into_iter()
            .find(|set| set.name == text)
            .ok_or_else(|| Error::Usage(format!("unknown thresholds '{text}': the sets are 12sl and expert")))
    }
}
