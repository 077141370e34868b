//! The places of methods between the random control and the winner, here and as published, one panel per target.

use super::areas::Areas;
use super::verdict::Figure;
use crate::report::colour::{Style, series};
use crate::report::methods::{NINE, title};
use crate::report::svg::{Svg, Type, plain};

/// Height of a method's line, space above the lines of a panel, below them, and for names.
const LINE: f64 = 19.0;
const HEAD: f64 = 42.0;
const FOOT: f64 = 26.0;
const NAMES: f64 = 132.0;
/// Width of a panel with its names.
const WIDTH: f64 = 336.0;
/// What is left of Random by more is drawn there.
const LEAST: f64 = -0.5;

/// The picture with its caption. `None` where no target has places.
pub(super) fn places(all: &[Areas]) -> Option<(String, Svg)> {
    let style = Style::default();
    let with: Vec<&Areas> = all.iter().filter(|areas| NINE.iter().any(|method| areas.place(method).is_some())).collect();
    if with.is_empty() {
        return None;
    }
    let columns = with.len().clamp(1, 3);
    let height = HEAD + LINE * NINE.len() as f64 + FOOT;
    let caption = "The place of each method between Random (0) and the winner (1), by area to 15 points: a ring as published, a dot with its 95 % interval here. \
                   Lines at thirds part the study's classes, poor (3), medium (2) and best (1)"
        .to_owned();
    let said: Vec<String> = with.iter().filter_map(|areas| Some(format!("{} {}", areas.target.title(), title(areas.winner()?)))).collect();
    let name = format!("{caption}. Winners here: {}", said.join(", "));
    let mut svg = Svg::new(WIDTH * columns as f64 + 10.0, height * with.len().div_ceil(columns) as f64, name, style.inks().ground);
    for (i, areas) in with.into_iter().enumerate() {
        panel(&mut svg, areas, ((i % columns) as f64 * WIDTH, (i / columns) as f64 * height), style);
    }
    Some((caption, svg))
}

fn panel(svg: &mut Svg, areas: &Areas, (left, top): (f64, f64), style: Style) {
    let inks = style.inks();
    let published = Areas::published(areas.target);
    let (x, y, width) = (left + NAMES + 10.0, top + HEAD, WIDTH - NAMES - 30.0);
    let here: Vec<Option<Figure>> = NINE.iter().map(|method| areas.place(method)).collect();
    let there: Vec<Option<f64>> = NINE.iter().map(|method| Some(published.as_ref()?.place(method)?.value)).collect();
    let least = here.iter().flatten().map(|place| place.interval().0).chain(there.iter().flatten().copied());
    let from = least.filter(|low| low.is_finite()).fold(-0.1, f64::min).max(LEAST);
    let at = |place: f64| x + width * (place.clamp(from, 1.0) - from) / (1.0 - from);
    svg.text(left + 10.0, top + 18.0, Type::new(12.0, inks.ink).bold(), areas.target.title());
    let bottom = y + LINE * NINE.len() as f64;
    for (place, dashes) in [(0.0, ""), (1.0 / 3.0, "3 3"), (2.0 / 3.0, "3 3"), (1.0, "")] {
        svg.line((at(place), y), (at(place), bottom), &format!("stroke=\"{}\" stroke-dasharray=\"{dashes}\"", inks.rule));
    }
    for (number, place) in [(3, 1.0 / 6.0), (2, 0.5), (1, 5.0 / 6.0)] {
        svg.text(at(place), y - 6.0, Type::new(10.0, inks.muted).middle(), &format!("({number})"));
    }
    for (place, name) in [(0.0, "Random"), (1.0, "winner")] {
        svg.text(at(place), bottom + 13.0, Type::new(10.0, inks.muted).middle(), name);
    }
    for (line, method) in NINE.iter().enumerate() {
        let (middle, colour) = (y + LINE * (line as f64 + 0.5), series(method).0);
        svg.text(x - 12.0, middle + 4.0, Type::new(10.5, inks.ink).end(), title(method));
        if let Some(place) = here[line].as_ref().filter(|place| place.value.is_finite()) {
            let (low, high) = place.interval();
            if low.is_finite() && high.is_finite() {
                svg.line((at(low), middle), (at(high), middle), &format!("stroke=\"{colour}\" stroke-width=\"3\" stroke-opacity=\".55\""));
            }
            svg.circle((at(place.value), middle), 3.8, &format!("fill=\"{colour}\" stroke=\"{}\"", inks.ink));
            if place.value < from {
                svg.text(at(from) + 7.0, middle + 3.5, Type::new(9.0, inks.muted), &plain(place.value, 1));
            }
        }
        if let Some(place) = there[line] {
            svg.circle((at(place), middle), 5.6, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\"1.4\"", inks.ink));
        }
    }
}
