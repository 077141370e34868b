//! What a study found: the plain input of every table, picture and page. Whoever runs a study fills it; the report only reads it.

use crate::dataset::{InputKind, Target};
use crate::ecg::Measurements;
use crate::evaluation::errors::errors;
use crate::evaluation::scores::Scoring;
use crate::nn::Epoch;
use crate::{Error, Result};
use ndarray::{Array2, Array3};
use serde::{Deserialize, Deserializer, Serialize};

/// Everything a study found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyResults {
    /// Settings, seed, versions and digests.
    pub provenance: Provenance,
    /// What the networks look at.
    pub input: InputKind,
    /// The one scoring of perturbation by which this study ranks, draws and tests; others stand beside it.
    #[serde(default)]
    pub scoring: Scoring,
    /// Where the ECGs came from and how they are distributed.
    pub data: DataDescription,
    /// The ECGs whose heatmaps were kept (the study's 51).
    pub ecgs: Ecgs,
    /// The test ECGs with the largest errors of any target.
    #[serde(default)]
    pub worst: Worst,
    /// One entry per target, in the study's order.
    pub targets: Vec<TargetResults>,
}

/// What is needed to run the study again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The program's version, e.g. `cardiograd 0.1.0`.
    pub version: String,
    /// The command that was run.
    pub command: String,
    /// The master seed.
    pub seed: u64,
    /// Every setting, name and value, in the order in which a person would read them.
    pub settings: Vec<(String, String)>,
    /// Digests of inputs, models and outputs: path or name, and `sha256:…`.
    pub digests: Vec<(String, String)>,
}

/// Where the ECGs came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataDescription {
    /// `simulator`, `pulse2pulse` or a dataset's name.
    pub source: String,
    /// ECGs generated or read.
    pub ecgs: usize,
    /// ECGs that could not be measured, by reason.
    pub rejected: Vec<(String, usize)>,
    /// Distribution of each target over the ECGs in which it was measured.
    pub targets: Vec<Distribution>,
}

/// How one measurement is distributed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// The measurement.
    pub target: Target,
    /// ECGs in which it was measured.
    pub n: usize,
    /// Mean, in the target's unit.
    #[serde(deserialize_with = "or_unknown")]
    pub mean: f64,
    /// Standard deviation (n − 1).
    #[serde(deserialize_with = "or_unknown")]
    pub sd: f64,
    /// Smallest value.
    #[serde(deserialize_with = "or_unknown")]
    pub min: f64,
    /// Median.
    #[serde(deserialize_with = "or_unknown")]
    pub median: f64,
    /// Largest value.
    #[serde(deserialize_with = "or_unknown")]
    pub max: f64,
}

/// The ECGs whose heatmaps were kept, E of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ecgs {
    /// Names, e.g. the index in the dataset.
    pub ids: Vec<String>,
    /// (E, 12, L), µV, as the networks saw them.
    #[serde(skip)]
    pub inputs: Array3<f32>,
    /// What was measured on each.
    pub measurements: Vec<Measurements>,
}

/// Test ECGs with large errors, W of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worst {
    /// Their indices in the dataset, in its order.
    pub index: Vec<u64>,
    /// Names, (W, 12, L) inputs and measurements.
    pub ecgs: Ecgs,
}

/// What was found for one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetResults {
    /// The target.
    pub target: Target,
    /// Errors on each split.
    pub metrics: Vec<SplitMetrics>,
    /// Every epoch of the training; empty when not known.
    #[serde(default)]
    pub epochs: Vec<Epoch>,
    /// Predicted against measured on the test split.
    pub test: Vec<Prediction>,
    /// What the network predicted for each kept ECG (E), in the target's unit; empty when not known.
    pub predicted: Vec<f64>,
    /// Heatmaps of the kept ECGs, one entry per method.
    #[serde(skip)]
    pub maps: Vec<MethodMaps>,
    /// What perturbing the heatmaps' points did; `None` when it was not run.
    pub perturbation: Option<PerturbationResults>,
}

/// The errors of one network on one split, in the target's unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitMetrics {
    /// `train`, `validation` or `test`.
    pub split: String,
    /// ECGs in the split that have the target.
    pub n: usize,
    /// Mean absolute error.
    #[serde(deserialize_with = "or_unknown")]
    pub mae: f64,
    /// Root mean squared error.
    #[serde(deserialize_with = "or_unknown")]
    pub rmse: f64,
    /// Mean absolute error of predicting the training mean.
    #[serde(deserialize_with = "or_unknown")]
    pub mae_of_mean: f64,
    /// Root mean squared error of predicting the training mean.
    #[serde(deserialize_with = "or_unknown")]
    pub rmse_of_mean: f64,
    /// The errors against the exact values, where the dataset knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<ExactErrors>,
}

/// Errors against exact values, in the target's unit: those of the network, and those of what it was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactErrors {
    /// ECGs with an exact value.
    pub n: usize,
    /// Mean absolute error of the network.
    pub mae: f64,
    /// Root mean squared error of the network.
    pub rmse: f64,
    /// Mean absolute error of the measurements.
    pub mae_of_measured: f64,
    /// Root mean squared error of the measurements.
    pub rmse_of_measured: f64,
}

impl ExactErrors {
    /// Those of ECGs given as exact, measured and predicted value. `None` where no exact value is known.
    pub fn of(all: impl Iterator<Item = (Option<f64>, f64, f64)>) -> Option<Self> {
        let known: Vec<(f64, f64, f64)> = all.filter_map(|(exact, measured, predicted)| Some((exact?, measured, predicted))).collect();
        let network = errors(&known.iter().map(|(exact, _, predicted)| (*exact, *predicted)).collect::<Vec<_>>())?;
        let measured = errors(&known.iter().map(|(exact, measured, _)| (*exact, *measured)).collect::<Vec<_>>())?;
        let (mae_of_measured, rmse_of_measured) = (measured.mae, measured.rmse);
        Some(ExactErrors { n: network.n, mae: network.mae, rmse: network.rmse, mae_of_measured, rmse_of_measured })
    }
}

impl SplitMetrics {
    /// Whether the network is no better than always predicting the training mean: what its heatmaps explain then means little. Nothing is known
    /// where a figure is not a number.
    pub fn is_worse_than_mean(&self) -> bool {
        self.mae >= self.mae_of_mean
    }
}

/// One prediction on the test split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The ECG's index in its dataset.
    pub ecg: u64,
    /// The measured value.
    pub truth: f64,
    /// The network's; of yes or no the logit, of one class of several the log-odds of its softmax probability.
    pub predicted: f64,
    /// The exact value, where the dataset knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<f64>,
    /// The measured rate, beats per minute, by which a QT interval is corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_bpm: Option<f64>,
}

impl Prediction {
    /// Measured and predicted value.
    pub fn pair(&self) -> (f64, f64) {
        (self.truth, self.predicted)
    }
}

/// The heatmaps of one method.
#[derive(Clone, Debug)]
pub struct MethodMaps {
    /// The method's name on the command line.
    pub method: String,
    /// (E, 12, L) attributions.
    pub maps: Array3<f32>,
}

/// What perturbation did to the predictions of one network.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerturbationResults {
    /// The ECGs perturbed (n), as indices in their dataset: the same for all methods.
    pub ecgs: Vec<u64>,
    /// Their measured values (n).
    pub truth: Vec<f64>,
    /// Standard deviation of the target over the training split, for the error / SD(y) scoring.
    #[serde(deserialize_with = "or_unknown")]
    pub target_sd: f64,
    /// ECGs left out, and why.
    pub excluded: Vec<(u64, String)>,
    /// One entry per method.
    #[serde(skip)]
    pub methods: Vec<MethodCurves>,
}

/// The predictions of one network while the points of one method's heatmaps were perturbed.
#[derive(Clone, Debug)]
pub struct MethodCurves {
    /// The method's name on the command line.
    pub method: String,
    /// (n, iterations + 1): column 0 is the unperturbed ECG.
    pub predictions: Array2<f32>,
}

impl StudyResults {
    /// Checks that the parts fit each other: one map per kept ECG and of its shape, one curve per perturbed ECG, nothing infinite.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Value`], naming the part.
    pub fn check(&self) -> Result<()> {
        let (ecgs, leads, samples) = self.ecgs.inputs.dim();
        if self.ecgs.ids.len() != ecgs || self.ecgs.measurements.len() != ecgs {
            let found = (self.ecgs.ids.len(), self.ecgs.measurements.len());
            return Err(Error::shape("the study's ECGs: names and measurements", (ecgs, ecgs), found));
        }
        if leads != 12 {
            return Err(Error::shape("the study's ECGs", ("E", 12, "L"), (ecgs, leads, samples)));
        }
        finite("the study's ECGs", self.ecgs.inputs.iter())?;
        self.worst.check(samples)?;
        for d in &self.data.targets {
            finite(&format!("the distribution of {}", d.target), known(&[d.mean, d.sd, d.min, d.median, d.max]))?;
        }
        for target in &self.targets {
            target.check((ecgs, leads, samples))?;
        }
        Ok(())
    }

    /// The results of one target.
    pub fn target(&self, target: Target) -> Option<&TargetResults> {
        self.targets.iter().find(|results| results.target == target)
    }

    /// The value of a setting, as a person reads it.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.provenance.settings.iter().find(|setting| setting.0 == name).map(|setting| setting.1.as_str())
    }

    /// The methods that have heatmaps for any target, in the study's order.
    pub fn methods(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for maps in self.targets.iter().flat_map(|target| &target.maps) {
            if !names.contains(&maps.method) {
                names.push(maps.method.clone());
            }
        }
        super::methods::sort(&mut names);
        names
    }
}

impl Worst {
    /// The name of an ECG by its index in the dataset.
    pub fn id(&self, index: u64) -> Option<&str> {
        self.index.iter().position(|other| *other == index).map(|at| self.ecgs.ids[at].as_str())
    }

    fn check(&self, samples: usize) -> Result<()> {
        let Worst { index, ecgs } = self;
        let (found, shape) = ((ecgs.ids.len(), ecgs.measurements.len(), ecgs.inputs.dim()), (index.len(), 12, samples));
        if index.is_empty() {
            return Ok(());
        }
        if found != (index.len(), index.len(), shape) {
            return Err(Error::shape("the ECGs of the largest errors", (index.len(), index.len(), shape), found));
        }
        finite("the ECGs of the largest errors", ecgs.inputs.iter())
    }
}

impl TargetResults {
    fn check(&self, shape: (usize, usize, usize)) -> Result<()> {
        for MethodMaps { method, maps } in &self.maps {
            let at = format!("heatmaps of {method} for {}", self.target);
            if maps.dim() != shape {
                return Err(Error::shape(at, shape, maps.dim()));
            }
            finite(&at, maps.iter())?;
        }
        for m in &self.metrics {
            finite(&format!("the {} errors for {}", m.split, self.target), known(&[m.mae, m.rmse, m.mae_of_mean, m.rmse_of_mean]))?;
        }
        let figures = |p: &Prediction| [Some(p.truth), Some(p.predicted), p.exact, p.rate_bpm];
        let all: Vec<f64> = self.predicted.iter().copied().chain(self.test.iter().flat_map(figures).flatten()).collect();
        finite(&format!("predictions for {}", self.target), &all)?;
        let exact = self.metrics.iter().filter_map(|m| m.exact);
        let all: Vec<f64> = exact.flat_map(|e| [e.mae, e.rmse, e.mae_of_measured, e.rmse_of_measured]).collect();
        finite(&format!("errors against exact values for {}", self.target), &all)?;
        let Some(perturbation) = &self.perturbation else { return Ok(()) };
        finite(&format!("the SD of {}", self.target), known(&[perturbation.target_sd]))?;
        finite(&format!("measured values of the ECGs perturbed for {}", self.target), &perturbation.truth)?;
        let n = perturbation.ecgs.len();
        if perturbation.truth.len() != n {
            return Err(Error::shape(format!("measured values of the ECGs perturbed for {}", self.target), n, perturbation.truth.len()));
        }
        let points = perturbation.methods.first().map_or(0, |method| method.predictions.ncols());
        for MethodCurves { method, predictions } in &perturbation.methods {
            let at = format!("perturbation curves of {method} for {}", self.target);
            if predictions.dim() != (n, points) {
                return Err(Error::shape(at, (n, points), predictions.dim()));
            }
            finite(&at, predictions.iter())?;
        }
        Ok(())
    }

    /// The heatmaps of one method, (E, 12, L).
    pub fn maps_of(&self, method: &str) -> Option<&Array3<f32>> {
        self.maps.iter().find(|maps| maps.method == method).map(|maps| &maps.maps)
    }

    /// The errors on one split.
    pub fn split(&self, name: &str) -> Option<&SplitMetrics> {
        self.metrics.iter().find(|metrics| metrics.split == name)
    }
}

/// What is known of some figures: NaN stands for what no ECG, or too few, can tell, and is `null` in the file.
fn known(figures: &[f64]) -> impl Iterator<Item = &f64> {
    figures.iter().filter(|figure| !figure.is_nan())
}

/// A number, or NaN for `null`.
fn or_unknown<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn finite<'a, T: Copy + Into<f64> + 'a>(at: &str, values: impl IntoIterator<Item = &'a T>) -> Result<()> {
    match values.into_iter().position(|value| !Into::<f64>::into(*value).is_finite()) {
        None => Ok(()),
        Some(flat) => Err(Error::Value { at: format!("{at}, element {flat}"), problem: "is not a finite number".into() }),
    }
}
