//! Convolutions by FFT one after another on blocked activations, without the activations between them.
//!
//! Run one by one, each convolution writes its output's samples and the next one reads them again, long after they have left the nearest cache, to
//! transform them. In a chain every (example, group) goes at once from the bins of one product through its samples to the bins of the next, which
//! take the places of the first: they have just been read. What lies between is written down only where something else needs it. The operations are
//! those of [`FusedConv::run`] in its order, so the bytes are the same.

use crate::blocked::{Finish, FusedConv, Gate, size};
use crate::conv1d::Form;
use crate::plan::{Choice, Method};
use crate::scratch::{self, Shared, each};
use crate::simd::{Job, Lanes};
use crate::sizes;
use crate::spectral::{Analyse, Framed, Spectral, Synthesise, lane_values};
use crate::through::{Finished, Sink, SinkAt, Source, SourceAt, lanes};
use crate::{Conv1d, Isa};
use alloc::vec::Vec;
use core::ops::Range;

/// One convolution of a chain: y ← finish(conv(scale · gate(x)) + bias), where x is the y of the link before.
#[derive(Debug)]
pub struct Link<'a> {
    /// The convolution.
    pub conv: &'a FusedConv,
    /// What its input passes.
    pub gate: Gate<'a>,
    /// A factor per input channel, after the gate.
    pub scale: Option<&'a [f32]>,
    /// A bias per output channel.
    pub bias: Option<&'a [f32]>,
    /// Its scale and shift, what it keeps, and the ReLU; additions are named below.
    pub finish: Finish<'a>,
    /// The buffer that is added, which may be the one that y goes to.
    pub add: Option<usize>,
    /// The buffer that y goes to; nowhere if `None`, which the last link may not have.
    pub y: Option<usize>,
}

/// Whether `next` can follow `conv` in a chain.
pub fn follows(conv: &FusedConv, next: &FusedConv) -> bool {
    match (conv.form(), next.form()) {
        (Form::Spectral(form), Form::Spectral(after)) => form.precedes(after),
        _ => false,
    }
}

/// Whether convolutions of these geometries can follow one another once they are made: [`follows`], decided without weights.
pub fn will_follow(conv: &Conv1d, next: &Conv1d, isa: Isa) -> bool {
    let isa = isa.or_portable();
    let tiling = |conv: &Conv1d| match Choice::method(conv, isa, None) {
        Method::Spectral(tiling) => Some(tiling),
        Method::Direct => None,
    };
    let linked = conv.c_out == next.c_in && conv.len_out() == next.len_in;
    linked && tiling(conv).is_some_and(|own| tiling(next) == Some(own))
}

/// Runs the links one after another on `batch` examples. The first one's input is buffer `x`; buffers hold at least the examples that links put there.
/// `parallel` splits each link's output groups over threads.
///
/// # Panics
/// If a convolution cannot follow the one before it ([`follows`]), a buffer, gate or factor does not fit, a link has a `finish.add` or
/// `finish.accumulate` of its own, or the last one has no y.
pub fn run(batch: usize, buffers: &mut [&mut [f32]], x: usize, links: &mut [Link<'_>], parallel: bool) {
    let Some(last) = links.last() else { return };
    assert!(last.y.is_some(), "the last link has no output");
    let isa = last.conv.isa();
    for (index, link) in links.iter().enumerate() {
        assert!(index == 0 || follows(links[index - 1].conv, link.conv), "link {index} cannot follow the one before it");
        check(batch, link, buffers, isa);
    }
    let Form::Spectral(first) = links[0].conv.form() else { panic!("a chain begins with an FFT") };
    let size_in = size(isa, first.conv().c_in, first.conv().len_in);
    assert!(
        buffers[x].len() >= sizes::product([batch, size_in]) && links[0].gate.fits(batch, size_in, isa.width()),
        "the input does not hold {batch} examples"
    );
    if batch == 0 {
        return;
    }
    let buffers: Vec<Shared> = buffers.iter_mut().map(|buffer| Shared::new(buffer.as_mut_ptr())).collect();
    let rows = batch * first.tiles();
    let widest = links.iter().map(|link| link.conv.conv().c_out).max().unwrap_or(0).max(first.conv().c_in);
    let elements = sizes::product([first.bins(), first.stride(rows, widest)]);
    let mut spectra = scratch::lend(2 * elements);
    let mut z = Shared::new(spectra.as_mut_ptr());
    let mut out = Shared::new(z.get().wrapping_add(elements));
    // SAFETY: the buffer holds the examples (asserted), and nothing writes to it while this slice lives.
    let input = unsafe { core::slice::from_raw_parts(buffers[x].get(), batch * size_in) };
    let from = Source::Blocked(input, links[0].gate, links[0].scale);
    let side = Framed::input(first);
    isa.dispatch(Analyse { fft: first.fft(), side, examples: 0..batch, x: from, to: z, stride: first.stride(rows, first.conv().c_in) });
    for index in 0..links.len() {
        let (link, after) = links[index..].split_at_mut(1);
        let link = &mut link[0];
        let Form::Spectral(form) = link.conv.form() else { continue };
        let (bias, stored) = (link.bias, link.y.is_some());
        let finished = finished(link, &buffers, batch);
        let (groups, stride) = (form.conv().c_out.div_ceil(isa.width()), form.stride(rows, form.conv().c_out));
        let parts = if parallel { crate::parallel::current_num_threads().min(groups) } else { 1 };
        each(parts, parallel, |part| {
            let own = part * groups / parts..(part + 1) * groups / parts;
            form.multiply(rows, own.clone(), 0..groups, z, out);
            match after.first() {
                None => {
                    let (fft, side, y) = (form.fft(), Framed::output(form), Sink::Blocked(finished));
                    isa.dispatch(Synthesise { fft, side, examples: 0..batch, groups: own, layout: 0..groups, from: out, stride, bias, y });
                }
                Some(next) => {
                    let Form::Spectral(after) = next.conv.form() else { return };
                    let (gate, scale) = (next.gate, next.scale);
                    isa.dispatch(Between { form, after, batch, groups: own, bins: out, stride, bias, finished, stored, gate, scale });
                }
            }
        });
        (z, out) = (out, z);
    }
}

/// That everything a link names is there.
fn check(batch: usize, link: &Link<'_>, buffers: &[&mut [f32]], isa: crate::Isa) {
    let conv = link.conv.conv();
    let (size_in, size_out) = (size(isa, conv.c_in, conv.len_in), size(isa, conv.c_out, conv.len_out()));
    let (_, all_out) = (sizes::product([batch, size_in]), sizes::product([batch, size_out]));
    let holds = |at: &usize| buffers.get(*at).is_some_and(|buffer| buffer.len() >= all_out);
    assert!(link.y.iter().chain(&link.add).all(holds), "a buffer does not hold {batch} examples");
    let finish = &link.finish;
    assert!(finish.add.is_none() && !finish.accumulate, "a link adds a buffer by its number");
    assert!(finish.fits(conv.c_out, all_out, isa.width()), "what a link keeps, or its scale and shift, does not fit {batch} examples");
    assert!(link.gate.fits(batch, size_in, isa.width()), "a gate does not fit {batch} examples");
    assert!(link.bias.is_none_or(|bias| bias.len() == conv.c_out), "bias does not fit the geometry");
    assert!(link.scale.is_none_or(|scale| scale.len() == conv.c_in), "a factor per channel does not fit the geometry");
}

/// Where a link's output goes; with no y, to a place that [`Between`] gives.
fn finished<'a>(link: &mut Link<'a>, buffers: &[Shared], batch: usize) -> Finished<'a> {
    let conv = link.conv.conv();
    let elements = batch * size(link.conv.isa(), conv.c_out, conv.len_out());
    link.finish.accumulate = link.add.is_some() && link.add == link.y;
    // SAFETY: the buffer holds as many elements (checked), and is not the one that is written.
    let add = link.add.filter(|_| !link.finish.accumulate).map(|at| unsafe { core::slice::from_raw_parts(buffers[at].get(), elements) });
    let to = link.y.map_or(Shared::new(core::ptr::null_mut()), |at| buffers[at]);
    Finished::shared(to, &mut link.finish, add)
}

/// From the bins of one product to those of the next one's input, through the samples.
struct Between<'a> {
    form: &'a Spectral,
    after: &'a Spectral,
    batch: usize,
    groups: Range<usize>,
    bins: Shared,
    stride: usize,
    bias: Option<&'a [f32]>,
    finished: Finished<'a>,
    stored: bool,
    gate: Gate<'a>,
    scale: Option<&'a [f32]>,
}

impl Job for Between<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (fft, w, tiles) = (self.form.fft(), V::WIDTH, self.form.tiles());
        let (n, len, channels) = (fft.len(), self.after.conv().len_in, self.after.conv().c_in);
        let groups = channels.div_ceil(w);
        let (output, input) = (Framed::output(self.form), Framed::input(self.after));
        let mut frames = scratch::lend((2 * n + len) * w);
        let frame = frames.as_mut_ptr();
        let own = Shared::new(frame.wrapping_add(2 * n * w));
        // The same frame of the next example, or of the one example the next frame.
        let ahead = (if self.batch > 1 { tiles } else { 1 }) * groups * 2 * w;
        for group in self.groups {
            let bias = lane_values(self.bias, group, w);
            let affine = self.finished.affine_lanes(group, w);
            let scale = self.scale.map(|scale| lanes(scale, group, w));
            for example in 0..self.batch {
                let offset = (example * groups + group) * len * w;
                let finished = self.finished.at(offset, w);
                let finished = if self.stored { finished } else { finished.into_place(own) };
                let y = finished.place();
                let to = SinkAt::Blocked(finished, affine);
                // SAFETY: the bins of this example and group, and its samples, are this task's own; y holds `len` registers, which are written
                // before they are read as a slice that lives while nothing writes there.
                unsafe {
                    let bins = |tile: usize| self.bins.get().add(((example * tiles + tile) * groups + group) * 2 * w);
                    for tile in 0..tiles {
                        let span = output.span(tile);
                        let rows = fft.inverse::<V>(bins(tile), self.stride, ahead, frame, frame.add(n * w));
                        to.store::<V>(rows.add(span.row * w), 1, &bias, span.start, span.count);
                    }
                    let x = core::slice::from_raw_parts(y.get(), len * w);
                    let from = SourceAt::Blocked(x, self.gate.at(example, groups * len * w, group * len * w, w), scale);
                    for tile in 0..tiles {
                        // These have just been read.
                        input.analyse::<V>(fft, &from, tile, frame, bins(tile), self.stride, 0);
                    }
                }
            }
        }
    }
}
