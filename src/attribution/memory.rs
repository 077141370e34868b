//! What explaining an ECG takes of memory, and how many may be worked on at a time under a ceiling.

use super::extent::Extent;
use super::{Method, Recipe, Settings, Sum};
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

/// Bytes that one ECG, or one sample of it, takes while it is in work, its maps left out: what the looks at it and at its baseline keep, and the most
/// that any of the methods takes for a run.
pub(super) fn bytes<T: Real>(network: &Network<T>, settings: &Settings, methods: &[Method], extent: &Extent) -> usize {
    let example = extent.examples();
    let plain = RuleSet::plain();
    let keep = keep::<T>(network, settings, methods);
    let look = network.run_bytes(&example, &plain, keep);
    let mut held = look.kept;
    let mut running = look.running;
    for method in methods {
        let run = match method.row().recipe::<T>(network.program(), settings) {
            Recipe::Gradients { rules, reference, .. } => {
                let run = network.run_bytes(&example, &rules, keep);
                if reference || settings.multiply_by_inputs || method.row().sum == Sum::Difference {
                    held = held.max(look.kept.max(run.kept) * 2);
                }
                run.running + network.run_bytes(&example, &rules, Keep::Signs).kept
            }
            Recipe::Relevance(rules) => {
                let run = network.run_bytes(&example, &rules, keep);
                run.running + run.kept
            }
            Recipe::Product(..) | Recipe::Layer | Recipe::Occlusion => look.running,
            Recipe::Random => 0,
        };
        running = running.max(run);
    }
    held.saturating_add(running).saturating_add(ARRAYS * extent.size() * size_of::<T>())
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

/// How many examples of `bytes` each run together, and how many such batches are in work: at least one of one.
pub(super) fn portions(ceiling: usize, bytes: usize) -> Portions {
    let examples = (ceiling / bytes.max(1)).max(1);
    let batch = (examples / rayon::current_num_threads()).clamp(1, MOST);
    Portions { batch, at_once: (examples / batch).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_go_down_to_one_example_at_a_time() {
        let threads = rayon::current_num_threads();
        assert_eq!(portions(10, 100), Portions { batch: 1, at_once: 1 });
        assert_eq!(portions(100, 100), Portions { batch: 1, at_once: 1 });
        assert_eq!(portions(100 * threads, 100), Portions { batch: 1, at_once: threads });
        assert_eq!(portions(100_000 * threads, 100).batch, MOST);
        for examples in 1..200 {
            let found = portions(100 * examples, 100);
            assert!(found.batch * found.at_once <= examples);
        }
    }
}
