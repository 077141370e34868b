//! Carrying out the catalogue: batches of ECGs in, one map per method out.

use super::catalogue::{Recipe, Reduction, recipe};
use super::memory::{self, Portions};
use super::sampler::{Points, Sampler, baseline};
use super::{Method, Settings, gradcam};
use crate::progress::{Report, Step};
use crate::random::{Stage, Stream};
use crate::tape::{Keep, Look, Network, Real, RuleSet, Tensor, Want, from_vec, slice};
use crate::{Error, Result};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a map is from adding up: Σ multiplier · (x − baseline) should be f(x) − f(baseline) (Sundararajan et al. 2017, axiom of completeness).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completeness {
    /// Σ multiplier · (x − baseline).
    pub sum: f64,
    /// f(x) − f(baseline).
    pub difference: f64,
}

impl Completeness {
    /// |sum − difference| / |difference|; the absolute error where the difference is 0.
    pub fn relative_error(&self) -> f64 {
        let error = (self.sum - self.difference).abs();
        if self.difference == 0.0 { error } else { error / self.difference.abs() }
    }
}

/// What [`Explainer::explain`] finds.
#[derive(Clone, Debug)]
pub struct Explanations<T> {
    /// The explained output of each ECG, (N).
    pub prediction: Vec<T>,
    /// One map per method, (N, C, L), in the order asked for.
    pub maps: Vec<(Method, Tensor<T>)>,
    /// For DeepLIFT and integrated gradients, one entry per ECG.
    pub completeness: Vec<(Method, Vec<Completeness>)>,
}

impl<T: Real> Explanations<T> {
    /// The map of a method, (N, C, L).
    pub fn map(&self, method: Method) -> Option<&Tensor<T>> {
        self.maps.iter().find(|(of, _)| *of == method).map(|(_, map)| map)
    }
}

/// Explains a network's predictions with any of the methods.
pub struct Explainer<'a, T: Real> {
    network: &'a Network<T>,
    settings: &'a Settings,
    folded: OnceLock<Network<T>>,
}

/// One ECG's results.
struct Single<T> {
    prediction: T,
    maps: Vec<Vec<T>>,
    completeness: Vec<Option<Completeness>>,
}

/// The shape of one input.
#[derive(Clone, Copy)]
struct Extent {
    channels: usize,
    len: usize,
}

impl Extent {
    fn size(self) -> usize {
        self.channels * self.len
    }
}

/// A few ECGs (n·C·L values) that methods look at together, and the runs that they share.
struct Chunk<'x, T: Real> {
    x: &'x [T],
    extent: Extent,
    /// The run on the ECGs.
    look: Look<T>,
    /// What is kept of that and of the run on their baselines.
    keep: Keep,
    /// Their baselines and the run on them, made when first asked for.
    reference: OnceCell<(Vec<T>, Look<T>)>,
}

impl<'a, T: Real> Explainer<'a, T> {
    /// An explainer of a network with one input.
    ///
    /// # Errors
    /// [`Error::Program`] if the network has several inputs; [`Error::Usage`] if the layer asked for does not exist.
    pub fn new(network: &'a Network<T>, settings: &'a Settings) -> Result<Self> {
        let inputs = network.program().inputs();
        let [_] = inputs[..] else {
            return Err(Error::Program(format!("the program has {} inputs, explanations need one", inputs.len())));
        };
        if settings.layer.is_some() {
            gradcam::layer(network, settings.layer.as_deref())?;
        }
        Ok(Explainer { network, settings, folded: OnceLock::new() })
    }

    /// Maps of the ECGs `x` (N, C, L), µV. `ids` are the ECGs' numbers in their dataset: they, not the place in the batch, address random draws.
    /// Each ECG's maps are the same bytes whatever else is in the batch.
    ///
    /// # Errors
    /// On inputs that are not finite or do not fit the network or the settings, and where a method cannot act on this network.
    pub fn explain(&self, x: &Tensor<T>, ids: &[u64], methods: &[Method], report: Report<'_>) -> Result<Explanations<T>> {
        let &[count, channels, len] = x.shape() else {
            return Err(Error::shape("the input", "(N, C, L)", x.shape()));
        };
        if ids.len() != count {
            return Err(Error::Data(format!("{} ids were given for {count} ECGs", ids.len())));
        }
        let extent = Extent { channels, len };
        let x = x.as_standard_layout().into_owned().into_shared();
        check_finite(&x, extent)?;
        self.settings.check(channels, len)?;
        self.network.program().shapes(&[vec![1, channels, len]])?;
        let Portions { batch, at_once } = memory::portions(self.settings.memory, self.bytes(methods, channels, len));
        let done = AtomicU64::new(0);
        let chunks: Vec<(&[T], &[u64])> = slice(&x).chunks((batch * extent.size()).max(1)).zip(ids.chunks(batch)).collect();
        let one = |(x, ids): &(&[T], &[u64])| {
            let part = self.chunk(x, ids, extent, methods, batch)?;
            let done = done.fetch_add(ids.len() as u64, Ordering::Relaxed) + ids.len() as u64;
            report(Step { label: "explaining", done, total: count as u64, unit: "ECGs", note: "" });
            Ok(part)
        };
        let mut singles: Vec<Single<T>> = Vec::with_capacity(count);
        // A thread that waits takes up other work: no more chunks are given out at once than memory may hold.
        for some in chunks.chunks(at_once) {
            let parts: Vec<Vec<Single<T>>> = some.par_iter().map(one).collect::<Result<_>>()?;
            singles.extend(parts.into_iter().flatten());
        }
        Ok(gather(singles, methods, extent))
    }

    /// Bytes that one ECG (channels × len) takes while methods look at it, its maps left out. [`Settings::memory`] is kept to if it is no less; else
    /// ECGs and samples are taken one at a time.
    pub fn bytes(&self, methods: &[Method], channels: usize, len: usize) -> usize {
        memory::bytes(self.network, self.settings, methods, channels, len)
    }

    /// All methods on a few ECGs: those that look once share one forward run.
    fn chunk(&self, x: &[T], ids: &[u64], extent: Extent, methods: &[Method], batch: usize) -> Result<Vec<Single<T>>> {
        let size = extent.size();
        // Grad-CAM and its product with guided backpropagation look at a layer of the same run.
        let layered = methods.iter().any(|method| matches!(method, Method::GradCam | Method::GuidedGradCam));
        let watch = if layered { Some(gradcam::layer(self.network, self.settings.layer.as_deref())?) } else { None };
        let keep = memory::keep(self.network, self.settings, methods);
        let look = self.network.look_at(from_vec(&[ids.len(), extent.channels, extent.len], x.to_vec()), keep, watch)?;
        let chunk = Chunk { x, extent, look, keep, reference: OnceCell::new() };
        let prediction = self.outputs(&chunk.look, ids, "the ECG itself")?;
        let mut singles: Vec<Single<T>> =
            prediction.into_iter().map(|prediction| Single { prediction, maps: Vec::new(), completeness: Vec::new() }).collect();
        for method in methods {
            let mut maps = match recipe(*method, self.network.program(), self.settings) {
                Recipe::Random => ids.iter().map(|id| self.random(*id, size)).collect(),
                Recipe::Layer => self.layer_maps(&chunk.look, extent)?,
                Recipe::Relevance(_) => self.relevance(*method, x, ids, extent)?,
                Recipe::Occlusion => self.occluded(x, ids, extent, batch)?,
                Recipe::Product(a, b) => {
                    let (a, b) = (self.once(a, &chunk)?, self.once(b, &chunk)?);
                    a.into_iter().zip(b).map(|(a, b)| a.into_iter().zip(b).map(|(a, b)| a * b).collect()).collect()
                }
                Recipe::Gradients { sampler: Sampler::Once, .. } => self.once(*method, &chunk)?,
                Recipe::Gradients { rules, sampler, reduction, .. } => {
                    let sampled = |(x, id): (&[T], &u64)| self.sampled(&rules, sampler, reduction, x, *id, extent, batch);
                    x.par_chunks(size).zip(ids).map(sampled).collect::<Result<_>>()?
                }
            };
            check_maps(*method, &maps, ids)?;
            let complete = self.completeness(*method, &chunk, ids, &singles, &maps)?;
            if self.settings.absolute == Some(true) {
                maps.iter_mut().flatten().for_each(|v| *v = v.abs());
            }
            for ((single, map), complete) in singles.iter_mut().zip(maps).zip(complete) {
                single.maps.push(map);
                single.completeness.push(complete);
            }
        }
        Ok(singles)
    }

    /// The explained output of a run, one for each example, of which `ids` are the ECGs' numbers.
    ///
    /// # Errors
    /// [`Error::Value`] where it is not finite, saying at which inputs: nothing that follows from such a run means anything.
    fn outputs(&self, look: &Look<T>, ids: &[u64], at: &str) -> Result<Vec<T>> {
        let values = column(look, self.settings.output)?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(Error::Value {
                at: format!("ECG {}", ids.get(index).or(ids.first()).copied().unwrap_or_default()),
                problem: format!(
                    "the network gives {} at {at} in {}: the input is too large for this network, or try the other precision",
                    values[index],
                    T::NAME
                ),
            }),
        }
    }

    /// A forward run of inputs one after another.
    fn run(&self, x: Vec<T>, extent: Extent, keep: Keep) -> Result<Look<T>> {
        let batch = x.len() / extent.size();
        let x = from_vec(&[batch, extent.channels, extent.len], x);
        self.network.look_at(x, keep, None)
    }

    /// The gradient of the explained output in the input, row by row; zeros where it does not depend on it.
    fn input_gradient(&self, look: &Look<T>, rules: &RuleSet<T>, reference: Option<&Look<T>>) -> Result<Vec<T>> {
        Ok(slice(&self.network.look_back(look, rules, reference, self.settings.output)?).to_vec())
    }

    /// Maps of a method that looks once, from a run that is already there.
    fn once(&self, method: Method, chunk: &Chunk<'_, T>) -> Result<Vec<Vec<T>>> {
        let &Chunk { x, extent, ref look, .. } = chunk;
        match recipe(method, self.network.program(), self.settings) {
            Recipe::Gradients { rules, sampler: Sampler::Once, reduction, reference } => {
                let difference = reduction == Reduction::TimesDifference;
                let compared = (reference || difference).then(|| self.reference(chunk)).transpose()?;
                let mut map = self.input_gradient(look, &rules, compared.filter(|_| reference).map(|(_, look)| look))?;
                for (at, v) in map.iter_mut().enumerate() {
                    *v = match reduction {
                        Reduction::Mean => *v,
                        Reduction::MeanAbsolute => v.abs(),
                        Reduction::Variance => T::ZERO,
                        Reduction::TimesInput => *v * x[at],
                        Reduction::TimesDifference => *v * (x[at] - compared.map_or(T::ZERO, |(base, _)| base[at])),
                    };
                }
                Ok(map.chunks(extent.size()).map(<[T]>::to_vec).collect())
            }
            Recipe::Layer => self.layer_maps(look, extent),
            _ => Err(Error::Rule(format!("method '{method}' needs more than one look, it cannot be a factor"))),
        }
    }

    /// The baselines of a chunk's ECGs one after another, and the run on them: one example where it serves all.
    fn reference<'c>(&self, chunk: &'c Chunk<'_, T>) -> Result<&'c (Vec<T>, Look<T>)> {
        if let Some(found) = chunk.reference.get() {
            return Ok(found);
        }
        let extent = chunk.extent;
        let base: Vec<T> = chunk.x.chunks(extent.size()).flat_map(|x| baseline(&self.settings.baseline, x, extent.channels)).collect();
        let shared = !matches!(self.settings.baseline, super::Baseline::Mean);
        let look = self.run(if shared { base[..extent.size()].to_vec() } else { base.clone() }, extent, chunk.keep)?;
        Ok(chunk.reference.get_or_init(|| (base, look)))
    }

    /// One ECG's map from gradients at sampled inputs. Samples are summed one after another in f64, so the sum does not depend on the batch.
    #[allow(clippy::too_many_arguments)]
    fn sampled(
        &self,
        rules: &RuleSet<T>,
        sampler: Sampler,
        reduction: Reduction,
        x: &[T],
        id: u64,
        extent: Extent,
        batch: usize,
    ) -> Result<Vec<T>> {
        let base = baseline(&self.settings.baseline, x, extent.channels);
        let mut points = Points::new(sampler, self.settings, x, &base, id)?;
        let (mut sum, mut squares) = (vec![0.0f64; extent.size()], vec![0.0f64; extent.size()]);
        loop {
            let some: Vec<_> = points.by_ref().take(batch).collect();
            if some.is_empty() {
                if reduction == Reduction::Variance {
                    // Rounding may leave a little below 0; NaN passes and is found.
                    for (mean, square) in sum.iter_mut().zip(squares) {
                        let variance = square - *mean * *mean;
                        *mean = if variance < 0.0 { 0.0 } else { variance };
                    }
                }
                return Ok(sum.into_iter().map(T::of).collect());
            }
            let look = self.run(some.iter().flat_map(|point| point.x.iter().copied()).collect(), extent, Keep::Signs)?;
            self.outputs(&look, &vec![id; some.len()], "a sampled input")?;
            let gradient = self.input_gradient(&look, rules, None)?;
            for (point, gradient) in some.iter().zip(gradient.chunks(extent.size())) {
                if reduction == Reduction::Variance {
                    squares.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += point.weight * g.f64() * g.f64());
                }
                for (at, (sum, g)) in sum.iter_mut().zip(gradient).enumerate() {
                    *sum += point.weight
                        * match reduction {
                            Reduction::Mean | Reduction::Variance => g.f64(),
                            Reduction::MeanAbsolute => g.f64().abs(),
                            Reduction::TimesInput => g.f64() * point.x[at].f64(),
                            Reduction::TimesDifference => g.f64() * point.difference[at].f64(),
                        };
                }
            }
        }
    }

    /// Grad-CAM: one row, repeated over the leads.
    fn layer_maps(&self, look: &Look<T>, extent: Extent) -> Result<Vec<Vec<T>>> {
        let layer = gradcam::layer(self.network, self.settings.layer.as_deref())?;
        let (activation, gradient) = self.network.watched(look, layer, self.settings.output)?;
        let gradient = gradient.ok_or_else(|| {
            let name = &self.network.program().node(layer).name;
            Error::Usage(format!("Grad-CAM at '{name}': the output does not depend on this node; name another layer"))
        })?;
        let rows = gradcam::rows(&activation, &gradient, extent.len, self.settings.interpolation)?;
        Ok(rows.into_iter().map(|row| row.repeat(extent.channels)).collect())
    }

    /// LRP: the output's value shared out over the folded network.
    fn relevance(&self, method: Method, x: &[T], ids: &[u64], extent: Extent) -> Result<Vec<Vec<T>>> {
        let network = match self.folded.get() {
            Some(network) => network,
            None => {
                let network = crate::tape::fold_batch_norm(self.network)?;
                self.folded.get_or_init(|| network)
            }
        };
        let Recipe::Relevance(rules) = recipe(method, network.program(), self.settings) else {
            return Err(Error::Rule(format!("method '{method}' shares out no relevance")));
        };
        let tape = network.run(&[from_vec(&[x.len() / extent.size(), extent.channels, extent.len], x.to_vec())])?;
        // A column beside the explained one may have overflowed: 0 times what is not finite is no 0.
        let mut seed = crate::tape::one_hot(tape.output(), self.settings.output)?;
        seed.zip_mut_with(tape.output(), |seed, value| {
            if *seed != T::ZERO {
                *seed = *value;
            }
        });
        check_folded(method, &seed, ids)?;
        let input = network.program().inputs()[0];
        let mut found = network.backward(&tape, seed, &rules, None, &Want::nodes([input]))?;
        let map = found.take(input).unwrap_or_else(|| crate::tape::zeros(tape.value(input).shape()));
        Ok(slice(&map).chunks(extent.size()).map(<[T]>::to_vec).collect())
    }

    /// Occlusion of windows, lead by lead.
    fn occluded(&self, x: &[T], ids: &[u64], extent: Extent, batch: usize) -> Result<Vec<Vec<T>>> {
        let Settings { output, occlusion_window, occlusion_stride, .. } = *self.settings;
        let one = |(x, id): (&[T], &u64)| {
            let base = baseline(self.settings.occluder(), x, extent.channels);
            let windows = (occlusion_window, occlusion_stride);
            super::occlusion::map(self.network, output, x, &base, extent.channels, windows, batch).map_err(of_ecg(*id))
        };
        x.par_chunks(extent.size()).zip(ids).map(one).collect()
    }

    /// The control: standard normal values.
    fn random(&self, id: u64, size: usize) -> Vec<T> {
        let mut rng = Stream::new(self.settings.seed, Stage::RandomMap).target(self.settings.target).ecg(id).rng();
        (0..size).map(|_| T::of(StandardNormal.sample(&mut rng))).collect()
    }

    /// The completeness of the methods that promise it; `None` for the others.
    fn completeness(
        &self,
        method: Method,
        chunk: &Chunk<'_, T>,
        ids: &[u64],
        singles: &[Single<T>],
        maps: &[Vec<T>],
    ) -> Result<Vec<Option<Completeness>>> {
        if !matches!(method, Method::DeepLift | Method::IntegratedGradients) {
            return Ok(vec![None; maps.len()]);
        }
        let (base, run) = self.reference(chunk)?;
        let at_base = self.outputs(run, ids, "the baseline")?;
        let size = chunk.extent.size();
        let one = |n: usize| {
            let (x, base) = (&chunk.x[n * size..(n + 1) * size], &base[n * size..(n + 1) * size]);
            let scaled = self.settings.multiply_by_inputs;
            let term = |at: usize| maps[n][at].f64() * if scaled { 1.0 } else { x[at].f64() - base[at].f64() };
            let difference = singles[n].prediction.f64() - at_base[n % at_base.len()].f64();
            let found = Completeness { sum: (0..size).map(term).sum(), difference };
            if found.relative_error().is_finite() {
                return Ok(Some(found));
            }
            let at = format!("ECG {}, method {method}", ids[n]);
            Err(Error::Value { at, problem: format!("Σ multiplier · (x − baseline) is {}, the difference {difference}", found.sum) })
        };
        (0..maps.len()).map(one).collect()
    }
}

/// One column of the output of a run, (N).
fn column<T: Real>(look: &Look<T>, column: usize) -> Result<Vec<T>> {
    crate::tape::one_hot(look.output(), column)?;
    let columns = look.output().shape()[1];
    Ok(slice(look.output()).iter().skip(column).step_by(columns).copied().collect())
}

/// Checks that every sample is finite.
fn check_finite<T: Real>(x: &Tensor<T>, extent: Extent) -> Result<()> {
    match slice(x).iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let (ecg, rest) = (at / extent.size(), at % extent.size());
            let place = format!("ECG {ecg}, lead {}, sample {}", rest / extent.len, rest % extent.len);
            Err(Error::Value { at: place, problem: format!("{} is not finite; repair or leave out this ECG", slice(x)[at]) })
        }
    }
}

/// Checks that nothing overflowed on the way: a map with a NaN in it would rank and draw as if it meant something.
fn check_maps<T: Real>(method: Method, maps: &[Vec<T>], ids: &[u64]) -> Result<()> {
    match maps.iter().zip(ids).find(|(map, _)| map.iter().any(|v| !v.is_finite())) {
        None => Ok(()),
        Some((_, id)) => Err(Error::Value {
            at: format!("ECG {id}, method {method}"),
            problem: format!("the map is not finite in {}: the input is too large for this network, or try the other precision", T::NAME),
        }),
    }
}

/// Adds an ECG's number to an error about a value.
pub(crate) fn of_ecg(id: u64) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::Value { at, problem } => Error::Value { at: format!("ECG {id}, {at}"), problem },
        other => other,
    }
}

/// Checks the relevance that the folded network's output starts with.
fn check_folded<T: Real>(method: Method, seed: &Tensor<T>, ids: &[u64]) -> Result<()> {
    let columns = seed.shape()[1].max(1);
    match slice(seed).iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::Value {
            at: format!("ECG {}, method {method}", ids[at / columns]),
            problem: format!("the network with its batch norms folded gives {} in {}", slice(seed)[at], T::NAME),
        }),
    }
}

/// From results per ECG to arrays per method.
fn gather<T: Real>(singles: Vec<Single<T>>, methods: &[Method], extent: Extent) -> Explanations<T> {
    let count = singles.len();
    let mut maps: Vec<Vec<T>> = methods.iter().map(|_| Vec::with_capacity(count * extent.size())).collect();
    let mut completeness: Vec<Vec<Completeness>> = vec![Vec::new(); methods.len()];
    let mut prediction = Vec::with_capacity(count);
    for single in singles {
        prediction.push(single.prediction);
        for (index, (map, complete)) in single.maps.into_iter().zip(single.completeness).enumerate() {
            maps[index].extend(map);
            completeness[index].extend(complete);
        }
    }
    let shape = [count, extent.channels, extent.len];
    Explanations {
        prediction,
        maps: methods.iter().copied().zip(maps.into_iter().map(|map| from_vec(&shape, map))).collect(),
        completeness: methods.iter().copied().zip(completeness).filter(|(_, entries)| !entries.is_empty()).collect(),
    }
}
