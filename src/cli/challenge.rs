//! `cardiograd challenge`.

use super::evaluate::dataset_digest;
use super::method_options::{left_out_json, tell_left_out};
use super::models::{Loaded, ModelOptions, names_differ, worse_than_mean};
use super::numbers::{ECGS, ROUNDS, up_to};
use super::places::{Output, Places};
use super::provenance::tell_of_earlier_work;
use super::{Globals, Progress, Tone, print, print_toned};
use crate::atomic::{self, AtomicFolder};
use crate::attribution::catalogue::{LeftOut, able};
use crate::attribution::{Method, Settings as AttributionSettings};
use crate::challenge::{About, Challenged, Criterion, Settings, Subject, challenge, json, left, summary, summary_words, write};
use crate::dataset::{Dataset, InputKind, Split};
use crate::files::digest::sha256_file;
use crate::intake::{self, Most};
use crate::nn::Model;
use crate::study::tasks::merge::lend;
use crate::study::tasks::work::CHALLENGED;
use crate::study::tasks::{StudyPlan, check};
use crate::study::{DataSource, NetworkOutput, StudySettings};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Arguments of `cardiograd challenge`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder of a study, or models with --data.
    #[arg(required = true, value_parser = super::models::model_path)]
    paths: Vec<PathBuf>,
    /// The dataset of the models; ECGs are taken from its test part.
    #[arg(long, value_name = "DATASET")]
    data: Option<PathBuf>,
    /// Targets of the study separated by commas [default: all].
    #[arg(long, value_name = "LIST")]
    targets: Option<String>,
    /// Methods separated by commas, or `all`: the nine and `random` [default: those of the study].
    #[arg(long, short, value_name = "LIST", visible_alias = "methods")]
    method: Option<String>,
    /// Criteria separated by commas [default: all].
    #[arg(long, value_name = "LIST")]
    criteria: Option<String>,
    /// ECGs whose heatmaps are looked at.
    #[arg(short = 'n', long, value_name = "ECGS", default_value_t = Settings::default().ecgs, value_parser = up_to::<ECGS>)]
    ecgs: usize,
    /// ECGs, the first of these, for the costly criteria: weight randomisation, max-sensitivity and replacement.
    #[arg(long, value_name = "ECGS", default_value_t = Settings::default().few, value_parser = up_to::<ECGS>)]
    few: usize,
    /// Networks to train from other seeds.
    #[arg(long, value_name = "N", default_value_t = Settings::default().seeds, value_parser = up_to::<ROUNDS>)]
    seeds: usize,
    /// Passes over the ECGs of the network that is trained on permuted labels [default: as many as the network's own].
    #[arg(long, value_name = "N", value_parser = up_to::<ROUNDS>)]
    permuted_epochs: Option<usize>,
    /// Patches, or points, replaced one after another.
    #[arg(long, value_name = "N", default_value_t = Settings::default().steps, value_parser = up_to::<ROUNDS>)]
    steps: usize,
    /// The seed of all draws; also of the split, for models that do not say theirs.
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
    #[command(flatten)]
    options: ModelOptions,
    /// A plan's folder whose tasks have asked criteria of this study (`plan --challenge`): what they found is not asked again.
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    tasks: Option<PathBuf>,
    /// The folder of the results; it must not exist. A killed run is continued by running it again.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// One model with the split that it was trained on.
struct Subjected {
    loaded: Loaded,
    split: Split,
}

/// Everything to work on.
struct Work {
    dataset: Dataset,
    dataset_digest: String,
    models: Vec<Subjected>,
    methods: Vec<Method>,
    /// Methods of `all` that cannot act on one of the networks, and why.
    left_out: Vec<LeftOut>,
    criteria: Vec<Criterion>,
    settings: Settings,
}

/// Runs the command.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let work = args.work(globals)?;
    tell_left_out(&work.left_out, globals);
    tell_of_earlier_work(&args.output);
    let folder = AtomicFolder::resume(&args.output)?;
    let digests = std::iter::once(("dataset".to_owned(), work.dataset_digest.clone()));
    let about = About {
        version: concat!("cardiograd ", env!("CARGO_PKG_VERSION")).into(),
        settings: work.settings.clone(),
        digests: digests.chain(work.models.iter().map(|model| (model.loaded.name.clone(), model.loaded.digest.clone()))).collect(),
        warnings: work.models.iter().filter_map(warning).collect(),
    };
    let outcome = kept(&folder, &about, &work.methods)
        .and_then(|kept| args.tasks.as_deref().map_or(Ok(()), |tasks| take(tasks, &kept)).map(|()| kept))
        .and_then(|kept| work.challenge(&folder, &kept, globals))
        .and_then(|all| {
            write(folder.partial(), &all, &about)?;
            Ok(all)
        });
    let all = match outcome {
        // What a kill or a full disk leaves is gone on with; what was asked wrongly leaves nothing.
        Err(error) if !folder.is_continued() && !matches!(error, Error::Io { .. }) => {
            folder.discard();
            return Err(error);
        }
        outcome => outcome?,
    };
    folder.commit()?;
    match (globals.quiet, globals.json) {
        (true, _) => Ok(()),
        (_, true) => {
            let mut told = json(&all, &about);
            if !work.left_out.is_empty() {
                told["left_out"] = left_out_json(&work.left_out);
            }
            print(format!("{told:#}"))
        }
        _ => tell(args, &all, &about),
    }
}

impl Work {
    fn challenge(&self, folder: &AtomicFolder, kept: &Path, globals: &Globals) -> Result<Vec<Challenged>> {
        let progress = Progress::new(globals.quiet);
        folder.empty()?;
        let one = |Subjected { loaded, split }: &Subjected| {
            let subject = Subject {
                name: loaded.name.clone(),
                model: &loaded.model,
                target: loaded.target,
                input: loaded.input,
                dataset: &self.dataset,
                split,
                model_digest: loaded.digest.clone(),
                dataset_digest: self.dataset_digest.clone(),
            };
            challenge(&subject, &self.methods, &self.criteria, &self.settings, kept, &|step| progress.step(step))
        };
        let all: Vec<Challenged> = self.models.iter().map(one).collect::<Result<_>>()?;
        all.iter().try_for_each(|challenged| hand_over(challenged, &self.settings, kept, folder.partial()))?;
        Ok(all)
    }
}

const KEPT: Most = Most { bytes: 1 << 24, of: "the mark of an unfinished challenge" };

/// Where findings and networks are kept until the challenge is done: not among the results, so that nothing of another challenge gets there. What was
/// kept of a challenge of other models or settings is removed.
fn kept(folder: &AtomicFolder, about: &About, methods: &[Method]) -> Result<PathBuf> {
    let (done, mark) = (folder.beside("done"), folder.beside("done.json"));
    let text = serde_json::json!({ "about": about, "methods": methods }).to_string();
    if done.exists() && intake::text(&mark, KEPT).is_ok_and(|found| found != text) {
        std::fs::remove_dir_all(&done).map_err(|source| Error::io(&done, source))?;
    }
    atomic::write(&mark, text.as_bytes())?;
    Ok(done)
}

/// Lends what a plan's tasks have found to where this challenge keeps what is done. Findings that depended on other things are asked again.
fn take(tasks: &Path, kept: &Path) -> Result<()> {
    let plan = StudyPlan::load(tasks)?;
    if plan.challenge.is_empty() {
        return Err(Error::Usage(format!("{} has no task of the challenge: plan it with --challenge LIST", tasks.display())));
    }
    check(tasks, &plan, &crate::progress::silent)?;
    let found = tasks.join(CHALLENGED);
    let folders = plan.settings.outputs()?.into_iter().map(|output| format!("values/{}", output.target)).chain(["networks".into()]);
    folders.into_iter().try_for_each(|folder| lend(&found.join(&folder), &kept.join(&folder)))
}

/// Brings the findings and networks of a challenge from where they were kept to the results.
fn hand_over(challenged: &Challenged, settings: &Settings, from: &Path, to: &Path) -> Result<()> {
    let name = &challenged.name;
    for findings in &challenged.findings {
        for file in left(name, findings.criterion, settings.seeds) {
            let (from, to) = (from.join(&file), to.join(&file));
            let io = |source| Error::io(&from, source);
            to.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(io)?;
            // A link, not a move: after a kill what was done is still where it is looked for.
            std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop)).map_err(io)?;
        }
    }
    Ok(())
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let reads = self.paths.iter().chain(&self.data).chain(&self.tasks).cloned().collect();
        Places { reads, writes: vec![Output::NewFolder(self.output.clone())] }
    }

    fn work(&self, globals: &Globals) -> Result<Work> {
        let settings = Settings {
            seed: self.seed,
            ecgs: self.ecgs,
            few: self.few,
            seeds: self.seeds,
            permuted_epochs: self.permuted_epochs,
            steps: self.steps,
            ..Settings::default()
        };
        settings.check()?;
        let criteria = self.criteria.as_deref().map_or(Ok(Criterion::ALL.to_vec()), list::<Criterion>)?;
        let methods = self.method.as_deref().map(Method::parse_list).transpose()?;
        let (mut work, own) = match &self.data {
            Some(data) => (self.given(data, settings, criteria, globals)?, None),
            None => self.study(settings, criteria)?,
        };
        let named = self.method.as_deref().is_some_and(|text| text != "all");
        let methods = methods.or(own).unwrap_or_else(|| Method::STUDY.to_vec());
        let programs = work.models.iter().map(|subject| subject.loaded.model.network.program());
        (work.methods, work.left_out) = able(&methods, named, programs, &AttributionSettings::default())?;
        work.methods.sort();
        // Without another seed there is nothing to compare with.
        work.criteria.retain(|criterion| *criterion != Criterion::Seeds || self.seeds > 0);
        Ok(work)
    }

    /// The networks of a study, with its methods.
    fn study(&self, settings: Settings, criteria: Vec<Criterion>) -> Result<(Work, Option<Vec<Method>>)> {
        let [folder] = &self.paths[..] else {
            return Err(Error::Usage("several paths: models need --data, a study is one folder".into()));
        };
        let study = study_settings(folder)?;
        if self.options.any() {
            return Err(Error::Usage("--arch, --target, --input and --column belong to models, which need --data".into()));
        }
        let outputs = study.outputs()?;
        let named = |name: &str| {
            let found = outputs.iter().copied().find(|output| output.target.name() == name.trim());
            found.ok_or_else(|| Error::Usage(format!("{} has no network for {name}", folder.display())))
        };
        let mut targets = match self.targets.as_deref() {
            Some(list) => list.split(',').map(named).collect::<Result<Vec<NetworkOutput>>>()?,
            None => outputs.clone(),
        };
        targets.sort_by_key(|output| output.target);
        if let Some(pair) = targets.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::Usage(format!("'{}' is listed twice", pair[0].target)));
        }
        let data = match &study.source {
            DataSource::Dataset(path) => path.clone(),
            DataSource::Simulator { .. } | DataSource::Pulse2pulse { .. } => folder.join("dataset"),
        };
        let mut dataset = Dataset::open_checked(&data, &[study.input])?;
        if let Some(labels) = &study.labels {
            dataset = dataset.read_labels(&labels.path, labels.pass_unknown)?;
        }
        let split = dataset.split_by(study.further.split, study.seed())?;
        let one = |output: &NetworkOutput| {
            let path = output.model(folder);
            let model = output.narrowed_model(Model::load(&path)?)?;
            let digest = format!("sha256:{}", sha256_file(&path)?);
            let NetworkOutput { target, column, .. } = *output;
            let loaded = Loaded { name: target.name().into(), model, target, input: study.input, digest, column };
            Ok(Subjected { loaded, split: split.clone() })
        };
        let models = targets.iter().map(one).collect::<Result<Vec<_>>>()?;
        let dataset_digest = dataset_digest(&dataset);
        Ok((Work { dataset, dataset_digest, models, methods: Vec::new(), left_out: Vec::new(), criteria, settings }, Some(study.methods)))
    }

    /// Models and a dataset.
    fn given(&self, data: &Path, settings: Settings, criteria: Vec<Criterion>, globals: &Globals) -> Result<Work> {
        if self.targets.is_some() {
            return Err(Error::Usage("--targets chooses among a study's networks: name the models instead".into()));
        }
        let dataset = self.options.dataset(data, globals)?;
        let mut loaded = self.options.load_all(&self.paths, &dataset)?;
        loaded.sort_by_key(|model| model.target);
        names_differ(loaded.iter().map(|model| model.name.as_str()))?;
        let kinds: Vec<InputKind> = loaded.iter().map(|model| model.input).collect();
        dataset.check_arrays(data, &kinds)?;
        let split = |loaded: &Loaded| loaded.split(&dataset, Some(loaded.split_seed(self.seed)));
        let subjected = |loaded: Loaded| Ok(Subjected { split: split(&loaded)?, loaded });
        let models = loaded.into_iter().map(subjected).collect::<Result<_>>()?;
        let dataset_digest = dataset_digest(&dataset);
        Ok(Work { dataset_digest, dataset, models, methods: Vec::new(), left_out: Vec::new(), criteria, settings })
    }
}

/// The names of a list, each once.
pub(super) fn list<T: std::str::FromStr<Err = Error> + PartialEq + Ord + std::fmt::Display>(text: &str) -> Result<Vec<T>> {
    let mut all = text.split(',').map(|name| name.trim().parse()).collect::<Result<Vec<T>>>()?;
    all.sort();
    match all.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::Usage(format!("'{}' is listed twice", pair[0]))),
        None => Ok(all),
    }
}

/// The settings in a study's folder.
fn study_settings(folder: &Path) -> Result<StudySettings> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Mark {
        #[serde(rename = "format")]
        _format: String,
        #[serde(rename = "version")]
        _version: String,
        settings: StudySettings,
    }
    const MARK: Most = Most { bytes: 1 << 24, of: "the settings of a study" };
    let path = folder.join("study.json");
    if !path.exists() {
        let text = format!("{} is not the folder of a study (no study.json): name one, or models with --data", folder.display());
        return Err(Error::Usage(text));
    }
    Ok(intake::json::<Mark>(&path, MARK)?.settings)
}

/// That a network is no better than the mean.
fn warning(subjected: &Subjected) -> Option<String> {
    let Loaded { name, target, model, .. } = &subjected.loaded;
    Some(format!("{} ({name}): {}", target.title(), worse_than_mean(model)?))
}

fn tell(args: &Args, all: &[Challenged], about: &About) -> Result<()> {
    about.warnings.iter().try_for_each(|warning| print_toned(Tone::Warning, "warning", warning))?;
    for challenged in all {
        print(format!("{} ({})", challenged.target.title(), challenged.name))?;
        let columns = summary::columns(challenged, about.settings.seed);
        summary_words(challenged, &columns).into_iter().try_for_each(|sentence| print(format!("  {sentence}")))?;
    }
    print(format!("\nOpen {}; tables and every ECG's figures are beside it.", args.output.join("challenge.html").display()))
}
