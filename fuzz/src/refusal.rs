//! What is asked of every refusal: one line of reasonable length, nothing in it that acts on a terminal, and the file's name.

use cardiograd::{Error, Result};
use std::path::Path;

/// The longest message, bytes.
const LONGEST: usize = 2048;

/// The value, or `None` for a refusal that is as refusals have to be.
pub fn refused<T>(outcome: Result<T>, path: &Path) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            let text = one_line(&error);
            let name = path.file_name().expect("the file has a name").to_string_lossy();
            assert!(text.contains(&*name), "does not name the file {name}: {text}");
            None
        }
    }
}

/// The message of a refusal that may have no file to name.
pub fn one_line(error: &Error) -> String {
    let text = error.to_string();
    assert!(!text.is_empty(), "an empty message: {error:?}");
    assert!(text.len() <= LONGEST, "a message of {} bytes: {text:?}", text.len());
    assert!(!text.contains(char::is_control), "a control character: {text:?}");
    text
}
