//! ISHNE Holter files: a header of fixed length, a block of text, interleaved samples of 16 bits.
//!
//! Format: Badilini, "The ISHNE Holter Standard Output File Format", Ann. Noninvasive Electrocardiol. 3 (1998) 263.

use super::bytes::{Bytes, Found};
use super::scp::checksum;
use super::{Patient, Recording};
use crate::intake::{self, Most};
use crate::{Error, Result};
use std::path::Path;

const LARGEST: Most = Most { bytes: 1 << 30, of: "an ISHNE file that is read as one recording" };
/// The most samples of all leads that are unpacked.
const MOST_SAMPLES: usize = 1 << 27;
const MOST_LEADS: usize = 12;
/// Where the header that the checksum is about begins.
const HEADER: usize = 10;

/// The leads by the numbers of the format.
const LEADS: [&str; 20] =
    ["", "generic bipolar", "X", "Y", "Z", "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6", "ES", "AS", "AI"];

/// Whether a file begins as one.
pub fn is_ishne(start: &[u8]) -> bool {
    start.starts_with(b"ISHNE1.0")
}

/// Reads an ISHNE file.
///
/// # Errors
/// If it is not one, if its header's checksum does not fit, or if samples are missing.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    let path = path.as_ref();
    let bytes = intake::read(path, LARGEST)?;
    let recording = parse(&bytes).map_err(|problem| Error::format(path, problem))?;
    Ok(Recording { id: Recording::of_file(path).id, ..recording })
}

fn parse(bytes: &[u8]) -> Found<Recording> {
    if !is_ishne(bytes) {
        return Err("not an ISHNE file: it does not begin with ISHNE1.0".into());
    }
    let mut at = Bytes::new(bytes);
    at.seek(8)?;
    let sum = at.u16()?;
    let (_text, announced, _, begin) = (at.length()?, at.length()?, at.length()?, at.length()?);
    let _version = at.u16()?;
    let (first, last, id) = (at.text(40)?, at.text(40)?, at.text(20)?);
    let sex = at.u16()?;
    // Race, the dates of birth, recording and file, and the time of day.
    at.take(2 + 4 * 6)?;
    let count = usize::from(at.u16()?);
    if !(1..=MOST_LEADS).contains(&count) {
        return Err(format!("{count} leads: from 1 to {MOST_LEADS} can be read"));
    }
    let mut twelve = || (0..MOST_LEADS).map(|_| at.i16()).collect::<Found<Vec<i16>>>();
    let (kinds, _quality, steps) = (twelve()?, twelve()?, twelve()?);
    let _pacemaker = at.u16()?;
    at.take(40)?;
    let rate = at.u16()?;
    if rate == 0 {
        return Err("its sampling rate is 0".into());
    }
    let header = bytes.get(HEADER..begin).ok_or_else(|| format!("its samples begin at byte {begin} of {}: truncated", bytes.len()))?;
    let found = checksum(header);
    if found != sum {
        return Err(format!("the checksum of its header is {found:04x} where it says {sum:04x}: damaged"));
    }
    let data = &bytes[begin..];
    let held = data.len() / 2 / count;
    // Most count the samples of a lead; some those of all leads.
    let length = match announced {
        all if all == held * count && count > 1 => held,
        one if one > held => return Err(format!("truncated: {held} samples a lead where the header announces {one}")),
        one => one,
    };
    if length * count > MOST_SAMPLES {
        return Err(format!("{count} leads of {length} samples: too long to be read as one recording"));
    }
    let mut recording = Recording { rate: rate.into(), patient: patient(&first, &last, id, sex), ..Recording::default() };
    for lead in 0..count {
        let name = usize::try_from(kinds[lead]).ok().and_then(|kind| LEADS.get(kind)).copied().unwrap_or_default();
        if steps[lead] <= 0 {
            return Err(format!("lead {} '{name}' says {} nV a step: its voltages cannot be known", lead + 1, steps[lead]));
        }
        let step = f64::from(steps[lead]) / 1e3;
        let sample = |t: usize| {
            let at = 2 * (t * count + lead);
            f64::from(i16::from_le_bytes([data[at], data[at + 1]])) * step
        };
        recording.take(name, (0..length).map(sample).collect());
    }
    match recording.leads.is_empty() {
        true => Err("none of its signals is an ECG lead by name".into()),
        false => Ok(recording),
    }
}

fn patient(first: &str, last: &str, id: String, sex: u16) -> Patient {
    let name = format!("{first} {last}").trim().to_owned();
    let sex = match sex {
        1 => Some("M".into()),
        2 => Some("F".into()),
        _ => None,
    };
    Patient { id: Some(id).filter(|id| !id.is_empty()), name: Some(name).filter(|name| !name.is_empty()), age_years: None, sex }
}
