//! What replacing patches in an order does to the prediction, and between which bounds it can lie.
//!
//! MoRF: most relevant first, a good map changes the prediction soon. LeRF: least relevant first, a good map changes nothing for long
//! (Samek et al. 2017; Rong et al. 2022). The change is |f(x′) − f(x)|, which needs no true value; its mean over the steps is the score.
//!
//! Lower bound: random orders. Upper bound: a greedy oracle that sees the network: at each step it tries candidates and takes the one that
//! changes the prediction most. Greedy is not best: a method can, rarely, exceed it.

use super::replace::{Patches, Replacer, State};
use super::settings::{Draw, Settings};
use crate::evaluation::perturbation::Predictor;
use crate::evaluation::scores::area;
use crate::random::Stream;
use crate::tape::from_vec;
use crate::{Error, Result};
use rand::seq::SliceRandom;

/// Inputs that run together, at most.
const BATCH: usize = 32;

/// Replacing the patches of one ECG, watched by a network.
pub struct Removal<'a> {
    predictor: &'a dyn Predictor,
    patches: Patches,
    replacer: Replacer<'a>,
    settings: &'a Settings,
    steps: usize,
    first: f64,
}

impl<'a> Removal<'a> {
    /// Gets ready: predicts the ECG itself.
    ///
    /// # Errors
    /// What the predictor brings; [`Error::Value`] for a prediction that is not finite.
    pub fn new(predictor: &'a dyn Predictor, patches: Patches, replacer: Replacer<'a>, settings: &'a Settings) -> Result<Self> {
        let steps = settings.steps.min(patches.count());
        let mut removal = Removal { predictor, patches, replacer, settings, steps, first: 0.0 };
        removal.first = removal.predict(&[removal.replacer.start()])?[0];
        Ok(removal)
    }

    fn predict(&self, states: &[State]) -> Result<Vec<f64>> {
        let mut all = Vec::with_capacity(states.len());
        for states in states.chunks(BATCH) {
            let inputs: Vec<f32> = states.iter().flat_map(|state| state.samples.iter().copied()).collect();
            let shape = [states.len(), self.patches.leads, self.patches.len];
            all.extend(self.predictor.predict_batch(from_vec(&shape, inputs))?.into_iter().map(f64::from));
        }
        match all.iter().find(|value| !value.is_finite()) {
            None => Ok(all),
            Some(value) => {
                let problem = format!("the network predicts {value}: this replacement cannot be scored");
                Err(Error::Value { at: "an ECG with patches replaced".into(), problem })
            }
        }
    }

    /// |f(x′) − f(x)| after each step of an order, 0 first, (steps + 1).
    ///
    /// # Errors
    /// As [`Removal::new`].
    pub fn curve(&self, order: &[usize]) -> Result<Vec<f64>> {
        let mut state = self.replacer.start();
        let mut states = Vec::with_capacity(self.steps);
        for patch in order.iter().take(self.steps) {
            self.replacer.replace(&mut state, *patch);
            states.push(state.clone());
        }
        let changes = self.predict(&states)?.into_iter().map(|now| (now - self.first).abs());
        Ok(std::iter::once(0.0).chain(changes).collect())
    }

    /// The mean change over the steps of an order: the trapezoid area under its curve over the number of steps.
    ///
    /// # Errors
    /// As [`Removal::new`].
    pub fn score(&self, order: &[usize]) -> Result<f64> {
        Ok(area(&self.curve(order)?, self.steps) / self.steps as f64)
    }

    /// Scores of a map, most relevant first and least relevant first.
    ///
    /// # Errors
    /// As [`Removal::new`].
    pub fn map(&self, map: &[f32]) -> Result<(f64, f64)> {
        let mut ranked = self.patches.ranked(map)?;
        let most = self.score(&ranked)?;
        ranked.reverse();
        Ok((most, self.score(&ranked)?))
    }

    /// The mean score of random orders of ECG number `id`.
    ///
    /// # Errors
    /// As [`Removal::new`].
    pub fn random(&self, id: u64) -> Result<f64> {
        let mut sum = 0.0;
        for number in 0..self.settings.random_orders {
            let mut order: Vec<usize> = (0..self.patches.count()).collect();
            let stream = Stream::new(self.settings.seed, Draw::STAGE).ecg(id).repeat(Draw::Order.repeat(number as u32));
            let (chosen, _) = order.partial_shuffle(&mut stream.rng(), self.steps);
            sum += self.score(chosen)?;
        }
        Ok(sum / self.settings.random_orders as f64)
    }

    /// The score of the greedy oracle. It screens patches one by one (all of them, or where they are more than the settings allow, those of
    /// the largest `hint`, e.g. |gradient|), keeps those of the largest effect as candidates, and at each step takes the candidate
    /// that brings the prediction farthest from where it was at the beginning.
    ///
    /// # Errors
    /// As [`Removal::new`].
    pub fn oracle(&self, hint: &[f32]) -> Result<f64> {
        let start = self.replacer.start();
        let mut screened = self.patches.ranked(hint)?;
        screened.truncate(self.settings.screened);
        let mut candidates = self.by_effect(&start, &screened)?;
        candidates.truncate(self.settings.candidates.max(self.steps));
        let mut state = start;
        let mut order = Vec::with_capacity(self.steps);
        while order.len() < self.steps && !candidates.is_empty() {
            candidates = self.by_effect(&state, &candidates)?;
            let best = candidates.remove(0);
            self.replacer.replace(&mut state, best);
            order.push(best);
        }
        self.score(&order)
    }

    /// Patches by decreasing |f(x′) − f(x)| after replacing each alone, ties by place.
    fn by_effect(&self, state: &State, patches: &[usize]) -> Result<Vec<usize>> {
        let mut effects = Vec::with_capacity(patches.len());
        for some in patches.chunks(BATCH) {
            let tried = some.iter().map(|patch| {
                let mut tried = state.clone();
                self.replacer.replace(&mut tried, *patch);
                tried
            });
            let now = self.predict(&tried.collect::<Vec<State>>())?;
            effects.extend(some.iter().zip(now).map(|(patch, now)| ((now - self.first).abs(), *patch)));
        }
        effects.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Ok(effects.into_iter().map(|effect| effect.1).collect())
    }
}
