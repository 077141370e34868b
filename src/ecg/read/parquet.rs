//! Parquet tables of ECGs: a column a lead with a row an instant, a column a lead with a list an ECG, or one column of lists of leads.
//!
//! An own reader of the part that such tables use, in which every size is bounded before anything is allocated for it; the usual crate brings an engine.

mod column;
mod thrift;
mod unpack;

use super::bytes::{Bytes, Found, Number, OnDisk};
use super::held::{self, Axes};
use super::kinds::Recordings;
use super::{Given, Recording, Unit, columns, named};
use crate::{Error, Result};
use column::{Column, Described, Entries, Physical, Room};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use thrift::Fields;

const LARGEST_FOOTER: u64 = 1 << 26;
const MOST_COLUMNS: usize = 10_000;
/// Columns that hold ids.
const IDS: [&str; 7] = ["ecg_id", "exam_id", "id", "record", "patid", "filename", "name"];

type Kept = Mutex<Vec<Option<(usize, Arc<Entries>)>>>;

/// Whether a file begins as one.
pub fn is_parquet(start: &[u8]) -> bool {
    start.starts_with(b"PAR1")
}

/// What the rows of a table are.
enum Layout {
    /// Instants of one ECG, read when the file is opened.
    Instants(Box<Recording>),
    /// ECGs, each lead a list in a column of its own.
    LeadsApart(Vec<(String, f64)>),
    /// ECGs, each a list of lists.
    Nested,
}

struct Table {
    path: PathBuf,
    disk: OnDisk,
    /// The columns of ECGs, and the page of each that was read last.
    columns: Vec<Column>,
    kept: Kept,
    layout: Layout,
    given: Given,
    ids: Option<Vec<String>>,
    rows: usize,
}

/// Opens a Parquet file.
///
/// # Errors
/// If it is no such file, holds no columns of leads, is packed or encoded in a way that is not read, or if its rate or unit is neither there nor
/// given.
pub fn open(path: &Path, given: &Given) -> Result<Box<dyn Recordings>> {
    let table = table(OnDisk::open(path)?, path, given).map_err(|problem| Error::format(path, problem))?;
    Ok(Box::new(table))
}

fn table(disk: OnDisk, path: &Path, given: &Given) -> Found<Table> {
    let length = disk.length();
    let end = disk.bytes(length.saturating_sub(8), 8.min(length))?;
    let Some(foot) = end.strip_suffix(b"PAR1").and_then(|length| length.try_into().ok()).map(u32::from_le_bytes) else {
        return Err("not a Parquet file, or cut off: it does not end with PAR1".into());
    };
    let begin = (length - 8).checked_sub(foot.into()).filter(|_| u64::from(foot) <= LARGEST_FOOTER);
    let footer = disk.bytes(begin.ok_or_else(|| format!("its footer of {foot} bytes is longer than it"))?, foot.into())?;
    let footer = Fields::read(&mut Bytes::new(&footer)).map_err(|problem| format!("its footer is damaged: {problem}"))?;
    let described = schema(&footer)?;
    // Only columns of ECGs, of time and of ids are read, and their pages looked for.
    let lead = |column: &Described| named(&column.name).is_some();
    let apart = described.iter().any(|column| lead(column) && matches!(column.physical, Some(Physical::Number(_))));
    let numbers = |column: &&(usize, &Described)| matches!(column.1.physical, Some(Physical::Number(_)));
    let all: Vec<(usize, &Described)> = described.iter().enumerate().collect();
    let chosen: Vec<usize> = if apart {
        all.iter().filter(numbers).filter(|(_, column)| lead(column)).map(|(at, _)| *at).collect()
    } else {
        let lists: Vec<usize> = all.iter().filter(numbers).filter(|(_, column)| column.lists.len() == 2).map(|(at, _)| *at).collect();
        let names: Vec<&str> = lists.iter().map(|at| described[*at].name.as_str()).collect();
        if names.is_empty() {
            let names: Vec<&str> = described.iter().map(|column| column.name.as_str()).collect();
            return Err(format!("none of its columns is a lead, nor a list of leads that are lists: {}", names.join(", ")));
        }
        vec![lists[held::choose(&names)?]]
    };
    let room = Room::of(length);
    let one = |at: usize| {
        column(&disk, &footer, at, &described[at], &room).map_err(|problem| format!("column {}: {problem}", described[at].name))
    };
    let columns = chosen.iter().map(|at| one(*at)).collect::<Found<Vec<Column>>>()?;
    let rows = columns[0].rows();
    if let Some(other) = columns.iter().find(|column| column.rows() != rows) {
        return Err(format!("column {} has {} rows, others {rows}", other.described.name, other.rows()));
    }
    if rows == 0 {
        return Err("it has no rows".into());
    }
    let flat = apart && columns[0].described.lists.is_empty();
    if apart && columns.iter().any(|column| column.described.lists.len() != usize::from(!flat)) {
        return Err("its columns of leads are not alike: a row is either an instant or an ECG".into());
    }
    let time = all.iter().filter(numbers).find_map(|(at, column)| {
        let second = second(&column.name)?;
        (flat && column.lists.is_empty()).then_some((*at, second))
    });
    let rate = match time {
        Some((at, second)) => Some(columns::rate_of(&one(at)?.numbers(&disk)?, second)?),
        None => None,
    };
    let given = complete(&columns, given, rate)?;
    let factors: Vec<(String, f64)> =
        columns.iter().map(|column| (column.described.name.clone(), factor(&column.described.name, &given))).collect();
    let layout = match (flat, apart) {
        (true, _) => Layout::Instants(Box::new(instants(&disk, &columns, &factors, &given)?)),
        (false, true) => Layout::LeadsApart(factors),
        _ => Layout::Nested,
    };
    let ids = match &layout {
        Layout::Instants(_) => None,
        _ => IDS.iter().find_map(|id| described.iter().position(|column| column.name.eq_ignore_ascii_case(id) && column.lists.is_empty())),
    };
    let ids = ids.map(|at| one(at)?.texts(&disk)).transpose()?;
    let distinct = |ids: &Vec<String>| ids.len() == rows && ids.iter().collect::<HashSet<_>>().len() == rows;
    let kept = Mutex::new(columns.iter().map(|_| None).collect());
    Ok(Table { path: path.into(), disk, kept, columns, layout, given, ids: ids.filter(distinct), rows })
}

/// The leaves of the schema, in the order of the columns of row groups.
fn schema(footer: &Fields<'_>) -> Found<Vec<Described>> {
    /// An element that still has children, and what its leaves inherit.
    struct Open {
        left: i64,
        name: Option<String>,
        most: u8,
        lists: Vec<u8>,
    }
    let mut elements = footer.list(2);
    let root = elements.next().ok_or("it has no schema")?;
    let mut open = vec![Open { left: root.whole(5).unwrap_or(0), name: None, most: 0, lists: Vec::new() }];
    let mut all = Vec::new();
    for element in elements {
        while open.last().is_some_and(|open| open.left <= 0) {
            open.pop();
        }
        let Some(above) = open.last_mut() else { return Err("its schema has more elements than it counts".into()) };
        above.left -= 1;
        let repetition = element.whole(3).unwrap_or(0);
        let (mut most, mut lists) = (above.most, above.lists.clone());
        if repetition > 0 {
            most = most.checked_add(1).ok_or("its schema is too deep")?;
        }
        if repetition == 2 {
            lists.push(most);
        }
        let name = above.name.clone().unwrap_or_else(|| element.text(4).unwrap_or_default());
        let children = element.whole(5).unwrap_or(0);
        if children > 0 {
            open.push(Open { left: children, name: Some(name), most, lists });
        } else {
            let physical = match element.whole(1) {
                Some(1) => Some(Physical::Number(Number::Signed(4))),
                Some(2) => Some(Physical::Number(Number::Signed(8))),
                Some(4) => Some(Physical::Number(Number::Float(4))),
                Some(5) => Some(Physical::Number(Number::Float(8))),
                Some(6) => Some(Physical::Text),
                _ => None,
            };
            all.push(Described { name, physical, most, lists });
        }
        if all.len() > MOST_COLUMNS || open.len() > 64 {
            return Err(format!("more than {MOST_COLUMNS} columns, or a schema that is too deep"));
        }
    }
    Ok(all)
}

/// A column with its pages of all row groups.
fn column(disk: &OnDisk, footer: &Fields<'_>, at: usize, described: &Described, room: &Room) -> Found<Column> {
    let mut column = Column::new(described.clone());
    for group in footer.list(4) {
        let chunk = group.list(1).nth(at).ok_or("a row group lacks it")?;
        if chunk.text(1).is_some() {
            return Err("its pages are in another file".into());
        }
        let meta = chunk.fields(3).ok_or("its pages are not described")?;
        column.add(disk, meta, room)?;
    }
    Ok(column)
}

/// The unit in the name of a column (`I (mV)`, `I_mV`).
fn unit_of(name: &str) -> Option<Unit> {
    let end = name.trim_end_matches([')', ']']).rsplit(['(', '[', '_', ' ']).next()?;
    Unit::named(end).filter(|_| end.len() < name.len())
}

/// How many seconds the unit of a column of times has (`time (s)`, `time_ms`); `None` for other columns, and where it is not said.
fn second(name: &str) -> Option<f64> {
    let name = name.to_lowercase();
    let unit = name.strip_prefix("time").or(name.strip_prefix("t"))?.trim_matches([' ', '_', '(', ')', '[', ']']);
    match unit {
        "s" | "sec" | "seconds" => Some(1.0),
        "ms" | "milliseconds" => Some(1e-3),
        _ => None,
    }
}

/// Rate and unit; where every column names its unit, none need be given.
fn complete(columns: &[Column], given: &Given, rate: Option<f64>) -> Found<Given> {
    let own = columns.iter().all(|column| unit_of(&column.described.name).is_some());
    held::complete(given, rate, own.then_some(Unit::Microvolt), "the Parquet file")
}

fn factor(name: &str, given: &Given) -> f64 {
    unit_of(name).or(given.unit).unwrap_or(Unit::Microvolt).microvolts()
}

fn instants(disk: &OnDisk, columns: &[Column], factors: &[(String, f64)], given: &Given) -> Found<Recording> {
    let mut recording = Recording { rate: given.rate.unwrap_or_default(), ..Recording::default() };
    for (column, (name, factor)) in columns.iter().zip(factors) {
        let samples = column.numbers(disk).map_err(|problem| format!("column {name}: {problem}"))?;
        recording.take(name, samples.into_iter().map(|x| x * factor).collect());
    }
    Ok(recording)
}

impl Table {
    fn row(&self, column: usize, row: usize) -> Result<column::Row> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.columns[column].row(&self.disk, row, &mut kept[column]);
        found.map_err(|problem| Error::format(&self.path, format!("column {}, row {row}: {problem}", self.columns[column].described.name)))
    }
}

impl Recordings for Table {
    fn len(&self) -> usize {
        match self.layout {
            Layout::Instants(_) => 1,
            _ => self.rows,
        }
    }

    fn id(&self, index: usize) -> Option<String> {
        self.ids.as_ref()?.get(index).cloned()
    }

    fn read(&self, index: usize) -> Result<Recording> {
        match &self.layout {
            Layout::Instants(recording) => Ok((**recording).clone()),
            Layout::LeadsApart(leads) => {
                let mut recording = Recording { rate: self.given.rate.unwrap_or_default(), ..Recording::default() };
                for (at, (name, factor)) in leads.iter().enumerate() {
                    recording.take(name, self.row(at, index)?.values.into_iter().map(|x| x * factor).collect());
                }
                Ok(recording)
            }
            Layout::Nested => {
                let row = self.row(0, index)?;
                let refuse = |problem: String| Error::format(&self.path, format!("row {index}: {problem}"));
                let each = row.lengths.first().copied().unwrap_or(0);
                if row.lengths.iter().any(|length| *length != each) {
                    return Err(refuse("its lists are not all as long".into()));
                }
                let shape = [row.lengths.len(), each];
                let axes = Axes::of(&shape, false, &self.given)
                    .ok_or_else(|| refuse(format!("lists of shape {shape:?}: no axis of 8 or 12 leads, or of those named by --leads")))?;
                held::recording(&self.path, row.values, axes, &self.given)
            }
        }
    }
}
