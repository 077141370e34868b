//! EDF, EDF+ and BDF: signals of any rate in data records, a text header before them, notes in a signal of their own.
//!
//! Formats: Kemp et al. 1992 (EDF); Kemp and Olivan 2003, `www.edfplus.info/specs` (EDF+); BioSemi (BDF: samples of 24 bits).

use super::bytes::{Bytes, Found, Number};
use super::{Annotation, Given, Patient, Recording, Unit, named};
use crate::intake::{self, Most};
use crate::{Error, Result};
use std::path::Path;

const LARGEST: Most = Most { bytes: 1 << 30, of: "an EDF file" };
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
pub fn read(path: impl AsRef<Path>, given: &Given) -> Result<Recording> {
    let path = path.as_ref();
    let bytes = intake::read(path, LARGEST)?;
    let recording = parse(&bytes, given).map_err(|problem| Error::format(path, problem))?;
    Ok(Recording { id: Recording::of_file(path).id, ..recording })
}

/// Whether a file begins as one.
pub fn is_edf(start: &[u8]) -> bool {
    start.starts_with(b"0       ") || start.starts_with(b"\xffBIOSEMI")
}

fn parse(bytes: &[u8], given: &Given) -> Found<Recording> {
    let header = header(bytes)?;
    let body = &bytes[header.start..];
    let held = body.len() / header.record;
    let records = header.records.unwrap_or(held);
    if records > held {
        return Err(format!("truncated: {held} data records where the header announces {records}"));
    }
    let body = &body[..records * header.record];
    if let Some(notes) = header.signals.iter().find(|signal| signal.notes()) {
        times(&header, notes, body)?;
    }
    let mut recording = Recording { patient: patient(bytes)?, ..Recording::default() };
    let mut of: Option<&Signal> = None;
    for signal in header.signals.iter().filter(|signal| signal.samples > 0 && !signal.notes()) {
        let plain = signal.label.split_once("-Ref").or(signal.label.split_once("-REF")).map_or(signal.label.as_str(), |(plain, _)| plain);
        if named(plain).is_none() {
            recording.pass_over(&signal.label, "no lead that is known");
            continue;
        }
        match of {
            Some(first) if first.samples != signal.samples => {
                return Err(format!(
                    "{} has {} samples a record and {} has {}: leads of different rates are not one ECG",
                    first.label, first.samples, signal.label, signal.samples
                ));
            }
            _ => of = Some(signal),
        }
        recording.take(plain, samples(&header, signal, body, given)?);
    }
    let Some(first) = of else {
        let labels: Vec<&str> = header.signals.iter().map(|signal| signal.label.as_str()).collect();
        return Err(format!("none of its signals is an ECG lead by name: {}", labels.join(", ")));
    };
    if header.seconds <= 0.0 {
        return Err("its data records have no duration: the sampling rate cannot be known".into());
    }
    recording.rate = first.samples as f64 / header.seconds;
    recording.annotations = annotations(&header, body, recording.rate);
    Ok(recording)
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

/// The notes of all records; those of a time before the beginning are left out.
fn annotations(header: &Header, body: &[u8], rate: f64) -> Vec<Annotation> {
    let records = || body.chunks_exact(header.record);
    let part = |signal: &Signal, record: &'_ [u8]| record[signal.offset..][..signal.samples * header.width].to_vec();
    let signals = || header.signals.iter().filter(|signal| signal.notes());
    let begins = signals().next().zip(records().next()).and_then(|(signal, record)| onset(&part(signal, record))).unwrap_or(0.0);
    let mut all: Vec<Annotation> = Vec::new();
    for record in records() {
        for (time, text) in signals().flat_map(|signal| entries(&part(signal, record))) {
            let sample = ((time - begins) * rate).round();
            if sample >= 0.0 && all.len() < MOST_NOTES {
                all.push(Annotation { sample: sample as u64, symbol: String::new(), text });
            }
        }
    }
    all.sort_by_key(|annotation| annotation.sample);
    all
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

fn samples(header: &Header, signal: &Signal, body: &[u8], given: &Given) -> Found<Vec<f64>> {
    let (zero, step) = signal.scale(given)?;
    let number = Number::Signed(header.width);
    let mut all = Vec::with_capacity(body.len() / header.record * signal.samples);
    for record in body.chunks_exact(header.record) {
        let part = &record[signal.offset..][..signal.samples * header.width];
        all.extend(part.chunks_exact(header.width).map(|bytes| zero + step * number.read(bytes, false)));
    }
    Ok(all)
}

/// The data records must follow one another: the first note of each tells when it begins.
fn times(header: &Header, notes: &Signal, body: &[u8]) -> Found<()> {
    if !header.pauses {
        return Ok(());
    }
    let mut first = None;
    for (at, record) in body.chunks_exact(header.record).enumerate() {
        let part = &record[notes.offset..][..notes.samples * header.width];
        let begins = onset(part).ok_or(format!("data record {} does not tell its time", at + 1))?;
        let expected = *first.get_or_insert(begins) + at as f64 * header.seconds;
        if (begins - expected).abs() > PAUSE {
            return Err(format!(
                "the recording is interrupted: data record {} begins at {begins} s where {expected} s follows; cut it at its pauses",
                at + 1
            ));
        }
    }
    Ok(())
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
