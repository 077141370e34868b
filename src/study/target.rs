//! One target of a study: train, predict, explain, perturb. Each result is kept under the study's folder.

use super::{StudySettings, make};
use crate::attribution::{Explainer, Method, Settings};
use crate::dataset::{Dataset, Part, Split, Target};
use crate::evaluation::perturbation::{PerturbationSettings, perturb};
use crate::files::{atomic, npy};
use crate::nn::{Checkpoint, Examples, Model, Trainer, TrainingData, predict_ecgs, stevennet};
use crate::progress::{Report, Step};
use crate::report::results::{MethodCurves, MethodMaps, PerturbationResults, Prediction, SplitMetrics, TargetResults};
use crate::tape::Tensor;
use crate::{Error, Result};
use ndarray::{Array2, Array3, Axis, Ix2, Ix3};
use std::path::{Path, PathBuf};

/// ECGs explained and perturbed between two notes on disk.
const CHUNK: usize = 32;

/// Inputs (N, 12, L), their numbers in the dataset, and each method's maps (N, 12, L).
type Explained = (Array3<f32>, Vec<u64>, Vec<(Method, Array3<f32>)>);

/// What the work on one target needs.
pub(super) struct Stage<'a> {
    pub settings: &'a StudySettings,
    pub folder: &'a Path,
    pub data: &'a Dataset,
    pub digest: &'a str,
    pub split: &'a Split,
    pub kept: &'a [usize],
    pub target: Target,
}

impl Stage<'_> {
    /// The results of the target, from disk where they are there.
    pub fn run(&self, report: Report<'_>) -> Result<TargetResults> {
        let model = self.model(report)?;
        let about =
            model.provenance.as_ref().ok_or_else(|| Error::Data(format!("the model of {} says nothing of its training", self.target)))?;
        let metric = |m: &crate::nn::Metrics| SplitMetrics {
            split: m.part.name().into(),
            n: m.n,
            mae: m.mae,
            rmse: m.rmse,
            mae_of_mean: m.mae_of_mean,
            rmse_of_mean: m.rmse_of_mean,
        };
        let metrics = about.metrics.iter().map(metric).collect();
        let test = Examples::of(self.data, self.split, Part::Test, self.target);
        let inputs = |ecgs: &[usize]| self.data.inputs(ecgs, self.settings.input);
        let label = format!("predicting {}", self.target);
        let predicted = predict_ecgs(&model.network, &inputs, &test.ecgs, &label, report)?;
        let row = |((ecg, truth), predicted): ((&usize, &f64), &f64)| Prediction { ecg: *ecg as u64, truth: *truth, predicted: *predicted };
        let kept_predictions = predict_ecgs(&model.network, &inputs, self.kept, &label, report)?;
        let maps = self.maps(&model, report)?;
        let perturbation = Some(self.perturbation(&model, &test, report)?);
        let test = test.ecgs.iter().zip(&test.values).zip(&predicted).map(row).collect();
        Ok(TargetResults { target: self.target, metrics, test, predicted: kept_predictions, maps, perturbation })
    }

    fn path(&self, part: &str) -> PathBuf {
        self.folder.join(part).join(self.target.name())
    }

    /// The trained network with the weights of its best epoch.
    fn model(&self, report: Report<'_>) -> Result<Model> {
        make(&self.folder.join("models"))?;
        let file = |ending: &str| self.folder.join(format!("models/{}{ending}", self.target));
        let (best, last, saved) = (file(".cgm"), file(".last.cgm"), file(".checkpoint"));
        if best.exists() && !saved.exists() {
            return Model::load(&best);
        }
        let program = stevennet(12, Some(self.settings.input.samples()))?;
        let [train, validation, test] = Part::ALL.map(|part| Examples::of(self.data, self.split, part, self.target));
        let inputs = |ecgs: &[usize]| self.data.inputs(ecgs, self.settings.input);
        let data = TrainingData {
            target: self.target,
            input: self.settings.input,
            inputs: &inputs,
            train: &train,
            validation: &validation,
            test: &test,
        };
        let mut trainer = Trainer::new(&program, data, &self.settings.training)?;
        if saved.exists() {
            trainer.resume(Checkpoint::load(&saved)?)?;
        }
        while !trainer.is_done() {
            trainer.epoch(report)?;
            trainer.checkpoint().save(&saved)?;
        }
        let trained = trainer.finish(self.digest, report)?;
        trained.last.save(&last)?;
        trained.best.save(&best)?;
        std::fs::remove_file(&saved).map_err(|source| Error::io(saved, source))?;
        Ok(trained.best)
    }

    fn explanation(&self) -> Settings {
        Settings { seed: self.settings.seed, target: self.target.index(), ..Settings::default() }
    }

    /// Inputs and maps of some ECGs.
    fn explain(&self, model: &Model, ecgs: &[usize], report: Report<'_>) -> Result<Explained> {
        let x = self.data.inputs(ecgs, self.settings.input)?;
        let ids: Vec<u64> = ecgs.iter().map(|ecg| *ecg as u64).collect();
        let settings = self.explanation();
        let found =
            Explainer::new(&model.network, &settings)?.explain(&x.clone().into_dyn().into_shared(), &ids, &Method::STUDY, report)?;
        let fixed = |(method, map): (Method, Tensor<f32>)| {
            let map = map.into_owned().into_dimensionality::<Ix3>().map_err(|error| Error::Data(error.to_string()))?;
            Ok((method, map))
        };
        Ok((x, ids, found.maps.into_iter().map(fixed).collect::<Result<_>>()?))
    }

    /// The heatmaps of the kept ECGs by the nine methods and the random control.
    fn maps(&self, model: &Model, report: Report<'_>) -> Result<Vec<MethodMaps>> {
        let folder = self.path("heatmaps");
        let file = |method: Method| folder.join(format!("{method}.npy"));
        if Method::STUDY.iter().all(|method| file(*method).exists()) {
            return Method::STUDY
                .iter()
                .map(|method| Ok(MethodMaps { method: method.name().into(), maps: read::<Ix3>(&file(*method))? }))
                .collect();
        }
        let label = format!("explaining {}", self.target);
        let (_, _, maps) = self.explain(model, self.kept, &|step| report(Step { label: &label, ..step }))?;
        make(&folder)?;
        let mut all = Vec::with_capacity(maps.len());
        for (method, maps) in maps {
            npy::write(file(method), maps.view())?;
            all.push(MethodMaps { method: method.name().into(), maps });
        }
        Ok(all)
    }

    /// Perturbs test ECGs, a chunk at a time; chunks that are on disk are not made again.
    fn perturbation(&self, model: &Model, test: &Examples, report: Report<'_>) -> Result<PerturbationResults> {
        let count = self.settings.perturb_ecgs.min(test.len());
        let procedure = PerturbationSettings { iterations: self.settings.iterations, seed: self.settings.seed, ..Default::default() };
        let work = self.folder.join("curves").join(format!("{}.partial", self.target));
        let whole = self.path("curves");
        let file = |method: Method| whole.join(format!("{method}.npy"));
        let done = Method::STUDY.iter().all(|method| file(*method).exists());
        let mut parts: Vec<Vec<Array2<f32>>> = Vec::new();
        let label = format!("perturbing {}", self.target);
        for (number, ecgs) in test.ecgs[..count].chunks(CHUNK).enumerate().filter(|_| !done) {
            let part = work.join(number.to_string());
            let saved = |method: Method| part.join(format!("{method}.npy"));
            if part.exists() {
                parts.push(Method::STUDY.iter().map(|method| read::<Ix2>(&saved(*method))).collect::<Result<_>>()?);
                continue;
            }
            let step = |step: Step<'_>| {
                report(Step { label: &label, done: (number * CHUNK) as u64 + step.done, total: count as u64, ..step });
            };
            let (x, ids, maps) = self.explain(model, ecgs, &crate::progress::silent)?;
            let maps: Vec<_> = maps.iter().map(|(_, map)| map.view()).collect();
            let curves = perturb(&model.network, x.view(), &ids, &maps, &procedure, &step)?;
            save_part(&part, &curves)?;
            parts.push(curves);
        }
        let mut methods = Vec::new();
        for (at, method) in Method::STUDY.into_iter().enumerate() {
            let predictions = if done {
                read::<Ix2>(&file(method))?
            } else {
                let views: Vec<_> = parts.iter().map(|part| part[at].view()).collect();
                ndarray::concatenate(Axis(0), &views).map_err(|error| Error::Data(error.to_string()))?
            };
            methods.push(MethodCurves { method: method.name().into(), predictions });
        }
        if !done {
            make(&whole)?;
            for (method, curves) in Method::STUDY.into_iter().zip(&methods) {
                npy::write(file(method), curves.predictions.view())?;
            }
            let _ = std::fs::remove_dir_all(&work);
        }
        let train = Examples::of(self.data, self.split, Part::Train, self.target);
        let ecgs = test.ecgs[..count].iter().map(|ecg| *ecg as u64).collect();
        Ok(PerturbationResults { ecgs, truth: test.values[..count].to_vec(), target_sd: sd(&train.values), excluded: Vec::new(), methods })
    }
}

/// Notes a chunk of curves; the folder appears whole or not at all.
fn save_part(part: &Path, curves: &[Array2<f32>]) -> Result<()> {
    if let Some(parent) = part.parent() {
        make(parent)?;
    }
    let folder = atomic::AtomicFolder::create(part)?;
    for (method, curves) in Method::STUDY.iter().zip(curves) {
        npy::write(folder.partial().join(format!("{method}.npy")), curves.view())?;
    }
    folder.commit()
}

/// Standard deviation (n − 1).
fn sd(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}

fn read<D: ndarray::Dimension>(path: &Path) -> Result<ndarray::Array<f32, D>> {
    let array = npy::read_f32(path)?;
    let shape = array.shape().to_vec();
    array.into_dimensionality().map_err(|_| Error::format(path, format!("it has shape {shape:?}: remove it and run the study again")))
}
