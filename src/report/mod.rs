//! What people look at: tables, pictures and the HTML report.

pub mod methods;
pub mod results;

pub use results::StudyResults;
