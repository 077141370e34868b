//! `cardiograd explain` on the tests' own network.
#![allow(dead_code)]

use cardiograd::files::npz;
use ndarray::ArrayD;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file of the tests.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The command, of a standardconv of the tests' data.
pub fn cardiograd(folder: &Path, model: &str, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    command.current_dir(folder).arg("explain").arg(data(model)).args(["--arch", "standardconv"]);
    command.args(arguments.split_whitespace()).output().unwrap()
}

/// What it prints where it succeeds.
pub fn stdout(folder: &Path, model: &str, arguments: &str) -> String {
    let output = cardiograd(folder, model, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The one line with which a command is refused; nothing may be left of its output.
pub fn refusal(folder: &Path, model: &str, arguments: &str, code: i32) -> String {
    let output = cardiograd(folder, model, &format!("{arguments} -o refused.npz"));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    let left: Vec<String> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.contains("refused") || name.contains("partial")), "{left:?}");
    text
}

/// An array of a result.
pub fn maps(path: &Path, name: &str) -> ArrayD<f64> {
    npz::read_one(path, name).unwrap().into_f64()
}
