//! `cardiograd study`.

use super::Globals;
use crate::{Error, Result};

/// Arguments of `cardiograd study`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: &Args, _globals: &Globals) -> Result<()> {
    Err(Error::Usage("not there yet".into()))
}
