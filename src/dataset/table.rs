//! `measurements.csv`: one row per ECG, an absent measurement an empty field.

use super::Record;
use crate::ecg::simulator::Kind;
use crate::ecg::{Further, Measurements};
use crate::intake::{self, Most};
use crate::{Error, Result};
use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::path::Path;

/// The columns, in order. Intervals in ms, amplitudes in µV, fiducials in samples of the median beat; `status` is `ok` or why the ECG
/// could not be measured. Behind them stand those of [`Further::columns`].
pub const COLUMNS: [&str; 14] = [
    "id",
    "pr_ms",
    "qrs_ms",
    "qt_ms",
    "rate_bpm",
    "r_v5_uv",
    "j_v5_uv",
    "t_v5_uv",
    "p_onset",
    "p_offset",
    "qrs_onset",
    "qrs_offset",
    "t_offset",
    "status",
];
/// The status of an ECG that was measured.
const OK: &str = "ok";

/// Writes the header of the table.
///
/// # Errors
/// The writer's.
pub fn write_header(out: &mut impl Write) -> std::io::Result<()> {
    write_fields(out, &header())
}

fn header() -> Vec<String> {
    COLUMNS.iter().map(|name| (*name).to_owned()).chain(Further::columns()).collect()
}

/// Writes the header of a table that has the amplitudes of every lead as well.
///
/// # Errors
/// The writer's.
pub fn write_wide_header(out: &mut impl Write) -> std::io::Result<()> {
    write_fields(out, &[header(), Further::lead_columns()].concat())
}

/// The columns behind [`COLUMNS`] in the truth of ECGs simulated by kind.
pub(super) const KIND_COLUMNS: [&str; 2] = ["kind", "rhythm"];

/// Writes the header of a table of exact values with kinds.
pub(super) fn write_kinds_header(out: &mut impl Write) -> std::io::Result<()> {
    let names: Vec<String> = COLUMNS.iter().chain(&KIND_COLUMNS).map(|name| name.to_string()).collect();
    write_fields(out, &names)
}

/// Writes one row of such a table.
pub(super) fn write_kinds_row(out: &mut impl Write, id: &str, m: &Measurements, kind: Kind) -> std::io::Result<()> {
    let mut row = fields(id, m);
    row.extend([kind.name(), kind.rhythm()].map(str::to_owned));
    write_fields(out, &row)
}

/// Writes one row. Numbers have as many digits as bring back the same f64.
///
/// # Errors
/// The writer's.
pub fn write_row(out: &mut impl Write, id: &str, m: &Measurements) -> std::io::Result<()> {
    write_fields(out, &[fields(id, m), further(m).fields()].concat())
}

/// Writes one row with the amplitudes of every lead.
///
/// # Errors
/// The writer's.
pub fn write_wide_row(out: &mut impl Write, id: &str, m: &Measurements) -> std::io::Result<()> {
    let further = further(m);
    write_fields(out, &[fields(id, m), further.fields(), further.lead_fields()].concat())
}

fn further(m: &Measurements) -> Further {
    m.further.as_deref().cloned().unwrap_or_default()
}

/// The fields of [`COLUMNS`].
fn fields(id: &str, m: &Measurements) -> Vec<String> {
    let mut fields = vec![id.to_owned()];
    fields.extend(values(m).map(|value| value.map(|value| value.to_string()).unwrap_or_default()));
    fields.push(m.rejected.clone().unwrap_or_else(|| OK.into()));
    fields
}

/// A line of CSV with further fields behind its last.
///
/// # Errors
/// The writer's.
pub fn with_fields(mut line: Vec<u8>, fields: &[String]) -> std::io::Result<Vec<u8>> {
    if !fields.is_empty() {
        line.truncate(line.trim_ascii_end().len());
        line.push(b',');
        write_fields(&mut line, fields)?;
    }
    Ok(line)
}

/// Writes a whole table.
///
/// # Errors
/// The writer's.
pub fn write_table(out: &mut impl Write, records: &[Record]) -> std::io::Result<()> {
    write_header(out)?;
    records.iter().try_for_each(|record| write_row(out, &record.id, &record.measurements))
}

fn write_fields(out: &mut impl Write, fields: &[String]) -> std::io::Result<()> {
    let mut line = csv::WriterBuilder::new().from_writer(Vec::new());
    line.write_record(fields)?;
    let line = line.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
    out.write_all(&line)
}

/// The twelve numbers of a row, in the order of [`COLUMNS`].
fn values(m: &Measurements) -> [Option<f64>; 12] {
    [m.pr_ms, m.qrs_ms, m.qt_ms, m.rate_bpm, m.r_v5_uv, m.j_v5_uv, m.t_v5_uv, m.p_onset, m.p_offset, m.qrs_onset, m.qrs_offset, m.t_offset]
}

/// A table of a million ECGs takes 200 MB.
const LARGEST: Most = Most { bytes: 1 << 28, of: "a table of measurements" };

/// Reads a table; the columns may stand in any order. Columns behind `status` may be of a later version and are passed over.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] for a column that is missing, there twice, or unknown before `status`; a field that is no number, or one that
/// no ECG has; two ECGs of one id.
pub fn read_table(path: impl AsRef<Path>) -> Result<Vec<Record>> {
    let path = path.as_ref();
    parse(path, BufReader::new(intake::open_most(path, LARGEST)?))
}

fn parse(path: &Path, from: impl Read) -> Result<Vec<Record>> {
    let bad = |problem: String| Error::format(path, problem);
    let mut reader = csv::ReaderBuilder::new().from_reader(from);
    let header = reader.headers().map_err(|error| bad(error.to_string()))?.clone();
    let mut columns = [0; COLUMNS.len()];
    for (place, name) in columns.iter_mut().zip(COLUMNS) {
        *place = header.iter().position(|column| column == name).ok_or_else(|| bad(format!("the column {name} is missing")))?;
        if header.iter().filter(|column| *column == name).count() > 1 {
            return Err(bad(format!("the column {name} is there twice")));
        }
    }
    let status = columns[COLUMNS.len() - 1];
    if let Some(unknown) = header.iter().take(status).find(|column| !COLUMNS.contains(column)) {
        let known = COLUMNS.join(", ");
        return Err(bad(format!("the column '{unknown}' is not known: known are {known}; further ones come after status")));
    }
    let behind: HashMap<&str, usize> = header.iter().enumerate().skip(status + 1).map(|(at, name)| (name, at)).collect();
    let mut records: Vec<Record> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for row in reader.records() {
        let row = row.map_err(|error| bad(error.to_string()))?;
        let further = Further::parse(|name| row.get(*behind.get(name)?));
        let record = further
            .and_then(|further| record(&columns.map(|column| &row[column]), further))
            .map_err(|problem| bad(format!("row {}: {problem}", records.len() + 1)))?;
        if let Some(first) = seen.insert(record.id.clone(), records.len()) {
            return Err(bad(format!("rows {} and {} have the same id '{}'", first + 1, records.len() + 1, record.id)));
        }
        records.push(record);
    }
    Ok(records)
}

fn record(fields: &[&str; COLUMNS.len()], further: Further) -> std::result::Result<Record, String> {
    let number = |at: usize| match fields[at].trim() {
        "" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Some(value)),
            _ => Err(format!("{} is '{text}' and not a number", COLUMNS[at])),
        },
    };
    let measurements = Measurements {
        pr_ms: number(1)?,
        qrs_ms: number(2)?,
        qt_ms: number(3)?,
        rate_bpm: number(4)?,
        r_v5_uv: number(5)?,
        j_v5_uv: number(6)?,
        t_v5_uv: number(7)?,
        p_onset: number(8)?,
        p_offset: number(9)?,
        qrs_onset: number(10)?,
        qrs_offset: number(11)?,
        t_offset: number(12)?,
        rejected: Some(fields[13].trim().to_owned()).filter(|status| status != OK),
        further: Some(further).filter(|further| *further != Further::default()).map(Box::new),
    };
    measurements.check()?;
    Ok(Record { id: fields[0].to_owned(), measurements })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_table_comes_back(
            rows in prop::collection::vec((prop::option::of(-1e6..1e6f64), prop::option::of(0f64..600.0), "[ -~µ\n\"]{0,12}"), 0..8),
        ) {
            let make = |(i, (pr_ms, t_offset, reason)): (usize, &(Option<f64>, Option<f64>, String))| Record {
                id: format!("{i},\"{reason}"),
                measurements: Measurements {
                    pr_ms: *pr_ms,
                    t_offset: *t_offset,
                    rejected: Some(reason.trim().to_owned()).filter(|reason| reason != OK && pr_ms.is_none()),
                    ..Default::default()
                },
            };
            let records: Vec<Record> = rows.iter().enumerate().map(make).collect();
            let mut bytes = Vec::new();
            write_table(&mut bytes, &records).unwrap();
            prop_assert_eq!(parse(Path::new("m.csv"), &bytes[..]).unwrap(), records);
        }
    }

    #[test]
    fn damage_is_named() {
        let header = COLUMNS.join(",");
        let read = |rows: &str| parse(Path::new("m.csv"), format!("{header}\n{rows}").as_bytes());
        assert_eq!(read("a,160,,,,,,,,,,,,ok\n").unwrap()[0].measurements.pr_ms, Some(160.0));
        for (rows, hint) in [
            ("a,x,,,,,,,,,,,,ok\n", "row 1: pr_ms is 'x'"),
            ("a,NaN,,,,,,,,,,,,ok\n", "row 1"),
            ("a,,,,,,,,,,,,,ok\na,,,,,,,,,,,,,ok\n", "rows 1 and 2"),
            ("a,1\n", "m.csv"),
            ("a,,,,,,,,,,,,1e308,ok\n", "row 1: t_offset is 1e308"),
            ("a,,,,,,,,-1,,,,,ok\n", "row 1: p_onset is -1e0"),
            ("a,,,1e300,,,,,,,,,,ok\n", "row 1: qt_ms is 1e300"),
        ] {
            let error = read(rows).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
        let columns = |header: String| parse(Path::new("m.csv"), format!("{header}\n").as_bytes());
        assert!(columns(format!("{header},pr_ms_se,quality")).is_ok(), "columns of a later version come after status");
        assert!(columns(format!("pr_s,{header}")).unwrap_err().to_string().contains("'pr_s' is not known"));
        assert!(columns(format!("{header},pr_ms")).unwrap_err().to_string().contains("pr_ms is there twice"));
        assert!(parse(Path::new("m.csv"), &b"id,pr_ms\n"[..]).unwrap_err().to_string().contains("qrs_ms is missing"));
    }
}
