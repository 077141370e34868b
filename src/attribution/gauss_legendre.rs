//! Gauss–Legendre quadrature on [0, 1], computed to full f64 precision.

use cardiograd_kernels::elementary;
use std::f64::consts::PI;

/// The n nodes in increasing order and their weights, which sum to 1; exact for polynomials of degree up to 2n − 1.
///
/// The nodes are the roots of the Legendre polynomial Pₙ, found by Newton's method from cos(π (i + ¾) / (n + ½));
/// the weights are 1 / ((1 − t²) P′ₙ(t)²) on [−1, 1] scaled to [0, 1].
pub fn rule(n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut nodes = vec![0.0; n];
    let mut weights = vec![0.0; n];
    for i in 0..n.div_ceil(2) {
        let mut t = elementary::cos(PI * (i as f64 + 0.75) / (n as f64 + 0.5));
        let mut slope = 0.0;
        for _ in 0..100 {
            let (value, derivative) = legendre(n, t);
            slope = derivative;
            let step = value / derivative;
            t -= step;
            if step.abs() < 1e-16 {
                break;
            }
        }
        let weight = 1.0 / ((1.0 - t * t) * slope * slope);
        (nodes[i], nodes[n - 1 - i]) = ((1.0 - t) / 2.0, (1.0 + t) / 2.0);
        (weights[i], weights[n - 1 - i]) = (weight, weight);
    }
    (nodes, weights)
}

/// Pₙ(t) and its derivative by the three-term recurrence.
fn legendre(n: usize, t: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, t);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * t * value - (k - 1.0) * before) / k);
    }
    (value, n as f64 * (t * value - before) / (t * t - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrates_polynomials_exactly() {
        for n in 1..60 {
            let (nodes, weights) = rule(n);
            assert!(nodes.windows(2).all(|pair| pair[0] < pair[1]), "{n}: {nodes:?}");
            for degree in 0..2 * n {
                let sum: f64 = nodes.iter().zip(&weights).map(|(x, w)| w * x.powi(degree as i32)).sum();
                assert!((sum - 1.0 / (degree as f64 + 1.0)).abs() < 1e-13, "n {n}, degree {degree}: {sum}");
            }
        }
    }
}
