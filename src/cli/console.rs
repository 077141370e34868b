//! Standard output and standard error, the one place that writes to them. A reader that is gone ends the printing and nothing else: work, record and
//! verdict are as they would have been. An output that fails otherwise (a full disk) makes the command fail, once its work is done.

use crate::error::printable;
use crate::{Error, Result};
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// What ended the printing, if anything did.
static ENDED: Mutex<Option<io::Error>> = Mutex::new(None);

fn ended<R>(look: impl FnOnce(&mut Option<io::Error>) -> R) -> R {
    look(&mut ENDED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Writes one line to standard output, control characters of files escaped; nothing once that has failed. Never an error: [`end`] tells of it after the work.
pub(crate) fn print(line: impl Display) -> Result<()> {
    write_line(&printable(&line.to_string()));
    Ok(())
}

fn write_line(line: &str) {
    ended(|ended| {
        if ended.is_none() {
            let mut out = io::stdout().lock();
            *ended = writeln!(out, "{line}").and_then(|()| out.flush()).err();
        }
    });
}

/// What the first word of a line says, and its colour where there are colours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    /// Passed, verified: green.
    Good,
    /// Failed, changed: red.
    Bad,
    /// To be minded: yellow.
    Warning,
}

/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 100;

/// Writes a line that begins with a word of a tone. On a terminal the word is coloured, unless `NO_COLOR` is set, and the rest wraps below itself;
/// elsewhere it is one line of plain text.
pub(crate) fn print_toned(tone: Tone, word: &str, rest: impl Display) -> Result<()> {
    let terminal = io::stdout().is_terminal();
    let coloured = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(COLUMNS);
    let (word, rest) = (printable(word).into_owned(), rest.to_string());
    let text = if terminal { wrapped(&printable(&rest), word.chars().count() + 2, columns) } else { printable(&rest).into_owned() };
    write_line(&format!("{}  {text}", painted(&word, tone, coloured)));
    Ok(())
}

fn painted(word: &str, tone: Tone, coloured: bool) -> String {
    let colour = match tone {
        Tone::Good => 32,
        Tone::Bad => 31,
        Tone::Warning => 33,
    };
    if coloured { format!("\u{1b}[1;{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
}

/// Text broken between words into lines of at most `columns`, all but the first indented; a word longer than a line has one of its own.
fn wrapped(text: &str, indent: usize, columns: usize) -> String {
    let room = columns.saturating_sub(indent).max(20);
    let (mut out, mut used) = (String::new(), 0);
    for word in text.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > 0 && used + length > room {
            out.truncate(out.trim_end().len());
            out += &format!("\n{:indent$}", "");
            used = 0;
        }
        out += word;
        used += word.chars().count();
    }
    out
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
    if message.use_stderr() {
        match message.kind() {
            clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => drop(message.print()),
            _ => complain(format_args!("cardiograd: {}\n", in_one_line(&message.to_string()))),
        }
        return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
    }
    let printed = message.print().and_then(|()| io::stdout().flush());
    ended(|ended| *ended = printed.err());
    end(Ok(()))
}

/// What the parser says in several lines, in one, as every other refusal: its usage and where to find help are left out.
fn in_one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let mut all = String::new();
    for line in lines.filter(|line| !line.is_empty()) {
        if !all.is_empty() {
            all.push_str(if line.starts_with("tip:") || line.starts_with('[') { "; " } else { " " });
        }
        all.push_str(line.trim_start_matches("error: ").trim_matches(['[', ']']));
    }
    all.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_refuses_in_one_line() {
        let text = "error: invalid value 'x' for '--source <SOURCE>'\n  [possible values: simulator, pulse2pulse]\n\nFor more information, try '--help'.\n";
        assert_eq!(in_one_line(text), "invalid value 'x' for '--source <SOURCE>'; possible values: simulator, pulse2pulse");
        let text =
            "error: the following required arguments were not provided:\n  --target <TARGET>\n  <DATASET>\n\nUsage: cardiograd train …\n";
        assert_eq!(in_one_line(text), "the following required arguments were not provided: --target <TARGET> <DATASET>");
        let text = "error: unrecognized subcommand 'trian'\n\n  tip: a similar subcommand exists: 'train'\n\nUsage: cardiograd\n";
        assert_eq!(in_one_line(text), "unrecognized subcommand 'trian'; tip: a similar subcommand exists: 'train'");
    }

    #[test]
    fn colours_are_for_terminals_and_lines_wrap_below_themselves() {
        assert_eq!(painted("FAIL", Tone::Bad, true), "\u{1b}[1;31mFAIL\u{1b}[0m");
        assert_eq!([painted("pass", Tone::Good, false), painted("note", Tone::Warning, false)], ["pass", "note"]);
        let text = "completeness of DeepLIFT (f64) 1.00e-12 (bound 1e-6) ECG 5";
        let lines = wrapped(text, 6, 40);
        assert!(
            lines.lines().all(|line| line.chars().count() <= 40) && lines.lines().skip(1).all(|line| line.starts_with("      ")),
            "{lines}"
        );
        assert_eq!(lines.split_whitespace().collect::<Vec<_>>(), text.split_whitespace().collect::<Vec<_>>());
        assert_eq!((wrapped(text, 6, 200), wrapped("", 6, 40)), (text.to_owned(), String::new()));
        let long = "x".repeat(90);
        assert_eq!(wrapped(&format!("a {long} b"), 2, 30).lines().count(), 3);
    }
}
