//! How firm ranks are: each method's rank with its range over the ends of the area and its interval over resamples of ECGs.

use super::analysis::{PerturbationAnalysis, class_mark};
use super::colour::{Style, series};
use super::methods::title;
use super::svg::{Svg, Type, plain};
use crate::evaluation::scores::ranks_by_end;

/// Height of a method's line.
const LINE: f64 = 19.0;
/// Space above the lines of a panel, and below.
const HEAD: f64 = 30.0;
const FOOT: f64 = 40.0;
/// Space for the methods' names.
const NAMES: f64 = 150.0;
/// Width of a panel with its names.
const WIDTH: f64 = 354.0;

/// One panel per target, up to three in a row; methods from the best rank down. A wide bar is the 95 % interval over bootstrap resamples of
/// ECGs, a dark line the range over ends 10 to 25, a dot the rank to iteration 15; all by the study's scoring.
pub fn stability(analyses: &[PerturbationAnalysis], style: Style) -> Svg {
    let columns = analyses.len().clamp(1, 3);
    let lines = analyses.iter().map(|analysis| analysis.methods.len()).max().unwrap_or(0);
    let height = HEAD + LINE * lines as f64 + FOOT;
    let results: Vec<String> = analyses.iter().map(said).collect();
    let what = "Rank of each method, with its range over the ends of the area from 10 to 25 and its 95 % bootstrap interval over ECGs";
    let name = format!("{what}. {}", results.join(". "));
    let size = (WIDTH * columns as f64 + 10.0, height * analyses.len().div_ceil(columns) as f64);
    let mut svg = Svg::new(size.0, size.1, name, style.inks().ground);
    for (i, analysis) in analyses.iter().enumerate() {
        panel(&mut svg, analysis, ((i % columns) as f64 * WIDTH, (i / columns) as f64 * height), style);
    }
    svg
}

/// The first three methods and the last, with the 95 % intervals of their ranks.
fn said(analysis: &PerturbationAnalysis) -> String {
    let firm = |m: usize| analysis.stability[m];
    let mut order: Vec<usize> = (0..analysis.methods.len()).collect();
    order.sort_by(|a, b| firm(*a).rank.total_cmp(&firm(*b).rank));
    let one = |m: &usize| {
        let (found, name) = (firm(*m), title(&analysis.methods[*m]));
        format!("{name} {} ({} to {})", plain(found.rank, 1), plain(found.low, 1), plain(found.high, 1))
    };
    let first: Vec<String> = order.iter().take(3).map(one).collect();
    let last = order.iter().skip(3).last().map_or_else(String::new, |m| format!("; last {}", one(m)));
    format!("{}: {}{last}", analysis.target.title(), first.join(", "))
}

fn panel(svg: &mut Svg, analysis: &PerturbationAnalysis, (left, top): (f64, f64), style: Style) {
    let inks = style.inks();
    let count = analysis.methods.len();
    let (x, y, width) = (left + NAMES + 10.0, top + HEAD, WIDTH - NAMES - 26.0);
    let at = |rank: f64| x + width * (rank - 1.0) / (count.max(2) - 1) as f64;
    svg.text(left + 10.0, top + 18.0, Type::new(12.0, inks.ink).bold(), analysis.target.title());
    let bottom = y + LINE * count as f64;
    for rank in 1..=count {
        let x = at(rank as f64);
        svg.line((x, y), (x, bottom), &format!("stroke=\"{}\" stroke-width=\".7\"", inks.rule));
        svg.text(x, bottom + 13.0, Type::new(10.0, inks.muted).middle(), &rank.to_string());
    }
    svg.text(x + width / 2.0, bottom + 28.0, Type::new(10.0, inks.muted).middle(), &format!("rank (1 is best), {} ECGs", analysis.ecgs));
    let curves: Vec<Vec<f64>> = analysis.curves.iter().map(|curve| curve.mean.clone()).collect();
    let ends = ranks_by_end(&curves);
    let classes = analysis.classes(analysis.scoring);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| analysis.stability[*a].rank.total_cmp(&analysis.stability[*b].rank));
    for (line, m) in order.into_iter().enumerate() {
        let (firm, colour) = (analysis.stability[m], series(&analysis.methods[m]).0);
        let middle = y + LINE * (line as f64 + 0.5);
        svg.text(
            x - 12.0,
            middle + 4.0,
            Type::new(10.5, inks.ink).end(),
            &(title(&analysis.methods[m]).to_owned() + &class_mark(classes[m])),
        );
        let bar = (at(firm.low) - 3.0, at(firm.high) + 3.0);
        svg.rect(bar.0, middle - 5.0, bar.1 - bar.0, 10.0, &format!("fill=\"{colour}\" fill-opacity=\".3\" rx=\"3\""));
        let (low, high) = ends.iter().fold((firm.rank, firm.rank), |(low, high), (_, ranks)| (low.min(ranks[m]), high.max(ranks[m])));
        svg.line((at(low), middle), (at(high), middle), &format!("stroke=\"{}\" stroke-width=\"1.6\"", inks.ink));
        svg.circle((at(firm.rank), middle), 3.6, &format!("fill=\"{colour}\" stroke=\"{}\"", inks.ink));
    }
}
