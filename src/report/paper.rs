//! A 10-s ECG as a recorder prints it: 3 × 4 leads and a rhythm strip, 25 mm/s, 10 mm/mV, with a 1 mV pulse before each row.

use super::colour::Style;
use super::heatmap::{Heatmap, meaning};
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
/// From the top of a row down to 0 µV.
const ZERO: f64 = 18.0;
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
    let (above, below) = overhang(heatmap);
    let (width, height) = (length + PULSE + 2.0 * MARGIN, above + 4.0 * ROW + below + 2.0 * MARGIN + 14.0);
    let mut svg = Svg::new(width, height, format!("12-lead ECG on paper: {}", heatmap.title), inks.ground).millimetres();
    let top = MARGIN + 5.0 + above;
    paper(&mut svg, (MARGIN, top - above), (length + PULSE, above + 4.0 * ROW + below), style);
    svg.text(MARGIN, MARGIN + 2.5, Type::new(3.6, inks.ink).bold(), heatmap.title);
    let paint = Paint { scale: scale(heatmap.map), signed: is_signed(heatmap.map), style };
    for (row, leads) in ROWS.iter().enumerate() {
        let y = top + row as f64 * ROW;
        pulse(&mut svg, y, style);
        for (column, lead) in leads.iter().enumerate() {
            let (from, to) = quarter(samples, column);
            strip(&mut svg, heatmap, (*lead, from, to), y, with_map.then_some(paint), style);
        }
    }
    let y = top + 3.0 * ROW;
    pulse(&mut svg, y, style);
    strip(&mut svg, heatmap, (RHYTHM, 0, samples), y, with_map.then_some(paint), style);
    let foot = top + 4.0 * ROW + below + 5.0;
    svg.text(MARGIN, foot, Type::new(3.2, inks.muted), "25 mm/s · 10 mm/mV · pulse 1 mV");
    if with_map && paint.scale.is_some() {
        svg.open(&format!("transform=\"translate({} {}) scale(.34)\"", num(width - MARGIN - 102.0), num(foot - 3.2)));
        paint.bar(&mut svg, (0.0, 0.0), 300.0, &meaning(heatmap.unit, paint.signed));
        svg.close();
    }
    svg
}

/// Paper to add above the first row and below the last, in whole large squares, for waves that are taller than a row has room for.
fn overhang(heatmap: &Heatmap<'_>) -> (f64, f64) {
    let samples = heatmap.ecg.ncols();
    let first = ROWS[0].iter().enumerate().flat_map(|(column, lead)| segment(heatmap, *lead, quarter(samples, column)));
    let highest = first.fold(0.0, |most, uv| uv.max(most)) * GAIN - ZERO;
    let lowest = segment(heatmap, RHYTHM, (0, samples)).fold(0.0, |least, uv| uv.min(least)) * -GAIN - (ROW - ZERO);
    let squares = |mm: f64| (mm / 5.0).ceil().clamp(0.0, 5.0) * 5.0;
    (squares(highest + 1.0), squares(lowest + 1.0))
}

/// The samples of a column of leads: from, to.
fn quarter(samples: usize, column: usize) -> (usize, usize) {
    (samples * column / 4, samples * (column + 1) / 4)
}

fn segment<'a>(heatmap: &Heatmap<'a>, lead: usize, (from, to): (usize, usize)) -> impl Iterator<Item = f64> + use<'a> {
    let ecg = heatmap.ecg;
    (from..to).map(move |t| f64::from(ecg[(lead, t)]))
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
    let zero = y + ZERO;
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
        zero: ZERO,
        per_uv: GAIN,
        samples: to - from,
    };
    if let Some(paint) = paint {
        lane.bands(svg, heatmap.map.row(lead).iter().skip(from).take(to - from), paint);
    }
    lane.trace(svg, heatmap.ecg.row(lead).iter().skip(from).take(to - from), style.inks().ink, 0.25);
    let inks = style.inks();
    svg.line((lane.x, y + ZERO - 2.0), (lane.x, y + ZERO + 2.0), &format!("stroke=\"{}\" stroke-width=\".15\"", inks.muted));
    let name = name_at(&lane, segment(heatmap, lead, (from, to)), LEADS[lead]);
    svg.text_over(lane.x + 1.0, name, Type::new(NAME, inks.ink).bold(), inks.ground, LEADS[lead]);
}

/// Height of a lead's name.
const NAME: f64 = 3.4;

/// The base line of a lead's name: at the top of its row, or below the trace where a wave stands in the way.
fn name_at(lane: &Lane, trace: impl Iterator<Item = f64>, name: &str) -> f64 {
    let right = 2.0 + 0.75 * NAME * name.len() as f64;
    let under = trace.take((right * RATE / SPEED) as usize).map(|uv| lane.y + lane.zero - uv * lane.per_uv);
    let (high, low) = under.fold((f64::INFINITY, f64::NEG_INFINITY), |(high, low), y| (high.min(y), low.max(y)));
    let clear = |base: f64| (high - base).max(base - NAME - low);
    let places = [lane.y + 4.5, lane.y + ROW - 2.0];
    if clear(places[0]) >= 0.5 || clear(places[0]) >= clear(places[1]) { places[0] } else { places[1] }
}
