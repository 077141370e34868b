//! DICOM waveforms: 12-lead, general and ambulatory ECGs, with the annotations and measurements that stand beside them.
//!
//! Format: DICOM PS3.3, C.10.8–C.10.10 (waveform identification, waveform, waveform annotation); PS3.16, CID 3001 (leads).

mod data;

use super::bytes::{Found, Number};
use super::carried::Printed;
use super::{Annotation, Block, Lead, Patient, Recording, Unit, named, numbered};
use crate::ecg::Measurements;
use crate::intake::{self, Most};
use crate::{Error, Result};
use data::Set;
pub use data::is_dicom;
use std::path::Path;

const LARGEST: Most = Most { bytes: 1 << 29, of: "a DICOM waveform" };
/// The most samples of all channels that are unpacked.
const MOST_SAMPLES: usize = 1 << 27;

/// Fewer instants of padding at an end may be the ECG's own.
const PADDING: usize = 5;

/// The elements that are read.
mod tag {
    use super::data::Tag;
    pub const WAVEFORMS: Tag = (0x5400, 0x0100);
    pub const ORIGINALITY: Tag = (0x003a, 0x0004);
    pub const CHANNEL_COUNT: Tag = (0x003a, 0x0005);
    pub const SAMPLE_COUNT: Tag = (0x003a, 0x0010);
    pub const FREQUENCY: Tag = (0x003a, 0x001a);
    pub const GROUP_LABEL: Tag = (0x003a, 0x0020);
    pub const OFFSET: Tag = (0x0018, 0x1068);
    pub const CHANNELS: Tag = (0x003a, 0x0200);
    pub const LABEL: Tag = (0x003a, 0x0203);
    pub const SOURCE: Tag = (0x003a, 0x0208);
    pub const SENSITIVITY: Tag = (0x003a, 0x0210);
    pub const UNIT: Tag = (0x003a, 0x0211);
    pub const CORRECTION: Tag = (0x003a, 0x0212);
    pub const BASELINE: Tag = (0x003a, 0x0213);
    pub const TIME_SKEW: Tag = (0x003a, 0x0214);
    pub const SAMPLE_SKEW: Tag = (0x003a, 0x0215);
    pub const BITS: Tag = (0x5400, 0x1004);
    pub const INTERPRETATION: Tag = (0x5400, 0x1006);
    pub const PADDING: Tag = (0x5400, 0x100a);
    pub const DATA: Tag = (0x5400, 0x1010);
    pub const CODE: Tag = (0x0008, 0x0100);
    pub const SCHEME: Tag = (0x0008, 0x0102);
    pub const MEANING: Tag = (0x0008, 0x0104);
    pub const ANNOTATIONS: Tag = (0x0040, 0xb020);
    pub const CONCEPT: Tag = (0x0040, 0xa043);
    pub const VALUE: Tag = (0x0040, 0xa30a);
    pub const ANNOTATION_UNIT: Tag = (0x0040, 0x08ea);
    pub const TEXT: Tag = (0x0070, 0x0006);
    pub const POSITIONS: Tag = (0x0040, 0xa132);
    pub const NAME: Tag = (0x0010, 0x0010);
    pub const PATIENT: Tag = (0x0010, 0x0020);
    pub const SEX: Tag = (0x0010, 0x0040);
    pub const AGE: Tag = (0x0010, 0x1010);
}

/// Reads the rhythm of a DICOM file: of several multiplex groups the original one with the most leads; those that begin together are one.
///
/// # Errors
/// If it is not such a file, has no waveform, or a group lacks its rate, its unit, part of its samples, or is encoded as ECGs are not.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    let path = path.as_ref();
    let bytes = intake::read(path, LARGEST)?;
    let recording = parse(&bytes).map_err(|problem| Error::format(path, problem))?;
    Ok(Recording { id: Recording::of_file(path).id, ..recording })
}

/// A multiplex group: channels sampled together.
struct Group {
    block: Block,
    /// When it begins, ms after the acquisition.
    offset: f64,
    derived: bool,
    label: String,
}

fn parse(bytes: &[u8]) -> Found<Recording> {
    let (body, syntax) = data::body(bytes)?;
    let set = Set::parse(&body, syntax)?;
    let waveforms = set.items(tag::WAVEFORMS);
    if waveforms.is_empty() {
        return Err("there is no waveform in it".into());
    }
    let mut recording = Recording { patient: patient(&set), ..Recording::default() };
    let mut groups: Vec<Group> = Vec::new();
    for (at, item) in waveforms.iter().enumerate() {
        let mut group = group(item, &mut recording).map_err(|problem| format!("multiplex group {}: {problem}", at + 1))?;
        // Groups that begin together and are as long are parts of one: a group holds so many channels and no more.
        let together = |other: &&mut Group| {
            let length = |group: &Group| group.block.leads.first().map(|lead| lead.samples.len());
            let alike = other.block.rate == group.block.rate && other.offset == group.offset && other.derived == group.derived;
            let apart = group.block.leads.iter().all(|lead| other.block.leads.iter().all(|have| have.name != lead.name));
            alike && apart && length(other) == length(&group)
        };
        match groups.iter_mut().find(together) {
            Some(other) => other.block.leads.append(&mut group.block.leads),
            None => groups.push(group),
        }
    }
    groups.retain(|group| !group.block.leads.is_empty());
    if groups.is_empty() {
        return Err("none of its channels is an ECG lead".into());
    }
    // A median beat is derived; if all there is is derived, the rhythm is too.
    if groups.iter().any(|group| !group.derived) {
        for group in groups.iter().filter(|group| group.derived) {
            recording.pass_over(&group.label, "a derived multiplex group");
        }
        groups.retain(|group| !group.derived);
    }
    recording.take_blocks(groups.into_iter().map(|group| group.block).collect());
    let annotations = set.items(tag::ANNOTATIONS);
    recording.labels = measurements(annotations);
    recording.annotations = annotations.iter().filter_map(moment).collect();
    Ok(recording)
}

/// Who it is of. An age is `NNNY`, or in months, weeks, days.
fn patient(set: &Set<'_>) -> Patient {
    let years = set.text(tag::AGE).and_then(|age| {
        let (number, unit) = age.split_at_checked(age.len() - 1)?;
        let year = match unit {
            "Y" => 1.0,
            "M" => 1.0 / 12.0,
            "W" => 7.0 / 365.25,
            _ => 1.0 / 365.25,
        };
        number.parse::<f64>().ok().map(|number| number * year)
    });
    let name = set.text(tag::NAME).map(|name| name.replace('^', " ").trim().to_owned());
    Patient { id: set.text(tag::PATIENT), name: name.filter(|name| !name.is_empty()), age_years: years, sex: set.text(tag::SEX) }
}

/// What an annotation says of its first position; `None` where it has no position or says nothing.
fn moment(annotation: &Set<'_>) -> Option<Annotation> {
    let positions = annotation.bytes(tag::POSITIONS).filter(|bytes| bytes.len() >= 4)?;
    // Positions count from 1.
    let sample = (Number::Unsigned(4).read(positions, annotation.big) as u64).checked_sub(1)?;
    let concept = annotation.items(tag::CONCEPT).first().and_then(|concept| concept.text(tag::MEANING));
    let text = annotation.text(tag::TEXT).or(concept)?;
    Some(Annotation { sample, symbol: String::new(), text })
}

fn group(item: &Set<'_>, to: &mut Recording) -> Found<Group> {
    let label = item.text(tag::GROUP_LABEL).unwrap_or_default();
    let rate = item.decimal(tag::FREQUENCY)?.filter(|rate| *rate > 0.0).ok_or("its sampling frequency is not there")?;
    let count = item.whole(tag::CHANNEL_COUNT)?.ok_or("its number of channels is not there")?;
    let length = item.whole(tag::SAMPLE_COUNT)?.ok_or("its number of samples is not there")?;
    let bits = item.whole(tag::BITS)?.unwrap_or(16);
    let interpretation = item.text(tag::INTERPRETATION).unwrap_or_else(|| "SS".into());
    let number = match (bits, interpretation.as_str()) {
        (8, "SB") => Number::Signed(1),
        (8, "UB") => Number::Unsigned(1),
        (16, "SS") => Number::Signed(2),
        (16, "US") => Number::Unsigned(2),
        (32, "SL") => Number::Signed(4),
        (32, "UL") => Number::Unsigned(4),
        _ => {
            return Err(format!(
                "samples of {bits} bits, interpreted as '{interpretation}', are not read: 8 SB/UB, 16 SS/US, 32 SL/UL are"
            ));
        }
    };
    let channels = item.items(tag::CHANNELS);
    if count == 0 || channels.len() != count {
        return Err(format!("{count} channels are announced and {} described", channels.len()));
    }
    let data = item.bytes(tag::DATA).ok_or("its samples are not there")?;
    let total = count.checked_mul(length).filter(|total| *total <= MOST_SAMPLES);
    let total = total.ok_or_else(|| format!("{count} channels of {length} samples: too long to be read as one recording"))?;
    if data.len() < total * number.size() {
        return Err(format!("truncated: {} bytes where {count} channels of {length} samples take {}", data.len(), total * number.size()));
    }
    let value = |t: usize, at: usize| number.read(&data[(t * count + at) * number.size()..], item.big);
    let padding = item.bytes(tag::PADDING).filter(|bytes| bytes.len() >= number.size()).map(|bytes| number.read(bytes, item.big));
    // An end of the numbers' range is no voltage. Anything else (0 in files of some makers) may be one: only what is padded at the ends is cut off.
    let gap = padding.filter(|padding| number.ends().contains(padding));
    let padded = |t: &usize| padding.is_some_and(|padding| (0..count).all(|at| value(*t, at) == padding));
    let long = |run: usize| if run < PADDING { 0 } else { run };
    let first = long((0..length).take_while(padded).count());
    let last = length - long((first..length).rev().take_while(padded).count());
    let mut leads = Vec::new();
    for (at, channel) in channels.iter().enumerate() {
        let Some((name, sign)) = lead(channel) else {
            let source = channel.items(tag::SOURCE).first().and_then(|source| source.text(tag::MEANING));
            to.pass_over(&source.or(channel.text(tag::LABEL)).unwrap_or_default(), "no lead that is known");
            continue;
        };
        let (step, base) = scale(channel).map_err(|problem| format!("lead {name}: {problem}"))?;
        let volts = |value: f64| if gap == Some(value) { f64::NAN } else { sign * (value * step + base) };
        let samples = (first..last).map(|t| volts(value(t, at))).collect();
        let skew = skew(channel, rate)?;
        leads.push(Lead::new(name, shifted(samples, skew).map_err(|problem| format!("lead {name}: {problem}"))?));
    }
    let derived = item.text(tag::ORIGINALITY).is_some_and(|text| text == "DERIVED");
    Ok(Group { block: Block { leads, rate }, offset: item.decimal(tag::OFFSET)?.unwrap_or(0.0), derived, label })
}

/// The lead of a channel and its sign, by its code, the code's meaning (`Lead I (Einthoven)`) or the channel's label.
fn lead(channel: &Set<'_>) -> Option<(&'static str, f64)> {
    let source = channel.items(tag::SOURCE).first();
    let coded = source.and_then(|source| {
        let (code, scheme) = (source.text(tag::CODE)?, source.text(tag::SCHEME)?);
        let number = match scheme.as_str() {
            "MDC" => code.strip_prefix("2:"),
            "SCPECG" => code.strip_prefix("5.6.3-9-"),
            _ => None,
        };
        match number.and_then(|number| number.parse().ok()) {
            Some(number) => numbered::lead(number).and_then(named),
            None => named(&code),
        }
    });
    let meant = || source.and_then(|source| source.text(tag::MEANING)).and_then(|text| named(&text));
    let found = coded.or_else(meant).or_else(|| named(&channel.text(tag::LABEL)?))?;
    Some((found.name, if found.negated { -1.0 } else { 1.0 }))
}

/// µV of one step and of zero.
fn scale(channel: &Set<'_>) -> Found<(f64, f64)> {
    let step = channel.decimal(tag::SENSITIVITY)?.ok_or("its sensitivity is not there: its voltages cannot be known")?;
    let code = channel.items(tag::UNIT).first().and_then(|unit| unit.text(tag::CODE));
    let code = code.ok_or("the unit of its sensitivity is not there")?;
    let unit = Unit::named(&code).ok_or_else(|| format!("'{code}' is not a unit of voltage that is known (uV, mV, V)"))?.microvolts();
    let factor = channel.decimal(tag::CORRECTION)?.unwrap_or(1.0);
    if step * factor == 0.0 {
        return Err("its sensitivity is 0: its voltages cannot be known".into());
    }
    Ok((step * factor * unit, channel.decimal(tag::BASELINE)?.unwrap_or(0.0) * unit))
}

/// By how many samples a channel was sampled late.
fn skew(channel: &Set<'_>, rate: f64) -> Found<f64> {
    let seconds = channel.decimal(tag::TIME_SKEW)?.unwrap_or(0.0);
    Ok(channel.decimal(tag::SAMPLE_SKEW)?.filter(|samples| *samples != 0.0).unwrap_or(seconds * rate))
}

/// Samples that were taken `late` samples after the others, at the others' times; the first or last one is held where there is none.
fn shifted(samples: Vec<f64>, late: f64) -> Found<Vec<f64>> {
    if late == 0.0 || samples.is_empty() {
        return Ok(samples);
    }
    if late.abs() > samples.len() as f64 {
        return Err(format!("it is skewed by {late} samples, more than it has"));
    }
    let last = samples.len() as isize - 1;
    let (whole, part) = ((-late).floor() as isize, -late - (-late).floor());
    let get = |t: isize| samples[t.clamp(0, last) as usize];
    Ok((0..=last)
        .map(|t| {
            let t = t + whole;
            if part == 0.0 {
                return get(t);
            }
            // Catmull and Rom's cubic, as for every change of rate.
            let (a, b, c, d) = (get(t - 1), get(t), get(t + 1), get(t + 2));
            b + 0.5 * part * (c - a + part * (2.0 * a - 5.0 * b + 4.0 * c - d + part * (3.0 * (b - c) + d - a)))
        })
        .collect())
}

/// What the annotations of the whole ECG tell of its measurements, by code or by meaning.
fn measurements(annotations: &[Set<'_>]) -> Option<Measurements> {
    let (mut all, mut beat): (Printed, Option<f64>) = (Printed::default(), None);
    for annotation in annotations {
        let Some(concept) = annotation.items(tag::CONCEPT).first() else { continue };
        let Ok(Some(value)) = annotation.decimal(tag::VALUE) else { continue };
        let code = concept.text(tag::CODE).unwrap_or_default();
        let meaning = concept.text(tag::MEANING).unwrap_or_default().to_lowercase().replace(['-', '_'], " ");
        let unit = annotation.items(tag::ANNOTATION_UNIT).first().and_then(|unit| unit.text(tag::CODE)).unwrap_or_default();
        let milliseconds = match unit.as_str() {
            "s" => value * 1e3,
            "us" => value / 1e3,
            _ => value,
        };
        if ["5.10.2.1-3", "2:16168"].contains(&code.as_str()) || meaning == "rr interval" {
            beat = beat.or(Some(milliseconds).filter(|interval| *interval > 0.0));
        }
        let Some((_, _, _, field, in_time)) =
            MEASURED.iter().find(|(scp, mdc, words, ..)| [*scp, *mdc].contains(&code.as_str()) || words.contains(&meaning.as_str()))
        else {
            continue;
        };
        // The first stands for the whole ECG; later ones are of single beats.
        field(&mut all).get_or_insert(if *in_time { milliseconds } else { value });
    }
    // Some tell the time from beat to beat in place of the rate.
    all.rate_bpm = all.rate_bpm.or(beat.map(|interval| 60_000.0 / interval));
    all.labels()
}

type Field = fn(&mut Printed) -> &mut Option<f64>;

/// The measurements that are known: their codes in SCP-ECG's and ISO 11073's schemes, their meanings in small letters, where they go, and whether they
/// are times.
const MEASURED: [(&str, &str, &[&str], Field, bool); 9] = [
    ("5.13.5-7", "2:15872", &["pr interval", "p r interval", "pq interval"], |all| &mut all.pr_ms, true),
    ("5.13.5-9", "2:16156", &["qrs duration"], |all| &mut all.qrs_ms, true),
    ("5.13.5-11", "2:16160", &["qt interval", "q t interval"], |all| &mut all.qt_ms, true),
    ("5.10.2.5-1", "2:16016", &["ventricular heart rate", "ventricular rate", "heart rate"], |all| &mut all.rate_bpm, false),
    ("5.10.2.5-5", "2:15876", &["qtc interval"], |all| &mut all.qtcb_ms, true),
    ("5.13.5-1", "2:16124", &["p duration"], |all| &mut all.p_ms, true),
    ("5.10.3-11", "2:16128", &["p axis"], |all| &mut all.axes[0], false),
    ("5.10.3-13", "2:16132", &["qrs axis"], |all| &mut all.axes[1], false),
    ("5.10.3-15", "2:16136", &["t axis"], |all| &mut all.axes[2], false),
];
