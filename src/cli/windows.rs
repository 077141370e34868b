//! `cardiograd measure --window`: long recordings, a row for each window, however long they are in the same memory.

use super::Progress;
use crate::ecg::measure::{BEAT, Measured, Thresholds, measure};
use crate::ecg::read::{Given, Window, Windows};
use crate::ecg::{Measurements, Rhythm};
use crate::progress::Step;
use crate::{Error, Result};
use ndarray::Array2;
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The bounds of a window, s.
const SHORTEST: f64 = 5.0;
const LONGEST: f64 = 600.0;
/// ECG in flight, s: 30 MB.
const IN_FLIGHT: f64 = 640.0;

/// What `--window` was given, as seconds.
///
/// # Errors
/// If it is no number from 5 to 600.
pub(super) fn seconds(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (SHORTEST..=LONGEST).contains(&seconds) => Ok(seconds),
        _ => Err(format!("windows last {SHORTEST} to {LONGEST} s")),
    }
}

/// Opens the recordings of the inputs to be read in windows; with them why others were passed over, if they may be.
///
/// # Errors
/// As [`Windows::open`]; [`Error::Usage`] for two recordings of one name.
pub(super) fn open(inputs: &[PathBuf], given: Given, seconds: f64, skip: bool) -> Result<(Vec<Windows>, Vec<String>)> {
    let (mut all, mut passed_over) = (Vec::new(), Vec::new());
    for path in inputs {
        let mut refused = |error: Error| {
            passed_over.push(error.to_string());
            if skip { Ok(()) } else { Err(error) }
        };
        all.append(&mut Windows::open_some(path, given.clone(), seconds, &mut refused)?);
    }
    let mut seen = HashSet::new();
    if let Some(twice) = all.iter().find(|windows| !seen.insert(windows.id().to_owned())) {
        let text = format!("two recordings are called '{}': measure them apart, every row needs an id of its own", twice.id());
        return Err(Error::Usage(text));
    }
    Ok((all, passed_over))
}

/// Takes the id of a window, what was measured, and what was done to read it; no more where it gives `false`.
pub(super) type Take<'a> = &'a mut dyn FnMut(&str, &Measured, &[String]) -> Result<bool>;

/// Measures every window and hands it on in order, under the id `NAME@START` (START in s), until `take` wants no more.
///
/// # Errors
/// As [`Windows`]. A window that cannot be read as an ECG is handed on with the reason.
pub(super) fn each(mut all: Vec<Windows>, seconds: f64, thresholds: &Thresholds, progress: &Progress, take: Take<'_>) -> Result<()> {
    let total: usize = all.iter().map(Windows::count).sum();
    let chunk = (IN_FLIGHT / seconds).ceil() as usize;
    let mut done = 0;
    for windows in &mut all {
        loop {
            let mut some: Vec<Window> = Vec::with_capacity(chunk);
            while some.len() < chunk
                && let Some(window) = windows.take_next()?
            {
                some.push(window);
            }
            if some.is_empty() {
                break;
            }
            let path = windows.path();
            let measured: Vec<(f64, Measured, Vec<String>)> = some
                .into_par_iter()
                .with_max_len(1)
                .map(|window| one(&window, path, thresholds).map(|(measured, notes)| (window.start, measured, notes)))
                .collect::<Result<_>>()?;
            for (start, measured, notes) in &measured {
                // A start that is no whole number of seconds keeps its fraction.
                if !take(&format!("{}@{start}", windows.id()), measured, notes)? {
                    return Ok(());
                }
                done += 1;
            }
            progress.step(Step { label: "measuring", done, total: total as u64, unit: "windows", note: "" });
        }
    }
    Ok(())
}

/// The measurements of a window, and what was done to read it.
fn one(window: &Window, path: &Path, thresholds: &Thresholds) -> Result<(Measured, Vec<String>)> {
    match window.recording.rhythm(path) {
        // In whole µV, as a dataset holds it.
        Ok((rhythm, notes)) => Ok((measure(&Rhythm::new(rhythm.into_samples().mapv(f32::round))?, thresholds), notes)),
        // One bad stretch does not end a day.
        Err(Error::Format { problem, .. }) => {
            let measurements = Measurements { rejected: Some(format!("unusable: {problem}")), ..Measurements::default() };
            Ok((Measured { measurements, median: Array2::zeros((12, BEAT)) }, Vec::new()))
        }
        Err(error) => Err(error),
    }
}
