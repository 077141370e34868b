//! The criteria, one function each: from a network and its heatmaps to figures per ECG and method.

use super::control::Control;
use super::explain::{Maps, attribution, maps};
use super::findings::{Criterion, Measure, Row, plainly};
use super::infidelity::{Perturbed, max_sensitivity, per_microvolt};
use super::localisation::{Region, segment};
use super::randomise::{Layer, layers, randomised};
use super::removal::Removal;
use super::replace::{Patches, Replacement, Replacer, range};
use super::settings::{Draw, Settings};
use super::similarity::{SIMILARITIES, Similarity};
use super::subject::{Batch, Subject};
use crate::attribution::{Family, Method};
use crate::dataset::{InputKind, Part, TargetKind};
use crate::evaluation::perturbation::Predictor;
use crate::evaluation::ranks::{ascending, larger, pearson};
use crate::progress::{Report, Step};
use crate::random::{Stream, standard_normal};
use crate::tape::{Network, RuleSet, from_vec, slice};
use crate::{Error, Result};
use ndarray::{Array3, ArrayView2, Axis};
use rand::RngExt;
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The seed of randomised weights lies this far from the challenge's: not the one that the network was trained from.
const ELSEWHERE: u64 = 0x5eed;

/// A network, its ECGs and its heatmaps.
pub(super) struct Bench<'a> {
    pub subject: &'a Subject<'a>,
    pub settings: &'a Settings,
    pub methods: &'a [Method],
    pub batch: Batch,
    pub maps: Maps,
    /// Where networks to compare with are kept.
    pub networks: &'a Path,
    pub report: Report<'a>,
}

/// Figures and remarks.
pub(super) struct Found {
    pub ecgs: Vec<usize>,
    pub measures: Vec<Measure>,
    pub remarks: Vec<String>,
}

impl Bench<'_> {
    /// Asks one question.
    pub fn ask(&self, criterion: Criterion) -> Result<Found> {
        match criterion {
            Criterion::Localisation => Ok(self.localisation()),
            Criterion::Likeness => Ok(self.likeness()),
            Criterion::Infidelity => self.infidelity(),
            Criterion::Sensitivity => self.sensitivity(),
            Criterion::Cascading => self.randomisation(true),
            Criterion::Independent => self.randomisation(false),
            Criterion::PermutedLabels => self.permuted_labels(),
            Criterion::Seeds => self.seeds(),
            Criterion::Replacement => self.replacement(),
        }
    }

    fn network(&self) -> &Network<f32> {
        &self.subject.model.network
    }

    fn label(&self, what: &str) -> String {
        format!("{} {what}", self.subject.name)
    }

    fn found(&self, measures: Vec<Measure>) -> Found {
        Found { ecgs: self.batch.ids.clone(), measures, remarks: Vec::new() }
    }

    /// A measure from a figure of each method (by place) and ECG (by place).
    fn measure(&self, name: impl Into<String>, ecgs: usize, of: impl Fn(usize, usize) -> Option<f64>) -> Measure {
        let row = |(m, method): (usize, &Method)| Row { of: method.to_string(), values: (0..ecgs).map(|n| of(m, n)).collect() };
        Measure { name: name.into(), layer: None, rows: self.methods.iter().enumerate().map(row).collect() }
    }

    fn map(&self, method: usize, ecg: usize) -> ArrayView2<'_, f32> {
        self.maps[method].index_axis(Axis(0), ecg)
    }

    fn flat(&self, method: usize, ecg: usize) -> Vec<f32> {
        self.map(method, ecg).iter().copied().collect()
    }

    /// One result per ECG, in parallel, with progress.
    fn each<T: Send>(&self, what: &str, ecgs: usize, of: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
        let (label, done) = (self.label(what), AtomicU64::new(0));
        let one = |n: usize| {
            let found = of(n)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            (self.report)(Step { label: &label, done, total: ecgs as u64, unit: "ECGs", note: "" });
            Ok(found)
        };
        (0..ecgs).into_par_iter().map(one).collect()
    }

    fn localisation(&self) -> Found {
        let of = |n: usize| {
            let (beat, ecg) = (self.batch.x.index_axis(Axis(0), n), self.batch.ids[n]);
            // A label shows where it is yes only; where it was planted, its exact place is known.
            let (target, dataset) = (self.subject.target, self.subject.dataset);
            if !target.is_measurement() && target.kind() == TargetKind::Binary && dataset.target(ecg, target) != Some(1.0) {
                return None;
            }
            let exact = dataset.exact_measurements(ecg).filter(|_| !target.is_measurement());
            segment(target, beat, exact.unwrap_or_else(|| dataset.measurements(ecg)))
        };
        let median = self.subject.input == InputKind::Median;
        let segments: Vec<Option<Region>> = (0..self.batch.ids.len()).map(|n| if median { of(n) } else { None }).collect();
        let share = |m: usize, n: usize| segments[n].as_ref()?.share(self.map(m, n));
        let points = |n: usize| segments[n].as_ref().map(|segment| segment.points(self.batch.x.index_axis(Axis(0), n)));
        let count = segments.len();
        let mut found = self.found(vec![
            self.measure("share", count, share),
            self.measure("ratio", count, |m, n| Some(share(m, n)? / points(n)?)),
            Measure {
                name: "points".into(),
                layer: None,
                rows: vec![Row { of: "segment".into(), values: (0..count).map(points).collect() }],
            },
        ]);
        let missing = segments.iter().filter(|segment| segment.is_none()).count();
        if !median {
            found.remarks.push("Fiducials are those of the median beat: localisation cannot be asked of a network that reads 10 s.".into());
        } else if missing > 0 && self.subject.target.kind() == TargetKind::Binary {
            let there = count - missing;
            found.remarks.push(format!("Localisation is of the {there} of {count} ECGs in which the label is yes and its place is known."));
        } else if missing == count {
            found.remarks.push(format!("No ECG has the fiducials that say where {} is measured.", self.subject.target.title()));
        } else if missing > 0 {
            found.remarks.push(format!("{missing} of {count} ECGs lack a fiducial of the segment and are left out of localisation."));
        }
        found
    }

    fn likeness(&self) -> Found {
        let count = self.methods.len();
        let pairs = |n: usize| -> Vec<Option<f64>> {
            let ranks = |m: usize| ascending(&self.map(m, n).iter().map(|v| f64::from(v.abs())).collect::<Vec<f64>>());
            let ranks: Vec<Vec<f64>> = (0..count).map(ranks).collect();
            (0..count * count).map(|k| pearson(&ranks[k / count], &ranks[k % count])).collect()
        };
        let ecgs = self.batch.ids.len();
        let all: Vec<Vec<Option<f64>>> = (0..ecgs).into_par_iter().map(pairs).collect();
        let with = |(b, other): (usize, &Method)| self.measure(other.to_string(), ecgs, |a, n| all[n][a * count + b]);
        let mut measures: Vec<Measure> = self.methods.iter().enumerate().map(with).collect();
        let others: Vec<usize> = (0..count).filter(|m| self.methods[*m] != Method::Random).collect();
        let mean = |a: usize, n: usize| mean(others.iter().filter(|b| **b != a).filter_map(|b| all[n][a * count + b]));
        measures.push(self.measure("mean", ecgs, mean));
        self.found(measures)
    }

    fn infidelity(&self) -> Result<Found> {
        let kinds = ["noise", "window"];
        let one = |n: usize| -> Result<Vec<[Option<f64>; 3]>> {
            let x = self.batch.samples(n);
            let mut found = Vec::new();
            for kind in kinds {
                let perturbations = self.perturbations(kind, &x, self.batch.ids[n]);
                let changes = self.changes(&x, &perturbations)?;
                let perturbed = Perturbed { perturbations: &perturbations, changes: &changes };
                for (m, method) in self.methods.iter().enumerate() {
                    let map = self.flat(m, n);
                    let score = perturbed.infidelity(&if contributes(*method) { per_microvolt(&map, &x) } else { map });
                    found.push([score.unexplained, Some(score.raw), Some(score.scaled)]);
                }
            }
            Ok(found)
        };
        let ecgs = self.batch.ids.len();
        let all = self.each("infidelity", ecgs, one)?;
        let names = ["unexplained", "raw", "scaled"];
        let places = (0..kinds.len()).flat_map(|kind| (0..names.len()).map(move |name| (kind, name)));
        let measure = |(kind, name): (usize, usize)| {
            self.measure(format!("{}.{}", kinds[kind], names[name]), ecgs, |m, n| all[n][kind * self.methods.len() + m][name])
        };
        Ok(self.found(places.map(measure).collect()))
    }

    /// Infidelity's I: noise on every point (σ a share of the range), or the values of a window of one lead, so that x − I has zeros there.
    fn perturbations(&self, kind: &str, x: &[f32], id: usize) -> Vec<Vec<f32>> {
        let len = self.batch.x.len_of(Axis(2));
        let stream = Stream::new(self.settings.seed, Draw::STAGE).ecg(id as u64);
        let count = self.settings.infidelity_draws;
        if kind == "noise" {
            let mut rng = stream.repeat(Draw::Noise.repeat(0)).rng();
            let sigma = self.settings.radius * range(x);
            let mut draw = || standard_normal(&mut rng);
            return (0..count).map(|_| x.iter().map(|_| (sigma * draw()) as f32).collect()).collect();
        }
        let mut rng = stream.repeat(Draw::Window.repeat(0)).rng();
        let width = self.settings.removed.min(len);
        let mut window = || {
            let lead = rng.random_range(0..(x.len() / len) as u64) as usize;
            let start = lead * len + rng.random_range(0..=(len - width) as u64) as usize;
            let mut i = vec![0.0; x.len()];
            i[start..start + width].copy_from_slice(&x[start..start + width]);
            i
        };
        (0..count).map(|_| window()).collect()
    }

    /// f(x) − f(x − I).
    fn changes(&self, x: &[f32], perturbations: &[Vec<f32>]) -> Result<Vec<f64>> {
        let (leads, len) = (self.batch.x.len_of(Axis(1)), self.batch.x.len_of(Axis(2)));
        let first = self.network().predict_batch(from_vec(&[1, leads, len], x.to_vec()))?[0];
        let mut changes = Vec::with_capacity(perturbations.len());
        for some in perturbations.chunks(32) {
            let inputs = some.iter().flat_map(|i| x.iter().zip(i).map(|(x, i)| x - i)).collect();
            let now = self.network().predict_batch(from_vec(&[some.len(), leads, len], inputs))?;
            changes.extend(now.into_iter().map(|now| f64::from(first) - f64::from(now)));
        }
        Ok(changes)
    }

    fn sensitivity(&self) -> Result<Found> {
        let few = self.batch.first(self.settings.few);
        let ecgs = few.ids.len();
        let attribution = attribution(self.subject, self.settings);
        let mut worst = vec![vec![Some(0.0f64); ecgs]; self.methods.len()];
        for draw in 0..self.settings.sensitivity_draws {
            let label = self.label(&format!("max-sensitivity, input {} of {}", draw + 1, self.settings.sensitivity_draws));
            let near = self.neighbours(&few, draw);
            let found = maps(self.network(), &near, self.methods, &attribution, 1 + draw as u64, &self.labelled(&label))?;
            for (m, maps) in found.iter().enumerate() {
                for n in 0..ecgs {
                    let other: Vec<f32> = maps.index_axis(Axis(0), n).iter().copied().collect();
                    let now = max_sensitivity(&self.flat(m, n), [other.as_slice()]);
                    worst[m][n] = worst[m][n].and_then(|worst| Some(larger(worst, now?)));
                }
            }
        }
        let measures = vec![self.measure("max", ecgs, |m, n| worst[m][n])];
        Ok(Found { ecgs: few.ids, measures, remarks: Vec::new() })
    }

    /// The ECGs with noise, uniform within ± a share of their range at every point: the ball of Captum's `default_perturb_func`.
    fn neighbours(&self, few: &Batch, draw: usize) -> Batch {
        let mut x: Array3<f32> = few.x.clone();
        for (n, mut ecg) in x.axis_iter_mut(Axis(0)).enumerate() {
            let radius = self.settings.radius * range(&few.samples(n));
            let stream = Stream::new(self.settings.seed, Draw::STAGE).ecg(few.ids[n] as u64);
            let mut rng = stream.repeat(Draw::Neighbour.repeat(draw as u32)).rng();
            ecg.iter_mut().for_each(|v| *v = (f64::from(*v) + radius * (2.0 * rng.random::<f64>() - 1.0)) as f32);
        }
        Batch { ids: few.ids.clone(), x }
    }

    fn randomisation(&self, cascading: bool) -> Result<Found> {
        let few = self.batch.first(self.settings.few);
        let layers = layers(self.network().program())?;
        let attribution = attribution(self.subject, self.settings);
        let seed = self.settings.seed.wrapping_add(ELSEWHERE);
        let mut measures = Vec::new();
        for (k, layer) in layers.iter().enumerate() {
            let changed: &[Layer] = if cascading { &layers[..=k] } else { &layers[k..=k] };
            let network = randomised(self.network(), changed, seed, self.subject.target.index())?;
            let how = if cascading { "randomised from the output to" } else { "randomised at" };
            let label = self.label(&format!("{how} {}", plainly(&layer.name)));
            let afresh = (if cascading { 1000 } else { 2000 }) + k as u64;
            let found = maps(&network, &few, self.methods, &attribution, afresh, &self.labelled(&label))?;
            measures
                .extend(self.similarities(None, &found).into_iter().map(|measure| Measure { layer: Some(layer.name.clone()), ..measure }));
        }
        for similarity in SIMILARITIES {
            measures.push(self.mean_of(similarity, &measures, few.ids.len()));
        }
        let names: Vec<String> = layers.iter().map(|layer| plainly(&layer.name)).collect();
        let remarks = vec![format!("Layers from the output: {}.", names.join(", "))];
        Ok(Found { ecgs: few.ids, measures, remarks })
    }

    /// The mean of a similarity over the layers.
    fn mean_of(&self, similarity: &str, measures: &[Measure], ecgs: usize) -> Measure {
        let own: Vec<&Measure> = measures.iter().filter(|measure| measure.layer.is_some() && measure.name == similarity).collect();
        self.measure(format!("mean.{similarity}"), ecgs, |m, n| mean(own.iter().filter_map(|measure| measure.rows[m].values[n])))
    }

    /// The four similarities of other maps, those of network `name`, with the network's own, for as many ECGs as there are of those.
    fn similarities(&self, name: Option<&str>, others: &Maps) -> Vec<Measure> {
        let ecgs = others.first().map_or(0, |maps| maps.len_of(Axis(0)));
        let of = |k: usize| {
            let (m, n) = (k / ecgs, k % ecgs);
            Similarity::of(self.map(m, n), others[m].index_axis(Axis(0), n)).values()
        };
        let all: Vec<[Option<f64>; 4]> = (0..ecgs * others.len()).into_par_iter().map(of).collect();
        let name = |similarity: &str| name.map_or_else(|| similarity.to_owned(), |name| format!("{name}.{similarity}"));
        let measure = |(s, similarity): (usize, &str)| self.measure(name(similarity), ecgs, |m, n| all[m * ecgs + n][s]);
        SIMILARITIES.into_iter().enumerate().map(measure).collect()
    }

    fn permuted_labels(&self) -> Result<Found> {
        let model = Control::PermutedLabels.network(self.subject, self.settings, self.networks, self.report)?;
        let label = self.label("heatmaps of the network trained on permuted labels");
        let attribution = attribution(self.subject, self.settings);
        let others = maps(&model.network, &self.batch, self.methods, &attribution, 3000, &self.labelled(&label))?;
        let mut found = self.found(self.similarities(Some("permuted"), &others));
        let train = model.provenance.as_ref().and_then(|about| about.metrics.iter().find(|m| m.part == Part::Train));
        found.remarks.extend(train.map(|train| {
            let unit = self.subject.target.unit();
            format!(
                "On its permuted training labels the control network errs by {:.2} {unit} (RMSE) where the mean errs by {:.2} {unit}: {}.",
                train.rmse,
                train.rmse_of_mean,
                if train.rmse < 0.5 * train.rmse_of_mean { "it has learned them by heart" } else { "it has not learned them by heart" }
            )
        }));
        Ok(found)
    }

    fn seeds(&self) -> Result<Found> {
        let attribution = attribution(self.subject, self.settings);
        let mut measures = Vec::new();
        let mut remarks = Vec::new();
        for number in 1..=self.settings.seeds {
            let control = Control::OtherSeed(number);
            let model = control.network(self.subject, self.settings, self.networks, self.report)?;
            let label = self.label(&format!("heatmaps of the network of seed {number}"));
            let others = maps(&model.network, &self.batch, self.methods, &attribution, 4000 + number as u64, &self.labelled(&label))?;
            measures.extend(self.similarities(Some(&control.name()), &others));
            let test = model.provenance.as_ref().and_then(|about| about.metrics.iter().find(|m| m.part == Part::Test));
            remarks.extend(test.map(|test| {
                let unit = self.subject.target.unit();
                format!(
                    "The network of other seed {number} has a test MAE of {:.2} {unit} (the mean: {:.2} {unit}).",
                    test.mae, test.mae_of_mean
                )
            }));
        }
        let ecgs = self.batch.ids.len();
        for similarity in SIMILARITIES {
            let names: Vec<String> = (1..=self.settings.seeds).map(|k| format!("{}.{similarity}", Control::OtherSeed(k).name())).collect();
            let own: Vec<&Measure> = measures.iter().filter(|measure| names.contains(&measure.name)).collect();
            let mean = self.measure(format!("mean.{similarity}"), ecgs, |m, n| mean(own.iter().filter_map(|x| x.rows[m].values[n])));
            measures.push(mean);
        }
        Ok(Found { remarks, ..self.found(measures) })
    }

    fn replacement(&self) -> Result<Found> {
        let few = self.batch.first(self.settings.few);
        let ecgs = few.ids.len();
        let one = |n: usize| Replacement::ALL.into_iter().map(|kind| self.replaced(kind, &few, n)).collect::<Result<Vec<_>>>();
        let all = self.each("replacing what heatmaps highlight", ecgs, one)?;
        let mut measures = Vec::new();
        for (k, kind) in Replacement::ALL.into_iter().enumerate() {
            let name = |what: &str| format!("{}.{what}", kind.name());
            measures.push(self.measure(name("morf"), ecgs, |m, n| all[n][k].as_ref().map(|r| r.methods[m].0)));
            measures.push(self.measure(name("lerf"), ecgs, |m, n| all[n][k].as_ref().map(|r| r.methods[m].1)));
            let bound = |of: &str, value: &dyn Fn(&Replaced) -> f64| Row {
                of: of.into(),
                values: (0..ecgs).map(|n| all[n][k].as_ref().map(value)).collect(),
            };
            let rows = vec![bound("random_orders", &|r| r.random), bound("oracle", &|r| r.oracle)];
            measures.push(Measure { name: name("bounds"), layer: None, rows });
        }
        let Settings { patch, steps, screened, candidates, random_orders, .. } = *self.settings;
        let mut remarks = vec![format!(
            "Replacement: {steps} steps; patches of {patch} samples of one lead (points for the study's noise). Lower bound: {random_orders} random \
             orders. Upper bound: at each step the best of {candidates} candidates, those of the largest effect alone among the {screened} patches (or all, if fewer) \
             of the largest |gradient|."
        )];
        if all.iter().flatten().any(Option::is_none) {
            remarks.push("There is no other ECG in the test part whose patches could be taken: resampling is left out.".into());
        }
        Ok(Found { ecgs: few.ids, measures, remarks })
    }

    /// The scores of one ECG under one replacement; `None` where it needs another ECG and there is none.
    fn replaced(&self, kind: Replacement, few: &Batch, n: usize) -> Result<Option<Replaced>> {
        let (id, x) = (few.ids[n], few.samples(n));
        let donor = match kind {
            Replacement::Resampling => match self.donor(id)? {
                Some(donor) => donor,
                None => return Ok(None),
            },
            _ => Vec::new(),
        };
        let (leads, len) = (few.x.len_of(Axis(1)), few.x.len_of(Axis(2)));
        let patches = Patches { leads, len, window: kind.window(self.settings).min(len) };
        let replacer = Replacer::new(kind, patches, &x, &donor, id as u64, self.settings);
        let removal = Removal::new(self.network(), patches, replacer, self.settings)?;
        let methods = (0..self.methods.len()).map(|m| removal.map(&self.flat(m, n))).collect::<Result<Vec<_>>>()?;
        let gradient = self.gradient(&x, leads, len)?;
        Ok(Some(Replaced { methods, random: removal.random(id as u64)?, oracle: removal.oracle(&gradient)? }))
    }

    fn gradient(&self, x: &[f32], leads: usize, len: usize) -> Result<Vec<f32>> {
        let tape = self.network().run(&[from_vec(&[1, leads, len], x.to_vec())])?;
        Ok(slice(&self.network().gradient(&tape, &RuleSet::plain(), 0)?).to_vec())
    }

    /// Another test ECG.
    fn donor(&self, id: usize) -> Result<Option<Vec<f32>>> {
        let others: Vec<usize> = self.subject.test_ecgs().into_iter().filter(|other| *other != id).collect();
        if others.is_empty() {
            return Ok(None);
        }
        let mut rng = Stream::new(self.settings.seed, Draw::STAGE).ecg(id as u64).repeat(Draw::Donor.repeat(0)).rng();
        let chosen = others[rng.random_range(0..others.len() as u64) as usize];
        Ok(Some(self.subject.dataset.input(chosen, self.subject.input)?.iter().copied().collect()))
    }

    /// Reports of explaining under a name that says what for.
    fn labelled<'b>(&'b self, label: &'b str) -> impl Fn(Step<'_>) + Sync + 'b {
        move |step| (self.report)(Step { label, ..step })
    }
}

/// The scores of one ECG under one replacement.
struct Replaced {
    /// Most and least relevant first, per method.
    methods: Vec<(f64, f64)>,
    random: f64,
    oracle: f64,
}

/// Whether a method's values add up to the prediction, rather than being changes of it per µV. The challenge multiplies nothing by the input.
fn contributes(method: Method) -> bool {
    matches!(method.row().family, Family::Contribution | Family::Relevance)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / n as f64)
}

/// Checks that a subject can be challenged at all.
pub(super) fn check(subject: &Subject<'_>) -> Result<()> {
    let samples = subject.input.samples();
    let shapes = subject.model.network.program().shapes(&[vec![1, 12, samples]])?;
    let output = &shapes[subject.model.network.program().output().0];
    if output != &[1, 1] {
        return Err(Error::Program(format!("{}: the network gives shape {output:?}, a challenge needs one value", subject.name)));
    }
    Ok(())
}
