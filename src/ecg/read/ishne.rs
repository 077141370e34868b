//! ISHNE Holter files: a header of fixed length, a block of text, interleaved samples of 16 bits.
//!
//! Format: Badilini, "The ISHNE Holter Standard Output File Format", Ann. Noninvasive Electrocardiol. 3 (1998) 263.

use super::bytes::{Bytes, Found, OnDisk};
use super::ranged::{MOST_SAMPLES, Ranged};
use super::scp::checksum;
use super::{Lead, Patient, Recording, named};
use crate::{Error, Result};
use std::ops::Range;
use std::path::Path;

/// The longest header with its block of text, bytes.
const LARGEST_HEADER: u64 = 1 << 24;
/// Instants that are read at once.
const BLOCK: usize = 1 << 18;
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
    Stream::open(path)?.whole().map_err(|problem| Error::format(path, problem))
}

/// An open file, read from any place on.
pub struct Stream {
    disk: OnDisk,
    begin: usize,
    /// Signals, and samples of each.
    count: usize,
    length: usize,
    rate: f64,
    /// Where among the signals each lead is, its name, and µV of a step.
    leads: Vec<(usize, &'static str, f64)>,
    about: Recording,
}

impl Stream {
    /// Opens a file.
    ///
    /// # Errors
    /// As [`read`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::new(OnDisk::open(path)?, Recording::of_file(path)).map_err(|problem| Error::format(path, problem))
    }

    fn new(disk: OnDisk, mut about: Recording) -> Found<Self> {
        let bytes = disk.at_most(0, LARGEST_HEADER)?;
        if !is_ishne(&bytes) {
            return Err("not an ISHNE file: it does not begin with ISHNE1.0".into());
        }
        let mut at = Bytes::new(&bytes);
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
        let header =
            bytes.get(HEADER..begin).ok_or_else(|| format!("its samples begin at byte {begin}: truncated, or not an ISHNE file"))?;
        let found = checksum(header);
        if found != sum {
            return Err(format!("the checksum of its header is {found:04x} where it says {sum:04x}: damaged"));
        }
        let held = ((disk.length() - begin as u64) / 2) as usize / count;
        // Most count the samples of a lead; some those of all leads.
        let length = match announced {
            all if all == held * count && count > 1 => held,
            one if one > held => return Err(format!("truncated: {held} samples a lead where the header announces {one}")),
            one => one,
        };
        about.patient = patient(&first, &last, id, sex);
        let mut leads = Vec::new();
        for (lead, (kind, step)) in kinds.into_iter().zip(steps).take(count).enumerate() {
            let name = usize::try_from(kind).ok().and_then(|kind| LEADS.get(kind)).copied().unwrap_or_default();
            if step <= 0 {
                return Err(format!("lead {} '{name}' says {step} nV a step: its voltages cannot be known", lead + 1));
            }
            match named(name) {
                Some(known) => leads.push((lead, known.name, f64::from(step) / 1e3)),
                None => about.pass_over(name, "no lead that is known"),
            }
        }
        match leads.is_empty() {
            true => Err("none of its signals is an ECG lead by name".into()),
            false => Ok(Stream { disk, begin, count, length, rate: rate.into(), leads, about }),
        }
    }

    /// The whole recording.
    fn whole(self) -> Found<Recording> {
        if self.length.checked_mul(self.count).is_none_or(|total| total > MOST_SAMPLES) {
            return Err(format!("{} leads of {} samples: too long to be read at once", self.count, self.length));
        }
        let leads = self.leads(0..self.length)?;
        Ok(Recording { leads, rate: self.rate, ..self.about })
    }
}

impl Ranged for Stream {
    fn rate(&self) -> f64 {
        self.rate
    }

    fn samples(&self) -> usize {
        self.length
    }

    fn lead_names(&self) -> Vec<&str> {
        self.leads.iter().map(|(_, name, _)| *name).collect()
    }

    fn leads(&self, samples: Range<usize>) -> Found<Vec<Lead>> {
        let instant = 2 * self.count as u64;
        let mut all: Vec<Lead> = self.leads.iter().map(|(_, name, _)| Lead::new(*name, Vec::with_capacity(samples.len()))).collect();
        for first in samples.clone().step_by(BLOCK) {
            let count = BLOCK.min(samples.end - first);
            let bytes = self.disk.bytes(self.begin as u64 + first as u64 * instant, count as u64 * instant)?;
            for (to, (at, _, step)) in all.iter_mut().zip(&self.leads) {
                let one = |instant: &[u8]| f64::from(i16::from_le_bytes([instant[2 * at], instant[2 * at + 1]])) * step;
                to.samples.extend(bytes.chunks_exact(instant as usize).map(one));
            }
        }
        Ok(all)
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
