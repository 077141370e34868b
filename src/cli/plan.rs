//! `cardiograd plan`: a study cut into tasks for any engine; and what a study will take (`bench`, `--dry-run`).

use super::challenge::list as criteria;
use super::places::{Output, Places};
use super::provenance::options;
use super::study::Options;
use super::{Globals, print};
use crate::atomic::OutputLock;
use crate::challenge::Criterion;
use crate::dataset::InputKind;
use crate::intake::{self, Most};
use crate::study::StudySettings;
use crate::study::tasks::{MachineCalibration, StudyPlan, Task, calibrate};
use crate::{Error, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A calibration is a handful of numbers.
const CALIBRATION: Most = Most { bytes: 1 << 16, of: "a calibration, as bench --json prints it" };
/// Bytes that an ECG takes in a dataset: eight leads of 5000 samples in 16 bits, twelve of 600 in 32, a row of measurements.
const ECG_BYTES: f64 = 80_000.0 + 28_800.0 + 600.0;

/// Arguments of `cardiograd plan`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    study: Options,
    #[command(flatten)]
    cut: Cut,
    /// Make tasks of the challenge's criteria too, separated by commas, or `all`; `challenge OUT --tasks DIR` takes what they find.
    #[arg(long, value_name = "LIST")]
    challenge: Option<String>,
    /// Print the plan, and make nothing.
    #[arg(long)]
    dry_run: bool,
    /// The folder for the plan and all that its tasks make; every machine that works on it must see it.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// How work is cut.
#[derive(clap::Args, Clone, Debug)]
struct Cut {
    /// How long a task should take, about; a network's training is one task, however long it takes.
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    task_minutes: f64,
    /// What work takes, from `bench --json` on a machine like those that will do it [default: measured here, in some seconds].
    #[arg(long, value_name = "BENCH.json")]
    calibration: Option<PathBuf>,
}

/// Arguments of `cardiograd bench`.
#[derive(clap::Args, Clone, Debug)]
pub struct BenchArgs {
    #[command(flatten)]
    study: Options,
}

impl Args {
    /// Where the command reads and writes.
    pub(super) fn places(&self) -> Places {
        let mut reads = self.study.reads();
        reads.extend(self.cut.calibration.clone());
        let writes = if self.dry_run { Vec::new() } else { vec![Output::Folder(self.output.clone(), Vec::new())] };
        Places { reads, writes }
    }
}

impl BenchArgs {
    /// Where the command reads.
    pub(super) fn places(&self) -> Places {
        Places { reads: self.study.reads(), writes: Vec::new() }
    }
}

/// Runs `plan`.
pub fn run(args: &Args, globals: &Globals) -> Result<()> {
    let settings = args.study.settings(globals)?;
    let minutes = args.cut.task_minutes;
    if !(minutes.is_finite() && minutes > 0.0) {
        return Err(Error::Usage(format!("--task-minutes {minutes}: a task takes some time")));
    }
    let calibration = match &args.cut.calibration {
        Some(path) => intake::json(path, CALIBRATION)?,
        None => calibrate(&settings)?,
    };
    let challenge = match args.challenge.as_deref() {
        None => Vec::new(),
        Some("all") => Criterion::ALL.to_vec(),
        Some(list) => criteria(list)?,
    };
    let base = std::env::current_dir().map_err(|source| Error::io(".", source))?;
    let plan = StudyPlan::new(settings, calibration, 60.0 * minutes, base, words()?)?.challenged(challenge);
    let tasks = plan.tasks();
    if !args.dry_run {
        let _lock = OutputLock::inside(&args.output)?;
        plan.save(&args.output)?;
    }
    tell(&plan.settings, &plan.calibration, &tasks, globals)?;
    if args.dry_run || globals.quiet || globals.json {
        return Ok(());
    }
    let folder = args.output.display();
    print(format!("\n{folder}: do it with cardiograd run {folder} (or --task ID, --shard I/N), then cardiograd merge {folder} -o OUT"))
}

/// What a study would take.
pub(super) fn dry_run(settings: &StudySettings, globals: &Globals) -> Result<()> {
    let calibration = calibrate(settings)?;
    let plan = StudyPlan::new(settings.clone(), calibration, 600.0, PathBuf::from("."), [Vec::new(), Vec::new()])?;
    tell(&plan.settings, &plan.calibration, &plan.tasks(), globals)
}

/// Runs `bench`.
pub fn bench(args: &BenchArgs, globals: &Globals) -> Result<()> {
    let settings = args.study.settings(globals)?;
    let found = calibrate(&settings)?;
    match globals {
        Globals { quiet: true, .. } => Ok(()),
        Globals { json: true, .. } => print(format!("{:#}", json!(found))),
        _ => {
            let threads = rayon::current_num_threads();
            let kernel = cardiograd_kernels::Isa::best();
            print(format!("{} on {} ECGs, {threads} threads, kernel {kernel}; milliseconds an ECG:", settings.arch, settings.input))?;
            let MachineCalibration { generation_ms, forward_ms, training_ms, judging_ms, memory_mb, .. } = found;
            print(format!("  generate and measure  {generation_ms:9.2}"))?;
            print(format!("  predict               {forward_ms:9.2}"))?;
            print(format!("  train, an epoch       {training_ms:9.2}"))?;
            let (methods, points) = (settings.methods.len(), settings.iterations);
            print(format!("  explain and perturb   {judging_ms:9.2}  ({methods} methods, {points} points)"))?;
            print(format!("most memory so far {memory_mb:.0} MB"))
        }
    }
}

/// The options of the study that is planned: those of this process' command less the plan's own.
fn words() -> Result<[Vec<String>; 2]> {
    let (given, defaults) = options(super::words())?;
    let own = |word: &String| {
        ["--task-minutes", "--calibration", "--dry-run", "--challenge"].iter().any(|name| word.split('=').next() == Some(name))
    };
    Ok([given, defaults].map(|words| words.into_iter().filter(|word| !own(word)).collect()))
}

/// Tasks, time, memory and disk.
fn tell(settings: &StudySettings, calibration: &MachineCalibration, tasks: &[Task], globals: &Globals) -> Result<()> {
    let mut stages: BTreeMap<usize, (&str, usize, usize, f64, f64)> = BTreeMap::new();
    let order = ["data", "dataset", "train", "judge", "challenge"];
    for task in tasks {
        let at = order.iter().position(|stage| *stage == task.stage()).unwrap_or(0);
        let stage = stages.entry(at).or_insert((task.stage(), task.id, task.id, 0.0, 0.0));
        (stage.2, stage.3, stage.4) = (task.id, stage.3 + task.seconds, stage.4.max(task.seconds));
    }
    let total: f64 = tasks.iter().map(|task| task.seconds).sum();
    let longest: f64 = stages.values().map(|stage| stage.4).sum();
    let ecgs = tasks.iter().find(|task| task.stage() == "dataset").map_or(0.0, |join| {
        tasks[join.needs.clone()]
            .iter()
            .map(|task| if let crate::study::tasks::Work::Data(range) = &task.work { range.len() } else { 0 })
            .sum::<usize>() as f64
    });
    let points = 12.0 * settings.input.samples() as f64;
    let outputs = settings.outputs()?.len();
    let maps = outputs as f64 * settings.methods.len() as f64 * settings.heatmap_ecgs as f64 * points * 4.0;
    let curves = (outputs * settings.methods.len() * settings.perturb_ecgs * (settings.iterations + 1) * 4) as f64;
    // A dataset lies there in parts and joined; an ECG of 10 s takes more memory than a beat.
    let disk = 2.0 * ecgs * ECG_BYTES + maps + 2.0 * curves + settings.targets.len() as f64 * 4.0 * 7e6;
    let memory = calibration.memory_mb + if settings.input == InputKind::Rhythm { 500.0 } else { 0.0 };
    if globals.json {
        let stages: Vec<_> = stages
            .values()
            .map(|(name, from, to, seconds, longest)| json!({ "stage": name, "from": from, "to": to, "seconds": seconds, "longest": longest }))
            .collect();
        return print(format!(
            "{:#}",
            json!({ "tasks": tasks.len(), "stages": stages, "seconds": total, "longest_path_seconds": longest, "memory_mb": memory, "disk_mb": disk / 1e6,
                    "calibration": calibration })
        ));
    }
    if globals.quiet {
        return Ok(());
    }
    print(format!("{:<10} {:>15} {:>12} {:>14}", "stage", "tasks", "time", "longest task"))?;
    for (name, from, to, seconds, longest) in stages.values() {
        print(format!("{name:<10} {:>15} {:>12} {:>14}", format!("{from}-{to}"), clock(*seconds), clock(*longest)))?;
    }
    print(format!(
        "{} tasks, {} on one machine like this, no less than {} on any number; about {memory:.0} MB of memory a worker, {:.1} GB of disk",
        tasks.len(),
        clock(total),
        clock(longest),
        disk / 1e9
    ))
}

/// A time for people.
pub(super) fn clock(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
