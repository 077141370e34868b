//! Upper tails of the χ² and F distributions, and a quantile of Student's t, for degrees of freedom that are whole numbers.

use cardiograd_kernels::elementary::{exp, ln, ln_1p};

/// Upper tail of the χ² distribution with `freedom` degrees of freedom.
pub fn chi_square_tail(x: f64, freedom: f64) -> f64 {
    match x {
        _ if x.is_nan() => f64::NAN,
        _ if x <= 0.0 => 1.0,
        _ if x.is_infinite() => 0.0,
        _ => gamma_tail(freedom / 2.0, x / 2.0),
    }
}

/// Upper tail of the F distribution with `above` and `below` degrees of freedom: I(a, b) at below / (below + above · x), a = below / 2, b = above / 2.
pub fn f_tail(x: f64, above: f64, below: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 1.0;
    }
    let whole = below + above * x;
    if whole.is_infinite() { 0.0 } else { beta(below / 2.0, above / 2.0, below / whole, above * x / whole) }
}

/// The value that |t| of Student's distribution exceeds with the probability `tail`: the half width of an interval in standard errors. NaN with
/// no degree of freedom, where nothing is known of the spread.
pub fn t_two_sided(tail: f64, freedom: f64) -> f64 {
    if freedom < 1.0 || !(tail > 0.0 && tail < 1.0) {
        return f64::NAN;
    }
    let beyond = |t: f64| f_tail(t * t, 1.0, freedom);
    let (mut low, mut high) = (0.0, 1.0);
    while beyond(high) > tail {
        high *= 2.0;
    }
    // Halved until its ends are neighbours.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if beyond(middle) > tail { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function I(a, b) at x, with y = 1 − x given beside it lest its digits be lost; by its continued fraction
/// (DLMF 8.17.22), on the side where that converges.
fn beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x > (a + 1.0) / (a + b + 2.0) { 1.0 - beta_fraction(b, a, y, x) } else { beta_fraction(a, b, x, y) }
}

fn beta_fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let ln_x = if x < 0.5 { ln(x) } else { ln_1p(-y) };
    let ln_y = if y < 0.5 { ln(y) } else { ln_1p(-x) };
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    let front = exp(a * ln_x + b * ln_y + ln_gamma_ratio(high, low) - ln_gamma(low)) / a;
    let tiny = 1e-300;
    let (mut c, mut d) = (1.0, 1.0 / near(1.0 - (a + b) * x / (a + 1.0), tiny));
    let mut h = d;
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = h;
        for term in [even, odd] {
            d = 1.0 / near(1.0 + term * d, tiny);
            c = near(1.0 + term / c, tiny);
            h *= d * c;
        }
        if (h / before - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * h
}

/// The regularised upper incomplete gamma function Q(a, x), by its series or its continued fraction (DLMF 8.11.4, 8.9.2).
fn gamma_tail(a: f64, x: f64) -> f64 {
    let front = exp(a * ln(x) - x - ln_gamma(a));
    if x < a + 1.0 {
        let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-17 {
            k += 1.0;
            term *= x / k;
            sum += term;
        }
        return 1.0 - front * sum;
    }
    // Lentz's evaluation of the continued fraction.
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / tiny, 1.0 / b);
    let mut h = d;
    for i in 1..10_000 {
        let i = f64::from(i);
        let an = -i * (i - a);
        b += 2.0;
        d = 1.0 / near(an * d + b, tiny);
        c = near(b + an / c, tiny);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * h
}

fn near(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// ln Γ for the halves and wholes that degrees of freedom need, by Γ(a + 1) = a Γ(a).
fn ln_gamma(a: f64) -> f64 {
    let (mut at, mut sum) = if (2.0 * a).round() as i64 % 2 == 0 { (1.0, 0.0) } else { (0.5, 0.5 * ln(std::f64::consts::PI)) };
    while at < a - 1e-9 {
        sum += ln(at);
        at += 1.0;
    }
    sum
}

/// ln Γ(a + b) − ln Γ(a) for such a and b without the difference of two large numbers: the whole steps one by one, a half step by its series
/// in 1/a (DLMF 5.11.13).
fn ln_gamma_ratio(a: f64, b: f64) -> f64 {
    const FAR: f64 = 40.0;
    const HALF: [f64; 7] = [1.0, -1.0 / 8.0, 1.0 / 128.0, 5.0 / 1024.0, -21.0 / 32_768.0, -399.0 / 262_144.0, 869.0 / 4_194_304.0];
    let steps = b.floor() as usize;
    let whole: f64 = (0..steps).map(|k| ln(a + k as f64)).sum();
    if b.fract() < 0.25 {
        return whole;
    }
    // Γ(z + ½)/Γ(z), from far out back to z = a + steps.
    let z = a + steps as f64;
    let out = (FAR - z).max(0.0).ceil() as usize;
    let back: f64 = (0..out).map(|k| ln((z + k as f64) / (z + 0.5 + k as f64))).sum();
    let far = z + out as f64;
    whole + back + 0.5 * ln(far) + ln(HALF.iter().rev().fold(0.0, |sum, term| sum / far + term))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_the_closed_forms() {
        // Two degrees of freedom: exp(−x/2). Four: exp(−x/2)(1 + x/2).
        for x in [0.1, 1.0, 3.0, 10.0, 60.0] {
            let e = f64::exp(-x / 2.0);
            assert!((chi_square_tail(x, 2.0) / e - 1.0).abs() < 1e-12);
            assert!((chi_square_tail(x, 4.0) / (e * (1.0 + x / 2.0)) - 1.0).abs() < 1e-12);
        }
        // One degree: the two-sided normal tail at 1.959963984540054.
        assert!((chi_square_tail(1.959963984540054_f64.powi(2), 1.0) - 0.05).abs() < 1e-12);
    }

    #[test]
    fn the_tail_of_f_is_its_closed_forms() {
        // Two degrees above: (1 + 2x/below)^(−below/2).
        for (x, below) in [(0.3_f64, 4.0_f64), (2.0, 7.0), (30.0, 19.0), (1.0, 44_991.0), (4.0, 44_991.0)] {
            let wanted = (-below / 2.0 * (2.0 * x / below).ln_1p()).exp();
            assert!((f_tail(x, 2.0, below) / wanted - 1.0).abs() < 1e-12, "{x} {below}");
        }
        assert_eq!((f_tail(0.0, 3.0, 9.0), f_tail(f64::INFINITY, 3.0, 9.0)), (1.0, 0.0));
        assert!(f_tail(f64::NAN, 3.0, 9.0).is_nan() && chi_square_tail(f64::NAN, 2.0).is_nan());
    }
}
