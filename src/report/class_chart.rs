//! The picture of a network of yes or no: its ROC curve, and the observed share of yes against the predicted probability.

use super::chart::Axes;
use super::colour::Style;
use super::results::TargetResults;
use super::svg::{Svg, Type, plain, polyline};
use crate::evaluation::classes::{auroc, calibration, roc};
use crate::evaluation::errors::share;

/// The colour of curves.
const CURVE: &str = "#0072b2";
/// Bins of the calibration.
const BINS: usize = 10;

/// ROC and calibration of one target on the test split.
pub fn classes(results: &TargetResults, style: Style) -> Svg {
    let inks = style.inks();
    let pairs = results.scored();
    let yes = pairs.iter().filter(|pair| pair.0).count();
    let area = auroc(&pairs).map_or("–".to_owned(), |area| plain(area, 3));
    let name = format!(
        "{}: the ROC curve, of area {area}, and the observed share of yes against the predicted probability, on {} ECGs of the test split, {yes} of them yes",
        results.target.title(),
        pairs.len()
    );
    let mut svg = Svg::new(720.0, 300.0, name, inks.ground);
    let heading = Type::new(12.0, inks.ink).bold();
    svg.text(62.0, 20.0, heading, &format!("{}, test split: {} ECGs, {yes} yes; AUROC {area}", results.target.title(), pairs.len()));
    let left = Axes { frame: (62.0, 30.0, 250.0, 220.0), x: (0.0, 1.0), y: (0.0, 1.0) };
    left.draw(&mut svg, ("1 − specificity", "sensitivity"), style);
    let dashes = format!("stroke=\"{}\" stroke-dasharray=\"4 3\"", inks.muted);
    svg.line(left.at(0.0, 0.0), left.at(1.0, 1.0), &dashes);
    if let Some(curve) = roc(&pairs) {
        let d = polyline(curve.into_iter().map(|(x, y)| left.at(x, y)));
        svg.path(&d, &format!("fill=\"none\" stroke=\"{CURVE}\" stroke-width=\"1.8\""));
    }
    let right = Axes { frame: (424.0, 30.0, 250.0, 220.0), x: (0.0, 1.0), y: (0.0, 1.0) };
    right.draw(&mut svg, ("predicted probability of yes", "observed share of yes"), style);
    svg.line(right.at(0.0, 0.0), right.at(1.0, 1.0), &dashes);
    for bin in calibration(&pairs, BINS) {
        let count = (bin.observed * bin.n as f64).round() as usize;
        if let Some(interval) = share(count, bin.n) {
            let (low, high) = (right.at(bin.predicted, interval.low), right.at(bin.predicted, interval.high));
            svg.line(low, high, &format!("stroke=\"{CURVE}\" stroke-width=\"1.2\""));
        }
        svg.circle(right.at(bin.predicted, bin.observed), 3.2, &format!("fill=\"{CURVE}\""));
    }
    svg
}
