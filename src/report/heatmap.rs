//! Heatmaps over ECGs: the full picture of 12 leads, the averaged one over V5, pairs, and the grid of methods (the study's Figures 3–6).

use super::colour::Style;
use super::lane::{Lane, Paint, calibration, fiducial_lines, fiducial_names, fiducials, ticks, time_axis};
use super::scale::averaged as average;
use super::svg::{Svg, Type, plain};
use super::words;
use crate::attribution::Meaning;
use crate::ecg::Measurements;
use crate::ecg::axes::Axes;
use crate::ecg::leads::{LEADS, RATE, V5};
use cardiograd_kernels::elementary;
use ndarray::{ArrayView1, ArrayView2};

/// What one heatmap picture shows.
#[derive(Clone, Copy, Debug)]
pub struct Heatmap<'a> {
    /// (12, L), µV; of other leads where the axes say so.
    pub ecg: ArrayView2<'a, f32>,
    /// (12, L) attributions.
    pub map: ArrayView2<'a, f32>,
    /// Printed above.
    pub title: &'a str,
    /// The unit of the prediction, e.g. `ms`; that of the attribution where its meaning is not known.
    pub unit: &'a str,
    /// What the attributions say, where that is known.
    pub meaning: Option<Meaning>,
    /// Fiducials to mark.
    pub fiducials: Option<&'a Measurements>,
    /// What the axes stand for, where it is not the twelve leads at 500 Hz.
    pub axes: Option<&'a Axes>,
}

/// Space above the first lead, for the title.
const HEAD: f64 = 30.0;
/// More space above the first lead, for up to three rows of names of fiducials.
const NAMES: f64 = 26.0;
/// Space below the last lead, for the time axis and the colour bar.
const FOOT: f64 = 66.0;
/// Space left of the leads, for their names.
const LEFT: f64 = 44.0;
/// Space right of the leads, for the calibration mark.
const RIGHT: f64 = 56.0;

impl Heatmap<'_> {
    /// The unit of the attributions.
    pub(super) fn attribution_unit(&self) -> String {
        self.meaning.map_or_else(|| self.unit.to_owned(), |meaning| words::unit(meaning, self.unit))
    }

    /// Where the map has most weight, as [`heaviest`].
    pub(super) fn heaviest(&self) -> Option<String> {
        weight_of(self.map, self.rate(), |lead| self.lead(lead))
    }

    /// Samples a second.
    pub(super) fn rate(&self) -> f64 {
        self.axes.map_or(RATE, |axes| axes.rate_hz)
    }

    /// How many leads there are, for titles: `12-lead`.
    fn leads(&self) -> String {
        format!("{}-lead", self.ecg.nrows())
    }

    /// The name of a lead.
    fn lead(&self, lead: usize) -> &str {
        let own = self.axes.and_then(|axes| axes.leads.get(lead)).map(String::as_str);
        own.or_else(|| LEADS.get(lead).copied().filter(|_| self.axes.is_none())).unwrap_or_default()
    }

    /// The lead that stands for all in an averaged heatmap: V5, or the last where there is none of that name.
    fn shown(&self) -> usize {
        (0..self.ecg.nrows()).find(|lead| self.lead(*lead) == LEADS[V5]).unwrap_or(self.ecg.nrows().saturating_sub(1))
    }

    /// How the colours of the leads come about.
    pub(super) fn paint(&self, style: Style) -> Paint {
        Paint::of(self.map, self.meaning, style)
    }

    /// The size of the map, to stand beside its colours, which saturate for a negligible one as for any.
    pub(super) fn size(&self) -> String {
        words::size(self.map, self.meaning, &self.attribution_unit())
    }

    /// What the picture shows, for those who do not see it: also where the map's weight lies.
    fn alt(&self, what: &str) -> String {
        let heaviest = self.heaviest().map_or_else(|| "; the map is zero".into(), |text| format!("; {text}; {}", self.size()));
        format!("{what}: {}{heaviest}", self.title)
    }

    /// Space above the first lead.
    fn head(&self) -> f64 {
        HEAD + if self.fiducials.is_some_and(|measured| !fiducials(measured).is_empty()) { NAMES } else { 0.0 }
    }
}

/// The full heatmap: 12 leads, one below the other at one voltage scale, coloured on one joint scale.
pub fn full(heatmap: &Heatmap<'_>, style: Style) -> Svg {
    let (width, traces) = (720.0, height(heatmap));
    let title = heatmap.alt(&format!("{} ECG with its heatmap", heatmap.leads()));
    let mut svg = Svg::new(width, heatmap.head() + traces + FOOT, title, style.inks().ground);
    full_at(&mut svg, heatmap, (0.0, heatmap.head()), width, traces, style);
    svg
}

/// Two full heatmaps side by side (Figures 5 and 6).
pub fn pair(left: &Heatmap<'_>, right: &Heatmap<'_>, style: Style) -> Svg {
    let (width, traces) = (560.0, height(left));
    let title = format!("Two heatmaps of one {} ECG: {}. {}", left.leads(), left.alt("left"), right.alt("right"));
    let head = left.head().max(right.head());
    let mut svg = Svg::new(2.0 * width + 20.0, head + traces + FOOT, title, style.inks().ground);
    full_at(&mut svg, left, (0.0, head), width, traces, style);
    full_at(&mut svg, right, (width + 20.0, head), width, traces, style);
    svg
}

/// Height of the leads below each other: that of twelve, less where there are few.
fn height(heatmap: &Heatmap<'_>) -> f64 {
    match heatmap.ecg.nrows() {
        few if few < LEADS.len() => (560.0 * few as f64 / 12.0).max(140.0),
        12 => 560.0,
        many => 560.0 * many as f64 / 12.0,
    }
}

/// A full heatmap whose left edge is `x` and whose first lead begins at `head`.
fn full_at(svg: &mut Svg, heatmap: &Heatmap<'_>, (x, head): (f64, f64), width: f64, traces: f64, style: Style) {
    let inks = style.inks();
    let lanes = stack(heatmap, (x + LEFT, head), width - LEFT - RIGHT, traces);
    let paint = heatmap.paint(style);
    svg.text(x + LEFT, 18.0, Type::new(13.0, inks.ink).bold(), heatmap.title);
    if paint.scale.is_some() {
        svg.text(x + width, 18.0, Type::new(10.0, inks.muted).end(), &heatmap.size());
    }
    for (lead, lane) in lanes.iter().enumerate() {
        lane.bands(svg, heatmap.map.row(lead), paint);
        lane.hatch(svg, heatmap.map.row(lead), paint);
        svg.line((lane.x, lane.y), (lane.x + lane.width, lane.y), &format!("stroke=\"{}\" stroke-width=\".5\"", inks.rule));
    }
    let (Some(first), Some(last)) = (lanes.first().copied(), lanes.last().copied()) else { return };
    // Below the traces, which their seams would cut.
    if let Some(measured) = heatmap.fiducials {
        ticks(svg, &first, (head, head + traces), measured, style);
    }
    for (lead, lane) in lanes.iter().enumerate() {
        lane.trace(svg, heatmap.ecg.row(lead), inks.ink, 1.0);
        svg.text(lane.x - 7.0, lane.name_at(11.0), Type::new(11.0, inks.ink).end().bold(), heatmap.lead(lead));
    }
    time_axis(svg, &last, head + traces + 3.0, style);
    calibration(svg, (first.x + first.width + 8.0, first.y + 6.0), first.per_uv, round_voltage(40.0 / first.per_uv), style);
    proportion(svg, &first, (x + LEFT, head + traces + 33.0), style);
    if paint.scale.is_some() {
        let below = words::quantity(heatmap.meaning, paint.signed, &heatmap.attribution_unit());
        paint.bar(svg, (first.x + first.width / 2.0 - 130.0, head + traces + 26.0), 260.0, &below);
    }
}

/// How the picture's proportion of time to voltage compares with that of ECG paper.
fn proportion(svg: &mut Svg, lane: &Lane, (x, y): (f64, f64), style: Style) {
    let kind = Type::new(9.5, style.inks().muted);
    let times = lane.proportion();
    let text =
        if times >= 1.0 { format!("time {} × wider", plain(times, 1)) } else { format!("voltage {} × higher", plain(1.0 / times, 1)) };
    svg.text(x, y, kind, &text);
    svg.text(x, y + 11.0, kind, "than on ECG paper");
}

/// Where a map has most weight: the lead of largest Σ|map|, its share, and the time of the largest value. `None` for a map of zeros.
pub(super) fn heaviest(map: ArrayView2<'_, f32>) -> Option<String> {
    weight_of(map, RATE, |lead| LEADS.get(lead).copied().unwrap_or_default())
}

fn weight_of<'a>(map: ArrayView2<'_, f32>, rate: f64, name: impl Fn(usize) -> &'a str) -> Option<String> {
    let weight = |lead: ArrayView1<'_, f32>| lead.iter().map(|value| f64::from(value.abs())).sum::<f64>();
    let weights: Vec<f64> = map.rows().into_iter().map(weight).collect();
    let whole: f64 = weights.iter().sum();
    let (lead, most) = weights.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let mean = average(map);
    let (at, _) = mean.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let ms = 1000.0 * at as f64 / rate;
    (whole > 0.0)
        .then(|| format!("most weight in lead {} ({:.0} %), largest over all leads at {ms:.0} ms", name(lead), 100.0 * most / whole))
}

/// Lanes for the leads at one voltage scale in a strip of height `total`: each as high as its lead needs, at least two fifths of an even share.
fn stack(heatmap: &Heatmap<'_>, (x, y): (f64, f64), width: f64, total: f64) -> Vec<Lane> {
    let ecg = heatmap.ecg;
    let count = ecg.nrows();
    let ranges: Vec<(f64, f64)> = ecg.rows().into_iter().map(range).collect();
    let pad = 4.0;
    let least = total / count as f64 * 0.4;
    // Leads that are flatter than the least height get it; the others share what is left in proportion to their range.
    let mut per_uv = f64::INFINITY;
    let mut flat = vec![false; count];
    for _ in 0..count {
        let left = total - 2.0 * pad * count as f64 - flat.iter().filter(|flat| **flat).count() as f64 * least;
        let needed: f64 = ranges.iter().zip(&flat).filter(|(_, flat)| !**flat).map(|((low, high), _)| high - low).sum();
        per_uv = if needed > 0.0 { left / needed } else { least / 1000.0 };
        let now: Vec<bool> = ranges.iter().map(|(low, high)| (high - low) * per_uv < least).collect();
        if now == flat {
            break;
        }
        flat = now;
    }
    let mut top = y;
    let mut lanes = Vec::with_capacity(count);
    for ((low, high), flat) in ranges.into_iter().zip(flat) {
        let needed = (high - low) * per_uv;
        let height = 2.0 * pad + if flat { least } else { needed };
        let zero = (height - needed) / 2.0 + high * per_uv;
        lanes.push(Lane { x, y: top, width, height, zero, per_uv, samples: ecg.ncols(), rate: heatmap.rate() });
        top += height;
    }
    lanes
}

fn range(lead: ArrayView1<'_, f32>) -> (f64, f64) {
    let start = (f64::from(lead.first().copied().unwrap_or(0.0)), f64::from(lead.first().copied().unwrap_or(0.0)));
    lead.iter().fold(start, |(low, high), uv| (low.min(f64::from(*uv)), high.max(f64::from(*uv))))
}

/// The largest of 1, 2 and 5 times a power of ten that is not above `uv`.
fn round_voltage(uv: f64) -> f64 {
    let power = elementary::power_of_ten(elementary::log10(uv.max(1.0)).floor() as i32);
    [5.0, 2.0, 1.0].into_iter().map(|m| m * power).find(|v| *v <= uv.max(1.0) * (1.0 + 1e-9)).unwrap_or(power)
}

/// The averaged heatmap: mean of |attribution| over the leads, behind V5.
pub fn averaged(heatmap: &Heatmap<'_>, style: Style) -> Svg {
    let (width, height) = (720.0, 190.0);
    let (inks, head, shown) = (style.inks(), heatmap.head(), heatmap.lead(heatmap.shown()));
    let mut svg = Svg::new(
        width,
        head + height + FOOT,
        heatmap.alt(&format!("Lead {shown} with the heatmap averaged over {} leads", heatmap.ecg.nrows())),
        inks.ground,
    );
    svg.text(LEFT, 18.0, Type::new(13.0, inks.ink).bold(), heatmap.title);
    let lane = single(heatmap, (LEFT, head), width - LEFT - RIGHT, height);
    let paint = averaged_lane(&mut svg, heatmap, &lane, style, 1.3);
    if let Some(measured) = heatmap.fiducials {
        fiducial_names(&mut svg, &lane, head, measured, 9.0, style);
    }
    svg.text(LEFT - 7.0, lane.name_at(11.0), Type::new(11.0, inks.ink).end().bold(), shown);
    time_axis(&mut svg, &lane, head + height + 3.0, style);
    calibration(&mut svg, (lane.x + lane.width + 8.0, lane.y + 6.0), lane.per_uv, round_voltage(60.0 / lane.per_uv), style);
    proportion(&mut svg, &lane, (LEFT, head + height + 33.0), style);
    if paint.scale.is_some() {
        svg.text(width, 18.0, Type::new(10.0, inks.muted).end(), &heatmap.size());
        let below =
            format!("mean over {} leads of {}", heatmap.ecg.nrows(), words::quantity(heatmap.meaning, false, &heatmap.attribution_unit()));
        paint.bar(&mut svg, (lane.x + lane.width / 2.0 - 130.0, head + height + 26.0), 260.0, &below);
    }
    svg
}

fn single(heatmap: &Heatmap<'_>, (x, y): (f64, f64), width: f64, height: f64) -> Lane {
    let lead = heatmap.ecg.row(heatmap.shown());
    let (low, high) = range(lead);
    let pad = (height * 0.08).min(8.0);
    let per_uv = (height - 2.0 * pad) / (high - low).max(1.0);
    Lane { x, y, width, height, zero: pad + high * per_uv, per_uv, samples: lead.len(), rate: heatmap.rate() }
}

fn averaged_lane(svg: &mut Svg, heatmap: &Heatmap<'_>, lane: &Lane, style: Style, weight: f64) -> Paint {
    let mean = average(heatmap.map);
    let paint = Paint::of_sizes(&mean, heatmap.meaning, style);
    lane.bands(svg, &mean, paint);
    if let Some(measured) = heatmap.fiducials {
        fiducial_lines(svg, lane, (lane.y, lane.y + lane.height), measured, 9.0, style);
    }
    lane.trace(svg, heatmap.ecg.row(heatmap.shown()), style.inks().ink, weight);
    paint
}

/// The averaged heatmaps of several methods (rows) for several targets (columns), as the study's Figures 3 and 4.
/// `cells[row][column]`; an absent map leaves its cell empty.
pub fn grid(title: &str, rows: &[&str], columns: &[&str], cells: &[Vec<Option<Heatmap<'_>>>], style: Style) -> Svg {
    let inks = style.inks();
    let marked = cells.iter().flatten().flatten().any(|heatmap| heatmap.fiducials.is_some_and(|measured| !fiducials(measured).is_empty()));
    let (cell, gap, left, head) = ((250.0, 62.0), 8.0, 150.0, if marked { 30.0 + NAMES } else { 30.0 });
    let width = left + columns.len() as f64 * (cell.0 + gap) + RIGHT;
    let foot = 68.0;
    let height = head + rows.len() as f64 * (cell.1 + gap) + foot;
    let mut svg = Svg::new(width, height, title, inks.ground);
    for (j, column) in columns.iter().enumerate() {
        let x = left + j as f64 * (cell.0 + gap) + cell.0 / 2.0;
        svg.text(x, 19.0, Type::new(12.5, inks.ink).middle().bold(), column);
    }
    let mut last = None;
    for (i, row) in rows.iter().enumerate() {
        let y = head + i as f64 * (cell.1 + gap);
        svg.text(left - 10.0, y + cell.1 / 2.0 + 4.0, Type::new(11.5, inks.ink).end(), row);
        for (j, entry) in cells.get(i).into_iter().flatten().enumerate() {
            let Some(heatmap) = entry else { continue };
            let lane = single(heatmap, (left + j as f64 * (cell.0 + gap), y), cell.0, cell.1);
            averaged_lane(&mut svg, heatmap, &lane, style, 1.0);
            if let Some(measured) = heatmap.fiducials.filter(|_| i == 0) {
                fiducial_names(&mut svg, &lane, y, measured, 8.0, style);
            }
            if (i, j + 1) == (0, columns.len()) {
                calibration(&mut svg, (lane.x + cell.0 + 8.0, y + 4.0), lane.per_uv, round_voltage(40.0 / lane.per_uv), style);
            }
            svg.rect(lane.x, y, cell.0, cell.1, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\".7\"", inks.rule));
            last = Some(lane);
        }
    }
    let bottom = height - foot;
    if let Some(lane) = last {
        for j in 0..columns.len() {
            time_axis(&mut svg, &Lane { x: left + j as f64 * (cell.0 + gap), ..lane }, bottom - gap + 2.0, style);
        }
    }
    let bar = Paint { scale: Some(1.0), ..Paint::of_sizes(&[], None, style) };
    bar.bar(&mut svg, (left, bottom + 16.0), 250.0, "mean of |attribution| over 12 leads, behind lead V5;");
    svg.text(left + 125.0, bottom + 60.0, Type::new(9.5, inks.muted).middle(), "1: where the sorted sum reaches 90 %");
    svg
}
