//! A study in tasks that any engine can run: planned once, done anywhere, in any order that their needs allow, merged to the bytes of [`super::run`].
//!
//! A task is one call of what the study itself does: the ECGs of a range ([`crate::dataset::Source::generate`]), the network of a target
//! ([`crate::nn::TrainingFiles`]), the heatmaps and perturbation of a chunk of ECGs ([`super::Judge`]). [`merge`] puts what they left where a study keeps
//! what it has finished, and lets the study do the rest. So there is one pipeline, and no result can depend on who did which part of it.
//!
//! All of it lies in one folder, which may be shared by machines over NFS: files get their names by a rename, claims by a file that can be made
//! once. No other lock is relied on.

mod calibration;
mod claim;
mod done;
mod list;
pub(crate) mod merge;
pub(crate) mod work;

pub use calibration::{MachineCalibration, calibrate};
pub use done::{Done, State, states};
pub use list::{Needs, PLAN, Sizes, StudyPlan, Task, Work};
pub use merge::{check, merge};
pub use work::{Outcome, attempt};
