//! The one error type: each variant carries the facts (what, where, what to do) and prints as one line, short and without control characters
//! whatever the files behind it hold.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. `Display` is a single line meant for a person.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request itself is wrong: an unknown name, an option out of range, options that exclude each other. Exit code 2.
    Usage(String),
    /// A tensor has the wrong shape. `at` names the input, node or parameter.
    Shape {
        /// The input, node or parameter concerned.
        at: String,
        /// The shape wanted, with axis names where that helps, e.g. `(N, 12, 600)`.
        expected: String,
        /// The shape found.
        found: String,
    },
    /// A value that cannot be worked with: NaN, infinite, out of range. `at` says which and where.
    Value {
        /// The place, e.g. `x.npy: ECG 3, lead V2, sample 17`.
        at: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A network description that is not valid (unknown node, wrong number of inputs, cycle).
    Program(String),
    /// A rule set that does not fit its program (an entry that matches nothing, an op that a method does not support).
    Rule(String),
    /// Parameters that do not fit a program: missing, extra, or of another shape.
    Parameters(String),
    /// A file whose contents are not what they should be.
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and what to do.
        problem: String,
    },
    /// The operating system's refusal, with the path it concerns.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Data on which the work cannot be done (an empty split, a target that is missing everywhere).
    Data(String),
    /// A result that could not be compared with anything, so that nothing is known of it. Exit code 3.
    Unverified(String),
    /// The caller stopped the work ([`crate::progress::stop`]).
    Stopped,
}

impl Error {
    /// A [`Error::Shape`] from any displayable parts.
    pub fn shape(at: impl Into<String>, expected: impl fmt::Debug, found: impl fmt::Debug) -> Self {
        Error::Shape { at: at.into(), expected: format!("{expected:?}"), found: format!("{found:?}") }
    }

    /// A [`Error::Format`].
    pub fn format(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Error::Format { path: path.into(), problem: problem.into() }
    }

    /// A [`Error::Io`].
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { path: path.into(), source }
    }

    /// The same error with the file in which it arose, unless it names that file already. Readers end with it, so that no message lacks a file.
    pub fn of_file(self, path: impl AsRef<Path>) -> Self {
        let file = path.as_ref().display().to_string();
        let within = |text: String| if text.contains(&file) { text } else { format!("{file}: {text}") };
        match self {
            Error::Usage(what) => Error::Usage(within(what)),
            Error::Program(what) => Error::Program(within(what)),
            Error::Rule(what) => Error::Rule(within(what)),
            Error::Parameters(what) => Error::Parameters(within(what)),
            Error::Data(what) => Error::Data(within(what)),
            Error::Unverified(what) => Error::Unverified(within(what)),
            Error::Shape { at, expected, found } => Error::Shape { at: within(at), expected, found },
            Error::Value { at, problem } => Error::Value { at: within(at), problem },
            named @ (Error::Format { .. } | Error::Io { .. } | Error::Stopped) => named,
        }
    }

    /// The process exit code: 2 for a wrong request, 3 for a result that could not be compared, 1 for anything that failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Unverified(_) => 3,
            _ => 1,
        }
    }
}

/// Bytes that a message shows of what is wrong, and of the place; with both it stays under 2 kB.
const PROBLEM: usize = 1300;
const PLACE: usize = 500;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |path: &Path| one_line(&path.display().to_string(), PLACE).into_owned();
        match self {
            Error::Usage(what)
            | Error::Program(what)
            | Error::Rule(what)
            | Error::Parameters(what)
            | Error::Data(what)
            | Error::Unverified(what) => f.write_str(&one_line(what, PLACE + PROBLEM)),
            Error::Shape { at, expected, found } => {
                let (at, expected, found) = (one_line(at, PLACE), one_line(expected, PLACE), one_line(found, PLACE));
                write!(f, "{at}: expected shape {expected}, found {found}")
            }
            Error::Value { at, problem } => write!(f, "{}: {}", one_line(at, PLACE), one_line(problem, PROBLEM)),
            Error::Format { path: file, problem } => write!(f, "{}: {}", path(file), one_line(problem, PROBLEM)),
            Error::Io { path: file, source } => write!(f, "{}: {}", path(file), one_line(&source.to_string(), PROBLEM)),
            Error::Stopped => f.write_str("stopped"),
        }
    }
}

/// Text that may come from a file, as it may stand in a line on a terminal: control characters, and those that only change how others are shown,
/// are escaped, and what is longer than `most` bytes loses its middle (names come first in our messages, reasons last).
pub(crate) fn one_line(text: &str, most: usize) -> Cow<'_, str> {
    let text = if text.contains(unseen) { Cow::Owned(escaped(text, most)) } else { Cow::Borrowed(text) };
    if text.len() <= most {
        return text;
    }
    const GAP: &str = " … ";
    let room = most.saturating_sub(GAP.len() + 4);
    let head = &text[..boundary(&text, room / 3 * 2)];
    let tail = &text[boundary(&text, text.len() - room / 3)..];
    Cow::Owned(format!("{head}{GAP}{tail}"))
}

/// Every character that is not to be seen, escaped. Of a very long text the middle, which would not be shown, is left out first.
fn escaped(text: &str, most: usize) -> String {
    let (head, tail) = match text.len() > 4 * most {
        true => (&text[..boundary(text, 2 * most)], &text[boundary(text, text.len() - 2 * most)..]),
        false => (text, ""),
    };
    let mut safe = String::with_capacity(head.len() + tail.len());
    for c in head.chars().chain(tail.chars()) {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if unseen(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    safe
}

/// Lines that are printed, with what is not to be seen in them (names in files, ids) spelt as JSON spells it, so that JSON stays what it is.
#[cfg(feature = "cli-core")]
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let bad = |c: char| unseen(c) && c != '\n' && c != '\t';
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if bad(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}")));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// The first place from `at` on that lies between two characters.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

/// Control characters, line separators, and the format characters of Unicode (direction, joining, tags), which hide or reorder text.
pub(crate) fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line_whatever_a_file_holds() {
        let hostile = "a\nb\u{1b}[31m\u{202e}c\u{7f}\u{9b}\u{200f}d\u{feff}".repeat(5000);
        let errors = [
            Error::Usage(hostile.clone()),
            Error::shape(hostile.clone(), [1, 2], &hostile),
            Error::Value { at: hostile.clone(), problem: hostile.clone() },
            Error::format(&hostile, hostile.clone()),
            Error::io(&hostile, std::io::Error::other(hostile.clone())),
            Error::Data("µ".repeat(100_000)),
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.len() < 2000 && !text.contains(unseen), "{} bytes: {text}", text.len());
        }
        let usual = "x.npy: ECG 3, lead V2, sample 17: µ — „usual“ text\\";
        assert_eq!(Error::Data(usual.into()).to_string(), usual);
        assert_eq!(Error::format("a\tb", "\u{202e}x").to_string(), "a\\tb: \\u{202e}x");
    }

    #[test]
    fn what_is_long_keeps_its_beginning_and_its_end() {
        let text = format!("tensor '{}': the reason", "n".repeat(1 << 20));
        let line = one_line(&text, 300);
        assert!(line.starts_with("tensor 'nnn") && line.ends_with("': the reason") && line.len() <= 300, "{line}");
    }

    #[cfg(feature = "cli-core")]
    #[test]
    fn printed_json_keeps_its_meaning() {
        let name = "a\u{1b}[2J\u{7f}\u{202e}b\tµ\n\u{e0041}";
        let json = serde_json::json!({ name: name }).to_string();
        let shown = printable(&json);
        assert!(!shown.contains(|c: char| unseen(c)), "{shown:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), serde_json::json!({ name: name }));
        assert_eq!(printable("two\nlines\twith µ"), "two\nlines\twith µ");
        assert_eq!(printable("x\u{1b}y"), "x\\u001by");
    }

    #[test]
    fn the_file_is_named_once() {
        let shape = Error::shape("tensor", [1], [2]);
        assert_eq!(shape.of_file("a.pt").of_file("a.pt").to_string(), "a.pt: tensor: expected shape [1], found [2]");
        assert_eq!(Error::format("b.pt", "cut off").of_file("a.pt").to_string(), "b.pt: cut off");
        assert_eq!(Error::Usage("no".into()).of_file("a.pt").exit_code(), 2);
    }
}
