//! Arrays of ECGs in files of named arrays (MATLAB, HDF5, Parquet): which of several arrays they are, and which axis of it is which.

use super::arrays;
use super::bytes::Found;
use super::{Given, Recording, Unit};
use crate::{Error, Result};
use ndarray::{ArrayD, IxDyn};
use std::path::Path;

/// Names under which ECGs are kept, the usual ones first.
const USUAL: [&str; 9] = ["tracings", "val", "ecg", "data", "signal", "signals", "rhythm", "waveform", "x"];
const RATES: [&str; 9] = ["fs", "freq", "frequency", "sfreq", "hz", "sampling_rate", "samplingrate", "sample_rate", "sampling_frequency"];
const UNITS: [&str; 3] = ["unit", "units", "amplitude_unit"];

/// The axes of an array in the order of a file (the last one varies fastest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axes {
    /// The axis of ECGs; `None` where there is one alone.
    pub ecg: Option<usize>,
    /// Whether a lead's samples lie together, i.e. leads come before samples.
    pub leads_first: bool,
    /// How many leads there are.
    pub leads: usize,
    /// How many samples each has.
    pub samples: usize,
}

impl Axes {
    /// Of a shape; the axis of ECGs is the first, or the last where axes are `turned` (as MATLAB's are in a file). `None` where no axis can be of leads,
    /// or both.
    pub fn of(shape: &[usize], turned: bool, given: &Given) -> Option<Self> {
        let (ecg, rest) = match *shape {
            [a, b] => (None, [a, b]),
            [a, b, n] if turned && n > 0 => (Some(2), [a, b]),
            [n, a, b] if !turned && n > 0 => (Some(0), [a, b]),
            _ => return None,
        };
        let leads = |count: usize, samples: usize| samples > 4 * count && arrays::names(count, given).is_some();
        match rest {
            [a, b] if leads(a, b) => Some(Axes { ecg, leads_first: true, leads: a, samples: b }),
            [a, b] if leads(b, a) => Some(Axes { ecg, leads_first: false, leads: b, samples: a }),
            _ => None,
        }
    }
}

/// The last part of a path of names.
pub(super) fn last(path: &str) -> &str {
    path.rsplit(['/', '.']).next().unwrap_or(path)
}

fn among(path: &str, names: &[&str]) -> Option<usize> {
    names.iter().position(|name| name.eq_ignore_ascii_case(last(path)))
}

/// Whether a scalar of that name is a sampling rate.
pub(super) fn is_rate(path: &str) -> bool {
    among(path, &RATES).is_some()
}

/// Whether a text of that name is a unit.
pub(super) fn is_unit(path: &str) -> bool {
    among(path, &UNITS).is_some()
}

/// Which of several arrays the ECGs are: the only one, or the one with the most usual name.
pub(super) fn choose(names: &[&str]) -> Found<usize> {
    if names.len() == 1 {
        return Ok(0);
    }
    let usual = |at: usize| among(names[at], &USUAL).unwrap_or(USUAL.len());
    let best = (0..names.len())
        .min_by_key(|&at| usual(at))
        .ok_or("there is no array in it that could be an ECG: 8 or 12 leads, or those named by --leads")?;
    let rivals: Vec<&str> = (0..names.len()).filter(|&at| usual(at) == usual(best)).map(|at| names[at]).collect();
    match rivals.len() {
        1 => Ok(best),
        _ => Err(format!("it holds {}, which could all be ECGs: keep one of them", rivals.join(", "))),
    }
}

/// The rate and the unit: as given, else as the file says; what is not known is asked for.
pub(super) fn complete(given: &Given, rate: Option<f64>, unit: Option<Unit>, kind: &str) -> Found<Given> {
    let rate = given.rate.or(rate.filter(|rate| rate.is_finite() && *rate > 0.0));
    let rate = rate.ok_or_else(|| format!("{kind} does not say its sampling rate: give --rate HZ"))?;
    let unit = given.unit.or(unit).ok_or_else(|| format!("{kind} does not say the unit of its samples: give --unit"))?;
    Ok(Given { rate: Some(rate), unit: Some(unit), leads: given.leads.clone() })
}

/// One ECG from its samples in the order of the file. Instants at both ends at which every lead is 0 are padding, as of arrays whose ECGs are not all
/// as long, and cut off.
pub(super) fn recording(path: &Path, values: Vec<f64>, axes: Axes, given: &Given) -> Result<Recording> {
    let shape = if axes.leads_first { [axes.leads, axes.samples] } else { [axes.samples, axes.leads] };
    let array = ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|error| Error::format(path, error.to_string()))?;
    let array = if axes.leads_first { array } else { array.reversed_axes() };
    let mut recording = arrays::recording(path, array, given)?;
    trim(&mut recording);
    Ok(recording)
}

/// Fewer zeros than this may be the ECG's own.
const PADDING: usize = 5;

fn trim(recording: &mut Recording) {
    let length = recording.leads.first().map_or(0, |lead| lead.samples.len());
    let silent = |t: &usize| recording.leads.iter().all(|lead| lead.samples[*t] == 0.0);
    let before = (0..length).take_while(silent).count();
    let after = (before..length).rev().take_while(silent).count();
    let (before, after) = (if before < PADDING { 0 } else { before }, if after < PADDING { 0 } else { after });
    if before == length || before + after == 0 {
        return;
    }
    for lead in &mut recording.leads {
        lead.samples.truncate(length - after);
        lead.samples.drain(..before);
    }
    recording.notes.push("padding with zeros cut off".into());
}
