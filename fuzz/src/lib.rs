//! What the fuzz targets share: where input is put for readers that take a path, what is asked of every refusal, and the checks that
//! several targets make.
//!
//! A target is one file of `targets/`: a function of the input's bytes that panics where cardiograd does not keep a promise.

pub mod checksums;
mod draw;
pub mod plans;
pub mod programs;
pub mod recordings;
mod refusal;
pub mod tables;
pub mod tensors;
pub mod training;

pub use draw::Draw;
pub use refusal::{one_line, refused};

use std::path::PathBuf;
use std::sync::OnceLock;

/// Makes a function of bytes a target: under cargo-fuzz libFuzzer's entry, else a program that runs the files and folders it is given.
#[macro_export]
macro_rules! target {
    ($check:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $check(input));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::replay($check)
        }
    };
}

/// The path of a file of this process, in a folder made once. In memory where the run script puts the temporary files.
pub fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("cardiograd-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        folder
    });
    folder.join(name)
}

/// Writes a file of this process.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = path(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

/// The parts of an input that stands for several files: what lies between zero bytes; the last part is all the rest.
pub fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut parts = input.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Runs files, and all files of folders, one after another.
pub fn replay(check: fn(&[u8])) {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a readable folder");
            paths.extend(entries.map(|entry| entry.expect("a readable folder").path()));
            continue;
        }
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("a readable file"));
    }
    // Not left behind as by a fuzzer, which never comes to its end.
    std::fs::remove_dir_all(self::path("")).expect("the temporary folder");
}
