//! MATLAB files: level 4 and 5 (`val` of CinC, `ECG.data` of CPSC), and level 7.3, which is HDF5.

mod level4;
mod level5;

use super::bytes::Found;
use super::held::{self, Axes};
use super::kinds::Recordings;
use super::{Given, Recording, Unit, hdf5};
use crate::intake::{self, Most};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

const LARGEST: Most = Most { bytes: 1 << 30, of: "a MATLAB file" };
/// The most numbers that are held at once.
const MOST_VALUES: usize = 1 << 27;

/// An array of a file: where it stands (`ECG.data`), its shape as MATLAB has it, its numbers column by column.
struct Array {
    path: String,
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// What a file holds.
#[derive(Default)]
struct Contents {
    arrays: Vec<Array>,
    texts: Vec<(String, String)>,
}

/// The ECGs of a file.
struct Matrices {
    path: PathBuf,
    array: Array,
    axes: Axes,
    given: Given,
}

/// Whether a file begins as one of level 5.
pub fn is_level5(start: &[u8]) -> bool {
    start.starts_with(b"MATLAB 5.0 MAT-file") && matches!(start.get(126..128), Some(b"IM" | b"MI"))
}

/// Opens a MATLAB file. (One with a WFDB header beside it is that record's signal file, and read as such.)
///
/// # Errors
/// If it is no such file, holds no array of leads or several, or if its rate or unit is neither there nor given.
pub fn open(path: &Path, given: &Given) -> Result<Box<dyn Recordings>> {
    let start = intake::start(path, 1024)?;
    if hdf5::is_hdf5(&start) {
        return hdf5::open(path, given);
    }
    let bytes = intake::read(path, LARGEST)?;
    let refuse = |problem: String| Error::format(path, problem);
    let contents = if is_level5(&bytes) { level5::read(&bytes) } else { level4::read(&bytes) }.map_err(refuse)?;
    let (array, axes, given) = choose(contents, given).map_err(refuse)?;
    Ok(Box::new(Matrices { path: path.into(), array, axes, given }))
}

fn choose(contents: Contents, given: &Given) -> Found<(Array, Axes, Given)> {
    let scalar = |array: &Array| (array.values.len() == 1).then(|| array.values[0]);
    let rate = contents.arrays.iter().filter(|array| held::is_rate(&array.path)).find_map(scalar);
    let unit = contents.texts.iter().filter(|(path, _)| held::is_unit(path)).find_map(|(_, text)| Unit::named(text));
    // MATLAB's first axis varies fastest: in the order of the file its axes are turned around.
    let fitting = |array: Array| {
        let shape: Vec<usize> = array.shape.iter().rev().copied().collect();
        Axes::of(&shape, true, given).map(|axes| (array, axes))
    };
    let shapes: Vec<String> = contents.arrays.iter().map(|array| format!("{} {:?}", array.path, array.shape)).collect();
    let mut all: Vec<(Array, Axes)> = contents.arrays.into_iter().filter_map(fitting).collect();
    if all.is_empty() {
        return Err(format!("none of its arrays has an axis of 8 or 12 leads, or of those named by --leads: {}", shapes.join(", ")));
    }
    let names: Vec<&str> = all.iter().map(|(array, _)| array.path.as_str()).collect();
    let (array, axes) = all.swap_remove(held::choose(&names)?);
    let given = held::complete(given, rate, unit, "a MATLAB file")?;
    Ok((array, axes, given))
}

impl Recordings for Matrices {
    fn len(&self) -> usize {
        self.axes.ecg.map_or(1, |_| self.array.shape[0])
    }

    fn read(&self, index: usize) -> Result<Recording> {
        let step = self.len();
        let values = self.array.values.iter().skip(index).step_by(step).copied().collect();
        held::recording(&self.path, values, self.axes, &self.given)
    }
}
