//! Schiller XML ("examdescript", of SEMA and the MS and AT devices): the rhythm among its wave data.

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

fn parse(root: Node<'_, '_>) -> Outcome<Recording> {
    let waves: Vec<Node> = root.descendants().filter(|node| node.tag_name().name() == "wavedata").collect();
    if waves.is_empty() {
        return Err(format!("the root element {} holds no wavedata: not a Schiller file", root.tag_name().name()));
    }
    let mut recording = Recording { patient: patient(root), ..Recording::default() };
    let mut blocks = Vec::new();
    for node in waves {
        let kind = field(node, "type").unwrap_or_default().to_uppercase();
        match kind.starts_with("ECG_RHYTHM") {
            true => blocks.push(rhythm(node, &mut recording)?),
            false => recording.notes.push(format!("wave data '{}' passed over", crate::error::one_line(&kind, 40))),
        }
    }
    if blocks.iter().all(|block| block.leads.is_empty()) {
        return Err("there is no wave data of type ECG_RHYTHMS with leads".into());
    }
    recording.take_blocks(blocks);
    Ok(recording)
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
