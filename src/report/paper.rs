//! An ECG as a recorder prints it, at 25 mm/s and 10 mm/mV on its grid, with a 1 mV pulse before each row. 10 s: 3 × 4 leads and a rhythm strip.
//! A median beat: each lead whole, 3 × 4.

use super::colour::Style;
use super::heatmap::Heatmap;
use super::lane::{Lane, Paint, fiducial_lines, fiducial_names, fiducials};
use super::svg::{Svg, Type, num};
use super::words;
use crate::ecg::Measurements;
use crate::ecg::leads::{LEADS, RATE};
use ndarray::{ArrayView2, Axis};

/// Millimetres per second.
pub const SPEED: f64 = 25.0;
/// Millimetres per µV.
pub const GAIN: f64 = 10.0 / 1000.0;
/// Height of a row of 10 s.
const ROW: f64 = 30.0;
/// From the top of such a row down to 0 µV.
const ZERO: f64 = 18.0;
/// Width of the calibration pulse with its margins.
const PULSE: f64 = 10.0;
/// Margin around the paper.
const MARGIN: f64 = 5.0;
/// Space between the beats of a row.
const GAP: f64 = 5.0;
/// Height of the letters of fiducials' names.
const MARKS: f64 = 2.2;
/// The longest ECG of which every lead is drawn whole, seconds.
const WHOLE: f64 = 2.5;

/// The leads of the three rows, in four columns.
const ROWS: [[usize; 4]; 3] = [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]];
/// The lead of the rhythm strip.
const RHYTHM: usize = 1;

/// A lead, or a part of it, in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strip {
    pub lead: usize,
    pub from: usize,
    pub to: usize,
    pub lane: Lane,
}

/// Where everything of a sheet stands, in millimetres.
pub(super) struct Sheet {
    /// Width and height, margins included.
    pub size: (f64, f64),
    /// Left edge, top edge, width, height of the ruled paper.
    paper: (f64, f64, f64, f64),
    pub strips: Vec<Strip>,
    /// Where 0 µV of each row lies.
    zeros: Vec<f64>,
}

/// The sheet, in millimetres. `with_map` puts the heatmap behind the traces, on one joint scale. Fiducials, which belong to a median beat, are
/// marked on one only.
pub fn sheet(heatmap: &Heatmap<'_>, with_map: bool, style: Style) -> Svg {
    let sheet = Sheet::at(heatmap.ecg, heatmap.fiducials.is_some(), heatmap.rate());
    let (width, height) = sheet.size;
    let paint = Paint { pitch: 1.0, ..heatmap.paint(style) };
    let mapped = with_map && paint.scale.is_some();
    let heaviest = heatmap.heaviest().filter(|_| mapped).map_or_else(String::new, |text| format!("; {text}"));
    let mut svg = Svg::new(width, height, format!("12-lead ECG on paper: {}{heaviest}", heatmap.title), style.inks().ground).millimetres();
    sheet.ground(&mut svg, style);
    title(&mut svg, heatmap.title, style);
    if mapped {
        for strip in &sheet.strips {
            strip.lane.bands(&mut svg, strip.part(heatmap.map), paint);
            strip.lane.hatch(&mut svg, strip.part(heatmap.map), paint);
        }
    }
    if let Some(measured) = heatmap.fiducials.filter(|_| is_whole_at(heatmap.ecg.ncols(), heatmap.rate())) {
        sheet.marks(&mut svg, measured, style);
    }
    sheet.traces(&mut svg, heatmap.ecg, style);
    sheet.foot(&mut svg, heatmap, mapped.then_some(paint), style);
    svg
}

/// Whether every lead of an ECG of so many samples at 500 Hz is drawn whole.
pub(super) fn is_whole(samples: usize) -> bool {
    is_whole_at(samples, RATE)
}

fn is_whole_at(samples: usize, rate: f64) -> bool {
    samples as f64 <= WHOLE * rate
}

/// The heading of a sheet.
pub(super) fn title(svg: &mut Svg, text: &str, style: Style) {
    svg.text(MARGIN, MARGIN + 2.5, Type::new(3.6, style.inks().ink).bold(), text);
}

impl Sheet {
    /// The sheet's scales, and for a heatmap its size and its colour bar.
    pub fn foot(&self, svg: &mut Svg, heatmap: &Heatmap<'_>, paint: Option<Paint>, style: Style) {
        let (width, height) = self.size;
        let foot = height - MARGIN - 9.0;
        let small = Type::new(3.2, style.inks().muted);
        svg.text(MARGIN, foot, small, "25 mm/s · 10 mm/mV");
        svg.text(MARGIN, foot + 4.2, small, "pulse 1 mV");
        let Some(paint) = paint else { return };
        svg.text(MARGIN, foot + 8.4, small, &heatmap.size());
        svg.open(&format!("transform=\"translate({} {}) scale(.34)\"", num(width - MARGIN - 102.0), num(foot - 3.2)));
        let below = words::quantity(heatmap.meaning, paint.signed, &heatmap.attribution_unit());
        Paint { pitch: 4.0, ..paint }.bar(svg, (0.0, 0.0), 300.0, &below);
        svg.close();
    }

    /// Places for an ECG (12, L), µV, at 500 Hz; `named` leaves room for the names of fiducials above the leads.
    pub fn of(ecg: ArrayView2<'_, f32>, named: bool) -> Self {
        Sheet::at(ecg, named, RATE)
    }

    /// The same at another rate.
    pub fn at(ecg: ArrayView2<'_, f32>, named: bool, rate: f64) -> Self {
        if is_whole_at(ecg.ncols(), rate) { Sheet::of_beat(ecg, named, rate) } else { Sheet::of_rhythm(ecg, rate) }
    }

    /// Rows of a quarter of each lead, and the strip below them.
    fn of_rhythm(ecg: ArrayView2<'_, f32>, rate: f64) -> Self {
        let samples = ecg.ncols();
        let length = mm(samples, rate);
        let (above, below) = overhang(ecg);
        let top = MARGIN + 5.0 + above;
        let (mut strips, mut zeros) = (Vec::new(), Vec::new());
        for (row, leads) in ROWS.iter().enumerate() {
            let y = top + row as f64 * ROW;
            zeros.push(y + ZERO);
            strips.extend(
                leads.iter().enumerate().map(|(column, lead)| Strip::new((*lead, quarter(samples, column)), (y, ROW, ZERO), (None, rate))),
            );
        }
        let y = top + 3.0 * ROW;
        zeros.push(y + ZERO);
        strips.push(Strip::new((RHYTHM, (0, samples)), (y, ROW, ZERO), (None, rate)));
        let size = (length + PULSE + 2.0 * MARGIN, above + 4.0 * ROW + below + 2.0 * MARGIN + 14.0);
        Sheet { size, paper: (MARGIN, top - above, length + PULSE, above + 4.0 * ROW + below), strips, zeros }
    }

    /// Rows of whole leads, each row as high as its leads need, in whole large squares.
    fn of_beat(ecg: ArrayView2<'_, f32>, named: bool, rate: f64) -> Self {
        let samples = ecg.ncols();
        let length = PULSE + 4.0 * mm(samples, rate) + 3.0 * GAP;
        let top = MARGIN + 5.0 + if named { 3.5 * MARKS } else { 0.0 };
        let (mut strips, mut zeros, mut y) = (Vec::new(), Vec::new(), top);
        for leads in ROWS {
            let values = || leads.iter().flat_map(|lead| ecg.row(*lead).to_vec()).map(f64::from);
            let highest = values().fold(0.0, f64::max) * GAIN;
            let lowest = values().fold(0.0, f64::min) * -GAIN;
            // The pulse takes 10 mm, a name 5 mm.
            let (above, below) = (squares(highest + 5.0).clamp(10.0, 60.0), squares(lowest + 1.0).clamp(5.0, 60.0));
            zeros.push(y + above);
            let x = |column: usize| MARGIN + PULSE + column as f64 * (mm(samples, rate) + GAP);
            let whole =
                |(column, lead): (usize, usize)| Strip::new((lead, (0, samples)), (y, above + below, above), (Some(x(column)), rate));
            strips.extend(leads.into_iter().enumerate().map(whole));
            y += above + below;
        }
        Sheet { size: (length + 2.0 * MARGIN, y + MARGIN + 14.0), paper: (MARGIN, top, length, y - top), strips, zeros }
    }

    /// The ruled paper and the pulses.
    pub fn ground(&self, svg: &mut Svg, style: Style) {
        let (x, y, width, height) = self.paper;
        for (step, weight, ink) in [(1.0, ".08", style.inks().paper[0]), (5.0, ".18", style.inks().paper[1])] {
            let mut d = String::new();
            for i in 0..=(width / step) as usize {
                d += &format!("M{} {}v{}", num(x + step * i as f64), num(y), num(height));
            }
            for i in 0..=(height / step) as usize {
                d += &format!("M{} {}h{}", num(x), num(y + step * i as f64), num(width));
            }
            svg.path(&d, &format!("fill=\"none\" stroke=\"{ink}\" stroke-width=\"{weight}\""));
        }
        for zero in &self.zeros {
            let d = format!("M{} {}h2v-10h5v10h2", num(MARGIN), num(*zero));
            svg.path(&d, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\".3\"", style.inks().ink));
        }
    }

    /// The traces and the names of the leads.
    pub fn traces(&self, svg: &mut Svg, ecg: ArrayView2<'_, f32>, style: Style) {
        let inks = style.inks();
        for strip in &self.strips {
            strip.trace(svg, ecg, style);
            let lane = &strip.lane;
            let zero = lane.y + lane.zero;
            svg.line((lane.x, zero - 2.0), (lane.x, zero + 2.0), &format!("stroke=\"{}\" stroke-width=\".15\"", inks.muted));
            let name = LEADS[strip.lead];
            let base = name_at(lane, strip.part(ecg).map(|uv| f64::from(*uv)), name);
            svg.text_over(lane.x + 1.0, base, Type::new(NAME, inks.ink).bold(), inks.ground, name);
        }
    }

    /// Lines at the fiducials of a beat over every lead, their names above the first row.
    pub fn marks(&self, svg: &mut Svg, measured: &Measurements, style: Style) {
        if fiducials(measured).is_empty() {
            return;
        }
        for strip in &self.strips {
            let lane = &strip.lane;
            fiducial_lines(svg, lane, (lane.y, lane.y + lane.height), measured, MARKS, style);
        }
        for strip in self.strips.iter().filter(|strip| ROWS[0].contains(&strip.lead)) {
            fiducial_names(svg, &strip.lane, strip.lane.y, measured, MARKS, style);
        }
    }
}

impl Strip {
    /// A lead's part in a row given by its top, its height and its 0 µV below the top; at `x`, or where its first sample falls on a long row.
    fn new((lead, (from, to)): (usize, (usize, usize)), (y, height, zero): (f64, f64, f64), (x, rate): (Option<f64>, f64)) -> Self {
        let x = x.unwrap_or(MARGIN + PULSE + mm(from, rate));
        let lane = Lane { x, y, width: mm(to - from, rate), height, zero, per_uv: GAIN, samples: to - from, rate };
        Strip { lead, from, to, lane }
    }

    /// The strip's part of its row of an array (12, L).
    pub fn part<'a>(&self, array: ArrayView2<'a, f32>) -> impl Iterator<Item = &'a f32> + use<'a> {
        let (from, to) = (self.from, self.to);
        array.index_axis_move(Axis(0), self.lead).into_iter().skip(from).take(to - from)
    }

    /// The trace, in hundredths of a millimetre.
    fn trace(&self, svg: &mut Svg, ecg: ArrayView2<'_, f32>, style: Style) {
        let l = self.lane;
        let fine = Lane {
            x: 10.0 * l.x,
            y: 10.0 * l.y,
            width: 10.0 * l.width,
            height: 10.0 * l.height,
            zero: 10.0 * l.zero,
            per_uv: 10.0 * l.per_uv,
            ..l
        };
        svg.open("transform=\"scale(.1)\"");
        fine.trace(svg, self.part(ecg), style.inks().ink, 2.5);
        svg.close();
    }
}

/// Length of so many samples.
fn mm(samples: usize, rate: f64) -> f64 {
    samples as f64 * SPEED / rate
}

/// A length in whole large squares.
fn squares(mm: f64) -> f64 {
    (mm / 5.0).ceil() * 5.0
}

/// Paper to add above the first row and below the last, in whole large squares, for waves that are taller than a row has room for.
fn overhang(ecg: ArrayView2<'_, f32>) -> (f64, f64) {
    let samples = ecg.ncols();
    let segment = |lead: usize, (from, to): (usize, usize)| (from..to).map(move |t| f64::from(ecg[(lead, t)]));
    let first = ROWS[0].iter().enumerate().flat_map(|(column, lead)| segment(*lead, quarter(samples, column)));
    let highest = first.fold(0.0, |most, uv| uv.max(most)) * GAIN - ZERO;
    let lowest = segment(RHYTHM, (0, samples)).fold(0.0, |least, uv| uv.min(least)) * -GAIN - (ROW - ZERO);
    let room = |mm: f64| squares(mm).clamp(0.0, 25.0);
    (room(highest + 1.0), room(lowest + 1.0))
}

/// The samples of a column of leads: from, to.
fn quarter(samples: usize, column: usize) -> (usize, usize) {
    (samples * column / 4, samples * (column + 1) / 4)
}

/// Height of a lead's name.
const NAME: f64 = 3.4;

/// The base line of a lead's name: at the top of its row, or below the trace where a wave stands in the way.
fn name_at(lane: &Lane, trace: impl Iterator<Item = f64>, name: &str) -> f64 {
    let right = 2.0 + 0.75 * NAME * name.len() as f64;
    let under = trace.take((right * lane.rate / SPEED) as usize).map(|uv| lane.y + lane.zero - uv * lane.per_uv);
    let (high, low) = under.fold((f64::INFINITY, f64::NEG_INFINITY), |(high, low), y| (high.min(y), low.max(y)));
    let clear = |base: f64| (high - base).max(base - NAME - low);
    let places = [lane.y + 4.5, lane.y + lane.height - 2.0];
    if clear(places[0]) >= 0.5 || clear(places[0]) >= clear(places[1]) { places[0] } else { places[1] }
}
