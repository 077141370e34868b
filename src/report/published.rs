//! The study's own numbers, to compare a rerun with: Tables 2, 3 and 4 and the test errors of Storås, Mæland, Isaksen et al.,
//! "Evaluating gradient-based explanation methods for neural network ECG analysis using heatmaps", JAMIA.
//! Rows follow [`NINE`](super::methods::NINE); columns follow [`Target::STUDY`].

use super::methods::NINE;
use crate::dataset::Target;

/// Votes of three experts, two presentations of 51 ECGs, on full 12-lead heatmaps (Table 2, upper half).
pub const VOTES_FULL: [[u32; 6]; 9] = [
    [0, 0, 0, 0, 0, 0],
    [33, 0, 2, 0, 117, 0],
    [2, 41, 2, 0, 7, 1],
    [33, 19, 52, 0, 1, 24],
    [1, 6, 2, 0, 2, 7],
    [1, 0, 2, 306, 8, 272],
    [15, 68, 0, 0, 35, 0],
    [105, 42, 65, 0, 34, 0],
    [116, 130, 181, 0, 102, 2],
];

/// The same on averaged heatmaps (Table 2, lower half).
pub const VOTES_AVERAGED: [[u32; 6]; 9] = [
    [0, 0, 0, 0, 0, 0],
    [81, 9, 24, 0, 137, 0],
    [7, 37, 3, 0, 26, 0],
    [125, 122, 98, 0, 5, 3],
    [1, 34, 0, 0, 0, 0],
    [3, 1, 8, 306, 14, 302],
    [22, 23, 5, 0, 61, 1],
    [22, 35, 71, 0, 62, 0],
    [45, 45, 97, 0, 1, 0],
];

/// Inter-annotator κ with its 95 % interval (Table 3): full, averaged; the six targets, then all together.
pub const KAPPA: [[(f64, f64, f64); 2]; 7] = [
    [(0.15, 0.12, 0.18), (0.49, 0.39, 0.60)],
    [(0.10, 0.06, 0.14), (0.59, 0.49, 0.67)],
    [(0.25, 0.20, 0.32), (0.23, 0.15, 0.32)],
    [(1.00, 1.00, 1.00), (1.00, 1.00, 1.00)],
    [(0.07, 0.03, 0.11), (0.25, 0.19, 0.32)],
    [(0.78, 0.70, 0.86), (0.97, 0.94, 0.99)],
    [(0.39, 0.37, 0.41), (0.59, 0.56, 0.62)],
];

/// Area under the mean absolute percentage error curve to iteration 15 (Table 4), for the nine methods.
pub const TABLE4: [[f64; 6]; 9] = [
    [0.53, 0.47, 0.14, 2.06, 3.58, 0.22],
    [0.94, 1.44, 0.39, 8.04, 8.47, 2.49],
    [0.79, 1.62, 0.28, 6.90, 8.25, 2.45],
    [0.86, 1.91, 0.33, 3.34, 7.18, 2.49],
    [0.74, 1.59, 0.21, 1.61, 3.28, 2.22],
    [1.07, 1.21, 0.24, 3.60, 7.54, 2.50],
    [0.94, 1.64, 0.27, 5.71, 8.32, 2.34],
    [1.27, 1.65, 0.32, 5.32, 8.87, 2.49],
    [1.50, 1.54, 0.35, 7.48, 9.81, 2.50],
];

/// The row of Table 4 for random heatmaps.
pub const TABLE4_RANDOM: [f64; 6] = [0.57, 0.58, 0.14, 2.09, 2.01, 0.24];

/// Mean absolute and root mean squared error on the test split, median beats, in the target's unit (Appendix A.2). `None` for
/// what the study did not predict.
pub fn test_errors(target: Target) -> Option<(f64, f64)> {
    Some(match target {
        Target::Pr => (4.78, 7.07),
        Target::Qrs => (2.87, 4.25),
        Target::Qt => (3.57, 5.33),
        Target::RV5 => (27.70, 96.13),
        Target::JV5 => (7.86, 10.98),
        Target::TV5 => (6.57, 11.02),
        Target::Rate => (0.64, 1.08),
        _ => return None,
    })
}

fn column(target: Target) -> Option<usize> {
    Target::STUDY.iter().position(|t| *t == target)
}

/// The published area of a method for a target.
pub fn table4(method: &str, target: Target) -> Option<f64> {
    let column = column(target)?;
    if method == "random" {
        return Some(TABLE4_RANDOM[column]);
    }
    NINE.iter().position(|name| *name == method).map(|row| TABLE4[row][column])
}

/// The published votes for a method and a target: full, averaged.
pub fn votes(method: &str, target: Target) -> Option<(u32, u32)> {
    let (row, column) = (NINE.iter().position(|name| *name == method)?, column(target)?);
    Some((VOTES_FULL[row][column], VOTES_AVERAGED[row][column]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_votes_is_306() {
        for table in [VOTES_FULL, VOTES_AVERAGED] {
            for column in 0..6 {
                assert_eq!(table.iter().map(|row| row[column]).sum::<u32>(), 51 * 2 * 3);
            }
        }
    }

    #[test]
    fn look_ups() {
        assert_eq!(table4("smoothgrad", Target::JV5), Some(9.81));
        assert_eq!(table4("random", Target::Qt), Some(0.14));
        assert_eq!(votes("inputxgradient", Target::TV5), Some((272, 302)));
        assert_eq!(votes("random", Target::Pr), None);
    }
}
