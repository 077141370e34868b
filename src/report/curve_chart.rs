//! Figure 7: curves of perturbation, each with its name at its end, to be read in print and without colour.

use super::analysis::{Curve, LabelledCurves, PerturbationAnalysis, class_mark};
use super::chart::{Axes, ends};
use super::colour::{Style, series};
use super::methods::{short, title};
use super::svg::{Svg, Type, num, polyline};
use crate::evaluation::scores::{END, area};

/// Size of a panel where there are several, and where there is one.
const PANEL: (f64, f64) = (436.0, 290.0);
const SINGLE: (f64, f64) = (720.0, 420.0);
/// Space left of the curves, above, below, and right of them for names.
const LEFT: f64 = 56.0;
const HEAD: f64 = 27.0;
const FOOT: f64 = 43.0;
const NAMES: f64 = 94.0;
/// Distance of names.
const LINE: f64 = 11.5;

/// Figure 7: the error by the study's scoring against the number of perturbed points, one panel per target; `bands` puts 95 % bootstrap bands behind.
pub fn perturbation_curves(analyses: &[PerturbationAnalysis], bands: bool, style: Style) -> Svg {
    curve_panels(&analyses.iter().map(PerturbationAnalysis::panel).collect::<Vec<_>>(), bands, style)
}

/// Panels of curves, two in a row, so that print of a page's width can be read.
pub fn curve_panels(panels: &[LabelledCurves], bands: bool, style: Style) -> Svg {
    let columns = panels.len().clamp(1, 2);
    let rows = panels.len().div_ceil(columns).max(1);
    let (width, height) = if columns == 1 { SINGLE } else { PANEL };
    let scoring = panels.first().map(|one| one.scoring).unwrap_or_default();
    let first: Vec<String> = panels.iter().filter_map(steepest).collect();
    let name = format!(
        "Region perturbation: {} against the number of perturbed points, by method{}. Largest area to {END} points: {}{}",
        scoring.title(),
        if bands { ", with 95 % bootstrap bands" } else { "" },
        first.join("; "),
        if panels.iter().flat_map(|panel| &panel.classes).any(Option::is_some) { ". Classes: best (1), medium (2), poor (3)" } else { "" }
    );
    let mut svg = Svg::new(columns as f64 * width + 10.0, rows as f64 * height, name, style.inks().ground);
    for (i, one) in panels.iter().enumerate() {
        let (x, y) = ((i % columns) as f64 * width, (i / columns) as f64 * height);
        let heading = if panels.len() > 1 { format!("{}  {}", char::from(b'A' + (i % 26) as u8), one.title) } else { one.title.clone() };
        svg.text(x + LEFT, y + 18.0, Type::new(12.0, style.inks().ink).bold(), &heading);
        panel(&mut svg, one, (x + LEFT, y + HEAD, width - LEFT - NAMES, height - HEAD - FOOT), bands, style);
    }
    svg
}

/// The method of the largest area in a panel.
fn steepest(panel: &LabelledCurves) -> Option<String> {
    let areas = panel.curves.iter().map(|curve| area(&curve.mean, END));
    let (method, _) = panel.methods.iter().zip(areas).max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(format!("{} for {}", title(method), panel.title))
}

fn panel(svg: &mut Svg, one: &LabelledCurves, frame: (f64, f64, f64, f64), bands: bool, style: Style) {
    let last = one.curves.iter().map(|curve| curve.mean.len()).max().unwrap_or(1).saturating_sub(1).max(1);
    let band =
        |of: fn(&(usize, f64, f64)) -> f64| one.curves.iter().flat_map(move |curve| curve.band.iter().map(of)).filter(move |_| bands);
    let means = || one.curves.iter().flat_map(|curve| curve.mean.iter().copied());
    // The study's formula is negative where most of the measured values are.
    let lowest = ends(means().chain(band(|band| band.1))).0;
    let axes = Axes { frame, x: (0.0, last as f64), y: (lowest.min(0.0), ends(means().chain(band(|band| band.2))).1) };
    let (left, right) = (axes.at(0.0, 0.0).0, axes.at((END as f64).min(last as f64), 0.0).0);
    svg.rect(left, frame.1, right - left, frame.3, &format!("fill=\"{}\" fill-opacity=\".35\"", style.inks().rule));
    axes.draw(svg, (&format!("perturbed points (shaded: the area to {END})"), one.scoring.title()), style);
    for (method, curve) in one.methods.iter().zip(&one.curves).filter(|_| bands) {
        let there = curve.band.iter().map(|(t, low, _)| axes.at(*t as f64, *low));
        let back = curve.band.iter().rev().map(|(t, _, high)| axes.at(*t as f64, *high));
        svg.path(&(polyline(there.chain(back)) + "z"), &format!("fill=\"{}\" fill-opacity=\".15\"", series(method).0));
    }
    for (method, curve) in one.methods.iter().zip(&one.curves) {
        let (colour, dashes) = series(method);
        let d = polyline(curve.mean.iter().enumerate().map(|(t, value)| axes.at(t as f64, *value)));
        svg.path(&d, &format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-dasharray=\"{dashes}\""));
    }
    names(svg, one, &axes, style);
}

/// The methods' names at the ends of their curves, apart by a line where curves end together.
fn names(svg: &mut Svg, one: &LabelledCurves, axes: &Axes, style: Style) {
    let (left, top, width, height) = axes.frame;
    let class = |m: usize| class_mark(one.classes.get(m).copied().flatten());
    let end = |(m, curve): (usize, &Curve)| Some((&one.methods[m], axes.at(0.0, *curve.mean.last()?).1, class(m)));
    let mut ends: Vec<(&String, f64, String)> = one.curves.iter().enumerate().filter_map(end).filter(|end| end.1.is_finite()).collect();
    ends.sort_by(|a, b| a.1.total_cmp(&b.1));
    let places = apart(&ends.iter().map(|end| end.1).collect::<Vec<_>>(), LINE, (top + 4.0, top + height));
    let right = left + width;
    for ((method, end, class), place) in ends.into_iter().zip(places) {
        let (colour, dashes) = series(method);
        let d = format!("M{} {}L{} {}h10", num(right), num(end), num(right + 8.0), num(place));
        svg.path(&d, &format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\" stroke-dasharray=\"{dashes}\""));
        svg.text(right + 20.0, place + 3.5, Type::new(10.0, style.inks().ink), &(short(method).to_owned() + &class));
    }
}

/// Places near those wanted, which are sorted, at least `least` apart and as far as they fit between two ends.
fn apart(wanted: &[f64], least: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut places = wanted.to_vec();
    let mut from = top;
    for place in &mut places {
        *place = place.max(from);
        from = *place + least;
    }
    let mut to = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(to);
        to = *place - least;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_apart_and_stay_inside() {
        assert_eq!(apart(&[10.0, 12.0, 50.0], 11.0, (0.0, 100.0)), [10.0, 21.0, 50.0]);
        assert_eq!(apart(&[95.0, 96.0, 99.0], 11.0, (0.0, 100.0)), [78.0, 89.0, 100.0]);
    }
}
