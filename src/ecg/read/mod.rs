//! Recordings from the files people have: each reader gives named leads, a rate and µV; one path turns them into the eight leads at 500 Hz.

pub mod aecg;
mod arrays;
mod beat;
mod bytes;
mod calibration;
pub mod cardiosoft;
mod carried;
pub mod columns;
pub mod dicom;
pub mod edf;
pub mod hdf5;
mod held;
pub mod ishne;
mod kinds;
pub mod matlab;
pub mod mortara;
pub mod muse;
mod names;
mod numbered;
pub mod osf;
pub mod parquet;
pub mod philips;
mod prepare;
mod ranged;
pub mod schiller;
pub mod scp;
mod source;
pub mod wfdb;
mod windows;
mod write;
mod xli;
mod xml;

pub use carried::{FILE_COLUMNS, IDENTITY_COLUMNS};
pub use kinds::{Kind, Recordings, Start};
pub use names::{FURTHER, Named, lead_name, named};
pub use source::Source;
pub use windows::{Window, Windows};
pub use write::write;

use super::Measurements;
use super::leads::LEADS;
use ndarray::Array2;
use std::path::Path;

/// A unit of voltage that a file may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// µV.
    Microvolt,
    /// mV.
    Millivolt,
    /// V.
    Volt,
}

impl Unit {
    /// The unit a file or a user names, in any of the usual spellings; `None` for anything else.
    pub fn named(text: &str) -> Option<Self> {
        match text.trim().to_lowercase().as_str() {
            // Both micro signs (U+00B5, U+03BC) are in use.
            "uv" | "µv" | "\u{3bc}v" | "microvolt" | "microvolts" => Some(Unit::Microvolt),
            "mv" | "millivolt" | "millivolts" => Some(Unit::Millivolt),
            "v" | "volt" | "volts" => Some(Unit::Volt),
            _ => None,
        }
    }

    /// µV in one of it.
    pub fn microvolts(self) -> f64 {
        match self {
            Unit::Microvolt => 1.0,
            Unit::Millivolt => 1e3,
            Unit::Volt => 1e6,
        }
    }
}

/// What the user says of files that do not say it themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// The unit of samples.
    pub unit: Option<Unit>,
    /// The sampling rate, Hz.
    pub rate: Option<f64>,
    /// The leads of arrays, in their order; empty where nothing is said.
    pub leads: Vec<String>,
}

/// One lead of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    /// Its name: in our spelling where it is one of [`LEADS`] or [`FURTHER`], else as it was given.
    pub name: String,
    /// Samples, µV; NaN where one is missing.
    pub samples: Vec<f64>,
}

impl Lead {
    /// A lead of a name in our spelling.
    pub fn new(name: impl Into<String>, samples: Vec<f64>) -> Self {
        Lead { name: name.into(), samples }
    }
}

/// Leads that were recorded together; a file may have several such blocks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// The leads.
    pub leads: Vec<Lead>,
    /// Sampling rate, Hz.
    pub rate: f64,
}

impl Block {
    /// How many of the twelve leads it has, and how long it is, s.
    fn worth(&self) -> (usize, f64) {
        let leads = self.leads.iter().filter(|lead| LEADS.contains(&lead.name.as_str())).count();
        (leads, self.leads.first().map_or(0.0, |lead| lead.samples.len() as f64 / self.rate))
    }
}

/// What a file says of a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The sample it is about.
    pub sample: u64,
    /// Its sign in the file, e.g. `N` for a normal beat.
    pub symbol: String,
    /// Its text, empty where there is none.
    pub text: String,
}

/// Who the ECG is of, where a file says. Goes nowhere unless the user asks for it; age and sex are no names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patient {
    /// The identifier in the hospital.
    pub id: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// Age, years.
    pub age_years: Option<f64>,
    /// `F`, `M`, or as the file has it.
    pub sex: Option<String>,
}

/// What a file holds about one ECG.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// A name for it, from the file's name (never from what is in it).
    pub id: String,
    /// Its leads, in the file's order.
    pub leads: Vec<Lead>,
    /// Sampling rate, Hz.
    pub rate: f64,
    /// Measurements that the file carries.
    pub labels: Option<Measurements>,
    /// The median beat that the file carries, (12, 600), µV.
    pub median: Option<Array2<f32>>,
    /// Further blocks of leads that the file holds.
    pub blocks: Vec<Block>,
    /// What the file says of moments of the leads.
    pub annotations: Vec<Annotation>,
    /// Codes of what the file says the ECG shows (SNOMED CT in WFDB comments, Philips' own), as they stand in it.
    pub statements: Vec<String>,
    /// Who it is of.
    pub patient: Patient,
    /// What was passed over or done while it was read, for people; nothing that names the patient.
    pub notes: Vec<String>,
}

impl Recording {
    /// A recording of the file at `path`, named after it.
    pub fn of_file(path: &Path) -> Self {
        Recording { id: stem(path), ..Recording::default() }
    }

    /// Takes a signal, µV, under the name that the file has for it: a lead is kept in our spelling and turned the right way up, anything else noted.
    pub fn take(&mut self, name: &str, mut samples: Vec<f64>) {
        match named(name) {
            Some(lead) => {
                if lead.negated {
                    samples.iter_mut().for_each(|x| *x = -*x);
                }
                self.leads.push(Lead::new(lead.name, samples));
            }
            None => self.pass_over(name, "no lead that is known"),
        }
    }

    /// That every sample is a voltage or (NaN) missing: a gain near 0 makes infinities, which f32 makes of far smaller numbers too.
    pub(crate) fn check_finite(&self) -> std::result::Result<(), String> {
        let blocks = self.blocks.iter().flat_map(|block| &block.leads);
        for lead in self.leads.iter().chain(blocks) {
            if let Some(at) = lead.samples.iter().position(|x| (*x as f32).is_infinite()) {
                let value = lead.samples[at];
                return Err(format!("lead {}, sample {at}: {value:e} is not a voltage: the gain is not what the file says", lead.name));
            }
        }
        Ok(())
    }

    /// Notes a signal that is not read, and why.
    pub fn pass_over(&mut self, name: &str, why: &str) {
        let name = crate::error::one_line(name.trim(), 60).into_owned();
        self.notes.push(format!("signal '{name}' passed over: {why}"));
    }

    /// Takes the block with the most of the twelve leads, of those the longest, of those the first, as the ECG; keeps the others beside it.
    pub fn take_blocks(&mut self, mut blocks: Vec<Block>) {
        let better = |a: &Block, b: &Block| a.worth().partial_cmp(&b.worth()).is_some_and(|order| order.is_gt());
        let best = (0..blocks.len()).fold(0, |best, at| if better(&blocks[at], &blocks[best]) { at } else { best });
        if blocks.is_empty() {
            return;
        }
        if blocks.len() > 1 {
            self.notes.push(format!("block {} of {} taken, the others passed over", best + 1, blocks.len()));
        }
        let Block { leads, rate } = blocks.remove(best);
        (self.leads, self.rate) = (leads, rate);
        self.blocks.append(&mut blocks);
    }
}

/// The name of a file without its extension.
fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
