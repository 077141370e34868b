//! Judging heatmaps: perturbation, scores, agreement.

pub mod agreement;
pub mod bootstrap;
pub mod compare;
pub mod perturbation;
pub mod ranks;
pub mod scores;
pub mod signed_ranks;
pub mod tails;
