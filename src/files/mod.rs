//! Files that users bring and take away: arrays, weights, recordings.
//!
//! Readers take a file for hostile until it is shown otherwise: a claimed size is compared with what is there before anything
//! is allocated. Writers leave either the whole file or nothing ([`atomic`]).

mod archive;
pub mod digest;
pub mod npy;
pub mod npz;
pub mod state_dict;

pub use crate::atomic;
use crate::{Error, Result};
use std::path::Path;

/// The whole of a file that is kept in memory (weights, archives). Devices and pipes have no end that is known, and are refused.
pub(crate) fn read_whole(path: &Path) -> Result<Vec<u8>> {
    let kind = std::fs::metadata(path).map_err(|source| Error::io(path, source))?;
    if !kind.is_file() {
        return Err(Error::format(path, "is not a plain file"));
    }
    std::fs::read(path).map_err(|source| Error::io(path, source))
}
