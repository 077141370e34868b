//! What a study says, in sentences at the report's head, each with the figure or table behind it.
//!
//! A sentence claims no more than its tests do: where they do not tell methods apart, all of them are named or none.

use super::analysis::PerturbationAnalysis;
use super::error_tables::thresholds;
use super::methods::title;
use super::results::{StudyResults, TargetResults};
use super::study_tables::named_of;
use super::svg::{escape, plain};
use crate::evaluation::classes::auroc;
use crate::evaluation::errors;
use std::fmt::Write;

/// A sentence and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The sentence.
    pub text: String,
    /// The place in the report.
    pub anchor: &'static str,
    /// What stands there.
    pub behind: &'static str,
}

fn finding(text: String, anchor: &'static str, behind: &'static str) -> Finding {
    Finding { text, anchor, behind }
}

/// A share of the squared error of the worst 1 % that is worth a sentence.
const MUCH: f64 = 0.25;
/// The level of the tests.
const ALPHA: f64 = 0.05;
/// Epochs from which on a training is not called short: the study's.
const LONG: usize = 100;

/// What a reader must know before anything else: that the data are simulated, that a network is no better than the mean.
pub fn warnings(results: &StudyResults) -> Vec<String> {
    let mut all = Vec::new();
    if results.data.source == "simulator" {
        let epochs = results.targets.iter().map(|target| target.epochs.len()).max().filter(|epochs| *epochs > 0);
        let trained = epochs.map_or_else(String::new, |epochs| {
            let few = if epochs < LONG { format!(", few beside the study's {LONG}") } else { String::new() };
            let epochs = if epochs == 1 { "1 epoch".to_owned() } else { format!("{epochs} epochs") };
            format!(" Networks were trained for {epochs}{few}.")
        });
        all.push(format!(
            "This is a demonstration: its {} ECGs are simulated.{trained} It shows what the program does, not how methods compare on recorded ECGs.",
            results.data.ecgs
        ));
    }
    all.extend(results.targets.iter().filter_map(worse_than_mean));
    all
}

/// That a network is no better than the mean, in those words, if it is so on the test split.
pub(super) fn worse_than_mean(target: &TargetResults) -> Option<String> {
    let test = target.split("test").filter(|test| test.is_worse_than_mean())?;
    Some(format!("{}: {}.", target.target.title(), words_for_the_mean(test.mae, test.mae_of_mean, target.target.error_unit())))
}

/// How a network's mean absolute error compares with that of always predicting the training mean.
pub fn words_for_the_mean(mae: f64, mae_of_mean: f64, unit: &str) -> String {
    if mae < mae_of_mean {
        let times = mae_of_mean / mae;
        return format!("{} times nearer than predicting the mean", plain(times, if times < 2.0 { 2 } else { 1 }));
    }
    let how = beside_the_mean(mae, mae_of_mean);
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    format!(
        "the network is {how}: its mean absolute error is {}{unit}, that of always predicting the training mean {}{unit}. Its heatmaps explain a \
         prediction that is wrong",
        plain(mae, 2),
        plain(mae_of_mean, 2)
    )
}

/// The words for an error that is not below that of predicting the mean.
pub(super) fn beside_the_mean(mae: f64, mae_of_mean: f64) -> &'static str {
    if mae > mae_of_mean { "worse than the mean" } else { "no better than the mean" }
}

/// Every finding, in the order of the report's sections.
pub fn findings(results: &StudyResults, analyses: &[PerturbationAnalysis]) -> Vec<Finding> {
    let mut all = Vec::new();
    all.extend(networks(results));
    all.extend(classes(results));
    all.extend(exact(results));
    all.extend(outliers(results));
    all.extend(calibrated(results));
    all.extend(limits(results));
    all.extend(best(analyses));
    all.extend(everywhere(analyses));
    all.extend(control(analyses));
    all.extend(ends(analyses));
    all.extend(experts(results, analyses));
    all
}

/// How the networks of yes or no rank.
fn classes(results: &StudyResults) -> Option<Finding> {
    let words: Vec<String> = results
        .targets
        .iter()
        .filter(|target| !target.target.is_regression())
        .filter_map(|target| {
            let pairs = target.scored();
            let yes = pairs.iter().filter(|pair| pair.0).count();
            Some(format!("{} {} ({yes} yes among {} ECGs)", target.target.title(), plain(auroc(&pairs)?, 3), pairs.len()))
        })
        .collect();
    (!words.is_empty())
        .then(|| finding(format!("Areas under the ROC curve on the test split: {}.", words.join(", ")), "classes", "Yes or no"))
}

fn networks(results: &StudyResults) -> Option<Finding> {
    let numbers = results.targets.iter().filter(|target| target.target.is_regression());
    let tests = numbers.filter_map(|target| Some((target, target.split("test")?)));
    let words: Vec<String> = tests
        .map(|(target, test)| {
            let unit = target.target.unit();
            format!("{} {} {unit} ({} {unit} for the mean)", target.target.title(), plain(test.mae, 2), plain(test.mae_of_mean, 2))
        })
        .collect();
    (!words.is_empty()).then(|| {
        let text = format!("Mean absolute errors on the test split against measured values: {}.", words.join(", "));
        finding(text, "models", "Prediction errors")
    })
}

fn exact(results: &StudyResults) -> Option<Finding> {
    let known = results.targets.iter().filter_map(|target| Some((target, target.split("test")?, target.split("test")?.exact?)));
    let words: Vec<String> = known
        .map(|(target, test, exact)| {
            format!(
                "{} {} {} (against measured {}; the measurement itself errs by {})",
                target.target.title(),
                plain(exact.mae, 2),
                target.target.error_unit(),
                plain(test.mae, 2),
                plain(exact.mae_of_measured, 2)
            )
        })
        .collect();
    (!words.is_empty()).then(|| {
        let text = format!("Against the exact values that the simulator put in, mean absolute errors are: {}.", words.join(", "));
        finding(text, "models", "Prediction errors")
    })
}

fn outliers(results: &StudyResults) -> Option<Finding> {
    let shares = results
        .targets
        .iter()
        .filter(|target| target.target.is_regression())
        .filter_map(|target| Some((target.target, errors::worst_share(&target.pairs())?)));
    let words: Vec<String> = shares
        .filter(|(_, found)| found.share > MUCH && found.without.is_finite())
        .map(|(target, found)| {
            let (rmse, without) = (plain(found.rmse, 2), plain(found.without, 2));
            format!("{} {:.0} % (RMSE {rmse}, without them {without} {})", target.title(), 100.0 * found.share, target.unit())
        })
        .collect();
    (!words.is_empty()).then(|| {
        let text = format!(
            "The worst 1 % of test ECGs carry much of the squared error: {}. Look at them before trusting an RMSE.",
            words.join(", ")
        );
        finding(text, "worst", "Largest errors")
    })
}

fn calibrated(results: &StudyResults) -> Option<Finding> {
    let lines = results
        .targets
        .iter()
        .filter(|target| target.target.is_regression())
        .filter_map(|target| Some((target.target, errors::calibration(&target.pairs())?.slope)));
    let off: Vec<String> = lines
        .filter(|(_, slope)| slope.low > 1.0 || slope.high < 1.0)
        .map(|(target, slope)| {
            format!("{} {} ({} to {})", target.title(), plain(slope.value, 3), plain(slope.low, 3), plain(slope.high, 3))
        })
        .collect();
    (!off.is_empty()).then(|| {
        let text = format!(
            "The slope of measured on predicted values is not 1, within its interval, for {}: below 1 predictions are spread too far, above 1 too little.",
            off.join(", ")
        );
        finding(text, "agreement", "Agreement")
    })
}

fn limits(results: &StudyResults) -> Option<Finding> {
    let table = thresholds(results);
    let rows = table.rows.iter().filter(|row| row[1].text == "measured values");
    let words: Vec<String> = rows
        .map(|row| {
            let share =
                |at: usize| row[at].interval.as_ref().map_or(row[at].text.clone(), |(ends, _, _)| format!("{} ({ends})", row[at].text));
            if row[2].value == Some(0.0) {
                return format!("{}: no ECG of the test split is above", row[0].text);
            }
            let above = if row[2].text == "1" { "1 ECG".to_owned() } else { format!("{} ECGs", row[2].text) };
            format!("{}: sensitivity {} on {above}, specificity {} on {}", row[0].text, share(4), share(5), row[3].text)
        })
        .collect();
    (!words.is_empty()).then(|| finding(format!("Clinicians' limits: {}.", words.join("; ")), "thresholds", "Limits"))
}

/// Method names as in a sentence.
fn listed(names: &[&str]) -> String {
    let names: Vec<&str> = names.iter().map(|name| title(name)).collect();
    match &names[..] {
        [] => "none".into(),
        [one] => (*one).into(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Which methods raise the error most, targets of which the same is found in one sentence.
fn best(analyses: &[PerturbationAnalysis]) -> Vec<Finding> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for analysis in analyses {
        let Some(text) = best_of(analysis) else { continue };
        match found.iter_mut().find(|one| one.0 == text) {
            Some((_, targets)) => targets.push(analysis.target.title()),
            None => found.push((text, vec![analysis.target.title()])),
        }
    }
    let said =
        |(text, targets): (String, Vec<&str>)| finding(format!("{}: {text}", targets.join(", ")), "differ", "Do the methods differ?");
    found.into_iter().map(said).collect()
}

/// The same of one target.
fn best_of(analysis: &PerturbationAnalysis) -> Option<String> {
    let comparison = analysis.comparison.as_ref()?;
    let alike = analysis.best();
    Some(if comparison.f_p >= ALPHA {
        format!(
            "perturbation of {} ECGs finds no difference between the methods (Iman and Davenport's p = {:.2}).",
            analysis.ecgs, comparison.f_p
        )
    } else if let [only] = alike[..] {
        format!("over {} ECGs {} raises the error most, told apart from every other method by Holm's tests.", analysis.ecgs, title(only))
    } else {
        format!(
            "over {} ECGs no winner can be named; {} have the best ranks and no test tells the others of them apart from the first.",
            analysis.ecgs,
            listed(&alike)
        )
    })
}

/// The methods among the best of every target.
fn everywhere(analyses: &[PerturbationAnalysis]) -> Option<Finding> {
    // Where methods do not differ, all of them would be among the best.
    let tested: Vec<&PerturbationAnalysis> = analyses.iter().filter(|a| a.comparison.as_ref().is_some_and(|c| c.f_p < ALPHA)).collect();
    let first = tested.first().filter(|_| tested.len() > 1)?;
    let targets = if tested.len() == analyses.len() { "every target" } else { "every target on which methods differ" };
    let all: Vec<&str> = first.best().into_iter().filter(|method| tested.iter().all(|a| a.best().contains(method))).collect();
    let text = match &all[..] {
        [] => format!("No method is among the best on {targets}."),
        names => format!("Among the best on {targets}: {}.", listed(names)),
    };
    Some(finding(text, "differ", "Do the methods differ?"))
}

/// The methods that no test tells apart from the random control, or that are below it.
fn control(analyses: &[PerturbationAnalysis]) -> Option<Finding> {
    let mut counts: Vec<(&str, Vec<&str>)> = Vec::new();
    for analysis in analyses {
        let Some((comparison, random)) =
            analysis.comparison.as_ref().and_then(|c| Some((c, analysis.methods.iter().position(|method| method == "random")?)))
        else {
            continue;
        };
        for (m, method) in analysis.methods.iter().enumerate().filter(|(m, _)| *m != random) {
            let above = comparison.pairs[m][random] < 0.05 && comparison.mean_ranks[m] < comparison.mean_ranks[random];
            if above {
                continue;
            }
            match counts.iter_mut().find(|(name, _)| name == method) {
                Some((_, targets)) => targets.push(analysis.target.title()),
                None => counts.push((method, vec![analysis.target.title()])),
            }
        }
    }
    let with_control = analyses.iter().any(|a| a.comparison.is_some() && a.methods.iter().any(|method| method == "random"));
    with_control.then(|| {
        let words: Vec<String> = counts.iter().map(|(method, targets)| format!("{} ({})", title(method), targets.join(", "))).collect();
        let text = match words.is_empty() {
            true => "Every method raises the error more than random heatmaps do, on every target.".to_owned(),
            false => format!("Not told apart from random heatmaps, or below them: {}.", words.join("; ")),
        };
        finding(text, "differ", "Do the methods differ?")
    })
}

fn ends(analyses: &[PerturbationAnalysis]) -> Option<Finding> {
    let moved: Vec<&str> = analyses.iter().filter(|a| !a.same_at_every_end()).map(|a| a.target.title()).collect();
    (!moved.is_empty()).then(|| {
        let text = format!("The order of the methods depends on where the area ends, between 10 and 25 points, for {}.", moved.join(", "));
        finding(text, "firm", "How firm are the ranks?")
    })
}

fn experts(results: &StudyResults, analyses: &[PerturbationAnalysis]) -> Option<Finding> {
    let known = analyses.iter().filter_map(|a| Some((a.target.title(), a.against_experts().1?)));
    let words: Vec<String> = known.map(|(target, rho)| format!("{target} {}", plain(rho, 2))).collect();
    (!words.is_empty()).then(|| {
        let text = format!(
            "Rank correlation between the published votes of experts (51 Pulse2pulse ECGs, the study's networks) and perturbation here (source {}, {}): {}.",
            results.data.source,
            named_of(analyses),
            words.join(", ")
        );
        finding(text, "experts", "Experts against perturbation")
    })
}

/// Warnings and findings as a section of the report.
pub fn section(results: &StudyResults, analyses: &[PerturbationAnalysis]) -> String {
    let mut html = String::from("<section id=\"findings\"><h2>Findings</h2>");
    for warning in warnings(results) {
        let _ = write!(html, "<p class=\"warning\" role=\"note\">{}</p>", escape(&warning));
    }
    html += "<ul>";
    for Finding { text, anchor, behind } in findings(results, analyses) {
        let _ = write!(html, "<li>{} <a href=\"#{anchor}\">{behind}</a></li>", escape(&text));
    }
    html + "</ul></section>"
}
