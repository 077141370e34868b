//! The study's ECGs and heatmaps as they travel inside `report.html`: attributions in one byte each, traces in two, base64.
//!
//! A byte is the scaled attribution × 127, so that a reading is right to 0.4 % of full colour; what lies beyond full colour is clipped
//! there, as in every picture. Where there are many, maps are pooled in time (largest |attribution| of each bin) until the page stays small.

use super::colour::{Palette, Style, hex};
use super::figures::{meaning_of, unit};
use super::findings::worse_than_mean;
use super::heatmap::heaviest;
use super::lane::fiducials;
use super::methods::{is_signed, title};
use super::one_ecg::{Accounts, Contributions, frontal_axis, qtcf};
use super::results::{Prediction, StudyResults, TargetResults};
use super::scale::{LEVELS, averaged, scale};
use super::svg::plain;
use super::words;
use crate::attribution::{Family, Method, Sum};
use crate::dataset::{InputKind, Target};
use crate::ecg::Measurements;
use crate::ecg::leads::{LEADS, RATE, V5};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::{ArrayView1, ArrayView2, Axis};
use serde_json::{Value, json};

/// Base64 characters that all full heatmaps of a page may take: with all else, a page of 51 ECGs, 6 targets and 10 methods stays below 20 MB.
const BUDGET: usize = 15_500_000;

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
            row_signed.push(meaning_of(method).is_some_and(|meaning| meaning.signed) || target.maps_of(method).is_some_and(is_signed));
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
        "units": by_map(results, methods, &|t, m| unit(t.target, m)),
        "quantities": by_map(results, methods, &|t, m| words::quantity(meaning_of(m), true, &unit(t.target, m))),
        "quantitiesUnsigned": by_map(results, methods, &|t, m| words::quantity(meaning_of(m), false, &unit(t.target, m))),
        "sizes": by_ecg(results, methods, &|t, m, _, map| words::size(map, meaning_of(m), &unit(t.target, m))),
        "weights": by_ecg(results, methods, &|_, _, _, map| heaviest(map).unwrap_or_else(|| "the map is zero".into())),
        "accounts": by_ecg(results, methods, &|t, m, ecg, map| account(results, t.target, m, ecg, map).unwrap_or_default()),
        "ends": methods.iter().map(|m| words::ends(meaning_of(m))).collect::<Vec<_>>(),
        "sentences": methods.iter().map(|m| meaning_of(m).map_or("", |meaning| meaning.sentence())).collect::<Vec<_>>(),
        "colourWords": { "rdbu": said(methods, Palette::RdBu), "safe": said(methods, Palette::Safe) },
        "array": format!("{}/{}.npy", if is_given(results) { "DATASET" } else { "dataset" }, results.input),
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

/// Something of every target and method.
fn by_map(results: &StudyResults, methods: &[String], of: &dyn Fn(&TargetResults, &str) -> String) -> Vec<Vec<String>> {
    results.targets.iter().map(|target| methods.iter().map(|method| of(target, method)).collect()).collect()
}

/// What is said of one map: of a target and a method, by the ECG's number.
type OfMap<'a> = &'a dyn Fn(&TargetResults, &str, usize, ArrayView2<'_, f32>) -> String;

/// Something of every map; nothing where a method has none for a target.
fn by_ecg(results: &StudyResults, methods: &[String], of: OfMap<'_>) -> Vec<Vec<Vec<String>>> {
    let maps = |target: &TargetResults, method: &String| -> Vec<String> {
        let all = target.maps_of(method).into_iter().flat_map(|maps| maps.axis_iter(Axis(0)));
        all.enumerate().map(|(ecg, map)| of(target, method, ecg, map)).collect()
    };
    results.targets.iter().map(|target| methods.iter().map(|method| maps(target, method)).collect()).collect()
}

/// What contributions add up to, and where they come from; the study's baseline is a flat line. `None` for values that do not add up.
fn account(results: &StudyResults, target: Target, method: &str, ecg: usize, map: ArrayView2<'_, f32>) -> Option<String> {
    let (meaning, row) = (meaning_of(method)?, Method::named(method)?.row());
    let (values, made) = match (meaning.family, row.sum) {
        (Family::Contribution, _) => (map.mapv(f64::from), "Contributions"),
        (Family::Slope, Sum::Difference) => {
            let x = results.ecgs.inputs.index_axis(Axis(0), ecg);
            (map.mapv(f64::from) * x.mapv(f64::from), "Contributions (slope × voltage)")
        }
        _ => return None,
    };
    let sum = values.sum();
    let contributions = Contributions { values, from: 0.0, beginning: String::new(), made: None };
    let accounts = Accounts::new(&contributions, sum, results.ecgs.measurements.get(ecg));
    let parts: Vec<String> = accounts.by_part.steps.iter().map(|(name, value)| format!("{name} {}", plain(*value, 1))).collect();
    Some(format!("{made} sum to {} {}: {}.", plain(sum, 1), target.unit(), parts.join(", ")))
}

/// What the colours of each method say.
fn said(methods: &[String], palette: Palette) -> Vec<String> {
    let style = Style { palette, dark: false };
    methods.iter().map(|method| meaning_of(method).map_or_else(String::new, |meaning| words::colours(meaning, style))).collect()
}

fn describe_ecgs(results: &StudyResults) -> Vec<Value> {
    // The number of an ECG in the study's own dataset is its name there; of a given one it is known from the predictions.
    let own = ["simulator", "pulse2pulse"].contains(&results.data.source.as_str()) && !is_given(results);
    let kept = kept(results);
    let one = |(i, id): (usize, &String)| {
        let measured = &results.ecgs.measurements[i];
        let median = results.input == InputKind::Median;
        let marks = if median { fiducials(measured) } else { Vec::new() };
        let label = |target: &TargetResults| Some(prediction(target, *kept.get(i)?)?.truth);
        let value = |target: &TargetResults| if target.target.is_measurement() { target.target.value(measured) } else { label(target) };
        let values: Vec<Option<f64>> = results.targets.iter().map(value).collect();
        let axis = median.then(|| frontal_axis(results.ecgs.inputs.index_axis(Axis(0), i), measured)).flatten();
        let number = match own {
            true => id.parse::<usize>().ok().map(|number| number.to_string()),
            false => kept.get(i).map(u64::to_string),
        };
        json!({ "id": id, "fiducials": marks, "values": values, "cart": cart(measured, axis), "number": number })
    };
    results.ecgs.ids.iter().enumerate().map(one).collect()
}

/// Whether the ECGs are of a dataset that was given, which does not lie in the study's folder.
fn is_given(results: &StudyResults) -> bool {
    results.provenance.command.contains(" --data ")
}

/// The numbers of the kept ECGs in their dataset: the first of the test part that have every target. Nothing where predictions do not tell them.
fn kept(results: &StudyResults) -> Vec<u64> {
    let Some((first, others)) = results.targets.split_first() else { return Vec::new() };
    let has = |target: &TargetResults, ecg: u64| target.test.iter().any(|p| p.ecg == ecg);
    let all = first.test.iter().map(|p| p.ecg).filter(|ecg| others.iter().all(|other| has(other, *ecg)));
    let kept: Vec<u64> = all.take(results.ecgs.ids.len()).collect();
    if kept.len() == results.ecgs.ids.len() { kept } else { Vec::new() }
}

/// What was predicted of an ECG of the test part.
fn prediction(target: &TargetResults, ecg: u64) -> Option<&Prediction> {
    target.test.iter().find(|p| p.ecg == ecg)
}

/// The head of an ECG in one line, as on an ECG cart.
fn cart(measured: &Measurements, axis: Option<f64>) -> String {
    let known = |name: &str, value: Option<f64>, unit: &str| Some(format!("{name} {}{unit}", plain(value?, 0)));
    let all = [
        known("Rate", measured.rate_bpm, "/min"),
        known("PR", measured.pr_ms, " ms"),
        known("QRS", measured.qrs_ms, " ms"),
        known("QT", measured.qt_ms, " ms"),
        known("QTcF", qtcf(measured), " ms"),
        known("QRS axis", axis, "°"),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn describe_targets(results: &StudyResults) -> Vec<Value> {
    let kept = kept(results);
    let one = |target: &TargetResults| {
        let name = target.target.name();
        let mut told = json!({ "title": target.target.title(), "unit": target.target.unit(), "predicted": target.predicted, "name": name,
                "model": format!("models/{name}.cgm"), "warning": worse_than_mean(target) });
        if let Some(network) = target.target.class_of() {
            told["model"] = format!("models/{network}.cgm --column {name}").into();
        }
        if !target.target.is_regression() {
            let probability = |ecg: &u64| Some(target.pair(prediction(target, *ecg)?).1);
            told["label"] = true.into();
            told["probability"] = json!(kept.iter().map(probability).collect::<Vec<_>>());
        }
        told
    };
    results.targets.iter().map(one).collect()
}

fn colours(palette: Palette) -> Value {
    let style = Style { palette, dark: false };
    let at = |level: i8| f64::from(level) / f64::from(LEVELS);
    let signed: Vec<String> = (-LEVELS..=LEVELS).map(|level| hex(style.signed(at(level)))).collect();
    let absolute: Vec<String> = (0..=LEVELS).map(|level| hex(style.absolute(at(level)))).collect();
    json!({ "signed": signed, "absolute": absolute })
}
