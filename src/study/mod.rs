//! The whole study as one call: ECGs, networks, heatmaps, perturbation, tables, report.
//!
//! [`run`] does its work in stages and keeps what each has made, so that a study that was killed goes on where it was, and a study that is
//! run again with other settings repeats only what they change. [`judge`] is the middle part alone: heatmaps and perturbation of any model.

mod data;
mod judge;
mod outputs;
mod pipeline;
mod settings;
mod tables;
pub mod tasks;
mod training;

pub use data::deviation;
pub use judge::{Judge, Judged};
pub use outputs::NetworkOutput;
pub use pipeline::run;
pub use settings::{DataSource, LabelTable, StudySettings};
pub use tables::{Perturbed, area_table, exclusions_table, metrics_table, rank_table, scorings, write_area_tables};
