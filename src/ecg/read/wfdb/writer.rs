//! Writing a recording as a WFDB record: a header and one signal file of format 16.

use crate::ecg::read::Recording;
use crate::files::atomic;
use crate::{Error, Result};
use std::fmt::Write as _;
use std::path::Path;

/// Steps a µV that are tried, finest first: what fits into 16 bits is taken.
const STEPS: [f64; 5] = [5.0, 1.0, 0.5, 0.2, 0.1];
/// The stored value that means a missing sample.
const MISSING: i16 = i16::MIN;

/// Writes `NAME.hea` and `NAME.dat` beside it, every lead in whole steps of 0.2 µV, or of so many more as its largest voltage asks for; a missing
/// sample stays one. Nothing but leads is written: no name, no date.
///
/// # Errors
/// [`Error::Usage`] for a name that a header cannot hold; [`Error::Data`] without leads, with leads of different lengths or voltages beyond ± 320 mV;
/// [`Error::Io`].
pub fn write(path: impl AsRef<Path>, recording: &Recording) -> Result<()> {
    let path = path.as_ref();
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
        return Err(Error::Usage(format!("{}: the name of a WFDB record is letters, digits, _ and -", path.display())));
    }
    let samples = recording.leads.first().map_or(0, |lead| lead.samples.len());
    if samples == 0 || recording.leads.iter().any(|lead| lead.samples.len() != samples) {
        return Err(Error::Data(format!("{}: no leads of one length to write", recording.id)));
    }
    let mut header = format!("{name} {} {} {samples}\n", recording.leads.len(), recording.rate);
    let mut stored: Vec<Vec<i16>> = Vec::new();
    for lead in &recording.leads {
        let largest = lead.samples.iter().filter(|x| x.is_finite()).fold(0.0f64, |most, x| most.max(x.abs()));
        let step = STEPS.into_iter().find(|step| largest * step < 32_000.0);
        let step = step.ok_or_else(|| Error::Data(format!("lead {}: {largest:.0} µV is more than can be written", lead.name)))?;
        let whole = |x: &f64| if x.is_finite() { (x * step).round() as i16 } else { MISSING };
        let values: Vec<i16> = lead.samples.iter().map(whole).collect();
        let sum = values.iter().fold(0i16, |sum, value| sum.wrapping_add(*value));
        let known = writeln!(header, "{name}.dat 16 {}(0)/mV 16 0 {} {sum} 0 {}", step * 1000.0, values[0], lead.name);
        known.map_err(|_| Error::Data("the header cannot be written".into()))?;
        stored.push(values);
    }
    let bytes: Vec<u8> = (0..samples).flat_map(|t| stored.iter().flat_map(move |lead| lead[t].to_le_bytes())).collect();
    atomic::write(path.with_extension("dat"), &bytes)?;
    atomic::write(path, header.as_bytes())
}
