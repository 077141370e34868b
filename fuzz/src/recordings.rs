//! What is done with every recording that a reader accepts: it becomes a rhythm or is refused, and is measured.

use crate::refused;
use cardiograd::ecg::measure::{Thresholds, measure};
use cardiograd::ecg::read::{Given, Recording, Source, Unit};
use std::path::Path;

/// Recordings of an array beyond this one are not read.
const ROWS: usize = 4;

/// Goes on as `measure` and `import` do.
pub fn use_recording(recording: &Recording, path: &Path) {
    let Some((rhythm, _)) = refused(recording.rhythm(path), path) else { return };
    let measured = measure(&rhythm, &Thresholds::default());
    assert!(measured.median.iter().all(|value| value.is_finite()), "a median beat that is not finite");
}

/// Opens a file as the command line does and reads its first recordings.
pub fn use_source(path: &Path) {
    let half = Given { unit: Some(Unit::Millivolt), rate: Some(250.0), ..Given::default() };
    for given in [Given::default(), half] {
        let Some(source) = refused(Source::open(path, given), path) else { continue };
        for index in 0..source.len().min(ROWS) {
            if let Some(recording) = refused(source.read(index), path) {
                use_recording(&recording, source.path(index));
            }
        }
    }
}
