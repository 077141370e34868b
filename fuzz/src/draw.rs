//! Numbers from a seed: ordinary ones, and among them those at which arithmetic goes wrong.

/// SplitMix64.
#[derive(Clone)]
pub struct Draw {
    state: u64,
    /// How many of 256 numbers are extreme.
    pub extreme: u8,
}

/// Zeros of both signs, the ends of the range, what overflows when it is multiplied or added, what underflows.
const EXTREME: [f32; 12] = [0.0, -0.0, f32::MAX, f32::MIN, 1e30, -1e30, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e-45, -1e-45, 3e19, -3e19];

impl Draw {
    /// From a seed; `extreme` of 256 numbers are extreme.
    pub fn new(seed: u64, extreme: u8) -> Self {
        Draw { state: seed, extreme }
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A finite number; in [−1, 1) unless it is extreme.
    pub fn number(&mut self) -> f32 {
        let bits = self.bits();
        if (bits as u8) < self.extreme {
            EXTREME[(bits >> 8) as usize % EXTREME.len()]
        } else {
            (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        }
    }

    /// So many finite numbers.
    pub fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }

    /// So many positive finite numbers, as variances are.
    pub fn positive(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number().abs().max(1e-3)).collect()
    }
}
