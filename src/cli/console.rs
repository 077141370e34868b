//! Standard output and standard error, the one place that writes to them. A reader that is gone ends the printing and nothing else: work, record and
//! verdict are as they would have been. An output that fails otherwise (a full disk) makes the command fail, once its work is done.

use crate::error::printable;
use crate::{Error, Result};
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// What ended the printing, if anything did.
static ENDED: Mutex<Option<io::Error>> = Mutex::new(None);

fn ended<R>(look: impl FnOnce(&mut Option<io::Error>) -> R) -> R {
    look(&mut ENDED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Writes one line to standard output, control characters of files escaped; nothing once that has failed. Never an error: [`end`] tells of it after the work.
pub(crate) fn print(line: impl Display) -> Result<()> {
    ended(|ended| {
        if ended.is_none() {
            let mut out = io::stdout().lock();
            *ended = writeln!(out, "{}", printable(&line.to_string())).and_then(|()| out.flush()).err();
        }
    });
    Ok(())
}

/// Whether nobody reads what is printed any more: time to stop, for a command that does nothing but print.
pub(crate) fn unread() -> bool {
    ended(|ended| ended.is_some())
}

/// Writes to standard error. Where that cannot be done, nobody is left to be told.
pub(crate) fn complain(text: impl Display) {
    let _ = io::stderr().lock().write_all(text.to_string().as_bytes());
}

/// The exit code of a command: its own, or that of a failure where it succeeded and what it printed was lost.
pub(super) fn end(outcome: Result<()>) -> ExitCode {
    let lost = ended(Option::take).filter(|error| error.kind() != ErrorKind::BrokenPipe);
    match outcome.and_then(|()| lost.map_or(Ok(()), |source| Err(Error::io("standard output", source)))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("cardiograd: {error}\n"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Shows what the parser has to say instead of arguments: help and version on standard output, what is wrong on standard error.
pub(super) fn show(message: &clap::Error) -> ExitCode {
    let printed = message.print().and_then(|()| io::stdout().flush());
    if message.use_stderr() {
        return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
    }
    ended(|ended| *ended = printed.err());
    end(Ok(()))
}
