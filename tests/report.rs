//! The pictures, tables and pages of a made-up study. They are written to the test folder of `target/`, to be looked at.

mod sample;

use cardiograd::dataset::Target;
use cardiograd::report::colour::{Palette, Style};
use cardiograd::report::heatmap::{self, Heatmap};
use cardiograd::report::svg::Svg;
use cardiograd::report::{paper, png};
use std::path::PathBuf;

fn keep(name: &str, svg: Svg) -> String {
    let text = svg.finish();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    std::fs::write(folder.join(format!("{name}.svg")), &text).expect("a picture");
    std::fs::write(folder.join(format!("{name}.png")), png::png(&text, if name.starts_with("paper") { 1.5 } else { 1.0 }).expect("a PNG"))
        .expect("a picture");
    assert!(roxmltree::Document::parse(&text).is_ok(), "{name} is not XML");
    text
}

#[test]
fn heatmaps_are_drawn_in_every_style() {
    let ecg = sample::ecg(1, 600);
    let map = sample::map(&ecg, Target::TV5, "deeplift", 1);
    let measured = sample::measured(0);
    let picture =
        Heatmap { ecg: ecg.view(), map: map.view(), title: "DeepLIFT, T amplitude in V5", unit: "µV per µV", fiducials: Some(&measured) };
    for (name, palette, dark) in
        [("light", Palette::RdBu, false), ("dark", Palette::RdBu, true), ("safe", Palette::Safe, false), ("safe_dark", Palette::Safe, true)]
    {
        let style = Style { palette, dark };
        let full = keep(&format!("full_{name}"), heatmap::full(&picture, style));
        assert!(full.len() < 150_000, "{} bytes", full.len());
        let averaged = keep(&format!("averaged_{name}"), heatmap::averaged(&picture, style));
        assert!(averaged.len() < 20_000, "{} bytes", averaged.len());
    }
    let other = sample::map(&ecg, Target::TV5, "guided_gradcam", 1);
    let other = Heatmap { map: other.view(), title: "Guided Grad-CAM, T amplitude in V5", ..picture };
    keep("pair", heatmap::pair(&picture, &other, Style::default()));
}

#[test]
fn ten_seconds_are_drawn_on_paper() {
    let ecg = sample::ecg(2, 5000);
    let map = sample::map(&ecg, Target::Qt, "saliency", 1);
    let picture = Heatmap { ecg: ecg.view(), map: map.view(), title: "Saliency, QT interval", unit: "ms per µV", fiducials: None };
    keep("paper_plain", paper::sheet(&picture, false, Style::default()));
    keep("paper_map", paper::sheet(&picture, true, Style::default()));
    keep("paper_dark", paper::sheet(&picture, true, Style { dark: true, ..Style::default() }));
}
