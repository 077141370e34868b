//! Recordings of which any part can be read: files of hours and days, which are not held in memory.

use super::Lead;
use super::bytes::Found;
use std::ops::Range;

/// The most samples of all leads that are unpacked as one recording.
pub(super) const MOST_SAMPLES: usize = 1 << 27;

/// A recording that is read a part at a time.
pub(super) trait Ranged: Send {
    /// Sampling rate, Hz.
    fn rate(&self) -> f64;

    /// Samples of a lead.
    fn samples(&self) -> usize;

    /// The names of the leads.
    fn lead_names(&self) -> Vec<&str>;

    /// Refuses a file that is not one recording without pauses.
    fn check(&self) -> Found<()> {
        Ok(())
    }

    /// The leads from one sample to another.
    fn leads(&self, samples: Range<usize>) -> Found<Vec<Lead>>;
}
