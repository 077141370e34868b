//! The ECGs with the largest errors, drawn with what was measured on them.

use super::colour::Style;
use super::error_tables::{LISTED, worst_figure};
use super::figures::Figure;
use super::heatmap::{self, Heatmap};
use super::paper;
use super::results::StudyResults;
use super::svg::plain;
use crate::dataset::InputKind;
use crate::evaluation::errors::worst;
use ndarray::{Array2, Axis};

/// One picture per ECG: 12 leads without a heatmap; median beats carry the measured fiducials.
pub fn figures(results: &StudyResults, style: Style) -> Vec<Figure> {
    let inputs = &results.worst.ecgs.inputs;
    let blank = Array2::zeros((inputs.len_of(Axis(1)), inputs.len_of(Axis(2))));
    let one = |(at, index): (usize, &u64)| {
        let title = format!("ECG {}", results.worst.ecgs.ids[at]);
        let median = results.input == InputKind::Median;
        let fiducials = median.then(|| &results.worst.ecgs.measurements[at]);
        let picture = Heatmap {
            ecg: inputs.index_axis(Axis(0), at),
            map: blank.view(),
            title: &title,
            unit: "",
            meaning: None,
            fiducials,
            axes: None,
        };
        let svg = if median { heatmap::full(&picture, style) } else { paper::sheet(&picture, false, style) };
        Figure { name: worst_figure(*index), caption: caption(results, *index), svg }
    };
    results.worst.index.iter().enumerate().map(one).collect()
}

/// What was measured and predicted for the targets of which the ECG is among the worst.
fn caption(results: &StudyResults, index: u64) -> String {
    let mut words = Vec::new();
    for target in &results.targets {
        let listed = worst(&target.pairs(), LISTED);
        let Some(p) = listed.iter().map(|at| &target.test[*at]).find(|p| p.ecg == index) else { continue };
        if !target.target.is_regression() {
            let (label, p) = target.pair(p);
            words.push(format!("{} is {}, probability {}", target.target.title(), if label > 0.5 { "yes" } else { "no" }, plain(p, 3)));
            continue;
        }
        let exact = p.exact.map_or_else(String::new, |exact| format!(", exact {}", plain(exact, 1)));
        let (measured, predicted) = (plain(p.truth, 1), plain(p.predicted, 1));
        words.push(format!("{} measured {measured}, predicted {predicted}{exact} {}", target.target.title(), target.target.unit()));
    }
    format!("Among the largest errors: {}.", words.join("; "))
}
