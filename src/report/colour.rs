//! Colours: what a scaled attribution looks like, and the inks around it.
//!
//! RdBu and Blues are the ColorBrewer scales (Brewer, colorbrewer2.org) that the study used; the other palette runs from the vermilion to
//! the blue of Okabe and Ito, which stay apart for every common colour-vision deficiency.

use crate::{Error, Result};
use cardiograd_kernels::elementary;
use std::str::FromStr;

/// Red, green and blue, 0–255.
pub type Rgb = [u8; 3];

/// The scale that attributions are coloured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// The study's: RdBu for signed maps (blue raises the prediction), Blues for absolute ones.
    #[default]
    RdBu,
    /// Vermilion to blue, safe for colour-blind readers.
    Safe,
}

impl FromStr for Palette {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "rdbu" => Ok(Palette::RdBu),
            "safe" => Ok(Palette::Safe),
            _ => Err(Error::Usage(format!(
                "unknown palette '{text}': the palettes are rdbu (the study's) and safe (for colour-blind readers)"
            ))),
        }
    }
}

/// How a picture is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// The scale of attributions.
    pub palette: Palette,
    /// Light traces on a dark ground.
    pub dark: bool,
}

/// The inks of a picture, as CSS colours.
#[derive(Clone, Copy, Debug)]
pub struct Inks {
    /// The ground.
    pub ground: &'static str,
    /// Traces and main text.
    pub ink: &'static str,
    /// Labels; contrast with the ground at least 4.5.
    pub muted: &'static str,
    /// Frames and grids.
    pub rule: &'static str,
    /// Fiducial ticks.
    pub tick: &'static str,
    /// Fine and coarse lines of ECG paper.
    pub paper: [&'static str; 2],
}

const LIGHT: Inks =
    Inks { ground: "#ffffff", ink: "#111111", muted: "#525866", rule: "#d5d9e0", tick: "#8a5a00", paper: ["#f7d9d9", "#eda9a9"] };
const DARK: Inks =
    Inks { ground: "#11151c", ink: "#f3f4f6", muted: "#aab2c0", rule: "#39414f", tick: "#f2c14e", paper: ["#2b2228", "#4d343b"] };

// From −1 to 1.
const RDBU: [Rgb; 11] = [
    [103, 0, 31],
    [178, 24, 43],
    [214, 96, 77],
    [244, 165, 130],
    [253, 219, 199],
    [247, 247, 247],
    [209, 229, 240],
    [146, 197, 222],
    [67, 147, 195],
    [33, 102, 172],
    [5, 48, 97],
];
const SAFE: [Rgb; 7] = [[140, 56, 0], [213, 94, 0], [240, 170, 110], [247, 247, 247], [130, 190, 225], [0, 114, 178], [0, 62, 108]];
const RDBU_DARK: [Rgb; 5] = [[255, 138, 122], [196, 60, 55], [17, 21, 28], [42, 110, 190], [120, 190, 255]];
const SAFE_DARK: [Rgb; 5] = [[255, 176, 88], [196, 96, 10], [17, 21, 28], [20, 112, 178], [110, 195, 255]];
// From 0 to 1.
const BLUES: [Rgb; 9] = [
    [247, 251, 255],
    [222, 235, 247],
    [198, 219, 239],
    [158, 202, 225],
    [107, 174, 214],
    [66, 146, 198],
    [33, 113, 181],
    [8, 81, 156],
    [8, 48, 107],
];
const BLUES_DARK: [Rgb; 4] = [[17, 21, 28], [26, 72, 128], [54, 130, 205], [140, 205, 255]];

impl Style {
    /// The inks.
    pub fn inks(self) -> Inks {
        if self.dark { DARK } else { LIGHT }
    }

    /// The colour of a scaled attribution in [−1, 1].
    pub fn signed(self, value: f64) -> Rgb {
        let stops: &[Rgb] = match (self.palette, self.dark) {
            (Palette::RdBu, false) => &RDBU,
            (Palette::RdBu, true) => &RDBU_DARK,
            (Palette::Safe, false) => &SAFE,
            (Palette::Safe, true) => &SAFE_DARK,
        };
        between(stops, (value.clamp(-1.0, 1.0) + 1.0) / 2.0)
    }

    /// The colour of a scaled absolute attribution in [0, 1].
    pub fn absolute(self, value: f64) -> Rgb {
        let value = value.clamp(0.0, 1.0);
        match (self.palette, self.dark) {
            (_, true) => between(&BLUES_DARK, value),
            (Palette::RdBu, false) => between(&BLUES, value),
            (Palette::Safe, false) => between(&SAFE[3..], value),
        }
    }
}

/// Ten line colours with the dashes that keep them apart without colour. The control, `random`, is grey.
pub const SERIES: [(&str, &str); 9] = [
    ("#7a4b94", "2 2"),
    ("#0072b2", ""),
    ("#56a8d8", "6 2"),
    ("#009e73", ""),
    ("#6b8e23", "6 2 1 2"),
    ("#c98a00", ""),
    ("#cc79a7", "4 2"),
    ("#d55e00", ""),
    ("#a11d33", "8 2"),
];

/// Colour and dashes of a method's line.
pub fn series(method: &str) -> (&'static str, &'static str) {
    let known = super::methods::NINE.iter().position(|name| *name == method);
    known.map_or(("#6f7480", "1 2"), |index| SERIES[index])
}

fn between(stops: &[Rgb], share: f64) -> Rgb {
    let place = share * (stops.len() - 1) as f64;
    let lower = (place.floor() as usize).min(stops.len() - 2);
    let part = place - lower as f64;
    std::array::from_fn(|c| (f64::from(stops[lower][c]) * (1.0 - part) + f64::from(stops[lower + 1][c]) * part).round() as u8)
}

/// `#rrggbb`.
pub fn hex(colour: Rgb) -> String {
    format!("#{:02x}{:02x}{:02x}", colour[0], colour[1], colour[2])
}

/// The contrast of two colours (WCAG 2.2), 1 to 21.
pub fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: Rgb) -> f64 {
    let linear = colour.map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { elementary::pow((c + 0.055) / 1.055, 2.4) }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(css: &str) -> Rgb {
        std::array::from_fn(|i| u8::from_str_radix(&css[1 + 2 * i..3 + 2 * i], 16).expect("a hexadecimal colour"))
    }

    #[test]
    fn blue_raises_and_red_lowers() {
        let style = Style::default();
        let (up, down) = (style.signed(0.8), style.signed(-0.8));
        assert!(up[2] > up[0] && down[0] > down[2]);
        assert_eq!(style.signed(0.0), [247, 247, 247]);
        assert_eq!(style.signed(7.0), style.signed(1.0));
    }

    #[test]
    fn text_meets_aa_on_its_ground() {
        for inks in [LIGHT, DARK] {
            for ink in [inks.ink, inks.muted, inks.tick] {
                assert!(contrast(parse(ink), parse(inks.ground)) >= 4.5, "{ink} on {}", inks.ground);
            }
        }
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
    }

    #[test]
    fn a_trace_stays_visible_on_any_band() {
        for dark in [false, true] {
            for palette in [Palette::RdBu, Palette::Safe] {
                let style = Style { palette, dark };
                let (ink, ground) = (parse(style.inks().ink), parse(style.inks().ground));
                for step in -10..=10 {
                    let band = style.signed(f64::from(step) / 10.0);
                    let shown: Rgb = std::array::from_fn(|c| (0.7 * f64::from(band[c]) + 0.3 * f64::from(ground[c])) as u8);
                    assert!(contrast(ink, shown) >= 1.6, "{style:?} at {step}: {shown:?}");
                }
            }
        }
    }
}
