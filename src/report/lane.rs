//! One lead in a picture: colour bands, trace, and the marks around it.

use super::colour::{Style, hex};
use super::scale::{LEVELS, runs};
use super::svg::{Svg, Type, num, polyline};
use crate::ecg::Measurements;
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
    /// Palette and ground.
    pub style: Style,
}

impl Paint {
    /// The colour of a level.
    pub fn colour(&self, level: i8) -> String {
        let value = f64::from(level) / f64::from(LEVELS);
        hex(if self.signed { self.style.signed(value) } else { self.style.absolute(value.abs()) })
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
        svg.rect(x, y, width, 9.0, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\".7\"", inks.rule));
        let kind = Type::new(9.5, inks.muted);
        let limit = self.scale.map_or("0".into(), |scale| short(f64::from(scale)));
        if self.signed {
            svg.text(x, y + 20.0, kind, &format!("≤ −{limit} lowers"));
            svg.text(x + width / 2.0, y + 20.0, kind.middle(), "0");
            svg.text(x + width, y + 20.0, kind.end(), &format!("raises ≥ {limit}"));
        } else {
            svg.text(x, y + 20.0, kind, "0 no weight");
            svg.text(x + width, y + 20.0, kind.end(), &format!("much weight ≥ {limit}"));
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
    let digits = (2 - size.log10().floor() as i32).clamp(0, 6) as usize;
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

/// Ticks at the fiducials, over the lanes from `top` to `bottom`, with their names above.
pub fn ticks(svg: &mut Svg, lane: &Lane, (top, bottom): (f64, f64), measured: &Measurements, style: Style) {
    let inks = style.inks();
    let mut free = [f64::NEG_INFINITY; 3];
    for (name, sample) in fiducials(measured) {
        let x = lane.at(sample + 0.5);
        svg.line((x, top), (x, bottom), &format!("stroke=\"{}\" stroke-width=\".8\" stroke-dasharray=\"2 3\"", inks.tick));
        let half = 2.7 * name.len() as f64 + 1.0;
        let row = free.iter().position(|free| x - half >= *free).unwrap_or(0);
        free[row] = x + half;
        svg.text(x, top - 3.0 - 10.0 * row as f64, Type::new(9.0, inks.tick).middle(), name);
    }
}

/// A time axis in milliseconds (or seconds for long recordings) under a lane.
pub fn time_axis(svg: &mut Svg, lane: &Lane, y: f64, style: Style) {
    let inks = style.inks();
    let ms = 1000.0 * lane.samples as f64 / crate::ecg::leads::RATE;
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

    #[test]
    fn numbers_for_people() {
        assert_eq!([short(0.5), short(12.345), short(-3.2), short(1234.0)], ["0.500", "12.3", "−3.20", "1234"].map(String::from));
        assert_eq!(short(0.000012), "1.20·10⁻⁵");
    }
}
