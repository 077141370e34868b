//! Leads: their names, their order, and the four that follow from I and II.

use ndarray::{Array2, ArrayView2};

/// Sampling rate of everything inside the program, Hz.
pub const RATE: f64 = 500.0;
/// The order of the 12 leads.
pub const LEADS: [&str; 12] = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
/// The order of the 8 independent leads.
pub const INDEPENDENT: [&str; 8] = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"];
/// Where the independent leads stand among the 12.
pub const INDEPENDENT_AT: [usize; 8] = [0, 1, 6, 7, 8, 9, 10, 11];
/// V5 among the 12.
pub const V5: usize = 10;

/// The 12 leads from the 8 independent ones, (8, T) → (12, T):
/// III = II − I, aVR = −(I + II)/2, aVL = I − II/2, aVF = II − I/2 (Einthoven, Goldberger).
///
/// # Panics
/// If there are not 8 rows.
pub fn twelve(eight: ArrayView2<'_, f32>) -> Array2<f32> {
    assert_eq!(eight.nrows(), 8, "the independent leads are 8");
    let mut all = Array2::zeros((12, eight.ncols()));
    for (from, to) in INDEPENDENT_AT.into_iter().enumerate() {
        all.row_mut(to).assign(&eight.row(from));
    }
    for t in 0..eight.ncols() {
        let (i, ii) = (eight[[0, t]], eight[[1, t]]);
        all[[2, t]] = ii - i;
        all[[3, t]] = -(i + ii) / 2.0;
        all[[4, t]] = i - ii / 2.0;
        all[[5, t]] = ii - i / 2.0;
    }
    all
}
