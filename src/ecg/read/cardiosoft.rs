//! GE CardioSoft and CardioSys XML ("CardiologyXML"): the strips, and the resting measurements.

use super::carried::Printed;
use super::xml::{self, Outcome, child, children, field, find, numbers, value};
use super::{Block, Lead, Patient, Recording, named};
use crate::Result;
use roxmltree::Node;
use std::path::Path;

/// Reads a CardioSoft file. Of several strips (exercise tests have many) the one with the most leads is taken.
///
/// # Errors
/// If it is not such a file, or a strip lacks its rate, its resolution or part of its samples.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    xml::read(path.as_ref(), parse)
}

fn parse(root: Node<'_, '_>) -> Outcome<Recording> {
    if root.tag_name().name() != "CardiologyXML" {
        return Err(format!("the root element is {}, not CardiologyXML: not a CardioSoft file", root.tag_name().name()));
    }
    let mut recording = Recording { patient: patient(root), ..Recording::default() };
    let mut strips = Vec::new();
    for node in root.descendants().filter(|node| node.tag_name().name() == "StripData") {
        strips.push(strip(node, &mut recording)?);
    }
    if strips.iter().all(|strip| strip.leads.is_empty()) {
        return Err("there is no StripData with leads".into());
    }
    recording.take_blocks(strips);
    if find(root, "FullDisclosureData").is_some() {
        recording.notes.push("full disclosure passed over".into());
    }
    if let Some(node) = find(root, "MedianSamples") {
        recording.take_beat(strip(node, &mut Recording::default()));
    }
    recording.labels = find(root, "RestingECGMeasurements").and_then(|node| printed(node).labels());
    Ok(recording)
}

fn patient(root: Node<'_, '_>) -> Patient {
    let Some(node) = child(root, "PatientInfo") else { return Patient::default() };
    let text = |node: Node<'_, '_>, name: &str| field(node, name).filter(|text| !text.is_empty()).map(str::to_owned);
    let name: Vec<String> = child(node, "Name")
        .map(|name| ["GivenName", "FamilyName"].into_iter().filter_map(|part| text(name, part)).collect())
        .unwrap_or_default();
    let years = child(node, "Age").filter(|age| age.attribute("units").is_none_or(|unit| unit.to_lowercase().starts_with("year")));
    Patient {
        id: text(node, "PID"),
        name: (!name.is_empty()).then(|| name.join(" ")),
        age_years: years.and_then(|age| age.text()?.trim().parse().ok()),
        sex: text(node, "Gender"),
    }
}

fn strip(node: Node<'_, '_>, to: &mut Recording) -> Outcome<Block> {
    let rate = value(node, "SampleRate")?;
    let resolution = child(node, "Resolution").ok_or("Resolution is not there: its voltages cannot be known")?;
    let unit = resolution.attribute("units").unwrap_or_default().to_lowercase();
    if unit != "uvperlsb" {
        return Err(format!("a resolution in '{unit}', not uVperLsb"));
    }
    let step = value(node, "Resolution")?;
    let announced = field(node, "ChannelSampleCountTotal").and_then(|count| count.parse::<usize>().ok());
    let mut leads = Vec::new();
    for data in children(node, "WaveformData") {
        let id = data.attribute("lead").ok_or("a WaveformData has no lead")?;
        let Some(lead) = named(id) else {
            to.pass_over(id, "no lead that is known");
            continue;
        };
        let step = if lead.negated { -step } else { step };
        let samples: Vec<f64> = numbers(data.text().unwrap_or_default()).map_err(|problem| format!("lead {id}: {problem}"))?;
        if announced.is_some_and(|count| count != samples.len()) {
            return Err(format!("lead {id}: {} samples where {} are announced", samples.len(), announced.unwrap_or(0)));
        }
        leads.push(Lead::new(lead.name, samples.into_iter().map(|x| x * step).collect()));
    }
    Ok(Block { leads, rate })
}

fn printed(node: Node<'_, '_>) -> Printed {
    let get = |name: &str| field(node, name)?.parse::<f64>().ok().filter(|value| value.is_finite());
    Printed {
        rate_bpm: get("VentricularRate"),
        p_ms: get("PDuration"),
        pr_ms: get("PQInterval").or_else(|| get("PRInterval")),
        qrs_ms: get("QRSDuration"),
        qt_ms: get("QTInterval"),
        qtcb_ms: get("QTCInterval"),
        axes: [get("PAxis"), get("RAxis"), get("TAxis")],
    }
}
