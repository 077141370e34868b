//! The program as a script calls it in a folder, by a line of arguments.

use std::path::Path;
use std::process::{Command, Output};

/// Outside of any array job.
pub fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    for name in ["SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "SGE_TASK_ID"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments.split_whitespace());
    command
}

/// What it prints when all is well.
pub fn stdout(folder: &Path, arguments: &str) -> String {
    let output = command(folder, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The one line by which it refuses.
pub fn refusal(folder: &Path, arguments: &str, code: i32) -> String {
    let Output { status, stderr, .. } = command(folder, arguments).output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{arguments}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}
