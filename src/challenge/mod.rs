//! Does a heatmap deserve trust? Questions that a good heatmap can answer, asked of every method, with intervals over ECGs.
//!
//! No criterion shows that a heatmap is right; each shows one way in which it can be wrong. `docs/CHALLENGE.md` has every definition, its
//! paper, and what it can and cannot tell. [`challenge`] asks the [`Criterion`]s of one network; [`summary`] puts figures to them.

mod control;
mod criteria;
mod explain;
mod findings;
pub mod infidelity;
pub mod localisation;
pub mod picture;
pub mod randomise;
pub mod removal;
pub mod replace;
mod run;
mod settings;
pub mod similarity;
mod subject;
pub mod summary;
mod tables;
mod words;
mod write;

pub use control::Control;
pub use findings::{Criterion, Findings, Measure, Row};
pub use run::{Challenged, challenge, left};
pub use settings::Settings;
pub use subject::Subject;
pub use tables::main_table;
pub use words::summary_words;
pub use write::{About, json, write};
