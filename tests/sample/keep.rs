//! Pictures that tests leave behind to be looked at.

use cardiograd::report::png;
use cardiograd::report::svg::Svg;
use std::path::PathBuf;

/// Writes a picture as SVG and PNG to `pictures` in the test folder of `target/`; its text.
pub fn keep(name: &str, svg: Svg) -> String {
    let text = svg.finish();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    std::fs::write(folder.join(format!("{name}.svg")), &text).expect("a picture");
    std::fs::write(folder.join(format!("{name}.png")), png::png(&text, if name.starts_with("paper") { 1.5 } else { 1.0 }).expect("a PNG"))
        .expect("a picture");
    assert!(roxmltree::Document::parse(&text).is_ok(), "{name} is not XML");
    text
}
