//! Models on the command line, with what is to be known of them: the file's own word, or options where it says nothing.

use super::Globals;
use super::console::complain;
use super::outputs::one_output;
use super::provenance::{Input, program_file};
use crate::dataset::{InputKind, Part, Target};
use crate::ecg::leads::LEADS;
use crate::files::digest::sha256_file;
use crate::nn::{Model, load_model};
use crate::report::findings::words_for_the_mean;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The file of a model that is named on the command line: a path, or the name of a shipped model.
pub(super) fn model_path(name: &str) -> std::result::Result<PathBuf, std::convert::Infallible> {
    Ok(crate::nn::shipped::model_path(name))
}

/// Options for models that do not say themselves what they are: PyTorch state dicts.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct ModelOptions {
    /// The network of a state dict: stevennet, standardconv or a program file (.json).
    #[arg(long)]
    arch: Option<String>,
    /// What a state dict's network predicts.
    #[arg(long)]
    target: Option<Target>,
    /// What a state dict's network looks at: median or rhythm.
    #[arg(long)]
    input: Option<InputKind>,
}

/// A model with what is to be known of it.
pub(super) struct Loaded {
    /// Its file's stem.
    pub name: String,
    pub model: Model,
    pub target: Target,
    pub input: InputKind,
    /// The digest of its file.
    pub digest: String,
}

impl Loaded {
    /// The seed of the split that it was trained on, or another where it does not say.
    pub fn split_seed(&self, other: u64) -> u64 {
        self.model.provenance.as_ref().map_or(other, |about| about.settings.seed)
    }
}

impl ModelOptions {
    /// Reads a model.
    pub fn load(&self, path: &Path) -> Result<Loaded> {
        let model = load_model(path, self.arch.as_deref())?;
        let target = chosen("target", path, self.target, model.target)?;
        let input = chosen("input", path, self.input, model.input)?;
        one_output(&model, &[LEADS.len(), input.samples()]).map_err(|error| match error {
            Error::Usage(what) => Error::Usage(format!("{}: {what}", path.display())),
            other => Error::format(path, other.to_string()),
        })?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Loaded { name, model, target, input, digest: format!("sha256:{}", sha256_file(path)?) })
    }

    /// Whether any is given.
    pub fn any(&self) -> bool {
        self.arch.is_some() || self.target.is_some() || self.input.is_some()
    }

    /// `--arch`, where it is a file.
    pub fn program_file(&mut self) -> Option<(&'static str, Input<'_>)> {
        program_file(&mut self.arch)
    }
}

/// What the file says, or what was asked for where it says nothing.
fn chosen<T: PartialEq + Copy>(what: &str, path: &Path, asked: Option<T>, own: Option<T>) -> Result<T> {
    match (asked, own) {
        (Some(asked), Some(own)) if asked != own => {
            Err(Error::Usage(format!("{}: the file names another {what}: leave --{what} out", path.display())))
        }
        _ => own.or(asked).ok_or_else(|| Error::Usage(format!("{}: the file does not say its {what}: --{what}", path.display()))),
    }
}

/// Refuses models of one name.
pub(super) fn names_differ<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::Usage(format!("two models are called '{name}': their results would have the same name")));
        }
    }
    Ok(())
}

/// Says on standard error that a model is worse than the mean, where its file knows: what it predicts and its heatmaps are then of little worth.
pub(super) fn warn_if_worse_than_mean(model: &Model, globals: &Globals) {
    if let Some(warning) = worse_than_mean(model).filter(|_| !globals.quiet) {
        complain(format_args!("cardiograd: warning: {warning}\n"));
    }
}

/// That a model is no better than the mean on the test part that it was trained beside, if it is so and its file knows.
pub(super) fn worse_than_mean(model: &Model) -> Option<String> {
    let test = model.provenance.as_ref().and_then(|about| about.metrics(Part::Test)).filter(|test| test.mae >= test.mae_of_mean)?;
    Some(words_for_the_mean(test.mae, test.mae_of_mean, model.unit()))
}
