//! The random draws that hearts, rhythms and noise are made of.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, StandardNormal, Uniform};

/// A normal draw.
pub fn normal(rng: &mut ChaCha8Rng, mean: f64, sd: f64) -> f64 {
    let z: f64 = StandardNormal.sample(rng);
    mean + sd * z
}

/// A uniform draw.
pub fn uniform(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    Uniform::new(low, high).expect("the bounds are in order").sample(rng)
}

/// A normal draw within bounds: drawn again until it falls inside, so that nothing piles up at the bounds.
pub fn bounded(rng: &mut ChaCha8Rng, mean: f64, sd: f64, low: f64, high: f64) -> f64 {
    let distribution = Normal::new(mean, sd).expect("the spread is positive");
    loop {
        let x = distribution.sample(rng);
        if (low..=high).contains(&x) {
            return x;
        }
    }
}
