//! One task: what it needs is there, it is claimed, the work of the study is done, and a record is left.

use super::claim::Claim;
use super::done::{Done, note_failure};
use super::list::{StudyPlan, Task, Work, ecgs};
use crate::atomic;
use crate::attribution::Settings as AttributionSettings;
use crate::attribution::catalogue::able;
use crate::challenge::{Criterion, Settings, Subject, challenge};
use crate::dataset::{Part, Target, generate_range, join_folders};
use crate::ecg::measure::Thresholds;
use crate::files::digest::sha256_file;
use crate::nn::{Examples, Model, load_program};
use crate::progress::Report;
use crate::study::data::{self, DATASET, Data};
use crate::study::judge::{Judge, mark_shared};
use crate::study::{NetworkOutput, StudySettings, pipeline, training};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What came of an attempt at a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was done in this attempt.
    Done,
    /// It was done before.
    Before,
    /// Another is at it.
    Claimed,
    /// It needs these, which are not done.
    Needs(Vec<usize>),
}

/// The folder of what judging has brought, a folder a target.
pub(super) const JUDGED: &str = "judged";
/// The folder of the challenge's findings, and of the networks that it compares with.
pub(crate) const CHALLENGED: &str = "challenge";

/// Does a task of a plan in its folder, unless it is done, another's, or cannot begin.
///
/// # Errors
/// What the work brings; it is noted as the reason for which the task failed.
pub fn attempt(folder: &Path, plan: &StudyPlan, tasks: &[Task], id: usize, report: Report<'_>) -> Result<Outcome> {
    let Some(task) = tasks.get(id) else {
        return Err(Error::Usage(format!("there is no task {id}: the plan has {} (0 to {})", tasks.len(), tasks.len().saturating_sub(1))));
    };
    if Done::load(folder, id)?.is_some() {
        return Ok(Outcome::Before);
    }
    let mut missing = Vec::new();
    for need in task.needs.clone() {
        if Done::load(folder, need)?.is_none() {
            missing.push(need);
        }
    }
    if !missing.is_empty() {
        return Ok(Outcome::Needs(missing));
    }
    let Some(claim) = Claim::take(folder, id)? else { return Ok(Outcome::Claimed) };
    // It may have been done between the look and the claim.
    if Done::load(folder, id)?.is_some() {
        return Ok(Outcome::Before);
    }
    let begun = Instant::now();
    let made = Worker { folder, settings: &plan.settings, report }.work(plan, tasks, &task.work);
    let done = made.and_then(|(inputs, outputs)| {
        Done::new(folder, &plan.digest()?, task, inputs, &outputs, begun.elapsed().as_secs_f64())?.save(folder)
    });
    drop(claim);
    match done {
        Ok(()) => Ok(Outcome::Done),
        Err(error) => {
            note_failure(folder, id, &error)?;
            Err(error)
        }
    }
}

/// Digests of what a task went out from, and the files that it left.
type Made = (BTreeMap<String, String>, Vec<PathBuf>);

struct Worker<'a> {
    folder: &'a Path,
    settings: &'a StudySettings,
    report: Report<'a>,
}

impl Worker<'_> {
    fn work(&self, plan: &StudyPlan, tasks: &[Task], work: &Work) -> Result<Made> {
        match work {
            Work::Data(range) => self.data(range),
            Work::Join => self.join(tasks),
            Work::Train(target) => self.train(*target),
            Work::Judge(output, chunks) => self.judge(plan, output, chunks),
            Work::Challenge(output, criterion) => self.challenge(output, *criterion),
        }
    }

    fn data(&self, range: &Range<usize>) -> Result<Made> {
        let name = shard(range);
        let path = self.folder.join(&name);
        if !path.exists() {
            let (source, origin) = data::source(self.settings)?;
            generate_range(&path, &source, origin, range.clone(), &Thresholds::default(), self.report)?;
        }
        Ok((BTreeMap::new(), files_of(self.folder, &name)?))
    }

    fn join(&self, tasks: &[Task]) -> Result<Made> {
        let shards: Vec<PathBuf> = tasks
            .iter()
            .filter_map(|task| if let Work::Data(range) = &task.work { Some(self.folder.join(shard(range))) } else { None })
            .collect();
        let path = self.folder.join(DATASET);
        if !path.exists() {
            let (_, origin) = data::source(self.settings)?;
            join_folders(&path, &shards, origin, self.report)?;
        }
        Ok((BTreeMap::new(), files_of(self.folder, Path::new(DATASET))?))
    }

    /// The study's dataset: the joined one, or the one that was given.
    fn dataset(&self) -> Result<Data> {
        if ecgs(self.settings).is_some() && !self.folder.join(DATASET).exists() {
            return Err(Error::Data(format!("{} is gone, though its task is done", self.folder.join(DATASET).display())));
        }
        data::open(self.folder, self.settings, self.report)
    }

    fn train(&self, target: Target) -> Result<Made> {
        let (program, data) = (load_program(&self.settings.arch)?, self.dataset()?);
        let split = data.dataset.split_by(self.settings.further.split, self.settings.seed())?;
        training::network(self.folder, self.settings, &program, &data, &split, target, self.report)?;
        let inputs = BTreeMap::from([("dataset".to_owned(), data.digest)]);
        Ok((inputs, models(target)))
    }

    fn judge(&self, plan: &StudyPlan, output: &NetworkOutput, chunks: &Range<usize>) -> Result<Made> {
        let target = output.target;
        let data = self.dataset()?;
        let split = data.dataset.split_by(self.settings.further.split, self.settings.seed())?;
        let path = output.model(self.folder);
        let (model, network) = (format!("sha256:{}", sha256_file(&path)?), output.narrowed(Model::load(&path)?.network)?);
        let (kept, examples) =
            (pipeline::kept(&data.dataset, &split, self.settings), Examples::of(&data.dataset, &split, Part::Test, target));
        let ecgs = &examples.ecgs[..examples.len().min(self.settings.perturb_ecgs)];
        let inputs = |ecgs: &[usize]| data.dataset.inputs(ecgs, self.settings.input);
        let (attribution, perturbation) = (plan.settings.attribution(output), plan.settings.perturbation());
        let judge = Judge {
            network: &network,
            inputs: &inputs,
            methods: &self.settings.methods,
            attribution: &attribution,
            perturbation: &perturbation,
            kept: &kept,
            perturbed: ecgs,
        };
        let folder = Path::new(JUDGED).join(target.name());
        std::fs::create_dir_all(self.folder.join(&folder)).map_err(|source| Error::io(self.folder.join(&folder), source))?;
        mark_shared(&self.folder.join(&folder), &judge.digest(&format!("{model}{} {}", output.mark(), data.digest)))?;
        let mut outputs = vec![folder.join("digest")];
        let label = format!("explaining and perturbing {target}");
        for chunk in chunks.start..chunks.end.min(judge.parts()) {
            let part = folder.join(Judge::part_name(chunk));
            if !self.folder.join(&part).exists() {
                judge.part(chunk, &self.folder.join(&part), &label, self.report)?;
            }
            outputs.push(part);
        }
        Ok((BTreeMap::from([("dataset".to_owned(), data.digest), ("model".to_owned(), model)]), outputs))
    }

    fn challenge(&self, output: &NetworkOutput, criterion: Criterion) -> Result<Made> {
        let Data { dataset, digest } = self.dataset()?;
        let split = dataset.split_by(self.settings.further.split, self.settings.seed())?;
        let (path, target) = (output.model(self.folder), output.target);
        let (model_digest, model) = (format!("sha256:{}", sha256_file(&path)?), output.narrowed_model(Model::load(&path)?)?);
        let (mut methods, _) = able(&self.settings.methods, false, [model.network.program()], &AttributionSettings::default())?;
        methods.sort();
        let subject = Subject {
            name: target.name().into(),
            model: &model,
            target,
            input: self.settings.input,
            dataset: &dataset,
            split: &split,
            model_digest: model_digest.clone(),
            dataset_digest: digest.clone(),
        };
        challenge(&subject, &methods, &[criterion], &Settings::default(), &self.folder.join(CHALLENGED), self.report)?;
        let inputs = BTreeMap::from([("dataset".to_owned(), digest), ("model".to_owned(), model_digest)]);
        Ok((inputs, findings(output, criterion)))
    }
}

/// The files that a task must have left, below the plan's folder, and those beside them that the study would take for its own.
///
/// # Errors
/// [`Error::Io`] where a folder is not there.
pub(super) fn left(folder: &Path, task: &Task) -> Result<Vec<PathBuf>> {
    Ok(match &task.work {
        Work::Data(range) => files_of(folder, &shard(range))?,
        Work::Join => files_of(folder, Path::new(DATASET))?,
        Work::Train(target) => models(*target),
        Work::Judge(output, chunks) => {
            let judged = Path::new(JUDGED).join(output.target.name());
            // Chunks beyond the last ECG leave nothing.
            let parts = chunks.clone().map(|chunk| judged.join(Judge::part_name(chunk))).filter(|part| folder.join(part).exists());
            std::iter::once(judged.join("digest")).chain(parts).collect()
        }
        Work::Challenge(output, criterion) => findings(output, *criterion),
    })
}

/// The files of a criterion's findings, and of the networks that it compares with.
fn findings(output: &NetworkOutput, criterion: Criterion) -> Vec<PathBuf> {
    let files = crate::challenge::left(output.target.name(), criterion, Settings::default().seeds);
    files.iter().map(|file| Path::new(CHALLENGED).join(file)).collect()
}

/// The files of the network of a target: the best weights, the last.
fn models(target: Target) -> Vec<PathBuf> {
    ["", ".last"].map(|which| PathBuf::from(format!("models/{target}{which}.cgm"))).to_vec()
}

/// The folder of the ECGs of a range.
fn shard(range: &Range<usize>) -> PathBuf {
    PathBuf::from(format!("data/{}-{}", range.start, range.end - 1))
}

/// The files directly in a folder, by their paths below the plan's.
fn files_of(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let place = root.join(folder);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&place).map_err(|source| Error::io(&place, source))? {
        let entry = entry.map_err(|source| Error::io(&place, source))?;
        // What a killed worker left half written is no result.
        if !atomic::is_ours(&entry.file_name()) {
            files.push(folder.join(entry.file_name()));
        }
    }
    files.sort();
    Ok(files)
}
