//! What people look at: tables, pictures and the HTML report.

pub mod against;
pub mod analysis;
pub mod card;
pub mod chart;
mod class_chart;
pub mod colour;
pub mod curve_chart;
pub(crate) mod embed;
pub mod error_tables;
pub mod figures;
pub mod findings;
pub mod heatmap;
pub mod lane;
pub mod methods;
pub mod one_ecg;
pub mod page;
pub mod paper;
pub mod pdf;
pub mod png;
pub mod published;
pub mod rank_chart;
pub mod reproduction;
mod resampled;
pub mod results;
pub mod scale;
pub mod store;
pub mod study_tables;
pub mod svg;
pub mod tables;
pub mod training_chart;
pub mod words;
pub mod worst;
pub mod write;

pub use results::StudyResults;
