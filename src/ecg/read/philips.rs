//! Philips PageWriter and TraceMaster XML ("restingecgdata", Sierra ECG 1.03 and 1.04): waveforms packed or not, and the global measurements.

use super::carried::Printed;
use super::xli;
use super::xml::{self, Outcome, Room, child, children, field, find, numbers};
use super::{Block, Lead, Patient, Recording, named};
use crate::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;
use std::path::Path;

/// Samples a lead beyond which no resting ECG is.
const LONGEST: f64 = 3.6e6;
/// Statements that are kept; carts make some ten.
const MOST_STATEMENTS: usize = 1000;
/// The versions of the format that are known.
const VERSIONS: [&str; 2] = ["1.03", "1.04"];
/// The leads where a file does not list them.
const USUAL: &str = "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6";

/// Reads a Philips file.
///
/// # Errors
/// If it is not such a file, its samples are packed in a way that is not known, or it lacks its rate, its resolution or part of its samples.
pub fn read(path: impl AsRef<Path>) -> Result<Recording> {
    xml::read(path.as_ref(), parse)
}

fn parse(root: Node<'_, '_>) -> Outcome<Recording> {
    if !["restingecgdata", "restingECG"].contains(&root.tag_name().name()) {
        return Err(format!("the root element is {}, not restingecgdata: not a Philips file", root.tag_name().name()));
    }
    let mut recording = Recording { patient: patient(root), ..Recording::default() };
    let version = find(root, "documentversion").and_then(|node| node.text()).map(str::trim).unwrap_or_default();
    if !version.is_empty() && !VERSIONS.iter().any(|known| version.starts_with(known)) {
        let version = crate::error::one_line(version, 20);
        recording.notes.push(format!("version {version} of the format, read as {} are", VERSIONS.join(" and ")));
    }
    let waves = find(root, "parsedwaveforms").ok_or("there are no parsedwaveforms")?;
    let signal = find(root, "signalcharacteristics").ok_or("there are no signalcharacteristics")?;
    let rate = amount(signal, &["samplingrate"]).or_else(|| attribute(waves, "samplespersecond")).ok_or("the samplingrate is not there")?;
    let step = amount(signal, &["resolution", "signalresolution"]);
    let step = step.ok_or("the resolution is not there: its voltages cannot be known")?;
    if !(rate > 0.0 && rate < 1e5 && step > 0.0 && step < 1e5) {
        return Err(format!("{rate} Hz at {step} µV"));
    }
    let names: Vec<&str> = waves.attribute("leadlabels").unwrap_or(USUAL).split_whitespace().collect();
    let announced = attribute(waves, "durationperchannel").map(|ms| (ms * rate / 1000.0).round()).filter(|samples| *samples <= LONGEST);
    let mut leads = stored(waves, names.len(), announced.map(|samples| samples as usize))?;
    if leads.len() < names.len() {
        return Err(format!("{} leads where {} are named", leads.len(), names.len()));
    }
    whole_limbs(&names, &mut leads, packing(waves).is_some());
    let mut block = Block { leads: Vec::new(), rate };
    for (name, samples) in names.iter().zip(leads) {
        match named(name) {
            Some(lead) => {
                let step = if lead.negated { -step } else { step };
                block.leads.push(Lead::new(lead.name, samples.into_iter().map(|x| f64::from(x) * step).collect()));
            }
            None => recording.pass_over(name, "no lead that is known"),
        }
    }
    recording.take_blocks(vec![block]);
    if let Some(beats) = find(root, "repbeats") {
        recording.take_beat(representative(beats));
    }
    let codes = root.descendants().filter(|node| node.tag_name().name() == "statementcode").filter_map(|node| node.text());
    // The cart's interpretation and the confirmed one repeat each other.
    for code in codes.map(str::trim).filter(|code| !code.is_empty() && code.len() <= 20).take(MOST_STATEMENTS) {
        if !recording.statements.iter().any(|known| known == code) {
            recording.statements.push(code.to_owned());
        }
    }
    recording.labels =
        find(root, "globalmeasurements").or_else(|| find(root, "crossleadmeasurements")).and_then(|node| printed(node).labels());
    Ok(recording)
}

fn amount(node: Node<'_, '_>, names: &[&str]) -> Option<f64> {
    names.iter().find_map(|name| field(node, name)?.parse::<f64>().ok()).filter(|value| value.is_finite())
}

fn attribute(node: Node<'_, '_>, name: &str) -> Option<f64> {
    node.attribute(name)?.trim().parse::<f64>().ok().filter(|value| value.is_finite())
}

/// How the samples are packed, where they are.
fn packing<'a>(waves: Node<'a, '_>) -> Option<&'a str> {
    let flag = waves.attribute("compressflag").is_some_and(|flag| flag.eq_ignore_ascii_case("false"));
    let method = waves.attribute("compressmethod").or_else(|| waves.attribute("compression"));
    method.filter(|method| !flag && !["", "none", "uncompressed"].contains(&method.to_lowercase().as_str()))
}

/// The stored values of every lead.
fn stored(waves: Node<'_, '_>, count: usize, announced: Option<usize>) -> Outcome<Vec<Vec<i16>>> {
    let text = waves.text().unwrap_or_default();
    let encoding = waves.attribute("dataencoding").unwrap_or("Base64");
    if !encoding.eq_ignore_ascii_case("base64") {
        let values = numbers(text)?.into_iter().map(|x| x.clamp(-32_768.0, 32_767.0) as i16).collect();
        return parts(values, count, announced);
    }
    let text: String = text.split_whitespace().collect();
    let bytes = STANDARD.decode(text).map_err(|error| format!("parsedwaveforms are not base64: {error}"))?;
    match packing(waves) {
        Some(method) if method.eq_ignore_ascii_case("xli") => {
            let leads = xli::decode(&bytes, count, announced.unwrap_or(LONGEST as usize), &Room::new())?;
            match announced {
                Some(samples) if leads.iter().any(|lead| lead.len() < samples) => {
                    Err(format!("a lead of fewer than the {samples} samples that are announced"))
                }
                Some(samples) => Ok(leads.into_iter().map(|lead| lead[..samples].to_vec()).collect()),
                None => Ok(leads),
            }
        }
        Some(method) => Err(format!("samples packed by '{method}' are not known: XLI is")),
        None => {
            let values = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
            parts(values, count, announced)
        }
    }
}

/// The representative beats, a lead each, in plain base64.
fn representative(node: Node<'_, '_>) -> Outcome<Block> {
    let amount = |names: [&str; 2]| names.iter().find_map(|name| attribute(node, name)).filter(|value| *value > 0.0);
    let rate = amount(["samplespersec", "samplespersecond"]).ok_or("its rate is not there")?;
    let step = amount(["resolution", "signalresolution"]).ok_or("its resolution is not there")?;
    if !node.attribute("dataencoding").is_none_or(|encoding| encoding.eq_ignore_ascii_case("base64")) || packing(node).is_some() {
        return Err("its samples are not in plain base64".into());
    }
    let mut leads = Vec::new();
    for beat in children(node, "repbeat") {
        let Some(lead) = beat.attribute("leadname").and_then(named) else { continue };
        let data = find(beat, "waveform").unwrap_or(beat).text().unwrap_or_default();
        let text: String = data.split_whitespace().collect();
        let bytes = STANDARD.decode(text).map_err(|error| format!("lead {} is not base64: {error}", lead.name))?;
        let step = if lead.negated { -step } else { step };
        let samples = bytes.chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) * step);
        leads.push(Lead::new(lead.name, samples.collect()));
    }
    Ok(Block { leads, rate })
}

/// Lead after lead.
fn parts(values: Vec<i16>, count: usize, announced: Option<usize>) -> Outcome<Vec<Vec<i16>>> {
    let each = announced.unwrap_or(values.len() / count.max(1));
    match each.checked_mul(count) {
        Some(all) if each > 0 && all <= values.len() => Ok(values.chunks_exact(each).take(count).map(<[i16]>::to_vec).collect()),
        _ => Err(format!("{} samples where {count} leads of {each} are announced", values.len())),
    }
}

/// III and the augmented leads are stored as what is left of them beyond what I and II say; a file that is not packed may have them whole.
fn whole_limbs(names: &[&str], leads: &mut [Vec<i16>], packed: bool) {
    let at = |wanted: &str| names.iter().position(|name| named(name).is_some_and(|lead| lead.name == wanted && !lead.negated));
    let (Some(one), Some(two)) = (at("I"), at("II")) else { return };
    let (one, two) = (leads[one].clone(), leads[two].clone());
    let half = |x: i32| x.div_euclid(2);
    // Of III as it is, which in a calibration pulse is not what I and II say.
    let law = |name: &str, i: i32, ii: i32, iii: i32| match name {
        "III" => ii - i,
        "aVR" => -half(i + ii),
        "aVL" => half(i - iii),
        _ => half(ii + iii),
    };
    let mut three: Vec<i16> = one.iter().zip(&two).map(|(i, ii)| ii.saturating_sub(*i)).collect();
    for name in ["III", "aVR", "aVL", "aVF"] {
        let Some(lead) = at(name).map(|at| &mut leads[at]) else { continue };
        let of_three = one.iter().zip(&two).zip(&three);
        let expected: Vec<i32> = of_three.map(|((i, ii), iii)| law(name, i32::from(*i), i32::from(*ii), i32::from(*iii))).collect();
        let off = |x: &[i16]| x.iter().zip(&expected).map(|(x, law)| f64::from((i32::from(*x) - law).abs())).sum::<f64>();
        let size: f64 = lead.iter().map(|x| f64::from(i32::from(*x).abs())).sum();
        // Left over, a lead is nearly nothing; whole, it is nearly what the law says.
        if packed || size < off(lead) {
            lead.iter_mut().zip(&expected).for_each(|(x, law)| *x = (law - i32::from(*x)).clamp(-32_768, 32_767) as i16);
        }
        if name == "III" {
            three.clone_from(lead);
        }
    }
}

fn patient(root: Node<'_, '_>) -> Patient {
    let Some(node) = find(root, "generalpatientdata") else { return Patient::default() };
    let text = |node: Node<'_, '_>, name: &str| field(node, name).filter(|text| !text.is_empty()).map(str::to_owned);
    let name: Vec<String> = child(node, "name")
        .map(|name| ["firstname", "lastname"].into_iter().filter_map(|part| text(name, part)).collect())
        .unwrap_or_default();
    Patient {
        id: text(node, "patientid"),
        name: (!name.is_empty()).then(|| name.join(" ")),
        age_years: child(node, "age").and_then(|age| field(age, "years")).and_then(|years| years.parse().ok()),
        sex: text(node, "sex"),
    }
}

fn printed(node: Node<'_, '_>) -> Printed {
    Printed {
        rate_bpm: amount(node, &["heartrate", "meanventrate"]),
        p_ms: amount(node, &["pdur", "meanpdur"]),
        pr_ms: amount(node, &["print", "meanprint"]),
        qrs_ms: amount(node, &["qrsdur", "meanqrsdur"]),
        qt_ms: amount(node, &["qtint", "meanqtint"]),
        qtcb_ms: amount(node, &["qtcb"]),
        axes: [amount(node, &["pfrontaxis"]), amount(node, &["qrsfrontaxis"]), amount(node, &["tfrontaxis"])],
    }
}
