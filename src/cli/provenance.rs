//! Records of where results come from, as commands write them and `verify` reads them back: the options are those of the process, taken from
//! the parser, so that a new option is recorded without anybody thinking of it.

use super::Arguments;
use crate::audit::provenance::{Digested, Record};
use crate::nn::ARCHITECTURES;
use crate::{Error, Result};
use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The option that says where a result goes: a record is the same wherever that is.
pub(super) const OUTPUT: &str = "output";

/// An input as it stands in a command's arguments.
pub(super) enum Input<'a> {
    /// As a path.
    Path(&'a mut PathBuf),
    /// As a word that may also be a name.
    Text(&'a mut String),
}

impl Input<'_> {
    pub fn path(&self) -> PathBuf {
        match self {
            Input::Path(path) => path.to_path_buf(),
            Input::Text(text) => PathBuf::from(text.as_str()),
        }
    }

    pub fn set(&mut self, to: &Path) {
        match self {
            Input::Path(path) => **path = to.to_owned(),
            Input::Text(text) => **text = to.display().to_string(),
        }
    }
}

/// The files among a command's arguments: inputs by role, and where the result goes.
pub(super) struct Files<'a> {
    pub inputs: Vec<(&'static str, Input<'a>)>,
    pub output: Option<&'a mut PathBuf>,
}

/// A command whose results are recorded.
pub(super) trait Recorded: Clone {
    /// Its files; the same list for the same arguments, whatever files there are.
    fn files(&mut self) -> Files<'_>;
    /// The seed of its draws.
    fn seed(&self) -> Option<u64>;
}

/// `--arch`, where it is a file.
pub(super) fn program_file(arch: &mut Option<String>) -> Option<(&'static str, Input<'_>)> {
    arch.as_mut().filter(|arch| !ARCHITECTURES.contains(&arch.as_str())).map(|arch| ("arch", Input::Text(arch)))
}

/// Writes the record of the result that this process' command has just written.
pub(super) fn record<A: Recorded>(command: &str, args: &A) -> Result<()> {
    let mut args = args.clone();
    let seed = args.seed();
    let files = args.files();
    let Some(output) = files.output else { return Ok(()) };
    let inputs = files.inputs.iter().map(|(role, input)| Digested::of(role, &input.path())).collect::<Result<_>>()?;
    let (arguments, defaults) = options(std::env::args_os())?;
    let record = Record { arguments, defaults, ..Record::new(command, seed, inputs, output)? };
    record.sealed()?.write(output)
}

/// The options of a command line for its command, in the parser's order: those given, and those left at their defaults. Options that no result
/// depends on are not among them: where it goes, and those of the program (`--threads`, `--json`, `--quiet`).
pub(super) fn options(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<(Vec<String>, Vec<String>)> {
    let command = Arguments::command();
    let matches = command.clone().try_get_matches_from(words).map_err(|error| Error::Usage(error.to_string()))?;
    let (mut given, mut defaults) = (Vec::new(), Vec::new());
    let Some((name, own)) = matches.subcommand() else { return Ok((given, defaults)) };
    for argument in command.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments) {
        let id = argument.get_id().as_str();
        let Some(source) = own.value_source(id).filter(|_| id != OUTPUT) else { continue };
        let list = if source == ValueSource::DefaultValue { &mut defaults } else { &mut given };
        match (argument.get_action(), argument.get_long()) {
            (ArgAction::SetTrue, Some(long)) if own.get_flag(id) => list.push(format!("--{long}")),
            (ArgAction::SetTrue, _) => (),
            (_, long) => {
                for value in own.get_raw(id).into_iter().flatten().map(|value| value.to_string_lossy()) {
                    list.push(long.map_or(value.to_string(), |long| format!("--{long}={value}")));
                }
            }
        }
    }
    Ok((given, defaults))
}
