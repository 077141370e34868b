//! One lead in a picture: colour bands, trace, and the marks around it.

use super::colour::{Palette, Rgb, Style, hex};
use super::methods::is_signed;
use super::png;
use super::scale::{LEVELS, level, runs, scale};
use super::svg::{Svg, Type, num, polyline};
use super::words::ends;
use crate::Result;
use crate::attribution::Meaning;
use crate::ecg::Measurements;
use cardiograd_kernels::elementary;
use ndarray::ArrayView2;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The strip of a picture in which one lead is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width, which `samples` fill.
    pub width: f64,
    /// Height.
    pub height: f64,
    /// Where 0 µV lies, below the top edge.
    pub zero: f64,
    /// User units per µV.
    pub per_uv: f64,
    /// Samples over the width.
    pub samples: usize,
    /// Samples a second.
    pub rate: f64,
}

impl Lane {
    /// Where a sample lies.
    pub fn at(&self, sample: f64) -> f64 {
        self.x + self.width * sample / self.samples as f64
    }

    /// Where a voltage lies, kept within the picture's strip and a little beyond.
    pub fn level(&self, uv: f64) -> f64 {
        (self.y + self.zero - uv * self.per_uv).clamp(self.y - self.height, self.y + 2.0 * self.height)
    }

    /// The base line of the lead's name in letters of height `size`: beside 0 µV, but within the strip, so that names of neighbours stay apart.
    pub fn name_at(&self, size: f64) -> f64 {
        self.y + (self.zero + 4.0).min(self.height - 3.0).max(size)
    }

    /// The colour bands of a heatmap: one path per colour, runs of equal colour as one rectangle.
    pub fn bands<'a>(&self, svg: &mut Svg, map: impl IntoIterator<Item = &'a f32>, paint: Paint) {
        let mut paths: BTreeMap<i8, String> = BTreeMap::new();
        for (from, to, level) in runs(map, paint.scale) {
            let (left, right) = (num(self.at(from as f64)), num(self.at(to as f64)));
            let _ = write!(paths.entry(level).or_default(), "M{left} 0H{right}V{}H{left}z", num(self.height));
        }
        if paths.is_empty() {
            return;
        }
        svg.open(&format!("transform=\"translate(0 {})\" fill-opacity=\".7\" shape-rendering=\"crispEdges\"", num(self.y)));
        for (level, d) in paths {
            svg.path(&d, &format!("fill=\"{}\"", paint.colour(level)));
        }
        svg.close();
    }

    /// The colour bands of a heatmap as a row of pixels: smaller than [`Lane::bands`] for maps that change with every sample.
    ///
    /// # Errors
    /// Those of [`png::row`].
    pub fn pixels<'a>(&self, svg: &mut Svg, map: impl IntoIterator<Item = &'a f32>, paint: Paint) -> Result<()> {
        let colours: Vec<Rgb> = map.into_iter().map(|value| paint.rgb(level(*value, paint.scale))).collect();
        svg.pixels((self.x, self.y), (self.width, self.height), &png::row(&colours)?, "opacity=\".7\"");
        Ok(())
    }

    /// Hatching over the negative values of a heatmap, by which signs are told apart without colour. Lines stand on a grid of their own, so that
    /// a map that changes its sign with every sample is hatched no more densely than another.
    pub fn hatch<'a>(&self, svg: &mut Svg, map: impl IntoIterator<Item = &'a f32>, paint: Paint) {
        if !paint.signed {
            return;
        }
        let map: Vec<&f32> = map.into_iter().collect();
        let mut d = String::new();
        let first = (self.x / paint.pitch).ceil() as i64;
        for x in (first..).map(|k| k as f64 * paint.pitch).take_while(|x| *x < self.x + self.width) {
            let sample = ((x - self.x) / self.width * map.len() as f64) as usize;
            if map.get(sample).is_some_and(|value| level(**value, paint.scale) <= -HATCHED) {
                let _ = write!(d, "M{} {}v{}", num(x), num(self.y), num(self.height));
            }
        }
        paint.lines(svg, &d);
    }

    /// How many times wider time is drawn against voltage than on ECG paper (25 mm/s, 10 mm/mV).
    pub fn proportion(&self) -> f64 {
        let per_second = self.width / (self.samples as f64 / self.rate);
        per_second / (1000.0 * self.per_uv) / 2.5
    }

    /// The trace of a lead, µV.
    pub fn trace<'a>(&self, svg: &mut Svg, lead: impl IntoIterator<Item = &'a f32>, ink: &str, weight: f64) {
        let points = lead.into_iter().enumerate().map(|(t, uv)| (self.at(t as f64 + 0.5), self.level(f64::from(*uv))));
        let d = polyline(points);
        svg.path(&d, &format!("fill=\"none\" stroke=\"{ink}\" stroke-width=\"{}\" stroke-linejoin=\"round\"", num(weight)));
    }
}

/// How attributions become colours in one heatmap.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// The value of full colour; `None` for a map of zeros.
    pub scale: Option<f32>,
    /// Whether signs are shown.
    pub signed: bool,
    /// What the values say, where that is known.
    pub meaning: Option<Meaning>,
    /// User units between lines of hatching.
    pub pitch: f64,
    /// Palette and ground.
    pub style: Style,
}

/// The first level that is hatched: a quarter of full colour.
const HATCHED: i8 = LEVELS / 4;

impl Paint {
    /// How a heatmap's values become colours, on one joint scale.
    pub fn of(map: ArrayView2<'_, f32>, meaning: Option<Meaning>, style: Style) -> Self {
        let signed = meaning.is_some_and(|meaning| meaning.signed) || is_signed(map);
        Paint { scale: scale(map), signed, meaning, pitch: 4.0, style }
    }

    /// The same for sizes, which have no sign.
    pub fn of_sizes<'a>(values: impl IntoIterator<Item = &'a f32>, meaning: Option<Meaning>, style: Style) -> Self {
        Paint { scale: scale(values), signed: false, meaning, pitch: 4.0, style }
    }

    /// Lines of hatching. The study's palette keeps them for print, where a page may lose its colours.
    fn lines(&self, svg: &mut Svg, d: &str) {
        if d.is_empty() {
            return;
        }
        let shown = if self.style.palette == Palette::Safe { "" } else { " style=\"display:none\"" };
        let (ink, weight) = (self.style.inks().ink, num(self.pitch * 0.16));
        svg.path(d, &format!("class=\"hatch\"{shown} fill=\"none\" stroke=\"{ink}\" stroke-width=\"{weight}\" stroke-opacity=\".55\""));
    }

    /// The colour of a level.
    pub fn colour(&self, level: i8) -> String {
        hex(self.rgb(level))
    }

    fn rgb(&self, level: i8) -> Rgb {
        let value = f64::from(level) / f64::from(LEVELS);
        if self.signed { self.style.signed(value) } else { self.style.absolute(value.abs()) }
    }

    /// A horizontal colour bar with its meaning below, `width` wide, top left at (x, y), about 34 high.
    pub fn bar(&self, svg: &mut Svg, (x, y): (f64, f64), width: f64, unit: &str) {
        let inks = self.style.inks();
        let levels: Vec<i8> = if self.signed { (-LEVELS..=LEVELS).collect() } else { (0..=LEVELS).collect() };
        let step = width / levels.len() as f64;
        svg.open("fill-opacity=\".7\" shape-rendering=\"crispEdges\"");
        for (i, level) in levels.iter().enumerate() {
            svg.rect(x + step * i as f64, y, step, 9.0, &format!("fill=\"{}\"", self.colour(*level)));
        }
        svg.close();
        if self.signed {
            let negative = width * f64::from(LEVELS - HATCHED + 1) / f64::from(2 * LEVELS + 1);
            let places = (1..).map(|k| x + 4.0 * f64::from(k)).take_while(|at| *at < x + negative);
            let d: String = places.map(|at| format!("M{} {}v9", num(at), num(y))).collect();
            Paint { pitch: 4.0, ..*self }.lines(svg, &d);
        }
        svg.rect(x, y, width, 9.0, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\".7\"", inks.rule));
        let kind = Type::new(9.5, inks.muted);
        let limit = self.scale.map_or("0".into(), |scale| short(f64::from(scale)));
        let [low, high] = ends(self.meaning);
        if self.signed {
            svg.text(x, y + 20.0, kind, format!("≤ −{limit} {low}").trim_end());
            svg.text(x + width / 2.0, y + 20.0, kind.middle(), "0");
            svg.text(x + width, y + 20.0, kind.end(), format!("{high} ≥ {limit}").trim_start());
        } else {
            svg.text(x, y + 20.0, kind, "0");
            svg.text(x + width, y + 20.0, kind.end(), &format!("≥ {limit}"));
        }
        svg.text(x + width / 2.0, y + 32.0, kind.middle(), unit);
    }
}

/// A number with three significant digits, in powers of ten where it is very small or large.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { value.to_string() };
    }
    if !(1e-3..1e5).contains(&size) {
        let text = format!("{value:.2e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let raised: String = exponent.chars().map(superscript).collect();
        return format!("{mantissa}·10{raised}");
    }
    let digits = (2 - elementary::log10(size).floor() as i32).clamp(0, 6) as usize;
    format!("{value:.digits$}").replace('-', "−")
}

fn superscript(c: char) -> char {
    match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4'..='9' => char::from_u32(0x2070 + (c as u32 - '0' as u32)).unwrap_or(c),
        other => other,
    }
}

/// The fiducials of a median beat that were measured: name and sample. R is at sample 240 by construction of the median.
pub fn fiducials(measured: &Measurements) -> Vec<(&'static str, f64)> {
    let found = [
        ("P on", measured.p_onset),
        ("P off", measured.p_offset),
        ("QRS on", measured.qrs_onset),
        ("J", measured.qrs_offset),
        ("T end", measured.t_offset),
    ];
    found.into_iter().filter_map(|(name, at)| at.map(|at| (name, at))).collect()
}

/// Lines at the fiducials of a beat, over lanes from `top` to `bottom`: dashed on a seam in the colour of the ground, so that they are seen on any
/// band. `size` is the height of letters that would stand beside them.
pub fn fiducial_lines(svg: &mut Svg, lane: &Lane, (top, bottom): (f64, f64), measured: &Measurements, size: f64, style: Style) {
    let inks = style.inks();
    let found = fiducials(measured);
    if found.is_empty() {
        return;
    }
    let d: String = found.iter().map(|(_, sample)| format!("M{} {}V{}", num(lane.at(sample + 0.5)), num(top), num(bottom))).collect();
    svg.path(&d, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"", inks.ground, num(size * 0.3)));
    let dash = format!("stroke-dasharray=\"{} {}\"", num(size * 0.33), num(size * 0.33));
    svg.path(&d, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" {dash}", inks.tick, num(size * 0.11)));
}

/// The names of the fiducials above `top`, in letters of height `size`, in up to three rows where they lie together.
pub fn fiducial_names(svg: &mut Svg, lane: &Lane, top: f64, measured: &Measurements, size: f64, style: Style) {
    let mut free = [f64::NEG_INFINITY; 3];
    for (name, sample) in fiducials(measured) {
        let x = lane.at(sample + 0.5);
        let half = size * (0.3 * name.len() as f64 + 0.11);
        let row = free.iter().position(|free| x - half >= *free).unwrap_or(0);
        free[row] = x + half;
        svg.text(x, top - size / 3.0 - size * 1.11 * row as f64, Type::new(size, style.inks().tick).middle(), name);
    }
}

/// Lines and names of the fiducials.
pub fn ticks(svg: &mut Svg, lane: &Lane, ends: (f64, f64), measured: &Measurements, style: Style) {
    fiducial_lines(svg, lane, ends, measured, 9.0, style);
    fiducial_names(svg, lane, ends.0, measured, 9.0, style);
}

/// A time axis in milliseconds (or seconds for long recordings) under a lane.
pub fn time_axis(svg: &mut Svg, lane: &Lane, y: f64, style: Style) {
    let inks = style.inks();
    let ms = 1000.0 * lane.samples as f64 / lane.rate;
    let (step, divide, unit) = match ms {
        ms if ms > 4000.0 && lane.width > 300.0 => (1000.0, 1000.0, "s"),
        ms if ms > 4000.0 => (2000.0, 1000.0, "s"),
        ms if ms > 900.0 && lane.width > 400.0 => (100.0, 1.0, "ms"),
        ms if ms > 900.0 => (400.0, 1.0, "ms"),
        _ => (50.0, 1.0, "ms"),
    };
    svg.line((lane.x, y), (lane.x + lane.width, y), &format!("stroke=\"{}\" stroke-width=\".8\"", inks.muted));
    let mut at = 0.0;
    while at <= ms + 1e-9 {
        let x = lane.x + lane.width * at / ms;
        svg.line((x, y), (x, y + 3.0), &format!("stroke=\"{}\" stroke-width=\".8\"", inks.muted));
        let last = at + step > ms + 1e-9;
        let label = if last { format!("{} {unit}", num(at / divide)) } else { num(at / divide) };
        // In narrow lanes, which stand beside each other, the end labels stay inside.
        let kind = match (lane.width < 300.0, at == 0.0, last) {
            (true, true, _) => Type::new(9.5, inks.muted),
            (true, _, true) => Type::new(9.5, inks.muted).end(),
            _ => Type::new(9.5, inks.muted).middle(),
        };
        svg.text(x, y + 13.0, kind, &label);
        at += step;
    }
}

/// A calibration mark: a bar of `uv` microvolts, its top at (x, y).
pub fn calibration(svg: &mut Svg, (x, y): (f64, f64), per_uv: f64, uv: f64, style: Style) {
    let inks = style.inks();
    let (height, name) = (uv * per_uv, if uv >= 1000.0 { format!("{} mV", num(uv / 1000.0)) } else { format!("{} µV", num(uv)) });
    svg.path(&format!("M{} {}h8m-4 0v{}m-4 0h8", num(x), num(y), num(height)), &format!("fill=\"none\" stroke=\"{}\"", inks.ink));
    svg.text(x + 12.0, y + height / 2.0 + 3.0, Type::new(9.5, inks.muted), &name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecg::leads::RATE;

    #[test]
    fn numbers_for_people() {
        assert_eq!([short(0.5), short(12.345), short(-3.2), short(1234.0)], ["0.500", "12.3", "−3.20", "1234"].map(String::from));
        assert_eq!(short(0.000012), "1.20·10⁻⁵");
    }

    /// 1.2 s on 300 units and 1 mV on 100: 250 units a second, 2.5 times as much as a mV, as 25 mm/s is to 10 mm/mV.
    #[test]
    fn paper_has_proportion_one() {
        let lane = Lane { x: 0.0, y: 0.0, width: 300.0, height: 100.0, zero: 50.0, per_uv: 0.1, samples: 600, rate: RATE };
        assert!((lane.proportion() - 1.0).abs() < 1e-12);
        assert!((Lane { width: 1200.0, ..lane }.proportion() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn negative_values_alone_are_hatched() {
        let map: Vec<f32> = (0..600).map(|t| if t < 300 { 1.0 } else { -1.0 }).collect();
        let lane = Lane { x: 0.0, y: 0.0, width: 600.0, height: 20.0, zero: 10.0, per_uv: 0.1, samples: 600, rate: RATE };
        for (palette, hidden) in [(Palette::Safe, false), (Palette::RdBu, true)] {
            let style = Style { palette, dark: false };
            let view = ArrayView2::from_shape((1, 600), &map).expect("a map");
            let mut svg = Svg::new(600.0, 20.0, "", "#fff");
            lane.hatch(&mut svg, &map, Paint::of(view, None, style));
            let text = svg.finish();
            let d = text.split("<path d=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("hatching");
            let places: Vec<f64> = d.split('M').skip(1).filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
            assert!(places.len() == 75 && places.iter().all(|x| *x >= 300.0), "{d}");
            assert_eq!(text.contains("display:none"), hidden);
        }
    }
}
