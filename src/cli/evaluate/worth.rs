//! The rows that figures are of: one column of a target, the ECGs that have it and what the network gives for them.

use super::{Args, Subgroup};
use crate::dataset::{Dataset, SplitBy, Target, TargetKind};
use crate::evaluation::classes::{self, Bin, Scored};
use crate::evaluation::worth::{Figure, numbers, one_of_several, with_intervals, yes_or_no};
use crate::nn::{Examples, Provenance, probabilities};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Bins of a calibration curve.
const BINS: usize = 10;
/// Subgroups that a column may tell, at most.
const MOST_SUBGROUPS: usize = 50;

/// Values and predictions of one column.
pub(super) struct Rows {
    kind: TargetKind,
    pub ecgs: Vec<usize>,
    values: Vec<f64>,
    /// Of a number what is predicted, of yes or no its probability, of classes that of each.
    predicted: Vec<Vec<f64>>,
}

impl Rows {
    /// Those of the column at a place, from outputs (N, K).
    pub fn new(target: Target, at: usize, examples: &Examples, outputs: &[f64]) -> Self {
        let columns = target.columns();
        let column = columns[at];
        let first: usize = columns[..at].iter().map(|column| column.width()).sum();
        let mut rows = Rows { kind: column.kind(), ecgs: Vec::new(), values: Vec::new(), predicted: Vec::new() };
        let all = examples.ecgs.iter().zip(examples.column(at, columns.len())).zip(outputs.chunks(target.width()));
        for ((ecg, value), row) in all.filter(|((_, value), _)| !value.is_nan()) {
            rows.ecgs.push(*ecg);
            rows.values.push(value);
            rows.predicted.push(probabilities(column.kind(), &row[first..first + column.width()]));
        }
        rows
    }

    pub fn is_yes_or_no(&self) -> bool {
        self.kind == TargetKind::Binary
    }

    /// Labels and probabilities of yes.
    pub fn scored(&self) -> Vec<Scored> {
        self.values.iter().zip(&self.predicted).map(|(value, p)| (*value > 0.5, p[0])).collect()
    }

    pub fn calibration(&self) -> Vec<Bin> {
        if self.is_yes_or_no() { classes::calibration(&self.scored(), BINS) } else { Vec::new() }
    }

    pub fn figures(&self, threshold: f64, groups: Option<&[usize]>, seed: u64) -> Vec<Figure> {
        match self.kind {
            TargetKind::Binary => with_intervals(&self.scored(), groups, seed, |pairs| yes_or_no(pairs, threshold)),
            TargetKind::MultiClass => {
                let rows: Vec<(usize, Vec<f64>)> =
                    self.values.iter().map(|value| *value as usize).zip(self.predicted.iter().cloned()).collect();
                with_intervals(&rows, groups, seed, one_of_several)
            }
            _ => {
                let pairs: Vec<(f64, f64)> = self.values.iter().copied().zip(self.predicted.iter().map(|p| p[0])).collect();
                with_intervals(&pairs, groups, seed, numbers)
            }
        }
    }

    fn some(&self, places: &[usize]) -> Rows {
        Rows {
            kind: self.kind,
            ecgs: places.iter().map(|at| self.ecgs[*at]).collect(),
            values: places.iter().map(|at| self.values[*at]).collect(),
            predicted: places.iter().map(|at| self.predicted[*at].clone()).collect(),
        }
    }
}

/// The columns of the labels by which ECGs belong together.
pub(super) struct Columns<'a> {
    group: Option<&'a [Box<str>]>,
    by: Vec<(&'a str, &'a [Box<str>])>,
}

impl<'a> Columns<'a> {
    pub fn new(dataset: &'a Dataset, args: &'a Args, about: Option<&Provenance>) -> Result<Self> {
        let own = about.and_then(|about| match about.settings.further.split {
            SplitBy::Group(word) => Some(word.text()),
            _ => None,
        });
        let group = args.group.as_deref().or(own);
        let column = |name: &str| dataset.needed_labels(&name)?.column(name);
        let by = args.by.iter().map(|name| Ok((name.as_str(), column(name)?))).collect::<Result<Vec<_>>>()?;
        for (name, texts) in &by {
            let count = texts.iter().collect::<std::collections::BTreeSet<_>>().len();
            if count > MOST_SUBGROUPS {
                return Err(Error::Usage(format!("--by {name}: {count} different texts, at most {MOST_SUBGROUPS} tell subgroups")));
            }
        }
        Ok(Columns { group: group.map(column).transpose()?, by })
    }

    /// The number of each row's group. An ECG that names none is one by itself.
    pub fn groups(&self, rows: &Rows) -> Option<Vec<usize>> {
        let texts = self.group?;
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        let of = |ecg: &usize| match &*texts[*ecg] {
            "" => texts.len() + ecg,
            text => *known.entry(text).or_insert(*ecg),
        };
        Some(rows.ecgs.iter().map(of).collect())
    }

    /// Figures of each subgroup of each column; ECGs without a text are in none.
    pub fn subgroups(&self, rows: &Rows, threshold: f64, seed: u64) -> Vec<Subgroup> {
        let mut all = Vec::new();
        for (column, texts) in &self.by {
            let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (at, ecg) in rows.ecgs.iter().enumerate().filter(|(_, ecg)| !texts[**ecg].is_empty()) {
                members.entry(&texts[*ecg]).or_default().push(at);
            }
            for (text, places) in members {
                let own = rows.some(&places);
                let figures = own.figures(threshold, self.groups(&own).as_deref(), seed);
                all.push(Subgroup { column: (*column).to_owned(), text: text.to_owned(), n: places.len(), figures });
            }
        }
        all
    }
}
