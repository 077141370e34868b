//! `report.html`: one file, no network, readable without JavaScript; with it, an explorer of every ECG, target and method.

use super::analysis::{PerturbationAnalysis, map_correlations};
use super::colour::Style;
use super::embed::embed;
use super::figures::{self, Figure};
use super::methods::title;
use super::results::StudyResults;
use super::study_tables as tables;
use super::svg::escape;
use super::tables::{Cell, Table};
use super::words;
use super::{error_tables, findings};
use std::fmt::Write;

const CSS: &str = include_str!("page/report.css");
/// What this page and the survey draw with.
pub const DRAW: &str = include_str!("page/ecg.js");
const SCRIPT: &str = include_str!("page/report.js");
const EXPLORER: &str = include_str!("page/explorer.html");

/// The whole page.
pub fn page(results: &StudyResults, analyses: &[PerturbationAnalysis]) -> String {
    let style = Style::default();
    let methods = results.methods();
    let mut page = head(results);
    let explorable = !results.ecgs.ids.is_empty() && !methods.is_empty();
    page += "<main id=\"main\">";
    page += &findings::section(results, analyses);
    heatmaps(&mut page, results, style, explorable);
    perturbation(&mut page, results, analyses, style);
    experts(&mut page, results, analyses);
    correlations(&mut page, results, &methods, style);
    models(&mut page, results, style);
    data(&mut page, results);
    provenance(&mut page, results);
    page += "</main><footer>Made by cardiograd. Research software: not a medical device, not for diagnosis.</footer>";
    if explorable {
        script(&mut page, results, &methods);
    }
    page + "</body></html>\n"
}

/// Text of a script element: nothing in it can end the element.
pub fn in_script(text: &str) -> String {
    text.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn script(page: &mut String, results: &StudyResults, methods: &[String]) {
    let place = |name: &str| methods.iter().position(|method| method == name);
    let right = place("guided_gradcam").map_or(-1, |right| right as i64);
    let embedded = embed(results, methods, (place("deeplift").unwrap_or(0), right));
    let _ = write!(page, "<script type=\"application/json\" id=\"meta\">{}</script>", in_script(&embedded.meta.to_string()));
    for (id, block) in embedded.blocks {
        let _ = write!(page, "<script type=\"text/plain\" id=\"{id}\">{block}</script>");
    }
    let _ = write!(page, "<script>{DRAW}{SCRIPT}</script>");
}

fn head(results: &StudyResults) -> String {
    let targets: Vec<&str> = results.targets.iter().map(|target| target.target.title()).collect();
    let networks = results.targets.iter().map(|target| target.target.class_of().unwrap_or(target.target.name()));
    let networks = networks.collect::<std::collections::BTreeSet<_>>().len();
    let summary = format!(
        "{} ECGs from {}; {} the {} ({}); {} explanation methods; heatmaps of {} ECGs kept. Seed {}.",
        results.data.ecgs,
        results.data.source,
        if networks == 1 { "one network that reads".into() } else { format!("{networks} networks that read") },
        if results.input == crate::dataset::InputKind::Median { "median beat" } else { "10-s recording" },
        targets.join(", "),
        results.methods().len(),
        results.ecgs.ids.len(),
        results.provenance.seed
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Heatmaps of ECG networks: a study</title><style>{CSS}</style></head><body>\
         <a class=\"skip\" href=\"#main\">Skip to the content</a><header><h1>Heatmaps of ECG networks</h1><p class=\"lead\">{}</p>\
         <nav aria-label=\"Sections\"><a href=\"#findings\">Findings</a><a href=\"#heatmaps\">Heatmaps</a><a href=\"#perturbation\">Perturbation</a><a href=\"#experts\">Experts</a>\
         <a href=\"#alike\">Likeness</a><a href=\"#models\">Networks</a><a href=\"#data\">Data</a><a href=\"#again\">Run it again</a></nav></header>",
        escape(&summary)
    )
}

fn figure(page: &mut String, figure: Figure) {
    // On a phone a wide picture scrolls in its own frame, which the keyboard reaches.
    let _ = write!(
        page,
        "<figure><div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Picture, scrolls sideways where it is wider than the screen\">{}</div>\
         <p class=\"cue\" aria-hidden=\"true\">↔ The picture scrolls sideways.</p><figcaption>{}</figcaption></figure>",
        figure.svg.inline(),
        escape(&figure.caption)
    );
}

fn table(page: &mut String, table: &Table) {
    let _ = write!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">{}</div>",
        escape(&table.caption),
        table.html()
    );
}

fn heatmaps(page: &mut String, results: &StudyResults, style: Style, explorable: bool) {
    *page += "<section id=\"heatmaps\"><h2>Heatmaps</h2><p>A heatmap colours each sample of the ECG. What the colour says depends on the method:</p>";
    *page += &said_by_method(results, style);
    *page += "<p>Values are divided by the one at which their cumulative size reaches 90 % of the whole, and clipped there: colours compare places within one \
              heatmap, not heatmaps with each other, and a negligible heatmap is as colourful as any. Each heatmap's size, Σ|map|, stands beside it. In print, \
              negative parts are hatched.</p>";
    if !explorable {
        *page += "<p>No heatmaps were kept.</p></section>";
        return;
    }
    *page += EXPLORER;
    if let Some(sheet) = figures::sheet(results, style) {
        *page += "<h3>On ECG paper</h3>";
        figure(page, sheet);
    }
    *page += "<h3>All methods, averaged over leads</h3>";
    figures::method_grids(results, 0, style).into_iter().for_each(|grid| figure(page, grid));
    *page += "<div class=\"without\"><h3>Two methods on 12 leads</h3>";
    figures::pairs(results, 0, style).into_iter().for_each(|pair| figure(page, pair));
    *page += "</div></section>";
}

/// What the colours of each method say, methods that say the same together.
fn said_by_method(results: &StudyResults, style: Style) -> String {
    let mut said: Vec<(String, Vec<String>)> = Vec::new();
    for method in results.methods() {
        let Some(meaning) = figures::meaning_of(&method) else { continue };
        let text = format!("{} {}", meaning.sentence(), words::colours(meaning, style));
        match said.iter_mut().find(|one| one.0 == text) {
            Some(one) => one.1.push(title(&method).to_owned()),
            None => said.push((text, vec![title(&method).to_owned()])),
        }
    }
    let items = said.iter().map(|(text, names)| format!("<li><strong>{}</strong>: {}</li>", escape(&names.join(", ")), escape(text)));
    format!("<ul id=\"colours\">{}</ul>", items.collect::<String>())
}

fn perturbation(page: &mut String, results: &StudyResults, analyses: &[PerturbationAnalysis], style: Style) {
    *page += "<section id=\"perturbation\"><h2>Perturbation</h2>";
    if analyses.is_empty() {
        *page += "<p>Perturbation was not run.</p></section>";
        return;
    }
    *page += "<p>Noise is added to the points of the ECG one after the other, those that the heatmap ranks first coming first. A heatmap that found \
              what the network uses makes the prediction fail soon. The same noise is used for every method, and every method is judged on the same ECGs.</p>";
    figure(page, figures::curves(analyses, false, style));
    *page += "<details><summary>The same curves with bootstrap bands</summary>";
    figure(page, figures::curves(analyses, true, style));
    *page += "</details>";
    let own = tables::scorings(analyses);
    own.iter().for_each(|scoring| table(page, &tables::table4(analyses, *scoring)));
    *page += "<h3 id=\"firm\">How firm are the ranks?</h3>";
    figure(page, figures::stability(analyses, style));
    table(page, &tables::stability(analyses));
    *page += "<details><summary>Ranks at every end from 10 to 25</summary>";
    analyses.iter().for_each(|analysis| table(page, &tables::ranks_by_end(analysis)));
    *page += "</details><h3 id=\"differ\">Do the methods differ?</h3>";
    table(page, &tables::differences(analyses));
    analyses.iter().filter_map(|analysis| figures::critical_difference(analysis, style)).for_each(|diagram| figure(page, diagram));
    *page += "<details><summary>p of every pair of methods</summary>";
    analyses.iter().filter_map(tables::holm).for_each(|holm| table(page, &holm));
    *page += "</details><h3 id=\"scorings\">Other scorings</h3><p>What stands above is by one scoring. These are the same areas by the others, which rank the methods in \
              their own ways, and the table that the study published.</p><details><summary>Table 4 by other scorings, and as published</summary>";
    let others = tables::all_scorings(analyses).into_iter().filter(|scoring| !own.contains(scoring));
    others.for_each(|scoring| table(page, &tables::table4(analyses, scoring)));
    if tables::any_published(analyses) {
        table(page, &tables::table4_published());
    }
    *page += "</details>";
    let exclusions = tables::exclusions(results);
    let _ = write!(page, "<details><summary>ECGs left out: {}</summary>", exclusions.rows.len());
    table(page, &exclusions);
    *page += "</details></section>";
}

fn experts(page: &mut String, results: &StudyResults, analyses: &[PerturbationAnalysis]) {
    *page += "<section id=\"experts\"><h2>Experts against perturbation</h2><p>Three experts chose, blinded, the heatmap that best explained each measurement \
              (Storås, Mæland, Isaksen et al., JAMIA), on 51 ECGs of Pulse2pulse and the study's own networks. Their ranks, by votes on full heatmaps, stand beside the \
              ranks found here, on this study's ECGs and networks: the two sides share the methods, not the ECGs. <code>cardiograd survey</code> runs such a review on this study's heatmaps.</p>";
    if analyses.is_empty() {
        *page += "<p>Perturbation was not run, so there is nothing to compare.</p></section>";
        return;
    }
    if !tables::any_published(analyses) {
        *page += "<p>The published study predicted none of these targets.</p></section>";
        return;
    }
    table(page, &tables::experts(analyses, &results.data.source));
    table(page, &tables::against_published(analyses));
    *page += "</section>";
}

fn correlations(page: &mut String, results: &StudyResults, methods: &[String], style: Style) {
    *page += "<section id=\"alike\"><h2>How alike are the heatmaps?</h2>";
    for (i, target) in results.targets.iter().filter(|target| !target.maps.is_empty()).enumerate() {
        let open = if i == 0 { " open" } else { "" };
        let _ = write!(page, "<details{open}><summary>{}</summary>", target.target.title());
        figure(page, figures::correlation(target, methods, style));
        *page += "</details>";
    }
    *page += "</section>";
}

fn models(page: &mut String, results: &StudyResults, style: Style) {
    *page += "<section id=\"models\"><h2>Networks</h2>";
    table(page, &error_tables::metrics(results));
    if results.targets.iter().any(|target| !target.target.is_regression()) {
        *page += "<h3 id=\"classes\">Yes or no</h3>";
        let several = error_tables::several(results);
        if !several.rows.is_empty() {
            *page += "<p>A network that tells several classes apart is looked at class by class: each against all others, by its softmax probability. Its heatmaps \
                      explain the logit of that class.</p>";
            table(page, &several);
        }
        table(page, &error_tables::classes(results));
    }
    let numbers = results.targets.iter().any(|target| target.target.is_regression());
    if numbers {
        *page += "<h3 id=\"agreement\">Agreement</h3>";
        table(page, &error_tables::agreement(results));
        *page += "<h3 id=\"thresholds\">Limits</h3>";
        table(page, &error_tables::thresholds(results));
    }
    *page += "<h3 id=\"worst\">Largest errors</h3>";
    if numbers {
        table(page, &error_tables::worst_shares(results));
    }
    table(page, &error_tables::worst(results));
    figures::training(results, style).into_iter().for_each(|training| figure(page, training));
    results.targets.iter().filter(|target| !target.test.is_empty()).for_each(|target| figure(page, figures::predictions(target, style)));
    *page += "</section>";
}

fn data(page: &mut String, results: &StudyResults) {
    *page += "<section id=\"data\"><h2>Data</h2>";
    let _ = write!(
        page,
        "<p>{} ECGs, source: {}. An ECG that lacks a measurement is left out for that target only.{}</p>",
        results.data.ecgs,
        escape(&results.data.source),
        if results.targets.iter().all(|target| target.target.is_regression()) {
            ""
        } else {
            " Of a label of yes or no the mean is the share of yes."
        }
    );
    table(page, &tables::data(results));
    if !results.data.rejected.is_empty() {
        let mut rejected = Table::new("ECGs that could not be measured", ["Reason", "ECGs"]);
        rejected.rows.extend(results.data.rejected.iter().map(|(reason, n)| vec![Cell::text(reason), Cell::number(*n as f64, 0)]));
        table(page, &rejected);
    }
    *page += "</section>";
}

fn provenance(page: &mut String, results: &StudyResults) {
    let p = &results.provenance;
    *page += "<section id=\"again\"><h2>Run it again</h2>";
    let _ = write!(
        page,
        "<p>{}, seed {}. The same command gives the same bytes, whatever the number of threads:</p>",
        escape(&p.version),
        p.seed
    );
    let _ = write!(page, "<p><code>{}</code></p>", escape(&p.command));
    for (caption, names, rows) in [("Settings", ["Setting", "Value"], &p.settings), ("Digests", ["File", "Digest"], &p.digests)] {
        let _ = write!(
            page,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table class=\"plain\"><caption>{caption}</caption><thead><tr><th scope=\"col\">{}</th><th scope=\"col\">{}</th></tr></thead><tbody>",
            names[0], names[1]
        );
        for (name, value) in rows {
            let _ = write!(page, "<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>", escape(name), escape(value));
        }
        *page += "</tbody></table></div>";
    }
    let _ =
        write!(page, "<p>Methods: {}.</p></section>", results.methods().iter().map(|m| escape(title(m))).collect::<Vec<_>>().join(", "));
}

/// The numbers of [`map_correlations`] as tables, one per target.
pub fn correlation_tables(results: &StudyResults) -> Vec<(String, Table)> {
    let methods = results.methods();
    let with_maps = results.targets.iter().filter(|target| !target.maps.is_empty());
    with_maps
        .map(|target| {
            let values = map_correlations(target, &methods);
            (format!("map_correlation_{}", target.target), tables::map_correlations(target.target, &methods, &values))
        })
        .collect()
}
