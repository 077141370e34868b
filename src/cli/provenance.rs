//! Records of where results come from, as commands write them and `verify` reads them back: the options are those of the process, taken from
//! the parser, so that a new option is recorded without anybody thinking of it.

use super::Arguments;
use super::console::complain;
use crate::atomic::{WorkFolder, earlier_work, remove_if_there};
use crate::audit::provenance::{Digested, Record, record_of};
use crate::nn::ARCHITECTURES;
use crate::{Error, Result};
use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// The option that says where a result goes: a record is the same wherever that is.
pub(super) const OUTPUT: &str = "output";
/// The option that goes on after an interruption: a record is the same with and without one.
const RESUME: &str = "resume";

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

/// Digests of a command's inputs that are made while it works.
pub(super) struct Meanwhile(JoinHandle<Result<Vec<Digested>>>);

impl Meanwhile {
    /// The digests.
    ///
    /// # Errors
    /// As [`Digested::of`].
    pub fn wait(self) -> Result<Vec<Digested>> {
        self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Begins to digest a command's inputs, by a thread of its own: an error of the command does not wait for it.
///
/// # Errors
/// [`Error::Usage`] if the system gives no thread.
pub(super) fn digested_meanwhile<A: Recorded + Send + 'static>(args: &A) -> Result<Meanwhile> {
    let mut args = args.clone();
    let started = std::thread::Builder::new().name("digests".into()).spawn(move || digested(&mut args));
    started.map(Meanwhile).map_err(|error| Error::Usage(format!("a thread could not be started: {error}")))
}

fn digested<A: Recorded>(args: &mut A) -> Result<Vec<Digested>> {
    args.files().inputs.iter().map(|(role, input)| Digested::of(role, &input.path())).collect()
}

/// Writes the record of the result that this process' command has just written to its output.
pub(super) fn record<A: Recorded>(command: &str, args: &A) -> Result<()> {
    let output = args.clone().files().output.map(|output| output.clone());
    output.map_or(Ok(()), |output| record_at(command, args, &output))
}

/// Writes the record of what this process' command has just written at `place`: in the folder, or beside the file, which still have to get their
/// names.
pub(super) fn record_at<A: Recorded>(command: &str, args: &A, place: &Path) -> Result<()> {
    record_words(command, args, place, super::words())
}

/// The same of a command whose words were these.
pub(super) fn record_words<A: Recorded>(
    command: &str,
    args: &A,
    place: &Path,
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<()> {
    write_record(command, args, digested(&mut args.clone())?, place, words)
}

fn write_record<A: Recorded>(
    command: &str,
    args: &A,
    inputs: Vec<Digested>,
    place: &Path,
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<()> {
    let (arguments, defaults) = options(words)?;
    let record = Record { arguments, defaults, ..Record::new(command, args.seed(), inputs, place)? };
    record.sealed()?.write(place)
}

/// Records the file that lies ready in a work folder, and gives its companions, itself and the record their names, so that a kill leaves no new
/// file with the old one's record.
pub(super) fn publish<A: Recorded>(command: &str, args: &A, work: WorkFolder, companions: &[&OsStr]) -> Result<()> {
    publish_of(command, args, digested(&mut args.clone())?, work, companions)
}

/// The same of inputs whose digests are there already.
pub(super) fn publish_of<A: Recorded>(
    command: &str,
    args: &A,
    inputs: Vec<Digested>,
    work: WorkFolder,
    companions: &[&OsStr],
) -> Result<()> {
    write_record(command, args, inputs, work.place(), super::words())?;
    companions.iter().try_for_each(|name| forget(&work.path().with_file_name(name)))?;
    let names = [work.place().to_owned(), record_of(work.place())];
    let [Some(output), Some(record)] = names.each_ref().map(|path| path.file_name()) else { return Ok(()) };
    let names: Vec<&OsStr> = companions.iter().copied().chain([output]).collect();
    work.publish(&names, Some(record))
}

/// Removes the record of a file that is about to be replaced by something that gets none: it speaks of the file before.
pub(super) fn forget(file: &Path) -> Result<()> {
    let record = record_of(file);
    if file.is_file() && Record::read(&record).is_ok() { remove_if_there(&record) } else { Ok(()) }
}

/// Tells of what an earlier version of this program left unfinished where this one would go on with its own.
pub(super) fn tell_of_earlier_work(output: &Path) {
    tell_of(earlier_work(output));
}

/// The same of any such thing that is there.
pub(super) fn tell_of(earlier: Option<PathBuf>) {
    if let Some(place) = earlier {
        let text = "is the unfinished work of an earlier version: it is not gone on with; remove it when it is not needed";
        complain(format_args!("cardiograd: {} {text}\n", place.display()));
    }
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
        let Some(source) = own.value_source(id).filter(|_| ![OUTPUT, RESUME].contains(&id)) else { continue };
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
