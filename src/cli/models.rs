//! Models on the command line, with what is to be known of them: the file's own word, or options where it says nothing.

use super::Globals;
use super::console::complain;
use super::labels::{LabelOptions, targets};
use super::outputs::{Column, columns, narrowed};
use super::provenance::{Input, program_file};
use crate::dataset::{Dataset, InputKind, Part, Place, Row, Split, SplitBy, Target, TargetKind, Transform};
use crate::ecg::leads::LEADS;
use crate::files::digest::sha256_file;
use crate::nn::{Loss, Model, load_model};
use crate::report::findings::words_for_the_mean;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

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
    /// What the network of a state dict or an ONNX file predicts: a measurement, or columns of the labels as train takes them.
    #[arg(long, value_name = "NAME,…")]
    target: Option<String>,
    /// What kind of value it is, where labels do not say: mse for numbers, bce for yes or no, cross_entropy for classes.
    #[arg(long, value_name = "mse|bce|cross_entropy", requires = "target")]
    loss: Option<Loss>,
    #[command(flatten)]
    labels: LabelOptions,
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

    /// The parts of a dataset as it was trained on them; by a seed where it does not say.
    pub fn split(&self, dataset: &Dataset, seed: Option<u64>) -> Result<Split> {
        let by = self.model.provenance.as_ref().map_or(SplitBy::Ecg, |about| about.settings.further.split);
        dataset.split_by(by, seed.unwrap_or_else(|| self.split_seed(0)))
    }
}

impl ModelOptions {
    /// Opens a dataset with the labels that are given.
    pub fn dataset(&self, path: &Path, globals: &Globals) -> Result<Dataset> {
        self.labels.put(Dataset::open(path)?, globals)
    }

    /// Puts the labels that are given beside what is known of ECGs.
    pub fn labelled(&self, facts: Dataset, globals: &Globals) -> Result<Dataset> {
        self.labels.put(facts, globals)
    }

    /// Reads models, each with the output asked for, or with every one as a model of its own.
    pub fn load_all<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>, dataset: &Dataset) -> Result<Vec<Loaded>> {
        let mut all = Vec::new();
        for path in paths {
            all.extend(self.load(path, dataset)?);
        }
        Ok(all)
    }

    /// Reads a model: the output asked for, or every one, each as a model of one output. What they predict must be in the dataset.
    pub fn load(&self, path: &Path, dataset: &Dataset) -> Result<Vec<Loaded>> {
        let whole = self.load_any(path, dataset)?;
        let example = [LEADS.len(), whole.input.samples()];
        self.each(whole, path, example)
    }

    /// A model by itself, looking at what it says, or at what is asked for where it says nothing.
    pub fn load_alone(&self, path: &Path) -> Result<Model> {
        let model = load_model(path, self.arch.as_deref())?;
        let input = match (self.input, model.input) {
            (None, None) => None,
            (asked, own) => Some(chosen("input", path, asked, own)?),
        };
        Ok(Model { input, ..model })
    }

    /// The outputs asked for of a model that looks at examples of a shape, with what is known of ECGs that are in no dataset: their values need not be.
    pub fn load_given(&self, path: &Path, model: Model, example: [usize; 2], facts: &Dataset) -> Result<Vec<Loaded>> {
        let target = match self.asked_target(path, &model, facts)? {
            Some(target) => target,
            None => Target::own(UNNAMED.clone())?,
        };
        if self.labels.any() {
            facts.check_target(target)?;
        }
        let whole = Self::whole(path, model.input.unwrap_or(InputKind::Rhythm), model, target, &example)?;
        self.each(whole, path, example)
    }

    /// The outputs asked for, each as a model of one output.
    fn each(&self, whole: Loaded, path: &Path, example: [usize; 2]) -> Result<Vec<Loaded>> {
        let of_file = |error: Error| match error {
            Error::Usage(what) => Error::Usage(format!("{}: {what}", path.display())),
            other => Error::format(path, other.to_string()),
        };
        let several = whole.model.network.program().columns(&example)? > 1;
        let wanted = columns(&whole.model, &example, self.column.as_ref()).map_err(of_file)?;
        let outputs = whole.target.outputs()?;
        if wanted.len() > 1 && outputs.len() < wanted.len() {
            let text = "the file does not say what each output predicts: choose one with --column K, and say what it is with --target";
            return Err(Error::Usage(format!("{}: {text}", path.display())));
        }
        let one = |column: usize| {
            let target = if outputs.len() > 1 { outputs[column] } else { whole.target };
            let name = match (several, outputs.len() > 1) {
                (false, _) => whole.name.clone(),
                (true, true) => format!("{}.{target}", whole.name),
                (true, false) => format!("{}.{column}", whole.name),
            };
            let mut model = Model { target: Some(target), ..narrowed(whole.model.clone(), &example, column)? };
            if let Some(about) = &mut model.provenance
                && let Some(own) = about.outputs.iter().find(|output| output.target == target).cloned()
            {
                // What is known of this output is what is known of its model.
                (about.train_mean, about.metrics, about.outputs) = (own.train_mean, own.metrics, Vec::new());
            }
            let (input, digest) = (whole.input, whole.digest.clone());
            Ok(Loaded { name, model, target, input, digest, column })
        };
        wanted.iter().map(|column| one(*column)).collect()
    }

    /// Reads a model with all its outputs where it says what each predicts, or with the one asked for; of others one must be.
    pub fn load_asked(&self, path: &Path, dataset: &Dataset) -> Result<Loaded> {
        if matches!(self.column, None | Some(Column::All)) {
            let whole = self.load_any(path, dataset)?;
            if whole.model.network.program().columns(&[LEADS.len(), whole.input.samples()])? == whole.target.width() {
                return Ok(whole);
            }
        }
        self.load(path, dataset)?.pop().ok_or_else(|| Error::Usage("--column: no output".into()))
    }

    /// Reads a model of as many outputs as its target has.
    pub fn load_any(&self, path: &Path, dataset: &Dataset) -> Result<Loaded> {
        let model = load_model(path, self.arch.as_deref())?;
        let target = self.asked_target(path, &model, dataset)?;
        let target = target.ok_or_else(|| Error::Usage(format!("{}: the file does not say its target: --target", path.display())))?;
        let input = chosen("input", path, self.input, model.input)?;
        dataset.check_target(target)?;
        Self::whole(path, input, model, target, &[LEADS.len(), input.samples()])
    }

    /// What a model predicts, by itself or as is asked; `None` where neither says.
    fn asked_target(&self, path: &Path, model: &Model, dataset: &Dataset) -> Result<Option<Target>> {
        let asked = self.target.as_deref().map(|list| Target::several(&targets(list, self.loss, dataset)?)).transpose()?;
        // With --column, --target says what that output predicts.
        match (asked, model.target.filter(|own| !(asked.is_some() && own.width() > 1))) {
            (None, None) => Ok(None),
            (asked, own) => chosen("target", path, asked, own).map(Some),
        }
    }

    /// A model whose network must have as many outputs as its target.
    fn whole(path: &Path, input: InputKind, model: Model, target: Target, example: &[usize; 2]) -> Result<Loaded> {
        let columns = model.network.program().columns(example);
        let columns = columns.map_err(|error| Error::format(path, error.to_string()))?;
        if columns != target.width() && target.width() > 1 {
            let what = format!("{}: the network has {columns} outputs, '{target}' needs {}", path.display(), target.width());
            return Err(Error::Usage(what));
        }
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Loaded { name, model, target, input, digest: format!("sha256:{}", sha256_file(path)?), column: 0 })
    }

    /// Whether labels are given.
    pub fn any_labels(&self) -> bool {
        self.labels.any()
    }

    /// Whether any is given.
    pub fn any(&self) -> bool {
        self.arch.is_some() || self.target.is_some() || self.input.is_some() || self.column.is_some() || self.labels.any()
    }

    /// `--arch`, where it is a file, and the labels.
    pub fn files(&mut self) -> Vec<(&'static str, Input<'_>)> {
        program_file(&mut self.arch).into_iter().chain(self.labels.file()).collect()
    }
}

/// What a network predicts of which nobody says what that is.
static UNNAMED: LazyLock<Row> = LazyLock::new(|| Row {
    name: "output".into(),
    title: "the network's output".into(),
    unit: String::new(),
    kind: TargetKind::Regression,
    column: "output".into(),
    transform: Transform::None,
    classes: Vec::new(),
    place: Place::Unknown,
});

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
    Some(words_for_the_mean(test.mae, test.mae_of_mean, model.target.map_or("", Target::error_unit)))
}
