//! The one error type: each variant carries the facts (what, where, what to do) and prints as one line.

use std::fmt;
use std::path::PathBuf;

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

    /// The process exit code: 2 for a wrong request, 1 for anything that failed.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Error::Usage(_)) { 2 } else { 1 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(what) | Error::Program(what) | Error::Rule(what) | Error::Parameters(what) | Error::Data(what) => {
                f.write_str(what)
            }
            Error::Shape { at, expected, found } => write!(f, "{at}: expected shape {expected}, found {found}"),
            Error::Value { at, problem } => write!(f, "{at}: {problem}"),
            Error::Format { path, problem } => write!(f, "{}: {problem}", path.display()),
            Error::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
