//! Ranks and correlations. What is not a number is neither ranked nor passed over.

/// The larger of two values; what is not a number is larger than any, so that a maximum over values shows it (`f64::max` leaves it out).
pub fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// Ranks from 1 for the largest value; ties share the mean of their ranks. Where a value is not a number there is no order: every rank is NaN.
pub fn descending(values: &[f64]) -> Vec<f64> {
    ascending(&values.iter().map(|value| -value).collect::<Vec<f64>>())
}

/// Ranks from 1 for the smallest value; ties share the mean of their ranks. Where a value is not a number there is no order: every rank is NaN.
pub fn ascending(values: &[f64]) -> Vec<f64> {
    if values.iter().any(|value| value.is_nan()) {
        return vec![f64::NAN; values.len()];
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let shared = (start + 1 + end) as f64 / 2.0;
        order[start..end].iter().for_each(|i| ranks[*i] = shared);
        start = end;
    }
    ranks
}

/// Pearson's correlation. `None` with fewer than two values, or when one side is constant or holds what is not finite.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let n = a.len().min(b.len());
    if n < 2 {
        return None;
    }
    let mean = |values: &[f64]| values[..n].iter().sum::<f64>() / n as f64;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a[..n].iter().zip(&b[..n]) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma) * (x - ma);
        bb += (y - mb) * (y - mb);
    }
    // Not above 0 and finite where a value is not.
    let varies = |sum: f64| sum > 0.0 && sum.is_finite();
    (varies(aa) && varies(bb)).then(|| (ab / (aa * bb).sqrt()).clamp(-1.0, 1.0))
}

/// Spearman's correlation, with ties. `None` as for [`pearson`], and where a value is not a number.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    pearson(&ascending(a), &ascending(b))
}

/// Kendall's τ-b, with ties (Kendall 1945). `None` as for [`pearson`], and where a value is not a number. It looks at every pair: for few values.
pub fn kendall(a: &[f64], b: &[f64]) -> Option<f64> {
    let n = a.len().min(b.len());
    if a[..n].iter().chain(&b[..n]).any(|value| value.is_nan()) {
        return None;
    }
    let order = |x: f64, y: f64| x.partial_cmp(&y).map_or(0, |order| order as i32);
    let (mut both, mut of_a, mut of_b) = (0, 0, 0);
    for i in 0..n {
        for j in i + 1..n {
            let (x, y) = (order(a[i], a[j]), order(b[i], b[j]));
            both += x * y;
            of_a += x * x;
            of_b += y * y;
        }
    }
    (of_a > 0 && of_b > 0).then(|| f64::from(both) / (f64::from(of_a) * f64::from(of_b)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_ranks() {
        assert_eq!(descending(&[3.0, 1.0, 3.0, 0.0]), [1.5, 3.0, 1.5, 4.0]);
        assert_eq!(ascending(&[2.0, 2.0, 2.0]), [2.0; 3]);
    }

    #[test]
    fn correlations() {
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[9.0, 4.0, 1.0]), Some(-1.0));
        assert_eq!(pearson(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN, 3.0], &[1.0, 2.0, 3.0]), None);
    }

    #[test]
    fn taus_are_scipys() {
        // scipy.stats.kendalltau 1.17 (variant b).
        let (a, b) = ([12.0, 2.0, 1.0, 12.0, 2.0, 7.5], [1.0, 4.0, 7.0, 1.0, 0.0, 7.0]);
        assert!((kendall(&a, &b).unwrap() - -0.3076923076923077).abs() < 1e-12, "{:?}", kendall(&a, &b));
        assert_eq!(
            [kendall(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), kendall(&[1.0, 2.0], &[3.0, 3.0]), kendall(&[f64::NAN, 1.0], &[1.0, 2.0])],
            [Some(1.0), None, None]
        );
        assert_eq!(kendall(&[1.0], &[1.0]), None);
    }

    #[test]
    fn what_is_not_a_number_is_not_passed_over() {
        let nan = f64::NAN;
        for values in [[nan, 1.0, 2.0], [1.0, -nan, 2.0], [1.0, 2.0, nan]] {
            assert!(values.into_iter().fold(0.0, larger).is_nan());
            assert!(ascending(&values).iter().chain(&descending(&values)).all(|rank| rank.is_nan()));
            assert_eq!([spearman(&values, &[1.0, 2.0, 3.0]), pearson(&values, &[1.0, 2.0, 3.0])], [None; 2]);
        }
        assert_eq!(ascending(&[f64::INFINITY, 1.0, f64::NEG_INFINITY]), [3.0, 2.0, 1.0]);
        assert_eq!(pearson(&[f64::INFINITY, 1.0], &[1.0, 2.0]), None);
    }
}
