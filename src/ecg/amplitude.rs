//! Whether ECGs that a model is given can be in µV. What `measure` and `import` read has been held against a wider range by its reader.

use crate::{Error, Result};
use ndarray::ArrayView2;

/// The least and the largest median over leads of max − min that an ECG in µV can have.
const AMPLITUDES: std::ops::RangeInclusive<f64> = 50.0..=20_000.0;

/// Refuses an ECG (leads, samples) whose leads are so small or so large that it is in another unit than µV. `at` names it.
///
/// # Errors
/// [`Error::Value`] with what to do.
pub fn check<T: Copy + Into<f64>>(at: impl FnOnce() -> String, ecg: ArrayView2<'_, T>) -> Result<()> {
    let extent = |lead: ndarray::ArrayView1<'_, T>| {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = lead.iter().map(|value| (*value).into()).fold(ends, |(low, high), v: f64| (low.min(v), high.max(v)));
        high - low
    };
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
