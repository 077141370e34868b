//! Which form a convolution runs in, chosen by size from counted register operations, and said in words.

use crate::Isa;
use crate::fft;
use crate::geometry::Conv1d;
use crate::sync::OnceLock;
use crate::tiling::Tiling;
use alloc::vec::Vec;
use core::fmt::{Display, Formatter};

/// Vector operations of an FFT weigh this much against fused multiply-adds of a matrix kernel that runs at peak (loads, stores, no fusion).
const FFT_WEIGHT: f64 = 1.4;
/// Cost of bringing one register of weight spectrum from beyond L2, in fused multiply-adds: a compromise, since the tiling may not depend on the
/// batch. A lone ECG pays about a hundred, each of a batch of sixteen hardly any.
const STREAM_WEIGHT: f64 = 5.5;
/// Entering and leaving a form, per example.
const DIRECT_WEIGHT: f64 = 1.05;

/// An FFT must be this much cheaper to be chosen: its rounding follows the loudest sample of a tile, a direct product's only the samples
/// under the kernel, and where the two cost nearly the same the smaller error is worth more (ReLUs and maxima flip on it).
const FFT_GAIN: f64 = 2.5;

/// The form of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Register-blocked product that reads the input in place.
    Direct,
    /// Real FFTs and a complex product per bin.
    Spectral(Tiling),
}

/// The form chosen for one geometry, and what it was weighed against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The form.
    pub method: Method,
    /// The instruction set.
    pub isa: Isa,
    /// Operations on registers of eight channels of one example directly.
    pub direct_cost: f64,
    /// The same by the best FFT, where one fits.
    pub spectral_cost: Option<f64>,
}

/// Every half length with prime factors up to 7, with the cost of its transform.
fn lengths() -> &'static [(usize, f64)] {
    static LENGTHS: OnceLock<Vec<(usize, f64)>> = OnceLock::new();
    // Miri takes a thousand times as long; the form is as right where fewer are weighed.
    let longest = if cfg!(miri) { 64 } else { 2048 };
    LENGTHS.get_or_init(|| (4..=longest).filter_map(|half| Some((half, fft::cost(half)?))).collect())
}

/// Channels to a register in the costs, whatever they are on the machine: the form sets the bytes, so it may follow the geometry alone.
const WIDTH: usize = 8;

fn direct_cost(conv: &Conv1d) -> f64 {
    DIRECT_WEIGHT * (conv.c_in * conv.kernel * conv.c_out.div_ceil(WIDTH) * conv.len_out()) as f64
}

fn spectral_cost(conv: &Conv1d, tiling: &Tiling, transform: f64) -> f64 {
    let (groups_in, groups_out) = (conv.c_in.div_ceil(WIDTH), conv.c_out.div_ceil(WIDTH));
    let registers = ((tiling.half + 1) * conv.c_in * groups_out) as f64;
    let product = registers * (4.0 * tiling.tiles as f64 + STREAM_WEIGHT);
    product + FFT_WEIGHT * transform * (tiling.tiles * (groups_in + groups_out)) as f64
}

impl Choice {
    /// The cheapest form of `conv`, to be run on `isa`.
    ///
    /// # Panics
    /// If the geometry is none ([`crate::PreparedConv::new`]).
    pub fn new(conv: &Conv1d, isa: Isa) -> Choice {
        conv.check();
        let direct = direct_cost(conv);
        let spectral = lengths()
            .iter()
            .filter_map(|(half, transform)| {
                let tiling = Tiling::new(conv, *half)?;
                Some((spectral_cost(conv, &tiling, *transform), tiling))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let method = match spectral {
            Some((cost, tiling)) if FFT_GAIN * cost < direct => Method::Spectral(tiling),
            _ => Method::Direct,
        };
        Choice { method, isa, direct_cost: direct, spectral_cost: spectral.map(|s| s.0) }
    }

    /// The form that was asked for where the geometry allows it (an FFT of that length, else direct), or the cheapest.
    pub(crate) fn method(conv: &Conv1d, isa: Isa, forced: Option<Method>) -> Method {
        match forced {
            None => Choice::new(conv, isa).method,
            Some(Method::Spectral(tiling)) if fft::radices(tiling.half).is_some() => {
                Tiling::new(conv, tiling.half).map_or(Method::Direct, Method::Spectral)
            }
            Some(_) => Method::Direct,
        }
    }
}

impl Conv1d {
    /// How the convolution will run on this machine, in f32; print it to see why.
    pub fn plan(&self) -> Choice {
        Choice::new(self, Isa::best())
    }
}

impl Display for Choice {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        match self.method {
            Method::Direct => write!(f, "direct on {}", self.isa)?,
            Method::Spectral(t) => write!(f, "FFT of {} samples × {} on {}", 2 * t.half, t.tiles, self.isa)?,
        }
        match self.spectral_cost {
            Some(cost) => write!(f, " (register operations per example: direct {:.3e}, FFT {cost:.3e})", self.direct_cost),
            None => write!(
                f,
                " (register operations per example: direct {:.3e}; stride, dilation or padding rule the FFT out)",
                self.direct_cost
            ),
        }
    }
}
