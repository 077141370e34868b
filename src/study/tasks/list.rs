//! The plan of a study: its settings, and its tasks in the order of their stages. The tasks follow from the settings and sizes alone.

use super::calibration::MachineCalibration;
use crate::atomic;
use crate::challenge::Criterion;
use crate::dataset::Target;
use crate::files::digest::sha256;
use crate::intake::{self, Most};
use crate::study::judge::CHUNK;
use crate::study::{DataSource, NetworkOutput, StudySettings};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The file that holds a plan.
pub const PLAN: &str = "plan.json";
/// The table of its tasks, for people and engines; made from the plan, never read.
const TABLE: &str = "tasks.csv";
const FORMAT: &str = "cardiograd-plan";
const VERSION: u32 = 1;
const LARGEST: Most = Most { bytes: 1 << 24, of: "the plan of a study" };
/// The most tasks of a plan.
const MOST_TASKS: usize = 1_000_000;

/// How large tasks are. No result depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// ECGs that a task generates.
    pub data: usize,
    /// Chunks of 16 ECGs that a task explains and perturbs.
    pub chunks: usize,
}

/// The plan of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyPlan {
    format: String,
    version: u32,
    /// The program that planned; another version may draw or measure otherwise.
    pub program: String,
    /// The folder from which relative paths of the settings go out.
    pub base: PathBuf,
    /// The options of `cardiograd study` that this is, as its record names them: those given, those left at their defaults.
    pub arguments: Vec<String>,
    /// See `arguments`.
    pub defaults: Vec<String>,
    /// The settings.
    pub settings: StudySettings,
    /// How large tasks are.
    pub sizes: Sizes,
    /// What the estimates rest on.
    pub calibration: MachineCalibration,
    /// Criteria of the challenge whose findings are tasks too, at its default settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub challenge: Vec<Criterion>,
}

/// What a task does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Generates and measures ECGs of these numbers.
    Data(Range<usize>),
    /// Joins them into one dataset.
    Join,
    /// Trains the network of a target.
    Train(Target),
    /// Explains and perturbs the test ECGs of these chunks of 16 with an output of a target's network; chunks beyond the last ECG are nothing to do.
    Judge(NetworkOutput, Range<usize>),
    /// Asks a criterion of the challenge of the heatmaps of an output of a target's network.
    Challenge(NetworkOutput, Criterion),
}

/// Tasks that must be done before one can begin.
pub type Needs = Range<usize>;

/// One task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its number, from 0.
    pub id: usize,
    /// What it does.
    pub work: Work,
    /// What it needs.
    pub needs: Needs,
    /// How long it will take, seconds, by the plan's calibration.
    pub seconds: f64,
}

impl Task {
    /// The name: `data-0-999`, `dataset`, `train-pr`, `judge-pr-0-7`, `challenge-pr-likeness`.
    pub fn name(&self) -> String {
        let span = |range: &Range<usize>| format!("{}-{}", range.start, range.end.saturating_sub(1));
        match &self.work {
            Work::Data(ecgs) => format!("data-{}", span(ecgs)),
            Work::Join => "dataset".into(),
            Work::Train(target) => format!("train-{target}"),
            Work::Judge(output, chunks) => format!("judge-{}-{}", output.target, span(chunks)),
            Work::Challenge(output, criterion) => format!("challenge-{}-{criterion}", output.target),
        }
    }

    /// The stage: `data`, `dataset`, `train`, `judge` or `challenge`.
    pub fn stage(&self) -> &'static str {
        match self.work {
            Work::Data(_) => "data",
            Work::Join => "dataset",
            Work::Train(_) => "train",
            Work::Judge(..) => "judge",
            Work::Challenge(..) => "challenge",
        }
    }
}

impl StudyPlan {
    /// A plan of tasks of about `seconds` each where work can be cut so (a network's training cannot).
    ///
    /// # Errors
    /// [`Error::Usage`] for settings that make no sense, or a plan of more than a million tasks.
    pub fn new(
        settings: StudySettings,
        calibration: MachineCalibration,
        seconds: f64,
        base: PathBuf,
        words: [Vec<String>; 2],
    ) -> Result<Self> {
        settings.check()?;
        calibration.check()?;
        let fit = |each: f64, most: usize| ((seconds / each.max(1e-9)) as usize).clamp(1, most.max(1));
        let ecgs = ecgs(&settings).unwrap_or(1);
        let data = fit(calibration.generation_ms / 1e3, ecgs);
        let chunks = fit(CHUNK as f64 * calibration.judging_ms / 1e3, most_chunks(&settings));
        let [arguments, defaults] = words;
        let program = program();
        let sizes = Sizes { data, chunks };
        let plan = StudyPlan {
            format: FORMAT.into(),
            version: VERSION,
            program,
            base,
            arguments,
            defaults,
            settings,
            sizes,
            calibration,
            challenge: Vec::new(),
        };
        let count = plan.count();
        if count > MOST_TASKS {
            return Err(Error::Usage(format!("a plan of {count} tasks, more than {MOST_TASKS}: let a task take longer (--task-minutes)")));
        }
        Ok(plan)
    }

    /// The same with tasks for these criteria of the challenge.
    #[must_use]
    pub fn challenged(self, challenge: Vec<Criterion>) -> Self {
        StudyPlan { challenge, ..self }
    }

    fn count(&self) -> usize {
        let data = ecgs(&self.settings).map_or(0, |ecgs| ecgs.div_ceil(self.sizes.data) + 1);
        let each = most_chunks(&self.settings).div_ceil(self.sizes.chunks).saturating_add(self.challenge.len());
        let judging = self.settings.outputs().map_or(0, |outputs| outputs.len()).saturating_mul(each);
        data.saturating_add(self.settings.targets.len()).saturating_add(judging)
    }

    /// The tasks, in the order of their stages: a task needs earlier ones only.
    pub fn tasks(&self) -> Vec<Task> {
        let (settings, Sizes { data, chunks }, times) = (&self.settings, self.sizes, &self.calibration);
        let mut tasks: Vec<Task> = Vec::with_capacity(self.count());
        let mut add = |work: Work, needs: Needs, ms: f64| {
            let id = tasks.len();
            tasks.push(Task { id, work, needs, seconds: ms / 1e3 });
            id
        };
        let pieces = |total: usize, size: usize| (0..total).step_by(size).map(move |from| from..total.min(from + size));
        let mut dataset = 0..0;
        if let Some(ecgs) = ecgs(settings) {
            let mut count = 0;
            for piece in pieces(ecgs, data) {
                let ms = piece.len() as f64 * times.generation_ms;
                count = add(Work::Data(piece), 0..0, ms) + 1;
            }
            let join = add(Work::Join, 0..count, ecgs as f64 * times.joining_ms);
            dataset = join..join + 1;
        }
        let training = times.training_ms * settings.training.epochs as f64 * times.train_share(settings);
        let trained: Vec<usize> = settings.targets.iter().map(|target| add(Work::Train(*target), dataset.clone(), training)).collect();
        for (target, network) in settings.targets.iter().zip(trained.iter().copied()) {
            // Settings whose outputs cannot be told are refused before.
            for output in NetworkOutput::of(*target).unwrap_or_default() {
                for piece in pieces(most_chunks(settings), chunks) {
                    let ms = (piece.len() * CHUNK) as f64 * times.judging_ms;
                    add(Work::Judge(output, piece), network..network + 1, ms);
                }
            }
        }
        for (target, network) in settings.targets.iter().zip(trained) {
            for output in NetworkOutput::of(*target).unwrap_or_default() {
                for criterion in &self.challenge {
                    add(Work::Challenge(output, *criterion), network..network + 1, times.challenge_ms(*criterion, settings, training));
                }
            }
        }
        tasks
    }

    /// The digest of the whole plan, which every done-record names.
    pub fn digest(&self) -> Result<String> {
        Ok(format!("sha256:{}", sha256(self.text()?.as_bytes())))
    }

    fn text(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| Error::Data(format!("a plan: {error}")))
    }

    /// Writes the plan and the table of its tasks into a folder.
    ///
    /// # Errors
    /// [`Error::Usage`] if the folder holds another plan, or anything else; [`Error::Io`].
    pub fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(PLAN);
        if path.exists() {
            if StudyPlan::load(folder)? != *self {
                return Err(Error::Usage(format!("{} holds another plan: choose another folder", folder.display())));
            }
        } else if std::fs::read_dir(folder)
            .map_err(|source| Error::io(folder, source))?
            .flatten()
            .any(|entry| !atomic::is_ours(&entry.file_name()))
        {
            return Err(Error::Usage(format!("{} holds something other than a plan: choose another folder", folder.display())));
        }
        let mut table = "id,name,stage,needs,seconds\n".to_owned();
        for task in self.tasks() {
            let needs = if task.needs.is_empty() { String::new() } else { format!("{}-{}", task.needs.start, task.needs.end - 1) };
            let _ = writeln!(table, "{},{},{},{needs},{:.1}", task.id, task.name(), task.stage(), task.seconds);
        }
        // The plan first: with it the folder is a plan's, whatever comes between.
        atomic::write(path, self.text()?.as_bytes())?;
        atomic::write(folder.join(TABLE), table.as_bytes())
    }

    /// The plan in a folder.
    ///
    /// # Errors
    /// [`Error::Usage`] for a plan of another version of the program; [`Error::Format`]; [`Error::Io`].
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(PLAN);
        if folder.is_dir() && !path.exists() {
            return Err(Error::Usage(format!("{} holds no plan: make one with cardiograd plan … -o DIR", folder.display())));
        }
        let plan: StudyPlan = intake::json(&path, LARGEST)?;
        if plan.format != FORMAT || plan.version != VERSION {
            return Err(Error::format(&path, format!("'{}' version {}: {FORMAT} version {VERSION} is read", plan.format, plan.version)));
        }
        if plan.program != program() {
            return Err(Error::Usage(format!("{}: planned by {}, this is {}: plan it again", path.display(), plan.program, program())));
        }
        plan.settings.check().and_then(|()| plan.calibration.check()).map_err(|error| Error::format(&path, error.to_string()))?;
        if plan.sizes.data == 0 || plan.sizes.chunks == 0 || plan.count() > MOST_TASKS {
            return Err(Error::format(&path, "its tasks have no size, or there are too many"));
        }
        Ok(plan)
    }
}

/// This program, as plans and records name it.
pub(super) fn program() -> String {
    concat!("cardiograd ", env!("CARGO_PKG_VERSION")).into()
}

/// ECGs to generate; `None` where a dataset is given.
pub(super) fn ecgs(settings: &StudySettings) -> Option<usize> {
    match &settings.source {
        DataSource::Simulator { ecgs } | DataSource::Pulse2pulse { ecgs, .. } => Some(*ecgs),
        DataSource::Dataset(_) => None,
    }
}

/// Chunks of ECGs that are judged at most: those drawn may be others than those perturbed.
fn most_chunks(settings: &StudySettings) -> usize {
    settings.heatmap_ecgs.saturating_add(settings.perturb_ecgs).div_ceil(CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Preset;

    fn plan(ecgs: usize, perturb: usize, seconds: f64) -> StudyPlan {
        let source = DataSource::Simulator { ecgs };
        let settings = StudySettings { source, heatmap_ecgs: 51, perturb_ecgs: perturb, ..StudySettings::new(Preset::Quick, 1) };
        let calibration = MachineCalibration {
            generation_ms: 10.0,
            training_ms: 2.0,
            judging_ms: 100.0,
            joining_ms: 0.1,
            forward_ms: 0.5,
            memory_mb: 100.0,
        };
        StudyPlan::new(settings, calibration, seconds, PathBuf::from("/"), [Vec::new(), Vec::new()]).unwrap()
    }

    #[test]
    fn tasks_cover_everything_once_and_need_earlier_ones() {
        let plan = plan(2050, 100, 4.0);
        let tasks = plan.tasks();
        assert_eq!((plan.sizes, tasks.len()), (Sizes { data: 400, chunks: 2 }, plan.count()));
        let mut next = 0;
        for (at, task) in tasks.iter().enumerate() {
            assert!(task.id == at && task.needs.end <= at && task.seconds > 0.0, "{task:?}");
            if let Work::Data(ecgs) = &task.work {
                assert_eq!(ecgs.start, next);
                next = ecgs.end;
            }
        }
        assert_eq!(next, 2050);
        let chunks: usize = tasks.iter().map(|task| if let Work::Judge(_, chunks) = &task.work { chunks.len() } else { 0 }).sum();
        assert_eq!(chunks, 6 * (51usize + 100).div_ceil(16));
        assert_eq!(tasks[7].name(), "train-pr");
        assert_eq!(tasks[7].needs, 6..7);
        assert_eq!(tasks[0].name(), "data-0-399");
    }

    #[test]
    fn a_plan_comes_back_and_a_hundred_thousand_tasks_are_not_many() {
        let folder = tempfile::tempdir().unwrap();
        let large = plan(150_000, 200_000, 0.001);
        assert!(large.tasks().len() > 100_000);
        large.save(folder.path()).unwrap();
        assert_eq!(StudyPlan::load(folder.path()).unwrap(), large);
        assert_eq!(std::fs::read_to_string(folder.path().join(TABLE)).unwrap().lines().count(), 1 + large.tasks().len());
        assert!(plan(20, 5, 1.0).save(folder.path()).unwrap_err().to_string().contains("another plan"));
        let text = std::fs::read_to_string(folder.path().join(PLAN)).unwrap();
        std::fs::write(folder.path().join(PLAN), text.replace("\"data\":", "\"dat\":")).unwrap();
        assert!(StudyPlan::load(folder.path()).unwrap_err().to_string().contains("unknown field"));
    }

    /// What a study's command refuses, a file does not bring in; no number wraps into a small one.
    #[test]
    fn settings_of_a_plan_are_those_of_a_study() {
        let folder = tempfile::tempdir().unwrap();
        plan(20, 5, 1.0).save(folder.path()).unwrap();
        let path = folder.path().join(PLAN);
        let whole: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for (place, value, hint) in [
            ("/settings/heatmap_ecgs", serde_json::json!(u64::MAX), "ECGs"),
            ("/settings/perturb_ecgs", serde_json::json!(u64::MAX), "ECGs"),
            ("/settings/source/simulator/ecgs", serde_json::json!(u64::MAX), "ECGs"),
            ("/settings/targets", serde_json::json!(["pr", "pr"]), "'pr' is listed twice"),
            ("/settings/methods", serde_json::json!(["saliency", "saliency"]), "'saliency' is listed twice"),
            ("/settings/training/epochs", serde_json::json!(0), "epochs"),
            ("/settings/training/learning_rate", serde_json::json!(-1.0), "learning rate"),
            ("/sizes/data", serde_json::json!(0), "no size"),
            ("/sizes/chunks", serde_json::json!(0), "no size"),
            ("/calibration/training_ms", serde_json::json!(-5.0), "training_ms -5"),
            ("/calibration/memory_mb", serde_json::json!(1e308), "memory_mb 1e308"),
        ] {
            let mut changed = whole.clone();
            *changed.pointer_mut(place).unwrap() = value;
            std::fs::write(&path, changed.to_string()).unwrap();
            let error = StudyPlan::load(folder.path()).unwrap_err().to_string();
            assert!(error.contains("plan.json: ") && error.contains(hint) && !error.contains('\n'), "{place}: {error}");
        }
    }
}
