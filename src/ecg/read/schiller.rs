//! Schiller XML ("SchillerEDI" of SEMA, written by the MS and AT devices): the rhythm and the averaged beat among its wave data, global measurements.

use super::carried::Printed;
use super::xml::{self, Outcome, child, children, field, numbers, value};
use super::{Block, Lead, Patient, Recording, Unit, named};
use crate::Result;
use roxmltree::Node;
use std::path::Path;

/// Reads a Schiller file.
///
/// # Errors
/// If it is not such a file, has no rhythm, or lacks its rate or unit.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    xml::read(path.as_ref(), parse)
}

/// Whether a document of this root is one: SEMA writes `com.xiriuz.sema.xml.schillerEDI.SchillerEDI`.
pub(super) fn is_root(name: &str) -> bool {
    name.ends_with("SchillerEDI") || name == "examdescript"
}

fn parse(root: Node<'_, '_>) -> Outcome<Recording> {
    let waves: Vec<Node> = root.descendants().filter(|node| node.tag_name().name() == "wavedata").collect();
    if waves.is_empty() {
        return Err(format!("the root element {} holds no wavedata: not a Schiller file", root.tag_name().name()));
    }
    let mut recording = Recording { patient: patient(root), ..Recording::default() };
    let mut blocks = Vec::new();
    for node in waves {
        let kind = field(node, "type").unwrap_or_default().to_uppercase();
        match kind.as_str() {
            rhythms if rhythms.starts_with("ECG_RHYTHM") => blocks.push(rhythm(node, &mut recording)?),
            "ECG_AVERAGES" => recording.take_beat(rhythm(node, &mut Recording::default())),
            _ => recording.notes.push(format!("wave data '{}' passed over", crate::error::one_line(&kind, 40))),
        }
    }
    if blocks.iter().all(|block| block.leads.is_empty()) {
        return Err("there is no wave data of type ECG_RHYTHMS with leads".into());
    }
    recording.take_blocks(blocks);
    recording.labels = printed(root).labels();
    Ok(recording)
}

/// Names and values among the global annotations, in pairs: of the names only those that can mean one thing are taken, and of values only those in ms or
/// beats per minute, where they say.
fn printed(root: Node<'_, '_>) -> Printed {
    let mut pairs: Vec<(String, f64)> = Vec::new();
    for node in root.descendants().filter(|node| node.tag_name().name() == "annotation_global") {
        let mut name = None;
        for part in node.children().filter(Node::is_element) {
            let text = part.text().unwrap_or_default().trim();
            match part.tag_name().name() {
                "name" => name = Some(text.to_uppercase()),
                "value" => pairs.extend(name.take().zip(text.parse::<f64>().ok().filter(|value| value.is_finite()))),
                // A unit stands behind its value.
                "unit" | "units" if !["ms", "bpm", "/min", "1/min", ""].contains(&text.to_lowercase().as_str()) => drop(pairs.pop()),
                _ => {}
            }
        }
    }
    let get = |names: &[&str]| pairs.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| *value);
    Printed {
        rate_bpm: get(&["HR", "HEARTRATE", "HEART RATE"]),
        pr_ms: get(&["PQ", "PR", "PQ INTERVAL", "PR INTERVAL"]),
        qrs_ms: get(&["QRS", "QRS DURATION"]),
        qt_ms: get(&["QT", "QT INTERVAL"]),
        ..Printed::default()
    }
}

fn rhythm(node: Node<'_, '_>, to: &mut Recording) -> Outcome<Block> {
    let resolution = child(node, "resolution").ok_or("resolution is not there: its voltages cannot be known")?;
    let sampled = child(resolution, "samplerate").ok_or("samplerate is not there")?;
    if field(sampled, "exponent").is_some_and(|exponent| exponent != "1") {
        return Err("a samplerate with an exponent other than 1 is not known".into());
    }
    let rate = value(sampled, "value")?;
    let steps = child(resolution, "yres").ok_or("yres is not there: its voltages cannot be known")?;
    let unit = field(steps, "units").unwrap_or_default();
    let unit = Unit::named(unit).ok_or(format!("'{unit}' is not a unit of voltage that is known"))?;
    let step = value(steps, "unitperbit")? * unit.microvolts();
    let mut leads = Vec::new();
    for channel in children(node, "channel") {
        let name = field(channel, "name").ok_or("a channel has no name")?;
        let Some(lead) = named(name) else {
            to.pass_over(name, "no lead that is known");
            continue;
        };
        let step = if lead.negated { -step } else { step };
        let samples = numbers(field(channel, "data").unwrap_or_default()).map_err(|problem| format!("lead {name}: {problem}"))?;
        leads.push(Lead::new(lead.name, samples.into_iter().map(|x| x * step).collect()));
    }
    Ok(Block { leads, rate })
}

fn patient(root: Node<'_, '_>) -> Patient {
    let Some(node) = child(root, "patdata") else { return Patient::default() };
    let text = |name: &str| field(node, name).filter(|text| !text.is_empty()).map(str::to_owned);
    let name: Vec<String> = [text("firstname"), text("lastname")].into_iter().flatten().collect();
    Patient {
        id: text("id"),
        name: (!name.is_empty()).then(|| name.join(" ")),
        age_years: None,
        sex: text("gender").or_else(|| text("sex")),
    }
}
