//! From attributions to what is coloured: the scaling of STUDY.md, the mean over leads, and levels few enough to draw.

use ndarray::{Array1, ArrayView2, Axis};

/// Share of the cumulative |attribution| below which a value keeps its own colour.
pub const SHARE: f64 = 0.9;

/// The value at which the cumulative sum of the sorted |attribution| reaches 90 % of the whole: attributions divided by it and
/// clipped to [−1, 1] are what the pictures show. `None` for a map that is zero everywhere.
pub fn scale<'a>(values: impl IntoIterator<Item = &'a f32>) -> Option<f32> {
    let mut sizes: Vec<f32> = values.into_iter().map(|value| value.abs()).filter(|size| size.is_finite()).collect();
    sizes.sort_by(f32::total_cmp);
    let total: f64 = sizes.iter().map(|size| f64::from(*size)).sum();
    if total <= 0.0 {
        return None;
    }
    let mut sum = 0.0;
    sizes.iter().copied().find(|size| {
        sum += f64::from(*size);
        sum >= SHARE * total
    })
}

/// The averaged heatmap: mean over leads of |attribution|, (12, L) → (L).
pub fn averaged(map: ArrayView2<'_, f32>) -> Array1<f32> {
    let leads = map.nrows().max(1) as f32;
    map.fold_axis(Axis(0), 0.0, |sum, value| sum + value.abs()) / leads
}

/// Levels on each side of zero that a picture tells apart.
pub const LEVELS: i8 = 24;

/// A scaled attribution as a level in −24..=24.
pub fn level(value: f32, scale: Option<f32>) -> i8 {
    let Some(scale) = scale else { return 0 };
    let scaled = (value / scale).clamp(-1.0, 1.0);
    (scaled * f32::from(LEVELS)).round() as i8
}

/// Runs of equal levels: (start, end, level), `end` not included, zeros left out.
pub fn runs<'a>(values: impl IntoIterator<Item = &'a f32>, scale: Option<f32>) -> Vec<(usize, usize, i8)> {
    let mut runs: Vec<(usize, usize, i8)> = Vec::new();
    for (t, value) in values.into_iter().enumerate() {
        let level = level(*value, scale);
        match runs.last_mut() {
            Some(last) if last.2 == level && last.1 == t => last.1 = t + 1,
            _ if level != 0 => runs.push((t, t + 1, level)),
            _ => {}
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn the_threshold_is_the_value_that_reaches_ninety_percent() {
        // 1 + 2 + 3 + 4 = 10; the sum reaches 9 at the fourth value.
        assert_eq!(scale(&[3.0, -1.0, 4.0, -2.0]), Some(4.0));
        // 100 equal values: the 90th of them.
        assert_eq!(scale(&[2.0; 100]), Some(2.0));
        // One outlier of 5 beside 95 ones: 0.9 · 100 = 90 is reached among the ones.
        let mut values = vec![1.0; 95];
        values.push(-5.0);
        assert_eq!(scale(&values), Some(1.0));
        assert_eq!(scale(&[0.0, 0.0]), None);
    }

    #[test]
    fn the_mean_is_of_sizes_not_the_size_of_the_mean() {
        let map = array![[1.0_f32, -2.0], [-1.0, -2.0]];
        assert_eq!(averaged(map.view()), array![1.0, 2.0]);
    }

    proptest! {
        #[test]
        fn runs_give_back_every_level(values in proptest::collection::vec(-3.0_f32..3.0, 1..80)) {
            let scale = scale(&values);
            let mut levels = vec![0_i8; values.len()];
            for (from, to, level) in runs(&values, scale) {
                prop_assert!(from < to && level != 0);
                levels[from..to].fill(level);
            }
            let wanted: Vec<i8> = values.iter().map(|value| level(*value, scale)).collect();
            prop_assert_eq!(levels, wanted);
        }
    }
}
