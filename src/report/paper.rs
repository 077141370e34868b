//! A 10-s ECG as a recorder prints it: 3 × 4 leads and a rhythm strip, 25 mm/s, 10 mm/mV, with a 1 mV pulse before each row.

use super::colour::Style;
use super::heatmap::Heatmap;
use super::lane::{Lane, Paint};
use super::methods::is_signed;
use super::scale::scale;
use super::svg::{Svg, Type, num};
use crate::ecg::leads::{LEADS, RATE};

/// Millimetres per second.
const SPEED: f64 = 25.0;
/// Millimetres per µV.
const GAIN: f64 = 10.0 / 1000.0;
/// Height of a row.
const ROW: f64 = 30.0;
/// Width of the calibration pulse with its margins.
const PULSE: f64 = 10.0;
/// Margin around the paper.
const MARGIN: f64 = 5.0;

/// The leads of the three rows, in columns of a quarter of the recording each.
const ROWS: [[usize; 4]; 3] = [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]];
/// The lead of the rhythm strip.
const RHYTHM: usize = 1;

/// The sheet, in millimetres. `with_map` puts the heatmap behind the traces, on one joint scale.
pub fn sheet(heatmap: &Heatmap<'_>, with_map: bool, style: Style) -> Svg {
    let inks = style.inks();
    let samples = heatmap.ecg.ncols();
    let length = SPEED * samples as f64 / RATE;
    let (width, height) = (length + PULSE + 2.0 * MARGIN, 4.0 * ROW + 2.0 * MARGIN + 14.0);
    let mut svg = Svg::new(width, height, format!("12-lead ECG on paper: {}", heatmap.title), inks.ground).millimetres();
    let top = MARGIN + 5.0;
    paper(&mut svg, (MARGIN, top), (length + PULSE, 4.0 * ROW), style);
    svg.text(MARGIN, MARGIN + 2.5, Type::new(3.6, inks.ink).bold(), heatmap.title);
    let paint = Paint { scale: scale(heatmap.map), signed: is_signed(heatmap.map), style };
    for (row, leads) in ROWS.iter().enumerate() {
        let y = top + row as f64 * ROW;
        pulse(&mut svg, y, style);
        for (column, lead) in leads.iter().enumerate() {
            let (from, to) = (samples * column / 4, samples * (column + 1) / 4);
            strip(&mut svg, heatmap, (*lead, from, to), y, with_map.then_some(paint), style);
        }
    }
    let y = top + 3.0 * ROW;
    pulse(&mut svg, y, style);
    strip(&mut svg, heatmap, (RHYTHM, 0, samples), y, with_map.then_some(paint), style);
    let below = top + 4.0 * ROW + 5.0;
    svg.text(MARGIN, below, Type::new(3.2, inks.muted), "25 mm/s · 10 mm/mV · pulse 1 mV");
    if with_map {
        svg.open(&format!("transform=\"translate({} {}) scale(.34)\"", num(width - MARGIN - 102.0), num(below - 3.2)));
        paint.bar(&mut svg, (0.0, 0.0), 300.0, "");
        svg.close();
    }
    svg
}

fn paper(svg: &mut Svg, (x, y): (f64, f64), (width, height): (f64, f64), style: Style) {
    let inks = style.inks();
    for (step, ink, weight) in [(1.0, inks.paper[0], 0.1), (5.0, inks.paper[1], 0.18)] {
        let mut d = String::new();
        for i in 0..=(width / step) as usize {
            d += &format!("M{} {}v{}", num(x + step * i as f64), num(y), num(height));
        }
        for i in 0..=(height / step) as usize {
            d += &format!("M{} {}h{}", num(x), num(y + step * i as f64), num(width));
        }
        svg.path(&d, &format!("fill=\"none\" stroke=\"{ink}\" stroke-width=\"{weight}\""));
    }
}

fn pulse(svg: &mut Svg, y: f64, style: Style) {
    let zero = y + ROW * 0.6;
    let d = format!("M{} {}h2v-10h5v10h2", num(MARGIN), num(zero));
    svg.path(&d, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\".3\"", style.inks().ink));
}

/// One lead from sample `from` to `to` in the row at `y`.
fn strip(svg: &mut Svg, heatmap: &Heatmap<'_>, (lead, from, to): (usize, usize, usize), y: f64, paint: Option<Paint>, style: Style) {
    let per_sample = SPEED / RATE;
    let lane = Lane {
        x: MARGIN + PULSE + from as f64 * per_sample,
        y,
        width: (to - from) as f64 * per_sample,
        height: ROW,
        zero: ROW * 0.6,
        per_uv: GAIN,
        samples: to - from,
    };
    if let Some(paint) = paint {
        lane.bands(svg, heatmap.map.row(lead).iter().skip(from).take(to - from), paint);
    }
    lane.trace(svg, heatmap.ecg.row(lead).iter().skip(from).take(to - from), style.inks().ink, 0.25);
    let inks = style.inks();
    svg.line((lane.x, y + ROW * 0.6 - 2.0), (lane.x, y + ROW * 0.6 + 2.0), &format!("stroke=\"{}\" stroke-width=\".15\"", inks.muted));
    svg.text(lane.x + 1.0, y + 4.5, Type::new(3.4, inks.ink).bold(), LEADS[lead]);
}
