//! Training by a plan: the way back to all trainable parameters.
//!
//! Through a convolution with batch norm and ReLU: first the sums Σg and Σg·(v − mean) over the batch (the gradients of β and γ, and what the
//! norm's own gradient needs), then part by part the gradient of v, the gradient of the input, and the part's share of the weight gradient while
//! all of it is near; at the end the shares are added in order.

use super::steps::{ConvStep, Slot, Step, StepOp};
use super::training::{Operators, TrainConv, TrainingPlan, inverse_deviation};
use crate::Result;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Gradients, Network, NodeId, Tensor, from_vec, slice};
use cardiograd_kernels::blocked::Finish;
use cardiograd_kernels::parallel::prelude::*;
use cardiograd_kernels::{Buffer, training};

/// Examples of a share in a batch of two or more such: more than of a part on the way forward, since each share's weight spectra are added up at the end.
const SHARE: usize = 16;

/// Examples of a share: of a smaller batch half as many, that two cores have work. It depends on the batch alone, not on the cores, as sums do.
fn share_of(batch: usize) -> usize {
    if batch < 2 * SHARE { SHARE / 2 } else { SHARE }
}

/// The gradient that arrives at a convolution's output before its batch norm: a · g + b · v + d, by channel.
struct Coefficients {
    a: Vec<f32>,
    b: Vec<f32>,
    d: Vec<f32>,
}

/// One part's share of the work at a convolution.
struct Share<'a> {
    g: &'a [f32],
    v: &'a [f32],
    x: &'a [f32],
    gv: &'a mut [f32],
    gx: Option<&'a mut [f32]>,
    sums: &'a mut [f32],
}

impl TrainingPlan {
    /// The gradients of Σ seed · output of the last run, in all trainable parameters that it depends on.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if the seed does not fit; [`crate::Error::Usage`] if the last run was of another network, or of this one before its parameters changed.
    pub fn backward(&mut self, network: &Network<f32>, seed: &Tensor<f32>) -> Result<Gradients<f32>> {
        self.check_seed(network, seed)?;
        let mut gradients: Vec<Option<Tensor<f32>>> = vec![None; network.program().nodes().len()];
        let mut arrived: Vec<Option<Buffer>> = (0..self.values.len()).map(|_| None).collect();
        let output = self.plan.steps.output;
        let mut first = self.lend(self.elements(output));
        let len = self.elements(output);
        let seed = seed.as_standard_layout();
        self.plan.steps.pack(output, seed.as_slice().unwrap_or(&[]), &mut first.as_mut_slice()[..len]);
        arrived[output] = Some(first);
        for index in (0..self.plan.steps.list.len()).rev() {
            let Some(g) = arrived[self.plan.steps.list[index].y].take() else { continue };
            match self.convs[index].take() {
                Some(mut conv) => {
                    self.back_convolution(network, index, &mut conv, g, &mut arrived, &mut gradients);
                    self.convs[index] = Some(conv);
                }
                None => self.back_plain(network, index, g, &mut arrived, &mut gradients),
            }
        }
        self.spare.extend(arrived.into_iter().flatten());
        for (id, gradient) in gradients.iter_mut().enumerate() {
            if !network.program().trainable().contains(&NodeId(id)) {
                *gradient = None;
            }
        }
        Ok(Gradients::from_values(gradients))
    }

    /// A buffer of at least `len` elements, contents unspecified.
    fn lend(&mut self, len: usize) -> Buffer {
        super::pool::take(&mut self.spare, len)
    }

    fn back_convolution(
        &mut self,
        network: &Network<f32>,
        index: usize,
        state: &mut TrainConv,
        g: Buffer,
        arrived: &mut [Option<Buffer>],
        gradients: &mut [Option<Tensor<f32>>],
    ) {
        let (x_slot, y_slot, add) = (self.plan.steps.list[index].x, self.plan.steps.list[index].y, self.plan.steps.list[index].add);
        let (len_g, len_x) = (self.elements(y_slot), self.elements(x_slot));
        let share = share_of(self.batch);
        let parts = self.batch.div_ceil(share);
        let mut gv = self.lend(len_g);
        let accumulate = arrived[x_slot].is_some();
        let mut gx = state.adjoint.as_ref().map(|_| arrived[x_slot].take().unwrap_or_else(|| self.lend(len_x)));
        let mut all_sums = core::mem::take(&mut self.sums);
        all_sums.reserve(parts * state.gradient.size());
        // Where the block's own input is the other addend, g joins it in the same store.
        let joined = add == Some(x_slot) && gx.is_some();
        let step = &self.plan.steps.list[index];
        let StepOp::Conv(conv) = &step.op else { return };
        let coefficients = self.norm_gradient(network, step, conv, state, &g.as_slice()[..len_g], gradients);
        let bias = {
            let operators = Operators { adjoint: state.adjoint.as_ref(), gradient: &state.gradient, affine: &state.affine };
            let size = (self.plan.steps.size(y_slot), self.plan.steps.size(x_slot), state.gradient.size());
            let mut sums = all_sums.as_mut_slice()[..parts * size.2].chunks_exact_mut(size.2);
            let mut to = gx.as_mut().map(|gx| gx.as_mut_slice()[..len_x].chunks_mut(share * size.1));
            let inputs = g.as_slice()[..len_g].chunks(share * size.0).zip(state.v.as_slice()[..len_g].chunks(share * size.0));
            let inputs = inputs.zip(self.value(x_slot).chunks(share * size.1)).zip(gv.as_mut_slice()[..len_g].chunks_mut(share * size.0));
            let shares: Vec<Share<'_>> = inputs
                .map(|(((g, v), x), gv)| {
                    let gx = to.as_mut().and_then(Iterator::next);
                    Share { g, v, x, gv, gx, sums: sums.next().unwrap_or_default() }
                })
                .collect();
            let work = |share: Share<'_>| self.share(step, conv, &operators, &coefficients, joined, accumulate, share);
            let sums: Vec<Vec<f64>> = shares.into_par_iter().map(work).collect();
            sums.into_iter().reduce(|a, b| a.into_iter().zip(b).map(|(a, b)| a + b).collect()).unwrap_or_default()
        };
        let (conv_node, c_out) = (conv.node, conv.conv.c_out);
        let mut weights = vec![0.0; conv.conv.weight_size()];
        state.gradient.finish(&mut all_sums.as_mut_slice()[..parts * state.gradient.size()], &mut weights);
        self.sums = all_sums;
        let inputs = &network.program().node(conv_node).inputs;
        add_gradient(gradients, inputs[1], network, weights);
        if let Some(at) = inputs.get(2) {
            add_gradient(gradients, *at, network, bias.into_iter().take(c_out).map(|v| v as f32).collect());
        }
        self.spare.push(gv);
        if let Some(gx) = gx {
            arrived[x_slot] = Some(gx);
        }
        match add.filter(|_| !joined) {
            Some(other) => self.give(arrived, other, g),
            None => self.spare.push(g),
        }
    }

    /// The norm's parameters' gradients, and how the gradient passes it; without a norm it passes as it is.
    fn norm_gradient(
        &self,
        network: &Network<f32>,
        step: &Step,
        conv: &ConvStep,
        state: &TrainConv,
        g: &[f32],
        gradients: &mut [Option<Tensor<f32>>],
    ) -> Coefficients {
        let (padded, channels, len) = (state.affine.scale.len(), conv.conv.c_out, conv.conv.len_out());
        let mut coefficients = Coefficients { a: vec![1.0; padded], b: vec![0.0; padded], d: vec![0.0; padded] };
        let (Some(norm), Some(moments)) = (conv.norm, &state.moments) else { return coefficients };
        let size = share_of(self.batch) * self.plan.steps.size(step.y);
        let sums = |(g, v): (&[f32], &[f32])| {
            training::gradient_sums(self.plan.steps.isa, len, v, g, &state.affine, &moments.mean, step.relu.is_some())
        };
        let parts: Vec<_> = g.par_chunks(size).zip(state.v.as_slice()[..g.len()].par_chunks(size)).map(sums).collect();
        let inverse = inverse_deviation(network, norm, moments);
        let inputs = &network.program().node(norm).inputs;
        let gamma = slice(network.parameter(inputs[1]));
        let (mut for_gamma, mut for_beta) = (Vec::new(), Vec::new());
        for c in 0..channels {
            let sum: f64 = parts.iter().map(|part| part.0[c]).sum();
            let product = parts.iter().map(|part| part.1[c]).sum::<f64>() * inverse[c];
            let (scale, count) = (f64::from(gamma[c]) * inverse[c], moments.count as f64);
            let b = -scale * product / count * inverse[c];
            coefficients.a[c] = scale as f32;
            coefficients.b[c] = b as f32;
            coefficients.d[c] = (-scale * sum / count - b * moments.mean[c]) as f32;
            for_gamma.push(product as f32);
            for_beta.push(sum as f32);
        }
        for values in [&mut coefficients.a, &mut coefficients.b, &mut coefficients.d] {
            values[channels..].fill(0.0);
        }
        add_gradient(gradients, inputs[1], network, for_gamma);
        add_gradient(gradients, inputs[2], network, for_beta);
        coefficients
    }

    /// One part at a convolution; gives Σ gv by channel.
    #[allow(clippy::too_many_arguments)]
    fn share(
        &self,
        step: &Step,
        conv: &ConvStep,
        Operators { adjoint, gradient, affine }: &Operators<'_>,
        coefficients: &Coefficients,
        joined: bool,
        accumulate: bool,
        share: Share<'_>,
    ) -> Vec<f64> {
        let Share { g, v, x, gv, gx, sums } = share;
        let (isa, len) = (self.plan.steps.isa, conv.conv.len_out());
        let examples = g.len() / self.plan.steps.size(step.y);
        let coefficients = [&coefficients.a[..], &coefficients.b[..], &coefficients.d[..]];
        training::gradient(isa, len, affine, step.relu.is_some(), coefficients, g, v, gv);
        let gv: &[f32] = gv;
        match (adjoint, gx) {
            (Some(adjoint), Some(gx)) => {
                let finish = Finish { add: joined.then_some(g), accumulate, ..Finish::default() };
                gradient.part_with(adjoint, examples, x, gv, finish, gx, sums);
            }
            _ => gradient.part(examples, x, gv, sums),
        }
        if conv.bias.is_some() { training::channel_sums(isa, affine.scale.len() / isa.width(), len, gv) } else { Vec::new() }
    }

    /// Adds a gradient to what has arrived at a slot.
    fn give(&mut self, arrived: &mut [Option<Buffer>], slot: Slot, g: Buffer) {
        let len = self.elements(slot);
        match &mut arrived[slot] {
            Some(sum) => {
                sum.as_mut_slice()[..len].iter_mut().zip(&g.as_slice()[..len]).for_each(|(sum, g)| *sum += g);
                self.spare.push(g);
            }
            empty => *empty = Some(g),
        }
    }

    fn back_plain(
        &mut self,
        network: &Network<f32>,
        index: usize,
        mut g: Buffer,
        arrived: &mut [Option<Buffer>],
        gradients: &mut [Option<Tensor<f32>>],
    ) {
        let (x_slot, y_slot, add) = (self.plan.steps.list[index].x, self.plan.steps.list[index].y, self.plan.steps.list[index].add);
        let (len_x, len_y) = (self.elements(x_slot), self.elements(y_slot));
        let (size_x, size_y) = (self.plan.steps.size(x_slot), self.plan.steps.size(y_slot));
        match &self.plan.steps.list[index].op {
            StepOp::Add => {
                if let Some(slot) = add {
                    self.give(arrived, slot, g.clone());
                }
                return self.give(arrived, x_slot, g);
            }
            StepOp::Same => return self.give(arrived, x_slot, g),
            StepOp::Relu => {
                let x = self.value(x_slot);
                g.as_mut_slice()[..len_y].iter_mut().zip(x).for_each(|(g, x)| *g = if *x > 0.0 { *g } else { 0.0 });
                return self.give(arrived, x_slot, g);
            }
            _ => (),
        }
        let mut sum = arrived[x_slot].take().unwrap_or_else(|| {
            let mut zeros = self.lend(len_x);
            zeros.as_mut_slice()[..len_x].fill(0.0);
            zeros
        });
        let (gy, gx, x) = (&g.as_slice()[..len_y], &mut sum.as_mut_slice()[..len_x], self.value(x_slot));
        if let StepOp::Dense(..) = &self.plan.steps.list[index].op {
            linear(network, NodeId(y_slot), self.batch, (x, gy, gx), gradients);
        } else {
            let each = gy.par_chunks(size_y).zip(gx.par_chunks_mut(size_x)).zip(x.par_chunks(size_x));
            each.for_each(|((gy, gx), x)| self.plan.steps.apply_adjoint(&self.plan.steps.list[index], x, gy, gx));
        }
        arrived[x_slot] = Some(sum);
        self.spare.push(g);
    }
}

/// The linear layer's gradients: gx += g · w, gw = gᵀ · x, gb = Σ g.
fn linear(
    network: &Network<f32>,
    node: NodeId,
    batch: usize,
    (x, g, gx): (&[f32], &[f32], &mut [f32]),
    gradients: &mut [Option<Tensor<f32>>],
) {
    use crate::tape::Real;
    let inputs = &network.program().node(node).inputs;
    let weights = slice(network.parameter(inputs[1]));
    let (features, outputs) = (x.len() / batch, g.len() / batch);
    f32::gemm(batch, outputs, features, 1.0, (g, outputs, 1), (weights, features, 1), 1.0, (gx, features, 1));
    let mut gw = vec![0.0; outputs * features];
    f32::gemm(outputs, batch, features, 1.0, (g, 1, outputs), (x, features, 1), 0.0, (&mut gw, features, 1));
    add_gradient(gradients, inputs[1], network, gw);
    if let Some(at) = inputs.get(2) {
        let sum = |o: usize| (0..batch).map(|n| f64::from(g[n * outputs + o])).sum::<f64>() as f32;
        add_gradient(gradients, *at, network, (0..outputs).map(sum).collect());
    }
}

/// Adds to a parameter's gradient: a parameter may be read by several nodes.
fn add_gradient(gradients: &mut [Option<Tensor<f32>>], id: NodeId, network: &Network<f32>, values: Vec<f32>) {
    let part = from_vec(network.parameter(id).shape(), values);
    match &mut gradients[id.0] {
        Some(sum) => *sum += &part,
        empty => *empty = Some(part),
    }
}
