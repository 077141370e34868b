//! GE MUSE XML ("RestingECG"): the rhythm, and the median beat and 12SL measurements it carries.

use super::{Lead, Recording, Unit, lead_name};
use crate::ecg::leads::{INDEPENDENT, twelve};
use crate::ecg::measure::BEAT;
use crate::ecg::{Measurements, measure::R_AT};
use crate::intake::{self, Most};
use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::Array2;
use roxmltree::{Document, Node, ParsingOptions};
use std::path::Path;

const LARGEST: Most = Most { bytes: 64 << 20, of: "a MUSE file" };
/// A parser compares each attribute with the others of its element, and hands namespaces down from element to element: what these may cost
/// is bounded before it begins. MUSE files have no attributes to speak of and no namespaces.
const ATTRIBUTES: usize = 64;
const NAMESPACES: usize = 64;
/// More elements and texts than any MUSE file has.
const NODES: u32 = 200_000;

/// Reads a MUSE XML file.
///
/// # Errors
/// If it is not such a file, has no rhythm, or a waveform lacks its rate, its unit or part of its samples.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    let path = path.as_ref();
    let text = decode(intake::read(path, LARGEST)?).map_err(|problem| Error::format(path, problem))?;
    let mut recording = parse(&text).map_err(|problem| Error::format(path, problem))?;
    recording.id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(recording)
}

/// MUSE writes ISO-8859-1; whatever is not UTF-8 is taken as that.
fn decode(bytes: Vec<u8>) -> std::result::Result<String, String> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.as_bytes().starts_with(&[0xff, 0xfe]) || error.as_bytes().starts_with(&[0xfe, 0xff]) => {
            Err("UTF-16 is not supported: save it as UTF-8".into())
        }
        Err(error) => Ok(error.into_bytes().into_iter().map(char::from).collect()),
    }
}

fn parse(text: &str) -> std::result::Result<Recording, String> {
    affordable(text)?;
    let options = ParsingOptions { allow_dtd: true, nodes_limit: NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| format!("not well-formed XML: {error}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "RestingECG" {
        return Err(format!("the root element is {}, not RestingECG: not a MUSE file", root.tag_name().name()));
    }
    let waveforms: Vec<Node> = root.children().filter(|node| node.has_tag_name("Waveform")).collect();
    let kind = |wanted: &str| {
        waveforms.iter().copied().find(|node| field(*node, "WaveformType").is_some_and(|kind| kind.eq_ignore_ascii_case(wanted)))
    };
    let rhythm = kind("Rhythm").ok_or("there is no waveform of type Rhythm")?;
    let (leads, rate) = waveform(rhythm).map_err(|problem| format!("rhythm: {problem}"))?;
    let median = match kind("Median") {
        Some(node) => median(&waveform(node).map_err(|problem| format!("median: {problem}"))?),
        None => None,
    };
    let mut labels = root.children().find(|node| node.has_tag_name("RestingECGMeasurements")).map(measurements);
    if let (Some(labels), Some(median)) = (&mut labels, &median) {
        amplitudes(labels, median);
    }
    Ok(Recording { leads, rate, labels, median, ..Recording::default() })
}

/// Refuses XML that would take its parser long, by counts that no nesting, quoting or comment can hide from: in well-formed XML a tag holds no
/// `<`, so that it has no more attributes than there are `=` up to the next one.
fn affordable(text: &str) -> std::result::Result<(), String> {
    if text.contains("<!ENTITY") {
        return Err("it declares entities, which no MUSE file does: they are not expanded".into());
    }
    if text.matches("xmlns").nth(NAMESPACES).is_some() {
        return Err(format!("more than {NAMESPACES} namespaces: not a MUSE file"));
    }
    let mut tags = text.split('<').skip(1).filter(|tag| !tag.starts_with(['!', '?', '/']));
    match tags.any(|tag| tag.bytes().filter(|byte| *byte == b'=').nth(ATTRIBUTES).is_some()) {
        true => Err(format!("an element of more than {ATTRIBUTES} attributes: not a MUSE file")),
        false => Ok(()),
    }
}

fn field<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.has_tag_name(name))?.text().map(str::trim)
}

fn value(node: Node<'_, '_>, name: &str) -> std::result::Result<f64, String> {
    let text = field(node, name).ok_or(format!("{name} is not there"))?;
    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(format!("{name} is '{text}', not a number"))
}

fn waveform(node: Node<'_, '_>) -> std::result::Result<(Vec<Lead>, f64), String> {
    let exponent = if field(node, "SampleExponent").is_some() { value(node, "SampleExponent")? } else { 0.0 };
    let rate = value(node, "SampleBase")? * 10f64.powf(exponent);
    let mut leads = Vec::new();
    for data in node.children().filter(|child| child.has_tag_name("LeadData")) {
        let id = field(data, "LeadID").ok_or("a lead has no LeadID")?;
        let name = lead_name(id).ok_or(format!("'{id}' is not a lead that is known"))?;
        leads.push(Lead { name, samples: samples(data).map_err(|problem| format!("lead {id}: {problem}"))? });
    }
    Ok((leads, rate))
}

fn samples(data: Node<'_, '_>) -> std::result::Result<Vec<f64>, String> {
    let unit = field(data, "LeadAmplitudeUnits").ok_or("LeadAmplitudeUnits is not there: its voltages cannot be known")?;
    let unit = Unit::named(unit).ok_or(format!("'{unit}' is not a unit of voltage that is known"))?;
    let step = value(data, "LeadAmplitudeUnitsPerBit")? * unit.microvolts();
    if field(data, "LeadSampleSize").is_some_and(|size| size != "2") {
        return Err("samples of other than 2 bytes are not supported".into());
    }
    let text: String = field(data, "WaveFormData").ok_or("WaveFormData is not there")?.split_whitespace().collect();
    let bytes = STANDARD.decode(text).map_err(|error| format!("WaveFormData is not base64: {error}"))?;
    if bytes.len() % 2 != 0 {
        return Err("WaveFormData ends within a sample".into());
    }
    let samples: Vec<f64> = bytes.chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) * step).collect();
    let announced = value(data, "LeadSampleCountTotal")?;
    if announced != samples.len() as f64 {
        return Err(format!("{} samples where {announced} are announced", samples.len()));
    }
    Ok(samples)
}

/// The median beat as (12, 600), if it has all eight leads, 600 samples, 500 Hz.
fn median((leads, rate): &(Vec<Lead>, f64)) -> Option<Array2<f32>> {
    if *rate != crate::ecg::leads::RATE {
        return None;
    }
    let mut eight = Array2::zeros((8, BEAT));
    for (row, name) in INDEPENDENT.iter().enumerate() {
        let lead = leads.iter().find(|lead| lead.name == *name).filter(|lead| lead.samples.len() == BEAT)?;
        eight.row_mut(row).iter_mut().zip(&lead.samples).for_each(|(to, from)| *to = *from as f32);
    }
    Some(twelve(eight.view()))
}

/// The 12SL measurements; what is absent, empty or not positive is missing.
fn measurements(node: Node<'_, '_>) -> Measurements {
    let get = |name: &str| field(node, name)?.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
    Measurements {
        pr_ms: get("PRInterval"),
        qrs_ms: get("QRSDuration"),
        qt_ms: get("QTInterval"),
        rate_bpm: get("VentricularRate"),
        p_onset: get("POnset"),
        p_offset: get("POffset"),
        qrs_onset: get("QOnset"),
        qrs_offset: get("QOffset"),
        t_offset: get("TOffset"),
        ..Measurements::default()
    }
}

/// V5's amplitudes read off the median beat at the file's own fiducials, as 12SL defines them.
fn amplitudes(labels: &mut Measurements, median: &Array2<f32>) {
    let v5 = median.row(crate::ecg::leads::V5);
    let index = |fiducial: Option<f64>| fiducial.map(|at| at as usize).filter(|&at| at < BEAT);
    let (Some(on), Some(off)) = (index(labels.qrs_onset), index(labels.qrs_offset)) else { return };
    if on >= off || !(on..=off).contains(&R_AT) {
        return;
    }
    let at = |t: usize| f64::from(v5[t] - v5[on]);
    labels.r_v5_uv = Some((on..=off).map(at).fold(f64::NEG_INFINITY, f64::max));
    labels.j_v5_uv = Some(at(off));
    if let Some(end) = index(labels.t_offset).filter(|&end| end > off + 20) {
        labels.t_v5_uv = Some((off + 20..=end).map(at).fold(0.0, |best: f64, x| if x.abs() > best.abs() { x } else { best }));
    }
}
