//! Networks to compare with: one trained on permuted labels (Adebayo et al. 2018, section 4: the data randomisation test), and some trained
//! from other seeds.
//!
//! Both are trained as the network itself was, on the same split. What is kept is the network after its last epoch: with permuted labels no
//! epoch is better than another on the validation part.

use super::settings::{Draw, Settings};
use super::subject::Subject;
use crate::dataset::Part;
use crate::nn::{Examples, Model, Start, TrainSettings, TrainingData, TrainingFiles};
use crate::progress::Report;
use crate::random::Stream;
use crate::{Error, Result};
use rand::seq::SliceRandom;
use std::path::Path;

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Trained on the values of the training ECGs in a random order.
    PermutedLabels,
    /// Trained from another seed: other initial weights, another order of ECGs. From 1.
    OtherSeed(usize),
}

impl Control {
    /// The name in files.
    pub fn name(self) -> String {
        match self {
            Control::PermutedLabels => "permuted_labels".into(),
            Control::OtherSeed(number) => format!("seed_{number}"),
        }
    }

    /// How it is trained: as the network itself, if that is known, else as the quick preset does.
    pub fn settings(self, subject: &Subject<'_>, settings: &Settings) -> TrainSettings {
        let mut own = subject.model.provenance.as_ref().map_or_else(TrainSettings::quick, |about| about.settings);
        // It is trained from initial weights, whatever the network itself began from.
        own.further.from = None;
        match self {
            Control::PermutedLabels => TrainSettings { epochs: settings.permuted_epochs.unwrap_or(own.epochs), ..own },
            Control::OtherSeed(number) => TrainSettings { seed: own.seed.wrapping_add(number as u64), ..own },
        }
    }

    /// The network: from `folder` if it is there, else trained, from its last checkpoint if that is there.
    ///
    /// # Errors
    /// As [`TrainingFiles::train`].
    pub fn network(self, subject: &Subject<'_>, settings: &Settings, folder: &Path, report: Report<'_>) -> Result<Model> {
        let training = self.settings(subject, settings);
        let origin = format!("{} {}", subject.dataset_digest, self.name());
        let files = TrainingFiles::last_only(&folder.join(format!("{}.{}.cgm", subject.name, self.name())));
        std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
        let [train, validation, test] = self.examples(subject, settings);
        let inputs = |ecgs: &[usize]| subject.dataset.inputs(ecgs, subject.input);
        let data = TrainingData {
            target: subject.target,
            input: subject.input,
            inputs: &inputs,
            train: &train,
            validation: &validation,
            test: &test,
        };
        files.train(subject.model.network.program(), data, &training, &origin, Start::Reuse, report)
    }

    /// Training, validation and test examples. Permuted labels stay within their part; those of the test part stay where they are.
    fn examples(self, subject: &Subject<'_>, settings: &Settings) -> [Examples; 3] {
        Part::ALL.map(|part| {
            let mut examples = Examples::of(subject.dataset, subject.split, part, subject.target);
            if self == Control::PermutedLabels && part != Part::Test {
                let draw = Draw::Labels.repeat(part as u32);
                let mut rng = Stream::new(settings.seed, Draw::STAGE).target(subject.target.index()).repeat(draw).rng();
                let columns = subject.target.columns().len();
                let mut rows: Vec<&[f64]> = examples.values.chunks(columns).collect();
                rows.shuffle(&mut rng);
                examples.values = rows.concat();
            }
            examples
        })
    }
}
