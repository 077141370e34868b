//! The direction in which things depend on one another, read from the sources: ECG → dataset → nn → attribution → evaluation → report,
//! all above the tape, the tape above the kernels; `unsafe` in kernels alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, or the one file.
fn sources(from: &Path) -> Vec<PathBuf> {
    if from.is_file() {
        return vec![from.to_path_buf()];
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
    all
}

/// The code of a file without comments, and without its unit tests, which may look anywhere.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The crate's modules that a piece of code names, as `crate::name` or in `use crate::{name, …}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for after in code.split("crate::").skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            all.insert(word(after));
            continue;
        };
        // The first word of each item at the list's own depth.
        let (mut depth, mut start) = (0, true);
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && (c.is_alphabetic() || c == '_') => {
                    all.insert(word(&list[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    all
}

#[test]
fn names_are_found() {
    let text = "use crate::tape::{Op, Real};\nuse crate::{Error, nn::{load, Model}, dataset};\nlet x = crate::random::Stage::Audit;";
    let found: Vec<String> = named(text).into_iter().collect();
    assert_eq!(found, ["Error", "dataset", "nn", "random", "tape"]);
}

/// Layers from the lowest; a module may name those above it in this list, itself, and what every layer may use.
/// `study`, `cli` and the other commands' modules stand on top and may name anything.
const LAYERS: [&[&str]; 8] = [&["tape"], &["ecg"], &["dataset"], &["nn"], &["attribution"], &["evaluation"], &["report"], &["challenge"]];

/// What is no layer: errors, files and the like.
const COMMON: [&str; 10] = ["Error", "Result", "error", "random", "progress", "atomic", "files", "cancel", "shape", "intake"];

/// Finer than the order of the layers: pairs that must not meet even though the order would allow it.
const APART: [(&str, &str, &str); 2] =
    [("attribution", "nn", "methods act on any network of the tape"), ("nn", "ecg", "training knows only arrays and targets")];

/// Files that still point upwards, and why; nothing may be added.
/// The reader of recordings opens datasets and measurement tables too, which it should be handed from above.
const KNOWN: [(&str, &str); 1] = [("src/ecg/read/source.rs", "dataset")];

fn module(name: &str) -> PathBuf {
    let folder = root().join("src").join(name);
    if folder.is_dir() { folder } else { folder.with_extension("rs") }
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for (level, names) in LAYERS.iter().enumerate() {
        let below: BTreeSet<&str> = LAYERS[..=level].iter().copied().flatten().copied().chain(COMMON).collect();
        let all: BTreeSet<&str> = LAYERS.iter().copied().flatten().copied().collect();
        for name in *names {
            for path in sources(&module(name)) {
                for other in named(&code(&path)) {
                    let upwards = all.contains(other.as_str()) && !below.contains(other.as_str());
                    let top = ["cli", "study", "audit", "survey", "export"].contains(&other.as_str());
                    let apart = APART.iter().find(|(from, to, _)| from == name && *to == other);
                    let place = path.strip_prefix(root()).unwrap().display().to_string().replace('\\', "/");
                    if (upwards || top || apart.is_some()) && !KNOWN.contains(&(place.as_str(), other.as_str())) {
                        let why = apart.map_or("it stands above", |(_, _, why)| why);
                        wrong.push(format!("{place} names crate::{other}: {why}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tape_stands_on_the_kernels_alone() {
    for path in sources(&module("tape")) {
        for other in named(&code(&path)) {
            assert!(["tape", "Error", "Result", "random", "shape"].contains(&other.as_str()), "{} names crate::{other}", path.display());
        }
    }
}

#[test]
fn kernels_know_slices_only() {
    for path in sources(&root().join("kernels/src")) {
        let code = code(&path);
        for foreign in ["ndarray", "cardiograd::", "serde"] {
            assert!(!code.contains(foreign), "{} names {foreign}", path.display());
        }
    }
    let manifest = fs::read_to_string(root().join("kernels/Cargo.toml")).unwrap();
    assert!(!manifest.contains("ndarray"));
}

#[test]
fn unsafe_stays_in_the_kernels() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    let is_word = |code: &str| code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
    for folder in ["src", "examples", "benches"].map(|name| root().join(name)).into_iter().filter(|folder| folder.is_dir()) {
        for path in sources(&folder) {
            assert!(!is_word(&code(&path)), "{} has unsafe code", path.display());
        }
    }
}

/// A pipe blocks, a device has no end: files come in through `intake`, whoever's they are said to be. What the system tells of itself is no file, and
/// a folder is opened to be synced.
#[test]
fn files_are_read_in_one_place() {
    for path in sources(&root().join("src")).iter().filter(|path| !path.ends_with("src/intake.rs")) {
        let reads = |line: &&str| ["fs::read(", "fs::read_to_string(", "File::open("].iter().any(|call| line.contains(call));
        let code = code(path);
        let found: Vec<&str> =
            code.lines().filter(reads).filter(|line| !line.contains("/proc/") && !line.contains("File::open(folder)")).collect();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

/// Functions whose last bits differ from platform to platform. √x, |x| and powers of two do not.
const PLATFORM: [&str; 24] = [
    "exp", "exp2", "exp_m1", "ln", "ln_1p", "log", "log2", "log10", "powf", "sin", "cos", "sin_cos", "tan", "asin", "acos", "atan",
    "atan2", "sinh", "cosh", "tanh", "asinh", "cbrt", "hypot", "mul_add",
];

/// What results are computed from is the same on every platform: elementary functions are those of the kernels. ECGs are still simulated, read and
/// measured with the platform's.
#[test]
fn no_result_hangs_on_the_platforms_functions() {
    let rooms =
        ["tape", "nn", "attribution", "evaluation", "report", "audit", "trace", "challenge", "study", "dataset", "survey", "export"];
    let folders = rooms.map(module).into_iter().chain([root().join("kernels/src")]);
    for path in folders.flat_map(|folder| sources(&folder)) {
        let code = code(&path);
        for function in PLATFORM {
            let own = path.ends_with("fused.rs") && function == "mul_add";
            let found = [".", "f32::", "f64::"].map(|before| format!("{before}{function}("));
            assert!(own || !found.iter().any(|call| code.contains(call)), "{}: {function} of the platform", path.display());
        }
    }
}

#[test]
fn ops_know_no_method_and_methods_no_op() {
    // Nor does the rest of the tape or the kernels: plans carry out formulas that rules offer.
    for path in [sources(&root().join("src/tape")), sources(&root().join("kernels/src"))].concat() {
        let code = code(&path).to_lowercase();
        for method in ["deeplift", "rescale", "guided", "deconvolution", "gradcam", "smoothgrad"] {
            assert!(!code.contains(method), "{} names {method}", path.display());
        }
    }
    for path in sources(&root().join("src/attribution")) {
        assert!(!code(&path).contains("tape::ops"), "{} reaches into the ops", path.display());
    }
}
