//! ECGs in NumPy arrays: (N, leads, T), or one alone as (leads, T); samples first where a table has a row an instant.

use super::kinds::Recordings;
use super::{Given, Lead, Recording, Unit};
use crate::ecg::leads::{INDEPENDENT, LEADS, RATE};
use crate::files::npy::NpyRows;
use crate::files::{npy, npz};
use crate::{Error, Result};
use ndarray::{Array2, ArrayD, Axis, Ix2};
use std::path::{Path, PathBuf};

enum Held {
    Rows(NpyRows),
    Whole(ArrayD<f64>),
}

/// The ECGs of an array.
struct Arrays {
    path: PathBuf,
    held: Held,
    given: Given,
}

/// What the shape of an array should be, for messages.
pub(super) const SHAPE: &str = "(N, 8 or 12, T) or (N, leads named by --leads, T)";

/// Opens a `.npy` file.
pub(super) fn open_npy(path: &Path, given: &Given) -> Result<Box<dyn Recordings>> {
    let held = match npy::header(path)? {
        header if header.shape.len() == 2 => Held::Whole(npy::read(path)?.into_f64().insert_axis(Axis(0))),
        // Rows of such an array lie all over the file.
        header if header.fortran && header.shape.len() == 3 => Held::Whole(npy::read(path)?.into_f64()),
        header if header.shape.len() == 3 => Held::Rows(NpyRows::open(path)?),
        header => return Err(Error::shape(path.display().to_string(), SHAPE, &header.shape)),
    };
    boxed(path, held, given)
}

/// Opens a `.npz` file: its only array, or the one called `rhythm` or `x`.
pub(super) fn open_npz(path: &Path, given: &Given) -> Result<Box<dyn Recordings>> {
    boxed(path, Held::Whole(npz::ecgs(path)?.into_dyn()), given)
}

/// Refuses arrays in which there is no ECG: no row, no lead or no sample. A row of nothing takes no byte, so that a short file could list any
/// number of them.
fn boxed(path: &Path, held: Held, given: &Given) -> Result<Box<dyn Recordings>> {
    let shape = match &held {
        Held::Rows(rows) => &rows.header().shape,
        Held::Whole(array) => array.shape(),
    };
    if shape.contains(&0) {
        return Err(Error::format(path, format!("its shape {shape:?} holds no sample: there is no ECG in it")));
    }
    Ok(Box::new(Arrays { path: path.into(), held, given: given.clone() }))
}

impl Recordings for Arrays {
    fn len(&self) -> usize {
        match &self.held {
            Held::Rows(rows) => rows.len(),
            Held::Whole(array) => array.len_of(Axis(0)),
        }
    }

    fn read(&self, index: usize) -> Result<Recording> {
        let samples = match &self.held {
            Held::Rows(rows) => rows.row_f32(index)?.mapv(f64::from),
            Held::Whole(array) => array.index_axis(Axis(0), index).to_owned(),
        };
        recording(&self.path, samples, &self.given)
    }
}

/// One ECG of an array: 8 or 12 leads in the usual order, or those that are given; µV and 500 Hz unless said otherwise, as for every array of this
/// program.
pub(super) fn recording(path: &Path, samples: ArrayD<f64>, given: &Given) -> Result<Recording> {
    let samples: Array2<f64> = samples.into_dimensionality::<Ix2>().map_err(|error| Error::format(path, error.to_string()))?;
    let mut recording = Recording { rate: given.rate.unwrap_or(RATE), ..Recording::default() };
    let (samples, names) = match (names(samples.nrows(), given), names(samples.ncols(), given)) {
        (Some(names), _) => (samples, names),
        (None, Some(names)) if samples.nrows() > 4 * names.len() => {
            recording.notes.push("a row an instant: axes exchanged".into());
            (samples.reversed_axes(), names)
        }
        _ => return Err(Error::shape(path.display().to_string(), SHAPE, samples.dim())),
    };
    let factor = given.unit.unwrap_or(Unit::Microvolt).microvolts();
    for (name, row) in names.into_iter().zip(samples.rows()) {
        let known = super::named(&name);
        let factor = if known.is_some_and(|lead| lead.negated) { -factor } else { factor };
        let name = known.map_or(name, |lead| lead.name.to_owned());
        recording.leads.push(Lead::new(name, row.iter().map(|x| x * factor).collect()));
    }
    Ok(recording)
}

/// The names of so many leads.
pub(super) fn names(count: usize, given: &Given) -> Option<Vec<String>> {
    let own = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    match count {
        _ if !given.leads.is_empty() => (given.leads.len() == count).then(|| given.leads.clone()),
        8 => own(&INDEPENDENT),
        12 => own(&LEADS),
        _ => None,
    }
}
