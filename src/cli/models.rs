//! Models on the command line, with what is to be known of them: the file's own word, or options where it says nothing.

use super::Globals;
use super::console::complain;
use super::outputs::{Column, columns, narrowed, targets};
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
    /// Which output, from 0 or by its name, of a network with several; `all` for every one, of a model that says what each predicts.
    #[arg(long, value_name = "K|NAME|all")]
    column: Option<Column>,
}

/// A model with what is to be known of it.
pub(super) struct Loaded {
    /// Its file's stem; of one of several outputs with the output behind.
    pub name: String,
    /// The network of one output.
    pub model: Model,
    pub target: Target,
    pub input: InputKind,
    /// The digest of its file.
    pub digest: String,
    /// The output that it is of the network in the file.
    pub column: usize,
}

impl Loaded {
    /// The seed of the split that it was trained on, or another where it does not say.
    pub fn split_seed(&self, other: u64) -> u64 {
        self.model.provenance.as_ref().map_or(other, |about| about.settings.seed)
    }
}

impl ModelOptions {
    /// Reads models, each with the output asked for, or with every one as a model of its own.
    pub fn load_all<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<Vec<Loaded>> {
        let mut all = Vec::new();
        for path in paths {
            all.extend(self.load(path)?);
        }
        Ok(all)
    }

    /// Reads a model: the output asked for, or every one.
    pub fn load(&self, path: &Path) -> Result<Vec<Loaded>> {
        let model = load_model(path, self.arch.as_deref())?;
        let input = chosen("input", path, self.input, model.input)?;
        let example = [LEADS.len(), input.samples()];
        let of_file = |error: Error| match error {
            Error::Usage(what) => Error::Usage(format!("{}: {what}", path.display())),
            other => Error::format(path, other.to_string()),
        };
        let wanted = columns(&model, &example, self.column.as_ref()).map_err(of_file)?;
        let targets = targets(&model);
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let digest = format!("sha256:{}", sha256_file(path)?);
        let several = model.network.program().columns(&example)? > 1;
        if wanted.len() > 1 && targets.len() < wanted.len() {
            let text = "the file does not say what each output predicts: choose one with --column K, and say what it is with --target";
            return Err(Error::Usage(format!("{}: {text}", path.display())));
        }
        let one = |column: usize| {
            let own = targets.get(column).copied().filter(|_| targets.len() > 1 || !several);
            let target = chosen("target", path, self.target.filter(|_| wanted.len() == 1), own)?;
            let name = if several {
                format!("{stem}.{}", own.map_or_else(|| column.to_string(), |own| own.name().to_owned()))
            } else {
                stem.clone()
            };
            let model = Model { target: Some(target), ..narrowed(model.clone(), &example, column)? };
            Ok(Loaded { name, model, target, input, digest: digest.clone(), column })
        };
        wanted.iter().map(|column| one(*column)).collect()
    }

    /// Whether any is given.
    pub fn any(&self) -> bool {
        self.arch.is_some() || self.target.is_some() || self.input.is_some() || self.column.is_some()
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
