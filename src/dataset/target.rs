//! What is predicted, and from which input.

use crate::ecg::Measurements;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A measurement that a network predicts. The order is that of the study's tables; the index keys random streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// PR interval, P onset to QRS onset, ms.
    Pr,
    /// QRS duration, ms.
    Qrs,
    /// QT interval, QRS onset to T end, ms.
    Qt,
    /// R amplitude in V5, µV.
    RV5,
    /// J-point amplitude in V5 (at QRS offset), µV.
    JV5,
    /// T amplitude in V5, µV.
    TV5,
    /// Ventricular rate, beats per minute.
    Rate,
}

impl Target {
    /// The six targets of the study, in its order.
    pub const STUDY: [Target; 6] = [Target::Pr, Target::Qrs, Target::Qt, Target::RV5, Target::JV5, Target::TV5];
    /// Every target.
    pub const ALL: [Target; 7] = [Target::Pr, Target::Qrs, Target::Qt, Target::RV5, Target::JV5, Target::TV5, Target::Rate];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Target::Pr => "pr",
            Target::Qrs => "qrs",
            Target::Qt => "qt",
            Target::RV5 => "r_v5",
            Target::JV5 => "j_v5",
            Target::TV5 => "t_v5",
            Target::Rate => "rate",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Target::Pr => "PR interval",
            Target::Qrs => "QRS duration",
            Target::Qt => "QT interval",
            Target::RV5 => "R amplitude in V5",
            Target::JV5 => "J-point in V5",
            Target::TV5 => "T amplitude in V5",
            Target::Rate => "Ventricular rate",
        }
    }

    /// The unit: `ms`, `µV` or `bpm`.
    pub fn unit(self) -> &'static str {
        match self {
            Target::Pr | Target::Qrs | Target::Qt => "ms",
            Target::RV5 | Target::JV5 | Target::TV5 => "µV",
            Target::Rate => "bpm",
        }
    }

    /// The number that keys random streams; never changes.
    pub fn index(self) -> u32 {
        self as u32
    }

    /// The value in an ECG's measurements, `None` where it was not measurable.
    pub fn value(self, m: &Measurements) -> Option<f64> {
        match self {
            Target::Pr => m.pr_ms,
            Target::Qrs => m.qrs_ms,
            Target::Qt => m.qt_ms,
            Target::RV5 => m.r_v5_uv,
            Target::JV5 => m.j_v5_uv,
            Target::TV5 => m.t_v5_uv,
            Target::Rate => m.rate_bpm,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Target::ALL
            .into_iter()
            .find(|target| target.name() == text)
            .ok_or_else(|| Error::Usage(format!("unknown target '{text}': the targets are {}", Target::ALL.map(Target::name).join(" "))))
    }
}

/// What a network looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// The median beat, 12 × 600 samples at 500 Hz, µV.
    Median,
    /// The 10-s recording, 12 × 5000 samples at 500 Hz, µV.
    Rhythm,
}

impl InputKind {
    /// Samples per lead.
    pub fn samples(self) -> usize {
        match self {
            InputKind::Median => 600,
            InputKind::Rhythm => 5000,
        }
    }

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            InputKind::Median => "median",
            InputKind::Rhythm => "rhythm",
        }
    }
}

impl fmt::Display for InputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for InputKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [InputKind::Median, InputKind::Rhythm]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| Error::Usage(format!("unknown input '{text}': the inputs are median (12 × 600) and rhythm (12 × 5000)")))
    }
}
