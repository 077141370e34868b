//! Which screens each rater sees, in which order, with which heatmaps where.

use super::key::View;
use crate::random::{Stage, Stream};
use crate::report::results::{StudyResults, TargetResults};
use crate::report::scale::{averaged, scale};
use crate::report::{embed::quantised, methods::title};
use crate::{Error, Result};
use ndarray::{ArrayView2, Axis};
use rand::{Rng, RngExt};

/// What kind of survey to make.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// ECGs, the first ones that the study kept.
    pub ecgs: usize,
    /// How often each is presented.
    pub presentations: usize,
    /// Raters.
    pub raters: usize,
    /// Seed of every order and id.
    pub seed: u64,
}

/// The heatmaps of one ECG, target and view, ready for a page: equal in length, in a random order that does not depend on their names.
pub(super) struct Block {
    pub ecg: usize,
    pub target: usize,
    pub view: View,
    /// The bytes of the heatmaps, one after the other.
    pub bytes: Vec<u8>,
    /// The method (index) of each.
    pub methods: Vec<usize>,
}

/// One screen of a page.
pub(super) struct Screen {
    pub id: String,
    /// The place of its block in the page.
    pub block: usize,
    /// Which of the block's heatmaps stands at each place.
    pub order: Vec<usize>,
    /// The id of the choice at each place.
    pub choices: Vec<String>,
    pub presentation: usize,
}

/// Samples per lead that a page holds at most; longer inputs are pooled.
const POINTS: usize = 700;

pub(super) fn stream(settings: Settings, rater: u64) -> Stream {
    Stream::new(settings.seed, Stage::Survey).ecg(rater)
}

pub(super) fn blocks(results: &StudyResults, methods: &[String], settings: Settings) -> Result<Vec<Block>> {
    let mut rng = stream(settings, 0).repeat(1).rng();
    let mut blocks = Vec::new();
    for (t, target) in results.targets.iter().enumerate() {
        for ecg in 0..settings.ecgs {
            for view in View::BOTH {
                let (bytes, methods) = block(target, methods, (ecg, view), &mut rng)?;
                blocks.push(Block { ecg, target: t, view, bytes, methods });
            }
        }
    }
    Ok(blocks)
}

/// The heatmaps of all methods: sorted by their bytes, so that their names do not matter, then shuffled, so that their order says nothing
/// about what they look like either (all-positive maps, say, sort before others).
fn block(target: &TargetResults, methods: &[String], (ecg, view): (usize, View), rng: &mut impl Rng) -> Result<(Vec<u8>, Vec<usize>)> {
    let mut maps = Vec::new();
    for (m, method) in methods.iter().enumerate() {
        let missing = || Error::Data(format!("the study has no heatmaps of {} for {}", title(method), target.target.title()));
        maps.push((packed(target.maps_of(method).ok_or_else(missing)?.index_axis(Axis(0), ecg), view), m));
    }
    maps.sort();
    let order = shuffled(maps.len(), rng);
    Ok((order.iter().flat_map(|k| maps[*k].0.iter().copied()).collect(), order.iter().map(|k| maps[*k].1).collect()))
}

fn packed(map: ArrayView2<'_, f32>, view: View) -> Vec<u8> {
    let pool = pool(map.ncols());
    match view {
        View::Full => {
            let limit = scale(map);
            map.rows().into_iter().flat_map(|lead| quantised(lead, limit, pool)).collect()
        }
        View::Averaged => {
            let mean = averaged(map);
            quantised(mean.view(), scale(&mean), pool)
        }
    }
}

/// Samples that one point of a page stands for.
pub(super) fn pool(samples: usize) -> usize {
    samples.div_ceil(POINTS).max(1)
}

/// A rater's screens in their order, and the blocks in theirs: `place[k]` is the block at place `k` of the page.
/// Each presentation goes through every target and view in turn, in an order of its own, so that repeats are far apart.
pub(super) fn screens(blocks: &[Block], settings: Settings, rater: u64) -> (Vec<Screen>, Vec<usize>) {
    let mut rng = stream(settings, rater).rng();
    let place = shuffled(blocks.len(), &mut rng);
    let mut groups: Vec<(usize, View)> = blocks.iter().map(|block| (block.target, block.view)).collect();
    groups.sort();
    groups.dedup();
    let mut screens = Vec::new();
    for presentation in 0..settings.presentations {
        for g in shuffled(groups.len(), &mut rng) {
            let own: Vec<usize> = (0..place.len()).filter(|k| (blocks[place[*k]].target, blocks[place[*k]].view) == groups[g]).collect();
            for k in shuffled(own.len(), &mut rng) {
                let count = blocks[place[own[k]]].methods.len();
                let order = shuffled(count, &mut rng);
                let choices = (0..count).map(|_| format!("{:08x}", rng.next_u32())).collect();
                screens.push(Screen { id: format!("{:016x}", rng.next_u64()), block: own[k], order, choices, presentation });
            }
        }
    }
    (screens.into_iter().map(|screen| screen.distinct()).collect(), place)
}

impl Screen {
    /// Choices whose random ids happen to be equal get their place appended.
    fn distinct(mut self) -> Self {
        for i in 1..self.choices.len() {
            if self.choices[..i].contains(&self.choices[i]) {
                self.choices[i] += &format!("{i:x}");
            }
        }
        self
    }
}

/// A random order (Fisher and Yates). Not `rand`'s: which draws that makes is not promised, and the orders of surveys that were handed out must not change.
fn shuffled(count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, rng.random_range(0..=i as u64) as usize);
    }
    order
}
