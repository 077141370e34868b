//! The way back through a plan, from the output to the input.

use super::ReluRule;
use super::compile::{Extent, Plan, Slot, Step, StepOp};
use super::execute::{Keep, Kept, Passed};
use super::pool::Pool;
use cardiograd_kernels::blocked::{self, Finish, Gate};
use cardiograd_kernels::{Buffer, Isa, Real, team};
use rayon::prelude::*;

/// g ← scale · g per channel, and nothing added: the derivative of a batch norm in evaluation.
fn scaled(isa: Isa, len: usize, scale: &[f32], g: &mut [f32]) {
    blocked::affine(isa, len, scale, &vec![-0.0; scale.len()], g);
}

/// One chunk's walk: what has arrived at each slot.
pub(super) struct Walk<'a> {
    pub plan: &'a Plan,
    pub batch: usize,
    kept: &'a Kept,
    /// The reference run's kept values and the first of its examples that counts, where it has as many as the run.
    base: Option<(&'a Kept, bool)>,
    rules: &'a [ReluRule],
    pub arrived: Vec<Option<Buffer>>,
    pub pool: Pool<'a>,
    keep: Option<Keep>,
    pub parallel: bool,
}

impl Plan {
    /// The gradient of Σ seed · output under rules at the ReLUs, in the input, or in what the watched convolution gave (`None` where none has been
    /// watched); `None` if a convolution has no adjoint form, the rescale rule lacks values, or the tape
    /// would add up gradients in another order. A base of batch 1 serves every example.
    pub(super) fn backward(
        &self,
        passed: &Passed,
        seed: &[f32],
        rules: &[ReluRule],
        base: Option<&Passed>,
        watched: bool,
    ) -> Option<Vec<f32>> {
        let has_adjoint = |step: &Step| match &step.op {
            StepOp::Conv(conv) => conv.conv.stride == 1 && conv.adjoint(self).is_some(),
            _ => true,
        };
        let values = |passed: &Passed| passed.keep() == Some(Keep::Values);
        if rules.contains(&ReluRule::Rescale) && !(values(passed) && base.is_some_and(values)) {
            return None;
        }
        let single = base.is_some_and(|base| base.batch() == 1);
        let aligned = base.is_none_or(|base| base.batch() == 1 || (base.batch() == passed.batch() && base.chunk() == passed.chunk()));
        if !self.ordered || !self.steps.iter().all(has_adjoint) || !aligned || passed.batch() == 0 {
            return None;
        }
        let stop = if watched { Some(passed.watch()?) } else { None };
        let (size_in, size_out) = (self.planar(stop.map_or(self.input, |index| self.steps[index].y)), self.planar(self.output));
        let mut gradient = vec![0.0; passed.batch() * size_in];
        let parallel = passed.parallel();
        let run = |(index, (seed, gradient)): (usize, (&[f32], &mut [f32]))| {
            let base = base.map(|base| (&base.chunks[if single { 0 } else { index }], single));
            self.backward_chunk((&passed.chunks[index], passed.keep()), seed, gradient, rules, base, stop, parallel);
        };
        let chunk = passed.chunk();
        if parallel {
            team(|| seed.chunks(chunk * size_out).zip(gradient.chunks_mut(chunk * size_in)).enumerate().for_each(run));
        } else {
            seed.par_chunks(chunk * size_out).zip(gradient.par_chunks_mut(chunk * size_in)).enumerate().for_each(run);
        }
        Some(gradient)
    }

    /// One chunk; the gradient is that of the convolution of step `stop`, or else of the input.
    #[allow(clippy::too_many_arguments)]
    fn backward_chunk(
        &self,
        (kept, keep): (&Kept, Option<Keep>),
        seed: &[f32],
        gradient: &mut [f32],
        rules: &[ReluRule],
        base: Option<(&Kept, bool)>,
        stop: Option<usize>,
        parallel: bool,
    ) {
        let batch = seed.len() / self.planar(self.output);
        let mut arrived: Vec<Option<Buffer>> = Vec::new();
        arrived.resize_with(self.extents.len(), || None);
        let mut pool = self.pools.pool();
        let mut first = pool.take(batch * self.size(self.output));
        self.pack(self.output, seed, first.as_mut_slice());
        arrived[self.output] = Some(first);
        let mut walk = Walk { plan: self, batch, kept, base, rules, arrived, pool, keep, parallel };
        let mut left = self.steps.len();
        let floor = stop.map_or(0, |index| index + 1);
        while left > floor {
            let index = left - 1;
            let chain = if walk.arrived[self.steps[index].y].is_some() { walk.chain_backward(index, floor) } else { index..=index };
            left = *chain.start();
            if chain.end() > chain.start() { walk.run_chain(chain) } else { walk.step(index, &self.steps[index]) }
        }
        let slot = stop.map_or(self.input, |index| self.steps[index].y);
        if let Some(mut g) = walk.arrived[slot].take() {
            if let Some(index) = stop {
                walk.through_step(&self.steps[index], &mut g.as_mut_slice()[..batch * self.size(slot)]);
            }
            self.unpack(slot, batch, g.as_slice(), gradient);
            walk.pool.push(g);
        }
        walk.pool.extend(walk.arrived.into_iter().flatten());
    }
}

impl<'a> Walk<'a> {
    fn elements(&self, slot: Slot) -> usize {
        self.batch * self.plan.size(slot)
    }

    /// The gate at a ReLU.
    pub(super) fn gate(&self, relu: Option<usize>) -> Gate<'a> {
        let Some(relu) = relu else { return Gate::Open };
        let one = self.plan.size_of(self.plan.relus[relu].1);
        let kept: &'a Buffer = &self.kept.relus[relu];
        if self.keep == Some(Keep::Signs) {
            let signs = &kept.as_bits()[..self.batch * one / self.plan.isa.width()];
            return match self.rules[relu] {
                ReluRule::Positive => Gate::Positive,
                ReluRule::Guided => Gate::GuidedSigns(signs),
                ReluRule::Derivative | ReluRule::Rescale => Gate::DerivativeSigns(signs),
            };
        }
        let before: &'a [f32] = &kept.as_slice()[..self.batch * one];
        match (self.rules[relu], self.base) {
            (ReluRule::Positive, _) => Gate::Positive,
            (ReluRule::Guided, _) => Gate::Guided(before),
            (ReluRule::Rescale, Some((base, single))) => {
                Gate::Rescale(before, &base.relus[relu].as_slice()[..if single { one } else { self.batch * one }])
            }
            _ => Gate::Derivative(before),
        }
    }

    /// Back through what follows the convolution of a step.
    fn through_step(&self, step: &Step, g: &mut [f32]) {
        let (StepOp::Conv(conv), Some(Extent::Signal(_, len))) = (&step.op, self.plan.extents[step.y]) else { return };
        let (isa, size) = (self.plan.isa, self.plan.size(step.y));
        blocked::gate(isa, size, self.gate(step.relu), g);
        if let Some((scale, _)) = &conv.affine {
            g.chunks_exact_mut(size).for_each(|g| scaled(isa, len, scale, g));
        }
    }

    /// Adds a gradient to what has arrived at a slot.
    fn give(&mut self, slot: Slot, g: Buffer) {
        let len = self.elements(slot);
        match &mut self.arrived[slot] {
            Some(sum) => {
                sum.as_mut_slice()[..len].iter_mut().zip(&g.as_slice()[..len]).for_each(|(sum, g)| *sum += g);
                self.pool.push(g);
            }
            empty => *empty = Some(g),
        }
    }

    fn step(&mut self, index: usize, step: &Step) {
        let Some(g) = self.arrived[step.y].take() else { return };
        let (plan, batch) = (self.plan, self.batch);
        let (isa, size_x, size_y) = (plan.isa, plan.size(step.x), plan.size(step.y));
        let len = match plan.extents[step.x] {
            Some(Extent::Signal(_, len)) => len,
            _ => 1,
        };
        match &step.op {
            StepOp::Conv(_) => return self.convolution(step, g),
            StepOp::Affine(scale, _) => {
                let mut g = g;
                g.as_mut_slice()[..batch * size_y].chunks_exact_mut(size_y).for_each(|g| scaled(isa, len, scale, g));
                return self.give(step.x, g);
            }
            StepOp::Relu => {
                let mut g = g;
                blocked::gate(isa, size_y, self.gate(step.relu), &mut g.as_mut_slice()[..batch * size_y]);
                return self.give(step.x, g);
            }
            StepOp::Add => {
                if let Some(slot) = step.add {
                    self.give(slot, g.clone());
                }
                return self.give(step.x, g);
            }
            StepOp::Same => return self.give(step.x, g),
            _ => (),
        }
        // A sum of its own, as the op's, which then joins what has arrived: begun with what adds nothing, not even to −0, where the op adds nothing up.
        let mut sum = self.pool.take(batch * size_x);
        let adds = matches!(step.op, StepOp::Average(..) | StepOp::Max(..));
        sum.as_mut_slice()[..batch * size_x].fill(if adds { 0.0 } else { -0.0 });
        let pairs = g.as_slice()[..batch * size_y].chunks_exact(size_y).zip(sum.as_mut_slice()[..batch * size_x].chunks_exact_mut(size_x));
        for (n, (gy, gx)) in pairs.enumerate() {
            match &step.op {
                StepOp::Average(window, stride) => blocked::average_grad(isa, len, *window, *stride, gy, gx),
                StepOp::Max(window, stride) => {
                    let x = self.kept.pooled[index].as_ref().map_or(&[][..], |x| &x.as_slice()[n * size_x..][..size_x]);
                    blocked::max_grad(isa, len, *window, *stride, x, gy, gx);
                }
                StepOp::Mean => blocked::mean_grad(isa, len, gy, gx),
                StepOp::Linear(weights, _) => {
                    let mut product = vec![0.0; size_x];
                    f32::gemm(1, size_y, size_x, 1.0, (gy, size_y, 1), (weights, size_x, 1), 0.0, (&mut product, size_x, 1));
                    gx.iter_mut().zip(product).for_each(|(gx, product)| *gx += product);
                }
                _ => (),
            }
        }
        self.pool.push(g);
        self.give(step.x, sum);
    }

    /// Back through a convolution: the gate at its load, the sum at its store; the other addend receives g itself.
    fn convolution(&mut self, step: &Step, g: Buffer) {
        let StepOp::Conv(conv) = &step.op else { return };
        let Some(adjoint) = conv.adjoint(self.plan) else { return };
        let (len_y, len_x) = (self.elements(step.y), self.elements(step.x));
        let (mut out, accumulate) = match self.arrived[step.x].take() {
            Some(sum) => (sum, true),
            None => (self.pool.take(len_x), false),
        };
        let from = &g.as_slice()[..len_y];
        // Where the block's own input is the other addend, g joins it in the same store.
        let joined = step.add == Some(step.x);
        let finish = Finish { add: joined.then_some(from), accumulate, ..Finish::default() };
        let scale = conv.affine.as_ref().map(|(scale, _)| &scale[..]);
        adjoint.run(self.batch, from, (self.gate(step.relu), scale), None, finish, &mut out.as_mut_slice()[..len_x], self.parallel);
        self.arrived[step.x] = Some(out);
        match step.add.filter(|_| !joined) {
            Some(other) => self.give(other, g),
            None => self.pool.push(g),
        }
    }
}
