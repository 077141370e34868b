//! What explaining an ECG takes of memory, and how many may be worked on at a time under a ceiling.

use super::extent::Extent;
use super::{Method, Recipe, Settings, Sum};
use crate::tape::plan::RunBytes;
use crate::tape::{Keep, Network, Program, Real, RuleSet};

/// ECGs that run together at most: enough to reuse weights from cache.
const MOST: usize = 16;
/// Arrays of the size of the input that one sampled run works with: points, differences, copies, gradients, sums.
const ARRAYS: usize = 12;

/// How work is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portions {
    /// Examples that run together.
    pub batch: usize,
    /// Batches that may be in work at once.
    pub at_once: usize,
}

/// What explaining takes, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// By one ECG, or one sample of it, while it is in work, its maps left out: what the looks at it and at its baseline keep, and the most that any of
    /// the methods takes for a run.
    pub example: usize,
    /// By a thread for its next run, whether it has one or not.
    pub thread: usize,
    /// By weights made ready, for as long as the network lives.
    pub weights: usize,
}

impl Needed {
    /// By one example at a time, whoever takes it: the least there is.
    pub fn least(&self) -> usize {
        self.example.saturating_add(self.idle()).saturating_add(self.weights)
    }

    /// By the threads that do not work on it.
    fn idle(&self) -> usize {
        (rayon::current_num_threads() - 1).saturating_mul(self.thread)
    }
}

pub(super) fn needed<T: Real>(network: &Network<T>, settings: &Settings, methods: &[Method], extent: &Extent) -> Needed {
    let example = extent.examples();
    let keep = keep::<T>(network, settings, methods);
    let look = network.run_bytes(&example, &RuleSet::plain(), keep);
    let mut all = Taken { held: look.kept, running: look.running, runs: vec![look] };
    for method in methods {
        all.add(network, settings, *method, &example, keep);
    }
    let by = |planned: bool| all.runs.iter().filter(|run| run.planned == planned).map(|run| run.prepared).max().unwrap_or(0);
    Needed {
        example: all.held.saturating_add(all.running).saturating_add(ARRAYS * extent.size() * size_of::<T>()),
        thread: all.runs.iter().map(|run| run.scratch).max().unwrap_or(0),
        weights: by(true).saturating_add(by(false)),
    }
}

/// What the looks and runs of methods take.
struct Taken {
    held: usize,
    running: usize,
    runs: Vec<RunBytes>,
}

impl Taken {
    fn add<T: Real>(&mut self, network: &Network<T>, settings: &Settings, method: Method, example: &[Vec<usize>], keep: Keep) {
        let look = self.runs[0];
        let mut run = |rules: &RuleSet<T>, keep: Keep| {
            let run = network.run_bytes(example, rules, keep);
            self.runs.push(run);
            run
        };
        let running = match method.row().recipe::<T>(network.program(), settings) {
            Recipe::Gradients { rules, reference, .. } => {
                let own = run(&rules, keep);
                let kept = run(&rules, Keep::Signs).kept;
                if reference || settings.multiply_by_inputs || method.row().sum == Sum::Difference {
                    self.held = self.held.max(look.kept.max(own.kept) * 2);
                }
                own.running + kept
            }
            Recipe::Relevance(rules) => {
                let own = run(&rules, keep);
                own.running + own.kept
            }
            Recipe::Product(a, b) => return [a, b].into_iter().for_each(|factor| self.add(network, settings, factor, example, keep)),
            Recipe::Layer | Recipe::Occlusion => look.running,
            Recipe::Random => 0,
        };
        self.running = self.running.max(running);
    }
}

/// What the look at an ECG keeps: the values where a method compares them with those of a baseline.
pub(super) fn keep<T: Real>(network: &Network<T>, settings: &Settings, methods: &[Method]) -> Keep {
    let rescales = |recipe: &Recipe<T>| matches!(recipe, Recipe::Gradients { reference: true, .. });
    if any(network.program(), settings, methods, &rescales) { Keep::Values } else { Keep::Signs }
}

/// Whether a method looks at a layer of the run on the ECG.
pub(super) fn layered<T: Real>(program: &Program, settings: &Settings, methods: &[Method]) -> bool {
    any(program, settings, methods, &|recipe: &Recipe<T>| matches!(recipe, Recipe::Layer))
}

/// Whether a recipe of the methods, or of the factors of their products, is so.
fn any<T: Real>(program: &Program, settings: &Settings, methods: &[Method], is: &dyn Fn(&Recipe<T>) -> bool) -> bool {
    methods.iter().any(|method| match method.row().recipe::<T>(program, settings) {
        Recipe::Product(a, b) => any(program, settings, &[a, b], is),
        recipe => is(&recipe),
    })
}

/// How many examples run together, and how many such batches are in work, where the weights are made ready beside the ceiling: at least one of one.
pub(super) fn portions(ceiling: usize, needed: &Needed) -> Portions {
    let examples = (ceiling.saturating_sub(needed.idle()) / needed.example.max(1)).max(1);
    let batch = (examples / rayon::current_num_threads()).clamp(1, MOST);
    Portions { batch, at_once: (examples / batch).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_go_down_to_one_example_at_a_time() {
        let threads = rayon::current_num_threads();
        let portions = |ceiling, example| portions(ceiling, &Needed { example, thread: 0, weights: 1 << 40 });
        assert_eq!(portions(10, 100), Portions { batch: 1, at_once: 1 });
        assert_eq!(portions(100, 100), Portions { batch: 1, at_once: 1 });
        assert_eq!(portions(100 * threads, 100), Portions { batch: 1, at_once: threads });
        assert_eq!(portions(100_000 * threads, 100).batch, MOST);
        for examples in 1..200 {
            let found = portions(100 * examples, 100);
            assert!(found.batch * found.at_once <= examples);
        }
        // What threads keep is not there for examples.
        let kept = Needed { example: 100, thread: 100, weights: 0 };
        assert_eq!(super::portions(100 * (threads + 3), &kept), portions(400, 100));
    }
}
