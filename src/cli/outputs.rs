//! `--column`: which of a network's outputs a command is about. A network with several never has one chosen for it.

use crate::attribution::Settings;
use crate::nn::Model;
use crate::{Error, Result};
use std::str::FromStr;

/// The outputs asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Every one.
    All,
    /// One, from 0.
    One(usize),
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match (text, text.parse()) {
            ("all", _) => Ok(Column::All),
            (_, Ok(number)) => Ok(Column::One(number)),
            _ => Err("a number from 0, or all, is expected".into()),
        }
    }
}

/// The outputs that a command is about, for examples of a shape (without the batch axis).
///
/// # Errors
/// [`Error::Usage`] listing the outputs if there are several and none was asked for, or what was asked for is none of them.
pub(super) fn columns(model: &Model, example: &[usize], asked: Option<Column>) -> Result<Vec<usize>> {
    let count = model.network.program().columns(example)?;
    match asked {
        None if count > 1 => Err(several(count, "which is asked for: --column NUMBER|all")),
        Some(Column::One(number)) if number >= count => Err(Error::Usage(format!("--column {number}: the network has {}", listed(count)))),
        Some(Column::One(number)) => Ok(vec![number]),
        None | Some(Column::All) => Ok((0..count).collect()),
    }
}

/// Refuses a network of several outputs where a command knows one only.
///
/// # Errors
/// [`Error::Usage`] listing the outputs.
pub(super) fn one_output(model: &Model, example: &[usize]) -> Result<()> {
    match model.network.program().columns(example)? {
        1 => Ok(()),
        count => Err(several(count, "this command judges networks of one; predict, explain and trace take --column")),
    }
}

/// The settings for explaining one output. Each has random maps of its own.
pub(super) fn of_column(settings: &Settings, column: usize) -> Settings {
    Settings { output: column, target: settings.target.wrapping_add(column as u32), ..settings.clone() }
}

fn several(count: usize, then: &str) -> Error {
    Error::Usage(format!("the network has {}: {then}", listed(count)))
}

/// The outputs by number.
fn listed(count: usize) -> String {
    match count {
        1 => "1 output (0)".into(),
        2..=8 => format!("{count} outputs ({})", (0..count).map(|at| at.to_string()).collect::<Vec<_>>().join(", ")),
        _ => format!("{count} outputs (0 to {})", count - 1),
    }
}
