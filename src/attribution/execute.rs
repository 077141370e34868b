//! Carrying out recipes on a few ECGs: points → runs → the walk back → the reduction. Every recipe goes this way, whoever wrote it; whoever wants to
//! know which walks were made is told ([`Walk`]).

use super::extent::Extent;
use super::recipe::{Recipe, Reduction, Sampler};
use super::sampler::Points;
use super::{Explainer, Method, Settings, gradcam, memory};
use crate::random::{Stage, Stream, standard_normal};
use crate::tape::{Keep, Look, NodeId, Real, RuleSet, Tensor, Want, from_vec, slice};
use crate::{Error, Result};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Walks back of one recipe, as they were made ([`Explainer::walks`]): on the network with batch norms folded for [`Recipe::Relevance`], else on the network itself.
pub struct Walk<T: Real> {
    /// The method, a factor's own where maps are multiplied.
    pub method: Method,
    /// What was carried out.
    pub recipe: Recipe<T>,
    /// The ECGs, (1, C, L) each, and the weights of what reached them.
    pub points: Vec<(Tensor<T>, f64)>,
}

/// A few ECGs, with what stands beside them, that methods look at together, and the runs that they share.
pub(super) struct Chunk<'x, 'a, T: Real> {
    explainer: &'x Explainer<'a, T>,
    pub x: &'x [T],
    pub ids: &'x [u64],
    pub extent: &'x Extent,
    /// Runs at a time.
    batch: usize,
    /// The run on the ECGs.
    look: Look<T>,
    /// What is kept of that and of the run on their baselines.
    keep: Keep,
    /// Their baselines and the run on them, made when first asked for.
    reference: OnceLock<(Vec<T>, Look<T>)>,
    /// Called between runs, from any thread.
    pub going_on: &'x (dyn Fn() + Sync),
}

impl<'x, 'a, T: Real> Chunk<'x, 'a, T> {
    /// Looks at the ECGs, keeping what the methods will want.
    pub fn new(
        explainer: &'x Explainer<'a, T>,
        x: &'x [T],
        ids: &'x [u64],
        extent: &'x Extent,
        methods: &[Method],
        batch: usize,
    ) -> Result<Self> {
        let (network, settings) = (explainer.network, explainer.settings);
        let watch = memory::layered::<T>(network.program(), settings, methods)
            .then(|| gradcam::layer(network, settings.layer.as_deref(), [extent.channels, extent.len]))
            .transpose()?;
        let keep = memory::keep(network, settings, methods);
        let look = network.look_all(extent.tensors(x.to_vec()), keep, watch)?;
        Ok(Chunk { explainer, x, ids, extent, batch, look, keep, reference: OnceLock::new(), going_on: &|| () })
    }

    /// The explained output of each ECG.
    pub fn predictions(&self) -> Result<Vec<T>> {
        self.outputs(&self.look, self.ids, "the ECG itself")
    }

    /// The baselines of the ECGs one after another, and the explained output on them: one where one serves all.
    pub fn at_baseline(&self) -> Result<(&[T], Vec<T>)> {
        let (base, look) = self.reference()?;
        Ok((base, self.outputs(look, self.ids, "the baseline")?))
    }

    /// One map per ECG.
    pub fn maps(&self, method: Method) -> Result<Vec<Vec<T>>> {
        let recipe: Recipe<T> = method.row().recipe(self.explainer.network.program(), self.settings());
        match &recipe {
            Recipe::Gradients { sampler: Sampler::Once, .. } => self.at_ecgs(method, &recipe),
            Recipe::Gradients { .. } => self.ecgs().map(|(x, id)| self.at_samples(method, &recipe, x, *id)).collect(),
            Recipe::Relevance(_) => self.relevance(method),
            Recipe::Layer => self.layer_maps(method, &recipe),
            Recipe::Occlusion => self.ecgs().map(|(x, id)| self.occluded(x, *id)).collect(),
            Recipe::Random => Ok(self.ids.iter().map(|id| self.random(*id)).collect()),
            Recipe::Product(a, b) => {
                let (a, b) = (self.maps(*a)?, self.maps(*b)?);
                Ok(a.into_iter().zip(b).map(|(a, b)| a.into_iter().zip(b).map(|(a, b)| a * b).collect()).collect())
            }
        }
    }

    fn settings(&self) -> &'a Settings {
        self.explainer.settings
    }

    fn ecgs(&self) -> impl IndexedParallelIterator<Item = (&'x [T], &'x u64)> {
        self.x.par_chunks(self.extent.size()).zip(self.ids)
    }

    /// The ECG of one example.
    fn ecg(&self, x: &[T]) -> Tensor<T> {
        from_vec(&[1, self.extent.channels, self.extent.len], x[..self.extent.ecg()].to_vec())
    }

    fn baseline(&self, x: &[T]) -> Vec<T> {
        self.extent.baseline(&self.settings().baseline, self.settings(), x)
    }

    /// Tells whoever watches of a walk back from the ECGs themselves.
    fn note(&self, method: Method, recipe: &Recipe<T>) {
        for x in self.x.chunks(self.extent.size()) {
            self.explainer.note(|| Walk { method, recipe: recipe.clone(), points: vec![(self.ecg(x), 1.0)] });
        }
    }

    /// The explained output of a run, one for each example, of which `ids` are the ECGs' numbers.
    ///
    /// # Errors
    /// [`Error::Value`] where it is not finite, saying at which inputs: nothing that follows from such a run means anything.
    fn outputs(&self, look: &Look<T>, ids: &[u64], at: &str) -> Result<Vec<T>> {
        let values = column(look, self.settings().output)?;
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

    /// The gradient of the explained output in the input, row by row; zeros where it does not depend on it.
    fn input_gradient(&self, look: &Look<T>, rules: &RuleSet<T>, reference: Option<&Look<T>>) -> Result<Vec<T>> {
        Ok(self.extent.flat(&self.explainer.network.look_back_all(look, rules, reference, self.settings().output)?))
    }

    /// The baselines of the ECGs one after another, and the run on them: one example where it serves all.
    fn reference(&self) -> Result<&(Vec<T>, Look<T>)> {
        if let Some(found) = self.reference.get() {
            return Ok(found);
        }
        let (size, settings) = (self.extent.size(), self.settings());
        let base: Vec<T> = self.x.chunks(size).flat_map(|x| self.baseline(x)).collect();
        let shared = !matches!(settings.baseline, super::Baseline::Mean);
        let one = self.extent.tensors(if shared { base[..size].to_vec() } else { base.clone() });
        let look = self.explainer.network.look_all(one, self.keep, None)?;
        Ok(self.reference.get_or_init(|| (base, look)))
    }

    /// Gradients at the ECGs themselves, from the run that is already there.
    fn at_ecgs(&self, method: Method, recipe: &Recipe<T>) -> Result<Vec<Vec<T>>> {
        let Recipe::Gradients { rules, reduction, reference, .. } = recipe else { return Ok(Vec::new()) };
        let difference = *reduction == Reduction::TimesDifference;
        let compared = (*reference || difference).then(|| self.reference()).transpose()?;
        let mut map = self.input_gradient(&self.look, rules, compared.filter(|_| *reference).map(|(_, look)| look))?;
        for (at, v) in map.iter_mut().enumerate() {
            *v = match reduction {
                Reduction::Mean => *v,
                Reduction::MeanAbsolute => v.abs(),
                Reduction::Variance => T::ZERO,
                Reduction::TimesInput => *v * self.x[at],
                Reduction::TimesDifference => *v * (self.x[at] - compared.map_or(T::ZERO, |(base, _)| base[at])),
            };
        }
        self.note(method, recipe);
        Ok(map.chunks(self.extent.size()).map(<[T]>::to_vec).collect())
    }

    /// One ECG's map from gradients at sampled inputs. Samples are summed one after another in f64, so the sum does not depend on the batch.
    fn at_samples(&self, method: Method, recipe: &Recipe<T>, x: &[T], id: u64) -> Result<Vec<T>> {
        let Recipe::Gradients { rules, sampler, reduction, reference } = recipe else { return Ok(Vec::new()) };
        let network = self.explainer.network;
        let base = self.baseline(x);
        let keep = if *reference { Keep::Values } else { Keep::Signs };
        let compared = reference.then(|| network.look_all(self.extent.tensors(base.clone()), keep, None)).transpose()?;
        let mut points = Points::new(*sampler, self.settings(), x, self.extent.ecg(), &base, id)?;
        let mut sums = Sums::new(*reduction, self.extent.size());
        loop {
            let some: Vec<_> = points.by_ref().take(self.batch).collect();
            if some.is_empty() {
                return Ok(sums.finish());
            }
            (self.going_on)();
            let inputs = some.iter().flat_map(|point| point.x.iter().copied()).collect();
            let look = network.look_all(self.extent.tensors(inputs), keep, None)?;
            self.outputs(&look, &vec![id; some.len()], "a sampled input")?;
            let gradient = self.input_gradient(&look, rules, compared.as_ref())?;
            for (point, gradient) in some.iter().zip(gradient.chunks(self.extent.size())) {
                sums.add(point, gradient);
            }
            self.explainer.note(|| {
                let points = some.iter().map(|point| (self.ecg(&point.x), point.weight)).collect();
                Walk { method, recipe: recipe.clone(), points }
            });
        }
    }

    /// Grad-CAM: one row, repeated over the leads. It says nothing of inputs beside the ECG.
    fn layer_maps(&self, method: Method, recipe: &Recipe<T>) -> Result<Vec<Vec<T>>> {
        let (network, settings) = (self.explainer.network, self.settings());
        let layer = gradcam::layer(network, settings.layer.as_deref(), [self.extent.channels, self.extent.len])?;
        let (activation, gradient) = network.watched(&self.look, layer, settings.output)?;
        let gradient = gradient.ok_or_else(|| {
            let name = &network.program().node(layer).name;
            Error::Usage(format!("Grad-CAM at '{name}': the output does not depend on this node; name another layer"))
        })?;
        let rows = gradcam::rows(&activation, &gradient, self.extent.len, settings.interpolation)?;
        self.note(method, recipe);
        Ok(rows.into_iter().map(|row| row.repeat(self.extent.channels)).collect())
    }

    /// LRP: the output's value shared out over the folded network.
    fn relevance(&self, method: Method) -> Result<Vec<Vec<T>>> {
        let network = self.explainer.folded()?;
        let recipe: Recipe<T> = method.row().recipe(network.program(), self.settings());
        let Recipe::Relevance(rules) = &recipe else {
            return Err(Error::Rule(format!("method '{method}' shares out no relevance on the network with its batch norms folded")));
        };
        let tape = network.run(&self.extent.tensors(self.x.to_vec()))?;
        let seed = relevance_of(tape.output(), self.settings().output)?;
        check_folded(method, &seed, self.ids)?;
        let mut found = network.backward(&tape, seed, rules, None, &Want::inputs(network.program()))?;
        let reached = |id: NodeId| found.take(id).unwrap_or_else(|| crate::tape::zeros(tape.value(id).shape()));
        let map = self.extent.flat(&network.program().inputs().into_iter().map(reached).collect::<Vec<_>>());
        self.note(method, &recipe);
        Ok(map.chunks(self.extent.size()).map(<[T]>::to_vec).collect())
    }

    /// Occlusion of windows, lead by lead.
    fn occluded(&self, x: &[T], id: u64) -> Result<Vec<T>> {
        let Settings { output, occlusion_window, occlusion_stride, .. } = *self.settings();
        let base = self.extent.baseline(self.settings().occluder(), self.settings(), x);
        let windows = (occlusion_window, occlusion_stride);
        super::occlusion::map(self.explainer.network, output, x, &base, self.extent, windows, self.batch)
            .map_err(super::explain::of_ecg(id))
    }

    /// The control: standard normal values.
    fn random(&self, id: u64) -> Vec<T> {
        let mut rng = Stream::new(self.settings().seed, Stage::RandomMap).target(self.settings().target).ecg(id).rng();
        (0..self.extent.size()).map(|_| T::of(standard_normal(&mut rng))).collect()
    }
}

/// What gradients at sampled inputs add up to, in f64.
struct Sums {
    reduction: Reduction,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    fn new(reduction: Reduction, size: usize) -> Self {
        let squares = if reduction == Reduction::Variance { size } else { 0 };
        Sums { reduction, sum: vec![0.0; size], squares: vec![0.0; squares] }
    }

    fn add<T: Real>(&mut self, point: &super::sampler::Point<T>, gradient: &[T]) {
        let weight = point.weight;
        self.squares.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += weight * g.f64() * g.f64());
        let each = self.sum.iter_mut().zip(gradient);
        match self.reduction {
            Reduction::Mean | Reduction::Variance => each.for_each(|(sum, g)| *sum += weight * g.f64()),
            Reduction::MeanAbsolute => each.for_each(|(sum, g)| *sum += weight * g.f64().abs()),
            Reduction::TimesInput => each.zip(&point.x).for_each(|((sum, g), x)| *sum += weight * (g.f64() * x.f64())),
            Reduction::TimesDifference => each.zip(&point.difference).for_each(|((sum, g), d)| *sum += weight * (g.f64() * d.f64())),
        }
    }

    fn finish<T: Real>(mut self) -> Vec<T> {
        // Rounding may leave a variance a little below 0; NaN passes and is found.
        for (mean, square) in self.sum.iter_mut().zip(self.squares) {
            let variance = square - *mean * *mean;
            *mean = if variance < 0.0 { 0.0 } else { variance };
        }
        self.sum.into_iter().map(T::of).collect()
    }
}

/// What relevance starts with: the value of one column of the output (N, K), zeros in the others. A column beside it may have overflowed: 0 times what
/// is not finite is no 0.
pub(crate) fn relevance_of<T: Real>(output: &Tensor<T>, column: usize) -> Result<Tensor<T>> {
    let mut seed = crate::tape::one_hot(output, column)?;
    seed.zip_mut_with(output, |seed, value| {
        if *seed != T::ZERO {
            *seed = *value;
        }
    });
    Ok(seed)
}

/// One column of the output of a run, (N).
fn column<T: Real>(look: &Look<T>, column: usize) -> Result<Vec<T>> {
    crate::tape::one_hot(look.output(), column)?;
    let columns = look.output().shape()[1];
    Ok(slice(look.output()).iter().skip(column).step_by(columns).copied().collect())
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
