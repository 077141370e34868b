//! CSV with a column per lead, named in the header: `time (s),I (mV),II (mV),V1 (mV) …`.

use super::{Given, Lead, Recording, Unit, lead_name};
use crate::intake::{self, Most};
use crate::{Error, Result};
use std::path::Path;

const LARGEST: Most = Most { bytes: 1 << 30, of: "a recording in CSV" };

/// What a column is.
enum Column {
    Lead(&'static str, f64),
    /// Time, and how many seconds its unit has, where it says.
    Time(Option<f64>),
    Counter,
}

/// Reads a table separated by `,`, `;` or tabs. Every column is a lead, a time or a counter; the unit stands with each lead in brackets or is `given`;
/// the rate follows from a time in `(s)` or `(ms)` or is `given`.
///
/// # Errors
/// For an unknown column, a missing unit or rate, a field that is not a number, uneven times.
pub fn read(path: impl AsRef<Path>, given: &Given) -> Result<Recording> {
    let path = path.as_ref();
    let text = intake::text(path, LARGEST)?;
    let mut recording = parse(text.strip_prefix('\u{feff}').unwrap_or(&text), given).map_err(|problem| Error::format(path, problem))?;
    recording.id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(recording)
}

fn parse(text: &str, given: &Given) -> std::result::Result<Recording, String> {
    let first = text.lines().next().unwrap_or_default();
    let delimiter = *b",;\t".iter().max_by_key(|&&mark| first.bytes().filter(|&byte| byte == mark).count()).unwrap_or(&b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let columns = header.iter().map(|name| column(name, given.unit)).collect::<std::result::Result<Vec<_>, String>>()?;
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); columns.len()];
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        for (((field, values), column), name) in record.iter().zip(&mut values).zip(&columns).zip(&header) {
            if matches!(column, Column::Counter) {
                continue;
            }
            let value = field.parse().ok().filter(|value: &f64| value.is_finite());
            values.push(value.ok_or_else(|| format!("row {}, {name}: '{field}' is not a number", row + 2))?);
        }
    }
    let timed = columns.iter().zip(&values).find_map(|(column, values)| match column {
        Column::Time(Some(second)) => Some((*second, values)),
        _ => None,
    });
    let rate = match (timed, given.rate) {
        (_, Some(rate)) => rate,
        (Some((second, times)), None) => rate_of(times, second)?,
        (None, None) => return Err("the sampling rate is not known: give a column time (s) or time (ms), or --rate HZ".into()),
    };
    let leads = columns.iter().zip(values).filter_map(|(column, samples)| match column {
        Column::Lead(name, factor) => Some(Lead::new(*name, samples.into_iter().map(|x| x * factor).collect())),
        _ => None,
    });
    Ok(Recording { leads: leads.collect(), rate, ..Recording::default() })
}

fn column(name: &str, given: Option<Unit>) -> std::result::Result<Column, String> {
    let (plain, unit) = match name.split_once(['(', '[']) {
        Some((plain, unit)) => (plain.trim(), Some(unit.trim_end_matches([')', ']']).trim())),
        None => (name.trim(), None),
    };
    match plain.to_lowercase().as_str() {
        "time" | "t" => {
            return match unit {
                None => Ok(Column::Time(None)),
                Some("s") => Ok(Column::Time(Some(1.0))),
                Some("ms") => Ok(Column::Time(Some(1e-3))),
                Some(other) => Err(format!("time in '{other}' is not known: s and ms are")),
            };
        }
        "sample" | "index" | "n" | "" => return Ok(Column::Counter),
        _ => {}
    }
    let lead = lead_name(plain).ok_or(format!("'{name}' is not a lead that is known"))?;
    let unit = match unit {
        Some(unit) => Unit::named(unit).ok_or(format!("'{unit}' is not a unit of voltage that is known (uV, mV, V)"))?,
        None => given.ok_or(format!("the unit of lead {lead} is not known: write '{lead} (uV)' in the header, or give --unit"))?,
    };
    Ok(Column::Lead(lead, unit.microvolts()))
}

pub(super) fn rate_of(times: &[f64], second: f64) -> std::result::Result<f64, String> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Err("no samples".into()) };
    let step = (last - first) / (times.len().max(2) - 1) as f64;
    if !(step.is_finite() && step > 0.0) {
        return Err("the times do not rise".into());
    }
    if let Some(at) = times.windows(2).position(|pair| (pair[1] - pair[0] - step).abs() > 0.51 * step) {
        return Err(format!("the times are not even at row {}: samples are missing or out of order", at + 3));
    }
    // Times written with few digits give 499.99: whole rates are meant.
    let rate = 1.0 / (step * second);
    Ok(if (rate - rate.round()).abs() < 0.01 * rate { rate.round() } else { rate })
}
