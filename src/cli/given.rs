//! ECGs of `--data` that are in no dataset (recordings, folders of them, arrays), and what is known of each: its id, its measurements, labels.

use super::Globals;
use super::inputs::{Ecgs, InputOptions};
use super::models::{Loaded, ModelOptions};
use crate::dataset::folder::MANIFEST;
use crate::dataset::{Dataset, InputKind, Record, Samples, read_table};
use crate::ecg::Rhythm;
use crate::ecg::leads::{INDEPENDENT_AT, LEADS};
use crate::ecg::measure::{Thresholds, measure};
use crate::nn::Model;
use crate::{Error, Result};
use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Whether `--data` is a dataset; what is not is looked at as recordings.
///
/// # Errors
/// [`Error::Usage`] for options of ECGs beside a dataset.
pub(super) fn is_dataset(path: &Path, inputs: &InputOptions) -> Result<bool> {
    // What is not there is missed as a dataset.
    let dataset = !path.exists() || path.is_dir() && path.join(MANIFEST).exists();
    if dataset && inputs.any() {
        let what = "is a dataset, which says itself what its ECGs are: options of ECGs are for recordings and arrays";
        return Err(Error::Usage(format!("{} {what}", path.display())));
    }
    Ok(dataset)
}

/// ECGs as a model looks at them, and what is known of them.
pub(super) struct Given {
    pub ecgs: Ecgs,
    pub facts: Dataset,
}

/// A model's output with the ECGs that it looks at.
pub(super) struct Subject {
    pub loaded: Loaded,
    pub given: Rc<Given>,
}

/// The models with the outputs asked for and their ECGs, which models of one input share.
pub(super) fn subjects(
    paths: &[PathBuf],
    data: &Path,
    options: &ModelOptions,
    inputs: &InputOptions,
    globals: &Globals,
) -> Result<Vec<Subject>> {
    let mut opened: Vec<(InputKind, Rc<Given>)> = Vec::new();
    let mut all = Vec::new();
    for path in paths {
        let model = options.load_alone(path)?;
        let known = opened.iter().find(|(kind, _)| model.input == Some(*kind)).map(|(_, given)| given.clone());
        let given = match known {
            Some(given) => given,
            None => {
                let given = Rc::new(Given::open(data, &model, options, inputs, globals)?);
                opened.extend(model.input.map(|kind| (kind, given.clone())));
                given
            }
        };
        let loaded = options.load_given(path, model, given.ecgs.example(), &given.facts)?;
        all.extend(loaded.into_iter().map(|loaded| Subject { loaded, given: given.clone() }));
    }
    Ok(all)
}

impl Given {
    fn open(path: &Path, model: &Model, options: &ModelOptions, inputs: &InputOptions, globals: &Globals) -> Result<Self> {
        let ecgs = Ecgs::open(path, model, inputs)?;
        let records = match beside(path, &ecgs)? {
            Some(records) => records,
            None => (0..ecgs.len()).into_par_iter().map(|row| record(&ecgs, row)).collect::<Result<_>>()?,
        };
        let facts = options.labelled(Dataset::new(Box::new(Nowhere(records.len())), records)?, globals)?;
        ecgs.tell(globals);
        Ok(Given { ecgs, facts })
    }

    /// The ECGs of some numbers in all of the file or folder, as a network looks at them.
    pub fn inputs(&self, numbers: &[usize]) -> Result<Array3<f32>> {
        let own = self.ecgs.numbers(0..self.ecgs.len());
        let [channels, samples] = self.ecgs.example();
        let mut batch = Array3::zeros((numbers.len(), channels, samples));
        for (number, mut ecg) in numbers.iter().zip(batch.outer_iter_mut()) {
            let row = own.binary_search(number).map_err(|_| Error::Data(format!("ECG {number} is not among those taken")))?;
            ecg.assign(&self.ecgs.batch(row..row + 1)?.index_axis_move(Axis(0), 0).mapv(|uv| uv as f32));
        }
        Ok(batch)
    }
}

/// What is known of an ECG by itself: of recordings what was measured, of arrays what can be, which is nothing of a single beat.
fn record(ecgs: &Ecgs, row: usize) -> Result<Record> {
    let ready = ecgs.ready(row)?;
    let whole = !ecgs.are_recordings() && ready.ecg.dim() == (LEADS.len(), InputKind::Rhythm.samples());
    let anew =
        || -> Result<_> { Ok(measure(&Rhythm::new(ready.ecg.select(Axis(0), &INDEPENDENT_AT))?, &Thresholds::default()).measurements) };
    let measurements = match ready.measured {
        Some(measured) => measured,
        None if whole => anew()?,
        None => Default::default(),
    };
    Ok(Record { id: ecgs.id(row), measurements })
}

/// What the table of the dataset says to which an array belongs, of the ECGs that are taken.
fn beside(path: &Path, ecgs: &Ecgs) -> Result<Option<Vec<Record>>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let table = folder.join("measurements.csv");
    if ecgs.are_recordings() || !folder.join(MANIFEST).is_file() || !table.is_file() {
        return Ok(None);
    }
    let records = read_table(&table)?;
    if records.len() != ecgs.total() {
        let what = format!("it has {} rows for {} ECGs: one each is expected", records.len(), ecgs.total());
        return Err(Error::format(table, what));
    }
    Ok(Some(ecgs.numbers(0..ecgs.len()).into_iter().map(|number| records[number].clone()).collect()))
}

/// No samples: they come from [`Ecgs`], as each network looks at them.
struct Nowhere(usize);

impl Samples for Nowhere {
    fn len(&self) -> usize {
        self.0
    }

    fn rhythm(&self, _: usize) -> Result<Array2<i16>> {
        Err(Error::Data("these ECGs are in no dataset".into()))
    }

    fn median(&self, ecg: usize) -> Result<Array2<f32>> {
        self.rhythm(ecg).map(|rhythm| rhythm.mapv(f32::from))
    }
}
