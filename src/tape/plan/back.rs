//! The way back through a plan, from the output to the input: the stages of a schedule, one after another.

use super::compile::Plan;
use super::execute::{Keep, Kept, Passed};
use super::schedule::{Back, Place, Route, Schedule};
use super::steps::{Step, StepOp};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::ReluFormula;
use alloc::borrow::Cow;
use cardiograd_kernels::blocked::{self, Finish, Gate};
use cardiograd_kernels::chain::{self, Link};
use cardiograd_kernels::parallel::prelude::*;
use cardiograd_kernels::{Buffer, Isa, Real, team};
use core::ops::RangeInclusive;

/// g ← scale · g per channel, and nothing added: the derivative of a batch norm in evaluation.
fn scaled(isa: Isa, len: usize, scale: &[f32], g: &mut [f32]) {
    blocked::affine(isa, len, scale, &vec![-0.0; scale.len()], g);
}

/// What one chunk's way back looks at.
struct ChunkBack<'a> {
    plan: &'a Plan,
    batch: usize,
    kept: &'a Kept,
    keep: Option<Keep>,
    /// The reference run's kept values, and whether they are of one example that serves all.
    base: Option<(&'a Kept, bool)>,
    formulas: &'a [ReluFormula],
    parallel: bool,
}

impl Plan {
    /// The gradient of Σ seed · output under formulas at the ReLUs, in the input, or in what the watched convolution gave (`None` where none has been
    /// watched); `None` if the plan has no way back or a chord lacks values. A base of batch 1 serves every example.
    pub(super) fn backward(
        &self,
        passed: &Passed,
        seed: &[f32],
        formulas: &[ReluFormula],
        base: Option<&Passed>,
        watched: bool,
    ) -> Option<Vec<f32>> {
        let values = |passed: &Passed| passed.keep() == Some(Keep::Values);
        if formulas.contains(&ReluFormula::Chord) && !(values(passed) && base.is_some_and(values)) {
            return None;
        }
        let single = base.is_some_and(|base| base.batch() == 1);
        let aligned = base.is_none_or(|base| base.batch() == 1 || (base.batch() == passed.batch() && base.chunk() == passed.chunk()));
        let to_input = self.back.as_ref().ok().filter(|_| aligned && passed.batch() > 0)?;
        let stop = if watched { Some(passed.watch()?) } else { None };
        let schedule = stop.map_or(Cow::Borrowed(to_input), |stop| Cow::Owned(Schedule::back(&self.steps, Some(stop))));
        let slot = stop.map_or(self.steps.input, |index| self.steps.list[index].y);
        let (size_in, size_out) = (self.steps.planar(slot), self.steps.planar(self.steps.output));
        let mut gradient = vec![0.0; passed.batch() * size_in];
        let run = |(index, (seed, gradient)): (usize, (&[f32], &mut [f32]))| {
            let base = base.map(|base| (&base.chunks[if single { 0 } else { index }], single));
            let (kept, keep, parallel) = (&passed.chunks[index], passed.keep(), passed.parallel());
            let chunk = ChunkBack { plan: self, batch: seed.len() / size_out, kept, keep, base, formulas, parallel };
            chunk.run(&schedule, seed, slot, gradient);
        };
        let chunk = passed.chunk();
        if passed.parallel() {
            team(|| seed.chunks(chunk * size_out).zip(gradient.chunks_mut(chunk * size_in)).enumerate().for_each(run));
        } else {
            seed.par_chunks(chunk * size_out).zip(gradient.par_chunks_mut(chunk * size_in)).enumerate().for_each(run);
        }
        Some(gradient)
    }
}

impl<'a> ChunkBack<'a> {
    /// Carries a schedule out; the gradient is that of a slot.
    fn run(&self, schedule: &Schedule<Back>, seed: &[f32], slot: usize, gradient: &mut [f32]) {
        let (plan, batch) = (self.plan, self.batch);
        let mut pool = plan.pools.pool();
        let mut places: Vec<Buffer> = schedule.places.iter().map(|size| pool.take(batch * size)).collect();
        plan.steps.pack(plan.steps.output, seed, places[schedule.entry].as_mut_slice());
        for stage in &schedule.stages {
            match stage {
                Back::Within { step, g } => self.within(&plan.steps.list[*step], &mut places[*g]),
                Back::Through { step, g, to, accumulate, joined } => {
                    let mut gx = core::mem::take(&mut places[*to]);
                    self.through(*step, &places[*g], &mut gx, (*accumulate, *joined));
                    places[*to] = gx;
                }
                Back::Chain { steps, g, routes } => self.chain(steps, *g, routes, &mut places),
                Back::Copy { from, to, size } => {
                    let mut copy = core::mem::take(&mut places[*to]);
                    copy.as_mut_slice()[..batch * size].copy_from_slice(&places[*from].as_slice()[..batch * size]);
                    places[*to] = copy;
                }
                Back::Sum { from, to, size } => {
                    let mut sum = core::mem::take(&mut places[*to]);
                    let pairs = sum.as_mut_slice()[..batch * size].iter_mut().zip(&places[*from].as_slice()[..batch * size]);
                    pairs.for_each(|(sum, g)| *sum += g);
                    places[*to] = sum;
                }
            }
        }
        if let Some(exit) = schedule.exit {
            plan.steps.unpack(slot, batch, places[exit].as_slice(), gradient);
        }
        pool.extend(places);
    }

    /// What stands between a ReLU and the gradient on its way back.
    fn gate(&self, relu: Option<usize>) -> Gate<'a> {
        let Some(relu) = relu else { return Gate::Open };
        let one = self.plan.steps.size_of(self.plan.steps.relus[relu].1);
        let kept: &'a Buffer = &self.kept.relus[relu];
        if self.keep == Some(Keep::Signs) {
            let signs = &kept.as_bits()[..self.batch * one / self.plan.steps.isa.width()];
            return match self.formulas[relu] {
                ReluFormula::Positive => Gate::Positive,
                ReluFormula::PositiveDerivative => Gate::PositiveDerivativeSigns(signs),
                ReluFormula::Derivative | ReluFormula::Chord => Gate::DerivativeSigns(signs),
            };
        }
        let before: &'a [f32] = &kept.as_slice()[..self.batch * one];
        match (self.formulas[relu], self.base) {
            (ReluFormula::Positive, _) => Gate::Positive,
            (ReluFormula::PositiveDerivative, _) => Gate::PositiveDerivative(before),
            (ReluFormula::Chord, Some((base, single))) => {
                Gate::Chord(before, &base.relus[relu].as_slice()[..if single { one } else { self.batch * one }])
            }
            _ => Gate::Derivative(before),
        }
    }

    /// Back through a ReLU or a factor per channel, or through what follows the convolution of a step.
    fn within(&self, step: &Step, g: &mut Buffer) {
        let (isa, size, len) = (self.plan.steps.isa, self.plan.steps.size(step.y), self.plan.steps.samples(step.y));
        let g = &mut g.as_mut_slice()[..self.batch * size];
        if !matches!(step.op, StepOp::Affine(..)) {
            blocked::gate(isa, size, self.gate(step.relu), g);
        }
        let scale = match &step.op {
            StepOp::Affine(scale, _) => Some(scale),
            op => op.convolution().and_then(|conv| conv.affine.as_ref()).map(|(scale, _)| scale),
        };
        if let Some(scale) = scale {
            g.chunks_exact_mut(size).for_each(|g| scaled(isa, len, scale, g));
        }
    }

    /// Back through a step: for a convolution with the gate at its load and the sum at its store.
    fn through(&self, index: usize, g: &Buffer, to: &mut Buffer, (accumulate, joined): (bool, bool)) {
        let (plan, batch, step) = (self.plan, self.batch, &self.plan.steps.list[index]);
        let (size_x, size_y) = (plan.steps.size(step.x), plan.steps.size(step.y));
        let (g, to) = (&g.as_slice()[..batch * size_y], &mut to.as_mut_slice()[..batch * size_x]);
        match &step.op {
            StepOp::Conv(conv) => {
                let Some(adjoint) = conv.adjoint(plan) else { return };
                let finish = Finish { add: joined.then_some(g), accumulate, ..Finish::default() };
                let scale = conv.affine.as_ref().map(|(scale, _)| &scale[..]);
                adjoint.run(batch, g, (self.gate(step.relu), scale), None, finish, to, self.parallel);
            }
            StepOp::Dense(weights, _) => {
                // Begun with what adds nothing, not even to −0, where the op adds nothing up.
                to.fill(-0.0);
                for (gy, gx) in g.chunks_exact(size_y).zip(to.chunks_exact_mut(size_x)) {
                    let mut product = vec![0.0; size_x];
                    f32::gemm(1, size_y, size_x, 1.0, (gy, size_y, 1), (weights, size_x, 1), 0.0, (&mut product, size_x, 1));
                    gx.iter_mut().zip(product).for_each(|(gx, product)| *gx += product);
                }
            }
            op => {
                to.fill(if matches!(op, StepOp::Average(..) | StepOp::Max(..)) { 0.0 } else { -0.0 });
                let pooled = self.kept.pooled.get(index).and_then(Option::as_ref);
                plan.steps.apply_adjoint(step, pooled.map_or(&[], |x| &x.as_slice()[..batch * size_x]), g, to);
            }
        }
    }

    /// Back through a chain of adjoints.
    fn chain(&self, steps: &RangeInclusive<usize>, g: Place, routes: &[Route], places: &mut [Buffer]) {
        let plan = self.plan;
        let steps = || plan.steps.list[steps.clone()].iter().rev();
        let ready: Vec<_> = steps().map(|step| step.op.convolution().and_then(|conv| conv.adjoint(plan))).collect();
        let mut links: Vec<Link<'_>> = Vec::with_capacity(routes.len());
        for ((step, route), ready) in steps().zip(routes).zip(&ready) {
            let (Some(conv), Some(ready)) = (step.op.convolution(), ready.as_deref()) else { continue };
            let (gate, scale) = (self.gate(step.relu), conv.affine.as_ref().map(|(scale, _)| &scale[..]));
            links.push(Link { conv: ready, gate, scale, bias: None, finish: Finish::default(), add: route.add, y: route.y });
        }
        chain::run(self.batch, &mut places.iter_mut().map(Buffer::as_mut_slice).collect::<Vec<_>>(), g, &mut links, self.parallel);
    }
}
