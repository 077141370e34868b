//! What people look at: tables, pictures and the HTML report.

pub mod colour;
pub mod heatmap;
pub mod lane;
pub mod methods;
pub mod paper;
pub mod png;
pub mod results;
pub mod scale;
pub mod svg;

pub use results::StudyResults;
