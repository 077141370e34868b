//! Errors: `ValueError` for what was asked wrongly, `cardiograd.Error` for what failed.

use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    cardiograd,
    Error,
    PyException,
    "What failed: a file that is not what it should be, a method that cannot act on a network, data on which the work cannot be done."
);

/// An error's message, the options that it names spelt as Python's arguments.
pub fn spelt(error: &cardiograd::Error) -> String {
    [
        ("--unit mV", "unit=\"mV\""),
        ("--any-amplitude", "any_amplitude=True"),
        ("--any-length", "any_length=True"),
        ("--column NUMBER|all", "column=NUMBER or \"all\""),
        ("leave --arch out", "leave arch out"),
        ("--arch ", "arch="),
        ("--rate ", "rate="),
    ]
    .iter()
    .fold(error.to_string(), |text, (option, argument)| text.replace(option, argument))
}

/// The Python exception for an error of the library.
pub fn raised(error: cardiograd::Error) -> PyErr {
    let text = spelt(&error);
    match error {
        cardiograd::Error::Usage(_) | cardiograd::Error::Shape { .. } | cardiograd::Error::Value { .. } => PyValueError::new_err(text),
        cardiograd::Error::Stopped => PyKeyboardInterrupt::new_err(()),
        _ => Error::new_err(text),
    }
}

/// A `ValueError`.
pub fn wrong(text: impl Into<String>) -> PyErr {
    PyValueError::new_err(text.into())
}
