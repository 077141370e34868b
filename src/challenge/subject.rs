//! What is challenged: a network with the ECGs it is asked about.

use crate::dataset::{Dataset, InputKind, Part, Split, Target};
use crate::nn::Model;
use crate::{Error, Result};
use ndarray::{Array3, Axis, Slice};

/// A network and its data.
pub struct Subject<'a> {
    /// Its name in files and tables: the target's, or whatever tells it from another of the same target.
    pub name: String,
    /// The network and how it was trained.
    pub model: &'a Model,
    /// What it predicts.
    pub target: Target,
    /// What it looks at.
    pub input: InputKind,
    /// The ECGs.
    pub dataset: &'a Dataset,
    /// Their parts, as the network was trained on.
    pub split: &'a Split,
    /// The digest of the model's file.
    pub model_digest: String,
    /// The digest of the dataset.
    pub dataset_digest: String,
}

/// ECGs with their numbers in the dataset.
pub(super) struct Batch {
    pub ids: Vec<usize>,
    /// (N, C, L), µV.
    pub x: Array3<f32>,
}

impl Batch {
    /// The samples of one ECG, row-major.
    pub fn samples(&self, n: usize) -> Vec<f32> {
        self.x.index_axis(Axis(0), n).iter().copied().collect()
    }

    /// The first ECGs of it.
    pub fn first(&self, count: usize) -> Batch {
        let count = count.min(self.ids.len());
        Batch { ids: self.ids[..count].to_vec(), x: self.x.slice_axis(Axis(0), Slice::from(..count)).to_owned() }
    }
}

impl Subject<'_> {
    /// The first test ECGs that have the target, in the order of the split.
    pub(super) fn batch(&self, count: usize) -> Result<Batch> {
        let mut ids = self.test_ecgs();
        ids.truncate(count);
        if ids.is_empty() {
            return Err(Error::Data(format!("no ECG of the test part has a value for {}", self.target)));
        }
        let x = self.dataset.inputs(&ids, self.input)?;
        Ok(Batch { ids, x })
    }

    /// All test ECGs that have the target.
    pub(super) fn test_ecgs(&self) -> Vec<usize> {
        self.dataset.examples(self.split, Part::Test, self.target)
    }
}
