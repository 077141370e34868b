//! Judging heatmaps and predictions: perturbation, scores, agreement, errors, classes.

pub mod agreement;
pub mod bootstrap;
pub mod classes;
pub mod compare;
pub mod errors;
pub mod perturbation;
pub mod ranks;
pub mod scores;
pub mod signed_ranks;
pub mod tails;
pub mod worth;
