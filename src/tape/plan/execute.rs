//! The way forward through a plan: chunks of examples over threads, each through all steps before the next.

use super::compile::{ConvStep, Extent, Plan, Slot, Step, StepOp};
use super::pool::Pool;
use crate::tape::NodeId;
use cardiograd_kernels::blocked::{self, Finish, FusedConv, Gate};
use cardiograd_kernels::{Buffer, Real, team};
use rayon::prelude::*;
use std::sync::OnceLock;

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
    /// Whether it is > 0, a bit each: all that gradients, guided backpropagation and deconvolution need.
    Signs,
    /// The value, which DeepLIFT's rescale rule needs.
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

/// max(x, 0) as the op has it: NaN stays NaN, and is seen at the output.
pub(super) fn rectified(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

impl ConvStep {
    pub(super) fn forward(&self, plan: &Plan) -> &FusedConv {
        once(&self.forward, || FusedConv::forward(self.conv, &self.weights, plan.isa, None))
    }

    pub(super) fn adjoint(&self, plan: &Plan) -> Option<&FusedConv> {
        once(&self.adjoint, || FusedConv::adjoint(self.conv, &self.weights, plan.isa, None)).as_ref()
    }
}

impl Plan {
    /// Elements of a slot of one example.
    pub(super) fn size(&self, slot: Slot) -> usize {
        self.extents[slot].map_or(0, |extent| self.size_of(extent))
    }

    pub(super) fn size_of(&self, extent: Extent) -> usize {
        match extent {
            Extent::Signal(channels, len) => blocked::size(self.isa, channels, len),
            Extent::Features(features) => features,
        }
    }

    /// Elements of a slot of one example outside the plan.
    pub(super) fn planar(&self, slot: Slot) -> usize {
        match self.extents[slot] {
            Some(Extent::Signal(channels, len)) => channels * len,
            Some(Extent::Features(features)) => features,
            None => 0,
        }
    }

    /// Takes back the buffers of a run that nobody will walk back again.
    pub(super) fn recycle(&self, passed: &mut Passed) {
        let kept = passed.chunks.drain(..);
        self.pools.recycle(kept.flat_map(|kept| kept.relus.into_iter().chain(kept.pooled.into_iter().flatten()).chain(kept.watched)));
    }

    /// Examples of a chunk, and whether the work of one chunk is split over threads: that of a lone example.
    fn chunking(&self, batch: usize) -> (usize, bool) {
        let threads = rayon::current_num_threads();
        let largest = (0..self.extents.len()).map(|slot| self.size(slot)).max().unwrap_or(1);
        let most = (ELEMENTS / largest.max(1)).clamp(1, CHUNK);
        // As many chunks for each thread, as even as can be.
        let chunks = batch.div_ceil(most).max(1).next_multiple_of(threads);
        (batch.div_ceil(chunks).max(1), batch == 1 && threads > 1)
    }

    /// The step of a convolution.
    pub(super) fn step_of(&self, node: NodeId) -> Option<usize> {
        self.steps.iter().position(|step| matches!(&step.op, StepOp::Conv(conv) if conv.node == node))
    }

    /// The outputs of examples `x`, one after another, and with `keep` what the way back needs, with what the convolution of step `watch` gives.
    pub(super) fn forward(&self, x: &[f32], keep: Option<Keep>, watch: Option<usize>) -> (Vec<f32>, Passed) {
        let (size_in, size_out) = (self.planar(self.input), self.planar(self.output));
        let batch = x.len() / size_in;
        let (chunk, parallel) = self.chunking(batch);
        let mut output = vec![0.0; batch * size_out];
        let run = |(x, y): (&[f32], &mut [f32])| self.forward_chunk(x, y, keep, watch, parallel);
        let chunks = if parallel {
            team(|| x.chunks(chunk * size_in).zip(output.chunks_mut(chunk * size_out)).map(run).collect())
        } else {
            x.par_chunks(chunk * size_in).zip(output.par_chunks_mut(chunk * size_out)).map(run).collect()
        };
        (output, Passed { chunks, batch, chunk, watch, keep, parallel })
    }

    fn forward_chunk(&self, x: &[f32], output: &mut [f32], keep: Option<Keep>, watch: Option<usize>, parallel: bool) -> Kept {
        let batch = x.len() / self.planar(self.input);
        let mut pool = self.pools.pool();
        let watched = watch.map(|index| pool.take(batch * self.size(self.steps[index].y)));
        let mut kept = Kept { relus: Vec::new(), pooled: Vec::new(), watched };
        kept.relus.resize_with(if keep.is_some() { self.relus.len() } else { 0 }, Buffer::default);
        kept.pooled.resize_with(if keep.is_some() { self.steps.len() } else { 0 }, || None);
        let mut values: Vec<Option<Buffer>> = Vec::new();
        values.resize_with(self.extents.len(), || None);
        let mut first = pool.take(batch * self.size(self.input));
        self.pack(self.input, x, first.as_mut_slice());
        values[self.input] = Some(first);
        let mut index = 0;
        while let Some(step) = self.steps.get(index) {
            let chain = self.chain_forward(index);
            if chain.end() > chain.start() {
                index = chain.end() + 1;
                self.run_chain(chain, batch, &mut values, &mut kept, (keep, watch, parallel), &mut pool);
                continue;
            }
            let mut y = pool.take(batch * self.size(step.y));
            let mut before = self.room(step, keep, batch, &mut pool);
            if let Some(x) = &values[step.x] {
                let add = step.add.and_then(|slot| values[slot].as_ref());
                let raw = kept.watched.as_mut().filter(|_| watch == Some(index));
                self.step(step, batch, x, add, (raw, keep.zip(before.as_mut())), &mut y, parallel);
            }
            if let (Some(relu), Some(before)) = (step.relu, before) {
                kept.relus[relu] = before;
            }
            for slot in [Some(step.x), step.add].into_iter().flatten() {
                let max = keep.is_some() && slot == step.x && matches!(step.op, StepOp::Max(..));
                if max {
                    // From the pool, as it goes back there: a copy of its own would be one buffer more at each run.
                    let len = batch * self.size(slot);
                    kept.pooled[index] = values[slot].as_ref().map(|x| {
                        let mut copy = pool.take(len);
                        copy.as_mut_slice()[..len].copy_from_slice(&x.as_slice()[..len]);
                        copy
                    });
                }
                if self.last_reader[slot] == index {
                    pool.extend(values[slot].take());
                }
            }
            values[step.y] = Some(y);
            index += 1;
        }
        if let Some(y) = values[self.output].take() {
            self.unpack(self.output, batch, &y.as_slice()[..batch * self.size(self.output)], output);
            pool.push(y);
        }
        kept
    }

    /// A buffer for what is kept of the input of a step's ReLU.
    pub(super) fn room(&self, step: &Step, keep: Option<Keep>, batch: usize, pool: &mut Pool<'_>) -> Option<Buffer> {
        let elements = batch * self.size_of(self.relus[step.relu?].1);
        Some(pool.take(if keep? == Keep::Values { elements } else { (elements / self.isa.width()).div_ceil(2) }))
    }

    /// What is kept of so many elements: values or signs.
    pub(super) fn kept_in<'b>(
        &self,
        room: Option<(Keep, &'b mut Buffer)>,
        elements: usize,
    ) -> (Option<&'b mut [f32]>, Option<&'b mut [u16]>) {
        match room {
            Some((Keep::Values, room)) => (Some(&mut room.as_mut_slice()[..elements]), None),
            Some((Keep::Signs, room)) => (None, Some(&mut room.as_mut_bits()[..elements / self.isa.width()])),
            None => (None, None),
        }
    }

    /// What the watched convolution gave, planar.
    pub(super) fn watched(&self, passed: &Passed, step: usize) -> Vec<f32> {
        let slot = self.steps[step].y;
        let mut values = vec![0.0; passed.batch * self.planar(slot)];
        for (kept, to) in passed.chunks.iter().zip(values.chunks_mut((passed.chunk * self.planar(slot)).max(1))) {
            let batch = to.len() / self.planar(slot);
            if let Some(watched) = &kept.watched {
                self.unpack(slot, batch, watched.as_slice(), to);
            }
        }
        values
    }

    /// Planar examples into a slot's layout.
    pub(super) fn pack(&self, slot: Slot, x: &[f32], to: &mut [f32]) {
        match self.extents[slot] {
            Some(Extent::Signal(channels, len)) => {
                let batch = x.len() / (channels * len);
                blocked::pack(self.isa, channels, len, x, &mut to[..batch * self.size(slot)]);
            }
            _ => to[..x.len()].copy_from_slice(x),
        }
    }

    /// A slot's layout into planar examples.
    pub(super) fn unpack(&self, slot: Slot, batch: usize, x: &[f32], to: &mut [f32]) {
        match self.extents[slot] {
            Some(Extent::Signal(channels, len)) => blocked::unpack(self.isa, channels, len, &x[..batch * self.size(slot)], to),
            _ => to.copy_from_slice(&x[..to.len()]),
        }
    }

    /// y of one step; `raw` keeps the convolution's output, `before` the ReLU's input.
    #[allow(clippy::too_many_arguments)]
    fn step<'b>(
        &self,
        step: &Step,
        batch: usize,
        x: &Buffer,
        add: Option<&'b Buffer>,
        (raw, before): (Option<&'b mut Buffer>, Option<(Keep, &'b mut Buffer)>),
        y: &mut Buffer,
        parallel: bool,
    ) {
        let (size_x, size_y) = (self.size(step.x), self.size(step.y));
        let x = &x.as_slice()[..batch * size_x];
        let y = &mut y.as_mut_slice()[..batch * size_y];
        let add = add.map(|add| &add.as_slice()[..batch * size_y]);
        let len = |slot: Slot| match self.extents[slot] {
            Some(Extent::Signal(_, len)) => len,
            _ => 1,
        };
        let pairs = |x: &[f32], y: &mut [f32], f: &dyn Fn(&[f32], &mut [f32])| {
            x.chunks_exact(size_x).zip(y.chunks_exact_mut(size_y)).for_each(|(x, y)| f(x, y));
        };
        match &step.op {
            StepOp::Conv(conv) => {
                let cut = |kept: Option<&'b mut Buffer>| kept.map(|kept| &mut kept.as_mut_slice()[..batch * size_y]);
                let raw = cut(raw);
                let (keep, signs) = self.kept_in(before, batch * size_y);
                let affine = conv.affine.as_ref().map(|(scale, shift)| (&scale[..], &shift[..]));
                let finish = Finish { raw, affine, keep, signs, relu: step.relu.is_some(), add, accumulate: false };
                conv.forward(self).run(batch, x, (Gate::Open, None), conv.bias.as_deref(), finish, y, parallel);
            }
            StepOp::Affine(scale, shift) => {
                y.copy_from_slice(x);
                y.chunks_exact_mut(size_y).for_each(|y| blocked::affine(self.isa, len(step.y), scale, shift, y));
            }
            StepOp::Relu => {
                match self.kept_in(before, x.len()) {
                    (Some(values), _) => values.copy_from_slice(x),
                    (_, Some(bits)) => blocked::signs(self.isa, x, bits),
                    _ => (),
                }
                y.iter_mut().zip(x).for_each(|(y, x)| *y = rectified(*x));
            }
            StepOp::Add => {
                y.copy_from_slice(x);
                y.iter_mut().zip(add.into_iter().flatten()).for_each(|(y, a)| *y += a);
            }
            StepOp::Average(window, stride) => pairs(x, y, &|x, y| blocked::average(self.isa, len(step.x), *window, *stride, x, y)),
            StepOp::Max(window, stride) => pairs(x, y, &|x, y| blocked::max(self.isa, len(step.x), *window, *stride, x, y)),
            StepOp::Mean => pairs(x, y, &|x, y| blocked::mean(self.isa, len(step.x), x, y)),
            StepOp::Same => y.copy_from_slice(x),
            StepOp::Linear(weights, bias) => {
                match bias {
                    Some(bias) => y.chunks_exact_mut(size_y).for_each(|y| y.copy_from_slice(bias)),
                    None => y.fill(0.0),
                }
                f32::gemm(batch, size_x, size_y, 1.0, (x, size_x, 1), (weights, 1, size_x), 1.0, (y, size_y, 1));
            }
        }
    }
}
