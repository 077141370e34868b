//! The published Pulse2pulse ECGs (OSF 6hved): `ID.asc` recordings, the 12SL ground truth, median beats.

use super::{Lead, Recording};
use crate::ecg::Measurements;
use crate::ecg::leads::{INDEPENDENT, RATE};
use crate::ecg::measure::BEAT;
use crate::intake::{self, Most};
use crate::{Error, Result};
use ndarray::Array2;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

const LARGEST: Most = Most { bytes: 64 << 20, of: "a recording or median beat in text" };
/// The ground truth of 150 000 ECGs takes 20 MB.
const LARGEST_TABLE: Most = Most { bytes: 1 << 28, of: "a table of labels" };
/// The line before the samples of a median file.
const MEDIANS: &str = "12 lead medians";

/// Reads an `.asc` file: a line an instant, eight whole numbers of µV (I II V1–V6) at 500 Hz.
///
/// # Errors
/// If a line does not hold eight numbers.
pub fn read_asc(path: impl AsRef<Path>) -> Result<Recording> {
    let path = path.as_ref();
    let text = text(path)?;
    let mut samples: [Vec<f64>; 8] = Default::default();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let refuse = |problem: String| Error::format(path, format!("line {}: {problem}", at + 1));
        let mut fields = line.split_ascii_whitespace();
        for lead in &mut samples {
            let field = fields.next().ok_or_else(|| refuse("fewer than 8 numbers (I II V1-V6)".into()))?;
            let value = field.parse().ok().filter(|value: &f64| value.is_finite());
            lead.push(value.ok_or_else(|| refuse(format!("'{field}' is not a number")))?);
        }
        if fields.next().is_some() {
            return Err(refuse("more than 8 numbers (I II V1-V6)".into()));
        }
    }
    let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let leads = INDEPENDENT.into_iter().zip(samples).map(|(name, samples)| Lead::new(name, samples)).collect();
    Ok(Recording { id, leads, rate: RATE, ..Recording::default() })
}

/// Reads labels by ECG: the OSF ground truth (`patid`, `VentRate`, `pr` …; separated by `;` or `,`) or a measurements table of this program.
///
/// # Errors
/// If the table has no column of ids or none of values, if a field is neither empty nor a number, or if an id is there twice.
pub fn read_labels(path: impl AsRef<Path>) -> Result<HashMap<String, Measurements>> {
    let path = path.as_ref();
    let io = |source| Error::io(path, source);
    let mut file = BufReader::with_capacity(1 << 16, intake::open_most(path, LARGEST_TABLE)?);
    // The table is never held whole; the first line, or its first 64 kB, tells what separates its columns.
    let head = file.fill_buf().map_err(io)?;
    let first = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |mark: u8| first.iter().filter(|&&byte| byte == mark).count();
    let delimiter = if count(b';') > count(b',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(file);
    let refuse = |problem: String| Error::format(path, problem);
    let header = reader.headers().map_err(|error| refuse(error.to_string()))?.clone();
    let column = |names: [&str; 2]| header.iter().position(|have| names.iter().any(|name| have.eq_ignore_ascii_case(name)));
    let id = column(["patid", "id"]).ok_or_else(|| refuse("there is no column patid (or id)".into()))?;
    let status = column(["status", "status"]);
    let columns = FIELDS.map(|(theirs, ours, _)| column([theirs, ours]));
    if columns[..TARGETS].iter().all(Option::is_none) {
        return Err(refuse("there is none of the columns pr qrs qt VentRate R_PeakAmpl_v5 STJ_v5 T_PeakAmpl_v5".into()));
    }
    let mut labels = HashMap::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|error| refuse(error.to_string()))?;
        let mut measurements = Measurements::default();
        for ((name, _, field), column) in FIELDS.iter().zip(columns) {
            let Some(text) = column.and_then(|column| record.get(column)).filter(|text| !text.is_empty()) else { continue };
            let value: f64 = text
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .ok_or_else(|| refuse(format!("row {}: {name} is '{text}', not a number; missing values are empty", row + 2)))?;
            *field(&mut measurements) = Some(value);
        }
        measurements.check().map_err(|problem| refuse(format!("row {}: {problem}", row + 2)))?;
        if let Some(reason) = status.and_then(|column| record.get(column)).filter(|status| *status != "ok" && !status.is_empty()) {
            measurements.rejected = Some(reason.to_owned());
        }
        let key = record.get(id).unwrap_or_default().to_owned();
        if labels.insert(key.clone(), measurements).is_some() {
            return Err(refuse(format!("row {}: ECG '{key}' is there twice", row + 2)));
        }
    }
    Ok(labels)
}

type Field = fn(&mut Measurements) -> &mut Option<f64>;

/// The columns: OSF's name, ours, and where the value goes; the first [`TARGETS`] are targets.
const FIELDS: [(&str, &str, Field); 12] = [
    ("pr", "pr_ms", |m| &mut m.pr_ms),
    ("qrs", "qrs_ms", |m| &mut m.qrs_ms),
    ("qt", "qt_ms", |m| &mut m.qt_ms),
    ("VentRate", "rate_bpm", |m| &mut m.rate_bpm),
    ("R_PeakAmpl_v5", "r_v5_uv", |m| &mut m.r_v5_uv),
    ("STJ_v5", "j_v5_uv", |m| &mut m.j_v5_uv),
    ("T_PeakAmpl_v5", "t_v5_uv", |m| &mut m.t_v5_uv),
    ("ponset", "p_onset", |m| &mut m.p_onset),
    ("poffset", "p_offset", |m| &mut m.p_offset),
    ("qonset", "qrs_onset", |m| &mut m.qrs_onset),
    ("qoffset", "qrs_offset", |m| &mut m.qrs_offset),
    ("toffset", "t_offset", |m| &mut m.t_offset),
];
const TARGETS: usize = 7;

/// Reads a median file: after a line that holds `12 lead medians`, 600 lines of 12 whole numbers of µV, each line with a trailing comma.
/// Gives (12, 600), leads in the order of [`crate::ecg::leads::LEADS`].
///
/// # Errors
/// If the line is not there, or what follows is not 600 lines of 12 numbers.
pub fn read_median(path: impl AsRef<Path>) -> Result<Array2<f32>> {
    let path = path.as_ref();
    let text = text(path)?;
    let refuse = |problem: String| Error::format(path, problem);
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| !line.to_lowercase().contains(MEDIANS));
    lines.next().ok_or_else(|| refuse(format!("there is no line '{MEDIANS}'")))?;
    let mut median = Array2::zeros((12, BEAT));
    let mut rows = 0;
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()).take(BEAT) {
        let line = line.trim().trim_end_matches(',');
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if fields.len() != 12 {
            return Err(refuse(format!("line {}: {} numbers, 12 are needed", at + 1, fields.len())));
        }
        for (lead, field) in fields.into_iter().enumerate() {
            let value = field.parse().ok().filter(|value: &f32| value.is_finite());
            median[[lead, rows]] = value.ok_or_else(|| refuse(format!("line {}: '{field}' is not a number", at + 1)))?;
        }
        rows += 1;
    }
    if rows != BEAT {
        return Err(refuse(format!("truncated: {rows} lines of samples, {BEAT} are needed")));
    }
    Ok(median)
}

fn text(path: &Path) -> Result<String> {
    let text = intake::text(path, LARGEST)?;
    // Spreadsheets put a byte-order mark before the first column's name.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
