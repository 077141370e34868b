//! The way forward through a plan: chunks of examples over threads, each through all stages of the schedule before the next.

use super::compile::Plan;
use super::pool::Pool;
use super::schedule::{Forward, Place, Route};
use super::steps::{ConvStep, OwnStep, Slot, Step, StepOp};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::ops::{Context, forward};
use crate::tape::{Mode, Tensor, dense, from_vec, slice};
use alloc::borrow::Cow;
use cardiograd_kernels::blocked::{self, Finish, FusedConv, Gate};
use cardiograd_kernels::chain::{self, Link};
use cardiograd_kernels::parallel::prelude::*;
use cardiograd_kernels::sync::OnceLock;
use cardiograd_kernels::{Buffer, team};
use core::ops::RangeInclusive;

/// Examples that one thread takes through all layers together: enough to reuse weight spectra from cache,
const CHUNK: usize = 16;
/// as long as their largest value has no more elements than this: long signals reuse the spectra within one example.
const ELEMENTS: usize = 1 << 20;

/// What a forward run keeps for the way back: the inputs of all ReLUs (and of max-poolings), chunk by chunk.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(super) chunks: Vec<Kept>,
    batch: usize,
    chunk: usize,
    watch: Option<usize>,
    keep: Option<Keep>,
    parallel: bool,
}

/// What a run keeps of each ReLU's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Whether it is > 0, a bit each: all that gradients and formulas that only ask for the sign need.
    Signs,
    /// The value, which chords need ([`crate::tape::ReluFormula::Chord`]).
    Values,
}

/// One chunk's kept values: by ReLU, and by step for max-pooling.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Values, or signs as sets of bits.
    pub relus: Vec<Buffer>,
    pub pooled: Vec<Option<Buffer>>,
    /// What the watched convolution gave, before all that follows it in its step.
    pub watched: Option<Buffer>,
}

impl Passed {
    /// Examples.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// The step of the watched convolution.
    pub(super) fn watch(&self) -> Option<usize> {
        self.watch
    }

    /// What is kept of ReLUs' inputs.
    pub(super) fn keep(&self) -> Option<Keep> {
        self.keep
    }

    /// Whether the work of each chunk is split over threads.
    pub(super) fn parallel(&self) -> bool {
        self.parallel
    }

    /// Examples of a chunk.
    pub(super) fn chunk(&self) -> usize {
        self.chunk
    }
}

/// What the cell holds, made now if need be: outside the cell's lock, since making it uses threads, and one that waits may take up work that
/// asks for the same cell.
fn once<V>(cell: &OnceLock<V>, make: impl FnOnce() -> V) -> &V {
    match cell.get() {
        Some(value) => value,
        None => {
            let value = make();
            cell.get_or_init(|| value)
        }
    }
}

impl ConvStep {
    /// Its weights made ready: kept for the next run or, without the standard library, where memory is dearer than time, made for this one.
    pub(super) fn forward(&self, plan: &Plan) -> Cow<'_, FusedConv> {
        let make = || FusedConv::forward(self.conv, slice(&self.weights), plan.steps.isa, None);
        if cfg!(feature = "std") { Cow::Borrowed(once(&self.forward, make)) } else { Cow::Owned(make()) }
    }

    /// The same of its adjoint, where it has one.
    pub(super) fn adjoint(&self, plan: &Plan) -> Option<Cow<'_, FusedConv>> {
        let make = || FusedConv::adjoint(self.conv, slice(&self.weights), plan.steps.isa, None);
        if cfg!(feature = "std") { once(&self.adjoint, make).as_ref().map(Cow::Borrowed) } else { make().map(Cow::Owned) }
    }
}

/// How a chunk runs forward: as it stands, on one thread, keeping nothing.
#[derive(Clone, Copy, Default)]
pub(super) struct Manner {
    keep: Option<Keep>,
    watch: Option<usize>,
    parallel: bool,
}

impl Plan {
    /// Takes back the buffers of a run that nobody will walk back again.
    pub(super) fn recycle(&self, passed: &mut Passed) {
        let kept = passed.chunks.drain(..);
        self.pools.recycle(kept.flat_map(|kept| kept.relus.into_iter().chain(kept.pooled.into_iter().flatten()).chain(kept.watched)));
    }

    /// Examples of a chunk, and whether the work of one chunk is split over threads: that of a lone example.
    pub(super) fn chunking(&self, batch: usize) -> (usize, bool) {
        let threads = cardiograd_kernels::parallel::current_num_threads();
        let largest = (0..self.steps.layouts.len()).map(|slot| self.steps.size(slot)).max().unwrap_or(1);
        let most = (ELEMENTS / largest.max(1)).clamp(1, CHUNK);
        // As many chunks for each thread, as even as can be.
        let chunks = batch.div_ceil(most).max(1).next_multiple_of(threads);
        (batch.div_ceil(chunks).max(1), batch == 1 && threads > 1)
    }

    /// The outputs of examples `x`, one after another, and with `keep` what the way back needs, with what the convolution of step `watch` gives.
    pub(super) fn forward(&self, x: &[f32], keep: Option<Keep>, watch: Option<usize>) -> (Vec<f32>, Passed) {
        let (size_in, size_out) = (self.steps.planar(self.steps.input), self.steps.planar(self.steps.output));
        let batch = x.len() / size_in;
        let (chunk, parallel) = self.chunking(batch);
        let mut output = vec![0.0; batch * size_out];
        let manner = Manner { keep, watch, parallel };
        let run = |(x, y): (&[f32], &mut [f32])| self.forward_chunk(x, y, manner);
        let chunks = if parallel {
            team(|| x.chunks(chunk * size_in).zip(output.chunks_mut(chunk * size_out)).map(run).collect())
        } else {
            x.par_chunks(chunk * size_in).zip(output.par_chunks_mut(chunk * size_out)).map(run).collect()
        };
        (output, Passed { chunks, batch, chunk, watch, keep, parallel })
    }

    fn forward_chunk(&self, x: &[f32], output: &mut [f32], manner: Manner) -> Kept {
        let batch = x.len() / self.steps.planar(self.steps.input);
        let mut pool = self.pools.pool();
        let kept = if manner.keep.is_some() { (self.steps.relus.len(), self.steps.list.len()) } else { (0, 0) };
        let mut kept =
            Kept { relus: (0..kept.0).map(|_| Buffer::default()).collect(), pooled: (0..kept.1).map(|_| None).collect(), watched: None };
        kept.watched = manner.watch.map(|index| pool.take(batch * self.steps.size(self.steps.list[index].y)));
        let schedule = &self.forward;
        let mut places: Vec<Buffer> = schedule.places.iter().map(|size| pool.take(batch * size)).collect();
        self.steps.pack(self.steps.input, x, places[schedule.entry].as_mut_slice());
        self.stages(&schedule.stages, batch, &mut places, &mut kept, manner, &mut pool);
        if let Some(exit) = schedule.exit {
            self.steps.unpack(self.steps.output, batch, &places[exit].as_slice()[..batch * self.steps.size(self.steps.output)], output);
        }
        pool.extend(places);
        kept
    }

    /// Carries out stages of the way forward.
    pub(super) fn stages(
        &self,
        stages: &[Forward],
        batch: usize,
        places: &mut [Buffer],
        kept: &mut Kept,
        manner: Manner,
        pool: &mut Pool<'_>,
    ) {
        for stage in stages {
            match stage {
                Forward::Step { step, x, add, more, y } => {
                    self.keep_pooled(*step, batch, &places[*x], kept, manner, pool);
                    let mut to = core::mem::take(&mut places[*y]);
                    if let StepOp::Own(own) = &self.steps.list[*step].op {
                        let read: Vec<&Buffer> = [x].into_iter().chain(more).map(|place| &places[*place]).collect();
                        self.own(&self.steps.list[*step], own, batch, &read, &mut to);
                    } else {
                        self.step(*step, batch, &places[*x], add.map(|add| &places[add]), &mut to, kept, manner, pool);
                    }
                    places[*y] = to;
                }
                Forward::Chain { steps, x, routes } => self.chain(steps, batch, (*x, routes), places, kept, manner, pool),
            }
        }
    }

    /// y of an op that is computed as on the tape. One that fails, which no op of right shapes does, gives NaN, and that is refused.
    fn own(&self, step: &Step, own: &OwnStep, batch: usize, read: &[&Buffer], y: &mut Buffer) {
        let size = self.steps.size(step.y);
        // One example after another: what is made on the way stays small, and is taken from where the one before left it.
        for (n, y) in y.as_mut_slice()[..batch * size].chunks_exact_mut(size.max(1)).enumerate() {
            let value = |(slot, buffer): (Slot, &&Buffer)| {
                let (mut planar, size) = (vec![0.0; self.steps.planar(slot)], self.steps.size(slot));
                self.steps.unpack(slot, 1, &buffer.as_slice()[n * size..][..size], &mut planar);
                from_vec(&self.steps.shape(slot, 1), planar)
            };
            let values: Vec<Tensor<f32>> = step.reads().zip(read).map(value).collect();
            let mut next = values.iter();
            let inputs: Vec<&Tensor<f32>> = own.inputs.iter().filter_map(|parameter| parameter.as_ref().or_else(|| next.next())).collect();
            match forward(&own.op, &inputs, &Context { mode: Mode::Evaluation, cache: None }) {
                Ok((value, _)) => self.steps.pack(step.y, slice(&value), y),
                Err(_) => y.fill(f32::NAN),
            }
        }
    }

    /// Keeps what a max-pooling reads, if a run keeps anything. From the pool, as it goes back there: a copy of its own would be one buffer more at each run.
    fn keep_pooled(&self, index: usize, batch: usize, x: &Buffer, kept: &mut Kept, manner: Manner, pool: &mut Pool<'_>) {
        let step = &self.steps.list[index];
        if manner.keep.is_some() && matches!(step.op, StepOp::Max(..)) {
            let len = batch * self.steps.size(step.x);
            let mut copy = pool.take(len);
            copy.as_mut_slice()[..len].copy_from_slice(&x.as_slice()[..len]);
            kept.pooled[index] = Some(copy);
        }
    }

    /// A buffer for what is kept of the input of a step's ReLU.
    fn room(&self, step: &Step, keep: Option<Keep>, batch: usize, pool: &mut Pool<'_>) -> Option<Buffer> {
        let elements = batch * self.steps.size_of(self.steps.relus[step.relu?].1);
        Some(pool.take(if keep? == Keep::Values { elements } else { (elements / self.steps.isa.width()).div_ceil(2) }))
    }

    /// What is kept of so many elements: values or signs.
    fn kept_in<'b>(&self, room: Option<(Keep, &'b mut Buffer)>, elements: usize) -> (Option<&'b mut [f32]>, Option<&'b mut [u16]>) {
        match room {
            Some((Keep::Values, room)) => (Some(&mut room.as_mut_slice()[..elements]), None),
            Some((Keep::Signs, room)) => (None, Some(&mut room.as_mut_bits()[..elements / self.steps.isa.width()])),
            None => (None, None),
        }
    }

    /// What the watched convolution gave, planar.
    pub(super) fn watched(&self, passed: &Passed, step: usize) -> Vec<f32> {
        let slot = self.steps.list[step].y;
        let mut values = vec![0.0; passed.batch * self.steps.planar(slot)];
        for (kept, to) in passed.chunks.iter().zip(values.chunks_mut((passed.chunk * self.steps.planar(slot)).max(1))) {
            let batch = to.len() / self.steps.planar(slot);
            if let Some(watched) = &kept.watched {
                self.steps.unpack(slot, batch, watched.as_slice(), to);
            }
        }
        values
    }

    /// y of one step, with what is kept of it.
    #[allow(clippy::too_many_arguments)]
    fn step(
        &self,
        index: usize,
        batch: usize,
        x: &Buffer,
        add: Option<&Buffer>,
        y: &mut Buffer,
        kept: &mut Kept,
        manner: Manner,
        pool: &mut Pool<'_>,
    ) {
        let step = &self.steps.list[index];
        let (size_x, size_y) = (self.steps.size(step.x), self.steps.size(step.y));
        let x = &x.as_slice()[..batch * size_x];
        let y = &mut y.as_mut_slice()[..batch * size_y];
        let add = add.map(|add| &add.as_slice()[..batch * size_y]);
        let mut before = self.room(step, manner.keep, batch, pool);
        let (keep, signs) = self.kept_in(manner.keep.zip(before.as_mut()), batch * size_y);
        match &step.op {
            StepOp::Conv(conv) => {
                let watched = kept.watched.as_mut().filter(|_| manner.watch == Some(index));
                let raw = watched.map(|watched| &mut watched.as_mut_slice()[..batch * size_y]);
                let affine = conv.affine.as_ref().map(|(scale, shift)| (&scale[..], &shift[..]));
                let finish = Finish { raw, affine, keep, signs, relu: step.relu.is_some(), add, accumulate: false };
                conv.forward(self).run(batch, x, (Gate::Open, None), conv.bias.as_deref(), finish, y, manner.parallel);
            }
            StepOp::Dense(weights, bias) => dense(batch, x, weights, bias.as_deref(), y),
            _ => {
                match (keep, signs) {
                    (Some(values), _) => values.copy_from_slice(x),
                    (_, Some(bits)) => blocked::signs(self.steps.isa, x, bits),
                    _ => (),
                }
                self.steps.apply(step, x, add, y);
            }
        }
        if let (Some(relu), Some(before)) = (step.relu, before) {
            kept.relus[relu] = before;
        }
    }

    /// Runs the steps of a chain.
    #[allow(clippy::too_many_arguments)]
    fn chain(
        &self,
        steps: &RangeInclusive<usize>,
        batch: usize,
        (x, routes): (Place, &[Route]),
        places: &mut [Buffer],
        kept: &mut Kept,
        manner: Manner,
        pool: &mut Pool<'_>,
    ) {
        let mut before: Vec<Option<Buffer>> =
            self.steps.list[steps.clone()].iter().map(|step| self.room(step, manner.keep, batch, pool)).collect();
        let mut watched = kept.watched.as_mut();
        let ready: Vec<_> =
            self.steps.list[steps.clone()].iter().map(|step| step.op.convolution().map(|conv| conv.forward(self))).collect();
        let mut links = Vec::with_capacity(routes.len());
        for (((index, before), route), ready) in steps.clone().zip(&mut before).zip(routes).zip(&ready) {
            let step = &self.steps.list[index];
            let (Some(conv), Some(ready)) = (step.op.convolution(), ready) else { continue };
            let size = batch * self.steps.size(step.y);
            let affine = conv.affine.as_ref().map(|(scale, shift)| (&scale[..], &shift[..]));
            let raw = if manner.watch == Some(index) { watched.take().map(|raw| &mut raw.as_mut_slice()[..size]) } else { None };
            let (keep, signs) = self.kept_in(manner.keep.zip(before.as_mut()), size);
            let finish = Finish { raw, affine, keep, signs, relu: step.relu.is_some(), ..Finish::default() };
            let Route { add, y } = *route;
            links.push(Link { conv: ready, gate: Gate::Open, scale: None, bias: conv.bias.as_deref(), finish, add, y });
        }
        chain::run(batch, &mut places.iter_mut().map(Buffer::as_mut_slice).collect::<Vec<_>>(), x, &mut links, manner.parallel);
        drop(links);
        for (step, before) in self.steps.list[steps.clone()].iter().zip(before) {
            if let (Some(relu), Some(before)) = (step.relu, before) {
                kept.relus[relu] = before;
            }
        }
    }
}
