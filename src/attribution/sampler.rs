//! Samplers: at which inputs gradients are taken, and with which weights they are summed.

use super::{Baseline, Quadrature, Settings, gauss_legendre};
use crate::random::{Stage, Stream, standard_normal};
use crate::tape::Real;
use crate::{Error, Result};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// At which inputs a method looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// At the ECG itself.
    Once,
    /// At the ECG with noise.
    Noise,
    /// On the straight path from the baseline, at Gauss–Legendre nodes.
    Path,
    /// At random places of random paths: from the baseline to the ECG with noise.
    RandomPath,
}

/// One input at which the gradient is taken.
pub(crate) struct Point<T> {
    /// The input, C·L values, and those of inputs beside it.
    pub x: Vec<T>,
    /// Its weight in the sum.
    pub weight: f64,
    /// What a baseline method may multiply its gradient by, as many.
    pub difference: Vec<T>,
}

/// The points of one ECG, made one after another so that memory holds a few at a time.
pub(crate) struct Points<'a, T> {
    settings: &'a Settings,
    sampler: Sampler,
    x: &'a [T],
    /// Of the values those of the ECG, which come first and alone get noise.
    ecg: usize,
    baseline: &'a [T],
    count: usize,
    sigma: f64,
    path: (Vec<f64>, Vec<f64>),
    noise: ChaCha8Rng,
    places: ChaCha8Rng,
    next: usize,
}

impl<'a, T: Real> Points<'a, T> {
    /// The points of ECG number `id`, of whose values (the inputs beside it included) the first `ecg` are its own.
    ///
    /// # Errors
    /// [`Error::Usage`] if fewer draws or coefficients were given than samples are wanted.
    pub fn new(sampler: Sampler, settings: &'a Settings, x: &'a [T], ecg: usize, baseline: &'a [T], id: u64) -> Result<Self> {
        let (stage, default) = match sampler {
            Sampler::RandomPath => (Stage::GradientShap, 50),
            _ => (Stage::SmoothGrad, 25),
        };
        let count = match sampler {
            Sampler::Once => 1,
            Sampler::Path => settings.steps,
            Sampler::Noise | Sampler::RandomPath => settings.samples.unwrap_or(default),
        };
        if matches!(sampler, Sampler::Noise | Sampler::RandomPath) {
            enough("draws", settings.draws.as_ref().map(|draws| draws.shape()[0]), count)?;
        }
        if sampler == Sampler::RandomPath {
            enough("coefficients", settings.coefficients.as_ref().map(Vec::len), count)?;
        }
        let path = if sampler == Sampler::Path { gauss_legendre::rule(count) } else { Default::default() };
        // Noise and path positions have streams of their own, so giving the one leaves the draws of the other as they were.
        let stream = Stream::new(settings.seed, stage).ecg(id);
        let (noise, places) = (stream.rng(), stream.repeat(1).rng());
        Ok(Points { settings, sampler, x, ecg, baseline, count, sigma: settings.noise * range(&x[..ecg]), path, noise, places, next: 0 })
    }

    /// x + noise of sample `index`: given draws, or the stream's next.
    fn noised(&mut self, index: usize) -> Vec<T> {
        let (own, beside) = self.x.split_at(self.ecg);
        let mut noised: Vec<T> = match &self.settings.draws {
            Some(draws) => {
                let draw = draws.index_axis(ndarray::Axis(0), index);
                own.iter().zip(draw.iter()).map(|(x, e)| *x + T::of(*e)).collect()
            }
            None => {
                let (sigma, rng) = (self.sigma, &mut self.noise);
                let mut draw = || standard_normal(rng);
                own.iter().map(|x| *x + T::of(sigma * draw())).collect()
            }
        };
        noised.extend_from_slice(beside);
        noised
    }

    /// The point at share `a` of the way from the baseline to `end`, and the whole way.
    fn on_path(&self, end: &[T], a: f64) -> (Vec<T>, Vec<T>) {
        let difference: Vec<T> = end.iter().zip(self.baseline).map(|(x, b)| *x - *b).collect();
        let a = T::of(a);
        (self.baseline.iter().zip(&difference).map(|(b, d)| *b + a * *d).collect(), difference)
    }
}

impl<T: Real> Iterator for Points<'_, T> {
    type Item = Point<T>;

    fn next(&mut self) -> Option<Point<T>> {
        let index = self.next;
        if index == self.count {
            return None;
        }
        self.next += 1;
        let mut weight = 1.0 / self.count as f64;
        let (x, difference) = match self.sampler {
            Sampler::Once => (self.x.to_vec(), self.on_path(self.x, 1.0).1),
            Sampler::Noise => {
                let x = self.noised(index);
                let difference = self.on_path(&x, 1.0).1;
                (x, difference)
            }
            Sampler::Path => {
                weight = match self.settings.quadrature {
                    Quadrature::Exact => self.path.1[index],
                    Quadrature::Captum => f64::from(self.path.1[index] as f32),
                };
                self.on_path(self.x, self.path.0[index])
            }
            Sampler::RandomPath => {
                let a = match &self.settings.coefficients {
                    Some(given) => given[index],
                    None => self.places.random::<f64>(),
                };
                let end = self.noised(index);
                self.on_path(&end, a)
            }
        };
        Some(Point { x, weight, difference })
    }
}

/// Checks that enough was given, if anything was.
fn enough(what: &str, given: Option<usize>, wanted: usize) -> Result<()> {
    match given {
        Some(given) if given < wanted => {
            Err(Error::Usage(format!("{given} {what} were given, {wanted} samples need as many: give more, or set samples")))
        }
        _ => Ok(()),
    }
}

/// max − min of the whole ECG.
pub(crate) fn range<T: Real>(x: &[T]) -> f64 {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for v in x {
        (low, high) = (low.min(v.f64()), high.max(v.f64()));
    }
    high - low
}

/// The baseline of one ECG of `channels` leads, C·L values.
pub(crate) fn baseline<T: Real>(baseline: &Baseline, x: &[T], channels: usize) -> Vec<T> {
    match baseline {
        Baseline::Zero => vec![T::ZERO; x.len()],
        Baseline::Values(values) => values.iter().map(|v| T::of(*v)).collect(),
        Baseline::Mean => {
            let len = x.len() / channels;
            let mean = |row: &[T]| T::of(row.iter().map(|v| v.f64()).sum::<f64>() / len as f64);
            x.chunks(len).flat_map(|row| std::iter::repeat_n(mean(row), len)).collect()
        }
    }
}
