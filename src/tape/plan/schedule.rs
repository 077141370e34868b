//! What a plan does, decided when it is compiled: which steps run as one chain, in which buffer each value lies, and when a buffer is free again.
//!
//! A residual network is one chain from its first long convolution to its last, in both directions: values between links are written down only where
//! a residual connection or the next step needs them. Whoever carries a schedule out decides nothing.

use super::steps::{Slot, Step, Steps};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use core::fmt;
use core::ops::RangeInclusive;

/// A buffer, by number. What it holds changes as the run goes on.
pub(super) type Place = usize;

/// What one link of a chain reads and writes beside the link before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// What is added; where that is where y goes, in place.
    pub add: Option<Place>,
    /// Where the link's value goes; nowhere if only the next link reads it.
    pub y: Option<Place>,
}

/// A stage of the way forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Forward {
    /// One step.
    Step { step: usize, x: Place, add: Option<Place>, more: Vec<Place>, y: Place },
    /// Convolutions from spectrum to spectrum, a route each.
    Chain { steps: RangeInclusive<usize>, x: Place, routes: Vec<Route> },
}

/// A stage of the way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// g passes what follows the step's convolution, or the step itself, in its place: a ReLU, a factor per channel.
    Within { step: usize, g: Place },
    /// to ← the step's adjoint at g; where the step says so, to ← to + the adjoint.
    Through { step: usize, g: Place, to: Place, accumulate: bool, joined: bool },
    /// Adjoints of convolutions from spectrum to spectrum, last step first, a route each.
    Chain { steps: RangeInclusive<usize>, g: Place, routes: Vec<Route> },
    /// to ← from, so many elements an example.
    Copy { from: Place, to: Place, size: usize },
    /// to ← to + from, so many elements an example.
    Sum { from: Place, to: Place, size: usize },
}

/// Stages in order, over buffers of so many elements an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule<S> {
    pub stages: Vec<S>,
    pub places: Vec<usize>,
    /// Where the first value is put before, and the last one found after; `None` if nothing comes there.
    pub entry: Place,
    pub exit: Option<Place>,
}

/// Buffers being given out, and what lies in them.
#[derive(Default)]
struct Desk {
    places: Vec<usize>,
    free: Vec<Place>,
    holds: Vec<(Slot, Place)>,
}

impl Desk {
    /// A buffer of so many elements that holds nothing of use: the smallest free one that is large enough, or the largest made larger, or a new one.
    fn fresh(&mut self, size: usize) -> Place {
        let fits = |place: &&Place| self.places[**place] >= size;
        let best = self.free.iter().filter(fits).min_by_key(|place| self.places[**place]);
        let best = best.or_else(|| self.free.iter().max_by_key(|place| self.places[**place])).copied();
        let place = best.unwrap_or_else(|| {
            self.places.push(size);
            self.places.len() - 1
        });
        self.free.retain(|free| *free != place);
        self.places[place] = self.places[place].max(size);
        place
    }

    fn find(&self, slot: Slot) -> Option<Place> {
        self.holds.iter().find(|(held, _)| *held == slot).map(|(_, place)| *place)
    }

    fn hold(&mut self, slot: Slot, place: Place) {
        self.holds.push((slot, place));
    }

    /// Forgets a slot's value; its buffer, which is not free yet.
    fn forget(&mut self, slot: Slot) -> Option<Place> {
        let at = self.holds.iter().position(|(held, _)| *held == slot)?;
        Some(self.holds.swap_remove(at).1)
    }

    fn release(&mut self, place: Place) {
        self.free.push(place);
    }
}

impl Schedule<Forward> {
    /// The way forward.
    pub fn forward(steps: &Steps) -> Self {
        let mut desk = Desk::default();
        let entry = desk.fresh(steps.size(steps.input));
        desk.hold(steps.input, entry);
        let mut stages = Vec::new();
        let mut index = 0;
        while index < steps.list.len() {
            let chain = steps.chain_forward(index);
            let single = chain.start() == chain.end();
            let Some(x) = desk.find(steps.list[index].x) else { break };
            let more = steps.list[index].more.iter().filter_map(|slot| desk.find(*slot)).collect();
            let mut routes = Vec::new();
            for at in chain.clone() {
                routes.push(desk.step_forward(steps, at, &chain));
            }
            stages.push(match routes[..] {
                [Route { add, y: Some(y) }] if single => Forward::Step { step: index, x, add, more, y },
                _ => Forward::Chain { steps: chain.clone(), x, routes },
            });
            index = chain.end() + 1;
        }
        Schedule { exit: desk.find(steps.output), stages, places: desk.places, entry }
    }
}

impl Desk {
    /// The route of one step of a chain (or alone), after which what nothing reads any more is free.
    fn step_forward(&mut self, steps: &Steps, index: usize, chain: &RangeInclusive<usize>) -> Route {
        let step = &steps.list[index];
        let last = |slot: Slot| steps.last_reader[slot] == index;
        let single = chain.start() == chain.end();
        let add = step.add.and_then(|slot| self.find(slot));
        let needed = index == *chain.end() || steps.last_reader[step.y] > index + 1 || steps.list[index + 1].add == Some(step.y);
        // Where nothing reads the addend later, a chain puts the sum in its place.
        let place = step.add.filter(|slot| !single && last(*slot)).and(add);
        let y = needed.then(|| place.unwrap_or_else(|| self.fresh(steps.size(step.y))));
        for slot in step.reads().filter(|slot| last(*slot)) {
            if let Some(place) = self.forget(slot).filter(|place| Some(*place) != y) {
                self.release(place);
            }
        }
        if let Some(place) = y {
            self.hold(step.y, place);
        }
        Route { add, y }
    }
}

impl Schedule<Back> {
    /// The way back from the output: to the input, or to what the convolution of step `stop` gave.
    pub fn back(steps: &Steps, stop: Option<usize>) -> Self {
        let mut desk = Desk::default();
        let entry = desk.fresh(steps.size(steps.output));
        desk.hold(steps.output, entry);
        let mut stages = Vec::new();
        let floor = stop.map_or(0, |index| index + 1);
        let mut left = steps.list.len();
        while left > floor {
            let index = left - 1;
            if desk.find(steps.list[index].y).is_none() {
                left = index;
                continue;
            }
            let arrived: Vec<Slot> = desk.holds.iter().map(|(slot, _)| *slot).collect();
            let chain = steps.chain_back(index, floor, arrived);
            left = *chain.start();
            if chain.end() > chain.start() { desk.chain_back(steps, chain, &mut stages) } else { desk.step_back(steps, index, &mut stages) }
        }
        let exit = desk.find(stop.map_or(steps.input, |index| steps.list[index].y));
        if let (Some(step), Some(g)) = (stop, exit) {
            stages.push(Back::Within { step, g });
        }
        Schedule { stages, places: desk.places, entry, exit }
    }
}

impl Desk {
    /// What lies in `from` has arrived at a slot: it stays there, or is added to what has arrived before.
    fn give(&mut self, steps: &Steps, slot: Slot, from: Place, stages: &mut Vec<Back>) {
        match self.find(slot) {
            Some(to) => {
                stages.push(Back::Sum { from, to, size: steps.size(slot) });
                self.release(from);
            }
            None => self.hold(slot, from),
        }
    }

    fn step_back(&mut self, steps: &Steps, index: usize, stages: &mut Vec<Back>) {
        let step: &Step = &steps.list[index];
        let Some(g) = self.forget(step.y) else { return };
        if step.op.is_within() {
            stages.push(Back::Within { step: index, g });
            return self.give(steps, step.x, g, stages);
        }
        if step.op.moves() {
            if let Some(slot) = step.add {
                let copy = self.fresh(steps.size(slot));
                stages.push(Back::Copy { from: g, to: copy, size: steps.size(slot) });
                self.give(steps, slot, copy, stages);
            }
            return self.give(steps, step.x, g, stages);
        }
        if step.op.convolution().is_none() {
            // A sum of its own, as the op's, which then joins what has arrived.
            let to = self.fresh(steps.size(step.x));
            stages.push(Back::Through { step: index, g, to, accumulate: false, joined: false });
            self.release(g);
            return self.give(steps, step.x, to, stages);
        }
        // Where the block's own input is the other addend, g joins it in the same store.
        let joined = step.add == Some(step.x);
        let before = self.forget(step.x);
        let to = before.unwrap_or_else(|| self.fresh(steps.size(step.x)));
        stages.push(Back::Through { step: index, g, to, accumulate: before.is_some(), joined });
        self.hold(step.x, to);
        match step.add.filter(|_| !joined) {
            Some(other) => self.give(steps, other, g, stages),
            None => self.release(g),
        }
    }

    fn chain_back(&mut self, steps: &Steps, chain: RangeInclusive<usize>, stages: &mut Vec<Back>) {
        let first = *chain.start();
        let Some(g) = self.find(steps.list[*chain.end()].y) else { return };
        let mut routes = Vec::new();
        for index in chain.clone().rev() {
            let step = &steps.list[index];
            let g = self.forget(step.y);
            let joined = step.add == Some(step.x);
            let needed = index == first || steps.list[index - 1].add.is_some();
            let (add, y) = match self.find(step.x) {
                Some(sum) => (Some(sum), Some(sum)),
                None if joined => (g, g),
                None => (None, needed.then(|| self.fresh(steps.size(step.x)))),
            };
            self.forget(step.x);
            if let Some(place) = y {
                self.hold(step.x, place);
            }
            match step.add.filter(|_| !joined) {
                Some(other) => self.holds.extend(g.map(|place| (other, place))),
                None => self.free.extend(g.filter(|place| Some(*place) != y)),
            }
            routes.push(Route { add, y });
        }
        stages.push(Back::Chain { steps: chain, g, routes });
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.add, self.y) {
            (None, None) => write!(f, "·"),
            (None, Some(y)) => write!(f, "→{y}"),
            (Some(add), Some(y)) if add == y => write!(f, "+→{y}"),
            (Some(add), Some(y)) => write!(f, "+{add}→{y}"),
            (Some(add), None) => write!(f, "+{add}"),
        }
    }
}

fn join(routes: &[Route]) -> String {
    routes.iter().map(Route::to_string).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forward::Step { step, x, add, more, y } => {
                write!(f, "step {step}: {x} ")?;
                more.iter().try_for_each(|place| write!(f, "{place} "))?;
                write!(f, "{}", Route { add: *add, y: Some(*y) })
            }
            Forward::Chain { steps, x, routes } => write!(f, "steps {}–{} as a chain: {x} {}", steps.start(), steps.end(), join(routes)),
        }
    }
}

impl fmt::Display for Back {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Back::Within { step, g } => write!(f, "step {step}: within {g}"),
            Back::Through { step, g, to, accumulate, joined } => {
                let (own, sum) = (if *joined { format!("+{g}") } else { String::new() }, if *accumulate { "+" } else { "" });
                write!(f, "step {step}: {g} {own}{sum}→{to}")
            }
            Back::Chain { steps, g, routes } => write!(f, "steps {}–{} as a chain: {g} {}", steps.end(), steps.start(), join(routes)),
            Back::Copy { from, to, .. } => write!(f, "copy {from}→{to}"),
            Back::Sum { from, to, .. } => write!(f, "add {from}→{to}"),
        }
    }
}

impl<S: fmt::Display> fmt::Display for Schedule<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "buffers of {:?} values; in at {}, out at {}",
            self.places,
            self.entry,
            self.exit.map_or("none".into(), |at| at.to_string())
        )?;
        self.stages.iter().try_for_each(|stage| writeln!(f, "{stage}"))
    }
}
