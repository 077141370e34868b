//! Runs of convolutions that go from spectrum to spectrum: which steps form a chain, and which buffers its links read and write.
//!
//! A residual network is one chain from its first long convolution to its last, in both directions. Values between links are written down only where
//! a residual connection, the next step or a ReLU's rule needs them, and a buffer whose last reader has run is used again.

use super::compile::{ConvStep, Plan, Slot, Step, StepOp};
use super::execute::{Keep, Kept};
use super::pool::Pool;
use super::walk::Walk;
use cardiograd_kernels::Buffer;
use cardiograd_kernels::blocked::{Finish, Gate};
use cardiograd_kernels::chain::{self, Link};
use std::ops::RangeInclusive;

/// The buffers of a chain, by number, and the slots whose values some of them hold.
#[derive(Default)]
struct Bank {
    buffers: Vec<Buffer>,
    holds: Vec<(Slot, usize)>,
    free: Vec<usize>,
}

impl Bank {
    /// The buffer that holds a slot's value.
    fn find(&self, slot: Slot) -> Option<usize> {
        self.holds.iter().find(|(held, _)| *held == slot).map(|(_, at)| *at)
    }

    /// The same, taken out of `values` if it lies there.
    fn bring(&mut self, slot: Slot, values: &mut [Option<Buffer>]) -> Option<usize> {
        self.find(slot).or_else(|| {
            self.buffers.push(values[slot].take()?);
            self.holds.push((slot, self.buffers.len() - 1));
            Some(self.buffers.len() - 1)
        })
    }

    /// A buffer of at least `len` elements that holds nothing of use.
    fn fresh(&mut self, len: usize, pool: &mut Pool<'_>) -> usize {
        if let Some(at) = (0..self.free.len()).find(|at| self.buffers[self.free[*at]].len() >= len) {
            return self.free.swap_remove(at);
        }
        self.buffers.push(pool.take(len));
        self.buffers.len() - 1
    }

    /// Forgets a slot's value; returns the buffer that it lay in.
    fn forget(&mut self, slot: Slot) -> Option<usize> {
        let at = self.holds.iter().position(|(held, _)| *held == slot)?;
        Some(self.holds.swap_remove(at).1)
    }

    /// Puts the values back, and the other buffers into the pool.
    fn settle(self, values: &mut [Option<Buffer>], pool: &mut Pool<'_>) {
        for (at, buffer) in self.buffers.into_iter().enumerate() {
            match self.holds.iter().find(|(_, held)| *held == at) {
                Some((slot, _)) => values[*slot] = Some(buffer),
                None => pool.push(buffer),
            }
        }
    }
}

/// The convolution of a step, if it is one.
fn convolution(step: &Step) -> Option<&ConvStep> {
    match &step.op {
        StepOp::Conv(conv) => Some(conv),
        _ => None,
    }
}

impl Plan {
    /// The steps from `first` on that form a chain.
    pub(super) fn chain_forward(&self, first: usize) -> RangeInclusive<usize> {
        let mut last = first;
        while let (Some(conv), Some(next)) = (convolution(&self.steps[last]), self.steps.get(last + 1)) {
            let after = convolution(next).filter(|_| next.x == self.steps[last].y);
            if !after.is_some_and(|after| chain::follows(conv.forward(self), after.forward(self))) {
                break;
            }
            last += 1;
        }
        first..=last
    }

    /// Runs the steps of a chain.
    pub(super) fn run_chain(
        &self,
        steps: RangeInclusive<usize>,
        batch: usize,
        values: &mut [Option<Buffer>],
        kept: &mut Kept,
        (keep, watch, parallel): (Option<Keep>, Option<usize>, bool),
        pool: &mut Pool<'_>,
    ) {
        let (first, last) = (*steps.start(), *steps.end());
        let mut bank = Bank::default();
        let Some(x) = bank.bring(self.steps[first].x, values) else { return };
        let mut routes = Vec::new();
        for index in steps.clone() {
            let step = &self.steps[index];
            let add = step.add.and_then(|slot| bank.bring(slot, values));
            let needed = index == last || self.last_reader[step.y] > index + 1 || self.steps[index + 1].add == Some(step.y);
            // Where nothing reads the addend later, the sum takes its place.
            let place = step.add.filter(|slot| self.last_reader[*slot] == index).and(add);
            let y = needed.then(|| place.unwrap_or_else(|| bank.fresh(batch * self.size(step.y), pool)));
            for slot in [Some(step.x), step.add].into_iter().flatten().filter(|slot| self.last_reader[*slot] == index) {
                if let Some(at) = bank.forget(slot).filter(|at| Some(*at) != y) {
                    bank.free.push(at);
                }
            }
            bank.holds.extend(y.map(|at| (step.y, at)));
            routes.push((add, y));
        }
        let mut before: Vec<Option<Buffer>> = self.steps[first..=last].iter().map(|step| self.room(step, keep, batch, pool)).collect();
        let mut watched = kept.watched.as_mut();
        let mut links = Vec::new();
        for ((index, before), (add, y)) in steps.zip(&mut before).zip(routes) {
            let step = &self.steps[index];
            let Some(conv) = convolution(step) else { continue };
            let size = batch * self.size(step.y);
            let affine = conv.affine.as_ref().map(|(scale, shift)| (&scale[..], &shift[..]));
            let raw = if watch == Some(index) { watched.take().map(|raw| &mut raw.as_mut_slice()[..size]) } else { None };
            let (keep, signs) = self.kept_in(keep.zip(before.as_mut()), size);
            let finish = Finish { raw, affine, keep, signs, relu: step.relu.is_some(), ..Finish::default() };
            links.push(Link { conv: conv.forward(self), gate: Gate::Open, scale: None, bias: conv.bias.as_deref(), finish, add, y });
        }
        chain::run(batch, &mut bank.buffers.iter_mut().map(Buffer::as_mut_slice).collect::<Vec<_>>(), x, &mut links, parallel);
        drop(links);
        bank.settle(values, pool);
        for (step, before) in self.steps[first..=last].iter().zip(before) {
            if let (Some(relu), Some(before)) = (step.relu, before) {
                kept.relus[relu] = before;
            }
        }
    }
}

impl Walk<'_> {
    /// The steps from `last` back, down to `floor` at most, that form a chain of adjoints.
    pub(super) fn chain_backward(&self, last: usize, floor: usize) -> RangeInclusive<usize> {
        let steps = &self.plan.steps;
        let mut arrived: Vec<Slot> = (0..self.arrived.len()).filter(|slot| self.arrived[*slot].is_some()).collect();
        let mut first = last;
        loop {
            let step = &steps[first];
            let other = step.add.filter(|add| *add != step.x);
            let joined = step.add.is_some() && other.is_none();
            // Two sums in one store, or one beside it, are for the single step.
            if (joined && arrived.contains(&step.x)) || other.is_some_and(|other| arrived.contains(&other)) {
                return if first == last { last..=last } else { first + 1..=last };
            }
            arrived.extend(other.into_iter().chain([step.x]));
            let before = first.checked_sub(1).filter(|index| *index >= floor).map(|index| &steps[index]);
            let (Some(conv), Some(before)) = (convolution(step), before.filter(|before| before.y == step.x)) else { return first..=last };
            let follows = convolution(before).is_some_and(|before| match (conv.adjoint(self.plan), before.adjoint(self.plan)) {
                (Some(adjoint), Some(next)) => chain::follows(adjoint, next),
                _ => false,
            });
            if !follows {
                return first..=last;
            }
            first -= 1;
        }
    }

    /// Runs a chain of adjoints.
    pub(super) fn run_chain(&mut self, steps: RangeInclusive<usize>) {
        let (plan, first) = (self.plan, *steps.start());
        let mut bank = Bank::default();
        let Some(x) = bank.bring(plan.steps[*steps.end()].y, &mut self.arrived) else { return };
        let mut routes = Vec::new();
        for index in steps.clone().rev() {
            let step = &plan.steps[index];
            let g = bank.forget(step.y);
            let joined = step.add == Some(step.x);
            let needed = index == first || plan.steps[index - 1].add.is_some();
            let (add, y) = match bank.bring(step.x, &mut self.arrived) {
                Some(sum) => (Some(sum), Some(sum)),
                None if joined => (g, g),
                None => (None, needed.then(|| bank.fresh(self.batch * plan.size(step.x), &mut self.pool))),
            };
            bank.forget(step.x);
            bank.holds.extend(y.map(|at| (step.x, at)));
            match step.add.filter(|_| !joined) {
                Some(other) => bank.holds.extend(g.map(|at| (other, at))),
                None => bank.free.extend(g.filter(|at| Some(*at) != y)),
            }
            routes.push((add, y));
        }
        let mut links = Vec::new();
        for (step, (add, y)) in plan.steps[steps].iter().rev().zip(routes) {
            let Some((conv, adjoint)) = convolution(step).and_then(|conv| Some((conv, conv.adjoint(plan)?))) else { continue };
            let scale = conv.affine.as_ref().map(|(scale, _)| &scale[..]);
            links.push(Link { conv: adjoint, gate: self.gate(step.relu), scale, bias: None, finish: Finish::default(), add, y });
        }
        chain::run(self.batch, &mut bank.buffers.iter_mut().map(Buffer::as_mut_slice).collect::<Vec<_>>(), x, &mut links, self.parallel);
        bank.settle(&mut self.arrived, &mut self.pool);
    }
}
