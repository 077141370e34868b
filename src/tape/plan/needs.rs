//! What a convolution takes of memory, told from its geometry before there are weights.

use cardiograd_kernels::{Choice, Conv1d, Isa, Method};

/// Numbers that a convolution takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Its weights made ready, for as long as it lives.
    pub weights: usize,
    /// Working memory of a thread that runs one example, from then on; of several examples at a time at most as many times that.
    pub scratch: usize,
}

/// The most output rows for which a direct convolution keeps sums, and that its last block reads beyond the end.
const STRETCH: usize = 192 + 48;
const BEYOND: usize = 16;
/// The fewest columns of an unfolded product.
const COLUMNS: usize = 512;

impl Needs {
    /// Of a convolution of this geometry on blocked f32, alone or in a chain.
    pub fn of(conv: &Conv1d, isa: Isa) -> Needs {
        let isa = isa.or_portable();
        let w = isa.width();
        let groups = conv.c_out.div_ceil(w);
        match Choice::new(conv, isa).method {
            Method::Direct => {
                let rows = conv.len_in.saturating_add(conv.pad_left).saturating_add(conv.pad_right);
                let padded = rows.saturating_add(all([BEYOND, conv.stride.min(rows)]));
                Needs {
                    weights: all([conv.c_in, conv.kernel, groups, w]),
                    scratch: all([conv.c_in.div_ceil(w), padded, w]).saturating_add(2 * STRETCH * w),
                }
            }
            Method::Spectral(tiling) => {
                // Real and imaginary parts of the bins from 0 to N / 2; those of both sides of a product are as wide as the wider.
                let bins = tiling.half() + 1;
                let stride = |rows: usize| all([rows, 2, w]).saturating_add(16);
                let widest = conv.c_in.max(conv.c_out).div_ceil(w);
                let frames = (4 * tiling.half()).saturating_add(conv.len_in.max(conv.len_out()));
                Needs {
                    weights: all([groups, bins, stride(conv.c_in)]),
                    scratch: all([2, bins, stride(all([tiling.tiles(), widest]))]).saturating_add(all([frames, w])),
                }
            }
        }
    }

    /// Of a convolution outside plans, in both directions; in f64 counted in f64.
    pub fn prepared(conv: &Conv1d, isa: Isa, double: bool) -> Needs {
        // Strides' gradients, and all of f64, are products of the unfolded input.
        let taps = all([conv.c_in, conv.kernel]);
        let unfolded = Needs { weights: 0, scratch: all([taps.saturating_add(conv.c_out), conv.len_out().max(COLUMNS)]) };
        let (forward, back) = match conv.adjoint() {
            _ if double => (unfolded, unfolded),
            Some(adjoint) => (Needs::of(conv, isa), Needs::of(&adjoint, isa)),
            None => (Needs::of(conv, isa), unfolded),
        };
        Needs {
            weights: all([taps, conv.c_out]).saturating_add(forward.weights).saturating_add(back.weights),
            scratch: forward.scratch.max(back.scratch),
        }
    }
}

/// Sizes multiplied.
fn all<const N: usize>(sizes: [usize; N]) -> usize {
    sizes.into_iter().fold(1, usize::saturating_mul)
}
