//! WFDB records (PhysioNet): a text header and signal files of format 16 or 212.
//!
//! Format: "WFDB Applications Guide", `header(5)` and `signal(5)` (G. B. Moody).

mod stream;

pub use stream::Stream;

use super::{Lead, Recording, Unit, lead_name};
use crate::intake::{self, Most};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The largest header and signal file that is read, bytes.
const LARGEST_HEADER: Most = Most { bytes: 1 << 20, of: "the header of a WFDB record" };
const LARGEST_SIGNAL: Most = Most { bytes: 1 << 30, of: "a signal file of a WFDB record" };
/// The most signals a record may have.
const MOST_SIGNALS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// 16-bit little-endian two's complement.
    Sixteen,
    /// Two 12-bit samples in three bytes.
    TwoTwelve,
}

/// One signal line of a header.
#[derive(Clone, Debug)]
struct Signal {
    file: String,
    format: Format,
    skip: usize,
    gain: f64,
    baseline: f64,
    unit: Unit,
    first: Option<i64>,
    checksum: Option<i64>,
    lead: Option<&'static str>,
    description: String,
}

impl Signal {
    /// A stored value in µV; NaN for a missing sample, which the most negative value marks.
    fn microvolts(&self, raw: i64) -> f64 {
        let missing = if self.format == Format::Sixteen { i16::MIN.into() } else { -2048 };
        if raw == missing { f64::NAN } else { (raw as f64 - self.baseline) / self.gain * self.unit.microvolts() }
    }
}

#[derive(Debug)]
struct Header {
    rate: f64,
    samples: Option<usize>,
    signals: Vec<Signal>,
}

/// Reads the record whose header is at `path` (`.hea`). Signals that are not ECG leads are passed over.
///
/// # Errors
/// If the header or a signal file cannot be understood, is truncated, or contradicts the header's checksums.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    let path = path.as_ref();
    let text = intake::text(path, LARGEST_HEADER)?;
    let header = parse(&text).map_err(|problem| Error::format(path, problem))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut leads = Vec::new();
    let mut at = 0;
    while at < header.signals.len() {
        // Signals of one file stand together in the header and are interleaved in the file.
        let file = &header.signals[at].file;
        let count = header.signals[at..].iter().take_while(|signal| signal.file == *file).count();
        read_group(&folder.join(file), &header.signals[at..at + count], header.samples, &mut leads)?;
        at += count;
    }
    let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if leads.is_empty() {
        return Err(Error::format(path, "none of the signals is an ECG lead by name"));
    }
    Ok(Recording { id, leads, rate: header.rate, ..Recording::default() })
}

/// The signal files that the header at `path` names; none where it cannot be understood.
pub fn signal_files(path: &Path) -> Vec<PathBuf> {
    let Some(header) = intake::text(path, LARGEST_HEADER).ok().and_then(|text| parse(&text).ok()) else { return Vec::new() };
    let mut files: Vec<PathBuf> = header.signals.iter().map(|signal| path.with_file_name(&signal.file)).collect();
    files.dedup();
    files
}

fn parse(text: &str) -> std::result::Result<Header, String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let record = lines.next().ok_or("the header is empty")?;
    let mut fields = record.split_whitespace();
    let name = fields.next().unwrap_or_default();
    if name.contains('/') {
        return Err("the record has several segments, which is not supported: import its segments one by one".into());
    }
    let count: usize = number(fields.next(), "number of signals")?;
    if count == 0 || count > MOST_SIGNALS {
        return Err(format!("{count} signals: from 1 to {MOST_SIGNALS} can be read"));
    }
    // `500/500(0)`: what follows the slash counts other things than samples.
    let rate = fields.next().map_or(Ok(250.0), |field| number(field.split('/').next(), "sampling rate"))?;
    let samples: usize = fields.next().map_or(Ok(0), |field| number(Some(field), "number of samples"))?;
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
    Ok(Header { rate, samples: (samples > 0).then_some(samples), signals })
}

fn number<T: std::str::FromStr>(field: Option<&str>, what: &str) -> std::result::Result<T, String> {
    let field = field.ok_or(format!("the {what} is not there"))?;
    field.parse().map_err(|_| format!("the {what} is '{field}', not a number"))
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
    if file.contains(['/', '\\']) || file == ".." || file == "." {
        return Err(format!("'{file}' is not a plain file name beside the header"));
    }
    let (format, skip) = format_field(next().ok_or("no format")?)?;
    let calibration = next();
    let _resolution = next();
    let zero: i64 = next().map_or(Ok(0), |field| number(Some(field), "ADC zero"))?;
    let first = next().map(|field| number(Some(field), "first sample")).transpose()?;
    let checksum = next().map(|field| number(Some(field), "checksum")).transpose()?;
    let _block = next();
    let description = rest.trim().to_owned();
    let (gain, baseline, unit) = calibrate(calibration, zero)?;
    Ok(Signal { file, format, skip, gain, baseline, unit, first, checksum, lead: lead_name(&description), description })
}

fn format_field(field: &str) -> std::result::Result<(Format, usize), String> {
    let (field, skip) = match field.split_once('+') {
        Some((field, skip)) => (field, number(Some(skip), "byte offset")?),
        None => (field, 0),
    };
    let format = match field {
        "16" => Format::Sixteen,
        "212" => Format::TwoTwelve,
        _ if field.contains(['x', ':']) => {
            return Err(format!("format '{field}': several samples a frame, or skewed signals, are not supported"));
        }
        _ => return Err(format!("format {field} is not supported: formats 16 and 212 are")),
    };
    Ok((format, skip))
}

/// `GAIN[(BASELINE)][/UNIT]`; the unit is mV by the format's definition, a gain is needed.
fn calibrate(field: Option<&str>, zero: i64) -> std::result::Result<(f64, f64, Unit), String> {
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
    Ok((gain, baseline, unit))
}

/// Reads the interleaved signals of one file.
fn read_group(path: &Path, signals: &[Signal], samples: Option<usize>, leads: &mut Vec<Lead>) -> Result<()> {
    let refuse = |problem: String| Error::format(path, problem);
    let (format, skip) = (signals[0].format, signals[0].skip);
    if signals.iter().any(|signal| signal.format != format) {
        return Err(refuse("its signals have different formats, which is not possible in one file".into()));
    }
    let bytes = intake::read(path, LARGEST_SIGNAL)?;
    let bytes = bytes.get(skip..).ok_or_else(|| refuse(format!("{} bytes, fewer than the {skip} to skip", bytes.len())))?;
    let count = length(format, bytes.len() as u64, signals.len(), samples).map_err(refuse)?;
    for (at, signal) in signals.iter().enumerate() {
        let raw = |t: usize| value(bytes, format, t * signals.len() + at);
        check(signal, count, raw).map_err(refuse)?;
        let Some(name) = signal.lead else { continue };
        leads.push(Lead::new(name, (0..count).map(|t| signal.microvolts(raw(t))).collect()));
    }
    Ok(())
}

/// Samples a signal in so many bytes of a file of `signals`, which must be what the header announces, if it does.
fn length(format: Format, bytes: u64, signals: usize, announced: Option<usize>) -> std::result::Result<usize, String> {
    let values = match format {
        Format::Sixteen => bytes / 2,
        Format::TwoTwelve => bytes / 3 * 2 + u64::from(bytes % 3 == 2),
    };
    let held = values as usize / signals;
    match announced {
        Some(count) if count > held => Err(format!("truncated: {held} samples a signal where the header announces {count}")),
        _ => Ok(announced.unwrap_or(held)),
    }
}

fn value(bytes: &[u8], format: Format, at: usize) -> i64 {
    match format {
        Format::Sixteen => i64::from(i16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]])),
        Format::TwoTwelve => {
            let three = 3 * (at / 2);
            let twelve = if at.is_multiple_of(2) {
                u16::from(bytes[three]) | (u16::from(bytes[three + 1]) & 0x0f) << 8
            } else {
                u16::from(bytes[three + 2]) | (u16::from(bytes[three + 1]) & 0xf0) << 4
            };
            // Shifted up and back, the sign of bit 11 spreads over the top.
            i64::from((twelve << 4) as i16 >> 4)
        }
    }
}

/// The header's first value and 16-bit sum, where given with a length, tell a truncated, reordered or foreign signal file.
fn check(signal: &Signal, count: usize, raw: impl Fn(usize) -> i64) -> std::result::Result<(), String> {
    if count > 0 {
        check_first(signal, raw(0))?;
    }
    check_sum(signal, (0..count).fold(0i64, |sum, t| sum.wrapping_add(raw(t))))
}

fn check_first(signal: &Signal, found: i64) -> std::result::Result<(), String> {
    let name = &signal.description;
    match signal.first.filter(|first| *first != found) {
        Some(first) => {
            Err(format!("signal {name} begins with {found} where the header says {first}: truncated, reordered or another record's file"))
        }
        None => Ok(()),
    }
}

fn check_sum(signal: &Signal, sum: i64) -> std::result::Result<(), String> {
    let (name, sum) = (&signal.description, sum as i16);
    match signal.checksum.filter(|expected| *expected as i16 != sum) {
        Some(expected) => Err(format!("signal {name} sums to {sum} where the header says {expected}: truncated, reordered or damaged")),
        None => Ok(()),
    }
}
