//! The figures of a study, named after the study's own.

use super::analysis::{PerturbationAnalysis, map_correlations};
use super::chart;
use super::class_chart;
use super::colour::Style;
use super::curve_chart;
use super::heatmap::{self, Heatmap};
use super::methods::{NINE, meaning, title};
use super::paper;
use super::rank_chart;
use super::results::{StudyResults, TargetResults};
use super::study_tables::{counts, named, named_of};
use super::svg::Svg;
use super::training_chart;
use super::words;
use crate::attribution::Meaning;
use crate::dataset::{InputKind, Target};
use ndarray::Axis;

/// One figure.
pub struct Figure {
    /// Name of its file, without ending.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// The picture.
    pub svg: Svg,
}

impl Figure {
    fn new(name: impl Into<String>, caption: impl Into<String>, svg: Svg) -> Self {
        Figure { name: name.into(), caption: caption.into(), svg }
    }
}

/// One kept ECG with one method's heatmap for one target; `title` is printed above it.
pub fn heatmap_of<'a>(
    results: &'a StudyResults,
    target: &'a TargetResults,
    method: &str,
    ecg: usize,
    title: &'a str,
) -> Option<Heatmap<'a>> {
    let maps = target.maps_of(method)?;
    Some(Heatmap {
        ecg: results.ecgs.inputs.index_axis(Axis(0), ecg),
        map: maps.index_axis(Axis(0), ecg),
        title,
        unit: target.target.unit(),
        meaning: meaning_of(method),
        fiducials: (results.input == InputKind::Median).then(|| &results.ecgs.measurements[ecg]),
        axes: None,
    })
}

/// What a method's attributions say in a study, whose settings are the defaults: not multiplied by the input, SmoothGrad alone without signs.
pub fn meaning_of(method: &str) -> Option<Meaning> {
    meaning(method, false, None)
}

/// The unit of a method's attributions in a study.
pub fn unit(target: Target, method: &str) -> String {
    meaning_of(method).map_or_else(String::new, |meaning| words::unit(meaning, target.unit()))
}

/// A figure's file name, what its targets are, and which they are.
type Part = (&'static str, &'static str, fn(Target) -> bool);

/// Figures 3 and 4: averaged heatmaps of every method, for the interval targets and for the amplitude targets.
pub fn method_grids(results: &StudyResults, ecg: usize, style: Style) -> Vec<Figure> {
    let methods: Vec<String> = results.methods().into_iter().filter(|method| NINE.contains(&method.as_str())).collect();
    let rows: Vec<&str> = methods.iter().map(|method| title(method)).collect();
    let part = |(name, what, wanted): Part| {
        let targets: Vec<&TargetResults> = results.targets.iter().filter(|target| wanted(target.target)).collect();
        if targets.is_empty() || rows.is_empty() {
            return None;
        }
        let columns: Vec<&str> = targets.iter().map(|target| target.target.title()).collect();
        let row = |method: &String| targets.iter().map(|target| heatmap_of(results, target, method, ecg, "")).collect();
        let cells: Vec<Vec<Option<Heatmap<'_>>>> = methods.iter().map(row).collect();
        let caption = format!(
            "Heatmaps of each method for {what}, ECG {}, without signs, averaged over 12 leads, behind lead V5. Darker blue: more. Each heatmap has a scale of its own.",
            results.ecgs.ids[ecg]
        );
        let svg = heatmap::grid(&caption, &rows, &columns, &cells, style);
        Some(Figure::new(name, caption, svg))
    };
    let parts: [Part; 3] = [
        ("figure3_intervals", "intervals", |target| target.is_measurement() && target.unit() != "µV"),
        ("figure4_amplitudes", "amplitudes", |target| target.is_measurement() && target.unit() == "µV"),
        ("heatmaps_of_labels", "labels", |target| !target.is_measurement()),
    ];
    parts.into_iter().filter_map(part).collect()
}

/// Figures 5 and 6: 12-lead pairs of methods, for the T amplitude and for the PR interval; and one for each label.
pub fn pairs(results: &StudyResults, ecg: usize, style: Style) -> Vec<Figure> {
    let studied = [("figure5_t_amplitude", Target::TV5, "deeplift"), ("figure6_pr_interval", Target::Pr, "smoothgrad")];
    let labels = results.targets.iter().map(|target| target.target).filter(|target| !target.is_measurement());
    let wanted = studied.map(|(name, target, left)| (name.to_owned(), target, left)).into_iter();
    let wanted = wanted.chain(labels.map(|target| (format!("pair_{target}"), target, "deeplift")));
    let pair = |(name, target, left): (String, Target, &str)| {
        let target = results.target(target)?;
        let right = "guided_gradcam";
        let titles = [left, right].map(|method| format!("{}, {}", title(method), target.target.title()));
        let a = heatmap_of(results, target, left, ecg, &titles[0])?;
        let b = heatmap_of(results, target, right, ecg, &titles[1])?;
        let caption = format!(
            "12-lead heatmaps of {} and {} for the {}, ECG {}.{}{}",
            title(left),
            title(right),
            target.target.title(),
            results.ecgs.ids[ecg],
            said(left, style),
            said(right, style)
        );
        Some(Figure::new(name, caption, heatmap::pair(&a, &b, style)))
    };
    wanted.filter_map(pair).collect()
}

/// A method's name and what its colours say.
fn said(method: &str, style: Style) -> String {
    meaning_of(method).map_or_else(String::new, |meaning| format!(" {}: {}", title(method), words::colours(meaning, style)))
}

/// Every figure that one study gives.
pub fn all(results: &StudyResults, analyses: &[PerturbationAnalysis], style: Style) -> Vec<Figure> {
    let mut figures = Vec::new();
    if !results.ecgs.ids.is_empty() {
        figures.extend(method_grids(results, 0, style));
        figures.extend(pairs(results, 0, style));
        figures.extend(sheet(results, style));
    }
    if !analyses.is_empty() {
        figures.push(curves(analyses, false, style));
        figures.push(curves(analyses, true, style));
        figures.push(stability(analyses, style));
        figures.extend(analyses.iter().filter_map(|analysis| critical_difference(analysis, style)));
    }
    figures.extend(training(results, style));
    let methods = results.methods();
    for target in &results.targets {
        if !target.maps.is_empty() {
            figures.push(correlation(target, &methods, style));
        }
        if !target.test.is_empty() {
            figures.push(predictions(target, style));
        }
    }
    figures
}

/// Figure 7.
pub fn curves(analyses: &[PerturbationAnalysis], bands: bool, style: Style) -> Figure {
    let scoring = analyses.first().map(|a| a.scoring).unwrap_or_default();
    let caption = format!(
        "Region perturbation: the error {} while the points that a heatmap ranks first are perturbed one by one, over {} ECGs{}. Steeper is better.{}",
        named_of(analyses),
        counts(analyses),
        if bands { ", with 95 % bootstrap bands" } else { "" },
        classed(analyses)
    );
    let name = format!("figure7_perturbation_{scoring}{}", if bands { "_bands" } else { "" });
    Figure::new(name, caption, curve_chart::perturbation_curves(analyses, bands, style))
}

/// What the numbers behind methods' names are, where there are any.
fn classed(analyses: &[PerturbationAnalysis]) -> &'static str {
    let any = analyses.iter().any(|a| a.classes(a.scoring).iter().any(Option::is_some));
    if any {
        " Behind a name the study's class: best (1), medium (2), poor (3), thirds of the range of areas from Random to the winner."
    } else {
        ""
    }
}

/// How the networks were trained.
pub fn training(results: &StudyResults, style: Style) -> Option<Figure> {
    let svg = training_chart::training(results, style)?;
    let classes = results.targets.iter().any(|target| !target.target.is_regression());
    let loss = if classes { " (of classes the cross entropy)" } else { "" };
    let caption = format!(
        "Training: root mean squared error{loss} of each epoch, on the training batches as they came (with the weights changing) and on the validation split \
         after it."
    );
    Some(Figure::new("training", caption, svg))
}

/// Ranks and how firm they are.
pub fn stability(analyses: &[PerturbationAnalysis], style: Style) -> Figure {
    let scoring = analyses.first().map(|a| a.scoring).unwrap_or_default();
    let caption = format!(
        "Rank of each method by the area under its curve, {} (dot: to iteration 15; dark line: range over every end from 10 to 25; wide bar: 95 % of \
         bootstrap resamples of ECGs). 1 is best.{}",
        named_of(analyses),
        classed(analyses)
    );
    Figure::new(format!("rank_stability_{scoring}"), caption, rank_chart::stability(analyses, style))
}

/// The critical-difference diagram of one target.
pub fn critical_difference(analysis: &PerturbationAnalysis, style: Style) -> Option<Figure> {
    let svg = chart::critical_difference(analysis, style)?;
    let how = analysis.comparison.as_ref().map_or_else(String::new, |comparison| format!(" ({})", comparison.how()));
    let caption = format!(
        "{}: mean rank of each method over ECGs, {}; the dots of a bar are methods of which Wilcoxon's test{how} with Holm's correction tells no pair \
         apart at 5 %. A method that a bar passes without a dot is told apart from one of them.",
        analysis.target.title(),
        named(analysis.scoring)
    );
    Some(Figure::new(format!("critical_difference_{}_{}", analysis.target, analysis.scoring), caption, svg))
}

/// Correlation between the methods' maps for one target.
pub fn correlation(target: &TargetResults, methods: &[String], style: Style) -> Figure {
    let values = map_correlations(target, methods);
    let svg = chart::correlations(target.target, methods, &values, style);
    let kept = methods.iter().filter_map(|method| target.maps_of(method)).map(|maps| maps.dim().0).min().unwrap_or(0);
    let caption = format!("{}: how alike the methods' heatmaps are, mean over {kept} ECGs.", target.target.title());
    Figure::new(format!("map_correlation_{}", target.target), caption, svg)
}

/// Predicted against true and Bland–Altman for one target.
pub fn predictions(target: &TargetResults, style: Style) -> Figure {
    if !target.target.is_regression() {
        let caption = format!(
            "{}: the ROC curve of the test split, and the observed share of yes against the predicted probability, in bins of a tenth with Wilson's 95 % \
             intervals.",
            target.target.title()
        );
        return Figure::new(format!("predictions_{}", target.target), caption, class_chart::classes(target, style));
    }
    let exact =
        if target.test.iter().any(|p| p.exact.is_some()) { " (orange: against the exact values that the dataset knows)" } else { "" };
    let caption = format!("{}: predicted against measured values{exact}, and Bland–Altman, on the test split.", target.target.title());
    Figure::new(format!("predictions_{}", target.target), caption, chart::predictions(target, style))
}

/// For 10-s inputs: the ECG on paper, with the heatmap of the first target.
pub fn sheet(results: &StudyResults, style: Style) -> Option<Figure> {
    let target = results.targets.first().filter(|_| results.input == InputKind::Rhythm)?;
    let heading = format!("Saliency, {}, ECG {}", target.target.title(), results.ecgs.ids[0]);
    let heatmap = heatmap_of(results, target, "saliency", 0, &heading)?;
    let caption = format!("{heading}, on ECG paper.{}", said("saliency", style));
    Some(Figure::new("paper", caption, paper::sheet(&heatmap, true, style)))
}
