//! Datasets: records, targets and splits.

mod target;

pub use target::{InputKind, Target};
