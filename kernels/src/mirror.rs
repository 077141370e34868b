//! The weights of a data gradient from those of its convolution, in their spectra: conjugate and transposed.
//!
//! The mirrored filter of the adjoint lies at the negated rows of the filter's frame, so its spectrum is the conjugate; and the channels change
//! places. A transposition moves every number once; the transforms of a training step's weights are half spared.

use crate::scratch::{Shared, each};
use crate::simd::{Job, Lanes, MAX_WIDTH};
use crate::spectral::Spectral;

/// Whether `adjoint` can take its weights from `forward`: the adjoint geometry, in the same frames.
pub fn mirrors(forward: &Spectral, adjoint: &Spectral) -> bool {
    adjoint.precedes(forward) && forward.precedes(adjoint) && forward.conv().adjoint().is_some_and(|conv| conv == *adjoint.conv())
}

/// Gives `adjoint` the weights of `forward`.
pub fn mirror(forward: &Spectral, adjoint: &mut Spectral) {
    let (isa, bins) = (forward.isa(), forward.bins());
    let (c_in, c_out) = (forward.conv().c_in, forward.conv().c_out);
    let (groups_in, groups_out) = (c_in.div_ceil(isa.width()), c_out.div_ceil(isa.width()));
    let (from, stride) = forward.weights();
    let from = Shared::new(from.cast_mut());
    let (to, stride_to) = adjoint.weights_mut();
    let to = Shared::new(to);
    each(groups_in * groups_out, true, |task| {
        let (group_in, group_out) = (task / groups_out, task % groups_out);
        let from = Shared::new(from.get().wrapping_add(group_out * bins * stride));
        let to = Shared::new(to.get().wrapping_add(group_in * bins * stride_to));
        isa.dispatch(Crossing { bins, from, stride, channels_in: (group_in, c_in), to, stride_to, channels_out: (group_out, c_out) });
    });
}

/// One register of input channels against one of output channels, at all bins.
struct Crossing {
    bins: usize,
    from: Shared,
    stride: usize,
    /// The group and the count of the channels that are rows of `from` and lanes of `to`.
    channels_in: (usize, usize),
    to: Shared,
    stride_to: usize,
    /// The group and the count of the channels that are lanes of `from` and rows of `to`.
    channels_out: (usize, usize),
}

impl Job for Crossing {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        const ZEROS: [f32; MAX_WIDTH] = [0.0; MAX_WIDTH];
        let w = V::WIDTH;
        let (first_in, first_out) = (self.channels_in.0 * w, self.channels_out.0 * w);
        let rows_out = w.min(self.channels_out.1 - first_out);
        let mut sink = [0.0f32; MAX_WIDTH];
        for bin in 0..self.bins {
            for half in 0..2 {
                // SAFETY: rows of channels that are there lie in both spectra; the others are read from zeros and written to a sink. The rows
                // written are this task's own.
                unsafe {
                    let (from, to) =
                        (self.from.get().add(bin * self.stride + half * w), self.to.get().add(bin * self.stride_to + half * w));
                    let (mut rows, mut columns) = ([ZEROS.as_ptr(); MAX_WIDTH], [sink.as_mut_ptr(); MAX_WIDTH]);
                    for (r, row) in rows.iter_mut().enumerate().take(w.min(self.channels_in.1 - first_in)) {
                        *row = from.add((first_in + r) * 2 * w);
                    }
                    for (c, column) in columns.iter_mut().enumerate().take(rows_out) {
                        *column = to.add((first_out + c) * 2 * w);
                    }
                    V::transpose(&rows, &columns);
                    if half == 1 {
                        for column in &columns[..rows_out] {
                            V::splat(0.0).sub(V::load(*column)).store(*column);
                        }
                    }
                }
            }
        }
    }
}
