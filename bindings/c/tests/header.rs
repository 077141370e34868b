//! The header is what the sources say. `CARDIOGRAD_HEADER=write` writes it.

use std::path::Path;

#[test]
fn the_header_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let made = cbindgen::Builder::new().with_src(root.join("src/lib.rs")).with_config(config).generate().unwrap();
    let mut text = Vec::new();
    made.write(&mut text);
    let (path, text) = (root.join("include/cardiograd.h"), String::from_utf8(text).unwrap());
    if std::env::var("CARDIOGRAD_HEADER").is_ok_and(|wish| wish == "write") {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "write it anew: CARDIOGRAD_HEADER=write cargo test -p cardiograd-c");
}
