//! WFDB records (PhysioNet): a text header and signal files, alone or in segments, and the annotations beside them.
//!
//! Format: "WFDB Applications Guide", `header(5)`, `signal(5)` and `annot(5)` (G. B. Moody).

mod annotations;
#[cfg(feature = "flac")]
mod flac;
mod formats;
mod header;
mod stream;
mod writer;

pub use annotations::read as read_annotations;
pub use stream::Stream;
pub use writer::write;

use super::{Block, Lead, Patient, Recording};
use crate::intake::{self, Most};
use crate::{Error, Result};
use formats::Format;
use header::{Header, Signal};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest header and signal file that is read, bytes.
const LARGEST_HEADER: Most = Most { bytes: 1 << 24, of: "the header of a WFDB record" };
const LARGEST_SIGNAL: Most = Most { bytes: 1 << 30, of: "a signal file of a WFDB record" };
/// The most samples of all leads together that a record of segments, or a packed file, may come to.
const MOST_SAMPLES: usize = 1 << 27;

/// Reads the record whose header is at `path` (`.hea`). Signals that are not ECG leads are passed over, with a note; annotations are read where a
/// file `.atr` lies beside the header. Samples that are marked as missing, and gaps between segments, are NaN.
///
/// # Errors
/// If the header or a signal file cannot be understood, is truncated, or contradicts the header's checksums.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    let path = path.as_ref();
    let header = open(path)?;
    let mut recording =
        Recording { patient: patient(&header.comments), statements: statements(&header.comments), ..Recording::of_file(path) };
    let blocks = match header.segments.is_empty() {
        true => record(path, &header, &mut recording)?,
        false => vec![segments(path, &header, &mut recording)?],
    };
    if blocks.is_empty() {
        return Err(Error::format(path, "none of the signals is an ECG lead by name"));
    }
    recording.take_blocks(blocks);
    let per_frame = (recording.rate / header.rate).round() as u64;
    let beside = path.with_extension("atr");
    if beside.exists() {
        match annotations::read(&beside) {
            Ok(mut all) => {
                all.iter_mut().for_each(|one| one.sample = one.sample.saturating_mul(per_frame));
                recording.annotations = all;
            }
            Err(error) => recording.notes.push(format!("annotations passed over: {error}")),
        }
    }
    Ok(recording)
}

fn open(path: &Path) -> Result<Header> {
    header::parse(&header::text(intake::read(path, LARGEST_HEADER)?)).map_err(|problem| Error::format(path, problem))
}

/// The other files that the header at `path` names, those of its segments too, and the annotations; none where it cannot be understood.
pub fn signal_files(path: &Path) -> Vec<PathBuf> {
    let Ok(header) = open(path) else { return Vec::new() };
    let mut files = Vec::new();
    for name in header.segments.iter().filter_map(|segment| segment.name.as_ref()) {
        let inner = segment_path(path, name);
        if let Ok(Header { signals, .. }) = open(&inner) {
            files.extend(signals.iter().map(|signal| beside(&inner, &signal.file)).filter(|file| file.exists()));
        }
        files.push(inner);
    }
    files.extend(header.signals.iter().map(|signal| beside(path, &signal.file)));
    files.extend(Some(path.with_extension("atr")).filter(|file| file.exists()));
    files.dedup();
    files
}

fn beside(path: &Path, file: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(file)
}

fn segment_path(path: &Path, name: &str) -> PathBuf {
    beside(path, &format!("{name}.hea"))
}

/// Age and sex as comments have them: `Age: 56`, `<sex>: M`. Names are not looked for.
fn patient(comments: &[String]) -> Patient {
    let mut patient = Patient::default();
    for (key, value) in comments.iter().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key.trim().trim_matches(['<', '>']).to_lowercase().as_str() {
            "age" => patient.age_years = value.parse().ok().filter(|age: &f64| (0.0..=150.0).contains(age)),
            "sex" | "gender" if !value.is_empty() && value.len() <= 12 => patient.sex = Some(value.to_owned()),
            _ => {}
        }
    }
    patient
}

/// The codes of findings that the challenges of PhysioNet put into comments: `Dx: 426783006,164889003`.
fn statements(comments: &[String]) -> Vec<String> {
    let codes = comments.iter().filter_map(|line| line.strip_prefix("Dx:")).flat_map(|codes| codes.split(','));
    codes.map(|code| code.trim().to_owned()).filter(|code| !code.is_empty() && code.len() <= 20).collect()
}

/// The leads of a record of one segment, those of one rate in a block.
fn record(path: &Path, header: &Header, to: &mut Recording) -> Result<Vec<Block>> {
    let mut by_rate: BTreeMap<usize, Vec<Lead>> = BTreeMap::new();
    let most_skew = header.signals.iter().filter(|signal| signal.lead.is_ok()).map(|signal| signal.skew).max().unwrap_or(0);
    for signals in header.signals.chunk_by(|a, b| a.file == b.file) {
        // Signals of one file stand together in the header and are interleaved in the file.
        for (signal, lead) in read_group(&beside(path, &signals[0].file), signals, header.samples)? {
            match lead {
                Some(mut lead) => {
                    align(&mut lead, signal, most_skew);
                    by_rate.entry(signal.per_frame).or_default().push(lead);
                }
                None => to.pass_over(&signal.description, signal.lead.as_ref().err().map_or("", String::as_str)),
            }
        }
    }
    if most_skew > 0 {
        to.notes.push(format!("skewed signals aligned, the last {most_skew} samples cut off"));
    }
    Ok(by_rate.into_iter().map(|(per_frame, leads)| Block { leads, rate: header.rate * per_frame as f64 }).collect())
}

/// Takes a lead's skew out, and cuts all to the same length.
fn align(lead: &mut Lead, signal: &Signal, most_skew: usize) {
    let (early, late) = (signal.skew * signal.per_frame, most_skew.saturating_sub(signal.skew) * signal.per_frame);
    let length = lead.samples.len();
    lead.samples.truncate(length.saturating_sub(late));
    lead.samples.drain(..early.min(lead.samples.len()));
}

/// The leads of a record of several segments: each where it belongs in time, NaN where a segment has it not.
fn segments(path: &Path, header: &Header, to: &mut Recording) -> Result<Block> {
    let refuse = |problem: String| Error::format(path, problem);
    let too_long = |samples: Option<usize>| {
        let samples = samples.map_or("2⁶⁴ and more".into(), |samples| samples.to_string());
        refuse(format!("{samples} samples a lead in segments are more than are read at once: import them one by one"))
    };
    let total = match header.segments.iter().try_fold(0usize, |sum, segment| sum.checked_add(segment.samples)) {
        Some(total) if total <= MOST_SAMPLES => total,
        total => return Err(too_long(total)),
    };
    let (mut leads, mut per_frame, mut start): (Vec<Lead>, usize, usize) = (Vec::new(), 0, 0);
    for segment in &header.segments {
        let (Some(name), true) = (&segment.name, segment.samples > 0) else {
            start += segment.samples;
            continue;
        };
        let inner = segment_path(path, name);
        let about = open(&inner)?;
        if !about.segments.is_empty() || about.rate != header.rate {
            return Err(Error::format(&inner, format!("a segment of its own segments, or not of the record's {} Hz", header.rate)));
        }
        let mut own = Recording::default();
        for block in record(&inner, &about, &mut own)? {
            let here = (block.rate / header.rate).round() as usize;
            if per_frame != 0 && here != per_frame {
                return Err(Error::format(&inner, "its leads have another number of samples a frame than those before"));
            }
            per_frame = here;
            for lead in block.leads {
                let room = total.saturating_mul(per_frame);
                if !leads.iter().any(|known| known.name == lead.name) {
                    if room.saturating_mul(leads.len() + 1) > MOST_SAMPLES {
                        return Err(too_long(Some(room)));
                    }
                    leads.push(Lead::new(lead.name.clone(), vec![f64::NAN; room]));
                }
                let at = start * per_frame;
                let whole = leads.iter_mut().find(|known| known.name == lead.name);
                let part = whole.and_then(|whole| whole.samples.get_mut(at..at + segment.samples * per_frame));
                part.into_iter().flatten().zip(&lead.samples).for_each(|(to, from)| *to = *from);
            }
        }
        own.notes.into_iter().for_each(|note| {
            if !to.notes.contains(&note) {
                to.notes.push(note);
            }
        });
        start += segment.samples;
    }
    if leads.is_empty() {
        return Err(refuse("none of the signals is an ECG lead by name".into()));
    }
    to.notes.push(format!("put together from {} segments", header.segments.len()));
    Ok(Block { leads, rate: header.rate * per_frame as f64 })
}

/// Signals of one file, with their samples where they are leads.
fn read_group<'a>(path: &Path, signals: &'a [Signal], frames: Option<usize>) -> Result<Vec<(&'a Signal, Option<Lead>)>> {
    let refuse = |problem: String| Error::format(path, problem);
    let format = one_format(signals).map_err(refuse)?;
    if let Format::Flac(bits) = format {
        return packed(path, signals, bits, frames);
    }
    let bytes = intake::read(path, LARGEST_SIGNAL)?;
    let skip = signals[0].skip;
    let bytes = bytes.get(skip..).ok_or_else(|| refuse(format!("{} bytes, fewer than the {skip} to skip", bytes.len())))?;
    let width: usize = signals.iter().map(|signal| signal.per_frame).sum();
    let frames = length(format, bytes.len() as u64, width, frames).map_err(refuse)?;
    let mut offset = 0;
    let mut out = Vec::new();
    for signal in signals {
        let count = signal.per_frame;
        let stored = |at: usize| format.value(bytes, at / count * width + offset + at % count);
        let mut raw: Vec<i64> = (0..frames * count).map(stored).collect();
        if format == Format::F8 {
            let mut value = signal.first.unwrap_or(0);
            raw.iter_mut().for_each(|difference| {
                value = value.wrapping_add(*difference);
                *difference = value;
            });
        }
        offset += count;
        out.push((signal, lead(signal, &raw).map_err(refuse)?));
    }
    Ok(out)
}

/// The format that all signals of a file must have.
fn one_format(signals: &[Signal]) -> std::result::Result<Format, String> {
    match signals.iter().all(|signal| signal.format == signals[0].format && signal.skip == signals[0].skip) {
        true => Ok(signals[0].format),
        false => Err("its signals have different formats or offsets, which is not possible in one file".into()),
    }
}

#[cfg(feature = "flac")]
fn packed<'a>(path: &Path, signals: &'a [Signal], bits: u32, frames: Option<usize>) -> Result<Vec<(&'a Signal, Option<Lead>)>> {
    let refuse = |problem: String| Error::format(path, problem);
    let per_frame = signals[0].per_frame;
    if signals.iter().any(|signal| signal.per_frame != per_frame) || signals[0].skip > 0 {
        return Err(refuse("FLAC whose signals differ in samples a frame, or with an offset, cannot be read".into()));
    }
    let file = std::io::BufReader::new(intake::open_most(path, LARGEST_SIGNAL)?);
    let count = frames.map(|frames| frames.saturating_mul(per_frame));
    let channels = flac::channels(file, signals.len(), bits, count, MOST_SAMPLES).map_err(refuse)?;
    signals.iter().zip(&channels).map(|(signal, raw)| Ok((signal, lead(signal, raw).map_err(refuse)?))).collect()
}

#[cfg(not(feature = "flac"))]
fn packed<'a>(path: &Path, _: &'a [Signal], _: u32, _: Option<usize>) -> Result<Vec<(&'a Signal, Option<Lead>)>> {
    Err(Error::format(path, "is packed with FLAC, which this build leaves out (feature flac)"))
}

/// A signal's samples in µV, if it is a lead; of any signal the first value and the sum must be those of the header.
fn lead(signal: &Signal, raw: &[i64]) -> std::result::Result<Option<Lead>, String> {
    if let Some(first) = raw.first().filter(|_| signal.format != Format::F8) {
        check_first(signal, *first)?;
    }
    check_sum(signal, raw.iter().fold(0i64, |sum, value| sum.wrapping_add(*value)))?;
    let Ok(lead) = &signal.lead else { return Ok(None) };
    Ok(Some(Lead::new(lead.named.name, raw.iter().map(|raw| lead.microvolts(signal.format, *raw)).collect())))
}

/// Frames in so many bytes of a file of `width` values a frame, which must be what the header announces, if it does.
fn length(format: Format, bytes: u64, width: usize, announced: Option<usize>) -> std::result::Result<usize, String> {
    let held = format.values_in(bytes) as usize / width;
    match announced {
        Some(count) if count > held => Err(format!("truncated: {held} samples a signal where the header announces {count}")),
        _ => Ok(announced.unwrap_or(held)),
    }
}

/// The header's first value and 16-bit sum, where given, tell a truncated, reordered or foreign signal file. A first sample that is missing has no value to
/// compare: headers say 0 there.
fn check_first(signal: &Signal, found: i64) -> std::result::Result<(), String> {
    let name = &signal.description;
    let missing = signal.format.missing() == Some(found);
    match signal.first.filter(|first| *first != found && !missing) {
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
