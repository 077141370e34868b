//! What work takes on this machine, measured in seconds by doing a little of each, so that a user sees what a study will take before it begins.

use crate::attribution::Settings as AttributionSettings;
use crate::challenge::{Criterion, Settings as ChallengeSettings};
use crate::dataset::{Part, Target};
use crate::ecg::measure::Thresholds;
use crate::nn::{Examples, TrainSettings, Trainer, TrainingData, initialise, load_program, predict_ecgs};
use crate::progress::silent;
use crate::study::judge::Judge;
use crate::study::{NetworkOutput, StudySettings, data};
use crate::tape::Network;
use crate::{Error, Result};
use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Milliseconds on this machine with the threads that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineCalibration {
    /// To generate and measure an ECG.
    pub generation_ms: f64,
    /// To join an ECG into a dataset.
    pub joining_ms: f64,
    /// To predict from an ECG, in batches.
    pub forward_ms: f64,
    /// To train on an ECG once.
    pub training_ms: f64,
    /// To explain an ECG by every method of the study and perturb it as often as the study does.
    pub judging_ms: f64,
    /// The most memory that the process has taken, MB.
    pub memory_mb: f64,
}

/// ECGs that are generated, and in a batch.
const ECGS: usize = 32;

/// The longest that anything of it may take, ms: a century.
const LONGEST: f64 = 3e12;

impl MachineCalibration {
    /// Refuses what is no time: files hold calibrations.
    ///
    /// # Errors
    /// [`Error::Data`] naming the figure.
    pub(super) fn check(&self) -> Result<()> {
        let MachineCalibration { generation_ms, joining_ms, forward_ms, training_ms, judging_ms, memory_mb } = *self;
        let all = [generation_ms, joining_ms, forward_ms, training_ms, judging_ms, memory_mb];
        let names = ["generation_ms", "joining_ms", "forward_ms", "training_ms", "judging_ms", "memory_mb"];
        match all.iter().zip(names).find(|(figure, _)| !(0.0..=LONGEST).contains(*figure)) {
            Some((figure, name)) => Err(Error::Data(format!("a calibration with {name} {figure:e}: none takes so long"))),
            None => Ok(()),
        }
    }

    /// Training ECGs of a study, and what its other parts take of predictions, in trainings of one ECG.
    pub(super) fn train_share(&self, settings: &StudySettings) -> f64 {
        let ecgs = super::list::ecgs(settings).unwrap_or(0) as f64;
        ecgs * (0.6 + 0.2 * self.forward_ms / self.training_ms.max(1e-9))
    }

    /// A criterion of the challenge, about: by how many heatmaps, predictions and trainings (each `training` ms) it asks for.
    pub(super) fn challenge_ms(&self, criterion: Criterion, settings: &StudySettings, training: f64) -> f64 {
        let set = ChallengeSettings::default();
        let (maps, methods) = (self.judging_ms, settings.methods.len() as f64);
        let [ecgs, few, draws, tries, seeds] =
            [set.ecgs, set.few, set.infidelity_draws, set.sensitivity_draws, set.seeds].map(|n| n as f64);
        let more = match criterion {
            Criterion::Infidelity => ecgs * 2.0 * draws * self.forward_ms,
            Criterion::Sensitivity => few * tries * maps,
            // As often as there are layers, of which a network has some twenty.
            Criterion::Cascading | Criterion::Independent => few * 20.0 * maps,
            Criterion::PermutedLabels => training,
            Criterion::Seeds => seeds * training,
            Criterion::Replacement => few * (set.screened + set.steps * (set.candidates + methods as usize)) as f64 * self.forward_ms,
            _ => 0.0,
        };
        ecgs * maps + more
    }
}

/// Measures what a study's work takes, in some seconds.
///
/// # Errors
/// What the work brings: a network that does not fit, a generator that is not there.
pub fn calibrate(settings: &StudySettings) -> Result<MachineCalibration> {
    let (source, _) = data::source(settings)?;
    let mut entries = Vec::new();
    let generation_ms = timed(ECGS, || {
        source.generate(0..ECGS as u64, &Thresholds::default(), &silent, &mut |entry| {
            entries.push(entry);
            Ok(())
        })
    })?;
    let samples = settings.input.samples();
    let views: Vec<Array3<f32>> = entries
        .iter()
        .map(|entry| match samples {
            600 => entry.median.clone().insert_axis(Axis(0)),
            _ => crate::ecg::leads::twelve(entry.rhythm.mapv(f32::from).view()).insert_axis(Axis(0)),
        })
        .collect();
    let views: Vec<_> = views.iter().map(|view| view.view()).collect();
    let all = ndarray::concatenate(Axis(0), &views).map_err(|error| Error::Data(format!("the ECGs: {error}")))?;
    let inputs = |ecgs: &[usize]| Ok(all.select(Axis(0), ecgs));
    let program = load_program(&settings.arch)?;
    let network = Network::<f32>::new(program.clone(), initialise(&program, settings.seed(), 0)?)?;
    let ecgs: Vec<usize> = (0..ECGS).collect();
    // The first run compiles plans.
    predict_ecgs(&network, &inputs, &ecgs, "", &silent)?;
    let forward_ms = timed(ECGS, || predict_ecgs(&network, &inputs, &ecgs, "", &silent).map(drop))?;
    // How long it takes does not depend on what is predicted, as long as that is a number.
    let target = settings.targets.iter().copied().find(|target| target.is_regression()).unwrap_or(Target::Qt);
    let examples = Examples { ecgs: ecgs.clone(), values: ecgs.iter().map(|ecg| 100.0 + *ecg as f64).collect() };
    let few = Examples { ecgs: ecgs[..1].to_vec(), values: examples.values[..1].to_vec() };
    let data = TrainingData { target, input: settings.input, inputs: &inputs, train: &examples, validation: &few, test: &few };
    debug_assert!(!data.part(Part::Train).is_empty());
    let mut trainer = Trainer::new(&program, data, &TrainSettings { epochs: 2, ..settings.training() })?;
    trainer.epoch(&silent)?;
    let training_ms = timed(ECGS, || trainer.epoch(&silent))?;
    let (attribution, perturbation): (AttributionSettings, _) =
        (settings.attribution(&NetworkOutput { network: target, column: 0, target }), settings.perturbation());
    let few = &ecgs[..2];
    let judge = Judge {
        network: &network,
        inputs: &inputs,
        methods: &settings.methods,
        attribution: &attribution,
        perturbation: &perturbation,
        kept: few,
        perturbed: few,
    };
    let judging_ms = timed(few.len(), || judge.try_out())?;
    Ok(MachineCalibration { generation_ms, joining_ms: 0.2, forward_ms, training_ms, judging_ms, memory_mb: peak_mb().unwrap_or(0.0) })
}

fn timed(count: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64() * 1e3 / count as f64)
}

/// The most memory that this process has taken, MB; `None` where the system does not tell.
fn peak_mb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / 1e3)
}
