//! Heatmaps of a challenge: the subject's own, and those of networks and inputs to compare with.

use super::settings::Settings;
use super::subject::{Batch, Subject};
use crate::attribution::{Explainer, Method, Settings as AttributionSettings};
use crate::progress::{Report, Step};
use crate::tape::{Network, Tensor};
use crate::{Error, Result};
use ndarray::{Array3, Axis, Slice};

/// Heatmaps (N, C, L), one array per method.
pub(super) type Maps = Vec<Array3<f32>>;

/// ECGs explained at a time, for the sake of progress.
const CHUNK: usize = 16;

/// How the methods are set: as in the study.
pub(super) fn attribution(subject: &Subject<'_>, settings: &Settings) -> AttributionSettings {
    AttributionSettings { seed: settings.seed, target: subject.target.index(), ..AttributionSettings::default() }
}

/// Heatmaps of some ECGs by some methods. Methods that sample draw the same whatever `afresh`; the random control draws anew for every
/// `afresh`, so that its rows show what unrelated maps would give.
pub(super) fn maps(
    network: &Network<f32>,
    batch: &Batch,
    methods: &[Method],
    settings: &AttributionSettings,
    afresh: u64,
    report: Report<'_>,
) -> Result<Maps> {
    let control = AttributionSettings { seed: settings.seed.wrapping_add(afresh << 32), ..settings.clone() };
    let mut parts: Vec<Vec<Array3<f32>>> = vec![Vec::new(); methods.len()];
    let total = batch.ids.len() as u64;
    for (number, ids) in batch.ids.chunks(CHUNK).enumerate() {
        let from = number * CHUNK;
        let x = Tensor::from(batch.x.slice_axis(Axis(0), Slice::from(from..from + ids.len())).to_owned().into_dyn());
        let ids: Vec<u64> = ids.iter().map(|id| *id as u64).collect();
        let within = |step: Step<'_>| report(Step { done: from as u64 + step.done, total, ..step });
        let (random, others): (Vec<Method>, Vec<Method>) = methods.iter().partition(|method| **method == Method::Random);
        for (chosen, settings) in [(others, settings), (random, &control)] {
            if chosen.is_empty() {
                continue;
            }
            for (method, map) in Explainer::new(network, settings)?.explain(&x, &ids, &chosen, &within)?.maps {
                let shape = map.shape().to_vec();
                let map = map.to_owned().into_dimensionality().map_err(|_| Error::shape("the heatmaps", "(N, C, L)", shape))?;
                let at = methods.iter().position(|other| *other == method).unwrap_or(0);
                parts[at].push(map);
            }
        }
    }
    let join = |parts: Vec<Array3<f32>>| {
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        ndarray::concatenate(Axis(0), &views).map_err(|error| Error::Data(format!("joining heatmaps: {error}")))
    };
    parts.into_iter().map(join).collect()
}
