//! `--labels`: a table of the user's own labels beside a dataset, and what targets are asked for in it.

use super::Globals;
use super::console::complain;
use super::provenance::Input;
use crate::dataset::{Dataset, SplitBy, Target, Word};
use crate::nn::Loss;
use crate::study::LabelTable;
use crate::{Error, Result};
use std::path::PathBuf;

/// Where labels come from.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct LabelOptions {
    /// A table of labels: a column `id` with the dataset's ids, and one column a label, empty where it is missing.
    #[arg(long, value_name = "Y.csv")]
    labels: Option<PathBuf>,
    /// Leave out rows of the labels whose id is not in the dataset.
    #[arg(long, requires = "labels")]
    pass_unknown_ids: bool,
}

impl LabelOptions {
    /// The dataset with its labels, if any are given.
    pub fn put(&self, dataset: Dataset, globals: &Globals) -> Result<Dataset> {
        let Some(path) = &self.labels else { return Ok(dataset) };
        let dataset = dataset.read_labels(path, self.pass_unknown_ids)?;
        if let Some(labels) = dataset.labels().filter(|_| !globals.quiet) {
            let (absent, unknown) = (labels.absent(), labels.unknown().len());
            if absent > 0 {
                complain(format_args!("{}: {absent} of the dataset's {} ECGs have no row there\n", path.display(), dataset.len()));
            }
            if unknown > 0 {
                complain(format_args!("{}: {unknown} rows of ids that are not in the dataset are left out\n", path.display()));
            }
        }
        Ok(dataset)
    }

    /// The same for a study's settings.
    pub fn table(&self) -> Option<LabelTable> {
        self.labels.clone().map(|path| LabelTable { path, pass_unknown: self.pass_unknown_ids })
    }

    /// Whether any are given.
    pub fn any(&self) -> bool {
        self.labels.is_some()
    }

    /// Their file.
    pub fn path(&self) -> Option<&PathBuf> {
        self.labels.as_ref()
    }

    /// Their file as an input of a command.
    pub fn file(&mut self) -> Option<(&'static str, Input<'_>)> {
        self.labels.as_mut().map(|path| ("labels", Input::Path(path)))
    }
}

/// The split that `--group` or `--split-column` asks for.
pub(super) fn split_by(group: Option<&str>, column: Option<&str>) -> Result<SplitBy> {
    Ok(match (group, column) {
        (Some(group), _) => SplitBy::Group(Word::new(group)?),
        (None, Some(column)) => SplitBy::Column(Word::new(column)?),
        (None, None) => SplitBy::Ecg,
    })
}

/// The targets of a list: measurements by their names, labels as [`crate::dataset::Labels::define`] takes them.
pub(super) fn targets(list: &str, loss: Option<Loss>, dataset: &Dataset) -> Result<Vec<Target>> {
    let one = |name: &str| {
        let name = name.trim();
        let column = dataset.labels().is_some_and(|labels| labels.names().any(|column| column == name));
        match Target::measurement(name) {
            Some(_) if column => Err(Error::Usage(format!("'{name}' is a measurement and a column of the labels: call it NAME:{name}"))),
            Some(target) if loss.is_none_or(|loss| loss == Loss::Mse) => Ok(target),
            Some(_) => {
                let what = "is a number: --loss mse, or a label of yes and no, as pr_ms>200 in measurements.csv";
                Err(Error::Usage(format!("'{name}' {what}")))
            }
            None => match dataset.labels() {
                Some(labels) => labels.define(name, loss.map(Loss::kind)),
                None => name.parse(),
            },
        }
    };
    list.split(',').map(one).collect()
}
