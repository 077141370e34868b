//! A rater's page: one file, no network, nothing in it that names a method or an ECG.

use super::key::View;
use super::screens::{Block, Screen, Settings, pool};
use crate::dataset::InputKind;
use crate::ecg::leads::{LEADS, RATE, V5};
use crate::report::colour::{Style, hex};
use crate::report::page::{DRAW, in_script};
use crate::report::results::StudyResults;
use crate::report::scale::LEVELS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::Axis;
use serde_json::{Value, json};
use std::fmt::Write;

const CSS: &str = include_str!("page/survey.css");
const SCRIPT: &str = include_str!("page/survey.js");
const BODY: &str = include_str!("page/survey.html");
const GUIDE: &str = include_str!("page/guide.html");

/// The page of one rater. `place[k]` is the block at place `k`.
pub(super) fn page(
    results: &StudyResults,
    blocks: &[Block],
    screens: &[Screen],
    place: &[usize],
    (survey, rater): (&str, &str),
    settings: Settings,
) -> String {
    // ECGs are numbered by their first appearance in the shuffled blocks.
    let mut ecgs: Vec<usize> = Vec::new();
    for block in place.iter().map(|b| &blocks[*b]) {
        if !ecgs.contains(&block.ecg) {
            ecgs.push(block.ecg);
        }
    }
    let meta = meta(results, blocks, screens, place, &ecgs, (survey, rater), settings);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Heatmap review</title><style>{CSS}</style></head><body>{}",
        BODY.replace("<!-- guide -->", GUIDE)
    );
    let _ = write!(page, "<script type=\"application/json\" id=\"meta\">{}</script>", in_script(&meta.to_string()));
    for (number, ecg) in ecgs.iter().enumerate() {
        let _ = write!(page, "<script type=\"text/plain\" id=\"e{number}\">{}</script>", trace(results, *ecg));
    }
    for (k, block) in place.iter().enumerate() {
        let _ = write!(page, "<script type=\"text/plain\" id=\"b{k}\">{}</script>", STANDARD.encode(&blocks[*block].bytes));
    }
    let _ = writeln!(page, "<script>{DRAW}{SCRIPT}</script></body></html>");
    page
}

fn meta(
    results: &StudyResults,
    blocks: &[Block],
    screens: &[Screen],
    place: &[usize],
    ecgs: &[usize],
    (survey, rater): (&str, &str),
    settings: Settings,
) -> Value {
    let samples = results.ecgs.inputs.dim().2;
    let block = |k: usize| &blocks[place[k]];
    let screen = |screen: &Screen| {
        let block = block(screen.block);
        let ecg = ecgs.iter().position(|ecg| *ecg == block.ecg);
        json!({ "id": screen.id, "ecg": ecg, "target": block.target, "averaged": block.view == View::Averaged, "block": screen.block,
                "order": screen.order, "choices": screen.choices })
    };
    let level = |level: i8| f64::from(level) / f64::from(LEVELS);
    let style = Style::default();
    let signed: Vec<String> = (-LEVELS..=LEVELS).map(|l| hex(style.signed(level(l)))).collect();
    let absolute: Vec<String> = (0..=LEVELS).map(|l| hex(style.absolute(level(l)))).collect();
    let targets: Vec<Value> = results.targets.iter().map(|t| json!({ "title": t.target.title(), "help": help(t.target) })).collect();
    json!({
        "survey": survey, "rater": rater, "leads": LEADS, "v5": V5, "rate": RATE, "samples": samples, "points": samples.div_ceil(pool(samples)),
        "median": results.input == InputKind::Median, "presentations": settings.presentations, "targets": targets,
        "colours": { "signed": signed, "absolute": absolute }, "screens": screens.iter().map(screen).collect::<Vec<_>>(),
    })
}

/// A trace, two bytes a sample, µV.
fn trace(results: &StudyResults, ecg: usize) -> String {
    let bytes: Vec<u8> = results.ecgs.inputs.index_axis(Axis(0), ecg).iter().flat_map(|uv| (uv.round() as i16).to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// What a rater looks for.
fn help(target: crate::dataset::Target) -> &'static str {
    use crate::dataset::Target;
    match target {
        Target::Pr => "from the start of the P wave to the start of the QRS complex",
        Target::Qrs => "from the start to the end of the QRS complex",
        Target::Qt => "from the start of the QRS complex to the end of the T wave",
        Target::RV5 => "the height of the R wave in lead V5",
        Target::JV5 => "the level at the end of the QRS complex in lead V5",
        Target::TV5 => "the height of the T wave in lead V5",
        Target::Rate => "how often the ventricles beat",
        _ => "what the label says",
    }
}

/// The voting guide as a page of its own.
pub fn guide() -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Voting guide</title><style>{CSS}</style></head><body class=\"reading\"><main>{GUIDE}</main></body></html>\n"
    )
}
