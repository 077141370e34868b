//! ECGs and heatmaps as pictures. They are written to the test folder of `target/`, to be looked at.

#[path = "sample/keep.rs"]
mod keep;
mod sample;

use cardiograd::dataset::Target;
use cardiograd::report::colour::{Palette, Style};
use cardiograd::report::heatmap::{self, Heatmap};
use cardiograd::report::methods::meaning;
use cardiograd::report::paper;
use keep::keep;
use ndarray::Array2;
use proptest::prelude::*;

#[test]
fn heatmaps_are_drawn_in_every_style() {
    let ecg = sample::ecg(1, 600);
    let map = sample::map(&ecg, Target::TV5, "deeplift", 1);
    let measured = sample::measured(0);
    let picture = Heatmap {
        ecg: ecg.view(),
        map: map.view(),
        title: "DeepLIFT, T amplitude in V5",
        unit: "µV",
        meaning: meaning("deeplift", false, None),
        fiducials: Some(&measured),
        axes: None,
    };
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
    let other = Heatmap {
        map: other.view(),
        title: "Guided Grad-CAM, T amplitude in V5",
        meaning: meaning("guided_gradcam", false, None),
        ..picture
    };
    keep("pair", heatmap::pair(&picture, &other, Style::default()));
}

/// Lines of text: x and y of the base line, height, text.
fn texts(svg: &str) -> Vec<(f64, f64, f64, String)> {
    let document = roxmltree::Document::parse(svg).expect("XML");
    let number = |node: &roxmltree::Node<'_, '_>, name: &str| node.attribute(name).and_then(|text| text.parse().ok()).expect("a number");
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts
        .map(|node| (number(&node, "x"), number(&node, "y"), number(&node, "font-size"), node.text().unwrap_or_default().to_owned()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the heights and offsets of the leads, their names stand in their order, apart by at least their own height.
    #[test]
    fn names_of_leads_never_touch(offsets in proptest::collection::vec(-3000.0_f32..3000.0, 12), heights in proptest::collection::vec(0.0_f32..4000.0, 12)) {
        let ecg = Array2::from_shape_fn((12, 600), |(lead, t)| offsets[lead] * f32::from(t > 300) + if t == 240 { heights[lead] } else { 0.0 });
        let map = Array2::from_elem((12, 600), 1.0_f32);
        let picture = Heatmap { ecg: ecg.view(), map: map.view(), title: "", unit: "", meaning: None, fiducials: None, axes: None };
        let texts = texts(&heatmap::full(&picture, Style::default()).finish());
        let names: Vec<_> = texts.iter().filter(|text| cardiograd::ecg::leads::LEADS.contains(&text.3.as_str())).collect();
        prop_assert_eq!(names.len(), 12);
        for pair in names.windows(2) {
            prop_assert!(pair[1].1 - pair[0].1 >= pair[0].2, "{} at {} and {} at {}", pair[0].3, pair[0].1, pair[1].3, pair[1].1);
        }
    }
}

#[test]
fn fiducials_that_lie_together_are_named_in_rows() {
    let ecg = sample::ecg(1, 600);
    let map = sample::map(&ecg, Target::Pr, "deeplift", 1);
    let mut measured = sample::measured(0);
    (measured.p_onset, measured.p_offset, measured.qrs_onset) = (Some(200.0), Some(205.0), Some(210.0));
    let picture = Heatmap { ecg: ecg.view(), map: map.view(), title: "", unit: "", meaning: None, fiducials: Some(&measured), axes: None };
    let texts = texts(&heatmap::averaged(&picture, Style::default()).finish());
    let row = |name: &str| texts.iter().find(|text| text.3 == name).expect("a name").1;
    assert!(row("P on") - row("P off") >= 9.0 && row("P off") - row("QRS on") >= 9.0);
    assert_eq!(row("P on"), row("T end"));
}

/// Waves taller than a row get more paper, and stay on it.
#[test]
fn tall_waves_stay_on_the_paper() {
    let mut ecg = sample::ecg(2, 5000);
    ecg[[0, 600]] = 3600.0;
    ecg[[1, 4000]] = -2500.0;
    let map = Array2::<f32>::zeros((12, 5000));
    let picture = Heatmap { ecg: ecg.view(), map: map.view(), title: "", unit: "", meaning: None, fiducials: None, axes: None };
    let height = |picture: &Heatmap<'_>| paper::sheet(picture, false, Style::default()).size().1;
    let usual = height(&Heatmap { ecg: sample::ecg(2, 5000).view(), ..picture });
    assert_eq!(height(&picture) - usual, 20.0 + 15.0);
}

#[test]
fn ten_seconds_are_drawn_on_paper() {
    let ecg = sample::ecg(2, 5000);
    let map = sample::map(&ecg, Target::Qt, "saliency", 1);
    let picture = Heatmap {
        ecg: ecg.view(),
        map: map.view(),
        title: "Saliency, QT interval",
        unit: "ms",
        meaning: meaning("saliency", false, None),
        fiducials: None,
        axes: None,
    };
    keep("paper_plain", paper::sheet(&picture, false, Style::default()));
    keep("paper_map", paper::sheet(&picture, true, Style::default()));
    keep("paper_dark", paper::sheet(&picture, true, Style { dark: true, ..Style::default() }));
}

/// The points of a path in the relative steps in which traces are written.
fn points(d: &str) -> Vec<(f64, f64)> {
    let mut numbers: Vec<f64> = Vec::new();
    let mut word = String::new();
    for c in d.trim_start_matches('M').chars().chain([' ']) {
        if (c == '-' || !"0123456789.".contains(c)) && !word.is_empty() {
            numbers.extend(word.parse::<f64>());
            word.clear();
        }
        if "0123456789.-".contains(c) {
            word.push(c);
        }
    }
    let mut at = (0.0, 0.0);
    let step = |pair: &[f64]| {
        at = (at.0 + pair[0], at.1 + pair[1]);
        at
    };
    numbers.chunks_exact(2).map(step).collect()
}

/// A median beat stands whole in each lead's cell at 25 mm/s and 10 mm/mV, with its caption and colour bar inside of the page.
#[test]
fn a_median_beat_is_whole_on_paper() {
    let mut ecg = Array2::<f32>::zeros((12, 600));
    // 1 mV at sample 240 of V5, as sharp as can be.
    ecg[[10, 240]] = 1000.0;
    let map = sample::map(&sample::ecg(1, 600), Target::TV5, "deeplift", 1);
    let measured = sample::measured(0);
    let picture = Heatmap {
        ecg: ecg.view(),
        map: map.view(),
        title: "DeepLIFT",
        unit: "µV",
        meaning: meaning("deeplift", false, None),
        fiducials: Some(&measured),
        axes: None,
    };
    let svg = paper::sheet(&picture, true, Style::default());
    let (width, height) = svg.size();
    let text = svg.finish();
    let traces: Vec<&str> = text.split("<g transform=\"scale(.1)\"><path d=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(traces.len(), 12);
    for d in &traces {
        let all = points(d);
        let (first, last) = (all[0].0 / 10.0, all[all.len() - 1].0 / 10.0);
        assert!((last - first - 599.0 * 0.05).abs() < 0.03, "a beat of 1.2 s takes 30 mm, drawn are {}", last - first);
    }
    // The cells of a row in columns: V5 is the second of the last one.
    let v5 = traces.iter().map(|d| points(d)).find(|all| all.iter().any(|p| p.1 < all[0].1 - 50.0)).expect("V5 has its wave");
    let high = v5.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    assert!((v5[0].1 - high - 100.0).abs() < 0.2, "1 mV takes 10 mm, drawn are {}", (v5[0].1 - high) / 10.0);
    for (x, y, size, words) in texts(&text).iter().filter(|t| t.3.contains("mm/s") || t.3.contains("pulse")) {
        assert!(*x >= 0.0 && x + 0.5 * size * words.chars().count() as f64 <= width && *y <= height, "{words} leaves the page");
    }
    let bar = text.split("<g transform=\"translate(").last().and_then(|rest| rest.split(')').next()).expect("a colour bar");
    let places: Vec<f64> = bar.split(' ').filter_map(|v| v.parse().ok()).collect();
    assert!(places[0] >= 0.0 && places[0] + 0.34 * 300.0 <= width && places[1] + 0.34 * 34.0 <= height, "{bar} of {width} × {height}");
    assert!(text.contains(">QRS on<") && text.contains("would raise"));
    keep(
        "paper_beat",
        paper::sheet(&Heatmap { ecg: sample::ecg(1, 600).view(), ..picture }, true, Style { palette: Palette::Safe, dark: false }),
    );
}

/// Fiducials are of a median beat: a recording has none to mark.
#[test]
fn a_recording_on_paper_has_no_fiducials() {
    let ecg = sample::ecg(2, 5000);
    let map = Array2::<f32>::zeros((12, 5000));
    let measured = sample::measured(0);
    let picture = Heatmap { ecg: ecg.view(), map: map.view(), title: "", unit: "", meaning: None, fiducials: Some(&measured), axes: None };
    assert!(!paper::sheet(&picture, false, Style::default()).finish().contains("QRS on"));
}
