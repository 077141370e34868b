//! GE MUSE XML ("RestingECG"): the rhythm, and the median beat and 12SL measurements it carries.

use super::carried::Printed;
use super::xml::{self, Outcome, Room, children, field, value};
use super::{Block, Lead, Patient, Recording, Unit, named};
use crate::Result;
use crate::ecg::leads::{INDEPENDENT, twelve};
use crate::ecg::measure::BEAT;
use crate::ecg::{Measurements, measure::R_AT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::Array2;
use roxmltree::Node;
use std::path::Path;

/// Reads a MUSE XML file. Leads beyond the twelve are kept under their names; of several rhythms the one with the most leads is taken.
///
/// # Errors
/// If it is not such a file, has no rhythm, or a waveform lacks its rate, its unit or part of its samples.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    xml::read(path.as_ref(), parse)
}

fn parse(root: Node<'_, '_>) -> Outcome<Recording> {
    if root.tag_name().name() != "RestingECG" {
        return Err(format!("the root element is {}, not RestingECG: not a MUSE file", root.tag_name().name()));
    }
    let mut recording = Recording { patient: patient(root), ..Recording::default() };
    let kind = |wanted: &'static str| {
        children(root, "Waveform").filter(move |node| field(*node, "WaveformType").is_some_and(|kind| kind.eq_ignore_ascii_case(wanted)))
    };
    let room = Room::new();
    let rhythms = kind("Rhythm").map(|node| waveform(node, &mut recording, &room).map_err(|problem| format!("rhythm: {problem}")));
    let rhythms = rhythms.collect::<Outcome<Vec<Block>>>()?;
    if rhythms.is_empty() {
        return Err("there is no waveform of type Rhythm".into());
    }
    recording.take_blocks(rhythms);
    recording.median = match kind("Median").next() {
        Some(node) => median(&waveform(node, &mut Recording::default(), &room).map_err(|problem| format!("median: {problem}"))?),
        None => None,
    };
    recording.labels = xml::child(root, "RestingECGMeasurements").map(measurements);
    if let (Some(labels), Some(median)) = (&mut recording.labels, &recording.median) {
        amplitudes(labels, median);
    }
    Ok(recording)
}

/// Who it is of; an age in other units than years is less than one year but for months.
fn patient(root: Node<'_, '_>) -> Patient {
    let Some(node) = xml::child(root, "PatientDemographics") else { return Patient::default() };
    let text = |name: &str| field(node, name).filter(|text| !text.is_empty()).map(str::to_owned);
    let years = match field(node, "AgeUnits").unwrap_or("YEARS") {
        "YEARS" => 1.0,
        "MONTHS" => 1.0 / 12.0,
        "WEEKS" => 7.0 / 365.25,
        _ => 1.0 / 365.25,
    };
    let name: Vec<String> = [text("PatientFirstName"), text("PatientLastName")].into_iter().flatten().collect();
    Patient {
        id: text("PatientID"),
        name: (!name.is_empty()).then(|| name.join(" ")),
        age_years: field(node, "PatientAge").and_then(|age| age.parse::<f64>().ok()).map(|age| age * years),
        sex: text("Gender"),
    }
}

/// The leads of a waveform; what is no lead is noted.
fn waveform(node: Node<'_, '_>, to: &mut Recording, room: &Room) -> Outcome<Block> {
    let exponent = if field(node, "SampleExponent").is_some() { value(node, "SampleExponent")? } else { 0.0 };
    let rate = value(node, "SampleBase")? * 10f64.powf(exponent);
    let mut leads = Vec::new();
    for data in children(node, "LeadData") {
        let id = field(data, "LeadID").ok_or("a lead has no LeadID")?;
        let Some(lead) = named(id) else {
            to.pass_over(id, "no lead that is known");
            continue;
        };
        let mut samples = samples(data, room).map_err(|problem| format!("lead {id}: {problem}"))?;
        if lead.negated {
            samples.iter_mut().for_each(|x| *x = -*x);
        }
        leads.push(Lead::new(lead.name, samples));
    }
    Ok(Block { leads, rate })
}

fn samples(data: Node<'_, '_>, room: &Room) -> Outcome<Vec<f64>> {
    let unit = field(data, "LeadAmplitudeUnits").ok_or("LeadAmplitudeUnits is not there: its voltages cannot be known")?;
    let unit = Unit::named(unit).ok_or(format!("'{unit}' is not a unit of voltage that is known"))?;
    let step = value(data, "LeadAmplitudeUnitsPerBit")? * unit.microvolts();
    if field(data, "LeadSampleSize").is_some_and(|size| size != "2") {
        return Err("samples of other than 2 bytes are not supported".into());
    }
    let announced = value(data, "LeadSampleCountTotal")?;
    let text: String = field(data, "WaveFormData").ok_or("WaveFormData is not there")?.split_whitespace().collect();
    let mut bytes = STANDARD.decode(text).map_err(|error| format!("WaveFormData is not base64: {error}"))?;
    if announced * 2.0 != bytes.len() as f64 && xml::looks_packed(&bytes) && (0.0..=LONGEST).contains(&announced) {
        bytes = room.inflated(&bytes, announced as usize * 2)?;
    }
    if !bytes.len().is_multiple_of(2) {
        return Err("WaveFormData ends within a sample".into());
    }
    let samples: Vec<f64> = bytes.chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) * step).collect();
    if announced != samples.len() as f64 {
        return Err(format!("{} samples where {announced} are announced", samples.len()));
    }
    Ok(samples)
}

/// Samples that packed data may have: an hour at 1000 Hz.
const LONGEST: f64 = 3.6e6;

/// The median beat as (12, 600), if it has all eight leads, 600 samples, 500 Hz.
fn median(Block { leads, rate }: &Block) -> Option<Array2<f32>> {
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
    let number = |name: &str| field(node, name)?.parse::<f64>().ok().filter(|value| value.is_finite());
    let get = |name: &str| number(name).filter(|value| *value > 0.0);
    let printed = Printed {
        rate_bpm: get("VentricularRate"),
        p_ms: None,
        pr_ms: get("PRInterval"),
        qrs_ms: get("QRSDuration"),
        qt_ms: get("QTInterval"),
        qtcb_ms: get("QTCorrected"),
        axes: [number("PAxis"), number("RAxis"), number("TAxis")],
    };
    Measurements {
        p_onset: get("POnset"),
        p_offset: get("POffset"),
        qrs_onset: get("QOnset"),
        qrs_offset: get("QOffset"),
        t_offset: get("TOffset"),
        ..printed.labels().unwrap_or_default()
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
