//! The stages in order, and what they leave in the study's folder.

use super::data::{self, Data};
use super::judge::{Judge, Judged};
use super::outputs::{NetworkOutput, class_errors, log_odds};
use super::tables::{Perturbed, metrics_table, write_area_tables};
use super::{StudySettings, training};
use crate::attribution::Method;
use crate::audit::provenance::record_of;
use crate::dataset::{Dataset, Part, Split, Target};
use crate::evaluation::errors;
use crate::files::atomic::{self, OutputLock};
use crate::files::{digest::sha256_file, npy};
use crate::intake::{self, Most};
use crate::nn::{Examples, load_program, predict_ecgs, predict_outputs};
use crate::progress::Report;
use crate::report::error_tables::LISTED;
use crate::report::findings::words_for_the_mean;
use crate::report::results::{
    Ecgs, ExactErrors, MethodCurves, MethodMaps, PerturbationResults, Prediction, Provenance, SplitMetrics, StudyResults, TargetResults,
    Worst,
};
use crate::report::{store, write};
use crate::tape::Program;
use crate::{Error, Result};
use ndarray::{Array, ArrayD, Dimension};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// What tells a study's folder from any other.
const MARK: &str = "study.json";
const STUDY: Most = Most { bytes: 1 << 24, of: "the mark of a study" };

/// Runs a study in `folder`, under its lock. Stages that are finished there, of the same settings and inputs, are not repeated.
/// `notice` is told in one line each what has been done. What is refused leaves a study that is there as it was, byte for byte.
///
/// # Errors
/// [`Error::Usage`] for senseless settings, a folder that holds something else, in which another run is at work, or with a dataset of other settings; whatever the stages bring.
pub fn run(folder: &Path, settings: &StudySettings, report: Report<'_>, notice: &dyn Fn(&str)) -> Result<StudyResults> {
    settings.check()?;
    let program = load_program(&settings.arch)?;
    data::check(settings)?;
    let _lock = OutputLock::inside_unless_held(folder)?;
    let mark = mark(settings);
    open_folder(folder, settings, &mark)?;
    let data = data::open(folder, settings, report)?;
    let split = data.dataset.split_by(settings.further.split, settings.seed())?;
    training::check(settings, &program, &data, &split)?;
    take(folder, &mark)?;
    notice(&format!("data: {} ECGs", data.dataset.len()));
    let kept = kept(&data.dataset, &split, settings);
    let study = Study { folder, settings, program: &program, data: &data, split: &split, kept: &kept, report };
    let mut targets = Vec::new();
    let mut digests = vec![("dataset".to_owned(), data.digest.clone())];
    for target in &settings.targets {
        let (results, model) = study.target(*target, notice)?;
        digests.push((format!("models/{target}.cgm"), model));
        targets.extend(results);
    }
    let results = study.results(targets, digests)?;
    // What is replaced now may be of other data or another version: a record is written when all is there.
    atomic::remove_if_there(&record_of(folder))?;
    let metrics: Vec<(Target, &[SplitMetrics])> = results.targets.iter().map(|t| (t.target, t.metrics.as_slice())).collect();
    atomic::write(folder.join("metrics.csv"), metrics_table(&metrics).csv().as_bytes())?;
    write_area_tables(folder, &Perturbed::of(&results))?;
    store::save(folder, &results)?;
    // Their names depend on the settings: those of earlier ones would be taken for this study's.
    ["figures", "tables"].iter().try_for_each(|name| renew(&folder.join(name)))?;
    atomic::remove_if_there(&folder.join("against.html"))?;
    write::write(folder, &results)?;
    Ok(results)
}

fn mark(settings: &StudySettings) -> String {
    let text = serde_json::json!({ "format": "cardiograd-study", "version": env!("CARGO_PKG_VERSION"), "settings": settings });
    format!("{text:#}\n")
}

/// Opens a new or empty folder, or one that holds a study; what killed runs left of files is removed. A new one is marked before all else, so that
/// what a kill leaves of it is known for a study.
fn open_folder(folder: &Path, settings: &StudySettings, mark: &str) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))?;
    let marked = folder.join(MARK).exists();
    if !marked && entries.flatten().any(|entry| !atomic::is_ours(&entry.file_name())) {
        return Err(Error::Usage(format!("{} holds something other than a study: choose another folder", folder.display())));
    }
    data::fits(folder, settings)?;
    atomic::sweep(folder);
    atomic::tidy(&folder.join(data::DATASET));
    if marked { Ok(()) } else { atomic::write(folder.join(MARK), mark.as_bytes()) }
}

/// Marks a new or empty folder as that of a study.
pub(super) fn mark_new(folder: &Path, settings: &StudySettings) -> Result<()> {
    atomic::write(folder.join(MARK), mark(settings).as_bytes())
}

/// Makes a study of other settings one of these, now that nothing is left to be refused: what a record says of it holds no longer.
fn take(folder: &Path, mark: &str) -> Result<()> {
    let path = folder.join(MARK);
    if intake::text(&path, STUDY).is_ok_and(|found| found == mark) {
        return Ok(());
    }
    atomic::remove_if_there(&record_of(folder))?;
    atomic::write(path, mark.as_bytes())
}

/// The first test ECGs that have every target: the same for all targets.
pub(super) fn kept(dataset: &Dataset, split: &Split, settings: &StudySettings) -> Vec<usize> {
    let whole = |ecg: &usize| settings.targets.iter().all(|target| dataset.target(*ecg, *target).is_some_and(f64::is_finite));
    split.part(Part::Test).iter().copied().filter(whole).take(settings.heatmap_ecgs).collect()
}

/// The mark of a finished judgement: a prediction for each ECG perturbed.
const JUDGED: Most = Most { bytes: 1 << 26, of: "the mark of a finished judgement" };

/// What a finished judgement depended on, and the little of it that is not in arrays.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JudgedMark {
    digest: String,
    predicted: Vec<f64>,
    /// Digests of the arrays, heatmaps and curves, in the order of the methods.
    arrays: Vec<[String; 2]>,
}

struct Study<'a> {
    folder: &'a Path,
    settings: &'a StudySettings,
    program: &'a Program,
    data: &'a Data,
    split: &'a Split,
    kept: &'a [usize],
    report: Report<'a>,
}

impl Study<'_> {
    /// One target: network, and for each of its outputs heatmaps and perturbation. The second part is the digest of the model.
    fn target(&self, target: Target, notice: &dyn Fn(&str)) -> Result<(Vec<TargetResults>, String)> {
        let network = training::network(self.folder, self.settings, self.program, self.data, self.split, target, self.report)?;
        let provenance = network.model.provenance.as_ref();
        let metrics: Vec<SplitMetrics> = provenance.map_or(Vec::new(), |about| {
            let one = |m: &crate::nn::Metrics| SplitMetrics {
                split: m.part.to_string(),
                n: m.n,
                mae: m.mae,
                rmse: m.rmse,
                mae_of_mean: m.mae_of_mean,
                rmse_of_mean: m.rmse_of_mean,
                exact: None,
            };
            about.metrics.iter().map(one).collect()
        });
        if let Some(test) = metrics.iter().find(|m| m.split == "test") {
            let unit = target.error_unit();
            let beside = words_for_the_mean(test.mae, test.mae_of_mean, unit);
            notice(&format!("{target}: test MAE {:.2} {unit}, RMSE {:.2} {unit}; {beside}", test.mae, test.rmse));
        }
        let model = format!("sha256:{}", sha256_file(&network.path)?);
        let epochs = provenance.map_or_else(Vec::new, |about| about.epochs.clone());
        let mut all = Vec::new();
        for (output, (test, metrics)) in
            NetworkOutput::of(target)?.into_iter().zip(self.predictions(target, &network.model.network, metrics)?)
        {
            let examples = Examples::of(&self.data.dataset, self.split, Part::Test, output.target);
            let count = examples.len().min(self.settings.perturb_ecgs);
            let (ecgs, truth) = (&examples.ecgs[..count], &examples.values[..count]);
            let own = output.narrowed(network.model.network.clone())?;
            let judged = self.judge(&output, &own, &format!("{model}{} {}", output.mark(), self.data.digest), ecgs)?;
            all.push(TargetResults {
                target: output.target,
                metrics,
                epochs: epochs.clone(),
                test,
                predicted: judged.predicted,
                maps: judged.maps.into_iter().map(|(method, maps)| MethodMaps { method: method.to_string(), maps }).collect(),
                perturbation: Some(self.perturbation(output.target, ecgs, truth, judged.curves)),
            });
        }
        Ok((all, model))
    }

    /// What a network predicts of the test part, and its errors, for each of its outputs; `metrics` are those of a network of one output. A class is
    /// predicted by the log-odds of its probability.
    fn predictions(
        &self,
        target: Target,
        network: &crate::tape::Network<f32>,
        mut metrics: Vec<SplitMetrics>,
    ) -> Result<Vec<(Vec<Prediction>, Vec<SplitMetrics>)>> {
        let dataset = &self.data.dataset;
        let inputs = |ecgs: &[usize]| dataset.inputs(ecgs, self.settings.input);
        let label = format!("predicting {target}");
        if target.width() == 1 {
            let examples = Examples::of(dataset, self.split, Part::Test, target);
            let predicted = predict_ecgs(network, &inputs, &examples.ecgs, &label, self.report)?;
            let test = examples.ecgs.iter().zip(&examples.values).zip(predicted);
            let test = test.map(|((ecg, truth), predicted)| {
                let rate_bpm = dataset.target(*ecg, Target::Rate).filter(|_| target == Target::Qt);
                Prediction { ecg: *ecg as u64, truth: *truth, predicted, exact: dataset.exact(*ecg, target), rate_bpm }
            });
            let test: Vec<Prediction> = test.collect();
            if let Some(metrics) = metrics.iter_mut().find(|m| m.split == "test") {
                metrics.exact = ExactErrors::of(test.iter().map(|p| (p.exact, p.truth, p.predicted)));
            }
            return Ok(vec![(test, metrics)]);
        }
        let (outputs, columns) = (NetworkOutput::of(target)?, (0..target.width()).collect::<Vec<_>>());
        let mut all = vec![(Vec::new(), Vec::new()); outputs.len()];
        for part in Part::ALL {
            let ecgs = Examples::of(dataset, self.split, part, target).ecgs;
            let odds = log_odds(&predict_outputs(network, &columns, &inputs, &ecgs, &label, self.report)?, columns.len());
            for (output, (test, metrics)) in outputs.iter().zip(&mut all) {
                let own: Vec<f64> = odds.iter().copied().skip(output.column).step_by(columns.len()).collect();
                let is = |ecg: &usize| dataset.target(*ecg, output.target).unwrap_or(f64::NAN);
                let truth: Vec<f64> = ecgs.iter().map(is).collect();
                let share = data::mean(&Examples::of(dataset, self.split, Part::Train, output.target).values);
                metrics.push(class_errors(part.name(), &own, &truth, share));
                if part == Part::Test {
                    let one = |((ecg, truth), predicted): ((&usize, &f64), &f64)| Prediction {
                        ecg: *ecg as u64,
                        truth: *truth,
                        predicted: *predicted,
                        exact: None,
                        rate_bpm: None,
                    };
                    *test = ecgs.iter().zip(&truth).zip(&own).map(one).collect();
                }
            }
        }
        Ok(all)
    }

    fn perturbation(
        &self,
        target: Target,
        ecgs: &[usize],
        truth: &[f64],
        curves: Vec<(Method, ndarray::Array2<f32>)>,
    ) -> PerturbationResults {
        let train = Examples::of(&self.data.dataset, self.split, Part::Train, target).values;
        let found = Perturbed {
            name: target.name().into(),
            ecgs: ecgs.iter().map(|ecg| *ecg as u64).collect(),
            truth: truth.to_vec(),
            sd: data::deviation(&train),
            kind: target.kind(),
            methods: curves.into_iter().map(|(method, curves)| (method.to_string(), curves)).collect(),
        };
        PerturbationResults {
            excluded: found.excluded(),
            target_sd: found.sd,
            ecgs: found.ecgs,
            truth: found.truth,
            methods: found.methods.into_iter().map(|(method, predictions)| MethodCurves { method, predictions }).collect(),
        }
    }

    /// Heatmaps and perturbation of one network: from the folder if they are of this study, else done.
    fn judge(&self, output: &NetworkOutput, network: &crate::tape::Network<f32>, identity: &str, ecgs: &[usize]) -> Result<Judged> {
        let (settings, target) = (self.settings, output.target);
        let inputs = |ecgs: &[usize]| self.data.dataset.inputs(ecgs, settings.input);
        let (attribution, perturbation) = (settings.attribution(output), settings.perturbation());
        let judge = Judge {
            network,
            inputs: &inputs,
            methods: &settings.methods,
            attribution: &attribution,
            perturbation: &perturbation,
            kept: self.kept,
            perturbed: ecgs,
        };
        let (maps, curves) = (self.folder.join("heatmaps").join(target.name()), self.folder.join("curves").join(target.name()));
        let (mark, digest) = (maps.join("judged.json"), judge.digest(identity));
        let done: Option<JudgedMark> = intake::json(&mark, JUDGED).ok();
        let cache = self.folder.join("cache").join(target.name());
        if let Some(done) = done.filter(|done| done.digest == digest && self.arrays(&maps, &curves).is_ok_and(|found| found == done.arrays))
        {
            // A kill may have come between the mark and this.
            remove_cache(&cache)?;
            return self.judged(&maps, &curves, done.predicted);
        }
        let label = format!("explaining and perturbing {target}");
        let judged = judge.run(&cache, identity, &label, self.report)?;
        for folder in [&maps, &curves] {
            renew(folder)?;
        }
        for (method, values) in &judged.maps {
            npy::write(maps.join(format!("{method}.npy")), values.view())?;
        }
        for (method, values) in &judged.curves {
            npy::write(curves.join(format!("{method}.npy")), values.view())?;
        }
        let done = JudgedMark { digest, predicted: judged.predicted.clone(), arrays: self.arrays(&maps, &curves)? };
        let text = serde_json::to_string_pretty(&done).map_err(|error| Error::format(&mark, error.to_string()))?;
        atomic::write(&mark, text.as_bytes())?;
        remove_cache(&cache)?;
        Ok(judged)
    }

    /// The digests of what a judgement left in arrays.
    fn arrays(&self, maps: &Path, curves: &Path) -> Result<Vec<[String; 2]>> {
        let digest = |folder: &Path, method: &Method| sha256_file(folder.join(format!("{method}.npy")));
        self.settings.methods.iter().map(|method| Ok([digest(maps, method)?, digest(curves, method)?])).collect()
    }

    fn judged(&self, maps: &Path, curves: &Path, predicted: Vec<f64>) -> Result<Judged> {
        let mut judged = Judged { predicted, ..Judged::default() };
        for method in &self.settings.methods {
            judged.maps.push((*method, array(&maps.join(format!("{method}.npy")))?));
            judged.curves.push((*method, array(&curves.join(format!("{method}.npy")))?));
        }
        Ok(judged)
    }

    /// The test ECGs with the largest errors of each target, each once.
    fn worst(&self, targets: &[TargetResults]) -> Result<Worst> {
        let of =
            |target: &TargetResults| errors::worst(&target.pairs(), LISTED).into_iter().map(|at| target.test[at].ecg).collect::<Vec<u64>>();
        let index: Vec<u64> = targets.iter().flat_map(of).collect::<BTreeSet<u64>>().into_iter().collect();
        if index.is_empty() {
            return Ok(Worst::default());
        }
        let (dataset, ecgs) = (&self.data.dataset, index.iter().map(|ecg| *ecg as usize).collect::<Vec<usize>>());
        let ids = ecgs.iter().map(|ecg| dataset.records()[*ecg].id.clone()).collect();
        let measurements = ecgs.iter().map(|ecg| dataset.measurements(*ecg).clone()).collect();
        Ok(Worst { index, ecgs: Ecgs { ids, inputs: dataset.inputs(&ecgs, self.settings.input)?, measurements } })
    }

    fn results(&self, targets: Vec<TargetResults>, digests: Vec<(String, String)>) -> Result<StudyResults> {
        let dataset = &self.data.dataset;
        let inputs = match self.kept {
            [] => ndarray::Array3::zeros((0, 12, self.settings.input.samples())),
            kept => dataset.inputs(kept, self.settings.input)?,
        };
        Ok(StudyResults {
            provenance: Provenance {
                version: concat!("cardiograd ", env!("CARGO_PKG_VERSION")).into(),
                command: self.settings.command(),
                seed: self.settings.seed(),
                settings: self.settings.listed(),
                digests,
            },
            input: self.settings.input,
            scoring: self.settings.scoring,
            data: data::describe(dataset, self.settings)?,
            ecgs: Ecgs {
                ids: self.kept.iter().map(|ecg| dataset.records()[*ecg].id.clone()).collect(),
                inputs,
                measurements: self.kept.iter().map(|ecg| dataset.measurements(*ecg).clone()).collect(),
            },
            worst: self.worst(&targets)?,
            targets,
        })
    }
}

/// Removes what a target's judgement kept on its way; the folder of all goes with the last one's.
fn remove_cache(cache: &Path) -> Result<()> {
    if cache.exists() {
        std::fs::remove_dir_all(cache).map_err(|source| Error::io(cache, source))?;
    }
    let _ = cache.parent().map(std::fs::remove_dir);
    Ok(())
}

/// An empty folder in place of whatever an earlier run left there.
fn renew(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|source| Error::io(folder, source))?;
    }
    std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))
}

fn array<D: Dimension>(path: &Path) -> Result<Array<f32, D>> {
    let array: ArrayD<f32> = npy::read_f32(path)?;
    let shape = array.shape().to_vec();
    array.into_dimensionality().map_err(|_| Error::format(path, format!("has shape {shape:?}: remove the folder it lies in")))
}
