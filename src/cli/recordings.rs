//! A recording as a network looks at it: its measured median beat, or its leads at the network's rate and of its length.

use super::measure::whole_microvolts;
use crate::dataset::folder::MANIFEST;
use crate::dataset::{Dataset, InputKind, read_table};
use crate::ecg::leads::{INDEPENDENT, INDEPENDENT_AT, LEADS, RATE};
use crate::ecg::measure::{Measured, Thresholds, measure};
use crate::ecg::read::{Lead, Recording, Source, named};
use crate::ecg::{Measurements, Rhythm, resampled};
use crate::files::npy::{Dtype, NpyRows};
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView2, Axis, Ix2};
use std::path::{Path, PathBuf};

/// What a network, or a picture, looks at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// The median beat, or the recording.
    pub kind: InputKind,
    /// Samples a second of a recording.
    pub rate: f64,
    /// Samples of a recording; as many as there are, where none are said.
    pub samples: Option<usize>,
    /// The leads of a recording, where they are not the twelve.
    pub leads: Option<Vec<String>>,
}

impl Wanted {
    /// What a network of a known input looks at.
    pub fn of(kind: InputKind) -> Self {
        Wanted { kind, rate: RATE, samples: Some(kind.samples()), leads: None }
    }

    /// The names of the leads.
    pub fn names(&self) -> Vec<String> {
        self.leads.clone().unwrap_or_else(|| LEADS.map(str::to_owned).to_vec())
    }
}

/// An ECG ready to be looked at, and what is known of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ready {
    /// (C, L), µV.
    pub ecg: Array2<f32>,
    /// What was done to the recording, in a few words each.
    pub notes: Vec<String>,
    /// What was measured on it.
    pub measured: Option<Measurements>,
    /// Its median beat, (12, 600), where one was measured.
    pub beat: Option<Array2<f32>>,
    /// The measurements that the file carries.
    pub carried: Option<Measurements>,
    /// What is exactly so, where whoever made the ECG knows.
    pub exact: Option<Measurements>,
}

/// Rows of an array on the disk or in memory, (N, C, L).
pub(super) enum Stack {
    Rows(NpyRows),
    /// One ECG, (C, L), read by leads.
    Leads(NpyRows),
    Memory(Array3<f64>),
}

impl Stack {
    /// ECGs, channels, samples.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of axes; [`Error::Format`] if there is no sample.
    pub fn shape(&self, path: &Path) -> Result<[usize; 3]> {
        let shape: &[usize] = match self {
            Stack::Rows(rows) | Stack::Leads(rows) => &rows.header().shape,
            Stack::Memory(array) => array.shape(),
        };
        let shape = match *shape {
            [ecgs, channels, samples] => [ecgs, channels, samples],
            [channels, samples] => [1, channels, samples],
            _ => return Err(Error::shape(path.display().to_string(), "(N, 12, L) or (12, L)", shape)),
        };
        if shape.contains(&0) {
            return Err(Error::format(path, format!("its shape {shape:?} holds no sample")));
        }
        Ok(shape)
    }

    /// Opens a `.npy` file.
    pub fn open(path: &Path) -> Result<Self> {
        let rows = NpyRows::open(path)?;
        Ok(if rows.header().shape.len() == 2 { Stack::Leads(rows) } else { Stack::Rows(rows) })
    }

    /// An ECG as the file has it.
    pub fn row(&self, index: usize) -> Result<Array2<f64>> {
        let row = |rows: &NpyRows, index: usize| match rows.header().dtype {
            Dtype::F64 => rows.row::<f64>(index),
            _ => Ok(rows.row_f32(index)?.mapv(f64::from)),
        };
        match self {
            Stack::Memory(array) => Ok(array.index_axis(Axis(0), index).to_owned()),
            Stack::Rows(rows) => {
                row(rows, index)?.into_dimensionality::<Ix2>().map_err(|error| Error::format(rows.path(), error.to_string()))
            }
            Stack::Leads(rows) => {
                let leads = (0..rows.len()).map(|lead| row(rows, lead)).collect::<Result<Vec<_>>>()?;
                let views: Vec<_> = leads.iter().map(|lead| lead.view()).collect();
                let all = ndarray::stack(Axis(0), &views).map_err(|error| Error::format(rows.path(), error.to_string()))?;
                all.into_dimensionality::<Ix2>().map_err(|error| Error::format(rows.path(), error.to_string()))
            }
        }
    }
}

/// Where recordings come from.
pub(super) enum Origin {
    /// Files.
    Files(Source),
    /// A dataset, whose beats and measurements are its own.
    Dataset(Box<Dataset>, PathBuf),
    /// An array whose leads and rate are said; samples are in `microvolts` µV each.
    Array { path: PathBuf, stack: Stack, names: Vec<String>, rate: f64, microvolts: f64, ids: Option<Vec<String>> },
}

impl Origin {
    /// How many there are.
    ///
    /// # Errors
    /// As [`Stack::shape`].
    pub fn len(&self) -> Result<usize> {
        Ok(match self {
            Origin::Files(source) => source.len(),
            Origin::Dataset(data, _) => data.len(),
            Origin::Array { stack, path, .. } => stack.shape(path)?[0],
        })
    }

    /// The name of one of them.
    pub fn id(&self, index: usize) -> String {
        match self {
            Origin::Files(source) => source.id(index),
            Origin::Dataset(data, _) => data.records()[index].id.clone(),
            Origin::Array { path, ids, stack, .. } => match ids.as_ref().and_then(|ids| ids.get(index)) {
                Some(id) => id.clone(),
                None => {
                    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                    if stack.shape(path).is_ok_and(|shape| shape[0] == 1) { stem.into_owned() } else { format!("{stem}:{index}") }
                }
            },
        }
    }

    /// Where it lies.
    pub fn path(&self, index: usize) -> &Path {
        match self {
            Origin::Files(source) => source.path(index),
            Origin::Dataset(_, path) | Origin::Array { path, .. } => path,
        }
    }

    /// One of them as it is wanted.
    ///
    /// # Errors
    /// As its reader; [`Error::Data`] for an ECG that could not be measured where its median beat is wanted.
    pub fn ready(&self, index: usize, wanted: &Wanted) -> Result<Ready> {
        match self {
            Origin::Dataset(data, path) => of_dataset(data, path, index, wanted),
            Origin::Files(source) => of_recording(&source.read(index)?, source.path(index), wanted),
            Origin::Array { path, stack, names, rate, microvolts, .. } => {
                let row = stack.row(index)?;
                let mut recording = Recording { id: self.id(index), rate: *rate, ..Recording::default() };
                for (name, samples) in names.iter().zip(row.rows()) {
                    let (own, sign) = named(name).map_or((name.as_str(), 1.0), |lead| (lead.name, if lead.negated { -1.0 } else { 1.0 }));
                    recording.leads.push(Lead::new(own, samples.iter().map(|value| sign * value * microvolts).collect()));
                }
                of_recording(&recording, path, wanted)
            }
        }
    }
}

/// An ECG of a dataset, whose samples and measurements are its own.
fn of_dataset(data: &Dataset, path: &Path, index: usize, wanted: &Wanted) -> Result<Ready> {
    let measured = data.measurements(index).clone();
    let exact = data.exact_measurements(index).cloned();
    let facts = Ready { exact, measured: Some(measured.clone()), ..Ready::default() };
    if wanted.kind == InputKind::Median {
        if let Some(reason) = &measured.rejected {
            let id = &data.records()[index].id;
            return Err(Error::Data(format!("{}: ECG {id} has no median beat, it could not be measured: {reason}", path.display())));
        }
        let beat = data.median(index)?;
        return Ok(Ready { ecg: beat.clone(), beat: Some(beat), ..facts });
    }
    let rhythm = Rhythm::new(data.rhythm(index)?.mapv(f32::from))?;
    let beat = data.median(index).ok().filter(|_| measured.rejected.is_none());
    let mut notes = Vec::new();
    let ecg = fitted(rhythm.twelve().mapv(f64::from), RATE, wanted, &mut notes);
    let ecg = chosen(ecg, &LEADS.map(str::to_owned), wanted, path)?;
    Ok(Ready { ecg, notes, beat, ..facts })
}

/// A recording as it is wanted.
fn of_recording(recording: &Recording, path: &Path, wanted: &Wanted) -> Result<Ready> {
    let carried = recording.labels.clone();
    // What has not the twelve leads is looked at as the leads that it is.
    let own: Vec<String> = recording.leads.iter().map(|lead| lead.name.clone()).collect();
    let eight = INDEPENDENT[2..].iter().all(|name| own.iter().any(|own| own == name));
    if !eight && wanted.leads.is_some() && wanted.kind == InputKind::Rhythm {
        let (leads, moved) = whole_microvolts(stacked(recording, path)?.mapv(|uv| uv as f32));
        let leads = leads.mapv(f64::from);
        let mut notes = recording.notes.clone();
        notes.extend((moved > 0).then(|| "electrode offset removed".to_owned()));
        let ecg = fitted(leads, recording.rate, wanted, &mut notes);
        return Ok(Ready { ecg: chosen(ecg, &own, wanted, path)?, notes, carried, ..Ready::default() });
    }
    let (rhythm, mut notes) = recording.rhythm(path)?;
    // In whole µV, as a dataset holds it, so that a file and its import give the same answer.
    let (samples, moved) = whole_microvolts(rhythm.into_samples());
    notes.extend((moved > 0).then(|| "electrode offset removed".to_owned()));
    let rhythm = Rhythm::new(samples)?;
    let Measured { measurements, median } = measure(&rhythm, &Thresholds::default());
    let beat = measurements.rejected.is_none().then_some(median);
    let ecg = match (wanted.kind, &beat) {
        (InputKind::Median, Some(beat)) => beat.clone(),
        (InputKind::Median, None) => {
            let reason = measurements.rejected.as_deref().unwrap_or("no beat");
            return Err(Error::Data(format!("{}: it has no median beat, it could not be measured: {reason}", path.display())));
        }
        (InputKind::Rhythm, _) => {
            if let Some(leads) = at_own_rate(recording, path, &rhythm, wanted) {
                notes.retain(|note| !note.starts_with("resampled"));
                let named = Wanted { leads: Some(wanted.names()), ..wanted.clone() };
                let ecg = chosen(fitted(leads, recording.rate, wanted, &mut notes), &own, &named, path)?;
                return Ok(Ready { ecg, notes, measured: Some(measurements), beat, carried, exact: None });
            }
            let twelve = fitted(rhythm.twelve().mapv(f64::from), RATE, wanted, &mut notes);
            chosen(twelve, &LEADS.map(str::to_owned), wanted, path)?
        }
    };
    Ok(Ready { ecg, notes, measured: Some(measurements), beat, carried, exact: None })
}

/// The leads of a recording that has all twelve whole and at the wanted rate, where that is not ours: nothing is gained by way of another.
fn at_own_rate(recording: &Recording, path: &Path, rhythm: &Rhythm, wanted: &Wanted) -> Option<Array2<f64>> {
    let has = |name: &&str| recording.leads.iter().any(|lead| lead.name == *name);
    if wanted.rate != recording.rate || wanted.rate == RATE || !LEADS.iter().all(has) {
        return None;
    }
    let leads = stacked(recording, path).ok()?;
    // What was cut off while it was made ready is no part of the ECG.
    let lasts = leads.ncols() as f64 / recording.rate;
    ((lasts - rhythm.seconds()).abs() < 0.02).then_some(leads)
}

/// The leads of a recording, (C, T), where they are of one length and finite.
fn stacked(recording: &Recording, path: &Path) -> Result<Array2<f64>> {
    let samples = recording.leads.first().map_or(0, |lead| lead.samples.len());
    if samples == 0 {
        return Err(Error::format(path, "it holds no sample"));
    }
    let mut all = Array2::zeros((recording.leads.len(), samples));
    for (lead, mut row) in recording.leads.iter().zip(all.rows_mut()) {
        if lead.samples.len() != samples {
            return Err(Error::format(path, format!("lead {} has {} samples, others {samples}", lead.name, lead.samples.len())));
        }
        if let Some(at) = lead.samples.iter().position(|uv| !uv.is_finite()) {
            return Err(Error::format(path, format!("lead {}, sample {at} is missing or not a number", lead.name)));
        }
        row.iter_mut().zip(&lead.samples).for_each(|(to, uv)| *to = *uv);
    }
    Ok(all)
}

/// Leads at the wanted rate, cut or filled up to the wanted length; `notes` takes what was done.
fn fitted(leads: Array2<f64>, rate: f64, wanted: &Wanted, notes: &mut Vec<String>) -> Array2<f32> {
    let leads = if rate == wanted.rate {
        leads
    } else {
        notes.push(format!("resampled from {rate} to {} Hz for the network", wanted.rate));
        resampled(leads.view(), rate, wanted.rate)
    };
    let leads = leads.mapv(|uv| uv as f32);
    let seconds = |samples: usize| format!("{:.1} s", samples as f64 / wanted.rate);
    match wanted.samples {
        Some(samples) if leads.ncols() > samples => {
            notes.push(format!("cut to the first {}", seconds(samples)));
            leads.slice_axis(Axis(1), (..samples).into()).to_owned()
        }
        Some(samples) if leads.ncols() < samples => {
            notes.push(format!("lasts {}: filled up to {} with 0 µV", seconds(leads.ncols()), seconds(samples)));
            let mut all = Array2::zeros((leads.nrows(), samples));
            all.slice_axis_mut(Axis(1), (..leads.ncols()).into()).assign(&leads);
            all
        }
        _ => leads,
    }
}

/// The wanted leads out of those there are.
fn chosen(all: Array2<f32>, names: &[String], wanted: &Wanted, path: &Path) -> Result<Array2<f32>> {
    let Some(leads) = &wanted.leads else { return Ok(all) };
    let place = |wanted: &String| {
        let is = |name: &String| name == wanted || named(wanted).is_some_and(|ours| !ours.negated && ours.name == name);
        names.iter().position(is).ok_or_else(|| Error::format(path, format!("it has no lead {wanted}; its leads are {}", names.join(", "))))
    };
    let places = leads.iter().map(place).collect::<Result<Vec<usize>>>()?;
    Ok(all.select(Axis(0), &places))
}

/// What is known of ECG `number` of the `count` in an array: from the table given, from the tables of the dataset that the array belongs to, or measured
/// anew. Its id, where a table names it.
///
/// # Errors
/// [`Error::Format`] for a table of another number of rows; as reading it.
pub(super) fn look_up(array: &Path, table: Option<&Path>, (number, count): (usize, usize), ready: &mut Ready) -> Result<Option<String>> {
    let row = |table: &Path| {
        let records = read_table(table)?;
        if records.len() != count {
            return Err(Error::format(table, format!("it has {} rows for {count} ECGs: one each is expected", records.len())));
        }
        Ok(records.into_iter().nth(number))
    };
    let folder = array.parent().unwrap_or(Path::new(""));
    let beside = |name: &str| Some(folder.join(name)).filter(|table| folder.join(MANIFEST).is_file() && table.is_file());
    let table = table.map(Path::to_owned).or_else(|| beside("measurements.csv"));
    let own = table.map(|table| row(&table)).transpose()?.flatten();
    let exact = beside("truth.csv").map(|table| row(&table)).transpose()?.flatten();
    ready.exact = exact.map(|record| record.measurements);
    let id = own.map(|record| {
        ready.measured = Some(record.measurements);
        record.id
    });
    if ready.ecg.dim() == (LEADS.len(), InputKind::Rhythm.samples()) {
        let found = measure(&Rhythm::new(ready.ecg.select(Axis(0), &INDEPENDENT_AT))?, &Thresholds::default());
        ready.beat = found.measurements.rejected.is_none().then_some(found.median);
        ready.measured.get_or_insert(found.measurements);
    }
    Ok(id)
}

/// All twelve leads of an ECG that holds the eight independent ones, (8, L) → (12, L), in f64.
pub(super) fn twelve(eight: ArrayView2<'_, f64>) -> Array2<f64> {
    crate::ecg::leads::twelve(eight.mapv(|uv| uv as f32).view()).mapv(f64::from)
}
