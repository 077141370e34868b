//! Explaining: batches of ECGs in, one map per method out. What a method does with a few ECGs is in [`super::execute`].

use super::execute::{Chunk, Walk};
use super::extent::Extent;
use super::memory::{self, Needed, Portions};
use super::{Family, Method, Settings, Sum, gradcam};
use crate::progress::{Report, Step};
use crate::tape::{Network, Real, Tensor, from_vec, slice};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

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

/// The maps of an input beside the ECG.
#[derive(Clone, Debug)]
pub struct BesideMaps<T> {
    /// The input's name.
    pub input: String,
    /// One map per method, of the input's shape (N, …): those of the methods that say something of it. Grad-CAM and what is multiplied with it do not.
    pub maps: Vec<(Method, Tensor<T>)>,
}

/// What [`Explainer::explain`] finds.
#[derive(Clone, Debug)]
pub struct Explanations<T> {
    /// The explained output of each ECG, (N).
    pub prediction: Vec<T>,
    /// One map per method, (N, C, L), in the order asked for.
    pub maps: Vec<(Method, Tensor<T>)>,
    /// The maps of inputs beside the ECG, in the program's order; empty where there are none.
    pub beside: Vec<BesideMaps<T>>,
    /// For the methods that promise it ([`Sum::Difference`]: DeepLIFT and integrated gradients), one entry per ECG.
    pub completeness: Vec<(Method, Vec<Completeness>)>,
}

impl<T: Real> Explanations<T> {
    /// The map of a method, (N, C, L).
    pub fn map(&self, method: Method) -> Option<&Tensor<T>> {
        self.maps.iter().find(|(of, _)| *of == method).map(|(_, map)| map)
    }
}

/// Explains a network's predictions with any of the methods, built in or registered ([`Method::register`]).
pub struct Explainer<'a, T: Real> {
    pub(super) network: &'a Network<T>,
    pub(super) settings: &'a Settings,
    folded: OnceLock<Network<T>>,
    /// Where the walks back are noted, if anybody wants to know.
    watched: Option<Mutex<Vec<Walk<T>>>>,
}

/// One ECG's results.
struct Single<T> {
    prediction: T,
    maps: Vec<Vec<T>>,
    completeness: Vec<Option<Completeness>>,
}

impl<'a, T: Real> Explainer<'a, T> {
    /// An explainer of a network with one input, or several of which the first of channels and samples is the ECG.
    ///
    /// # Errors
    /// [`Error::Program`] if the network has several inputs and none is an ECG; [`Error::Usage`] if the layer asked for does not exist.
    pub fn new(network: &'a Network<T>, settings: &'a Settings) -> Result<Self> {
        network.program().ecg_input()?;
        if settings.layer.is_some() {
            gradcam::layer_of(network.program(), settings.layer.as_deref())?;
        }
        Ok(Explainer { network, settings, folded: OnceLock::new(), watched: None })
    }

    /// The same, noting every walk back that it makes: what an account of a heatmap is kept of.
    #[must_use]
    pub fn watched(mut self) -> Self {
        self.watched = Some(Mutex::default());
        self
    }

    /// The walks noted since the last call, in their order where one ECG was explained.
    pub fn walks(&self) -> Vec<Walk<T>> {
        self.watched.as_ref().map(|walks| std::mem::take(&mut *walks.lock().unwrap_or_else(PoisonError::into_inner))).unwrap_or_default()
    }

    pub(super) fn note(&self, walk: impl FnOnce() -> Walk<T>) {
        if let Some(walks) = &self.watched {
            walks.lock().unwrap_or_else(PoisonError::into_inner).push(walk());
        }
    }

    /// The network with its batch norms folded, on which relevance is shared out.
    ///
    /// # Errors
    /// As [`crate::tape::fold_batch_norm`].
    pub(crate) fn folded(&self) -> Result<&Network<T>> {
        match self.folded.get() {
            Some(network) => Ok(network),
            None => {
                let network = crate::tape::fold_batch_norm(self.network)?;
                Ok(self.folded.get_or_init(|| network))
            }
        }
    }

    /// Maps of the ECGs `x` (N, C, L), µV. `ids` are the ECGs' numbers in their dataset: they, not the place in the batch, address random draws.
    /// Each ECG's maps are the same bytes whatever else is in the batch.
    ///
    /// # Errors
    /// On inputs that are not finite or do not fit the network or the settings, and where a method cannot act on this network.
    pub fn explain(&self, x: &Tensor<T>, ids: &[u64], methods: &[Method], report: Report<'_>) -> Result<Explanations<T>> {
        self.explain_beside(x, &[], ids, methods, report)
    }

    /// [`Explainer::explain`] for a network with several inputs: `beside` are those beside the ECG, (N, …) each, in the program's order.
    ///
    /// # Errors
    /// As [`Explainer::explain`]; [`Error::Usage`] if an input is missing or one too many.
    pub fn explain_beside(
        &self,
        x: &Tensor<T>,
        beside: &[Tensor<T>],
        ids: &[u64],
        methods: &[Method],
        report: Report<'_>,
    ) -> Result<Explanations<T>> {
        let &[count, channels, len] = x.shape() else {
            return Err(Error::shape("the input", "(N, C, L)", x.shape()));
        };
        if ids.len() != count {
            return Err(Error::Data(format!("{} ids were given for {count} ECGs", ids.len())));
        }
        let shapes: Vec<&[usize]> = beside.iter().map(|input| input.shape()).collect();
        let extent = &Extent::new(self.network.program(), (channels, len), &shapes)?;
        let x = joined(extent, x, beside)?;
        check_finite(&x, extent)?;
        self.settings.check(channels, len)?;
        extent.check(self.settings)?;
        self.network.program().shapes(&extent.examples().iter().map(|example| [&[1], &example[..]].concat()).collect::<Vec<_>>())?;
        let needed = memory::needed(self.network, self.settings, methods, extent);
        let Portions { batch, at_once } = memory::portions(self.settings.memory, &needed);
        let done = AtomicU64::new(0);
        let chunks: Vec<(&[T], &[u64])> = x.chunks((batch * extent.size()).max(1)).zip(ids.chunks(batch)).collect();
        let tell = |more: u64| {
            let done = done.fetch_add(more, Ordering::Relaxed) + more;
            report(Step { label: "explaining", done, total: count as u64, unit: "ECGs", note: "" });
        };
        let one = |(x, ids): &(&[T], &[u64])| {
            let part = self.chunk(x, ids, extent, methods, batch, &|| tell(0))?;
            tell(ids.len() as u64);
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

    /// What one ECG (channels × len) takes while methods look at it, where it is the only input. [`Settings::memory`] is kept to if it is no less than
    /// [`Needed::least`] without the weights; else ECGs and samples are taken one at a time.
    ///
    /// # Errors
    /// [`Error::Usage`] if the network has several inputs ([`Explainer::needed_beside`]).
    pub fn needed(&self, methods: &[Method], channels: usize, len: usize) -> Result<Needed> {
        self.needed_beside(methods, channels, len, &[])
    }

    /// The same with inputs of these shapes (batch first) beside the ECG, in the program's order.
    ///
    /// # Errors
    /// [`Error::Usage`] if an input is missing or one too many.
    pub fn needed_beside(&self, methods: &[Method], channels: usize, len: usize, beside: &[&[usize]]) -> Result<Needed> {
        let extent = Extent::new(self.network.program(), (channels, len), beside)?;
        Ok(memory::needed(self.network, self.settings, methods, &extent))
    }

    /// All methods on a few ECGs, which share the forward run on them. `going_on` is called between runs: long work can then be stopped.
    fn chunk(
        &self,
        x: &[T],
        ids: &[u64],
        extent: &Extent,
        methods: &[Method],
        batch: usize,
        going_on: &(dyn Fn() + Sync),
    ) -> Result<Vec<Single<T>>> {
        let mut chunk = Chunk::new(self, x, ids, extent, methods, batch)?;
        chunk.going_on = going_on;
        let mut singles: Vec<Single<T>> =
            chunk.predictions()?.into_iter().map(|prediction| Single { prediction, maps: Vec::new(), completeness: Vec::new() }).collect();
        for method in methods {
            going_on();
            let mut maps = chunk.maps(*method)?;
            check_maps(*method, &maps, ids)?;
            let complete = self.completeness(*method, &chunk, &singles, &maps)?;
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

    /// The completeness of the methods that promise it; `None` for the others.
    fn completeness(
        &self,
        method: Method,
        chunk: &Chunk<'_, '_, T>,
        singles: &[Single<T>],
        maps: &[Vec<T>],
    ) -> Result<Vec<Option<Completeness>>> {
        let row = method.row();
        if row.sum != Sum::Difference {
            return Ok(vec![None; maps.len()]);
        }
        let (base, at_base) = chunk.at_baseline()?;
        let size = chunk.extent.size();
        let scaled = row.meaning(self.settings.multiply_by_inputs, None).family == Family::Contribution;
        let one = |n: usize| {
            let (x, base) = (&chunk.x[n * size..(n + 1) * size], &base[n * size..(n + 1) * size]);
            let term = |at: usize| maps[n][at].f64() * if scaled { 1.0 } else { x[at].f64() - base[at].f64() };
            let difference = singles[n].prediction.f64() - at_base[n % at_base.len()].f64();
            let found = Completeness { sum: (0..size).map(term).sum(), difference };
            if found.relative_error().is_finite() {
                return Ok(Some(found));
            }
            let at = format!("ECG {}, method {method}", chunk.ids[n]);
            Err(Error::Value { at, problem: format!("Σ multiplier · (x − baseline) is {}, the difference {difference}", found.sum) })
        };
        (0..maps.len()).map(one).collect()
    }
}

/// Checks that every sample is finite.
fn check_finite<T: Real>(x: &[T], extent: &Extent) -> Result<()> {
    match x.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let (ecg, rest) = (at / extent.size(), at % extent.size());
            let place = match extent.beside().iter().find(|input| input.range().contains(&rest)) {
                Some(input) => format!("ECG {ecg}, '{}', element {}", input.name, rest - input.from),
                None => format!("ECG {ecg}, lead {}, sample {}", rest / extent.len, rest % extent.len),
            };
            Err(Error::Value { at: place, problem: format!("{} is not finite; repair or leave out this ECG", x[at]) })
        }
    }
}

/// The values of each example one after another, the ECG's before those beside it.
fn joined<T: Real>(extent: &Extent, x: &Tensor<T>, beside: &[Tensor<T>]) -> Result<Vec<T>> {
    let standard = |x: &Tensor<T>| x.as_standard_layout().into_owned().into_shared();
    let x = standard(x);
    if beside.is_empty() {
        return Ok(slice(&x).to_vec());
    }
    let count = x.shape()[0];
    for (input, given) in extent.beside().iter().zip(beside) {
        if given.shape().first() != Some(&count) {
            let expected = [&[count], &input.shape[..]].concat();
            return Err(Error::shape(format!("input '{}'", input.name), &expected[..], given.shape()));
        }
    }
    let parts: Vec<Tensor<T>> = std::iter::once(x).chain(beside.iter().map(standard)).collect();
    let part = |n: usize, part: &Tensor<T>| slice(part)[n * part.len() / count..(n + 1) * part.len() / count].to_vec();
    Ok((0..count).flat_map(|n| parts.iter().flat_map(move |own| part(n, own))).collect())
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

/// From results per ECG to arrays per method.
fn gather<T: Real>(singles: Vec<Single<T>>, methods: &[Method], extent: &Extent) -> Explanations<T> {
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
    let whole = |map: &Vec<T>| map.len() == count * extent.size();
    let one = |input: &super::extent::Beside| {
        let part = |map: &Vec<T>| map.chunks(extent.size().max(1)).flat_map(|one| one[input.range()].to_vec()).collect();
        let shape = [&[count], &input.shape[..]].concat();
        let maps = methods.iter().zip(&maps).filter(|(_, map)| whole(map)).map(|(method, map)| (*method, from_vec(&shape, part(map))));
        BesideMaps { input: input.name.clone(), maps: maps.collect() }
    };
    let beside = extent.beside().iter().map(one).collect();
    let ecg = |map: Vec<T>| {
        if extent.beside().is_empty() || !whole(&map) {
            map
        } else {
            map.chunks(extent.size()).flat_map(|one| one[..extent.ecg()].to_vec()).collect()
        }
    };
    Explanations {
        prediction,
        maps: methods.iter().copied().zip(maps.into_iter().map(|map| from_vec(&shape, ecg(map)))).collect(),
        beside,
        completeness: methods.iter().copied().zip(completeness).filter(|(_, entries)| !entries.is_empty()).collect(),
    }
}
