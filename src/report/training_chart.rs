//! How the networks were trained: the error of each epoch on the training batches and on the validation split.

use super::chart::Axes;
use super::colour::Style;
use super::results::{StudyResults, TargetResults};
use super::svg::{Svg, Type, polyline};

/// Colour, dashes and name of the two curves.
const CURVES: [(&str, &str, &str); 2] = [("#0072b2", "", "training batches"), ("#d55e00", "5 3", "validation split")];
/// Size of a panel.
const PANEL: (f64, f64) = (330.0, 230.0);

/// One panel per network, up to three in a row: RMSE in the target's unit against the epoch. `None` where no training is known.
pub fn training(results: &StudyResults, style: Style) -> Option<Svg> {
    let inks = style.inks();
    let known: Vec<&TargetResults> = results.targets.iter().filter(|target| !target.epochs.is_empty()).collect();
    let columns = known.len().clamp(1, 3);
    let rows = known.len().div_ceil(columns);
    let name = "Root mean squared error of each epoch of training, on the training batches and on the validation split, by network";
    let mut svg = Svg::new(columns as f64 * PANEL.0 + 10.0, rows as f64 * PANEL.1 + 30.0, name, inks.ground);
    for (i, target) in known.iter().enumerate() {
        panel(&mut svg, target, ((i % columns) as f64 * PANEL.0, (i / columns) as f64 * PANEL.1), style);
    }
    for (k, (colour, dashes, name)) in CURVES.into_iter().enumerate() {
        let (x, y) = (56.0 + 150.0 * k as f64, rows as f64 * PANEL.1 + 14.0);
        svg.line((x, y), (x + 22.0, y), &format!("stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\""));
        svg.text(x + 27.0, y + 4.0, Type::new(10.5, inks.ink), name);
    }
    (!known.is_empty()).then_some(svg)
}

fn panel(svg: &mut Svg, target: &TargetResults, (x, y): (f64, f64), style: Style) {
    let curves: [Vec<f64>; 2] =
        [target.epochs.iter().map(|epoch| epoch.train_rmse).collect(), target.epochs.iter().map(|epoch| epoch.validation_rmse).collect()];
    let most = curves.iter().flatten().copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
    let last = (target.epochs.len() as f64).max(2.0);
    let axes = Axes {
        frame: (x + 56.0, y + 27.0, PANEL.0 - 66.0, PANEL.1 - 70.0),
        x: (1.0, last),
        y: (0.0, if most > 0.0 { 1.04 * most } else { 1.0 }),
    };
    svg.text(x + 56.0, y + 18.0, Type::new(12.0, style.inks().ink).bold(), target.target.title());
    let what = if target.target.is_regression() { format!("RMSE, {}", target.target.unit()) } else { "cross entropy".into() };
    axes.draw(svg, ("epoch", &what), style);
    for (curve, (colour, dashes, _)) in curves.iter().zip(CURVES) {
        let points = curve.iter().enumerate().filter(|(_, value)| value.is_finite());
        let places: Vec<(f64, f64)> = points.map(|(epoch, value)| axes.at(epoch as f64 + 1.0, *value)).collect();
        svg.path(
            &polyline(places.iter().copied()),
            &format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" stroke-dasharray=\"{dashes}\""),
        );
        places.iter().for_each(|place| svg.circle(*place, 2.0, &format!("fill=\"{colour}\"")));
    }
}
