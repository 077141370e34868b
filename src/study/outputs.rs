//! What a study explains: an output of each network, or where a network tells one of several classes apart, the logit of each class.

use super::StudySettings;
use crate::dataset::{Target, TargetKind};
use crate::nn::{Model, with_outputs};
use crate::report::results::SplitMetrics;
use crate::tape::{self, Network, Program};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// One output of one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkOutput {
    /// What the network is trained for.
    pub network: Target,
    /// Which of its outputs this is, from 0.
    pub column: usize,
    /// What that output says.
    pub target: Target,
}

impl NetworkOutput {
    /// The outputs of the network of a target.
    ///
    /// # Errors
    /// As [`Target::outputs`].
    pub fn of(network: Target) -> Result<Vec<Self>> {
        let one = |(column, target)| NetworkOutput { network, column, target };
        Ok(network.outputs()?.into_iter().enumerate().map(one).collect())
    }

    /// The file of its network in a study's folder.
    pub fn model(&self, folder: &Path) -> PathBuf {
        folder.join("models").join(format!("{}.cgm", self.network))
    }

    /// The network of this output alone.
    ///
    /// # Errors
    /// [`Error::Program`] if the network cannot be cut so.
    pub fn narrowed(&self, network: Network<f32>) -> Result<Network<f32>> {
        match self.network.width() {
            1 => Ok(network),
            width => tape::column(&network, self.column, width),
        }
    }

    /// The same as a model of its own.
    ///
    /// # Errors
    /// As [`NetworkOutput::narrowed`].
    pub fn narrowed_model(&self, model: Model) -> Result<Model> {
        Ok(Model { network: self.narrowed(model.network)?, target: Some(self.target), ..model })
    }

    /// What tells it from other outputs of its network; nothing for the first.
    pub fn mark(&self) -> String {
        if self.column > 0 { format!(" output {}", self.column) } else { String::new() }
    }
}

impl StudySettings {
    /// Every output that is explained, network by network.
    ///
    /// # Errors
    /// As [`Target::outputs`].
    pub fn outputs(&self) -> Result<Vec<NetworkOutput>> {
        let all = self.targets.iter().map(|target| NetworkOutput::of(*target)).collect::<Result<Vec<_>>>()?;
        Ok(all.into_iter().flatten().collect())
    }

    /// Refuses targets of several outputs that are no classes, and outputs of one name.
    pub(super) fn check_outputs(&self) -> Result<()> {
        if let Some(wide) = self.targets.iter().find(|target| target.width() != 1 && target.kind() != TargetKind::MultiClass) {
            let what = "a study trains a network a target: name them one by one";
            return Err(Error::Usage(format!("'{wide}' has {} outputs: {what}", wide.width())));
        }
        let outputs = self.outputs()?;
        match outputs.iter().enumerate().find(|(at, output)| outputs[..*at].iter().any(|o| o.target.name() == output.target.name())) {
            Some((_, twice)) => {
                Err(Error::Usage(format!("two outputs would be called '{}': call one otherwise, NAME:COLUMN", twice.target)))
            }
            None => Ok(()),
        }
    }
}

/// The program of a target's network: the study's, with a last layer of as many outputs as there are classes.
pub(super) fn program_for(program: &Program, target: Target, example: &[usize]) -> Result<Program> {
    match target.width() {
        1 => Ok(program.clone()),
        width if program.columns(example)? == width => Ok(program.clone()),
        width => with_outputs(program, width),
    }
}

/// ln(p / (1 − p)) of the softmax probability p of each class, from logits (N, K): the logit of that class against all others.
pub(super) fn log_odds(logits: &[f64], classes: usize) -> Vec<f64> {
    let one = |row: &[f64], class: usize| {
        let others = || row.iter().enumerate().filter(|(at, _)| *at != class).map(|(_, logit)| *logit);
        let most = others().fold(f64::NEG_INFINITY, f64::max);
        row[class] - most - others().map(|logit| (logit - most).exp()).sum::<f64>().ln()
    };
    logits.chunks(classes).flat_map(|row| (0..row.len()).map(move |class| one(row, class))).collect()
}

/// Errors of the probabilities of one class against whether it is the right one, beside those of its share in the training part.
pub(super) fn class_errors(split: &str, log_odds: &[f64], truth: &[f64], share: f64) -> SplitMetrics {
    let mean = |error: &dyn Fn(usize) -> f64| (0..truth.len()).map(error).sum::<f64>() / truth.len() as f64;
    let off = |at: usize| 1.0 / (1.0 + (-log_odds[at]).exp()) - truth[at];
    SplitMetrics {
        split: split.to_owned(),
        n: truth.len(),
        mae: mean(&|at| off(at).abs()),
        rmse: mean(&|at| off(at).powi(2)).sqrt(),
        mae_of_mean: mean(&|at| (share - truth[at]).abs()),
        rmse_of_mean: mean(&|at| (share - truth[at]).powi(2)).sqrt(),
        exact: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_odds_are_those_of_the_softmax() {
        let logits = [1.0, -2.0, 0.5, 300.0, -300.0, 0.0];
        let odds = log_odds(&logits, 3);
        let total: f64 = logits[..3].iter().map(|logit: &f64| logit.exp()).sum();
        for (logit, odds) in logits[..3].iter().zip(&odds) {
            let p = logit.exp() / total;
            assert!((odds - (p / (1.0 - p)).ln()).abs() < 1e-12);
        }
        assert!((odds[3] - 300.0).abs() < 1e-9 && (odds[5] + 300.0).abs() < 1e-9, "far logits stay finite");
        let errors = class_errors("test", &[0.0, 0.0], &[1.0, 0.0], 0.25);
        assert_eq!((errors.n, errors.mae, errors.rmse, errors.mae_of_mean), (2, 0.5, 0.5, 0.5));
        assert!((errors.rmse_of_mean - (0.3125f64).sqrt()).abs() < 1e-15);
    }
}
