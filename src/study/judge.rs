//! Heatmaps of a network and what perturbing them does, a few ECGs at a time, so that memory stays small and a killed job goes on where it was.

use crate::attribution::{Explainer, Method, Settings as AttributionSettings};
use crate::evaluation::perturbation::{PerturbationSettings, perturb};
use crate::files::atomic;
use crate::files::digest::sha256;
use crate::files::npz::{self, NpzWriter};
use crate::intake::{self, Most};
use crate::nn::Inputs;
use crate::progress::{Report, Step};
use crate::tape::{Network, Tensor};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, Dimension};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// ECGs that are explained and perturbed together; what a kill can lose.
pub(super) const CHUNK: usize = 16;

/// What is judged: one network's heatmaps by some methods.
pub struct Judge<'a> {
    /// The network.
    pub network: &'a Network<f32>,
    /// Where ECGs come from.
    pub inputs: Inputs<'a>,
    /// The methods.
    pub methods: &'a [Method],
    /// How they are set.
    pub attribution: &'a AttributionSettings,
    /// How ECGs are perturbed.
    pub perturbation: &'a PerturbationSettings,
    /// ECGs whose heatmaps are wanted.
    pub kept: &'a [usize],
    /// ECGs that are perturbed.
    pub perturbed: &'a [usize],
}

/// What was found, ECGs in the order asked for.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// What the network predicts for the ECGs kept.
    pub predicted: Vec<f64>,
    /// Heatmaps of the ECGs kept, (E, 12, L), one array per method.
    pub maps: Vec<(Method, Array3<f32>)>,
    /// Predictions of the ECGs perturbed, (n, iterations + 1), one array per method.
    pub curves: Vec<(Method, Array2<f32>)>,
}

/// What a chunk brings: rows for the members that are kept, and for those that are perturbed.
struct Part {
    predicted: Array1<f32>,
    maps: Vec<Array3<f32>>,
    curves: Vec<Array2<f32>>,
}

impl Judge<'_> {
    /// Does the work. What chunks have brought lies under `cache`, for the caller to remove when the outcome is safe; `identity` tells one
    /// work from another (digests of network and data): the cache of another work is thrown away.
    ///
    /// # Errors
    /// As [`Explainer::explain`] and [`perturb`]; what reading inputs and writing the cache brings.
    pub fn run(&self, cache: &Path, identity: &str, label: &str, report: Report<'_>) -> Result<Judged> {
        let members = self.members();
        open_cache(cache, &self.digest(identity))?;
        let mut parts = Vec::new();
        for number in 0..self.parts() {
            let path = cache.join(Self::part_name(number));
            if !path.exists() {
                self.part(number, &path, label, report)?;
            }
            parts.push(self.read(&path)?);
        }
        self.gather(&members, &parts)
    }

    /// In how many parts the work is done.
    pub fn parts(&self) -> usize {
        self.members().len().div_ceil(CHUNK)
    }

    /// The name of the file of a part, from 0.
    pub fn part_name(number: usize) -> String {
        format!("{number:06}.npz")
    }

    /// Does one part of the work, and writes what it brings.
    ///
    /// # Errors
    /// As [`Judge::run`].
    pub fn part(&self, number: usize, path: &Path, label: &str, report: Report<'_>) -> Result<()> {
        let members = self.members();
        let (before, total) = ((number * CHUNK) as u64, members.len() as u64);
        let Some(chunk) = members.chunks(CHUNK).nth(number) else {
            return Err(Error::Usage(format!("there is no part {number} of {total} ECGs")));
        };
        let within = |step: Step<'_>| report(Step { label, done: before + step.done, total, ..step });
        self.write(path, &self.chunk(chunk, &within)?)?;
        report(Step { label, done: before + chunk.len() as u64, total, unit: "ECGs", note: "" });
        Ok(())
    }

    /// Does the first part, and keeps nothing: to see what it takes.
    ///
    /// # Errors
    /// As [`Judge::run`].
    pub fn try_out(&self) -> Result<()> {
        let members = self.members();
        self.chunk(&members[..members.len().min(CHUNK)], &crate::progress::silent).map(drop)
    }

    /// Everything that the outcome depends on.
    pub fn digest(&self, identity: &str) -> String {
        let PerturbationSettings { iterations, strength, seed, repeat, .. } = self.perturbation;
        let attribution = AttributionSettings { memory: 0, ..self.attribution.clone() };
        let text = format!(
            "{identity}\n{}\n{:?}\n{attribution:?}\n{iterations} {strength} {seed} {repeat}\n{:?}\n{:?}",
            env!("CARGO_PKG_VERSION"),
            self.methods,
            self.kept,
            self.perturbed
        );
        format!("sha256:{}", sha256(text.as_bytes()))
    }

    /// All ECGs, each once: those kept, then the others.
    fn members(&self) -> Vec<usize> {
        let mut members = self.kept.to_vec();
        members.extend(self.perturbed.iter().filter(|ecg| !self.kept.contains(ecg)));
        members
    }

    fn chunk(&self, ecgs: &[usize], report: Report<'_>) -> Result<Part> {
        let x = (self.inputs)(ecgs)?;
        let ids: Vec<u64> = ecgs.iter().map(|ecg| *ecg as u64).collect();
        let explainer = Explainer::new(self.network, self.attribution)?;
        let found = explainer.explain(&Tensor::from(x.clone().into_dyn()), &ids, self.methods, &crate::progress::silent)?;
        let maps: Vec<Array3<f32>> = found.maps.into_iter().map(|(_, map)| three_axes(map.to_owned())).collect::<Result<_>>()?;
        let places = |wanted: &[usize]| -> Vec<usize> { (0..ecgs.len()).filter(|at| wanted.contains(&ecgs[*at])).collect() };
        let (kept, perturbed) = (places(self.kept), places(self.perturbed));
        let chosen: Vec<Array3<f32>> = maps.iter().map(|map| map.select(Axis(0), &perturbed)).collect();
        let views: Vec<_> = chosen.iter().map(|map| map.view()).collect();
        let ids: Vec<u64> = perturbed.iter().map(|at| ids[*at]).collect();
        let x = x.select(Axis(0), &perturbed);
        Ok(Part {
            predicted: kept.iter().map(|at| found.prediction[*at]).collect(),
            maps: maps.iter().map(|map| map.select(Axis(0), &kept)).collect(),
            curves: perturb(self.network, x.view(), &ids, &views, self.perturbation, report)?,
        })
    }

    fn write(&self, path: &Path, part: &Part) -> Result<()> {
        let mut file = NpzWriter::create(path)?;
        file.add("predicted", part.predicted.view())?;
        for (method, (map, curve)) in self.methods.iter().zip(part.maps.iter().zip(&part.curves)) {
            file.add(&format!("map.{method}"), map.view())?;
            file.add(&format!("curve.{method}"), curve.view())?;
        }
        file.finish()
    }

    fn read(&self, path: &Path) -> Result<Part> {
        let mut arrays: std::collections::BTreeMap<String, ArrayD<f32>> =
            npz::read(path)?.into_iter().map(|(name, array)| (name, array.into_f32())).collect();
        let mut take =
            |name: String| arrays.remove(&name).ok_or_else(|| Error::format(path, format!("holds no array '{name}': remove it")));
        let mut part = Part { predicted: shaped(path, take("predicted".into())?)?, maps: Vec::new(), curves: Vec::new() };
        for method in self.methods {
            part.maps.push(shaped(path, take(format!("map.{method}"))?)?);
            part.curves.push(shaped(path, take(format!("curve.{method}"))?)?);
        }
        Ok(part)
    }

    /// Rows of all parts in the order in which ECGs were asked for.
    fn gather(&self, members: &[usize], parts: &[Part]) -> Result<Judged> {
        let order = |wanted: &[usize]| -> Vec<usize> {
            let found: Vec<usize> = members.iter().copied().filter(|ecg| wanted.contains(ecg)).collect();
            wanted.iter().filter_map(|ecg| found.iter().position(|other| other == ecg)).collect()
        };
        let (kept, perturbed) = (order(self.kept), order(self.perturbed));
        let mut judged =
            Judged { predicted: parts.iter().flat_map(|part| part.predicted.iter().map(|v| f64::from(*v))).collect(), ..Judged::default() };
        for (at, method) in self.methods.iter().enumerate() {
            let maps: Vec<_> = parts.iter().map(|part| part.maps[at].view()).collect();
            let curves: Vec<_> = parts.iter().map(|part| part.curves[at].view()).collect();
            let join = |error: ndarray::ShapeError| Error::Data(format!("joining the results of {method}: {error}"));
            judged.maps.push((*method, ndarray::concatenate(Axis(0), &maps).map_err(join)?.select(Axis(0), &kept)));
            judged.curves.push((*method, ndarray::concatenate(Axis(0), &curves).map_err(join)?.select(Axis(0), &perturbed)));
        }
        Ok(judged)
    }
}

/// How often a worker looks, every 50 ms, whether another has written what both would.
const WAITS: usize = 200;
/// The mark of a cache.
const DIGEST: Most = Most { bytes: 1 << 10, of: "the digest of a cache" };

/// Says whose work lies in a folder that several workers fill at once: the first of them writes it, the others wait that long.
///
/// # Errors
/// [`Error::Data`] where it is other work; [`Error::Io`]; [`Error::Usage`] where another holds the file far longer than it takes to write.
pub(super) fn mark_shared(folder: &Path, digest: &str) -> Result<()> {
    let mark = folder.join("digest");
    for waited in 0..=WAITS {
        if mark.exists() {
            let same = intake::text(&mark, DIGEST)? == digest;
            let other = || format!("{}: it holds judgements of another network, dataset or other settings: remove it", folder.display());
            return if same { Ok(()) } else { Err(Error::Data(other())) };
        }
        match atomic::write(&mark, digest.as_bytes()) {
            Err(Error::Usage(_)) if waited < WAITS => std::thread::sleep(Duration::from_millis(50)),
            outcome => return outcome,
        }
    }
    Ok(())
}

/// The cache of this very work: an existing one of another work is emptied.
fn open_cache(cache: &Path, digest: &str) -> Result<()> {
    let mark: PathBuf = cache.join("digest");
    if cache.exists() && intake::text(&mark, DIGEST).ok().as_deref() != Some(digest) {
        std::fs::remove_dir_all(cache).map_err(|source| Error::io(cache, source))?;
    }
    if !mark.exists() {
        std::fs::create_dir_all(cache).map_err(|source| Error::io(cache, source))?;
        atomic::write(&mark, digest.as_bytes())?;
    }
    Ok(())
}

fn three_axes(array: ArrayD<f32>) -> Result<Array3<f32>> {
    let shape = array.shape().to_vec();
    array.into_dimensionality().map_err(|_| Error::shape("the heatmaps", "(N, C, L)", shape))
}

fn shaped<D: Dimension>(path: &Path, array: ArrayD<f32>) -> Result<ndarray::Array<f32, D>> {
    let shape = array.shape().to_vec();
    array.into_dimensionality().map_err(|_| Error::format(path, format!("an array has shape {shape:?}: remove the file")))
}
