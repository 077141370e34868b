//! CSV with a column per lead, named in the header (`time (s),I (mV),II (mV) …`), or of one lead behind lines of what it is, as watches export it.

use super::{Given, Lead, Recording, Unit, named, stem};
use crate::intake::{self, Most};
use crate::{Error, Result};
use std::path::Path;

const LARGEST: Most = Most { bytes: 1 << 30, of: "a recording in CSV" };
/// Columns beyond which a table is no ECG.
const MOST_COLUMNS: usize = 1000;

/// A problem in words.
type Outcome<T> = std::result::Result<T, String>;

/// What a column is.
#[derive(Clone, Debug, PartialEq)]
enum Column {
    /// A lead, and µV in one of its unit (negative where it is upside down).
    Lead(&'static str, f64),
    /// Time, and how many seconds its unit has, where it says.
    Time(Option<f64>),
    Counter,
    Other,
}

/// What lines before the table, or `#` lines, say.
#[derive(Default)]
struct About {
    rate: Option<f64>,
    unit: Option<Unit>,
    lead: Option<&'static str>,
    name: Option<String>,
}

/// Reads a table separated by `,`, `;` or tabs, with decimal points or (not between commas) decimal commas. A column is a lead, a time or a counter;
/// others are passed over with a note. The unit stands with each lead (`I (mV)`, `I_mV`), in a line below the header or before it, or is `given`;
/// the rate follows from a time in s or ms, from a line before the table, or is `given`. Empty fields and `nan` are missing samples.
///
/// # Errors
/// For a table without leads, a missing unit or rate, a field that is not a number, uneven times.
pub fn read(path: &Path, given: &Given) -> Result<Recording> {
    let text = super::xml::decode(intake::read(path, LARGEST)?).map_err(|problem| Error::format(path, problem))?;
    let recording = parse(&text, given).map_err(|problem| Error::format(path, problem))?;
    Ok(Recording { id: stem(path), ..recording })
}

fn parse(text: &str, given: &Given) -> Outcome<Recording> {
    let mut about = About::default();
    let mut lines = text.lines().enumerate();
    let mut first_numbers = None;
    for (at, line) in lines.by_ref() {
        let plain = line.trim();
        if let Some(comment) = plain.strip_prefix('#') {
            about.line(comment);
            continue;
        }
        let delimiter = delimiter(plain);
        let fields = split(plain, delimiter);
        if fields.len() > 2 || (about.line_of(&fields).is_none() && !fields.is_empty()) {
            let columns = columns(&fields);
            if columns.iter().any(|(column, _)| matches!(column, Column::Lead(..))) {
                return table(text, at, delimiter, columns, &about, given);
            }
        }
        about.line(plain);
        if fields.iter().all(|field| number(field).is_some()) && !plain.is_empty() {
            first_numbers = Some((at, delimiter, fields.len()));
            break;
        }
    }
    let (at, delimiter, width) = first_numbers.ok_or("there is no column that is a lead by name (I, II, V1 (mV) …)")?;
    unnamed(text, at, delimiter, width, &about, given)
}

impl About {
    /// Takes what a line says: `Sample Rate,512 hertz`, `unit: mV`, `fs=500`.
    fn line(&mut self, line: &str) {
        if let Some((key, value)) = line.split_once([',', ';', '\t', ':', '=']) {
            self.pair(key, value);
        }
    }

    /// Whether two fields are such a line.
    fn line_of(&self, fields: &[String]) -> Option<()> {
        let [key, value] = fields else { return None };
        let mut own = About::default();
        own.pair(key, value);
        (own.rate.is_some() || own.unit.is_some() || own.lead.is_some() || own.name.is_some()).then_some(())
    }

    fn pair(&mut self, key: &str, value: &str) {
        let (key, value) = (key.trim().trim_matches('"').to_lowercase(), value.trim().trim_matches([',', ';', '"', ' ']));
        let is = |words: &[&str]| words.iter().any(|word| key.contains(word));
        if is(&["rate", "abtast", "frequen", "fréquence", "frecuencia"]) || key == "fs" || key == "hz" {
            let digits: String = value.chars().take_while(|c| c.is_ascii_digit() || ".,".contains(*c)).collect();
            self.rate = digits.replace(',', ".").parse().ok().filter(|rate| *rate > 0.0 && *rate < 1e6).or(self.rate);
        } else if is(&["unit", "einheit", "unité", "unidad"]) {
            self.unit = Unit::named(value).or(self.unit);
        } else if is(&["lead", "ableitung", "dérivation", "derivación"]) {
            self.lead = named(value).filter(|lead| !lead.negated).map(|lead| lead.name).or(self.lead);
        } else if key == "name" {
            self.name = Some(value.to_owned()).filter(|name| !name.is_empty());
        }
    }
}

/// The mark between fields that a line has most of.
fn delimiter(line: &str) -> char {
    let count = |mark: char| line.matches(mark).count();
    [',', ';', '\t'].into_iter().rev().max_by_key(|mark| count(*mark)).unwrap_or(',')
}

/// The fields of a line, without blanks and quotes.
fn split(line: &str, delimiter: char) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c == delimiter && !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields.iter().map(|field| field.trim().trim_matches('\'').trim().to_owned()).collect()
}

/// A number with a point or a comma.
fn number(field: &str) -> Option<f64> {
    let value = match field.matches(',').count() {
        1 if !field.contains('.') => field.replace(',', ".").parse(),
        _ => field.parse(),
    };
    value.ok().filter(|value: &f64| value.is_finite())
}

/// A sample; NaN where it is missing.
fn sample(field: &str) -> Option<f64> {
    match field.to_lowercase().as_str() {
        "" | "nan" | "na" | "null" | "-" => Some(f64::NAN),
        _ => number(field),
    }
}

/// A time: seconds of its unit, or hours, minutes and seconds (then in s).
fn time(field: &str) -> Option<f64> {
    if !field.contains(':') {
        return number(field);
    }
    field.trim_matches(['[', ']']).split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + number(part.trim())?))
}

/// Columns, and whether a lead among them says its unit.
fn columns(header: &[String]) -> Vec<(Column, bool)> {
    header.iter().map(|name| column(name)).collect()
}

fn column(name: &str) -> (Column, bool) {
    // `I (mV)`, `I [mV]`, `I_mV`, `I/mV`, `I mV`: a unit stands last.
    let (plain, unit) = match name.split_once(['(', '[']) {
        Some((plain, unit)) => (plain.trim(), Some(unit.trim_end_matches([')', ']']).trim())),
        None => match name.rsplit_once(['_', '/', ' ']) {
            Some((plain, unit)) if Unit::named(unit).is_some() || second(unit).is_some() => (plain.trim(), Some(unit)),
            _ => (name.trim(), None),
        },
    };
    match plain.to_lowercase().as_str() {
        "time" | "t" | "elapsed time" | "timestamp" | "zeit" | "temps" => return (Column::Time(unit.and_then(second)), unit.is_some()),
        "sample" | "index" | "n" | "" | "#" => return (Column::Counter, false),
        _ => {}
    }
    match named(plain) {
        Some(lead) => {
            // A unit that is none leaves the lead without one, which is refused.
            let factor = unit.map_or(1.0, |unit| Unit::named(unit).map_or(f64::NAN, Unit::microvolts));
            (Column::Lead(lead.name, if lead.negated { -factor } else { factor }), unit.is_some())
        }
        None => (Column::Other, false),
    }
}

/// Seconds in a unit of time.
fn second(unit: &str) -> Option<f64> {
    match unit.trim().to_lowercase().as_str() {
        "s" | "sec" | "second" | "seconds" => Some(1.0),
        "ms" | "msec" | "millisecond" | "milliseconds" => Some(1e-3),
        "us" | "µs" | "\u{3bc}s" => Some(1e-6),
        _ => None,
    }
}

/// The table whose header stands in line `at`.
fn table(text: &str, at: usize, delimiter: char, columns: Vec<(Column, bool)>, about: &About, given: &Given) -> Outcome<Recording> {
    if columns.len() > MOST_COLUMNS {
        return Err(format!("{} columns: an ECG has at most {MOST_COLUMNS}", columns.len()));
    }
    let mut lines = text.lines().enumerate().skip(at);
    let header = split(lines.next().map_or("", |(_, line)| line.trim()), delimiter);
    let mut columns =
        with_units(columns, &header, about.unit.or(given.unit), text.lines().nth(at + 1).map(|line| split(line.trim(), delimiter)))?;
    let mut clock = false;
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); columns.len()];
    for (row, line) in lines {
        let line = line.trim();
        // A line of units, in which no field is a number.
        if line.is_empty() || line.starts_with('#') || (row == at + 1 && is_units(&split(line, delimiter))) {
            continue;
        }
        let fields = split(line, delimiter);
        if fields.len() != columns.len() {
            return Err(format!("row {}: {} fields where the header has {}", row + 1, fields.len(), columns.len()));
        }
        for (((field, values), column), name) in fields.iter().zip(&mut values).zip(&columns).zip(&header) {
            let value = match column {
                Column::Counter | Column::Other => continue,
                Column::Time(_) => time(field).inspect(|_| clock |= field.contains(':')),
                Column::Lead(..) => sample(field),
            };
            values.push(value.ok_or_else(|| format!("row {}, {name}: '{field}' is not a number", row + 1))?);
        }
    }
    for column in columns.iter_mut().filter(|_| clock) {
        if let Column::Time(unit) = column {
            *unit = Some(1.0);
        }
    }
    let timed = columns.iter().zip(&values).find_map(|(column, values)| match column {
        Column::Time(Some(second)) => Some((*second, values)),
        _ => None,
    });
    let rate = match (given.rate.or(about.rate), timed) {
        (Some(rate), _) => rate,
        (None, Some((second, times))) => rate_of(times, second)?,
        (None, None) => return Err("the sampling rate is not known: give a column time (s) or time (ms), or --rate HZ".into()),
    };
    let mut recording = Recording { rate, ..Recording::default() };
    recording.patient.name = about.name.clone();
    for ((column, samples), name) in columns.iter().zip(values).zip(&header) {
        match column {
            Column::Lead(name, factor) => recording.leads.push(Lead::new(*name, samples.into_iter().map(|x| x * factor).collect())),
            Column::Other => recording.pass_over(name, "no lead that is known"),
            _ => {}
        }
    }
    Ok(recording)
}

/// Whether the fields of a line are units and nothing else.
fn is_units(fields: &[String]) -> bool {
    fields.iter().all(|field| number(field).is_none() && !field.is_empty()) && fields.iter().any(|field| Unit::named(field).is_some())
}

/// The columns with the unit of every lead: its own, that of the line below, or the one that holds for all.
fn with_units(columns: Vec<(Column, bool)>, header: &[String], all: Option<Unit>, below: Option<Vec<String>>) -> Outcome<Vec<Column>> {
    let below = below.filter(|fields| fields.len() == header.len() && is_units(fields));
    let unit_of = |(at, (column, says)): (usize, (Column, bool))| match column {
        Column::Lead(name, factor) if says => match factor.is_nan() {
            false => Ok(Column::Lead(name, factor)),
            true => Err(format!("'{}' has no unit of voltage that is known (uV, mV, V)", header[at])),
        },
        Column::Lead(name, factor) => {
            let own = below.as_ref().map(|fields| Unit::named(&fields[at]).ok_or(format!("lead {name}: '{}' is no unit", fields[at])));
            let unit = own.transpose()?.or(all);
            let unit = unit.ok_or(format!("the unit of lead {name} is not known: write '{name} (uV)' in the header, or give --unit"))?;
            Ok(Column::Lead(name, factor * unit.microvolts()))
        }
        Column::Time(None) => match (says, below.as_ref().and_then(|fields| second(&fields[at]))) {
            (true, _) => Err(format!("time in '{}' is not known: s and ms are", header[at])),
            (false, unit) => Ok(Column::Time(unit)),
        },
        other => Ok(other),
    };
    columns.into_iter().enumerate().map(unit_of).collect()
}

/// Numbers without a header: the one lead that the lines before name, or those that are given.
fn unnamed(text: &str, at: usize, delimiter: char, width: usize, about: &About, given: &Given) -> Outcome<Recording> {
    // `-12,345` in a list of one lead is one number with a decimal comma.
    let (names, width): (Vec<&str>, usize) = match (&given.leads[..], about.lead) {
        ([], Some(lead)) if width == 1 || (width == 2 && delimiter == ',') => (vec![lead], 1),
        ([], _) => return Err("the columns have no names: name the leads in a header, or by --leads".into()),
        (names, _) if names.len() == width => (names.iter().map(String::as_str).collect(), width),
        (names, _) => return Err(format!("{width} columns where --leads names {}", names.len())),
    };
    let unit = about.unit.or(given.unit).ok_or("the unit is not known: a line 'Unit,uV' before the samples says it, or --unit")?;
    let rate = given
        .rate
        .or(about.rate)
        .ok_or("the sampling rate is not known: a line 'Sample Rate,512' before the samples says it, or --rate")?;
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); width];
    for (row, line) in text.lines().enumerate().skip(at).filter(|(_, line)| !line.trim().is_empty()) {
        let line = line.trim().trim_matches('"');
        let fields = if width == 1 { vec![line.to_owned()] } else { split(line, delimiter) };
        if fields.len() != width {
            return Err(format!("row {}: {} fields where there were {width}", row + 1, fields.len()));
        }
        for (field, samples) in fields.iter().zip(&mut samples) {
            let value = sample(field.trim_end_matches([',', ';'])).ok_or_else(|| format!("row {}: '{field}' is not a number", row + 1))?;
            samples.push(value * unit.microvolts());
        }
    }
    let mut recording = Recording { rate, ..Recording::default() };
    recording.patient.name = about.name.clone();
    names.into_iter().zip(samples).for_each(|(name, samples)| recording.take(name, samples));
    Ok(recording)
}

pub(super) fn rate_of(times: &[f64], second: f64) -> Outcome<f64> {
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
