//! Random streams addressed by what they are for, never by who draws: (master seed, stage, target, ECG, repeat).
//!
//! Each address is one ChaCha8 key, so a draw is the same whatever thread, shard or order asks for it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn addresses_do_not_collide() {
        let base = Stream::new(1, Stage::Simulator);
        let all = [base, base.target(1), base.ecg(1), base.repeat(1), Stream { seed: 2, ..base }, Stream { stage: Stage::Split, ..base }];
        let firsts: std::collections::BTreeSet<u64> = all.iter().map(|stream| stream.rng().next_u64()).collect();
        assert_eq!(firsts.len(), all.len());
        assert_eq!(base.rng().next_u64(), base.rng().next_u64());
    }
}
