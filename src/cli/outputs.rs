//! `--column`: which of a network's outputs a command is about. A network with several never has one chosen for it.

use crate::attribution::Settings;
use crate::dataset::Target;
use crate::nn::Model;
use crate::{Error, Result, tape};
use std::fmt;
use std::str::FromStr;

/// The outputs asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Every one.
    All,
    /// One, from 0.
    One(usize),
    /// One by its name, where the model names its outputs.
    Named(String),
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match (text, text.parse()) {
            ("", _) => Err("a number from 0, a name, or all, is expected".into()),
            ("all", _) => Ok(Column::All),
            (_, Ok(number)) => Ok(Column::One(number)),
            (_, Err(_)) if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
                Err("a number from 0, a name, or all, is expected".into())
            }
            _ => Ok(Column::Named(text.to_owned())),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Column::All => f.write_str("all"),
            Column::One(number) => number.fmt(f),
            Column::Named(name) => f.write_str(name),
        }
    }
}

/// What each output of a model predicts, where it says so.
pub(super) fn targets(model: &Model) -> Vec<Target> {
    model.outputs().unwrap_or_default()
}

/// What one output of a model predicts, where it says so.
pub(super) fn output(model: &Model, column: usize) -> Option<Target> {
    targets(model).get(column).copied().or(model.target)
}

/// The outputs that a command is about, for examples of a shape (without the batch axis).
///
/// # Errors
/// [`Error::Usage`] listing the outputs if there are several and none was asked for, or what was asked for is none of them.
pub(super) fn columns(model: &Model, example: &[usize], asked: Option<&Column>) -> Result<Vec<usize>> {
    let count = model.network.program().columns(example)?;
    let own: Vec<&str> = Some(targets(model)).filter(|all| all.len() == count).into_iter().flatten().map(Target::name).collect();
    let listed = || listed(count, &own);
    match asked {
        None if count > 1 => Err(several(&listed(), "which is asked for: --column NUMBER|NAME|all")),
        Some(Column::One(number)) if *number >= count => Err(Error::Usage(format!("--column {number}: the network has {}", listed()))),
        Some(Column::One(number)) => Ok(vec![*number]),
        Some(Column::Named(name)) => match own.iter().position(|own| own == name) {
            Some(number) => Ok(vec![number]),
            None => Err(Error::Usage(format!(
                "--column {name}: the network has {}{}",
                listed(),
                if own.is_empty() { ", without names" } else { "" }
            ))),
        },
        None | Some(Column::All) => Ok((0..count).collect()),
    }
}

/// The one output that a command is about.
///
/// # Errors
/// As [`columns`]; [`Error::Usage`] for `all` of several.
pub(super) fn one_column(model: &Model, example: &[usize], asked: Option<&Column>) -> Result<usize> {
    match columns(model, example, asked)?[..] {
        [one] => Ok(one),
        ref several => Err(Error::Usage(format!("--column all: this command is about one of the {} outputs at a time", several.len()))),
    }
}

/// The model of one output: of a network of several, that which gives this one.
///
/// # Errors
/// As [`columns`].
pub(super) fn narrowed(model: Model, example: &[usize], column: usize) -> Result<Model> {
    match model.network.program().columns(example)? {
        1 => Ok(model),
        count => Ok(Model { network: tape::column(&model.network, column, count)?, ..model }),
    }
}

/// The settings for explaining one output. Each has random maps of its own.
pub(super) fn of_column(settings: &Settings, column: usize) -> Settings {
    Settings { output: column, target: settings.target.wrapping_add(column as u32), ..settings.clone() }
}

fn several(listed: &str, then: &str) -> Error {
    Error::Usage(format!("the network has {listed}: {then}"))
}

/// The outputs by number, with their names where they have some.
fn listed(count: usize, names: &[&str]) -> String {
    let one = |at: usize| names.get(at).map_or_else(|| at.to_string(), |name| format!("{at} {name}"));
    match count {
        1 => format!("1 output ({})", one(0)),
        2..=8 => format!("{count} outputs ({})", (0..count).map(one).collect::<Vec<_>>().join(", ")),
        _ => format!("{count} outputs ({} to {})", one(0), one(count - 1)),
    }
}
