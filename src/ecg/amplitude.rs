//! Whether ECGs that a model is given can be in µV. What `measure` and `import` read has been held against a wider range by its reader.

use crate::{Error, Result};
use ndarray::{ArrayView1, ArrayView2};

/// The least and the largest median over leads of max − min that an ECG in µV can have.
const AMPLITUDES: std::ops::RangeInclusive<f64> = 50.0..=20_000.0;

/// Refuses an ECG (leads, samples) whose leads are so small or so large that it is in another unit than µV. `at` names it.
///
/// # Errors
/// [`Error::Value`] with what to do.
pub fn check<T: Copy + Into<f64>>(at: impl FnOnce() -> String, ecg: ArrayView2<'_, T>) -> Result<()> {
    let mut extents: Vec<f64> = ecg.outer_iter().map(extent).collect();
    extents.sort_by(f64::total_cmp);
    let median = (extents[(extents.len() - 1) / 2] + extents[extents.len() / 2]) / 2.0;
    if AMPLITUDES.contains(&median) {
        return Ok(());
    }
    let hint = match median < *AMPLITUDES.start() {
        true => "if they are in mV, say --unit mV",
        false => "if they are in nV, divide by 1000",
    };
    let problem =
        format!("its leads span {median:.4} (median over leads of max − min), which cannot be µV: {hint}, or insist with --any-amplitude");
    Err(Error::Value { at: at(), problem })
}

/// max − min of a lead whose samples are finite. By several columns, each with ends of its own: one after another would wait for each comparison.
pub(super) fn extent<T: Copy + Into<f64>>(lead: ArrayView1<'_, T>) -> f64 {
    const COLUMNS: usize = 8;
    let (mut low, mut high) = ([f64::INFINITY; COLUMNS], [f64::NEG_INFINITY; COLUMNS]);
    let mut see = |column: usize, value: T| {
        let value: f64 = value.into();
        low[column] = if value < low[column] { value } else { low[column] };
        high[column] = if value > high[column] { value } else { high[column] };
    };
    match lead.as_slice() {
        Some(samples) => {
            let (rows, rest) = samples.as_chunks::<COLUMNS>();
            rows.iter().for_each(|row| (0..COLUMNS).for_each(|column| see(column, row[column])));
            rest.iter().for_each(|value| see(0, *value));
        }
        None => lead.iter().for_each(|value| see(0, *value)),
    }
    high.into_iter().fold(f64::NEG_INFINITY, f64::max) - low.into_iter().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn the_extent_is_that_of_every_sample() {
        for samples in [1, 7, 8, 9, 100] {
            for extreme in 0..samples {
                let mut lead = vec![1.0f32; samples];
                lead[extreme] = -49.0;
                assert_eq!(extent(ArrayView1::from(&lead)), if samples == 1 { 0.0 } else { 50.0 });
            }
        }
        let ecg = Array2::from_shape_fn((40, 3), |(t, lead)| (t * (lead + 1)) as f64);
        assert_eq!(ecg.columns().into_iter().map(extent).collect::<Vec<_>>(), [39.0, 78.0, 117.0]);
    }
}
