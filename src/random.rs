//! Random streams addressed by what they are for, never by who draws: (master seed, stage, target, ECG, repeat).
//!
//! Each address is one ChaCha8 key, so a draw is the same whatever thread, shard or order asks for it.

use cardiograd_kernels::elementary;
use rand::{Rng, RngExt, SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Open01, StandardNormal};
use std::convert::Infallible;

/// The purpose of a stream. The numbers are part of the results' definition: never renumber, only append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stage {
    /// The latent noise of the Pulse2pulse generator, one stream per ECG.
    Generator = 1,
    /// The parametric simulator, one stream per ECG.
    Simulator = 2,
    /// The train / validation / test shuffle.
    Split = 3,
    /// Initial weights, one stream per parameter (`ecg` = index of the parameter).
    Initialisation = 4,
    /// The order of training examples, one stream per epoch (`ecg` = epoch).
    Epoch = 5,
    /// The noise of SmoothGrad, one stream per ECG; draws follow one another in the stream.
    SmoothGrad = 6,
    /// The noise (repeat 0) and path positions (repeat 1) of Gradient SHAP, one stream of each per ECG.
    GradientShap = 7,
    /// Random control heatmaps, one stream per ECG.
    RandomMap = 8,
    /// Perturbation noise, one stream per ECG and repeat, common to all methods.
    Perturbation = 9,
    /// Bootstrap resamples, one stream per resample.
    Bootstrap = 10,
    /// The order of screens and heatmaps in the expert survey.
    Survey = 11,
    /// Sampling of ECGs or coordinates by the audit.
    Audit = 12,
    /// Weight randomisation and label permutation in the audit.
    Randomisation = 13,
    /// Perturbations, replacements, orders and label permutations of `challenge`; `repeat` says which.
    Challenge = 14,
    /// What augmentation does to training ECGs, one stream per ECG and epoch (`repeat` = epoch).
    Augmentation = 15,
}

/// The address of a stream. Fields left at 0 are not in use for the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The user's master seed.
    pub seed: u64,
    /// The purpose.
    pub stage: Stage,
    /// The index of the target (see [`crate::dataset::Target`]), or 0 where all targets share the draws.
    pub target: u32,
    /// The index of the ECG in its dataset, or what the stage says.
    pub ecg: u64,
    /// The repeat.
    pub repeat: u32,
}

impl Stream {
    /// The stream of a stage with every other field 0.
    pub fn new(seed: u64, stage: Stage) -> Self {
        Stream { seed, stage, target: 0, ecg: 0, repeat: 0 }
    }

    /// The same for another target.
    pub fn target(self, target: u32) -> Self {
        Stream { target, ..self }
    }

    /// The same for another ECG.
    pub fn ecg(self, ecg: u64) -> Self {
        Stream { ecg, ..self }
    }

    /// The same for another repeat.
    pub fn repeat(self, repeat: u32) -> Self {
        Stream { repeat, ..self }
    }

    /// The generator at the start of this stream. The key holds the address verbatim, so two addresses never share a key.
    pub fn rng(self) -> ChaCha8Rng {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..12].copy_from_slice(&(self.stage as u32).to_le_bytes());
        key[12..16].copy_from_slice(&self.target.to_le_bytes());
        key[16..24].copy_from_slice(&self.ecg.to_le_bytes());
        key[24..28].copy_from_slice(&self.repeat.to_le_bytes());
        key[28..].copy_from_slice(b"cgrd");
        ChaCha8Rng::from_seed(key)
    }
}

/// Where the ziggurat's tail begins (Doornik 2005), and the width of its lowest layer, which holds the tail too.
const TAIL: f64 = 3.654_152_885_361_009;
const LOWEST: f64 = 3.910_757_959_537_09;

/// A draw from Normal(0, 1): that of `rand_distr`, word for word and bit for bit, but for the logarithms of its tail (1 draw in 3 700), which there are the
/// platform's. Its exponential only decides whether a word is taken, and would have to be wrong by as much as two reals in [0, 1) happen to be close.
pub fn standard_normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    loop {
        let first = rng.next_u64();
        if first & 0xff == 0 {
            // In the lowest layer: a number in [−1, 1) by the upper 52 bits.
            let u = f64::from_bits(first >> 12 | 1024 << 52) - 3.0;
            let x = u * LOWEST;
            return if x.abs() < TAIL { x } else { tail(rng, u) };
        }
        let mut attempt = Attempt { first: Some(first), second: true, rng, rejected: false };
        let x: f64 = StandardNormal.sample(&mut attempt);
        if !attempt.rejected {
            return x;
        }
    }
}

/// Beyond [`TAIL`], on the side of u (Marsaglia 1964).
fn tail<R: Rng + ?Sized>(rng: &mut R, u: f64) -> f64 {
    loop {
        let (x, y): (f64, f64) = (rng.sample(Open01), rng.sample(Open01));
        let (x, y) = (elementary::ln(x) / TAIL, elementary::ln(y));
        if -2.0 * y >= x * x {
            return if u < 0.0 { x - TAIL } else { TAIL - x };
        }
    }
}

/// The two words that one attempt at a draw may take. If a third is asked for, the attempt was rejected: then it is a word that ends the matter.
struct Attempt<'r, R: ?Sized> {
    first: Option<u64>,
    second: bool,
    rng: &'r mut R,
    rejected: bool,
}

impl<R: Rng + ?Sized> TryRng for Attempt<'_, R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| word as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        // Layer 1, at 0: taken whatever the layers are.
        const TAKEN: u64 = 1 << 63 | 1;
        Ok(match self.first.take() {
            Some(word) => word,
            None if std::mem::take(&mut self.second) => self.rng.next_u64(),
            None => {
                self.rejected = true;
                TAKEN
            }
        })
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for part in to.chunks_mut(8) {
            part.copy_from_slice(&self.try_next_u64()?.to_le_bytes()[..part.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_draws_are_those_of_rand_distr() {
        let (mut ours, mut theirs) = (Stream::new(4, Stage::Audit).rng(), Stream::new(4, Stage::Audit).rng());
        let mut beyond = 0;
        for _ in 0..60_000 {
            let (a, b): (f64, f64) = (standard_normal(&mut ours), StandardNormal.sample(&mut theirs));
            let tail = b.abs() >= TAIL;
            beyond += usize::from(tail);
            assert!(a == b || tail && (a - b).abs() < 1e-14, "{a} for {b}");
            assert_eq!(ours.get_word_pos(), theirs.get_word_pos());
        }
        assert!(beyond > 5, "{beyond} draws beyond {TAIL}");
    }

    #[test]
    fn addresses_do_not_collide() {
        let base = Stream::new(1, Stage::Simulator);
        let all = [base, base.target(1), base.ecg(1), base.repeat(1), Stream { seed: 2, ..base }, Stream { stage: Stage::Split, ..base }];
        let firsts: std::collections::BTreeSet<u64> = all.iter().map(|stream| stream.rng().next_u64()).collect();
        assert_eq!(firsts.len(), all.len());
        assert_eq!(base.rng().next_u64(), base.rng().next_u64());
    }
}
