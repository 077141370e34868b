//! Charts: axes, and what is drawn in them. Predicted against measured, Bland–Altman, critical differences.

use super::analysis::PerturbationAnalysis;
use super::colour::{Style, series};
use super::methods::{short, title};
use super::results::TargetResults;
use super::svg::{Anchor, Svg, Type, num, plain};
use crate::dataset::Target;
use crate::evaluation::compare::groups;
use cardiograd_kernels::elementary;

/// A frame with linear axes.
#[derive(Clone, Copy, Debug)]
pub struct Axes {
    /// Left edge, top edge, width, height.
    pub frame: (f64, f64, f64, f64),
    /// Values at the left and right edge.
    pub x: (f64, f64),
    /// Values at the bottom and top edge.
    pub y: (f64, f64),
}

impl Axes {
    /// Where a point lies.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (left, top, width, height) = self.frame;
        (left + width * (x - self.x.0) / (self.x.1 - self.x.0), top + height * (1.0 - (y - self.y.0) / (self.y.1 - self.y.0)))
    }

    /// Frame, grid, ticks and names.
    pub fn draw(&self, svg: &mut Svg, names: (&str, &str), style: Style) {
        let inks = style.inks();
        let (left, top, width, height) = self.frame;
        let rule = format!("stroke=\"{}\" stroke-width=\".7\"", inks.rule);
        let small = Type::new(10.0, inks.muted);
        let (across, up) = (steps(self.x, 5), steps(self.y, 5));
        for value in &across {
            let (x, _) = self.at(*value, self.y.0);
            svg.line((x, top), (x, top + height), &rule);
            svg.text(x, top + height + 13.0, small.middle(), &label(*value, &across));
        }
        for value in &up {
            let (_, y) = self.at(self.x.0, *value);
            svg.line((left, y), (left + width, y), &rule);
            svg.text(left - 5.0, y + 3.5, small.end(), &label(*value, &up));
        }
        svg.rect(left, top, width, height, &format!("fill=\"none\" stroke=\"{}\"", inks.muted));
        svg.text(left + width / 2.0, top + height + 28.0, small.middle(), names.0);
        svg.text_up(left - 40.0, top + height / 2.0, small.middle(), names.1);
    }
}

/// Round values between two ends, about `count` of them.
pub fn steps((low, high): (f64, f64), count: usize) -> Vec<f64> {
    let raw = (high - low).abs() / count.max(1) as f64;
    if raw <= 0.0 || !raw.is_finite() {
        return vec![low];
    }
    let power = elementary::power_of_ten(elementary::log10(raw).floor() as i32);
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= raw * 0.999).unwrap_or(power * 10.0);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// A value of an axis, with the decimals that tell it from its neighbours.
fn label(value: f64, all: &[f64]) -> String {
    let step = all.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let digits = if step.is_finite() { (-elementary::log10(step * 1.001).floor()).clamp(0.0, 8.0) as usize } else { 2 };
    if value.abs() >= 1e6 { super::lane::short(value) } else { plain(value, digits) }
}

/// Ends around values, with a margin.
pub(super) fn ends(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.into_iter().filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let margin = if high > low { 0.04 * (high - low) } else { 0.5 };
    (low - margin, high + margin)
}

/// At most this many points are drawn in a scatter.
const POINTS: usize = 1500;

/// Points drawn as dots of one path.
fn dots(svg: &mut Svg, axes: &Axes, points: &[(f64, f64)], colour: &str) {
    let step = points.len().div_ceil(POINTS).max(1);
    let mut d = String::new();
    for (x, y) in points.iter().step_by(step) {
        let (x, y) = axes.at(*x, *y);
        d += &format!("M{:.1} {:.1}h0", x, y);
    }
    svg.path(&d, &format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"3.2\" stroke-linecap=\"round\" stroke-opacity=\".45\""));
}

/// Colours of points against measured and against exact values.
const MEASURED: &str = "#0072b2";
const EXACT: &str = "#d55e00";

/// Predicted against measured values, and against the exact ones where the dataset knows them; Bland–Altman beside it; on the test split.
pub fn predictions(results: &TargetResults, style: Style) -> Svg {
    let inks = style.inks();
    let unit = results.target.unit();
    let pairs: Vec<(f64, f64)> = results.test.iter().map(|p| (p.truth, p.predicted)).collect();
    let exact: Vec<(f64, f64)> = results.test.iter().filter_map(|p| Some((p.exact?, p.predicted))).collect();
    let mut svg = Svg::new(720.0, 300.0, said(results, &pairs, &exact), inks.ground);
    let both = ends(pairs.iter().chain(&exact).flat_map(|p| [p.0, p.1]));
    let left = Axes { frame: (62.0, 30.0, 280.0, 220.0), x: both, y: both };
    let across = if exact.is_empty() { format!("measured, {unit}") } else { format!("measured (blue) or exact (orange), {unit}") };
    left.draw(&mut svg, (&across, &format!("predicted, {unit}")), style);
    svg.line(left.at(both.0, both.0), left.at(both.1, both.1), &format!("stroke=\"{}\" stroke-dasharray=\"4 3\"", inks.muted));
    dots(&mut svg, &left, &exact, EXACT);
    dots(&mut svg, &left, &pairs, MEASURED);
    let shown = if pairs.len() > POINTS { format!(" (every {}th shown)", pairs.len().div_ceil(POINTS)) } else { String::new() };
    let heading = Type::new(12.0, inks.ink).bold();
    svg.text(62.0, 20.0, heading, &format!("{}, test split: {} ECGs{shown}", results.target.title(), pairs.len()));
    bland_altman(&mut svg, &pairs, unit, style);
    svg
}

/// What the picture of predictions shows, in words.
fn said(results: &TargetResults, pairs: &[(f64, f64)], exact: &[(f64, f64)]) -> String {
    let unit = results.target.unit();
    let error = |pairs: &[(f64, f64)]| plain(pairs.iter().map(|p| (p.1 - p.0).abs()).sum::<f64>() / pairs.len().max(1) as f64, 2);
    let against = if exact.is_empty() { String::new() } else { format!(", {} {unit} against exact ones", error(exact)) };
    let [low, bias, high] = limits(pairs).map(|limit| plain(limit, 1));
    format!(
        "{}: predicted against measured values, and their difference against their mean (Bland–Altman). Mean absolute error {} {unit} against measured \
         values{against}; bias {bias} {unit}, 95 % limits {low} to {high} {unit}",
        results.target.title(),
        error(pairs)
    )
}

/// Bland and Altman's: bias − 1.96 SD, bias, bias + 1.96 SD of predicted − measured.
fn limits(pairs: &[(f64, f64)]) -> [f64; 3] {
    let differences: Vec<f64> = pairs.iter().map(|(measured, predicted)| predicted - measured).collect();
    let n = differences.len() as f64;
    let bias = differences.iter().sum::<f64>() / n.max(1.0);
    let sd = (differences.iter().map(|d| (d - bias).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    [bias - 1.96 * sd, bias, bias + 1.96 * sd]
}

fn bland_altman(svg: &mut Svg, pairs: &[(f64, f64)], unit: &str, style: Style) {
    let inks = style.inks();
    let points: Vec<(f64, f64)> = pairs.iter().map(|(measured, predicted)| ((measured + predicted) / 2.0, predicted - measured)).collect();
    let limits = limits(pairs);
    let bias = limits[1];
    let right =
        Axes { frame: (424.0, 30.0, 230.0, 220.0), x: ends(points.iter().map(|p| p.0)), y: ends(points.iter().map(|p| p.1).chain(limits)) };
    right.draw(svg, (&format!("mean of measured and predicted, {unit}"), &format!("predicted − measured, {unit}")), style);
    dots(svg, &right, &points, MEASURED);
    let middle = right.at(0.0, bias).1;
    for (limit, (name, away)) in limits.into_iter().zip([("−1.96 SD", 23.0), ("bias", 0.0), ("+1.96 SD", -23.0)]) {
        let (_, y) = right.at(0.0, limit);
        svg.line((424.0, y), (654.0, y), "stroke=\"#d55e00\" stroke-dasharray=\"5 3\"");
        // Names keep their distance from that of the bias where the lines are closer than two lines of text.
        let y = if away > 0.0 { y.max(middle + away) } else { y.min(middle + away) };
        svg.text(658.0, y - 2.0, Type::new(9.5, inks.muted), name);
        svg.text(658.0, y + 9.0, Type::new(9.5, inks.muted), &plain(limit, 1));
    }
}

/// The critical-difference diagram of one target: mean ranks over ECGs; the dots of a bar are methods that no test tells apart.
pub fn critical_difference(analysis: &PerturbationAnalysis, style: Style) -> Option<Svg> {
    let comparison = analysis.comparison.as_ref()?;
    let inks = style.inks();
    let count = analysis.methods.len();
    let bars = groups(comparison, 0.05);
    let (left, right, top) = (190.0, 530.0, 62.0);
    let at = |rank: f64| left + (right - left) * (rank - 1.0) / (count as f64 - 1.0);
    let bar_space = 7.0 * bars.len() as f64 + 8.0;
    let half = count.div_ceil(2);
    let name = ranks_said(analysis, &comparison.mean_ranks, &bars);
    let mut svg = Svg::new(720.0, top + bar_space + 17.0 * half as f64 + 12.0, name, inks.ground);
    let p = if comparison.p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {:.4}", comparison.p) };
    let heading = format!(
        "{}: mean rank over {} ECGs, 1 is best (Friedman χ² = {:.1}, {p})",
        analysis.target.title(),
        analysis.ecgs,
        comparison.statistic
    );
    svg.text(20.0, 18.0, Type::new(12.0, inks.ink).bold(), &heading);
    let ink = format!("stroke=\"{}\" fill=\"none\"", inks.ink);
    svg.line((left, top), (right, top), &ink);
    for rank in 1..=count {
        let x = at(rank as f64);
        svg.line((x, top - 5.0), (x, top), &ink);
        svg.text(x, top - 9.0, Type::new(10.0, inks.muted).middle(), &rank.to_string());
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| comparison.mean_ranks[*a].total_cmp(&comparison.mean_ranks[*b]));
    for (place, m) in order.iter().enumerate() {
        let first_half = place < half;
        let row = if first_half { place } else { count - 1 - place };
        let (x, y) = (at(comparison.mean_ranks[*m]), top + bar_space + 17.0 * row as f64 + 4.0);
        let (edge, anchor) = if first_half { (left - 14.0, Anchor::End) } else { (right + 14.0, Anchor::Start) };
        let colour = series(&analysis.methods[*m]).0;
        svg.path(
            &format!("M{} {}V{}H{}", num(x), num(top), num(y), num(edge)),
            &format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\""),
        );
        let text = format!("{} {:.2}", title(&analysis.methods[*m]), comparison.mean_ranks[*m]);
        let x = if first_half { edge - 4.0 } else { edge + 4.0 };
        svg.text(x, y + 4.0, Type { anchor, ..Type::new(10.5, inks.ink) }, &text);
    }
    for (k, bar) in bars.iter().enumerate() {
        let ranks = bar.iter().map(|m| comparison.mean_ranks[*m]);
        let (low, high) = ranks.fold((f64::INFINITY, 0.0_f64), |(l, h), r| (l.min(r), h.max(r)));
        let y = top + 8.0 + 7.0 * k as f64;
        svg.line((at(low) - 5.0, y), (at(high) + 5.0, y), &format!("stroke=\"{}\" stroke-width=\"1.4\"", inks.ink));
        bar.iter().for_each(|m| svg.circle((at(comparison.mean_ranks[*m]), y), 2.6, &format!("fill=\"{}\"", inks.ink)));
    }
    Some(svg)
}

/// Mean ranks from the best on, and the groups that no test tells apart, in words.
fn ranks_said(analysis: &PerturbationAnalysis, mean_ranks: &[f64], bars: &[Vec<usize>]) -> String {
    let name = |m: usize| title(&analysis.methods[m]);
    let mut order: Vec<usize> = (0..mean_ranks.len()).collect();
    order.sort_by(|a, b| mean_ranks[*a].total_cmp(&mean_ranks[*b]));
    let ranks: Vec<String> = order.into_iter().map(|m| format!("{} {}", name(m), plain(mean_ranks[m], 2))).collect();
    let groups: Vec<String> = bars.iter().map(|bar| bar.iter().map(|m| name(*m)).collect::<Vec<_>>().join(", ")).collect();
    let apart =
        if groups.is_empty() { "every two are told apart".to_owned() } else { format!("no test tells apart: {}", groups.join("; nor: ")) };
    format!("{}: mean ranks of the methods over {} ECGs: {}. {apart}", analysis.target.title(), analysis.ecgs, ranks.join(", "))
}

/// The pairs of methods that agree most and least, in words.
fn extremes_said(methods: &[String], values: &[Vec<Option<f64>>]) -> String {
    let at = |i: usize, j: usize| values.get(i).and_then(|row| row.get(j).copied().flatten());
    // Either half of the matrix may be left empty.
    let pairs = || (0..methods.len()).flat_map(|i| (0..i).filter_map(move |j| Some((i, j, at(i, j).or_else(|| at(j, i))?))));
    let said = |(i, j, value): (usize, usize, f64)| format!("{} and {} ({})", title(&methods[j]), title(&methods[i]), plain(value, 2));
    let most = pairs().max_by(|a, b| a.2.total_cmp(&b.2));
    let least = pairs().min_by(|a, b| a.2.total_cmp(&b.2));
    match (most, least) {
        (Some(most), Some(least)) => format!("; highest between {}, lowest between {}", said(most), said(least)),
        _ => String::new(),
    }
}

/// Correlations between methods' maps as a matrix of coloured cells with their numbers.
pub fn correlations(target: Target, methods: &[String], values: &[Vec<Option<f64>>], style: Style) -> Svg {
    let inks = style.inks();
    let (cell, left, top) = (46.0, 150.0, 96.0);
    let size = cell * methods.len() as f64;
    let name = format!("{}: correlation between the methods' heatmaps", target.title());
    let alt = format!("{name}{}", extremes_said(methods, values));
    let mut svg = Svg::new(left + size + 70.0, top + size + 12.0, alt, inks.ground);
    svg.text(12.0, 18.0, Type::new(12.0, inks.ink).bold(), &(name + ", Spearman of |attribution|"));
    for (i, method) in methods.iter().enumerate() {
        let middle = cell * (i as f64 + 0.5);
        svg.text(left - 6.0, top + middle + 4.0, Type::new(10.5, inks.ink).end(), title(method));
        let (x, y) = (left + middle - 4.0, top - 6.0);
        svg.open(&format!("transform=\"rotate(-40 {} {})\"", num(x), num(y)));
        svg.text(x, y, Type::new(10.5, inks.ink), short(method));
        svg.close();
        for (j, value) in values[i].iter().enumerate() {
            let (x, y) = (left + cell * j as f64, top + cell * i as f64);
            let Some(value) = value else {
                // A map that is the same everywhere has no correlation.
                svg.text(x + cell / 2.0, y + cell / 2.0 + 4.0, Type::new(10.5, inks.muted).middle(), "–");
                continue;
            };
            let light = Style { dark: false, ..style };
            svg.rect(x, y, cell - 1.0, cell - 1.0, &format!("fill=\"{}\"", super::colour::hex(light.signed(0.75 * *value))));
            let ink = if value.abs() > 0.75 { "#ffffff" } else { "#111111" };
            svg.text(x + cell / 2.0, y + cell / 2.0 + 4.0, Type::new(10.5, ink).middle(), &plain(*value, 2));
        }
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who does not see the matrix is told its result.
    #[test]
    fn the_extremes_of_a_matrix_are_said() {
        let methods = ["saliency", "deeplift", "random"].map(str::to_owned);
        let values = [vec![Some(1.0), None, None], vec![Some(0.91), Some(1.0), None], vec![Some(-0.02), Some(0.03), Some(1.0)]];
        assert_eq!(
            extremes_said(&methods, &values),
            "; highest between Saliency and DeepLIFT (0.91), lowest between Saliency and Random (−0.02)"
        );
        assert_eq!(extremes_said(&methods[..1], &values[..1]), "");
        let svg = correlations(Target::Qt, &methods, &values, Style::default()).finish();
        assert!(svg.contains("highest between Saliency and DeepLIFT (0.91)"), "{}", &svg[..400]);
    }

    #[test]
    fn steps_are_round() {
        assert_eq!(steps((0.0, 100.0), 5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(steps((-0.3, 0.9), 5), [0.0, 0.5]);
        assert_eq!(steps((2.0, 2.0), 5), [2.0]);
    }

    #[test]
    fn points_lie_where_their_values_say() {
        let axes = Axes { frame: (10.0, 20.0, 100.0, 50.0), x: (0.0, 10.0), y: (0.0, 1.0) };
        assert_eq!(axes.at(5.0, 1.0), (60.0, 20.0));
        assert_eq!(axes.at(0.0, 0.0), (10.0, 70.0));
    }
}
