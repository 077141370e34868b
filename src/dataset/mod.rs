//! Datasets: records, targets and splits.
//!
//! A [`Dataset`] gives the input of each ECG on demand, from memory ([`Dataset::in_memory`]) or from a folder that is never read whole
//! ([`Dataset::open`], with the feature `files`).

#[cfg(feature = "files")]
pub mod folder;
mod generate;
mod labels;
mod samples;
mod split;
#[cfg(feature = "files")]
mod table;
mod target;
#[cfg(feature = "files")]
mod writer;

use crate::ecg::Measurements;
use crate::ecg::leads::twelve;
use crate::{Error, Result};
pub use generate::{Entry, Noise, Source};
pub use labels::Labels;
use ndarray::{Array2, Array3, ArrayViewMut3, Axis};
pub use samples::{InMemory, Samples};
pub use split::{Part, Split, SplitBy, Word};
pub use target::{InputKind, MOST_OUTPUTS, Place, Row, Target, TargetKind, Transform};
#[cfg(feature = "files")]
pub use {
    folder::{Manifest, Origin},
    table::{COLUMNS, read_table, with_fields, write_header, write_row, write_table, write_wide_header, write_wide_row},
    writer::{DatasetWriter, FILE_COLUMNS, generate_folder, generate_range, join_folders},
};

/// What is known of one ECG besides its samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its name, unique in the dataset.
    pub id: String,
    /// Its measurements.
    pub measurements: Measurements,
}

/// ECGs with their measurements.
pub struct Dataset {
    records: Vec<Record>,
    samples: Box<dyn Samples>,
    /// Exact values by ECG, empty where none are known.
    truth: Vec<Measurements>,
    /// Labels of the user's own.
    labels: Option<Labels>,
    #[cfg(feature = "files")]
    manifest: Option<folder::Manifest>,
    #[cfg(feature = "files")]
    digest: String,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset").field("ecgs", &self.len()).finish_non_exhaustive()
    }
}

impl Dataset {
    /// A dataset from any source of samples.
    ///
    /// # Errors
    /// [`Error::Data`] if there are not as many records as ECGs.
    pub fn new(samples: Box<dyn Samples>, records: Vec<Record>) -> Result<Self> {
        if records.len() != samples.len() {
            return Err(Error::Data(format!("{} records for {} ECGs", records.len(), samples.len())));
        }
        Ok(Dataset {
            records,
            samples,
            truth: Vec::new(),
            labels: None,
            #[cfg(feature = "files")]
            manifest: None,
            #[cfg(feature = "files")]
            digest: String::new(),
        })
    }

    /// A dataset from arrays: rhythms (N, 8, T) int16 µV, median beats (N, 12, L) µV, or both; the ids are 0, 1, ….
    ///
    /// # Errors
    /// As [`InMemory::new`] and [`Dataset::new`].
    pub fn in_memory(rhythms: Option<Array3<i16>>, medians: Option<Array3<f32>>, measurements: Vec<Measurements>) -> Result<Self> {
        let named = |(i, measurements): (usize, Measurements)| Record { id: i.to_string(), measurements };
        Self::new(Box::new(InMemory::new(rhythms, medians)?), measurements.into_iter().enumerate().map(named).collect())
    }

    /// Number of ECGs.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no ECG.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Ids and measurements of all ECGs.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The measurements of ECG `i`.
    ///
    /// # Panics
    /// Beyond the last ECG.
    pub fn measurements(&self, i: usize) -> &Measurements {
        &self.records[i].measurements
    }

    /// Puts labels beside the ECGs.
    ///
    /// # Errors
    /// [`Error::Data`] if they are not of as many ECGs.
    pub fn with_labels(mut self, labels: Labels) -> Result<Self> {
        if labels.len() != self.len() {
            return Err(Error::Data(format!("labels of {} ECGs for {}", labels.len(), self.len())));
        }
        self.labels = Some(labels);
        Ok(self)
    }

    /// The labels, where there are any.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// The labels, which something asks for.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are none.
    pub fn needed_labels(&self, what: &dyn std::fmt::Display) -> Result<&Labels> {
        self.labels().ok_or_else(|| Error::Usage(format!("'{what}' is a label, which the dataset has not: --labels Y.csv")))
    }

    /// Refuses a target that neither the measurements nor the labels hold.
    ///
    /// # Errors
    /// As [`Labels::check`]; [`Error::Usage`] where labels are needed and there are none.
    pub fn check_target(&self, target: Target) -> Result<()> {
        if target.columns().into_iter().all(Target::is_measurement) {
            return Ok(());
        }
        self.needed_labels(&target)?.check(target)
    }

    /// The value of `target`, which has one column, in ECG `i`: a number, 0 or 1, or the place of a class. `None` where it was not measured, or its
    /// label is missing.
    ///
    /// # Panics
    /// Beyond the last ECG.
    pub fn target(&self, i: usize, target: Target) -> Option<f64> {
        if target.is_measurement() { target.value(self.measurements(i)) } else { self.labels()?.value(i, target) }
    }

    /// The exact value of `target` in ECG `i`, which only a simulator can tell: what was measured is measured with an error. `None` where it is
    /// not known.
    pub fn exact(&self, i: usize, target: Target) -> Option<f64> {
        self.truth.get(i).and_then(|truth| target.value(truth))
    }

    /// All exact values of ECG `i`, fiducials too, where a simulator tells them.
    pub fn exact_measurements(&self, i: usize) -> Option<&Measurements> {
        self.truth.get(i)
    }

    /// Whether exact values are known.
    pub fn has_exact(&self) -> bool {
        !self.truth.is_empty()
    }

    /// The 8 independent leads of ECG `i`, (8, 5000) µV.
    ///
    /// # Errors
    /// [`Error::Data`] where the dataset holds no rhythms; [`Error::Io`].
    pub fn rhythm(&self, i: usize) -> Result<Array2<i16>> {
        self.samples.rhythm(i)
    }

    /// The median beat of ECG `i`, (12, 600) µV.
    ///
    /// # Errors
    /// [`Error::Data`] where the dataset holds no median beats; [`Error::Io`]; [`Error::Value`] for a NaN or infinite sample.
    pub fn median(&self, i: usize) -> Result<Array2<f32>> {
        self.samples.median(i)
    }

    /// The network input of ECG `i`, (12, L) µV.
    ///
    /// # Errors
    /// As [`Dataset::rhythm`] and [`Dataset::median`].
    pub fn input(&self, i: usize, kind: InputKind) -> Result<Array2<f32>> {
        match kind {
            InputKind::Median => self.median(i),
            InputKind::Rhythm => Ok(twelve(self.rhythm(i)?.mapv(f32::from).view())),
        }
    }

    /// The inputs of several ECGs as one batch, (N, 12, L) µV.
    ///
    /// # Errors
    /// As [`Dataset::input`]; [`Error::Data`] for no ECG.
    pub fn inputs(&self, ecgs: &[usize], kind: InputKind) -> Result<Array3<f32>> {
        let Some((first, others)) = ecgs.split_first() else { return Err(Error::Data("no ECG in the batch".into())) };
        let first = self.input(*first, kind)?;
        let mut batch = Array3::zeros((ecgs.len(), first.nrows(), first.ncols()));
        let (mut own, rest) = batch.view_mut().split_at(Axis(0), 1);
        own.index_axis_mut(Axis(0), 0).assign(&first);
        self.fill_inputs(others, kind, rest)?;
        Ok(batch)
    }

    /// Fills a batch (N, 12, L) of the caller's.
    ///
    /// # Errors
    /// As [`Dataset::input`]; [`Error::Shape`] if the batch does not fit.
    pub fn fill_inputs(&self, ecgs: &[usize], kind: InputKind, mut batch: ArrayViewMut3<'_, f32>) -> Result<()> {
        if batch.len_of(Axis(0)) != ecgs.len() {
            return Err(Error::shape("batch", ecgs.len(), batch.len_of(Axis(0))));
        }
        for (&ecg, mut row) in ecgs.iter().zip(batch.outer_iter_mut()) {
            let input = self.input(ecg, kind)?;
            if input.dim() != row.dim() {
                return Err(Error::shape(format!("ECG {ecg}"), row.shape(), input.shape()));
            }
            row.assign(&input);
        }
        Ok(())
    }

    /// The 60 / 20 / 20 split of this dataset under a seed.
    pub fn split(&self, seed: u64) -> Split {
        Split::new(self.len(), seed)
    }

    /// The same divided as is said.
    ///
    /// # Errors
    /// [`Error::Usage`] for a column that is not there; [`Error::Data`] for ECGs without a group; as [`Split::given`].
    pub fn split_by(&self, by: SplitBy, seed: u64) -> Result<Split> {
        match by {
            SplitBy::Ecg => Ok(self.split(seed)),
            SplitBy::Group(word) => {
                let groups = self.needed_labels(&word.text())?.column(word.text())?;
                match groups.iter().position(|group| group.is_empty()) {
                    None => Ok(Split::grouped(groups, seed)),
                    Some(ecg) => {
                        let (id, name) = (&self.records[ecg].id, word.text());
                        Err(Error::Data(format!("ECG {ecg} ('{id}') has no '{name}': whether it may be apart from others is not known")))
                    }
                }
            }
            SplitBy::Column(word) => Split::given(self.needed_labels(&word.text())?.column(word.text())?, seed),
        }
    }

    /// The ECGs of one part that have a value of `target`, of several outputs that of any: an ECG that lacks it is left out for that target only.
    pub fn examples(&self, split: &Split, part: Part, target: Target) -> Vec<usize> {
        let columns = target.columns();
        let known = |i: &usize| columns.iter().any(|column| self.target(*i, *column).is_some_and(f64::is_finite));
        split.part(part).iter().copied().filter(known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(pr_ms: Option<f64>) -> Measurements {
        Measurements { pr_ms, qt_ms: Some(400.0), ..Default::default() }
    }

    #[test]
    fn a_missing_target_leaves_an_ecg_out_for_that_target_only() {
        let medians = Array3::from_shape_fn((10, 12, 4), |(i, lead, t)| (i * 100 + lead * 10 + t) as f32);
        let measurements = (0..10).map(|i| measured((i % 2 == 0).then_some(160.0))).collect();
        let data = Dataset::in_memory(None, Some(medians), measurements).unwrap();
        let split = data.split(3);
        let count = |target| Part::ALL.iter().map(|&part| data.examples(&split, part, target).len()).sum::<usize>();
        assert_eq!((count(Target::Pr), count(Target::Qt), count(Target::Qrs)), (5, 10, 0));
        assert!(data.examples(&split, Part::Train, Target::Pr).iter().all(|i| i % 2 == 0));
        assert_eq!(data.inputs(&[7, 2], InputKind::Median).unwrap()[[1, 3, 2]], 232.0);
        assert!(data.input(0, InputKind::Rhythm).unwrap_err().to_string().contains("no rhythms"));
    }

    #[test]
    fn a_rhythm_becomes_twelve_leads() {
        let rhythms = Array3::from_shape_fn((2, 8, 5), |(i, lead, t)| (1000 * i + 100 * lead + t) as i16);
        let data = Dataset::in_memory(Some(rhythms), None, vec![measured(None); 2]).unwrap();
        let input = data.input(1, InputKind::Rhythm).unwrap();
        assert_eq!(input.dim(), (12, 5));
        assert_eq!((input[[0, 2]], input[[1, 2]], input[[2, 2]], input[[11, 2]]), (1002.0, 1102.0, 100.0, 1702.0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let nan = Array3::from_elem((1, 12, 3), f32::NAN);
        let error = Dataset::in_memory(None, Some(nan), vec![measured(None)]).unwrap_err().to_string();
        assert!(error.contains("ECG 0, lead I, sample 0"), "{error}");
        assert!(Dataset::in_memory(None, Some(Array3::zeros((1, 8, 3))), vec![measured(None)]).is_err());
        assert!(Dataset::in_memory(None, Some(Array3::zeros((2, 12, 3))), vec![measured(None)]).is_err());
        assert!(Dataset::in_memory(None, None, vec![]).is_err());
    }
}
