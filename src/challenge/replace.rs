//! What stands in for the points that a heatmap ranks: four replacements, the study's beside three that ask the same in other ways.
//!
//! The study replaces single points. The others replace patches, 40 ms of one lead: a network that averages over time hardly
//! notices a point, and a patch can hold what looks like an ECG.

use crate::challenge::settings::{Draw, Settings};
use crate::evaluation::perturbation::{PerturbationSettings, noise, order};
use crate::random::{Stream, standard_normal};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How points are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// The study's: noise is added to single points, σ = 0.2 · (max − min) of the ECG, the draw of a step common to all methods.
    PointNoise,
    /// Noise is added to patches, σ = 0.2 · (max − min) of the same lead within 100 ms: flat places stay nearly flat.
    LocalNoise,
    /// Noisy linear imputation (Rong et al. 2022, "ROAD"), in one dimension: every missing sample is the mean of its two neighbours in time, which
    /// solves to a straight line across the gap; noise of σ = 0.01 · (max − min) of the ECG is added.
    Imputation,
    /// The patch is that of another ECG at the same place.
    Resampling,
}

impl Replacement {
    /// Every replacement, the study's first.
    pub const ALL: [Replacement; 4] = [Replacement::PointNoise, Replacement::LocalNoise, Replacement::Imputation, Replacement::Resampling];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Replacement::PointNoise => "point_noise",
            Replacement::LocalNoise => "local_noise",
            Replacement::Imputation => "imputation",
            Replacement::Resampling => "resampling",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Replacement::PointNoise => "noise at points (the study's)",
            Replacement::LocalNoise => "local noise in patches",
            Replacement::Imputation => "imputed patches (ROAD)",
            Replacement::Resampling => "patches of another ECG",
        }
    }

    /// Samples that are replaced together.
    pub fn window(self, settings: &Settings) -> usize {
        if self == Replacement::PointNoise { 1 } else { settings.patch }
    }
}

/// The patches of an ECG: windows of one lead, one after another; the last of a lead may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patches {
    /// Leads.
    pub leads: usize,
    /// Samples of a lead.
    pub len: usize,
    /// Samples of a patch.
    pub window: usize,
}

impl Patches {
    fn per_lead(&self) -> usize {
        self.len.div_ceil(self.window)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.leads * self.per_lead()
    }

    /// The places of a patch's samples in the row-major ECG.
    pub fn places(&self, patch: usize) -> Range<usize> {
        let (lead, start) = (patch / self.per_lead(), patch % self.per_lead() * self.window);
        lead * self.len + start..lead * self.len + (start + self.window).min(self.len)
    }

    /// Patches by decreasing mean |attribution|, ties by place.
    ///
    /// # Errors
    /// [`crate::Error::Value`] for an attribution that is not a number.
    pub fn ranked(&self, map: &[f32]) -> crate::Result<Vec<usize>> {
        let mean = |patch: usize| {
            let places = self.places(patch);
            let n = places.len() as f64;
            (map[places].iter().map(|v| f64::from(v.abs())).sum::<f64>() / n) as f32
        };
        let means: Vec<f32> = (0..self.count()).map(mean).collect();
        order(&means, means.len())
    }
}

/// One replacement of one ECG's patches, with all its draws made.
pub struct Replacer<'a> {
    kind: Replacement,
    patches: Patches,
    x: &'a [f32],
    donor: &'a [f32],
    /// The study's draw of each step, µV.
    steps: Vec<f64>,
    /// A draw for every place, µV.
    places: Vec<f32>,
}

/// An ECG on its way.
#[derive(Clone, Debug)]
pub struct State {
    /// Its samples, row-major.
    pub samples: Vec<f32>,
    missing: Vec<bool>,
    step: usize,
}

impl<'a> Replacer<'a> {
    /// Replaces patches of ECG number `id` whose samples are `x`; `donor` is another ECG of the same size.
    pub fn new(kind: Replacement, patches: Patches, x: &'a [f32], donor: &'a [f32], id: u64, settings: &Settings) -> Self {
        let range = range(x);
        let study = PerturbationSettings { iterations: settings.steps, seed: settings.seed, ..PerturbationSettings::default() };
        let strength = study.strength;
        let normals = || {
            let mut rng = Stream::new(settings.seed, Draw::STAGE).ecg(id).repeat(Draw::Replacement.repeat(kind as u32)).rng();
            (0..x.len()).map(|_| standard_normal(&mut rng)).collect::<Vec<f64>>()
        };
        let (mut steps, mut places) = (Vec::new(), Vec::new());
        match kind {
            Replacement::PointNoise => steps = noise(x, id, &study),
            Replacement::LocalNoise => {
                let sigma = |at: usize| strength * f64::from(local_range(x, patches.len, at));
                places = normals().into_iter().enumerate().map(|(at, e)| (sigma(at) * e) as f32).collect();
            }
            Replacement::Imputation => places = normals().into_iter().map(|e| (0.01 * range * e) as f32).collect(),
            Replacement::Resampling => {}
        }
        Replacer { kind, patches, x, donor, steps, places }
    }

    /// The ECG itself.
    pub fn start(&self) -> State {
        State { samples: self.x.to_vec(), missing: vec![false; self.x.len()], step: 0 }
    }

    /// The same with one more patch replaced. Under imputation, gaps that meet become one.
    pub fn replace(&self, state: &mut State, patch: usize) {
        let places = self.patches.places(patch);
        match self.kind {
            Replacement::PointNoise => {
                let draw = self.steps[state.step];
                places.for_each(|at| state.samples[at] = (f64::from(state.samples[at]) + draw) as f32);
            }
            Replacement::LocalNoise => places.for_each(|at| state.samples[at] = self.x[at] + self.places[at]),
            Replacement::Resampling => places.for_each(|at| state.samples[at] = self.donor[at]),
            Replacement::Imputation => {
                let lead = places.start / self.patches.len * self.patches.len;
                let lead = lead..lead + self.patches.len;
                state.missing[places].fill(true);
                let imputed = impute(&self.x[lead.clone()], &state.missing[lead.clone()]);
                for (at, value) in lead.zip(imputed) {
                    state.samples[at] = if state.missing[at] { value + self.places[at] } else { self.x[at] };
                }
            }
        }
        state.step += 1;
    }
}

/// Missing samples from those that are there: the solution of v_t = (v_{t−1} + v_{t+1}) / 2 over all missing t, a straight line across each gap. A gap
/// at an end takes the value beside it; where all are missing, the mean.
pub fn impute(x: &[f32], missing: &[bool]) -> Vec<f32> {
    let mut filled = x.to_vec();
    let mut start = 0;
    while start < x.len() {
        if !missing[start] {
            start += 1;
            continue;
        }
        let end = (start..x.len()).find(|t| !missing[*t]).unwrap_or(x.len());
        let (before, after) = (start.checked_sub(1).map(|t| x[t]), x.get(end).copied());
        let mean = || (x.iter().map(|v| f64::from(*v)).sum::<f64>() / x.len() as f64) as f32;
        for (k, value) in filled[start..end].iter_mut().enumerate() {
            let share = (k + 1) as f32 / (end - start + 1) as f32;
            *value = match (before, after) {
                (Some(a), Some(b)) => a + (b - a) * share,
                (Some(v), None) | (None, Some(v)) => v,
                (None, None) => mean(),
            };
        }
        start = end;
    }
    filled
}

/// max − min of a whole ECG, µV.
pub(super) fn range(x: &[f32]) -> f64 {
    let (low, high) = x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    f64::from(high) - f64::from(low)
}

/// max − min of the lead of a place, within 50 samples on either side.
fn local_range(x: &[f32], len: usize, at: usize) -> f32 {
    const REACH: usize = 50;
    let (lead, t) = (at / len * len, at % len);
    let near = &x[lead + t.saturating_sub(REACH)..lead + (t + REACH + 1).min(len)];
    near.iter().fold(f32::NEG_INFINITY, |high, v| high.max(*v)) - near.iter().fold(f32::INFINITY, |low, v| low.min(*v))
}
