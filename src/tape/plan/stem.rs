//! Runs of one example whose points change one after another: the steps before the first that needs a whole signal are computed where it changed.
//!
//! A sample of a short convolution or a pooling depends on a few samples, and is computed in the same order whatever is computed beside it; a long
//! convolution by FFT depends on all of its frame, to the last bit. So a perturbed ECG has all of the first block in common with the one before it but
//! some samples, and the outputs are those of [`Plan::forward`] byte for byte.

use super::compile::Plan;
use super::execute::{Kept, Manner};
use super::pool::Pool;
use super::schedule::{Forward, Place, Schedule};
use super::step::rectified;
use super::steps::{Layout, Slot, Step, StepOp, Steps};
use crate::Result;
use crate::tape::Network;
use cardiograd_kernels::blocked::{self, Finish};
use cardiograd_kernels::parallel::prelude::*;
use cardiograd_kernels::{Buffer, Choice, Method};
use core::ops::Range;

/// The first stages of a way forward, whose outputs' samples depend on some of the input's alone.
#[derive(Debug)]
pub(super) struct Stem {
    stages: usize,
    /// What later stages read of theirs, and where it lies then.
    live: Vec<(Slot, Place)>,
}

impl Stem {
    /// Of a schedule; `None` where its first stage needs the whole signal.
    pub fn of(steps: &Steps, forward: &Schedule<Forward>) -> Option<Stem> {
        let mut live = vec![(steps.input, forward.entry)];
        let (mut stages, mut next) = (0, 0);
        for stage in &forward.stages {
            let Forward::Step { step, y, .. } = stage else { break };
            if !local(steps, &steps.list[*step]) {
                break;
            }
            (stages, next) = (stages + 1, step + 1);
            live.retain(|(_, place)| place != y);
            live.push((steps.list[*step].y, *y));
        }
        live.retain(|(slot, _)| steps.last_reader[*slot] >= next);
        (stages > 0).then_some(Stem { stages, live })
    }
}

/// Whether a sample of a step's output depends on some samples alone.
fn local(steps: &Steps, step: &Step) -> bool {
    let signal = |slot: Slot| matches!(steps.layouts[slot], Some(Layout::Blocked(..)));
    let op = match &step.op {
        StepOp::Conv(conv) => Choice::new(&conv.conv, steps.isa).method == Method::Direct,
        StepOp::Affine(..) | StepOp::Relu | StepOp::Add | StepOp::Average(..) | StepOp::Max(..) => true,
        StepOp::Mean | StepOp::Same | StepOp::Dense(..) | StepOp::Own(_) => false,
    };
    op && [step.x, step.y].into_iter().chain(step.add).all(signal)
}

/// The samples of an output of so many that depend on samples `changed` of the input.
fn reached(op: &StepOp, len: usize, changed: &Range<usize>) -> Range<usize> {
    if changed.is_empty() {
        return 0..0;
    }
    let (span, stride, left) = match op {
        StepOp::Conv(conv) => (conv.conv.span(), conv.conv.stride, conv.conv.pad_left),
        StepOp::Average(window, stride) | StepOp::Max(window, stride) => (*window, *stride, 0),
        _ => (1, 1, 0),
    };
    let (first, last) = ((changed.start + left).saturating_sub(span - 1).div_ceil(stride), (changed.end - 1 + left) / stride);
    first..len.min(last + 1)
}

/// The shortest range that holds both.
fn hull(a: Range<usize>, b: Range<usize>) -> Range<usize> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}

/// The stem's values of one example, and the samples of each that have changed since they were last brought up to date.
struct Current<'a> {
    plan: &'a Plan,
    stages: &'a [Forward],
    values: Vec<Buffer>,
    changed: Vec<Range<usize>>,
}

impl Current<'_> {
    /// Sets a point of the input, row-major.
    fn set(&mut self, place: usize, value: f32) {
        let steps = &self.plan.steps;
        let (w, len) = (steps.isa.width(), steps.samples(steps.input));
        let (lead, t) = (place / len, place % len);
        self.values[steps.input].as_mut_slice()[(lead / w * len + t) * w + lead % w] = value;
        let changed = &mut self.changed[steps.input];
        *changed = hull(changed.clone(), t..t + 1);
    }

    /// Brings all values up to date.
    fn update(&mut self) {
        let plan = self.plan;
        for stage in self.stages {
            let Forward::Step { step, .. } = stage else { continue };
            let step = &plan.steps.list[*step];
            let beside = step.add.map_or(0..0, |slot| self.changed[slot].clone());
            let to = hull(reached(&step.op, plan.steps.samples(step.y), &self.changed[step.x]), beside);
            self.changed[step.y] = to.clone();
            if to.is_empty() {
                continue;
            }
            let mut y = core::mem::take(&mut self.values[step.y]);
            let value = |slot: Slot| &self.values[slot].as_slice()[..plan.steps.size(slot)];
            let (x, add, of_y) = (value(step.x), step.add.map(value), &mut y.as_mut_slice()[..plan.steps.size(step.y)]);
            if let StepOp::Conv(conv) = &step.op {
                let affine = conv.affine.as_ref().map(|(scale, shift)| (&scale[..], &shift[..]));
                let finish = Finish { affine, relu: step.relu.is_some(), add, ..Finish::default() };
                let done = blocked::run_within(&conv.forward(plan), x, conv.bias.as_deref(), finish, of_y, to);
                debug_assert!(done, "a step of the stem is direct");
            } else {
                plan.steps.apply_within(step, x, add, of_y, &to);
            }
            self.values[step.y] = y;
        }
        self.changed[plan.steps.input] = 0..0;
    }
}

impl Steps {
    /// [`Steps::apply`] of a step that works sample by sample or window by window, for samples `to` of y alone.
    fn apply_within(&self, step: &Step, x: &[f32], add: Option<&[f32]>, y: &mut [f32], to: &Range<usize>) {
        let (isa, w, len_x, len_y) = (self.isa, self.isa.width(), self.samples(step.x), self.samples(step.y));
        let from = match step.op {
            StepOp::Average(window, stride) | StepOp::Max(window, stride) => to.start * stride..(to.end - 1) * stride + window,
            _ => to.clone(),
        };
        for (group, (x, y)) in x.chunks_exact(len_x * w).zip(y.chunks_exact_mut(len_y * w)).enumerate() {
            let (x, y) = (&x[from.start * w..from.end * w], &mut y[to.start * w..to.end * w]);
            match &step.op {
                StepOp::Relu => y.iter_mut().zip(x).for_each(|(y, x)| *y = rectified(*x)),
                StepOp::Add => {
                    let add = add.map_or(&[][..], |add| &add[(group * len_y + to.start) * w..][..to.len() * w]);
                    y.copy_from_slice(x);
                    y.iter_mut().zip(add).for_each(|(y, a)| *y += a);
                }
                StepOp::Average(window, stride) => blocked::average(isa, from.len(), *window, *stride, x, y),
                StepOp::Max(window, stride) => blocked::max(isa, from.len(), *window, *stride, x, y),
                StepOp::Affine(scale, shift) => {
                    let channels = group * w..scale.len().min((group + 1) * w);
                    y.copy_from_slice(x);
                    blocked::affine(isa, to.len(), &scale[channels.clone()], &shift[channels], y);
                }
                StepOp::Conv(_) | StepOp::Mean | StepOp::Same | StepOp::Dense(..) | StepOp::Own(_) => (),
            }
        }
    }
}

impl Plan {
    /// The outputs of the example `x` after the first k of `changes`, places and what they become, for each k of `rows`; `None` where nothing can be
    /// shared.
    fn forward_changes(&self, x: &[f32], changes: &[(usize, f32)], rows: Range<usize>) -> Option<Vec<f32>> {
        let stem = self.stem.as_ref()?;
        let size_out = self.steps.planar(self.steps.output);
        let mut output = vec![0.0; rows.len() * size_out];
        let chunk = self.chunking(rows.len()).0;
        output.par_chunks_mut(chunk * size_out).enumerate().for_each(|(index, output)| {
            let first = rows.start + index * chunk;
            self.changes_chunk(stem, x, changes, first..first + output.len() / size_out, output);
        });
        Some(output)
    }

    fn changes_chunk(&self, stem: &Stem, x: &[f32], changes: &[(usize, f32)], rows: Range<usize>, output: &mut [f32]) {
        let (steps, schedule) = (&self.steps, &self.forward);
        let (stages, rest) = schedule.stages.split_at(stem.stages);
        let mut pool = self.pools.pool();
        let mut current = self.current(stages, x, &mut pool);
        let mut places: Vec<Buffer> = schedule.places.iter().map(|size| pool.take(rows.len() * size)).collect();
        let mut done = 0;
        for row in rows.clone() {
            changes[done..row].iter().for_each(|(place, value)| current.set(*place, *value));
            done = row;
            current.update();
            for (slot, place) in &stem.live {
                let size = steps.size(*slot);
                let to = &mut places[*place].as_mut_slice()[(row - rows.start) * size..][..size];
                to.copy_from_slice(&current.values[*slot].as_slice()[..size]);
            }
        }
        self.stages(rest, rows.len(), &mut places, &mut Kept::default(), Manner::default(), &mut pool);
        if let Some(exit) = schedule.exit {
            steps.unpack(steps.output, rows.len(), &places[exit].as_slice()[..rows.len() * steps.size(steps.output)], output);
        }
        pool.extend(places.into_iter().chain(current.values.into_iter().filter(|buffer| !buffer.is_empty())));
    }

    /// The stem's values, all of them still to be computed.
    fn current<'a>(&'a self, stages: &'a [Forward], x: &[f32], pool: &mut Pool<'_>) -> Current<'a> {
        let steps = &self.steps;
        let none = steps.layouts.iter().map(|_| Buffer::default()).collect();
        let mut current = Current { plan: self, stages, values: none, changed: vec![0..0; steps.layouts.len()] };
        let own = stages.iter().filter_map(|stage| if let Forward::Step { step, .. } = stage { Some(steps.list[*step].y) } else { None });
        own.chain([steps.input]).for_each(|slot| current.values[slot] = pool.take(steps.size(slot)));
        steps.pack(steps.input, x, current.values[steps.input].as_mut_slice());
        current.changed[steps.input] = 0..steps.samples(steps.input);
        current
    }
}

impl Network<f32> {
    /// Outputs, row after row, of the example `x` (row-major, of this shape) after the first k of `changes`, for each k of `rows`: by a plan, from what
    /// the rows have in common. `None` where there is none, or nothing in common.
    ///
    /// # Errors
    /// If the example does not fit the program.
    pub(crate) fn predict_changes_planned(
        &self,
        shape: &[usize],
        x: &[f32],
        changes: &[(usize, f32)],
        rows: Range<usize>,
    ) -> Result<Option<Vec<f32>>> {
        let shape = [&[1], shape].concat();
        let Some(plan) = self.plan_of(&shape) else { return Ok(None) };
        self.program().shapes(&[shape])?;
        Ok(plan.forward_changes(x, changes, rows))
    }
}
