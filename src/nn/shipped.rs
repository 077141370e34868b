//! The models that come with the program: where they lie, and what they are called (`pulse2pulse/qt`: a family and a model of it).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The environment variable that names the folder of shipped models.
pub const FOLDER: &str = "CARDIOGRAD_MODELS";

/// The folders that may hold shipped models, the first that has one counting: that of the environment alone if it is named; else those beside the program
/// (`models`, `../share/cardiograd/models`), that of the repository in which it was built (`target/release/…`), and that of the repository it was installed from.
pub fn folders() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return vec![folder.into()];
    }
    let mut all = Vec::new();
    let program = std::env::current_exe().ok();
    if let Some(beside) = program.as_deref().and_then(Path::parent) {
        all.extend([beside.join("models"), beside.join("../share/cardiograd/models")]);
        let repository = beside.ancestors().skip(1).take(3).find(|folder| folder.join("Cargo.toml").is_file());
        all.extend(repository.map(|folder| folder.join("models")));
    }
    all.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
    all
}

/// The shipped models by name.
pub fn shipped() -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for (folder, family) in folders().iter().flat_map(|folder| entries(folder)) {
        for (path, file) in entries(&folder) {
            if let Some(name) = file.strip_suffix(".cgm") {
                found.entry(format!("{family}/{name}")).or_insert(path);
            }
        }
    }
    found
}

/// What lies in a folder, with names; nothing if it is none.
fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?))).collect()
}

/// The file of a model: the path as it is if something lies there, else the shipped model of that name, else the path as it is.
pub fn model_path(name: &str) -> PathBuf {
    let path = PathBuf::from(name);
    if path.exists() || !is_name(name) { path } else { shipped().remove(name).unwrap_or(path) }
}

/// Whether a text can be the name of a shipped model.
fn is_name(text: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    text.split_once('/').is_some_and(|(family, name)| word(family) && word(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_two_words() {
        assert!(is_name("pulse2pulse/qt") && is_name("a/r_v5"));
        assert!(["qt", "a/b/c", "../qt", "a/", "/b", "a/b.cgm", "a b/c"].iter().all(|text| !is_name(text)));
        assert_eq!(model_path("nowhere/nothing"), Path::new("nowhere/nothing"));
        assert_eq!(model_path("src/nn"), Path::new("src/nn"), "what is there counts");
    }
}
