//! The pictures of the page: the ECG on paper with what was measured, and its heatmaps. Paper and traces are drawn once and used by every picture.

use super::OneEcg;
use crate::Result;
use crate::dataset::Target;
use crate::ecg::Measurements;
use crate::ecg::leads::V5;
use crate::report::colour::Style;
use crate::report::heatmap::{Heatmap, heaviest};
use crate::report::lane::Paint;
use crate::report::paper::{self, Sheet, Strip, is_whole};
use crate::report::svg::{Svg, Type, escape, num, plain};
use ndarray::ArrayView2;

/// The ids of what pictures share.
const PAPER: &str = "paper";
const TRACES: &str = "traces";

/// What every picture of this ECG uses: the ruled paper, and the traces with the marks of fiducials.
pub(super) fn shared(one: &OneEcg<'_>, style: Style) -> Result<String> {
    let sheet = sheet_of(one);
    let (mut ground, mut traces) = (Svg::shapes(), Svg::shapes());
    sheet.ground(&mut ground, style);
    if let Some(measured) = fiducials(one) {
        sheet.marks(&mut traces, measured, style);
    }
    sheet.traces(&mut traces, one.ecg, style);
    ground.check()?;
    traces.check()?;
    Ok(format!(
        "<svg width=\"0\" height=\"0\" class=\"shared\" aria-hidden=\"true\"><defs><g id=\"{PAPER}\">{}</g><g id=\"{TRACES}\">{}</g></defs></svg>",
        ground.into_shapes(),
        traces.into_shapes()
    ))
}

fn sheet_of(one: &OneEcg<'_>) -> Sheet {
    Sheet::of(one.ecg, fiducials(one).is_some())
}

/// The fiducials, where the network looks at the beat that they belong to.
fn fiducials<'a>(one: &'a OneEcg<'_>) -> Option<&'a Measurements> {
    one.measured.as_ref().filter(|_| is_whole(one.ecg.ncols()))
}

/// The ECG as a recorder prints it; for a recording, its median beat too. The measured interval stands in brackets in V5.
pub(super) fn ecg(one: &OneEcg<'_>, style: Style) -> Result<String> {
    let sheet = sheet_of(one);
    let mut svg = sheet_svg(&sheet, format!("12-lead ECG on paper, {}: {}", one.name, measured_words(one)), style);
    paper::title(&mut svg, &one.name, style);
    svg.reuse(PAPER);
    svg.reuse(TRACES);
    if let Some(measured) = fiducials(one) {
        brackets(&mut svg, &sheet, one.ecg, measured, one.answer.target, style);
    }
    let zeros = ndarray::Array2::zeros(one.ecg.dim());
    let heatmap = Heatmap { ecg: one.ecg, map: zeros.view(), title: "", unit: "", meaning: None, fiducials: None, axes: None };
    sheet.foot(&mut svg, &heatmap, None, style);
    let mut html = String::from("<section id=\"ecg\"><h2>The ECG</h2>");
    html += &figure(svg, "25 mm/s, 10 mm/mV: in the proportion of ECG paper, whatever the size on a screen.")?;
    if let (false, Some(beat), Some(measured)) = (is_whole(one.ecg.ncols()), one.beat, &one.measured) {
        html += &median(one, beat, measured, style)?;
    }
    Ok(html + "</section>")
}

/// The median beat of a recording, on which it was measured.
fn median(one: &OneEcg<'_>, beat: ArrayView2<'_, f32>, measured: &Measurements, style: Style) -> Result<String> {
    let sheet = Sheet::of(beat, true);
    let mut svg = sheet_svg(&sheet, format!("Median beat on paper, {}: {}", one.name, measured_words(one)), style);
    paper::title(&mut svg, "Median beat, on which the intervals were measured", style);
    sheet.ground(&mut svg, style);
    sheet.marks(&mut svg, measured, style);
    sheet.traces(&mut svg, beat, style);
    brackets(&mut svg, &sheet, beat, measured, one.answer.target, style);
    let zeros = ndarray::Array2::zeros(beat.dim());
    sheet.foot(
        &mut svg,
        &Heatmap { ecg: beat, map: zeros.view(), title: "", unit: "", meaning: None, fiducials: None, axes: None },
        None,
        style,
    );
    figure(svg, "The network looks at the recording, not at this beat.")
}

/// A heatmap behind the traces.
pub(super) fn map(one: &OneEcg<'_>, heatmap: &Heatmap<'_>, style: Style) -> Result<String> {
    let sheet = sheet_of(one);
    let paint = Paint { pitch: 1.0, ..heatmap.paint(style) };
    let weight = heaviest(heatmap.map).unwrap_or_else(|| "the map is zero".into());
    let mut svg = sheet_svg(&sheet, format!("{}: {weight}", heatmap.title), style);
    paper::title(&mut svg, heatmap.title, style);
    svg.reuse(PAPER);
    if paint.scale.is_some() {
        for strip in &sheet.strips {
            strip.lane.pixels(&mut svg, strip.part(heatmap.map), paint)?;
            strip.lane.hatch(&mut svg, strip.part(heatmap.map), paint);
        }
    }
    svg.reuse(TRACES);
    sheet.foot(&mut svg, heatmap, paint.scale.map(|_| paint), style);
    figure(svg, &capital(&weight))
}

fn sheet_svg(sheet: &Sheet, alt: String, style: Style) -> Svg {
    Svg::new(sheet.size.0, sheet.size.1, alt, style.inks().ground).millimetres()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect::<String>() + ".")
}

/// A picture that scrolls by itself where it is wider than the screen.
fn figure(svg: Svg, caption: &str) -> Result<String> {
    svg.check()?;
    Ok(format!(
        "<figure><div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Picture, scrolls sideways where it is wide\">{}</div>\
         <p class=\"cue\" aria-hidden=\"true\">↔ The picture scrolls sideways.</p><figcaption>{}</figcaption></figure>",
        svg.inline(),
        escape(caption)
    ))
}

/// What was measured of the target, for those who do not see the brackets.
fn measured_words(one: &OneEcg<'_>) -> String {
    let value = one.answer.target.and_then(|target| target.value(one.measured.as_ref()?));
    value.map_or_else(|| format!("{} not measured", one.what()), |value| format!("{} measured {}", one.what(), one.said(value)))
}

/// In V5: a bracket over the measured interval or the measured height, and the peaks of R and T.
fn brackets(svg: &mut Svg, sheet: &Sheet, ecg: ArrayView2<'_, f32>, m: &Measurements, target: Option<Target>, style: Style) {
    let Some(strip) = sheet.strips.iter().find(|strip| strip.lead == V5 && is_whole(ecg.ncols())) else { return };
    let v5 = |t: usize| f64::from(ecg[[V5, t]]);
    let within = |from: Option<f64>, to: Option<f64>| Some((from? as usize, (to? as usize).min(ecg.ncols())));
    let largest = |(from, to): (usize, usize), by: &dyn Fn(f64) -> f64| (from..to).max_by(|a, b| by(v5(*a)).total_cmp(&by(v5(*b))));
    let r = within(m.qrs_onset, m.qrs_offset).and_then(|range| largest(range, &|uv| uv));
    let t = within(m.qrs_offset, m.t_offset).and_then(|(from, to)| largest(((from + to) / 2 - (to - from) / 4, to), &f64::abs));
    for (name, at) in [("R", r), ("T", t)] {
        if let Some(at) = at {
            peak(svg, strip, name, (at, v5(at)), style);
        }
    }
    match target {
        Some(Target::Pr) => across(svg, strip, (m.p_onset, m.qrs_onset), ("PR", m.pr_ms), style),
        Some(Target::Qrs) => across(svg, strip, (m.qrs_onset, m.qrs_offset), ("QRS", m.qrs_ms), style),
        Some(Target::Qt) => across(svg, strip, (m.qrs_onset, m.t_offset), ("QT", m.qt_ms), style),
        Some(Target::RV5) => upright(svg, strip, r, ("R", m.r_v5_uv), style),
        Some(Target::JV5) => upright(svg, strip, m.qrs_offset.map(|at| at as usize), ("J", m.j_v5_uv), style),
        Some(Target::TV5) => upright(svg, strip, t, ("T", m.t_v5_uv), style),
        _ => {}
    }
}

/// Ink of brackets and peaks.
fn stroke(style: Style) -> String {
    format!("fill=\"none\" stroke=\"{}\" stroke-width=\".45\"", style.inks().tick)
}

fn peak(svg: &mut Svg, strip: &Strip, name: &str, (at, uv): (usize, f64), style: Style) {
    let (x, y) = (strip.lane.at(at as f64 + 0.5), strip.lane.level(uv));
    svg.circle((x, y), 0.7, &stroke(style));
    let below = if uv < 0.0 { 3.4 } else { -1.4 };
    svg.text_over(x, y + below, Type::new(2.8, style.inks().tick).middle().bold(), style.inks().ground, name);
}

/// A bracket from sample to sample along the bottom of the row.
fn across(svg: &mut Svg, strip: &Strip, (from, to): (Option<f64>, Option<f64>), (name, value): (&str, Option<f64>), style: Style) {
    let (Some(from), Some(to), Some(value)) = (from, to, value) else { return };
    let (lane, y) = (&strip.lane, strip.lane.y + strip.lane.height - 0.8);
    let (left, right) = (lane.at(from + 0.5), lane.at(to + 0.5));
    svg.path(
        &format!("M{} {}v-2M{} {}H{}M{} {}v-2", num(left), num(y), num(left), num(y - 1.0), num(right), num(right), num(y)),
        &stroke(style),
    );
    let text = format!("{name} {} ms", plain(value, 0));
    svg.text_over((left + right) / 2.0, y - 2.0, Type::new(2.8, style.inks().tick).middle().bold(), style.inks().ground, &text);
}

/// A measured height: a line from 0 µV, the level at QRS onset, to the value.
fn upright(svg: &mut Svg, strip: &Strip, at: Option<usize>, (name, value): (&str, Option<f64>), style: Style) {
    let (Some(at), Some(value)) = (at, value) else { return };
    let (x, zero, y) = (strip.lane.at(at as f64 + 0.5) + 1.6, strip.lane.level(0.0), strip.lane.level(value));
    svg.path(&format!("M{} {}h-1.2m.6 0V{}m-.6 0h1.2", num(x + 0.6), num(zero), num(y)), &stroke(style));
    let text = format!("{name} {} µV", plain(value, 0));
    svg.text_over(x + 1.4, (zero + y) / 2.0 + 1.0, Type::new(2.8, style.inks().tick).bold(), style.inks().ground, &text);
}
