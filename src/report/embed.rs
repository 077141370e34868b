//! The study's ECGs and heatmaps as they travel inside `report.html`: attributions in one byte each, traces in two, base64.
//!
//! A byte is the scaled attribution × 127, so that a reading is right to 0.4 % of full colour; what lies beyond full colour is clipped
//! there, as in every picture. Long inputs are pooled in time (largest |attribution| of each bin) until the page stays small.

use super::colour::{Palette, Style, hex};
use super::figures::unit;
use super::lane::fiducials;
use super::methods::{is_signed, title};
use super::results::StudyResults;
use super::scale::{LEVELS, averaged, scale};
use crate::ecg::leads::{LEADS, RATE, V5};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::{ArrayView1, Axis};
use serde_json::{Value, json};

/// Base64 characters that all full heatmaps of a page may take.
const BUDGET: usize = 34_000_000;

/// What the page's script reads.
pub struct Embedded {
    /// Names, scales, colours.
    pub meta: Value,
    /// (element id, base64): `ecgs`, `mT-M` full and `aT-M` averaged heatmaps of target T and method M, ECG after ECG.
    pub blocks: Vec<(String, String)>,
}

/// Packs a study. `start` are the methods shown first, as indices.
pub fn embed(results: &StudyResults, methods: &[String], start: (usize, i64)) -> Embedded {
    let (ecgs, _, samples) = results.ecgs.inputs.dim();
    let whole = ecgs * results.targets.iter().map(|target| target.maps.len()).sum::<usize>() * 12 * samples * 4 / 3;
    let pool = whole.div_ceil(BUDGET).max(1);
    let (mut blocks, uv) = traces(results);
    let (mut scales, mut scales_averaged, mut signed) = (Vec::new(), Vec::new(), Vec::new());
    for (t, target) in results.targets.iter().enumerate() {
        let (mut row, mut row_averaged, mut row_signed) = (Vec::new(), Vec::new(), Vec::new());
        for (m, method) in methods.iter().enumerate() {
            let (mut full, mut mean, mut sizes, mut sizes_averaged) = (String::new(), String::new(), Vec::new(), Vec::new());
            for map in target.maps_of(method).iter().flat_map(|maps| maps.axis_iter(Axis(0))) {
                let limit = scale(map);
                let bytes: Vec<u8> = map.rows().into_iter().flat_map(|lead| quantised(lead, limit, pool)).collect();
                STANDARD.encode_string(bytes, &mut full);
                let over_leads = averaged(map);
                let limit_averaged = scale(&over_leads);
                STANDARD.encode_string(quantised(over_leads.view(), limit_averaged, pool), &mut mean);
                sizes.push(limit.unwrap_or(0.0));
                sizes_averaged.push(limit_averaged.unwrap_or(0.0));
            }
            if !full.is_empty() {
                blocks.push((format!("m{t}-{m}"), full));
                blocks.push((format!("a{t}-{m}"), mean));
            }
            row.push(sizes);
            row_averaged.push(sizes_averaged);
            row_signed.push(target.maps_of(method).is_some_and(is_signed));
        }
        scales.push(row);
        scales_averaged.push(row_averaged);
        signed.push(row_signed);
    }
    let meta = json!({
        "leads": LEADS, "v5": V5, "rate": RATE, "samples": samples, "pool": pool, "points": samples.div_ceil(pool), "uv": uv,
        "ecgs": describe_ecgs(results), "targets": describe_targets(results),
        "methods": methods.iter().map(|method| title(method)).collect::<Vec<_>>(),
        "start": [start.0 as i64, start.1],
        "units": results.targets.iter().map(|t| methods.iter().map(|m| unit(t.target, m)).collect::<Vec<_>>()).collect::<Vec<_>>(),
        "scales": scales, "scalesAveraged": scales_averaged, "signed": signed,
        "colours": { "rdbu": colours(Palette::RdBu), "safe": colours(Palette::Safe) },
    });
    Embedded { meta, blocks }
}

/// The traces, two bytes a sample, and the µV that one step stands for.
fn traces(results: &StudyResults) -> (Vec<(String, String)>, f64) {
    let largest = results.ecgs.inputs.iter().fold(0.0_f32, |most, uv| most.max(uv.abs()));
    let uv = (f64::from(largest) / 32_000.0).max(0.25);
    let mut text = String::new();
    for ecg in results.ecgs.inputs.axis_iter(Axis(0)) {
        let bytes: Vec<u8> = ecg.iter().flat_map(|value| ((f64::from(*value) / uv).round() as i16).to_le_bytes()).collect();
        STANDARD.encode_string(bytes, &mut text);
    }
    (vec![("ecgs".into(), text)], uv)
}

/// One byte per bin: the scaled value of largest size × 127.
pub(crate) fn quantised(values: ArrayView1<'_, f32>, scale: Option<f32>, pool: usize) -> Vec<u8> {
    let limit = scale.unwrap_or(f32::INFINITY);
    let bin = |bin: ArrayView1<'_, f32>| {
        let most = bin.iter().copied().fold(0.0_f32, |most, value| if value.abs() > most.abs() { value } else { most });
        ((most / limit).clamp(-1.0, 1.0) * 127.0).round() as i8 as u8
    };
    values.axis_chunks_iter(Axis(0), pool).map(bin).collect()
}

fn describe_ecgs(results: &StudyResults) -> Vec<Value> {
    let one = |(i, id): (usize, &String)| {
        let measured = &results.ecgs.measurements[i];
        let marks = if results.input == crate::dataset::InputKind::Median { fiducials(measured) } else { Vec::new() };
        let values: Vec<Option<f64>> = results.targets.iter().map(|target| target.target.value(measured)).collect();
        json!({ "id": id, "fiducials": marks, "values": values })
    };
    results.ecgs.ids.iter().enumerate().map(one).collect()
}

fn describe_targets(results: &StudyResults) -> Vec<Value> {
    let one = |target: &super::results::TargetResults| json!({ "title": target.target.title(), "unit": target.target.unit(), "predicted": target.predicted });
    results.targets.iter().map(one).collect()
}

fn colours(palette: Palette) -> Value {
    let style = Style { palette, dark: false };
    let at = |level: i8| f64::from(level) / f64::from(LEVELS);
    let signed: Vec<String> = (-LEVELS..=LEVELS).map(|level| hex(style.signed(at(level)))).collect();
    let absolute: Vec<String> = (0..=LEVELS).map(|level| hex(style.absolute(at(level)))).collect();
    json!({ "signed": signed, "absolute": absolute })
}
