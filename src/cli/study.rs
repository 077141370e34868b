//! `cardiograd study`.

use super::generate::SourceName;
use super::labels::{LabelOptions, split_by, targets};
use super::method_options::tell_left_out;
use super::numbers::{ECGS, ROUNDS, up_to};
use super::provenance::{Files, Input, Recorded, record};
use super::train::Course;
use super::{Globals, Progress, print};
use crate::atomic::OutputLock;
use crate::attribution::catalogue::able;
use crate::attribution::{Method, Settings as AttributionSettings};
use crate::dataset::{Dataset, InputKind, Target};
use crate::evaluation::scores::Scoring;
use crate::nn::{ARCHITECTURES, ClassWeights, Further, Loss, Preset, load_program};
use crate::report::StudyResults;
use crate::report::against::Pair;
use crate::report::findings::warnings;
use crate::report::store::{self, RESULTS};
use crate::report::study_tables::named;
use crate::study::{DataSource, Perturbed, StudySettings, area_table, run as run_study, scorings, tasks};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What a study is made of, for every command that takes one.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Options {
    /// quick: minutes on simulated ECGs; full: 24 000 ECGs, a night on two cores; paper: the study's own sizes and settings, days.
    #[arg(long, default_value = "quick")]
    preset: Preset,
    /// Where ECGs come from.
    #[arg(long, value_enum, default_value_t = SourceName::Simulator)]
    source: SourceName,
    /// The wheel deepfake_ecg-1.1.2-py3-none-any.whl, or its g_stat.pt, for --source pulse2pulse.
    #[arg(long, value_name = "WHEEL_OR_PT")]
    generator: Option<PathBuf>,
    /// A dataset to use instead of generating one.
    #[arg(long, value_name = "DATASET", conflicts_with_all = ["source", "generator", "ecgs"])]
    data: Option<PathBuf>,
    /// ECGs to generate [default: of the preset].
    #[arg(long, value_name = "N", value_parser = up_to::<ECGS>)]
    ecgs: Option<usize>,
    /// Targets separated by commas: measurements, or columns of the labels as train takes them [default: the study's six].
    #[arg(long, value_name = "LIST")]
    targets: Option<String>,
    #[command(flatten)]
    labels: LabelOptions,
    /// What is made small: mse for numbers, bce for yes or no [default: by what each column holds].
    #[arg(long, value_name = "mse|bce", requires = "labels")]
    loss: Option<Loss>,
    /// Keeps ECGs of one group, as a patient, in one part: the column of the labels that names it.
    #[arg(long, value_name = "COLUMN", requires = "labels", conflicts_with = "split_column")]
    group: Option<String>,
    /// Takes the parts from a column of the labels, as train does.
    #[arg(long, value_name = "COLUMN", requires = "labels")]
    split_column: Option<String>,
    /// How classes weigh: equal, balanced, or how many times yes weighs as much as no [default: equal].
    #[arg(long, value_name = "WEIGHTS", requires = "labels")]
    class_weights: Option<ClassWeights>,
    /// Ends a training when the validation loss has not been the lowest for so many epochs.
    #[arg(long, value_name = "EPOCHS", value_parser = up_to::<ROUNDS>)]
    patience: Option<usize>,
    /// What the networks look at: median (12 × 600) or rhythm (12 × 5000).
    #[arg(long, default_value = "median")]
    input: InputKind,
    /// The network: stevennet, standardconv or a program file (.json).
    #[arg(long, default_value = "stevennet")]
    arch: String,
    #[command(flatten)]
    course: Course,
    /// Methods separated by commas, or `all`: the nine and `random`.
    #[arg(long, short, value_name = "LIST", default_value = "all")]
    method: String,
    /// Test ECGs whose heatmaps are kept and drawn.
    #[arg(long, value_name = "N", value_parser = up_to::<ECGS>)]
    heatmap_ecgs: Option<usize>,
    /// Test ECGs to perturb [default: of the preset].
    #[arg(long, value_name = "N", value_parser = up_to::<ECGS>)]
    perturb_ecgs: Option<usize>,
    /// Points to perturb [default: of the preset].
    #[arg(long, value_name = "N", value_parser = up_to::<ROUNDS>)]
    iterations: Option<usize>,
    /// The scoring by which methods are ranked, drawn and tested: paper, absolute_percentage, median_percentage, physical, per_sd or change; of
    /// yes or no logit, probability or auroc.
    #[arg(long, value_name = "NAME", default_value = "absolute_percentage")]
    scoring: Scoring,
    /// The seed that every draw follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Arguments of `cardiograd study`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    options: Options,
    /// The folder of another study, to be held side by side with this one in against.html and tables.
    #[arg(long, value_name = "DIR", value_parser = results_of)]
    against: Option<PathBuf>,
    /// Print what it would take (tasks, time, memory, disk), measured in some seconds, and make nothing.
    #[arg(long)]
    dry_run: bool,
    /// The study's folder. Run again after an interruption: finished stages are not repeated.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// The file that stands for a study's folder among inputs.
fn results_of(folder: &str) -> std::result::Result<PathBuf, String> {
    let folder = PathBuf::from(folder);
    Ok(if folder.file_name().is_some_and(|name| name == RESULTS) { folder } else { folder.join(RESULTS) })
}

/// Runs the command, and records where the results come from.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let settings = args.options.settings(globals)?;
    if args.dry_run {
        return super::plan::dry_run(&settings, globals);
    }
    let _lock = OutputLock::inside(&args.output)?;
    let results = studied(args, &settings, globals)?;
    record("study", args)?;
    finished(&args.output, &results, globals)
}

impl Recorded for Args {
    fn files(&mut self) -> Files<'_> {
        let mut inputs = Vec::new();
        inputs.extend(self.options.generator.as_mut().map(|path| ("generator", Input::Path(path))));
        inputs.extend(self.options.data.as_mut().map(|path| ("data", Input::Path(path))));
        inputs.extend(self.options.labels.file());
        inputs.extend(self.against.as_mut().map(|path| ("against", Input::Path(path))));
        if !ARCHITECTURES.contains(&self.options.arch.as_str()) {
            inputs.push(("arch", Input::Text(&mut self.options.arch)));
        }
        Files { inputs, output: Some(&mut self.output) }
    }

    fn seed(&self) -> Option<u64> {
        Some(self.options.seed)
    }
}

/// Gives a new folder the dataset and models of a study, which takes them for finished stages and makes the rest from them.
pub(super) fn lend(study: &Path, to: &Path) -> Result<()> {
    for part in ["dataset", "models"] {
        tasks::merge::lend(&study.join(part), &to.join(part))?;
    }
    let mark = "study.json";
    let (from, to) = (study.join(mark), to.join(mark));
    std::fs::copy(&from, &to).map(|_| ()).map_err(|source| Error::io(&from, source))
}

/// The study, without a record.
pub(super) fn make(args: &Args, globals: &Globals) -> Result<()> {
    studied(args, &args.options.settings(globals)?, globals).map(drop)
}

fn studied(args: &Args, settings: &StudySettings, globals: &Globals) -> Result<StudyResults> {
    let progress = Progress::new(globals.quiet);
    let notice = |line: &str| progress.notice(globals, line);
    // What cannot be read is refused before the work.
    let other = args.against.as_deref().and_then(Path::parent).map(store::load).transpose()?;
    let results = run_study(&args.output, settings, &|step| progress.step(step), &notice)?;
    if let Some(other) = &other {
        Pair::new(&results, other).write(&args.output)?;
    }
    progress.finish();
    Ok(results)
}

impl Options {
    /// The files that it reads.
    pub(super) fn reads(&self) -> Vec<PathBuf> {
        let arch = Some(&self.arch).filter(|arch| !ARCHITECTURES.contains(&arch.as_str())).map(PathBuf::from);
        self.generator.iter().chain(&self.data).chain(self.labels.path()).cloned().chain(arch).collect()
    }

    pub(super) fn settings(&self, globals: &Globals) -> Result<StudySettings> {
        let fresh = StudySettings::new(self.preset, self.seed);
        let program = load_program(&self.arch)?;
        let methods = Method::parse_list(&self.method)?;
        let (mut methods, left_out) = able(&methods, self.method != "all", [&program], &AttributionSettings::default())?;
        tell_left_out(&left_out, globals);
        methods.sort();
        let mut targets = self.targets(globals)?.unwrap_or_else(|| fresh.targets.clone());
        targets.sort();
        if let Some(pair) = targets.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
            return Err(Error::Usage(format!("target '{}' is listed twice", pair[0])));
        }
        Ok(StudySettings {
            source: self.data_source(&fresh)?,
            targets,
            input: self.input,
            arch: self.arch.clone(),
            training: self.course.of(fresh.training),
            methods,
            heatmap_ecgs: self.heatmap_ecgs.unwrap_or(fresh.heatmap_ecgs),
            perturb_ecgs: self.perturb_ecgs.unwrap_or(fresh.perturb_ecgs),
            iterations: self.iterations.unwrap_or(fresh.iterations),
            scoring: self.scoring,
            labels: self.labels.table(),
            further: Further {
                split: split_by(self.group.as_deref(), self.split_column.as_deref())?,
                class_weights: self.class_weights.unwrap_or_default(),
                patience: self.patience,
                ..Further::default()
            },
            ..fresh
        })
    }

    /// The targets asked for. What a label is, its table and the dataset say.
    fn targets(&self, globals: &Globals) -> Result<Option<Vec<Target>>> {
        let Some(list) = self.targets.as_deref() else { return Ok(None) };
        let Some(data) = self.data.as_ref().filter(|_| self.labels.any()) else {
            if self.labels.any() {
                return Err(Error::Usage("--labels are of a dataset: --data DATASET".into()));
            }
            return list.split(',').map(|name| name.trim().parse()).collect::<Result<_>>().map(Some);
        };
        let dataset = self.labels.put(Dataset::open(data)?, globals)?;
        targets(list, self.loss, &dataset).map(Some)
    }

    fn data_source(&self, fresh: &StudySettings) -> Result<DataSource> {
        if let Some(path) = &self.data {
            return Ok(DataSource::Dataset(path.clone()));
        }
        let preset = match &fresh.source {
            DataSource::Simulator { ecgs } | DataSource::Pulse2pulse { ecgs, .. } => *ecgs,
            DataSource::Dataset(_) => 0,
        };
        let ecgs = self.ecgs.unwrap_or(preset);
        match (self.source, &self.generator) {
            (SourceName::Simulator, None) => Ok(DataSource::Simulator { ecgs }),
            (SourceName::Simulator, Some(_)) => Err(Error::Usage("--generator belongs to --source pulse2pulse".into())),
            (SourceName::Pulse2pulse, Some(generator)) => Ok(DataSource::Pulse2pulse { ecgs, generator: generator.clone() }),
            (SourceName::Pulse2pulse, None) => {
                let text = "--source pulse2pulse needs --generator WHEEL: pip download --no-deps deepfake-ecg==1.1.2";
                Err(Error::Usage(text.into()))
            }
        }
    }
}

/// Where the study's outcome lies.
fn places(folder: &Path) -> [(&'static str, PathBuf); 6] {
    ["report.html", "metrics.csv", "table4.csv", "models", "heatmaps", "figures"].map(|name| (name, folder.join(name)))
}

fn summary(folder: &Path, results: &StudyResults) -> serde_json::Value {
    let named = |networks: &[Perturbed], scoring: Scoring| -> serde_json::Value {
        let of_its_kind = |network: &&Perturbed| network.scorings().contains(&scoring);
        let one = |network: &Perturbed| {
            let areas = network.methods.iter().map(|(name, _)| name.clone()).zip(network.areas(scoring).into_iter().map(Into::into));
            (network.name.clone(), serde_json::Value::Object(areas.collect()))
        };
        serde_json::Value::Object(networks.iter().filter(of_its_kind).map(one).collect())
    };
    let networks = Perturbed::of(results);
    let metrics: serde_json::Map<_, _> =
        results.targets.iter().map(|t| (t.target.name().to_owned(), serde_json::json!(t.metrics))).collect();
    let table4: serde_json::Map<_, _> =
        scorings(&networks).into_iter().map(|scoring| (scoring.name().to_owned(), named(&networks, scoring))).collect();
    let files: serde_json::Map<_, _> = places(folder).into_iter().map(|(name, path)| (name.to_owned(), serde_json::json!(path))).collect();
    serde_json::json!({ "folder": folder, "ecgs": results.data.ecgs, "metrics": metrics, "table4": table4, "files": files })
}

/// Tells of a study that another command has finished.
pub(super) fn finished(folder: &Path, results: &StudyResults, globals: &Globals) -> Result<()> {
    match (globals.quiet, globals.json) {
        (true, _) => Ok(()),
        (_, true) => print(format!("{:#}", summary(folder, results))),
        _ => tell(folder, results),
    }
}

fn tell(folder: &Path, results: &StudyResults) -> Result<()> {
    let networks = Perturbed::of(results);
    let mut own: Vec<Scoring> = networks.iter().map(|network| results.scoring.for_kind(network.kind)).collect();
    own.sort_by_key(|scoring| scoring.is_of_classes());
    own.dedup();
    for scoring in own {
        print(format!("\nArea under the error curve to iteration 15, {}:", named(scoring)))?;
        area_table(&networks, scoring).plain().lines().try_for_each(print)?;
    }
    warnings(results).iter().try_for_each(|warning| print(format!("\n{warning}")))?;
    let [(_, report), ..] = places(folder);
    print(format!("\nOpen {}; models, heatmaps, curves, figures and tables are beside it.", report.display()))
}
