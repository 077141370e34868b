//! HDF5 files of ECGs: one array (N, samples, leads) as CODE-15 has it, arrays of one ECG each, and MATLAB 7.3, which is HDF5 with its axes turned.
//!
//! An own reader of the part that such files use: the usual library is one of C, and every size here is bounded before anything is allocated for it.

mod array;
mod disk;
mod filter;
mod group;
mod index;
mod object;
mod texts;

use super::bytes::{Found, OnDisk};
use super::held::{self, Axes};
use super::kinds::Recordings;
use super::{Given, Recording, Unit};
use crate::{Error, Result};
use array::Array;
use disk::Disk;
pub use disk::is_hdf5;
use object::{Attribute, Element};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Groups in groups, and arrays of a file: more than any file of ECGs has.
const DEEPEST: usize = 8;
const MOST_ARRAYS: usize = 100_000;
/// Names of arrays that hold ids.
const IDS: [&str; 7] = ["exam_id", "ecg_id", "id", "ids", "record", "patid", "filename"];

/// An array and where it stands.
struct Named {
    path: String,
    array: Array,
    attributes: Vec<(String, Attribute)>,
}

/// The ECGs of a file: rows of one array, or an array each.
struct Stored {
    path: PathBuf,
    disk: Disk,
    arrays: Vec<(Named, Axes, Given)>,
    /// The file's own ids of its rows.
    ids: Option<Vec<String>>,
}

/// Opens an HDF5 file.
///
/// # Errors
/// If it is no such file, holds no array of leads or several rivals, or if its rate or unit is neither there nor given.
pub fn open(path: &Path, given: &Given) -> Result<Box<dyn Recordings>> {
    let stored = stored(OnDisk::open(path)?, path, given).map_err(|problem| Error::format(path, problem))?;
    Ok(Box::new(stored))
}

fn stored(file: OnDisk, path: &Path, given: &Given) -> Found<Stored> {
    let (disk, root) = Disk::open(file)?;
    let mut walk = Descent { disk: &disk, seen: HashSet::new(), arrays: Vec::new(), attributes: Vec::new(), unread: Vec::new() };
    walk.group(root, "", 0)?;
    let Descent { arrays, attributes, unread, .. } = walk;
    let turned = arrays.iter().any(|named| named.attributes.iter().any(|(name, _)| name == "MATLAB_class"));
    let scalar = |named: &&Named| held::is_rate(&named.path) && named.array.shape.iter().all(|size| *size == 1);
    let first = |named: &Named| numbers(&disk, &named.array, None).ok()?.first().copied();
    let rate = arrays.iter().filter(scalar).find_map(first);
    let shape = |array: &Array| array.shape.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect::<Vec<usize>>();
    let axes = |named: &Named| match named.array.element {
        Element::Number(..) => Axes::of(&shape(&named.array), turned, given),
        _ => None,
    };
    let shapes: Vec<String> = arrays.iter().take(20).map(|named| format!("{} {:?}", named.path, named.array.shape)).collect();
    let (fitting, others): (Vec<Named>, Vec<Named>) = arrays.into_iter().partition(|named| axes(named).is_some());
    if let (true, Some(problem)) = (fitting.is_empty(), unread.into_iter().next()) {
        return Err(problem);
    }
    if fitting.is_empty() {
        return Err(format!("none of its arrays has an axis of 8 or 12 leads, or of those named by --leads: {}", shapes.join(", ")));
    }
    let complete = |named: Named| {
        let of = |usual: fn(&str) -> bool| {
            named.attributes.iter().chain(&attributes).find(|(name, _)| usual(name)).map(|(_, value)| value.clone())
        };
        let own = match of(held::is_rate) {
            Some(Attribute::Number(rate)) => Some(rate),
            Some(Attribute::Text(text)) => text.parse().ok(),
            None => None,
        };
        let unit = match of(held::is_unit) {
            Some(Attribute::Text(text)) => Unit::named(&text),
            _ => None,
        };
        let given = held::complete(given, own.or(rate), unit, "the HDF5 file")?;
        let axes = axes(&named).ok_or("an array without leads")?;
        Ok((named, axes, given))
    };
    // An array an ECG, all called alike in groups of their own, or all of two axes in the same group.
    let alone = fitting.iter().all(|named| named.array.shape.len() == 2);
    let names: Vec<&str> = fitting.iter().map(|named| named.path.as_str()).collect();
    let (arrays, ids) = match held::choose(&names) {
        Err(_) if alone => {
            let ids = fitting.iter().map(|named| named.path.replace('/', "_")).collect();
            (fitting.into_iter().map(complete).collect::<Found<Vec<_>>>()?, Some(ids))
        }
        chosen => {
            let named = fitting.into_iter().nth(chosen?).ok_or("no array")?;
            let one = complete(named)?;
            let ids = ids(&disk, &one, &others)?;
            (vec![one], ids)
        }
    };
    Ok(Stored { path: path.into(), disk, arrays, ids })
}

/// The ids that stand beside the rows of an array, all distinct.
fn ids(disk: &Disk, (named, axes, _): &(Named, Axes, Given), others: &[Named]) -> Found<Option<Vec<String>>> {
    let Some(axis) = axes.ecg else { return Ok(None) };
    let count = named.array.shape[axis];
    let rank = |other: &Named| IDS.iter().position(|name| name.eq_ignore_ascii_case(held::last(&other.path)));
    let fitting = others.iter().filter(|other| other.array.shape.iter().product::<u64>() == count && rank(other).is_some());
    let Some(found) = fitting.min_by_key(|other| rank(other)) else { return Ok(None) };
    let bytes = found.array.part(disk, None)?;
    let texts = match found.array.element {
        Element::Number(number, big) => number.read_all(&bytes, big).into_iter().map(|id| id.to_string()).collect(),
        element => texts::texts(disk, element, &bytes).map_err(|problem| format!("{}: {problem}", found.path))?,
    };
    let distinct = texts.iter().collect::<HashSet<_>>().len() == texts.len() && texts.iter().all(|id| !id.is_empty());
    Ok(distinct.then_some(texts))
}

/// The numbers of an array, or of one place of an axis.
fn numbers(disk: &Disk, array: &Array, of: Option<(usize, u64)>) -> Found<Vec<f64>> {
    match array.element {
        Element::Number(number, big) => Ok(number.read_all(&array.part(disk, of)?, big)),
        _ => Err("it holds no numbers".into()),
    }
}

/// All arrays of a file.
struct Descent<'a> {
    disk: &'a Disk,
    seen: HashSet<u64>,
    arrays: Vec<Named>,
    /// Of the groups.
    attributes: Vec<(String, Attribute)>,
    /// Arrays that cannot be read, and why: they may be no ECGs.
    unread: Vec<String>,
}

impl Descent<'_> {
    fn group(&mut self, at: u64, path: &str, depth: usize) -> Found<()> {
        // Links may lead in a circle.
        if depth > DEEPEST || !self.seen.insert(at) {
            return Ok(());
        }
        let messages = object::messages(self.disk, at).map_err(|problem| format!("{path}/: {problem}"))?;
        let attributes = object::attributes(self.disk, &messages);
        let array = Array::open(self.disk, &messages);
        match array {
            Ok(None) => {
                self.attributes.extend(attributes);
                for (name, object) in group::links(self.disk, &messages).map_err(|problem| format!("{path}/: {problem}"))? {
                    // MATLAB keeps what cells refer to apart.
                    if name != "#refs#" {
                        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                        self.group(object, &path, depth + 1)?;
                    }
                }
            }
            Ok(Some(array)) => self.arrays.push(Named { path: path.to_owned(), array, attributes }),
            Err(problem) => self.unread.push(format!("{path}: {problem}")),
        }
        match self.arrays.len() > MOST_ARRAYS || self.seen.len() > group::MOST_LINKS {
            true => Err(format!("it holds more than {MOST_ARRAYS} arrays")),
            false => Ok(()),
        }
    }
}

impl Recordings for Stored {
    fn len(&self) -> usize {
        match self.arrays.as_slice() {
            [(named, axes, _)] => axes.ecg.map_or(1, |axis| named.array.shape[axis] as usize),
            many => many.len(),
        }
    }

    fn id(&self, index: usize) -> Option<String> {
        self.ids.as_ref()?.get(index).cloned()
    }

    fn read(&self, index: usize) -> Result<Recording> {
        let refuse = |problem: String| Error::format(&self.path, problem);
        let (one, of) = match self.arrays.as_slice() {
            [one] => (one, one.1.ecg.map(|axis| (axis, index as u64))),
            many => (&many[index], None),
        };
        let (named, axes, given) = one;
        let values = numbers(&self.disk, &named.array, of).map_err(|problem| refuse(format!("{}: {problem}", named.path)))?;
        held::recording(&self.path, values, *axes, given)
    }
}
