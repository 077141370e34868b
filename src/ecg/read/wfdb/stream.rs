//! A WFDB record too long for memory, read once from its beginning to its end.

use super::{Signal, beside, check_first, check_sum, length, one_format, open};
use crate::ecg::read::Lead;
use crate::on_disk::OnDisk;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The signals of one file.
#[derive(Debug)]
struct Group {
    path: PathBuf,
    file: OnDisk,
    signals: Vec<Signal>,
    sums: Vec<i64>,
}

/// An open record.
#[derive(Debug)]
pub struct Stream {
    groups: Vec<Group>,
    rate: f64,
    samples: usize,
    at: usize,
}

impl Stream {
    /// Opens the record whose header is at `path` (`.hea`); `None` for one that only reading it whole gives: in segments, packed, with skewed signals or
    /// several samples a frame.
    ///
    /// # Errors
    /// If the header cannot be understood, or a file is shorter than it says.
    pub fn open(path: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = path.as_ref();
        let header = open(path)?;
        let direct = |signal: &Signal| signal.per_frame == 1 && signal.skew == 0 && signal.format.is_direct();
        if !header.segments.is_empty() || !header.signals.iter().all(direct) {
            return Ok(None);
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut samples = header.samples;
        for signals in header.signals.chunk_by(|a, b| a.file == b.file) {
            let path = beside(path, &signals[0].file);
            let refuse = |problem: String| Error::format(&path, problem);
            let format = one_format(signals).map_err(refuse)?;
            let file = OnDisk::open(&path)?;
            let (skip, bytes) = (signals[0].skip as u64, file.length());
            let bytes = bytes.checked_sub(skip).ok_or_else(|| refuse(format!("{bytes} bytes, fewer than the {skip} to skip")))?;
            let held = length(format, bytes, signals.len(), header.samples).map_err(refuse)?;
            match samples {
                Some(samples) if samples != held => {
                    return Err(refuse(format!("{held} samples a signal, another file of the record has {samples}")));
                }
                _ => samples = Some(held),
            }
            groups.push(Group { path, file, sums: vec![0; signals.len()], signals: signals.to_vec() });
        }
        Ok(Some(Stream { groups, rate: header.rate, samples: samples.unwrap_or(0), at: 0 }))
    }

    /// Sampling rate, Hz.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Samples a signal.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The names of the signals that are ECG leads.
    pub fn lead_names(&self) -> Vec<&'static str> {
        let signals = self.groups.iter().flat_map(|group| &group.signals);
        signals.filter_map(|signal| signal.lead.as_ref().ok()).map(|lead| lead.named.name).collect()
    }

    /// The next `count` samples of every lead. With the last of them, the header's checksums are compared.
    ///
    /// # Errors
    /// If a file was cut since it was opened, or contradicts the header.
    pub fn take(&mut self, count: usize) -> Result<Vec<Lead>> {
        let (from, last) = (self.at, self.at + count >= self.samples);
        let count = count.min(self.samples - from);
        self.at += count;
        let mut leads = Vec::new();
        for group in &mut self.groups {
            group.read(from, count, &mut leads)?;
            if last {
                let mut sums = group.signals.iter().zip(&group.sums);
                sums.try_for_each(|(signal, sum)| check_sum(signal, *sum)).map_err(|problem| Error::format(&group.path, problem))?;
            }
        }
        Ok(leads)
    }
}

impl Group {
    fn read(&mut self, from: usize, count: usize, leads: &mut Vec<Lead>) -> Result<()> {
        let (format, width) = (self.signals[0].format, self.signals.len());
        let (first, end) = (from * width, (from + count) * width);
        // Packed values come in groups of a few bytes: reading begins with one.
        let (group, size) = format.group();
        let (start, skipped) = (first / group * size, first % group);
        let mut buffer = vec![0; format.bytes_of(end) - start];
        self.file.fill((self.signals[0].skip + start) as u64, &mut buffer)?;
        for (at, signal) in self.signals.iter().enumerate() {
            let raw = |t: usize| format.value(&buffer, skipped + t * width + at);
            if from == 0 && count > 0 {
                check_first(signal, raw(0)).map_err(|problem| Error::format(&self.path, problem))?;
            }
            self.sums[at] = (0..count).fold(self.sums[at], |sum, t| sum.wrapping_add(raw(t)));
            if let Ok(lead) = &signal.lead {
                let samples = (0..count).map(|t| lead.microvolts(format, raw(t))).collect();
                leads.push(Lead::new(lead.named.name, samples));
            }
        }
        Ok(())
    }
}
