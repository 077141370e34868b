//! The text header of a WFDB record.

use super::formats::Format;
use crate::ecg::leads::LEADS;
use crate::ecg::read::{Named, Unit, named};

/// The most signals a record may have.
const MOST_SIGNALS: usize = 1024;
/// The most segments.
const MOST_SEGMENTS: usize = 1 << 20;
/// Samples a signal that are taken together into one.
const MOST_PER_FRAME: usize = 10_000;
/// Frames by which a signal may be late: half an hour at 500 Hz.
const MOST_SKEW: usize = 1 << 20;

/// One signal line of a header.
#[derive(Clone, Debug)]
pub(super) struct Signal {
    pub file: String,
    pub format: Format,
    pub per_frame: usize,
    pub skew: usize,
    pub skip: usize,
    pub first: Option<i64>,
    pub checksum: Option<i64>,
    pub description: String,
    /// What it is as a lead, with gain, baseline and unit; or why it is none.
    pub lead: std::result::Result<Calibrated, String>,
}

/// A lead that a signal holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Calibrated {
    pub named: Named,
    gain: f64,
    baseline: f64,
    unit: Unit,
}

impl Calibrated {
    /// A stored value in µV, the right way up; NaN for a missing sample.
    pub fn microvolts(&self, format: Format, raw: i64) -> f64 {
        if format.missing() == Some(raw) {
            return f64::NAN;
        }
        let value = (raw as f64 - self.baseline) / self.gain * self.unit.microvolts();
        if self.named.negated { -value } else { value }
    }
}

/// A segment of a record that has several; no name for a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordSegment {
    pub name: Option<String>,
    pub samples: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub rate: f64,
    /// Frames.
    pub samples: Option<usize>,
    pub signals: Vec<Signal>,
    /// Segments; none in most records.
    pub segments: Vec<RecordSegment>,
    /// The lines behind `#`.
    pub comments: Vec<String>,
}

/// The text of a header: UTF-8, else ISO-8859-1, in which older ones have their µ.
pub(super) fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text),
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    }
}

pub(super) fn parse(text: &str) -> std::result::Result<Header, String> {
    let comments = text.lines().filter_map(|line| line.trim().strip_prefix('#')).map(|line| line.trim().to_owned()).collect();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let record = lines.next().ok_or("the header is empty")?;
    let mut fields = record.split_whitespace();
    let name = fields.next().unwrap_or_default();
    let segments = name.split_once('/').map(|(_, count)| number::<usize>(Some(count), "number of segments")).transpose()?;
    let count: usize = number(fields.next(), "number of signals")?;
    if count > MOST_SIGNALS || (count == 0 && segments.is_none()) {
        return Err(format!("{count} signals: from 1 to {MOST_SIGNALS} can be read"));
    }
    // `500/500(0)`: what follows the slash counts other things than samples.
    let rate: f64 = fields.next().map_or(Ok(250.0), |field| number(field.split(['/', '(']).next(), "sampling rate"))?;
    if !(rate > 0.0 && rate < 1e9) {
        return Err(format!("a sampling rate of {rate} Hz"));
    }
    let samples: usize = fields.next().map_or(Ok(0), |field| number(Some(field), "number of samples"))?;
    let header = Header { rate, samples: (samples > 0).then_some(samples), comments, ..Header::default() };
    if let Some(count) = segments {
        return Ok(Header { segments: segment_lines(&mut lines, count)?, ..header });
    }
    let signals = (0..count)
        .map(|at| {
            let line = lines.next().ok_or(format!("the header announces {count} signals and describes {at}"))?;
            signal(line).map_err(|problem| format!("signal {}: {problem}", at + 1))
        })
        .collect::<std::result::Result<Vec<_>, String>>()?;
    if let Some(at) = (1..count).find(|&at| {
        let file = &signals[at].file;
        signals[at - 1].file != *file && signals[..at].iter().any(|other: &Signal| other.file == *file)
    }) {
        return Err(format!("signal {}: the signals of {} do not stand together: reordered", at + 1, signals[at].file));
    }
    Ok(Header { signals, ..header })
}

fn segment_lines<'a>(lines: &mut impl Iterator<Item = &'a str>, count: usize) -> std::result::Result<Vec<RecordSegment>, String> {
    if count == 0 || count > MOST_SEGMENTS {
        return Err(format!("{count} segments: from 1 to {MOST_SEGMENTS} can be read"));
    }
    let mut segments = Vec::new();
    for at in 0..count {
        let line = lines.next().ok_or(format!("the header announces {count} segments and lists {at}"))?;
        let mut fields = line.split_whitespace();
        let name = fields.next().unwrap_or_default();
        let samples = number(fields.next(), &format!("number of samples of segment {}", at + 1))?;
        if name != "~" {
            plain(name)?;
        }
        segments.push(RecordSegment { name: (name != "~").then(|| name.to_owned()), samples });
    }
    Ok(segments)
}

fn number<T: std::str::FromStr>(field: Option<&str>, what: &str) -> std::result::Result<T, String> {
    let field = field.ok_or(format!("the {what} is not there"))?;
    field.parse().map_err(|_| format!("the {what} is '{field}', not a number"))
}

/// A file beside the header or in a folder within: nothing else is opened because a header says so.
fn plain(file: &str) -> std::result::Result<(), String> {
    let parts = |part: &str| !part.is_empty() && part != ".." && part != "." && !part.contains(['\\', ':']);
    if file.split('/').all(parts) { Ok(()) } else { Err(format!("'{file}' is not a plain file name beside the header")) }
}

/// `FILE FORMAT[xN][:SKEW][+OFFSET] GAIN[(BASELINE)][/UNIT] RESOLUTION ZERO FIRST CHECKSUM BLOCK DESCRIPTION`.
fn signal(line: &str) -> std::result::Result<Signal, String> {
    let mut rest = line;
    let mut next = || {
        rest = rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (field, tail) = rest.split_at(end);
        rest = tail;
        (!field.is_empty()).then_some(field)
    };
    let file = next().ok_or("no file name")?.to_owned();
    plain(&file)?;
    let (format, per_frame, skew, skip) = format_field(next().ok_or("no format")?)?;
    let calibration = next();
    let _resolution = next();
    let zero: i64 = next().map_or(Ok(0), |field| number(Some(field), "ADC zero"))?;
    let first = next().map(|field| number(Some(field), "first sample")).transpose()?;
    let checksum = next().map(|field| number(Some(field), "checksum")).transpose()?;
    let _block = next();
    let description = rest.trim().to_owned();
    let lead = match named(&description) {
        // What is one of the twelve by name must have a voltage; of anything else nothing is asked (`X` may be an acceleration).
        Some(named) if LEADS.contains(&named.name) => Ok(calibrate(calibration, zero, named)?),
        Some(named) => calibrate(calibration, zero, named),
        None => Err("no lead that is known".into()),
    };
    Ok(Signal { file, format, per_frame, skew, skip, first, checksum, description, lead })
}

/// `FORMAT[xN][:SKEW][+OFFSET]`: the format, samples a frame, skew in frames, bytes to skip.
fn format_field(field: &str) -> std::result::Result<(Format, usize, usize, usize), String> {
    let end = |text: &str| text.find(['x', ':', '+']).unwrap_or(text.len());
    let (name, mut rest) = field.split_at(end(field));
    let format = Format::named(name).ok_or(format!("format {name} is not known: {} are", Format::known()))?;
    let (mut per_frame, mut skew, mut skip) = (1, 0, 0);
    while let Some(mark) = rest.chars().next() {
        let tail = &rest[1..];
        let (text, after) = tail.split_at(end(tail));
        rest = after;
        match mark {
            'x' => per_frame = number(Some(text), "number of samples a frame")?,
            ':' => skew = number(Some(text), "skew")?,
            _ => skip = number(Some(text), "byte offset")?,
        }
    }
    if !(1..=MOST_PER_FRAME).contains(&per_frame) {
        return Err(format!("{per_frame} samples a frame: from 1 to {MOST_PER_FRAME} can be read"));
    }
    if skew > MOST_SKEW {
        return Err(format!("a skew of {skew} frames: at most {MOST_SKEW} can be read"));
    }
    Ok((format, per_frame, skew, skip))
}

/// `GAIN[(BASELINE)][/UNIT]`; the unit is mV by the format's definition, a gain is needed.
fn calibrate(field: Option<&str>, zero: i64, named: Named) -> std::result::Result<Calibrated, String> {
    let field = field.ok_or("no gain: its voltages cannot be known")?;
    let (amounts, unit) = field.split_once('/').unwrap_or((field, "mV"));
    let (gain, baseline) = match amounts.split_once('(') {
        Some((gain, baseline)) => (gain, number(Some(baseline.trim_end_matches(')')), "baseline")?),
        None => (amounts, zero as f64),
    };
    let gain: f64 = number(Some(gain), "gain")?;
    let baseline: f64 = baseline;
    if gain == 0.0 || !gain.is_finite() || !baseline.is_finite() {
        return Err("the gain is 0 (uncalibrated): its voltages cannot be known".into());
    }
    let unit = Unit::named(unit).ok_or(format!("'{unit}' is not a unit of voltage that is known (uV, mV, V)"))?;
    Ok(Calibrated { named, gain, baseline, unit })
}
