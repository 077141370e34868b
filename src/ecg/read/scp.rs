//! SCP-ECG: rhythm and reference beat, Huffman coded or plain, with the device's global measurements.
//!
//! Format: EN 1064:2005+A1:2007 and EN 1064:2020 (SCP-ECG 1.3 to 3.0).

mod huffman;
mod measured;

use super::bytes::{Bytes, Found};
use super::{Patient, Recording, numbered};
use crate::intake::{self, Most};
use crate::{Error, Result};
use huffman::Tables;
use std::collections::BTreeMap;
use std::path::Path;

const LARGEST: Most = Most { bytes: 256 << 20, of: "an SCP-ECG record" };
/// Bytes of a section's header, and of a pointer of section 0.
const HEADER: usize = 16;
const POINTER: usize = 10;
const MOST_LEADS: usize = 255;
/// Samples of all leads: twelve of 20 minutes at 1000 Hz. A code may take one bit.
const MOST_SAMPLES: usize = 1 << 24;

/// Reads an SCP-ECG record.
///
/// # Errors
/// If it is not one, if a checksum does not fit, if leads were not recorded at the same time, or if samples are missing or were left out
/// (bimodal compression).
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    let path = path.as_ref();
    let bytes = intake::read(path, LARGEST)?;
    let recording = parse(&bytes).map_err(|problem| Error::format(path, problem))?;
    Ok(Recording { id: Recording::of_file(path).id, ..recording })
}

/// Whether a file begins as one: section 0 stands behind the checksum and the length, and the sum over the whole cannot be asked of a beginning.
pub fn is_scp(start: &[u8]) -> bool {
    start.get(16..22) == Some(b"SCPECG")
}

/// CRC-CCITT, from all ones, highest bit first.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |sum, byte| {
        let sum = sum ^ u16::from(*byte) << 8;
        (0..8).fold(sum, |sum, _| if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 })
    })
}

/// The bodies of the sections by number, every checksum compared.
fn sections(bytes: &[u8]) -> Found<BTreeMap<u16, Bytes<'_>>> {
    let mut at = Bytes::new(bytes);
    let (sum, length) = (at.u16()?, at.length()?);
    if length < 6 + HEADER || length > bytes.len() {
        return Err(format!("truncated, or not SCP-ECG: {} bytes where the record announces {length}", bytes.len()));
    }
    let record = &bytes[..length];
    let own = checksum(&record[2..]);
    if sum != own {
        return Err(format!("damaged, or not SCP-ECG: its checksum is {own:04x} where the record says {sum:04x}"));
    }
    let mut pointers = section(record, 0, 6, None)?;
    let mut all = BTreeMap::new();
    while pointers.left() >= POINTER {
        let (id, length, place) = (pointers.u16()?, pointers.length()?, pointers.length()?);
        // An empty section may be listed with no place, or with nothing but its header.
        if id == 0 || length <= HEADER || place == 0 {
            continue;
        }
        let body = section(record, id, place - 1, Some(length)).map_err(|problem| format!("section {id}: {problem}"))?;
        if all.insert(id, body).is_some() {
            return Err(format!("section {id} is there twice"));
        }
    }
    Ok(all)
}

/// The body of a section behind its header.
fn section(record: &[u8], id: u16, place: usize, announced: Option<usize>) -> Found<Bytes<'_>> {
    let mut at = Bytes::new(record);
    at.seek(place)?;
    let whole = at;
    let (sum, own, length) = (at.u16()?, at.u16()?, at.length()?);
    if own != id || length < HEADER || announced.is_some_and(|announced| announced != length) {
        return Err(format!("at byte {place} stands section {own} of {length} bytes, another than section 0 tells"));
    }
    let mut whole = whole;
    let part = whole.take(length)?;
    let found = checksum(&part[2..]);
    if sum != found {
        return Err(format!("damaged: its checksum is {found:04x} where it says {sum:04x}"));
    }
    Ok(Bytes::new(&part[HEADER..]))
}

/// What section 3 says of a lead: its number and its first and last sample, counted from 1.
struct Described {
    number: u8,
    first: usize,
    last: usize,
}

struct Leads {
    all: Vec<Described>,
    /// Whether reference beats were taken out of the rhythm.
    subtracted: bool,
}

fn leads(mut at: Bytes<'_>) -> Found<Leads> {
    let (count, flags) = (at.u8()?, at.u8()?);
    let mut all = Vec::new();
    for _ in 0..count {
        let (first, last, number) = (at.length()?, at.length()?, at.u8()?);
        if last < first {
            return Err(format!("a lead is said to go from sample {first} to {last}"));
        }
        all.push(Described { number, first, last });
    }
    match all.first() {
        None => Err("it describes no leads".into()),
        Some(one) if all.iter().any(|lead| (lead.first, lead.last) != (one.first, one.last)) => {
            Err("its leads were not recorded at the same time, or not for as long: they are not one ECG".into())
        }
        _ => Ok(Leads { all, subtracted: flags & 1 != 0 }),
    }
}

/// What section 4 says of beats: where the reference beat's fiducial point is, and where beats of its kind lie in the rhythm.
struct Beats {
    fiducial: i64,
    /// First and last sample from which the reference beat was taken, and its fiducial point between them.
    places: Vec<[i64; 3]>,
}

fn beats(mut at: Bytes<'_>) -> Found<Beats> {
    let (_milliseconds, fiducial, count) = (at.u16()?, at.u16()?, at.u16()?);
    let mut places = Vec::new();
    for _ in 0..count {
        let kind = at.u16()?;
        let [first, middle, last] = [at.u32()?, at.u32()?, at.u32()?].map(i64::from);
        // Only beats of kind 0 are like the reference beat.
        if kind == 0 {
            places.push([first, middle, last]);
        }
    }
    Ok(Beats { fiducial: fiducial.into(), places })
}

/// The samples of section 5 or 6.
struct Encoded<'a> {
    /// nV of one step.
    step: u16,
    /// Sampling interval, µs.
    interval: u16,
    differences: u8,
    bimodal: bool,
    leads: Vec<&'a [u8]>,
}

fn encoded<'a>(mut at: Bytes<'a>, count: usize) -> Found<Encoded<'a>> {
    let (step, interval, differences, bimodal) = (at.u16()?, at.u16()?, at.u8()?, at.u8()?);
    if step == 0 || interval == 0 {
        return Err("its voltages or its sampling rate cannot be known: it says 0 of one of them".into());
    }
    let lengths = (0..count).map(|_| at.u16()).collect::<Found<Vec<_>>>()?;
    let leads = lengths.into_iter().map(|length| at.take(length.into())).collect::<Found<_>>()?;
    Ok(Encoded { step, interval, differences, bimodal: bimodal != 0, leads })
}

fn parse(bytes: &[u8]) -> Found<Recording> {
    let sections = sections(bytes)?;
    let within = |id: u16| move |problem: String| format!("section {id}: {problem}");
    let body = |id: u16| sections.get(&id).copied();
    let described = leads(body(3).ok_or("it has no section 3: which leads it holds cannot be known")?).map_err(within(3))?;
    if described.all.len() > MOST_LEADS {
        return Err(format!("more than {MOST_LEADS} leads"));
    }
    let tables = body(2).map(Tables::read).transpose().map_err(within(2))?.unwrap_or(Tables::none());
    let Some(rhythm) = body(6) else {
        return Err(match body(12) {
            Some(_) => "it holds a long-term rhythm (section 12) and none of rest (section 6), which alone is read".into(),
            None => "it has no section 6: there is no rhythm in it".into(),
        });
    };
    let rhythm = encoded(rhythm, described.all.len()).map_err(within(6))?;
    if rhythm.bimodal {
        return Err("section 6: samples outside of QRS were left out (bimodal compression): its rhythm cannot be had back".into());
    }
    let length = described.all[0].last - described.all[0].first + 1;
    if length.saturating_mul(described.all.len()) > MOST_SAMPLES {
        return Err(format!("section 3: {} leads of {length} samples: too long for an ECG at rest", described.all.len()));
    }
    let mut samples = decode(&rhythm, &tables, length).map_err(within(6))?;
    if described.subtracted {
        let beats =
            beats(body(4).ok_or("reference beats were taken out, and section 4 that tells where is not there")?).map_err(within(4))?;
        let beat = body(5).ok_or("reference beats were taken out, and section 5 that holds them is not there")?;
        let beat = encoded(beat, described.all.len()).map_err(within(5))?;
        if beat.interval != rhythm.interval {
            return Err(format!("its reference beat is sampled every {} µs and its rhythm every {} µs", beat.interval, rhythm.interval));
        }
        let length = reference_length(body(4), beat.interval)?;
        let reference = decode(&beat, &tables, length).map_err(within(5))?;
        add_back(&mut samples, &reference, &beats, described.all[0].first as i64)?;
    }
    let mut recording = Recording { rate: 1e6 / f64::from(rhythm.interval), ..Recording::default() };
    for (lead, samples) in described.all.iter().zip(samples) {
        match numbered::lead(lead.number.into()) {
            Some(name) => recording.take(name, samples),
            None => recording.pass_over(&format!("lead {}", lead.number), "no lead that is known"),
        }
    }
    if recording.leads.is_empty() {
        return Err("none of its leads is an ECG lead that is known".into());
    }
    let mut labels = body(7).map(measured::global).transpose().map_err(within(7))?.flatten();
    if let Some(section) = body(10) {
        measured::of_leads(section, labels.get_or_insert_default()).map_err(within(10))?;
    }
    recording.labels = labels.filter(|labels| *labels != Default::default());
    recording.patient = body(1).map(patient).transpose().map_err(within(1))?.unwrap_or_default();
    Ok(recording)
}

/// Who it is of, as section 1 says.
fn patient(mut at: Bytes<'_>) -> Found<Patient> {
    let (mut names, mut patient) = ([const { String::new() }; 2], Patient::default());
    while at.left() >= 3 {
        let (tag, length) = (at.u8()?, at.u16()?);
        if tag == 255 {
            break;
        }
        let mut field = at.part(length.into())?;
        match (tag, field.left()) {
            // First name, last name.
            (1, length) => names[0] = field.text(length)?,
            (0, length) => names[1] = field.text(length)?,
            (2, length) => patient.id = Some(field.text(length)?).filter(|id| !id.is_empty()),
            (4, 3..) => {
                let (age, unit) = (f64::from(field.u16()?), field.u8()?);
                let years = [0.0, 1.0, 1.0 / 12.0, 7.0 / 365.25, 1.0 / 365.25, 1.0 / 8766.0].get(usize::from(unit)).map(|of| age * of);
                patient.age_years = years.filter(|years| *years > 0.0);
            }
            (8, 1..) => {
                patient.sex = match field.u8()? {
                    1 => Some("M".into()),
                    2 => Some("F".into()),
                    _ => None,
                }
            }
            _ => {}
        }
    }
    let name = names.join(" ").trim().to_owned();
    patient.name = (!name.is_empty()).then_some(name);
    Ok(patient)
}

/// Samples of the reference beat, of its length in ms.
fn reference_length(section: Option<Bytes<'_>>, interval: u16) -> Found<usize> {
    let milliseconds = section.map(|mut at| at.u16()).transpose()?.unwrap_or(0);
    Ok(usize::from(milliseconds) * 1000 / usize::from(interval))
}

/// Every lead, µV.
fn decode(encoded: &Encoded<'_>, tables: &Tables, length: usize) -> Found<Vec<Vec<f64>>> {
    let microvolts = f64::from(encoded.step) / 1e3;
    let one = |(at, bytes): (usize, &&[u8])| {
        let steps = tables.decode(bytes, length).map_err(|problem| format!("lead {}: {problem}", at + 1))?;
        let whole = undo(steps, encoded.differences)?;
        Ok(whole.into_iter().map(|value| f64::from(value) * microvolts).collect())
    };
    encoded.leads.iter().enumerate().map(one).collect()
}

/// Samples of first or second differences.
fn undo(mut values: Vec<i32>, differences: u8) -> Found<Vec<i32>> {
    if differences > 2 {
        return Err(format!("it is encoded in a way {differences} that no edition of the standard knows"));
    }
    for at in 1..values.len() {
        let expected = match differences {
            0 => 0,
            1 => values[at - 1],
            // The first two samples stand as they are.
            _ if at == 1 => 0,
            _ => 2 * values[at - 1] - values[at - 2],
        };
        values[at] += expected;
        if i16::try_from(values[at]).is_err() {
            return Err(format!("sample {at} is {}, outside of 16 bits: damaged, or another way of encoding", values[at]));
        }
    }
    Ok(values)
}

/// Adds the reference beat where it was taken out; the rhythm's samples are counted from `first`.
fn add_back(samples: &mut [Vec<f64>], reference: &[Vec<f64>], beats: &Beats, first: i64) -> Found<()> {
    let last = first + samples.first().map_or(0, |lead| lead.len() as i64) - 1;
    let zone = |[from, _, to]: &[i64; 3]| (*from).max(first)..=(*to).min(last);
    // Beats lie apart: zones that overlap many times over are a damaged section, and without end to work through.
    let total: i64 = beats.places.iter().map(|place| (zone(place).end() - zone(place).start() + 1).max(0)).sum();
    if total > 2 * (last - first + 1) {
        return Err("section 4: the beats that were taken out overlap: damaged".into());
    }
    for (lead, beat) in samples.iter_mut().zip(reference) {
        for place in &beats.places {
            for t in zone(place) {
                // Both counts begin at 1.
                let within = usize::try_from(beats.fiducial - 1 + t - place[1]).ok().and_then(|at| beat.get(at));
                lead[(t - first) as usize] += within.copied().unwrap_or(0.0);
            }
        }
    }
    Ok(())
}
