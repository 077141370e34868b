//! EDF, EDF+ and BDF: signals of any rate in data records, a text header before them, notes in a signal of their own.
//!
//! Formats: Kemp et al. 1992 (EDF); Kemp and Olivan 2003, `www.edfplus.info/specs` (EDF+); BioSemi (BDF: samples of 24 bits).

use super::bytes::{Bytes, Found, Number, OnDisk, latin};
use super::ranged::{MOST_SAMPLES, Ranged};
use super::{Annotation, Given, Patient, Recording, Unit, named};
use crate::{Error, Result};
use std::ops::Range;
use std::path::Path;

/// Bytes of data records that are read at once.
const BLOCK: usize = 1 << 22;
/// The most signals a file may have.
const MOST_SIGNALS: usize = 512;
/// Records of a file whose pauses are shorter than this, s, are one piece: their times are written with few digits.
const PAUSE: f64 = 1e-3;
/// The most notes that are kept.
const MOST_NOTES: usize = 1_000_000;

/// A signal as the header describes it.
struct Signal {
    label: String,
    unit: String,
    /// Physical and digital ends of its scale.
    physical: [f64; 2],
    digital: [f64; 2],
    /// Samples in a data record.
    samples: usize,
    /// Where its samples begin in a data record, bytes.
    offset: usize,
}

impl Signal {
    /// Whether it holds notes instead of samples.
    fn notes(&self) -> bool {
        matches!(self.label.as_str(), "EDF Annotations" | "BDF Annotations")
    }

    /// µV of digital 0, and of one step.
    fn scale(&self, given: &Given) -> Found<(f64, f64)> {
        let unit = Unit::named(&self.unit).or(given.unit.filter(|_| self.unit.is_empty()));
        let unit = unit.ok_or_else(|| match self.unit.as_str() {
            "" => format!("the unit of {} is not known: give --unit", self.label),
            other => format!("'{other}' of {} is not a unit of voltage that is known (uV, mV, V)", self.label),
        })?;
        let ([low, high], [least, most]) = (self.physical, self.digital);
        if !(least < most && low != high) {
            return Err(format!("the scale of {} is from {low} to {high} for {least} to {most}: its voltages cannot be known", self.label));
        }
        let step = (high - low) / (most - least);
        Ok(((low - least * step) * unit.microvolts(), step * unit.microvolts()))
    }
}

struct Header {
    signals: Vec<Signal>,
    /// Bytes before the first data record, of a data record, and of a sample.
    start: usize,
    record: usize,
    width: usize,
    records: Option<usize>,
    /// Duration of a data record, s.
    seconds: f64,
    /// Whether there may be pauses between data records.
    pauses: bool,
}

/// Reads an EDF, EDF+ or BDF file. Signals that are not ECG leads by name are passed over.
///
/// # Errors
/// If the header cannot be understood, data records are missing or lie apart in time, the leads have different rates or no unit of voltage.
pub fn read(path: &Path, given: &Given) -> Result<Recording> {
    Stream::open(path, given)?.whole().map_err(|problem| Error::format(path, problem))
}

/// Whether a file begins as one: with its version, and with the length of its header where that stands (a table may begin with a 0 too).
pub fn is_edf(start: &[u8]) -> bool {
    let versioned = start.starts_with(b"0       ") || start.starts_with(b"\xffBIOSEMI");
    let length = start.get(184..192).and_then(|field| latin(field).parse::<usize>().ok());
    versioned && length.is_some_and(|length| length > 256 && length.is_multiple_of(256))
}

/// A signal that is a lead.
struct Lead {
    signal: usize,
    name: &'static str,
    /// µV of digital 0, and of one step.
    zero: f64,
    step: f64,
}

/// An open file, read from any place on.
pub struct Stream {
    disk: OnDisk,
    header: Header,
    records: usize,
    leads: Vec<Lead>,
    rate: f64,
    about: Recording,
}

impl Stream {
    /// Opens a file.
    ///
    /// # Errors
    /// As [`read`].
    pub fn open(path: &Path, given: &Given) -> Result<Self> {
        let about = Recording::of_file(path);
        Self::new(OnDisk::open(path)?, about, given).map_err(|problem| Error::format(path, problem))
    }

    fn new(disk: OnDisk, mut about: Recording, given: &Given) -> Found<Self> {
        let start = disk.at_most(0, 256 * (MOST_SIGNALS as u64 + 1))?;
        let header = header(&start)?;
        let held = (disk.length() - header.start as u64) / header.record as u64;
        let records = header.records.unwrap_or(usize::try_from(held).unwrap_or(usize::MAX));
        if records as u64 > held {
            return Err(format!("truncated: {held} data records where the header announces {records}"));
        }
        about.patient = patient(&start)?;
        let mut leads: Vec<Lead> = Vec::new();
        for (at, signal) in header.signals.iter().enumerate().filter(|(_, signal)| signal.samples > 0 && !signal.notes()) {
            let label = &signal.label;
            let plain = label.split_once("-Ref").or(label.split_once("-REF")).map_or(label.as_str(), |(plain, _)| plain);
            let Some(lead) = named(plain) else {
                about.pass_over(label, "no lead that is known");
                continue;
            };
            let first = leads.first().map_or(signal, |lead| &header.signals[lead.signal]);
            if first.samples != signal.samples {
                return Err(format!(
                    "{} has {} samples a record and {label} has {}: leads of different rates are not one ECG",
                    first.label, first.samples, signal.samples
                ));
            }
            let sign = if lead.negated { -1.0 } else { 1.0 };
            let (zero, step) = signal.scale(given)?;
            leads.push(Lead { signal: at, name: lead.name, zero: sign * zero, step: sign * step });
        }
        let Some(first) = leads.first() else {
            let labels: Vec<&str> = header.signals.iter().map(|signal| signal.label.as_str()).collect();
            return Err(format!("none of its signals is an ECG lead by name: {}", labels.join(", ")));
        };
        if header.seconds <= 0.0 {
            return Err("its data records have no duration: the sampling rate cannot be known".into());
        }
        let rate = header.signals[first.signal].samples as f64 / header.seconds;
        Ok(Stream { disk, header, records, leads, rate, about })
    }

    /// The whole recording.
    fn whole(self) -> Found<Recording> {
        let total = self.samples().checked_mul(self.leads.len()).filter(|total| *total <= MOST_SAMPLES);
        total.ok_or_else(|| format!("{} leads of {} samples: too long to be read at once", self.leads.len(), self.samples()))?;
        self.check_times()?;
        let leads = self.part(0..self.samples())?;
        let annotations = self.annotations()?;
        Ok(Recording { leads, annotations, rate: self.rate, ..self.about })
    }

    /// Samples of a lead in a data record.
    fn each(&self) -> usize {
        self.header.signals[self.leads[0].signal].samples
    }

    /// The leads from one sample to another.
    fn part(&self, samples: Range<usize>) -> Found<Vec<super::Lead>> {
        let each = self.each();
        let mut all: Vec<super::Lead> =
            self.leads.iter().map(|lead| super::Lead::new(lead.name, Vec::with_capacity(samples.len()))).collect();
        let number = Number::Signed(self.header.width);
        self.records(samples.start / each..samples.end.div_ceil(each), |at, record| {
            let within = samples.start.max(at * each) - at * each..samples.end.min((at + 1) * each) - at * each;
            for (lead, to) in self.leads.iter().zip(&mut all) {
                let offset = self.header.signals[lead.signal].offset;
                let bytes = &record[offset + within.start * self.header.width..offset + within.end * self.header.width];
                to.samples.extend(bytes.chunks_exact(self.header.width).map(|one| lead.zero + lead.step * number.read(one, false)));
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// Hands on data records one by one, reading many at once.
    fn records(&self, range: Range<usize>, mut each: impl FnMut(usize, &[u8]) -> Found<()>) -> Found<()> {
        let together = (BLOCK / self.header.record).max(1);
        for first in range.clone().step_by(together) {
            let count = together.min(range.end - first);
            let begin = self.header.start as u64 + first as u64 * self.header.record as u64;
            let bytes = self.disk.bytes(begin, count as u64 * self.header.record as u64)?;
            for (at, record) in bytes.chunks_exact(self.header.record).enumerate() {
                each(first + at, record)?;
            }
        }
        Ok(())
    }

    /// The signals of notes, of a record.
    fn notes<'a>(&self, record: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let width = self.header.width;
        let signals = self.header.signals.iter().filter(|signal| signal.notes());
        signals.map(move |signal| &record[signal.offset..][..signal.samples * width])
    }

    /// The data records must follow one another: the first note of each tells when it begins.
    fn check_times(&self) -> Found<()> {
        if !self.header.pauses {
            return Ok(());
        }
        let mut first = None;
        self.records(0..self.records, |at, record| {
            let begins = self.notes(record).next().and_then(onset).ok_or(format!("data record {} does not tell its time", at + 1))?;
            let expected = *first.get_or_insert(begins) + at as f64 * self.header.seconds;
            match (begins - expected).abs() > PAUSE {
                true => Err(format!(
                    "the recording is interrupted: data record {} begins at {begins} s where {expected} s follows; cut it at its pauses",
                    at + 1
                )),
                false => Ok(()),
            }
        })
    }

    /// The notes of all records; those of a time before the beginning are left out.
    fn annotations(&self) -> Found<Vec<Annotation>> {
        let mut all: Vec<Annotation> = Vec::new();
        if !self.header.signals.iter().any(Signal::notes) {
            return Ok(all);
        }
        let mut begins = None;
        self.records(0..self.records, |_, record| {
            let zero = *begins.get_or_insert_with(|| self.notes(record).next().and_then(onset).unwrap_or(0.0));
            for (time, text) in self.notes(record).flat_map(entries) {
                let sample = ((time - zero) * self.rate).round();
                if sample >= 0.0 && all.len() < MOST_NOTES {
                    all.push(Annotation { sample: sample as u64, symbol: String::new(), text });
                }
            }
            Ok(())
        })?;
        all.sort_by_key(|annotation| annotation.sample);
        Ok(all)
    }
}

impl Ranged for Stream {
    fn rate(&self) -> f64 {
        self.rate
    }

    fn samples(&self) -> usize {
        self.records * self.each()
    }

    fn lead_names(&self) -> Vec<&str> {
        self.leads.iter().map(|lead| lead.name).collect()
    }

    fn check(&self) -> Found<()> {
        self.check_times()
    }

    fn leads(&self, samples: Range<usize>) -> Found<Vec<super::Lead>> {
        self.part(samples)
    }
}

/// Who it is of: of an EDF+ file code, sex, birthdate and name, in other files one text.
fn patient(bytes: &[u8]) -> Found<Patient> {
    let mut at = Bytes::new(bytes);
    at.seek(8)?;
    let text = at.text(80)?;
    let known = |text: &str| (!text.is_empty() && text != "X").then(|| text.replace('_', " "));
    let fields: Vec<&str> = text.split(' ').collect();
    Ok(match fields[..] {
        [code, sex, _, name, ..] if matches!(sex, "F" | "M" | "X") => {
            Patient { id: known(code), name: known(name), sex: known(sex), ..Patient::default() }
        }
        _ => Patient { name: known(&text), ..Patient::default() },
    })
}

fn header(bytes: &[u8]) -> Found<Header> {
    if !is_edf(bytes) {
        return Err("not an EDF file: it does not begin as one".into());
    }
    let width = if bytes[0] == 0xff { 3 } else { 2 };
    let mut at = Bytes::new(bytes);
    // The version, who it is, and when it was recorded: not for us to keep.
    at.seek(184)?;
    let start: usize = number(&at.text(8)?, "length of the header")?;
    let kind = at.text(44)?;
    let records: i64 = number(&at.text(8)?, "number of data records")?;
    let seconds: f64 = number(&at.text(8)?, "duration of a data record")?;
    let count: usize = number(&at.text(4)?, "number of signals")?;
    if !(1..=MOST_SIGNALS).contains(&count) {
        return Err(format!("{count} signals: from 1 to {MOST_SIGNALS} can be read"));
    }
    if start != 256 * (count + 1) {
        return Err(format!("a header of {start} bytes is announced, for {count} signals it has {}", 256 * (count + 1)));
    }
    let mut fields = |length: usize| (0..count).map(|_| at.text(length)).collect::<Found<Vec<String>>>();
    let (labels, _transducers, units) = (fields(16)?, fields(80)?, fields(8)?);
    let scales = [fields(8)?, fields(8)?, fields(8)?, fields(8)?];
    let (_filters, samples, _reserved) = (fields(80)?, fields(8)?, fields(32)?);
    let mut signals = Vec::new();
    let mut record = 0usize;
    for (row, (label, unit)) in labels.into_iter().zip(units).enumerate() {
        let scale = |of: usize, what: &str| number::<f64>(&scales[of][row], what).map_err(|problem| format!("{label}: {problem}"));
        let physical = [scale(0, "physical minimum")?, scale(1, "physical maximum")?];
        let digital = [scale(2, "digital minimum")?, scale(3, "digital maximum")?];
        let samples: usize = number(&samples[row], "number of samples").map_err(|problem| format!("{label}: {problem}"))?;
        let offset = record;
        record =
            samples.checked_mul(width).and_then(|bytes| record.checked_add(bytes)).ok_or(format!("{label}: {samples} samples a record"))?;
        signals.push(Signal { label, unit, physical, digital, samples, offset });
    }
    if record == 0 {
        return Err("its data records are empty".into());
    }
    let pauses = kind.starts_with("EDF+D") || kind.starts_with("BDF+D");
    Ok(Header { signals, start, record, width, records: usize::try_from(records).ok(), seconds, pauses })
}

fn number<T: std::str::FromStr + Copy + Into64>(text: &str, what: &str) -> Found<T> {
    text.parse().ok().filter(|value: &T| value.finite()).ok_or_else(|| format!("the {what} is '{text}', not a number"))
}

/// Numbers that a header may hold.
trait Into64 {
    fn finite(&self) -> bool {
        true
    }
}
impl Into64 for usize {}
impl Into64 for i64 {}
impl Into64 for f64 {
    fn finite(&self) -> bool {
        self.is_finite()
    }
}

/// The time of the first list of notes in a record, s.
fn onset(part: &[u8]) -> Option<f64> {
    let end = part.iter().position(|byte| *byte == 0x14)?;
    std::str::from_utf8(&part[..end]).ok()?.parse().ok().filter(|time: &f64| time.is_finite())
}

/// The notes of a record: when (s), and what. A list is `+TIME[\x15DURATION]\x14TEXT\x14TEXT\x14\0`; empty texts mark the time only.
fn entries(part: &[u8]) -> Vec<(f64, String)> {
    let mut all = Vec::new();
    for list in part.split(|byte| *byte == 0) {
        let mut fields = list.split(|byte| *byte == 0x14);
        let Some(time) = fields.next().and_then(|time| std::str::from_utf8(time).ok()) else { continue };
        let begins = time.split_once('\u{15}').map_or(time, |(begins, _)| begins);
        let Some(begins) = begins.parse().ok().filter(|time: &f64| time.is_finite()) else { continue };
        let texts = fields.map(|text| String::from_utf8_lossy(text).trim().to_owned()).filter(|text| !text.is_empty());
        all.extend(texts.map(|text| (begins, text)));
    }
    all
}
