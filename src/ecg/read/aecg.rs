//! HL7 annotated ECG ("AnnotatedECG", HL7 V3 aECG): rhythm series, the representative beat, and the measurements among the annotations.

use super::carried::Printed;
use super::xml::{self, Outcome, child, children, find, numbers};
use super::{Block, Lead, Patient, Recording, Unit, named};
use crate::Result;
use roxmltree::Node;
use std::path::Path;

/// Reads an aECG file. Of several rhythm series the one with the most leads is taken.
///
/// # Errors
/// If it is not such a file, has no rhythm, or a series lacks its rate, a lead its scale or unit.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    xml::read(path.as_ref(), parse)
}

fn code<'a>(node: Node<'a, '_>) -> &'a str {
    child(node, "code").and_then(|code| code.attribute("code")).unwrap_or_default()
}

fn parse(root: Node<'_, '_>) -> Outcome<Recording> {
    if root.tag_name().name() != "AnnotatedECG" {
        return Err(format!("the root element is {}, not AnnotatedECG: not an aECG file", root.tag_name().name()));
    }
    let mut recording = Recording { patient: patient(root), ..Recording::default() };
    let series = |name: &'static str| root.descendants().filter(move |node| node.tag_name().name() == name);
    let mut rhythms = Vec::new();
    for node in series("series").filter(|node| code(*node) != "REPRESENTATIVE_BEAT") {
        rhythms.extend(sequences(node, &mut recording)?);
    }
    if rhythms.is_empty() {
        return Err("there is no rhythm series with leads".into());
    }
    recording.take_blocks(rhythms);
    let beats = series("derivedSeries").chain(series("series")).filter(|node| code(*node) == "REPRESENTATIVE_BEAT");
    for node in beats {
        let mut own = Recording::default();
        if let Some(beat) = sequences(node, &mut own)?.into_iter().next() {
            recording.take_beat(Ok(beat));
        }
    }
    recording.labels = printed(root).labels();
    Ok(recording)
}

fn patient(root: Node<'_, '_>) -> Patient {
    let subject = find(root, "trialSubject");
    let person = subject.and_then(|subject| find(subject, "subjectDemographicPerson"));
    let text = |node: Node<'_, '_>| {
        let parts: Vec<&str> = node.descendants().filter(|inner| inner.is_text()).filter_map(|inner| inner.text()).map(str::trim).collect();
        Some(parts.join(" ").trim().to_owned()).filter(|text| !text.is_empty())
    };
    Patient {
        id: subject.and_then(|node| child(node, "id")).and_then(|id| id.attribute("extension")).map(str::to_owned),
        name: person.and_then(|node| child(node, "name")).and_then(text),
        age_years: None,
        sex: person.and_then(|node| child(node, "administrativeGenderCode")).and_then(|node| node.attribute("code")).map(str::to_owned),
    }
}

/// The leads of a series, a block for each of its sets of sequences.
fn sequences(series: Node<'_, '_>, to: &mut Recording) -> Outcome<Vec<Block>> {
    let mut blocks = Vec::new();
    for set in children(series, "component").filter_map(|node| child(node, "sequenceSet")) {
        let (mut rate, mut leads) = (None, Vec::new());
        for sequence in children(set, "component").filter_map(|node| child(node, "sequence")) {
            let (name, Some(value)) = (code(sequence), child(sequence, "value")) else { continue };
            if name.starts_with("TIME_") {
                rate = Some(rate_of(value)?);
            } else if let Some(lead) = named(name) {
                let sign = if lead.negated { -1.0 } else { 1.0 };
                let samples = samples(value).map_err(|problem| format!("lead {name}: {problem}"))?;
                leads.push(Lead::new(lead.name, samples.into_iter().map(|x| x * sign).collect()));
            } else {
                to.pass_over(name, "no lead that is known");
            }
        }
        if !leads.is_empty() {
            blocks.push(Block { leads, rate: rate.ok_or("a series has no sequence of times: its rate cannot be known")? });
        }
    }
    Ok(blocks)
}

fn number(node: Node<'_, '_>, attribute: &str) -> Outcome<f64> {
    let text = node.attribute(attribute).ok_or(format!("{} has no {attribute}", node.tag_name().name()))?;
    text.trim().parse().ok().filter(|value: &f64| value.is_finite()).ok_or(format!("'{text}' is not a number"))
}

fn rate_of(value: Node<'_, '_>) -> Outcome<f64> {
    let increment = child(value, "increment").ok_or("a sequence of times has no increment")?;
    let second = match increment.attribute("unit").unwrap_or("s") {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        other => return Err(format!("times in '{other}'")),
    };
    let step = number(increment, "value")? * second;
    match step > 0.0 && step < 10.0 {
        // 0.00333 stands for a third of a hundredth: whole rates are meant.
        true if (1.0 / step - (1.0 / step).round()).abs() < 0.005 / step => Ok((1.0 / step).round()),
        true => Ok(1.0 / step),
        false => Err(format!("a sample every {step} s")),
    }
}

/// Digits times scale plus origin, µV.
fn samples(value: Node<'_, '_>) -> Outcome<Vec<f64>> {
    let amount = |name: &str| {
        let node = child(value, name).ok_or(format!("{name} is not there: its voltages cannot be known"))?;
        let unit = node.attribute("unit").ok_or(format!("{name} has no unit: its voltages cannot be known"))?;
        let unit = Unit::named(unit).ok_or(format!("'{unit}' is not a unit of voltage that is known"))?;
        Ok::<f64, String>(number(node, "value")? * unit.microvolts())
    };
    let scale = amount("scale")?;
    let origin = if child(value, "origin").is_some() { amount("origin")? } else { 0.0 };
    let digits = child(value, "digits").and_then(|node| node.text()).ok_or("digits are not there")?;
    Ok(numbers(digits)?.into_iter().map(|digit| origin + digit * scale).collect())
}

/// The global measurements among the annotations.
fn printed(root: Node<'_, '_>) -> Printed {
    let mut printed = Printed::default();
    // Where what names a lead begins in the text: annotations may lie in annotations, and all within each would be looked at again and again.
    let names_lead = |node: &Node<'_, '_>| node.attribute("code").is_some_and(|code| code.starts_with("MDC_ECG_LEAD"));
    let leads: Vec<usize> = root.descendants().filter(names_lead).map(|node| node.range().start).collect();
    for node in root.descendants().filter(|node| node.tag_name().name() == "annotation") {
        // What is said of one lead is no global measurement.
        let of_lead = leads.get(leads.partition_point(|at| *at < node.range().start)).is_some_and(|at| *at < node.range().end);
        let Some(value) = child(node, "value").filter(|_| !of_lead) else { continue };
        let Ok(amount) = number(value, "value") else { continue };
        let amount = if value.attribute("unit") == Some("s") { amount * 1000.0 } else { amount };
        let slot = match code(node).to_uppercase().as_str() {
            "MDC_ECG_HEART_RATE" => &mut printed.rate_bpm,
            "MDC_ECG_TIME_PD_P" => &mut printed.p_ms,
            "MDC_ECG_TIME_PD_PR" => &mut printed.pr_ms,
            "MDC_ECG_TIME_PD_QRS" => &mut printed.qrs_ms,
            "MDC_ECG_TIME_PD_QT" => &mut printed.qt_ms,
            "MDC_ECG_TIME_PD_QTCB" => &mut printed.qtcb_ms,
            "MDC_ECG_ANGLE_P_FRONT" => &mut printed.axes[0],
            "MDC_ECG_ANGLE_QRS_FRONT" => &mut printed.axes[1],
            "MDC_ECG_ANGLE_T_FRONT" => &mut printed.axes[2],
            _ => continue,
        };
        slot.get_or_insert(amount);
    }
    printed
}
