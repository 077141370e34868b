//! The blinded expert review: one offline page per rater, a key kept apart, and the tally of the votes.
//!
//! A page is a function of the *set* of heatmaps of each screen, never of their names: heatmaps are put in an order of their own bytes
//! before they are shuffled. Two studies that differ only in which method has which name give the same pages, byte for byte.

mod key;
mod make;
mod page;
mod screens;
mod tally;
mod votes;

pub use key::{Key, RaterKey, ScreenKey, View};
pub use make::{Survey, make};
pub use page::guide;
pub use screens::Settings;
pub use tally::{Tally, tally};
pub use votes::{Checked, Vote, check, read};
