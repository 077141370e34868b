//! Mortara ELI XML ("ECG"): a channel an element, and what stands with its typical cycle.

use super::carried::Printed;
use super::xml::{self, Outcome, child, children};
use super::{Block, Lead, Patient, Recording, named};
use crate::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;
use std::path::Path;

/// Rates that the leads of a file may have.
const MOST_RATES: usize = 16;

/// Reads a Mortara file.
///
/// # Errors
/// If it is not such a file, or a channel lacks its rate or gain, or is not of signed 16 bits in base64.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    xml::read(path.as_ref(), parse)
}

fn parse(root: Node<'_, '_>) -> Outcome<Recording> {
    if root.tag_name().name() != "ECG" || child(root, "CHANNEL").is_none() {
        return Err(format!("the root element {} has no CHANNEL: not a Mortara file", root.tag_name().name()));
    }
    let mut recording = Recording { patient: patient(root), ..Recording::default() };
    let (mut blocks, mut offsets): (Vec<Block>, Vec<f64>) = (Vec::new(), Vec::new());
    for node in children(root, "CHANNEL") {
        let name = node.attribute("NAME").ok_or("a CHANNEL has no NAME")?;
        let Some(lead) = named(name) else {
            recording.pass_over(name, "no lead that is known");
            continue;
        };
        let (samples, rate) = channel(node).map_err(|problem| format!("lead {name}: {problem}"))?;
        offsets.push(number(node, "OFFSET").unwrap_or(0.0));
        let sign = if lead.negated { -1.0 } else { 1.0 };
        let lead = Lead::new(lead.name, samples.into_iter().map(|x| x * sign).collect());
        match blocks.iter().position(|block| block.rate == rate) {
            Some(at) => blocks[at].leads.push(lead),
            None if blocks.len() == MOST_RATES => return Err(format!("its leads have more than {MOST_RATES} different rates")),
            None => blocks.push(Block { leads: vec![lead], rate }),
        }
    }
    if offsets.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err("its channels begin at different times: no moment has all leads".into());
    }
    if blocks.is_empty() {
        return Err("none of its channels is a lead by name".into());
    }
    recording.take_blocks(blocks);
    let cycle = child(root, "TYPICAL_CYCLE").into_iter().flat_map(|node| children(node, "TYPICAL_CYCLE_CHANNEL")).collect::<Vec<_>>();
    if !cycle.is_empty() {
        recording.take_beat(typical(&cycle));
    }
    recording.labels = printed(root).labels();
    Ok(recording)
}

/// The typical cycle, written as the channels are.
fn typical(channels: &[Node<'_, '_>]) -> Outcome<Block> {
    let mut block = Block { leads: Vec::new(), rate: 0.0 };
    for node in channels {
        let Some(lead) = node.attribute("NAME").and_then(named) else { continue };
        let (samples, rate) = channel(*node).map_err(|problem| format!("lead {}: {problem}", lead.name))?;
        if !block.leads.is_empty() && rate != block.rate {
            return Err("its leads have different rates".into());
        }
        let sign = if lead.negated { -1.0 } else { 1.0 };
        block.rate = rate;
        block.leads.push(Lead::new(lead.name, samples.into_iter().map(|x| x * sign).collect()));
    }
    Ok(block)
}

fn number(node: Node<'_, '_>, name: &str) -> Outcome<f64> {
    let text = node.attribute(name).ok_or(format!("{name} is not there"))?;
    text.trim().parse().ok().filter(|value: &f64| value.is_finite()).ok_or(format!("{name} is '{text}', not a number"))
}

fn channel(node: Node<'_, '_>) -> Outcome<(Vec<f64>, f64)> {
    let is = |name: &str, wanted: &str| node.attribute(name).is_none_or(|found| found.eq_ignore_ascii_case(wanted));
    if !is("BITS", "16") || !is("FORMAT", "SIGNED") || !is("ENCODING", "BASE64") {
        return Err("samples other than signed 16 bits in base64 are not known".into());
    }
    let (rate, gain) = (number(node, "SAMPLE_FREQ")?, number(node, "UNITS_PER_MV")?);
    if !(rate > 0.0 && gain > 0.0) {
        return Err(format!("{rate} Hz and {gain} units a mV"));
    }
    let text: String = node.attribute("DATA").ok_or("DATA is not there")?.split_whitespace().collect();
    let bytes = STANDARD.decode(text).map_err(|error| format!("DATA is not base64: {error}"))?;
    if !bytes.len().is_multiple_of(2) {
        return Err("DATA ends within a sample".into());
    }
    let samples: Vec<f64> = bytes.chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) * 1000.0 / gain).collect();
    // In ms.
    if let Ok(duration) = number(node, "DURATION")
        && duration > 0.0
        && (duration * rate / 1000.0 - samples.len() as f64).abs() > 1.0
    {
        return Err(format!("{} samples where {duration} ms are announced", samples.len()));
    }
    Ok((samples, rate))
}

fn patient(root: Node<'_, '_>) -> Patient {
    let Some(node) = child(root, "SUBJECT") else { return Patient::default() };
    let text = |name: &str| node.attribute(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let name: Vec<String> = [text("FIRST_NAME"), text("LAST_NAME")].into_iter().flatten().collect();
    Patient {
        id: text("ID").or_else(|| text("PATIENT_ID")),
        name: (!name.is_empty()).then(|| name.join(" ")),
        age_years: text("AGE").and_then(|age| age.parse().ok()),
        sex: text("GENDER").or_else(|| text("SEX")),
    }
}

/// Measurements stand as attributes with the typical cycle, or with the ECG itself.
fn printed(root: Node<'_, '_>) -> Printed {
    let places = [child(root, "TYPICAL_CYCLE"), child(root, "MEASUREMENTS"), Some(root)];
    let get = |names: &[&str]| {
        let found = places.iter().flatten().flat_map(|node| names.iter().filter_map(|name| node.attribute(*name)));
        found.filter_map(|text| text.trim().parse::<f64>().ok()).find(|value| value.is_finite())
    };
    Printed {
        rate_bpm: get(&["VENT_RATE", "VENTRICULAR_RATE"]),
        p_ms: get(&["P_DURATION", "P_DUR"]),
        pr_ms: get(&["PR_INTERVAL", "PR_DURATION", "PR_DUR"]),
        qrs_ms: get(&["QRS_DURATION", "QRS_DUR"]),
        qt_ms: get(&["QT_INTERVAL", "QT_DURATION", "QT_DUR"]),
        qtcb_ms: get(&["QTCB", "QTC_BAZETT"]),
        axes: [get(&["P_AXIS"]), get(&["QRS_AXIS", "R_AXIS"]), get(&["T_AXIS"])],
    }
}
